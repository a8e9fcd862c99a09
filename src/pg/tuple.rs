//! Tuples to bytes: the field encoding of COPY BINARY and of array elements.
//!
//! The common types are written here from their memory form; all others go through the type's send or output function.
//! Memory that those functions take belongs to a context that is reset after each row.
//!
//! A guard around each server function would cost more than most of those functions do. So they are called bare here, and
//! whoever takes a tuple apart or encodes a row does so inside [`report::guarded`](super::report::guarded).
//! What lies between owns nothing: an ERROR passes over it.

use std::ffi::{CStr, c_char};

use pgrx::pg_sys;

use crate::logicalrep::relation::{NULL_FIELD, UNCHANGED_FIELD};
use crate::pg::encoding;
use crate::pg::jsonb;
use crate::pg::numeric::Numeric;
use crate::pg::rel::{Attribute, Described, Memory, text};

/// The server's functions without a guard.
mod raw {
    use super::*;

    unsafe extern "C-unwind" {
        pub fn heap_deform_tuple(
            tuple: pg_sys::HeapTuple,
            desc: pg_sys::TupleDesc,
            values: *mut pg_sys::Datum,
            nulls: *mut bool,
        );
        pub fn SendFunctionCall(function: *mut pg_sys::FmgrInfo, value: pg_sys::Datum) -> *mut pg_sys::bytea;
        pub fn OutputFunctionCall(function: *mut pg_sys::FmgrInfo, value: pg_sys::Datum) -> *mut c_char;
        pub fn pg_detoast_datum_packed(value: *mut pg_sys::varlena) -> *mut pg_sys::varlena;
        pub fn MemoryContextReset(context: pg_sys::MemoryContext);
    }
}

pub(super) enum Encoder {
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
pub(super) enum StoredForm {
    Numeric,
    Jsonb,
}

impl Encoder {
    /// # Safety
    /// Where catalogs can be read; the type has a send function.
    pub(super) unsafe fn binary(base: pg_sys::Oid, memory: &Memory) -> Encoder {
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
    pub(super) unsafe fn text(declared: pg_sys::Oid, memory: &Memory) -> Encoder {
        let (mut function, mut varlena) = (pg_sys::InvalidOid, false);
        // SAFETY: by contract.
        unsafe {
            pg_sys::getTypeOutputInfo(declared, &mut function, &mut varlena);
            Encoder::Output(function_info(function, memory))
        }
    }

    /// # Safety
    /// Where catalogs can be read.
    pub(super) unsafe fn has_send(base: pg_sys::Oid) -> bool {
        // SAFETY: by contract; the cached tuple is released after the look.
        unsafe {
            let tuple = pg_sys::SearchSysCache1(pg_sys::SysCacheIdentifier::TYPEOID as i32, pg_sys::Datum::from(base));
            if tuple.is_null() {
                return false;
            }
            let form = pg_sys::GETSTRUCT(tuple).cast::<pg_sys::FormData_pg_type>();
            let has = (*form).typsend != pg_sys::InvalidOid && (*form).typreceive != pg_sys::InvalidOid;
            pg_sys::ReleaseSysCache(tuple);
            has
        }
    }

    /// Appends the field: its length word, then its bytes.
    ///
    /// # Safety
    /// `datum` is a non-null value of the encoder's type, not an unchanged TOAST pointer. Inside a guard.
    #[inline]
    unsafe fn append(&mut self, datum: pg_sys::Datum, out: &mut Vec<u8>) {
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
pub(super) unsafe fn is_on_disk_toast(datum: pg_sys::Datum) -> bool {
    const VARTAG_ONDISK: u8 = 18;
    // SAFETY: by contract; an external varlena has its tag in the second byte.
    unsafe {
        let pointer = datum.cast_mut_ptr::<pg_sys::varlena>();
        pgrx::varatt_is_1b_e(pointer) && *pointer.cast::<u8>().add(1) == VARTAG_ONDISK
    }
}

/// A tuple taken apart; the room is used again for the next.
#[derive(Default)]
pub(super) struct Deformed {
    values: Vec<pg_sys::Datum>,
    nulls: Vec<bool>,
}

impl Deformed {
    /// # Safety
    /// `tuple` belongs to `desc`. Inside a guard.
    pub(super) unsafe fn take(&mut self, tuple: pg_sys::HeapTuple, desc: pg_sys::TupleDesc) {
        // SAFETY: by contract; both arrays have a place for each attribute.
        unsafe {
            let natts = (*desc).natts as usize;
            self.values.resize(natts, pg_sys::Datum::from(0));
            self.nulls.resize(natts, true);
            raw::heap_deform_tuple(tuple, desc, self.values.as_mut_ptr(), self.nulls.as_mut_ptr());
        }
    }

    pub(super) fn row(&self) -> Row<'_> {
        Row { values: &self.values, nulls: &self.nulls }
    }
}

/// A row's values, one for each attribute of its table.
#[derive(Clone, Copy)]
pub(super) struct Row<'a> {
    pub(super) values: &'a [pg_sys::Datum],
    pub(super) nulls: &'a [bool],
}

/// Memory for what comes and goes with a row or a message.
#[derive(Clone, Copy)]
pub(super) struct Scratch(pg_sys::MemoryContext);

impl Scratch {
    /// # Safety
    /// `parent` is a live context; the scratch is not used after it.
    pub(super) unsafe fn new(parent: pg_sys::MemoryContext, name: &'static CStr) -> Scratch {
        // SAFETY: by contract; the name is static.
        Scratch(unsafe { pg_sys::AllocSetContextCreateInternal(parent, name.as_ptr(), 0, 8 * 1024, 8 * 1024 * 1024) })
    }

