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
pub mod hooks;
mod invalidation;
mod jsonb;
pub mod latch;
pub mod logical;
mod met;
mod numeric;
pub mod output_plugin;
pub mod rel;
mod replay;
pub mod report;
pub mod scan;
pub mod slots;
pub mod spi;
mod spools;
pub mod text;
pub mod tuple;
pub mod wake;
mod wire_plugin;
mod wire_table;
pub mod xact;
