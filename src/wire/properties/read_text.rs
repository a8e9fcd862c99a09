//! A reader of format `text` that knows the table: what stands between the names of its columns are the values.

use super::super::{Action, Column, Format, Kind, Table, Value, text};
use super::sample::SampleChange;
use crate::chance::Chance;

const FORMAT: &Format = &text::FORMAT;

/// Any change is read back, but for what the format does not tell: nulls of old rows are left out.
pub fn text_changes(chance: &mut Chance) {
    let sample = SampleChange::of(chance);
    let (table, rows) = (&sample.table, sample.rows());
    let action = sample.action(&rows);
    let message = sample.written(FORMAT, &FORMAT.defaults, action);
    let read = || -> Option<()> {
        let name = [b"table ", &table.schema.quoted[..], b".", &table.name.quoted, b": "].concat();
        let rest = &mut message.strip_prefix(&name[..])?;
        match action {
            Action::Insert { new } => is_row(after(rest, b"INSERT:")?, table, new)?,
            Action::Update { old: None, new } => is_row(after(rest, b"UPDATE:")?, table, new)?,
            Action::Update { old: Some(old), new } => {
                let rest = after(rest, b"UPDATE: old-key:")?;
                is_row(rest, table, old)?;
                is_row(after(rest, b" new-tuple:")?, table, new)?;
            }
            Action::Delete { old: Some(old) } => is_row(after(rest, b"DELETE:")?, table, old)?,
            Action::Delete { old: None } => drop(after(rest, b"DELETE: (no-tuple-data)")?),
        }
        rest.is_empty().then_some(())
    };
    assert!(read().is_some(), "{action:?} is {:?}", String::from_utf8_lossy(&message));
}

/// Takes a row from a line, and looks whether it is this one.
fn is_row(rest: &mut &[u8], table: &Table, row: &[Value<'_>]) -> Option<()> {
    for (column, value) in table.columns.iter().zip(row) {
        let Some(column) = column else { continue };
        let name = [b" ", &column.name.quoted[..], b"[", &column.type_name, b"]:"].concat();
        let text = match after(rest, &name) {
            Some(rest) => literal(rest)?,
            None if *value == Value::Null => continue,
            None => return None,
        };
        (text == shown(column, value)).then_some(())?;
    }
    Some(())
}

/// A value as it stands there, and what is within its quotes if it has such.
type Literal = (Vec<u8>, bool);

fn shown(column: &Column, value: &Value<'_>) -> Literal {
    let is_plain = matches!(column.kind, Kind::Integer | Kind::Bigint | Kind::Float | Kind::Numeric | Kind::Boolean);
    match value {
        Value::Null => (b"null".to_vec(), false),
        Value::Unchanged => (b"unchanged-toast-datum".to_vec(), false),
        Value::Text(text) if column.kind == Kind::Boolean && !column.is_domain => {
            (if *text == b"t" { b"true".to_vec() } else { b"false".to_vec() }, false)
        }
        Value::Text(text) => (text.to_vec(), !is_plain || column.is_domain),
    }
}

fn literal(rest: &mut &[u8]) -> Option<Literal> {
    let is_quoted = after(rest, b"'").is_some() || after(rest, b"B'").is_some();
    let mut text = Vec::new();
    while let Some((byte, behind)) = rest.split_first() {
        match (byte, is_quoted) {
            (b'\'', true) if behind.first() == Some(&b'\'') => *rest = &behind[1..],
            (b'\'', true) => {
                *rest = behind;
                return Some((text, true));
            }
            (b' ', false) => break,
            _ => *rest = behind,
        }
        text.push(*byte);
    }
    (!is_quoted).then_some((text, false))
}

/// Goes behind a text, if it begins here.
fn after<'r, 'a>(rest: &'r mut &'a [u8], text: &[u8]) -> Option<&'r mut &'a [u8]> {
    *rest = rest.strip_prefix(text)?;
    Some(rest)
}
