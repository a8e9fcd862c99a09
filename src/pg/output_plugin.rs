//! The output plugin callbacks: from the reorder buffer's changes to [`Change`]s for the sink.
//!
//! The plugin has two lives. In our own apply worker it feeds the sink, as told here. Any other process (a walsender,
//! `pg_logical_slot_get_changes`) reads a slot of its own in one of the formats of `wire`: `pg::wire_plugin` has that,
//! and refuses the slots of tasks at start-up, because reading one would take changes away from the task.
//!
//! An error of the sink cannot travel through the server's C frames as a Rust value. It is put aside in the
//! [`Decoder`], a plain server ERROR is raised, and `pg::logical` picks the kept one up when that has arrived.

use std::cell::Cell;
use std::ffi::{CStr, c_char};
use std::rc::Rc;

use pgrx::pg_sys;
use pgrx::prelude::*;

use crate::error::{Error, Result, sqlstate};
use crate::logicalrep::relation::{Fields, Identity};
use crate::logicalrep::{Change, ChangeSink, FastMap, Transaction};
use crate::logicalrep::{Lsn, Relation};
use crate::pg::rel::{self, Described};
use crate::pg::tuple::{OldTuple, Purpose, Workspace};
use crate::pg::{compat, invalidation, report, wire_plugin};

/// The helper tables that begin each transaction which a task applies here.
const MARKS: [&str; 2] = ["\"courier_applied\".\"progress\"", "\"courier_applied\".\"table_progress\""];

thread_local! {
    /// True while this process opens a decoding context of its own.
    pub(super) static OPENING: Cell<bool> = const { Cell::new(false) };
}

/// What the callbacks work with; the decoding context points to it.
pub struct Decoder {
    pub(super) sink: Box<dyn ChangeSink>,
    pub(super) error: Option<Error>,
    relations: FastMap<u32, Described>,
    new: Workspace,
    old: Workspace,
    row: Vec<u8>,
    key: Vec<u8>,
    transaction: Transaction,
    /// Is the rest of the transaction left out?
    left_out: bool,
    /// Which tables outside the task are marks of an applied transaction, by OID.
    marks: FastMap<u32, bool>,
}

impl Decoder {
    pub(super) fn new(sink: Box<dyn ChangeSink>) -> Box<Decoder> {
        invalidation::register();
        Box::new(Decoder {
            sink,
            error: None,
            relations: FastMap::default(),
            new: Workspace::new(),
            old: Workspace::new(),
            row: Vec::new(),
            key: Vec::new(),
            transaction: Transaction::default(),
            left_out: false,
            marks: FastMap::default(),
        })
    }

    /// Forgets definitions that invalidation messages named.
    fn drop_stale(&mut self) {
        let (marks, relations) = (&mut self.marks, &mut self.relations);
        invalidation::drain(|table| {
            marks.clear();
            match table {
                Some(oid) => relations.get_mut(&oid).into_iter().for_each(Described::forget),
                None => relations.values_mut().for_each(Described::forget),
            }
        });
    }

    /// Is this the helper table whose row a task of pg_courier updates first in each transaction it applies here?
    ///
    /// # Safety
    /// `relation` is open, inside a callback.
    unsafe fn is_mark(&mut self, relation: pg_sys::Relation) -> bool {
        self.drop_stale();
        // SAFETY: by contract.
        let oid = unsafe { (*relation).rd_id.to_u32() };
        // SAFETY: by contract.
        *self.marks.entry(oid).or_insert_with(|| unsafe {
            let name = rel::table_name(relation);
            MARKS.contains(&name.as_str())
        })
    }

    /// # Safety
    /// As for the callback `change`; the relation is a mark.
    unsafe fn read_mark(&mut self, relation: pg_sys::Relation, change: *mut pg_sys::ReorderBufferChange) -> Result<()> {
        // SAFETY: by contract.
        unsafe {
            let (_, tuple) = compat::tuples(change);
            if tuple.is_null() {
                return Ok(());
            }
            self.describe(relation)?;
            let Some(described) = self.relations.get_mut(&(*relation).rd_id.to_u32()) else { return Ok(()) };
            self.new.deform(tuple, (*relation).rd_att, described.natts);
            let (values, nulls) = self.new.take();
            self.row.clear();
            let row = &mut self.row;
            self.new.scratch(|| described.encode(&values, &nulls, None, Purpose::Param, row));
            self.new.put(values, nulls);
            let columns = described.relation.columns.iter();
            let source = columns.zip(Fields(row)).find(|(column, _)| column.name == "source_id");
            if let Some((_, field)) = source {
                self.left_out = self.sink.leaves_out(field.get(4..).unwrap_or_default());
            }
            Ok(())
        }
    }

