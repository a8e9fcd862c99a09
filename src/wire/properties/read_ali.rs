//! A reader of format `ali`, as a program on the other side of the socket has one.

use super::super::{Action, Format, Identity, Value, ali};
use super::sample::SampleChange;
use crate::chance::Chance;

const FORMAT: &Format = &ali::FORMAT;

/// What a change says. Without a key where the format has none.
#[derive(Debug, PartialEq)]
struct Read<'a> {
    kind: u8,
    schema: &'a [u8],
    table: &'a [u8],
    /// Name and type; `None` for a dropped one.
    columns: Vec<Option<(&'a [u8], &'a [u8])>>,
    key: Option<Vec<&'a [u8]>>,
    old: Option<Vec<Value<'a>>>,
    new: Option<Vec<Value<'a>>>,
}

/// Any change is read back; whatever else arrives is read or not, and never beyond its end.
pub fn ali_changes(chance: &mut Chance) {
    let sample = SampleChange::of(chance);
    let (table, rows) = (&sample.table, sample.rows());
    let action = sample.action(&rows);
    let message = sample.written(FORMAT, &FORMAT.defaults, action);
    let (kind, old, new) = match action {
        Action::Insert { new } => (b'I', None, Some(new)),
        Action::Update { old, new } => (b'U', old, Some(new)),
        Action::Delete { old } => (b'D', old, None),
    };
    let column = |at: &usize| table.columns[*at].as_ref();
    let key = match &table.identity {
        Identity::Key(positions) if kind != b'I' => {
            Some(positions.iter().filter_map(column).map(|column| &column.name.plain[..]).collect())
        }
        _ => None,
    };
    let columns = table.columns.iter().map(|column| column.as_ref().map(|c| (&c.name.quoted[..], &c.type_name[..])));
    let expected = Read {
        kind,
        schema: &table.schema.plain,
        table: &table.name.plain,
        columns: columns.collect(),
        key,
        old: old.map(<[_]>::to_vec),
        new: new.map(<[_]>::to_vec),
    };
    assert_eq!(read(&message), Some(expected), "{message:?}");
    let _ = read(&chance.damage(&message));
}

fn read(message: &[u8]) -> Option<Read<'_>> {
    let mut rest = message;
    let (kind, schema, table) = (byte(&mut rest)?, string(&mut rest)?, string(&mut rest)?);
    (byte(&mut rest)? == b'C').then_some(())?;
    let columns = (0..number(&mut rest)?).map(|_| attribute(&mut rest)).collect::<Option<_>>()?;
    let key = match byte(&mut rest)? {
        b'P' => None,
        b'M' => Some((0..number(&mut rest)?).map(|_| string(&mut rest)?).collect::<Option<_>>()?),
        _ => return None,
    };
    let (mut old, mut new) = (None, None);
    while !rest.is_empty() {
        match byte(&mut rest)? {
            b'K' => old = Some(tuple(&mut rest)?),
            b'N' => new = Some(tuple(&mut rest)?),
            b'E' => {}
            _ => return None,
        }
    }
    Some(Read { kind, schema: schema?, table: table?, columns, key, old, new })
}

/// Name and type, or `None` for a dropped one.
fn attribute<'a>(rest: &mut &'a [u8]) -> Option<Option<(&'a [u8], &'a [u8])>> {
    match string(rest)? {
        None => Some(None),
        Some(name) => Some(Some((name, string(rest)??))),
    }
}

fn tuple<'a>(rest: &mut &'a [u8]) -> Option<Vec<Value<'a>>> {
    (byte(rest)? == b'T').then_some(())?;
    let count = u32::from_be_bytes(chunk(rest)?);
    let value = |_| match byte(rest)? {
        b'n' => Some(Value::Null),
        b'u' => Some(Value::Unchanged),
        b't' => {
            let length = u32::from_be_bytes(chunk(rest)?);
            terminated(rest, length as usize).map(Value::Text)
        }
        _ => None,
    };
    // One by one: what a count says need not be there.
    (0..count).map(value).collect()
}

/// `None` in it: a length of nothing, not even of the NUL.
fn string<'a>(rest: &mut &'a [u8]) -> Option<Option<&'a [u8]>> {
    match number(rest)? {
        0 => Some(None),
        length => terminated(rest, usize::from(length)).map(Some),
    }
}

fn terminated<'a>(rest: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    rest.split_off(..length)?.strip_suffix(b"\0")
}

fn number(rest: &mut &[u8]) -> Option<u16> {
    chunk(rest).map(u16::from_be_bytes)
}

fn byte(rest: &mut &[u8]) -> Option<u8> {
    chunk(rest).map(u8::from_be_bytes)
}

fn chunk<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    rest.split_off(..N)?.try_into().ok()
}
