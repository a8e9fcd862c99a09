//! A partition that left on the source without keeping a reader waiting leaves so on the destination: the stream goes on meanwhile, and
//! whatever comes next finds the tree as it should be.

use std::time::Duration;

use pg_courier_tests::pair::DATABASE;
use pg_courier_tests::{Install, Pair, wait};
use postgres::Client;

use super::aside::{ASIDE, assert_done, wait_for_states};
use super::{create_tables, follow};
use crate::common::TASK;

const TREE: &str = "CREATE TABLE p (id int, k int, v text, PRIMARY KEY (id, k)) PARTITION BY LIST (k); \
    CREATE TABLE p1 PARTITION OF p FOR VALUES IN (1); CREATE TABLE p2 PARTITION OF p FOR VALUES IN (2); \
    CREATE TABLE p3 PARTITION OF p FOR VALUES IN (3); INSERT INTO p SELECT n, 1 + n % 3, 'a' FROM generate_series(1, 30) n";
const DETACH: &str = "ALTER TABLE p DETACH PARTITION p1 CONCURRENTLY";

/// What keeps a partition where it is.
const READER: &str = "BEGIN; SELECT count(*) FROM p";
/// Before anything of it is done.
const MAINTENANCE: &str = "BEGIN; LOCK TABLE p IN SHARE UPDATE EXCLUSIVE MODE";

/// None where nobody knows the command.
fn pair_with_a_tree() -> Option<Pair> {
    if Install::get().major().min(Install::destination().major()) < 14 {
        return None;
    }
    let pair = Pair::start();
    create_tables(&pair);
    pair.source.run(DATABASE, TREE);
    follow(&pair);
    Some(pair)
}

fn hold(pair: &Pair, how: &str) -> Client {
    let mut holder = pair.destination.connect(DATABASE);
    holder.batch_execute(how).expect("a lock");
    holder
}

#[track_caller]
fn wait_until_it_waits(pair: &Pair) {
    pair.destination.wait_until(
        DATABASE,
        "a partition waits to leave",
        "EXISTS (SELECT FROM pg_stat_activity WHERE query ~ '^ALTER TABLE .* (CONCURRENTLY|FINALIZE)$' AND wait_event_type = 'Lock')",
    );
}

#[test]
fn a_reader_keeps_a_partition_and_not_the_stream() {
    let Some(pair) = pair_with_a_tree() else { return };
    let mut reader = hold(&pair, READER);
    pair.source.run(DATABASE, DETACH);
    pair.source.run(
        DATABASE,
        "INSERT INTO t SELECT g, 'x' FROM generate_series(1001, 2000) g; INSERT INTO p SELECT g, 2, 'x' FROM generate_series(1001, 2000) g",
    );
    pair.caught_up(DATABASE, TASK);
    for table in ["t", "p"] {
        let rows = format!("SELECT count(*) FROM {table} WHERE v = 'x'");
        assert_eq!(pair.destination.value(DATABASE, &rows), "1000", "while the reader is open");
    }
    wait_for_states(&pair, "aside");
    wait_until_it_waits(&pair);
    pair.source.kill_process(pair.source.pids(ASIDE)[0]);
    pair.source.run(DATABASE, "INSERT INTO p SELECT g, 3, 'y' FROM generate_series(2001, 3000) g");
    pair.caught_up(DATABASE, TASK);
    wait::until(
        "another worker",
        Duration::from_secs(60),
        || (!pair.source.pids(ASIDE).is_empty()).then_some(()),
        || pair.source.describe(DATABASE),
    );
    wait_until_it_waits(&pair);
    wait_for_states(&pair, "aside");
    reader.batch_execute("COMMIT").expect("its end");
    wait_for_states(&pair, "applied");
    assert_done(&pair);
    let attached = "SELECT count(*) FROM pg_inherits WHERE inhrelid = 'p1'::regclass";
    assert_eq!(pair.destination.value(DATABASE, attached), "0");
    assert_eq!(pair.destination.value(DATABASE, "SELECT count(*) FROM p1"), "10");
}

