//! What a command has left behind on the source: written into `courier.ddl_log` by the session that ran it, read from the WAL by the
//! worker of each task.
//!
//! It is the state after the command, not the command: whole images of what it touched, with all that they need, and what it dropped. The
//! worker knows the state before. An image is of one moment, that of the row's snapshot, so whoever reads it knows what another
//! transaction may have changed beside it.

use serde::{Deserialize, Serialize};

use super::deparse::postgres::Foreign;
use super::image::{Class, Image};
use super::scope::{Dependency, Object};

/// The form of this text. One that a worker does not know comes from a later release.
pub const FORM: u16 = 1;

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Captured {
    pub form: u16,
    /// Objects that the command touched and that are there, as roots: a table for its columns, constraints, indexes, triggers.
    #[serde(default)]
    pub touched: Vec<Object>,
    /// Those of them that the command made: a table among them has no rows but those that follow in its transaction.
    #[serde(default)]
    pub created: Vec<Object>,
    /// The touched objects, whole, and the types, collations, sequences and extensions that they need. No part is blocked here: what a
    /// task does not have is known to its worker only.
    #[serde(default)]
    pub image: Image,
    #[serde(default)]
    pub dropped: Vec<Dropped>,
    /// What the parts of the image depend on.
    #[serde(default)]
    pub dependencies: Vec<Dependency>,
    /// What of that no task creates.
    #[serde(default)]
    pub causes: Vec<(Object, Foreign)>,
    /// Written before the rows of a rewritten table, with the catalogs as they are after it. The first such row of a command has the whole
    /// family of the table (all that inherit from the same ancestor), and those that follow for its other members have no image.
    #[serde(default)]
    pub rewrite: Option<Rewrite>,
}

/// A root that is gone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dropped {
    pub class: Class,
    pub oid: u32,
    /// As the server names it: `table s.t`.
    pub identity: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rewrite {
    pub table: u32,
    /// `pg_event_trigger_table_rewrite_reason()`: 1 persistence, 2 default, 4 type, 8 access method.
    pub reason: i32,
}
