//! Names that tables get and give away before their copies: a copy has the definition of a later moment than the stream, and a name may be
//! another table's by then.

use pg_courier_tests::pair::DATABASE;
use pg_courier_tests::{Pair, TaskOptions};

use super::equal::assert_equal;
use super::passing::{followed_pair, while_paused};
use crate::common::{TASK, assert_mentions};

/// What a person runs who has made a table anew beside the one that is used.
const EXCHANGE: &str = "BEGIN; ALTER TABLE live RENAME TO old; ALTER INDEX live_pkey RENAME TO old_pkey; ALTER INDEX live_v RENAME TO old_v; \
     ALTER SEQUENCE live_id_seq RENAME TO old_id_seq; ALTER TABLE fresh RENAME TO live; ALTER INDEX fresh_pkey RENAME TO live_pkey; \
     ALTER INDEX fresh_v RENAME TO live_v; ALTER SEQUENCE fresh_id_seq RENAME TO live_id_seq; COMMIT";

const MORE: &str = "INSERT INTO live (v) VALUES ('new'); UPDATE old SET v = 'of the old one' WHERE id % 7 = 0; \
     UPDATE live SET w = 5 WHERE id < 10; DELETE FROM live WHERE id = 11";

fn exchanging_pair() -> Pair {
    let pair = Pair::builder().source_conf("courier.max_sync_workers_per_task", "1").start();
    pair.source.run(
        DATABASE,
        "CREATE TABLE live (id serial PRIMARY KEY, v text); INSERT INTO live (v) SELECT 'live ' || g FROM generate_series(1, 5000) g; \
         CREATE INDEX live_v ON live (v); CREATE STATISTICS live_both ON id, v FROM live; \
         CREATE TABLE fresh (id serial PRIMARY KEY, v text, w int DEFAULT 1); CREATE INDEX fresh_v ON fresh (v); \
         INSERT INTO fresh (v) SELECT 'fresh ' || g FROM generate_series(1, 500) g; \
         CREATE TABLE child (id int PRIMARY KEY, live_id int REFERENCES live); INSERT INTO child SELECT g, g FROM generate_series(1, 90) g",
    );
    pair
}

/// One was copied before the exchange, and the other one has its name when its turn comes; and the other way round.
#[test]
fn names_are_exchanged_between_two_copies() {
    for point in ["tablesync_before_copy", "tablesync_after_table"] {
        let pair = exchanging_pair();
        pair.source.arm(&format!("{point}:wait"));
        let options = TaskOptions { ddl: Some("replicate"), ..TaskOptions::default() };
        pair.start_task_with(DATABASE, TASK, &["public.*"], &options);
        pair.source.wait_at(point);
        pair.source.run(DATABASE, EXCHANGE);
        pair.source.run(DATABASE, MORE);
        pair.source
            .run(DATABASE, "CREATE TABLE fresh (id int PRIMARY KEY, other int); INSERT INTO fresh VALUES (1, 2)");
        pair.source.disarm();
        pair.wait_for_state(DATABASE, TASK, "synchronizing");
        assert_equal(&pair);
    }
}

/// The stream meets the names one after the other, when the copy has the last ones.
#[test]
fn a_name_that_was_another_tables_before_the_copy_is_not_mistaken() {
    let pair = followed_pair();
    while_paused(
        &pair,
        &[
            "ALTER TABLE x.e SET SCHEMA public; ALTER TABLE e RENAME TO e0",
            "CREATE TABLE e1 (id int PRIMARY KEY, v text); INSERT INTO e1 VALUES (1000, 'of the short-lived one')",
            "DROP TABLE e1; ALTER TABLE e0 RENAME TO e1",
        ],
    );
    assert_equal(&pair);
    pair.source
        .run(DATABASE, "UPDATE e1 SET v = 'y'; ALTER TABLE e1 RENAME TO e2; INSERT INTO e2 VALUES (1001, 'last')");
    assert_equal(&pair);
}

