//! Where decoding ends: a [`ChangeSink`] takes the changes of committed transactions, in commit order, and never sees one
//! that was rolled back.

use std::rc::Rc;

use crate::error::Result;
use crate::logicalrep::{Change, Lsn, Relation, Transaction};
use crate::select::Selection;

/// What happens in a transaction, as far as it is wanted.
pub enum Event<'a> {
    Change {
        relation: &'a Rc<Relation>,
        change: Change<'a>,
    },
    Truncate {
        relations: &'a [Rc<Relation>],
        restart_sequences: bool,
    },
    /// The transaction is complete.
    Commit,
}

pub trait ChangeSink {
    /// What of the stream is wanted. Asked once; the rules may change at an event, and say so by their epoch.
    fn selection(&self) -> Rc<Selection>;

    /// The transaction has ended; its changes come one after the other, `change_lsn` with each, and its commit last.
    fn event(&mut self, transaction: &Transaction, event: Event<'_>) -> Result<()>;

    /// Who takes rows of large transactions before they end. `None` if none that ends behind `lsn` may be encoded before it
    /// does: its tuples are gone then.
    fn early(&mut self, lsn: Lsn) -> Option<&mut dyn EarlySink>;
}

/// Takes rows of large transactions that have not ended, and may never commit. Whatever it takes comes once more as changes,
/// unless it [`has_all`](EarlySink::has_all) of it.
pub trait EarlySink {
    /// A piece of a large transaction is about to be encoded: nothing but inserts into `table` if that is given, and nothing
    /// before it if it `is_first`. Are its rows wanted now? Of the transaction the xid is known, and that it commits behind
    /// the `commit_lsn`.
    fn wants(&mut self, early: &Transaction, table: Option<&Rc<Relation>>, is_first: bool) -> Result<bool>;

    /// A row that is wanted.
    fn row(&mut self, row: &[u8]) -> Result<()>;

    /// The end of a piece that is wanted.
    fn piece_ends(&mut self) -> Result<()>;

    /// The transaction has ended, and none of its rows is to be applied.
    fn forgets(&mut self, xid: u32);

    /// The transaction has committed. Are all rows of its pieces taken? It may say so if what follows is nothing but inserts
    /// into the table of this slot, or nothing at all; otherwise they come as changes.
    fn has_all(&mut self, transaction: &Transaction, slot: Option<usize>) -> Result<bool>;
}
