//! What takes long on a large table is done aside: the stream goes on, `courier.ddl` says so, and later commands on the table are right
//! whether the index is there or not. Here every table is large (`courier.ddl_inline_limit = 0`), and a build lasts as long as an old
//! snapshot on the destination.

use std::time::Duration;

use pg_courier_tests::cluster::Stop;
use pg_courier_tests::pair::{APPLY, DATABASE};
use pg_courier_tests::{Pair, TaskOptions, wait};
use postgres::Client;

use super::equal::assert_equal;
use super::{create_tables, follow};
use crate::common::{TASK, assert_mentions};

pub(super) const ASIDE: &str = "pg_courier aside worker";

pub(super) fn pair_with_large_tables() -> Pair {
    let pair = Pair::builder().source_conf("courier.ddl_inline_limit", "0").start();
    create_tables(&pair);
    follow(&pair);
    pair
}

/// A snapshot there that every build waits for in the end.
pub(super) fn hold_builds(pair: &Pair) -> Client {
    let mut holder = pair.destination.connect(DATABASE);
    holder.batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1").expect("a snapshot");
    holder
}

#[track_caller]
pub(super) fn wait_for_a_build(pair: &Pair) {
    pair.destination.wait_until(
        DATABASE,
        "an index waits for old snapshots",
        "EXISTS (SELECT FROM pg_stat_progress_create_index WHERE phase = 'waiting for old snapshots')",
    );
}

/// The states of all commands, from the first on.
#[track_caller]
pub(super) fn wait_for_states(pair: &Pair, states: &str) {
    let query = "SELECT id, tag, state, error FROM courier.ddl ORDER BY id";
    let mut seen = Vec::new();
    let as_said = || {
        seen = pair.source.rows(DATABASE, query);
        let now: Vec<&str> = seen.iter().filter_map(|row| row.get(2)?.as_deref()).collect();
        (now.join(" ") == states).then_some(())
    };
    if wait::poll(Duration::from_secs(60), as_said).is_none() {
        panic!("commands are not {states}:\n{seen:?}\n{}", pair.source.describe(DATABASE));
    }
}

/// Nothing is left to do, and no index is half built.
#[track_caller]
pub(super) fn assert_done(pair: &Pair) {
    pair.destination.wait_until(DATABASE, "nothing waits", "NOT EXISTS (SELECT FROM courier_applied.pending)");
    let invalid = "SELECT count(*) FROM pg_index WHERE NOT indisvalid OR NOT indisready";
    assert_eq!(pair.destination.value(DATABASE, invalid), "0");
    assert_equal(pair);
}

#[test]
fn the_stream_goes_on_while_an_index_is_built() {
    let pair = pair_with_large_tables();
    let worker = pair.source.pids(APPLY);
    let mut holder = hold_builds(&pair);
    pair.source
        .run(DATABASE, "CREATE INDEX t_v ON t (v); COMMENT ON INDEX t_v IS 'by v'; ALTER TABLE t CLUSTER ON t_v");
    wait_for_a_build(&pair);
    pair.source.run(
        DATABASE,
        "INSERT INTO t VALUES (100, 'x'); UPDATE t SET v = 'y' WHERE id = 3; DELETE FROM t WHERE id = 50",
    );
    pair.caught_up(DATABASE, TASK);
    assert_eq!(pair.destination.value(DATABASE, "SELECT v FROM t WHERE id = 3"), "y");
    // A command on another table, and one that changes nothing but a privilege.
    pair.source
        .run(DATABASE, "ALTER TABLE o ADD c int; GRANT SELECT ON t TO PUBLIC; INSERT INTO o (id, c) VALUES (100, 1)");
    pair.caught_up(DATABASE, TASK);
    wait_for_states(&pair, "aside aside aside applied applied");
    wait_for_a_build(&pair);
    holder.batch_execute("COMMIT").expect("its end");
    wait_for_states(&pair, "applied applied applied applied applied");
    assert_done(&pair);
    assert_eq!(pair.source.pids(APPLY), worker, "the same worker all the time");
    wait::until(
        "nothing is left for the worker",
        Duration::from_secs(20),
        || pair.source.pids(ASIDE).is_empty().then_some(()),
        || pair.source.describe(DATABASE),
    );
}

