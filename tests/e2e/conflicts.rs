//! Somebody wrote to the destination. The task stops at the very row and says which, where
//! and what to do; after the repair it goes on, and nothing is lost or guessed.

use pg_courier_tests::pair::DATABASE;
use pg_courier_tests::{Pair, TaskOptions};

use crate::common::{SMALL, TASK, assert_mentions, create_small_tables, mirrored_pair};

/// What an operator needs: table, key, position in the WAL, and the next step.
#[track_caller]
fn assert_helpful(pair: &Pair, words: &[&str]) -> String {
    let text = pair.failure(DATABASE, TASK);
    assert_mentions(&text, words);
    let position = text.split_whitespace().any(|word| {
        let word = word.trim_matches(|c: char| !c.is_ascii_alphanumeric() && c != '/');
        word.split_once('/').is_some_and(|(high, low)| {
            !high.is_empty() && !low.is_empty() && (high.to_owned() + low).chars().all(|c| c.is_ascii_hexdigit())
        })
    });
    assert!(position, "no LSN in: {text}");
    let hint = pair.task(DATABASE, TASK, "last_error_hint");
    assert_mentions(&hint, &["resume"]);
    assert_eq!(pair.task(DATABASE, TASK, "length(last_error_sqlstate)"), "5");
    assert_ne!(pair.task(DATABASE, TASK, "last_error_at"), "");
    text
}

/// Three transactions, the second of which meets a row that is already there. The first has
/// arrived, the second and third have not, until the row is removed.
#[test]
fn a_row_that_exists_stops_the_task_there() {
    let pair = mirrored_pair();
    pair.destination.run(DATABASE, "INSERT INTO items VALUES (4242, 0, 'squatter')");
    // As one backlog: the batch that fails has to be taken apart.
    pair.call(DATABASE, "pause", TASK);
    for note in [
        "INSERT INTO items VALUES (4241, 1, 'first')",
        "INSERT INTO items VALUES (4242, 1, 'second')",
        "INSERT INTO items VALUES (4243, 1, 'third')",
    ] {
        pair.source.run(DATABASE, note);
    }
    pair.call(DATABASE, "resume", TASK);
    assert_helpful(&pair, &["items", "4242"]);
    let arrived = "SELECT string_agg(note, ' ' ORDER BY id) FROM items WHERE id > 4000";
    assert_eq!(pair.destination.value(DATABASE, arrived), "first squatter");

    pair.destination.run(DATABASE, "DELETE FROM items WHERE id = 4242");
    pair.call(DATABASE, "resume", TASK);
    pair.assert_mirrored(TASK, &SMALL);
    assert_eq!(pair.task(DATABASE, TASK, "last_error_hint"), "", "solved");
}

/// An UPDATE, then a DELETE, whose row is missing: not silently passed over.
#[test]
fn a_missing_row_stops_the_task_there() {
    let pair = mirrored_pair();
    pair.destination.run(DATABASE, "DELETE FROM items WHERE id IN (11, 12)");
    pair.source.run(DATABASE, "UPDATE items SET v = 1 WHERE id = 11");
    assert_helpful(&pair, &["items", "11"]);
    pair.destination.run(DATABASE, "INSERT INTO items VALUES (11, 0, 'row 11')");
    pair.call(DATABASE, "resume", TASK);
    pair.wait_for_state(DATABASE, TASK, "synchronizing");

    pair.source.run(DATABASE, "DELETE FROM items WHERE id = 12; INSERT INTO journal VALUES (12, 'deleted')");
    assert_helpful(&pair, &["items", "12"]);
    pair.destination.run(DATABASE, "INSERT INTO items VALUES (12, 0, 'row 12')");
    pair.call(DATABASE, "resume", TASK);
    pair.assert_mirrored(TASK, &SMALL);
}

