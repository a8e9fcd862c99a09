//! Values to bytes, one encoder for a column.
//!
//! The common types are written here from their memory form; all others go through the type's send or output function.
//! Memory that those functions take belongs to a context that is reset after each row.
//!
//! A guard around each server function would cost more than most of those functions do. So they are called bare here, and
//! whoever takes a tuple apart or encodes a row does so inside [`guard::guarded`](crate::pg::guard::guarded).
//! What lies between owns nothing: an ERROR passes over it.

use std::ffi::c_char;

use pgrx::pg_sys;

use super::jsonb;
use super::memory::Memory;
use super::numeric::Numeric;
use crate::pg::encoding;

/// The server's functions without a guard.
mod raw {
    use super::*;

    unsafe extern "C-unwind" {
        pub fn SendFunctionCall(function: *mut pg_sys::FmgrInfo, value: pg_sys::Datum) -> *mut pg_sys::bytea;
        pub fn OutputFunctionCall(function: *mut pg_sys::FmgrInfo, value: pg_sys::Datum) -> *mut c_char;
        pub fn pg_detoast_datum_packed(value: *mut pg_sys::varlena) -> *mut pg_sys::varlena;
    }
}

pub(crate) enum Encoder {
    Bool,
    Int16,
    Int32,
    /// Also timestamps, money and the bits of a double: eight bytes, high byte first.
    Int64,
    /// text, varchar, char(n), bytea: the bytes are the binary form.
    Bytes,
    /// uuid: sixteen bytes by reference.
    Fixed16,
    /// Written here as far as the layout is known here, else by the send function.
    Stored(StoredForm, Box<pg_sys::FmgrInfo>),
    Send(Box<pg_sys::FmgrInfo>),
    Output(Box<pg_sys::FmgrInfo>),
}

/// Types whose stored form is taken apart here: their send functions cost several times as much.
#[derive(Clone, Copy)]
pub(crate) enum StoredForm {
    Numeric,
    Jsonb,
}

impl Encoder {
    /// # Safety
    /// Where catalogs can be read; the type has a send function.
    pub(crate) unsafe fn binary(base: pg_sys::Oid, memory: &Memory) -> Encoder {
        match base {
            pg_sys::BOOLOID => Encoder::Bool,
            pg_sys::INT2OID => Encoder::Int16,
            pg_sys::INT4OID | pg_sys::FLOAT4OID | pg_sys::DATEOID | pg_sys::OIDOID => Encoder::Int32,
            pg_sys::INT8OID | pg_sys::FLOAT8OID | pg_sys::TIMESTAMPOID | pg_sys::TIMESTAMPTZOID => Encoder::Int64,
            pg_sys::BYTEAOID => Encoder::Bytes,
            pg_sys::TEXTOID | pg_sys::VARCHAROID | pg_sys::BPCHAROID | pg_sys::JSONOID
                if encoding::passes_unchanged() =>
            {
                Encoder::Bytes
            }
            pg_sys::UUIDOID => Encoder::Fixed16,
            _ => {
                let (mut function, mut varlena) = (pg_sys::InvalidOid, false);
                // SAFETY: by contract.
                let function = unsafe {
                    pg_sys::getTypeBinaryOutputInfo(base, &mut function, &mut varlena);
                    function_info(function, memory)
                };
                match base {
                    pg_sys::NUMERICOID => Encoder::Stored(StoredForm::Numeric, function),
                    pg_sys::JSONBOID if encoding::passes_unchanged() => Encoder::Stored(StoredForm::Jsonb, function),
                    _ => Encoder::Send(function),
                }
            }
        }
    }

    /// # Safety
    /// Where catalogs can be read.
    pub(crate) unsafe fn text(declared: pg_sys::Oid, memory: &Memory) -> Encoder {
        let (mut function, mut varlena) = (pg_sys::InvalidOid, false);
        // SAFETY: by contract.
        unsafe {
            pg_sys::getTypeOutputInfo(declared, &mut function, &mut varlena);
            Encoder::Output(function_info(function, memory))
        }
    }

