//! What decoding hands on: transactions and row changes, encoded, to a [`ChangeSink`].
//!
//! The callbacks in `decode` turn the reorder buffer's changes into these values; they decide nothing.
//! A sink never sees a transaction that was rolled back, and sees the committed ones in commit order.

use std::rc::Rc;

use super::coverage::{Interest, Seen};
use super::{Lsn, Relation};
use crate::error::Result;

/// A committed transaction of the source.
#[derive(Clone, Copy, Debug, Default)]
pub struct Transaction {
    pub xid: u32,
    /// Where its commit record starts.
    pub commit_lsn: Lsn,
    /// Where its commit record ends: the position to resume from once it is applied.
    pub end_lsn: Lsn,
    /// Microseconds since 2000-01-01.
    pub commit_time: i64,
    /// Where the record of the change under way starts.
    pub change_lsn: Lsn,
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

/// A row of a helper table: a task of pg_courier says that it applied the transaction here.
#[derive(Clone, Copy, Debug)]
pub struct Mark<'a> {
    pub table: u32,
    /// The owner of the table, on whose word it depends whether this is true.
    pub owner: u32,
    /// The database that the changes came from, as text.
    pub source: &'a [u8],
}

/// What a task wants of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    Nothing,
    /// Some transactions are in the table's copy already.
    InParts,
    Everything,
}

pub trait ChangeSink {
    /// Shall transactions that came by another replication be left out, whoever applied them?
    fn only_local(&self) -> bool;

    /// The transaction has a mark. Shall the rest of it be left out? An error if that cannot be told.
    fn leaves_out(&mut self, transaction: &Transaction, mark: &Mark<'_>) -> Result<bool>;

    /// Did the transaction commit before the sink looked how things are? Then that is what tables are judged by.
    fn precedes_start(&self, _transaction: &Transaction) -> bool {
        false
    }

    /// Is it a table whose rows the task follows, whatever it is called now?
    fn follows(&self, table: u32) -> bool;

    /// All of them.
    fn followed(&self) -> Vec<u32>;

    /// What does the task want of this table? The answer holds as long as its definition, and those of the tables it is
    /// part of, and as long as transactions are settled or are not. An error if its rows must not be left out.
    fn interest(&self, table: &Seen<'_>, settled: bool) -> Result<Interest>;

    /// A table is unlogged at the start of a transaction. An error if its rows must not be left out.
    fn is_unlogged(&self, table: u32, transaction: &Transaction) -> Result<()>;

    /// Does it want this table's changes of this transaction? Asked where the interest is in parts.
    fn wants(&self, table: u32, transaction: &Transaction) -> bool;

    /// May a change be encoded before its transaction, which commits behind `lsn`, has done so? Its tuples are gone then.
    fn takes_early(&self, lsn: Lsn) -> bool;

    /// A piece of a large transaction that has not committed, and may never, is about to be encoded: nothing but inserts
    /// into `table` if that is given, and nothing before it if it `is_first`. Does the sink want its rows now? Of the
    /// transaction the xid is known, and that it commits behind the `commit_lsn`.
    fn wants_ahead(&mut self, _early: &Transaction, _table: Option<&Rc<Relation>>, _is_first: bool) -> Result<bool> {
        Ok(false)
    }

    /// A row that is wanted ahead.
    fn ahead(&mut self, _row: &[u8]) -> Result<()> {
        Ok(())
    }

    /// The end of a piece that is wanted ahead.
    fn piece_ends(&mut self) -> Result<()> {
        Ok(())
    }

    /// The transaction has ended, and none of its rows is to be applied.
    fn forgets(&mut self, _xid: u32) {}

    /// The transaction has committed. Does the sink have all rows of its pieces? It may say so if what follows is nothing
    /// but inserts into the table of this slot, or nothing at all; otherwise it gets them as changes.
    fn has_ahead(&mut self, _transaction: &Transaction, _slot: Option<usize>) -> Result<bool> {
        Ok(false)
    }

    fn change(&mut self, transaction: &Transaction, relation: &Rc<Relation>, change: Change<'_>) -> Result<()>;

    fn truncate(
        &mut self,
        transaction: &Transaction,
        relations: &[Rc<Relation>],
        restart_sequences: bool,
    ) -> Result<()>;

    fn commit(&mut self, transaction: &Transaction) -> Result<()>;
}
