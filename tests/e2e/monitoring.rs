//! Monitoring that cannot turn green by accident: what each check says in each bad situation, that nothing is taken back while it
//! lasts, who sees it, and that somebody asks at all.

use std::time::Duration;

use pg_courier_tests::cluster::Stop;
use pg_courier_tests::pair::DATABASE;
use pg_courier_tests::sql::literal;
use pg_courier_tests::{Cluster, Pair, Proxy, TaskOptions};

use crate::common::{
    SMALL, TASK, assert_mentions, create_small_tables, key_that_waits, mirror_small_tables, mirrored_pair,
};

fn pair_behind_a_proxy(conf: &[(&str, &str)]) -> (Pair, Proxy) {
    let mut builder = Pair::builder();
    for (key, value) in conf {
        builder = builder.source_conf(key, value);
    }
    let pair = builder.start();
    create_small_tables(&pair);
    let proxy = Proxy::to(pair.destination.port());
    pair.route(DATABASE, proxy.port());
    pair.start_task(TASK, &["public.*"]);
    pair.wait_for_state(DATABASE, TASK, "synchronizing");
    (pair, proxy)
}

fn status(pair: &Pair, item: &str) -> String {
    let query = format!("SELECT status FROM courier.health() WHERE item = {} AND task = '{TASK}'", literal(item));
    pair.source.value(DATABASE, &query)
}

fn check(pair: &Pair) -> String {
    pair.source.value(DATABASE, "SELECT courier.health_check()")
}

fn open_alerts(pair: &Pair) -> String {
    let query =
        "SELECT string_agg(item, ' ' ORDER BY item) FROM courier.alerts WHERE cleared_at IS NULL AND task IS NOT NULL";
    pair.source.value(DATABASE, query)
}

/// Lag is a number and no check of these says ok, whatever the state is; and what was raised stays.
#[track_caller]
fn assert_red(pair: &Pair, situation: &str, state: &str, red: &[&str]) {
    pair.source.wait_until(
        DATABASE,
        &format!("{situation}: the task is {state}"),
        &format!("(SELECT state FROM courier.tasks WHERE task = '{TASK}') = '{state}'"),
    );
    let known = "lag_seconds IS NOT NULL AND lag_bytes IS NOT NULL";
    assert_eq!(pair.task(DATABASE, TASK, known), "t", "{situation}: the lag is known");
    let known = format!("SELECT count(*) FROM courier.lag WHERE {known}");
    assert_eq!(pair.source.value(DATABASE, &known), "1", "{situation}: courier.lag has its line");
    let before = open_alerts(pair);
    check(pair);
    for item in red {
        let status = status(pair, item);
        assert!(matches!(&*status, "warning" | "critical" | "unknown"), "{situation}: check {item} is {status:?}");
    }
    let after = open_alerts(pair);
    // What a person has done about the task itself is news; that nobody knows more of its destination is none.
    for item in before.split_whitespace().filter(|item| matches!(*item, "lag" | "destination")) {
        assert!(after.split(' ').any(|open| open == item), "{situation}: alert {item} was cleared; open: {after}");
    }
}

