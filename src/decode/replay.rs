//! Replays simple transactions without the server's replay.
//!
//! For each transaction the server opens a subtransaction, sets a snapshot up, looks up the table of each change in its
//! caches, and aborts. For a transaction of one row that is most of the work. None of it is needed when the transaction
//! is **simple**: one that left no subtransactions, changed no catalog, met no change of the catalogs of others while it
//! ran, was kept in memory, and wrote to nothing but tables whose files and definitions are known and still true. What it
//! did is then all in the reorder buffer's list, in order.
//!
//! The server's own decoding of the commit record stays in charge. It keeps its snapshots up to date, judges whether the
//! transaction belongs to this slot, and as the last thing before the replay asks the output plugin whether the
//! transaction's origin is to be left out. There it is replayed, and the answer "left out" makes the server forget it.
//! Whatever is not simple gets the answer "no" and takes the server's way.

use pgrx::pg_sys;

use super::decoder::Decoder;
use super::txn::{HistoricSnapshot, changes, is_plain, is_row, transaction};
use crate::error::Result;
use crate::logicalrep::Transaction;
use crate::pg::{compat, invalidation};

impl Decoder {
    /// Replays the transaction whose commit record is at hand. False when that is left to the server.
    ///
    /// # Safety
    /// Inside the callback that the server calls at a commit.
    pub(super) unsafe fn replay(&mut self, buffer: *mut pg_sys::ReorderBuffer) -> Result<bool> {
        let Some(commit) = self.commit.take() else { return Ok(false) };
        // SAFETY: by contract; the transaction lives until the server forgets it.
        unsafe {
            let Some(txn) = transaction(buffer, commit.xid) else { return Ok(false) };
            let transaction = Transaction::from(commit);
            self.tables.enter(&transaction);
            if !is_plain(txn) || self.has_changed() || !self.knows_tables(txn) {
                return Ok(false);
            }
            self.begin(transaction);
            let found = std::mem::take(&mut self.found);
            self.play_spool(buffer, txn, Some(&found))?;
            let snapshot = HistoricSnapshot::set((*txn).base_snapshot);
            let outcome = changes(txn).zip(&found).try_for_each(|(change, table)| {
                pgrx::check_for_interrupts!();
                if self.wants(*table) { self.row_change(*table, change) } else { Ok(()) }
            });
            self.found = found;
            outcome?;
            self.end()?;
            drop(snapshot);
            compat::count_transaction(buffer, txn);
            Ok(true)
        }
    }

    /// Has a table that is followed changed, so that the server's replay has to look at it?
    fn has_changed(&self) -> bool {
        invalidation::has_changed() && invalidation::keep_changed(|table| self.selection.follows(table))
    }

    /// Are the tables of all changes known, so that nothing has to be looked up?
    ///
    /// # Safety
    /// `txn` is live.
    unsafe fn knows_tables(&mut self, txn: *const pg_sys::ReorderBufferTXN) -> bool {
        self.tables.refresh();
        self.found.clear();
        // SAFETY: by contract.
        unsafe {
            for change in changes(txn) {
                if !is_row(change) {
                    return false;
                }
                let Some(table) = self.tables.of_file(compat::file(change)) else { return false };
                if self.tables.at(table).interest.is_any() && self.tables.described(table).is_none() {
                    return false;
                }
                self.found.push(table);
            }
        }
        true
    }
}
