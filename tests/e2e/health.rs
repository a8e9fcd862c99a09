//! What a DBA sees while tasks run: heartbeats and lag, alerts by pg_cron, slots, the WAL guard, replica identity.

use std::time::Duration;

use pg_courier_tests::cluster::Stop;
use pg_courier_tests::pair::{DATABASE, PairBuilder};
use pg_courier_tests::sql::literal;
use pg_courier_tests::{Answer, Pair};

use crate::common::{
    SMALL, TASK, assert_mentions, create_small_tables, key_that_waits, mirror_small_tables, mirrored_pair,
};

/// A minute of pg_cron or of the launcher, and what comes after it.
const MINUTES: Duration = Duration::from_secs(240);

fn lag(pair: &Pair, task: &str, column: &str) -> String {
    pair.source.value(DATABASE, &format!("SELECT {column} FROM courier.lag WHERE task = {}", literal(task)))
}

fn write_wal(pair: &Pair, megabytes: u32) {
    pair.source.run(
        DATABASE,
        &format!("SELECT count(pg_logical_emit_message(false, 'filler', repeat('x', 1048576))) FROM generate_series(1, {megabytes})"),
    );
}

fn reload_with(pair: &Pair, settings: &[(&str, &str)]) {
    for (key, value) in settings {
        pair.source.set(key, Some(value));
    }
    pair.source.reload();
}

/// Heartbeats of two tasks of an idle database: each arrives at its own destination row, is timed on its way, and leaves nothing
/// but that behind. A destination that does not answer shows as outstanding time, and as an alert.
#[test]
fn heartbeats_measure_the_way() {
    let pair = Pair::builder().source_conf("courier.heartbeat_interval", "1s").start();
    mirror_small_tables(&pair);
    pair.source.run(DATABASE, "CREATE SCHEMA other; CREATE TABLE other.t (id int PRIMARY KEY)");
    pair.start_task("second", &["other.*"]);
    pair.wait_for_state(DATABASE, "second", "synchronizing");
    for task in [TASK, "second"] {
        pair.wait_until_in("lag", task, "a heartbeat has arrived", "delay_seconds >= 0");
        assert_eq!(
            lag(&pair, task, "abs(delay_seconds - decode_seconds - apply_seconds - destination_seconds) < 0.01"),
            "t"
        );
        assert_eq!(lag(&pair, task, "lag_bytes >= 0 AND decode_bytes >= 0 AND apply_bytes >= 0"), "t");
        let there = format!(
            "(SELECT commit_time FROM courier_applied.progress WHERE task = {}) > clock_timestamp() - interval '5 s'",
            literal(task)
        );
        pair.destination.wait_until(DATABASE, "the destination has a heartbeat's time", &there);
    }
    let beats = pair.source.value(DATABASE, "SELECT count(*) FROM courier.heartbeat WHERE beats > 0");
    assert_eq!(beats, "2");
    assert_eq!(pair.destination.value(DATABASE, "SELECT to_regclass('courier.heartbeat') IS NULL"), "t");

    let mut blocker = pair.destination.connect(DATABASE);
    blocker
        .batch_execute(&format!("BEGIN; SELECT FROM courier_applied.progress WHERE task = '{TASK}' FOR UPDATE"))
        .expect("a lock");
    pair.wait_until_in("lag", TASK, "heartbeats do not arrive", "outstanding_seconds > 2 AND lag_seconds > 2");
    let status = "SET courier.lag_warning = 2; SET courier.lag_critical = 3600";
    let mut session = pair.source.connect(DATABASE);
    session.batch_execute(status).expect("settings");
    let row = session
        .query_one("SELECT status, hint FROM courier.health() WHERE item = 'lag' AND task = $1", &[&TASK])
        .expect("a row");
    assert_eq!(row.get::<_, String>(0), "warning");
    assert_mentions(&row.get::<_, String>(1), &["courier.lag"]);
    blocker.batch_execute("COMMIT").expect("released");
    pair.wait_until_in("lag", TASK, "they arrive again", "outstanding_seconds < 2");
    // A truncated or emptied heartbeat table is nothing to carry over.
    pair.source.run(DATABASE, "TRUNCATE courier.heartbeat; INSERT INTO items VALUES (5000, 1, 'after')");
    pair.assert_mirrored(TASK, &SMALL);
    pair.call(DATABASE, "drop_task", "second");
    assert_eq!(pair.source.value(DATABASE, "SELECT count(*) FROM courier.heartbeat WHERE task = 'second'"), "0");
}

