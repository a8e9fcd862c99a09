//! WAL positions as SQL functions take and return them: `utils/pg_lsn.h`.

use pgrx::callconv::{Arg, ArgAbi, BoxRet, FcInfo};
use pgrx::datum::{Datum, UnboxDatum};
use pgrx::nullable::Nullable;
use pgrx::prelude::*;

use crate::error::Error;
use crate::logicalrep::Lsn;
use crate::pg::report;

/// The type's OID, the same on every server.
const PG_LSN: u32 = 3220;

impl_sql_translatable!(Lsn, "pg_lsn");

impl FromDatum for Lsn {
    unsafe fn from_polymorphic_datum(datum: pg_sys::Datum, is_null: bool, _: pg_sys::Oid) -> Option<Lsn> {
        // SAFETY: the function is declared with a pg_lsn in this place, which is 64 bits wide as an int8 is.
        unsafe { i64::from_datum(datum, is_null) }.map(|lsn| Lsn(lsn as u64))
    }
}

impl IntoDatum for Lsn {
    fn into_datum(self) -> Option<pg_sys::Datum> {
        (self.0 as i64).into_datum()
    }

    fn type_oid() -> pg_sys::Oid {
        // Named otherwise by the headers of 13.
        pg_sys::Oid::from(PG_LSN)
    }
}

// SAFETY: the datum is a pg_lsn that is not NULL, and what is made of it borrows nothing.
unsafe impl UnboxDatum for Lsn {
    type As<'src> = Lsn;

    unsafe fn unbox<'src>(datum: Datum<'src>) -> Lsn
    where
        Self: 'src,
    {
        // SAFETY: by contract.
        unsafe { Lsn::from_datum(datum.sans_lifetime(), false) }.unwrap_or_else(missing)
    }
}

// SAFETY: takes the argument that it is asked for, by the conversion above.
unsafe impl<'fcx> ArgAbi<'fcx> for Lsn {
    unsafe fn unbox_arg_unchecked(arg: Arg<'_, 'fcx>) -> Lsn {
        // SAFETY: by contract.
        unsafe { arg.unbox_arg_using_from_datum() }.unwrap_or_else(missing)
    }

    unsafe fn unbox_nullable_arg(arg: Arg<'_, 'fcx>) -> Nullable<Lsn> {
        // SAFETY: by contract.
        unsafe { arg.unbox_arg_using_from_datum().into() }
    }
}

/// A function that is not STRICT takes an `Option`.
fn missing() -> Lsn {
    report::raise(&Error::internal("an argument is null"))
}

// SAFETY: returns a datum of type pg_lsn.
unsafe impl BoxRet for Lsn {
    unsafe fn box_into<'fcx>(self, fcinfo: &mut FcInfo<'fcx>) -> Datum<'fcx> {
        match self.into_datum() {
            // SAFETY: by contract.
            Some(datum) => unsafe { fcinfo.return_raw_datum(datum) },
            None => fcinfo.return_null(),
        }
    }
}
