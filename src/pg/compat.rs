//! What differs between PostgreSQL 13 and 18, each behind one function.

use pgrx::pg_sys;
use std::ffi::CStr;

use crate::logicalrep::{Lsn, Transaction};
use crate::pg::guard;

/// This server's major version.
pub const MAJOR: u32 = pg_sys::PG_VERSION_NUM / 10_000;

/// Does a part of ALTER TABLE detach a partition so that readers go on (14), or end what such a one has begun?
///
/// # Safety
/// A part of ALTER TABLE.
pub unsafe fn detaches_concurrently(part: *const pg_sys::AlterTableCmd) -> bool {
    #[cfg(feature = "pg13")]
    return {
        let _ = part;
        false
    };
    #[cfg(not(feature = "pg13"))]
    // SAFETY: by contract; what it is says what its definition is.
    unsafe {
        match (*part).subtype {
            pg_sys::AlterTableType::AT_DetachPartitionFinalize => true,
            pg_sys::AlterTableType::AT_DetachPartition => {
                !(*part).def.is_null() && (*(*part).def.cast::<pg_sys::PartitionCmd>()).concurrent
            }
            _ => false,
        }
    }
}

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

/// A set of events to wait for, to be freed by the caller.
///
/// # Safety
/// In a server process.
pub unsafe fn create_wait_set(events: usize) -> *mut pg_sys::WaitEventSet {
    // SAFETY: by contract; the context lives as long as the process, and no resource owner looks after the set.
    unsafe {
        #[cfg(not(any(feature = "pg17", feature = "pg18")))]
        let owner = pg_sys::TopMemoryContext;
        #[cfg(any(feature = "pg17", feature = "pg18"))]
        let owner = std::ptr::null_mut();
        pg_sys::CreateWaitEventSet(owner, events as i32)
    }
}

/// Creates an ephemeral logical slot of this database; it becomes permanent by `ReplicationSlotPersist`. From 17 on
/// standbys may synchronize it.
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
        pg_sys::ReplicationSlotCreate(name.as_ptr(), true, persistency, false, true, false);
    }
}