/// Each of these comes before the partition has left: nothing of its way there is begun, or all but the end.
#[test]
fn a_later_command_comes_before_a_partition_has_left() {
    let Some(pair) = pair_with_a_tree() else { return };
    pair.source.run(DATABASE, "DROP TABLE p");
    // The second is true when it has to leave before the command.
    let stories = [
        ("ALTER TABLE p1 DROP CONSTRAINT p1_k_check; INSERT INTO p1 VALUES (900, 7, 'out of its bound')", true),
        ("CREATE TABLE p1b PARTITION OF p FOR VALUES IN (1); INSERT INTO p VALUES (900, 1, 'x')", true),
        ("ALTER TABLE p ATTACH PARTITION p1 FOR VALUES IN (1); INSERT INTO p VALUES (900, 1, 'x')", true),
        ("ALTER TABLE p ADD c int DEFAULT 7; INSERT INTO p VALUES (900, 2, 'x', 8)", true),
        ("ALTER TABLE p1 RENAME TO p9; ALTER TABLE p9 ADD c int; INSERT INTO p9 VALUES (900, 1, 'x', 8)", true),
        ("ALTER TABLE p RENAME TO q; ALTER TABLE q RENAME TO p", true),
        ("CREATE INDEX ON p (v); ALTER TABLE p1 ALTER k TYPE bigint", true),
        ("DROP TABLE p1", true),
        ("DROP TABLE p", true),
        ("TRUNCATE p; INSERT INTO p VALUES (900, 2, 'x'); INSERT INTO p1 VALUES (900, 1, 'x')", false),
        ("ALTER TABLE p DETACH PARTITION p2 CONCURRENTLY; GRANT SELECT ON p1 TO PUBLIC", false),
    ];
    for (story, comes_first) in stories {
        for holds in [READER, MAINTENANCE] {
            pair.source.run(DATABASE, TREE);
            pair.caught_up(DATABASE, TASK);
            let mut holder = hold(&pair, holds);
            pair.source.run(DATABASE, DETACH);
            wait_until_it_waits(&pair);
            for statement in story.split("; ") {
                pair.source.run(DATABASE, statement);
            }
            if comes_first {
                let waits = "EXISTS (SELECT FROM courier.ddl WHERE state = 'waiting for lock')";
                pair.source.wait_until(DATABASE, &format!("a command waits for the lock: {story}"), waits);
            } else if story.starts_with("TRUNCATE") {
                // It needs the locks of the leaves.
                holder.batch_execute("COMMIT").expect("its end");
            } else {
                pair.caught_up(DATABASE, TASK);
            }
            let _ = holder.batch_execute("COMMIT");
            println!("{story}, with {holds}");
            assert_done(&pair);
            pair.source.run(DATABASE, "DROP TABLE IF EXISTS p, p1, p2, p9");
        }
    }
    let states = "SELECT string_agg(DISTINCT state, ' ') FROM courier.ddl";
    pair.source.wait_until(DATABASE, "all is applied", &format!("({states}) = 'applied'"));
}

/// What only the destination has in the way of it: a default partition, beside which no partition leaves concurrently.
#[test]
fn a_partition_leaves_beside_a_default_one() {
    let Some(pair) = pair_with_a_tree() else { return };
    pair.destination.run(DATABASE, "CREATE TABLE own PARTITION OF p DEFAULT");
    let mut reader = hold(&pair, READER);
    pair.source.run(DATABASE, DETACH);
    pair.source.run(DATABASE, "INSERT INTO p VALUES (900, 2, 'x')");
    pair.caught_up(DATABASE, TASK);
    wait_for_states(&pair, "aside");
    reader.batch_execute("COMMIT").expect("its end");
    wait_for_states(&pair, "applied");
    pair.destination.run(DATABASE, "DROP TABLE own");
    assert_done(&pair);
}

/// By name the task follows the tree only: what leaves it is nobody's any more, and still has to leave.
#[test]
fn a_partition_that_leaves_the_task_leaves_its_table() {
    if Install::get().major().min(Install::destination().major()) < 14 {
        return;
    }
    let pair = Pair::start();
    pair.source.run(DATABASE, TREE);
    let options = pg_courier_tests::TaskOptions { ddl: Some("replicate"), ..Default::default() };
    pair.start_task_with(DATABASE, TASK, &["public.p"], &options);
    pair.wait_for_state(DATABASE, TASK, "synchronizing");
    pair.caught_up(DATABASE, TASK);
    let mut reader = hold(&pair, READER);
    pair.source.run(DATABASE, DETACH);
    wait_until_it_waits(&pair);
    pair.source.run(DATABASE, "DROP TABLE p1; INSERT INTO p VALUES (900, 2, 'x')");
    reader.batch_execute("COMMIT").expect("its end");
    pair.caught_up(DATABASE, TASK);
    pair.destination.wait_until(DATABASE, "nothing waits", "NOT EXISTS (SELECT FROM courier_applied.pending)");
    pair.assert_same(DATABASE, &["public.p"]);
}
