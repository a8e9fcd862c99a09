//! Between the server's errors and ours.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use pgrx::pg_sys::panic::{CaughtError, ErrorReport, ErrorReportWithLevel};
use pgrx::prelude::*;

use crate::error::{Error, Result};

/// Runs `f`; a server error or a panic inside becomes an [`Error`].
pub fn catch<R>(f: impl FnOnce() -> Result<R>) -> Result<R> {
    PgTryBuilder::new(AssertUnwindSafe(f))
        .catch_others(|caught| Err(from_caught(caught)))
        .catch_rust_panic(|caught| Err(from_caught(caught)))
        .execute()
}

/// One guard around server functions that are called bare: an ERROR inside becomes a panic here, as it does behind the
/// bindings' own guards.
///
/// # Safety
/// `f` owns nothing while it is in a bare server function: an ERROR passes over its frames without dropping anything.
#[inline]
pub(super) unsafe fn guarded<R>(f: impl FnOnce() -> R) -> R {
    // SAFETY: by contract. A panic of `f` must not unwind through the guard's own frame, which is C's.
    match unsafe { pg_sys::ffi::pg_guard_ffi_boundary(|| catch_unwind(AssertUnwindSafe(f))) } {
        Ok(value) => value,
        Err(panic) => resume_unwind(panic),
    }
}

fn from_caught(caught: CaughtError) -> Error {
    match caught {
        CaughtError::PostgresError(report) | CaughtError::ErrorReport(report) => from_report(&report),
        CaughtError::RustPanic { ereport, .. } => from_report(&ereport).or_hint("This is a bug in pg_courier."),
    }
}

fn from_report(report: &ErrorReportWithLevel) -> Error {
    let state = unpack_sqlstate(report.sql_error_code() as i32);
    let mut error = Error::new(&state, report.message());
    if let Some(detail) = report.detail() {
        error = error.detail(detail);
    }
    if let Some(hint) = report.hint() {
        error = error.hint(hint);
    }
    error
}

/// Raises our error as a server ERROR with all its parts.
pub fn raise(error: &Error) -> ! {
    report(error, PgLogLevel::ERROR);
    unreachable!("a report at level ERROR does not return")
}

/// Writes our error to the server log without ending anything.
pub fn log(error: &Error, prefix: &str) {
    let text = format!("{prefix}: {}", error.message());
    ereport_log(&error_code(error), text, error);
}

fn ereport_log(code: &PgSqlErrorCode, text: String, error: &Error) {
    let mut report = ErrorReport::new(*code, text, "");
    if let Some(detail) = error.detail_text() {
        report = report.set_detail(detail);
    }
    if let Some(hint) = error.hint_text() {
        report = report.set_hint(hint);
    }
    report.report(PgLogLevel::LOG);
}

fn report(error: &Error, level: PgLogLevel) {
    let mut report = ErrorReport::new(error_code(error), error.message().to_owned(), "");
    if let Some(detail) = error.detail_text() {
        report = report.set_detail(detail);
    }
    if let Some(hint) = error.hint_text() {
        report = report.set_hint(hint);
    }
    report.report(level);
}

/// For SQL functions: the value, or the error raised.
pub fn unwrap<R>(result: Result<R>) -> R {
    match result {
        Ok(value) => value,
        Err(error) => raise(&error),
    }
}

fn error_code(error: &Error) -> PgSqlErrorCode {
    PgSqlErrorCode::from(pack_sqlstate(error.sqlstate()))
}

/// Six bits a character, as the server packs SQLSTATEs into an int.
fn pack_sqlstate(state: &str) -> i32 {
    state
        .bytes()
        .take(5)
        .enumerate()
        .fold(0, |code, (i, byte)| code | (i32::from(byte.wrapping_sub(b'0') & 0x3F) << (6 * i)))
}

fn unpack_sqlstate(code: i32) -> String {
    (0..5).map(|i| char::from(b'0' + ((code >> (6 * i)) & 0x3F) as u8)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sqlstates_survive_packing() {
        for state in ["00000", "XX000", "42P01", "57P03", "F0001"] {
            assert_eq!(unpack_sqlstate(pack_sqlstate(state)), state);
        }
    }
}
