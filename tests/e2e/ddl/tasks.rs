//! Several tasks, each with its own answer to commands, and a destination that is a source itself.

use pg_courier_tests::pair::{DATABASE, SERVER};
use pg_courier_tests::{Install, Pair, TaskOptions};

use super::equal::assert_equal;
use super::{create_tables, follow, followed_pair};
use crate::common::{TASK, assert_mentions};

/// A task that does not take commands along does as it did: it follows rows, and stops where they do not fit any more.
#[test]
fn a_task_that_ignores_commands_follows_rows() {
    let pair = followed_pair();
    pair.add_destination_database("other");
    pair.add_server(DATABASE, "other", "other", pair.destination.port());
    let options = TaskOptions { ddl: Some("ignore"), ..TaskOptions::default() };
    let create = pg_courier_tests::pair::create_task_sql("second", "other", &["public.o"], &options);
    pair.source.run(DATABASE, &create);
    pair.call(DATABASE, "start", "second");
    pair.caught_up(DATABASE, "second");
    pair.source.run(DATABASE, "CREATE INDEX oi ON o (n); INSERT INTO o VALUES (100, 1, 1)");
    assert_equal(&pair);
    pair.caught_up(DATABASE, "second");
    assert_eq!(pair.destination.value("other", "SELECT count(*) FROM o"), "21");
    assert_eq!(pair.destination.value("other", "SELECT to_regclass('oi')"), "");
    let rows = "SELECT count(*) FROM courier.ddl WHERE task = 'second' AND state NOT IN ('filtered', 'skipped')";
    assert_eq!(pair.source.value(DATABASE, rows), "0");
}

/// A task that refuses commands: the user's fails with a message that says why, rows go on.
#[test]
fn a_task_that_refuses_commands_says_so_to_the_user() {
    let pair = Pair::start();
    create_tables(&pair);
    let options = TaskOptions { ddl: Some("refuse"), ..TaskOptions::default() };
    pair.start_task_with(DATABASE, TASK, &["public.*"], &options);
    pair.wait_for_state(DATABASE, TASK, "synchronizing");
    let answer = pair.source.refuses(DATABASE, "ALTER TABLE t ADD c int");
    assert_mentions(&answer.to_string(), &[TASK, "public.t"]);
    pair.source.run(DATABASE, "CREATE TEMP TABLE x (a int); DROP TABLE x; INSERT INTO t VALUES (100, 'x')");
    assert_equal(&pair);
    pair.call(DATABASE, "drop_task", TASK);
    pair.source.run(DATABASE, "ALTER TABLE t ADD c int");
}

/// A task that stops at commands: before anything of the transaction, and goes on when a person has done the same there.
#[test]
fn a_task_that_stops_at_commands_goes_on_when_told() {
    let pair = Pair::start();
    create_tables(&pair);
    let options = TaskOptions { ddl: Some("stop"), ..TaskOptions::default() };
    pair.start_task_with(DATABASE, TASK, &["public.*"], &options);
    pair.wait_for_state(DATABASE, TASK, "synchronizing");
    pair.source.run(DATABASE, "BEGIN; ALTER TABLE t ADD c int; INSERT INTO t VALUES (100, 'x', 1); COMMIT");
    pair.wait_for_state(DATABASE, TASK, "failed");
    let hint = pair.source.value(DATABASE, &format!("SELECT last_error_hint FROM courier.tasks WHERE task = '{TASK}'"));
    let skip = hint.split_once("SELECT ").map(|(_, rest)| format!("SELECT {rest}")).unwrap_or_default();
    assert_mentions(&skip, &["courier.ddl_skip", TASK]);
    pair.destination.run(DATABASE, "ALTER TABLE t ADD c int");
    pair.source.run(DATABASE, &skip);
    pair.wait_for_state(DATABASE, TASK, "synchronizing");
    assert_equal(&pair);
    assert_eq!(pair.source.value(DATABASE, "SELECT string_agg(state, ',') FROM courier.ddl"), "skipped");
}

