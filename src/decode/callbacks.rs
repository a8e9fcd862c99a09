//! The output plugin: what the server calls while it decodes.
//!
//! The plugin has two lives. In our own apply worker it feeds the sink, by the [`Decoder`]. Any other process (a walsender,
//! `pg_logical_slot_get_changes`) reads a slot of its own in one of the formats of `wire`: `reader` has that,
//! and refuses the slots of tasks at start-up, because reading one would take changes away from the task.
//!
//! An error of the sink cannot travel through the server's C frames as a Rust value. It is put aside in the
//! [`Decoder`], a plain server ERROR is raised, and `context` picks the kept one up when that has arrived.

use std::cell::Cell;
use std::ffi::{CStr, c_char};

use pgrx::pg_sys;
use pgrx::prelude::*;

use super::decoder::Decoder;
use crate::error::Error;
use crate::logicalrep::Lsn;
use crate::pg::{compat, report};
use crate::reader::plugin as reader;

thread_local! {
    /// True while this process opens a decoding context of its own.
    pub(super) static OPENING: Cell<bool> = const { Cell::new(false) };
}

/// The entry point that the server looks up in an output plugin.
///
/// # Safety
/// Called by the server with a callback table to fill.
#[unsafe(no_mangle)]
#[pg_guard]
pub unsafe extern "C-unwind" fn _PG_output_plugin_init(callbacks: *mut pg_sys::OutputPluginCallbacks) {
    // SAFETY: by contract.
    let callbacks = unsafe { &mut *callbacks };
    callbacks.startup_cb = Some(startup);
    callbacks.begin_cb = Some(begin);
    callbacks.change_cb = Some(change);
    callbacks.truncate_cb = Some(truncate);
    callbacks.commit_cb = Some(commit);
    callbacks.filter_by_origin_cb = Some(filter_by_origin);
    callbacks.message_cb = Some(message);
}

#[pg_guard]
unsafe extern "C-unwind" fn startup(
    context: *mut pg_sys::LogicalDecodingContext,
    options: *mut pg_sys::OutputPluginOptions,
    is_init: bool,
) {
    // SAFETY: by the callback's contract.
    unsafe {
        (*options).output_type = pg_sys::OutputPluginOutputType::OUTPUT_PLUGIN_BINARY_OUTPUT;
        if OPENING.get() {
            // What ALTER TABLE writes anew is what the values are.
            (*options).receive_rewrites = true;
        } else {
            reader::startup(context, options, is_init);
        }
    }
}

/// # Safety
/// `context` is a context that `context` opened.
unsafe fn decoder<'a>(context: *mut pg_sys::LogicalDecodingContext) -> Option<&'a mut Decoder> {
    // SAFETY: by contract the pointer is null (while a slot is created) or a Decoder that outlives the context.
    unsafe { (*context).output_writer_private.cast::<Decoder>().as_mut() }
}

/// Keeps the sink's error and leaves by a server ERROR.
fn fail(decoder: &mut Decoder, error: Error) -> ! {
    let plain = Error::new(error.sqlstate(), error.message().to_owned());
    decoder.error = Some(error);
    report::raise(&plain)
}

/// True leaves a record out before it is even collected, or at its commit a transaction. The server asks for each
/// record, so the usual answer comes without a guard: nothing in it can fail.
unsafe extern "C-unwind" fn filter_by_origin(
    context: *mut pg_sys::LogicalDecodingContext,
    origin: pg_sys::RepOriginId,
) -> bool {
    // SAFETY: by the callback's contract.
    unsafe {
        if reader::of(context).is_some() {
            return false;
        }
        match decoder(context) {
            None => false,
            Some(decoder) if origin != 0 => decoder.only_local,
            Some(decoder) if decoder.commit.is_none() => false,
            Some(_) => replay_at_commit(context),
        }
    }
}

/// The transaction can be left out because it was replayed here.
#[pg_guard]
unsafe extern "C-unwind" fn replay_at_commit(context: *mut pg_sys::LogicalDecodingContext) -> bool {
    // SAFETY: by the callback's contract.
    unsafe {
        let Some(decoder) = decoder(context) else { return false };
        match decoder.replay((*context).reorder) {
            Ok(replayed) => replayed,
            Err(error) => fail(decoder, error),
        }
    }
}

#[pg_guard]
unsafe extern "C-unwind" fn begin(context: *mut pg_sys::LogicalDecodingContext, txn: *mut pg_sys::ReorderBufferTXN) {
    // SAFETY: by the callback's contract.
    unsafe {
        if let Some(reader) = reader::of(context) {
            reader.begin(context, txn);
        } else if let Some(decoder) = decoder(context) {
            decoder.begin(compat::transaction(txn));
            let checked = decoder.check_changed();
            if let Err(error) = checked.and_then(|()| decoder.play_spool((*context).reorder, txn, None)) {
                fail(decoder, error);
            }
        }
    }
}

#[pg_guard]
unsafe extern "C-unwind" fn change(
    context: *mut pg_sys::LogicalDecodingContext,
    _txn: *mut pg_sys::ReorderBufferTXN,
    relation: pg_sys::Relation,
    change: *mut pg_sys::ReorderBufferChange,
) {
    // SAFETY: by the callback's contract.
    unsafe {
        if let Some(reader) = reader::of(context) {
            return reader.change(context, relation, change);
        }
        let Some(decoder) = decoder(context) else { return };
        if decoder.leaves_out(relation) {
            return;
        }
        if let Err(error) = decoder.change(relation, change) {
            fail(decoder, error);
        }
    }
}

#[pg_guard]
unsafe extern "C-unwind" fn truncate(
    context: *mut pg_sys::LogicalDecodingContext,
    _txn: *mut pg_sys::ReorderBufferTXN,
    count: i32,
    relations: *mut pg_sys::Relation,
    change: *mut pg_sys::ReorderBufferChange,
) {
    // SAFETY: by the callback's contract.
    unsafe {
        if let Some(reader) = reader::of(context) {
            return reader.truncate(context, std::slice::from_raw_parts(relations, count as usize), change);
        }
        let Some(decoder) = decoder(context) else { return };
        if decoder.left_out {
            return;
        }
        let relations = std::slice::from_raw_parts(relations, count as usize);
        if let Err(error) = decoder.truncate(relations, change) {
            fail(decoder, error);
        }
    }
}

#[pg_guard]
unsafe extern "C-unwind" fn commit(
    context: *mut pg_sys::LogicalDecodingContext,
    _txn: *mut pg_sys::ReorderBufferTXN,
    _commit_lsn: pg_sys::XLogRecPtr,
) {
    // SAFETY: by the callback's contract.
    unsafe {
        if let Some(reader) = reader::of(context) {
            return reader.commit(context);
        }
        let Some(decoder) = decoder(context) else { return };
        if let Err(error) = decoder.end() {
            fail(decoder, error);
        }
    }
}

/// Logical messages are for readers; a task has no use for them.
#[pg_guard]
unsafe extern "C-unwind" fn message(
    context: *mut pg_sys::LogicalDecodingContext,
    _txn: *mut pg_sys::ReorderBufferTXN,
    lsn: pg_sys::XLogRecPtr,
    transactional: bool,
    prefix: *const c_char,
    size: pg_sys::Size,
    content: *const c_char,
) {
    // SAFETY: by the callback's contract; the content has that many bytes.
    unsafe {
        if let Some(reader) = reader::of(context) {
            let content = std::slice::from_raw_parts(content.cast::<u8>(), size);
            reader.message(context, Lsn(lsn), transactional, CStr::from_ptr(prefix), content);
        }
    }
}
