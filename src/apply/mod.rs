//! Applying: merged batches of source transactions, set-wise, over one pipelined connection.
//!
//! ```text
//!   sink, early          the decoder's side: changes, and rows before their commit
//!   serial               one by one, when merging has failed
//!   ddl/                 commands of the source
//!   definitions          rows that they are about
//!   policies             what the task does about commands on things of each kind
//!   applier              collects transactions into groups, and says when a group goes and which way
//!   conflicts            what becomes of a change that the destination refuses
//!   writer/              a group there: its fence, its rows, its end
//!   lanes                two sessions in turn, and their answers in the order of the groups
//!   second, ahead        what the second session does; rows that are there before their commit
//!   flights              groups on their way, and how far the destination is
//!   session/             one connection: how it is used, what was sent, what is known of the tables
//!   collect/, encode/    what waits, and rows as parameters: pure
//! ```
//! A file uses those below it; what happened below comes up as a value, and the upper one acts.

mod ahead;
pub mod applier;
pub mod captures;
mod collect;
mod conflicts;
pub mod ddl;
mod definitions;
mod early;
mod encode;
mod flights;
mod lanes;
pub mod policies;
mod second;
mod serial;
mod session;
mod sink;
#[cfg(test)]
mod tests;
mod writer;
