//! Processes that end, are ended, cannot be started, or whose task is pulled away from under them.

use std::time::Duration;

use pg_courier_tests::cluster::kill;
use pg_courier_tests::pair::{APPLY, DATABASE, SUPERVISOR, TABLESYNC};
use pg_courier_tests::{Answer, Cluster, Pair, Stop, TaskOptions, procfs, sql, wait};

use crate::common::{
    SMALL, TASK, assert_mentions, create_small_tables, mirror_small_tables, mirrored_pair, wait_until_no_workers,
};

/// Changes only: two processes, nothing to copy or create.
fn changes_only() -> TaskOptions {
    TaskOptions { schema_sync: Some(false), full_copy: Some(false), ..TaskOptions::default() }
}

/// A database with one table and a task that follows its changes.
fn follow_a_table(pair: &Pair, database: &str) {
    for cluster in [&pair.source, &pair.destination] {
        cluster.run(database, "CREATE TABLE t (id int PRIMARY KEY)");
    }
    pair.destination.run(database, "ALTER TABLE t OWNER TO courier");
    pair.start_task_with(database, database, &["public.*"], &changes_only());
    pair.wait_for_state(database, database, "synchronizing");
}

fn without_fatal(cluster: &Cluster) {
    let lines: Vec<String> = cluster
        .log()
        .lines()
        .filter(|line| line.contains("FATAL") && line.contains("pg_courier"))
        .map(str::to_owned)
        .collect();
    assert!(lines.is_empty(), "{lines:#?}");
}

/// Tasks come and go, and at once after each its database or the extension goes. Who leaves a worker behind that the
/// postmaster starts again every five seconds has no slot left for the next task.
#[test]
fn no_worker_slot_is_lost_with_a_database() {
    let pair = Pair::builder().source_conf("max_worker_processes", "6").start();
    for round in 0..4 {
        let database = format!("round_{round}");
        pair.add_database(&database);
        follow_a_table(&pair, &database);
        pair.call(&database, "drop_task", &database);
        if round % 2 == 0 {
            pair.source.run("postgres", &format!("DROP DATABASE {database}"));
        } else {
            pair.source.run(&database, "DROP EXTENSION pg_courier CASCADE");
        }
    }
    without_fatal(&pair.source);
}

/// DROP DATABASE ... WITH (FORCE) while the destination is away: no slot is in use, so nothing refuses it. The task's
/// supervisor, which the server itself ends, finds no database when it is started again, and goes for good.
#[test]
fn a_supervisor_whose_database_is_gone_stays_away() {
    let pair = Pair::builder().source_conf("log_min_messages", "debug1").start();
    follow_a_table(&pair, DATABASE);
    pair.destination.stop(Stop::Immediate);
    pair.source.wait_until(
        DATABASE,
        "the task has lost its destination",
        "EXISTS (SELECT FROM courier.task_details WHERE retry_at IS NOT NULL)",
    );
    let unregistered = r#"unregistering background worker "pg_courier supervisor"#;
    let before = pair.source.log_count(unregistered);
    pair.source.run("postgres", &format!("DROP DATABASE {DATABASE} WITH (FORCE)"));
    pair.source.wait_for_log(unregistered, before);
    without_fatal(&pair.source);
}

/// What is done on purpose is no FATAL error, and leaves no line about an exit status.
#[test]
fn an_end_on_purpose_is_quiet() {
    let pair = mirrored_pair();
    pair.call(DATABASE, "pause", TASK);
    pair.call(DATABASE, "resume", TASK);
    pair.caught_up(DATABASE, TASK);
    let apply = pair.apply_pid(DATABASE, TASK);
    kill(apply, libc::SIGTERM);
    pair.source.wait_until(
        DATABASE,
        "another apply worker runs",
        &format!("(SELECT apply_pid FROM courier.task_details) <> {apply}"),
    );
    pair.assert_mirrored(TASK, &SMALL);
    pair.source.restart();
    pair.wait_for_state(DATABASE, TASK, "synchronizing");
    pair.caught_up(DATABASE, TASK);
    pair.call(DATABASE, "drop_task", TASK);
    wait_until_no_workers(&pair.source, Duration::from_secs(5));
    without_fatal(&pair.source);
}