/// A frozen destination, and everything that a person or an accident can do meanwhile: the figures vanish with the processes, the
/// alert does not.
#[test]
fn an_alert_outlives_the_figures() {
    let (pair, proxy) = pair_behind_a_proxy(&[
        ("courier.lag_warning", "1s"),
        ("courier.lag_critical", "3s"),
        ("courier.heartbeat_interval", "1s"),
        ("restart_after_crash", "on"),
    ]);
    proxy.stall();
    pair.source.run(DATABASE, "INSERT INTO items VALUES (5000, 1, 'frozen')");
    pair.wait_until_in("task_details", TASK, "the destination is behind", "lag_seconds > 1 AND lag_bytes > 0");
    assert_red(&pair, "frozen", "synchronizing", &["lag"]);
    assert_mentions(&open_alerts(&pair), &["lag"]);

    pair.call(DATABASE, "pause", TASK);
    assert_red(&pair, "paused while frozen", "paused", &["task", "destination", "lag"]);
    pair.call(DATABASE, "resume", TASK);
    assert_red(&pair, "resumed while frozen", "starting", &["destination", "lag"]);

    proxy.refuse();
    proxy.cut();
    assert_red(&pair, "refused", "retrying", &["task", "destination", "lag"]);
    assert_mentions(&open_alerts(&pair), &["destination", "lag", "task"]);
    pair.call(DATABASE, "pause", TASK);
    assert_red(&pair, "paused while refused", "paused", &["task", "destination", "lag"]);
    pair.call(DATABASE, "resume", TASK);
    assert_red(&pair, "resumed while refused", "retrying", &["task", "destination", "lag"]);

    pair.source.run(DATABASE, "ALTER SERVER dr OPTIONS (SET dbname 'nowhere')");
    proxy.accept();
    proxy.flow();
    assert_red(&pair, "failed", "failed", &["task", "destination", "lag"]);

    // A crash takes all processes and their shared memory.
    pair.source.kill9();
    pair.source.start();
    assert_red(&pair, "failed, after a crash", "failed", &["task", "destination", "lag"]);

    pair.source.run(DATABASE, "ALTER SERVER dr OPTIONS (SET dbname 'shop')");
    pair.call(DATABASE, "resume", TASK);
    pair.assert_mirrored(TASK, &SMALL);
    pair.wait_for_state(DATABASE, TASK, "synchronizing");
    for item in ["task", "destination", "lag", "slot", "copy"] {
        pair.source.wait_until(
            DATABASE,
            &format!("check {item} is ok again"),
            &format!("(SELECT status FROM courier.health() WHERE item = '{item}' AND task = '{TASK}') = 'ok'"),
        );
    }
    pair.source.wait_until(
        DATABASE,
        "the alerts are cleared",
        "courier.health_check() IS NOT NULL AND NOT EXISTS (SELECT FROM courier.alerts WHERE cleared_at IS NULL AND item IN ('task', 'destination', 'lag'))",
    );
}

/// Without a heartbeat nothing but the task's row knows how far the destination was once its processes are gone.
#[test]
fn how_far_the_destination_was_is_remembered() {
    let pair = Pair::builder().source_conf("courier.heartbeat_interval", "0").start();
    mirror_small_tables(&pair);
    let something_arrives = |id: u32| {
        let now = pair.source.value(DATABASE, "SELECT clock_timestamp()");
        pair.source.run(DATABASE, &format!("INSERT INTO journal VALUES ({id}, 'arrives')"));
        pair.caught_up(DATABASE, TASK);
        now
    };
    let remembered = |since: &str| pair.task(DATABASE, TASK, &format!("current_at >= {}", literal(since)));

    let since = something_arrives(1);
    pair.call(DATABASE, "pause", TASK);
    assert_eq!(remembered(&since), "t", "paused");
    pair.call(DATABASE, "resume", TASK);
    pair.wait_for_state(DATABASE, TASK, "synchronizing");

    let since = something_arrives(2);
    pair.destination.stop(Stop::Immediate);
    pair.wait_until_in("task_details", TASK, "the loss is noticed", "retry_at IS NOT NULL");
    // All processes go, and their shared memory.
    pair.source.kill9();
    pair.source.start();
    assert_eq!(remembered(&since), "t", "after a crash, the destination away");
    pair.destination.start();
    pair.assert_mirrored(TASK, &SMALL);
}

