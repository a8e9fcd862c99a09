//! What no event trigger is told of: found by comparing, and carried over like a command.

use pg_courier_tests::pair::DATABASE;
use pg_courier_tests::{Install, Pair, TaskOptions};

use super::equal::assert_equal;
use super::{create_tables, follow};
use crate::common::{TASK, assert_mentions, sized};

const ROLES: [&str; 3] = ["r1", "r2", "r3"];

fn pair_with_roles() -> Pair {
    let pair = Pair::start();
    for cluster in [&pair.source, &pair.destination] {
        ROLES.iter().for_each(|role| cluster.run("postgres", &format!("CREATE ROLE {role}")));
    }
    create_tables(&pair);
    pair.source.run(
        DATABASE,
        "CREATE TYPE e AS ENUM ('a', 'b'); ALTER TABLE t ADD e e DEFAULT 'a'; CREATE SEQUENCE sq; CREATE INDEX tv ON t (v); \
         CREATE TABLE p (id int, k int, PRIMARY KEY (id, k)) PARTITION BY LIST (k); CREATE TABLE p1 PARTITION OF p FOR VALUES IN (1); \
         COMMENT ON TABLE t IS 'x'",
    );
    pair
}

/// What others may do is not carried over with the tables, but with commands.
fn follow_and_grant(pair: &Pair) {
    follow(pair);
    pair.source.run(
        DATABASE,
        "GRANT SELECT ON t, o, sq TO r1; GRANT UPDATE (n) ON o TO r1; GRANT USAGE ON TYPE e TO r1; GRANT ALL ON t TO r3",
    );
}

fn sweep(pair: &Pair) -> String {
    pair.source.value(DATABASE, &format!("SELECT courier.sweep('{TASK}')"))
}

/// Nobody is told again of what he knows: of a first image, and of what commands have said since.
#[test]
fn nothing_is_found_where_nothing_is() {
    let pair = pair_with_roles();
    follow_and_grant(&pair);
    assert_eq!(sweep(&pair), "0");
    pair.source.run(
        DATABASE,
        "ALTER TABLE t ADD c int DEFAULT 4, ADD r float8 DEFAULT random(); CREATE INDEX ON t (c); CREATE TABLE n (id serial PRIMARY KEY); \
         GRANT SELECT ON n TO r2; CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'; CREATE VIEW w AS SELECT id FROM t; \
         ALTER TYPE e ADD VALUE 'c'; DROP SEQUENCE sq; ALTER TABLE p RENAME TO q; CREATE TABLE q2 PARTITION OF q FOR VALUES IN (2); \
         DROP TABLE o; ALTER TABLE t RENAME TO t2",
    );
    assert_equal(&pair);
    assert_eq!(sweep(&pair), "0");
    assert_eq!(sweep(&pair), "0");
    assert_equal(&pair);
}

/// REASSIGN OWNED makes the grants of the new owner those of an owner; a role gets another name; a catalog is edited.
#[test]
fn what_no_event_tells_is_found() {
    let pair = pair_with_roles();
    follow_and_grant(&pair);
    pair.source.run(DATABASE, "ALTER TABLE t OWNER TO r2");
    pair.source.run(DATABASE, "REASSIGN OWNED BY r2 TO r3");
    pair.source
        .run(DATABASE, "UPDATE pg_attribute SET attstattarget = 77 WHERE attrelid = 'o'::regclass AND attname = 'n'");
    assert_ne!(sweep(&pair), "0");
    assert_equal(&pair);
    pair.source.run(DATABASE, "UPDATE pg_index SET indisclustered = true WHERE indexrelid = 'tv'::regclass");
    for cluster in [&pair.source, &pair.destination] {
        cluster.run(DATABASE, "ALTER ROLE r1 RENAME TO renamed");
    }
    pair.source.run(DATABASE, "UPDATE pg_enum SET enumlabel = 'z' WHERE enumlabel = 'b'");
    assert_eq!(sweep(&pair), "1");
    assert_equal(&pair);
    assert_eq!(sweep(&pair), "0");
    let states = "SELECT string_agg(DISTINCT state, ',') FROM courier.ddl WHERE tag = 'SWEEP'";
    assert_eq!(pair.source.value(DATABASE, states), "applied");
}

/// A task looks by itself. What was changed with the triggers switched off is a change like any other.
#[test]
fn a_task_looks_by_itself() {
    let pair = pair_with_roles();
    pair.source.set("courier.ddl_audit_interval", Some("1s"));
    follow_and_grant(&pair);
    pair.source.run(DATABASE, "BEGIN; ALTER EVENT TRIGGER pg_courier_ddl DISABLE; COMMENT ON TABLE o IS 'quiet'; ALTER TABLE t ADD quiet int; \
        ALTER EVENT TRIGGER pg_courier_ddl ENABLE ALWAYS; COMMIT");
    pair.source.wait_until(
        DATABASE,
        "it was found",
        "(SELECT count(*) > 0 FROM courier.ddl WHERE tag = 'SWEEP' AND state = 'applied')",
    );
    pair.source.run(DATABASE, "INSERT INTO t (id, quiet) VALUES (100, 7)");
    assert_equal(&pair);
}

