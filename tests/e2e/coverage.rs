//! What the patterns of a task name, and what it follows. The tables are fixed when a task starts; afterwards tables are
//! made, partitions added, names given away. Done wrong, rows are lost in silence, and an UPDATE that moves a row into a
//! new partition only deletes it on the destination. Done right, the task stops before that transaction, says which table
//! it is about, and goes on exactly once somebody has decided.

use pg_courier_tests::Pair;
use pg_courier_tests::pair::{DATABASE, ROLE, TaskOptions};

use crate::common::{SMALL, TASK, arrives, assert_mentions, create_small_tables, mirrored_pair};

/// A statement for both sides, there by the role that the task uses.
fn both(pair: &Pair, statement: &str) {
    pair.source.run(DATABASE, statement);
    there(pair, statement);
}

fn there(pair: &Pair, statement: &str) {
    pair.destination.run(DATABASE, &format!("SET ROLE {ROLE}; {statement}"));
}

fn call(pair: &Pair, call: &str) {
    pair.source.run(DATABASE, &format!("SELECT courier.{call}"));
}

fn resume(pair: &Pair) {
    pair.call(DATABASE, "resume", TASK);
    pair.wait_for_state(DATABASE, TASK, "synchronizing");
}

/// `status: detail hint` of the check.
fn health(pair: &Pair) -> String {
    pair.source.value(
        DATABASE,
        "SELECT concat_ws(' ', status || ':', detail, hint) FROM courier.health() WHERE item = 'coverage'",
    )
}

/// The tables that `courier.verify` does not find identical.
fn differing(pair: &Pair) -> String {
    pair.source.value(
        DATABASE,
        &format!("SELECT coalesce(string_agg(table_name, ',' ORDER BY table_name), '') FROM courier.verify('{TASK}') WHERE NOT identical"),
    )
}

fn covered(pair: &Pair) {
    assert_eq!(health(pair), "ok: The task follows what its patterns name.");
    assert_eq!(differing(pair), "");
}

/// `metric` has partition `metric_1` for less than 100, in the task; `metric_2` comes later.
fn partitioned() -> Pair {
    let pair = Pair::start();
    pair.source.run(
        DATABASE,
        "CREATE TABLE metric (id int PRIMARY KEY, v int) PARTITION BY RANGE (id); \
         CREATE TABLE metric_1 PARTITION OF metric FOR VALUES FROM (0) TO (100); \
         INSERT INTO metric SELECT n, n FROM generate_series(1, 50) n",
    );
    pair.start_task(TASK, &["public.metric"]);
    pair.wait_for_state(DATABASE, TASK, "synchronizing");
    pair
}

const NEXT_PARTITION: &str = "CREATE TABLE metric_2 PARTITION OF metric FOR VALUES FROM (100) TO (200)";

/// Rows of a partition that was made after the start never came, and rows that were moved into it were deleted on the
/// destination, while everything said that all was well.
#[test]
fn rows_move_into_a_partition_that_was_made_later() {
    let pair = partitioned();
    covered(&pair);
    both(&pair, NEXT_PARTITION);
    // Before any row is written.
    assert_mentions(&health(&pair), &["critical", "public.metric_2", "add_table"]);
    assert_eq!(differing(&pair), "public.metric_2");
    let said =
        "SELECT string_agg(status || ' ' || object, ',') FROM courier.precheck('shop_to_dr') WHERE item = 'coverage'";
    assert_eq!(pair.source.value(DATABASE, said), "failed public.metric_2");
    let plan = "SELECT string_agg(action || ' ' || object, ',' ORDER BY step) FROM courier.plan('shop_to_dr')";
    assert_eq!(pair.source.value(DATABASE, plan), "stream public.metric_1,omit public.metric_2");
    // What is asked before a task creates its tables is not asked now, and says why.
    let skipped = "SELECT detail FROM courier.precheck('shop_to_dr') WHERE item = 'destination_tables_exist'";
    assert_mentions(&pair.source.value(DATABASE, skipped), &["The task has started"]);
    pair.source.run(DATABASE, "INSERT INTO metric VALUES (60, 60)");
    pair.source.run(DATABASE, "UPDATE metric SET id = id + 100 WHERE id <= 10");
    pair.source.run(DATABASE, "INSERT INTO metric VALUES (61, 61), (199, 199)");
    let failure = pair.failure(DATABASE, TASK);
    assert_mentions(&failure, &["table public.metric_2", "partition of public.metric", "LSN", "exclude", "add_table"]);
    assert_eq!(pair.source.value(DATABASE, "SELECT last_error_sqlstate FROM courier.task"), "55000");
    let there_now = pair.destination.value(DATABASE, "SELECT count(*) FROM metric WHERE id <= 50");
    assert_eq!(there_now, "50", "nothing of the transaction has been applied");
    // Without a decision it stops again.
    pair.call(DATABASE, "resume", TASK);
    pair.failure(DATABASE, TASK);
    call(&pair, &format!("add_table('{TASK}', 'public.metric_2')"));
    resume(&pair);
    pair.assert_mirrored(TASK, &["public.metric", "public.metric_1", "public.metric_2"]);
    pair.source
        .run(DATABASE, "UPDATE metric SET id = id + 100 WHERE id BETWEEN 11 AND 20; DELETE FROM metric WHERE id = 101");
    pair.assert_mirrored(TASK, &["public.metric", "public.metric_1", "public.metric_2"]);
    covered(&pair);
}