/// In a batch of many updates of which one finds no row, the error names this one.
#[test]
fn the_one_missing_row_of_many_is_named() {
    let pair = mirrored_pair();
    pair.destination.run(DATABASE, "DELETE FROM items WHERE id = 777");
    pair.source.run(DATABASE, "UPDATE items SET v = v + 1");
    assert_helpful(&pair, &["items", "777"]);
    assert_eq!(pair.destination.value(DATABASE, "SELECT count(*) FROM items WHERE v = 1"), "0", "all of it or nothing");
    pair.destination.run(DATABASE, "INSERT INTO items VALUES (777, 0, 'row 777')");
    pair.call(DATABASE, "resume", TASK);
    pair.assert_mirrored(TASK, &SMALL);
}

/// The table is gone on the destination.
#[test]
fn a_missing_table_stops_the_task() {
    let pair = mirrored_pair();
    pair.destination.run(DATABASE, "ALTER TABLE journal RENAME TO hidden");
    pair.source.run(DATABASE, "INSERT INTO journal VALUES (1, 'where to?')");
    assert_helpful(&pair, &["journal"]);
    pair.destination.run(DATABASE, "ALTER TABLE hidden RENAME TO journal");
    pair.call(DATABASE, "resume", TASK);
    pair.assert_mirrored(TASK, &SMALL);
}

/// A column that the destination lacks, and a constraint that only the destination has.
#[test]
fn other_refusals_of_the_destination_stop_the_task_too() {
    let pair = mirrored_pair();
    pair.destination.run(DATABASE, "ALTER TABLE items RENAME note TO remark");
    pair.source.run(DATABASE, "UPDATE items SET note = 'x' WHERE id = 5");
    assert_mentions(&pair.failure(DATABASE, TASK), &["items", "note"]);
    pair.destination.run(DATABASE, "ALTER TABLE items RENAME remark TO note");
    pair.call(DATABASE, "resume", TASK);
    pair.wait_for_state(DATABASE, TASK, "synchronizing");

    pair.destination.run(DATABASE, "ALTER TABLE items ADD CONSTRAINT small CHECK (v < 100)");
    pair.source.run(DATABASE, "UPDATE items SET v = 100 WHERE id = 6");
    assert_helpful(&pair, &["items", "6", "small"]);
    pair.destination.run(DATABASE, "ALTER TABLE items DROP CONSTRAINT small");
    pair.call(DATABASE, "resume", TASK);
    pair.assert_mirrored(TASK, &SMALL);
}

/// A failed task survives a restart as failed: it does not run into the same row for ever,
/// and the error can still be read.
#[test]
fn a_failed_task_stays_failed_over_a_restart() {
    let pair = mirrored_pair();
    pair.destination.run(DATABASE, "DELETE FROM items WHERE id = 1");
    pair.source.run(DATABASE, "UPDATE items SET v = 1 WHERE id = 1");
    pair.failure(DATABASE, TASK);
    pair.source.restart();
    assert_mentions(&pair.failure(DATABASE, TASK), &["items"]);
    pair.destination.run(DATABASE, "INSERT INTO items VALUES (1, 0, 'row 1')");
    pair.call(DATABASE, "resume", TASK);
    pair.assert_mirrored(TASK, &SMALL);
}

/// What was decided, as `table change decision` lines in the order of the decisions.
fn decisions(pair: &Pair) -> Vec<String> {
    let rows = pair.source.rows(DATABASE, "SELECT concat_ws(' ', table_name, change, decision) FROM courier.conflicts");
    rows.into_iter().flatten().flatten().collect()
}

fn pair_with_policy(policy: &'static str) -> Pair {
    let pair = Pair::start();
    create_small_tables(&pair);
    let options = TaskOptions { conflict: Some(policy), ..Default::default() };
    pair.start_task_with(DATABASE, TASK, &["public.*"], &options);
    pair.wait_for_state(DATABASE, TASK, "synchronizing");
    pair
}

