//! Commands while the tables are copied: of tables that are copied already, that are being copied, that are still to come. Snapshot and
//! stream fit together for definitions as they do for rows.

use std::time::Duration;

use pg_courier_tests::pair::DATABASE;
use pg_courier_tests::{Pair, TaskOptions, Traffic};

use super::equal::assert_equal;
use crate::common::{TASK, more_traffic};

/// What happens to each table, in a session of its own: those that are being copied make it wait.
const COMMANDS: [&str; 8] = [
    "ALTER TABLE c0 ADD w text DEFAULT 'w'; INSERT INTO c0 (id, w) VALUES (1000001, 'x')",
    "ALTER TABLE c1 RENAME v TO w; UPDATE c1 SET w = 'renamed' WHERE id % 10 = 0",
    "ALTER TABLE c2 ALTER v TYPE varchar(200); ALTER TABLE c2 ADD r float8 DEFAULT random()",
    "ALTER TABLE c3 RENAME TO c3_new; CREATE TABLE c3 (id int PRIMARY KEY); INSERT INTO c3 VALUES (1)",
    "DROP TABLE c4",
    "BEGIN; ALTER TABLE c5 DROP v; INSERT INTO c5 VALUES (1000001); COMMIT; ALTER TABLE c5 ADD v int DEFAULT 5",
    "TRUNCATE c6; ALTER TABLE c6 ADD UNIQUE (v); INSERT INTO c6 VALUES (7, 'after')",
    "CREATE TABLE c8 AS SELECT id, random() AS r FROM c7 WHERE id < 100; CREATE INDEX ON c7 (v); \
     ALTER TABLE c7 ADD CHECK (id > 0) NOT VALID",
];

fn create_tables(pair: &Pair) {
    for n in 0..COMMANDS.len() {
        pair.source.run(
            DATABASE,
            &format!(
                "CREATE TABLE c{n} (id int PRIMARY KEY, v text); \
                 INSERT INTO c{n} SELECT g, repeat('v', 100) || g FROM generate_series(1, 20000) g"
            ),
        );
    }
    pair.source.run(
        DATABASE,
        "CREATE TABLE busy (id int PRIMARY KEY, v int); INSERT INTO busy SELECT generate_series(1, 100), 0",
    );
}

#[test]
fn commands_during_the_copy() {
    let pair = Pair::start();
    create_tables(&pair);
    let traffic = Traffic::start(&pair.source, DATABASE, 1, 5, Duration::from_millis(5), |rng| {
        format!("UPDATE busy SET v = v + 1 WHERE id = {}", rng.between(1, 100))
    });
    pair.source.arm("tablesync_mid_copy:wait");
    let options = TaskOptions { ddl: Some("replicate"), ..TaskOptions::default() };
    pair.start_task_with(DATABASE, TASK, &["public.*"], &options);
    pair.source.wait_at("tablesync_mid_copy");
    std::thread::scope(|scope| {
        for commands in COMMANDS {
            let pair = &pair;
            scope.spawn(move || pair.source.run(DATABASE, commands));
        }
        more_traffic(&traffic, 100, &pair.source);
        pair.source.run(DATABASE, "ALTER TABLE busy ADD w int DEFAULT 3");
        more_traffic(&traffic, 50, &pair.source);
        pair.source.disarm();
    });
    pair.wait_for_state(DATABASE, TASK, "synchronizing");
    traffic.stop();
    assert_equal(&pair);
}

/// A table is dropped before its turn, and while a worker waits for its lock.
#[test]
fn a_table_is_dropped_before_its_turn() {
    let pair = Pair::start();
    pair.source.run(
        DATABASE,
        "CREATE TABLE a (id int PRIMARY KEY); CREATE TABLE b (id int PRIMARY KEY); INSERT INTO a VALUES (1)",
    );
    pair.source.arm("tablesync_before_copy:wait");
    let options = TaskOptions { ddl: Some("replicate"), ..TaskOptions::default() };
    pair.start_task_with(DATABASE, TASK, &["public.*"], &options);
    pair.source.wait_at("tablesync_before_copy");
    let mut session = pair.source.connect(DATABASE);
    session.batch_execute("BEGIN; DROP TABLE b").expect("nobody has it");
    pair.source.disarm();
    pair.source.wait_until(
        DATABASE,
        "a worker waits for the table",
        "EXISTS (SELECT FROM pg_locks WHERE relation = 'b'::regclass AND NOT granted)",
    );
    session.batch_execute("COMMIT").expect("its end");
    pair.wait_for_state(DATABASE, TASK, "synchronizing");
    assert_equal(&pair);
}

