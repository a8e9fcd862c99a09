//! The main job, as the README has a user type it.

use std::time::Duration;

use pg_courier_tests::pair::{DATABASE, PASSWORD, ROLE};
use pg_courier_tests::{Cluster, Pair, Pgbench, Traffic, pgbench, types};

use crate::common::{TASK, assert_mentions, create_small_tables, wait_until_no_workers};

/// psql on the source, every statement in the order of the README; each gives an answer
/// that helps, and at the end the other database is equal and nothing is left of the task.
#[test]
fn everything_a_user_types() {
    let pair = Pair::builder().start_without_database();
    let source = &pair.source;
    source.create_database(DATABASE);
    pair.add_destination_database(DATABASE);
    source.psql_ok(
        DATABASE,
        "CREATE SCHEMA sales;
         CREATE TABLE customers (id int PRIMARY KEY, name text);
         CREATE TABLE tmp_import (id int PRIMARY KEY);
         CREATE TABLE sales.orders (id int PRIMARY KEY, customer int REFERENCES customers, total numeric);
         CREATE TABLE sales.order_lines (order_id int REFERENCES sales.orders, line int, PRIMARY KEY (order_id, line));
         CREATE TABLE sales.secrets (id int PRIMARY KEY);
         INSERT INTO customers SELECT n, 'c' || n FROM generate_series(1, 500) n;
         INSERT INTO sales.orders SELECT n, n, n * 1.5 FROM generate_series(1, 500) n;
         INSERT INTO sales.order_lines SELECT n, 1 FROM generate_series(1, 500) n;
         INSERT INTO tmp_import VALUES (1);
         INSERT INTO sales.secrets VALUES (1);",
    );
    let port = pair.destination.port();
    let password = pg_courier_tests::sql::literal(PASSWORD);
    source.psql_ok(
        DATABASE,
        &format!(
            "CREATE EXTENSION pg_courier;
             CREATE SERVER dr FOREIGN DATA WRAPPER pg_courier OPTIONS (host '127.0.0.1', port '{port}', dbname '{DATABASE}');
             CREATE USER MAPPING FOR CURRENT_USER SERVER dr OPTIONS (user '{ROLE}', password {password});"
        ),
    );

    let steps = source.psql_ok(DATABASE, "SELECT * FROM courier.test_connection('dr');");
    assert_mentions(&steps, &["resolve", "connect", "tls", "login", "database", "privileges"]);
    assert!(!steps.to_lowercase().contains("fail"), "{steps}");
    assert!(!steps.contains(PASSWORD), "the password is not shown");

    source.psql_ok(
        DATABASE,
        "SELECT courier.create_task('shop_to_dr', server => 'dr', include => ARRAY['public.*', 'sales.order*'], exclude => ARRAY['public.tmp_*']);",
    );

    let plan = source
        .rows(DATABASE, "SELECT action, object, coalesce(reason, '') FROM courier.plan('shop_to_dr') ORDER BY step");
    let mentions =
        |object: &str| plan.iter().filter(|row| row[1].as_deref().is_some_and(|o| o.contains(object))).count();
    for object in ["customers", "sales.orders", "sales.order_lines"] {
        assert!(mentions(object) > 0, "{object} is in the plan: {plan:?}");
    }
    let import = plan.iter().find(|row| row[1].as_deref().is_some_and(|o| o.contains("tmp_import")));
    let import = import.unwrap_or_else(|| panic!("what is left out is in the plan: {plan:?}"));
    assert!(import[2].as_deref().is_some_and(|reason| !reason.is_empty()), "and why: {import:?}");
    assert_eq!(
        pair.destination.value(DATABASE, "SELECT to_regclass('public.customers')"),
        "",
        "planning creates nothing"
    );

    source.psql_ok(DATABASE, "SELECT courier.start('shop_to_dr');");
    pair.wait_for_state(DATABASE, TASK, "synchronizing");
    let tasks = source.psql_ok(DATABASE, "\\x\nSELECT * FROM courier.tasks;");
    assert_mentions(&tasks, &["shop_to_dr", "synchronizing", "lag_bytes", "last_error"]);
    let progress = source.psql_ok(DATABASE, "SELECT * FROM courier.progress;");
    assert_mentions(&progress, &["customers", "orders", "order_lines", "ready"]);

    source
        .psql_ok(DATABASE, "SELECT courier.pause('shop_to_dr'); INSERT INTO customers VALUES (1000, 'while paused');");
    assert_eq!(pair.task(DATABASE, TASK, "state"), "paused");
    source.psql_ok(DATABASE, "SELECT courier.resume('shop_to_dr'); UPDATE customers SET name = 'after' WHERE id = 1;");
    let lsn = source
        .psql_ok(DATABASE, "\\pset tuples_only on\nSELECT courier.wait_for('shop_to_dr', timeout => '60 s')::text;");
    assert!(lsn.contains('/'), "wait_for returns a position: {lsn}");
    assert_eq!(pair.destination.value(DATABASE, "SELECT count(*) FROM customers"), "501");

    let verified = source.rows(
        DATABASE,
        "SELECT table_name, source_rows, destination_rows, identical, differing_keys::text, \
         source_hash = destination_hash FROM courier.verify('shop_to_dr') ORDER BY 1",
    );
    assert_eq!(verified.len(), 3, "{verified:?}");
    for row in &verified {
        assert_eq!(row[1], row[2], "{row:?}");
        assert_eq!((row[3].as_deref(), row[5].as_deref()), (Some("t"), Some("t")), "{row:?}");
        assert!(matches!(row[4].as_deref(), None | Some("{}")), "{row:?}");
    }
    pair.assert_same(DATABASE, &["public.customers", "sales.orders", "sales.order_lines"]);
    for absent in ["public.tmp_import", "sales.secrets"] {
        assert_eq!(pair.destination.value(DATABASE, &format!("SELECT to_regclass('{absent}')")), "", "{absent}");
    }

    source.psql_ok(DATABASE, "SELECT courier.drop_task('shop_to_dr');");
    assert_nothing_left(&pair, DATABASE);
}

