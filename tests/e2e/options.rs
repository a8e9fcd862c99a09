//! schema_sync, full_copy, incremental: each combination does its part and no more.

use pg_courier_tests::pair::DATABASE;
use pg_courier_tests::{Pair, TaskOptions};

use crate::common::{SMALL, TASK, assert_mentions, create_small_tables, wait_until_no_workers};

fn options(schema_sync: bool, full_copy: bool, incremental: bool) -> TaskOptions {
    TaskOptions {
        schema_sync: Some(schema_sync),
        full_copy: Some(full_copy),
        incremental: Some(incremental),
        ..Default::default()
    }
}

fn started(options: &TaskOptions, prepare: impl FnOnce(&Pair)) -> Pair {
    let pair = Pair::start();
    create_small_tables(&pair);
    prepare(&pair);
    pair.start_task_with(DATABASE, TASK, &["public.*"], options);
    pair
}

/// The same tables by hand, as a restored dump would have them.
fn create_on_destination(pair: &Pair) {
    pair.destination.run(
        DATABASE,
        "SET ROLE courier; CREATE TABLE items (id bigint PRIMARY KEY, v int NOT NULL, note text); \
         CREATE TABLE journal (item bigint, what text)",
    );
}

/// Only the schema: tables and keys are there, empty; the task is finished and holds no slot.
#[test]
fn schema_only() {
    let pair = started(&options(true, false, false), |_| ());
    pair.wait_for_state(DATABASE, TASK, "finished");
    assert_eq!(pair.destination.value(DATABASE, "SELECT count(*) FROM items"), "0");
    let key = "SELECT count(*) FROM pg_constraint WHERE conrelid = 'items'::regclass AND contype = 'p'";
    assert_eq!(pair.destination.value(DATABASE, key), "1");
    assert_eq!(pair.source.value(DATABASE, "SELECT count(*) FROM pg_replication_slots"), "0");
}

/// Schema and rows once: finished, equal at that moment, no slot that would hold back WAL,
/// and later changes stay at home.
#[test]
fn schema_and_copy_without_changes() {
    let pair = started(&options(true, true, false), |_| ());
    pair.wait_for_state(DATABASE, TASK, "finished");
    wait_until_no_workers(&pair.source, std::time::Duration::from_secs(10));
    pair.assert_same(DATABASE, &SMALL);
    assert_eq!(pair.source.value(DATABASE, "SELECT count(*) FROM pg_replication_slots"), "0");
    pair.source.run(DATABASE, "DELETE FROM items");
    assert_eq!(pair.destination.value(DATABASE, "SELECT count(*) FROM items"), "1000");
}

/// Rows only, into tables that somebody made.
#[test]
fn copy_only_into_existing_tables() {
    let pair = started(&options(false, true, false), create_on_destination);
    pair.wait_for_state(DATABASE, TASK, "finished");
    pair.assert_same(DATABASE, &SMALL);
}

/// Rows and changes into tables that somebody made.
#[test]
fn copy_and_changes_into_existing_tables() {
    let pair = started(&options(false, true, true), create_on_destination);
    pair.wait_for_state(DATABASE, TASK, "synchronizing");
    pair.source.run(
        DATABASE,
        "UPDATE items SET v = id; DELETE FROM items WHERE id % 2 = 0; INSERT INTO journal VALUES (1, 'after')",
    );
    pair.assert_mirrored(TASK, &SMALL);
}

/// Changes only, on a copy that was made before: what was there is not touched, what is
/// committed after the task began arrives.
#[test]
fn changes_only_on_an_existing_copy() {
    let pair = started(&options(false, false, true), |pair| {
        create_on_destination(pair);
        pair.destination.run(
            DATABASE,
            "INSERT INTO items SELECT n, 0, 'row ' || n FROM generate_series(1, 1000) AS n; \
             INSERT INTO journal SELECT n, 'before' FROM generate_series(1, 1000) AS n",
        );
    });
    pair.wait_for_state(DATABASE, TASK, "synchronizing");
    pair.source.run(
        DATABASE,
        "INSERT INTO items VALUES (5000, 1, 'new'); UPDATE items SET v = 2 WHERE id = 3; \
         DELETE FROM items WHERE id = 4; INSERT INTO journal VALUES (1, 'after')",
    );
    pair.assert_mirrored(TASK, &SMALL);
}

/// Schema and changes without the rows that were there: only what comes arrives.
#[test]
fn schema_and_changes_without_copy() {
    let pair = started(&options(true, false, true), |_| ());
    pair.wait_for_state(DATABASE, TASK, "synchronizing");
    pair.source.run(DATABASE, "INSERT INTO items VALUES (5000, 1, 'new'); INSERT INTO journal VALUES (5000, 'new')");
    pair.caught_up(DATABASE, TASK);
    assert_eq!(pair.destination.value(DATABASE, "SELECT string_agg(id::text, ' ') FROM items"), "5000");
    assert_eq!(pair.destination.value(DATABASE, "SELECT string_agg(what, ' ') FROM journal"), "new");
}

/// A task that would do nothing is refused.
#[test]
fn nothing_at_all_is_refused() {
    let pair = Pair::start();
    create_small_tables(&pair);
    let answer = pair.source.refuses(
        DATABASE,
        &pg_courier_tests::pair::create_task_sql(TASK, "dr", &["public.*"], &options(false, false, false)),
    );
    assert_mentions(&answer.to_string(), &["schema_sync", "full_copy", "incremental"]);
    assert!(!answer.hint.is_empty(), "{answer}");
}

/// Without schema_sync a table that the destination lacks stops the task before anything is
/// copied, with an answer that names it.
#[test]
fn a_missing_table_is_named_before_anything_happens() {
    let pair = Pair::start();
    create_small_tables(&pair);
    pair.destination
        .run(DATABASE, "SET ROLE courier; CREATE TABLE items (id bigint PRIMARY KEY, v int NOT NULL, note text)");
    pair.create_task(DATABASE, TASK, &["public.*"], &options(false, true, true));
    // Refused at once, or by the task's own checks.
    let start = format!("SELECT courier.start('{TASK}')");
    let text = match pair.source.connect(DATABASE).batch_execute(&start) {
        Err(error) => pg_courier_tests::Answer::from(&error).to_string(),
        Ok(()) => pair.failure(DATABASE, TASK),
    };
    assert_mentions(&text, &["journal"]);
}
