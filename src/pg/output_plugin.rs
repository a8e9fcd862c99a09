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
use crate::logicalrep::{Change, ChangeSink, Lsn, Mark, Relation, Transaction, Wanted};
use crate::pg::met::Tables;
use crate::pg::rel::{self, Described};
use crate::pg::replay::Commit;
use crate::pg::spools::Spools;
use crate::pg::tuple::{Deformed, OldTuple, Purpose, Scratch};
use crate::pg::{compat, invalidation, report, wire_plugin};

thread_local! {
    /// True while this process opens a decoding context of its own.
    pub(super) static OPENING: Cell<bool> = const { Cell::new(false) };
}

/// What the callbacks work with; the decoding context points to it.
pub struct Decoder {
    pub(super) sink: Box<dyn ChangeSink>,
    only_local: bool,
    pub(super) error: Option<Error>,
    pub(super) tables: Tables,
    pub(super) rows: Rows,
    pub(super) transaction: Transaction,
    /// Is the rest of the transaction left out?
    left_out: bool,
    /// The plain commit record that the server is about to process.
    pub(super) commit: Option<Commit>,
    /// The tables of the changes of a transaction that is looked at.
    pub(super) found: Vec<usize>,
    /// Changes of large transactions that have not committed yet.
    pub(super) spools: Spools,
}

/// Room for the rows of one change.
pub(super) struct Rows {
    scratch: Scratch,
    new: Deformed,
    old: Deformed,
    row: Vec<u8>,
    key: Vec<u8>,
}

/// What a row change is, and what the WAL holds of it.
#[derive(Clone, Copy)]
pub(super) struct Shape {
    is_insert: bool,
    is_delete: bool,
    /// Does the WAL say which row was meant?
    has_identity: bool,
    has_new: bool,
}

impl Shape {
    /// # Safety
    /// `change` is a row change of the table.
    unsafe fn of(relation: &Relation, change: *mut pg_sys::ReorderBufferChange) -> Shape {
        // SAFETY: by contract.
        let (action, (old, new)) = unsafe { ((*change).action, compat::tuples(change)) };
        let is_insert = action == pg_sys::ReorderBufferChangeType::REORDER_BUFFER_CHANGE_INSERT;
        let is_delete = action == pg_sys::ReorderBufferChangeType::REORDER_BUFFER_CHANGE_DELETE;
        let (has_old, has_new) = (!old.is_null(), !new.is_null());
        let has_identity = is_insert
            || match relation.identity {
                Identity::Key => !is_delete || has_old,
                Identity::FullRow => has_old,
                Identity::Nothing | Identity::Generated => false,
            };
        Shape { is_insert, is_delete, has_identity, has_new }
    }

    /// Is there all that it takes to apply it?
    fn is_complete(self) -> bool {
        self.has_identity && (self.is_delete || self.has_new)
    }

    fn verb(self) -> &'static str {
        match (self.is_insert, self.is_delete) {
            (true, _) => "INSERT",
            (_, true) => "DELETE",
            _ => "UPDATE",
        }
    }
}

impl Decoder {
    pub(super) fn new(sink: Box<dyn ChangeSink>) -> Box<Decoder> {
        invalidation::register();
        // SAFETY: this context lives as long as the process.
        let scratch = unsafe { Scratch::new(pg_sys::TopMemoryContext, c"pg_courier row encoding") };
        Box::new(Decoder {
            only_local: sink.only_local(),
            sink,
            error: None,
            tables: Tables::default(),
            rows: Rows {
                scratch,
                new: Deformed::default(),
                old: Deformed::default(),
                row: Vec::new(),
                key: Vec::new(),
            },
            transaction: Transaction::default(),
            left_out: false,
            commit: None,
            found: Vec::new(),
            spools: Spools::default(),
        })
    }

