//! A replication slot and its decoding context, owned by this process: no walsender, no loopback connection.
//!
//! Rules that hold here, each with a trap behind it:
//! - A context is created inside a transaction. Outside one the server marks the process as "in logical decoding"; other
//!   backends then leave its transactions out of their snapshots, and a row it commits can vanish for good.
//! - Caches are dropped before decoding starts: entries that ordinary SQL left describe tables as they are now, not as
//!   they were when the WAL was written.
//! - WAL is read only up to the flush pointer; a read behind it would sleep inside the server, deaf to the destination.

use std::ffi::{CString, c_char, c_int};

use pgrx::pg_sys;

use super::callbacks::OPENING;
use super::decoder::Decoder;
use super::sink::ChangeSink;
use super::txn::Commit;
use crate::error::{Error, Result};
use crate::logicalrep::Lsn;
use crate::pg::{compat, rel, report, xact};

/// The library's name is the plugin's name, and is stored in the slot.
pub const PLUGIN: &str = crate::pg::LIBRARY;

mod raw {
    use super::*;

    // Needed as C functions: the bindings' versions are Rust functions, or are not there.
    unsafe extern "C-unwind" {
        pub fn LogicalDecodingProcessRecord(
            context: *mut pg_sys::LogicalDecodingContext,
            reader: *mut pg_sys::XLogReaderState,
        );
        pub fn XLogReadRecord(
            reader: *mut pg_sys::XLogReaderState,
            message: *mut *mut c_char,
        ) -> *mut pg_sys::XLogRecord;
        pub fn read_local_xlog_page(
            reader: *mut pg_sys::XLogReaderState,
            page: pg_sys::XLogRecPtr,
            length: c_int,
            record: pg_sys::XLogRecPtr,
            buffer: *mut c_char,
        ) -> c_int;
        pub fn wal_segment_open(
            reader: *mut pg_sys::XLogReaderState,
            segment: pg_sys::XLogSegNo,
            timeline: *mut pg_sys::TimeLineID,
        );
        pub fn wal_segment_close(reader: *mut pg_sys::XLogReaderState);
    }
}

/// Reads a page, or says at once that it is not flushed yet, here or on the standbys that count; the reader can then be
/// asked again.
unsafe extern "C-unwind" fn read_flushed_page(
    reader: *mut pg_sys::XLogReaderState,
    page: pg_sys::XLogRecPtr,
    length: c_int,
    record: pg_sys::XLogRecPtr,
    buffer: *mut c_char,
) -> c_int {
    let end = Lsn(page + length as u64);
    // SAFETY: the reader belongs to a stream, which owns its slot.
    if end > compat::flush_lsn() || !unsafe { compat::standbys_have(end) } {
        return -1;
    }
    // SAFETY: called by the reader with its own arguments.
    unsafe { raw::read_local_xlog_page(reader, page, length, record, buffer) }
}

fn routine(page_read: pg_sys::XLogPageReadCB) -> pg_sys::XLogReaderRoutine {
    pg_sys::XLogReaderRoutine {
        page_read,
        segment_open: Some(raw::wal_segment_open),
        segment_close: Some(raw::wal_segment_close),
    }
}

/// Recent minor releases refuse output plugins that `output_plugin_libraries` does not list. This process allows its
/// own library for itself; every other session keeps the restriction.
pub fn allow_own_plugin() -> Result<()> {
    if xact::config(c"output_plugin_libraries").is_some() {
        xact::set_config(c"output_plugin_libraries", PLUGIN)?;
    }
    Ok(())
}

/// Creates the slot; waits until every transaction that runs now has ended. Returns its consistent point.
pub fn create_slot(name: &str) -> Result<Lsn> {
    let name = c_name(name)?;
    let plugin = c_name(PLUGIN)?;
    xact::in_transaction(|| {
        // SAFETY: inside a transaction of a worker that owns no slot. The context lives in TopMemoryContext and is
        // freed below; an error leaves the ephemeral slot to the error path, which drops it.
        unsafe {
            pg_sys::CheckLogicalDecodingRequirements();
            compat::replication_slot_create(&name);
            let previous = pg_sys::MemoryContextSwitchTo(pg_sys::TopMemoryContext);
            let mut routine = routine(Some(raw::read_local_xlog_page));
            OPENING.set(true);
            let context = pg_sys::CreateInitDecodingContext(
                plugin.as_ptr().cast_mut(),
                std::ptr::null_mut(),
                false,
                0,
                &mut routine,
                None,
                None,
                None,
            );
            OPENING.set(false);
            pg_sys::DecodingContextFindStartpoint(context);
            let consistent_point = (*pg_sys::MyReplicationSlot).data.confirmed_flush;
            pg_sys::FreeDecodingContext(context);
            pg_sys::MemoryContextSwitchTo(previous);
            pg_sys::ReplicationSlotPersist();
            pg_sys::ReplicationSlotRelease();
            Ok(Lsn(consistent_point))
        }
    })
    .inspect_err(|_| OPENING.set(false))
}

/// Drops a slot of this cluster. Waits for nobody: an active slot is an error. Nothing happens when it is gone.
pub fn drop_slot(name: &str) -> Result<()> {
    let name = c_name(name)?;
    report::catch(|| {
        // SAFETY: a valid C string; takes its own locks.
        unsafe { pg_sys::ReplicationSlotDrop(name.as_ptr(), true) };
        Ok(())
    })
}

