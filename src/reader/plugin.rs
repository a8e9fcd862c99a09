//! The output plugin for readers: a walsender or `pg_logical_slot_get_changes` on a slot that belongs to no task.
//!
//! The reader names a format (`format 'json'`); `crate::wire` has the formats, this file what a server has to do for them.
//! One [`Reader`] lives in each decoding context, from its start to its end:
//!
//! ```text
//!   callback ── table from the cache, values by their types' output functions ──> writer ── bytes ──> OutputPluginWrite
//!               \________________ memory that is emptied after each message ____________________/
//! ```
//!
//! Slots named `courier_...` belong to tasks and are refused here, when they are made and when they are read.

use std::ffi::{CStr, c_void};
use std::rc::Rc;

use pgrx::{PgList, pg_sys};

use super::tables::{Cache, PrintedTable};
use crate::error::{Error, Result, sqlstate};
use crate::logicalrep::{Lsn, Transaction, names};
use crate::pg::{compat, encoding, report};
use crate::tuple::{self, Scratch};
use crate::wire::{
    self, Action, Content, Database, Encoding, LogicalMessage, Output, RowChange, Table, Truncate, Value, Writer,
};

/// Room for messages that is kept from one to the next; that of a larger one is given back.
const KEPT_ROOM: usize = 1024 * 1024;

pub(crate) struct Reader {
    writer: Box<dyn Writer>,
    encoding: Encoding,
    skip_empty_xacts: bool,
    cache: Cache,
    /// Emptied after each message.
    scratch: Scratch,
    message: Vec<u8>,
    transaction: Transaction,
    /// BEGIN waits for the first change of its transaction.
    begin_is_due: bool,
}

/// The reader of a context; `None` if the context is our own worker's, or only creates a slot.
///
/// # Safety
/// `context` is a live decoding context of this plugin. There is one callback at a time.
pub(crate) unsafe fn of<'a>(context: *mut pg_sys::LogicalDecodingContext) -> Option<&'a mut Reader> {
    // SAFETY: null, or what `startup` put there, which lives as long as the context.
    unsafe { (*context).output_plugin_private.cast::<Reader>().as_mut() }
}

/// Refuses what must not be read, and makes the reader.
///
/// # Safety
/// The arguments of the server's callback.
pub(crate) unsafe fn startup(
    context: *mut pg_sys::LogicalDecodingContext,
    options: *mut pg_sys::OutputPluginOptions,
    is_init: bool,
) {
    // SAFETY: by contract. The slot is this process's own while it has a context.
    unsafe {
        let slot = encoding::to_utf8((*pg_sys::MyReplicationSlot).data.name.data.as_ptr());
        if names::is_slot_of_task(&slot) {
            report::raise(&refuse_slot(&slot, is_init));
        }
        // The options come when the slot is read.
        if is_init {
            return;
        }
        match Reader::open(context) {
            Ok((reader, output)) => {
                use pg_sys::OutputPluginOutputType::{OUTPUT_PLUGIN_BINARY_OUTPUT, OUTPUT_PLUGIN_TEXTUAL_OUTPUT};
                (*options).output_type = match output {
                    Output::Binary => OUTPUT_PLUGIN_BINARY_OUTPUT,
                    Output::Textual => OUTPUT_PLUGIN_TEXTUAL_OUTPUT,
                };
                attach(reader, context);
            }
            Err(error) => report::raise(&error),
        }
    }
}

fn refuse_slot(slot: &str, is_init: bool) -> Error {
    let error = |message: &str| Error::new(sqlstate::OBJECT_NOT_IN_PREREQUISITE_STATE, message);
    if is_init {
        error(&format!("slot name \"{slot}\" is reserved for tasks of pg_courier"))
            .detail("Slots whose names begin with \"courier_\" are made by the workers of tasks.")
            .hint("Choose another name for the slot.")
    } else {
        error("slots of tasks are read by the workers of pg_courier only")
            .detail("Reading the slot from here would take changes away from the task that owns it.")
            .hint("SELECT pg_create_logical_replication_slot('my_slot', 'pg_courier'); makes a slot of your own.")
    }
}