/// What is gone does not come back, and nobody would ever look at it again.
#[test]
fn what_was_dropped_behind_the_triggers_is_dropped() {
    let pair = pair_with_roles();
    follow_and_grant(&pair);
    pair.source.run(
        DATABASE,
        "CREATE FUNCTION f(int, text) RETURNS int LANGUAGE sql AS 'SELECT 1'; CREATE VIEW w AS SELECT id FROM t; CREATE TYPE free AS ENUM ('a')",
    );
    assert_equal(&pair);
    assert_eq!(sweep(&pair), "0");
    pair.source.run(
        DATABASE,
        "BEGIN; ALTER EVENT TRIGGER pg_courier_ddl_drop DISABLE; DROP VIEW w; DROP FUNCTION f(int, text); DROP TYPE free; DROP TABLE o, p; \
         DROP SEQUENCE sq; ALTER EVENT TRIGGER pg_courier_ddl_drop ENABLE ALWAYS; COMMIT; INSERT INTO t (id) VALUES (100)",
    );
    assert_ne!(sweep(&pair), "0");
    assert_equal(&pair);
    assert_eq!(sweep(&pair), "0");
}

/// A REINDEX makes an index valid that was not built to its end; up to 16 no event tells.
#[test]
fn an_index_that_has_become_valid_is_made() {
    let pair = pair_with_roles();
    follow_and_grant(&pair);
    pair.source.run(DATABASE, "INSERT INTO o VALUES (100, 1, 1)");
    pair.source.refuses(DATABASE, "CREATE UNIQUE INDEX CONCURRENTLY u ON o (t_id)");
    pair.source.run(DATABASE, "DELETE FROM o WHERE id = 100; REINDEX INDEX u");
    let rows = sweep(&pair);
    assert!(rows == "1" || Install::get().major() >= 17, "{rows}");
    assert_equal(&pair);
}

#[test]
fn a_task_that_leaves_commands_alone_is_not_swept() {
    let pair = Pair::start();
    create_tables(&pair);
    pair.start_task_with(DATABASE, TASK, &["public.*"], &TaskOptions::default());
    let answer = pair.source.refuses(DATABASE, &format!("SELECT courier.sweep('{TASK}')"));
    assert_mentions(&answer.to_string(), &[TASK, "does not follow commands"]);
}

/// Many tables: looked through in parts, while somebody holds locks on some and changes others.
#[test]
fn many_tables_are_looked_through() {
    let pair = Pair::builder().source_conf("max_locks_per_transaction", "1000").start();
    create_tables(&pair);
    let tables = sized(300, 10_000);
    pair.source.run(
        DATABASE,
        &format!(
            "DO $$ BEGIN FOR n IN 1 .. {tables} LOOP EXECUTE format('CREATE TABLE m%s (id int PRIMARY KEY, v text)', n); \
             IF n % 100 = 0 THEN COMMIT; END IF; END LOOP; END $$"
        ),
    );
    follow(&pair);
    let mut holder = pair.source.connect(DATABASE);
    holder.batch_execute("BEGIN; LOCK TABLE m1, m150 IN ACCESS EXCLUSIVE MODE").expect("locks");
    pair.source.run(DATABASE, "UPDATE pg_attribute SET attstattarget = 77 WHERE attname = 'v' AND attrelid IN ('m7'::regclass, 'm250'::regclass)");
    let began = std::time::Instant::now();
    let rows = sweep(&pair);
    println!("{tables} tables are compared in {:.2} s, {rows} rows", began.elapsed().as_secs_f64());
    holder.batch_execute("COMMIT").expect("its end");
    assert_eq!(rows, "2");
    let began = std::time::Instant::now();
    assert_eq!(sweep(&pair), "0");
    println!("and once more in {:.2} s", began.elapsed().as_secs_f64());
    assert_equal(&pair);
}

/// Nothing is recorded but that they were made: somebody's lock was a deadlock, or the row did not fit.
#[test]
fn what_could_not_be_read_when_it_was_made_is_told_later() {
    let pair = pair_with_roles();
    follow(&pair);
    pair.source.run(DATABASE, "ALTER TABLE courier.ddl_log ADD CONSTRAINT small CHECK (length(image) < 400)");
    pair.source.run(
        DATABASE,
        "CREATE TABLE n (id int PRIMARY KEY, v text); CREATE VIEW w AS SELECT id FROM t; \
         CREATE FUNCTION f(a int) RETURNS int LANGUAGE sql AS 'SELECT 1'",
    );
    assert_mentions(&pair.source.log(), &["could not read what CREATE VIEW has made"]);
    pair.source.run(DATABASE, "ALTER TABLE courier.ddl_log DROP CONSTRAINT small");
    pair.caught_up(DATABASE, TASK);
    let said = "SELECT string_agg(DISTINCT state || ': ' || error, '') FROM courier.ddl WHERE tag = 'CREATE VIEW'";
    assert_mentions(&pair.source.value(DATABASE, said), &["filtered: ", "could not be read", "next sweep"]);
    pair.source.wait_until(DATABASE, "they are told", "(SELECT count(*) > 0 FROM courier.ddl WHERE tag = 'SWEEP')");
    pair.wait_for_state(DATABASE, TASK, "synchronizing");
    pair.source.run(DATABASE, "INSERT INTO n SELECT g, g FROM generate_series(1, 100) g");
    pair.wait_for_state(DATABASE, TASK, "synchronizing");
    assert_equal(&pair);
}
