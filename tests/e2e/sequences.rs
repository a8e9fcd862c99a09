//! Sequences are not in the decoded stream; they have to arrive all the same.

use pg_courier_tests::pair::{DATABASE, PASSWORD, ROLE};
use pg_courier_tests::sql::literal;
use pg_courier_tests::{Answer, Pair, Stop};

use crate::common::{TASK, assert_mentions};

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

/// The source dies while rows come in. They have arrived, within milliseconds; the sequences' values of that moment have not.
/// Who takes over draws a number all the same that no row has, going up or down.
#[test]
fn a_source_that_dies_leaves_sequences_ahead_of_the_rows() {
    let pair = Pair::start();
    pair.source.run(
        DATABASE,
        "CREATE SEQUENCE down INCREMENT -2; \
         CREATE TABLE t (id serial PRIMARY KEY, other bigint GENERATED ALWAYS AS IDENTITY (INCREMENT 10), d int DEFAULT nextval('down'))",
    );
    pair.start_task(TASK, &["public.*"]);
    pair.wait_for_state(DATABASE, TASK, "synchronizing");
    pair.destination.wait_until(DATABASE, "values that run ahead", "(SELECT last_value FROM t_id_seq) >= 1000");
    pair.source.run(DATABASE, "INSERT INTO t SELECT FROM generate_series(1, 800)");
    pair.destination.wait_until(DATABASE, "the rows are there", "(SELECT count(*) FROM t) = 800");
    pair.source.stop(Stop::Immediate);
    pair.destination.run(DATABASE, "INSERT INTO t DEFAULT VALUES");
    let distinct = "SELECT count(DISTINCT other) || ' ' || count(DISTINCT d) || ' ' || count(*) FROM t";
    assert_eq!(pair.destination.value(DATABASE, distinct), "801 801 801");
}

/// A sequence whose value the task's owner may not read: precheck says so and start refuses. If the right is taken away later,
/// who waits is told at once, the task's row says it, and the log says it once.
#[test]
fn a_sequence_that_cannot_be_read_is_told_of() {
    let pair = Pair::start();
    pair.source.run(
        DATABASE,
        &format!(
            "CREATE TABLE t (id serial PRIMARY KEY); INSERT INTO t SELECT FROM generate_series(1, 10); \
             CREATE ROLE owner LOGIN REPLICATION PASSWORD 'pw'; GRANT SELECT ON t TO owner; GRANT USAGE ON FOREIGN SERVER dr TO owner; \
             CREATE USER MAPPING FOR owner SERVER dr OPTIONS (user '{ROLE}', password {})",
            literal(PASSWORD)
        ),
    );
    pair.source.run(DATABASE, "SELECT courier.grant_usage('owner')");
    let ask = |sql: &str| {
        let mut session = pair.source.connect_as(DATABASE, "owner", "pw");
        session.batch_execute(sql).map_err(|error| Answer::from(&error))
    };
    ask("SELECT courier.create_task('mine', 'dr', '{t}')").unwrap_or_else(|answer| panic!("{answer}"));
    let answer = ask("SELECT courier.start('mine')").expect_err("refused");
    assert_mentions(&answer.to_string(), &["precheck"]);
    let finding = "SELECT object || ' ' || fix FROM courier.precheck('mine') WHERE status = 'failed'";
    assert_mentions(&pair.source.value(DATABASE, finding), &["t_id_seq", "GRANT SELECT ON SEQUENCE"]);
    pair.source.run(DATABASE, "GRANT SELECT ON SEQUENCE t_id_seq TO owner");
    ask("SELECT courier.start('mine')").unwrap_or_else(|answer| panic!("{answer}"));
    ask("SELECT courier.wait_for('mine', '60 s')").unwrap_or_else(|answer| panic!("{answer}"));

    pair.source.run(DATABASE, "REVOKE SELECT ON SEQUENCE t_id_seq FROM owner");
    for _ in 0..3 {
        let answer = ask("SELECT courier.wait_for('mine', '60 s')").expect_err("refused");
        assert_eq!(answer.sqlstate, "55000", "{answer}");
        assert_mentions(&answer.to_string(), &["sequence", "GRANT SELECT ON SEQUENCE"]);
    }
    assert_mentions(&pair.task(DATABASE, "mine", "last_error_detail"), &["t_id_seq"]);
    assert_eq!(pair.source.log_count("pg_courier could not bring sequences"), 1);
    pair.source.run(DATABASE, "GRANT SELECT ON SEQUENCE t_id_seq TO owner; SELECT setval('t_id_seq', 77)");
    ask("SELECT courier.wait_for('mine', '60 s')").unwrap_or_else(|answer| panic!("{answer}"));
    assert_eq!(pair.destination.value(DATABASE, "SELECT last_value FROM t_id_seq"), "77");
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
        // Ahead of the source, so that it never gives a number that a row has.
        "(SELECT last_value FROM t_id_seq) BETWEEN 5711 AND 20000",
        std::time::Duration::from_secs(120),
    );
}
