//! Code that a role without power has written on the source: it must not run with more on the destination.

use std::time::Duration;

use pg_courier_tests::pair::{DATABASE, ROLE};
use pg_courier_tests::{Pair, wait};

use super::equal::{assert_equal, difference_in_rows};
use super::followed_pair;
use crate::common::{TASK, assert_mentions};

const LOW: &str = "low";

fn pair_with_low_role() -> Pair {
    let pair = followed_pair();
    for cluster in [&pair.destination, &pair.source] {
        cluster.run("postgres", "CREATE ROLE low LOGIN");
    }
    pair.source.run(DATABASE, "GRANT CREATE, USAGE ON SCHEMA public TO low");
    pair
}

/// What the low role runs.
fn low(pair: &Pair, sql: &str) {
    pair.source.run(DATABASE, &format!("SET ROLE {LOW}; {sql}"));
}

/// The last command with the tag, as soon as it is in the state.
#[track_caller]
fn command(pair: &Pair, tag: &str, state: &str) -> (String, String) {
    pair.caught_up(DATABASE, TASK);
    let query = format!(
        "SELECT id, error FROM courier.ddl WHERE tag = '{tag}' AND id = (SELECT max(id) FROM courier.ddl WHERE tag = '{tag}') AND state = '{state}'"
    );
    let look = || {
        let rows = pair.source.rows(DATABASE, &query);
        (!rows.is_empty()).then_some(rows)
    };
    let story = || pair.source.describe(DATABASE);
    let rows = wait::until(&format!("{tag} is {state}"), Duration::from_secs(20), look, story);
    let mut values = rows.into_iter().flatten();
    let mut next = || values.next().flatten().unwrap_or_default();
    (next(), next())
}

fn functions(pair: &Pair) -> String {
    let query =
        "SELECT string_agg(proname, ',' ORDER BY proname) FROM pg_proc WHERE pronamespace = 'public'::regnamespace";
    pair.destination.value(DATABASE, query)
}

/// A function of a role that nobody vouches for, and all that would call it: rows arrive, the code does not, until somebody has read it.
#[test]
fn code_of_a_low_role_waits_until_somebody_approves_it() {
    let pair = pair_with_low_role();
    low(
        &pair,
        "CREATE FUNCTION evil(a text) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS $$BEGIN RETURN a <> 'no'; END$$",
    );
    let (id, error) = command(&pair, "CREATE FUNCTION", "held");
    assert_mentions(&error, &["public.evil(text)", "low", &format!("courier.approve_ddl('{TASK}', {id})")]);
    low(&pair, "CREATE TABLE lt (id int PRIMARY KEY, v text CHECK (evil(v)))");
    low(&pair, "CREATE INDEX lti ON lt (evil(v)); INSERT INTO lt VALUES (1, 'x'), (2, 'y')");
    low(&pair, "CREATE VIEW lv AS SELECT v FROM lt WHERE evil(v)");
    low(&pair, "ALTER TABLE lt ADD g boolean GENERATED ALWAYS AS (evil(v)) STORED; INSERT INTO lt VALUES (3, 'z')");
    pair.caught_up(DATABASE, TASK);
    assert_eq!(functions(&pair), "");
    assert_eq!(difference_in_rows(&pair, "public"), None);
    assert_eq!(pair.destination.value(DATABASE, "SELECT concat(to_regclass('lti'), to_regclass('lv'))"), "");
    // The function as it was read.
    pair.source.run(DATABASE, &format!("SELECT courier.approve_ddl('{TASK}', {id})"));
    command(&pair, "APPROVE", "held");
    assert_eq!(functions(&pair), "evil");
    assert_ne!(pair.destination.value(DATABASE, "SELECT to_regclass('lti')"), "");
    assert_eq!(
        pair.destination
            .value(DATABASE, "SELECT count(*) FROM pg_constraint WHERE conrelid = 'lt'::regclass AND contype = 'c'"),
        "1"
    );
    // The view is code as well.
    let (view, _) = command(&pair, "CREATE VIEW", "held");
    pair.source.run(DATABASE, &format!("SELECT courier.approve_ddl('{TASK}', {view})"));
    // What came as a plain column stays one.
    low(&pair, "INSERT INTO lt VALUES (4, 'a'); ALTER TABLE lt ALTER g DROP EXPRESSION");
    assert_equal(&pair);
    let answer = pair.source.refuses(DATABASE, &format!("SELECT courier.approve_ddl('{TASK}', {id})"));
    assert_mentions(&answer.to_string(), &["waits for somebody's approval"]);
}

