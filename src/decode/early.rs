//! Encodes large transactions before they commit.
//!
//! The server keeps the changes of open transactions in memory, up to `logical_decoding_work_mem` in all. Beyond that it
//! writes the largest transaction to disk, a system call for each change, and at the commit reads it back with two. So
//! before it comes to that, at three quarters of the limit, the changes of the largest transaction are encoded as they
//! would be at its commit, appended to a [`Spool`], and taken out of the server's memory. At the commit the spool is
//! played first, then what has come since, on whichever way the transaction is replayed.
//!
//! That gives what the replay at the commit would give as long as the transaction is plain (`replay`): then it sees
//! one state of the catalogs from its beginning on, which is also the one that the server's caches have now. What comes
//! later may be anything, subtransactions or changed catalogs: it stays with the server, behind what was spooled. A
//! change that cannot be applied is left there as well, since its transaction may still roll back, and so is one that is
//! to be replayed one by one, as messages need the tuple.
//!
//! The server does not know of spools. Those of transactions that it has forgotten (rolled back, not of this slot, cut
//! off by a crash of the source) are dropped when their end was read.
//!
//! A table that no replay has met is looked up as the server does it at a commit. Out-of-line values and marks
//! (`tables`) keep a transaction with the server.

use pgrx::pg_sys;

use super::decoder::{Decoder, encode};
use super::spools::{MOST, TakenEarly};
use super::txn::{HistoricSnapshot, changes, elements, is_insert, is_plain, is_row, transaction};
use crate::error::{Error, Result};
use crate::logicalrep::{Change, Lsn, Transaction};
use crate::pg::{compat, guard};

impl Decoder {
    /// Drops what nobody will ask for, and makes room in the server's memory if that is short.
    ///
    /// # Safety
    /// Between two records, inside a transaction; `lsn` is where the last one starts.
    pub(super) unsafe fn tend_spools(&mut self, buffer: *mut pg_sys::ReorderBuffer, lsn: Lsn) -> Result<()> {
        // SAFETY: by contract.
        unsafe {
            let Decoder { spools, sink, .. } = self;
            spools.by_xid.retain(|xid, early| {
                let lives = transaction(buffer, (*xid).into()).is_some_and(|txn| (*txn).first_lsn == early.first_lsn);
                if !lives && let Some(sink) = sink.early(lsn) {
                    sink.forgets(*xid);
                }
                lives
            });
            spools.ahead = spools.ahead.filter(|xid| spools.by_xid.contains_key(xid));
            let size = (*buffer).size;
            if size < self.spools.next_look.max(self.spools.pressure()) || !compat::SUBTRANSACTIONS_ARE_KNOWN {
                return Ok(());
            }
            let has_room =
                self.sink.early(lsn).is_some() && self.spool_largest(buffer, lsn, size < self.spools.most())?;
            self.spools.next_look = if has_room { self.spools.pressure() } else { size + self.spools.share() };
            Ok(())
        }
    }

    /// Spools the largest transaction that can be, or only the one that is sent ahead. False if there is none.
    ///
    /// # Safety
    /// As for `tend_spools`.
    unsafe fn spool_largest(&mut self, buffer: *mut pg_sys::ReorderBuffer, lsn: Lsn, only_ahead: bool) -> Result<bool> {
        // SAFETY: by contract; the list holds the nodes of transactions.
        unsafe {
            let node = std::mem::offset_of!(pg_sys::ReorderBufferTXN, node);
            let mut large: Vec<*mut pg_sys::ReorderBufferTXN> = elements(&raw const (*buffer).toplevel_by_lsn, node)
                .filter(|txn: &*mut pg_sys::ReorderBufferTXN| (**txn).size >= self.spools.share() && is_plain(*txn))
                .collect();
            large.sort_by_key(|txn| std::cmp::Reverse((**txn).size));
            for txn in large {
                let by_xid = &self.spools.by_xid;
                if only_ahead && self.spools.ahead != Some((*txn).xid.into()) {
                    continue;
                }
                let has_place = by_xid.len() < MOST || by_xid.contains_key(&u32::from((*txn).xid));
                if has_place && self.can_spool(txn)? {
                    self.spool(buffer, txn, lsn)?;
                    return Ok(true);
                }
            }
            Ok(false)
        }
    }

    /// Can all its changes be applied, as far as is known here? Leaves their tables in `found`.
    ///
    /// # Safety
    /// `txn` is plain; as for `tend_spools`.
    unsafe fn can_spool(&mut self, txn: *const pg_sys::ReorderBufferTXN) -> Result<bool> {
        // It may commit later: what is known at its commit has to be known the same way.
        self.tables.settle(false);
        self.tables.refresh();
        self.found.clear();
        // SAFETY: by contract.
        unsafe {
            for change in changes(txn) {
                if !is_row(change) {
                    return Ok(false);
                }
                let table = match self.tables.of_file(compat::file(change)) {
                    Some(table) if self.is_known(table) => table,
                    _ => match self.look_up(txn, change) {
                        Some(table) => table,
                        None => return Ok(false),
                    },
                };
                if self.tables.at(table).interest.is_any() && !self.is_complete(table, change) {
                    return Ok(false);
                }
                self.found.push(table);
            }
        }
        // Looking up a table may have brought news of another.
        let found = std::mem::take(&mut self.found);
        let are_known = found.iter().all(|table| self.is_known(*table));
        self.found = found;
        Ok(are_known)
    }