/// A table is emptied where its rows come anew, so the destination must not have rows of its own.
#[test]
fn conflict_policies_and_commands_do_not_go_together() {
    let pair = Pair::start();
    create_tables(&pair);
    let answer = pair.source.refuses(
        DATABASE,
        &format!(
            "SELECT courier.create_task('{TASK}', '{SERVER}', ARRAY['public.*'], conflict => 'ignore', ddl => 'replicate')"
        ),
    );
    assert_mentions(&answer.to_string(), &["do not go together"]);
}

/// Two tasks of one database, each with tables of its own. A table goes over from one to the other.
#[test]
fn two_tasks_follow_each_their_own() {
    let pair = Pair::start();
    pair.add_destination_database("other");
    pair.add_server(DATABASE, "other", "other", pair.destination.port());
    pair.source.run(
        DATABASE,
        "CREATE SCHEMA a; CREATE SCHEMA b; CREATE TABLE a.t (id int PRIMARY KEY); CREATE TABLE b.t (id int PRIMARY KEY); \
         CREATE TABLE a.goes (id int PRIMARY KEY, v text); INSERT INTO a.goes VALUES (1, 'a')",
    );
    let options = TaskOptions { ddl: Some("replicate"), ..TaskOptions::default() };
    pair.start_task_with(DATABASE, TASK, &["a.*"], &options);
    pair.source.run(DATABASE, &pg_courier_tests::pair::create_task_sql("second", "other", &["b.*"], &options));
    pair.call(DATABASE, "start", "second");
    for task in [TASK, "second"] {
        pair.wait_for_state(DATABASE, task, "synchronizing");
    }
    pair.source.run(
        DATABASE,
        "ALTER TABLE a.t ADD x int DEFAULT 1; ALTER TABLE b.t ADD y int DEFAULT 2; CREATE TABLE b.n (id int PRIMARY KEY); \
         INSERT INTO b.n VALUES (1); INSERT INTO a.t VALUES (1); INSERT INTO b.t VALUES (1)",
    );
    pair.source.run(DATABASE, "ALTER TABLE a.goes SET SCHEMA b; INSERT INTO b.goes VALUES (2, 'b')");
    pair.caught_up(DATABASE, TASK);
    pair.caught_up(DATABASE, "second");
    assert_eq!(pair.destination.value(DATABASE, "SELECT sum(x) FROM a.t"), "1");
    assert_eq!(pair.destination.value(DATABASE, "SELECT to_regclass('b.t')"), "");
    assert_eq!(pair.destination.value("other", "SELECT sum(y) FROM b.t"), "2");
    assert_eq!(pair.destination.value("other", "SELECT to_regclass('a.t')"), "");
    let tables = ["b.t", "b.n", "b.goes"];
    pg_courier_tests::assert_same((&pair.source, DATABASE), (&pair.destination, "other"), &tables);
}

/// Whoever approves code has one task in mind: to another one it is no news, and what it holds it holds.
#[test]
fn what_is_approved_for_one_task_is_nothing_to_another() {
    let pair = followed_pair();
    pair.add_destination_database("other");
    pair.add_server(DATABASE, "other", "other", pair.destination.port());
    let options = TaskOptions { ddl: Some("replicate"), ..TaskOptions::default() };
    pair.source.run(DATABASE, &pg_courier_tests::pair::create_task_sql("second", "other", &["public.*"], &options));
    pair.call(DATABASE, "start", "second");
    pair.wait_for_state(DATABASE, "second", "synchronizing");
    [&pair.source, &pair.destination].iter().for_each(|of| of.run("postgres", "CREATE ROLE low"));
    pair.source.run(
        DATABASE,
        "GRANT CREATE, USAGE ON SCHEMA public TO low; SET ROLE low; CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'",
    );
    let told = |tag: &str, task: &str, state: &str| {
        let sql =
            format!("(SELECT bool_and(state = '{state}') FROM courier.ddl WHERE (tag, task) = ('{tag}', '{task}'))");
        pair.source.wait_until(DATABASE, &format!("{tag} is {state} for {task}"), &sql);
    };
    told("CREATE FUNCTION", TASK, "held");
    told("CREATE FUNCTION", "second", "held");
    pair.source.run(
        DATABASE,
        &format!("SELECT courier.approve_ddl('{TASK}', id) FROM courier.ddl WHERE (tag, task) = ('CREATE FUNCTION', '{TASK}')"),
    );
    told("APPROVE", TASK, "applied");
    told("APPROVE", "second", "filtered");
    let function = "SELECT count(*) FROM pg_proc WHERE proname = 'f'";
    assert_eq!(pair.destination.value(DATABASE, function), "1");
    assert_eq!(pair.destination.value("other", function), "0");
}

