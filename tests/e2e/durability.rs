//! What is decided for good is decided from what the destination keeps through a crash.

use std::time::Duration;

use pg_courier_tests::pair::{APPLY, DATABASE};
use pg_courier_tests::{Pair, wait};

use crate::common::{SMALL, TASK, arrives, create_small_tables};

/// Long enough for the supervisor to look twice at how far the stream is.
const TIME_TO_GO_WRONG: Duration = Duration::from_secs(3);

/// The copy of each table has rows whose changes are in the stream as well.
fn start_with_changes_that_the_copy_has(pair: &Pair) {
    create_small_tables(pair);
    pair.source.arm("tablesync_before_copy:wait");
    pair.start_task(TASK, &["public.*"]);
    pair.source.wait_at("tablesync_before_copy");
    pair.source.run(
        DATABASE,
        "INSERT INTO journal SELECT n, 'in the copy and in the stream' FROM generate_series(1, 100) AS n; \
         UPDATE items SET v = v + 1 WHERE id < 100",
    );
}

/// All tables are `ready`, or get the time to become it.
fn are_ready(pair: &Pair, within: Duration) -> bool {
    let query = "SELECT bool_and(state = 'ready') FROM courier.progress";
    wait::poll(within, || (pair.source.value(DATABASE, query) == "t").then_some(())).is_some()
}

/// The stream has passed the copies without having anything to apply, so the destination's row still says that it begins before
/// them; then the apply worker ends. A table that counts as past its copy gets the copy's changes a second time.
#[test]
fn a_worker_ends_right_after_the_tables_became_ready() {
    // A heartbeat would move the row.
    let pair = Pair::builder().source_conf("courier.heartbeat_interval", "0").start();
    start_with_changes_that_the_copy_has(&pair);
    pair.source.arm("supervisor_tables_ready:wait,apply_never_durable:yes");
    assert!(!are_ready(&pair, TIME_TO_GO_WRONG), "a worker that starts anew would begin before the copies");
    pair.source.arm("supervisor_tables_ready:wait");
    pair.source.wait_at("supervisor_tables_ready");
    let pid = pair.source.pids(APPLY)[0];
    pair.source.run("postgres", &format!("SELECT pg_terminate_backend({pid})"));
    pair.source.disarm();
    pair.source.wait_until(
        DATABASE,
        "another worker runs",
        &format!("EXISTS (SELECT FROM courier.task_details WHERE apply_pid <> {pid} AND state = 'synchronizing')"),
    );
    pair.assert_mirrored(TASK, &SMALL);
}

/// The stream has passed the copies on a destination that writes nothing to disk by itself, and then loses it all.
#[test]
fn the_destination_crashes_right_after_the_copy() {
    let pair = Pair::builder().destination_conf("wal_writer_delay", "10s").start();
    start_with_changes_that_the_copy_has(&pair);
    pair.source.arm("supervisor_tables_ready:wait,apply_never_durable:yes");
    // Something to apply behind the copies.
    pair.source.run(DATABASE, "INSERT INTO journal VALUES (0, 'behind the copy')");
    arrives(&pair, "journal", "1101");
    assert!(!are_ready(&pair, TIME_TO_GO_WRONG), "nothing is durable yet");
    pair.destination.kill9();
    pair.destination.start();
    pair.source.disarm();
    pair.wait_for_state_within(DATABASE, TASK, "synchronizing", Duration::from_secs(120));
    pair.assert_mirrored(TASK, &SMALL);
}

/// What `wait_for` promised is still there after a crash of the destination.
#[test]
fn what_was_waited_for_survives_a_crash_of_the_destination() {
    let pair = Pair::builder().destination_conf("wal_writer_delay", "10s").start();
    create_small_tables(&pair);
    pair.source.run(
        DATABASE,
        "CREATE SEQUENCE numbers; CREATE TABLE numbered (id bigint DEFAULT nextval('numbers')); \
         ALTER SEQUENCE numbers OWNED BY numbered.id",
    );
    pair.destination.run(DATABASE, "ALTER ROLE courier SET synchronous_commit = off");
    pair.start_task(TASK, &["public.*"]);
    pair.wait_for_state(DATABASE, TASK, "synchronizing");
    for round in 1..=3 {
        pair.source.run(
            DATABASE,
            &format!("INSERT INTO journal VALUES ({round}, 'promised'); INSERT INTO numbered DEFAULT VALUES"),
        );
        pair.caught_up(DATABASE, TASK);
        pair.destination.kill9();
        pair.destination.start();
        let there =
            "SELECT (SELECT count(*) FROM journal WHERE what = 'promised') || ' ' || (SELECT last_value FROM numbers)";
        assert_eq!(pair.destination.value(DATABASE, there), format!("{round} {round}"));
    }
    pair.assert_mirrored(TASK, &SMALL);
}
