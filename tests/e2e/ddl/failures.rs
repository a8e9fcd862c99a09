//! Commands that the destination does not take: the task stops, names the object and the way out, and goes on when somebody has
//! taken it. What people do there by hand counts.

use pg_courier_tests::Pair;
use pg_courier_tests::pair::{DATABASE, ROLE};

use super::equal::assert_equal;
use super::{follow, followed_pair};
use crate::common::{TASK, assert_mentions};

/// Something of the destination's own depends on a column that is dropped: it is not dropped along.
#[test]
fn what_only_the_destination_has_is_not_dropped_along() {
    let pair = followed_pair();
    pair.destination.run(DATABASE, "CREATE VIEW only_there AS SELECT v FROM t");
    pair.source.run(DATABASE, "ALTER TABLE t DROP v; INSERT INTO t VALUES (100)");
    assert_mentions(&pair.failure(DATABASE, TASK), &["only_there", "v"]);
    assert_states(&pair, "failed");
    pair.destination.run(DATABASE, "DROP VIEW only_there");
    pair.call(DATABASE, "resume", TASK);
    assert_equal(&pair);
    assert_states(&pair, "applied");
}

/// No row minds a type that is still there: it stays, and somebody is told.
#[test]
fn what_the_destination_still_needs_stays() {
    let pair = followed_pair();
    pair.source.run(DATABASE, "CREATE TYPE free AS ENUM ('a'); CREATE SEQUENCE sq");
    assert_equal(&pair);
    pair.destination.run(DATABASE, "CREATE TABLE only_there (f free, n int DEFAULT nextval('sq'))");
    pair.source.run(DATABASE, "DROP TYPE free; INSERT INTO t VALUES (100)");
    pair.source.run(DATABASE, "DROP SEQUENCE sq; INSERT INTO t VALUES (101)");
    pair.caught_up(DATABASE, TASK);
    assert_eq!(pair.destination.value(DATABASE, "SELECT count(*) FROM t WHERE id > 99"), "2");
    let told = "SELECT string_agg(error, ' ') FROM courier.ddl WHERE state = 'held' AND tag LIKE 'DROP%'";
    assert_mentions(
        &pair.source.value(DATABASE, told),
        &["type public.free", "column f of table public.only_there", "sequence public.sq"],
    );
    pair.destination.run(DATABASE, "DROP TABLE only_there; DROP TYPE free; DROP SEQUENCE sq");
    assert_equal(&pair);
}

/// A column that somebody made there with another type is not taken for the source's.
#[test]
fn a_column_of_another_type_is_in_the_way() {
    let pair = followed_pair();
    pair.destination.run(DATABASE, "ALTER TABLE t ADD c text");
    pair.source.run(DATABASE, "ALTER TABLE t ADD c int; INSERT INTO t VALUES (100, 'x', 3)");
    assert_mentions(&pair.failure(DATABASE, TASK), &["c", "text", "integer"]);
    pair.destination.run(DATABASE, "ALTER TABLE t DROP c");
    pair.call(DATABASE, "resume", TASK);
    assert_equal(&pair);
}

/// A table that has rows there is nobody's to take; an empty one is taken.
#[test]
fn a_table_with_rows_is_in_the_way() {
    let pair = followed_pair();
    let create = "CREATE TABLE n (id int PRIMARY KEY)";
    pair.destination.run(DATABASE, &format!("SET ROLE {ROLE}; {create}; INSERT INTO n VALUES (7)"));
    pair.source.run(DATABASE, &format!("{create}; INSERT INTO n VALUES (1)"));
    assert_mentions(&pair.failure(DATABASE, TASK), &["n", "with rows"]);
    pair.destination.run(DATABASE, "TRUNCATE n");
    pair.call(DATABASE, "resume", TASK);
    assert_equal(&pair);
}

