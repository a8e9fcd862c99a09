//! Wire formats: what readers of a slot of plugin `pg_courier` are sent.
//!
//! ```text
//!   pg::wire_plugin     the server's callback decides what is sent
//!        |  Transaction, RowChange, Truncate, LogicalMessage
//!        v
//!   FORMATS             a table of writers decides which bytes
//!        |  ali, json, text
//!        v
//!   message             nothing written is nothing sent
//! ```
//!
//! A reader names its format when it starts to read (`format 'json'`). A format is one row of [`FORMATS`]: its name, how
//! the server is to treat its output, in which encoding it wants texts, which options it knows, and its writer. A
//! writer has no state but its options, so every message stands for itself.
//!
//! Nothing in here knows the server. Names and values arrive as finished text, made by the server's own rules.

mod ali;
mod change;
pub mod json;
mod options;
#[cfg(any(test, fuzzing))]
pub mod properties;
mod text;
mod time;

/// The encoder of the ali_decoding plugin, shared as source: that crate is a plugin of its own.
#[path = "../../ali_decoding_compat/src/wire.rs"]
mod ali_encoding;
/// Likewise the notation of its numbers.
#[path = "../../ali_decoding_compat/src/options.rs"]
mod ali_options;

pub use change::{
    Action, Column, Content, Identity, Kind, LogicalMessage, Name, Prepared, RowChange, Table, Truncate, Value,
};
pub use options::{Database, Settings, choose};

use crate::logicalrep::Transaction;

/// How the server treats a format's messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output {
    /// Bytes: `pg_logical_slot_get_binary_changes` and START_REPLICATION.
    Binary,
    /// Text in the database's encoding: `pg_logical_slot_get_changes` as well.
    Textual,
}

/// The encoding in which a writer wants names and values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// As they are in the database.
    Database,
    /// UTF-8, unless the database is in SQL_ASCII and nobody knows what its bytes mean.
    Utf8,
}

/// One row of the table of formats.
pub struct Format {
    /// As the option `format` names it.
    pub name: &'static str,
    pub output: Output,
    pub encoding: Encoding,
    /// The options it knows besides `format`.
    options: &'static [&'static options::Setting],
    /// What holds when an option is not given.
    defaults: Settings,
    pub writer: fn(&Settings) -> Box<dyn Writer>,
}

/// Every format that there is.
pub const FORMATS: [&Format; 3] = [&ali::FORMAT, &json::FORMAT, &text::FORMAT];

/// Writes the messages of one format. A method that appends nothing sends nothing.
pub trait Writer {
    /// The parts of a table's messages that stay the same, made once for each definition of a table.
    fn prepare(&self, table: &Table) -> Prepared;

    fn begin(&self, transaction: &Transaction, out: &mut Vec<u8>);

    fn commit(&self, transaction: &Transaction, out: &mut Vec<u8>);

    fn change(&self, change: &RowChange<'_>, out: &mut Vec<u8>);

    fn truncate(&self, truncate: &Truncate<'_>, out: &mut Vec<u8>);

    /// A message of `pg_logical_emit_message`.
    fn message(&self, message: &LogicalMessage<'_>, out: &mut Vec<u8>);
}

#[cfg(test)]
mod tests;
