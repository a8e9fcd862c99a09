//! The server's memory contexts (`utils/memutils.h`).

use core::ffi::{CStr, c_char, c_void};

use super::error::{INTERNAL_ERROR, Report};
use super::symbols::{
    self, CurrentMemoryContext, MemoryContextAlloc, MemoryContextAllocZero, MemoryContextReset, pfree,
};

/// What the server's own macro asks for by default: no minimum, blocks from 8 kB to 8 MB.
const SIZES: (usize, usize, usize) = (0, 8 * 1024, 8 * 1024 * 1024);

type Create = unsafe extern "C-unwind" fn(*mut c_void, *const c_char, usize, usize, usize) -> *mut c_void;

/// A memory context that lives at least as long as our use of it: the server's, or a child of one.
#[derive(Clone, Copy)]
pub struct Context(*mut c_void);

impl Context {
    /// # Safety
    /// `context` is a live memory context.
    pub unsafe fn from_raw(context: *mut c_void) -> Context {
        Context(context)
    }

    /// A new context that goes with its parent.
    pub fn child(self, name: &'static CStr) -> Context {
        // One function under three names: 12 and later, 11, 10 and earlier.
        let names = [c"AllocSetContextCreateInternal", c"AllocSetContextCreateExtended", c"AllocSetContextCreate"];
        // SAFETY: all three take these five arguments.
        let create = names.into_iter().find_map(|name| unsafe { symbols::find::<Create>(name) });
        let Some(create) = create else {
            Report::new(INTERNAL_ERROR, c"the server has no function to create a memory context").raise()
        };
        let (minimum, initial, maximum) = SIZES;
        // SAFETY: our parent is live; from 11 on the server keeps the name's address, which is static.
        Context(unsafe { create(self.0, name.as_ptr(), minimum, initial, maximum) })
    }

    /// Makes this the current context; returns the one before.
    #[inline]
    pub fn enter(self) -> Context {
        // SAFETY: the server is single-threaded, and both are live contexts.
        unsafe {
            let before = CurrentMemoryContext;
            CurrentMemoryContext = self.0;
            Context(before)
        }
    }

    /// Frees everything in the context. The caller keeps no pointer into it.
    #[inline]
    pub fn reset(self) {
        // SAFETY: a live context.
        unsafe { MemoryContextReset(self.0) }
    }

    /// Never null: the server raises an error instead. Aligned for everything.
    pub fn alloc(self, size: usize) -> *mut u8 {
        // SAFETY: a live context.
        unsafe { MemoryContextAlloc(self.0, size) }.cast()
    }

    /// As `alloc`, filled with zeros.
    pub fn alloc_zero(self, size: usize) -> *mut u8 {
        // SAFETY: a live context.
        unsafe { MemoryContextAllocZero(self.0, size) }.cast()
    }

    pub fn as_ptr(self) -> *mut c_void {
        self.0
    }
}

/// # Safety
/// `pointer` came from [`Context::alloc`] and is used no more.
pub unsafe fn free(pointer: *mut u8) {
    // SAFETY: the caller's promise.
    unsafe { pfree(pointer.cast()) }
}