/// Each of two databases is the source of the other, commands included: what one has from the other does not go back, and both go on.
#[test]
fn commands_do_not_go_back_to_where_they_came_from() {
    // Before, only superusers may apply as a replica.
    if Install::get().major() < 15 {
        return;
    }
    let pair = Pair::builder().destination_is_a_source().start();
    create_tables(&pair);
    follow(&pair);
    back(&pair);
    let settle = || {
        for (cluster, task) in [(&pair.source, TASK), (&pair.destination, BACK), (&pair.source, TASK)] {
            cluster.run(DATABASE, &format!("SELECT courier.wait_for('{task}', '60 s')"));
        }
    };
    pair.source.run(
        DATABASE,
        "SET ROLE courier; ALTER TABLE t ADD a int DEFAULT 1; CREATE TABLE n (id int PRIMARY KEY, v text); INSERT INTO n VALUES (1, 'there')",
    );
    settle();
    pair.destination.run(DATABASE, "INSERT INTO t VALUES (1001, 'x', 2); INSERT INTO n VALUES (1002, 'back')");
    settle();
    pair.destination.run(
        DATABASE,
        "ALTER TABLE t RENAME a TO b; ALTER TABLE n ADD w int DEFAULT 4; CREATE INDEX ON n (v); INSERT INTO n VALUES (1003, 'y', 5)",
    );
    settle();
    pair.source.run(
        DATABASE,
        "SET ROLE courier; UPDATE t SET b = 7 WHERE id = 1001; ALTER TABLE n DROP v; INSERT INTO n VALUES (4, 6)",
    );
    settle();
    pair.destination.run(DATABASE, "INSERT INTO n VALUES (1005, 8); DELETE FROM t WHERE id = 30");
    settle();
    pair.destination.run(
        DATABASE,
        "SET ROLE courier; ALTER TABLE t ADD r float8 DEFAULT random(); CREATE TABLE cc AS SELECT id FROM t; \
         ALTER TABLE cc ADD PRIMARY KEY (id); INSERT INTO cc VALUES (2000)",
    );
    settle();
    pair.source
        .run(DATABASE, "SET ROLE courier; INSERT INTO cc VALUES (2001); DROP TABLE n; UPDATE t SET r = 1 WHERE id = 2");
    settle();
    assert_equal(&pair);
    assert_eq!(
        pair.source.value(DATABASE, "SELECT count(*) FROM courier.ddl WHERE state NOT IN ('applied', 'filtered')"),
        "0"
    );
}

const BACK: &str = "back";

