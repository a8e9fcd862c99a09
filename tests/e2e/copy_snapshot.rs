//! What happens to a table around the moment at which the snapshot of its copy is taken.

use pg_courier_tests::pair::{DATABASE, TABLESYNC};
use pg_courier_tests::{Pair, TaskOptions};

use crate::common::{SMALL, TASK, assert_mentions, create_small_tables};

/// One table is rewritten, the other emptied and filled again, in one open transaction.
const REWRITES: &str = "BEGIN; ALTER TABLE items ALTER COLUMN v TYPE int USING (v + 0); \
                        TRUNCATE journal; INSERT INTO journal SELECT n, 'after' FROM generate_series(1, 500) AS n";

/// The transaction is open when the worker comes to the tables. When it has committed, a snapshot from before sees them empty.
#[track_caller]
fn rewritten_before(failpoint: &str, incremental: bool) {
    let pair = Pair::builder().source_conf("courier.max_sync_workers_per_task", "1").start();
    create_small_tables(&pair);
    pair.source.arm(&format!("{failpoint}:wait"));
    let options = TaskOptions { incremental: Some(incremental), ..TaskOptions::default() };
    pair.start_task_with(DATABASE, TASK, &["public.*"], &options);
    let worker = format!("SELECT FROM pg_stat_activity WHERE backend_type = '{TABLESYNC}'");
    pair.source.wait_until(
        DATABASE,
        "the worker is about to take its snapshot",
        &format!("EXISTS ({worker} AND query = 'waiting at failpoint {failpoint}')"),
    );
    let mut session = pair.source.connect(DATABASE);
    session.batch_execute(REWRITES).expect("nobody holds a lock yet");
    pair.source.disarm();
    pair.source.wait_until(
        DATABASE,
        "the worker waits for a table's lock",
        &format!("EXISTS ({worker} AND wait_event_type = 'Lock')"),
    );
    session.batch_execute("COMMIT").expect("nobody is in its way");
    if incremental {
        pair.wait_for_state(DATABASE, TASK, "synchronizing");
        pair.caught_up(DATABASE, TASK);
    } else {
        pair.wait_for_state(DATABASE, TASK, "finished");
    }
    pair.assert_same(DATABASE, &SMALL);
}

#[test]
fn a_table_is_rewritten_before_its_copy() {
    rewritten_before("tablesync_before_copy", true);
}

#[test]
fn tables_are_rewritten_before_a_copy_without_a_stream() {
    rewritten_before("tablesync_before_snapshot", false);
}

/// While a copy without a stream is under way no table can be rewritten or truncated before its turn.
#[test]
fn tables_keep_their_rows_until_their_turn() {
    let pair = Pair::start();
    create_small_tables(&pair);
    pair.source.arm("tablesync_before_copy:wait");
    let options = TaskOptions { incremental: Some(false), ..TaskOptions::default() };
    pair.start_task_with(DATABASE, TASK, &["public.*"], &options);
    pair.source.wait_until(
        DATABASE,
        "a worker is about to copy",
        "EXISTS (SELECT FROM pg_stat_activity WHERE query = 'waiting at failpoint tablesync_before_copy')",
    );
    for statement in ["TRUNCATE journal", "ALTER TABLE items ALTER COLUMN v TYPE int USING (v + 0)"] {
        let answer = pair.source.refuses(DATABASE, &format!("SET lock_timeout = '50ms'; {statement}"));
        assert_eq!(answer.sqlstate, "55P03", "{statement}: {answer}");
    }
    pair.source.disarm();
    pair.wait_for_state(DATABASE, TASK, "finished");
    pair.assert_same(DATABASE, &SMALL);
}

