//! Format `ali`: byte for byte what the plugin `ali_decoding` sends, so that its readers can use our slots.
//!
//! The encoder is the plugin's own. TRUNCATE and logical messages do not exist in the format.

use super::ali_encoding::{self as encoding, Sink};
use super::options::{ENCODING, Settings, VERSION};
use super::{
    Action, Encoding, Format, Identity, LogicalMessage, Output, Prepared, RowChange, Table, Truncate, Value, Writer,
};
use crate::logicalrep::Transaction;

pub const FORMAT: Format = Format {
    name: "ali",
    output: Output::Binary,
    encoding: Encoding::Database,
    options: &[&VERSION, &ENCODING],
    defaults: Settings { include_xids: true, include_timestamp: true, skip_empty_xacts: false, ascii_only: false },
    writer: |_| Box::new(Ali),
};

impl Sink for Vec<u8> {
    fn put(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }
}

struct Ali;

impl Writer for Ali {
    fn prepare(&self, table: &Table) -> Prepared {
        let mut prepared = Prepared::default();
        let out = &mut prepared.table;
        encoding::relation(out, &table.schema.plain, &table.name.plain, table.columns.len() as u16);
        for column in &table.columns {
            match column {
                Some(column) => encoding::attribute(out, &column.name.quoted, &column.type_name),
                None => encoding::dropped_attribute(out),
            }
        }
        write_key(table, &mut prepared.key);
        prepared
    }

    fn begin(&self, transaction: &Transaction, out: &mut Vec<u8>) {
        encoding::begin(out, transaction.commit_lsn.0, transaction.commit_time, transaction.xid);
    }

    fn commit(&self, transaction: &Transaction, out: &mut Vec<u8>) {
        encoding::commit(out, transaction.commit_lsn.0, transaction.end_lsn.0, transaction.commit_time);
    }

    fn change(&self, change: &RowChange<'_>, out: &mut Vec<u8>) {
        let Prepared { table, key, .. } = change.prepared;
        match change.action {
            Action::Insert { new } => {
                encoding::kind(out, encoding::INSERT);
                out.put(table);
                encoding::no_key(out);
                write_row(encoding::NEW, new, out);
            }
            Action::Update { old, new } => {
                encoding::kind(out, encoding::UPDATE);
                out.put(table);
                out.put(key);
                if let Some(old) = old {
                    write_row(encoding::OLD, old, out);
                }
                write_row(encoding::NEW, new, out);
            }
            Action::Delete { old } => {
                encoding::kind(out, encoding::DELETE);
                out.put(table);
                out.put(key);
                match old {
                    Some(old) => write_row(encoding::OLD, old, out),
                    None => encoding::kind(out, encoding::NO_OLD),
                }
            }
        }
    }

    fn truncate(&self, _truncate: &Truncate<'_>, _out: &mut Vec<u8>) {}

    fn message(&self, _message: &LogicalMessage<'_>, _out: &mut Vec<u8>) {}
}

/// A full row as the identity has no index, and the format no key for it.
fn write_key(table: &Table, out: &mut Vec<u8>) {
    let Identity::Key(positions) = &table.identity else { return encoding::no_key(out) };
    let columns: Vec<_> = positions.iter().filter_map(|position| table.columns.get(*position)?.as_ref()).collect();
    encoding::key(out, columns.len() as u16);
    for column in columns {
        encoding::string(out, &column.name.plain);
    }
}

fn write_row(kind: u8, row: &[Value<'_>], out: &mut Vec<u8>) {
    encoding::kind(out, kind);
    encoding::tuple(out, row.len() as u32);
    for value in row {
        match value {
            Value::Null => encoding::null(out),
            Value::Unchanged => encoding::unchanged(out),
            Value::Text(text) => encoding::text(out, text),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{Sample, column, dropped, messages};
    use super::*;

    #[test]
    fn every_message_of_the_format() {
        let mut sample = Sample::new();
        sample.columns = vec![
            column("id", "integer", super::super::Kind::Integer),
            dropped(),
            column("Odd", "text", super::super::Kind::Other),
        ];
        sample.identity = Identity::Key(vec![0]);
        let written = messages(&FORMAT, &[], &sample, |send| {
            send.begin();
            send.change(Action::Insert { new: &[Value::Text(b"7"), Value::Null, Value::Null] });
            let old: &[Value<'_>] = &[Value::Text(b"7"), Value::Null, Value::Null];
            send.change(Action::Update { old: Some(old), new: &[Value::Text(b"8"), Value::Null, Value::Unchanged] });
            send.change(Action::Delete { old: None });
            send.commit();
        });
        let relation =
            b"\0\x07public\0\0\x02t\0C\0\x03\0\x03id\0\0\x08integer\0\0\0\0\x06\"Odd\"\0\0\x05text\0".to_vec();
        let with = |before: &[u8], after: &[u8]| [before, &relation, after].concat();
        assert_eq!(written[0], b"B\0\0\0\0\0\0\0\0\0\0\x10\0\0\x03\x03\xc1\x19\xc8\x23\x10\0\0\x02\xda");
        assert_eq!(written[1], with(b"I", b"PNT\0\0\0\x03t\0\0\0\x027\0nn"));
        assert_eq!(
            written[2],
            with(b"U", b"M\0\x01\0\x03id\0KT\0\0\0\x03t\0\0\0\x027\0nnNT\0\0\0\x03t\0\0\0\x028\0nu")
        );
        assert_eq!(written[3], with(b"D", b"M\0\x01\0\x03id\0E"));
        assert_eq!(written[4][..5], *b"C\0\0\0\0");
        assert_eq!(written[4][5..21], *b"\0\0\0\0\0\0\x10\0\0\0\0\0\0\0\x10\x30");
    }

    #[test]
    fn a_full_row_has_no_key() {
        let mut sample = Sample::new();
        sample.columns = vec![column("id", "integer", super::super::Kind::Integer)];
        sample.identity = Identity::FullRow;
        let row: &[Value<'_>] = &[Value::Text(b"7")];
        let written = messages(&FORMAT, &[], &sample, |send| send.change(Action::Delete { old: Some(row) }));
        assert!(written[0].ends_with(b"PKT\0\0\0\x01t\0\0\0\x027\0"));
    }

    #[test]
    fn truncate_and_messages_send_nothing() {
        let written = messages(&FORMAT, &[], &Sample::new(), |send| {
            send.truncate(true, true);
            send.message(true, super::super::Content::Text(b"hello"));
        });
        assert_eq!(written, [b"", b""]);
    }
}
