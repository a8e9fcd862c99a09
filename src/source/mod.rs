//! Where a task's rows and changes come from. No other module makes or asks for a slot, takes a snapshot to copy under, or begins
//! a stream.
//!
//! ```text
//!   Source        questions, the slot, positions; begins copies and streams
//!   TableReader   tables under the snapshot of their copy
//!   ChangeStream  the changes behind the slot's position, to a sink
//!   local         the source is this server: SPI, the heap, WAL decoded in this process
//!   fake          answers for unit tests
//! ```
//! What the service keeps of its tasks (the tables of schema `courier`, health, the WAL guard, what tells one installation from
//! another) is of the server that it runs in, wherever a task's rows come from: that is asked by `catalog` and `pg::spi`.
//!
//! A call goes through a table of functions once for a question, a piece of a COPY or a step of decoding, never for a row.

#[cfg(test)]
pub mod fake;
mod local;

use std::time::Duration;

use crate::catalog::Task;
use crate::catalog::tables::TaskTable;
use crate::decode::ChangeSink;
use crate::error::Result;
use crate::libpq::Watch;
use crate::logicalrep::{CopySnapshot, Lsn, Relation, Row, names};

pub use crate::decode::context::RoundEnd;
pub use local::{databases_keeping, slots_in_use};

/// On whose behalf the source is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asker {
    /// The service, of catalogs: no row of a user's is in the answer.
    Extension,
    /// The owner of the task: what he may not see is an error.
    Owner,
}

/// A slot as it was when it was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SlotState {
    /// The database that it is of; none for a physical one.
    pub database: Option<String>,
    /// Is it of this plugin and of the task's database?
    pub is_ours: bool,
    /// Was WAL that it needs removed?
    pub is_lost: bool,
    /// Did it come from a primary that this server was a standby of?
    pub is_synced: bool,
    /// What its reader has confirmed; `0/0` when it has no reader of that kind.
    pub confirmed: Lsn,
    /// Bytes of WAL that are kept for it.
    pub kept: u64,
}

/// Which database it is.
pub struct SourceIdentity {
    /// For people.
    pub shown: String,
    /// System identifier and OID.
    pub id: String,
}

/// The source of one task. Inside a transaction of the caller, unless it is said otherwise.
pub trait Source {
    /// Runs a statement that only reads. Parameters are text; cast them in the statement.
    fn ask(&mut self, asker: Asker, sql: &str, params: &[Option<&str>]) -> Result<Vec<Row>>;

    /// Asks for the owner of the task, with values printed as these settings say.
    fn ask_printed(&mut self, settings: &[(&str, &str)], sql: &str) -> Result<Vec<Row>>;

    fn identity(&mut self) -> Result<SourceIdentity>;

    /// The slot that has the task's name, whoever made it.
    fn slot(&mut self) -> Result<Option<SlotState>>;

    /// Makes the task's slot, and returns where it starts. Waits for every transaction that runs now. Outside of a transaction, in
    /// a process that does nothing else.
    fn create_slot(&mut self) -> Result<Lsn>;

    /// Who keeps the process that makes the slot waiting; empty when nobody does.
    fn blockers_of(&mut self, process: i32) -> Result<String>;

    /// Waits for nobody: it is an error when somebody reads it. Nothing happens when it is gone. Runs no SQL, so a transaction that is
    /// about to commit may call it.
    fn drop_slot(&mut self) -> Result<()>;

    /// Waits for each transaction that runs now, so that a snapshot taken from then on shows what has written its commit record
    /// before the slot's start. `show` hears how many are left, and whose the next one is. Outside of a transaction.
    fn wait_for_older(&mut self, show: &mut dyn FnMut(usize, &str)) -> Result<()>;

