//! Commands beside the locks of other sessions. Recording a command waits for nobody whom the command itself does not wait for: it would slow
//! users down, and die in deadlocks with them. What cannot be read so is told when the lock is gone.

use pg_courier_tests::Pair;
use pg_courier_tests::pair::DATABASE;
use postgres::Client;

use super::equal::assert_equal;
use super::{create_tables, follow};
use crate::common::{TASK, assert_mentions};

/// `o` refers to `t`; `a` has the children `b` and `c`. The server shows their indexes and expressions under a lock only.
fn followed_family() -> Pair {
    let pair = Pair::start();
    for cluster in [&pair.source, &pair.destination] {
        cluster.run("postgres", "CREATE ROLE r1");
    }
    create_tables(&pair);
    pair.source.run(
        DATABASE,
        "CREATE INDEX ON t (v); CREATE TABLE a (id int PRIMARY KEY, v text DEFAULT 'x', g text GENERATED ALWAYS AS (v || '?') STORED); \
         CREATE TABLE b (PRIMARY KEY (id)) INHERITS (a); CREATE TABLE c (PRIMARY KEY (id)) INHERITS (a); \
         INSERT INTO b SELECT g FROM generate_series(1, 20) g; INSERT INTO c SELECT g FROM generate_series(1, 20) g",
    );
    follow(&pair);
    pair
}

/// Until `COMMIT` nobody else even looks at it.
fn hold(pair: &Pair, table: &str) -> Client {
    let mut holder = pair.source.connect(DATABASE);
    holder.batch_execute(&format!("BEGIN; LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE")).expect("lock");
    holder
}

/// Whoever waits for the holder fails.
fn run(pair: &Pair, commands: &str) {
    pair.source.run(DATABASE, &format!("SET statement_timeout = '10s'; {commands}"));
}

/// The lock goes; what was left for later is told within seconds.
fn is_told_later(pair: &Pair, mut holder: Client) {
    holder.batch_execute("COMMIT").expect("its end");
    let told = "(SELECT count(*) > 0 FROM courier.ddl WHERE tag = 'SWEEP' AND state = 'applied')";
    pair.source.wait_until(DATABASE, "it is told", told);
    assert_equal(pair);
}

#[test]
fn a_grant_waits_for_nobody_and_is_told_later() {
    let pair = followed_family();
    let holder = hold(&pair, "t");
    run(&pair, "GRANT INSERT ON t TO r1; GRANT SELECT ON t TO r1; REVOKE INSERT ON t FROM r1");
    pair.caught_up(DATABASE, TASK);
    let told = "SELECT string_agg(DISTINCT state || ': ' || error, '') FROM courier.ddl WHERE tag = 'REVOKE'";
    assert_mentions(&pair.source.value(DATABASE, told), &["filtered", "lock", "next sweep"]);
    is_told_later(&pair, holder);
}

#[test]
fn a_command_on_a_view_waits_for_none_of_its_tables() {
    let pair = followed_family();
    pair.source.run(DATABASE, "CREATE VIEW w AS SELECT t.id, o.n FROM t JOIN o ON o.t_id = t.id");
    let holder = hold(&pair, "o");
    run(&pair, "COMMENT ON VIEW w IS 'read'; ALTER VIEW w RENAME TO w2");
    is_told_later(&pair, holder);
}

/// Before anybody tells that they have other names.
#[test]
fn names_that_were_given_up_without_a_word_are_free() {
    let pair = followed_family();
    pair.source.run(
        DATABASE,
        "CREATE VIEW w AS SELECT n FROM o; CREATE VIEW v AS SELECT n, id FROM o; \
         CREATE FUNCTION f(a int) RETURNS int LANGUAGE sql BEGIN ATOMIC SELECT n FROM o LIMIT 1; END",
    );
    let holder = hold(&pair, "o");
    run(
        &pair,
        "SET lock_timeout = '5s'; ALTER VIEW w RENAME TO w2; ALTER VIEW v RENAME TO w; ALTER FUNCTION f(int) RENAME TO g; \
         CREATE FUNCTION f(a int) RETURNS int LANGUAGE sql AS 'SELECT 5'; CREATE VIEW v AS SELECT id FROM t",
    );
    pair.caught_up(DATABASE, TASK);
    is_told_later(&pair, holder);
}

