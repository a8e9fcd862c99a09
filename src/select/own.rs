//! What the extension itself says in the stream, by rows of tables of its own.

use crate::logicalrep::Change;

/// The tables by which it speaks, and who listens. All tasks of a database write into the same tables.
#[derive(Clone, Copy, Debug, Default)]
pub struct Own {
    /// `courier.heartbeat`: task, ...
    pub heartbeat: u32,
    /// `courier.rewritten_table`: task, table, whether it was made unlogged, ...
    pub rewritten: u32,
    pub task: i32,
}

/// What was said to this task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heard {
    Heartbeat,
    /// The table was made unlogged in this transaction.
    Unlogged {
        table: u32,
    },
}

impl Own {
    /// Is it a table that the extension speaks by?
    #[inline]
    pub fn speaks_by(&self, table: u32) -> bool {
        table == self.heartbeat || table == self.rewritten
    }

    /// What a change of such a table says to this task, if it does.
    pub fn hears(&self, table: u32, change: Change<'_>) -> Option<Heard> {
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
        let own = Own { heartbeat: 100, rewritten: 200, task: 7 };
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
        assert!(!own.speaks_by(300));
    }
}