/// Slots that are gone or lost, also of a task that nobody runs; a supervisor that is gone; a clock that went back.
#[test]
fn what_is_lost_shows() {
    let pair = Pair::builder().source_conf("max_slot_wal_keep_size", "16MB").start();
    mirror_small_tables(&pair);
    assert_eq!(status(&pair, "slot"), "ok");
    let hint = format!("SELECT hint IS NULL FROM courier.health() WHERE item = 'slot' AND task = '{TASK}'");
    assert_eq!(pair.source.value(DATABASE, &hint), "t", "nothing to do about a slot that is fine");

    pair.source.run(DATABASE, "UPDATE courier.task SET current_at = now() + interval '1 hour'");
    pair.call(DATABASE, "pause", TASK);
    pair.source.run(
        DATABASE,
        "UPDATE courier.task SET current_at = now() + interval '1 hour'; UPDATE courier.heartbeat SET current_at = NULL",
    );
    assert_eq!(status(&pair, "lag"), "critical", "a clock that went back is no good news");

    pair.source.run(
        DATABASE,
        "SELECT count(pg_logical_emit_message(false, 'filler', repeat('x', 1048576))) FROM generate_series(1, 60)",
    );
    pair.source.run("postgres", "SELECT pg_switch_wal(); CHECKPOINT");
    pair.source.wait_until(DATABASE, "the slot is lost", "(SELECT wal_status FROM courier.slots) = 'lost'");
    assert_red(&pair, "slot lost while paused", "paused", &["slot", "task", "lag"]);
    assert_eq!(status(&pair, "slot"), "critical");
    pair.source.run(DATABASE, "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots");
    assert_red(&pair, "slot dropped while paused", "paused", &["slot", "task", "lag"]);
    assert_eq!(status(&pair, "slot"), "critical");
    pair.call(DATABASE, "resume", TASK);
    assert_red(&pair, "resumed without a slot", "failed", &["slot", "task", "lag"]);
    let hint = pair.task(DATABASE, TASK, "last_error_hint");
    assert!(!hint.contains("{task}"), "{hint}");
}

/// None of a task's processes runs, and no worker is to be had: it should run, so it is no synchronizing task.
#[test]
fn a_task_without_processes_is_critical() {
    let pair = Pair::builder().preload(false).start();
    mirror_small_tables(&pair);
    pair.source.restart();
    assert_red(&pair, "restarted without the library", "starting", &["task", "destination"]);
    assert_eq!(status(&pair, "task"), "critical");
    assert_eq!(pair.source.value(DATABASE, "SELECT status FROM courier.health() WHERE item = 'launcher'"), "warning");
    pair.call(DATABASE, "resume", TASK);
    pair.wait_for_state(DATABASE, TASK, "synchronizing");
    pair.assert_mirrored(TASK, &SMALL);
}

/// A new slot waits for a transaction that is open: the task is starting, and says for whom it waits.
#[test]
fn a_start_that_waits_says_for_whom() {
    let pair = Pair::start();
    create_small_tables(&pair);
    let mut open = pair.source.connect(DATABASE);
    open.batch_execute("BEGIN; INSERT INTO items VALUES (4000, 1, 'open')").expect("a transaction");
    let pid: i32 = open.query_one("SELECT pg_backend_pid()", &[]).expect("a pid").get(0);
    pair.start_task(TASK, &["public.*"]);
    pair.source.wait_until(
        DATABASE,
        "it waits for the open transaction",
        &format!("(SELECT state = 'starting' AND phase LIKE '%waits for pid {pid}%' FROM courier.tasks WHERE task = '{TASK}')"),
    );
    let detail = format!("SELECT detail FROM courier.health() WHERE item = 'task' AND task = '{TASK}'");
    assert_mentions(&pair.source.value(DATABASE, &detail), &[&pid.to_string(), "starting"]);
    open.batch_execute("COMMIT").expect("committed");
    pair.wait_for_state(DATABASE, TASK, "synchronizing");
    pair.assert_mirrored(TASK, &SMALL);
}

