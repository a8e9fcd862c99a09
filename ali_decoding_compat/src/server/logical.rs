//! The decoding context, its transactions and changes, and the way out
//! (`replication/logical.h`, `output_plugin.h`, `reorderbuffer.h`).

use core::ffi::{CStr, c_int, c_void};

use super::field;
use super::memory::Context;
use super::symbols::{OutputPluginPrepareWrite, OutputPluginWrite, StringInfoData, enlargeStringInfo, initStringInfo};
use crate::layout::{
    CHANGE_ACTION, CHANGE_DELETE, CHANGE_INSERT, CHANGE_UPDATE, CONTEXT_CONTEXT, DEFELEM_ARG, DEFELEM_DEFNAME,
    LIST_LENGTH, LISTCELL_NEXT, Layout, NONE, OPTIONS_OUTPUT_TYPE, OUTPUT_PLUGIN_BINARY_OUTPUT, STRING_VALUE,
};
use crate::wire::{Lsn, Sink, Timestamp};

/// A `LogicalDecodingContext`.
#[derive(Clone, Copy)]
pub struct DecodingContext {
    pointer: *mut u8,
    layout: &'static Layout,
}

impl DecodingContext {
    /// # Safety
    /// `pointer` is the context that a server with this layout passed to the running callback.
    pub unsafe fn from_raw(pointer: *mut c_void, layout: &'static Layout) -> DecodingContext {
        DecodingContext { pointer: pointer.cast(), layout }
    }

    /// Lives as long as the decoding.
    pub fn memory(&self) -> Context {
        // SAFETY: the field is a live context of the server.
        unsafe { Context::from_raw(field(self.pointer, CONTEXT_CONTEXT)) }
    }

    /// Where a plugin keeps its state.
    #[inline]
    pub fn private<T>(&self) -> *mut T {
        // SAFETY: the field is a pointer.
        unsafe { field(self.pointer, self.layout.context_private as usize) }
    }

    pub fn set_private<T>(&self, state: *mut T) {
        // SAFETY: the field is a pointer, reserved for the plugin.
        unsafe { self.pointer.add(self.layout.context_private as usize).cast::<*mut T>().write(state) }
    }

    /// Gives each option and its value to `each`, as the reader wrote them.
    pub fn each_option(&self, mut each: impl FnMut(&CStr, OptionValue)) {
        let layout = self.layout;
        // SAFETY: the field is a List of DefElem, null when empty; a List is linked cells or an array,
        // by version, and has as many elements as its length says.
        unsafe {
            let list: *const u8 = field(self.pointer, layout.context_options as usize);
            if list.is_null() {
                return;
            }
            let length: c_int = field(list, LIST_LENGTH);
            let mut cell: *const u8 = if layout.list_head == NONE {
                field(list, layout.list_elements as usize)
            } else {
                field(list, layout.list_head as usize)
            };
            for _ in 0..length {
                let element: *const u8 = field(cell, 0);
                each(CStr::from_ptr(field(element, DEFELEM_DEFNAME)), OptionValue::of(element, layout));
                cell = if layout.list_head == NONE {
                    cell.add(size_of::<*const u8>())
                } else {
                    field(cell, LISTCELL_NEXT)
                };
            }
        }
    }

    /// Starts a message; [`send`](Self::send) ends it.
    #[inline]
    pub fn prepare(&self) -> Output {
        // SAFETY: called from a callback that may write; the server sets up its buffer.
        unsafe {
            OutputPluginPrepareWrite(self.pointer.cast(), true);
            Output(field(self.pointer, self.layout.context_out as usize))
        }
    }

    #[inline]
    pub fn send(&self, output: Output) {
        output.terminate();
        // SAFETY: follows `prepare`, which made the output.
        unsafe { OutputPluginWrite(self.pointer.cast(), true) }
    }
}

/// What follows an option's name.
pub enum OptionValue<'a> {
    Missing,
    Text(&'a CStr),
    /// A list, a number: the grammar allows more than readers send.
    Other,
}

impl OptionValue<'_> {
    /// # Safety
    /// `element` is a DefElem that lives as long as the value is used.
    unsafe fn of(element: *const u8, layout: &Layout) -> Self {
        // SAFETY: the argument is null or a node, which starts with its kind.
        unsafe {
            let argument: *const u8 = field(element, DEFELEM_ARG);
            if argument.is_null() {
                return OptionValue::Missing;
            }
            if field::<c_int>(argument, 0) != layout.node_string.into() {
                return OptionValue::Other;
            }
            let text: *const core::ffi::c_char = field(argument, STRING_VALUE);
            if text.is_null() { OptionValue::Missing } else { OptionValue::Text(CStr::from_ptr(text)) }
        }
    }
}

