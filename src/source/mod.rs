//! Where a task's rows and changes come from. No other module makes or asks for a slot, takes a snapshot to copy under, or begins
//! a stream.
//!
//! ```text
//!   Source        questions, the slot, positions; begins copies and streams
//!   TableReader   one table under the snapshot of its copy
//!   ChangeStream  the changes behind the slot's position, to a sink
//!   local         the source is this server: SPI, the heap, WAL decoded in this process
//! ```
//! What the service keeps of its tasks (the tables of schema `courier`, health, the WAL guard, what tells one installation from
//! another) is of the server that it runs in, wherever a task's rows come from: that is asked by `catalog` and `pg::spi`.
//!
//! A call goes through a table of functions once for a question, a piece of a COPY or a step of decoding, never for a row.

mod local;

use crate::catalog::Task;
use crate::error::Result;
use crate::logicalrep::{Lsn, Row};

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

    /// How far WAL is durable: nothing behind it can have been read by anybody. In a transaction or not.
    fn flushed(&self) -> Lsn;

    /// A position that a stream comes to when it has met everything that was committed before now.
    fn mark(&mut self) -> Lsn;
}

/// The task's source. Today each is the server that the service runs in.
pub fn of(task: &Task) -> Box<dyn Source> {
    of_new(&task.name, task.owner)
}

/// Of a task that is not there yet.
pub fn of_new(name: &str, owner: u32) -> Box<dyn Source> {
    Box::new(local::Local::new(name, owner))
}
