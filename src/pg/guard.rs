//! Server functions whose ERROR must not pass through our frames as it is.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use pgrx::prelude::*;

use crate::error::Result;

/// One guard around server functions that are called bare: an ERROR inside becomes a panic here, as it does behind the
/// bindings' own guards.
///
/// # Safety
/// `f` owns nothing while it is in a bare server function: an ERROR passes over its frames without dropping anything.
#[inline]
pub(crate) unsafe fn guarded<R>(f: impl FnOnce() -> R) -> R {
    // SAFETY: by contract. A panic of `f` must not unwind through the guard's own frame, which is C's.
    match unsafe { pg_sys::ffi::pg_guard_ffi_boundary(|| catch_unwind(AssertUnwindSafe(f))) } {
        Ok(value) => value,
        Err(panic) => resume_unwind(panic),
    }
}

/// The value of `f`, or nothing if it fails, by an error of ours or of the server. For what has another way then.
pub(crate) fn attempt<R>(f: impl FnOnce() -> Result<R>) -> Option<R> {
    PgTryBuilder::new(AssertUnwindSafe(|| f().ok())).catch_others(|_| None).catch_rust_panic(|_| None).execute()
}