/// Each of these commands comes in the middle of the build of an index of `t`, and the stream does not wait for that.
#[test]
fn a_later_command_comes_before_the_index_is_built() {
    let pair = pair_with_large_tables();
    pair.source.run(DATABASE, "ALTER TABLE t ADD extra int");
    let stories = [
        "DROP INDEX i",
        "ALTER INDEX i RENAME TO j; DROP INDEX j",
        "ALTER INDEX i RENAME TO j2",
        "ALTER TABLE t RENAME COLUMN v TO w; ALTER TABLE t RENAME COLUMN w TO v; DROP INDEX i",
        "ALTER TABLE t RENAME TO t2; ALTER TABLE t2 RENAME TO t; DROP INDEX i",
        "ALTER TABLE t ADD c int DEFAULT 7; ALTER TABLE t DROP c; DROP INDEX i",
        "ALTER TABLE t ALTER v TYPE varchar(99); DROP INDEX i; ALTER TABLE t ALTER v TYPE text",
        "ALTER INDEX i SET (fillfactor = 50); ALTER TABLE t CLUSTER ON i; COMMENT ON INDEX i IS 'x'; ALTER INDEX i RENAME TO j3",
        "TRUNCATE t CASCADE; INSERT INTO t SELECT g, 'n' || g FROM generate_series(1, 9) g; DROP INDEX i",
        "ALTER TABLE t DROP extra",
        "ALTER TABLE t ADD CONSTRAINT c CHECK (id > 0); ALTER TABLE t DROP CONSTRAINT c; DROP INDEX i",
    ];
    for (n, story) in stories.iter().enumerate() {
        let mut holder = hold_builds(&pair);
        let columns = if story.contains("extra") { "extra" } else { "v, id" };
        pair.source.run(DATABASE, &format!("CREATE INDEX i ON t ({columns})"));
        wait_for_a_build(&pair);
        for statement in story.split("; ") {
            pair.source.run(DATABASE, statement);
        }
        pair.source.run(DATABASE, &format!("INSERT INTO t VALUES (1000 + {n}, 'after')"));
        // The stream passes while the snapshot is still held.
        pair.caught_up(DATABASE, TASK);
        let passed = format!("SELECT count(*) FROM t WHERE id = 1000 + {n}");
        assert_eq!(pair.destination.value(DATABASE, &passed), "1", "{story}");
        holder.batch_execute("COMMIT").expect("its end");
        assert_done(&pair);
    }
    let states = "SELECT string_agg(DISTINCT state, ' ') FROM courier.ddl";
    pair.source.wait_until(DATABASE, "all is applied", &format!("({states}) = 'applied'"));
}

/// It leaves with what it waits for, and comes back with all its rows and without.
#[test]
fn a_table_leaves_and_comes_back_before_its_index_is_built() {
    let pair = pair_with_large_tables();
    let mut holder = hold_builds(&pair);
    pair.source.run(DATABASE, "CREATE SCHEMA other; CREATE INDEX o_n ON o (n)");
    wait_for_a_build(&pair);
    pair.source.run(DATABASE, "ALTER TABLE o SET SCHEMA other; INSERT INTO other.o VALUES (100, 1, 1)");
    pair.source.run(DATABASE, "ALTER TABLE other.o SET SCHEMA public; INSERT INTO o VALUES (101, 1, 1)");
    pair.source.wait_until(
        DATABASE,
        "it is copied again",
        "(SELECT rows FROM courier.progress WHERE table_name = 'public.o') = 22",
    );
    holder.batch_execute("COMMIT").expect("its end");
    pair.wait_for_state(DATABASE, TASK, "synchronizing");
    pair.caught_up(DATABASE, TASK);
    assert_done(&pair);
}