/// The role that `account_sql('monitor')` makes sees what a superuser sees, and the values of no row.
#[test]
fn the_monitor_account_sees_every_task() {
    let pair = mirrored_pair();
    let script = pair.source.value(
        DATABASE,
        "SELECT string_agg(l, E'\\n') FROM courier.account_sql('monitor', 'mon') l WHERE l NOT LIKE '\\\\%'",
    );
    pair.source.psql_ok(DATABASE, &script);
    pair.source.run(DATABASE, "ALTER ROLE mon PASSWORD 'mon'");
    pair.destination.run(DATABASE, "INSERT INTO items VALUES (4711, 1, 'mine')");
    pair.source.run(DATABASE, "INSERT INTO items VALUES (4711, 1, 'collides')");
    assert_mentions(&pair.failure(DATABASE, TASK), &["4711"]);
    pair.source.run(DATABASE, "SELECT courier.health_check()");

    let ask = |who: &mut postgres::Client, query: &str| {
        pg_courier_tests::sql::value(who, query).expect("an answer").unwrap_or_default()
    };
    let mut monitor = pair.source.connect_as(DATABASE, "mon", "mon");
    let mut superuser = pair.source.connect(DATABASE);
    for query in [
        "SELECT string_agg(task || state || (last_error IS NOT NULL), ',') FROM courier.tasks",
        "SELECT string_agg(task || stage || incremental, ',') FROM courier.task_details",
        "SELECT string_agg(task || table_name || state, ',') FROM courier.progress",
        "SELECT string_agg(task || (lag_bytes >= 0), ',') FROM courier.lag",
        "SELECT string_agg(task || owner_kind, ',') FROM courier.slots",
        "SELECT string_agg(item || status || COALESCE(task, ''), ',' ORDER BY item) FROM courier.health()",
        "SELECT courier.health_check()",
        "SELECT string_agg(item || status || task, ',' ORDER BY item) FROM courier.alerts WHERE cleared_at IS NULL AND task IS NOT NULL",
        "SELECT string_agg(kind, ',') FROM courier.events",
    ] {
        let (seen, all) = (ask(&mut monitor, query), ask(&mut superuser, query));
        assert!(!all.is_empty() && seen == all, "{query}\n{seen}\n{all}");
    }
    for relation in ["tasks", "task_details", "health()", "alerts", "events", "lag", "slots"] {
        let query = format!("SELECT string_agg(to_jsonb(r)::text, ',') FROM courier.{relation} r");
        let seen = ask(&mut monitor, &query);
        for told in ["4711", "duplicate key", "skip_change"] {
            assert!(!seen.contains(told), "{relation}: what errors say is for those who may read the rows: {seen}");
        }
    }
}

/// The extension asks by itself, in every database that has tasks, also when all of them are paused; that it does not shows.
#[test]
fn the_extension_runs_its_health_check() {
    let pair = Pair::start();
    create_small_tables(&pair);
    pair.create_task(DATABASE, TASK, &["public.*"], &TaskOptions::default());
    let last = "SELECT status FROM courier.health() WHERE item = 'health_check'";
    assert_eq!(pair.source.value(DATABASE, last), "warning", "nobody has asked yet");
    let ran = |what: &str| {
        pair.source.wait_until_within(
            DATABASE,
            what,
            "EXISTS (SELECT FROM courier.health_last WHERE ran_by = 'pg_courier' AND worst IS NOT NULL)",
            Duration::from_secs(60),
        );
        pair.source.run(DATABASE, "DELETE FROM courier.health_run");
    };
    pair.source.set("courier.health_interval", Some("1s"));
    pair.source.reload();
    ran("the launcher finds a database whose task was never started");
    pair.call(DATABASE, "start", TASK);
    pair.wait_for_state(DATABASE, TASK, "synchronizing");
    ran("somebody asks while the task runs");
    pair.call(DATABASE, "pause", TASK);
    ran("the launcher asks while the task is paused");
    pair.source.wait_until(
        DATABASE,
        "the pause is an alert",
        &format!("EXISTS (SELECT FROM courier.alerts WHERE item = 'task' AND task = '{TASK}' AND cleared_at IS NULL)"),
    );
    assert!(pair.source.log_count("WARNING:  pg_courier: alert raised: check task") > 0);
    pair.source.run(DATABASE, "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots");
    ran("the launcher asks where there is no slot any more");
    pair.source.restart();
    ran("the launcher asks after a restart");
    pair.source.assert_not_crashed();
}