    /// # Safety
    /// `relation` is open, inside a callback.
    unsafe fn describe(&mut self, relation: pg_sys::Relation) -> Result<&mut Described> {
        self.drop_stale();
        // SAFETY: by contract.
        let oid = unsafe { (*relation).rd_id.to_u32() };
        let fresh = match self.relations.get(&oid) {
            Some(known) if !known.is_stale() => None,
            // SAFETY: by contract.
            _ => Some(unsafe { rel::describe(relation)? }),
        };
        if let Some(fresh) = fresh {
            let fresh = match self.relations.remove(&oid) {
                Some(known) => fresh.keep_generation_of(&known),
                None => fresh,
            };
            self.relations.insert(oid, fresh);
        }
        self.relations.get_mut(&oid).ok_or_else(|| Error::internal("relation cache entry is missing"))
    }
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
        if !OPENING.get() {
            wire_plugin::startup(context, options, is_init);
        }
    }
}

/// # Safety
/// `context` is a context that `pg::logical` opened.
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

/// True leaves a transaction out before it is even collected.
#[pg_guard]
unsafe extern "C-unwind" fn filter_by_origin(
    context: *mut pg_sys::LogicalDecodingContext,
    origin: pg_sys::RepOriginId,
) -> bool {
    // SAFETY: by the callback's contract.
    let decoder = unsafe {
        if wire_plugin::of(context).is_some() {
            return false;
        }
        decoder(context)
    };
    origin != 0 && decoder.is_some_and(|decoder| decoder.sink.only_local())
}