#[test]
fn a_table_is_dropped_while_its_index_is_built() {
    let pair = pair_with_large_tables();
    let mut holder = hold_builds(&pair);
    pair.source.run(DATABASE, "CREATE TABLE d (id int PRIMARY KEY, v text); INSERT INTO d VALUES (1, 'x')");
    pair.source.run(DATABASE, "CREATE INDEX d_v ON d (v)");
    wait_for_a_build(&pair);
    pair.source
        .run(DATABASE, "DROP TABLE d; CREATE TABLE d (id int PRIMARY KEY, v text); INSERT INTO d VALUES (2, 'y')");
    pair.caught_up(DATABASE, TASK);
    assert_eq!(pair.destination.value(DATABASE, "SELECT v FROM d"), "y");
    holder.batch_execute("COMMIT").expect("its end");
    assert_done(&pair);
}

/// The usual way to a key on a large table: the index first, then the constraint that uses it. The key waits behind its index, and
/// whatever needs the key behind that.
#[test]
fn a_key_waits_for_its_index() {
    let pair = pair_with_large_tables();
    let mut holder = hold_builds(&pair);
    pair.source.run(DATABASE, "CREATE UNIQUE INDEX CONCURRENTLY t_unique ON t (v) WITH (fillfactor = 80)");
    pair.source.run(
        DATABASE,
        "ALTER TABLE t ADD CONSTRAINT t_key UNIQUE USING INDEX t_unique; ALTER TABLE t ALTER v SET NOT NULL",
    );
    pair.source.run(
        DATABASE,
        "ALTER TABLE t REPLICA IDENTITY USING INDEX t_key; COMMENT ON CONSTRAINT t_key ON t IS 'the key'",
    );
    pair.source.run(DATABASE, "CREATE TABLE r (v text REFERENCES t (v), n int); INSERT INTO r VALUES ('v1', 1)");
    pair.source.run(DATABASE, "INSERT INTO t VALUES (100, 'x'); UPDATE t SET v = 'y' WHERE id = 3");
    pair.caught_up(DATABASE, TASK);
    wait_for_a_build(&pair);
    assert_eq!(pair.destination.value(DATABASE, "SELECT count(*) FROM t WHERE v IN ('x', 'y')"), "2");
    holder.batch_execute("COMMIT").expect("its end");
    assert_done(&pair);
    let states = "SELECT string_agg(DISTINCT state, ' ') FROM courier.ddl";
    pair.source.wait_until(DATABASE, "all is applied", &format!("({states}) = 'applied'"));
}

/// They hold for new rows at once, and for those that are there when somebody has looked.
#[test]
fn constraints_are_validated_aside() {
    let pair = pair_with_large_tables();
    pair.source.arm("aside_before_build:wait");
    pair.source.run(
        DATABASE,
        "ALTER TABLE t ADD CONSTRAINT long CHECK (length(v) < 100); ALTER TABLE o ADD CONSTRAINT o_t FOREIGN KEY (id) REFERENCES t; \
         ALTER TABLE o ADD CONSTRAINT later CHECK (id > 0) NOT VALID",
    );
    pair.source.run(DATABASE, "ALTER TABLE o VALIDATE CONSTRAINT later; ALTER TABLE o RENAME CONSTRAINT later TO soon");
    pair.caught_up(DATABASE, TASK);
    pair.source.wait_at("aside_before_build");
    let unvalidated = "SELECT string_agg(conname, ' ' ORDER BY conname) FROM pg_constraint WHERE NOT convalidated";
    assert_eq!(pair.destination.value(DATABASE, unvalidated), "long o_t soon");
    let refused = pair.destination.refuses(DATABASE, "INSERT INTO t VALUES (999, repeat('x', 100))");
    assert_mentions(&refused.to_string(), &["long"]);
    pair.source.disarm();
    wait_for_states(&pair, "applied applied applied applied applied");
    assert_done(&pair);
}