/// The same in a transaction so large that its rows are encoded, and sent, before it commits.
#[test]
fn a_large_transaction_into_a_new_partition() {
    let pair = Pair::builder().source_conf("logical_decoding_work_mem", "64kB").start();
    pair.source.run(
        DATABASE,
        "CREATE TABLE metric (id int PRIMARY KEY, v int) PARTITION BY RANGE (id); \
         CREATE TABLE metric_1 PARTITION OF metric FOR VALUES FROM (0) TO (100000)",
    );
    pair.start_task(TASK, &["public.*"]);
    pair.wait_for_state(DATABASE, TASK, "synchronizing");
    both(&pair, "CREATE TABLE metric_2 PARTITION OF metric FOR VALUES FROM (100000) TO (200000)");
    pair.source.run(DATABASE, "INSERT INTO metric VALUES (0, 0)");
    arrives(&pair, "metric", "1");
    pair.source.run(DATABASE, "INSERT INTO metric SELECT n, n FROM generate_series(90001, 110000) n");
    assert_mentions(&pair.failure(DATABASE, TASK), &["metric_2"]);
    assert_eq!(pair.destination.value(DATABASE, "SELECT count(*) FROM metric"), "1");
    call(&pair, &format!("add_table('{TASK}', 'metric')"));
    resume(&pair);
    pair.assert_mirrored(TASK, &["public.metric_1", "public.metric_2"]);
    covered(&pair);
}

/// A table that the patterns name and that was made later. Half of its rows were written before it is followed.
#[test]
fn a_table_that_was_made_later() {
    let pair = mirrored_pair();
    pair.source.run(DATABASE, "CREATE TABLE late (id int PRIMARY KEY, v text)");
    assert_mentions(&health(&pair), &["critical", "public.late"]);
    // Without a row in it nothing keeps the task.
    pair.source.run(DATABASE, "INSERT INTO journal VALUES (1, 'goes on')");
    arrives(&pair, "journal", "1001");
    pair.source.run(DATABASE, "INSERT INTO late VALUES (1, 'stops the task')");
    assert_mentions(&pair.failure(DATABASE, TASK), &["table public.late", "INSERT", "LSN"]);
    pair.source
        .run(DATABASE, "INSERT INTO late VALUES (2, 'is written meanwhile'); INSERT INTO journal VALUES (2, 'too')");
    let answer = pair.source.refuses(DATABASE, &format!("SELECT courier.add_table('{TASK}', 'late')"));
    assert_eq!(answer.sqlstate, "42P01");
    assert_mentions(&answer.hint, &["CREATE TABLE", "late"]);
    there(&pair, "CREATE TABLE late (id int PRIMARY KEY, v text); INSERT INTO late VALUES (9, 'a stranger')");
    let answer = pair.source.refuses(DATABASE, &format!("SELECT courier.add_table('{TASK}', 'late')"));
    assert_mentions(&answer.message, &["not empty"]);
    there(&pair, "TRUNCATE late");
    call(&pair, &format!("add_table('{TASK}', 'late')"));
    resume(&pair);
    pair.source.run(DATABASE, "INSERT INTO late VALUES (3, 'streamed'); DELETE FROM late WHERE id = 1");
    pair.assert_mirrored(TASK, &["public.late", SMALL[0], SMALL[1]]);
    covered(&pair);
    let answer = pair.source.refuses(DATABASE, &format!("SELECT courier.add_table('{TASK}', 'late')"));
    assert_mentions(&answer.message, &["is running"]);
}

