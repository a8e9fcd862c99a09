//! Format `json`: one JSON object for each message.
//!
//! What a program reads is exactly what the database has. A value becomes a JSON number or boolean where every reader
//! gets the same value back (numbers as IEEE doubles, as most readers have them), and a string with the text that the
//! type prints otherwise:
//!
//! ```text
//!   boolean                          true, false
//!   smallint, integer, oid           number
//!   bigint                           number up to 2^53 - 1, string beyond
//!   real, double precision           number (the shortest that reads back as the same), "NaN", "Infinity", "-Infinity"
//!   numeric and everything else      string
//! ```
//!
//! JSON is UTF-8. In a database of another encoding texts arrive here converted, and everything beyond ASCII is written as
//! `\u` escapes, so that a message is the same through the textual functions, which take it for the database's encoding.
//! A value that is no UTF-8 after all (a database in SQL_ASCII) is given as its bytes, `"hex"` in place of `"value"`.

use super::options::{INCLUDE_TIMESTAMP, INCLUDE_XIDS, SKIP_EMPTY_XACTS, Settings};
use super::{
    Action, Column, Content, Encoding, Format, Identity, Kind, LogicalMessage, Output, Prepared, RowChange, Table,
    Truncate, Value, Writer, text, time,
};
use crate::logicalrep::{Lsn, Transaction};

pub const FORMAT: Format = Format {
    name: "json",
    output: Output::Textual,
    encoding: Encoding::Utf8,
    options: &[&INCLUDE_XIDS, &INCLUDE_TIMESTAMP, &SKIP_EMPTY_XACTS],
    defaults: Settings { include_xids: true, include_timestamp: true, skip_empty_xacts: false, ascii_only: false },
    writer: |settings| Box::new(Json(*settings)),
};

/// Up to here a double holds every integer.
const LARGEST_EXACT: u64 = (1 << 53) - 1;

struct Json(Settings);

impl Writer for Json {
    /// The table as `"schema":"s","table":"t"`, the names of its key as `,"key":[...]`, and each column up to its value.
    fn prepare(&self, table: &Table) -> Prepared {
        let mut prepared = Prepared::default();
        self.table(table, &mut prepared.table);
        if let Identity::Key(positions) = &table.identity {
            let columns = positions.iter().filter_map(|position| table.columns.get(*position)?.as_ref());
            prepared.key.extend_from_slice(b",\"key\":");
            list(columns, &mut prepared.key, |column, out| self.string(&column.name.plain, out));
        }
        let column = |column: &Option<Column>| {
            let mut out = Vec::new();
            if let Some(column) = column {
                self.member(b"{", "name", &column.name.plain, &mut out);
                self.member(b",", "type", &column.type_name, &mut out);
            }
            out
        };
        prepared.columns = table.columns.iter().map(column).collect();
        prepared
    }

    fn begin(&self, transaction: &Transaction, out: &mut Vec<u8>) {
        out.extend_from_slice(b"{\"action\":\"begin\"");
        self.transaction(transaction, out);
        out.push(b'}');
    }

    fn commit(&self, transaction: &Transaction, out: &mut Vec<u8>) {
        out.extend_from_slice(b"{\"action\":\"commit\"");
        self.transaction(transaction, out);
        lsn("end_lsn", transaction.end_lsn, out);
        out.push(b'}');
    }

    fn change(&self, change: &RowChange<'_>, out: &mut Vec<u8>) {
        let Prepared { table, key, .. } = change.prepared;
        let (action, key, old, new): (&str, &[u8], _, _) = match change.action {
            Action::Insert { new } => ("insert", b"", None, Some(new)),
            Action::Update { old, new } => ("update", key, old, Some(new)),
            Action::Delete { old } => ("delete", key, old, None),
        };
        out.extend_from_slice(format!("{{\"action\":\"{action}\"").as_bytes());
        lsn("lsn", change.lsn, out);
        out.push(b',');
        out.extend_from_slice(table);
        out.extend_from_slice(key);
        if let Some(new) = new {
            out.extend_from_slice(b",\"columns\":");
            self.row(change, new, |_| true, out);
        }
        if let Some(old) = old {
            match &change.table.identity {
                Identity::Key(positions) => {
                    out.extend_from_slice(b",\"old_key\":");
                    self.row(change, old, |position| positions.contains(&position), out);
                }
                Identity::FullRow | Identity::Nothing => {
                    out.extend_from_slice(b",\"old_row\":");
                    self.row(change, old, |_| true, out);
                }
            }
        }
        out.push(b'}');
    }

    fn truncate(&self, truncate: &Truncate<'_>, out: &mut Vec<u8>) {
        out.extend_from_slice(b"{\"action\":\"truncate\"");
        lsn("lsn", truncate.lsn, out);
        out.extend_from_slice(b",\"tables\":");
        list(truncate.tables.iter(), out, |table, out| {
            out.push(b'{');
            self.table(table, out);
            out.push(b'}');
        });
        let flags = format!(",\"cascade\":{},\"restart_identity\":{}}}", truncate.cascade, truncate.restart_identity);
        out.extend_from_slice(flags.as_bytes());
    }

    fn message(&self, message: &LogicalMessage<'_>, out: &mut Vec<u8>) {
        out.extend_from_slice(b"{\"action\":\"message\"");
        lsn("lsn", message.lsn, out);
        out.extend_from_slice(format!(",\"transactional\":{}", message.transactional).as_bytes());
        self.member(b",", "prefix", message.prefix, out);
        match message.content {
            // A NUL could be written, but not every reader could take it.
            Content::Text(content) if is_utf8(content) && !content.contains(&0) => {
                self.member(b",", "content", content, out);
            }
            Content::Text(bytes) | Content::Bytes(bytes) => hex(bytes, out),
        }
        out.push(b'}');
    }
}