/// pg_cron calls the health check every minute. The destination goes away: an alert appears in the view, as a notification and in the log.
/// It comes back: the alert is cleared.
#[test]
fn an_alert_by_pg_cron() {
    let builder: PairBuilder = Pair::builder()
        .preload(false)
        .source_conf("shared_preload_libraries", "pg_courier,pg_cron")
        .source_conf("cron.database_name", DATABASE)
        .source_conf("cron.use_background_workers", "on");
    if !pg_courier_tests::Install::get().has_extension("pg_cron") {
        assert!(
            std::env::var_os("COURIER_WITHOUT_CRON").is_some(),
            "pg_cron is not installed for this server: make prereqs, or set COURIER_WITHOUT_CRON to do without this test"
        );
        return;
    }
    let pair = builder.start();
    mirror_small_tables(&pair);
    pair.source.run(DATABASE, "CREATE EXTENSION pg_cron");
    pair.source.run(DATABASE, "SELECT cron.schedule('courier health', '* * * * *', 'SELECT courier.health_check()')");
    let mut listener = pair.source.connect(DATABASE);
    listener.batch_execute("LISTEN courier_alert").expect("listening");

    pair.destination.stop(Stop::Immediate);
    let raised = format!(
        "EXISTS (SELECT FROM courier.alerts WHERE item = 'destination' AND task = '{TASK}' AND status = 'critical' AND cleared_at IS NULL)"
    );
    pair.source.wait_until_within(DATABASE, "an alert appears", &raised, MINUTES);
    let mut payloads = Vec::new();
    let mut notifications = listener.notifications();
    let mut iterator = notifications.timeout_iter(Duration::from_secs(10));
    while let Ok(Some(notification)) = postgres::fallible_iterator::FallibleIterator::next(&mut iterator) {
        payloads.push(notification.payload().to_owned());
        if payloads.iter().any(|p| p.contains("\"destination\"")) {
            break;
        }
    }
    let payload = payloads.iter().find(|p| p.contains("\"destination\"")).expect("a notification");
    assert_mentions(payload, &["raised", TASK, "critical"]);
    assert!(pair.source.log_count("alert raised: check destination") > 0);

    pair.destination.start();
    let cleared = format!(
        "NOT {raised} AND EXISTS (SELECT FROM courier.alerts WHERE item = 'destination' AND cleared_at IS NOT NULL)"
    );
    pair.source.wait_until_within(DATABASE, "the alert is cleared", &cleared, MINUTES);
    assert!(pair.source.log_count("alert cleared: check destination") > 0);
    let kinds = pair
        .source
        .value(DATABASE, &format!("SELECT string_agg(DISTINCT kind, ' ') FROM courier.events WHERE task = '{TASK}'"));
    assert_mentions(&kinds, &["created", "running", "stage", "error"]);
    let cron = "SELECT status FROM courier.precheck('dr', ARRAY['public.*']) WHERE item = 'health_check'";
    assert_eq!(pair.source.value(DATABASE, cron), "ok");
}

