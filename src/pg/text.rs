//! Text as SQL functions take and return it: UTF-8 here, the database's encoding there.
//!
//! A `String` in such a place holds the database's bytes as they are: an argument with a letter beyond ASCII would be
//! refused where the database's encoding is not UTF-8, and a result would be read as other letters.

use std::ops::Deref;

use pgrx::callconv::{Arg, ArgAbi, BoxRet, FcInfo};
use pgrx::datum::{Datum, UnboxDatum};
use pgrx::nullable::Nullable;
use pgrx::prelude::*;

use crate::error::Error;
use crate::pg::{encoding, report};

#[derive(Clone, Debug)]
pub struct Text(String);

impl Text {
    pub fn into_string(self) -> String {
        self.0
    }
}

impl Deref for Text {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl From<String> for Text {
    fn from(text: String) -> Text {
        Text(text)
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Text {
        Text(text.to_owned())
    }
}

impl_sql_translatable!(Text, "text");

impl FromDatum for Text {
    unsafe fn from_polymorphic_datum(datum: pg_sys::Datum, is_null: bool, _: pg_sys::Oid) -> Option<Text> {
        if is_null {
            return None;
        }
        // SAFETY: the function is declared with a text in this place; the copy is the memory context's.
        let text = unsafe { encoding::from_server(pg_sys::text_to_cstring(datum.cast_mut_ptr())) };
        Some(Text(report::unwrap(text)))
    }
}

impl IntoDatum for Text {
    fn into_datum(self) -> Option<pg_sys::Datum> {
        let text = encoding::to_server_or_mark(&self.0);
        // SAFETY: a C string, which is copied.
        Some(unsafe { pg_sys::cstring_to_text(text.as_ptr()) }.into())
    }

    fn type_oid() -> pg_sys::Oid {
        pg_sys::TEXTOID
    }
}

// SAFETY: the datum is a text that is not NULL, and what is made of it borrows nothing.
unsafe impl UnboxDatum for Text {
    type As<'src> = Text;

    unsafe fn unbox<'src>(datum: Datum<'src>) -> Text
    where
        Self: 'src,
    {
        // SAFETY: by contract.
        unsafe { Text::from_datum(datum.sans_lifetime(), false) }.unwrap_or_else(missing)
    }
}

// SAFETY: takes the argument that it is asked for, by the conversion above.
unsafe impl<'fcx> ArgAbi<'fcx> for Text {
    unsafe fn unbox_arg_unchecked(arg: Arg<'_, 'fcx>) -> Text {
        // SAFETY: by contract.
        unsafe { arg.unbox_arg_using_from_datum() }.unwrap_or_else(missing)
    }

    unsafe fn unbox_nullable_arg(arg: Arg<'_, 'fcx>) -> Nullable<Text> {
        // SAFETY: by contract.
        unsafe { arg.unbox_arg_using_from_datum().into() }
    }
}

/// A function that is not STRICT takes an `Option`.
fn missing() -> Text {
    report::raise(&Error::internal("an argument is null"))
}

// SAFETY: returns a datum of type text.
unsafe impl BoxRet for Text {
    unsafe fn box_into<'fcx>(self, fcinfo: &mut FcInfo<'fcx>) -> Datum<'fcx> {
        match self.into_datum() {
            // SAFETY: by contract.
            Some(datum) => unsafe { fcinfo.return_raw_datum(datum) },
            None => fcinfo.return_null(),
        }
    }
}
