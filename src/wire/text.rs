//! Format `text`: the lines of the server's own plugin `test_decoding`, for people and for programs that read those.
//!
//! One thing differs on purpose: a logical message that is no text in the database's encoding is written in hex, for
//! anything else would make the whole line unreadable. Timestamps are in UTC.

use super::options::{INCLUDE_TIMESTAMP, INCLUDE_XIDS, SKIP_EMPTY_XACTS, Settings};
use super::{
    Action, Column, Content, Encoding, Format, Kind, LogicalMessage, Output, Prepared, RowChange, Table, Truncate,
    Value, Writer, time,
};
use crate::logicalrep::Transaction;

pub const FORMAT: Format = Format {
    name: "text",
    output: Output::Textual,
    encoding: Encoding::Database,
    options: &[&INCLUDE_XIDS, &INCLUDE_TIMESTAMP, &SKIP_EMPTY_XACTS],
    defaults: Settings { include_xids: true, include_timestamp: false, skip_empty_xacts: false, ascii_only: false },
    writer: |settings| Box::new(Text(*settings)),
};

struct Text(Settings);

impl Writer for Text {
    /// The table's name, and each column as ` name[type]:`.
    fn prepare(&self, table: &Table) -> Prepared {
        let column = |column: &Option<Column>| match column {
            Some(Column { name, type_name, .. }) => [b" ", &name.quoted[..], b"[", type_name, b"]:"].concat(),
            None => Vec::new(),
        };
        Prepared { table: qualified(table), key: Vec::new(), columns: table.columns.iter().map(column).collect() }
    }

    fn begin(&self, transaction: &Transaction, out: &mut Vec<u8>) {
        out.extend_from_slice(b"BEGIN");
        self.xid(transaction, out);
    }

    fn commit(&self, transaction: &Transaction, out: &mut Vec<u8>) {
        out.extend_from_slice(b"COMMIT");
        self.xid(transaction, out);
        if self.0.include_timestamp {
            out.extend_from_slice(format!(" (at {})", time::as_server(transaction.commit_time)).as_bytes());
        }
    }

    fn change(&self, change: &RowChange<'_>, out: &mut Vec<u8>) {
        out.extend_from_slice(b"table ");
        out.extend_from_slice(&change.prepared.table);
        match change.action {
            Action::Insert { new } => {
                out.extend_from_slice(b": INSERT:");
                row(change, new, Nulls::Written, out);
            }
            Action::Update { old, new } => {
                out.extend_from_slice(b": UPDATE:");
                if let Some(old) = old {
                    out.extend_from_slice(b" old-key:");
                    row(change, old, Nulls::LeftOut, out);
                    out.extend_from_slice(b" new-tuple:");
                }
                row(change, new, Nulls::Written, out);
            }
            Action::Delete { old } => {
                out.extend_from_slice(b": DELETE:");
                match old {
                    Some(old) => row(change, old, Nulls::LeftOut, out),
                    None => out.extend_from_slice(b" (no-tuple-data)"),
                }
            }
        }
    }

    fn truncate(&self, truncate: &Truncate<'_>, out: &mut Vec<u8>) {
        let names: Vec<Vec<u8>> = truncate.tables.iter().map(|table| qualified(table)).collect();
        out.extend_from_slice(b"table ");
        out.extend_from_slice(&names.join(&b", "[..]));
        out.extend_from_slice(b": TRUNCATE:");
        let flags: [(bool, &[u8]); 3] = [
            (truncate.restart_identity, b" restart_seqs"),
            (truncate.cascade, b" cascade"),
            (!truncate.restart_identity && !truncate.cascade, b" (no-flags)"),
        ];
        flags.iter().filter(|(given, _)| *given).for_each(|(_, word)| out.extend_from_slice(word));
    }

    fn message(&self, message: &LogicalMessage<'_>, out: &mut Vec<u8>) {
        out.extend_from_slice(
            format!("message: transactional: {} prefix: ", u8::from(message.transactional)).as_bytes(),
        );
        out.extend_from_slice(message.prefix);
        out.extend_from_slice(format!(", sz: {} content:", message.size).as_bytes());
        match message.content {
            Content::Text(text) => out.extend_from_slice(text),
            Content::Bytes(bytes) => hex(bytes, out),
        }
    }
}

impl Text {
    fn xid(&self, transaction: &Transaction, out: &mut Vec<u8>) {
        if self.0.include_xids {
            out.extend_from_slice(format!(" {}", transaction.xid).as_bytes());
        }
    }
}

/// As the server writes bytea: `\x` and two digits for each byte.
pub fn hex(bytes: &[u8], out: &mut Vec<u8>) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    out.extend_from_slice(b"\\x");
    for byte in bytes {
        out.push(DIGITS[usize::from(byte >> 4)]);
        out.push(DIGITS[usize::from(byte & 15)]);
    }
}