/// Ties the reader's life to the context's.
///
/// # Safety
/// `context` is live and has no reader.
unsafe fn attach(reader: Box<Reader>, context: *mut pg_sys::LogicalDecodingContext) {
    unsafe extern "C-unwind" fn end(reader: *mut c_void) {
        // SAFETY: made by `Box::into_raw` below; the server calls this once, when the context's memory goes.
        drop(unsafe { Box::from_raw(reader.cast::<Reader>()) });
    }
    // SAFETY: by contract; the callback's memory goes with the context.
    unsafe {
        let memory = (*context).context;
        let size = size_of::<pg_sys::MemoryContextCallback>();
        let callback = pg_sys::MemoryContextAllocZero(memory, size).cast::<pg_sys::MemoryContextCallback>();
        let reader = Box::into_raw(reader).cast::<c_void>();
        (*callback).func = Some(end);
        (*callback).arg = reader;
        pg_sys::MemoryContextRegisterResetCallback(memory, callback);
        (*context).output_plugin_private = reader;
    }
}

impl Reader {
    /// # Safety
    /// `context` is a context that starts.
    unsafe fn open(context: *mut pg_sys::LogicalDecodingContext) -> Result<(Box<Reader>, Output)> {
        let name = encoding::database();
        let database = Database { encoding: &name, is_encoding: &encoding::is_database_encoding };
        // SAFETY: by contract.
        let given = unsafe { given_options((*context).output_plugin_options) };
        let (format, settings) = wire::choose(&given, &database)?.ok_or_else(format_is_missing)?;
        // SAFETY: the contexts are children of the decoding context's and go with it.
        unsafe {
            let name = c"pg_courier wire cache";
            let cache =
                pg_sys::AllocSetContextCreateInternal((*context).context, name.as_ptr(), 0, 8 * 1024, 8 * 1024 * 1024);
            let reader = Reader {
                writer: (format.writer)(&settings),
                encoding: format.encoding,
                skip_empty_xacts: settings.skip_empty_xacts,
                cache: Cache::new(cache, format.encoding),
                scratch: Scratch::new((*context).context, c"pg_courier wire message"),
                message: Vec::new(),
                transaction: Transaction::default(),
                begin_is_due: false,
            };
            Ok((Box::new(reader), format.output))
        }
    }

    /// # Safety
    /// The arguments of the server's callback.
    pub unsafe fn begin(&mut self, context: *mut pg_sys::LogicalDecodingContext, txn: *mut pg_sys::ReorderBufferTXN) {
        print_floats_exactly();
        // SAFETY: by contract.
        unsafe {
            self.transaction = compat::transaction(txn);
            self.begin_is_due = true;
            if !self.skip_empty_xacts {
                self.send_begin(context);
            }
        }
    }

    /// # Safety
    /// `context` is the reader's, in a callback.
    unsafe fn send_begin(&mut self, context: *mut pg_sys::LogicalDecodingContext) {
        if std::mem::take(&mut self.begin_is_due) {
            self.writer.begin(&self.transaction, &mut self.message);
            // SAFETY: by contract.
            unsafe { self.send(context) };
        }
    }

    /// # Safety
    /// The arguments of the server's callback.
    pub unsafe fn commit(&mut self, context: *mut pg_sys::LogicalDecodingContext) {
        // Whose BEGIN was never due had no change.
        if std::mem::take(&mut self.begin_is_due) {
            return;
        }
        self.writer.commit(&self.transaction, &mut self.message);
        // SAFETY: by contract.
        unsafe { self.send(context) };
    }

