//! Text between the server's encoding and UTF-8, which everything outside this module uses and destinations are sent.
//!
//! A database in SQL_ASCII says nothing about its bytes; they pass as they are, on both sides.

use std::ffi::{CStr, CString, c_char};

use pgrx::pg_sys;

use crate::error::{Error, Result, sqlstate};
use crate::pg::{compat, guard};
use crate::wire::Encoding;

/// Are the database's bytes sent as they are?
pub fn passes_unchanged() -> bool {
    // SAFETY: plain read.
    let encoding = unsafe { pg_sys::GetDatabaseEncoding() } as u32;
    encoding == pg_sys::pg_enc::PG_UTF8 || encoding == pg_sys::pg_enc::PG_SQL_ASCII
}

/// The encoding of the database, under the server's own name for it.
pub fn database() -> String {
    // SAFETY: returns a static C string.
    unsafe { CStr::from_ptr(pg_sys::GetDatabaseEncodingName()).to_string_lossy().into_owned() }
}

/// The encoding in which this database's values go to a destination.
pub fn sent_as() -> &'static str {
    if database() == "SQL_ASCII" { "SQL_ASCII" } else { "UTF8" }
}

/// The bytes of a server string, as they are sent.
///
/// # Safety
/// `pointer` is a C string; where catalogs can be read. The result lives as long as the current memory context.
pub(crate) unsafe fn sent_bytes<'a>(pointer: *const c_char) -> &'a [u8] {
    // SAFETY: by contract; the conversion returns its argument or a palloc'd C string.
    unsafe {
        let text = CStr::from_ptr(pointer);
        // ASCII is the same in all of the server's encodings, and needs no transaction to look a conversion up.
        if passes_unchanged() || text.to_bytes().is_ascii() {
            return text.to_bytes();
        }
        let length = text.count_bytes() as i32;
        let converted = pg_sys::pg_server_to_any(pointer, length, pg_sys::pg_enc::PG_UTF8 as i32);
        CStr::from_ptr(converted).to_bytes()
    }
}

/// # Safety
/// As for `sent_bytes`, or null, which gives an empty string.
pub(crate) unsafe fn to_utf8(pointer: *const c_char) -> String {
    if pointer.is_null() {
        return String::new();
    }
    // SAFETY: by contract.
    String::from_utf8_lossy(unsafe { sent_bytes(pointer) }).into_owned()
}

/// A server string that decides something: which table, which server. Nothing may be lost in it.
///
/// # Safety
/// As for `sent_bytes`.
pub(crate) unsafe fn from_server(pointer: *const c_char) -> Result<String> {
    // SAFETY: by contract.
    let bytes = unsafe { sent_bytes(pointer) }.to_vec();
    String::from_utf8(bytes).map_err(|_| {
        Error::new(sqlstate::CHARACTER_NOT_IN_REPERTOIRE, "a text is not valid UTF-8")
            .detail("The database's encoding is SQL_ASCII, which says nothing about the letters that its bytes mean.")
            .hint("Set client_encoding to what the client really writes.")
    })
}

/// Did a text lose bytes on its way here, that mean no letter in UTF-8?
pub fn is_damaged(text: &str) -> bool {
    text.contains(char::REPLACEMENT_CHARACTER) && database() == "SQL_ASCII"
}

/// A text for people. A character that the database cannot hold becomes a question mark; anywhere.
pub(crate) fn to_server_or_mark(text: &str) -> CString {
    guard::attempt(|| to_server(text)).unwrap_or_else(|| {
        let mut letter = [0; 4];
        let bytes = |c: char| match guard::attempt(|| to_server(c.encode_utf8(&mut letter))) {
            Some(bytes) => bytes.into_bytes(),
            None => b"?".to_vec(),
        };
        CString::new(text.chars().flat_map(bytes).collect::<Vec<u8>>()).unwrap_or_default()
    })
}

/// A server text that is known by its bytes only; `None` where it cannot be converted.
pub(crate) fn readable(bytes: &[u8]) -> Option<String> {
    let text = CString::new(bytes).ok()?;
    // SAFETY: a C string in the database's encoding.
    guard::attempt(|| Ok(unsafe { to_utf8(text.as_ptr()) }))
}

/// The text with a question mark for every character that the database cannot hold.
pub fn storable(text: &str) -> String {
    if text.is_ascii() || passes_unchanged() {
        return text.to_owned();
    }
    readable(to_server_or_mark(text).to_bytes()).unwrap_or_default()
}

/// A server string; where catalogs can be read.
pub(crate) fn to_server(text: &str) -> Result<CString> {
    let zero = |_| Error::internal("a text contains a zero byte");
    let text = CString::new(text).map_err(zero)?;
    if passes_unchanged() || text.to_bytes().is_ascii() {
        return Ok(text);
    }
    // SAFETY: a C string of the given length; the result is the argument or a palloc'd C string, copied here.
    unsafe {
        let length = text.count_bytes() as i32;
        let converted = pg_sys::pg_any_to_server(text.as_ptr(), length, pg_sys::pg_enc::PG_UTF8 as i32);
        Ok(CStr::from_ptr(converted).to_owned())
    }
}

/// The bytes of a server string, in the encoding that a wire format wants.
///
/// # Safety
/// As for `sent_bytes`.
pub(crate) unsafe fn wire_bytes<'a>(pointer: *const c_char, wanted: Encoding) -> &'a [u8] {
    // SAFETY: by contract.
    unsafe {
        match wanted {
            Encoding::Database => CStr::from_ptr(pointer).to_bytes(),
            Encoding::Utf8 => sent_bytes(pointer),
        }
    }
}

/// Bytes that may be text: what they are in the encoding that a wire format wants, or `None`. Anywhere, also where
/// catalogs cannot be read; then only text that needs no conversion is text.
pub(crate) fn as_wire_text(bytes: &[u8], wanted: Encoding) -> Option<Vec<u8>> {
    let length = i32::try_from(bytes.len()).ok()?;
    // SAFETY: the length is that of the bytes; the check only reads them. The conversion is given a C string.
    unsafe {
        let encoding = pg_sys::GetDatabaseEncoding();
        if !pg_sys::pg_verify_mbstr(encoding, bytes.as_ptr().cast(), length, true) {
            return None;
        }
        if wanted == Encoding::Database || passes_unchanged() || bytes.is_ascii() {
            return Some(bytes.to_vec());
        }
        let text = CString::new(bytes).ok()?;
        pg_sys::IsTransactionState().then(|| sent_bytes(text.as_ptr()).to_vec())
    }
}

/// Is that a name of the database's encoding?
pub(crate) fn is_database_encoding(name: &str) -> bool {
    let Ok(name) = CString::new(name) else { return false };
    // SAFETY: a C string; plain read.
    unsafe { compat::char_to_encoding(&name) == pg_sys::GetDatabaseEncoding() }
}