/// The other way out: it is left out for good, and what it stood in the way of arrives.
#[test]
fn a_table_that_was_made_later_is_left_out() {
    let pair = mirrored_pair();
    pair.source.run(DATABASE, "CREATE TABLE \"Late\" (id int); CREATE TABLE other (id int)");
    assert_mentions(
        &health(&pair),
        &["critical", "public.\"Late\"", "2 tables in all", "courier.coverage('shop_to_dr')"],
    );
    pair.source.run(
        DATABASE,
        "BEGIN; INSERT INTO journal VALUES (1, 'with it'); INSERT INTO \"Late\" VALUES (1); INSERT INTO journal VALUES (2, 'with it'); COMMIT",
    );
    pair.failure(DATABASE, TASK);
    let hint = pair
        .source
        .value(DATABASE, &format!("SELECT hint FROM courier.coverage('{TASK}') WHERE table_name = 'public.\"Late\"'"));
    let (_, way_out) = hint.split_once("To leave it out: ").expect("the hint has both ways");
    let (statement, _) = way_out.split_once(" Either").expect("the hint says when");
    pair.source.run(DATABASE, statement);
    call(&pair, &format!("alter_task('{TASK}', exclude => '{{public.other}}')"));
    resume(&pair);
    pair.source.run(DATABASE, "INSERT INTO \"Late\" VALUES (2); INSERT INTO other VALUES (3)");
    pair.assert_mirrored(TASK, &SMALL);
    covered(&pair);
    pair.call(DATABASE, "pause", TASK);
    let answer =
        pair.source.refuses(DATABASE, &format!("SELECT courier.alter_task('{TASK}', exclude => '{{public.*}}')"));
    assert_mentions(&answer.message, &["would follow no table"]);
}

/// Scratch tables that come and go between two looks at the stream stop nothing for good: they are gone on both sides.
#[test]
fn a_table_that_came_and_went() {
    let pair = mirrored_pair();
    pair.source.run(DATABASE, "CREATE TABLE scratch AS SELECT n FROM generate_series(1, 100) n");
    assert_mentions(&pair.failure(DATABASE, TASK), &["public.scratch"]);
    pair.source.run(DATABASE, "DROP TABLE scratch; INSERT INTO journal VALUES (1, 'behind it')");
    resume(&pair);
    pair.assert_mirrored(TASK, &SMALL);
    covered(&pair);
    // What no pattern names, and no user made, stops nothing.
    pair.source.run(
        DATABASE,
        "CREATE SCHEMA other; CREATE TABLE other.t AS SELECT 1 AS a; CREATE TEMP TABLE items AS SELECT 1 AS a; \
         CREATE UNLOGGED TABLE u AS SELECT 1 AS a; CREATE MATERIALIZED VIEW m AS SELECT 1 AS a; \
         CREATE UNIQUE INDEX ON m (a); REFRESH MATERIALIZED VIEW CONCURRENTLY m; \
         ALTER TABLE items ADD b int DEFAULT 1; ALTER TABLE public.items ALTER note TYPE varchar USING note || ''",
    );
    pair.source.run(DATABASE, "VACUUM FULL public.items");
    pair.source.run(DATABASE, "INSERT INTO journal VALUES (2, 'behind that')");
    pair.assert_mirrored(TASK, &["public.journal"]);
}

