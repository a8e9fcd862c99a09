//! From the WAL to changes for a [`ChangeSink`], in our own process.
//!
//! ```text
//!   sink       where it ends: who takes the changes
//!   context    the slot and its decoding context: step, position, confirm
//!   callbacks  what the server calls; reads of slots of others go to `reader`
//!   decoder    what the callbacks do for a sink: begin, row change, mark, commit
//!   tables     the tables met: what is wanted of them, how their rows are encoded, by which file they are known
//!   rows       one change: which way round, what the WAL holds of it, its bytes
//!   txn        the reorder buffer's transactions and their lists of changes
//!   replay     a simple transaction, walked here instead of replayed by the server
//!   spools     what was taken out of large transactions before their commit
//!   early      the taking out, and the playing at the commit
//! ```
//! A file uses those above it in this list (context and callbacks the whole of it). What happens to the changes is the
//! sink's affair: nothing here knows a destination.
#![allow(unsafe_code)]

mod callbacks;
pub mod context;
mod decoder;
mod early;
mod replay;
mod rows;
mod sink;
mod spools;
mod tables;
mod txn;

pub use sink::{ChangeSink, EarlySink, Event};
