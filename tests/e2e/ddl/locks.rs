//! A command waits for readers of the destination. Those behind it do not wait long for the command, the order of changes stays, and
//! the worker goes on as it is.

use std::time::{Duration, Instant};

use pg_courier_tests::Pair;
use pg_courier_tests::pair::{APPLY, DATABASE, ROLE};

use super::equal::assert_equal;
use super::followed_pair;

/// Longer than a command may stand in front of a table there (2 s), shorter than the reader it waits for.
const LONGEST_WAIT: Duration = Duration::from_secs(4);

#[test]
fn a_reader_there_holds_the_command_and_nobody_else() {
    let pair = followed_pair();
    let worker = pair.source.pids(APPLY);
    let mut reader = pair.destination.connect(DATABASE);
    reader.batch_execute("BEGIN; SELECT count(*) FROM t").expect("a reader");
    pair.source.run(
        DATABASE,
        "BEGIN; INSERT INTO o VALUES (100, 1, 1); ALTER TABLE t ADD c int; INSERT INTO t VALUES (100, 'x', 1); COMMIT",
    );
    for n in 0..300 {
        pair.source
            .run(DATABASE, &format!("INSERT INTO o VALUES (1000 + {n}, 1, {n}); UPDATE o SET n = {n} WHERE id = 3"));
    }
    wait_until_the_command_waits(&pair);
    let given_up = || pair.destination.log_count("canceling statement due to lock timeout");
    let goal = given_up() + 3;
    while given_up() < goal {
        let began = Instant::now();
        assert_eq!(pair.destination.value(DATABASE, "SELECT count(*) FROM t"), "50");
        assert!(began.elapsed() < LONGEST_WAIT, "a reader waited {:?}", began.elapsed());
    }
    assert_eq!(pair.destination.value(DATABASE, "SELECT count(*) FROM o WHERE id >= 100"), "0", "the order stays");
    reader.batch_execute("COMMIT").expect("its end");
    assert_equal(&pair);
    assert_eq!(pair.source.pids(APPLY), worker, "the same worker all the time");
}

/// A writer of the destination's own, and a worker that is killed while its command waits.
#[test]
fn a_worker_that_waits_for_a_lock_is_killed() {
    let pair = followed_pair();
    let mut reader = pair.destination.connect(DATABASE);
    reader.batch_execute("BEGIN; LOCK TABLE t IN ROW EXCLUSIVE MODE").expect("a lock");
    pair.source.run(
        DATABASE,
        "ALTER TABLE t RENAME v TO w; ALTER TABLE t ADD c int DEFAULT 3; UPDATE t SET w = 'x' WHERE id = 1",
    );
    wait_until_the_command_waits(&pair);
    for pid in pair.source.pids(APPLY) {
        pair.source.kill_process(pid);
    }
    reader.batch_execute("COMMIT").expect("its end");
    assert_equal(&pair);
}

fn wait_until_the_command_waits(pair: &Pair) {
    pair.destination.wait_until(
        DATABASE,
        "the command waits for a lock there",
        &format!("EXISTS (SELECT FROM pg_stat_activity WHERE usename = '{ROLE}' AND wait_event_type = 'Lock')"),
    );
}
