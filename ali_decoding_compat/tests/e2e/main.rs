//! The archive on real servers, every major that can be had: `make test-ali`.
//!
//! ```text
//!   golden    the original's bytes; BEGIN and COMMIT
//!   random    random tables, changes and DDL, decoded by test_decoding too and compared
//!   history   definitions that change between changes, one story each
//!   options   what a reader may ask for, and what it hears otherwise
//!   corners   big, wide, old and odd tables; errors in mid-stream; other encodings
//! ```
//!
//! One cluster for each server and a new database for each story: a program of its own instead of the usual
//! runner, so that a server starts once. Arguments choose stories by parts of their names.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod corners;
mod golden;
mod history;
mod options;
mod random;
#[path = "../support/mod.rs"]
mod support;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::time::Instant;

use support::cluster::{Cluster, Database};
use support::server;

type Story = (&'static str, fn(&Database));

macro_rules! stories {
    ($($module:ident::$story:ident),* $(,)?) => {
        [$((concat!(stringify!($module), "::", stringify!($story)), $module::$story)),*]
    };
}

const STORIES: [Story; 26] = stories![
    golden::golden_bytes,
    golden::begin_and_commit_tell_the_truth,
    random::changes_are_those_of_test_decoding,
    history::columns_come_and_go,
    history::names_of_tables_schemas_and_types_change,
    history::a_type_is_hidden_by_another,
    history::the_replica_identity_changes,
    history::the_search_path_of_the_reader_counts,
    history::many_relations_change_at_once,
    options::options_are_checked,
    options::options_of_start_replication_are_checked,
    options::the_textual_function_refuses,
    options::the_extension_can_be_created,
    options::it_may_be_preloaded,
    options::an_unlisted_plugin_is_refused_by_the_server,
    corners::truncate_messages_and_sequences_send_nothing,
    corners::a_table_as_wide_as_can_be,
    corners::large_values_and_a_large_transaction,
    corners::an_identity_index_on_row_ids,
    corners::an_index_that_includes_columns,
    corners::partitions_generated_columns_and_rewrites,
    corners::prepared_transactions_arrive_when_they_commit,
    corners::a_canceled_session_goes_on,
    corners::an_output_function_that_fails,
    corners::a_panic_is_an_error,
    corners::a_database_of_another_encoding,
];

fn main() -> ExitCode {
    let wanted: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    let chosen: Vec<Story> = STORIES
        .into_iter()
        .filter(|(name, _)| wanted.is_empty() || wanted.iter().any(|part| name.contains(part)))
        .collect();
    if server::variable("ALI_DECODING_DIST").is_empty() {
        println!("not run, for there is no archive to test: `make test-ali` builds it");
        println!("0 passed, 0 failed, {} skipped", chosen.len());
        return ExitCode::SUCCESS;
    }
    let (mut passed, mut failed) = (0, 0);
    for server in server::all() {
        let cluster = Cluster::start(&server);
        println!("{}", cluster.existing("postgres").sql("SHOW server_version"));
        for (name, story) in &chosen {
            let begun = Instant::now();
            let told = catch_unwind(AssertUnwindSafe(|| tell(&cluster, *story)));
            let verdict = if told.is_ok() { "ok" } else { "FAILED" };
            println!("  {name} ... {verdict} ({:.1} s)", begun.elapsed().as_secs_f64());
            *(if told.is_ok() { &mut passed } else { &mut failed }) += 1;
        }
    }
    println!("{passed} passed, {failed} failed");
    if failed == 0 && passed > 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn tell(cluster: &Cluster, story: fn(&Database)) {
    let database = cluster.database();
    story(&database);
    database.drop_slots();
    let log = cluster.log();
    assert!(!log.contains("was terminated by signal"), "a process crashed:\n{log}");
}
