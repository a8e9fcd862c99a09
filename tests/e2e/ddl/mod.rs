//! Commands that change the schema, in the stream: after each story both sides have the same rows and the same definitions, and
//! `courier.ddl` tells what became of each command.
//!
//! Stories are data (`case.rs`), told one after another to one pair of servers and one task (`harness.rs`). One that does not hold yet
//! says why, and is still held to be seen by somebody: nothing may be different in silence. `COURIER_CASE=words` tells only stories
//! whose name has these words.

mod case;
mod code;
mod columns;
mod harness;
mod indexes;
mod killed;
mod partitions;
mod scope;
mod sessions;
mod tables;
mod types;