/// The destination is away and WAL piles up: first a warning with a forecast, then the policy. After a resume the task is not paused
/// again at once, because then it could never catch up.
#[test]
fn the_wal_guard_pauses() {
    let pair = mirrored_pair();
    pair.destination.stop(Stop::Fast);
    reload_with(&pair, &[("courier.max_retained_wal", "40MB"), ("courier.max_retained_wal_policy", "pause")]);
    write_wal(&pair, 34);
    let event = |text: &str| {
        format!(
            "EXISTS (SELECT FROM courier.events WHERE kind = 'wal_guard' AND concat(message, detail) LIKE {})",
            literal(text)
        )
    };
    pair.source.wait_until_within(
        DATABASE,
        "a warning with a forecast",
        &event("%the limit is reached in%policy is pause%"),
        MINUTES,
    );
    assert_ne!(pair.task(DATABASE, TASK, "state"), "paused");
    write_wal(&pair, 10);
    pair.wait_for_state_within(DATABASE, TASK, "paused", MINUTES);
    let alert = "SELECT status FROM courier.alerts WHERE item = 'wal_guard' AND cleared_at IS NULL";
    assert_eq!(pair.source.value(DATABASE, alert), "critical");
    assert!(pair.source.log_count("courier.max_retained_wal is 40 MB") > 0);
    assert_eq!(pair.source.value(DATABASE, "SELECT count(*) FROM pg_replication_slots"), "1", "the slot stays");

    pair.destination.start();
    pair.call(DATABASE, "resume", TASK);
    pair.source.run(DATABASE, "INSERT INTO items VALUES (7000, 1, 'after the pause')");
    pair.assert_mirrored(TASK, &SMALL);
    let gone = "NOT EXISTS (SELECT FROM courier.alerts WHERE item = 'wal_guard' AND cleared_at IS NULL)";
    pair.source.run("postgres", "CHECKPOINT");
    pair.source.wait_until_within(DATABASE, "the alert is cleared when the slot has followed", gone, MINUTES);
}

/// Somebody holds the lock of the helper tables. The error says who, with a statement against it, which nobody shall run any more
/// when the task goes on.
#[test]
fn what_was_to_be_done_goes_with_its_reason() {
    let pair = Pair::start();
    create_small_tables(&pair);
    let mut holder = pair.destination.connect(DATABASE);
    holder.batch_execute("SELECT pg_advisory_lock(x'00636f7572696572'::bigint)").expect("anybody may");
    pair.start_task(TASK, &["public.*"]);
    pair.wait_until_in(
        "task_details",
        TASK,
        "the error says who",
        "last_error LIKE 'process % blocks schema %' AND last_error_hint LIKE 'SELECT pg_terminate_backend(%'",
    );
    holder.batch_execute("SELECT pg_advisory_unlock_all()").expect("it holds it");
    pair.wait_for_state(DATABASE, TASK, "synchronizing");
    pair.wait_until_in("task_details", TASK, "the hint is gone", "last_error IS NOT NULL AND last_error_hint IS NULL");
}

/// A person has paused the task, and its slot passes the limit before anybody looks. Whoever resumes it wants it to catch up: the guard
/// does not pause it at once.
#[test]
fn the_wal_guard_lets_a_paused_task_go_on() {
    let pair = mirrored_pair();
    pair.call(DATABASE, "pause", TASK);
    pair.destination.stop(Stop::Fast);
    reload_with(&pair, &[("courier.max_retained_wal", "40MB"), ("courier.max_retained_wal_policy", "pause")]);
    write_wal(&pair, 60);
    pair.call(DATABASE, "resume", TASK);
    // It looks after each attempt.
    pair.source.wait_for_log("tries again in", 3);
    assert_eq!(pair.task(DATABASE, TASK, "state"), "retrying");
    pair.destination.start();
    pair.assert_mirrored(TASK, &SMALL);
}