impl Json {
    fn transaction(&self, transaction: &Transaction, out: &mut Vec<u8>) {
        if self.0.include_xids {
            out.extend_from_slice(format!(",\"xid\":{}", transaction.xid).as_bytes());
        }
        if self.0.include_timestamp {
            out.extend_from_slice(
                format!(",\"commit_time\":\"{}\"", time::as_json(transaction.commit_time)).as_bytes(),
            );
        }
        lsn("commit_lsn", transaction.commit_lsn, out);
    }

    fn table(&self, table: &Table, out: &mut Vec<u8>) {
        self.member(b"", "schema", &table.schema.plain, out);
        self.member(b",", "table", &table.name.plain, out);
    }

    /// The columns that `wanted` chooses, without dropped ones and those that the WAL has no value of.
    fn row(&self, change: &RowChange<'_>, row: &[Value<'_>], wanted: impl Fn(usize) -> bool, out: &mut Vec<u8>) {
        let fields = change.table.columns.iter().zip(&change.prepared.columns).zip(row).enumerate();
        let fields = fields.filter_map(|(position, ((column, prepared), value))| {
            let column = column.as_ref().filter(|column| !column.is_virtual && wanted(position))?;
            Some((column, prepared, value))
        });
        list(fields, out, |(column, prepared, value), out| {
            out.extend_from_slice(prepared);
            match value {
                Value::Null => out.extend_from_slice(b",\"value\":null"),
                Value::Unchanged => out.extend_from_slice(b",\"unchanged\":true"),
                Value::Text(text) if is_utf8(text) => {
                    out.extend_from_slice(b",\"value\":");
                    self.value(column.kind, text, out);
                }
                Value::Text(bytes) => hex(bytes, out),
            }
            out.push(b'}');
        });
    }

    fn value(&self, kind: Kind, text: &[u8], out: &mut Vec<u8>) {
        match kind {
            Kind::Boolean => out.extend_from_slice(if text == b"t" { b"true" } else { b"false" }),
            Kind::Integer => out.extend_from_slice(text),
            Kind::Bigint if is_exact(text) => out.extend_from_slice(text),
            // NaN and the infinities begin, behind the sign, with a letter.
            Kind::Float if text.last().is_some_and(u8::is_ascii_digit) => out.extend_from_slice(text),
            _ => self.string(text, out),
        }
    }

    fn member(&self, before: &[u8], name: &str, text: &[u8], out: &mut Vec<u8>) {
        out.extend_from_slice(before);
        out.push(b'"');
        out.extend_from_slice(name.as_bytes());
        out.extend_from_slice(b"\":");
        self.string(text, out);
    }

    /// A JSON string. Bytes that are no UTF-8 become U+FFFD here; only names have come so far with such.
    fn string(&self, text: &[u8], out: &mut Vec<u8>) {
        out.push(b'"');
        let mut rest = text;
        while let Some(special) = rest.iter().position(|byte| matches!(byte, 0..0x20 | b'"' | b'\\' | 0x80..)) {
            let (plain, from) = rest.split_at(special);
            out.extend_from_slice(plain);
            let end = from.iter().position(u8::is_ascii).unwrap_or(from.len()).max(1);
            let (specials, after) = from.split_at(end);
            String::from_utf8_lossy(specials).chars().for_each(|c| self.escape(c, out));
            rest = after;
        }
        out.extend_from_slice(rest);
        out.push(b'"');
    }

    fn escape(&self, character: char, out: &mut Vec<u8>) {
        match character {
            '"' | '\\' => escape(character, out),
            c if c >= ' ' && !self.0.ascii_only => out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
            c => escape(c, out),
        }
    }
}

/// Appends a character as it stands in a JSON string that cannot hold it as it is.
pub fn escape(character: char, out: &mut Vec<u8>) {
    match character {
        '"' => out.extend_from_slice(b"\\\""),
        '\\' => out.extend_from_slice(b"\\\\"),
        '\n' => out.extend_from_slice(b"\\n"),
        '\r' => out.extend_from_slice(b"\\r"),
        '\t' => out.extend_from_slice(b"\\t"),
        c => {
            for unit in c.encode_utf16(&mut [0; 2]) {
                out.extend_from_slice(format!("\\u{unit:04x}").as_bytes());
            }
        }
    }
}

fn is_utf8(text: &[u8]) -> bool {
    std::str::from_utf8(text).is_ok()
}

/// Is it an integer that a double holds?
fn is_exact(text: &[u8]) -> bool {
    let digits = text.strip_prefix(b"-").unwrap_or(text);
    let number = std::str::from_utf8(digits).ok().and_then(|digits| digits.parse::<u64>().ok());
    number.is_some_and(|number| number <= LARGEST_EXACT)
}

fn lsn(name: &str, lsn: Lsn, out: &mut Vec<u8>) {
    out.extend_from_slice(format!(",\"{name}\":\"{lsn}\"").as_bytes());
}

fn hex(bytes: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(b",\"hex\":\"\\");
    text::hex(bytes, out);
    out.push(b'"');
}

fn list<T>(items: impl Iterator<Item = T>, out: &mut Vec<u8>, mut write: impl FnMut(T, &mut Vec<u8>)) {
    out.push(b'[');
    for (number, item) in items.enumerate() {
        if number > 0 {
            out.push(b',');
        }
        write(item, out);
    }
    out.push(b']');
}

#[cfg(test)]
mod tests;
