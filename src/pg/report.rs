//! Between the server's errors and ours.
//!
//! A report of the server is in the database's encoding, an [`Error`] in UTF-8. pgrx copies texts from the one to the
//! other and back as if that were the same; where it is not, two callbacks of the server's `error_context_stack` see
//! each report before it goes on: [`Original`] keeps what pgrx would damage, [`Converted`] puts right what it wrote.

use std::ffi::{CStr, c_char, c_void};
use std::panic::AssertUnwindSafe;

use pgrx::pg_sys::panic::{CaughtError, ErrorReport, ErrorReportWithLevel};
use pgrx::prelude::*;

use crate::error::{Error, Result};
use crate::pg::{bgworker, encoding};

mod raw {
    use super::*;

    // pgrx binds none of them, or with a guard, which has no place in a callback of a report: an error raised there is
    // the server's to handle, and nothing in the frames it crosses has a destructor.
    unsafe extern "C-unwind" {
        pub fn errmsg(format: *const c_char, ...) -> i32;
        pub fn errdetail(format: *const c_char, ...) -> i32;
        pub fn errhint(format: *const c_char, ...) -> i32;
        pub fn CopyErrorData() -> *mut pg_sys::ErrorData;
        pub fn FreeErrorData(data: *mut pg_sys::ErrorData);
    }
}

/// Runs `f`; a server error or a panic inside becomes an [`Error`].
pub fn catch<R>(f: impl FnOnce() -> Result<R>) -> Result<R> {
    let mut original = Original::default();
    // SAFETY: plain read; the stack is put back below, and `original` lives until then.
    let outer = unsafe { pg_sys::error_context_stack };
    let mut callback = pg_sys::ErrorContextCallback {
        previous: outer,
        callback: Some(keep_original),
        arg: (&raw mut original).cast(),
    };
    if !encoding::passes_unchanged() {
        // SAFETY: as above.
        unsafe { pg_sys::error_context_stack = &raw mut callback };
    }
    let result = PgTryBuilder::new(AssertUnwindSafe(|| f().map_err(Caught::Ours)))
        .catch_others(|caught| Err(Caught::Raised(Box::new(caught))))
        .catch_rust_panic(|caught| Err(Caught::Raised(Box::new(caught))))
        .execute();
    // SAFETY: as above.
    unsafe { pg_sys::error_context_stack = outer };
    if result.is_err() {
        // The error may be that very request.
        bgworker::leave_if_asked();
    }
    result.map_err(|caught| match caught {
        Caught::Ours(error) => error,
        Caught::Raised(caught) => from_caught(*caught, &original),
    })
}

enum Caught {
    Ours(Error),
    Raised(Box<CaughtError>),
}

/// The texts of the last server error, before pgrx took for UTF-8 what is not.
#[derive(Default)]
struct Original {
    message: Vec<u8>,
    detail: Vec<u8>,
    hint: Vec<u8>,
}

unsafe extern "C-unwind" fn keep_original(original: *mut c_void) {
    // SAFETY: called while a report is being made; `catch` passes its `Original`. The server's memory is switched as
    // CopyErrorData wants it, and back.
    unsafe {
        let context = pg_sys::CurrentMemoryContext;
        pg_sys::CurrentMemoryContext = pg_sys::TopMemoryContext;
        let data = raw::CopyErrorData();
        if (*data).elevel as u32 >= PgLogLevel::ERROR as u32 {
            let bytes = |text: *const c_char| match text.is_null() {
                true => Vec::new(),
                false => CStr::from_ptr(text).to_bytes().to_vec(),
            };
            let original = &mut *original.cast::<Original>();
            original.message = bytes((*data).message);
            original.detail = bytes((*data).detail);
            original.hint = bytes((*data).hint);
        }
        raw::FreeErrorData(data);
        pg_sys::CurrentMemoryContext = context;
    }
}

fn from_caught(caught: CaughtError, original: &Original) -> Error {
    match caught {
        CaughtError::PostgresError(report) | CaughtError::ErrorReport(report) => from_report(&report, original),
        CaughtError::RustPanic { ereport, .. } => {
            from_report(&ereport, original).or_hint(concat!("This is a bug in ", env!("CARGO_PKG_NAME"), "."))
        }
    }
}

fn from_report(report: &ErrorReportWithLevel, original: &Original) -> Error {
    let state = unpack_sqlstate(report.sql_error_code() as i32);
    let mut error = Error::new(&state, restored(report.message(), &original.message));
    if let Some(detail) = report.detail() {
        error = error.detail(restored(detail, &original.detail));
    }
    if let Some(hint) = report.hint() {
        error = error.hint(restored(hint, &original.hint));
    }
    error
}

/// The original's letters, if it is the original of this text.
fn restored(copy: &str, original: &[u8]) -> String {
    if copy.is_ascii() || String::from_utf8_lossy(original) != copy {
        return copy.to_owned();
    }
    encoding::readable(original).unwrap_or_else(|| copy.to_owned())
}

