//! Processes that end, are ended, cannot be started, or whose task is pulled away from under them.

use std::time::Duration;

use pg_courier_tests::cluster::kill;
use pg_courier_tests::pair::{APPLY, DATABASE, PASSWORD, ROLE, SUPERVISOR, TABLESYNC};
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
    let told = || {
        let is_told = |line: &&str| line.contains("exited with exit code") && line.contains("pg_courier");
        pair.source.log().lines().filter(is_told).count()
    };
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
    assert_eq!(told(), 0, "{}", pair.source.log_tail(40));
    // The server ends who would come back.
    pair.source.restart();
    pair.wait_for_state(DATABASE, TASK, "synchronizing");
    pair.caught_up(DATABASE, TASK);
    let before = told();
    pair.call(DATABASE, "drop_task", TASK);
    wait_until_no_workers(&pair.source, Duration::from_secs(5));
    assert_eq!(told(), before, "{}", pair.source.log_tail(40));
    without_fatal(&pair.source);
}

/// A supervisor that an administrator ends comes back by itself; so do all processes of a task whose pause or drop is rolled
/// back, with the transaction or to a savepoint. Neither the slot nor the rows on the destination are gone then.
#[test]
fn what_is_rolled_back_goes_on() {
    // Without a launcher, which would find the task after a while.
    let pair = Pair::builder().preload(false).start();
    mirror_small_tables(&pair);
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
    pair.wait_until_in("task_details", TASK, "the key is being built", "phase LIKE 'creating%'");
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
    let last = |condition: &str| format!("(SELECT {condition} FROM courier.task_details WHERE task = 'three')");
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

/// Temporary tables and roles come and go all the time; each makes the decoder look at definitions again. The functions of arrays
/// and ranges keep memory for each: it has to go with the definition.
#[test]
fn definitions_read_again_cost_no_memory() {
    let pair = Pair::start();
    let columns: Vec<String> = (0..40)
        .map(|n| {
            format!("c{n} {}", ["int[] DEFAULT '{1,2}'", "int4range DEFAULT '[1,2)'", "text[] DEFAULT '{a}'"][n % 3])
        })
        .collect();
    let tables: Vec<String> = (0..10).map(|n| format!("public.w{n}")).collect();
    for table in &tables {
        pair.source.run(
            DATABASE,
            &format!(
                "CREATE TABLE {table} (id int PRIMARY KEY, v int, {}); INSERT INTO {table} VALUES (1, 0)",
                columns.join(", ")
            ),
        );
    }
    pair.start_task(TASK, &["public.*"]);
    pair.wait_for_state(DATABASE, TASK, "synchronizing");
    let pid = pair.apply_pid(DATABASE, TASK);
    let mut session = pair.source.connect(DATABASE);
    let updates: String = tables.iter().map(|table| format!("UPDATE {table} SET v = v + 1;")).collect();
    let mut round = |times: usize| {
        for n in 0..times {
            let statements =
                format!("CREATE ROLE r{n}; DROP ROLE r{n}; CREATE TEMP TABLE x (a int); DROP TABLE x; {updates}");
            session.batch_execute(&statements).expect("answer");
        }
        pair.caught_up(DATABASE, TASK);
        procfs::anonymous_memory(pid).expect("it runs")
    };
    round(100);
    let before = round(100);
    let after = round(300);
    assert!(after < before + (2 << 20), "{before} bytes, then {after}");
    let tables: Vec<&str> = tables.iter().map(String::as_str).collect();
    pair.assert_same(DATABASE, &tables);
}

/// A task is paused and resumed while the destination builds a key: the former session's statement goes on there and cannot be seen
/// before it is done. Who does not wait for it builds the key twice. The key of another table, which the first session builds, does not wait.
#[test]
fn a_key_is_not_built_twice() {
    let pair = Pair::start();
    create_small_tables(&pair);
    pair.source.run(DATABASE, "CREATE TABLE later (id int PRIMARY KEY)");
    pair.source.arm("tablesync_after_commit:wait");
    pair.start_task(TASK, &["public.items", "public.later"]);
    pair.source.wait_until(
        "postgres",
        "the table is copied",
        "EXISTS (SELECT FROM pg_stat_activity WHERE backend_type LIKE 'pg_courier%' AND query LIKE '%failpoint tablesync_after_commit%')",
    );
    let mut lock = pair.destination.connect(DATABASE);
    lock.batch_execute("BEGIN; LOCK TABLE later IN ROW EXCLUSIVE MODE").expect("lock");
    pair.source.disarm();
    pair.destination.wait_until(
        "postgres",
        "the key waits for the lock",
        "EXISTS (SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE 'ALTER TABLE%')",
    );
    pair.destination.wait_until(
        DATABASE,
        "the key of the other table is there",
        "EXISTS (SELECT FROM pg_constraint WHERE conrelid = 'items'::regclass)",
    );
    pair.call(DATABASE, "pause", TASK);
    pair.call(DATABASE, "resume", TASK);
    pair.wait_until_in(
        "tasks",
        TASK,
        "the new session waits for the old one",
        "phase LIKE 'waiting for an earlier session%process%'",
    );
    let told = "SELECT count(*) FROM courier.events WHERE kind = 'waiting' AND message LIKE 'waiting for an earlier session%process%'";
    assert_eq!(pair.source.value(DATABASE, told), "1");
    let health = "SELECT concat_ws(' ', status, detail, hint) FROM courier.health() WHERE item = 'task'";
    let health = pair.source.value(DATABASE, health);
    assert_mentions(
        &health,
        &["warning The task is waiting for an earlier session", "pg_terminate_backend", "on the destination"],
    );
    let pid = pair.destination.value(
        "postgres",
        "SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE 'ALTER TABLE%'",
    );
    assert_mentions(&health, &[&format!("process {pid}"), &format!("WHERE pid = {pid};")]);
    lock.batch_execute("COMMIT").expect("unlock");
    pair.wait_for_state(DATABASE, TASK, "synchronizing");
    pair.assert_mirrored(TASK, &["public.items", "public.later"]);
}

/// More tables than the destination's lock table holds locks for. They are created in pieces; killed between two of them the
/// supervisor goes on with the rest.
#[test]
fn many_tables_on_a_destination_with_few_locks() {
    let pair = Pair::builder()
        .destination_conf("max_locks_per_transaction", "12")
        .destination_conf("max_connections", "30")
        .start();
    let names: Vec<String> = (0..250).map(|n| format!("public.t{n}")).collect();
    let tables: String = names
        .iter()
        .map(|name| format!("CREATE TABLE {name} (id int PRIMARY KEY, v text); INSERT INTO {name} VALUES (1, 'x');"))
        .collect();
    pair.source.run(DATABASE, &tables);
    pair.source.arm("pre_data_between_pieces:kill");
    let kills = pair.source.kills();
    pair.start_task(TASK, &["public.*"]);
    wait::until(
        "the supervisor is killed between two pieces",
        wait::DEADLINE,
        || (pair.source.kills() > kills).then_some(()),
        || pair.source.log_tail(40),
    );
    pair.source.disarm();
    pair.source.wait_until_accepting();
    assert_eq!(pair.destination.value(DATABASE, "SELECT bool_or(pre_data) FROM courier_applied.progress"), "f");
    pair.wait_for_state(DATABASE, TASK, "synchronizing");
    let names: Vec<&str> = names.iter().map(String::as_str).step_by(50).collect();
    pair.assert_mirrored(TASK, &names);
}

/// A table that was there before the task is not taken for one of the task's own, also if the task was stopped in the middle.
#[test]
fn a_table_of_others_is_not_taken() {
    let pair = Pair::start();
    create_small_tables(&pair);
    pair.create_task(DATABASE, TASK, &["public.*"], &TaskOptions::default());
    // Somebody has a transaction open, so that the slot has to wait; the table comes behind the prechecks.
    let mut open = pair.source.connect(DATABASE);
    open.batch_execute("BEGIN; INSERT INTO journal VALUES (0, 'open')").expect("open");
    pair.call(DATABASE, "start", TASK);
    let pid = sql::value(&mut open, "SELECT pg_backend_pid()").expect("answer").expect("a pid");
    pair.wait_until_in("tasks", TASK, "the phase names who is waited for", &format!("phase LIKE '%process {pid}%'"));
    pair.destination.run(DATABASE, "CREATE TABLE items (id bigint PRIMARY KEY, v int NOT NULL, note text)");
    open.batch_execute("COMMIT").expect("commit");
    assert_mentions(&pair.failure(DATABASE, TASK), &["items", "already exists"]);
    assert_eq!(pair.destination.value(DATABASE, "SELECT to_regclass('journal')"), "", "nothing was created");
    pair.destination.run(DATABASE, "DROP TABLE items");
    pair.call(DATABASE, "resume", TASK);
    pair.assert_mirrored(TASK, &SMALL);
}

/// What the task's owner may not read any more is not sent any more.
#[test]
fn a_revoked_right_ends_the_stream() {
    let pair = Pair::start();
    pair.source.run(
        DATABASE,
        &format!(
            "CREATE TABLE t (id int PRIMARY KEY); CREATE ROLE owner LOGIN REPLICATION PASSWORD 'pw'; GRANT SELECT ON t TO owner; \
             GRANT USAGE ON FOREIGN SERVER dr TO owner; \
             CREATE USER MAPPING FOR owner SERVER dr OPTIONS (user '{ROLE}', password {})",
            sql::literal(PASSWORD)
        ),
    );
    pair.source.run(DATABASE, "SELECT courier.grant_usage('owner')");
    let mut owner = pair.source.connect_as(DATABASE, "owner", "pw");
    for statement in [
        "SELECT courier.create_task('mine', 'dr', '{t}')",
        "SELECT courier.start('mine')",
        "SELECT courier.wait_for('mine')",
    ] {
        owner.batch_execute(statement).unwrap_or_else(|error| panic!("{}", Answer::from(&error)));
    }
    pair.source.run(DATABASE, "REVOKE SELECT ON t FROM owner");
    let failure = pair.failure(DATABASE, "mine");
    assert_mentions(&failure, &["may not read", "public.t", "GRANT SELECT"]);
    pair.source.run(DATABASE, "GRANT SELECT ON t TO owner; INSERT INTO t VALUES (1)");
    pair.call(DATABASE, "resume", "mine");
    pair.assert_mirrored("mine", &["public.t"]);
}

/// Answers to who waits, pauses or changes what is not in the state he thinks.
#[test]
fn answers_about_the_state() {
    let pair = mirrored_pair();
    // A transaction that sees the world as it was sees the task's progress all the same.
    pair.call(DATABASE, "pause", TASK);
    let mut session = pair.source.connect(DATABASE);
    session.batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1").expect("a snapshot");
    pair.call(DATABASE, "resume", TASK);
    session
        .batch_execute("SELECT courier.wait_for('shop_to_dr', '30 s')")
        .unwrap_or_else(|error| panic!("{}", Answer::from(&error)));
    session.batch_execute("COMMIT").expect("commit");

    // Nothing changes, so nothing has to be stopped.
    pair.source.run(
        DATABASE,
        "SELECT courier.alter_task('shop_to_dr'); SELECT courier.alter_task('shop_to_dr', conflict => 'error')",
    );
    let answer = pair.source.refuses(DATABASE, "SELECT courier.alter_task('shop_to_dr', conflict => 'ignore')");
    assert_eq!(answer.sqlstate, "55000", "{answer}");

    // A failed task does not run, so it cannot be paused.
    pair.destination.run(DATABASE, "DELETE FROM items WHERE id = 1");
    pair.source.run(DATABASE, "UPDATE items SET v = 5 WHERE id = 1");
    pair.wait_for_state(DATABASE, TASK, "failed");
    let answer = pair.source.refuses(DATABASE, "SELECT courier.pause('shop_to_dr')");
    assert_mentions(&answer.to_string(), &["failed", "courier.resume('shop_to_dr')"]);
    assert_eq!(answer.sqlstate, "55000", "{answer}");
}

/// Without the library preloaded nobody starts a task again after a restart. Who waits for it hears that soon.
#[test]
fn nobody_waits_long_for_a_task_without_processes() {
    let pair = Pair::builder().preload(false).start();
    mirror_small_tables(&pair);
    pair.source.restart();
    let answer = pair.source.refuses(DATABASE, "SELECT courier.wait_for('shop_to_dr', '10 min')");
    assert_mentions(&answer.to_string(), &["none of its processes", "courier.resume('shop_to_dr')"]);
    let output = pair.source.psql(DATABASE, "SELECT courier.resume('shop_to_dr')");
    assert_mentions(&String::from_utf8_lossy(&output.stderr), &["started again"]);
    pair.assert_mirrored(TASK, &SMALL);
}

/// Somebody alters a table that a task does not want: neither describing nor checking a task waits for him. And the copy that a
/// pause gives up is named.
#[test]
fn locked_tables_of_others_are_not_waited_for() {
    let pair = Pair::start();
    create_small_tables(&pair);
    pair.source.run(
        DATABASE,
        "CREATE TABLE other (id int PRIMARY KEY); CREATE TABLE big AS SELECT n FROM generate_series(1, 300000) AS n",
    );
    let mut lock = pair.source.connect(DATABASE);
    lock.batch_execute("BEGIN; LOCK TABLE other IN ACCESS EXCLUSIVE MODE").expect("lock");
    let mut session = pair.source.connect(DATABASE);
    session.batch_execute("SET statement_timeout = '20 s'; SET lock_timeout = '5 s'").expect("settings");
    session.batch_execute("SELECT courier.create_task('shop_to_dr', 'dr', '{items,journal,big}'); SELECT count(*) FROM courier.precheck('shop_to_dr')")
        .unwrap_or_else(|error| panic!("{}", Answer::from(&error)));
    lock.batch_execute("ROLLBACK").expect("unlock");
    pair.source.arm("tablesync_mid_copy:wait");
    session
        .batch_execute("SELECT courier.start('shop_to_dr')")
        .unwrap_or_else(|error| panic!("{}", Answer::from(&error)));
    pair.source.wait_until(
        DATABASE,
        "a copy is under way",
        "EXISTS (SELECT FROM courier.copy_status() WHERE rows > 0)",
    );
    let output = pair.source.psql(DATABASE, "SELECT courier.pause('shop_to_dr')");
    assert_mentions(&String::from_utf8_lossy(&output.stderr), &["WARNING", "the copy of", "begins anew"]);
    pair.source.disarm();
    pair.call(DATABASE, "resume", TASK);
    pair.assert_mirrored(TASK, &["public.items", "public.journal", "public.big"]);
}

/// Sessions of the task on the destination.
const SESSIONS: &str = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'pg_courier: shop_to_dr'";

const EPOCH: &str = "SELECT epoch FROM courier_applied.progress";

/// A task in the middle of its stream that is resumed: the apply worker gets ready while its supervisor still checks.
fn paused_with_changes(pair: &Pair) -> String {
    mirror_small_tables(pair);
    pair.call(DATABASE, "pause", TASK);
    wait_until_no_workers(&pair.source, wait::DEADLINE);
    pair.source.run(DATABASE, "INSERT INTO journal SELECT i, 'later' FROM generate_series(1, 100) i");
    pair.destination.value(DATABASE, EPOCH)
}

/// Whoever is ready before the destination has been checked has not touched it, and goes on when it has.
#[test]
fn an_early_apply_worker_writes_nothing_before_it_may() {
    let pair = Pair::start();
    let epoch = paused_with_changes(&pair);
    pair.source.arm("supervisor_admits:wait");
    pair.call(DATABASE, "resume", TASK);
    pair.source.wait_until(
        DATABASE,
        "both processes wait",
        &format!(
            "EXISTS (SELECT FROM pg_stat_activity WHERE query = 'waiting at failpoint supervisor_admits') AND EXISTS (SELECT FROM \
             pg_stat_activity WHERE backend_type = '{APPLY}' AND query LIKE 'waits until the supervisor%')"
        ),
    );
    assert_eq!(pair.destination.value(DATABASE, EPOCH), epoch);
    assert_eq!(pair.destination.value(DATABASE, "SELECT count(*) FROM journal WHERE what = 'later'"), "0");
    // Its supervisor goes, and with it who waits for its word. The next one has another worker.
    let early = pair.source.pids(APPLY);
    kill(pair.source.pids(SUPERVISOR)[0], libc::SIGTERM);
    pair.source.wait_until(
        DATABASE,
        "the early worker has gone",
        &format!("NOT EXISTS (SELECT FROM pg_stat_activity WHERE pid = {})", early[0]),
    );
    pair.source.disarm();
    pair.assert_mirrored(TASK, &SMALL);
    pair.source.assert_not_crashed();
}

/// The check fails: another server writes there, so the row says. Nothing of the task stays behind.
#[test]
fn an_apply_worker_that_was_early_for_nothing_goes() {
    let pair = Pair::start();
    let epoch = paused_with_changes(&pair);
    pair.destination.run(
        DATABASE,
        "CREATE TABLE kept AS SELECT * FROM courier_applied.writer; \
         UPDATE courier_applied.writer SET instance = replace(instance, '\"data_directory\":\"', '\"data_directory\":\"/elsewhere')",
    );
    pair.call(DATABASE, "resume", TASK);
    pair.wait_for_state(DATABASE, TASK, "failed");
    wait_until_no_workers(&pair.source, wait::DEADLINE);
    pair.destination.wait_until(DATABASE, "no session is left", &format!("({SESSIONS}) = 0"));
    assert_eq!(pair.destination.value(DATABASE, EPOCH), epoch);
    assert_eq!(pair.destination.value(DATABASE, "SELECT count(*) FROM journal WHERE what = 'later'"), "0");
    pair.destination.run(
        DATABASE,
        "UPDATE courier_applied.writer w SET instance = k.instance FROM kept k WHERE k.task_id = w.task_id; DROP TABLE kept",
    );
    pair.call(DATABASE, "resume", TASK);
    pair.assert_mirrored(TASK, &SMALL);
}

/// Names that a person changed on both sides while the task was paused are noted by the supervisor, after the worker that
/// was early has read the old ones.
#[test]
fn an_early_apply_worker_does_not_go_by_old_names() {
    let pair = Pair::start();
    mirror_small_tables(&pair);
    pair.call(DATABASE, "pause", TASK);
    wait_until_no_workers(&pair.source, wait::DEADLINE);
    for cluster in [&pair.source, &pair.destination] {
        cluster.run(
            DATABASE,
            "ALTER TABLE items RENAME TO kept; ALTER TABLE journal RENAME TO items; ALTER TABLE kept RENAME TO journal",
        );
    }
    pair.source.run(DATABASE, "INSERT INTO items SELECT i, 'later' FROM generate_series(1, 100) i");
    pair.call(DATABASE, "resume", TASK);
    pair.assert_mirrored(TASK, &SMALL);
}

/// A task is dropped while its supervisor comes: who drops it sees no process to end, and the supervisor still sees the task.
#[test]
fn a_task_that_is_dropped_while_it_starts_leaves_no_slot() {
    let pair = Pair::start();
    create_small_tables(&pair);
    pair.source.arm("supervisor_starts:wait,drop_task_after_stop:wait");
    pair.start_task(TASK, &["public.*"]);
    let waiting = |failpoint: &str| {
        format!("EXISTS (SELECT FROM pg_stat_activity WHERE query LIKE '%waiting at failpoint {failpoint}')")
    };
    pair.source.wait_until(DATABASE, "the supervisor has come", &waiting("supervisor_starts"));
    std::thread::scope(|scope| {
        scope.spawn(|| pair.call(DATABASE, "drop_task", TASK));
        pair.source.wait_until(DATABASE, "the task is being dropped", &waiting("drop_task_after_stop"));
        pair.source.arm("drop_task_after_stop:wait");
        pair.source.wait_until(
            DATABASE,
            "the supervisor waits for whoever drops the task",
            &format!(
                "EXISTS (SELECT FROM pg_stat_activity WHERE backend_type = '{SUPERVISOR}' AND wait_event = 'advisory')"
            ),
        );
        pair.source.disarm();
    });
    wait_until_no_workers(&pair.source, wait::DEADLINE);
    assert_eq!(pair.source.value(DATABASE, "SELECT count(*) FROM pg_replication_slots"), "0");
    pair.start_task(TASK, &["public.*"]);
    pair.assert_mirrored(TASK, &SMALL);
}