/// A supervisor that an administrator ends comes back by itself; so do all processes of a task whose pause or drop is rolled
/// back, with the transaction or to a savepoint. Neither the slot nor the rows on the destination are gone then.
#[test]
fn what_is_rolled_back_goes_on() {
    let pair = mirrored_pair();
    let supervisor = pair.source.pids(SUPERVISOR)[0];
    pair.source.run(DATABASE, &format!("SELECT pg_terminate_backend({supervisor})"));
    pair.source.wait_until(
        "postgres",
        "a supervisor is back",
        &format!("EXISTS (SELECT FROM pg_stat_activity WHERE backend_type = '{SUPERVISOR}' AND pid <> {supervisor})"),
    );
    for statements in [
        "BEGIN; SELECT courier.pause('shop_to_dr'); ROLLBACK",
        "BEGIN; SELECT courier.drop_task('shop_to_dr'); ROLLBACK",
        "BEGIN; SAVEPOINT s; SELECT courier.drop_task('shop_to_dr'); ROLLBACK TO s; INSERT INTO journal VALUES (1, 'after'); COMMIT",
        "BEGIN; SAVEPOINT s; SELECT courier.pause('shop_to_dr'); RELEASE s; ROLLBACK",
    ] {
        pair.source.run(DATABASE, statements);
        pair.source.run(DATABASE, "UPDATE items SET v = v + 1 WHERE id <= 10");
        pair.assert_mirrored(TASK, &SMALL);
    }
    assert_eq!(pair.destination.value(DATABASE, "SELECT count(*) FROM courier_applied.progress"), "1");
    pair.source.run(DATABASE, "BEGIN; SAVEPOINT s; SELECT courier.drop_task('shop_to_dr'); RELEASE s; COMMIT");
    assert_eq!(pair.source.value(DATABASE, "SELECT count(*) FROM pg_replication_slots"), "0");
    assert_eq!(pair.destination.value(DATABASE, "SELECT to_regclass('courier_applied.progress') IS NULL"), "t");
}

/// The worker that kept the snapshot of a copy was ended by a signal; later a client's session gets its process id. Who
/// remembers ids only ends that session when the task is paused.
#[test]
fn a_stranger_with_the_id_of_a_dead_worker_is_left_alone() {
    let pair = Pair::start();
    create_small_tables(&pair);
    pair.source.arm("tablesync_after_commit:wait");
    let options = TaskOptions { incremental: Some(false), ..TaskOptions::default() };
    pair.start_task_with(DATABASE, TASK, &["public.items"], &options);
    pair.source.wait_until(
        "postgres",
        "the table is copied",
        &format!("EXISTS (SELECT FROM pg_stat_activity WHERE backend_type = '{TABLESYNC}' AND query LIKE '%failpoint tablesync_after_commit%')"),
    );
    let holder =
        format!("SELECT pid FROM pg_stat_activity WHERE backend_type = '{TABLESYNC}' AND query LIKE 'keeping%'");
    let holder: i32 = pair.source.value("postgres", &holder).parse().expect("it keeps the snapshot");
    let mut lock = pair.destination.connect(DATABASE);
    lock.batch_execute("BEGIN; LOCK TABLE items IN SHARE ROW EXCLUSIVE MODE").expect("lock");
    pair.source.disarm();
    pair.wait_until_in("tasks", TASK, "the key is being built", "phase LIKE 'creating%'");
    let gone = wait::poll(Duration::from_secs(5), || (!procfs::alive(holder)).then_some(()));
    assert!(gone.is_some(), "the snapshot is not kept any more");
    // As root the kernel lets itself be told which id comes next.
    let stranger = (0..2000).find_map(|_| {
        std::fs::write("/proc/sys/kernel/ns_last_pid", (holder - 1).to_string()).ok()?;
        let mut session = pair.source.connect(DATABASE);
        let pid = sql::value(&mut session, "SELECT pg_backend_pid()").expect("answer").expect("a pid");
        (pid == holder.to_string()).then_some(session)
    });
    pair.call(DATABASE, "pause", TASK);
    match stranger {
        Some(mut session) => session.batch_execute("SELECT 1").expect("the session lives"),
        None => eprintln!("no session got id {holder}: not root, or others were quicker"),
    }
}

