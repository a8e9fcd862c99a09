//! What databases of others have in them: rows that their own keys refuse, values that name objects, sequences that nobody owns.

use pg_courier_tests::pair::DATABASE;
use pg_courier_tests::{Pair, TaskOptions};

use super::{assert_alike, assert_answers, create, fixes, start};
use crate::common::{TASK, assert_mentions, findings};

/// A bulk load as replica left rows without a partner, behind a key that is valid. It is there NOT VALID, enforced for what comes, and an
/// event has the statement that looks at the rows once they are corrected. Sequences that only applications call follow with their values.
#[test]
fn what_old_databases_hold() {
    let pair = Pair::start();
    pair.source.run(
        DATABASE,
        "CREATE TABLE p (id int PRIMARY KEY); CREATE TABLE c (id int PRIMARY KEY, p int REFERENCES p); INSERT INTO p VALUES (1); \
         CREATE SEQUENCE app_seq START 1000; SELECT nextval('app_seq'); CREATE SCHEMA other; CREATE SEQUENCE other.lonely; \
         SELECT nextval('other.lonely'); SET session_replication_role = replica; INSERT INTO c VALUES (1, 1), (2, 99)",
    );
    create(&pair, &["*.*"]);
    start(&pair);
    pair.source.run(DATABASE, "INSERT INTO p VALUES (2); INSERT INTO c VALUES (3, 2); SELECT nextval('app_seq')");
    pair.caught_up(DATABASE, TASK);
    let sequences = "SELECT (SELECT last_value FROM app_seq), (SELECT last_value FROM other.lonely)";
    assert_answers(&pair, sequences);
    let told = pair.source.value(DATABASE, "SELECT message || ' ' || detail FROM courier.events WHERE kind = 'error'");
    assert_mentions(&told, &["foreign key c_p_fkey on public.c is NOT VALID on the destination", "(p)=(99)"]);
    pair.destination.refuses(DATABASE, "INSERT INTO c VALUES (4, 98)");
    pair.source.run(DATABASE, "DELETE FROM c WHERE id = 2");
    pair.caught_up(DATABASE, TASK);
    let validate = told.split_once("both sides: ").expect("a statement").1;
    pair.destination.psql_ok(DATABASE, validate);
    assert_alike(&pair, "public");
}

/// The schema was put there by somebody, sequences of nobody with it: their values follow all the same.
#[test]
fn sequences_that_were_there() {
    let pair = Pair::start();
    let schema = "CREATE SEQUENCE app_seq START 1000; CREATE TABLE t (id bigint PRIMARY KEY);";
    pair.source.run(
        DATABASE,
        &format!("{schema} SELECT nextval('app_seq') FROM generate_series(1, 50); INSERT INTO t VALUES (1)"),
    );
    pair.destination.run(DATABASE, &format!("SET ROLE courier; {schema}"));
    let options = TaskOptions { schema_sync: Some(false), ..TaskOptions::default() };
    pair.create_task(DATABASE, TASK, &["public.*"], &options);
    assert!(findings(&pair, "loose_sequences").starts_with("ok"));
    start(&pair);
    pair.source.run(DATABASE, "SELECT nextval('app_seq'); INSERT INTO t VALUES (2)");
    pair.caught_up(DATABASE, TASK);
    assert_eq!(assert_answers(&pair, "SELECT last_value FROM app_seq"), "1050");
}

/// Values that name functions, tables and types of the task arrive; one that names a view, which comes behind the rows, is found before the
/// start. The statement that is printed makes the view, and the task takes it for its own.
#[test]
fn values_that_name_objects() {
    let pair = Pair::start();
    pair.source.run(
        DATABASE,
        "CREATE FUNCTION f(int) RETURNS int LANGUAGE sql AS 'SELECT $1'; CREATE TABLE other (id int PRIMARY KEY);
         CREATE VIEW v AS SELECT 1 AS a; CREATE VIEW reads AS SELECT * FROM other;
         CREATE TABLE t (id int PRIMARY KEY, p regproc, pp regprocedure, c regclass, y regtype, r regclass);
         INSERT INTO t VALUES (1, 'f', 'f(int)', 'other', 'other', NULL), (2, 'now', 'now()', 'pg_class', 'int', 't'), (3, NULL, NULL, 'v', 'v[]', 'reads')",
    );
    create(&pair, &["public.*"]);
    let details = findings(&pair, "reg_columns");
    for column in [
        "c, of type regclass, names view public.v",
        "y, of type regtype, names view public.v",
        "r, of type regclass, names view public.reads",
    ] {
        assert!(details.contains(column), "{column}: {details}");
    }
    assert_eq!(details.matches("A value of column").count(), 3, "{details}");
    for fix in fixes(&pair, "reg_columns") {
        let server = if fix.contains("on the destination") { &pair.destination } else { &pair.source };
        server.psql_ok(DATABASE, &fix);
    }
    start(&pair);
    pair.source.run(DATABASE, "INSERT INTO t VALUES (4, 'f', NULL, 't', 't', 'other')");
    pair.caught_up(DATABASE, TASK);
    assert_answers(&pair, "SELECT string_agg(t::text, ',' ORDER BY id) FROM t");
    // From 16 on columns of the only table are named without it.
    let columns = "replace(pg_get_viewdef('reads'::regclass), 'other.', '')";
    assert_answers(&pair, &format!("SELECT pg_get_viewdef('v'::regclass) || {columns}"));
}