/// The destination was written to in every way that a change can meet: one backlog with an insert of an existing key, an
/// update and a delete of missing rows, among changes that meet nothing.
fn disturb(pair: &Pair) {
    pair.call(DATABASE, "pause", TASK);
    pair.destination
        .run(DATABASE, "INSERT INTO items VALUES (5001, 0, 'squatter'); DELETE FROM items WHERE id IN (21, 22)");
    pair.source.run(
        DATABASE,
        "INSERT INTO items VALUES (5000, 1, 'before'); INSERT INTO items VALUES (5001, 1, 'ours'); \
         UPDATE items SET v = 7 WHERE id = 21; DELETE FROM items WHERE id = 22; INSERT INTO items VALUES (5002, 1, 'after')",
    );
    pair.call(DATABASE, "resume", TASK);
    pair.caught_up(DATABASE, TASK);
}

/// conflict => 'ignore': the destination's rows stay as they are, everything around arrives, and each conflict is listed
/// with both rows, once.
#[test]
fn conflicts_are_ignored_and_listed() {
    let pair = pair_with_policy("ignore");
    disturb(&pair);
    let notes = "SELECT string_agg(note, ' ' ORDER BY id) FROM items WHERE id >= 5000";
    assert_eq!(pair.destination.value(DATABASE, notes), "before squatter after");
    assert_eq!(pair.destination.value(DATABASE, "SELECT count(*) FROM items WHERE id IN (21, 22)"), "0");
    let table = "public.items";
    let expected = ["INSERT ignored", "UPDATE ignored", "DELETE ignored"].map(|what| format!("{table} {what}"));
    assert_eq!(decisions(&pair), expected);
    let rows = "SELECT source_row ->> 'note' || ' ' || (destination_row ->> 'note') FROM courier.conflicts LIMIT 1";
    assert_eq!(pair.source.value(DATABASE, rows), "ours squatter");
    let keys =
        "SELECT string_agg(key ->> 'id', ' ' ORDER BY key ->> 'id') FROM courier.conflicts WHERE change <> 'INSERT'";
    assert_eq!(pair.source.value(DATABASE, keys), "21 22");
    // Killed and replayed, nothing is listed twice; the stream goes on.
    pair.source.run(DATABASE, "INSERT INTO items VALUES (5003, 1, 'later')");
    pair.caught_up(DATABASE, TASK);
    assert_eq!(decisions(&pair).len(), 3);
}

/// conflict => 'overwrite': the source wins, and both sides are equal afterwards.
#[test]
fn conflicts_are_overwritten_and_listed() {
    let pair = pair_with_policy("overwrite");
    disturb(&pair);
    pair.assert_mirrored(TASK, &SMALL);
    let table = "public.items";
    let expected = ["INSERT overwritten", "UPDATE inserted", "DELETE ignored"].map(|what| format!("{table} {what}"));
    assert_eq!(decisions(&pair), expected);
    let row = "SELECT destination_row ->> 'note' FROM courier.conflicts WHERE change = 'INSERT'";
    assert_eq!(pair.source.value(DATABASE, row), "squatter");
}

/// A row in the way of a unique constraint that is not the key is found by that constraint.
#[test]
fn a_collision_besides_the_key_is_overwritten() {
    let pair = Pair::start();
    pair.source.run(DATABASE, "CREATE TABLE named (id int PRIMARY KEY, name text UNIQUE, v int)");
    let options = TaskOptions { conflict: Some("overwrite"), ..Default::default() };
    pair.start_task_with(DATABASE, TASK, &["public.*"], &options);
    pair.wait_for_state(DATABASE, TASK, "synchronizing");
    pair.destination.run(DATABASE, "INSERT INTO named VALUES (7, 'a', 0), (8, 'b', 0)");
    pair.source.run(DATABASE, "INSERT INTO named VALUES (8, 'a', 1); INSERT INTO named VALUES (1, 'c', 2)");
    pair.assert_mirrored(TASK, &["public.named"]);
    assert_eq!(decisions(&pair).len(), 2, "two rows stood in the way of one");
}

