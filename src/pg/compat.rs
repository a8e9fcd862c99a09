//! What differs between PostgreSQL 13 and 18, each behind one function.

use pgrx::pg_sys;
use std::ffi::CStr;

use crate::logicalrep::{Lsn, Transaction};

/// How far WAL is durable on this server.
pub fn flush_lsn() -> Lsn {
    // SAFETY: reads shared memory under its own lock.
    unsafe {
        #[cfg(any(feature = "pg13", feature = "pg14"))]
        return Lsn(pg_sys::GetFlushRecPtr());
        #[cfg(not(any(feature = "pg13", feature = "pg14")))]
        return Lsn(pg_sys::GetFlushRecPtr(std::ptr::null_mut()));
    }
}

/// How far WAL is written into its buffers.
pub fn insert_lsn() -> Lsn {
    // SAFETY: reads shared memory under its own lock.
    Lsn(unsafe { pg_sys::GetXLogInsertRecPtr() })
}

/// Creates an ephemeral logical slot of this database; it becomes permanent by `ReplicationSlotPersist`.
///
/// # Safety
/// Inside a worker that owns no other slot.
pub unsafe fn replication_slot_create(name: &CStr) {
    // SAFETY: by contract; the name is a valid C string.
    unsafe {
        let persistency = pg_sys::ReplicationSlotPersistency::RS_EPHEMERAL;
        #[cfg(feature = "pg13")]
        pg_sys::ReplicationSlotCreate(name.as_ptr(), true, persistency);
        #[cfg(any(feature = "pg14", feature = "pg15", feature = "pg16"))]
        pg_sys::ReplicationSlotCreate(name.as_ptr(), true, persistency, false);
        #[cfg(any(feature = "pg17", feature = "pg18"))]
        pg_sys::ReplicationSlotCreate(name.as_ptr(), true, persistency, false, false, false);
    }
}

/// Makes the slot ours, or raises an error at once when another process has it.
///
/// # Safety
/// Inside a worker that owns no other slot.
pub unsafe fn replication_slot_acquire(name: &CStr) {
    // SAFETY: by contract; the name is a valid C string.
    unsafe {
        #[cfg(feature = "pg13")]
        pg_sys::ReplicationSlotAcquire(name.as_ptr(), pg_sys::SlotAcquireBehavior::SAB_Error);
        #[cfg(any(feature = "pg14", feature = "pg15", feature = "pg16", feature = "pg17"))]
        pg_sys::ReplicationSlotAcquire(name.as_ptr(), true);
        #[cfg(feature = "pg18")]
        pg_sys::ReplicationSlotAcquire(name.as_ptr(), true, true);
    }
}

/// # Safety
/// `txn` is the transaction handed to a callback.
pub unsafe fn commit_time(txn: *const pg_sys::ReorderBufferTXN) -> i64 {
    // SAFETY: by contract; for a committed transaction the union holds the commit time.
    unsafe {
        #[cfg(any(feature = "pg13", feature = "pg14"))]
        return (*txn).commit_time;
        #[cfg(not(any(feature = "pg13", feature = "pg14")))]
        return (*txn).xact_time.commit_time;
    }
}

/// A transaction that is about to be replayed, before its first change.
///
/// # Safety
/// `txn` is a committed transaction handed to a callback.
pub unsafe fn transaction(txn: *const pg_sys::ReorderBufferTXN) -> Transaction {
    // SAFETY: by contract.
    unsafe {
        Transaction {
            xid: u32::from((*txn).xid),
            commit_lsn: Lsn((*txn).final_lsn),
            end_lsn: Lsn((*txn).end_lsn),
            commit_time: commit_time(txn),
            change_lsn: Lsn::INVALID,
        }
    }
}

/// Old and new tuple of a row change; null where the WAL has none.
///
/// # Safety
/// `change` is a row change handed to a callback.
pub unsafe fn tuples(change: *mut pg_sys::ReorderBufferChange) -> (pg_sys::HeapTuple, pg_sys::HeapTuple) {
    // SAFETY: by contract the union holds `tp`.
    unsafe {
        let tp = &(*change).data.tp;
        #[cfg(not(any(feature = "pg17", feature = "pg18")))]
        {
            let tuple = |buffer: *mut pg_sys::ReorderBufferTupleBuf| {
                if buffer.is_null() { std::ptr::null_mut() } else { &raw mut (*buffer).tuple }
            };
            (tuple(tp.oldtuple), tuple(tp.newtuple))
        }
        #[cfg(any(feature = "pg17", feature = "pg18"))]
        (tp.oldtuple, tp.newtuple)
    }
}

/// The full attribute description; 18 moved it behind a compact one.
///
/// # Safety
/// `desc` is a live tuple descriptor and `index` is below its `natts`.
pub unsafe fn tuple_desc_attr(desc: pg_sys::TupleDesc, index: usize) -> *const pg_sys::FormData_pg_attribute {
    // SAFETY: by contract.
    unsafe {
        #[cfg(feature = "pg18")]
        return pg_sys::TupleDescAttr(desc, index as i32);
        #[cfg(not(feature = "pg18"))]
        return (*desc).attrs.as_ptr().add(index);
    }
}

/// Is the primary key deferrable? Before 17 such a key is not remembered as one in the first place.
///
/// # Safety
/// `relation` is an open relation whose index list has been loaded.
pub unsafe fn primary_key_is_deferrable(relation: pg_sys::Relation) -> bool {
    #[cfg(any(feature = "pg17", feature = "pg18"))]
    // SAFETY: by contract.
    return unsafe { (*relation).rd_ispkdeferrable };
    #[cfg(not(any(feature = "pg17", feature = "pg18")))]
    {
        let _ = relation;
        false
    }
}

/// The server's number of an encoding, by any of its names; negative if there is none.
///
/// # Safety
/// `name` is a C string.
pub unsafe fn char_to_encoding(name: &CStr) -> i32 {
    // SAFETY: by contract.
    unsafe {
        #[cfg(any(feature = "pg17", feature = "pg18"))]
        return pg_sys::pg_char_to_encoding_private(name.as_ptr());
        #[cfg(not(any(feature = "pg17", feature = "pg18")))]
        return pg_sys::pg_char_to_encoding(name.as_ptr());
    }
}

/// # Safety
/// `handler` is a signal handler of the server.
pub unsafe fn set_signal_handler(signal: i32, handler: unsafe extern "C-unwind" fn(i32)) {
    // SAFETY: by contract.
    unsafe {
        #[cfg(feature = "pg18")]
        pg_sys::pqsignal_be(signal, Some(handler));
        #[cfg(not(feature = "pg18"))]
        pg_sys::pqsignal(signal, Some(handler));
    }
}