/// Where the library is not preloaded there is no launcher: a running task's supervisor asks.
#[test]
fn a_task_runs_the_health_check_without_a_launcher() {
    let pair = Pair::builder().preload(false).start();
    mirror_small_tables(&pair);
    pair.source.set("courier.health_interval", Some("1s"));
    pair.source.reload();
    pair.source.wait_until(
        DATABASE,
        "the supervisor asks",
        "EXISTS (SELECT FROM courier.health_last WHERE ran_by = 'pg_courier' AND worst IS NOT NULL)",
    );
}

/// A standby made from the source knows the tasks, runs none, and gives no advice to destroy anything.
#[test]
fn a_standby_says_that_it_is_one() {
    let pair = mirrored_pair();
    let standby = pair.source.standby("sby", &[]);
    standby.wait_until(DATABASE, "the task is there", "EXISTS (SELECT FROM courier.tasks)");
    assert_eq!(
        standby.value(DATABASE, "SELECT string_agg(DISTINCT status, ',') FROM courier.health() WHERE task IS NOT NULL"),
        "skipped"
    );
    assert_eq!(standby.value(DATABASE, "SELECT count(*) FROM courier.health() WHERE hint ~* 'drop|resume'"), "0");
    assert_eq!(standby.value(DATABASE, "SELECT courier.health_check()"), "skipped");
    for view in ["tasks", "task_details", "progress", "lag", "slots", "alerts", "events", "health_last"] {
        standby.value(DATABASE, &format!("SELECT count(*) FROM courier.{view}"));
    }
    for call in ["wait_for", "start", "pause", "resume", "drop_task"] {
        let refused = standby.refuses(DATABASE, &format!("SELECT courier.{call}('{TASK}')"));
        assert_eq!(refused.sqlstate, "25006", "{call}: {refused}");
        assert_mentions(&refused.to_string(), &["standby", "primary"]);
    }
    stop(&standby);
    pair.assert_mirrored(TASK, &SMALL);
}

fn stop(standby: &Cluster) {
    standby.stop(Stop::Fast);
}