/// A table that is dropped and made anew is another one, whatever it is called.
#[test]
fn a_table_is_dropped_and_made_again() {
    let pair = mirrored_pair();
    both(&pair, "DROP TABLE items");
    assert_mentions(&health(&pair), &["critical", "public.items does not exist any more"]);
    assert_eq!(differing(&pair), "public.items");
    both(&pair, "CREATE TABLE items (id bigint PRIMARY KEY, v int NOT NULL, note text)");
    pair.source.run(DATABASE, "INSERT INTO items VALUES (1, 1, 'in the new one')");
    assert_mentions(&pair.failure(DATABASE, TASK), &["table public.items, which"]);
    call(&pair, &format!("add_table('{TASK}', 'items')"));
    resume(&pair);
    pair.assert_mirrored(TASK, &SMALL);
    covered(&pair);
}

/// SET UNLOGGED and SET LOGGED: what was written in between is in no WAL, and afterwards all looks as before.
#[test]
fn a_table_leaves_the_wal_for_a_while() {
    let pair = mirrored_pair();
    pair.call(DATABASE, "pause", TASK);
    pair.source.run(DATABASE, "UPDATE items SET v = 1 WHERE id = 1");
    pair.source.run(DATABASE, "ALTER TABLE items SET UNLOGGED");
    assert_mentions(&health(&pair), &["critical", "public.items is unlogged"]);
    pair.source.run(DATABASE, "UPDATE items SET v = 2 WHERE id = 2");
    pair.source.run(DATABASE, "ALTER TABLE items SET LOGGED");
    pair.source.run(DATABASE, "UPDATE items SET v = 3 WHERE id = 3");
    pair.call(DATABASE, "resume", TASK);
    let failure = pair.failure(DATABASE, TASK);
    assert_mentions(&failure, &["table public.items was made unlogged", "TRUNCATE public.items", "add_table"]);
    there(&pair, "TRUNCATE items");
    call(&pair, &format!("add_table('{TASK}', 'items')"));
    resume(&pair);
    pair.source.run(DATABASE, "UPDATE items SET v = 4 WHERE id = 4");
    pair.assert_mirrored(TASK, &SMALL);
    // The same while it runs.
    pair.source.run(DATABASE, "ALTER TABLE items SET UNLOGGED");
    pair.source.run(DATABASE, "INSERT INTO journal VALUES (1, 'the next transaction')");
    assert_mentions(&pair.failure(DATABASE, TASK), &["table public.items was made unlogged"]);
}

/// Both in one transaction: nothing in the catalogs tells of it afterwards. Also by somebody who works as a replica, and while
/// the task is paused.
#[test]
fn a_table_leaves_the_wal_within_a_transaction() {
    let pair = mirrored_pair();
    // Who may not look at a table of the extension.
    pair.source.run(
        DATABASE,
        "CREATE ROLE keeper; ALTER TABLE items OWNER TO keeper; ALTER TABLE journal OWNER TO keeper; \
         GRANT ALL ON SCHEMA public TO keeper",
    );
    let leave = |v: u32| {
        pair.source.run(
            DATABASE,
            &format!(
                "BEGIN; SET LOCAL session_replication_role = replica; SET LOCAL ROLE keeper; INSERT INTO journal VALUES ({v}, 'before'); ALTER TABLE items SET UNLOGGED; \
                 UPDATE items SET v = {v} WHERE id <= 10; ALTER TABLE items SET LOGGED; COMMIT"
            ),
        );
    };
    let copy_anew = || {
        there(&pair, "TRUNCATE items");
        call(&pair, &format!("add_table('{TASK}', 'items')"));
        resume(&pair);
        pair.source.run(DATABASE, "UPDATE items SET v = 4 WHERE id = 4");
        pair.assert_mirrored(TASK, &SMALL);
    };
    leave(1);
    let failure = pair.failure(DATABASE, TASK);
    assert_mentions(&failure, &["table public.items was made unlogged", "TRUNCATE public.items", "add_table"]);
    copy_anew();
    pair.call(DATABASE, "pause", TASK);
    leave(2);
    pair.call(DATABASE, "resume", TASK);
    assert_mentions(&pair.failure(DATABASE, TASK), &["table public.items was made unlogged"]);
    copy_anew();
    assert_eq!(pair.source.value(DATABASE, "SELECT count(*) FROM courier.rewritten_table"), "0");
    // Taken back: nothing has happened.
    pair.source.run(DATABASE, "BEGIN; ALTER TABLE items SET UNLOGGED; UPDATE items SET v = 5; ROLLBACK");
    pair.assert_mirrored(TASK, &SMALL);
}