    /// Appends the field: its length word, then its bytes.
    ///
    /// # Safety
    /// `datum` is a non-null value of the encoder's type, not an unchanged TOAST pointer. Inside a guard.
    #[inline]
    pub(super) unsafe fn append(&mut self, datum: pg_sys::Datum, out: &mut Vec<u8>) {
        match self {
            Encoder::Bool => fixed(out, [datum.value() as u8 & 1]),
            Encoder::Int16 => fixed(out, (datum.value() as i16).to_be_bytes()),
            Encoder::Int32 => fixed(out, (datum.value() as i32).to_be_bytes()),
            Encoder::Int64 => fixed(out, (datum.value() as i64).to_be_bytes()),
            // SAFETY: a varlena by contract.
            Encoder::Bytes => unsafe { varlena(datum, out) },
            // SAFETY: a value of sixteen bytes by contract.
            Encoder::Fixed16 => unsafe { bytes(out, datum.cast_mut_ptr::<u8>(), 16) },
            // SAFETY: a varlena by contract; the function is the type's.
            Encoder::Stored(form, function) => unsafe {
                let start = out.len();
                if form.append(packed(datum), out).is_none() {
                    out.truncate(start);
                    send(function, datum, out);
                }
            },
            // SAFETY: the function is the type's.
            Encoder::Send(function) => unsafe { send(function, datum, out) },
            Encoder::Output(function) => {
                // SAFETY: as above; the result is a palloc'd C string.
                unsafe {
                    let output = raw::OutputFunctionCall(&mut **function, datum);
                    let text = encoding::sent_bytes(output);
                    bytes(out, text.as_ptr(), text.len());
                }
            }
        }
    }
}

impl StoredForm {
    /// Appends a field. `None` if it is one for the send function.
    #[inline]
    fn append(self, stored: &[u8], out: &mut Vec<u8>) -> Option<()> {
        const VERSION: u8 = 1;
        let start = out.len();
        // The length, which is known at the end.
        out.extend_from_slice(&[0; 4]);
        match self {
            StoredForm::Numeric => Numeric::parse(stored)?.send(out),
            StoredForm::Jsonb => {
                out.push(VERSION);
                jsonb::print(stored, out)?;
            }
        }
        let length = i32::try_from(out.len() - start - 4).ok()?;
        out[start..start + 4].copy_from_slice(&length.to_be_bytes());
        Some(())
    }
}

/// # Safety
/// `function` is the send function of the value's type, and its info lives as long as the encoder. Inside a guard.
unsafe fn send(function: &mut pg_sys::FmgrInfo, datum: pg_sys::Datum, out: &mut Vec<u8>) {
    // SAFETY: by contract; the result is a palloc'd bytea.
    unsafe {
        let sent = raw::SendFunctionCall(function, datum);
        varlena(pg_sys::Datum::from(sent), out);
    }
}

/// # Safety
/// `function` exists; the info is not used after `memory`.
unsafe fn function_info(function: pg_sys::Oid, memory: &Memory) -> Box<pg_sys::FmgrInfo> {
    let mut info = Box::<pg_sys::FmgrInfo>::default();
    // SAFETY: by contract; what the function caches lives in that memory.
    unsafe { pg_sys::fmgr_info_cxt(function, &mut *info, memory.context()) };
    info
}

#[inline]
fn fixed<const N: usize>(out: &mut Vec<u8>, value: [u8; N]) {
    out.extend_from_slice(&(N as i32).to_be_bytes());
    out.extend_from_slice(&value);
}

/// # Safety
/// `from` is valid for `length` bytes.
#[inline]
unsafe fn bytes(out: &mut Vec<u8>, from: *const u8, length: usize) {
    out.extend_from_slice(&(length as i32).to_be_bytes());
    // SAFETY: by contract.
    out.extend_from_slice(unsafe { std::slice::from_raw_parts(from, length) });
}

/// # Safety
/// As for `packed`.
#[inline]
unsafe fn varlena(datum: pg_sys::Datum, out: &mut Vec<u8>) {
    // SAFETY: by contract.
    unsafe {
        let content = packed(datum);
        bytes(out, content.as_ptr(), content.len());
    }
}

/// The content of a varlena.
///
/// # Safety
/// `datum` is a varlena that can be detoasted. Inside a guard. The result lives as long as the value, or as the current
/// memory context if it had to be detoasted.
#[inline]
unsafe fn packed<'a>(datum: pg_sys::Datum) -> &'a [u8] {
    // SAFETY: by contract; a packed varlena has its length in its header.
    unsafe {
        let mut value = datum.cast_mut_ptr::<pg_sys::varlena>();
        if pgrx::varatt_is_1b_e(value) || pgrx::varatt_is_4b_c(value) {
            value = raw::pg_detoast_datum_packed(value);
        }
        std::slice::from_raw_parts(pgrx::vardata_any(value).cast::<u8>(), pgrx::varsize_any_exhdr(value))
    }
}

/// Is it a pointer to a value in a TOAST table? In a decoded new row that means: not changed, not logged.
///
/// # Safety
/// `datum` is a varlena.
#[inline]
pub(crate) unsafe fn is_on_disk_toast(datum: pg_sys::Datum) -> bool {
    const VARTAG_ONDISK: u8 = 18;
    // SAFETY: by contract; an external varlena has its tag in the second byte.
    unsafe {
        let pointer = datum.cast_mut_ptr::<pg_sys::varlena>();
        pgrx::varatt_is_1b_e(pointer) && *pointer.cast::<u8>().add(1) == VARTAG_ONDISK
    }
}
