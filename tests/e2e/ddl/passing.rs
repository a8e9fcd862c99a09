//! Tables that come into reach and are gone, out of reach or unlogged again before anybody has copied them, and the names that they had.

use pg_courier_tests::Pair;
use pg_courier_tests::pair::DATABASE;

use super::equal::assert_equal;
use super::{create_tables, follow};
use crate::common::TASK;

/// `x.e` has rows and is nobody's; `k` is the task's.
pub fn followed_pair() -> Pair {
    let pair = Pair::start();
    create_tables(&pair);
    pair.source.run(
        DATABASE,
        "CREATE SCHEMA x; CREATE TABLE x.e (id int PRIMARY KEY, v text); INSERT INTO x.e SELECT g, 'x' FROM generate_series(1, 100) g; \
         CREATE TABLE k (id int PRIMARY KEY, t_id int REFERENCES t); INSERT INTO k SELECT g, g FROM generate_series(1, 20) g",
    );
    follow(&pair);
    pair
}

/// All of it has happened before the stream meets the first command.
pub fn while_paused(pair: &Pair, commands: &[&str]) {
    pair.call(DATABASE, "pause", TASK);
    commands.iter().for_each(|command| pair.source.run(DATABASE, command));
    pair.call(DATABASE, "resume", TASK);
    pair.wait_for_state(DATABASE, TASK, "synchronizing");
    pair.caught_up(DATABASE, TASK);
}

/// Its copy finds nothing, and the stream has to come to the command that dropped it.
#[test]
fn a_table_that_is_dropped_before_its_copy_holds_up_nothing() {
    let pair = followed_pair();
    while_paused(
        &pair,
        &[
            "ALTER TABLE x.e SET SCHEMA public",
            "UPDATE e SET v = 'y'; ALTER TABLE e ADD r float8 DEFAULT random()",
            "DELETE FROM e WHERE id < 10; DROP TABLE e; INSERT INTO t VALUES (100, 'after')",
        ],
    );
    assert_equal(&pair);
    pair.source.run(DATABASE, "CREATE TABLE e (id int PRIMARY KEY); INSERT INTO e VALUES (1)");
    assert_equal(&pair);
}

/// Meanwhile its definition follows, so that its name is free for the next one, and what it refers to can be emptied.
#[test]
fn a_table_that_goes_again_before_its_copy_leaves_its_name() {
    let pair = followed_pair();
    while_paused(
        &pair,
        &[
            "ALTER TABLE x.e SET SCHEMA public",
            "ALTER TABLE e ADD t_id int REFERENCES t; UPDATE e SET v = 'y'; ALTER TABLE o ADD e_id int REFERENCES e",
            "ALTER TABLE e RENAME TO e2; CREATE TABLE e (id int PRIMARY KEY, other int); INSERT INTO e VALUES (1, 2)",
            "ALTER TABLE o DROP e_id; ALTER TABLE e2 ADD r float8 DEFAULT random(); ALTER TABLE e2 SET SCHEMA x",
            "CREATE TABLE e2 (id int PRIMARY KEY); INSERT INTO e2 VALUES (3)",
            "ALTER TABLE x.e2 DROP t_id; TRUNCATE t, o, k; INSERT INTO t VALUES (100, 'after')",
        ],
    );
    assert_equal(&pair);
    pair.source.run(DATABASE, "DROP TABLE e2; ALTER TABLE x.e2 SET SCHEMA public; UPDATE e2 SET v = 'z'");
    pair.wait_for_state(DATABASE, TASK, "synchronizing");
    assert_equal(&pair);
}

#[test]
fn a_table_that_is_unlogged_before_its_copy_is_not_copied() {
    let pair = followed_pair();
    while_paused(
        &pair,
        &[
            "ALTER TABLE x.e SET SCHEMA public; UPDATE e SET v = 'y' WHERE id < 50",
            "ALTER TABLE e SET UNLOGGED; UPDATE e SET v = 'z' WHERE id < 20; INSERT INTO t VALUES (100, 'after')",
        ],
    );
    assert_eq!(pair.destination.value(DATABASE, "SELECT count(*) FROM e"), "0");
    pair.source.run(DATABASE, "ALTER TABLE e SET LOGGED; DELETE FROM e WHERE id > 90");
    assert_equal(&pair);
}

#[test]
fn an_unlogged_table_that_moves_away_leaves_its_name() {
    let pair = followed_pair();
    pair.source.run(DATABASE, "ALTER TABLE k SET UNLOGGED; INSERT INTO k VALUES (100, 1); ALTER TABLE k SET SCHEMA x");
    pair.source.run(DATABASE, "CREATE TABLE k (id int PRIMARY KEY, other text); INSERT INTO k VALUES (1, 'new')");
    assert_equal(&pair);
    let left = "SELECT count(*) FROM x.k";
    assert_eq!(pair.destination.value(DATABASE, left), "20", "as it was when it left");
    pair.source.run(DATABASE, "DROP TABLE k; ALTER TABLE x.k SET SCHEMA public; ALTER TABLE k SET LOGGED");
    pair.wait_for_state(DATABASE, TASK, "synchronizing");
    assert_equal(&pair);
}

/// A transaction sees at its start what it saw at its first change: the table was unlogged then.
#[test]
fn a_table_is_logged_again_in_the_middle_of_a_transaction() {
    let pair = followed_pair();
    pair.source.run(DATABASE, "ALTER TABLE k SET UNLOGGED; INSERT INTO k VALUES (100, 1)");
    pair.caught_up(DATABASE, TASK);
    let mut older = pair.source.connect(DATABASE);
    older
        .batch_execute("BEGIN; INSERT INTO t VALUES (100, 'before'); ALTER TABLE o ADD c int")
        .expect("its first half");
    pair.source.run(DATABASE, "ALTER TABLE k SET LOGGED; INSERT INTO k VALUES (101, 1)");
    older.batch_execute("INSERT INTO k VALUES (102, 100); COMMIT").expect("its second half");
    assert_equal(&pair);
}

/// The destination knows already that a table is to be copied again, and the source does not when its worker dies.
#[test]
fn a_worker_dies_between_two_that_forget_a_copy() {
    let pair = followed_pair();
    pair.call(DATABASE, "pause", TASK);
    pair.source.run(
        DATABASE,
        "BEGIN; ALTER TABLE k SET SCHEMA x; INSERT INTO x.k VALUES (100, 1); ALTER TABLE x.k SET SCHEMA public; COMMIT",
    );
    std::thread::scope(|scope| {
        let died = scope.spawn(|| pair.source.die_at("supervisor_forgets_copy", 1));
        pair.source.wait_until(DATABASE, "it is armed", "current_setting('courier.failpoints') <> ''");
        pair.call(DATABASE, "resume", TASK);
        died.join().expect("it died");
    });
    pair.wait_for_state(DATABASE, TASK, "synchronizing");
    assert_equal(&pair);
}
