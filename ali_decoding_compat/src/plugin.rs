//! The callbacks: one message for each, put together from the cache and the row.

use core::ffi::{CStr, c_void};
use core::ptr;
use core::sync::atomic::{AtomicPtr, Ordering::Relaxed};

use crate::cache::{Cache, Column, Entry};
use crate::guard::guarded;
use crate::layout::{CALLBACKS_BEGIN, CALLBACKS_CHANGE, CALLBACKS_STARTUP, Layout, MAX_ATTRIBUTES, SUPPORTED};
use crate::options;
use crate::server::catalog::{self, OutputFunction, Relation, TupleDescriptor};
use crate::server::error::{FEATURE_NOT_SUPPORTED, INVALID_PARAMETER_VALUE, Message, Report};
use crate::server::logical::{self, Action, Change, DecodingContext, OptionValue, Output, Transaction};
use crate::server::memory::Context;
use crate::server::{Datum, invalidation, settings};
use crate::wire::{self, Lsn, Sink as _};

/// The running server's, from [`_PG_output_plugin_init`] on.
static LAYOUT: AtomicPtr<Layout> = AtomicPtr::new(ptr::null_mut());

/// One decoding: from the creation of its context, with which all of this goes, to its end.
struct State {
    /// Reset after each message.
    message: Context,
    cache: Cache,
    /// A row taken apart. As long as a row can be.
    values: *mut Datum,
    nulls: *mut bool,
}

/// The server calls it after loading the library. Everything happens when a slot asks for the plugin.
#[unsafe(no_mangle)]
pub extern "C-unwind" fn _PG_init() {}

/// Fills in the table of callbacks; the slots we leave null are features that the format does not have.
///
/// # Safety
/// Called by the server with the address of its table.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn _PG_output_plugin_init(callbacks: *mut c_void) {
    guarded(|| {
        let Some(layout) = Layout::of(settings::server_version_num()) else { refuse_server() };
        LAYOUT.store(ptr::from_ref(layout).cast_mut(), Relaxed);
        let set = |offset: usize, callback: *const c_void| {
            debug_assert!(offset + size_of_val(&callback) <= layout.callbacks_size as usize);
            // SAFETY: the table of a server with this layout has a callback's address there.
            unsafe { callbacks.cast::<u8>().add(offset).cast::<*const c_void>().write(callback) }
        };
        set(CALLBACKS_STARTUP, startup as *const c_void);
        set(CALLBACKS_BEGIN, begin as *const c_void);
        set(CALLBACKS_CHANGE, change as *const c_void);
        set(layout.callbacks_commit as usize, commit as *const c_void);
    });
}

fn refuse_server() -> ! {
    let mut detail = Message::new();
    let _ = core::fmt::Write::write_fmt(&mut detail, format_args!("Supported versions are {SUPPORTED}."));
    Report::new(FEATURE_NOT_SUPPORTED, c"ali_decoding does not support PostgreSQL %s")
        .arguments(settings::server_version(), c"")
        .detail(detail.as_c_str())
        .hint(c"Install a later version of ali_decoding.")
        .raise()
}

/// The layout that `_PG_output_plugin_init` found.
fn layout() -> &'static Layout {
    // SAFETY: null or the address of a static.
    match unsafe { LAYOUT.load(Relaxed).as_ref() } {
        Some(layout) => layout,
        // The server calls no callback before the function that announces it.
        None => refuse_server(),
    }
}

unsafe extern "C-unwind" fn startup(context: *mut c_void, output_options: *mut c_void, _is_init: bool) {
    guarded(|| {
        let layout = layout();
        // SAFETY: the server's arguments, used during this call.
        let context = unsafe {
            logical::choose_binary_output(output_options);
            DecodingContext::from_raw(context, layout)
        };
        context.each_option(check_option);
        invalidation::register(layout);

        let memory = context.memory();
        let state = memory.alloc(size_of::<State>()).cast::<State>();
        let new = State {
            message: memory.child(c"ali_decoding message"),
            cache: Cache::new(memory.child(c"ali_decoding cache")),
            values: memory.alloc(MAX_ATTRIBUTES * size_of::<Datum>()).cast(),
            nulls: memory.alloc(MAX_ATTRIBUTES * size_of::<bool>()).cast(),
        };
        // SAFETY: new memory of that size.
        unsafe { state.write(new) };
        context.set_private(state);
    });
}

