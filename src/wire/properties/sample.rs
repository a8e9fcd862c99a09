//! Tables and rows of chance, as a server could have them.

use super::super::{Action, Column, Format, Identity, Kind, Name, RowChange, Settings, Table, Value};
use crate::chance::Chance;
use crate::logicalrep::Lsn;

/// A change with all that it is made of.
pub struct SampleChange {
    pub table: Table,
    /// In the encoding's bytes; `None` for NULL.
    old: Vec<Given>,
    new: Vec<Given>,
    what: usize,
    has_old: bool,
}

enum Given {
    Null,
    Unchanged,
    Text(Vec<u8>),
}

impl Given {
    fn value(&self) -> Value<'_> {
        match self {
            Given::Null => Value::Null,
            Given::Unchanged => Value::Unchanged,
            Given::Text(text) => Value::Text(text),
        }
    }
}

impl SampleChange {
    pub fn of(chance: &mut Chance) -> SampleChange {
        let table = table(chance);
        let mut row = || table.columns.iter().map(|column| given(column.as_ref(), chance)).collect();
        let (old, new) = (row(), row());
        SampleChange { old, new, what: chance.below(3), has_old: chance.yes(), table }
    }

    /// The old row and the new one.
    pub fn rows(&self) -> (Vec<Value<'_>>, Vec<Value<'_>>) {
        (self.old.iter().map(Given::value).collect(), self.new.iter().map(Given::value).collect())
    }

    pub fn action<'a>(&self, (old, new): &'a (Vec<Value<'a>>, Vec<Value<'a>>)) -> Action<'a> {
        let old = self.has_old.then_some(&old[..]);
        match self.what {
            0 => Action::Insert { new },
            1 => Action::Update { old, new },
            _ => Action::Delete { old },
        }
    }

    /// The message of a format about it.
    pub fn written(&self, format: &Format, settings: &Settings, action: Action<'_>) -> Vec<u8> {
        let writer = (format.writer)(settings);
        let mut message = Vec::new();
        let prepared = &writer.prepare(&self.table);
        writer.change(&RowChange { lsn: Lsn(0xF00), table: &self.table, prepared, action }, &mut message);
        message
    }
}

fn table(chance: &mut Chance) -> Table {
    let columns: Vec<Option<Column>> =
        (0..chance.below(6)).map(|number| (chance.below(5) > 0).then(|| column(number, chance))).collect();
    let mut key: Vec<usize> = (0..columns.len()).filter(|at| columns[*at].is_some() && chance.yes()).collect();
    if chance.yes() {
        key.reverse();
    }
    let identity = match chance.below(3) {
        0 => Identity::Nothing,
        1 => Identity::Key(key),
        _ => Identity::FullRow,
    };
    Table { schema: name("s", chance), name: name("t", chance), columns, identity }
}

/// Different from that of another column.
fn column(number: usize, chance: &mut Chance) -> Column {
    let kinds =
        [Kind::Integer, Kind::Bigint, Kind::Float, Kind::Numeric, Kind::Boolean, Kind::Bits, Kind::Other, Kind::Other];
    Column {
        name: name(&number.to_string(), chance),
        type_name: chance.text("abc. ()\"", 8).into_bytes(),
        kind: *chance.one_of(&kinds),
        is_domain: chance.below(4) == 0,
        is_virtual: chance.below(8) == 0,
    }
}

fn name(end: &str, chance: &mut Chance) -> Name {
    let plain = format!("{}{end}", chance.text("aA_.\"' \\[]:ü", 5));
    Name { quoted: format!("\"{}\"", plain.replace('"', "\"\"")).into(), plain: plain.into() }
}

fn given(column: Option<&Column>, chance: &mut Chance) -> Given {
    let Some(column) = column else { return Given::Null };
    match chance.below(6) {
        0 => Given::Null,
        1 => Given::Unchanged,
        _ => Given::Text(printed(column.kind, chance)),
    }
}

/// As the type's output function could print it.
fn printed(kind: Kind, chance: &mut Chance) -> Vec<u8> {
    let text = match kind {
        Kind::Integer => (chance.integer() as i32).to_string(),
        Kind::Bigint => chance.integer().to_string(),
        Kind::Float => match chance.below(6) {
            special @ 0..3 => ["NaN", "Infinity", "-Infinity"][special].to_owned(),
            3 => format!("{}e+{}", chance.below(9) + 1, 16 + chance.below(200)),
            _ => (chance.integer() as f32 / 8.0).to_string(),
        },
        Kind::Numeric => format!("{}.{:03}", chance.integer(), chance.below(1000)),
        Kind::Boolean => ["t", "f"][chance.below(2)].to_owned(),
        Kind::Bits => chance.text("01", 9),
        Kind::Other if chance.yes() => chance.text("ab'\"\\ ,{}[]:\n\t\u{1}\u{7f}ü\u{ffff}\u{1f418}", 9),
        // Of a database in SQL_ASCII.
        Kind::Other => return chance.bytes(9),
    };
    text.into_bytes()
}
