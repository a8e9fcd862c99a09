//! What a task does about commands on things of a kind.

use std::time::Duration;

use pg_courier_tests::pair::DATABASE;
use pg_courier_tests::{Pair, wait};

use super::equal::{assert_equal, difference_in_rows};
use super::followed_pair;
use crate::common::{TASK, assert_mentions};

fn set(pair: &Pair, policies: &[(&str, &str, &str)]) {
    for (kind, policy, pattern) in policies {
        pair.source
            .run(DATABASE, &format!("SELECT courier.set_ddl_policy('{TASK}', '{kind}', '{policy}', '{pattern}')"));
    }
    pair.wait_for_state(DATABASE, TASK, "synchronizing");
}

/// What the last commands came to: `tag state`.
#[track_caller]
fn states(pair: &Pair, expected: &str) {
    pair.caught_up(DATABASE, TASK);
    let mut seen = String::new();
    let query = "SELECT string_agg(tag || ' ' || state, ', ' ORDER BY id) FROM courier.ddl";
    let look = || {
        seen = pair.source.value(DATABASE, query);
        seen.ends_with(expected).then_some(())
    };
    if wait::poll(Duration::from_secs(10), look).is_none() {
        panic!("{seen} does not end with {expected}\n{}", pair.source.describe(DATABASE));
    }
}

#[test]
fn things_of_a_kind_are_held_or_ignored() {
    let pair = followed_pair();
    pair.source.run(DATABASE, "CREATE INDEX old ON t (v); COMMENT ON TABLE t IS 'before'");
    pair.caught_up(DATABASE, TASK);
    set(
        &pair,
        &[
            ("index", "hold", "public.*"),
            ("index", "replicate", "public.o"),
            ("comment", "ignore", "*.*"),
            ("view", "hold", "*.*"),
        ],
    );
    pair.source.run(DATABASE, "CREATE INDEX new ON t (v)");
    states(&pair, "CREATE INDEX held");
    let error = pair.source.value(DATABASE, "SELECT error FROM courier.ddl ORDER BY id DESC LIMIT 1");
    assert_mentions(&error, &["courier.set_ddl_policy", "index new on public.t"]);
    pair.source.run(DATABASE, "CREATE INDEX oi ON o (n)");
    states(&pair, "CREATE INDEX applied");
    pair.source.run(DATABASE, "DROP INDEX old; ALTER INDEX new RENAME TO newer; COMMENT ON TABLE t IS 'after'; CREATE VIEW vw AS SELECT 1 AS a");
    states(&pair, "CREATE VIEW held");
    pair.source.run(DATABASE, "ALTER TABLE t ADD c int UNIQUE; INSERT INTO t VALUES (100, 'x', 1)");
    // What an earlier command has left different is told again where the table changes.
    states(&pair, "ALTER TABLE held");
    let indexes = "SELECT string_agg(indexname, ',' ORDER BY indexname COLLATE \"C\") FROM pg_indexes WHERE schemaname = 'public'";
    assert_eq!(pair.destination.value(DATABASE, indexes), "o_pkey,oi,old,t_c_key,t_pkey");
    assert_eq!(pair.destination.value(DATABASE, "SELECT obj_description('t'::regclass)"), "before");
    assert_eq!(pair.destination.value(DATABASE, "SELECT to_regclass('vw')"), "");
    assert_eq!(difference_in_rows(&pair, "public"), None);
    // What is missing comes with the next image.
    set(&pair, &[("index", "replicate", "public.*"), ("comment", "replicate", "*.*"), ("view", "replicate", "*.*")]);
    pair.source.run(DATABASE, "SELECT courier.capture('public.t'), courier.capture('public.vw')");
    states(&pair, "CAPTURE applied");
    assert_equal(&pair);
}

#[test]
fn a_dropped_table_stays_there() {
    let pair = followed_pair();
    set(&pair, &[("drop table", "hold", "public.o")]);
    let oid = pair.source.value(DATABASE, "SELECT 'o'::regclass::oid");
    pair.source.run(DATABASE, "DROP TABLE o");
    states(&pair, "DROP TABLE held");
    assert_eq!(pair.destination.value(DATABASE, "SELECT count(*) FROM o"), "20");
    pair.source.run(DATABASE, "ALTER TABLE t ADD c int; INSERT INTO t VALUES (100, 'x', 1)");
    states(&pair, "ALTER TABLE applied");
    assert_eq!(difference_in_rows(&pair, "public"), None);
    // Until another one gets its name.
    pair.source.run(DATABASE, "CREATE TABLE o (id int PRIMARY KEY, other text); INSERT INTO o VALUES (1, 'new')");
    pair.caught_up(DATABASE, TASK);
    assert_eq!(difference_in_rows(&pair, "public"), None);
    assert_eq!(pair.destination.value(DATABASE, &format!("SELECT count(*) FROM o_left_{oid}")), "20");
}

#[test]
fn a_task_stops_at_commands_on_a_kind_or_refuses_them() {
    let pair = followed_pair();
    set(&pair, &[("drop table", "refuse", "*.*"), ("index", "stop", "public.t")]);
    let answer = pair.source.refuses(DATABASE, "DROP TABLE o");
    assert_mentions(&answer.to_string(), &["refuses DROP TABLE of public.o", "courier.set_ddl_policy"]);
    pair.source.run(DATABASE, "CREATE TABLE passing (a int PRIMARY KEY); CREATE INDEX ON o (n)");
    states(&pair, "CREATE INDEX applied");
    pair.source.run(DATABASE, "CREATE INDEX ti ON t (v); INSERT INTO t VALUES (100, 'x')");
    pair.wait_for_state(DATABASE, TASK, "failed");
    let hint = pair.source.value(DATABASE, &format!("SELECT last_error_hint FROM courier.tasks WHERE task = '{TASK}'"));
    assert_mentions(&hint, &["courier.ddl_skip", "courier.set_ddl_policy"]);
    assert_eq!(pair.destination.value(DATABASE, "SELECT count(*) FROM t"), "50");
    let set = hint.split("; ").find(|part| part.contains("set_ddl_policy")).and_then(|part| part.split(" and ").next());
    pair.source.run(DATABASE, set.expect("a statement").trim_end_matches(';'));
    pair.call(DATABASE, "resume", TASK);
    states(&pair, "CREATE INDEX applied");
    assert_equal(&pair);
}

#[test]
fn policies_are_checked() {
    let pair = followed_pair();
    let refused = |kind: &str, policy: &str, pattern: &str| {
        let call = format!("SELECT courier.set_ddl_policy('{TASK}', '{kind}', '{policy}', '{pattern}')");
        pair.source.refuses(DATABASE, &call).to_string()
    };
    assert_mentions(&refused("column", "hold", "*.*"), &["unknown kind", "materialized view"]);
    assert_mentions(&refused("index", "perhaps", "*.*"), &["unknown policy", "refuse"]);
    assert_mentions(&refused("table", "ignore", "*.*"), &["cannot be left out", "exclude"]);
    assert_mentions(&refused("index", "hold", "a.b.c"), &["invalid table pattern"]);
    pair.source.run(DATABASE, &format!("SELECT courier.set_ddl_policy('{TASK}', 'index', 'hold')"));
    assert_eq!(
        pair.source.value(DATABASE, "SELECT kind || policy || pattern FROM courier.ddl_policies"),
        "indexhold*.*"
    );
}