/// What it refers to is copied when rows are gone that the copy of its own table still has.
#[test]
fn a_foreign_key_is_added_between_two_copies() {
    let pair = Pair::builder().source_conf("courier.max_sync_workers_per_task", "1").start();
    pair.source.run(
        DATABASE,
        "CREATE TABLE parent (id int PRIMARY KEY); INSERT INTO parent SELECT generate_series(1, 100); \
         CREATE TABLE child (id int PRIMARY KEY, parent_id int, v text); \
         INSERT INTO child SELECT g, 1 + g % 100, repeat('v', 100) FROM generate_series(1, 5000) g",
    );
    pair.source.arm("tablesync_after_table:wait");
    let options = TaskOptions { ddl: Some("replicate"), ..TaskOptions::default() };
    pair.start_task_with(DATABASE, TASK, &["public.*"], &options);
    pair.source.wait_at("tablesync_after_table");
    let reference = "ALTER TABLE child ADD CONSTRAINT of_parent FOREIGN KEY (parent_id) REFERENCES parent";
    pair.source.run(DATABASE, reference);
    pair.source.run(DATABASE, "DELETE FROM child WHERE parent_id = 5; DELETE FROM parent WHERE id = 5");
    pair.source.disarm();
    pair.wait_for_state(DATABASE, TASK, "synchronizing");
    assert_equal(&pair);
    pair.source.run(
        DATABASE,
        "CREATE SCHEMA x; CREATE TABLE x.e (id int PRIMARY KEY); INSERT INTO x.e SELECT generate_series(1, 9)",
    );
    pair.source.run(
        DATABASE,
        "ALTER TABLE x.e SET SCHEMA public; ALTER TABLE parent ADD e_id int REFERENCES e; UPDATE parent SET e_id = id WHERE id < 4",
    );
    pair.wait_for_state(DATABASE, TASK, "synchronizing");
    assert_equal(&pair);
}

/// Two tables of one type are copied at the same time: what is known of the type is not closed to one as long as the other's copy lasts.
#[test]
fn tables_of_one_type_are_copied_side_by_side() {
    let pair = Pair::start();
    pair.source.run(
        DATABASE,
        "CREATE TYPE mood AS ENUM ('sad', 'happy'); CREATE TABLE a (id int PRIMARY KEY, m mood); CREATE TABLE b (id int PRIMARY KEY, m mood); \
         INSERT INTO a SELECT g, 'sad' FROM generate_series(1, 50) g; INSERT INTO b SELECT g, 'happy' FROM generate_series(1, 50) g",
    );
    pair.source.arm("tablesync_mid_copy:wait");
    let options = TaskOptions { ddl: Some("replicate"), ..TaskOptions::default() };
    pair.start_task_with(DATABASE, TASK, &["public.*"], &options);
    pair.source.wait_until(
        DATABASE,
        "both are in the middle of their copies",
        "(SELECT count(*) FROM pg_stat_activity WHERE query = 'waiting at failpoint tablesync_mid_copy') = 2",
    );
    pair.source.disarm();
    pair.wait_for_state(DATABASE, TASK, "synchronizing");
    assert_equal(&pair);
}

/// A partition and a child leave their parents before their turn, and another one joins: the definition at the copy says so, and no
/// command does any more. Then the same with a table that comes to a task that runs.
#[test]
fn a_partition_leaves_before_its_copy() {
    let pair = Pair::start();
    pair.source.run(
        DATABASE,
        "CREATE TABLE r (id int, k int) PARTITION BY LIST (k); CREATE TABLE r1 PARTITION OF r FOR VALUES IN (1); \
         CREATE TABLE r2 PARTITION OF r FOR VALUES IN (2); CREATE TABLE r3 (id int, k int); INSERT INTO r3 VALUES (3, 3); \
         INSERT INTO r SELECT g, 1 + g % 2 FROM generate_series(1, 20) g; CREATE INDEX ON r (k); \
         CREATE TABLE p (id int); CREATE TABLE q (v int) INHERITS (p); INSERT INTO q VALUES (1, 1); \
         CREATE SCHEMA x; CREATE TABLE x.r4 (id int, k int); INSERT INTO x.r4 VALUES (4, 4)",
    );
    pair.source.arm("tablesync_before_copy:wait");
    let options = TaskOptions { ddl: Some("replicate"), ..TaskOptions::default() };
    pair.start_task_with(DATABASE, TASK, &["public.*"], &options);
    pair.source.wait_at("tablesync_before_copy");
    pair.source.run(
        DATABASE,
        "ALTER TABLE r DETACH PARTITION r2; ALTER TABLE q NO INHERIT p; ALTER TABLE r ATTACH PARTITION r3 FOR VALUES IN (3)",
    );
    pair.source.disarm();
    pair.wait_for_state(DATABASE, TASK, "synchronizing");
    assert_equal(&pair);
    pair.source.arm("tablesync_before_copy:wait");
    pair.source.run(DATABASE, "ALTER TABLE x.r4 SET SCHEMA public");
    pair.source.wait_at("tablesync_before_copy");
    pair.source.run(DATABASE, "ALTER TABLE r ATTACH PARTITION r4 FOR VALUES IN (4)");
    pair.source.disarm();
    pair.source.run(DATABASE, "INSERT INTO r VALUES (40, 4)");
    pair.wait_for_state(DATABASE, TASK, "synchronizing");
    assert_equal(&pair);
}