/// Somebody has something else run in place of a command, or goes on without it.
#[test]
fn a_command_is_replaced_and_another_skipped() {
    let pair = followed_pair();
    pair.destination.run(DATABASE, &format!("SET ROLE {ROLE}; CREATE VIEW w AS SELECT v FROM t"));
    pair.source.run(DATABASE, "ALTER TABLE t DROP v; INSERT INTO t VALUES (100)");
    assert_mentions(&pair.failure(DATABASE, TASK), &["w", "courier.ddl_skip"]);
    let id = pair.source.value(DATABASE, "SELECT id FROM courier.ddl WHERE state = 'failed'");
    let wrong = format!("SELECT courier.ddl_skip('{TASK}', {id} + 1)");
    assert_mentions(&pair.source.refuses(DATABASE, &wrong).to_string(), &["did not stop at command"]);
    let replace = format!("SELECT courier.ddl_replace('{TASK}', {id}, 'ALTER TABLE public.t DROP v CASCADE')");
    pair.source.run(DATABASE, &replace);
    assert_equal(&pair);
    assert_states(&pair, "replaced");
    pair.destination.run(DATABASE, "ALTER TABLE o ADD x text");
    pair.source.run(DATABASE, "ALTER TABLE o ADD x int");
    assert_mentions(&pair.failure(DATABASE, TASK), &["x"]);
    let id = pair.source.value(DATABASE, "SELECT id FROM courier.ddl WHERE state = 'failed'");
    pair.source.run(DATABASE, &format!("SELECT courier.ddl_skip('{TASK}', {id})"));
    pair.caught_up(DATABASE, TASK);
    assert_states(&pair, "skipped");
    pair.destination.run(DATABASE, "ALTER TABLE o DROP x");
    // The next command on the table brings what was left out.
    pair.source.run(DATABASE, "ALTER TABLE o ADD y int; INSERT INTO o (id, x, y) VALUES (100, 1, 2)");
    assert_equal(&pair);
}

/// The login may not change the table: the task says what it lacks. Before 15 a login that applies as a replica is a superuser, so this one
/// does not, and its tables have no keys that would need it.
#[test]
fn a_right_that_is_missing_is_named() {
    let pair = Pair::builder().applies_as_replica(false).start();
    pair.source.run(DATABASE, "CREATE TABLE o (id int PRIMARY KEY, n numeric); INSERT INTO o VALUES (1, 1)");
    follow(&pair);
    pair.destination.run(DATABASE, &format!("ALTER TABLE o OWNER TO postgres; GRANT ALL ON o TO {ROLE}"));
    pair.source.run(DATABASE, "ALTER TABLE o ADD c int; INSERT INTO o VALUES (100, 1, 1)");
    assert_mentions(&pair.failure(DATABASE, TASK), &["o", "owner"]);
    pair.destination.run(DATABASE, &format!("ALTER TABLE o OWNER TO {ROLE}"));
    pair.call(DATABASE, "resume", TASK);
    assert_equal(&pair);
}

/// What a constraint of the source lets pass, rows of the destination's own may not.
#[test]
fn rows_there_that_break_a_new_key() {
    let pair = followed_pair();
    pair.destination.run(DATABASE, "INSERT INTO t VALUES (-1, 'v1')");
    pair.source.run(DATABASE, "ALTER TABLE t ADD CONSTRAINT once UNIQUE (v)");
    assert_mentions(&pair.failure(DATABASE, TASK), &["once", "v1"]);
    pair.destination.run(DATABASE, "DELETE FROM t WHERE id = -1");
    pair.call(DATABASE, "resume", TASK);
    assert_equal(&pair);
}

/// A role that owns a table may write any code into its definition. None of it runs with the rights of the task's login.
#[test]
fn code_of_a_role_that_nobody_trusts_does_not_run_there() {
    let pair = followed_pair();
    let low = "SET ROLE low; \
        CREATE FUNCTION evil(a text) RETURNS bool LANGUAGE plpgsql IMMUTABLE AS $f$ BEGIN \
          IF current_user = 'courier' THEN CREATE TABLE public.stolen (); END IF; RETURN true; END $f$; \
        CREATE FUNCTION evil2(a text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $f$ BEGIN PERFORM public.evil(a); RETURN a; END $f$; \
        CREATE TABLE low_t (id int PRIMARY KEY, v text); \
        ALTER TABLE low_t ADD CHECK (evil(v)); CREATE INDEX ON low_t (evil2(v)); \
        INSERT INTO low_t VALUES (1, 'x'), (2, 'y'); UPDATE low_t SET v = 'z' WHERE id = 2";
    pair.source.run(DATABASE, "CREATE ROLE low; GRANT CREATE ON SCHEMA public TO low");
    pair.source.run(DATABASE, low);
    pair.caught_up(DATABASE, TASK);
    pair.assert_same(DATABASE, &["public.low_t"]);
    assert_eq!(pair.destination.value(DATABASE, "SELECT to_regclass('stolen')"), "");
    assert_eq!(pair.destination.value(DATABASE, "SELECT count(*) FROM pg_proc WHERE proname LIKE 'evil%'"), "0");
    let held = "SELECT count(*) > 0 FROM courier.ddl WHERE state = 'held'";
    assert_eq!(pair.source.value(DATABASE, held), "t", "somebody is told what is missing");
}

