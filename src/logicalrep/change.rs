//! What decoding hands on: transactions and row changes, encoded.

use super::Lsn;

/// A committed transaction of the source.
#[derive(Clone, Copy, Debug, Default)]
pub struct Transaction {
    pub xid: u32,
    /// Where its first change starts; nowhere if that is not known. Before its first change is met the catalogs are as they were then.
    pub first_lsn: Lsn,
    /// Where its commit record starts.
    pub commit_lsn: Lsn,
    /// Where its commit record ends: the position to resume from once it is applied.
    pub end_lsn: Lsn,
    /// Microseconds since 2000-01-01.
    pub commit_time: i64,
    /// Where the record of the change under way starts.
    pub change_lsn: Lsn,
    /// It came from where the changes go to: its rows are left out, and its commands are done there.
    pub is_echo: bool,
}

/// A row change; rows and keys in the field encoding of `logicalrep::relation`.
#[derive(Clone, Copy, Debug)]
pub enum Change<'a> {
    Insert {
        row: &'a [u8],
    },
    /// `old` is the old key, or the whole old row of a table whose identity is the full row. Fields of `row` may be
    /// marked as unchanged, unless the identity is the full row.
    Update {
        old: &'a [u8],
        row: &'a [u8],
    },
    Delete {
        old: &'a [u8],
    },
}
