//! What the processes look like from outside, and that they leave others alone.

use pg_courier_tests::pair::{APPLY, DATABASE, LAUNCHER, ROLE, SUPERVISOR};
use pg_courier_tests::{Pair, sql};

use crate::common::{SMALL, TASK, mirrored_pair};

/// `ps` and pg_stat_activity show which process is which, the views give their pids.
#[test]
fn processes_have_names() {
    let pair = mirrored_pair();
    for kind in [LAUNCHER, SUPERVISOR, APPLY] {
        assert_eq!(pair.source.pids(kind).len(), 1, "{kind}");
    }
    let apply = pair.apply_pid(DATABASE, TASK);
    let title = std::fs::read(format!("/proc/{apply}/cmdline")).expect("it runs");
    let title = String::from_utf8_lossy(&title).into_owned();
    assert!(title.contains("pg_courier apply worker") && title.contains(TASK), "{title}");
    let name = format!("SELECT application_name FROM pg_stat_activity WHERE usename = '{ROLE}' LIMIT 1");
    assert!(pair.destination.value("postgres", &name).contains("courier"), "seen on the destination");
}

/// No connection to the source itself, so no line in pg_hba.conf and no password for it; no
/// walsender either.
#[test]
fn the_source_is_not_connected_to() {
    let pair = mirrored_pair();
    let count = |query: &str| pair.source.value("postgres", query);
    assert_eq!(count("SELECT count(*) FROM pg_stat_replication"), "0");
    assert_eq!(
        count(
            "SELECT count(*) FROM pg_stat_activity WHERE client_port IS NOT NULL AND application_name NOT LIKE 'courier_t%'"
        ),
        "0"
    );
}

/// The slot follows: WAL that the destination has is given back, also when other databases
/// write and this one is idle.
#[test]
fn the_slot_follows() {
    let pair = mirrored_pair();
    pair.source.create_database("busy");
    pair.source.run("busy", "CREATE TABLE t AS SELECT generate_series(1, 200000) AS n");
    let written = pair.source.value("postgres", "SELECT pg_current_wal_lsn()");
    pair.source.wait_until_within(
        "postgres",
        "the slot has passed what another database has written",
        &format!("(SELECT confirmed_flush_lsn FROM pg_replication_slots WHERE slot_name = 'courier_{TASK}') >= '{written}'::pg_lsn"),
        std::time::Duration::from_secs(120),
    );
}

/// The numbers of courier.tasks move in the right direction.
#[test]
fn the_numbers_are_right() {
    let pair = mirrored_pair();
    let number = |column: &str| pair.task(DATABASE, TASK, column).parse::<f64>().unwrap_or_else(|_| panic!("{column}"));
    let (transactions, changes) = (number("transactions"), number("changes"));
    for n in 0..10 {
        pair.source.run(
            DATABASE,
            &format!("BEGIN; UPDATE items SET v = {n} WHERE id <= 10; INSERT INTO journal VALUES ({n}, 'x'); COMMIT"),
        );
    }
    pair.caught_up(DATABASE, TASK);
    assert!(number("transactions") >= transactions + 10.0);
    assert!(number("changes") >= changes + 110.0);
    let ordered = format!("SELECT applied_lsn <= received_lsn FROM courier.task_details WHERE task = '{TASK}'");
    assert_eq!(pair.source.value(DATABASE, &ordered), "t");

    let mut lock = pair.destination.connect(DATABASE);
    lock.batch_execute("BEGIN; LOCK TABLE items IN ACCESS EXCLUSIVE MODE").expect("lock");
    pair.source.run(DATABASE, "UPDATE items SET v = v + 1");
    pair.wait_until_in("task_details", TASK, "the lag shows", "lag_bytes > 10000");
    pair.wait_until_in("task_details", TASK, "in seconds too", "lag_seconds >= 1");
    lock.batch_execute("ROLLBACK").expect("unlock");
    pair.caught_up(DATABASE, TASK);
    pair.wait_until_in("task_details", TASK, "and goes", "lag_bytes < 10000");
}

