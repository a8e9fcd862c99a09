//! Format `json`, read by an ordinary JSON reader.

use serde_json::{Value as Parsed, json};

use super::super::{Action, Column, Content, Format, Identity, Kind, LogicalMessage, Settings, Table, Value, json};
use super::sample::SampleChange;
use crate::chance::Chance;
use crate::logicalrep::Lsn;

const FORMAT: &Format = &json::FORMAT;

/// Any change is JSON that says what was changed, in ASCII where it has to be.
pub fn json_changes(chance: &mut Chance) {
    let sample = SampleChange::of(chance);
    let (table, rows) = (&sample.table, sample.rows());
    let action = sample.action(&rows);
    let settings = Settings { ascii_only: chance.yes(), ..FORMAT.defaults };
    let message = sample.written(FORMAT, &settings, action);
    assert!(message.is_ascii() || !settings.ascii_only);
    assert_eq!(serde_json::from_slice::<Parsed>(&message).ok(), Some(expected(table, action)), "{:?}", shown(&message));
}

fn expected(table: &Table, action: Action<'_>) -> Parsed {
    let (name, old, new) = match action {
        Action::Insert { new } => ("insert", None, Some(new)),
        Action::Update { old, new } => ("update", old, Some(new)),
        Action::Delete { old } => ("delete", old, None),
    };
    let mut message = json!({"action": name, "lsn": "0/F00", "schema": shown(&table.schema.plain),
                             "table": shown(&table.name.plain)});
    let key: Option<&[usize]> = if let Identity::Key(positions) = &table.identity { Some(positions) } else { None };
    if let Some(key) = key.filter(|_| name != "insert") {
        let names = key.iter().filter_map(|at| table.columns[*at].as_ref()).map(|column| shown(&column.name.plain));
        message["key"] = names.collect();
    }
    if let Some(new) = new {
        message["columns"] = fields(table, new, |_| true);
    }
    if let Some(old) = old {
        let part = if key.is_some() { "old_key" } else { "old_row" };
        message[part] = fields(table, old, |at| key.is_none_or(|key| key.contains(&at)));
    }
    message
}

fn fields(table: &Table, row: &[Value<'_>], wanted: impl Fn(usize) -> bool) -> Parsed {
    let columns = table.columns.iter().zip(row).enumerate().filter(|(at, _)| wanted(*at));
    let there = columns.filter_map(|(_, (column, value))| Some((column.as_ref().filter(|c| !c.is_virtual)?, value)));
    there.map(|(column, value)| field(column, value)).collect()
}

fn field(column: &Column, value: &Value<'_>) -> Parsed {
    let mut field = json!({"name": shown(&column.name.plain), "type": shown(&column.type_name)});
    match value {
        Value::Null => field["value"] = Parsed::Null,
        Value::Unchanged => field["unchanged"] = true.into(),
        Value::Text(text) => match std::str::from_utf8(text) {
            Ok(text) => field["value"] = meaning(column.kind, text),
            Err(_) => field["hex"] = hex(text).into(),
        },
    }
    field
}

/// What a text of this kind is in JSON.
fn meaning(kind: Kind, text: &str) -> Parsed {
    let is_exact = text.parse().is_ok_and(|number: i64| number.unsigned_abs() < 1 << 53);
    let is_number = match kind {
        Kind::Integer => true,
        Kind::Bigint => is_exact,
        Kind::Float => text.parse().is_ok_and(f64::is_finite),
        _ => false,
    };
    match kind {
        Kind::Boolean => Parsed::from(text == "t"),
        _ if is_number => serde_json::from_str(text).unwrap_or_default(),
        _ => Parsed::from(text),
    }
}

/// Any logical message is JSON that holds its content, as text if it is one that every reader can take.
pub fn json_messages(chance: &mut Chance) {
    let content = if chance.yes() { chance.bytes(9) } else { chance.text("a\0\"\u{1}ü\u{1f418}", 9).into_bytes() };
    let is_text = chance.yes();
    let prefix = chance.text("ap\"ü", 4);
    let message = LogicalMessage {
        lsn: Lsn(chance.integer() as u64),
        transactional: chance.yes(),
        prefix: prefix.as_bytes(),
        content: if is_text { Content::Text(&content) } else { Content::Bytes(&content) },
        size: content.len(),
    };
    let mut expected = json!({"action": "message", "lsn": message.lsn.to_string(), "transactional": message.transactional,
                              "prefix": prefix});
    match std::str::from_utf8(&content) {
        Ok(text) if is_text && !text.contains('\0') => expected["content"] = text.into(),
        _ => expected["hex"] = hex(&content).into(),
    }
    let settings = Settings { ascii_only: chance.yes(), ..FORMAT.defaults };
    let mut out = Vec::new();
    (FORMAT.writer)(&settings).message(&message, &mut out);
    assert!(out.is_ascii() || !settings.ascii_only);
    assert_eq!(serde_json::from_slice::<Parsed>(&out).ok(), Some(expected), "{:?}", shown(&out));
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold("\\x".to_owned(), |text, byte| format!("{text}{byte:02x}"))
}

fn shown(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
