//! What people see of commands that wait, fail or are not captured: `courier.ddl`, `courier.tasks`, `courier.events`, `courier.health()`. What
//! others run on the destination may have values of rows in it, and is for those who may use the task.

use pg_courier_tests::pair::{DATABASE, PASSWORD, ROLE};
use pg_courier_tests::sql::literal;
use pg_courier_tests::{Pair, TaskOptions};

use super::equal::assert_equal;
use super::{create_tables, follow, followed_pair};
use crate::common::{TASK, assert_mentions};

/// `status: detail` of the health item about commands.
fn health(pair: &Pair) -> String {
    let sql = format!(
        "SELECT concat_ws(' ', status || ':', detail, hint) FROM courier.health() WHERE item = 'commands' AND task = '{TASK}'"
    );
    pair.source.value(DATABASE, &sql)
}

#[test]
fn a_command_that_waits_for_a_lock_says_for_whom() {
    let pair = Pair::builder().source_conf("courier.ddl_lock_alert", "3").start();
    create_tables(&pair);
    follow(&pair);
    assert_mentions(&health(&pair), &["ok: "]);
    pair.source.run(
        DATABASE,
        &format!(
            "CREATE ROLE watcher LOGIN PASSWORD {} IN ROLE pg_monitor; SELECT courier.grant_usage('watcher')",
            literal(PASSWORD)
        ),
    );
    // What a session of the same user runs, the task's user may see.
    let mut reader = pair.destination.connect_as(DATABASE, ROLE, PASSWORD);
    reader
        .batch_execute(
            "SET application_name = 'report of the night'; BEGIN; SELECT count(*) FROM t WHERE v <> 'a value'",
        )
        .expect("a reader");
    pair.source.run(DATABASE, "ALTER TABLE t ADD c int; ALTER TABLE o ADD c int");
    let waits = "EXISTS (SELECT FROM courier.ddl WHERE state = 'waiting for lock' AND objects IS NULL)";
    pair.source.wait_until(DATABASE, "the command waits for a lock", waits);
    let states = "SELECT string_agg(state, ',' ORDER BY id) FROM courier.ddl WHERE tag = 'ALTER TABLE'";
    assert_eq!(pair.source.value(DATABASE, states), "waiting for lock,pending");
    let row =
        "SELECT waits_for || (now() - waits_since < '1 min')::text FROM courier.ddl WHERE state = 'waiting for lock'";
    let told = pair.source.value(DATABASE, row);
    assert_mentions(&told, &["pid ", ROLE, "report of the night", "a value", "idle in transaction", "true"]);
    let shows = format!(
        "(SELECT phase LIKE '%waits for locks on the destination%report of the night%' FROM courier.tasks WHERE task = '{TASK}')"
    );
    pair.source.wait_until(DATABASE, "the task says so", &shows);
    pair.source.wait_until(
        DATABASE,
        "it is recorded",
        "EXISTS (SELECT FROM courier.events WHERE kind = 'waiting' AND message LIKE '%locks on the destination' AND detail LIKE '%report of the night%')",
    );
    assert_mentions(&health(&pair), &["warning: Command ", "held by pid ", "report of the night", "waiting for lock"]);
    // Everything that a member of pg_monitor sees, but the statement.
    let mut watcher = pair.source.connect_as(DATABASE, "watcher", PASSWORD);
    let sees = |client: &mut postgres::Client, from: &str, what: &str| -> i64 {
        let sql = format!("SELECT count(*) FROM {from} AS x WHERE x::text LIKE '%{what}%'");
        client.query_one(&sql, &[]).unwrap_or_else(|error| panic!("{from}: {error:?}")).get(0)
    };
    assert_eq!(sees(&mut watcher, "courier.health()", "report of the night"), 1);
    assert_eq!(sees(&mut watcher, "courier.command_status()", "report of the night"), 1);
    let views = [
        "courier.health()",
        "courier.events",
        "courier.tasks",
        "courier.alerts",
        "courier.ddl",
        "courier.command_status()",
        "courier.ddl_attention",
    ];
    for view in views {
        assert_eq!(sees(&mut watcher, view, "a value"), 0, "{view}");
    }
    reader.batch_execute("COMMIT").expect("its end");
    assert_equal(&pair);
    assert_eq!(pair.source.value(DATABASE, states), "applied,applied");
    let over = format!("(SELECT phase NOT LIKE '%locks%' FROM courier.tasks WHERE task = '{TASK}')");
    pair.source.wait_until(DATABASE, "nobody waits any more", &over);
    assert_mentions(&health(&pair), &["ok: "]);
}

#[test]
fn commands_behind_a_copy_say_so() {
    let pair = followed_pair();
    pair.source.run(DATABASE, "CREATE SCHEMA x; CREATE TABLE x.big (id int PRIMARY KEY, v text); INSERT INTO x.big SELECT g, repeat('v', 100) FROM generate_series(1, 20000) g");
    pair.source.arm("tablesync_mid_copy:wait");
    pair.source.run(DATABASE, "ALTER TABLE x.big SET SCHEMA public");
    pair.source.wait_at("tablesync_mid_copy");
    pair.source.run(DATABASE, "ALTER TABLE t ADD c int");
    let row = "SELECT state || ': ' || waits_for FROM courier.ddl WHERE tag = 'ALTER TABLE' ORDER BY id DESC LIMIT 1";
    assert_eq!(pair.source.value(DATABASE, row), "waiting for copy: copy of public.big");
    assert_mentions(&health(&pair), &["ok: Command ", "waits for the copy"]);
    pair.source.disarm();
    assert_equal(&pair);
}

/// Somebody disables what captures commands: that is told before a row shows it.
#[test]
fn commands_that_are_not_captured_are_told_of() {
    let pair = followed_pair();
    pair.source.run(DATABASE, "ALTER EVENT TRIGGER pg_courier_ddl DISABLE");
    let told = health(&pair);
    assert_mentions(&told, &["critical: ", "pg_courier_ddl", "disabled"]);
    let fix = told.split_once("ALTER EVENT").map(|(_, rest)| format!("ALTER EVENT{rest}")).unwrap_or_default();
    pair.source.run(DATABASE, &fix);
    assert_mentions(&health(&pair), &["ok: "]);
}

/// What is held, and what has failed.
#[test]
fn commands_that_fail_or_are_held_are_told_of() {
    let pair = Pair::start();
    create_tables(&pair);
    let options = TaskOptions { ddl: Some("replicate"), ..TaskOptions::default() };
    pair.start_task_with(DATABASE, TASK, &["public.t"], &options);
    pair.caught_up(DATABASE, TASK);
    pair.source.run(DATABASE, "CREATE ROLE only_here; GRANT SELECT ON t TO only_here");
    pair.caught_up(DATABASE, TASK);
    assert_mentions(&health(&pair), &["warning: ", "only_here", "held"]);
    pair.destination.run(DATABASE, "CREATE VIEW only_there AS SELECT v FROM t");
    pair.source.run(DATABASE, "ALTER TABLE t DROP v");
    pair.wait_for_state(DATABASE, TASK, "failed");
    assert_mentions(&health(&pair), &["critical: The task has stopped at command ", "failed"]);
}