/// A table has two tasks, to two destinations: both stop, both are told.
#[test]
fn tables_of_two_tasks_leave_the_wal_for_both() {
    let pair = mirrored_pair();
    pair.add_destination_database("elsewhere");
    pair.add_server(DATABASE, "elsewhere", "elsewhere", pair.destination.port());
    pair.source.run(
        DATABASE,
        "SELECT courier.create_task('other', server => 'elsewhere', include => ARRAY['public.*'], ddl => 'ignore'); SELECT courier.start('other')",
    );
    pair.wait_for_state(DATABASE, "other", "synchronizing");
    pair.source.run(DATABASE, "ALTER TABLE items ADD COLUMN u uuid DEFAULT gen_random_uuid()");
    let told = "SELECT count(*) FROM courier.health() WHERE item = 'coverage' AND status = 'warning'";
    assert_eq!(pair.source.value(DATABASE, told), "2");
    pair.source.run(
        DATABASE,
        "BEGIN; ALTER TABLE journal SET UNLOGGED; INSERT INTO journal VALUES (0, 'lost'); ALTER TABLE journal SET LOGGED; COMMIT",
    );
    for task in [TASK, "other"] {
        assert_mentions(&pair.failure(DATABASE, task), &["table public.journal was made unlogged"]);
    }
}

/// Values that ALTER TABLE computes are in no stream. The same statement on the other side may make the same ones, and may not.
#[test]
fn a_rewrite_with_new_values_is_told() {
    let pair = mirrored_pair();
    let told = || {
        pair.source.value(
            DATABASE,
            "SELECT concat_ws(' ', status, detail, hint) FROM courier.health() WHERE item = 'coverage'",
        )
    };
    // No table is rewritten, or no value is another.
    both(&pair, "ALTER TABLE items ADD COLUMN flag int DEFAULT 5; ALTER TABLE items ALTER flag TYPE int USING flag");
    both(&pair, "CLUSTER items USING items_pkey");
    assert_mentions(&told(), &["ok"]);
    // The same on both sides.
    pair.source
        .run(DATABASE, "CREATE ROLE keeper; ALTER TABLE items OWNER TO keeper; GRANT ALL ON SCHEMA public TO keeper");
    let warning = pair.source.psql(DATABASE, "SET ROLE keeper; ALTER TABLE items ALTER v TYPE bigint USING v + 1;");
    let warning = String::from_utf8_lossy(&warning.stderr).into_owned();
    assert_mentions(
        &warning,
        &["WARNING", "does not send the new values of the rows of table public.items", "courier.verify(task)"],
    );
    assert!(!warning.contains(TASK), "names of tasks are not for everybody: {warning}");
    there(&pair, "ALTER TABLE items ALTER v TYPE bigint USING v + 1");
    assert_mentions(&told(), &["warning", "rows of public.items new values", "courier.verify"]);
    pair.caught_up(DATABASE, TASK);
    let verify = format!("SELECT table_name FROM courier.verify('{TASK}') WHERE NOT identical");
    assert_eq!(pair.source.rows(DATABASE, &verify).len(), 0);
    assert_mentions(&told(), &["ok"]);
    // One value for all rows, of the moment: no rewrite, and not the same either. Of a constant there is nothing to tell.
    both(&pair, "ALTER TABLE items ADD COLUMN big bigint DEFAULT 5, ADD COLUMN word text DEFAULT lower('X') || 'y'");
    assert_mentions(&told(), &["ok"]);
    both(&pair, "BEGIN; SAVEPOINT s; ALTER TABLE items ADD COLUMN seen timestamptz DEFAULT now(); COMMIT");
    assert_mentions(&told(), &["warning", "rows of public.items new values"]);
    pair.caught_up(DATABASE, TASK);
    assert_eq!(pair.source.rows(DATABASE, &verify).len(), 1);
    both(&pair, "UPDATE items SET seen = NULL; ALTER TABLE items ALTER seen SET STATISTICS 10");
    pair.caught_up(DATABASE, TASK);
    assert_eq!(pair.source.rows(DATABASE, &verify).len(), 0);
    assert_mentions(&told(), &["ok"]);
    // Another value for each.
    both(&pair, "ALTER TABLE items ADD COLUMN u uuid DEFAULT gen_random_uuid()");
    pair.source.run(DATABASE, "UPDATE items SET note = 'touched' WHERE id = 1");
    pair.caught_up(DATABASE, TASK);
    assert_eq!(pair.source.rows(DATABASE, &verify).len(), 1);
    assert_mentions(&told(), &["warning", "items"]);
    pair.call(DATABASE, "pause", TASK);
    there(&pair, "TRUNCATE items");
    call(&pair, &format!("add_table('{TASK}', 'items')"));
    resume(&pair);
    pair.assert_mirrored(TASK, &SMALL);
    assert_mentions(&told(), &["ok"]);
}