    /// # Safety
    /// The arguments of the server's callback.
    pub unsafe fn change(
        &mut self,
        context: *mut pg_sys::LogicalDecodingContext,
        relation: pg_sys::Relation,
        change: *mut pg_sys::ReorderBufferChange,
    ) {
        // SAFETY: by contract; tuples belong to the relation's descriptor.
        unsafe {
            let (old, new) = compat::tuples(change);
            let is_delete = (*change).action == pg_sys::ReorderBufferChangeType::REORDER_BUFFER_CHANGE_DELETE;
            let is_insert = (*change).action == pg_sys::ReorderBufferChangeType::REORDER_BUFFER_CHANGE_INSERT;
            // A new row that was not logged belongs to a table that is not decoded.
            if !is_delete && new.is_null() {
                return;
            }
            self.send_begin(context);
            let scratch = self.scratch;
            scratch.run(|| {
                let entry = self.cache.entry(relation, &*self.writer);
                let desc = (*relation).rd_att;
                let row = |tuple| values(tuple, desc, &entry, self.encoding);
                let (old, new) = (row(old), row(new));
                let action = match (is_insert, &new) {
                    (true, Some(new)) => Action::Insert { new },
                    (false, Some(new)) if !is_delete => Action::Update { old: old.as_deref(), new },
                    _ => Action::Delete { old: old.as_deref() },
                };
                let PrintedTable { table, prepared, .. } = &*entry;
                let change = RowChange { lsn: Lsn((*change).lsn), table, prepared, action };
                self.writer.change(&change, &mut self.message);
            });
            self.send(context);
        }
    }

    /// # Safety
    /// The arguments of the server's callback.
    pub unsafe fn truncate(
        &mut self,
        context: *mut pg_sys::LogicalDecodingContext,
        relations: &[pg_sys::Relation],
        change: *mut pg_sys::ReorderBufferChange,
    ) {
        // SAFETY: by contract; the change is a TRUNCATE.
        unsafe {
            self.send_begin(context);
            let scratch = self.scratch;
            scratch.run(|| {
                let entries: Vec<Rc<PrintedTable>> =
                    relations.iter().map(|relation| self.cache.entry(*relation, &*self.writer)).collect();
                let tables: Vec<&Table> = entries.iter().map(|entry| &entry.table).collect();
                let flags = (*change).data.truncate;
                let (lsn, cascade, restart_identity) = (Lsn((*change).lsn), flags.cascade, flags.restart_seqs);
                let truncate = Truncate { lsn, tables: &tables, cascade, restart_identity };
                self.writer.truncate(&truncate, &mut self.message);
            });
            self.send(context);
        }
    }

    /// A message that is not transactional comes by itself, and not always where catalogs can be read.
    ///
    /// # Safety
    /// The arguments of the server's callback.
    pub unsafe fn message(
        &mut self,
        context: *mut pg_sys::LogicalDecodingContext,
        lsn: Lsn,
        transactional: bool,
        prefix: &CStr,
        content: &[u8],
    ) {
        // SAFETY: by contract.
        unsafe {
            if transactional {
                self.send_begin(context);
            }
            let scratch = self.scratch;
            scratch.run(|| {
                let text = encoding::as_wire_text(content, self.encoding);
                let prefix = encoding::as_wire_text(prefix.to_bytes(), self.encoding)
                    .unwrap_or_else(|| prefix.to_bytes().escape_ascii().collect());
                let message = LogicalMessage {
                    lsn,
                    transactional,
                    prefix: &prefix,
                    content: text.as_deref().map_or(Content::Bytes(content), Content::Text),
                    size: content.len(),
                };
                self.writer.message(&message, &mut self.message);
            });
            self.send(context);
        }
    }

