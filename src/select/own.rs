//! What the extension itself says in the stream, by rows of tables of its own.

use crate::logicalrep::Change;

/// The tables by which it speaks, and who listens. All tasks of a database write into the same tables.
#[derive(Clone, Copy, Debug, Default)]
pub struct Own {
    /// `courier.heartbeat`: task, ...
    pub heartbeat: u32,
    /// `courier.rewritten_table`: task, table, whether it was made unlogged, ...
    pub rewritten: u32,
    /// `courier.ddl_log`: id, snapshot, image, tag, ...; 0 for a task that leaves commands alone.
    pub commands: u32,
    pub task: i32,
}

/// What was said to this task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heard<'a> {
    Heartbeat,
    /// The table was made unlogged in this transaction.
    Unlogged {
        table: u32,
    },
    /// A command was run. The texts are in the encoding of the database.
    Command {
        id: i64,
        snapshot: &'a [u8],
        image: &'a [u8],
        tag: &'a [u8],
    },
}

impl Own {
    /// Is it a table that the extension speaks by?
    #[inline]
    pub fn speaks_by(&self, table: u32) -> bool {
        table == self.heartbeat || table == self.rewritten || (table == self.commands && table != 0)
    }

    /// What a change of such a table says to this task, if it does.
    pub fn hears<'a>(&self, table: u32, change: Change<'a>) -> Option<Heard<'a>> {
        if table == self.commands {
            return command(change);
        }
        let row = match change {
            Change::Insert { row } | Change::Update { row, .. } => row,
            Change::Delete { .. } => return None,
        };
        if integer(row, 0) != Some(self.task) {
            return None;
        }
        if table == self.rewritten {
            let table = integer(row, 1)? as u32;
            return is_true(row.get(16..)?).then_some(Heard::Unlogged { table });
        }
        Some(Heard::Heartbeat)
    }
}

/// Rows of the log are inserted; whatever else happens to them was said before.
fn command(change: Change<'_>) -> Option<Heard<'_>> {
    let Change::Insert { row } = change else { return None };
    let mut fields = Fields(row);
    let id = i64::from_be_bytes(fields.next()?.try_into().ok()?);
    Some(Heard::Command { id, snapshot: fields.next()?, image: fields.next()?, tag: fields.next()? })
}

/// The fields of a row, each behind its length; none where one is null.
struct Fields<'a>(&'a [u8]);

impl<'a> Iterator for Fields<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let (length, rest) = self.0.split_at_checked(4)?;
        let length = i32::from_be_bytes(length.try_into().ok()?);
        let (value, rest) = rest.split_at_checked(usize::try_from(length).ok()?)?;
        self.0 = rest;
        Some(value)
    }
}

/// A field of a row of which all before are binary integers, too.
fn integer(row: &[u8], field: usize) -> Option<i32> {
    let row = row.get(8 * field..)?;
    let length = i32::from_be_bytes(row.get(..4)?.try_into().ok()?);
    let value = row.get(4..8)?.try_into().ok()?;
    (length == 4).then(|| i32::from_be_bytes(value))
}

/// Does this begin with a binary boolean that is true?
fn is_true(row: &[u8]) -> bool {
    row.starts_with(&[0, 0, 0, 1, 1])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_fields_of_a_row() {
        assert_eq!(integer(&[0, 0, 0, 4, 0, 0, 0, 7, 0, 0, 0, 1, 65], 0), Some(7));
        assert_eq!(integer(&[0, 0, 0, 4, 0, 0, 0, 7, 0, 0, 0, 4, 0, 0, 64, 0], 1), Some(16384));
        assert_eq!(integer(&[0, 0, 0, 4, 0, 0, 0, 7, 0, 0, 0, 1, 65], 1), None);
        assert_eq!(integer(&[255, 255, 255, 255, 0, 0, 0, 1, 65], 0), None);
        assert_eq!(integer(&[0, 0], 0), None);
        assert_eq!(integer(&[0, 0], 1), None);
        assert!(is_true(&[0, 0, 0, 1, 1, 0]));
        assert!(!is_true(&[0, 0, 0, 1, 0]));
        assert!(!is_true(&[0, 0]));
    }

    #[test]
    fn a_task_hears_what_is_said_to_it() {
        let own = Own { heartbeat: 100, rewritten: 200, commands: 0, task: 7 };
        let row = |task: u8, unlogged: u8| [0, 0, 0, 4, 0, 0, 0, task, 0, 0, 0, 4, 0, 0, 64, 0, 0, 0, 0, 1, unlogged];
        let (mine, others, logged) = (row(7, 1), row(8, 1), row(7, 0));
        let insert = |row| Change::Insert { row };
        assert_eq!(own.hears(100, insert(&mine)), Some(Heard::Heartbeat));
        assert_eq!(own.hears(100, Change::Update { old: &[], row: &mine }), Some(Heard::Heartbeat));
        assert_eq!(own.hears(200, insert(&mine)), Some(Heard::Unlogged { table: 16384 }));
        assert_eq!(own.hears(200, insert(&logged)), None);
        for table in [100, 200] {
            assert_eq!(own.hears(table, insert(&others)), None);
            assert_eq!(own.hears(table, Change::Delete { old: &mine }), None);
            assert!(own.speaks_by(table));
        }
        assert!(!own.speaks_by(300) && !own.speaks_by(0));
    }

    #[test]
    fn a_row_of_the_log_is_a_command() {
        let own = Own { heartbeat: 100, rewritten: 200, commands: 300, task: 7 };
        let field = |value: &[u8]| [&(value.len() as i32).to_be_bytes(), value].concat();
        let row = [field(&9i64.to_be_bytes()), field(b"1:2:"), field(b"{}"), field(b"ALTER TABLE")].concat();
        let heard = Heard::Command { id: 9, snapshot: b"1:2:", image: b"{}", tag: b"ALTER TABLE" };
        assert_eq!(own.hears(300, Change::Insert { row: &row }), Some(heard));
        assert_eq!(own.hears(300, Change::Delete { old: &row }), None);
        assert_eq!(own.hears(300, Change::Insert { row: &row[..20] }), None);
        assert!(own.speaks_by(300));
    }
}