/// An unlogged table is left out; when it is logged its rows are there already.
#[test]
fn a_table_comes_into_reach_with_its_rows() {
    let pair = Pair::start();
    pair.source.run(
        DATABASE,
        "CREATE TABLE kept (id int PRIMARY KEY); CREATE UNLOGGED TABLE u (id int PRIMARY KEY); CREATE SCHEMA other; \
         CREATE TABLE other.moved (id int PRIMARY KEY); INSERT INTO u VALUES (1); INSERT INTO other.moved VALUES (1)",
    );
    pair.start_task(TASK, &["public.*"]);
    pair.wait_for_state(DATABASE, TASK, "synchronizing");
    covered(&pair);
    pair.source.run(
        DATABASE,
        "ALTER TABLE u SET LOGGED; INSERT INTO other.moved VALUES (2); ALTER TABLE other.moved SET SCHEMA public",
    );
    assert_mentions(&health(&pair), &["critical", "public.moved", "2 tables in all"]);
    pair.source.run(DATABASE, "INSERT INTO moved VALUES (3)");
    assert_mentions(&pair.failure(DATABASE, TASK), &["public.moved"]);
    there(&pair, "CREATE TABLE moved (id int PRIMARY KEY); CREATE TABLE u (id int PRIMARY KEY)");
    for table in ["moved", "u"] {
        call(&pair, &format!("add_table('{TASK}', '{table}')"));
    }
    resume(&pair);
    pair.source.run(DATABASE, "INSERT INTO moved VALUES (4); INSERT INTO u VALUES (4)");
    pair.assert_mirrored(TASK, &["public.kept", "public.moved", "public.u"]);
    covered(&pair);
}

/// After RENAME the hint said to create a table on the destination: the old rows stayed in the old one, and all checks
/// were green.
#[test]
fn a_table_is_renamed() {
    let pair = mirrored_pair();
    pair.source.run(DATABASE, "ALTER TABLE journal RENAME TO journal2");
    assert_mentions(&health(&pair), &["critical", "ALTER TABLE public.journal RENAME TO journal2;"]);
    assert_eq!(differing(&pair), "public.journal");
    pair.source.run(DATABASE, "INSERT INTO journal2 VALUES (1, 'after')");
    let failure = pair.failure(DATABASE, TASK);
    assert_mentions(
        &failure,
        &["table public.journal was renamed to public.journal2", "ALTER TABLE public.journal RENAME TO journal2;"],
    );
    assert!(!failure.contains("Create the table"), "{failure}");
    // A new table of that name is not the one that was meant.
    there(&pair, "CREATE TABLE journal2 (item bigint, what text)");
    pair.call(DATABASE, "resume", TASK);
    assert_mentions(&pair.failure(DATABASE, TASK), &["RENAME TO journal2"]);
    assert_eq!(pair.destination.value(DATABASE, "SELECT count(*) FROM journal2"), "0");
    there(&pair, "DROP TABLE journal2; ALTER TABLE journal RENAME TO journal2");
    resume(&pair);
    pair.assert_mirrored(TASK, &["public.journal2", SMALL[0]]);
    covered(&pair);
    let names = "SELECT string_agg(table_name, ',' ORDER BY table_name) FROM courier.progress";
    assert_eq!(pair.source.value(DATABASE, names), "public.items,public.journal2");
    // Back again, on the source alone: what was written under the other name goes where it belongs.
    pair.source.run(DATABASE, "ALTER TABLE journal2 RENAME TO journal3");
    pair.source.run(DATABASE, "INSERT INTO journal3 VALUES (2, 'for a moment')");
    pair.failure(DATABASE, TASK);
    pair.source.run(DATABASE, "ALTER TABLE journal3 RENAME TO journal2");
    pair.source.run(DATABASE, "INSERT INTO journal2 VALUES (3, 'as before')");
    resume(&pair);
    pair.assert_mirrored(TASK, &["public.journal2", SMALL[0]]);
    covered(&pair);
}

