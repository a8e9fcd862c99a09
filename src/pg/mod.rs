//! A safe face for the server API: one file for each part of it, named after what it wraps.
//!
//! `unsafe` stays in here. What is relied on everywhere: a background worker or backend is single-threaded, and a server
//! `ERROR` raised inside a guarded call arrives as an unwinding panic, which [`report::catch`] turns into an
//! [`Error`](crate::error::Error).
#![allow(unsafe_code)]

pub mod bgworker;
pub mod compat;
pub mod disk;
pub mod dsm;
pub mod encoding;
pub mod event_trigger;
pub mod extension;
pub(crate) mod guard;
pub mod hooks;
pub(crate) mod invalidation;
pub mod latch;
mod pg_lsn;
pub mod rel;
pub mod report;
pub mod slots;
pub mod spi;
pub mod text;
pub mod timestamp;
pub mod wake;
pub mod xact;

/// The name of this library, which is the name of its output plugin, too.
pub const LIBRARY: &str = env!("CARGO_PKG_NAME");
const LIBRARY_NAME: &std::ffi::CStr =
    match std::ffi::CStr::from_bytes_with_nul(concat!(env!("CARGO_PKG_NAME"), "\0").as_bytes()) {
        Ok(name) => name,
        Err(_) => c"",
    };
