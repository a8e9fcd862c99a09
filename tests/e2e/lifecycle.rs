//! Tasks come, pause, go on and go; several beside each other; servers restart under them.

use std::time::{Duration, Instant};

use pg_courier_tests::pair::{APPLY, DATABASE, SUPERVISOR};
use pg_courier_tests::{Pair, Stop, TaskOptions, wait};

use crate::common::{SMALL, TASK, assert_mentions, mirror_small_tables, mirrored_pair, wait_until_no_workers};

/// While paused nothing arrives and the slot keeps everything; resume brings it all.
#[test]
fn pause_holds_everything_back_and_resume_brings_it() {
    let pair = mirrored_pair();
    pair.call(DATABASE, "pause", TASK);
    wait_until_no_workers(&pair.source, Duration::from_secs(1));
    assert_eq!(pair.task(DATABASE, TASK, "state"), "paused");
    let slots = "SELECT count(*) FROM pg_replication_slots WHERE slot_name = 'courier_shop_to_dr' AND NOT active";
    assert_eq!(pair.source.value(DATABASE, slots), "1");
    pair.source.run(
        DATABASE,
        "UPDATE items SET v = 77; INSERT INTO journal VALUES (1, 'paused'); CHECKPOINT; SELECT pg_switch_wal()",
    );
    assert_eq!(pair.destination.value(DATABASE, "SELECT count(*) FROM items WHERE v = 77"), "0");
    pair.call(DATABASE, "resume", TASK);
    pair.assert_mirrored(TASK, &SMALL);
}

/// A pause in the middle of the copy ends the copying processes; resume finishes the copy
/// without rows twice.
#[test]
fn pause_in_the_middle_of_the_copy() {
    let pair = Pair::start();
    crate::common::create_small_tables(&pair);
    pair.source.run(DATABASE, "INSERT INTO journal SELECT n, 'many' FROM generate_series(1, 200000) AS n");
    pair.source.arm("tablesync_mid_copy:wait");
    pair.start_task(TASK, &["public.*"]);
    pair.source.wait_at("tablesync_mid_copy");
    let begin = Instant::now();
    pair.call(DATABASE, "pause", TASK);
    wait_until_no_workers(&pair.source, Duration::from_secs(5));
    assert!(begin.elapsed() < Duration::from_secs(5));
    pair.source.disarm();
    pair.source.run(DATABASE, "DELETE FROM journal WHERE item % 10 = 3; UPDATE items SET v = 5");
    pair.call(DATABASE, "resume", TASK);
    pair.assert_mirrored(TASK, &SMALL);
}

/// Dropping a task in each of its states leaves no slot, no process, no row on either
/// side, and the data where it is.
#[test]
fn drop_leaves_nothing_whatever_the_state() {
    let pair = mirrored_pair();
    let gone = |what: &str| {
        wait_until_no_workers(&pair.source, Duration::from_secs(5));
        assert_eq!(pair.source.value(DATABASE, "SELECT count(*) FROM pg_replication_slots"), "0", "{what}");
        assert_eq!(pair.source.value(DATABASE, "SELECT count(*) FROM courier.tasks"), "0", "{what}");
        let helper = pair.destination.value(DATABASE, "SELECT to_regclass('courier_applied.progress')");
        if !helper.is_empty() {
            assert_eq!(
                pair.destination.value(DATABASE, "SELECT count(*) FROM courier_applied.progress"),
                "0",
                "{what}"
            );
        }
    };
    pair.call(DATABASE, "drop_task", TASK);
    gone("synchronizing");
    assert_eq!(pair.destination.value(DATABASE, "SELECT count(*) FROM items"), "1000", "data stays");

    pair.create_task(DATABASE, TASK, &["public.*"], &TaskOptions::default());
    pair.call(DATABASE, "drop_task", TASK);
    gone("created");

    pair.destination.run(DATABASE, "DROP TABLE items, journal");
    pair.start_task(TASK, &["public.*"]);
    pair.caught_up(DATABASE, TASK);
    pair.call(DATABASE, "pause", TASK);
    pair.call(DATABASE, "drop_task", TASK);
    gone("paused");

    pair.destination.run(DATABASE, "DROP TABLE items, journal");
    pair.source.arm("tablesync_before_copy:wait");
    pair.start_task(TASK, &["public.*"]);
    pair.source.wait_at("tablesync_before_copy");
    pair.call(DATABASE, "drop_task", TASK);
    gone("full_copy");
    pair.source.disarm();
}