/// A task from the destination to the source, onto the tables that are there.
fn back(pair: &Pair) {
    use pg_courier_tests::pair::{PASSWORD, ROLE};
    let password = pg_courier_tests::sql::literal(PASSWORD);
    pair.source.run(
        DATABASE,
        &format!(
            "CREATE ROLE {ROLE} LOGIN PASSWORD {password}; GRANT SET ON PARAMETER session_replication_role TO {ROLE}; \
             GRANT ALL ON SCHEMA public TO {ROLE}; GRANT CREATE ON DATABASE {DATABASE} TO {ROLE}; \
             ALTER TABLE t OWNER TO {ROLE}; ALTER TABLE o OWNER TO {ROLE}"
        ),
    );
    pair.destination.run(
        DATABASE,
        &format!(
            "CREATE EXTENSION pg_courier; \
             CREATE SERVER back FOREIGN DATA WRAPPER pg_courier OPTIONS (host '127.0.0.1', port '{}', dbname '{DATABASE}'); \
             CREATE USER MAPPING FOR CURRENT_USER SERVER back OPTIONS (user '{ROLE}', password {password}); \
             SELECT courier.create_task('{BACK}', 'back', '{{public.*}}', schema_sync => false, full_copy => false, ddl => 'replicate'); \
             SELECT courier.start('{BACK}')",
            pair.source.port(),
        ),
    );
    pair.destination.wait_until(
        DATABASE,
        "the task back is synchronizing",
        &format!("(SELECT state = 'synchronizing' FROM courier.tasks WHERE task = '{BACK}')"),
    );
}

/// What a task has applied is a command like any other for a task of the destination.
#[test]
fn commands_go_on_to_a_third_server() {
    let pair = Pair::builder().destination_is_a_source().start();
    create_tables(&pair);
    follow(&pair);
    let third = pg_courier_tests::pair::another_destination("third");
    pair.destination.run(DATABASE, "CREATE EXTENSION pg_courier");
    pg_courier_tests::pair::create_server(&pair.destination, DATABASE, SERVER, "third", third.port());
    let options = TaskOptions { ddl: Some("replicate"), ..TaskOptions::default() };
    let create = pg_courier_tests::pair::create_task_sql("onward", SERVER, &["public.*"], &options);
    pair.destination.run(DATABASE, &format!("{create}; SELECT courier.start('onward')"));
    pair.destination.wait_until(
        DATABASE,
        "the second task follows",
        "(SELECT state = 'synchronizing' FROM courier.tasks WHERE task = 'onward')",
    );
    pair.source.run(
        DATABASE,
        "ALTER TABLE t ADD r float8 DEFAULT random(); CREATE TABLE n (id int PRIMARY KEY); INSERT INTO n VALUES (1); \
         ALTER TABLE t RENAME v TO w",
    );
    assert_equal(&pair);
    pair.destination.run(DATABASE, "SELECT courier.wait_for('onward', timeout => '60 s')");
    let tables = ["public.t", "public.o", "public.n"];
    pg_courier_tests::assert_same((&pair.source, DATABASE), (&third, "third"), &tables);
}

/// The supervisor notes that a table has joined while a worker that starts reads which tables there are.
#[test]
fn a_table_is_noted_while_a_worker_starts() {
    let pair = followed_pair();
    pair.source.run(DATABASE, "CREATE TABLE n (id int PRIMARY KEY, v text); INSERT INTO n VALUES (1, 'x')");
    let noted = "EXISTS (SELECT FROM courier.task_table WHERE relid = 'n'::regclass)";
    pair.source.wait_until(DATABASE, "the table is noted", noted);
    pair.call(DATABASE, "pause", TASK);
    // As if nobody had come to it yet.
    pair.source.run(
        DATABASE,
        "CREATE SCHEMA elsewhere; CREATE TABLE elsewhere.note AS SELECT * FROM courier.task_table WHERE relid = 'n'::regclass; \
         DELETE FROM courier.task_table WHERE relid = 'n'::regclass",
    );
    pair.source.arm("coverage_between_looks:wait");
    pair.call(DATABASE, "resume", TASK);
    pair.source.wait_at("coverage_between_looks");
    pair.source.run(
        DATABASE,
        "INSERT INTO courier.task_table SELECT * FROM elsewhere.note ON CONFLICT DO NOTHING; INSERT INTO n VALUES (2, 'y')",
    );
    pair.source.disarm();
    assert_equal(&pair);
}
