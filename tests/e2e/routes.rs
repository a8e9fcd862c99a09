//! Tables that are called otherwise on the destination. No option of a task says so yet; the routes are made by hand, in the
//! transaction that starts it, to see that no name of the source gets anywhere on the destination.

use pg_courier_tests::pair::{DATABASE, TaskOptions, create_task_sql};
use pg_courier_tests::{Cluster, Pair};

use crate::common::TASK;

/// Schema, table and columns of `public.orders` are others there, one column stays, and `public.journal` takes inserts only.
/// Beside the targets stand empty tables of the source's names, which nothing may touch.
const SOURCE: &str = "CREATE TYPE mood AS ENUM ('fine', 'bad'); \
    CREATE TABLE orders (id int PRIMARY KEY, note text, mood mood, secret text, at timestamptz DEFAULT now()); \
    CREATE TABLE heap (a int, b text); ALTER TABLE heap REPLICA IDENTITY FULL; \
    CREATE TABLE journal (id int PRIMARY KEY, line text); \
    INSERT INTO orders SELECT n, 'note ' || n, CASE WHEN n % 2 = 0 THEN 'fine' END::mood, 'secret' FROM generate_series(1, 3000) AS n; \
    INSERT INTO heap SELECT n % 7, 'copied' FROM generate_series(1, 50) AS n; INSERT INTO journal VALUES (1, 'copied')";
const DESTINATION: &str = "CREATE TYPE mood AS ENUM ('fine', 'bad'); \
    CREATE TABLE orders (id int PRIMARY KEY, note text, mood mood, secret text, at timestamptz DEFAULT now()); \
    CREATE TABLE heap (a int, b text); CREATE TABLE journal (id int PRIMARY KEY, line text); \
    CREATE SCHEMA \"There\"; \
    CREATE TABLE \"There\".\"Orders 2\" (\"Order Id\" int PRIMARY KEY, \"select\" text, mood mood, at timestamptz, extra int DEFAULT 7); \
    CREATE TABLE \"There\".heap (b text, \"A\" int); \
    CREATE TABLE diary (id int PRIMARY KEY, line text)";
