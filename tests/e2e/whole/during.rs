//! Functions and views that change, or whose tables change, while the task begins.

use std::time::Duration;

use pg_courier_tests::pair::DATABASE;
use pg_courier_tests::{Pair, wait};

use super::{assert_alike, assert_answers, create, of_this_major};
use crate::common::TASK;

/// While tables are copied views lose the columns that they read, two columns exchange their names under a view, a function that a trigger
/// calls gets another body, another one goes. A view that was described before would fail over such tables, or read the wrong column.
#[test]
fn code_changes_while_tables_are_copied() {
    let pair = Pair::start();
    pair.source.run(
        DATABASE,
        &of_this_major(
            "CREATE TABLE t (id int PRIMARY KEY, a int, b int, c int); INSERT INTO t SELECT n, n, -n, 0 FROM generate_series(1, 5000) n;
         CREATE TABLE later (id int PRIMARY KEY, a int, b int, c int); INSERT INTO later SELECT n, n, -n, 0 FROM generate_series(1, 100) n;
         CREATE VIEW of_a AS SELECT id, a FROM later; CREATE VIEW of_c AS SELECT c FROM later; CREATE VIEW above AS SELECT a FROM of_a;
         CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.a := 1; RETURN NEW; END';
         CREATE TRIGGER touch BEFORE INSERT ON later FOR EACH ROW EXECUTE FUNCTION touch();
         CREATE FUNCTION total() RETURNS bigint LANGUAGE sql BEGIN ATOMIC SELECT sum(c) FROM later; END;
         CREATE MATERIALIZED VIEW counted AS SELECT count(*), sum(a) FROM later",
        ),
    );
    pair.source.arm("tablesync_before_copy:wait");
    create(&pair, &["public.*"]);
    pair.call(DATABASE, "start", TASK);
    pair.source.wait_at("tablesync_before_copy");
    pair.source.run(
        DATABASE,
        "DROP VIEW of_c; DROP FUNCTION total(); ALTER TABLE later DROP COLUMN c;
         ALTER TABLE later RENAME a TO x; ALTER TABLE later RENAME b TO a; ALTER TABLE later RENAME x TO b;
         CREATE OR REPLACE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.b := 2; RETURN NEW; END';
         CREATE FUNCTION fresh() RETURNS int LANGUAGE sql AS 'SELECT 1'; CREATE VIEW fresh AS SELECT fresh() AS f, id FROM later;
         ALTER TABLE later RENAME TO sooner; INSERT INTO sooner (id, a) VALUES (200, 7); REFRESH MATERIALIZED VIEW counted",
    );
    pair.source.disarm();
    pair.wait_for_state(DATABASE, TASK, "synchronizing");
    pair.caught_up(DATABASE, TASK);
    assert_alike(&pair, "public");
    pair.assert_same(DATABASE, &["public.t", "public.sooner"]);
    assert_answers(&pair, "SELECT sum(a) FROM above");
    assert_answers(&pair, "SELECT count || ' ' || sum FROM counted");
}

/// The supervisor dies when it has told of some of the functions and views, and tells of all of them once more.
#[test]
fn the_supervisor_dies_while_it_tells_of_code() {
    let pair = Pair::start();
    pair.source.run(
        DATABASE,
        "CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1); CREATE VIEW a AS SELECT id FROM t; CREATE VIEW b AS SELECT id FROM a;
         CREATE MATERIALIZED VIEW c AS SELECT id FROM b; CREATE FUNCTION f(b) RETURNS int LANGUAGE sql AS 'SELECT $1.id';
         CREATE AGGREGATE ag(int) (SFUNC = int4pl, STYPE = int); CREATE OPERATOR |> (RIGHTARG = b, FUNCTION = f)",
    );
    pair.source.arm("supervisor_between_code:kill");
    create(&pair, &["public.*"]);
    let kills = pair.source.kills();
    pair.call(DATABASE, "start", TASK);
    let killed = wait::poll(Duration::from_secs(30), || (pair.source.kills() > kills).then_some(()));
    killed.expect("the supervisor comes by");
    pair.source.disarm();
    pair.source.wait_until_accepting();
    pair.wait_for_state(DATABASE, TASK, "synchronizing");
    pair.caught_up(DATABASE, TASK);
    assert_alike(&pair, "public");
    assert_answers(&pair, "SELECT id FROM c");
    let others = "SELECT count(*) FROM courier.ddl WHERE state <> 'applied'";
    assert_eq!(pair.source.value(DATABASE, others), "0");
}
