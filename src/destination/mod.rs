//! The other side: sessions there, everything that is said to it, and what its answers mean. No other module has SQL for it.
//!
//! | file | what is in it |
//! |---|---|
//! | `endpoint.rs`, `claimant.rs` | where a task's sessions go, and what this server says of itself there |
//! | `session.rs` | opening a session: settings that make data mean the same on both sides, the replica role |
//! | `code_path.rs` | where a session looks for what code of users names |
//! | `stream.rs` | a session while changes go through it |
//! | `dialect/` | the statements of the stream, one function for each kind |
//! | `progress.rs` | how far the destination is, in memory and in the helper tables |
//! | `claim.rs`, `instance.rs` | whose the task's rows are, before anything is written |
//! | `helper_schema.rs` | schema `courier_applied`, its version and the steps to it |
//! | `full_copy.rs` | the copy of a table |
//! | `table.rs`, `catalog.rs`, `inspect.rs` | questions: about tables, about the rest of the catalogs, of prechecks |
//! | `rest.rs` | what its database has besides the objects of a task |
//! | `fingerprint.rs` | questions that the source answers as well, to compare rows |
//! | `model.rs` | what has been applied of the source's definitions, and of its commands |
//! | `aside.rs` | what commands have left for another session to do |
//! | `conflicts.rs` | what was decided about changes that did not fit |
//! | `definitions.rs` | making objects, in the words of the schema generator |
//! | `extensions.rs`, `configuration.rs` | which extensions are there, or could be; rows that users have put into their tables |
//! | `fake/`, `fixture.rs` | a destination and a table for unit tests |
//!
//! `courier_applied.progress` has one row for each task that writes here. It is updated in the transaction that carries the
//! data, so after any crash on either side it says exactly what is applied. The same UPDATE is the fence: `writer` must be
//! the row's `epoch` (a CHECK constraint), and it only is when the writer is the one that took the row over last and when
//! its transaction follows the one before without a gap. A batch of a killed worker that the destination still had in its
//! socket can therefore commit before the next worker takes over, or fail; never twice, never out of order.

pub mod aside;
mod catalog;
mod claim;
mod claimant;
pub mod code_path;
mod configuration;
mod conflicts;
mod definitions;
pub mod detach;
pub mod dialect;
mod endpoint;
mod extensions;
#[cfg(test)]
pub mod fake;
pub mod fingerprint;
#[cfg(test)]
pub mod fixture;
pub mod full_copy;
mod helper_schema;
mod inspect;
pub mod instance;
mod large_objects;
mod model;
mod progress;
pub mod refresh;
mod rest;
mod series;
mod session;
mod stream;
pub mod table;

#[cfg(test)]
use fake::{Connection, refuse_shared};

#[cfg(not(test))]
use crate::libpq::{Connection, refuse_shared};

pub use catalog::SequenceTo;
pub use claim::{Claim, Missing, behind, taken_over};
pub use claimant::Claimant;
pub use configuration::TableThere;
pub use definitions::{LockHolder, OnLockWait};
pub use endpoint::Endpoint;
pub use extensions::{ExtensionThere, Obstacle};
pub use helper_schema::{HelperProblem, removal_of};
pub use model::{CommandDone, CommandNote, ModelTable};
pub use progress::{Progress, is_fenced, row_is_gone};
pub use session::{Destination, Purpose, SessionOptions, THIS_DATABASE, data_settings};