/// Between reading and approving the author may change it.
#[test]
fn what_is_approved_is_what_was_read() {
    let pair = pair_with_low_role();
    let function =
        |body: &str| format!("CREATE OR REPLACE FUNCTION f() RETURNS text LANGUAGE sql SECURITY DEFINER AS '{body}'");
    low(&pair, &function("select 1::text"));
    let (id, _) = command(&pair, "CREATE FUNCTION", "held");
    low(&pair, &function("select current_user::text"));
    let answer = pair.source.refuses(DATABASE, &format!("SELECT courier.approve_ddl('{TASK}', {id})"));
    assert_mentions(&answer.to_string(), &["has changed since", "nobody has read", "courier.ddl"]);
    let (second, _) = command(&pair, "CREATE FUNCTION", "held");
    pair.source.run(DATABASE, &format!("SELECT courier.approve_ddl('{TASK}', {second})"));
    command(&pair, "APPROVE", "applied");
    assert_equal(&pair);
    // Approved is what it was, whatever the author makes of it, and what does not change it goes on.
    low(&pair, "GRANT EXECUTE ON FUNCTION f() TO low WITH GRANT OPTION; COMMENT ON FUNCTION f() IS 'c'");
    command(&pair, "COMMENT", "applied");
    low(&pair, &function("select 3::text"));
    command(&pair, "CREATE FUNCTION", "held");
    assert_eq!(pair.destination.value(DATABASE, "SELECT f()"), ROLE);
    low(&pair, "DROP FUNCTION f()");
    command(&pair, "DROP FUNCTION", "applied");
    assert_equal(&pair);
}

/// Options say with whose rights a view reads, and what it lets through.
#[test]
fn options_of_an_approved_view_are_approved_with_it() {
    let pair = pair_with_low_role();
    low(&pair, "CREATE VIEW safe WITH (security_barrier) AS SELECT 1 AS a");
    let (id, _) = command(&pair, "CREATE VIEW", "held");
    pair.source.run(DATABASE, &format!("SELECT courier.approve_ddl('{TASK}', {id})"));
    command(&pair, "APPROVE", "applied");
    low(&pair, "COMMENT ON VIEW safe IS 'as before'");
    command(&pair, "COMMENT", "applied");
    low(&pair, "ALTER VIEW safe RESET (security_barrier)");
    command(&pair, "ALTER VIEW", "held");
    let options = "SELECT reloptions FROM pg_class WHERE relname = 'safe'";
    assert_eq!(pair.destination.value(DATABASE, options), "{security_barrier=true}");
}

/// A view reads with the rights of its owner, which there is the user of the task: it would show what its author may not see here.
#[test]
fn a_view_of_a_low_role_shows_nothing() {
    let pair = pair_with_low_role();
    low(&pair, "CREATE VIEW spy AS SELECT * FROM t; GRANT SELECT ON spy TO low");
    let (_, error) = command(&pair, "GRANT", "held");
    assert_mentions(&error, &["public.spy", "low"]);
    assert_eq!(pair.destination.value(DATABASE, "SELECT to_regclass('spy')"), "");
    low(&pair, "CREATE TABLE mine (id int PRIMARY KEY); CREATE RULE r AS ON INSERT TO mine DO ALSO DELETE FROM t");
    let (_, error) = command(&pair, "CREATE RULE", "held");
    assert_mentions(&error, &["rules of public.mine", "low"]);
    assert_eq!(pair.destination.value(DATABASE, "SELECT count(*) FROM pg_rules WHERE tablename = 'mine'"), "0");
    // Only that of the author goes there; and what is dropped here is not looked for there.
    low(&pair, "DROP VIEW spy; DROP TABLE mine");
    assert_equal(&pair);
}