/// All that has a name of its own goes along: key, indexes, sequences; also under a name that is nobody's of the task, and through a schema
/// with another name.
#[test]
fn names_go_round_before_a_copy() {
    let pair = followed_pair();
    pair.source.run(
        DATABASE,
        "CREATE TABLE x.s (id serial PRIMARY KEY, n int GENERATED ALWAYS AS IDENTITY, v text); CREATE INDEX s_v ON x.s (v); \
         INSERT INTO x.s (v) SELECT 'x' FROM generate_series(1, 100)",
    );
    while_paused(
        &pair,
        &[
            "ALTER TABLE x.s SET SCHEMA public; INSERT INTO s (v) VALUES ('y')",
            "ALTER TABLE t RENAME TO t0; ALTER INDEX t_pkey RENAME TO t0_pkey; ALTER TABLE s RENAME TO t; \
             ALTER INDEX s_pkey RENAME TO t_pkey; ALTER SEQUENCE s_id_seq RENAME TO t_id_seq; ALTER SEQUENCE s_n_seq RENAME TO t_n_seq; \
             INSERT INTO t (v) VALUES ('z'); INSERT INTO t0 VALUES (1000, 'z')",
            "CREATE TABLE s (id serial PRIMARY KEY); CREATE INDEX s_v2 ON s (id); INSERT INTO s DEFAULT VALUES; ALTER TABLE t ADD t0_id int REFERENCES t0",
            "CREATE SCHEMA z; ALTER TABLE t SET SCHEMA z; CREATE TABLE t (id serial PRIMARY KEY); INSERT INTO t DEFAULT VALUES; DROP TABLE t",
            "ALTER SCHEMA z RENAME TO y; UPDATE y.t SET v = 'far away' WHERE id < 10; ALTER TABLE y.t SET SCHEMA public; DROP SCHEMA y",
            "CREATE INDEX t_id_n ON t (id, n); ALTER TABLE o ADD far int REFERENCES t; UPDATE o SET far = id",
        ],
    );
    assert_equal(&pair);
    pair.source.run(
        DATABASE,
        "DROP INDEX t_id_n; ALTER INDEX s_v RENAME TO t_v; ALTER TABLE t RENAME TO t1; INSERT INTO t1 (v) VALUES ('last'); ALTER TABLE o DROP far",
    );
    assert_equal(&pair);
}

/// The copy of `w` has the index, which is called as one of `m` was that has left by then: on its way `w` goes where that one is.
#[test]
fn an_index_that_comes_later_is_in_nobodys_way() {
    let pair = followed_pair();
    pair.source.run(
        DATABASE,
        "CREATE TABLE m (id int PRIMARY KEY, ref int); CREATE INDEX ON m (ref); \
         ALTER TABLE m ADD UNIQUE (ref); ALTER TABLE m ADD s serial; CREATE TABLE x.w (id int PRIMARY KEY, ref int); \
         INSERT INTO x.w SELECT g, g FROM generate_series(1, 100) g",
    );
    pair.caught_up(DATABASE, TASK);
    while_paused(
        &pair,
        &[
            "ALTER TABLE m SET SCHEMA x",
            "ALTER TABLE x.w SET SCHEMA public; UPDATE w SET ref = ref + 1",
            "ALTER TABLE w SET SCHEMA x; ALTER TABLE x.w SET SCHEMA public",
            "DROP TABLE x.m",
            "ALTER TABLE w RENAME TO m; CREATE INDEX ON m (ref); ALTER TABLE m ADD UNIQUE (ref); ALTER TABLE m ADD s serial",
            "CREATE STATISTICS m_both ON id, ref FROM m; ALTER TABLE m ADD n int GENERATED ALWAYS AS IDENTITY",
        ],
    );
    assert_equal(&pair);
}

/// It is `t` there on its way from `x.t` to `u`, or not at all: another table is called `t` by then.
#[test]
fn a_table_that_comes_back_takes_no_name_of_others_on_its_way() {
    let pair = followed_pair();
    pair.source.run(DATABASE, "ALTER TABLE k SET SCHEMA x");
    pair.source.run(DATABASE, "ALTER TABLE x.k RENAME TO u; INSERT INTO x.u VALUES (100, 1)");
    pair.source.run(DATABASE, "CREATE TABLE k (id int, v text); INSERT INTO k VALUES (1, 'another one')");
    pair.caught_up(DATABASE, TASK);
    pair.source.run(DATABASE, "ALTER TABLE x.u SET SCHEMA public");
    pair.wait_for_state(DATABASE, TASK, "synchronizing");
    assert_equal(&pair);
}

/// The destination has a table of its own under the new name: that is no sign that the command has been applied.
#[test]
fn a_name_that_somebody_else_has_there_is_not_taken_for_the_tables() {
    let pair = followed_pair();
    pair.destination.run(DATABASE, "CREATE TABLE u (id int PRIMARY KEY, t_id int)");
    pair.source.run(DATABASE, "ALTER TABLE k RENAME TO u; INSERT INTO u VALUES (100, 1)");
    assert_mentions(&pair.failure(DATABASE, TASK), &["relation \"u\" already exists"]);
    assert_eq!(pair.destination.value(DATABASE, "SELECT count(*) FROM u"), "0");
    pair.destination.run(DATABASE, "DROP TABLE u");
    pair.call(DATABASE, "resume", TASK);
    assert_equal(&pair);
}