#[pg_guard]
unsafe extern "C-unwind" fn begin(context: *mut pg_sys::LogicalDecodingContext, txn: *mut pg_sys::ReorderBufferTXN) {
    // SAFETY: by the callback's contract.
    unsafe {
        if let Some(reader) = wire_plugin::of(context) {
            reader.begin(context, txn);
        } else if let Some(decoder) = decoder(context) {
            decoder.transaction = Transaction {
                xid: u32::from((*txn).xid),
                commit_lsn: Lsn((*txn).final_lsn),
                end_lsn: Lsn((*txn).end_lsn),
                commit_time: compat::commit_time(txn),
                change_lsn: Lsn::INVALID,
            };
            decoder.left_out = false;
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
        if let Some(reader) = wire_plugin::of(context) {
            return reader.change(context, relation, change);
        }
        let Some(decoder) = decoder(context) else { return };
        if decoder.left_out {
            return;
        }
        let transaction = decoder.transaction;
        if !decoder.sink.wants((*relation).rd_id.to_u32(), &transaction) {
            if decoder.is_mark(relation)
                && let Err(error) = decoder.read_mark(relation, change)
            {
                fail(decoder, error);
            }
            return;
        }
        decoder.transaction.change_lsn = Lsn((*change).lsn);
        if let Err(error) = row_change(decoder, relation, change) {
            fail(decoder, error);
        }
    }
}

/// # Safety
/// As for the callback `change`.
unsafe fn row_change(
    decoder: &mut Decoder,
    relation: pg_sys::Relation,
    change: *mut pg_sys::ReorderBufferChange,
) -> Result<()> {
    // SAFETY: by contract; tuples belong to the relation's descriptor.
    unsafe {
        decoder.describe(relation)?;
        let Decoder { sink, relations, new, old, row, key, transaction, .. } = decoder;
        let described = relations
            .get_mut(&(*relation).rd_id.to_u32())
            .ok_or_else(|| Error::internal("relation cache entry is missing"))?;
        let shared: Rc<Relation> = described.relation.clone();
        let desc = (*relation).rd_att;
        let natts = described.natts;
        let (old_tuple, new_tuple) = compat::tuples(change);
        row.clear();
        key.clear();
        if !new_tuple.is_null() {
            new.deform(new_tuple, desc, natts);
        }
        if !old_tuple.is_null() {
            old.deform(old_tuple, desc, natts);
        }
        let ((new_values, new_nulls), (old_values, old_nulls)) = (new.take(), old.take());
        // What identifies the old row: the old tuple where one was logged, else the unchanged key of the new one.
        let old_parts = if old_tuple.is_null() { (&new_values, &new_nulls) } else { (&old_values, &old_nulls) };
        let action = (*change).action;
        let is_insert = action == pg_sys::ReorderBufferChangeType::REORDER_BUFFER_CHANGE_INSERT;
        let is_delete = action == pg_sys::ReorderBufferChangeType::REORDER_BUFFER_CHANGE_DELETE;
        let has_identity = match shared.identity {
            Identity::Key => !is_delete || !old_tuple.is_null(),
            Identity::FullRow => !old_tuple.is_null(),
            Identity::Nothing => false,
        };
        let outcome = if (is_insert || !is_delete) && new_tuple.is_null() {
            Err(Error::new(sqlstate::DATA_CORRUPTED, "a change without a new row was decoded"))
        } else if !is_insert && !has_identity {
            Err(missing_identity(&shared, if is_delete { "DELETE" } else { "UPDATE" }))
        } else {
            new.scratch(|| {
                let full = shared.identity == Identity::FullRow;
                if !is_insert {
                    if full {
                        described.encode(old_parts.0, old_parts.1, None, Purpose::Param, key);
                    } else {
                        described.encode_key(old_parts.0, old_parts.1, key);
                    }
                }
                if !is_delete {
                    let known = (!old_tuple.is_null()).then_some(OldTuple {
                        values: &old_values,
                        nulls: &old_nulls,
                        is_full: (*(*relation).rd_rel).relreplident as u8 == b'f',
                    });
                    described.encode(&new_values, &new_nulls, known, Purpose::Param, row);
                }
            });
            let value = match (is_insert, is_delete) {
                (true, _) => Change::Insert { row },
                (_, true) => Change::Delete { old: key },
                _ => Change::Update { old: key, row },
            };
            sink.change(transaction, &shared, value)
        };
        let lsn = Lsn((*change).lsn);
        let outcome = outcome.map_err(|error| {
            // A DELETE without an old tuple has nothing to show; the workspaces then hold an earlier change's leftovers.
            let shown = match (new_tuple.is_null(), old_tuple.is_null()) {
                (true, true) => "(not logged)".to_owned(),
                (false, _) if is_insert => described.show_key(desc, &new_values, &new_nulls),
                _ => described.show_key(desc, old_parts.0, old_parts.1),
            };
            let verb = match (is_insert, is_delete) {
                (true, _) => "INSERT",
                (_, true) => "DELETE",
                _ => "UPDATE",
            };
            error
                .context(format!("Source change: {verb} on {}, key {shown}, LSN {lsn}.", shared.qualified_name()))
                .context(where_committed(transaction))
        });
        new.put(new_values, new_nulls);
        old.put(old_values, old_nulls);
        outcome
    }
}

fn where_committed(transaction: &Transaction) -> String {
    format!("Source transaction {}, commit LSN {}.", transaction.xid, transaction.commit_lsn)
}

fn missing_identity(relation: &Relation, verb: &str) -> Error {
    let name = relation.qualified_name();
    Error::new(
        sqlstate::OBJECT_NOT_IN_PREREQUISITE_STATE,
        format!("cannot apply {verb} on {name}: the row has no replica identity"),
    )
    .detail("The table has no primary key and no other replica identity, so the WAL does not say which row was meant.")
    .hint(format!(
        "ALTER TABLE {name} REPLICA IDENTITY FULL; (or add a primary key) helps from then on. This change cannot be \
         recovered from the WAL: drop the task, empty the table on the destination and create the task anew."
    ))
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
        if let Some(reader) = wire_plugin::of(context) {
            return reader.truncate(context, std::slice::from_raw_parts(relations, count as usize), change);
        }
        let Some(decoder) = decoder(context) else { return };
        if decoder.left_out {
            return;
        }
        decoder.transaction.change_lsn = Lsn((*change).lsn);
        let transaction = decoder.transaction;
        let mut wanted = Vec::new();
        for index in 0..count as usize {
            let relation = *relations.add(index);
            // The list names a partitioned table and its partitions; only those hold rows.
            if (*(*relation).rd_rel).relkind as u8 != pg_sys::RELKIND_RELATION
                || !decoder.sink.wants((*relation).rd_id.to_u32(), &transaction)
            {
                continue;
            }
            match decoder.describe(relation) {
                Ok(described) => wanted.push(described.relation.clone()),
                Err(error) => fail(decoder, error),
            }
        }
        if wanted.is_empty() {
            return;
        }
        let restart = (*change).data.truncate.restart_seqs;
        if let Err(error) = decoder.sink.truncate(&transaction, &wanted, restart) {
            let names: Vec<String> = wanted.iter().map(|r| r.qualified_name()).collect();
            let error = error
                .context(format!("Source change: TRUNCATE {}, LSN {}.", names.join(", "), Lsn((*change).lsn)))
                .context(where_committed(&transaction));
            drop((wanted, names));
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
        if let Some(reader) = wire_plugin::of(context) {
            return reader.commit(context);
        }
        let Some(decoder) = decoder(context) else { return };
        let transaction = decoder.transaction;
        if let Err(error) = decoder.sink.commit(&transaction) {
            fail(decoder, error.context(where_committed(&transaction)));
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
        if let Some(reader) = wire_plugin::of(context) {
            let content = std::slice::from_raw_parts(content.cast::<u8>(), size);
            reader.message(context, Lsn(lsn), transactional, CStr::from_ptr(prefix), content);
        }
    }
}