/// A destination that is away does not keep a task from being dropped: the source is freed
/// of it, and a notice or nothing says that the other side could not be cleaned.
#[test]
fn drop_works_while_the_destination_is_away() {
    let pair = mirrored_pair();
    pair.destination.stop(Stop::Immediate);
    let begin = Instant::now();
    pair.call(DATABASE, "drop_task", TASK);
    assert!(begin.elapsed() < Duration::from_secs(30), "{:?}", begin.elapsed());
    assert_eq!(pair.source.value(DATABASE, "SELECT count(*) FROM pg_replication_slots"), "0");
    assert_eq!(pair.source.value(DATABASE, "SELECT count(*) FROM courier.tasks"), "0");
}

/// Three tasks in one database and two in others, all at once; stopping one leaves the
/// others alone.
#[test]
fn several_tasks_and_databases() {
    let pair = Pair::start();
    for database in ["second", "third"] {
        pair.add_database(database);
    }
    let tables = ["a.t", "b.t", "c.t"];
    for database in [DATABASE, "second", "third"] {
        for schema in ["a", "b", "c"] {
            pair.source.run(
                database,
                &format!(
                    "CREATE SCHEMA {schema}; CREATE TABLE {schema}.t (id int PRIMARY KEY, d text); \
                          INSERT INTO {schema}.t SELECT n, '{database}' FROM generate_series(1, 500) AS n"
                ),
            );
        }
    }
    for schema in ["a", "b", "c"] {
        pair.start_task(&format!("task_{schema}"), &[&format!("{schema}.*")]);
    }
    for database in ["second", "third"] {
        pair.start_task_with(database, &format!("whole_{database}"), &["a.*", "b.*", "c.*"], &TaskOptions::default());
    }
    for schema in ["a", "b", "c"] {
        pair.wait_for_state(DATABASE, &format!("task_{schema}"), "synchronizing");
    }
    for database in ["second", "third"] {
        pair.wait_for_state(database, &format!("whole_{database}"), "synchronizing");
    }
    assert_eq!(pair.source.value(DATABASE, "SELECT count(*) FROM pg_replication_slots WHERE active"), "5");

    pair.call(DATABASE, "pause", "task_b");
    for database in [DATABASE, "second", "third"] {
        for table in tables {
            pair.source.run(
                database,
                &format!("UPDATE {table} SET d = d || '!' WHERE id % 3 = 0; DELETE FROM {table} WHERE id = 9"),
            );
        }
    }
    pair.assert_mirrored_in(DATABASE, "task_a", &["a.t"]);
    pair.assert_mirrored_in(DATABASE, "task_c", &["c.t"]);
    assert_eq!(pair.destination.value(DATABASE, "SELECT count(*) FROM b.t WHERE d LIKE '%!'"), "0");
    for database in ["second", "third"] {
        pair.assert_mirrored_in(database, &format!("whole_{database}"), &tables);
    }
    pair.call(DATABASE, "resume", "task_b");
    pair.assert_mirrored_in(DATABASE, "task_b", &["b.t"]);
}

/// Two tasks of different databases may have the same name (slot names are cluster-wide):
/// either both work or the second is refused with an answer that says why. Not: one breaks
/// the other.
#[test]
fn the_same_name_in_two_databases() {
    let pair = mirrored_pair();
    pair.add_database("second");
    pair.source.run("second", "CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1)");
    let sql = pg_courier_tests::pair::create_task_sql(TASK, "dr", &["public.*"], &TaskOptions::default());
    let refusal = match pair.source.connect("second").batch_execute(&sql) {
        Err(error) => Some(pg_courier_tests::Answer::from(&error).to_string()),
        Ok(()) => match pair.source.connect("second").batch_execute(&format!("SELECT courier.start('{TASK}')")) {
            Err(error) => Some(pg_courier_tests::Answer::from(&error).to_string()),
            Ok(()) => None,
        },
    };
    match refusal {
        Some(text) => assert_mentions(&text, &[TASK]),
        None => pair.assert_mirrored_in("second", TASK, &["public.t"]),
    }
    pair.source.run(DATABASE, "UPDATE items SET v = 3");
    pair.assert_mirrored(TASK, &SMALL);
}

/// Preloaded: after a restart of the source the tasks go on by themselves, with what was
/// written just before the stop and just after the start.
#[test]
fn tasks_survive_a_restart_of_the_source() {
    let pair = mirrored_pair();
    pair.source.run(DATABASE, "UPDATE items SET v = 1 WHERE id <= 500; INSERT INTO journal VALUES (1, 'last words')");
    pair.source.restart();
    pair.source.run(DATABASE, "UPDATE items SET v = 2 WHERE id > 500; INSERT INTO journal VALUES (2, 'first words')");
    pair.wait_for_state(DATABASE, TASK, "synchronizing");
    pair.assert_mirrored(TASK, &SMALL);
}