/// Nobody but the extension writes what a task takes for a command.
#[test]
fn commands_cannot_be_forged() {
    let pair = followed_pair();
    pair.destination.run(DATABASE, "CREATE ROLE low");
    pair.source
        .run(DATABASE, "CREATE ROLE low; GRANT CREATE ON SCHEMA public TO low; GRANT CREATE ON DATABASE shop TO low");
    let image = "'{\"form\": 1, \"dropped\": [{\"class\": \"table\", \"oid\": ' || 't'::regclass::oid || ', \"identity\": \"table public.t\"}]}'";
    let columns = "(snapshot, image, tag)";
    let values = format!("(pg_current_snapshot()::text, {image}, 'DROP TABLE')");
    for statement in [
        format!("INSERT INTO courier.ddl_log {columns} VALUES {values}"),
        "DELETE FROM courier.ddl_log".to_owned(),
        "SELECT courier.capture_ddl()".to_owned(),
    ] {
        pair.source.refuses(DATABASE, &format!("SET ROLE low; {statement}"));
    }
    pair.source.run(
        DATABASE,
        &format!(
            "SET ROLE low; CREATE SCHEMA courier2; CREATE TABLE courier2.ddl_log (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, snapshot text, image text, tag text); \
             INSERT INTO courier2.ddl_log {columns} VALUES {values}; \
             SELECT pg_logical_emit_message(true, 'pg_courier ddl', {image}); \
             CREATE TABLE \"x\"\"; drop table o; --\" (id int PRIMARY KEY, \"y\"\"; drop table t; --\" text DEFAULT $$'; drop table t; --$$)"
        ),
    );
    pair.source.run(DATABASE, "INSERT INTO t VALUES (100, 'still there'); INSERT INTO o VALUES (100, 100, 1)");
    assert_equal(&pair);
}

/// The log on the source is for people; what travels is in the WAL.
#[test]
fn a_pause_and_an_emptied_log_lose_nothing() {
    let pair = followed_pair();
    pair.call(DATABASE, "pause", TASK);
    for n in 0..60 {
        pair.source.run(
            DATABASE,
            &format!(
                "CREATE TABLE p{n} (id int PRIMARY KEY, v text DEFAULT 'd{n}'); INSERT INTO p{n} VALUES ({n}); \
                 ALTER TABLE p{n} ADD w int DEFAULT {n}; ALTER TABLE t ADD w{n} int; ALTER TABLE t RENAME w{n} TO x{n}; \
                 UPDATE t SET x{n} = id WHERE id = {n}"
            ),
        );
    }
    pair.source.run(DATABASE, "TRUNCATE courier.ddl_log");
    pair.call(DATABASE, "resume", TASK);
    assert_equal(&pair);
}

/// Hundreds of commands wait while the task is paused; somebody empties the log meanwhile. The commands are in the WAL.
#[test]
fn a_long_pause_loses_nothing() {
    let pair = followed_pair();
    pair.call(DATABASE, "pause", TASK);
    let commands = "DO $$ BEGIN FOR n IN 1 .. 250 LOOP \
           EXECUTE format('ALTER TABLE t ADD c%s int DEFAULT %s', n, n); EXECUTE format('UPDATE t SET c%s = id WHERE id = %s', n, n % 50); \
           IF n > 10 THEN EXECUTE format('ALTER TABLE t DROP c%s', n - 10); END IF; COMMIT; END LOOP; END $$";
    pair.source.run(DATABASE, commands);
    pair.source.run(DATABASE, "TRUNCATE courier.ddl_log");
    pair.source.run(DATABASE, &commands.replace("TABLE t", "TABLE o").replace("UPDATE t", "UPDATE o"));
    pair.source.run(DATABASE, "DELETE FROM courier.ddl_log");
    pair.call(DATABASE, "resume", TASK);
    assert_equal(&pair);
    assert_eq!(pair.task(DATABASE, TASK, "state"), "synchronizing");
}

/// A command that nobody captured: the stream shows a row of another shape than the destination has, and stops before it would leave
/// something out. Done by hand there, and captured by hand here, it is as if it had been.
#[test]
fn a_command_that_was_not_captured_stops_the_task() {
    let pair = followed_pair();
    let triggers = |what: &str| {
        for row in pair.source.rows(DATABASE, "SELECT quote_ident(evtname) FROM pg_event_trigger") {
            let name = row.into_iter().flatten().next().unwrap_or_default();
            pair.source.run(DATABASE, &format!("ALTER EVENT TRIGGER {name} {what}"));
        }
    };
    triggers("DISABLE");
    pair.source.run(DATABASE, "ALTER TABLE t ADD c int; INSERT INTO t VALUES (100, 'x', 1)");
    assert_mentions(&pair.failure(DATABASE, TASK), &["public.t", "column \"c\""]);
    triggers("ENABLE ALWAYS");
    pair.destination.run(DATABASE, &format!("SET ROLE {ROLE}; ALTER TABLE t ADD c int"));
    pair.call(DATABASE, "resume", TASK);
    pair.source.run(
        DATABASE,
        "SELECT courier.capture('public.t'); ALTER TABLE t RENAME c TO d; UPDATE t SET d = 2 WHERE id = 7",
    );
    assert_equal(&pair);
}

