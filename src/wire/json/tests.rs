//! Each message parsed by an ordinary JSON reader.

use serde_json::{Value as Parsed, json};

use super::super::Column;
use super::super::tests::{Sample, column, domain, dropped, lines};
use super::*;

fn sample() -> Sample {
    let mut sample = Sample::new();
    sample.columns = vec![column("id", "integer", Kind::Integer), dropped(), column("Odd", "text", Kind::Other)];
    sample.identity = Identity::Key(vec![0]);
    sample
}

fn parsed(
    options: &[(&str, &str)],
    sample: &Sample,
    play: impl FnOnce(&mut super::super::tests::Sender<'_>),
) -> Vec<Parsed> {
    let lines = lines(&FORMAT, options, sample, play);
    lines.iter().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))).collect()
}

/// A value of one column, by way of an INSERT.
fn field(kind: Kind, encoding: &'static str, value: Value<'_>) -> Parsed {
    let mut sample = sample();
    sample.encoding = encoding;
    sample.columns = vec![column("c", "t", kind)];
    let mut messages = parsed(&[], &sample, |send| send.change(Action::Insert { new: &[value] }));
    messages[0]["columns"][0].take()
}

fn value(kind: Kind, text: &str) -> Parsed {
    field(kind, "UTF8", Value::Text(text.as_bytes()))["value"].take()
}

#[test]
fn every_message_of_the_format() {
    let new = [Value::Text(b"8"), Value::Null, Value::Unchanged];
    let old = [Value::Text(b"7"), Value::Null, Value::Null];
    let seen = parsed(&[], &sample(), |send| {
        send.begin();
        send.change(Action::Insert { new: &[Value::Text(b"7"), Value::Null, Value::Null] });
        send.change(Action::Update { old: None, new: &new });
        send.change(Action::Update { old: Some(&old), new: &new });
        send.change(Action::Delete { old: Some(&old) });
        send.truncate(true, false);
        send.message(true, Content::Text(b"hello"));
        send.commit();
    });
    let id = |value: i32| json!({"name": "id", "type": "integer", "value": value});
    let odd = |rest: &str, value: Parsed| json!({"name": "Odd", "type": "text", rest: value});
    let expected = [
        json!({"action": "begin", "xid": 730, "commit_time": "2026-11-21T05:07:06.25+00:00", "commit_lsn": "0/1000"}),
        json!({"action": "insert", "lsn": "0/F00", "schema": "public", "table": "t",
               "columns": [id(7), odd("value", Parsed::Null)]}),
        json!({"action": "update", "lsn": "0/F00", "schema": "public", "table": "t", "key": ["id"],
               "columns": [id(8), odd("unchanged", true.into())]}),
        json!({"action": "update", "lsn": "0/F00", "schema": "public", "table": "t", "key": ["id"],
               "columns": [id(8), odd("unchanged", true.into())], "old_key": [id(7)]}),
        json!({"action": "delete", "lsn": "0/F00", "schema": "public", "table": "t", "key": ["id"], "old_key": [id(7)]}),
        json!({"action": "truncate", "lsn": "0/F00", "tables": [{"schema": "public", "table": "t"}],
               "cascade": false, "restart_identity": true}),
        json!({"action": "message", "lsn": "0/F00", "transactional": true, "prefix": "app", "content": "hello"}),
        json!({"action": "commit", "xid": 730, "commit_time": "2026-11-21T05:07:06.25+00:00", "commit_lsn": "0/1000",
               "end_lsn": "0/1030"}),
    ];
    for (seen, expected) in seen.iter().zip(&expected) {
        assert_eq!(seen, expected);
    }
    assert_eq!(seen.len(), expected.len());
}

#[test]
fn a_full_row_is_the_old_row() {
    let mut sample = sample();
    sample.identity = Identity::FullRow;
    let old = [Value::Text(b"7"), Value::Null, Value::Text(b"x")];
    let seen = parsed(&[], &sample, |send| send.change(Action::Delete { old: Some(&old) }));
    assert_eq!(seen[0]["old_row"][1]["value"], "x");
    assert_eq!(seen[0].get("key"), None);
}

