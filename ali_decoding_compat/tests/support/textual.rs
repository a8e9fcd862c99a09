//! A parsed change as test_decoding would print it, so that each name, type and value can be compared.

use super::format::{Message, Relation, Value};

/// None for messages that test_decoding prints without content that we know (BEGIN and COMMIT).
pub fn render(message: &Message) -> Option<Vec<u8>> {
    let mut line = Vec::new();
    match message {
        Message::Begin { .. } | Message::Commit { .. } => return None,
        Message::Insert { relation, new } => {
            start(&mut line, relation, "INSERT");
            tuple(&mut line, relation, new, false);
        }
        Message::Update { relation, old, new } => {
            start(&mut line, relation, "UPDATE");
            if let Some(old) = old {
                line.extend(b" old-key:");
                tuple(&mut line, relation, old, true);
                line.extend(b" new-tuple:");
            }
            tuple(&mut line, relation, new, false);
        }
        Message::Delete { relation, old } => {
            start(&mut line, relation, "DELETE");
            match old {
                Some(old) => tuple(&mut line, relation, old, true),
                None => line.extend(b" (no-tuple-data)"),
            }
        }
    }
    Some(line)
}

fn start(line: &mut Vec<u8>, relation: &Relation, operation: &str) {
    line.extend(b"table ");
    line.extend(quoted(&relation.schema));
    line.push(b'.');
    line.extend(quoted(&relation.table));
    line.extend(format!(": {operation}:").as_bytes());
}

/// The tests' names are plain or need quotes for their characters; none is a reserved word.
fn quoted(name: &[u8]) -> Vec<u8> {
    let plain = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || *byte == b'_';
    if name.iter().all(plain) && !name.first().is_some_and(u8::is_ascii_digit) {
        return name.to_vec();
    }
    let mut quoted = vec![b'"'];
    for byte in name {
        quoted.push(*byte);
        if *byte == b'"' {
            quoted.push(b'"');
        }
    }
    quoted.push(b'"');
    quoted
}

fn tuple(line: &mut Vec<u8>, relation: &Relation, row: &[Value], skip_nulls: bool) {
    for (attribute, value) in relation.attributes.iter().zip(row) {
        let Some(attribute) = attribute else {
            assert_eq!(*value, Value::Null, "a dropped attribute has a value");
            continue;
        };
        if skip_nulls && *value == Value::Null {
            continue;
        }
        line.push(b' ');
        line.extend(&attribute.quoted_name);
        line.push(b'[');
        line.extend(&attribute.type_name);
        line.extend(b"]:");
        match value {
            Value::Null => line.extend(b"null"),
            Value::Unchanged => line.extend(b"unchanged-toast-datum"),
            Value::Text(text) => literal(line, &attribute.type_name, text),
        }
    }
}

fn literal(line: &mut Vec<u8>, type_name: &[u8], text: &[u8]) {
    match type_name {
        b"smallint" | b"integer" | b"bigint" | b"oid" | b"real" | b"double precision" | b"numeric" => line.extend(text),
        b"boolean" => line.extend(if text == b"t" { "true" } else { "false" }.as_bytes()),
        b"bit" | b"bit varying" => {
            line.extend(b"B'");
            line.extend(text);
            line.push(b'\'');
        }
        _ => {
            line.push(b'\'');
            for byte in text {
                line.push(*byte);
                if *byte == b'\'' {
                    line.push(b'\'');
                }
            }
            line.push(b'\'');
        }
    }
}