/// Asks for the binary kind of output, which readers must ask for too.
///
/// # Safety
/// `options` is the `OutputPluginOptions` that the server passed to the startup callback.
pub unsafe fn choose_binary_output(options: *mut c_void) {
    // SAFETY: the caller's promise; the field is an enum, an int.
    unsafe { options.cast::<u8>().add(OPTIONS_OUTPUT_TYPE).cast::<c_int>().write(OUTPUT_PLUGIN_BINARY_OUTPUT) }
}

/// A `ReorderBufferTXN`.
#[derive(Clone, Copy)]
pub struct Transaction {
    pointer: *const u8,
    layout: &'static Layout,
}

impl Transaction {
    /// # Safety
    /// `pointer` is the transaction that a server with this layout passed to the running callback.
    pub unsafe fn from_raw(pointer: *const c_void, layout: &'static Layout) -> Transaction {
        Transaction { pointer: pointer.cast(), layout }
    }

    pub fn xid(&self) -> u32 {
        // SAFETY: see `from_raw`.
        unsafe { field(self.pointer, self.layout.txn_xid as usize) }
    }

    pub fn final_lsn(&self) -> Lsn {
        // SAFETY: see `from_raw`.
        unsafe { field(self.pointer, self.layout.txn_final_lsn as usize) }
    }

    pub fn end_lsn(&self) -> Lsn {
        // SAFETY: see `from_raw`.
        unsafe { field(self.pointer, self.layout.txn_end_lsn as usize) }
    }

    pub fn commit_time(&self) -> Timestamp {
        // SAFETY: see `from_raw`.
        unsafe { field(self.pointer, self.layout.txn_commit_time as usize) }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Action {
    Insert,
    Update,
    Delete,
}

/// A `ReorderBufferChange`.
#[derive(Clone, Copy)]
pub struct Change {
    pointer: *const u8,
    layout: &'static Layout,
}

impl Change {
    /// # Safety
    /// `pointer` is the change that a server with this layout passed to the running callback.
    pub unsafe fn from_raw(pointer: *const c_void, layout: &'static Layout) -> Change {
        Change { pointer: pointer.cast(), layout }
    }

    /// None for kinds that the format does not have.
    #[inline]
    pub fn action(&self) -> Option<Action> {
        // SAFETY: see `from_raw`.
        match unsafe { field::<c_int>(self.pointer, CHANGE_ACTION) } {
            CHANGE_INSERT => Some(Action::Insert),
            CHANGE_UPDATE => Some(Action::Update),
            CHANGE_DELETE => Some(Action::Delete),
            _ => None,
        }
    }

    /// The old row, or only its key; None if the server logged neither.
    #[inline]
    pub fn old_tuple(&self) -> Option<*const u8> {
        // SAFETY: see `from_raw`; changes of rows have this field.
        self.tuple(unsafe { field(self.pointer, self.layout.change_old as usize) })
    }

    #[inline]
    pub fn new_tuple(&self) -> Option<*const u8> {
        // SAFETY: as above.
        self.tuple(unsafe { field(self.pointer, self.layout.change_new as usize) })
    }

    /// The `HeapTuple` of what the change refers to.
    #[inline]
    fn tuple(&self, reference: *const u8) -> Option<*const u8> {
        let offset = if self.layout.tuplebuf_tuple == NONE { 0 } else { self.layout.tuplebuf_tuple as usize };
        (!reference.is_null()).then(|| reference.wrapping_add(offset))
    }
}

/// The server's buffer (`StringInfo`) as a place for bytes.
pub struct Output(*mut StringInfoData);

impl Output {
    /// A buffer of our own in the current context.
    pub fn scratch(memory: &mut core::mem::MaybeUninit<StringInfoData>) -> Output {
        // SAFETY: the server fills it in.
        unsafe { initStringInfo(memory.as_mut_ptr()) };
        Output(memory.as_mut_ptr())
    }

    #[inline]
    pub fn len(&self) -> usize {
        // SAFETY: a live buffer.
        unsafe { (*self.0).len as usize }
    }

    /// What is in it.
    pub fn written(&self) -> &[u8] {
        // SAFETY: a live buffer whose first `len` bytes are set.
        unsafe { core::slice::from_raw_parts((*self.0).data, self.len()) }
    }

    /// The server keeps a NUL behind its buffers' contents; there is always room for it.
    fn terminate(&self) {
        // SAFETY: the buffer is always one byte larger than what is in it.
        unsafe { *(*self.0).data.add(self.len()) = 0 }
    }
}

impl Sink for Output {
    #[inline(always)]
    fn put(&mut self, more: &[u8]) {
        // SAFETY: a live buffer. The server enlarges it to hold the bytes and a NUL, or raises an error, so
        // no length can overflow.
        unsafe {
            let buffer = &mut *self.0;
            if more.len() >= (buffer.maxlen - buffer.len) as usize {
                enlargeStringInfo(buffer, more.len() as c_int);
            }
            core::ptr::copy_nonoverlapping(more.as_ptr(), buffer.data.add(buffer.len as usize), more.len());
            buffer.len += more.len() as c_int;
        }
    }
}