/// Readers tell their version, which changes nothing so far, and the encoding that they expect.
fn check_option(name: &CStr, value: OptionValue) {
    #[cfg(feature = "failpoints")]
    if name.to_bytes() == b"panic" {
        failpoint::arm(value);
        return;
    }
    let known = matches!(name.to_bytes(), b"version" | b"encoding");
    let text = match value {
        _ if !known => Report::new(INVALID_PARAMETER_VALUE, c"option \"%s\" is unknown to ali_decoding")
            .arguments(name, c"")
            .hint(c"The options are \"version\" and \"encoding\".")
            .raise(),
        OptionValue::Text(text) => text,
        OptionValue::Missing | OptionValue::Other => {
            Report::new(INVALID_PARAMETER_VALUE, c"option \"%s\" of ali_decoding needs a value")
                .arguments(name, c"")
                .raise()
        }
    };
    match name.to_bytes() {
        b"version" if options::parse_unsigned(text.to_bytes()).is_none() => {
            Report::new(INVALID_PARAMETER_VALUE, c"option \"version\" of ali_decoding cannot be \"%s\"")
                .arguments(text, c"")
                .detail(c"It is an unsigned integer of 32 bits.")
                .raise()
        }
        b"encoding" => {
            if let Some(ours) = settings::differs_from_encoding(text) {
                Report::new(INVALID_PARAMETER_VALUE, c"encoding \"%s\" is not the database's encoding \"%s\"")
                    .arguments(text, ours)
                    .detail(c"ali_decoding sends the database's encoding and converts nothing.")
                    .raise()
            }
        }
        _ => {}
    }
}

unsafe extern "C-unwind" fn begin(context: *mut c_void, transaction: *mut c_void) {
    guarded(|| {
        let layout = layout();
        settings::print_floats_exactly(layout);
        // SAFETY: the server's arguments, used during this call; `startup` made the state.
        let (context, transaction) =
            unsafe { (DecodingContext::from_raw(context, layout), Transaction::from_raw(transaction, layout)) };
        send(&context, |_, out| {
            wire::begin(out, transaction.final_lsn(), transaction.commit_time(), transaction.xid());
        });
    });
}

unsafe extern "C-unwind" fn commit(context: *mut c_void, transaction: *mut c_void, commit_lsn: Lsn) {
    guarded(|| {
        let layout = layout();
        // SAFETY: as in `begin`.
        let (context, transaction) =
            unsafe { (DecodingContext::from_raw(context, layout), Transaction::from_raw(transaction, layout)) };
        send(&context, |_, out| {
            wire::commit(out, commit_lsn, transaction.end_lsn(), transaction.commit_time());
        });
    });
}

unsafe extern "C-unwind" fn change(
    context: *mut c_void,
    _transaction: *mut c_void,
    relation: *mut c_void,
    change: *mut c_void,
) {
    guarded(|| {
        let layout = layout();
        // SAFETY: as in `begin`; the server holds the relation open during the call.
        let (context, relation, change) = unsafe {
            (
                DecodingContext::from_raw(context, layout),
                Relation::from_raw(relation.cast(), layout),
                Change::from_raw(change, layout),
            )
        };
        #[cfg(feature = "failpoints")]
        failpoint::reached();
        let Some(action) = change.action() else {
            return;
        };
        // A new row that the server did not log belongs to a table that is not logged for logical decoding.
        if action != Action::Delete && change.new_tuple().is_none() {
            return;
        }
        send(&context, |state, out| {
            state.cache.refresh();
            let entry = state.cache.entry(&relation);
            let row = Row { entry, descriptor: relation.descriptor(), values: state.values, nulls: state.nulls };
            write_change(out, action, &change, &row);
        });
    });
}