    /// Sends what the writer has written, if it has.
    ///
    /// # Safety
    /// `context` is the reader's, in a callback.
    unsafe fn send(&mut self, context: *mut pg_sys::LogicalDecodingContext) {
        if self.message.is_empty() {
            return;
        }
        // SAFETY: by contract; the server's buffer takes a copy, and refuses what is too long for it.
        unsafe {
            let length = i32::try_from(self.message.len()).unwrap_or(i32::MAX);
            pg_sys::OutputPluginPrepareWrite(context, true);
            pg_sys::pq_sendbytes((*context).out, self.message.as_ptr().cast(), length);
            pg_sys::OutputPluginWrite(context, true);
        }
        self.message.clear();
        self.message.shrink_to(KEPT_ROOM);
    }
}

/// A row's values as their types print them, in the current memory context; `None` without a row.
///
/// # Safety
/// `tuple` is null or belongs to `desc`, the descriptor of the entry's table.
unsafe fn values<'a>(
    tuple: pg_sys::HeapTuple,
    desc: pg_sys::TupleDesc,
    entry: &PrintedTable,
    wanted: Encoding,
) -> Option<Vec<Value<'a>>> {
    if tuple.is_null() {
        return None;
    }
    let natts = entry.columns.len();
    let (mut datums, mut nulls) = (vec![pg_sys::Datum::from(0); natts], vec![true; natts]);
    // SAFETY: by contract; both arrays have a place for each attribute.
    unsafe { pg_sys::heap_deform_tuple(tuple, desc, datums.as_mut_ptr(), nulls.as_mut_ptr()) };
    let value = |((output, datum), null): ((&super::tables::ColumnOutput, &pg_sys::Datum), &bool)| {
        if *null || output.function.is_null() {
            return Value::Null;
        }
        // SAFETY: a value of the column's type, not NULL; the function lives as long as the entry.
        unsafe {
            if output.is_varlena && tuple::is_on_disk_toast(*datum) {
                return Value::Unchanged;
            }
            Value::Text(encoding::wire_bytes(pg_sys::OutputFunctionCall(output.function, *datum), wanted))
        }
    };
    Some(entry.columns.iter().zip(&datums).zip(&nulls).map(value).collect())
}

/// The options as the reader wrote them.
///
/// # Safety
/// `options` is null or a list of `DefElem`s.
unsafe fn given_options(options: *mut pg_sys::List) -> Vec<(String, Option<String>)> {
    // A walsender has no transaction here, and what is not ASCII cannot be converted; no option has such a name or value.
    let text = |text: &CStr| String::from_utf8_lossy(text.to_bytes()).into_owned();
    // SAFETY: by contract; the server's names and values are C strings.
    unsafe {
        let options = PgList::<pg_sys::DefElem>::from_pg(options);
        let option = |element: *mut pg_sys::DefElem| {
            let value = (!(*element).arg.is_null()).then(|| text(CStr::from_ptr(pg_sys::defGetString(element))));
            (text(CStr::from_ptr((*element).defname)), value)
        };
        options.iter_ptr().map(option).collect()
    }
}

fn format_is_missing() -> Error {
    Error::new(sqlstate::OBJECT_NOT_IN_PREREQUISITE_STATE, "reading a slot of pg_courier needs option \"format\"")
        .detail("The formats are \"ali\", \"json\" and \"text\".")
        .hint("SELECT * FROM pg_logical_slot_get_changes('my_slot', NULL, NULL, 'format', 'json');")
}

/// Until the transaction around the decoding ends, which is the server's own and always rolls settings back. Every
/// positive number means the shortest text that reads back as the same value.
fn print_floats_exactly() {
    // SAFETY: the setting's variable; a setting of level USERSET that every session may change.
    unsafe {
        if pg_sys::extra_float_digits <= 0 {
            pg_sys::set_config_option(
                c"extra_float_digits".as_ptr(),
                c"3".as_ptr(),
                pg_sys::GucContext::PGC_USERSET,
                pg_sys::GucSource::PGC_S_SESSION,
                pg_sys::GucAction::GUC_ACTION_SAVE,
                true,
                0,
                false,
            );
        }
    }
}