/// Somebody waits for a table of a copy without a stream, behind the process that keeps the snapshot and before the one that copies. Neither
/// may wait for the other by way of that statement: no deadlock would be found, and the table would be closed to all.
#[test]
fn a_statement_waits_for_a_table_that_is_not_copied_yet() {
    let pair = Pair::start();
    create_small_tables(&pair);
    pair.source.arm("tablesync_before_copy:wait");
    let options = TaskOptions { incremental: Some(false), ..TaskOptions::default() };
    pair.start_task_with(DATABASE, TASK, &["public.*"], &options);
    pair.source.wait_until(
        DATABASE,
        "a worker is about to copy",
        "EXISTS (SELECT FROM pg_stat_activity WHERE query = 'waiting at failpoint tablesync_before_copy')",
    );
    let mut session = pair.source.connect(DATABASE);
    let statement =
        std::thread::spawn(move || session.batch_execute("ALTER TABLE items ALTER COLUMN v TYPE int USING (v + 0)"));
    pair.source.wait_until(
        DATABASE,
        "the statement waits for the table",
        "EXISTS (SELECT FROM pg_locks WHERE relation = 'items'::regclass AND mode = 'AccessExclusiveLock' AND NOT granted)",
    );
    pair.source.disarm();
    pair.wait_for_state(DATABASE, TASK, "finished");
    statement.join().expect("no panic").expect("the copy is over");
    pair.assert_same(DATABASE, &SMALL);
}

/// A copy without a stream is interrupted between two tables. It goes on, and says that they are of different moments.
#[test]
fn an_interrupted_copy_has_tables_of_two_moments() {
    interrupted_copy(|pair| pair.call(DATABASE, "pause", TASK), |pair| pair.call(DATABASE, "resume", TASK));
}

/// The same when the worker is killed, and with it the whole server goes through recovery.
#[test]
fn a_copy_whose_worker_is_killed_has_tables_of_two_moments() {
    let kill = |pair: &Pair| {
        let pids = pair.source.pids(TABLESYNC);
        pair.source.kill_process(*pids.first().expect("a worker copies"));
    };
    interrupted_copy(kill, |_| ());
}

/// The same when the source is gone at once.
#[test]
fn a_copy_whose_source_crashes_has_tables_of_two_moments() {
    let crash = |pair: &Pair| {
        pair.source.kill9();
        pair.source.start();
    };
    interrupted_copy(crash, |_| ());
}

fn interrupted_copy(interrupt: impl Fn(&Pair), go_on: impl Fn(&Pair)) {
    let pair = Pair::builder().source_conf("courier.max_sync_workers_per_task", "1").start();
    create_small_tables(&pair);
    pair.source.arm("tablesync_after_table:wait");
    let options = TaskOptions { incremental: Some(false), ..TaskOptions::default() };
    pair.start_task_with(DATABASE, TASK, &["public.*"], &options);
    pair.source.wait_until(
        DATABASE,
        "a table is copied",
        "EXISTS (SELECT FROM pg_stat_activity WHERE query = 'waiting at failpoint tablesync_after_table')",
    );
    interrupt(&pair);
    pair.source
        .run(DATABASE, "INSERT INTO items VALUES (5000, 1, 'later'); INSERT INTO journal VALUES (5000, 'later')");
    pair.source.disarm();
    go_on(&pair);
    pair.wait_for_state(DATABASE, TASK, "finished");
    let told = ["were copied at different moments", "is not of the same moment as", "courier.drop_task("];
    let shown = "SELECT concat_ws(E'\\n', last_error, last_error_detail, last_error_hint) FROM courier.task_details";
    assert_mentions(&pair.source.value(DATABASE, shown), &told);
    let event =
        "SELECT message || detail FROM courier.events WHERE kind = 'error' AND message LIKE '%different moments'";
    assert_mentions(&pair.source.value(DATABASE, event), &told[..2]);
}

/// A table is dropped while a worker that is to copy it waits for its lock: the worker finds nothing to open, says so, and
/// brings nobody else down.
#[test]
fn a_table_is_dropped_before_its_turn() {
    let pair = Pair::start();
    create_small_tables(&pair);
    pair.source.arm("tablesync_before_copy:wait");
    pair.start_task(TASK, &["public.*"]);
    pair.source.wait_at("tablesync_before_copy");
    let mut session = pair.source.connect(DATABASE);
    session.batch_execute("BEGIN; DROP TABLE journal").expect("nobody has it yet");
    pair.source.disarm();
    pair.source.wait_until(
        DATABASE,
        "a worker waits for the table",
        "EXISTS (SELECT FROM pg_locks WHERE relation = 'journal'::regclass AND NOT granted)",
    );
    session.batch_execute("COMMIT").expect("its end");
    assert_mentions(&pair.failure(DATABASE, TASK), &["is gone", "dropped"]);
    pair.source.assert_not_crashed();
}