/// Nobody's process watches the slot of a paused task but the launcher: with policy drop the source lives, and the task says why
/// it cannot go on.
#[test]
fn the_wal_guard_drops_the_slot_of_a_paused_task() {
    let pair = mirrored_pair();
    pair.call(DATABASE, "pause", TASK);
    reload_with(&pair, &[("courier.max_retained_wal", "20MB"), ("courier.max_retained_wal_policy", "drop")]);
    write_wal(&pair, 30);
    pair.wait_for_state_within(DATABASE, TASK, "failed", MINUTES);
    pair.source.wait_until(DATABASE, "the slot is gone", "NOT EXISTS (SELECT FROM pg_replication_slots)");
    assert_mentions(&pair.failure(DATABASE, TASK), &["max_retained_wal", "slot is dropped", "anew"]);
    pair.source.assert_not_crashed();
}

/// A restored backup or a careless DELETE leaves a slot without a task. It is known as such, and goes when it has been so for long
/// enough; a slot of a task never does.
#[test]
fn orphaned_slots() {
    let pair = mirrored_pair();
    pair.source.run(DATABASE, "CREATE SCHEMA other; CREATE TABLE other.t (id int PRIMARY KEY)");
    pair.start_task("second", &["other.*"]);
    pair.wait_for_state(DATABASE, "second", "synchronizing");
    pair.call(DATABASE, "pause", "second");
    pair.call(DATABASE, "pause", TASK);
    pair.source.run(DATABASE, "DELETE FROM courier.task WHERE name = 'second'");
    let kinds = "SELECT string_agg(owner_kind || ' ' || slot_name, ', ' ORDER BY slot_name) FROM courier.slots";
    assert_eq!(pair.source.value(DATABASE, kinds), format!("orphaned courier_second, task courier_{TASK}"));
    assert_eq!(
        pair.source.value(DATABASE, "SELECT status FROM courier.health() WHERE item = 'other_slots'"),
        "warning"
    );
    let drop = |arguments: &str| {
        pair.source.value(
            DATABASE,
            &format!(
                "SELECT string_agg(slot_name || ': ' || result, '; ') FROM courier.drop_orphaned_slots({arguments})"
            ),
        )
    };
    assert_mentions(&drop("dry_run => false"), &["courier_second: kept: known to be nobody's only since"]);
    assert_eq!(drop("older_than => '0 s'"), "courier_second: would be dropped");
    assert_mentions(
        &drop(&format!("dry_run => false, older_than => '0 s', named => ARRAY['courier_{TASK}']")),
        &["courier_second: dropped", "kept: courier.drop_task()"],
    );
    assert_eq!(pair.source.value(DATABASE, kinds), format!("task courier_{TASK}"));
    pair.call(DATABASE, "resume", TASK);
    pair.assert_mirrored(TASK, &SMALL);
}

/// A table that somebody holds: the statement waits for its lock a moment at a time, never in front of everybody, and gets it when
/// the table is free.
#[test]
fn replica_identity_waits_politely() {
    let pair = Pair::start();
    pair.source.run(DATABASE, "CREATE TABLE held (id int); CREATE TABLE free (id int)");
    pair.create_task(DATABASE, TASK, &["public.*"], &Default::default());
    let mut holder = pair.source.connect(DATABASE);
    holder.batch_execute("BEGIN; INSERT INTO held VALUES (1)").expect("holds the table");
    let call =
        "CALL courier.set_replica_identity('shop_to_dr', dry_run => false, lock_timeout => '50 ms', attempts => 2)";
    let answer = pair.source.refuses(DATABASE, call);
    assert_eq!(answer.sqlstate, "55P03", "{answer}");
    let identities = "SELECT string_agg(relname || ' ' || relreplident::text, ', ' ORDER BY relname) FROM pg_class WHERE relname IN ('held', 'free')";
    assert_eq!(pair.source.value(DATABASE, identities), "free f, held d");
    std::thread::scope(|scope| {
        let patient = scope.spawn(|| {
            let call = call.replace("attempts => 2", "attempts => 1000");
            pair.source.connect(DATABASE).batch_execute(&call).map_err(|e| Answer::from(&e))
        });
        pair.source.wait_until(
            DATABASE,
            "somebody waits for the table",
            "EXISTS (SELECT FROM pg_locks WHERE NOT granted)",
        );
        // Others still get in between.
        pair.source.run(DATABASE, "INSERT INTO held VALUES (2)");
        holder.batch_execute("COMMIT").expect("free");
        patient.join().expect("no panic").unwrap_or_else(|e| panic!("{e}"));
    });
    assert_eq!(pair.source.value(DATABASE, identities), "free f, held f");
}

