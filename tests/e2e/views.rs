//! What people look at while nothing is wrong: figures that are not known, what comes first, words.

use pg_courier_tests::pair::{DATABASE, TaskOptions};
use pg_courier_tests::{Pair, Stop};

use crate::common::{TASK, assert_mentions, create_small_tables, mirrored_pair};

/// A figure that is not known is null, or says so; a task that is finished does nothing any more.
#[test]
fn what_is_not_known_is_no_figure() {
    let pair = mirrored_pair();
    assert_eq!(
        pair.source.value(DATABASE, &format!("SELECT lost_in IS NULL FROM courier.slots WHERE task = '{TASK}'")),
        "t"
    );
    pair.source.run(
        DATABASE,
        "CREATE SCHEMA beside; CREATE TABLE beside.fresh (id int PRIMARY KEY, v text) WITH (autovacuum_enabled = off); \
         INSERT INTO beside.fresh SELECT n, 'row' FROM generate_series(1, 1000) AS n",
    );
    let once = TaskOptions { incremental: Some(false), ..TaskOptions::default() };
    pair.create_task(DATABASE, "once", &["beside.*"], &once);
    let plan = "SELECT string_agg(concat_ws(' ', action, object, detail), E'\\n') FROM courier.plan('once')";
    assert_mentions(&pair.source.value(DATABASE, plan), &["beside.fresh", "not analyzed, 40 kB"]);
    pair.call(DATABASE, "start", "once");
    pair.wait_for_state(DATABASE, "once", "finished");
    assert_eq!(pair.task(DATABASE, "once", "phase"), "finished");
}

/// Among thousands of tables those that move are to be seen; and all of them in one line.
#[test]
fn the_tables_that_move_come_first() {
    let pair = Pair::builder().source_conf("courier.max_sync_workers_per_task", "1").start();
    pair.source.run(
        DATABASE,
        "CREATE TABLE a (id int PRIMARY KEY); INSERT INTO a VALUES (1); CREATE TABLE z (id int PRIMARY KEY, v text); \
         INSERT INTO z SELECT n, 'many' FROM generate_series(1, 200000) AS n; ANALYZE",
    );
    pair.source.arm("tablesync_mid_copy:wait");
    pair.start_task(TASK, &["public.*"]);
    pair.source.wait_at("tablesync_mid_copy");
    let first = "SELECT concat_ws(' ', table_name, state) FROM courier.progress LIMIT 1";
    assert_eq!(pair.source.value(DATABASE, first), "public.z datasync");
    let total = "SELECT concat_ws(' ', tables, copied, rows BETWEEN 1 AND 200000, percent BETWEEN 0.1 AND 99.9, rows_per_second > 0, \
                 bytes_per_second > 0) FROM courier.progress_total";
    assert_eq!(pair.source.value(DATABASE, total), "2 0 t t t t");
    pair.source.disarm();
    pair.assert_mirrored(TASK, &["public.a", "public.z"]);
    assert_eq!(
        pair.source.value(DATABASE, "SELECT concat_ws(' ', tables, copied, percent) FROM courier.progress_total"),
        "2 2 100.0"
    );
}

/// No conflicts, and none that are known of, are two things.
#[test]
fn conflicts_of_a_destination_that_is_away() {
    let pair = mirrored_pair();
    assert_eq!(pair.source.value(DATABASE, "SELECT count(*) FROM courier.conflicts"), "0");
    pair.destination.stop(Stop::Fast);
    let line = pair.source.value(DATABASE, "SELECT concat_ws(' | ', task, decision, message) FROM courier.conflicts");
    assert_mentions(&line, &[TASK, "not known", "could not connect"]);
    pair.destination.start();
}

/// What a precheck warns of, whoever starts the task is told.
#[test]
fn who_starts_a_task_is_told_the_warnings() {
    let pair = Pair::start();
    create_small_tables(&pair);
    pair.source.run(DATABASE, "CREATE VIEW v AS SELECT 1 AS a");
    pair.create_task(DATABASE, TASK, &["public.*"], &TaskOptions::default());
    let warnings = pair.source.rows(
        DATABASE,
        &format!("SELECT concat(item, ' (' || object || ')') FROM courier.precheck('{TASK}') WHERE status = 'warning'"),
    );
    assert!(!warnings.is_empty());
    let told = pair.source.psql(DATABASE, &format!("SELECT courier.start('{TASK}');"));
    let told = String::from_utf8_lossy(&told.stderr).into_owned();
    for warning in &warnings {
        let warning = warning.first().and_then(Option::as_deref).unwrap_or_default();
        assert!(told.contains(&format!("WARNING:  {warning}:")), "{warning} is not in: {told}");
    }
}

/// Two libraries that both wait for a restart: neither statement takes the other's away.
#[test]
fn libraries_are_added_to_those_that_wait() {
    let pair = Pair::start();
    let advise = |library: &str| pair.source.value(DATABASE, &format!("SELECT courier.preload_sql('{library}')"));
    let first = advise("auto_explain");
    assert_mentions(&first, &["ALTER SYSTEM SET shared_preload_libraries = 'pg_courier', 'auto_explain'"]);
    pair.source.psql_ok(DATABASE, &first);
    assert_mentions(&advise("pg_stat_statements, pg_courier"), &["'pg_courier', 'auto_explain', 'pg_stat_statements'"]);
}
