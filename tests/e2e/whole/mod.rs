//! A database arrives whole: not its tables only, but what they need, what reads them, and who may do what.

mod cases;
mod classes;
mod code;
mod complete;
mod during;
mod extensions;
mod grants;
mod large_objects;
mod order;
mod outside;
mod paths;
mod trust;

use pg_courier_tests::pair::DATABASE;
use pg_courier_tests::{Dump, Install, Pair, Privileges, TaskOptions};

use crate::common::TASK;

fn create(pair: &Pair, include: &[&str]) {
    pair.create_task(DATABASE, TASK, include, &TaskOptions { ddl: Some("replicate"), ..TaskOptions::default() });
}

/// A destination whose role is no superuser on any major. Before 15 it may not apply as a replica then: no table may have keys or triggers
/// that need it.
fn pair_without_superuser() -> Pair {
    Pair::builder().applies_as_replica(Install::destination().major() >= 15).start()
}

/// As it is from 15 on: where everybody may create, nothing that code of users names is looked for.
fn close_public(pair: &Pair) {
    for server in [&pair.source, &pair.destination] {
        server.run(DATABASE, "REVOKE CREATE ON SCHEMA public FROM PUBLIC");
    }
}

/// Starts the task, and waits until both sides are one state.
fn start(pair: &Pair) {
    pair.call(DATABASE, "start", TASK);
    pair.wait_for_state(DATABASE, TASK, "synchronizing");
    pair.caught_up(DATABASE, TASK);
}

/// The same on servers before 14, where a body is a text and nothing depends on what it names, and some functions and operators have other
/// arguments and names. An aggregate over the latter could not be made on a later server: there it is one over a function of the user's.
fn of_this_major(sql: &str) -> String {
    const OPENING: &str = "BEGIN ATOMIC ";
    if Install::get().major() >= 14 {
        return sql.to_owned();
    }
    let mut sql = sql
        .replace("array_append, STYPE = anycompatiblearray", "gather, STYPE = anyarray")
        .replace("anycompatible", "anyelement")
        .replace("|>>", ">^");
    while let Some(at) = sql.find(OPENING) {
        let end = at + sql[at..].find(" END;").expect("the end of a body");
        let body = sql[at + OPENING.len()..end].trim_end_matches(';').replace('\'', "''");
        sql.replace_range(at..end + " END".len(), &format!("AS '{body}'"));
    }
    sql
}

/// Schemas of a pattern of pg_dump are the same on both sides, grants included.
#[track_caller]
fn assert_alike(pair: &Pair, schemas: &str) {
    let ours = Dump::of((&pair.source, DATABASE), schemas, Privileges::Dumped);
    let theirs = Dump::of((&pair.destination, DATABASE), schemas, Privileges::Dumped);
    assert!(!ours.is_empty(), "there is something to compare");
    if let Some(difference) = ours.difference(&theirs) {
        panic!("the schemas differ\n{difference}");
    }
}

/// A query has the same answer on both sides.
#[track_caller]
fn assert_answers(pair: &Pair, query: &str) -> String {
    let ours = pair.source.value(DATABASE, query);
    assert_eq!(pair.destination.value(DATABASE, query), ours, "{query}");
    ours
}

/// The statements that precheck prints for what fails of an item.
fn fixes(pair: &Pair, item: &str) -> Vec<String> {
    let sql = format!(
        "SELECT DISTINCT fix FROM courier.precheck('{TASK}') WHERE item = '{item}' AND status = 'failed' AND fix IS NOT NULL ORDER BY fix"
    );
    pair.source.rows(DATABASE, &sql).into_iter().flatten().flatten().collect()
}