/// The same, and nobody touches the destination: the image that is captured afterwards is applied where the rows need it.
#[test]
fn a_command_that_was_not_captured_is_caught_up_with() {
    let pair = followed_pair();
    pair.source
        .run(DATABASE, "CREATE TABLE part (id int PRIMARY KEY, a int, b int); INSERT INTO part VALUES (1, 1, 1)");
    let disable =
        ["ddl", "ddl_drop", "ddl_rewrite"].map(|name| format!("ALTER EVENT TRIGGER pg_courier_{name} DISABLE;"));
    pair.source.run(DATABASE, &disable.join(" "));
    pair.source.run(
        DATABASE,
        "ALTER TABLE t ADD c int; BEGIN; INSERT INTO o VALUES (100, 1, 1); INSERT INTO t VALUES (100, 'x', 1); INSERT INTO t VALUES (101, 'y', 2); \
         COMMIT; ALTER TABLE part RENAME a TO z; UPDATE part SET z = 5; UPDATE t SET c = 7 WHERE id = 3; INSERT INTO o VALUES (101, 1, 1)",
    );
    pair.source.run(DATABASE, &disable.join(" ").replace("DISABLE", "ENABLE ALWAYS"));
    pair.source.run(DATABASE, "ALTER TABLE o ADD e int DEFAULT 4; INSERT INTO t VALUES (102, 'z', 3)");
    for table in ["t", "part"] {
        let failure = pair.failure(DATABASE, TASK);
        let capture = format!("SELECT courier.capture('public.{table}');");
        assert_mentions(&failure, &[&format!("public.{table}"), &capture, "courier.resume"]);
        pair.source.run(DATABASE, &capture);
        pair.source.run(DATABASE, "ALTER TABLE o ADD COLUMN IF NOT EXISTS f int");
        pair.call(DATABASE, "resume", TASK);
    }
    pair.source.run(DATABASE, "ALTER TABLE t RENAME c TO d; UPDATE t SET d = 2 WHERE id = 7; ALTER TABLE part DROP b");
    assert_equal(&pair);
}

/// A table that was made without a word is copied once somebody tells of it.
#[test]
fn a_table_that_was_not_captured_is_caught_up_with() {
    let pair = followed_pair();
    pair.source.run(DATABASE, "ALTER EVENT TRIGGER pg_courier_ddl DISABLE");
    pair.source.run(
        DATABASE,
        "CREATE TABLE n (id int PRIMARY KEY, v text); INSERT INTO n VALUES (1, 'one'); UPDATE n SET v = 'ONE'",
    );
    pair.source.run(DATABASE, "ALTER EVENT TRIGGER pg_courier_ddl ENABLE ALWAYS; INSERT INTO n VALUES (2, 'two')");
    assert_mentions(
        &pair.failure(DATABASE, TASK),
        &["public.n", "SELECT courier.capture('public.n');", "courier.resume"],
    );
    pair.source.run(
        DATABASE,
        "SELECT courier.capture('public.n'); INSERT INTO n VALUES (3, 'three'); ALTER TABLE n ADD w int DEFAULT 5",
    );
    pair.call(DATABASE, "resume", TASK);
    pair.source.run(DATABASE, "INSERT INTO n VALUES (4, 'four', 4); INSERT INTO t VALUES (100, 'x')");
    assert_equal(&pair);
}

/// From 17 on a setting does the same.
#[test]
fn a_session_without_event_triggers_is_caught_up_with() {
    let pair = followed_pair();
    let version = pair.source.value(DATABASE, "SHOW server_version_num");
    if version.parse::<i32>().is_ok_and(|version| version < 170_000) {
        return;
    }
    pair.source.run(DATABASE, "SET event_triggers = off; ALTER TABLE t ADD c int; INSERT INTO t VALUES (100, 'x', 1)");
    assert_mentions(&pair.failure(DATABASE, TASK), &["public.t", "\"c\"", "SELECT courier.capture('public.t');"]);
    pair.source.run(DATABASE, "SELECT courier.capture('public.t')");
    pair.call(DATABASE, "resume", TASK);
    assert_equal(&pair);
}

#[track_caller]
fn assert_states(pair: &Pair, state: &str) {
    let last = format!("(SELECT state = '{state}' FROM courier.ddl ORDER BY id DESC LIMIT 1)");
    pair.source.wait_until(DATABASE, &format!("the last command is {state}"), &last);
}
