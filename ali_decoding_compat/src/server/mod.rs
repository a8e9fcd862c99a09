//! The server's side of the border: its functions, its structures, its errors.
//!
//! All `unsafe` of the crate is here and in the callbacks of `plugin.rs`. Three rules keep it honest:
//!
//! * A structure is a pointer plus the [`Layout`](crate::layout::Layout) of the running server. Whoever
//!   makes one vouches for both; its methods are then safe to call.
//! * The server reports an error by jumping out of the function we called, over our frames, to its own
//!   handler. That is defined as long as no frame in between has something to drop. So nothing in this
//!   crate implements `Drop` or owns memory of Rust's: there is no allocator at all, memory comes from the
//!   server's contexts and goes with them.
//! * Functions are declared `extern "C-unwind"`, the ABI for calls that may not return by `return`. With
//!   plain `extern "C"` the compiler may assume that they do, and would turn a Rust panic that reaches the
//!   border of a callback into an abort, which restarts the whole cluster.

pub mod catalog;
pub mod error;
pub mod invalidation;
pub mod logical;
pub mod memory;
pub mod settings;
pub mod symbols;

use core::ffi::{CStr, c_char};

/// An object's identifier; 0 is none.
pub type Oid = u32;

/// A value as the server passes it: itself, or a pointer to it.
pub type Datum = usize;

/// Reads a field of one of the server's structures.
///
/// # Safety
/// `base` points to a live structure that has a `T` at `offset`.
#[inline(always)]
unsafe fn field<T: Copy>(base: *const u8, offset: usize) -> T {
    // SAFETY: the caller's promise; the server aligns its fields as C does, and so do we.
    unsafe { base.add(offset).cast::<T>().read() }
}

/// The bytes of a C string, without its NUL.
///
/// # Safety
/// `text` is a NUL-terminated string that outlives what the caller does with the bytes.
#[inline(always)]
pub unsafe fn bytes<'a>(text: *const c_char) -> &'a [u8] {
    // SAFETY: the caller's promise.
    unsafe { CStr::from_ptr(text) }.to_bytes()
}
