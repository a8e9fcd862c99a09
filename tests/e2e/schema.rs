//! The schema that arrives: pg_dump of both sides, normalised, is equal.

use pg_courier_tests::pair::DATABASE;
use pg_courier_tests::{Cluster, Dump, Pair, Privileges, TaskOptions, types};

use crate::common::{SMALL, TASK, assert_mentions, create_small_tables};

fn assert_same_schema(pair: &Pair, schema: &str) {
    let dump = |cluster| Dump::of((cluster, DATABASE), schema, Privileges::LeftOut);
    let (source, destination) = (dump(&pair.source), dump(&pair.destination));
    if let Some(difference) = source.difference(&destination) {
        panic!("the dumps of schema {schema} differ\n{difference}");
    }
    assert!(source.len() > 3, "the dump is not empty");
}

/// The schema with every type: types, domains, identity and generated columns, partitions,
/// inheritance, checks, keys, indexes, comments, triggers.
#[test]
fn every_type_schema_is_equal() {
    let pair = Pair::start();
    types::initialize(&pair.source, DATABASE);
    pair.start_task(TASK, &[types::PATTERN]);
    pair.caught_up(DATABASE, TASK);
    assert_same_schema(&pair, "types");
}

/// The schema generator's own fixture and check, with the extension as installed.
#[test]
fn the_generators_fixture_is_equal() {
    let pair = Pair::builder().start_without_database();
    let conninfo = |cluster: &Cluster| {
        format!("host={} port={} user=postgres dbname=postgres", cluster.socket_directory().display(), cluster.port())
    };
    // Grants and policies for a role that is missing there are left out; here nothing is to be.
    pair.destination.run("postgres", "CREATE ROLE \"courier Reader\"; CREATE ROLE courier_writer");
    let bin = pg_courier_tests::Install::destination().program("psql");
    let output = std::process::Command::new("bash")
        .arg(pg_courier_tests::install::project().join("tests/schema/check.sh"))
        .arg(bin.parent().expect("a directory"))
        .env("SOURCE", conninfo(&pair.source))
        .env("DESTINATION", conninfo(&pair.destination))
        .output()
        .expect("bash runs");
    assert!(
        output.status.success(),
        "{}{}\n{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
        pair.source.log_tail(30)
    );
}

/// Each keyword that means something in a statement is a name, of a table, a column and a constraint; checked by a dump of both.
#[test]
fn a_schema_of_keywords_is_equal() {
    let pair = Pair::start();
    pair.source.run(
        DATABASE,
        "CREATE SCHEMA words; \
         DO $do$ DECLARE w text; BEGIN \
           FOR w IN SELECT word FROM pg_get_keywords() WHERE catcode IN ('R', 'T', 'C') LOOP \
             EXECUTE format('CREATE TABLE words.%1$I (%1$I int CONSTRAINT %1$I CHECK (%1$I > 0));', w); \
           END LOOP; \
           EXECUTE (SELECT 'CREATE TABLE words.every_one (' || string_agg(format('%I int', word), ', ') || ')' FROM pg_get_keywords()); \
         END $do$",
    );
    pair.start_task(TASK, &["words.*"]);
    pair.caught_up(DATABASE, TASK);
    assert_same_schema(&pair, "words");
}

/// Names with every kind of quote arrive as they are; checked by a dump of both.
#[test]
fn a_schema_of_odd_names_is_equal() {
    let pair = Pair::start();
    pair.source.run(
        DATABASE,
        "CREATE SCHEMA \"Odd-1\"; CREATE TYPE \"Odd-1\".\"T'\" AS ENUM ('it''s'); \
         CREATE TABLE \"Odd-1\".\"A\"\"b\" (\"Ä\" int CHECK (\"Ä\" > 0), \"x y\" \"Odd-1\".\"T'\" DEFAULT 'it''s', PRIMARY KEY (\"Ä\")); \
         CREATE TABLE \"Odd-1\".\"child\" (\"ref\" int REFERENCES \"Odd-1\".\"A\"\"b\" ON DELETE SET NULL); \
         COMMENT ON COLUMN \"Odd-1\".\"A\"\"b\".\"Ä\" IS 'it''s \\ \"x\"'; \
         CREATE UNIQUE INDEX \"I-1\" ON \"Odd-1\".\"A\"\"b\" ((\"Ä\" % 10), \"x y\") WHERE \"Ä\" < 100",
    );
    pair.start_task(TASK, &["\"Odd-1\".*"]);
    pair.caught_up(DATABASE, TASK);
    assert_same_schema(&pair, "\"Odd-1\"");
}

