//! Memory of the server for rows: what lives as long as a table's description, and what is emptied after each row.

use std::ffi::CStr;

use pgrx::pg_sys;

mod raw {
    use pgrx::pg_sys;

    unsafe extern "C-unwind" {
        pub fn MemoryContextReset(context: pg_sys::MemoryContext);
    }
}

/// Memory of the server that lives as long as one description: types' functions cache there what they like, and nobody else
/// knows what that is.
pub(crate) struct Memory(pg_sys::MemoryContext);

impl Memory {
    pub(super) fn new() -> Memory {
        const FIRST: usize = 1024;
        const LARGEST: usize = 1024 * 1024;
        // SAFETY: the parent lives as long as the process; the name is static.
        Memory(unsafe {
            let name = c"pg_courier table".as_ptr();
            pg_sys::AllocSetContextCreateInternal(pg_sys::TopMemoryContext, name, 0, FIRST, LARGEST)
        })
    }

    pub(crate) fn context(&self) -> pg_sys::MemoryContext {
        self.0
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        // While an error unwinds the process is about to end.
        if !std::thread::panicking() {
            // SAFETY: made by `new`; what lives in it belongs to the description that goes with it.
            unsafe { pg_sys::MemoryContextDelete(self.0) }
        }
    }
}

/// A tuple descriptor of our own, which outlives the relation cache's entry.
pub(crate) struct Descriptor(pub(crate) pg_sys::TupleDesc);

impl Descriptor {
    /// # Safety
    /// `desc` is live; the copy is not used after `memory`.
    pub(super) unsafe fn copy(desc: pg_sys::TupleDesc, memory: &Memory) -> Descriptor {
        // SAFETY: by contract.
        unsafe {
            let before = pg_sys::MemoryContextSwitchTo(memory.context());
            let copy = pg_sys::CreateTupleDescCopyConstr(desc);
            pg_sys::MemoryContextSwitchTo(before);
            Descriptor(copy)
        }
    }
}

/// Memory for what comes and goes with a row or a message.
#[derive(Clone, Copy)]
pub(crate) struct Scratch(pg_sys::MemoryContext);

impl Scratch {
    /// # Safety
    /// `parent` is a live context; the scratch is not used after it.
    pub(crate) unsafe fn new(parent: pg_sys::MemoryContext, name: &'static CStr) -> Scratch {
        // SAFETY: by contract; the name is static.
        Scratch(unsafe { pg_sys::AllocSetContextCreateInternal(parent, name.as_ptr(), 0, 8 * 1024, 8 * 1024 * 1024) })
    }

    /// Runs `f` with this memory, which is emptied afterwards. An error leaves that to whoever recovers from it.
    ///
    /// # Safety
    /// Nothing that `f` makes there is used later.
    #[inline]
    pub(crate) unsafe fn run<R>(&self, f: impl FnOnce() -> R) -> R {
        // SAFETY: the context is live by `new`'s contract; emptying it raises no error.
        unsafe {
            let before = (&raw mut pg_sys::CurrentMemoryContext).replace(self.0);
            let value = f();
            pg_sys::CurrentMemoryContext = before;
            raw::MemoryContextReset(self.0);
            value
        }
    }
}
