//! The SQL functions: parse, check the privilege, call, return rows. Declared in `sql/schema.sql`.
//!
//! What a function is written in: *SQL owns what one query answers; Rust owns what decides, changes state, waits or talks to the
//! other side; plpgsql only for triggers and for procedures that must commit.* What is done is in `task`, `verify`, `precheck`;
//! nothing here is called by anything but the server.
//!
//! Whoever may call them is decided by EXECUTE, and for a task by membership in its owner. Inside, the tables of the
//! extension are read and written with the extension's rights, everything of the user's with the owner's.
#![allow(
    clippy::type_complexity,
    reason = "pgrx reads the columns of a function's rows in its signature, not in an alias"
)]

mod arguments;
mod complete;
mod conflicts;
mod coverage;
mod ddl;
mod disk;
#[cfg(test)]
mod docs;
mod fdw;
pub mod health;
mod identity;
mod large_objects;
mod outdated;
mod plan;
mod precheck;
mod progress;
mod schema;
#[cfg(feature = "failpoints")]
mod schema_difference;
mod script;
mod tasks;
mod test_connection;
mod verify;
mod wait;