/// While a table is copied, courier.progress shows how far it is.
#[test]
fn progress_of_a_copy() {
    let pair = Pair::start();
    pair.source.run(DATABASE, "CREATE TABLE big (id int PRIMARY KEY, t text); INSERT INTO big SELECT n, repeat('x', 200) FROM generate_series(1, 200000) AS n; ANALYZE big");
    pair.source.arm("tablesync_mid_copy:wait");
    pair.start_task(TASK, &["public.*"]);
    pair.source.wait_until(
        DATABASE,
        "the copy is under way",
        "EXISTS (SELECT FROM courier.progress WHERE table_name LIKE '%big%' AND state = 'datasync' AND rows > 0)",
    );
    let line = pair.source.rows(DATABASE, "SELECT percent, bar, rows, bytes FROM courier.progress");
    let line: Vec<String> = line.into_iter().flatten().map(Option::unwrap_or_default).collect();
    let percent: f64 = line[0].parse().expect("a number");
    assert!((0.0..=100.0).contains(&percent), "{line:?}");
    assert!(!line[1].is_empty(), "{line:?}");
    assert_eq!(pair.task(DATABASE, TASK, "state"), "full_copy");
    pair.source.disarm();
    pair.wait_for_state(DATABASE, TASK, "synchronizing");
    let done = pair.source.rows(DATABASE, "SELECT state, rows, round(percent) FROM courier.progress");
    let done: Vec<String> = done.into_iter().flatten().map(Option::unwrap_or_default).collect();
    assert_eq!(done, ["ready", "200000", "100"]);
}

/// Users of the source are not held up: while the destination is locked, and while a table is
/// copied, transactions on the same tables go on.
#[test]
fn the_source_comes_first() {
    let pair = mirrored_pair();
    let mut lock = pair.destination.connect(DATABASE);
    lock.batch_execute("BEGIN; LOCK TABLE items, journal IN ACCESS EXCLUSIVE MODE").expect("lock");
    let mut user = pair.source.connect(DATABASE);
    user.batch_execute("SET statement_timeout = '5s'; SET lock_timeout = '1s'").expect("settings");
    for n in 0..50 {
        user.batch_execute(&format!("UPDATE items SET v = {n} WHERE id <= 100; INSERT INTO journal VALUES ({n}, 'x')"))
            .expect("not held up");
    }
    for statement in ["VACUUM items", "CREATE INDEX ON journal (item)", "TRUNCATE journal"] {
        user.batch_execute(statement).expect("not held up");
    }
    assert_eq!(
        sql::value(&mut user, "SELECT count(*) FROM pg_locks l JOIN pg_stat_activity a USING (pid) WHERE a.backend_type LIKE 'pg_courier%' AND NOT l.granted").expect("answer").as_deref(),
        Some("0")
    );
    lock.batch_execute("ROLLBACK").expect("unlock");
    pair.assert_mirrored(TASK, &SMALL);
}

/// Tables that a task does not include leave no trace on the destination, whatever happens
/// to them.
#[test]
fn other_tables_stay_at_home() {
    let pair = mirrored_pair();
    pair.source.run(
        DATABASE,
        "CREATE SCHEMA elsewhere; CREATE TABLE elsewhere.t (id int PRIMARY KEY); INSERT INTO elsewhere.t VALUES (1); \
         CREATE TEMP TABLE mine (id int); INSERT INTO mine VALUES (1); CREATE UNLOGGED TABLE elsewhere.u (id int); INSERT INTO elsewhere.u VALUES (1); \
         CREATE MATERIALIZED VIEW elsewhere.m AS SELECT 1 AS one; REFRESH MATERIALIZED VIEW elsewhere.m; \
         UPDATE items SET v = 2; DROP TABLE elsewhere.t",
    );
    pair.assert_mirrored(TASK, &SMALL);
    assert_eq!(pair.destination.value(DATABASE, "SELECT count(*) FROM pg_namespace WHERE nspname = 'elsewhere'"), "0");
}