/// Indexes of partitions are built one by one; that of the partitioned table has them when all are there.
#[test]
fn indexes_of_partitions_are_attached_when_they_are_built() {
    let pair = pair_with_large_tables();
    pair.source.run(
        DATABASE,
        "CREATE TABLE p (id int PRIMARY KEY, v text) PARTITION BY RANGE (id); CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (100); \
         CREATE TABLE p2 PARTITION OF p FOR VALUES FROM (100) TO (200); INSERT INTO p SELECT g, 'v' FROM generate_series(0, 199) g",
    );
    let mut holder = hold_builds(&pair);
    pair.source.run(DATABASE, "CREATE INDEX p_v ON p (v)");
    wait_for_a_build(&pair);
    pair.source
        .run(DATABASE, "ALTER INDEX p_v RENAME TO p_w; CREATE TABLE p3 PARTITION OF p FOR VALUES FROM (200) TO (300)");
    pair.source.run(DATABASE, "INSERT INTO p VALUES (250, 'w')");
    pair.caught_up(DATABASE, TASK);
    holder.batch_execute("COMMIT").expect("its end");
    assert_done(&pair);
}

/// What fails is told, and tried again; rows go on.
#[test]
fn a_duplicate_that_only_the_destination_has_is_told() {
    let pair = pair_with_large_tables();
    pair.destination.run(DATABASE, "INSERT INTO t VALUES (500, 'v1')");
    pair.source.run(DATABASE, "CREATE UNIQUE INDEX t_v ON t (v)");
    wait_for_states(&pair, "failed aside");
    let error = pair.source.value(DATABASE, "SELECT error FROM courier.ddl");
    assert_mentions(&error, &["t_v", "23505", "v1"]);
    let invalid = "SELECT count(*) FROM pg_class WHERE relname = 't_v'";
    assert_eq!(pair.destination.value(DATABASE, invalid), "0", "nothing half built is left");
    pair.source.run(DATABASE, "INSERT INTO t VALUES (100, 'x')");
    pair.caught_up(DATABASE, TASK);
    assert_eq!(pair.task(DATABASE, TASK, "state"), "synchronizing");
    let health = "SELECT detail FROM courier.health() WHERE item = 'commands_aside' AND status = 'warning'";
    assert_mentions(&pair.source.value(DATABASE, health), &["t_v"]);
    pair.destination.run(DATABASE, "DELETE FROM t WHERE id = 500");
    wait_for_states(&pair, "applied");
    assert_done(&pair);
}

/// Somebody does not want it any more: in its failure, and in the middle of a build. The next command on the table brings it again.
#[test]
fn a_command_is_skipped_while_it_is_done_aside() {
    let pair = pair_with_large_tables();
    pair.destination.run(DATABASE, "INSERT INTO t VALUES (500, 'v1')");
    pair.source.run(DATABASE, "CREATE UNIQUE INDEX t_v ON t (v)");
    wait_for_states(&pair, "failed aside");
    let skip = "SELECT courier.ddl_skip(task, id) FROM courier.ddl WHERE state IN ('aside', 'failed aside')";
    pair.source.run(DATABASE, skip);
    wait_for_states(&pair, "skipped");
    let mut holder = hold_builds(&pair);
    pair.source.run(DATABASE, "CREATE INDEX o_n ON o (n)");
    wait_for_a_build(&pair);
    wait_for_states(&pair, "skipped aside");
    pair.source.run(DATABASE, skip);
    wait_for_states(&pair, "skipped skipped");
    holder.batch_execute("COMMIT").expect("its end");
    assert_eq!(pair.destination.value(DATABASE, "SELECT count(*) FROM pg_class WHERE relname = 'o_n'"), "0");
    pair.destination.run(DATABASE, "DELETE FROM t WHERE id = 500");
    pair.source.run(DATABASE, "ALTER TABLE o ADD c int; COMMENT ON TABLE t IS 'here'");
    wait_for_states(&pair, "skipped skipped applied applied");
    assert_done(&pair);
}

