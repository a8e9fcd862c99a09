//! The reorder buffer's transactions: their commit records, their lists of changes, the catalogs as they saw them.

use pgrx::pg_sys;

use crate::logicalrep::{Lsn, Transaction};
use crate::pg::compat;

/// A commit record that says nothing but that a transaction without subtransactions has committed.
#[derive(Clone, Copy)]
pub(super) struct Commit {
    pub(super) xid: pg_sys::TransactionId,
    commit_lsn: Lsn,
    end_lsn: Lsn,
    time: i64,
}

impl Commit {
    /// Is the record that was just read one?
    ///
    /// # Safety
    /// `record` is what the reader returned last.
    pub(super) unsafe fn of(
        record: *const pg_sys::XLogRecord,
        reader: *const pg_sys::XLogReaderState,
    ) -> Option<Commit> {
        // SAFETY: by contract.
        unsafe {
            let operation = u32::from((*record).xl_info) & pg_sys::XLOG_XACT_OPMASK;
            if u32::from((*record).xl_rmid) != pg_sys::RmgrIds::RM_XACT_ID || operation != pg_sys::XLOG_XACT_COMMIT {
                return None;
            }
            // The time, then flags for what else the record holds.
            let data = compat::record_data(reader);
            let time = i64::from_ne_bytes(data.get(..8)?.try_into().ok()?);
            if u32::from((*record).xl_info) & pg_sys::XLOG_XACT_HAS_INFO != 0 {
                let flags = u32::from_ne_bytes(data.get(8..12)?.try_into().ok()?);
                if flags & CONTENTS & !pg_sys::XACT_XINFO_HAS_DBINFO != 0 {
                    return None;
                }
            }
            let (commit_lsn, end_lsn) = (Lsn((*reader).ReadRecPtr), Lsn((*reader).EndRecPtr));
            Some(Commit { xid: (*record).xl_xid, commit_lsn, end_lsn, time })
        }
    }
}

impl From<Commit> for Transaction {
    fn from(commit: Commit) -> Transaction {
        Transaction {
            xid: commit.xid.into(),
            first_lsn: Lsn::INVALID,
            commit_lsn: commit.commit_lsn,
            end_lsn: commit.end_lsn,
            commit_time: commit.time,
            change_lsn: Lsn::INVALID,
            is_echo: false,
        }
    }
}

/// The flags that announce contents; those above only tell what the backend waited for.
const CONTENTS: u32 = 0xFFFF;

/// An entry of the reorder buffer's table of transactions.
#[repr(C)]
struct ByXid {
    xid: pg_sys::TransactionId,
    txn: *mut pg_sys::ReorderBufferTXN,
}

/// # Safety
/// `change` is live.
pub(super) unsafe fn is_insert(change: *const pg_sys::ReorderBufferChange) -> bool {
    // SAFETY: by contract.
    unsafe { (*change).action == pg_sys::ReorderBufferChangeType::REORDER_BUFFER_CHANGE_INSERT }
}

/// Is it a row that was inserted, updated or deleted?
///
/// # Safety
/// `change` is live.
pub(super) unsafe fn is_row(change: *const pg_sys::ReorderBufferChange) -> bool {
    use pg_sys::ReorderBufferChangeType::{
        REORDER_BUFFER_CHANGE_DELETE, REORDER_BUFFER_CHANGE_INSERT, REORDER_BUFFER_CHANGE_UPDATE,
    };
    // SAFETY: by contract.
    let action = unsafe { (*change).action };
    action == REORDER_BUFFER_CHANGE_INSERT
        || action == REORDER_BUFFER_CHANGE_UPDATE
        || action == REORDER_BUFFER_CHANGE_DELETE
}

/// # Safety
/// `buffer` is live.
pub(super) unsafe fn transaction(
    buffer: *mut pg_sys::ReorderBuffer,
    xid: pg_sys::TransactionId,
) -> Option<*mut pg_sys::ReorderBufferTXN> {
    unsafe extern "C-unwind" {
        fn hash_search(
            table: *mut pg_sys::HTAB,
            key: *const std::ffi::c_void,
            action: pg_sys::HASHACTION::Type,
            found: *mut bool,
        ) -> *mut std::ffi::c_void;
    }
    // SAFETY: by contract; the table's key is a transaction ID. Finding raises no error.
    unsafe {
        let key = (&raw const xid).cast();
        let entry = hash_search((*buffer).by_txn, key, pg_sys::HASHACTION::HASH_FIND, std::ptr::null_mut());
        let txn = entry.cast::<ByXid>().as_ref()?.txn;
        (!txn.is_null()).then_some(txn)
    }
}

/// Did it run without subtransactions and without changes of catalogs, its own or others', and is all of it in memory?
///
/// # Safety
/// `txn` is live.
pub(super) unsafe fn is_plain(txn: *const pg_sys::ReorderBufferTXN) -> bool {
    #[cfg(any(feature = "pg13", feature = "pg14", feature = "pg15"))]
    const HARMLESS: u32 = 0;
    #[cfg(not(any(feature = "pg13", feature = "pg14", feature = "pg15")))]
    const HARMLESS: u32 = pg_sys::RBTXN_HAS_STREAMABLE_CHANGE;
    // SAFETY: by contract.
    unsafe {
        (*txn).txn_flags & !HARMLESS == 0
            && !(*txn).base_snapshot.is_null()
            && (*txn).nentries == (*txn).nentries_mem
            && (*txn).nsubtxns == 0
            && (*txn).ntuplecids == 0
            && (*txn).ninvalidations == 0
    }
}

/// The changes of a transaction that is all in memory.
///
/// # Safety
/// `txn` is live, and stays as it is while the iterator is used; only the change that came last may be taken out.
pub(super) unsafe fn changes(
    txn: *const pg_sys::ReorderBufferTXN,
) -> impl Iterator<Item = *mut pg_sys::ReorderBufferChange> {
    // SAFETY: by contract; the list's elements are the nodes of changes.
    unsafe { elements(&raw const (*txn).changes, std::mem::offset_of!(pg_sys::ReorderBufferChange, node)) }
}

/// What the nodes of a list are part of, `offset` bytes into it.
///
/// # Safety
/// As for [`changes`].
pub(super) unsafe fn elements<T>(list: *const pg_sys::dlist_head, offset: usize) -> impl Iterator<Item = *mut T> {
    // SAFETY: by contract; the list is circular, with a head that is no element, or not yet used.
    unsafe {
        let head: *const pg_sys::dlist_node = &raw const (*list).head;
        let mut node: *const pg_sys::dlist_node = (*head).next;
        std::iter::from_fn(move || {
            if node == head || node.is_null() {
                return None;
            }
            let element = node.byte_sub(offset);
            node = (*node).next;
            Some(element.cast::<T>().cast_mut())
        })
    }
}

/// Catalogs as the transaction saw them, as long as this lives: types may look at them when they print a value.
pub(super) struct HistoricSnapshot;

impl HistoricSnapshot {
    /// # Safety
    /// The snapshot is a transaction's, none is set, and it outlives the value.
    pub(super) unsafe fn set(snapshot: pg_sys::Snapshot) -> HistoricSnapshot {
        // SAFETY: by contract.
        unsafe { pg_sys::SetupHistoricSnapshot(snapshot, std::ptr::null_mut()) };
        HistoricSnapshot
    }
}

impl Drop for HistoricSnapshot {
    fn drop(&mut self) {
        // SAFETY: set by `set`.
        unsafe { pg_sys::TeardownHistoricSnapshot(std::thread::panicking()) };
    }
}