/// Extended statistics stay in their schema when their table leaves it.
#[test]
fn statistics_of_another_table_are_not_taken_for_those_of_this_one() {
    let pair = followed_pair();
    pair.source.run(DATABASE, "CREATE STATISTICS two ON id, t_id FROM k; CREATE STATISTICS later ON id, v FROM t");
    pair.source.run(DATABASE, "ALTER TABLE k SET SCHEMA x");
    pair.caught_up(DATABASE, TASK);
    pair.source.run(DATABASE, "DROP STATISTICS two; ALTER STATISTICS later RENAME TO two");
    assert_mentions(&pair.failure(DATABASE, TASK), &["statistics object \"two\" already exists"]);
    pair.destination.run(DATABASE, "DROP STATISTICS two");
    pair.call(DATABASE, "resume", TASK);
    assert_equal(&pair);
}

/// What it is there is nobody's: nothing of it changes, and nothing of it is in the way of those that get its names.
#[test]
fn a_table_that_has_left_gives_way() {
    let pair = followed_pair();
    pair.source.run(
        DATABASE,
        "CREATE SCHEMA archive; CREATE TABLE m (id serial PRIMARY KEY, ref int, n int GENERATED BY DEFAULT AS IDENTITY); \
         CREATE INDEX ON m (ref); CREATE STATISTICS m_two ON id, ref FROM m; INSERT INTO m (ref) SELECT generate_series(1, 10)",
    );
    pair.caught_up(DATABASE, TASK);
    for round in 1..=3 {
        pair.source.run(DATABASE, "ALTER TABLE m SET SCHEMA archive; ALTER STATISTICS m_two SET SCHEMA archive");
        if round == 2 {
            pair.caught_up(DATABASE, TASK);
        }
        pair.source.run(
            DATABASE,
            "DROP TABLE archive.m; CREATE TABLE m (id serial PRIMARY KEY, ref int, n int GENERATED BY DEFAULT AS IDENTITY); \
             CREATE INDEX ON m (ref); CREATE STATISTICS m_two ON id, ref FROM m; INSERT INTO m (ref) SELECT generate_series(1, 10)",
        );
        assert_equal(&pair);
    }
    let left = "SELECT count(*) FROM pg_class WHERE relnamespace = 'archive'::regnamespace AND relkind = 'r'";
    assert_eq!(pair.destination.value(DATABASE, left), "3");
}

/// The task stops at the index; what a person runs in place of the command finds the name free as well.
#[test]
fn a_table_that_has_left_gives_way_to_what_a_person_runs() {
    let pair = followed_pair();
    let oid = pair.source.value(DATABASE, "SELECT 'k'::regclass::oid");
    pair.source.run(DATABASE, "ALTER TABLE k RENAME TO z; ALTER TABLE z SET SCHEMA x");
    pair.caught_up(DATABASE, TASK);
    pair.destination.run(DATABASE, "CREATE TABLE x.zi (a int)");
    pair.source.run(
        DATABASE,
        "DROP TABLE x.z; CREATE TABLE z (id int PRIMARY KEY); CREATE INDEX zi ON z (id); INSERT INTO z VALUES (1)",
    );
    pair.source.run(DATABASE, "ALTER TABLE z SET SCHEMA x");
    assert_mentions(&pair.failure(DATABASE, TASK), &["relation \"zi\" already exists"]);
    let replace = format!(
        "SELECT courier.ddl_replace('{TASK}', id, 'DO $$BEGIN ALTER INDEX public.zi RENAME TO zj; ALTER TABLE public.z SET SCHEMA x; END$$') \
         FROM courier.ddl WHERE state = 'failed'"
    );
    pair.source.run(DATABASE, &replace);
    pair.call(DATABASE, "resume", TASK);
    pair.source.run(DATABASE, "INSERT INTO t VALUES (100, 'after')");
    assert_equal(&pair);
    let rows = format!("SELECT (SELECT count(*) FROM x.z) || ' ' || (SELECT count(*) FROM x.z_left_{oid})");
    assert_eq!(pair.destination.value(DATABASE, &rows), "1 20");
}