/// Two tables exchange their names: by name the rows of each would go into the other.
#[test]
fn two_tables_exchange_their_names() {
    let pair = Pair::start();
    pair.source.run(
        DATABASE,
        "CREATE TABLE a (id int PRIMARY KEY, v text); CREATE TABLE b (id int PRIMARY KEY, v text); \
         INSERT INTO a VALUES (1, 'a'); INSERT INTO b VALUES (2, 'b')",
    );
    pair.start_task(TASK, &["public.*"]);
    pair.wait_for_state(DATABASE, TASK, "synchronizing");
    pair.caught_up(DATABASE, TASK);
    let exchange = "ALTER TABLE a RENAME TO x; ALTER TABLE b RENAME TO a; ALTER TABLE x RENAME TO b";
    pair.source.run(DATABASE, exchange);
    assert_mentions(&health(&pair), &["critical"]);
    assert_eq!(differing(&pair), "public.a,public.b");
    pair.source.run(DATABASE, "INSERT INTO a VALUES (3, 'was b'); UPDATE b SET v = 'was a' WHERE id = 1");
    let hint = {
        pair.failure(DATABASE, TASK);
        pair.task(DATABASE, TASK, "last_error_hint")
    };
    let (statements, _) =
        hint.strip_prefix("On the destination: ").and_then(|h| h.split_once(" Then here:")).expect("statements");
    there(&pair, statements);
    resume(&pair);
    pair.assert_mirrored(TASK, &["public.a", "public.b"]);
    covered(&pair);
    pair.source.run(DATABASE, "INSERT INTO a VALUES (4, 'a'); INSERT INTO b VALUES (5, 'b')");
    pair.assert_mirrored(TASK, &["public.a", "public.b"]);
}

/// Another schema for a table, another name for a schema.
#[test]
fn schemas_change() {
    let pair = Pair::start();
    both(&pair, "CREATE SCHEMA s; CREATE SCHEMA archive");
    both(&pair, "CREATE TABLE s.t (id int PRIMARY KEY); CREATE TABLE s.u (id int PRIMARY KEY)");
    let options = TaskOptions { schema_sync: Some(false), ..TaskOptions::default() };
    pair.start_task_with(DATABASE, TASK, &["s.*"], &options);
    pair.wait_for_state(DATABASE, TASK, "synchronizing");
    pair.source.run(DATABASE, "ALTER TABLE s.u SET SCHEMA archive; INSERT INTO archive.u VALUES (1)");
    assert_mentions(&pair.failure(DATABASE, TASK), &["ALTER TABLE s.u SET SCHEMA archive;"]);
    there(&pair, "ALTER TABLE s.u SET SCHEMA archive");
    resume(&pair);
    pair.assert_mirrored(TASK, &["archive.u"]);
    pair.source.run(DATABASE, "ALTER SCHEMA s RENAME TO s2");
    assert_mentions(&health(&pair), &["critical", "s.t is called s2.t"]);
    pair.source.run(DATABASE, "INSERT INTO s2.t VALUES (1)");
    assert_mentions(&pair.failure(DATABASE, TASK), &["ALTER SCHEMA s RENAME TO s2;"]);
    there(&pair, "ALTER SCHEMA s RENAME TO s2");
    resume(&pair);
    pair.assert_mirrored(TASK, &["s2.t", "archive.u"]);
    covered(&pair);
}