/// A paused task stays paused over a restart.
#[test]
fn a_paused_task_stays_paused_over_a_restart() {
    let pair = mirrored_pair();
    pair.call(DATABASE, "pause", TASK);
    pair.source.run(DATABASE, "INSERT INTO journal VALUES (1, 'kept')");
    pair.source.restart();
    // Time for a launcher that does it wrong: it has started its other tasks by then.
    pair.add_database("second");
    pair.source.run("second", "CREATE TABLE t (id int PRIMARY KEY)");
    pair.start_task_with("second", "other", &["public.*"], &TaskOptions::default());
    pair.wait_for_state("second", "other", "synchronizing");
    assert_eq!(pair.task(DATABASE, TASK, "state"), "paused");
    assert_eq!(pair.destination.value(DATABASE, "SELECT count(*) FROM journal WHERE what = 'kept'"), "0");
    pair.call(DATABASE, "resume", TASK);
    pair.assert_mirrored(TASK, &SMALL);
}

/// Not preloaded: a task runs all the same, something warns that it would not survive a
/// restart, and after one it goes on when it is started by hand.
#[test]
fn without_preloading_a_task_runs_until_the_restart() {
    let pair = Pair::builder().preload(false).start();
    mirror_small_tables(&pair);
    let warned = pair.source.log().contains("shared_preload_libraries")
        || pair
            .source
            .psql_ok(DATABASE, "SELECT * FROM courier.plan('shop_to_dr'); SELECT * FROM courier.tasks")
            .contains("shared_preload_libraries");
    assert!(warned, "somebody says that the task would not survive a restart");
    pair.source.run(DATABASE, "UPDATE items SET v = 4");
    pair.assert_mirrored(TASK, &SMALL);

    pair.source.restart();
    pair.source.run(DATABASE, "UPDATE items SET v = 5");
    // By hand: whichever of the two the state asks for.
    let mut session = pair.source.connect(DATABASE);
    if session.batch_execute(&format!("SELECT courier.start('{TASK}')")).is_err() {
        pair.call(DATABASE, "resume", TASK);
    }
    pair.assert_mirrored(TASK, &SMALL);
}

/// DROP DATABASE with a running task answers soon and clearly; after the task is dropped it works.
#[test]
fn drop_database_is_answered() {
    let pair = mirrored_pair();
    let begin = Instant::now();
    let answer = pair.source.refuses("postgres", &format!("DROP DATABASE {DATABASE}"));
    assert!(begin.elapsed() < Duration::from_secs(15), "{:?}", begin.elapsed());
    assert_mentions(&answer.to_string(), &[DATABASE]);
    assert_mentions(&answer.hint, &["SELECT courier.drop_task('shop_to_dr');", "SELECT courier.pause('shop_to_dr');"]);
    assert_ne!(answer.sqlstate, "XX000");
    pair.source.run(DATABASE, "UPDATE items SET v = 8");
    pair.assert_mirrored(TASK, &SMALL);
    pair.call(DATABASE, "drop_task", TASK);
    // The test's own sessions end a moment after they were closed.
    pair.source.wait_until(
        "postgres",
        "nobody is connected to the database",
        &format!("NOT EXISTS (SELECT FROM pg_stat_activity WHERE datname = '{DATABASE}')"),
    );
    pair.source.run("postgres", &format!("DROP DATABASE {DATABASE}"));
}

/// DROP DATABASE ... WITH (FORCE) gets rid of everything, and the launcher does not go mad
/// about a task whose database is gone.
#[test]
fn drop_database_with_force() {
    let pair = mirrored_pair();
    pair.call(DATABASE, "pause", TASK);
    wait_until_no_workers(&pair.source, Duration::from_secs(5));
    pair.source.run("postgres", &format!("DROP DATABASE {DATABASE} WITH (FORCE)"));
    assert_eq!(pair.source.value("postgres", "SELECT count(*) FROM pg_replication_slots"), "0");
    pair.source.restart();
    assert_eq!(
        pair.source.value(
            "postgres",
            "SELECT count(*) FROM pg_stat_activity WHERE backend_type LIKE 'pg_courier supervisor%'"
        ),
        "0"
    );
    assert_eq!(pair.source.kills(), 0);
}

/// DROP EXTENSION with a running task is refused and says what to do; afterwards it works
/// and leaves nothing that runs.
#[test]
fn drop_extension_is_answered() {
    let pair = mirrored_pair();
    let begin = Instant::now();
    let answer = pair.source.refuses(DATABASE, "DROP EXTENSION pg_courier CASCADE");
    assert!(begin.elapsed() < Duration::from_secs(15), "{:?}", begin.elapsed());
    assert_mentions(&answer.to_string(), &[TASK, "drop_task"]);
    pair.source.run(DATABASE, "UPDATE items SET v = 9");
    pair.assert_mirrored(TASK, &SMALL);
    pair.call(DATABASE, "drop_task", TASK);
    pair.source.run(DATABASE, "DROP EXTENSION pg_courier CASCADE");
    // The schema of a control file stays, empty: CREATE EXTENSION makes it before the extension exists.
    let left = "SELECT count(*) FROM pg_depend d JOIN pg_namespace n ON n.oid = d.refobjid AND d.refclassid = 'pg_namespace'::regclass \
                WHERE n.nspname = 'courier'";
    assert_eq!(pair.source.value(DATABASE, left), "0");
}