/// Slot, workers, helper rows on both sides: all gone.
fn assert_nothing_left(pair: &Pair, database: &str) {
    wait_until_no_workers(&pair.source, Duration::from_secs(2));
    assert_eq!(pair.source.value(database, "SELECT count(*) FROM pg_replication_slots"), "0");
    assert_eq!(pair.source.value(database, "SELECT count(*) FROM courier.tasks"), "0");
    assert_eq!(pair.source.value(database, "SELECT count(*) FROM courier.progress"), "0");
    let helper_exists = pair.destination.value(database, "SELECT to_regclass('courier_applied.progress')");
    if !helper_exists.is_empty() {
        assert_eq!(pair.destination.value(database, "SELECT count(*) FROM courier_applied.progress"), "0");
    }
}

/// Verify is worth something only if it finds things: a changed value, a missing row and a
/// surplus row are each named by their key.
#[test]
fn verify_names_the_differing_keys() {
    let pair = Pair::start();
    create_small_tables(&pair);
    pair.start_task(TASK, &["public.*"]);
    pair.caught_up(DATABASE, TASK);
    pair.destination.run(
        DATABASE,
        "UPDATE items SET note = 'tampered' WHERE id = 17; DELETE FROM items WHERE id = 503; \
         INSERT INTO items VALUES (90001, 1, 'surplus')",
    );
    let row = pair.source.rows(
        DATABASE,
        "SELECT source_rows, destination_rows, identical, (source_hash = destination_hash)::text, \
         array_to_string(differing_keys, ' ') FROM courier.verify('shop_to_dr') WHERE table_name LIKE '%items%'",
    );
    let row: Vec<String> = row.into_iter().flatten().map(Option::unwrap_or_default).collect();
    assert_eq!(&row[..4], ["1000", "1000", "f", "false"]);
    for key in ["17", "503", "90001"] {
        assert!(row[4].contains(key), "key {key} in {}", row[4]);
    }
    let other = pair
        .source
        .value(DATABASE, "SELECT identical FROM courier.verify('shop_to_dr') WHERE table_name LIKE '%journal%'");
    assert_eq!(other, "t", "the other table is not suspected");
}

/// pgbench and the traffic on all types run before, while and after the tables are copied.
/// A row written during the copy would be missing or there twice if snapshot and stream
/// did not fit together exactly.
#[test]
fn live_traffic_during_the_copy() {
    let pair = Pair::start();
    pgbench::initialize(&pair.source, DATABASE, 2);
    types::initialize(&pair.source, DATABASE);
    let bench =
        Pgbench::start(&pair.source, DATABASE, &pgbench::Options { clients: 2, rate: Some(300), ..Default::default() });
    let traffic = Traffic::start(&pair.source, DATABASE, 2, 7, Duration::from_millis(5), types::transaction);
    pair.start_task(TASK, &["public.*", types::PATTERN]);
    pair.wait_for_state_within(DATABASE, TASK, "synchronizing", Duration::from_secs(120));
    crate::common::more_traffic(&traffic, 300, &pair.source);
    bench.stop();
    traffic.stop();
    pair.caught_up(DATABASE, TASK);
    let mut tables = types::tables(&pair.source, DATABASE);
    tables.extend(pgbench::TABLES.map(str::to_owned));
    let tables: Vec<&str> = tables.iter().map(String::as_str).collect();
    pair.assert_same(DATABASE, &tables);
    assert_verified(&pair.source, TASK);
}

fn assert_verified(source: &Cluster, task: &str) {
    let unlike = source.rows(
        DATABASE,
        &format!("SELECT table_name, source_rows, destination_rows, differing_keys FROM courier.verify('{task}') WHERE identical IS NOT TRUE"),
    );
    assert!(unlike.is_empty(), "courier.verify differs: {unlike:?}");
}