/// Of what it needs nothing is read but the name.
#[test]
fn a_view_of_a_view_waits_for_no_table() {
    let pair = followed_family();
    pair.source.run(DATABASE, "CREATE VIEW w AS SELECT n FROM o");
    let mut holder = hold(&pair, "o");
    run(&pair, "CREATE VIEW w2 AS SELECT n FROM w; CREATE OR REPLACE VIEW w2 AS SELECT n, n AS m FROM w");
    holder.batch_execute("COMMIT").expect("its end");
    assert_equal(&pair);
}

/// Not for those that are named together with it.
#[test]
fn a_rename_waits_for_no_other_table() {
    let pair = followed_family();
    pair.source.run(DATABASE, "CREATE VIEW w AS SELECT t.id, o.n FROM t JOIN o ON o.t_id = t.id");
    let holder = hold(&pair, "o");
    run(&pair, "ALTER TABLE t RENAME TO t2; INSERT INTO t2 (id) VALUES (100)");
    is_told_later(&pair, holder);
}

/// Its rows are written anew under images of the tables that it has locked, and no others of the family.
#[test]
fn a_table_that_is_written_anew_waits_for_no_sibling() {
    let pair = followed_family();
    let mut holder = hold(&pair, "c");
    run(&pair, "ALTER TABLE b ADD r float8 DEFAULT random(); INSERT INTO b (id) VALUES (100)");
    pair.caught_up(DATABASE, TASK);
    assert_eq!(pair.destination.value(DATABASE, "SELECT count(r) FROM b"), "21");
    holder.batch_execute("COMMIT").expect("its end");
    pair.source.run(DATABASE, "ALTER TABLE a ADD s float8 DEFAULT random(); INSERT INTO c (id) VALUES (100)");
    assert_equal(&pair);
}

#[test]
fn what_concerns_a_parent_alone_waits_for_no_child() {
    let pair = followed_family();
    let mut holder = hold(&pair, "ONLY b, ONLY c");
    run(&pair, "ALTER TABLE a SET (fillfactor = 50); COMMENT ON TABLE a IS 'parent'");
    pair.caught_up(DATABASE, TASK);
    let states = "SELECT string_agg(DISTINCT state, ',') FROM courier.ddl WHERE tag IN ('ALTER TABLE', 'COMMENT')";
    assert_eq!(pair.source.value(DATABASE, states), "applied");
    holder.batch_execute("COMMIT").expect("its end");
    assert_equal(&pair);
}

/// Who has read the family before one of it was dropped, and commits behind that, does not bring it back.
#[test]
fn what_was_dropped_meanwhile_stays_dropped() {
    let pair = followed_family();
    pair.source.run(
        DATABASE,
        "CREATE SEQUENCE q OWNED BY a.v; CREATE TYPE e AS ENUM ('x'); ALTER TABLE b ADD e e; \
         COMMENT ON TYPE e IS 'e'",
    );
    pair.caught_up(DATABASE, TASK);
    let mut older = pair.source.connect(DATABASE);
    older
        .batch_execute(
            "BEGIN; ALTER TABLE a SET (fillfactor = 50); GRANT SELECT ON a, b TO r1; COMMENT ON COLUMN a.v IS 'older'",
        )
        .expect("its commands");
    run(&pair, "DROP SEQUENCE q; DROP TABLE c");
    older.batch_execute("COMMIT").expect("its end");
    assert_equal(&pair);
    let left = "SELECT concat(to_regclass('public.c'), to_regclass('public.q'))";
    assert_eq!(pair.destination.value(DATABASE, left), "");
}