/// What the check of prepared transactions says when a second is long.
fn left_over(pair: &Pair, column: &str) -> String {
    let mut session = pair.source.connect(DATABASE);
    session.batch_execute("SET courier.long_transaction = 1").expect("a setting");
    let query = format!("SELECT {column} FROM courier.health() WHERE item = 'prepared_transactions'");
    pg_courier_tests::sql::value(&mut session, &query).expect("an answer").unwrap_or_default()
}

/// Somebody forgot a prepared transaction: it stops nobody else's changes, and the slot keeps its WAL until the check that names it has been
/// heard. What the hint says runs as printed, and its changes arrive then.
#[test]
fn a_prepared_transaction_is_left_over() {
    let pair = Pair::builder().source_conf("max_prepared_transactions", "5").start();
    mirror_small_tables(&pair);
    pair.source.run(DATABASE, "BEGIN; UPDATE items SET v = 50 WHERE id <= 10; PREPARE TRANSACTION 'it''s \\ left'");
    pair.source.run(DATABASE, "BEGIN; UPDATE items SET v = 60 WHERE id > 10; PREPARE TRANSACTION 'unwanted'");
    pair.source.wait_until(
        DATABASE,
        "both have been open for longer than the threshold",
        "(SELECT count(*) FROM pg_prepared_xacts WHERE prepared < clock_timestamp() - interval '1.1 s') = 2",
    );
    pair.source.run(DATABASE, "INSERT INTO journal VALUES (1, 'meanwhile')");
    pair.caught_up(DATABASE, TASK);
    assert_eq!(pair.destination.value(DATABASE, "SELECT count(*) FROM journal WHERE what = 'meanwhile'"), "1");
    assert_eq!(pair.destination.value(DATABASE, "SELECT count(*) FROM items WHERE v <> 0"), "0", "neither is applied");

    assert_eq!(left_over(&pair, "status"), "warning");
    assert_mentions(&left_over(&pair, "detail"), &["E'it''s \\\\ left'", "'unwanted'", "database shop", "since"]);
    let hint = left_over(&pair, "hint");
    let fixes: Vec<&str> = hint.lines().collect();
    assert_eq!(fixes.len(), 2, "{hint}");
    pair.source.run(DATABASE, fixes[0]);
    pair.source.run(DATABASE, &fixes[1].replacen("COMMIT", "ROLLBACK", 1));
    assert_eq!((left_over(&pair, "status"), left_over(&pair, "hint")), ("ok".into(), String::new()));
    pair.assert_mirrored(TASK, &SMALL);
    assert_eq!(pair.destination.value(DATABASE, "SELECT sum(v) FROM items"), "500");
}

/// A key takes its time on the destination, or waits for somebody there. Nobody reads the slot meanwhile, and the supervisor waits for
/// one statement.
#[test]
fn the_wal_guard_looks_while_keys_are_built() {
    let pair = Pair::start();
    let mut user = key_that_waits(&pair);
    reload_with(&pair, &[("courier.max_retained_wal", "20MB"), ("courier.max_retained_wal_policy", "pause")]);
    write_wal(&pair, 30);
    pair.wait_for_state_within(DATABASE, TASK, "paused", MINUTES);
    user.batch_execute("COMMIT").expect("released");
    pair.call(DATABASE, "resume", TASK);
    pair.assert_mirrored(TASK, &["public.items"]);
}