    /// Begins the copy of tables under one snapshot. Their locks come first, so nobody rewrites or truncates them. It is an error when the
    /// owner of the task does not see every row. Outside of a transaction, which it begins.
    fn copy(&mut self, tables: &[&TaskTable], way: CopyWay<'_>) -> Result<Box<dyn TableReader>>;

    /// Takes a snapshot for other processes to copy these tables under, and keeps it and their locks until this process ends. Returns
    /// its name. Outside of a transaction, and nothing else is asked for behind it.
    fn export_snapshot(&mut self, tables: &[u32]) -> Result<String>;

    /// Takes the slot and begins behind `from`, or behind what the slot has confirmed if that is later. Outside of a transaction; the
    /// process asks nothing else of a database from then on.
    fn stream(&mut self, from: Lsn, sink: Box<dyn ChangeSink>) -> Result<Box<dyn ChangeStream>>;

    /// How far WAL is durable: nothing behind it can have been read by anybody. In a transaction or not.
    fn flushed(&self) -> Lsn;

    /// How far WAL is written: what anybody sees now was written before it. In a transaction or not.
    fn written(&self) -> Lsn;

    /// What is committed now, with the position as of which that is known: whatever is asked from then on shows that, and more.
    fn moment(&mut self) -> Result<CopySnapshot>;

    /// A position that a stream comes to when it has met everything that was committed before now.
    fn mark(&mut self) -> Lsn;
}

/// How a copy comes to its locks and its snapshot.
#[derive(Clone, Copy, Debug)]
pub enum CopyWay<'a> {
    /// It waits for the locks; a table that is gone is an error. The snapshot is taken now, or it is one that another process keeps
    /// under that name.
    Waiting(Option<&'a str>),
    /// Tables that somebody else keeps from it, or that are gone, are left out.
    AtOnce,
}

/// Tables under the snapshot of their copy, each by its place among [`TableReader::tables`]. Dropped without [`TableReader::end`] it leaves its transaction to who handles the error.
pub trait TableReader {
    fn tables(&self) -> Vec<u32>;

    /// Its text: which transactions it shows.
    fn snapshot(&self) -> &str;

    /// Behind it nothing commits that the snapshot shows.
    fn sync_lsn(&self) -> Lsn;

    /// A definition in the snapshot, with the destination's names.
    fn relation(&self, place: usize) -> &Relation;

    /// Can rows travel in the binary format, into columns of these types? Types are given without their domains, with a mark
    /// for enums.
    fn fits_binary(&self, place: usize, there: &dyn Fn(&str) -> Option<(u32, bool)>) -> bool;

    /// Reads all of a table, in COPY's binary or text format; `send` gets a piece of the bytes, and the rows that end in it. Returns the
    /// rows.
    fn read(&mut self, place: usize, is_binary: bool, send: &mut dyn FnMut(&[u8], u64) -> Result<()>) -> Result<u64>;

    fn end(self: Box<Self>);
}

/// The changes of the task's slot, as they go to a sink: what its `Selection` wants, transaction by transaction, in the order of
/// commits. After an error it is of no use any more.
pub trait ChangeStream {
    /// Reads on for a while, without waiting for what is not there yet.
    fn step(&mut self) -> Result<RoundEnd>;

    /// Up to where WAL has been read.
    fn position(&self) -> Lsn;

    /// Tells the slot that nothing before `lsn` is needed any more.
    fn confirm(&mut self, lsn: Lsn) -> Result<()>;

    /// What the slot has confirmed.
    fn confirmed(&self) -> Lsn;

    /// Waits until there may be more to read, one of the sockets is ready, somebody nudges, or `limit` is over.
    fn wait(&mut self, sockets: &mut [Watch], limit: Duration);
}

/// The task's source. Today each is the server that the service runs in.
pub fn of(task: &Task) -> Box<dyn Source> {
    with_slot(&names::slot_name(&task.name), task.owner)
}

/// Of a task that may not be there yet.
pub fn with_slot(slot: &str, owner: u32) -> Box<dyn Source> {
    Box::new(local::Local::new(slot, owner))
}