    /// # Safety
    /// As for the callback `change`; the relation is a mark.
    unsafe fn read_mark(
        &mut self,
        table: usize,
        owner: u32,
        relation: pg_sys::Relation,
        change: *mut pg_sys::ReorderBufferChange,
    ) -> Result<()> {
        // SAFETY: by contract.
        unsafe {
            let (_, tuple) = compat::tuples(change);
            if tuple.is_null() {
                return Ok(());
            }
            let described = self.tables.describe(table, relation)?;
            let Rows { scratch, new, row, .. } = &mut self.rows;
            row.clear();
            report::guarded(|| {
                new.take(tuple, described.desc.0);
                scratch.run(|| described.encode(new.row(), None, Purpose::Param, row));
            });
            let columns = described.relation.columns.iter();
            let source = columns.zip(Fields(row)).find(|(column, _)| column.name == "source_id");
            if let Some((_, field)) = source {
                let source = field.get(4..).unwrap_or_default();
                let mark = Mark { table: self.tables.at(table).oid, owner, source };
                let outcome = self.sink.leaves_out(&self.transaction, &mark);
                self.left_out = outcome.map_err(|error| error.context(where_committed(&self.transaction)))?;
            }
            Ok(())
        }
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

/// True leaves a record out before it is even collected, or at its commit a transaction. The server asks for each
/// record, so the usual answer comes without a guard: nothing in it can fail.
unsafe extern "C-unwind" fn filter_by_origin(
    context: *mut pg_sys::LogicalDecodingContext,
    origin: pg_sys::RepOriginId,
) -> bool {
    // SAFETY: by the callback's contract.
    unsafe {
        if wire_plugin::of(context).is_some() {
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
        if let Some(reader) = wire_plugin::of(context) {
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
        if let Some(reader) = wire_plugin::of(context) {
            return reader.change(context, relation, change);
        }
        let Some(decoder) = decoder(context) else { return };
        if decoder.left_out {
            return;
        }
        if let Err(error) = decoder.change(relation, change) {
            fail(decoder, error);
        }
    }
}

impl Decoder {
    pub(super) fn begin(&mut self, transaction: Transaction) {
        self.transaction = transaction;
        self.left_out = false;
        self.tables.enter(&transaction, &*self.sink);
    }

    /// # Safety
    /// Inside the callback that begins the transaction.
    unsafe fn check_changed(&mut self) -> Result<()> {
        if !invalidation::has_changed() {
            return Ok(());
        }
        // SAFETY: by contract.
        let checked = unsafe { self.tables.check_changed(&self.transaction, &*self.sink) };
        checked.map_err(|error| error.context(where_committed(&self.transaction)))
    }

    /// # Safety
    /// The arguments of the callback.
    unsafe fn change(&mut self, relation: pg_sys::Relation, change: *mut pg_sys::ReorderBufferChange) -> Result<()> {
        // SAFETY: by contract.
        unsafe {
            let table = self.tables.meet(relation, change, &*self.sink, self.tables.settled()).map_err(|error| {
                let (name, lsn) = (rel::table_name(relation), Lsn((*change).lsn));
                error
                    .context(format!("Source change: {} on {name}, LSN {lsn}.", verb_of(change)))
                    .context(where_committed(&self.transaction))
            })?;
            if self.wants(table) {
                self.tables.describe(table, relation)?;
                self.row_change(table, change)
            } else if let Some(owner) = self.tables.at(table).marked_by {
                self.read_mark(table, owner, relation, change)
            } else {
                Ok(())
            }
        }
    }

    pub(super) fn end(&mut self) -> Result<()> {
        self.sink.commit(&self.transaction).map_err(|error| error.context(where_committed(&self.transaction)))
    }

    pub(super) fn wants(&self, table: usize) -> bool {
        let met = self.tables.at(table);
        match met.wanted {
            Wanted::Nothing => false,
            Wanted::InParts => self.sink.wants(met.oid, &self.transaction),
            Wanted::Everything => true,
        }
    }

    /// Encodes a change of a table that is described, and hands it to the sink.
    ///
    /// # Safety
    /// `change` is a row change of the table, inside a callback.
    pub(super) unsafe fn row_change(&mut self, table: usize, change: *mut pg_sys::ReorderBufferChange) -> Result<()> {
        let Decoder { sink, tables, rows, transaction, .. } = self;
        let described = tables.described(table).ok_or_else(|| Error::internal("a table's definition is missing"))?;
        // SAFETY: by contract; tuples belong to the relation's descriptor.
        unsafe {
            transaction.change_lsn = Lsn((*change).lsn);
            let shape = Shape::of(&described.relation, change);
            if !shape.is_delete && !shape.has_new {
                return Err(Error::new(sqlstate::DATA_CORRUPTED, "a change without a new row was decoded"));
            }
            let mut encoded = Ok(());
            if shape.has_identity {
                report::guarded(|| rows.encode(described, change, shape));
            } else {
                encoded = Err(missing_identity(&described.relation, shape.verb()));
            }
            let value = rows.change(shape);
            let outcome = encoded.and_then(|()| sink.change(transaction, &described.relation, value));
            outcome.map_err(|error| {
                let (old, new) = compat::tuples(change);
                let shown = rows.show_key(described, old, new, shape.is_insert);
                let (verb, name, lsn) = (shape.verb(), described.relation.shown(), Lsn((*change).lsn));
                error
                    .lsn(lsn)
                    .context(format!("Source change: {verb} on {name}, key {shown}, LSN {lsn}."))
                    .context(where_committed(transaction))
            })
        }
    }

    /// Has the change, of a table that is described, all that it takes to apply it?
    ///
    /// # Safety
    /// `change` is a row change of the table.
    pub(super) unsafe fn is_complete(&mut self, table: usize, change: *mut pg_sys::ReorderBufferChange) -> bool {
        let Some(described) = self.tables.described(table) else { return false };
        // SAFETY: by contract.
        unsafe { Shape::of(&described.relation, change).is_complete() }
    }

    /// Encodes a complete change of a table that is described.
    ///
    /// # Safety
    /// `change` is a complete row change of the table, where a historic snapshot is set.
    pub(super) unsafe fn encode(
        &mut self,
        table: usize,
        change: *mut pg_sys::ReorderBufferChange,
    ) -> Result<(&mut dyn ChangeSink, &Rc<Relation>, Change<'_>)> {
        let Decoder { sink, tables, rows, .. } = self;
        let described = tables.described(table).ok_or_else(|| Error::internal("a table's definition is missing"))?;
        // SAFETY: by contract.
        unsafe {
            let shape = Shape::of(&described.relation, change);
            report::guarded(|| rows.encode(described, change, shape));
            Ok((&mut **sink, &described.relation, rows.change(shape)))
        }
    }

    /// Hands a change of the spool to the sink.
    pub(super) fn spooled_change(&mut self, relation: &Rc<Relation>, lsn: Lsn, change: Change<'_>) -> Result<()> {
        self.transaction.change_lsn = lsn;
        if !self.wants(relation.slot) {
            return Ok(());
        }
        self.sink.change(&self.transaction, relation, change).map_err(|error| {
            let verb = match change {
                Change::Insert { .. } => "INSERT",
                Change::Update { .. } => "UPDATE",
                Change::Delete { .. } => "DELETE",
            };
            let name = relation.shown();
            error
                .lsn(lsn)
                .context(format!("Source change: {verb} on {name}, LSN {lsn}."))
                .context(where_committed(&self.transaction))
        })
    }
}

/// Bytes of the last row whose room serves the next.
const MOST_KEPT: usize = 1 << 20;

impl Rows {
    /// Encodes the new row, and what identifies the old one: the old tuple where one was logged, else the unchanged key
    /// of the new one.
    ///
    /// # Safety
    /// `change` is a row change of the described table that has what it needs. Inside a guard.
    unsafe fn encode(&mut self, described: &mut Described, change: *mut pg_sys::ReorderBufferChange, shape: Shape) {
        let Rows { scratch, new, old, row, key } = self;
        for bytes in [&mut *row, &mut *key] {
            bytes.clear();
            // The room of one huge row is not kept.
            bytes.shrink_to(MOST_KEPT);
        }
        // SAFETY: by contract.
        unsafe {
            let (old_tuple, new_tuple) = compat::tuples(change);
            let has_old = !old_tuple.is_null();
            if has_old {
                old.take(old_tuple, described.desc.0);
            }
            if !shape.is_delete {
                new.take(new_tuple, described.desc.0);
            }
            scratch.run(|| {
                let before = if has_old { old.row() } else { new.row() };
                match described.relation.identity {
                    _ if shape.is_insert => {}
                    Identity::FullRow => described.encode(before, None, Purpose::Param, key),
                    _ => described.encode_key(before, key),
                }
                if !shape.is_delete {
                    let known = has_old.then(|| OldTuple { row: old.row(), is_full: described.is_full });
                    described.encode(new.row(), known, Purpose::Param, row);
                }
            });
        }
    }

    /// What was encoded last.
    fn change(&self, shape: Shape) -> Change<'_> {
        match (shape.is_insert, shape.is_delete) {
            (true, _) => Change::Insert { row: &self.row },
            (_, true) => Change::Delete { old: &self.key },
            _ => Change::Update { old: &self.key, row: &self.row },
        }
    }

    /// The key of a change for a message.
    ///
    /// # Safety
    /// The tuples belong to the described table, or are null; where catalogs can be read.
    unsafe fn show_key(
        &mut self,
        described: &Described,
        old: pg_sys::HeapTuple,
        new: pg_sys::HeapTuple,
        is_insert: bool,
    ) -> String {
        let tuple = if is_insert || old.is_null() { new } else { old };
        if tuple.is_null() {
            return "(not logged)".to_owned();
        }
        // SAFETY: by contract.
        unsafe {
            report::guarded(|| self.new.take(tuple, described.desc.0));
            described.show_key(self.new.row())
        }
    }
}

/// # Safety
/// `change` is a row change.
unsafe fn verb_of(change: *const pg_sys::ReorderBufferChange) -> &'static str {
    use pg_sys::ReorderBufferChangeType::{REORDER_BUFFER_CHANGE_DELETE, REORDER_BUFFER_CHANGE_INSERT};
    // SAFETY: by contract.
    match unsafe { (*change).action } {
        REORDER_BUFFER_CHANGE_INSERT => "INSERT",
        REORDER_BUFFER_CHANGE_DELETE => "DELETE",
        _ => "UPDATE",
    }
}

fn where_committed(transaction: &Transaction) -> String {
    format!("Source transaction {}, commit LSN {}.", transaction.xid, transaction.commit_lsn)
}

fn missing_identity(relation: &Relation, verb: &str) -> Error {
    let name = relation.shown();
    Error::new(
        sqlstate::OBJECT_NOT_IN_PREREQUISITE_STATE,
        format!("cannot apply {verb} on {name}: the row has no replica identity"),
    )
    .detail(match relation.identity {
        Identity::Generated => "A column of its key is generated: the destination computes it, so the key does not travel.",
        _ => "The table has no primary key and no other replica identity, so the WAL does not say which row was meant.",
    })
    .hint(format!(
        "ALTER TABLE {name} REPLICA IDENTITY FULL; (or add a primary key of ordinary columns) helps from then on. This change cannot be \
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
        let mut wanted = Vec::new();
        for index in 0..count as usize {
            let relation = *relations.add(index);
            // The list names a partitioned table and its partitions; only those hold rows.
            if (*(*relation).rd_rel).relkind as u8 != pg_sys::RELKIND_RELATION {
                continue;
            }
            let table = match decoder.tables.meet_table(relation, &*decoder.sink, decoder.tables.settled()) {
                Ok(table) => table,
                Err(error) => {
                    let error = error
                        .context(format!(
                            "Source change: TRUNCATE {}, LSN {}.",
                            rel::table_name(relation),
                            Lsn((*change).lsn)
                        ))
                        .context(where_committed(&decoder.transaction));
                    drop(wanted);
                    fail(decoder, error)
                }
            };
            if !decoder.wants(table) {
                continue;
            }
            match decoder.tables.describe(table, relation) {
                Ok(described) => wanted.push(described.relation.clone()),
                Err(error) => fail(decoder, error),
            }
        }
        if wanted.is_empty() {
            return;
        }
        let transaction = decoder.transaction;
        let restart = (*change).data.truncate.restart_seqs;
        if let Err(error) = decoder.sink.truncate(&transaction, &wanted, restart) {
            let names: Vec<String> = wanted.iter().map(|r| r.shown()).collect();
            let error = error
                .lsn(Lsn((*change).lsn))
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
        if let Some(reader) = wire_plugin::of(context) {
            let content = std::slice::from_raw_parts(content.cast::<u8>(), size);
            reader.message(context, Lsn(lsn), transactional, CStr::from_ptr(prefix), content);
        }
    }
}