/// Partitions that are detached and attached: what was followed is followed, what comes with its rows is not overlooked.
#[test]
fn partitions_come_and_go() {
    let pair = partitioned();
    both(&pair, "ALTER TABLE metric DETACH PARTITION metric_1");
    pair.source.run(DATABASE, "INSERT INTO metric_1 VALUES (51, 51)");
    pair.assert_mirrored(TASK, &["public.metric_1"]);
    covered(&pair);
    both(&pair, "ALTER TABLE metric ATTACH PARTITION metric_1 FOR VALUES FROM (0) TO (100)");
    // With a table of rows that was not named by anything.
    both(&pair, "CREATE TABLE old (id int PRIMARY KEY, v int)");
    pair.source.run(DATABASE, "INSERT INTO old VALUES (150, 1)");
    pair.assert_mirrored(TASK, &["public.metric_1"]);
    both(&pair, "ALTER TABLE metric ATTACH PARTITION old FOR VALUES FROM (100) TO (200)");
    assert_mentions(&health(&pair), &["critical", "public.old"]);
    pair.source.run(DATABASE, "INSERT INTO metric VALUES (151, 2)");
    assert_mentions(&pair.failure(DATABASE, TASK), &["public.old"]);
    call(&pair, &format!("add_table('{TASK}', 'old')"));
    resume(&pair);
    pair.assert_mirrored(TASK, &["public.metric", "public.old"]);
    // A partition that is given up on both sides.
    pair.source.run(DATABASE, "DROP TABLE old");
    assert_mentions(&health(&pair), &["critical", "public.old does not exist any more", "DROP TABLE public.old"]);
    pair.source.run(DATABASE, "INSERT INTO metric VALUES (52, 52)");
    pair.caught_up(DATABASE, TASK);
    pair.call(DATABASE, "pause", TASK);
    resume(&pair);
    assert_eq!(differing(&pair), "public.old", "the destination has it still");
    pair.call(DATABASE, "pause", TASK);
    there(&pair, "DROP TABLE old");
    resume(&pair);
    pair.assert_mirrored(TASK, &["public.metric"]);
    covered(&pair);
}

/// A role that watches the server sees it; one that may use the extension does not see the tables of others' tasks.
#[test]
fn who_sees_the_coverage() {
    let pair = mirrored_pair();
    pair.source.run(
        DATABASE,
        "CREATE ROLE watcher IN ROLE pg_monitor; CREATE ROLE stranger; \
         SELECT courier.grant_usage('watcher'), courier.grant_usage('stranger'); CREATE TABLE late (id int)",
    );
    let asked = format!("SELECT count(*) FROM courier.coverage('{TASK}')");
    let answer = pair.source.refuses(DATABASE, &format!("SET ROLE stranger; {asked}"));
    assert_eq!(answer.sqlstate, "42501");
    assert_eq!(pair.source.value(DATABASE, &asked), "1");
    pair.source.run(DATABASE, &format!("SET ROLE watcher; {asked}"));
    let answer =
        pair.source.refuses(DATABASE, &format!("SET ROLE watcher; SELECT courier.add_table('{TASK}', 'late')"));
    assert_eq!(answer.sqlstate, "42501");
}

/// Two tasks whose patterns both name a table that is made later. Empty as it is, both could copy it.
#[test]
fn a_new_table_is_added_to_one_task_only() {
    let pair = Pair::start();
    create_small_tables(&pair);
    pair.start_task(TASK, &["public.items", "public.later"]);
    pair.wait_for_state(DATABASE, TASK, "synchronizing");
    pair.start_task_with(DATABASE, "other", &["public.journal", "public.later"], &TaskOptions::default());
    pair.wait_for_state(DATABASE, "other", "synchronizing");
    both(&pair, "CREATE TABLE later (what text)");
    pair.source.run(DATABASE, "INSERT INTO later VALUES ('once')");
    for task in [TASK, "other"] {
        assert_mentions(&pair.failure(DATABASE, task), &["public.later"]);
    }
    call(&pair, &format!("add_table('{TASK}', 'later')"));
    let answer = pair.source.refuses(DATABASE, "SELECT courier.add_table('other', 'later')");
    assert_eq!(answer.sqlstate, "55000");
    assert_mentions(&answer.message, &[TASK, "public.later"]);
    pair.source.run(DATABASE, &answer.hint.replace(" leaves it out here.", ""));
    resume(&pair);
    pair.call(DATABASE, "resume", "other");
    pair.assert_mirrored(TASK, &["public.items", "public.later"]);
    pair.assert_mirrored("other", &["public.journal"]);
}
