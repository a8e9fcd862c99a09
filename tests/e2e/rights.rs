//! With whose rights: the destination's role is no superuser (in all tests), and on the
//! source a task can do what its owner can.

use pg_courier_tests::pair::{DATABASE, PASSWORD, ROLE};
use pg_courier_tests::sql::literal;
use pg_courier_tests::{Answer, Pair};

use crate::common::{TASK, assert_mentions};

/// A database with a role `owner` that may replicate, and `outsider` that may nothing.
fn pair_with_owner() -> Pair {
    let pair = Pair::start();
    pair.source.run(
        DATABASE,
        &format!(
            "CREATE ROLE owner LOGIN REPLICATION PASSWORD 'pw'; CREATE ROLE outsider LOGIN PASSWORD 'pw'; \
             CREATE SCHEMA app; CREATE TABLE app.t (id int PRIMARY KEY, v text); \
             CREATE TABLE app.private (id int PRIMARY KEY); \
             INSERT INTO app.t SELECT n, 'v' FROM generate_series(1, 100) AS n; \
             GRANT USAGE ON SCHEMA app TO owner; GRANT SELECT ON app.t TO owner; \
             GRANT USAGE ON FOREIGN SERVER dr TO owner; \
             CREATE USER MAPPING FOR owner SERVER dr OPTIONS (user '{ROLE}', password {})",
            literal(PASSWORD)
        ),
    );
    // Not granted to all: the extension's own function says what using it takes.
    pair.source.run(DATABASE, "SELECT courier.grant_usage('owner'), courier.grant_usage('outsider')");
    pair
}

fn ask(pair: &Pair, role: &str, sql: &str) -> Result<(), Answer> {
    pair.source.connect_as(DATABASE, role, "pw").batch_execute(sql).map_err(|e| Answer::from(&e))
}

/// An owner with REPLICATION and SELECT mirrors a table; nobody else needs to be asked.
#[test]
fn an_owner_without_superuser() {
    let pair = pair_with_owner();
    ask(&pair, "owner", "SELECT courier.create_task('mine', server => 'dr', include => ARRAY['app.t'])")
        .unwrap_or_else(|e| panic!("{e}"));
    ask(&pair, "owner", "SELECT courier.start('mine')").unwrap_or_else(|e| panic!("{e}"));
    pair.wait_for_state(DATABASE, "mine", "synchronizing");
    pair.source.run(DATABASE, "UPDATE app.t SET v = 'w' WHERE id < 50");
    pair.assert_mirrored("mine", &["app.t"]);
    assert_eq!(pair.task(DATABASE, "mine", "owner"), "owner");
    ask(&pair, "owner", "SELECT courier.drop_task('mine')").unwrap_or_else(|e| panic!("{e}"));
}

/// A table that the owner may not read is not read for him.
#[test]
fn a_task_cannot_read_what_its_owner_cannot() {
    let pair = pair_with_owner();
    let create = "SELECT courier.create_task('spy', server => 'dr', include => ARRAY['app.*'])";
    let text = match ask(&pair, "owner", create).and_then(|()| ask(&pair, "owner", "SELECT courier.start('spy')")) {
        Err(answer) => answer.to_string(),
        Ok(()) => pair.failure(DATABASE, "spy"),
    };
    assert_mentions(&text, &["private"]);
    let there = pair.destination.value(DATABASE, "SELECT to_regclass('app.private')");
    if !there.is_empty() {
        assert_eq!(pair.destination.value(DATABASE, "SELECT count(*) FROM app.private"), "0");
    }
}

