//! Commands that change the schema, in the stream: after each story both sides have the same rows and the same definitions, and
//! `courier.ddl` tells what became of each command.
//!
//! Stories are data (`case.rs`), told one after another to one pair of servers and one task (`harness.rs`). What is not as it should be
//! must at least be said by somebody: nothing may be different in silence. `COURIER_CASE=words` tells only stories whose name has these
//! words.

mod altered;
mod aside;
mod beside;
mod called;
mod case;
mod code;
mod columns;
mod copy;
mod detached;
pub mod equal;
mod failures;
mod harness;
mod indexes;
mod killed;
mod locks;
mod lying;
mod partitions;
mod passing;
mod policies;
mod random;
mod refreshed;
mod scope;
mod sessions;
mod signatures;
mod sweep;
mod tables;
mod tasks;
mod trust;
mod twins;
mod types;
mod watching;

use pg_courier_tests::pair::DATABASE;
use pg_courier_tests::{Pair, TaskOptions};

use crate::common::TASK;

/// Two tables of schema `public` with a task that follows all of it.
fn followed_pair() -> Pair {
    let pair = Pair::start();
    create_tables(&pair);
    follow(&pair);
    pair
}

fn create_tables(pair: &Pair) {
    pair.source.run(
        DATABASE,
        "CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t SELECT g, 'v' || g FROM generate_series(1, 50) g; \
         CREATE TABLE o (id int PRIMARY KEY, t_id int REFERENCES t, n numeric DEFAULT 1.5); \
         INSERT INTO o SELECT g, g FROM generate_series(1, 20) g",
    );
}

/// A task that takes commands along, up to its stream.
fn follow(pair: &Pair) {
    let options = TaskOptions { ddl: Some("replicate"), ..TaskOptions::default() };
    pair.start_task_with(DATABASE, TASK, &["public.*"], &options);
    pair.wait_for_state(DATABASE, TASK, "synchronizing");
    pair.caught_up(DATABASE, TASK);
}