/// The position that `courier.skip_change` wants, out of an error's text.
pub fn lsn_of(text: &str) -> String {
    let lsn = text
        .split("LSN ")
        .nth(1)
        .and_then(|rest| rest.split(|c: char| !c.is_ascii_hexdigit() && c != '/').next())
        .unwrap_or_else(|| panic!("no LSN in {text}"));
    lsn.to_owned()
}

/// The operator gives one change up: the task goes on behind it, and what was left out can be read.
#[test]
fn one_change_is_skipped() {
    let pair = mirrored_pair();
    pair.destination.run(DATABASE, "INSERT INTO items VALUES (4242, 0, 'squatter')");
    pair.source
        .run(DATABASE, "INSERT INTO items VALUES (4242, 1, 'second'); INSERT INTO items VALUES (4243, 1, 'third')");
    let lsn = lsn_of(&assert_helpful(&pair, &["items", "4242"]));
    let refused = pair.source.refuses(DATABASE, &format!("SELECT courier.skip_change('{TASK}', '0/1')"));
    assert_mentions(&refused.to_string(), &["0/1", "did not stop"]);
    pair.source.run(DATABASE, &format!("SELECT courier.skip_change('{TASK}', '{lsn}')"));
    pair.caught_up(DATABASE, TASK);
    let notes = "SELECT string_agg(note, ' ' ORDER BY id) FROM items WHERE id > 4000";
    assert_eq!(pair.destination.value(DATABASE, notes), "squatter third");
    assert_eq!(decisions(&pair), ["public.items INSERT skipped"]);
}

/// The policy of a task can be changed when it has stopped, and only then.
#[test]
fn the_policy_is_changed_after_the_task_has_stopped() {
    let pair = mirrored_pair();
    let alter = format!("SELECT courier.alter_task('{TASK}', conflict => 'overwrite')");
    assert_mentions(&pair.source.refuses(DATABASE, &alter).to_string(), &["running"]);
    pair.destination.run(DATABASE, "INSERT INTO items VALUES (4242, 0, 'squatter')");
    pair.source.run(DATABASE, "INSERT INTO items VALUES (4242, 1, 'ours')");
    assert_helpful(&pair, &["items", "4242"]);
    pair.source.run(DATABASE, &alter);
    pair.call(DATABASE, "resume", TASK);
    pair.assert_mirrored(TASK, &SMALL);
}

/// Somebody has made a table on the destination that refers to ours: it cannot be truncated there. The task stops at the TRUNCATE; skipped,
/// the rows stay, the rest of its transaction arrives, and each of its tables is listed.
#[test]
fn a_truncate_is_skipped() {
    let pair = mirrored_pair();
    pair.destination.run(DATABASE, "CREATE TABLE theirs (item bigint REFERENCES items); INSERT INTO theirs VALUES (7)");
    pair.source.run(
        DATABASE,
        "BEGIN; INSERT INTO journal VALUES (1, 'gone'); TRUNCATE items, journal; INSERT INTO journal VALUES (1, 'after'); \
         INSERT INTO items VALUES (4242, 1, 'after'); COMMIT; UPDATE items SET v = 2 WHERE id = 4242",
    );
    let lsn = lsn_of(&assert_helpful(&pair, &["truncate", "items", "foreign key", "skip_change"]));
    assert_eq!(pair.destination.value(DATABASE, "SELECT count(*) FROM journal WHERE what = 'gone'"), "0", "not a half");
    pair.source.run(DATABASE, &format!("SELECT courier.skip_change('{TASK}', '{lsn}')"));
    pair.caught_up(DATABASE, TASK);
    let skipped = ["items", "journal"].map(|table| format!("public.{table} TRUNCATE skipped"));
    assert_eq!(decisions(&pair), skipped);
    let rows =
        "SELECT (SELECT count(*) FROM items) || ' ' || (SELECT count(*) FROM journal WHERE what IN ('gone', 'after'))";
    assert_eq!(pair.destination.value(DATABASE, rows), "1001 2");
    assert_eq!(pair.destination.value(DATABASE, "SELECT v FROM items WHERE id = 4242"), "2");

    // The cause removed, the next one goes through.
    pair.destination.run(DATABASE, "DROP TABLE theirs");
    pair.source.run(DATABASE, "TRUNCATE items, journal; INSERT INTO items VALUES (1, 1, 'anew')");
    pair.assert_mirrored(TASK, &SMALL);
    assert_eq!(decisions(&pair).len(), 2);
}

