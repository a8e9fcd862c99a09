//! Names that need quotes: database, schema, table, columns, types, and a key made of them.

use pg_courier_tests::pair::{DATABASE, create_task_sql};
use pg_courier_tests::sql::ident;
use pg_courier_tests::{Pair, TaskOptions};

use crate::common::TASK;

const ODD_DATABASE: &str = "Shop-Größe \"it's\" 100%";

/// Everything is named to break a statement that somebody forgot to quote: hyphens, capitals,
/// both quotes, blanks, reserved words, a dollar, a backslash, a percent sign, a comma.
#[test]
fn odd_names_everywhere() {
    let pair = Pair::builder().start_without_database();
    pair.add_database(ODD_DATABASE);
    let schema = ident("My-Schema \"x\"");
    let table = format!("{schema}.{}", ident("Order-Lines, 'all' \\ $1"));
    let plain = format!("{schema}.{}", ident("select"));
    pair.source.run(
        ODD_DATABASE,
        &format!(
            "CREATE SCHEMA {schema}; \
             CREATE TYPE {schema}.\"Mood's\" AS ENUM ('So-So', 'a\"b', 'c,d'); \
             CREATE TABLE {table} (\"Id\" int, \"it's\" text, \"a\"\"b\" {schema}.\"Mood's\", \"from\" int DEFAULT 7, \
                 \"with space\" text, \"$1\" text, \"%s\" int GENERATED ALWAYS AS (\"Id\" * 2) STORED, \
                 CONSTRAINT \"Primary-Key \"\"x\"\"\" PRIMARY KEY (\"Id\", \"it's\")); \
             CREATE INDEX \"Index, of-it\" ON {table} (lower(\"with space\")); \
             CREATE TABLE {plain} (\"user\" int PRIMARY KEY, \"table\" text); \
             INSERT INTO {table} SELECT n, 'k' || n, 'a\"b', n, 'x', '$1' FROM generate_series(1, 50) AS n; \
             INSERT INTO {plain} VALUES (1, 'one')"
        ),
    );
    pair.source
        .run(ODD_DATABASE, &create_task_sql(TASK, "dr", &["\"My-Schema \"\"x\"\"\".*"], &TaskOptions::default()));
    pair.call(ODD_DATABASE, "start", TASK);
    pair.wait_for_state(ODD_DATABASE, TASK, "synchronizing");
    pair.source.run(
        ODD_DATABASE,
        &format!(
            "UPDATE {table} SET \"a\"\"b\" = 'c,d', \"$1\" = 'it''s' WHERE \"Id\" % 2 = 0; \
             UPDATE {table} SET \"it's\" = \"it's\" || '\"' WHERE \"Id\" % 5 = 0; \
             DELETE FROM {table} WHERE \"Id\" % 7 = 0; \
             INSERT INTO {plain} VALUES (2, NULL)"
        ),
    );
    pair.assert_mirrored_in(ODD_DATABASE, TASK, &[&table, &plain]);
    let verified = "SELECT count(*) FILTER (WHERE identical) FROM courier.verify('shop_to_dr')";
    assert_eq!(pair.source.value(ODD_DATABASE, verified), "2");
    pair.call(ODD_DATABASE, "drop_task", TASK);
    assert_eq!(pair.source.value(ODD_DATABASE, "SELECT count(*) FROM pg_replication_slots"), "0");
}

/// Two tables that differ by case only are two tables; a pattern folds case as SQL does, unless
/// it is quoted.
#[test]
fn case_matters() {
    let pair = Pair::start();
    pair.source.run(
        DATABASE,
        "CREATE TABLE \"Order\" (id int PRIMARY KEY); CREATE TABLE \"order\" (id int PRIMARY KEY); \
         INSERT INTO \"Order\" VALUES (1); INSERT INTO \"order\" VALUES (2), (3)",
    );
    pair.source.run(DATABASE, "CREATE TABLE customer (id int PRIMARY KEY)");
    pair.create_task(DATABASE, TASK, &["public.\"Order\"", "customer"], &TaskOptions::default());
    // People see names as they would write them, wherever they look.
    let names = |what: &str| {
        let sql = format!("SELECT string_agg(DISTINCT name, ' ' ORDER BY name) FROM {what} AS seen(name)");
        assert_eq!(pair.source.value(DATABASE, &sql), "public.\"Order\" public.customer", "{what}");
    };
    names("(SELECT object FROM courier.plan('shop_to_dr') WHERE action IN ('copy', 'stream'))");
    pair.call(DATABASE, "start", TASK);
    pair.caught_up(DATABASE, TASK);
    names("(SELECT object FROM courier.plan('shop_to_dr'))");
    names("(SELECT table_name FROM courier.progress)");
    names("(SELECT table_name FROM courier.verify('shop_to_dr'))");
    pair.assert_same(DATABASE, &["public.\"Order\""]);
    assert_eq!(pair.destination.value(DATABASE, "SELECT to_regclass('public.\"order\"')"), "");
}
