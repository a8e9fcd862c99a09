//! The bytes of the original plugin, and what may differ from them.

use super::format::{Message, Relation, Value, parse};

pub fn messages() -> Vec<Vec<u8>> {
    let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/golden.hex"));
    text.expect("the file is part of the project").lines().map(from_hex).collect()
}

pub fn from_hex(line: &str) -> Vec<u8> {
    let digit = |byte: u8| if byte <= b'9' { byte - b'0' } else { byte - b'a' + 10 };
    line.as_bytes().chunks_exact(2).map(|pair| digit(pair[0]) << 4 | digit(pair[1])).collect()
}

/// Zeroes what no two runs have in common: LSNs, times, transaction ids.
pub fn masked(mut message: Vec<u8>) -> Vec<u8> {
    if matches!(message.first(), Some(b'B' | b'C')) {
        message[5..].fill(0);
    }
    message
}

/// Leaves out transactions of nothing but BEGIN and COMMIT: catalog changes leave them behind, and
/// versions differ in which.
pub fn without_empty_transactions(messages: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let mut kept: Vec<Vec<u8>> = Vec::new();
    for message in messages {
        if message[0] == b'C' && kept.last().is_some_and(|last| last[0] == b'B') {
            kept.pop();
        } else {
            kept.push(message.clone());
        }
    }
    kept
}

/// From 12 on floats print in their shortest form. Reads both forms as the same number.
pub fn with_floats_alike(message: &[u8]) -> Message {
    let mut message = parse(message).expect("well formed");
    match &mut message {
        Message::Insert { relation, new } => alike(relation, new),
        Message::Update { relation, old, new } => {
            old.iter_mut().for_each(|old| alike(relation, old));
            alike(relation, new);
        }
        Message::Delete { relation, old } => old.iter_mut().for_each(|old| alike(relation, old)),
        Message::Begin { .. } | Message::Commit { .. } => {}
    }
    message
}

fn alike(relation: &Relation, row: &mut [Value]) {
    for (attribute, value) in relation.attributes.iter().zip(row) {
        let (Some(attribute), Value::Text(text)) = (attribute, value) else {
            continue;
        };
        let text_of = |text: &[u8]| String::from_utf8_lossy(text).into_owned();
        match attribute.type_name.as_slice() {
            b"real" => *text = format!("{:?}", text_of(text).parse::<f32>()).into_bytes(),
            b"double precision" => *text = format!("{:?}", text_of(text).parse::<f64>()).into_bytes(),
            _ => {}
        }
    }
}
