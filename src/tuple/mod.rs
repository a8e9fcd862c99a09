//! Rows of a table as bytes: what a table's definition says of its columns, and one encoder for each of them.
//!
//! ```text
//!   types      which form the values of a type travel in
//!   encoder    one value      numeric, jsonb: stored forms that are taken apart here
//!   describe   one table: its columns, its key, an encoder each
//!   encode     one row
//!   scan       all rows of a table, as COPY takes them
//! ```
//! Decoding and copying use the same descriptions, so a row looks the same whichever way it travels. Nothing here knows
//! where the bytes go.
#![allow(unsafe_code)]

pub mod describe;
pub mod encode;
mod encoder;
mod jsonb;
mod memory;
mod numeric;
#[cfg(any(test, fuzzing))]
pub mod properties;
pub mod scan;
mod types;

pub use describe::{Described, describe_open};
pub(crate) use encoder::is_on_disk_toast;
pub(crate) use memory::Scratch;