/// Without REPLICATION there is no task to start, and a stranger's task is not touched.
#[test]
fn strangers_are_refused() {
    let pair = pair_with_owner();
    pair.source.run(DATABASE, "GRANT USAGE ON SCHEMA app TO outsider; GRANT SELECT ON app.t TO outsider");
    let create = "SELECT courier.create_task('theirs', server => 'dr', include => ARRAY['app.t'])";
    let answer = ask(&pair, "outsider", create).expect_err("no USAGE on the server");
    assert_eq!(answer.sqlstate, "42501", "{answer}");

    pair.source.run(
        DATABASE,
        &format!("GRANT USAGE ON FOREIGN SERVER dr TO outsider; CREATE USER MAPPING FOR outsider SERVER dr OPTIONS (user '{ROLE}', password {})", literal(PASSWORD)),
    );
    let started =
        ask(&pair, "outsider", create).and_then(|()| ask(&pair, "outsider", "SELECT courier.start('theirs')"));
    let text = match started {
        Err(answer) => answer.to_string(),
        Ok(()) => pair.failure(DATABASE, "theirs"),
    };
    assert_mentions(&text, &["replication"]);
    assert_eq!(pair.source.value(DATABASE, "SELECT count(*) FROM pg_replication_slots"), "0");

    ask(&pair, "owner", &format!("SELECT courier.create_task('{TASK}', server => 'dr', include => ARRAY['app.t'])"))
        .unwrap_or_else(|e| panic!("{e}"));
    for call in ["start", "drop_task"] {
        let answer = ask(&pair, "outsider", &format!("SELECT courier.{call}('{TASK}')")).expect_err(call);
        assert_eq!(answer.sqlstate, "42501", "{call}: {answer}");
    }
}

/// The password is in pg_user_mappings for those who may see it there, and nowhere else.
#[test]
fn the_password_is_shown_nowhere() {
    let pair = pair_with_owner();
    ask(&pair, "owner", "SELECT courier.create_task('mine', server => 'dr', include => ARRAY['app.t'])")
        .unwrap_or_else(|e| panic!("{e}"));
    let tables = pair.source.rows(
        DATABASE,
        "SELECT format('%I.%I', n.nspname, c.relname) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
         WHERE n.nspname = 'courier' AND c.relkind IN ('r', 'v')",
    );
    assert!(!tables.is_empty());
    for table in tables.into_iter().flatten().flatten() {
        let query = format!("SELECT count(*) FROM {table} AS t WHERE strpos(t::text, {}) > 0", literal("it's"));
        assert_eq!(pair.source.value(DATABASE, &query), "0", "{table}");
    }
}

/// The destination's role may not set session_replication_role (it cannot be granted before
/// 15, nor everywhere). Tables with foreign keys need it: the task says so before it creates or
/// copies anything. Tables without do not need it and work.
#[test]
fn without_the_right_to_be_a_replica() {
    let pair = Pair::builder().applies_as_replica(false).start();
    pair.source.run(
        DATABASE,
        "CREATE SCHEMA plain; CREATE TABLE plain.t (id int PRIMARY KEY); INSERT INTO plain.t VALUES (1); \
         CREATE SCHEMA tied; CREATE TABLE tied.a (id int PRIMARY KEY); \
         CREATE TABLE tied.b (id int PRIMARY KEY, a int REFERENCES tied.a ON DELETE CASCADE); INSERT INTO tied.a VALUES (1)",
    );
    pair.start_task("plain", &["plain.*"]);
    pair.wait_for_state(DATABASE, "plain", "synchronizing");
    pair.source.run(DATABASE, "INSERT INTO plain.t VALUES (2); DELETE FROM plain.t WHERE id = 1");
    pair.assert_mirrored("plain", &["plain.t"]);

    pair.create_task(DATABASE, "tied", &["tied.*"], &Default::default());
    let text = match pair.source.connect(DATABASE).batch_execute("SELECT courier.start('tied')") {
        Err(error) => Answer::from(&error).to_string(),
        Ok(()) => pair.failure(DATABASE, "tied"),
    };
    let way_out = if pair.destination.install.major() < 15 { "superuser" } else { "grant" };
    assert_mentions(&text, &["session_replication_role", way_out]);
    let tables = "SELECT count(*) FROM pg_class WHERE relname IN ('a', 'b') AND relkind = 'r'";
    assert_eq!(pair.destination.value(DATABASE, tables), "0", "before anything is created");

    pair.let_apply_as_replica();
    let started = pair.source.connect(DATABASE).batch_execute("SELECT courier.resume('tied')");
    if started.is_err() {
        pair.call(DATABASE, "start", "tied");
    }
    pair.wait_for_state(DATABASE, "tied", "synchronizing");
    pair.source.run(DATABASE, "INSERT INTO tied.b VALUES (1, 1); DELETE FROM tied.a");
    pair.assert_mirrored("tied", &["tied.a", "tied.b"]);
}