#[test]
fn a_role_that_is_trusted_gets_what_it_wrote_before_and_after() {
    let pair = pair_with_low_role();
    low(&pair, "CREATE FUNCTION f(a int) RETURNS int LANGUAGE sql IMMUTABLE AS 'select 1'");
    low(&pair, "CREATE VIEW lv AS SELECT f(1); CREATE VIEW lw AS SELECT * FROM lv");
    command(&pair, "CREATE VIEW", "held");
    let trust = format!("SELECT courier.trust_role('{TASK}', '{LOW}')");
    let answer = pair.source.refuses(DATABASE, &format!("SELECT courier.trust_role('{TASK}', 'nobody')"));
    assert_mentions(&answer.to_string(), &["does not exist"]);
    pair.source.run(DATABASE, &trust);
    pair.wait_for_state(DATABASE, TASK, "synchronizing");
    low(&pair, "CREATE FUNCTION g() RETURNS int LANGUAGE sql AS 'select 2'");
    command(&pair, "CREATE FUNCTION", "applied");
    assert_equal(&pair);
    assert_eq!(pair.source.value(DATABASE, "SELECT count(*) FROM courier.ddl WHERE state = 'held'"), "0");
    pair.source.run(DATABASE, &format!("SELECT courier.distrust_role('{TASK}', '{LOW}')"));
    low(&pair, "CREATE OR REPLACE FUNCTION g() RETURNS int LANGUAGE sql AS 'select 3'");
    command(&pair, "CREATE FUNCTION", "held");
    assert_eq!(pair.destination.value(DATABASE, "SELECT g()"), "2");
}

/// Rights that the user of the task has not, or, where that is a superuser (before 15), what somebody there forbids: rows go on.
#[test]
fn what_the_destination_does_not_take_is_left_out_and_said() {
    let pair = followed_pair();
    let reason = if pair.destination.install.major() < 15 {
        pair.destination.run(
            DATABASE,
            "CREATE SCHEMA rules; CREATE FUNCTION rules.no() RETURNS event_trigger LANGUAGE plpgsql AS $$BEGIN RAISE 'not here'; END$$; \
             CREATE EVENT TRIGGER no ON ddl_command_start WHEN TAG IN ('CREATE FUNCTION') EXECUTE FUNCTION rules.no(); \
             ALTER EVENT TRIGGER no ENABLE ALWAYS",
        );
        "not here"
    } else {
        "permission denied for language internal"
    };
    pair.source.run(
        DATABASE,
        "CREATE FUNCTION c_f() RETURNS int LANGUAGE internal AS 'pg_backend_pid'; \
         CREATE VIEW cv AS SELECT c_f() AS pid; COMMENT ON FUNCTION c_f() IS 'c'; COMMENT ON VIEW cv IS 'v'; INSERT INTO t VALUES (100, 'x')",
    );
    let (_, error) = command(&pair, "CREATE FUNCTION", "held");
    assert_mentions(&error, &["did not take", "public.c_f()", reason]);
    command(&pair, "CREATE VIEW", "held");
    assert_eq!(difference_in_rows(&pair, "public"), None);
    // A name that something else has there.
    pair.destination.run(DATABASE, &format!("SET ROLE {ROLE}; CREATE VIEW taken AS SELECT 1 AS a"));
    pair.source.run(DATABASE, "CREATE VIEW taken AS SELECT 'x'::text AS b; INSERT INTO t VALUES (101, 'x')");
    let (_, error) = command(&pair, "CREATE VIEW", "held");
    assert_mentions(&error, &["did not take", "public.taken"]);
    pair.destination.run(DATABASE, "DROP VIEW taken");
    pair.source.run(DATABASE, "COMMENT ON VIEW taken IS 'again'");
    command(&pair, "COMMENT", "applied");
    pair.source.run(DATABASE, "DROP VIEW cv; DROP FUNCTION c_f()");
    assert_equal(&pair);
}