/// The worker, the whole source, and the destination die in the middle of a build.
#[test]
fn anybody_is_killed_while_an_index_is_built() {
    let pair = pair_with_large_tables();
    let mut holder = hold_builds(&pair);
    pair.source.run(DATABASE, "CREATE INDEX t_v ON t (v)");
    wait_for_a_build(&pair);
    // One that is not killed, but ends: its session there is ended by the next one.
    let first = pair.source.pids(ASIDE);
    pair.source.run(DATABASE, &format!("SELECT pg_terminate_backend({})", first[0]));
    wait::until(
        "another worker",
        Duration::from_secs(30),
        || pair.source.pids(ASIDE).iter().any(|pid| !first.contains(pid)).then_some(()),
        || pair.source.describe(DATABASE),
    );
    wait_for_a_build(&pair);
    pair.source.kill_process(pair.source.pids(ASIDE)[0]);
    pair.source.wait_until_accepting();
    pair.source.run(DATABASE, "INSERT INTO t VALUES (100, 'x')");
    pair.caught_up(DATABASE, TASK);
    wait_for_a_build(&pair);
    drop(holder);
    holder = hold_builds(&pair);
    pair.destination.kill9();
    pair.destination.start();
    drop(holder);
    pair.source.run(DATABASE, "INSERT INTO t VALUES (101, 'x')");
    wait_for_states(&pair, "applied");
    assert_done(&pair);
    // Between the build and the row that says so.
    pair.source.arm("aside_after_build:kill");
    let kills = pair.source.kills();
    pair.source.run(DATABASE, "CREATE INDEX o_n ON o (n)");
    wait::until("it is killed", Duration::from_secs(30), || (pair.source.kills() > kills).then_some(()), String::new);
    pair.source.disarm();
    pair.source.wait_until_accepting();
    wait_for_states(&pair, "applied applied");
    assert_done(&pair);
}

/// A task that rests leaves what it had begun to when it goes on; one that is dropped leaves nothing behind.
#[test]
fn a_task_is_paused_and_dropped_while_an_index_is_built() {
    let pair = pair_with_large_tables();
    let mut holder = hold_builds(&pair);
    pair.source.run(DATABASE, "CREATE INDEX t_v ON t (v)");
    wait_for_a_build(&pair);
    pair.call(DATABASE, "pause", TASK);
    pair.source.run(DATABASE, "ALTER TABLE t RENAME v TO w; INSERT INTO t VALUES (100, 'x')");
    pair.call(DATABASE, "resume", TASK);
    pair.caught_up(DATABASE, TASK);
    holder.batch_execute("COMMIT").expect("its end");
    assert_done(&pair);
    holder.batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1").expect("a snapshot");
    pair.source.run(DATABASE, "CREATE INDEX o_n ON o (n)");
    wait_for_a_build(&pair);
    pair.call(DATABASE, "drop_task", TASK);
    let left = "SELECT (SELECT count(*) FROM pg_namespace WHERE nspname = 'courier_applied') \
                + (SELECT count(*) FROM pg_class WHERE relname = 'o_n') + (SELECT count(*) FROM pg_index WHERE NOT indisvalid)";
    assert_eq!(pair.destination.value(DATABASE, left), "0");
    pair.destination.stop(Stop::Fast);
}

/// A task that stops to apply commands still does what was left; one that begins anew forgets it, and what was half built.
#[test]
fn a_task_stops_to_apply_commands_while_an_index_is_built() {
    let pair = pair_with_large_tables();
    let mut holder = hold_builds(&pair);
    pair.source.run(DATABASE, "CREATE INDEX t_v ON t (v)");
    wait_for_a_build(&pair);
    wait_for_states(&pair, "aside");
    pair.source.run(DATABASE, &format!("SELECT courier.alter_task('{TASK}', ddl => 'ignore')"));
    holder.batch_execute("COMMIT").expect("its end");
    pair.destination.wait_until(DATABASE, "nothing waits", "NOT EXISTS (SELECT FROM courier_applied.pending)");
    pair.source.run(DATABASE, &format!("SELECT courier.alter_task('{TASK}', ddl => 'replicate')"));
    holder.batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1").expect("a snapshot");
    pair.caught_up(DATABASE, TASK);
    pair.source.run(DATABASE, "CREATE INDEX o_n ON o (n)");
    wait_for_a_build(&pair);
    for ddl in ["ignore", "replicate"] {
        pair.source.run(DATABASE, &format!("SELECT courier.alter_task('{TASK}', ddl => '{ddl}')"));
        pair.caught_up(DATABASE, TASK);
    }
    assert_eq!(pair.destination.value(DATABASE, "SELECT count(*) FROM pg_class WHERE relname = 'o_n'"), "0");
    // Each change of what the task does about commands has left a row of its own.
    wait_for_states(&pair, "applied applied skipped applied");
    holder.batch_execute("COMMIT").expect("its end");
    pair.source.run(DATABASE, "DROP INDEX o_n; INSERT INTO o (id) VALUES (100)");
    assert_done(&pair);
}