/// However the extension would go, while it has tasks it stays, preloaded or not, and who tries it is told their names.
#[test]
fn no_statement_drops_the_extension_under_its_tasks() {
    for preload in [true, false] {
        let pair = Pair::builder().preload(preload).start();
        mirror_small_tables(&pair);
        pair.source.run(DATABASE, "CREATE ROLE keeper SUPERUSER; ALTER SCHEMA courier OWNER TO keeper");
        for statement in [
            "DROP SCHEMA courier CASCADE",
            "DROP OWNED BY keeper CASCADE",
            "DROP EXTENSION pg_courier CASCADE",
            "DROP EXTENSION pg_courier, plpgsql CASCADE",
            "DO $$ BEGIN DROP SCHEMA courier CASCADE; END $$",
        ] {
            let answer = pair.source.refuses(DATABASE, statement);
            assert_mentions(&answer.to_string(), &[TASK, "drop_task"]);
            assert_eq!(answer.sqlstate, "55006", "{statement}: {answer}");
        }
        pair.source.run(DATABASE, "UPDATE items SET v = 9");
        pair.assert_mirrored(TASK, &SMALL);
        pair.call(DATABASE, "drop_task", TASK);
        pair.source.run(DATABASE, "DROP SCHEMA courier CASCADE");
    }
}

/// Somebody switches the guard off and drops the extension: its processes end by themselves, and the log has the statement
/// that frees the WAL.
#[test]
fn an_extension_that_is_gone_takes_its_processes_with_it() {
    let pair = Pair::builder().preload(false).start();
    mirror_small_tables(&pair);
    pair.source.run(DATABASE, "ALTER EVENT TRIGGER pg_courier_guard DISABLE; DROP SCHEMA courier CASCADE");
    pair.source.wait_for_log("the task is gone, its processes end", 0);
    wait_until_no_workers(&pair.source, Duration::from_secs(10));
    let log = pair.source.log();
    let statement = log
        .lines()
        .find_map(|line| line.split_once("HINT:  ").filter(|(_, hint)| hint.contains("pg_drop_replication_slot")));
    let (_, statement) = statement.unwrap_or_else(|| panic!("{log}"));
    pair.source.run("postgres", statement);
    assert_eq!(pair.source.value("postgres", "SELECT count(*) FROM pg_replication_slots"), "0");
}

/// Whoever may not drop a database does not hear the names of its tasks.
#[test]
fn names_of_tasks_are_not_for_everyone() {
    let pair = mirrored_pair();
    pair.source.run("postgres", "CREATE ROLE nobody_here LOGIN");
    let mut session = pair.source.connect("postgres");
    session.batch_execute("SET SESSION AUTHORIZATION nobody_here").expect("a role");
    let error = session.batch_execute(&format!("DROP DATABASE {DATABASE}")).expect_err("refused");
    let answer = Answer::from(&error);
    assert_eq!(answer.sqlstate, "42501", "{answer}");
    assert!(!answer.to_string().contains(TASK), "{answer}");
    let answer = pair.source.refuses("postgres", &format!("DROP DATABASE {DATABASE}"));
    assert_mentions(&answer.to_string(), &[TASK]);
}

/// After a restart there are too few worker slots for all tasks. The rest says what is missing, and starts when there is room.
#[test]
fn tasks_without_a_worker_slot_start_when_there_is_room() {
    let pair = Pair::start();
    let tasks = ["one", "two", "three"];
    for cluster in [&pair.source, &pair.destination] {
        cluster.run(DATABASE, "CREATE TABLE one (id int PRIMARY KEY); CREATE TABLE two (id int PRIMARY KEY); CREATE TABLE three (id int PRIMARY KEY)");
    }
    pair.destination.run(DATABASE, "GRANT ALL ON one, two, three TO courier");
    for task in tasks {
        pair.start_task_with(DATABASE, task, &[&format!("public.{task}")], &changes_only());
        pair.wait_for_state(DATABASE, task, "synchronizing");
    }
    // Two for the launchers, one for the scout, who is gone soon, and two.
    pair.source.set("max_worker_processes", Some("5"));
    pair.source.restart();
    let last = |condition: &str| format!("(SELECT {condition} FROM courier.tasks WHERE task = 'three')");
    pair.source.wait_until(
        DATABASE,
        "the last task says what is missing",
        &last("last_error_hint LIKE '%max_worker_processes%' AND supervisor_pid IS NULL"),
    );
    pair.source.run(DATABASE, "INSERT INTO three VALUES (1)");
    for task in ["one", "two"] {
        pair.call(DATABASE, "pause", task);
    }
    pair.source.reload();
    pair.caught_up(DATABASE, "three");
    assert_eq!(pair.destination.value(DATABASE, "SELECT count(*) FROM three"), "1");
    assert_eq!(pair.source.pids(APPLY).len(), 1);
}
