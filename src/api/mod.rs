//! The SQL functions: parse, check the privilege, call, return rows. Declared in `sql/schema.sql`.
//!
//! Whoever may call them is decided by EXECUTE, and for a task by membership in its owner. Inside, the tables of the
//! extension are read and written with the extension's rights, everything of the user's with the owner's.

mod conflicts;
mod coverage;
mod disk;
mod fdw;
pub mod health;
mod identity;
mod plan;
mod precheck;
mod progress;
mod tasks;
mod test_connection;
mod verify;
mod wait;