/// Raises our error as a server ERROR with all its parts.
pub fn raise(error: &Error) -> ! {
    report(PgLogLevel::ERROR, error_code(error), error.message(), error);
    unreachable!("a report at level ERROR does not return")
}

/// Writes our error to the server log without ending anything.
pub fn log(error: &Error, prefix: &str) {
    report(PgLogLevel::LOG, error_code(error), &format!("{prefix}: {}", error.message()), error);
}

/// The same for what somebody has to look at: as a warning, which those who watch logs look for. In a session, whose
/// client would get it too and has an answer of its own, it is a line like others.
pub fn log_warning(error: &Error, prefix: &str) {
    // SAFETY: plain read; set in every background worker.
    let is_worker = unsafe { !pg_sys::MyBgworkerEntry.is_null() };
    let level = if is_worker { PgLogLevel::WARNING } else { PgLogLevel::LOG };
    report(level, error_code(error), &format!("{prefix}: {}", error.message()), error);
}

/// A line of the server log, for what went well.
pub fn log_line(text: &str) {
    // SAFETY: the stack is put back; a report at this level returns. Which function of ours wrote the line is no context.
    unsafe {
        let outer = pg_sys::error_context_stack;
        pg_sys::error_context_stack = std::ptr::null_mut();
        report(PgLogLevel::LOG, PgSqlErrorCode::ERRCODE_SUCCESSFUL_COMPLETION, text, &Error::internal(text));
        pg_sys::error_context_stack = outer;
    }
}

/// Tells the client something that it did not ask for.
pub fn notice(text: &str) {
    report(PgLogLevel::NOTICE, PgSqlErrorCode::ERRCODE_SUCCESSFUL_COMPLETION, text, &Error::internal(text));
}

/// Tells the client, and the server log, what is not as it should be.
pub fn warning(text: &str) {
    report(PgLogLevel::WARNING, PgSqlErrorCode::ERRCODE_WARNING, text, &Error::internal(text));
}

/// Detail and hint are those of `error`.
fn report(level: PgLogLevel, code: PgSqlErrorCode, message: &str, error: &Error) {
    let (detail, hint) = (error.detail_text(), error.hint_text());
    let mut report = ErrorReport::new(code, message.to_owned(), "");
    if let Some(detail) = &detail {
        report = report.set_detail(detail.clone());
    }
    if let Some(hint) = hint {
        report = report.set_hint(hint);
    }
    let texts = [Some(message), detail.as_deref(), hint];
    if encoding::passes_unchanged() || texts.iter().flatten().all(|text| text.is_ascii()) {
        return report.report(level);
    }
    // SAFETY: pushed for this report only. After one at level ERROR whoever handles it puts the stack back, the server
    // as well as `catch`.
    unsafe {
        let outer = pg_sys::error_context_stack;
        pg_sys::error_context_stack = Converted::callback(texts, outer);
        report.report(level);
        pg_sys::error_context_stack = outer;
    }
}

/// The texts of a report in the database's encoding; null where there is none.
struct Converted([*const c_char; 3]);

impl Converted {
    /// Everything is in server memory: a report at level ERROR does not come back here.
    ///
    /// # Safety
    /// `outer` is the present top of the stack.
    unsafe fn callback(
        texts: [Option<&str>; 3],
        outer: *mut pg_sys::ErrorContextCallback,
    ) -> *mut pg_sys::ErrorContextCallback {
        let converted = texts.map(|text| match text.map(encoding::to_server_or_mark) {
            // SAFETY: a C string, copied.
            Some(text) => unsafe { pg_sys::pstrdup(text.as_ptr()).cast_const() },
            None => std::ptr::null(),
        });
        // SAFETY: palloc returns room for what is written.
        unsafe {
            let arg = pg_sys::palloc(size_of::<Converted>()).cast::<Converted>();
            arg.write(Converted(converted));
            let callback = pg_sys::palloc(size_of::<pg_sys::ErrorContextCallback>());
            let callback = callback.cast::<pg_sys::ErrorContextCallback>();
            callback.write(pg_sys::ErrorContextCallback {
                previous: outer,
                callback: Some(put_converted),
                arg: arg.cast(),
            });
            callback
        }
    }
}

unsafe extern "C-unwind" fn put_converted(converted: *mut c_void) {
    // SAFETY: called while our report is being made; the argument is what `callback` wrote, its texts C strings.
    unsafe {
        let Converted([message, detail, hint]) = *converted.cast::<Converted>();
        raw::errmsg(c"%s".as_ptr(), message);
        if !detail.is_null() {
            raw::errdetail(c"%s".as_ptr(), detail);
        }
        if !hint.is_null() {
            raw::errhint(c"%s".as_ptr(), hint);
        }
    }
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
