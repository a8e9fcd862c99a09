//! Applying: merged batches of source transactions, set-wise, over one pipelined connection.
//!
//! `batch` collapses the changes of a table, `statements` writes the SQL, `arrays` packs rows into parameters,
//! `applier` drives it all as the decoder's sink.

pub mod applier;
pub mod arrays;
pub mod batch;
pub mod statements;