#[test]
fn xids_and_timestamps_go_by_option() {
    let seen = parsed(&[("include-xids", "off"), ("include-timestamp", "off")], &sample(), |send| send.begin());
    assert_eq!(seen[0], json!({"action": "begin", "commit_lsn": "0/1000"}));
}

#[test]
fn numbers_are_numbers_where_a_double_holds_them() {
    assert_eq!(value(Kind::Integer, "-2147483648"), json!(-2_147_483_648_i64));
    assert_eq!(value(Kind::Bigint, "9007199254740991"), json!(9_007_199_254_740_991_i64));
    assert_eq!(value(Kind::Bigint, "-9007199254740992"), json!("-9007199254740992"));
    assert_eq!(value(Kind::Bigint, "9223372036854775807"), json!("9223372036854775807"));
    assert_eq!(value(Kind::Float, "0.1"), json!(0.1));
    assert_eq!(value(Kind::Float, "-1.5e-07"), json!(-1.5e-7));
    assert_eq!(value(Kind::Float, "1e+300"), json!(1e300));
    for odd in ["NaN", "Infinity", "-Infinity"] {
        assert_eq!(value(Kind::Float, odd), json!(odd));
    }
    assert_eq!(value(Kind::Numeric, "1.50"), json!("1.50"));
    assert_eq!(value(Kind::Boolean, "t"), json!(true));
    assert_eq!(value(Kind::Boolean, "f"), json!(false));
    assert_eq!(value(Kind::Bits, "101"), json!("101"));
}

#[test]
fn a_domain_of_numbers_is_a_number() {
    let mut sample = sample();
    sample.columns = vec![domain("c", "percent", Kind::Integer)];
    let seen = parsed(&[], &sample, |send| send.change(Action::Insert { new: &[Value::Text(b"5")] }));
    assert_eq!(seen[0]["columns"][0], json!({"name": "c", "type": "percent", "value": 5}));
}

#[test]
fn what_is_generated_when_read_is_left_out() {
    let mut sample = sample();
    sample.columns[2] = sample.columns[2].take().map(|column| Column { is_virtual: true, ..column });
    let new = [Value::Text(b"7"), Value::Null, Value::Null];
    let seen = parsed(&[], &sample, |send| send.change(Action::Insert { new: &new }));
    assert_eq!(seen[0]["columns"], json!([{"name": "id", "type": "integer", "value": 7}]));
}

#[test]
fn any_text_reads_back() {
    let every: String =
        (1..0x3000).chain([0xd7ff, 0xe000, 0xffff, 0x1f418, 0x10ffff]).filter_map(char::from_u32).collect();
    for encoding in ["UTF8", "LATIN1"] {
        let seen = field(Kind::Other, encoding, Value::Text(every.as_bytes()));
        assert_eq!(seen["value"], json!(every), "{encoding}");
    }
}

#[test]
fn other_encodings_are_sent_in_ascii() {
    let mut sample = sample();
    sample.encoding = "LATIN1";
    sample.columns = vec![column("größe", "text", Kind::Other)];
    let text = "süß \u{1f418}";
    let written =
        lines(&FORMAT, &[], &sample, |send| send.change(Action::Insert { new: &[Value::Text(text.as_bytes())] }));
    assert!(written[0].is_ascii(), "{}", written[0]);
    assert!(written[0].contains("\"s\\u00fc\\u00df \\ud83d\\udc18\""), "{}", written[0]);
    assert!(written[0].contains("\"gr\\u00f6\\u00dfe\""), "{}", written[0]);
}

#[test]
fn bytes_that_are_no_text_come_in_hex() {
    let seen = field(Kind::Other, "SQL_ASCII", Value::Text(b"s\xfc\xdf"));
    assert_eq!(seen, json!({"name": "c", "type": "t", "hex": "\\x73fcdf"}));
    let seen = parsed(&[], &sample(), |send| {
        send.message(false, Content::Bytes(b"\x00\xff"));
        send.message(false, Content::Text(b"a\0b"));
    });
    assert_eq!(seen[0]["hex"], "\\x00ff");
    assert_eq!(seen[1]["hex"], "\\x610062");
    assert_eq!(seen[1].get("content"), None);
}