    /// Runs `f` with this memory, which is emptied afterwards. An error leaves that to whoever recovers from it.
    ///
    /// # Safety
    /// Nothing that `f` makes there is used later.
    pub(super) unsafe fn run<R>(&self, f: impl FnOnce() -> R) -> R {
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

/// A logged old tuple: all of the row, or its key only.
#[derive(Clone, Copy)]
pub(super) struct OldTuple<'a> {
    pub(super) row: Row<'a>,
    pub(super) is_full: bool,
}

/// Which encoders to use.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    Param,
    Copy,
}

impl Described {
    /// Appends the row's fields. Values that an UPDATE left in TOAST are taken from the old tuple where it has them: all
    /// of them with a FULL identity, those of the key otherwise (a key kept out of line is always logged). Else they
    /// are marked.
    ///
    /// # Safety
    /// The row is one of this table (`old` likewise). Inside a guard.
    pub(super) unsafe fn encode(
        &mut self,
        row: Row<'_>,
        old: Option<OldTuple<'_>>,
        purpose: Purpose,
        out: &mut Vec<u8>,
    ) {
        let Described { relation, attributes, .. } = self;
        for (column, Attribute { index, is_varlena, param, copy, .. }) in attributes.iter_mut().enumerate() {
            let (mut datum, mut null) = (row.values[*index], row.nulls[*index]);
            // SAFETY: the attribute is a varlena; values are live for the call.
            if purpose == Purpose::Param && !null && *is_varlena && unsafe { is_on_disk_toast(datum) } {
                match old.filter(|old| old.is_full || relation.is_key(column)) {
                    Some(old) => (datum, null) = (old.row.values[*index], old.row.nulls[*index]),
                    None => {
                        out.extend_from_slice(&UNCHANGED_FIELD.to_be_bytes());
                        continue;
                    }
                }
            }
            if null {
                out.extend_from_slice(&NULL_FIELD.to_be_bytes());
                continue;
            }
            let encoder = match (purpose, copy) {
                (Purpose::Copy, Some(copy)) => copy,
                _ => param,
            };
            // SAFETY: a non-null value of the attribute's type.
            unsafe { encoder.append(datum, out) };
        }
    }

    /// Appends the fields of the key columns only.
    ///
    /// # Safety
    /// As for `encode`.
    pub(super) unsafe fn encode_key(&mut self, row: Row<'_>, out: &mut Vec<u8>) {
        let Described { relation, attributes, .. } = self;
        for column in &relation.key {
            let Attribute { index, param, .. } = &mut attributes[*column];
            if row.nulls[*index] {
                out.extend_from_slice(&NULL_FIELD.to_be_bytes());
            } else {
                // SAFETY: a non-null value of the attribute's type; key values are never kept out of line here.
                unsafe { param.append(row.values[*index], out) };
            }
        }
    }

    /// The key (or, without one, the whole row) for a message: `(id)=(7)`.
    ///
    /// # Safety
    /// The row is one of this table; where catalogs can be read.
    pub(super) unsafe fn show_key(&self, Row { values, nulls }: Row<'_>) -> String {
        const LONGEST: usize = 200;
        let all: Vec<usize> = (0..self.attributes.len()).collect();
        let columns = if self.relation.key.is_empty() { &all } else { &self.relation.key };
        let mut names = Vec::new();
        let mut shown = Vec::new();
        for column in columns {
            let index = self.attributes[*column].index;
            names.push(self.relation.columns[*column].name.clone());
            // SAFETY: by contract.
            let value = unsafe {
                let declared = (*crate::pg::compat::tuple_desc_attr(self.desc.0, index)).atttypid;
                if nulls[index] {
                    "null".to_owned()
                } else if self.attributes[*column].is_varlena && is_on_disk_toast(values[index]) {
                    "(not logged)".to_owned()
                } else {
                    let (mut function, mut varlena) = (pg_sys::InvalidOid, false);
                    pg_sys::getTypeOutputInfo(declared, &mut function, &mut varlena);
                    text(pg_sys::OidOutputFunctionCall(function, values[index]).cast::<c_char>())
                }
            };
            shown.push(value.chars().take(LONGEST).collect::<String>());
        }
        format!("({})=({})", names.join(", "), shown.join(", "))
    }
}