    fn is_known(&mut self, table: usize) -> bool {
        !self.tables.at(table).interest.is_any() || self.tables.described(table).is_some()
    }

    /// The table of a change, looked up as the server does it at a commit. None if it has to be left to the server.
    ///
    /// # Safety
    /// `change` is a row change of `txn`, which is plain; as for `tend_spools`.
    unsafe fn look_up(
        &mut self,
        txn: *const pg_sys::ReorderBufferTXN,
        change: *mut pg_sys::ReorderBufferChange,
    ) -> Option<usize> {
        // SAFETY: by contract. What is opened is closed; the subtransaction ends with whatever else was taken.
        unsafe {
            pg_sys::BeginInternalSubTransaction(std::ptr::null());
            let snapshot = HistoricSnapshot::set((*txn).base_snapshot);
            let oid = guard::guarded(|| compat::table_of_file(change));
            let relation = match oid {
                pg_sys::InvalidOid => std::ptr::null_mut(),
                oid => pg_sys::RelationIdGetRelation(oid),
            };
            let mut table = None;
            if !relation.is_null() {
                let form = (*relation).rd_rel;
                // Neither out-of-line values nor the new file of a table that is being rewritten.
                if (*form).relkind as u8 == pg_sys::RELKIND_RELATION && (*form).relrewrite == pg_sys::InvalidOid {
                    // An error is for the commit, if that comes.
                    if let Ok(met) = self.tables.meet(relation, change) {
                        let is_wanted = self.tables.at(met).interest.is_any();
                        if !is_wanted || self.tables.describe(met, relation).is_ok() {
                            // A mark is not known by its file.
                            table = self.tables.of_file(compat::file(change));
                        }
                    }
                }
                pg_sys::RelationClose(relation);
            }
            drop(snapshot);
            pg_sys::RollbackAndReleaseCurrentSubTransaction();
            table
        }
    }

    /// Moves the changes of a transaction from the server's memory to its spool.
    ///
    /// # Safety
    /// `can_spool` has just said so; as for `tend_spools`.
    unsafe fn spool(
        &mut self,
        buffer: *mut pg_sys::ReorderBuffer,
        txn: *mut pg_sys::ReorderBufferTXN,
        lsn: Lsn,
    ) -> Result<()> {
        // SAFETY: by contract.
        unsafe {
            let (xid, first_lsn, before) = (u32::from((*txn).xid), (*txn).first_lsn, (*txn).size);
            let known = self.spools.by_xid.remove(&xid);
            let mut early = known.unwrap_or(TakenEarly { first_lsn, spool: None, bytes: 0 });
            let written_before = early.written();
            let is_ahead = self.goes_ahead(txn, early.spool.is_none(), lsn)?;
            let outcome = self.move_changes(buffer, txn, &mut early, is_ahead.then_some(lsn));
            if is_ahead && outcome.is_ok() {
                self.spools.ahead = Some(xid);
            } else if self.spools.ahead == Some(xid) {
                self.spools.ahead = None;
            }
            outcome?;
            if let Some((spool, _)) = &mut early.spool {
                spool.rest()?;
            }
            early.bytes += (before - (*txn).size) as u64;
            let written = early.written() - written_before;
            if written > 0 {
                compat::count_spilled(buffer, written, written_before == 0);
            }
            self.spools.by_xid.insert(xid, early);
            Ok(())
        }
    }

    /// Does the sink want the rows of this piece now? It is the first of its transaction if it `is_first`.
    ///
    /// # Safety
    /// As for `spool`.
    unsafe fn goes_ahead(&mut self, txn: *const pg_sys::ReorderBufferTXN, is_first: bool, lsn: Lsn) -> Result<bool> {
        // SAFETY: by contract.
        let (xid, only) = unsafe { (u32::from((*txn).xid), self.only_table(txn, &self.found)) };
        if only == Some(None) {
            // Nothing of this piece is wanted.
            return Ok(self.spools.ahead == Some(xid));
        }
        let described = only.flatten().and_then(|table| self.tables.described(table));
        let table = described.map(|described| described.relation.clone());
        let transaction = Transaction { xid, commit_lsn: lsn, ..Transaction::default() };
        match self.sink.early(lsn) {
            Some(sink) => sink.wants(&transaction, table.as_ref(), is_first),
            None => Ok(false),
        }
    }