/// Two tasks with one destination: what the one has left aside is none of the other's affair, nor does it go with it.
#[test]
fn two_tasks_leave_each_others_items_alone() {
    let pair = Pair::builder().source_conf("courier.ddl_inline_limit", "0").start();
    pair.source
        .run(DATABASE, "CREATE TABLE t (id int PRIMARY KEY, v text); CREATE TABLE o (id int PRIMARY KEY, n int)");
    let options = TaskOptions { ddl: Some("replicate"), ..TaskOptions::default() };
    for (task, table) in [(TASK, "public.t"), ("other", "public.o")] {
        pair.start_task_with(DATABASE, task, &[table], &options);
        pair.wait_for_state(DATABASE, task, "synchronizing");
    }
    let mut holder = hold_builds(&pair);
    pair.source.run(DATABASE, "CREATE INDEX t_v ON t (v); CREATE INDEX o_n ON o (n)");
    let both = "(SELECT count(*) FROM pg_stat_progress_create_index WHERE phase = 'waiting for old snapshots') = 2";
    pair.destination.wait_until(DATABASE, "both are built", both);
    let pid = "SELECT pid FROM pg_stat_progress_create_index WHERE relid = 'public.t'::regclass";
    let builds = pair.destination.value(DATABASE, pid);
    pair.source.run(DATABASE, "ALTER TABLE o ADD c int");
    pair.caught_up(DATABASE, "other");
    pair.call(DATABASE, "drop_task", "other");
    assert_eq!(pair.destination.value(DATABASE, "SELECT count(*) FROM pg_class WHERE relname = 'o_n'"), "0");
    assert_eq!(pair.destination.value(DATABASE, pid), builds, "it goes on");
    holder.batch_execute("COMMIT").expect("its end");
    pair.source.wait_until(
        DATABASE,
        "the index of the other task is there",
        &format!("(SELECT string_agg(DISTINCT state, ' ') FROM courier.ddl WHERE task = '{TASK}' AND 't_v' = ANY (string_to_array(command, ' '))) = 'applied'"),
    );
    pair.destination.wait_until(DATABASE, "nothing waits", "NOT EXISTS (SELECT FROM courier_applied.pending)");
    assert_eq!(
        pair.destination.value(DATABASE, "SELECT indisvalid FROM pg_index WHERE indexrelid = 't_v'::regclass"),
        "t"
    );
}

/// A build takes a lock that a command on another table wants: it gives way.
#[test]
fn a_build_gives_way_to_a_command_that_does_not_know_of_it() {
    let pair = pair_with_large_tables();
    pair.source.run(DATABASE, "CREATE TABLE r (id int PRIMARY KEY, t_id int)");
    let mut holder = hold_builds(&pair);
    pair.source.run(DATABASE, "CREATE INDEX t_v ON t (v)");
    wait_for_a_build(&pair);
    pair.source.run(
        DATABASE,
        "ALTER TABLE r ADD CONSTRAINT r_t FOREIGN KEY (t_id) REFERENCES t NOT VALID; INSERT INTO r VALUES (1, 1)",
    );
    pair.caught_up(DATABASE, TASK);
    assert_eq!(pair.destination.value(DATABASE, "SELECT count(*) FROM r"), "1");
    holder.batch_execute("COMMIT").expect("its end");
    assert_done(&pair);
}

/// By default a table has to be large for it.
#[test]
fn a_small_table_is_not_worth_it() {
    let pair = super::followed_pair();
    let _holder = hold_builds(&pair);
    pair.source.run(DATABASE, "CREATE INDEX t_v ON t (v); ALTER TABLE t ADD CONSTRAINT long CHECK (length(v) < 100)");
    pair.caught_up(DATABASE, TASK);
    wait_for_states(&pair, "applied applied");
    assert_equal(&pair);
}
