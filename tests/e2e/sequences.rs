//! Sequences are not in the decoded stream; they have to arrive all the same.

use pg_courier_tests::Pair;
use pg_courier_tests::pair::DATABASE;

use crate::common::TASK;

const STATE: &str = "(SELECT last_value || ' ' || is_called FROM ";

/// Serial, identity and free sequences of the selected schemas, one of them going down, one
/// never called: value and is_called are there after wait_for, so that an application moved to
/// the destination gets no number twice.
#[test]
fn values_arrive_at_wait_for() {
    let pair = Pair::start();
    pair.source.run(
        DATABASE,
        "CREATE TABLE t (id serial PRIMARY KEY, other bigint GENERATED ALWAYS AS IDENTITY (START 1000 INCREMENT 10)); \
         CREATE SEQUENCE down INCREMENT -3 START -1 MINVALUE -9000; CREATE SEQUENCE untouched START 77; \
         CREATE TABLE uses (n int PRIMARY KEY DEFAULT nextval('down'), m int DEFAULT nextval('untouched')); \
         INSERT INTO t SELECT FROM generate_series(1, 50)",
    );
    pair.start_task(TASK, &["public.*"]);
    pair.caught_up(DATABASE, TASK);
    let sequences = ["public.t_id_seq", "public.t_other_seq", "public.down", "public.untouched"];
    let assert_equal = || {
        for sequence in sequences {
            let query = format!("SELECT {STATE}{sequence})");
            assert_eq!(pair.source.value(DATABASE, &query), pair.destination.value(DATABASE, &query), "{sequence}");
        }
    };
    assert_equal();
    assert_eq!(pair.destination.value(DATABASE, "SELECT last_value || ' ' || is_called FROM untouched"), "77 false");

    // Numbers drawn without a row, a value set back, and rows.
    pair.source.run(
        DATABASE,
        "SELECT nextval('down') FROM generate_series(1, 100); SELECT setval('t_id_seq', 9999, false); \
         INSERT INTO t SELECT FROM generate_series(1, 7); SELECT nextval('untouched')",
    );
    pair.caught_up(DATABASE, TASK);
    assert_equal();
    // The proof of the purpose: the destination goes on where the source stopped.
    pair.call(DATABASE, "drop_task", TASK);
    let next = pair.source.value(DATABASE, "SELECT max(id) + 1 FROM t");
    assert_eq!(pair.destination.value(DATABASE, "INSERT INTO t DEFAULT VALUES RETURNING id"), next);
}

/// Without anybody calling wait_for they arrive now and then.
#[test]
fn values_arrive_by_themselves() {
    let pair = Pair::start();
    pair.source.run(DATABASE, "CREATE TABLE t (id serial PRIMARY KEY)");
    pair.start_task(TASK, &["public.*"]);
    pair.wait_for_state(DATABASE, TASK, "synchronizing");
    pair.source.run(DATABASE, "SELECT setval('t_id_seq', 4711)");
    pair.destination.wait_until_within(
        DATABASE,
        "the sequence's value",
        "(SELECT last_value FROM t_id_seq) = 4711",
        std::time::Duration::from_secs(120),
    );
}
