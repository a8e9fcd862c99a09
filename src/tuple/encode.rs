//! Rows to bytes: the field encoding of COPY BINARY and of array elements.
//!
//! The functions here are called inside [`guard::guarded`](crate::pg::guard::guarded), as `super::encoder` tells.

use std::ffi::c_char;

use pgrx::pg_sys;

use super::describe::{Attribute, Described};
use super::encoder::is_on_disk_toast;
use crate::logicalrep::relation::{NULL_FIELD, UNCHANGED_FIELD};
use crate::pg::rel::text;

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
    }
}

/// A tuple taken apart; the room is used again for the next.
#[derive(Default)]
pub(crate) struct Deformed {
    values: Vec<pg_sys::Datum>,
    nulls: Vec<bool>,
}

impl Deformed {
    /// # Safety
    /// `tuple` belongs to `desc`. Inside a guard.
    pub(crate) unsafe fn take(&mut self, tuple: pg_sys::HeapTuple, desc: pg_sys::TupleDesc) {
        // SAFETY: by contract; both arrays have a place for each attribute.
        unsafe {
            let natts = (*desc).natts as usize;
            self.values.resize(natts, pg_sys::Datum::from(0));
            self.nulls.resize(natts, true);
            raw::heap_deform_tuple(tuple, desc, self.values.as_mut_ptr(), self.nulls.as_mut_ptr());
        }
    }

    #[inline]
    pub(crate) fn row(&self) -> Datums<'_> {
        Datums { values: &self.values, nulls: &self.nulls }
    }
}

/// A row's values, one for each attribute of its table.
#[derive(Clone, Copy)]
pub(crate) struct Datums<'a> {
    pub(crate) values: &'a [pg_sys::Datum],
    pub(crate) nulls: &'a [bool],
}

/// A logged old tuple: all of the row, or its key only.
#[derive(Clone, Copy)]
pub(crate) struct OldTuple<'a> {
    pub(crate) row: Datums<'a>,
    pub(crate) is_full: bool,
}

/// Which encoders to use.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum EncodeFor {
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
    pub(crate) unsafe fn encode(
        &mut self,
        row: Datums<'_>,
        old: Option<OldTuple<'_>>,
        purpose: EncodeFor,
        out: &mut Vec<u8>,
    ) {
        let Described { relation, attributes, .. } = self;
        for (column, Attribute { index, is_varlena, param, copy, .. }) in attributes.iter_mut().enumerate() {
            let (mut datum, mut null) = (row.values[*index], row.nulls[*index]);
            // SAFETY: the attribute is a varlena; values are live for the call.
            if purpose == EncodeFor::Param && !null && *is_varlena && unsafe { is_on_disk_toast(datum) } {
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
                (EncodeFor::Copy, Some(copy)) => copy,
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
    pub(crate) unsafe fn encode_key(&mut self, row: Datums<'_>, out: &mut Vec<u8>) {
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
    pub(crate) unsafe fn show_key(&self, Datums { values, nulls }: Datums<'_>) -> String {
        const LONGEST: usize = 200;
        let all: Vec<usize> = (0..self.attributes.len()).collect();
        let columns = if self.relation.key.is_empty() { &all } else { &self.relation.key };
        let mut names = Vec::new();
        let mut shown = Vec::new();
        for column in columns {
            let index = self.attributes[*column].index;
            names.push(self.relation.columns[*column].source.clone());
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