fn c_name(name: &str) -> Result<CString> {
    CString::new(name).map_err(|_| Error::internal("a slot name contains a zero byte"))
}

/// What a round of decoding met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RoundEnd {
    /// There may be more.
    More,
    /// All flushed WAL is decoded.
    CaughtUp,
}

/// An open stream of changes. Ends with the process, or by [`Decoding::close`].
pub struct Decoding {
    context: *mut pg_sys::LogicalDecodingContext,
    decoder: Box<Decoder>,
}

impl Decoding {
    /// Takes the slot and starts behind `start`, or behind what the slot has confirmed if that is later.
    pub fn open(slot: &str, start: Lsn, sink: Box<dyn ChangeSink>) -> Result<Decoding> {
        let name = c_name(slot)?;
        let mut decoder = Decoder::new(sink);
        let decoder_pointer: *mut Decoder = &mut *decoder;
        let context = xact::in_transaction(|| {
            // SAFETY: inside a transaction (see the module's rules). The context lives in TopMemoryContext; the
            // decoder is boxed, so that its address stays while the context uses it.
            unsafe {
                compat::replication_slot_acquire(&name);
                let previous = pg_sys::MemoryContextSwitchTo(pg_sys::TopMemoryContext);
                let mut routine = routine(Some(read_flushed_page));
                OPENING.set(true);
                let context =
                    pg_sys::CreateDecodingContext(start.0, std::ptr::null_mut(), false, &mut routine, None, None, None);
                OPENING.set(false);
                (*context).output_writer_private = decoder_pointer.cast();
                pg_sys::XLogBeginRead((*context).reader, (*pg_sys::MyReplicationSlot).data.restart_lsn);
                pg_sys::MemoryContextSwitchTo(previous);
                Ok(context)
            }
        })
        .inspect_err(|_| OPENING.set(false))?;
        // SAFETY: outside a transaction; see the module's rules.
        unsafe { pg_sys::InvalidateSystemCaches() };
        Ok(Decoding { context, decoder })
    }

    /// Decodes up to `records` WAL records, calling the sink. After an error the stream must not be used again.
    pub fn step(&mut self, records: usize) -> Result<RoundEnd> {
        let outcome = report::catch(|| self.decode(records));
        // SAFETY: decoding leaves another context current.
        unsafe { pg_sys::MemoryContextSwitchTo(pg_sys::TopMemoryContext) };
        // The sink's own error says more than the plain one that carried it out.
        outcome.map_err(|error| self.decoder.error.take().unwrap_or(error))
    }

    /// The records of a step share one transaction. Inside it the server replays each decoded transaction in a
    /// subtransaction, which costs less than half of a transaction of its own; it takes no snapshot and so holds nothing
    /// back.
    fn decode(&mut self, records: usize) -> Result<RoundEnd> {
        let context = self.context;
        let decoder: *mut Decoder = &raw mut *self.decoder;
        let mut step = RoundEnd::More;
        let mut message: *mut c_char = std::ptr::null_mut();
        // SAFETY: the context is live and used by this process only. The guard turns server errors into panics; no
        // frame inside it has anything to drop.
        unsafe {
            pg_sys::SetCurrentStatementStartTimestamp();
            pg_sys::StartTransactionCommand();
            let (reader, buffer) = ((*context).reader, (*context).reorder);
            (*decoder).spools.read_limit();
            let mut left = records;
            let mut look = true;
            while std::mem::take(&mut look) {
                pg_sys::ffi::pg_guard_ffi_boundary(|| {
                    while left > 0 && !look {
                        left -= 1;
                        // A large record's room belongs to the reader, which outlives the transaction.
                        pg_sys::CurrentMemoryContext = pg_sys::TopMemoryContext;
                        let record = raw::XLogReadRecord(reader, &mut message);
                        if record.is_null() || !message.is_null() {
                            step = RoundEnd::CaughtUp;
                            break;
                        }
                        (*decoder).commit = Commit::of(record, reader);
                        raw::LogicalDecodingProcessRecord(context, reader);
                        look = (*decoder).spools.are_due(record, buffer);
                    }
                });
                if look {
                    (*decoder).tend_spools(buffer, Lsn((*reader).ReadRecPtr))?;
                }
            }
            compat::update_decoding_stats(context);
            if !message.is_null() {
                let text = rel::text(message);
                return Err(Error::new("58P01", format!("could not read WAL: {text}")));
            }
            pg_sys::CommitTransactionCommand();
        }
        Ok(step)
    }

    /// Up to where WAL has been read.
    pub fn position(&self) -> Lsn {
        // SAFETY: the context is live.
        Lsn(unsafe { (*(*self.context).reader).EndRecPtr })
    }

    /// Tells the slot that everything before `lsn` is durable on the destination.
    pub fn confirm(&mut self, lsn: Lsn) -> Result<()> {
        report::catch(|| {
            // SAFETY: this process owns the slot.
            unsafe { pg_sys::LogicalConfirmReceivedLocation(lsn.0) };
            Ok(())
        })
    }

    /// What the slot has confirmed.
    pub fn confirmed(&self) -> Lsn {
        // SAFETY: this process owns the slot.
        Lsn(unsafe { (*pg_sys::MyReplicationSlot).data.confirmed_flush })
    }
}
