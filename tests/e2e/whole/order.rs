//! Objects that need each other in every direction are created in an order that exists.

use pg_courier_tests::Pair;
use pg_courier_tests::pair::DATABASE;

use super::{assert_alike, assert_answers, create, of_this_major, start};

/// A check and a default take the whole row, so the function needs the table and the table the function.
#[test]
fn a_table_and_a_function_need_each_other() {
    let pair = Pair::start();
    pair.source.run(
        DATABASE,
        &of_this_major(
            "CREATE TABLE t (id int PRIMARY KEY, a int);
         CREATE FUNCTION is_fine(t) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT $1.a > 0';
         CREATE FUNCTION next() RETURNS int LANGUAGE sql BEGIN ATOMIC SELECT coalesce(max(a), 0) + 1 FROM t; END;
         ALTER TABLE t ADD CONSTRAINT fine CHECK (is_fine(t)); ALTER TABLE t ALTER a SET DEFAULT next();
         INSERT INTO t SELECT g, g FROM generate_series(1, 10) g",
        ),
    );
    create(&pair, &["public.*"]);
    start(&pair);
    assert_alike(&pair, "public");
    pair.source.run(DATABASE, "INSERT INTO t (id) VALUES (11)");
    pair.caught_up(DATABASE, crate::common::TASK);
    assert_eq!(assert_answers(&pair, "SELECT a FROM t WHERE id = 11"), "11");
}

/// A view that gives a column its type comes before the table, with the function that it calls; a function that returns rows of a view
/// comes behind it, and before the view that calls it.
#[test]
fn views_before_tables_and_functions_behind_views() {
    let pair = Pair::start();
    pair.source.run(
        DATABASE,
        &of_this_major(
            "CREATE FUNCTION one() RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT 1';
         CREATE VIEW shape AS SELECT one() AS a, 'x'::text AS b;
         CREATE TABLE t (id int PRIMARY KEY, s shape, ss shape[]); INSERT INTO t VALUES (1, ROW(1, 'y'), ARRAY[ROW(2, 'z')::shape]);
         CREATE VIEW z_first AS SELECT id FROM t;
         CREATE FUNCTION middle() RETURNS SETOF z_first LANGUAGE sql AS 'SELECT 1';
         REVOKE ALL ON FUNCTION middle() FROM PUBLIC;
         CREATE VIEW a_last AS SELECT * FROM middle();
         CREATE FUNCTION of_last(a_last) RETURNS int LANGUAGE sql AS 'SELECT 1';
         CREATE TABLE u (id int PRIMARY KEY, n int); CREATE VIEW of_u AS SELECT id, n FROM u GROUP BY id;
         CREATE FUNCTION of_u_row() RETURNS SETOF of_u LANGUAGE sql AS 'SELECT 1, 1';
         CREATE FUNCTION count_u() RETURNS int LANGUAGE sql BEGIN ATOMIC SELECT count(*)::int FROM of_u_row(); END;
         ALTER TABLE u ALTER n SET DEFAULT count_u()",
        ),
    );
    create(&pair, &["public.*"]);
    start(&pair);
    assert_alike(&pair, "public");
    assert_answers(&pair, "SELECT t::text FROM t");
}
