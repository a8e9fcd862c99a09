//! Bodies that name things without their schema: where the task's sessions look for them.

use pg_courier_tests::pair::DATABASE;
use pg_courier_tests::{Pair, TaskOptions};

use super::{assert_alike, assert_answers, close_public, create, start};
use crate::common::{TASK, assert_mentions, findings, is_ok};

/// Whatever calls a function when a row is written or a part of a table is built.
const TABLES: &str = "
    CREATE SCHEMA app; ALTER DATABASE shop SET search_path = app, public; SET search_path = app, public;
    CREATE TABLE public.rule (n int PRIMARY KEY); INSERT INTO rule VALUES (1000);
    CREATE FUNCTION low(int) RETURNS boolean LANGUAGE plpgsql STABLE AS 'BEGIN RETURN $1 < (SELECT max(n) FROM rule); END';
    CREATE FUNCTION public.one() RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT 1';
    CREATE FUNCTION plus_one(int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN $1 + one(); END';
    CREATE FUNCTION twice(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT plus_one($1) - one() + $1';
    CREATE DOMAIN small AS int CHECK (low(VALUE));
    CREATE TABLE t (id int PRIMARY KEY, k small CHECK (low(k)), g int GENERATED ALWAYS AS (plus_one(id)) STORED, what regclass);
    INSERT INTO t (id, k, what) SELECT g, g, 'public.rule' FROM generate_series(1, 100) g";

/// From 17 on no index is built that calls such a function.
fn builds_indexes(pair: &Pair) -> bool {
    pair.source.install.major().max(pair.destination.install.major()) < 17
}

#[track_caller]
fn assert_verified(pair: &Pair, tables: &str) {
    let verified = format!("SELECT count(*) FROM courier.verify('{TASK}') WHERE identical");
    assert_eq!(pair.source.value(DATABASE, &verified), tables);
}

/// They run as in sessions of the source: copy, stream, commands, indexes that are built later and comparing.
#[test]
fn functions_find_what_they_name() {
    let pair = Pair::start();
    pair.source.run(DATABASE, TABLES);
    close_public(&pair);
    let (first, second) = match builds_indexes(&pair) {
        true => ("CREATE INDEX t_k ON app.t (app.twice(k))", "CREATE INDEX t_id ON app.t (app.twice(id))"),
        false => ("SELECT", "SELECT"),
    };
    pair.source.run(DATABASE, first);
    create(&pair, &["public.*", "app.*"]);
    assert!(is_ok(&pair, "search_path"));
    start(&pair);
    pair.source.run(
        DATABASE,
        "UPDATE app.t SET k = 5 WHERE id = 7; INSERT INTO app.t VALUES (101, 1, DEFAULT, 'app.t');
         ALTER TABLE app.t ADD COLUMN h int GENERATED ALWAYS AS (app.twice(k)) STORED, ADD CHECK (app.low(id))",
    );
    pair.source.run(DATABASE, second);
    pair.source.run(DATABASE, "UPDATE app.t SET k = 6 WHERE id < 10; DELETE FROM app.t WHERE id = 50");
    pair.caught_up(DATABASE, TASK);
    let done = "NOT EXISTS (SELECT FROM courier.ddl WHERE state NOT IN ('applied', 'filtered'))";
    pair.source.wait_until(DATABASE, "the indexes are built", done);
    assert_alike(&pair, "(app|public)");
    // What the others say of the database does not travel, and no session of the task has needed it.
    pair.destination.run(DATABASE, "ALTER DATABASE shop SET search_path = app, public");
    pair.assert_mirrored(TASK, &["public.rule"]);
    assert_answers(&pair, "SELECT md5(string_agg(t::text, ',' ORDER BY id)), count(*) FROM app.t");
    assert_verified(&pair, "2");
}

/// The tables are there already: whether they are empty is asked where the planner finds what functions of their indexes name.
#[test]
fn tables_that_are_there_are_looked_into() {
    let pair = Pair::start();
    if !builds_indexes(&pair) {
        return;
    }
    close_public(&pair);
    let index = "CREATE INDEX t_k ON app.t (app.twice(k))";
    pair.source.run(DATABASE, &format!("{TABLES}; {index}"));
    pair.destination.run(
        DATABASE,
        &format!(
            "{TABLES}; {index}; TRUNCATE t, rule; \
             GRANT ALL ON SCHEMA app TO courier; GRANT ALL ON t, rule TO courier"
        ),
    );
    let options = TaskOptions { schema_sync: Some(false), ..TaskOptions::default() };
    pair.create_task(DATABASE, TASK, &["public.*", "app.*"], &options);
    assert!(is_ok(&pair, "destination_not_empty") && is_ok(&pair, "destination_search_path"));
    start(&pair);
    pair.source.run(DATABASE, "UPDATE app.t SET k = 5 WHERE id = 7");
    pair.caught_up(DATABASE, TASK);
    assert_verified(&pair, "2");
}

/// What a role may put into a schema would run with the rights of the task's user. So that schema is not looked into, and what does not
/// find its names then is known before anything starts: of a body in SQL for certain.
#[test]
fn a_schema_in_which_others_may_create() {
    let pair = Pair::start();
    close_public(&pair);
    pair.source.run(
        DATABASE,
        "CREATE FUNCTION one() RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT 1';
         CREATE FUNCTION plus_one(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $1 + one()';
         CREATE FUNCTION fine(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $1 + pg_catalog.abs(1) + public.one()';
         CREATE FUNCTION unknown(int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN $1; END';
         CREATE TABLE t (id int PRIMARY KEY, k int CHECK (unknown(k) > 0), CHECK (fine(k) > 0), CHECK (plus_one(k) > 0));
         INSERT INTO t SELECT g, g FROM generate_series(1, 5) g",
    );
    pair.destination.run(
        DATABASE,
        "CREATE ROLE mallory; GRANT CREATE ON SCHEMA public TO mallory; SET ROLE mallory;
         CREATE FUNCTION public.one(VARIADIC int[]) RETURNS int LANGUAGE sql AS 'SELECT 666'",
    );
    create(&pair, &["public.*"]);
    let complaints = [
        "failed | public.plus_one(integer) | constraint t_k_check2 of public.t calls it. It has no SET search_path: it does not find",
        "function one() does not exist",
        "schema public there, since mallory could",
        "ALTER FUNCTION public.plus_one(integer) SET search_path = public, pg_temp;",
        "warning | public.unknown(integer)",
    ];
    let assert_complains = || {
        let found = findings(&pair, "search_path");
        assert_mentions(&found, &complaints);
        assert_eq!(found.lines().count(), 2, "{found}");
    };
    assert_complains();
    let answer = pair.source.refuses(DATABASE, &format!("SELECT courier.start('{TASK}')"));
    assert_mentions(&answer.to_string(), &["search_path", "plus_one"]);
    // What she has put there stays hers.
    pair.destination.run(DATABASE, "REVOKE CREATE ON SCHEMA public FROM mallory");
    assert_complains();
    let fix = format!("SELECT fix FROM courier.precheck('{TASK}') WHERE item = 'search_path' AND status = 'failed'");
    let fix = pair.source.value(DATABASE, &fix);
    pair.source.run(DATABASE, &fix);
    start(&pair);
    pair.source.run(DATABASE, "UPDATE t SET k = 7 WHERE id = 1");
    pair.assert_mirrored(TASK, &["public.t"]);
    pair.destination.run(DATABASE, "DROP FUNCTION public.one(VARIADIC int[])");
    assert_alike(&pair, "public");
}