fn qualified(table: &Table) -> Vec<u8> {
    [&table.schema.quoted[..], b".", &table.name.quoted].concat()
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Nulls {
    Written,
    /// An old row has NULL where nothing was logged.
    LeftOut,
}

fn row(change: &RowChange<'_>, values: &[Value<'_>], nulls: Nulls, out: &mut Vec<u8>) {
    for ((column, name), value) in change.table.columns.iter().zip(&change.prepared.columns).zip(values) {
        let Some(column) = column else { continue };
        if *value == Value::Null && nulls == Nulls::LeftOut {
            continue;
        }
        out.extend_from_slice(name);
        match value {
            Value::Null => out.extend_from_slice(b"null"),
            Value::Unchanged => out.extend_from_slice(b"unchanged-toast-datum"),
            Value::Text(text) => literal(column, text, out),
        }
    }
}

/// A domain is quoted, whatever it is made of.
fn literal(column: &Column, text: &[u8], out: &mut Vec<u8>) {
    match column.kind {
        Kind::Integer | Kind::Bigint | Kind::Float | Kind::Numeric if !column.is_domain => out.extend_from_slice(text),
        Kind::Boolean if !column.is_domain => out.extend_from_slice(if text == b"t" { b"true" } else { b"false" }),
        Kind::Bits if !column.is_domain => {
            out.extend_from_slice(b"B'");
            out.extend_from_slice(text);
            out.push(b'\'');
        }
        _ => quoted(text, out),
    }
}

fn quoted(text: &[u8], out: &mut Vec<u8>) {
    out.push(b'\'');
    for byte in text {
        if *byte == b'\'' {
            out.push(b'\'');
        }
        out.push(*byte);
    }
    out.push(b'\'');
}

#[cfg(test)]
mod tests {
    use super::super::Identity;
    use super::super::tests::{Sample, column, domain, dropped, lines};
    use super::*;

    fn sample() -> Sample {
        let mut sample = Sample::new();
        sample.columns = vec![
            column("id", "integer", Kind::Integer),
            dropped(),
            column("Odd", "text", Kind::Other),
            column("ok", "boolean", Kind::Boolean),
            column("b", "bit", Kind::Bits),
            domain("d", "percent", Kind::Numeric),
        ];
        sample.identity = Identity::Key(vec![0]);
        sample
    }

    const ROW: [Value<'static>; 6] = [
        Value::Text(b"7"),
        Value::Null,
        Value::Text(b"it's \\ so"),
        Value::Text(b"t"),
        Value::Text(b"101"),
        Value::Text(b"2.5"),
    ];
    const KEY: [Value<'static>; 6] =
        [Value::Text(b"6"), Value::Null, Value::Null, Value::Null, Value::Null, Value::Null];

    #[test]
    fn every_message_of_the_format() {
        let mut new = ROW;
        new[2] = Value::Unchanged;
        new[3] = Value::Null;
        let written = lines(&FORMAT, &[], &sample(), |send| {
            send.begin();
            send.change(Action::Insert { new: &ROW });
            send.change(Action::Update { old: None, new: &ROW });
            send.change(Action::Update { old: Some(&KEY), new: &new });
            send.change(Action::Delete { old: Some(&KEY) });
            send.change(Action::Delete { old: None });
            send.truncate(false, false);
            send.truncate(true, true);
            send.message(true, Content::Text(b"hello"));
            send.message(false, Content::Bytes(b"\xff\x00"));
            send.commit();
        });
        assert_eq!(
            written,
            [
                "BEGIN 730",
                "table public.t: INSERT: id[integer]:7 \"Odd\"[text]:'it''s \\ so' ok[boolean]:true b[bit]:B'101' d[percent]:'2.5'",
                "table public.t: UPDATE: id[integer]:7 \"Odd\"[text]:'it''s \\ so' ok[boolean]:true b[bit]:B'101' d[percent]:'2.5'",
                "table public.t: UPDATE: old-key: id[integer]:6 new-tuple: id[integer]:7 \"Odd\"[text]:unchanged-toast-datum ok[boolean]:null b[bit]:B'101' d[percent]:'2.5'",
                "table public.t: DELETE: id[integer]:6",
                "table public.t: DELETE: (no-tuple-data)",
                "table public.t: TRUNCATE: (no-flags)",
                "table public.t: TRUNCATE: restart_seqs cascade",
                "message: transactional: 1 prefix: app, sz: 5 content:hello",
                "message: transactional: 0 prefix: app, sz: 2 content:\\xff00",
                "COMMIT 730",
            ]
        );
    }

    #[test]
    fn xids_and_timestamps_come_and_go_by_option() {
        let written = lines(&FORMAT, &[("include-xids", "off"), ("include-timestamp", "on")], &sample(), |send| {
            send.begin();
            send.commit();
        });
        assert_eq!(written, ["BEGIN", "COMMIT (at 2026-11-21 05:07:06.25+00)"]);
    }
}