const ROUTES: [(&str, &str); 3] = [
    (
        "orders",
        r#"{"schema": "There", "table": "Orders 2", "columns": {"id": "Order Id", "note": "select", "secret": null}}"#,
    ),
    ("heap", r#"{"schema": "There", "columns": {"a": "A"}}"#),
    ("journal", r#"{"table": "diary", "operations": ["insert"]}"#),
];

fn routed_pair(conflict: Option<&'static str>) -> Pair {
    let pair = Pair::start();
    pair.source.run(DATABASE, SOURCE);
    let mut destination = pair.destination.connect_as(DATABASE, "courier", pg_courier_tests::pair::PASSWORD);
    destination.batch_execute(DESTINATION).expect("tables on the destination");
    let options = TaskOptions { schema_sync: Some(false), conflict, ..TaskOptions::default() };
    let mut start = format!(
        "{}; BEGIN; SELECT courier.start('{TASK}');",
        create_task_sql(TASK, pg_courier_tests::pair::SERVER, &["public.*"], &options)
    );
    for (table, route) in ROUTES {
        start += &format!(" UPDATE courier.task_table SET route = '{route}' WHERE relid = '{table}'::regclass;");
    }
    pair.source.run(DATABASE, &(start + " COMMIT"));
    pair
}

/// What the destination should have, in the same words.
fn assert_routed(pair: &Pair) {
    pair.caught_up(DATABASE, TASK);
    let rows = |cluster: &Cluster, query: &str| {
        cluster.value(DATABASE, &format!("SELECT string_agg(t::text, E'\\n' ORDER BY t::text) FROM ({query}) AS t"))
    };
    for (here, there) in [
        (
            "SELECT id, note, mood, at, 7 AS extra FROM orders",
            "SELECT \"Order Id\", \"select\", mood, at, extra FROM \"There\".\"Orders 2\"",
        ),
        ("SELECT a, b FROM heap", "SELECT \"A\", b FROM \"There\".heap"),
    ] {
        assert_eq!(rows(&pair.source, here), rows(&pair.destination, there), "{here}");
    }
    let others = "SELECT (SELECT count(*) FROM orders) + (SELECT count(*) FROM heap) + (SELECT count(*) FROM journal)";
    assert_eq!(pair.destination.value(DATABASE, others), "0", "tables of the source's names");
}

#[test]
fn no_name_of_the_source_gets_through() {
    let pair = routed_pair(None);
    assert_routed(&pair);
    for statements in [
        // One by one, merged, as a COPY, with values out of line that did not change, whole and in parts.
        "INSERT INTO orders VALUES (5000, 'new', 'bad', 'secret')",
        "UPDATE orders SET note = note || '!', secret = 'other' WHERE id % 3 = 0",
        "UPDATE orders SET id = id + 10000 WHERE id BETWEEN 100 AND 110",
        "DELETE FROM orders WHERE id % 50 = 0",
        "INSERT INTO orders SELECT n, 'copy ' || n, 'fine' FROM generate_series(20000, 40000) AS n",
        "INSERT INTO orders SELECT n, (SELECT string_agg(md5((n * i)::text), '') FROM generate_series(1, 200) AS i) \
         FROM generate_series(50000, 50020) AS n",
        "UPDATE orders SET mood = 'bad' WHERE id >= 50000",
        "INSERT INTO heap SELECT 3, 'copied' FROM generate_series(1, 3)",
        "DELETE FROM heap WHERE ctid IN (SELECT ctid FROM heap WHERE a = 3 LIMIT 2); UPDATE heap SET a = 70 WHERE a = 5",
        "INSERT INTO journal VALUES (2, 'streamed'), (3, 'streamed'); DELETE FROM journal WHERE id = 1; UPDATE journal SET line = 'changed'",
    ] {
        pair.source.run(DATABASE, statements);
    }
    assert_routed(&pair);
    let diary = "SELECT string_agg(concat_ws(' ', id, line), ', ' ORDER BY id) FROM diary";
    assert_eq!(pair.destination.value(DATABASE, diary), "1 copied, 2 streamed, 3 streamed", "inserts only");
    let verify = |what: &str| {
        let query = format!("SELECT {what} FROM courier.verify('{TASK}') WHERE table_name = 'public.orders'");
        pair.source.value(DATABASE, &query)
    };
    assert_eq!(verify("concat_ws(' ', identical, source_rows = destination_rows, error)"), "t t");
    pair.destination.run(DATABASE, "UPDATE \"There\".\"Orders 2\" SET \"select\" = 'else' WHERE \"Order Id\" = 7");
    assert_eq!(verify("concat_ws(' ', identical, differing_keys, error)"), "f {(7)}");
    pair.destination.run(DATABASE, "UPDATE \"There\".\"Orders 2\" SET \"select\" = 'note 7' WHERE \"Order Id\" = 7");
    pair.source.run(DATABASE, "TRUNCATE orders, journal; INSERT INTO orders VALUES (1, 'after')");
    assert_routed(&pair);
    assert_eq!(pair.destination.value(DATABASE, "SELECT count(*) FROM diary"), "3");
}

/// One by one: what is asked of the destination there, and what is said, has its names.
#[test]
fn conflicts_are_looked_up_under_the_names_of_the_destination() {
    let pair = routed_pair(Some("overwrite"));
    pair.caught_up(DATABASE, TASK);
    pair.destination.run(
        DATABASE,
        "INSERT INTO \"There\".\"Orders 2\" VALUES (7000, 'was here'); DELETE FROM \"There\".\"Orders 2\" WHERE \"Order Id\" = 8",
    );
    pair.source.run(
        DATABASE,
        "INSERT INTO orders VALUES (7000, 'comes'); UPDATE orders SET note = 'too late' WHERE id = 8; DELETE FROM orders WHERE id = 9",
    );
    pair.caught_up(DATABASE, TASK);
    let listed =
        "SELECT string_agg(concat_ws(' ', table_name, change, decision), ', ' ORDER BY change) FROM courier.conflicts";
    assert_eq!(pair.source.value(DATABASE, listed), "public.orders INSERT overwritten, public.orders UPDATE inserted");
    assert_routed(&pair);
}