/// Foreign keys are made when all rows are one state of the source; who waits for the task does not go on before.
#[test]
fn who_waits_waits_for_the_last_of_the_schema() {
    let pair = Pair::start();
    pair.source.run(
        DATABASE,
        "CREATE TABLE parent (id int PRIMARY KEY); CREATE TABLE child (id int REFERENCES parent); INSERT INTO parent VALUES (1)",
    );
    pair.source.arm("supervisor_tables_ready:wait");
    pair.start_task(TASK, &["public.*"]);
    let waiting = "EXISTS (SELECT FROM pg_stat_activity WHERE query = 'waiting at failpoint supervisor_tables_ready')";
    pair.source.wait_until(DATABASE, "all rows are there", waiting);
    let early =
        pair.source.connect(DATABASE).batch_execute(&format!("SELECT courier.wait_for('{TASK}', timeout => '2 s')"));
    let error = pg_courier_tests::Answer::from(&early.expect_err("there is no foreign key yet")).to_string();
    assert_mentions(&error, &["did not get there in time", "catching_up"]);
    pair.source.disarm();
    pair.caught_up(DATABASE, TASK);
    assert_eq!(pair.destination.value(DATABASE, "SELECT count(*) FROM pg_constraint WHERE contype = 'f'"), "1");
    assert_same_schema(&pair, "public");
}

/// Tables that are there already are not taken over in silence: the task stops before it touches
/// them, names one and the ways out; the way out works.
#[test]
fn an_existing_table_is_not_taken_over() {
    let pair = Pair::start();
    create_small_tables(&pair);
    pair.start_task(TASK, &["public.*"]);
    pair.caught_up(DATABASE, TASK);
    pair.call(DATABASE, "drop_task", TASK);
    pair.create_task(DATABASE, TASK, &["public.*"], &TaskOptions::default());
    let text = match pair.source.connect(DATABASE).batch_execute(&format!("SELECT courier.start('{TASK}')")) {
        Err(error) => pg_courier_tests::Answer::from(&error).to_string(),
        Ok(()) => pair.failure(DATABASE, TASK),
    };
    assert_mentions(&text, &["exists", "schema_sync"]);
    assert_eq!(pair.destination.value(DATABASE, "SELECT count(*) FROM items"), "1000", "not touched");
    pair.call(DATABASE, "drop_task", TASK);

    pair.destination.run(DATABASE, "TRUNCATE items, journal");
    let options = TaskOptions { schema_sync: Some(false), ..Default::default() };
    pair.start_task_with(DATABASE, TASK, &["public.*"], &options);
    pair.assert_mirrored(TASK, &SMALL);
    assert_same_schema(&pair, "public");
}

/// Tables that need extensions: a trusted one is created by the destination's role.
#[test]
fn an_extension_that_a_table_needs() {
    let pair = Pair::start();
    let available = "SELECT count(*) FROM pg_available_extensions WHERE name IN ('hstore', 'citext')";
    if pair.source.value(DATABASE, available) != "2" {
        println!("this server has no contrib modules: nothing to test");
        return;
    }
    pair.source.run(
        DATABASE,
        "CREATE EXTENSION hstore; CREATE EXTENSION citext; \
         CREATE TABLE t (id citext PRIMARY KEY, h hstore, a hstore[]); \
         INSERT INTO t VALUES ('Key', 'a=>1, b=>NULL', ARRAY['x=>y'::hstore]), ('ä', '', NULL)",
    );
    pair.start_task(TASK, &["public.*"]);
    pair.caught_up(DATABASE, TASK);
    pair.source.run(DATABASE, "UPDATE t SET h = h || 'c=>\"q\\\"\"'; INSERT INTO t VALUES ('Z', NULL, '{}')");
    pair.assert_mirrored(TASK, &["public.t"]);
}
