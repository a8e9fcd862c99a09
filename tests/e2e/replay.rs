//! Simple transactions are replayed by the worker itself, all others by the server: both kinds in turn, over changes of
//! definitions and files. A worker that went on with what it knew of a table would write wrong values, or none.

use pg_courier_tests::Pair;
use pg_courier_tests::pair::DATABASE;

use crate::common::TASK;

const COLUMNS: &str = "(id int8 PRIMARY KEY, v text, big text)";

/// Tables `a` and `b` are in the task, `c` is not.
fn follow_tables(pair: &Pair) {
    for table in ["a", "b", "c"] {
        pair.source.run(
            DATABASE,
            &format!("CREATE TABLE {table} {COLUMNS}; ALTER TABLE {table} ALTER big SET STORAGE EXTERNAL"),
        );
    }
    pair.start_task(TASK, &["public.a", "public.b"]);
    pair.wait_for_state(DATABASE, TASK, "synchronizing");
}

/// A row went through each of the tables, so that the worker knows all three.
fn mirrored() -> Pair {
    let pair = Pair::start();
    follow_tables(&pair);
    for table in ["a", "b", "c"] {
        pair.source.run(DATABASE, &format!("INSERT INTO {table} VALUES (0, 'first')"));
    }
    pair.caught_up(DATABASE, TASK);
    pair
}

fn assert_same(pair: &Pair) {
    pair.caught_up(DATABASE, TASK);
    pair.assert_same(DATABASE, &["public.a", "public.b"]);
}

/// A table whose definition changes while its file stays, and the other way round. All of it lies between two rows that
/// are decoded in one go, as the task is paused meanwhile.
#[test]
fn definitions_change_between_simple_transactions() {
    let pair = mirrored();
    pair.call(DATABASE, "pause", TASK);
    let both = |statement: &str| {
        pair.source.run(DATABASE, statement);
        pair.destination.run(DATABASE, statement);
    };
    let row = |id: u32| pair.source.run(DATABASE, &format!("INSERT INTO a (id, v) VALUES ({id}, 'row {id}')"));
    row(1);
    both("ALTER TABLE a ADD COLUMN n int4 DEFAULT 5");
    row(2);
    pair.source.run(DATABASE, "UPDATE a SET n = 6 WHERE id = 1");
    // The destination still needs the column, for the rows from before.
    pair.source.run(DATABASE, "ALTER TABLE a DROP COLUMN big");
    row(3);
    pair.source.run(DATABASE, "VACUUM FULL a");
    row(4);
    both("ALTER TABLE a ALTER n TYPE text");
    row(5);
    pair.source.run(DATABASE, "DELETE FROM a WHERE id = 2");
    pair.source.run(DATABASE, "BEGIN; TRUNCATE b; INSERT INTO b VALUES (1, 'in the new file'); COMMIT");
    pair.source.run(DATABASE, "INSERT INTO b VALUES (2, 'in the new file, too')");
    pair.call(DATABASE, "resume", TASK);
    pair.caught_up(DATABASE, TASK);
    pair.destination.run(DATABASE, "ALTER TABLE a DROP COLUMN big");
    assert_same(&pair);
}

/// While a transaction is open, others change definitions: it must see its tables as they are at each of its changes.
#[test]
fn a_transaction_is_open_while_others_change_definitions() {
    let pair = mirrored();
    pair.call(DATABASE, "pause", TASK);
    let mut open = pair.source.connect(DATABASE);
    open.batch_execute("BEGIN; INSERT INTO a VALUES (1, 'before')").expect("insert");
    for cluster in [&pair.source, &pair.destination] {
        cluster.run(DATABASE, "ALTER TABLE b ADD COLUMN n int4 DEFAULT 5; ALTER TABLE b DROP COLUMN big");
    }
    pair.source.run(DATABASE, "INSERT INTO b VALUES (1, 'of another transaction', 6)");
    open.batch_execute("INSERT INTO b VALUES (2, 'after', 7); UPDATE a SET v = 'changed' WHERE id = 0; COMMIT")
        .expect("the rest");
    pair.source.run(DATABASE, "INSERT INTO b VALUES (3, 'later', 8)");
    pair.call(DATABASE, "resume", TASK);
    assert_same(&pair);
}

/// What a simple transaction must not have: subtransactions, values out of line, upserts, changes that were spilled to
/// disk. And what it may: changes of tables that nobody selected, many rows.
#[test]
fn all_kinds_of_transactions_in_turn() {
    let pair = Pair::builder().source_conf("logical_decoding_work_mem", "64kB").start();
    follow_tables(&pair);
    pair.call(DATABASE, "pause", TASK);
    let large = "repeat('x', 50000)";
    for round in 0..3 {
        let id = 1000 * round;
        let transactions = [
            format!("INSERT INTO a VALUES ({id} + 1, 'simple')"),
            format!("INSERT INTO c VALUES ({id} + 1, 'nobody wants it')"),
            format!(
                "INSERT INTO b VALUES ({id} + 1, 'toasted', {large}); INSERT INTO a VALUES ({id} + 2, 'beside it')"
            ),
            format!("INSERT INTO c VALUES ({id} + 2, 'toasted', {large}); UPDATE b SET v = 'kept' WHERE id = {id} + 1"),
            format!("UPDATE b SET v = v || '!' WHERE id = {id} + 1"),
            format!(
                "BEGIN; INSERT INTO a VALUES ({id} + 3, 'x'); SAVEPOINT s; INSERT INTO a VALUES ({id} + 4, 'gone'); \
                     ROLLBACK TO s; INSERT INTO a VALUES ({id} + 5, 'y'); COMMIT"
            ),
            format!("INSERT INTO a VALUES ({id} + 1, 'upsert') ON CONFLICT (id) DO UPDATE SET v = excluded.v"),
            format!("INSERT INTO a VALUES ({id} + 6, 'upsert') ON CONFLICT (id) DO UPDATE SET v = excluded.v"),
            format!("INSERT INTO b SELECT n, 'spilled' FROM generate_series({id} + 10, {id} + 900) AS n"),
            format!(
                "DELETE FROM b WHERE id BETWEEN {id} + 20 AND {id} + 30; INSERT INTO c VALUES ({id} + 3); \
                     UPDATE a SET id = -id WHERE id = {id} + 3"
            ),
        ];
        transactions.iter().for_each(|transaction| pair.source.run(DATABASE, transaction));
    }
    pair.call(DATABASE, "resume", TASK);
    assert_same(&pair);
    pair.source.assert_not_crashed();
}

/// From 14 on the server counts what a slot has decoded; transactions that it does not replay count as well.
#[test]
fn the_slots_statistics_count_every_transaction() {
    let pair = mirrored();
    if pair.source.install.major() < 14 {
        return;
    }
    let total = "(SELECT total_txns FROM pg_stat_replication_slots WHERE slot_name LIKE 'courier%')";
    let before: i64 = pair.source.value(DATABASE, &format!("SELECT {total}")).parse().expect("a number");
    pair.source
        .run(DATABASE, "DO $$ BEGIN FOR n IN 1..500 LOOP INSERT INTO a VALUES (n, 'row'); COMMIT; END LOOP; END $$");
    assert_same(&pair);
    pair.source.wait_until(DATABASE, "all are counted", &format!("{total} >= {before} + 500"));
}