/// Those who watch the log see what happened to which task: failures as warnings, once, and the milestones.
#[test]
fn the_log_tells_the_story() {
    let pair = mirrored_pair();
    let log = pair.source.log();
    for line in ["task is started", "public.items is copied, 1000 rows", "task went from catching_up to synchronizing"]
    {
        assert!(log.lines().any(|l| l.contains(TASK) && l.contains(line)), "no line of the task says {line:?}");
    }
    // The server's own lines about decoding carry the worker's process id.
    let pid = pair.apply_pid(DATABASE, TASK);
    let says = |line: &&str| line.contains(&format!("[{pid}]")) && line.contains(&format!("task \"{TASK}\": decodes"));
    assert!(log.lines().any(|line| says(&line)), "whose worker decodes");
    let named = format!("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'pg_courier: {TASK}'");
    assert_eq!(pair.source.value(DATABASE, &named), "2");

    pair.destination.run(DATABASE, "INSERT INTO items VALUES (4711, 1, 'mine')");
    pair.source.run(DATABASE, "INSERT INTO items VALUES (4711, 1, 'collides')");
    pair.failure(DATABASE, TASK);
    let failed = format!("WARNING:  pg_courier task \"{TASK}\" failed: ");
    pair.source.wait_for_log(&failed, 0);
    let told =
        pair.source.log().lines().filter(|line| line.contains("duplicate key") && !line.contains("replays")).count();
    assert_eq!(told, 1, "told once: {}", pair.source.log_tail(60));

    let lsn = pair.task(DATABASE, TASK, "last_error_lsn");
    let hint = pair.task(DATABASE, TASK, "last_error_hint");
    let skip = format!("SELECT courier.skip_change('{TASK}', '{lsn}');");
    assert_mentions(&hint, &[&skip, &format!("SELECT courier.resume('{TASK}');")]);
    // The LSN of the commit is another one: it is refused, with the statement that is right.
    let detail = pair.task(DATABASE, TASK, "last_error_detail");
    let commit = detail
        .split("commit LSN ")
        .nth(1)
        .and_then(|rest| rest.split([' ', ',', '.']).next())
        .expect("a commit LSN")
        .to_owned();
    assert_ne!(commit, lsn);
    let refused = pair.source.refuses(DATABASE, &format!("SELECT courier.skip_change('{TASK}', '{commit}')"));
    assert_mentions(&refused.to_string(), &["22023", &skip]);
    pair.source.run(DATABASE, &skip);
    pair.wait_for_state(DATABASE, TASK, "synchronizing");
    pair.call(DATABASE, "pause", TASK);
    pair.source.wait_for_log(&format!("pg_courier task \"{TASK}\": task is paused"), 0);
    pair.call(DATABASE, "resume", TASK);
    pair.source.wait_for_log(&format!("pg_courier task \"{TASK}\": task is resumed"), 0);
    pair.destination.stop(Stop::Fast);
    pair.source.wait_for_log(&format!("WARNING:  pg_courier task \"{TASK}\" tries again in"), 0);
    pair.destination.start();
    pair.wait_for_state(DATABASE, TASK, "synchronizing");
    pair.call(DATABASE, "drop_task", TASK);
    pair.source.wait_for_log(&format!("pg_courier task \"{TASK}\": task dropped"), 0);
}

/// While a table that was added is copied, nothing of the others arrives. That is a delay, and no first copy.
#[test]
fn a_copy_that_holds_the_stream_up_is_a_delay() {
    let pair = mirrored_pair();
    pair.call(DATABASE, "pause", TASK);
    let later = "CREATE TABLE later (id int PRIMARY KEY)";
    pair.source.run(DATABASE, &format!("{later}; INSERT INTO later SELECT generate_series(1, 1000)"));
    pair.destination.run(DATABASE, &format!("SET ROLE courier; {later}"));
    pair.source.run(DATABASE, &format!("SELECT courier.add_table('{TASK}', 'later')"));
    pair.source.arm("tablesync_before_copy:wait");
    pair.call(DATABASE, "resume", TASK);
    pair.source.run(DATABASE, "INSERT INTO items VALUES (9000, 1, 'waits')");
    pair.source.wait_at("tablesync_before_copy");
    pair.source.set("courier.lag_warning", Some("1s"));
    pair.source.reload();
    pair.source.wait_until(
        DATABASE,
        "the delay is told",
        "(SELECT status FROM courier.health() WHERE item = 'lag') <> 'ok'",
    );
    pair.source.disarm();
    pair.assert_mirrored(TASK, &["public.items", "public.journal", "public.later"]);
}

/// The copy is done, and the destination does not answer while it makes a key: no error, no delay, nothing that moves.
#[test]
fn a_destination_that_stops_answering_while_it_makes_a_schema() {
    let pair = Pair::start();
    let mut user = key_that_waits(&pair);
    assert_eq!(status(&pair, "copy"), "ok");
    for name in ["courier.lag_warning", "courier.lag_critical"] {
        pair.source.set(name, Some("1s"));
    }
    pair.source.reload();
    pair.source.wait_until(
        DATABASE,
        "it takes too long",
        "EXISTS (SELECT FROM courier.health() WHERE item = 'copy' AND status = 'warning' AND detail LIKE 'creating %, since %' AND hint IS NOT NULL)",
    );
    user.batch_execute("COMMIT").expect("released");
    pair.assert_mirrored(TASK, &["public.items"]);
    assert_eq!(status(&pair, "copy"), "ok");
}