/// pg_ctl stop -m fast with an idle worker, and with one that waits for a lock on the
/// destination: the server is down soon, and the task goes on after the start.
#[test]
fn a_fast_stop_is_fast() {
    let pair = mirrored_pair();
    let begin = Instant::now();
    pair.source.stop(Stop::Fast);
    assert!(begin.elapsed() < Duration::from_secs(4), "idle: {:?}", begin.elapsed());
    pair.source.start();
    pair.wait_for_state(DATABASE, TASK, "synchronizing");

    let mut lock = pair.destination.connect(DATABASE);
    lock.batch_execute("BEGIN; LOCK TABLE items IN ACCESS EXCLUSIVE MODE").expect("lock");
    pair.source.run(DATABASE, "UPDATE items SET v = v + 1");
    crate::exactly_once::wait_until_blocked(&pair);
    let begin = Instant::now();
    pair.source.stop(Stop::Fast);
    assert!(begin.elapsed() < Duration::from_secs(4), "blocked: {:?}", begin.elapsed());
    lock.batch_execute("ROLLBACK").expect("unlock");
    pair.source.start();
    pair.assert_mirrored(TASK, &SMALL);
}

/// SIGTERM and pause end each process within a second, also one that waits for a lock on the
/// destination.
#[test]
fn workers_stop_within_a_second() {
    let pair = mirrored_pair();
    let mut lock = pair.destination.connect(DATABASE);
    lock.batch_execute("BEGIN; LOCK TABLE items IN ACCESS EXCLUSIVE MODE").expect("lock");
    pair.source.run(DATABASE, "UPDATE items SET v = v + 1");
    crate::exactly_once::wait_until_blocked(&pair);
    for kind in [APPLY, SUPERVISOR] {
        let pid = *pair.source.pids(kind).first().unwrap_or_else(|| panic!("a {kind} runs"));
        pg_courier_tests::cluster::kill(pid, libc::SIGTERM);
        let ended = wait::poll(Duration::from_secs(1), || (!pg_courier_tests::procfs::alive(pid)).then_some(()));
        assert!(ended.is_some(), "{kind} runs on, one second after SIGTERM\n{}", pair.source.log_tail(30));
        // It comes back by itself, and waits again for what its predecessor left in flight.
        pair.source.wait_until(
            "postgres",
            "the process is back",
            &format!("EXISTS (SELECT FROM pg_stat_activity WHERE backend_type LIKE '{kind}%' AND pid <> {pid})"),
        );
        crate::exactly_once::wait_until_blocked(&pair);
    }
    let workers = [pair.source.pids(APPLY), pair.source.pids(SUPERVISOR)].concat();
    let begin = Instant::now();
    pair.call(DATABASE, "pause", TASK);
    let ended = wait::poll(Duration::from_secs(1), || {
        workers.iter().all(|pid| !pg_courier_tests::procfs::alive(*pid)).then_some(())
    });
    assert!(ended.is_some(), "pause: {:?}", begin.elapsed());
    lock.batch_execute("ROLLBACK").expect("unlock");
    pair.call(DATABASE, "resume", TASK);
    pair.assert_mirrored(TASK, &SMALL);
}

/// The server under a task cannot be pulled away, by CASCADE neither: the task would keep its slot and could not even be
/// dropped on the destination.
#[test]
fn a_server_in_use_cannot_be_dropped() {
    let pair = mirrored_pair();
    for statement in ["DROP SERVER dr CASCADE", "DROP FOREIGN DATA WRAPPER pg_courier CASCADE"] {
        let answer = pair.source.refuses(DATABASE, statement);
        assert_mentions(&answer.to_string(), &[if statement.contains("WRAPPER") { "extension" } else { TASK }]);
    }
    let hint = pair.source.refuses(DATABASE, "DROP SERVER dr CASCADE").hint;
    let (way_out, _) = hint.split_once(" Then drop the server").expect("statements");
    pair.source.run(DATABASE, "UPDATE items SET v = 9");
    pair.assert_mirrored(TASK, &SMALL);
    pair.source.run(DATABASE, way_out);
    pair.source.run(DATABASE, "DROP SERVER dr CASCADE");
}
