//! Applying: merged batches of source transactions, set-wise, over one pipelined connection.
//!
//! `batch` collapses the changes of a table, `statements` writes the SQL, `arrays` packs rows into parameters. The
//! applier is one object in several files: `applier` collects changes into groups, `sink` is its face to the decoder,
//! `group` begins and ends a group on the destination, `send` and `copy_runs` send its rows, `answers` reads what the
//! destination says, `conflicts` decides about a change that it refuses, `second` is a second session
//! for long runs of inserts, `ahead` sends rows before their commit, `there` knows the destination's tables and looks for
//! broken constraints that do not check themselves.

mod ahead;
mod answers;
pub mod applier;
mod collect;
mod conflicts;
mod copy_runs;
mod encode;
mod group;
mod huge;
mod second;
mod send;
mod sink;
pub mod there;