/// What was looked into is removed from the list, up to a time that means the same whatever the session's settings; another task's
/// rows stay, and it is on record who did it.
#[test]
fn the_list_of_conflicts_is_cleared() {
    let pair = pair_with_policy("ignore");
    pair.source.run(DATABASE, "CREATE SCHEMA other; CREATE TABLE other.t (id int PRIMARY KEY)");
    let options = TaskOptions { conflict: Some("ignore"), ..Default::default() };
    pair.start_task_with(DATABASE, "second", &["other.*"], &options);
    pair.wait_for_state(DATABASE, "second", "synchronizing");
    pair.destination.run(DATABASE, "INSERT INTO other.t VALUES (1)");
    pair.source.run(DATABASE, "INSERT INTO other.t VALUES (1)");
    pair.caught_up(DATABASE, "second");
    disturb(&pair);
    pair.destination
        .run(DATABASE, "UPDATE courier_applied.conflicts SET at = '2001-02-03 04:05:06+00' WHERE change = 'UPDATE'");
    let clear = |arguments: &str| {
        let set = "SET datestyle = 'SQL, DMY'; SET timezone = 'Asia/Kathmandu'";
        let mut session = pair.source.connect(DATABASE);
        session.batch_execute(set).expect("settings");
        let query = format!("SELECT courier.clear_conflicts({arguments})");
        pg_courier_tests::sql::value(&mut session, &query).expect("an answer").unwrap_or_default()
    };
    assert_eq!(clear(&format!("'{TASK}', before => timestamptz '2001-02-03 04:05:06+00'")), "0");
    assert_eq!(clear(&format!("'{TASK}', before => timestamptz '2001-02-03 04:05:07+00'")), "1");
    let left = "SELECT string_agg(task || ' ' || change, ', ' ORDER BY task, change) FROM courier.conflicts";
    assert_eq!(pair.source.value(DATABASE, left), format!("second INSERT, {TASK} DELETE, {TASK} INSERT"));
    assert_eq!(clear(&format!("'{TASK}'")), "2");
    assert_eq!(pair.source.value(DATABASE, left), "second INSERT");
    let event = "SELECT message FROM courier.events WHERE kind = 'conflicts' LIMIT 1";
    assert_eq!(pair.source.value(DATABASE, event), "2 rows of courier.conflicts removed by postgres");

    let answer = pair.source.refuses(DATABASE, "SELECT courier.clear_conflicts(NULL)");
    assert_eq!(answer.sqlstate, "22004", "{answer}");
    pair.source.run("postgres", "CREATE ROLE outsider LOGIN PASSWORD 'pw'");
    pair.source.run(DATABASE, "GRANT USAGE ON SCHEMA courier TO outsider");
    let as_outsider = |refused: &str| {
        let statement = "SELECT courier.clear_conflicts('second')";
        let outcome = pair.source.connect_as(DATABASE, "outsider", "pw").batch_execute(statement);
        assert_mentions(
            &pg_courier_tests::Answer::from(&outcome.expect_err("refused")).to_string(),
            &["42501", refused],
        );
    };
    as_outsider("permission denied for function");
    pair.source.run(DATABASE, "SELECT courier.grant_usage('outsider')");
    as_outsider("must be owner of task");
    assert_eq!(pair.source.value(DATABASE, left), "second INSERT");
}