/// May what ends there leave this server? Standbys that `synchronized_standby_slots` names (17 and later) have to have it
/// first: else a destination could be ahead of the standby that takes this server's place.
///
/// # Safety
/// Inside a worker that owns a slot.
pub unsafe fn standbys_have(lsn: Lsn) -> bool {
    #[cfg(not(any(feature = "pg17", feature = "pg18")))]
    {
        let _ = lsn;
        true
    }
    // SAFETY: by contract; reads shared memory under its own lock.
    #[cfg(any(feature = "pg17", feature = "pg18"))]
    unsafe {
        use std::cell::Cell;
        use std::time::{Duration, Instant};
        const WARN_EVERY: Duration = Duration::from_secs(60);
        thread_local!(static WARNED: Cell<Option<Instant>> = const { Cell::new(None) });
        if !(*pg_sys::MyReplicationSlot).data.failover {
            return true;
        }
        // About a slot that is missing, lost or not in use the server warns; once a minute is enough.
        let is_time = WARNED.get().is_none_or(|at| at.elapsed() >= WARN_EVERY);
        let level = if is_time { pg_sys::WARNING } else { pg_sys::DEBUG2 };
        let have = pg_sys::StandbySlotsHaveCaughtup(lsn.0, level as i32);
        if !have && is_time {
            WARNED.set(Some(Instant::now()));
        }
        have
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

/// The file that a row change was made in: tablespace and number.
///
/// # Safety
/// `change` is a row change.
#[inline]
pub unsafe fn file(change: *const pg_sys::ReorderBufferChange) -> u64 {
    // SAFETY: by contract the union holds `tp`.
    let (space, number) = unsafe {
        let tp = &(*change).data.tp;
        #[cfg(any(feature = "pg13", feature = "pg14", feature = "pg15"))]
        let place = (tp.relnode.spcNode, tp.relnode.relNode.to_u32());
        #[cfg(not(any(feature = "pg13", feature = "pg14", feature = "pg15")))]
        let place = (tp.rlocator.spcOid, tp.rlocator.relNumber.to_u32());
        place
    };
    u64::from(space.to_u32()) << 32 | u64::from(number)
}

/// The table of the file that a row change was made in, as the historic snapshot has it; invalid if there is none.
///
/// # Safety
/// `change` is a row change; inside a guard, where a historic snapshot is set.
pub unsafe fn table_of_file(change: *const pg_sys::ReorderBufferChange) -> pg_sys::Oid {
    // Not in the bindings.
    unsafe extern "C-unwind" {
        #[cfg_attr(any(feature = "pg13", feature = "pg14", feature = "pg15"), link_name = "RelidByRelfilenode")]
        fn RelidByRelfilenumber(tablespace: pg_sys::Oid, number: pg_sys::Oid) -> pg_sys::Oid;
    }
    // SAFETY: by contract.
    unsafe {
        let file = file(change);
        RelidByRelfilenumber(((file >> 32) as u32).into(), (file as u32).into())
    }
}

/// Can settings be granted?
pub const HAS_PARAMETER_PRIVILEGES: bool = !cfg!(any(feature = "pg13", feature = "pg14"));

/// The partitioned tables above a partition, the nearest first.
///
/// # Safety
/// Where catalogs can be read.
pub unsafe fn partition_ancestors(table: pg_sys::Oid) -> Vec<pg_sys::Oid> {
    // Not in the bindings.
    unsafe extern "C-unwind" {
        fn get_partition_ancestors(table: pg_sys::Oid) -> *mut pg_sys::List;
    }
    // SAFETY: by contract; the list is ours.
    unsafe {
        let list = guard::guarded(|| get_partition_ancestors(table));
        pgrx::PgList::<pg_sys::Oid>::from_pg(list).iter_oid().collect()
    }
}

/// Are subtransactions known as such from their first change on? In 13 that may come as late as the commit: until then
/// one looks like a transaction.
pub const SUBTRANSACTIONS_ARE_KNOWN: bool = !cfg!(feature = "pg13");

/// Frees a change that is in no list any more.
///
/// # Safety
/// Both are live; the change is not used after this.
pub unsafe fn free_change(buffer: *mut pg_sys::ReorderBuffer, change: *mut pg_sys::ReorderBufferChange) {
    // SAFETY: by contract.
    unsafe {
        #[cfg(feature = "pg13")]
        pg_sys::ReorderBufferReturnChange(buffer, change);
        #[cfg(any(feature = "pg14", feature = "pg15", feature = "pg16", feature = "pg17"))]
        pg_sys::ReorderBufferReturnChange(buffer, change, true);
        #[cfg(feature = "pg18")]
        pg_sys::ReorderBufferFreeChange(buffer, change, true);
    }
}

/// The transaction as those who read the stream know it.
///
/// # Safety
/// `txn` is the transaction handed to a callback.
pub unsafe fn transaction(txn: *const pg_sys::ReorderBufferTXN) -> Transaction {
    // SAFETY: by contract; for a committed transaction the union holds the commit time.
    unsafe {
        #[cfg(any(feature = "pg13", feature = "pg14"))]
        let commit_time = (*txn).commit_time;
        #[cfg(not(any(feature = "pg13", feature = "pg14")))]
        let commit_time = (*txn).xact_time.commit_time;
        Transaction {
            xid: u32::from((*txn).xid),
            first_lsn: Lsn((*txn).first_lsn),
            commit_lsn: Lsn((*txn).final_lsn),
            end_lsn: Lsn((*txn).end_lsn),
            commit_time,
            change_lsn: Lsn::INVALID,
            is_echo: false,
        }
    }
}

/// The main data of the record that was read last.
///
/// # Safety
/// The reader has just returned a record.
pub unsafe fn record_data<'a>(reader: *const pg_sys::XLogReaderState) -> &'a [u8] {
    // SAFETY: by contract; the data is valid up to the next read.
    unsafe {
        #[cfg(any(feature = "pg13", feature = "pg14"))]
        let (data, length) = ((*reader).main_data, (*reader).main_data_len);
        #[cfg(not(any(feature = "pg13", feature = "pg14")))]
        let (data, length) = ((*(*reader).record).main_data, (*(*reader).record).main_data_len);
        if data.is_null() { &[] } else { std::slice::from_raw_parts(data.cast::<u8>(), length as usize) }
    }
}

/// Lets the slot's statistics know of a transaction that the server did not replay itself (from 14 on).
///
/// # Safety
/// Both are live.
pub unsafe fn count_transaction(buffer: *mut pg_sys::ReorderBuffer, txn: *const pg_sys::ReorderBufferTXN) {
    #[cfg(feature = "pg13")]
    let _ = (buffer, txn);
    // SAFETY: by contract.
    #[cfg(not(feature = "pg13"))]
    unsafe {
        (*buffer).totalTxns += 1;
        (*buffer).totalBytes += (*txn).total_size as i64;
    }
}

/// Lets the slot's statistics know of changes that were taken out of the buffer: `spilled` bytes are on disk instead, the
/// transaction's first ones if `is_first` (from 14 on).
///
/// # Safety
/// `buffer` is live.
pub unsafe fn count_spilled(buffer: *mut pg_sys::ReorderBuffer, spilled: u64, is_first: bool) {
    #[cfg(feature = "pg13")]
    let _ = (buffer, spilled, is_first);
    // SAFETY: by contract.
    #[cfg(not(feature = "pg13"))]
    unsafe {
        (*buffer).spillTxns += i64::from(is_first);
        (*buffer).spillCount += 1;
        (*buffer).spillBytes += spilled as i64;
    }
}

/// Lets the slot's statistics know of decoded bytes that are in the buffer no more (from 14 on).
///
/// # Safety
/// `buffer` is live.
pub unsafe fn count_bytes(buffer: *mut pg_sys::ReorderBuffer, bytes: u64) {
    #[cfg(feature = "pg13")]
    let _ = (buffer, bytes);
    // SAFETY: by contract.
    #[cfg(not(feature = "pg13"))]
    unsafe {
        (*buffer).totalBytes += bytes as i64;
    }
}

/// Publishes the slot's statistics (from 14 on).
///
/// # Safety
/// `context` is live.
pub unsafe fn update_decoding_stats(context: *mut pg_sys::LogicalDecodingContext) {
    #[cfg(feature = "pg13")]
    let _ = context;
    // SAFETY: by contract.
    #[cfg(not(feature = "pg13"))]
    unsafe {
        let buffer = (*context).reorder;
        if (*buffer).totalTxns > 0 || (*buffer).spillCount > 0 {
            pg_sys::UpdateDecodingStats(context);
        }
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

/// May the current user drop this database?
///
/// # Safety
/// Inside a transaction.
pub unsafe fn owns_database(database: pg_sys::Oid) -> bool {
    // SAFETY: by contract; catalog lookups.
    unsafe {
        let role = pg_sys::GetUserId();
        #[cfg(any(feature = "pg13", feature = "pg14", feature = "pg15"))]
        return pg_sys::pg_database_ownercheck(database, role);
        #[cfg(not(any(feature = "pg13", feature = "pg14", feature = "pg15")))]
        return pg_sys::object_ownercheck(pg_sys::DatabaseRelationId, database, role);
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
