//! Which tables a task follows stands on the destination, where others may write: it is asked, and not believed.

use pg_courier_tests::Pair;
use pg_courier_tests::pair::DATABASE;

use super::followed_pair;
use crate::common::{TASK, assert_mentions};

fn pair_with_a_secret() -> Pair {
    let pair = followed_pair();
    let table = "CREATE SCHEMA secret; CREATE TABLE secret.s (id int PRIMARY KEY, v text)";
    pair.destination.run(DATABASE, table);
    pair.source.run(DATABASE, &format!("{table}; INSERT INTO secret.s VALUES (1, 'x')"));
    pair
}

/// Somebody on the destination says that the task follows a table that its patterns do not name.
fn claim(pair: &Pair, state: &str, name: &str) {
    let oid = pair.source.value(DATABASE, "SELECT 'secret.s'::regclass::oid");
    pair.call(DATABASE, "pause", TASK);
    pair.destination.run(
        DATABASE,
        &format!(
            "INSERT INTO courier_applied.object (task_id, class, oid, schema_name, name, is_table, is_partitioned, state, base, kept) \
             SELECT task_id, class, {oid}, split_part('{name}', '.', 1), split_part('{name}', '.', 2), is_table, is_partitioned, \
               '{state}', '', replace(kept, oid::text, '{oid}') FROM courier_applied.object WHERE is_table AND name = 't'"
        ),
    );
    pair.call(DATABASE, "resume", TASK);
}

fn assert_nothing_was_told(pair: &Pair) {
    for table in ["secret.s", "t"] {
        let told = format!("SELECT count(*) FROM {table} WHERE v IN ('x', 'y')");
        assert_eq!(pair.destination.value(DATABASE, &told), "0", "{table}");
    }
}

#[test]
fn a_destination_does_not_choose_what_is_sent() {
    for name in ["secret.s", "public.t2"] {
        let pair = pair_with_a_secret();
        claim(&pair, "followed", name);
        pair.source.run(DATABASE, "INSERT INTO secret.s VALUES (2, 'y')");
        assert_mentions(&pair.failure(DATABASE, TASK), &["secret.s"]);
        assert_nothing_was_told(&pair);
    }
}

#[test]
fn a_destination_does_not_choose_what_is_copied() {
    let pair = pair_with_a_secret();
    claim(&pair, "entering", "secret.s");
    pair.wait_for_state(DATABASE, TASK, "synchronizing");
    pair.source.run(DATABASE, "INSERT INTO secret.s VALUES (2, 'y'); INSERT INTO t VALUES (100, 'z')");
    pair.caught_up(DATABASE, TASK);
    assert_eq!(pair.destination.value(DATABASE, "SELECT v FROM t WHERE id = 100"), "z");
    assert_nothing_was_told(&pair);
}