/// Writes one message in the context that is emptied after it.
#[inline]
fn send(context: &DecodingContext, write: impl FnOnce(&mut State, &mut Output)) {
    // SAFETY: `startup` put it there, and callbacks do not nest.
    let state = unsafe { &mut *context.private::<State>() };
    let message = state.message;
    let before = message.enter();
    let mut output = context.prepare();
    write(state, &mut output);
    context.send(output);
    before.enter();
    message.reset();
}

#[inline]
fn write_change(out: &mut Output, action: Action, change: &Change, row: &Row) {
    wire::kind(
        out,
        match action {
            Action::Insert => wire::INSERT,
            Action::Update => wire::UPDATE,
            Action::Delete => wire::DELETE,
        },
    );
    out.put(row.entry.relation());
    match action {
        Action::Insert => wire::no_key(out),
        Action::Update | Action::Delete => out.put(row.entry.key()),
    }
    if action != Action::Insert {
        match change.old_tuple() {
            Some(tuple) => {
                wire::kind(out, wire::OLD);
                row.write(out, tuple);
            }
            None if action == Action::Delete => wire::kind(out, wire::NO_OLD),
            None => {}
        }
    }
    if action != Action::Delete
        && let Some(tuple) = change.new_tuple()
    {
        wire::kind(out, wire::NEW);
        row.write(out, tuple);
    }
}

/// What it takes to write rows of one relation.
struct Row {
    entry: &'static Entry,
    descriptor: TupleDescriptor,
    values: *mut Datum,
    nulls: *mut bool,
}

impl Row {
    #[inline]
    fn write(&self, out: &mut Output, tuple: *const u8) {
        let columns = self.entry.columns();
        // SAFETY: the tuple is of the descriptor's relation; the arrays have room for the most attributes
        // that a row can have.
        unsafe { catalog::deform(tuple, &self.descriptor, self.values, self.nulls) };
        wire::tuple(out, columns.len() as u32);
        for (position, column) in columns.iter().enumerate() {
            // SAFETY: the cache makes sure that there are as many columns as the descriptor has, and each
            // output function is that of its column's type.
            unsafe {
                if *self.nulls.add(position) {
                    wire::null(out);
                } else {
                    write_value(out, column, *self.values.add(position));
                }
            }
        }
    }
}

/// # Safety
/// `value` is a value of the column, not NULL.
#[inline]
unsafe fn write_value(out: &mut Output, column: &Column, value: Datum) {
    if column.output.is_null() {
        wire::null(out);
        return;
    }
    // SAFETY: the caller's promise.
    unsafe {
        if column.is_varlena && catalog::is_kept_out_of_line(value) {
            wire::unchanged(out);
        } else {
            wire::text(out, OutputFunction::call(column.output, value));
        }
    }
}

/// A bug on demand.
#[cfg(feature = "failpoints")]
mod failpoint {
    use core::sync::atomic::{AtomicBool, Ordering::Relaxed};

    use crate::server::logical::OptionValue;

    static AT_CHANGE: AtomicBool = AtomicBool::new(false);

    /// Option `panic`: `change` for the next change, anything else for now.
    pub fn arm(value: OptionValue) {
        match value {
            OptionValue::Text(text) if text.to_bytes() == b"change" => AT_CHANGE.store(true, Relaxed),
            _ => out_of_bounds(0),
        }
    }

    pub fn reached() {
        if AT_CHANGE.swap(false, Relaxed) {
            out_of_bounds(3);
        }
    }

    /// As bugs do it: an index too large.
    fn out_of_bounds(length: usize) {
        let bytes = &b"bug"[..length];
        core::hint::black_box(bytes[core::hint::black_box(7)]);
    }
}