    /// Writes the changes into the spool, and hands rows to the sink as well if that takes those `ahead` of a commit behind
    /// this.
    ///
    /// # Safety
    /// As for `spool`.
    unsafe fn move_changes(
        &mut self,
        buffer: *mut pg_sys::ReorderBuffer,
        txn: *mut pg_sys::ReorderBufferTXN,
        early: &mut TakenEarly,
        ahead: Option<Lsn>,
    ) -> Result<()> {
        let Decoder { sink, tables, rows, found, .. } = self;
        let mut ahead = ahead.and_then(|lsn| sink.early(lsn));
        // SAFETY: by contract.
        unsafe {
            let snapshot = HistoricSnapshot::set((*txn).base_snapshot);
            let outcome = changes(txn).zip(&*found).try_for_each(|(change, table)| {
                pgrx::check_for_interrupts!();
                if tables.at(*table).interest.is_any() {
                    let (relation, value) = encode(tables, rows, *table, change)?;
                    early.open()?.push(relation, Lsn((*change).lsn), value)?;
                    if let (Change::Insert { row }, Some(sink)) = (value, &mut ahead) {
                        sink.row(row)?;
                    }
                }
                take_out(buffer, txn, change);
                Ok(())
            });
            drop(snapshot);
            outcome?;
        }
        ahead.map_or(Ok(()), |sink| sink.piece_ends())
    }

    /// The one table that the wanted changes insert into, if they do nothing else; `Some(None)` if none is wanted.
    ///
    /// # Safety
    /// `found` has the tables of the changes of `txn`, which is plain.
    unsafe fn only_table(&self, txn: *const pg_sys::ReorderBufferTXN, found: &[usize]) -> Option<Option<usize>> {
        // SAFETY: by contract.
        let changes = unsafe { changes(txn) };
        let mut only = None;
        for (change, table) in changes.zip(found) {
            if !self.tables.at(*table).interest.is_any() {
                continue;
            }
            // SAFETY: by contract.
            if !unsafe { is_insert(change) } || only.is_some_and(|only| only != *table) {
                return None;
            }
            only = Some(*table);
        }
        Some(only)
    }

    /// Hands over what was taken out of the transaction that now begins. `found` has the tables of its other changes, if
    /// it is plain.
    ///
    /// # Safety
    /// Both are live.
    pub(super) unsafe fn play_spool(
        &mut self,
        buffer: *mut pg_sys::ReorderBuffer,
        txn: *const pg_sys::ReorderBufferTXN,
        found: Option<&[usize]>,
    ) -> Result<()> {
        if self.spools.by_xid.is_empty() {
            return Ok(());
        }
        // SAFETY: by contract.
        unsafe {
            // A safeguard: rows of a part must not be lost with it.
            let is_part = |xid: &u32| transaction(buffer, (*xid).into()).is_some_and(|part| is_part_of(part, txn));
            if (*txn).nsubtxns > 0 && self.spools.by_xid.keys().any(is_part) {
                return Err(Error::internal("changes of a subtransaction were taken for those of a transaction"));
            }
            let Some(early) = self.spools.by_xid.remove(&u32::from((*txn).xid)) else { return Ok(()) };
            if early.first_lsn != (*txn).first_lsn {
                return Ok(());
            }
            compat::count_bytes(buffer, early.bytes);
            let xid = (*txn).xid.into();
            if std::mem::take(&mut self.spools.ahead) == Some(xid) {
                let rest = found.and_then(|found| self.only_table(txn, found));
                if let Some(sink) = self.sink.early(self.transaction.commit_lsn) {
                    if let Some(slot) = rest
                        && sink.has_all(&self.transaction, slot)?
                    {
                        return Ok(());
                    }
                    sink.forgets(xid);
                }
            }
            let Some((spool, _file)) = early.spool else { return Ok(()) };
            spool.play(|relation, lsn, change| {
                pgrx::check_for_interrupts!();
                self.spooled_change(relation, lsn, change)
            })
        }
    }
}

/// # Safety
/// Both are live.
unsafe fn is_part_of(part: *const pg_sys::ReorderBufferTXN, whole: *const pg_sys::ReorderBufferTXN) -> bool {
    // SAFETY: by contract.
    unsafe { part != whole && (*part).toplevel_xid == (*whole).xid }
}

/// Takes a change out of its transaction. Sizes are kept by the server's function; counts are not.
///
/// # Safety
/// The change is in the list of `txn`, in memory.
unsafe fn take_out(
    buffer: *mut pg_sys::ReorderBuffer,
    txn: *mut pg_sys::ReorderBufferTXN,
    change: *mut pg_sys::ReorderBufferChange,
) {
    // SAFETY: by contract.
    unsafe {
        let node = &raw mut (*change).node;
        (*(*node).prev).next = (*node).next;
        (*(*node).next).prev = (*node).prev;
        (*txn).nentries -= 1;
        (*txn).nentries_mem -= 1;
        compat::free_change(buffer, change);
    }
}
