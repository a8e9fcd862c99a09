//! The encoder against the tests' own reader, without a server: random messages there and back, and
//! garbage, which a reader must refuse without a crash.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../src/wire.rs"]
#[allow(dead_code)]
mod wire;

#[path = "support/format.rs"]
mod format;
#[path = "support/rng.rs"]
#[allow(dead_code)]
mod rng;

use format::{Attribute, Message, Relation, Value, parse, parse_lines};
use rng::Rng;
use wire::Sink;

const ROUNDS: usize = 20_000;

struct Bytes(Vec<u8>);

impl Sink for Bytes {
    fn put(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }
}

/// The encoder as the plugin uses it.
fn encode(message: &Message) -> Vec<u8> {
    let mut out = Bytes(Vec::new());
    match message {
        Message::Begin { final_lsn, commit_time, xid, .. } => wire::begin(&mut out, *final_lsn, *commit_time, *xid),
        Message::Commit { commit_lsn, end_lsn, commit_time, .. } => {
            wire::commit(&mut out, *commit_lsn, *end_lsn, *commit_time);
        }
        Message::Insert { relation, new } => {
            wire::kind(&mut out, wire::INSERT);
            encode_relation(&mut out, relation);
            encode_row(&mut out, wire::NEW, new);
        }
        Message::Update { relation, old, new } => {
            wire::kind(&mut out, wire::UPDATE);
            encode_relation(&mut out, relation);
            if let Some(old) = old {
                encode_row(&mut out, wire::OLD, old);
            }
            encode_row(&mut out, wire::NEW, new);
        }
        Message::Delete { relation, old } => {
            wire::kind(&mut out, wire::DELETE);
            encode_relation(&mut out, relation);
            match old {
                Some(old) => encode_row(&mut out, wire::OLD, old),
                None => wire::kind(&mut out, wire::NO_OLD),
            }
        }
    }
    out.0
}

fn encode_relation(out: &mut Bytes, relation: &Relation) {
    wire::relation(out, &relation.schema, &relation.table, relation.attributes.len() as u16);
    for attribute in &relation.attributes {
        match attribute {
            Some(attribute) => wire::attribute(out, &attribute.quoted_name, &attribute.type_name),
            None => wire::dropped_attribute(out),
        }
    }
    match &relation.key {
        None => wire::no_key(out),
        Some(columns) => {
            wire::key(out, columns.len() as u16);
            columns.iter().for_each(|column| wire::string(out, column));
        }
    }
}

fn encode_row(out: &mut Bytes, kind: u8, row: &[Value]) {
    wire::kind(out, kind);
    wire::tuple(out, row.len() as u32);
    for value in row {
        match value {
            Value::Null => wire::null(out),
            Value::Unchanged => wire::unchanged(out),
            Value::Text(text) => wire::text(out, text),
        }
    }
}

/// Any bytes but NUL: encodings other than UTF-8 come through as they are.
fn text(rng: &mut Rng, most: usize) -> Vec<u8> {
    let mut bytes = rng.bytes(most);
    bytes.retain(|byte| *byte != 0);
    bytes
}

fn relation(rng: &mut Rng, with_key: bool) -> Relation {
    let attributes = (0..rng.below(12))
        .map(|_| (!rng.one_in(5)).then(|| Attribute { quoted_name: text(rng, 130), type_name: text(rng, 260) }));
    let attributes = attributes.collect();
    let key = (with_key && !rng.one_in(3)).then(|| (0..rng.below(5)).map(|_| text(rng, 63)).collect());
    Relation { schema: text(rng, 63), table: text(rng, 63), attributes, key }
}

fn row(rng: &mut Rng, relation: &Relation) -> Vec<Value> {
    let values = relation.attributes.iter().map(|_| match rng.below(6) {
        0 => Value::Null,
        1 => Value::Unchanged,
        2 => Value::Text(text(rng, 5000)),
        _ => Value::Text(text(rng, 20)),
    });
    values.collect()
}

fn message(rng: &mut Rng) -> Message {
    match rng.below(5) {
        0 => Message::Begin { flags: 0, final_lsn: rng.next(), commit_time: rng.next() as i64, xid: rng.next() as u32 },
        1 => Message::Commit { flags: 0, commit_lsn: rng.next(), end_lsn: rng.next(), commit_time: rng.next() as i64 },
        2 => {
            let relation = relation(rng, false);
            let new = row(rng, &relation);
            Message::Insert { relation, new }
        }
        3 => {
            let relation = relation(rng, true);
            let old = rng.one_in(2).then(|| row(rng, &relation));
            let new = row(rng, &relation);
            Message::Update { relation, old, new }
        }
        _ => {
            let relation = relation(rng, true);
            let old = rng.one_in(2).then(|| row(rng, &relation));
            Message::Delete { relation, old }
        }
    }
}

#[test]
fn every_message_reads_back() {
    let mut rng = Rng::from_environment();
    for _ in 0..ROUNDS {
        let message = message(&mut rng);
        assert_eq!(parse(&encode(&message)), Ok(message));
    }
}

#[test]
fn a_sequence_reads_back() {
    let mut rng = Rng::from_environment();
    let messages: Vec<Vec<u8>> = (0..200).map(|_| encode(&message(&mut rng))).collect();
    let mut lines = Vec::new();
    for message in &messages {
        lines.extend_from_slice(message);
        lines.push(b'\n');
    }
    assert_eq!(parse_lines(&lines), Ok(messages));
}

#[test]
fn a_message_cut_short_is_refused_wherever_it_is_cut() {
    let mut rng = Rng::from_environment();
    for _ in 0..200 {
        let bytes = encode(&message(&mut rng));
        for length in 0..bytes.len().min(600) {
            assert!(parse(&bytes[..length]).is_err(), "{length} bytes of {bytes:?}");
        }
    }
}

/// What still reads after a byte was changed is a message of its own: it is written as it was read.
#[test]
fn a_changed_byte_is_refused_or_is_another_message() {
    let mut rng = Rng::from_environment();
    for _ in 0..ROUNDS {
        let mut bytes = encode(&message(&mut rng));
        let position = rng.below(bytes.len());
        bytes[position] = rng.next() as u8;
        if let Ok(read) = parse(&bytes) {
            let flagless = matches!(
                read,
                Message::Begin { flags: 0, .. }
                    | Message::Commit { flags: 0, .. }
                    | Message::Insert { .. }
                    | Message::Update { .. }
                    | Message::Delete { .. }
            );
            // An INSERT's key block is always P when we write it.
            if flagless && !matches!(&read, Message::Insert { relation, .. } if relation.key.is_some()) {
                assert_eq!(encode(&read), bytes);
            }
        }
    }
}

#[test]
fn garbage_is_refused_without_a_crash() {
    let mut rng = Rng::from_environment();
    for _ in 0..ROUNDS {
        let mut bytes = rng.bytes(200);
        if let Some(first) = bytes.first_mut() {
            *first = *rng.pick(b"BCIUD");
        }
        let _ = parse(&bytes);
    }
}

/// The original's own bytes: read and written again they are the same.
#[test]
fn the_original_s_messages_read_and_write_alike() {
    let text = include_str!("data/golden.hex");
    let mut messages = 0;
    for line in text.lines() {
        let bytes: Vec<u8> =
            (0..line.len()).step_by(2).map(|at| u8::from_str_radix(&line[at..at + 2], 16).expect("hex")).collect();
        let message = parse(&bytes).expect("the original's messages are well formed");
        assert_eq!(encode(&message), bytes);
        messages += 1;
    }
    assert!(messages > 300, "{messages}");
}
