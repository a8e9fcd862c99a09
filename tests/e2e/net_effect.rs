//! A backlog applied as merged batches: changes collapse to their net effect, runs of inserts become COPY. Each story is
//! written while its task is paused, so that all of it is there at once when the task goes on.

use std::time::Duration;

use pg_courier_tests::pair::DATABASE;
use pg_courier_tests::{Pair, TaskOptions};

use crate::common::{TASK, assert_mentions};

const LONG: Duration = Duration::from_secs(300);

/// A pair whose task on the tables of `create` is synchronizing.
fn mirrored(create: &str) -> Pair {
    let pair = Pair::start();
    pair.source.run(DATABASE, create);
    pair.start_task(TASK, &["public.*"]);
    pair.wait_for_state(DATABASE, TASK, "synchronizing");
    pair
}

/// Writes all changes while the task is paused, lets it go on, compares. Each item is a query string: several statements
/// in one without BEGIN are one transaction.
#[track_caller]
fn merged(pair: &Pair, tables: &[&str], changes: &[&str]) {
    pair.call(DATABASE, "pause", TASK);
    for change in changes {
        pair.source.run(DATABASE, change);
    }
    pair.call(DATABASE, "resume", TASK);
    pair.caught_up_within(DATABASE, TASK, LONG);
    pair.assert_same(DATABASE, tables);
}

/// Batches that were taken apart because their net effect was refused.
fn replays(pair: &Pair) -> usize {
    pair.source.log_count("replays the last batch")
}

/// Everything that can happen to one key, and keys that change places, in transactions of their own and in one.
#[test]
fn histories_of_one_key() {
    let pair = mirrored(
        "CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t SELECT n, 'v' || n FROM generate_series(1, 40) AS n",
    );
    let histories = [
        "INSERT INTO t VALUES (100, 'a')",
        "UPDATE t SET v = 'b' WHERE id = 100",
        "DELETE FROM t WHERE id = 100",
        "INSERT INTO t VALUES (100, 'c')",
        "INSERT INTO t VALUES (101, 'a')",
        "DELETE FROM t WHERE id = 101",
        "DELETE FROM t WHERE id = 1",
        "INSERT INTO t VALUES (1, 'again')",
        "DELETE FROM t WHERE id = 1",
        "UPDATE t SET v = 'x' WHERE id = 2",
        "DELETE FROM t WHERE id = 2",
        "INSERT INTO t VALUES (2, NULL)",
        "UPDATE t SET v = 'y' WHERE id = 2",
        // 3 -> 4 -> 5, where 4 and 5 existed before.
        "DELETE FROM t WHERE id = 5",
        "UPDATE t SET id = 5 WHERE id = 4",
        "UPDATE t SET id = 4 WHERE id = 3",
        // 6 and 7 exchange their places, there and back, and there.
        "UPDATE t SET id = -6 WHERE id = 6; UPDATE t SET id = 6 WHERE id = 7; UPDATE t SET id = 7 WHERE id = -6",
        "BEGIN; UPDATE t SET id = -6 WHERE id = 6; UPDATE t SET id = 6 WHERE id = 7; UPDATE t SET id = 7 WHERE id = -6; COMMIT",
        "BEGIN; UPDATE t SET id = -6 WHERE id = 6; UPDATE t SET id = 6 WHERE id = 7; UPDATE t SET id = 7 WHERE id = -6; COMMIT",
        // A chain over all rows, one after the other.
        "DO $$ BEGIN FOR n IN REVERSE 40..10 LOOP UPDATE t SET id = n + 1, v = v || '>' WHERE id = n; END LOOP; END $$",
        "UPDATE t SET v = v || '!' WHERE id > 20; DELETE FROM t WHERE id % 7 = 0; UPDATE t SET id = id + 1000 WHERE id > 30 AND id < 100",
    ];
    merged(&pair, &["public.t"], &histories);
    // All of it again as one transaction, on other rows.
    pair.source.run(DATABASE, "TRUNCATE t; INSERT INTO t SELECT n, 'w' || n FROM generate_series(1, 40) AS n");
    let one = histories.map(|history| history.trim_start_matches("BEGIN; ").trim_end_matches("; COMMIT")).join("; ");
    merged(&pair, &["public.t"], &[&one]);
    assert_eq!(replays(&pair), 0, "the net effect of one key needs no second try");
}

/// Unique values besides the key go from row to row: in one statement where the constraint waits for the end of the
/// transaction, in steps where it does not, and with rows that leave and come.
#[test]
fn unique_values_change_places() {
    let pair = mirrored(
        "CREATE TABLE late (id int PRIMARY KEY, place int, UNIQUE (place) DEFERRABLE INITIALLY IMMEDIATE); \
         CREATE TABLE strict (id int PRIMARY KEY, place int UNIQUE, name text); CREATE UNIQUE INDEX ON strict (lower(name)); \
         CREATE TABLE keys (id int, v text, PRIMARY KEY (id) DEFERRABLE); ALTER TABLE keys REPLICA IDENTITY FULL; \
         INSERT INTO late SELECT n, n FROM generate_series(1, 20) AS n; \
         INSERT INTO strict SELECT n, n, 'n' || n FROM generate_series(1, 20) AS n; \
         INSERT INTO keys SELECT n, 'k' || n FROM generate_series(1, 20) AS n",
    );
    let tables = ["public.late", "public.strict", "public.keys"];
    merged(
        &pair,
        &tables,
        &[
            "UPDATE late SET place = 21 - place",
            "UPDATE keys SET id = 3 - id WHERE id IN (1, 2)",
            "UPDATE keys SET id = 21 - id WHERE id BETWEEN 5 AND 16",
            "UPDATE strict SET place = -1 WHERE id = 1; UPDATE strict SET place = 1 WHERE id = 2; UPDATE strict SET place = 2 WHERE id = 1",
            "DELETE FROM strict WHERE id = 5; INSERT INTO strict VALUES (105, 5, 'N5')",
            "UPDATE strict SET name = 'free' WHERE id = 7; INSERT INTO strict VALUES (107, 107, 'n7')",
            "DELETE FROM keys WHERE id = 20; INSERT INTO keys VALUES (20, 'new'); UPDATE keys SET id = 39 - id WHERE id IN (19, 20)",
        ],
    );
    // A value that one row hands to another in two transactions of one batch.
    merged(
        &pair,
        &tables,
        &[
            "UPDATE strict SET place = NULL WHERE id = 9",
            "UPDATE strict SET place = 9 WHERE id = 8",
            "UPDATE late SET place = place % 20 + 1",
        ],
    );
}

/// Values out of line that an update leaves alone are not in the WAL: kept when the key changes too, when the row was
/// updated before in the same batch, when it was inserted there, and when it moves twice.
#[test]
fn unchanged_values_out_of_line() {
    let pair = mirrored(
        "CREATE TABLE t (id int PRIMARY KEY, n int, a text, b text); ALTER TABLE t ALTER a SET STORAGE EXTERNAL, ALTER b SET STORAGE EXTERNAL; \
         INSERT INTO t SELECT n, 0, repeat('a' || n, 2000), repeat('b' || n, 2000) FROM generate_series(1, 30) AS n",
    );
    merged(
        &pair,
        &["public.t"],
        &[
            "UPDATE t SET n = 1 WHERE id <= 20",
            "UPDATE t SET a = 'short' WHERE id <= 10",
            "UPDATE t SET b = repeat('new', 3000) WHERE id BETWEEN 5 AND 15",
            "UPDATE t SET n = n + 1 WHERE id <= 20",
            "UPDATE t SET id = id + 100 WHERE id BETWEEN 8 AND 12",
            "UPDATE t SET n = n + 1, id = id + 100 WHERE id BETWEEN 110 AND 112",
            "UPDATE t SET n = 9 WHERE id > 205; UPDATE t SET a = NULL WHERE id = 211",
            "INSERT INTO t VALUES (500, 0, repeat('c', 5000), repeat('d', 5000))",
            "UPDATE t SET n = 5 WHERE id = 500",
            "UPDATE t SET id = 501 WHERE id = 500",
            "UPDATE t SET b = 'x', id = 502 WHERE id = 501",
            "DELETE FROM t WHERE id = 25; INSERT INTO t VALUES (25, 1, repeat('e', 4000), NULL)",
            "UPDATE t SET n = 2 WHERE id = 25",
            "UPDATE t SET id = -1 WHERE id = 29; UPDATE t SET id = 29 WHERE id = 30; UPDATE t SET id = 30 WHERE id = -1",
        ],
    );
    assert_eq!(replays(&pair), 0);
}

/// Rows go from partition to partition and back, partitions are truncated, and a row's key may come to another one.
#[test]
fn rows_move_between_partitions() {
    let pair = mirrored(
        "CREATE TABLE p (id int, part int, v text, PRIMARY KEY (id, part)) PARTITION BY LIST (part); \
         CREATE TABLE p1 PARTITION OF p FOR VALUES IN (1); CREATE TABLE p2 PARTITION OF p FOR VALUES IN (2); \
         CREATE TABLE rest PARTITION OF p DEFAULT; \
         INSERT INTO p SELECT n, n % 3 + 1, 'v' || n FROM generate_series(1, 300) AS n",
    );
    merged(
        &pair,
        &["public.p", "public.p1", "public.p2", "public.rest"],
        &[
            "UPDATE p SET part = 2 WHERE part = 1 AND id < 100",
            "UPDATE p SET v = v || '+' WHERE id < 50",
            "UPDATE p SET part = 1 WHERE part = 2 AND id < 30",
            "UPDATE p SET part = part + 5 WHERE id BETWEEN 200 AND 250",
            "DELETE FROM p WHERE id % 11 = 0; INSERT INTO p SELECT n, 2, 'again' FROM generate_series(11, 110, 11) AS n",
            "BEGIN; UPDATE p SET part = 1 WHERE id = 250; UPDATE p SET part = 2 WHERE id = 250; UPDATE p SET id = 251250 WHERE id = 250; COMMIT",
            "TRUNCATE rest; UPDATE p SET part = 3 WHERE id = 1",
        ],
    );
    assert_eq!(replays(&pair), 0);
}

/// TRUNCATE divides a batch: what came before is gone, what comes after stays, whether in one transaction or in many, with
/// other tables around it.
#[test]
fn truncate_between_changes() {
    let pair = mirrored(
        "CREATE TABLE a (id int PRIMARY KEY, v text); CREATE TABLE b (id int PRIMARY KEY, a int REFERENCES a); CREATE TABLE c (v text); \
         INSERT INTO a SELECT n, 'v' FROM generate_series(1, 50) AS n; INSERT INTO b SELECT n, n FROM generate_series(1, 50) AS n",
    );
    merged(
        &pair,
        &["public.a", "public.b", "public.c"],
        &[
            "INSERT INTO a VALUES (51, 'before'); INSERT INTO b VALUES (51, 51); UPDATE a SET v = 'w' WHERE id < 10",
            "TRUNCATE a CASCADE",
            "INSERT INTO a SELECT n, 'after' FROM generate_series(1, 20) AS n; INSERT INTO c VALUES ('c')",
            "BEGIN; INSERT INTO b SELECT n, n FROM generate_series(1, 20) AS n; TRUNCATE b; INSERT INTO b VALUES (3, 3); UPDATE a SET v = 'x' WHERE id = 3; COMMIT",
            "BEGIN; DELETE FROM a WHERE id = 5; TRUNCATE a CASCADE; INSERT INTO a VALUES (5, 'new'); TRUNCATE a, b, c; INSERT INTO a VALUES (5, 'newest'); COMMIT",
            "BEGIN; SAVEPOINT s; TRUNCATE a CASCADE; ROLLBACK TO s; INSERT INTO a VALUES (6, 'kept'); COMMIT",
        ],
    );
    assert_eq!(pair.destination.value(DATABASE, "SELECT string_agg(v, ' ' ORDER BY id) FROM a"), "newest kept");
}

/// Keyed and keyless tables in the same transactions; in the keyless one equal rows are there several times, and exactly as
/// many go as the source lets go.
#[test]
fn keyless_rows_that_are_equal() {
    let pair = mirrored(
        "CREATE TABLE k (id int PRIMARY KEY, v int); CREATE TABLE d (a int, b text, c numeric); ALTER TABLE d REPLICA IDENTITY FULL; \
         INSERT INTO k SELECT n, 0 FROM generate_series(1, 20) AS n; \
         INSERT INTO d SELECT n % 4, 'same', NULL FROM generate_series(1, 40) AS n",
    );
    let one = |a: i32| format!("ctid = (SELECT min(ctid) FROM d WHERE a = {a})");
    merged(
        &pair,
        &["public.k", "public.d"],
        &[
            &format!("BEGIN; DELETE FROM d WHERE {}; UPDATE k SET v = 1 WHERE id = 1; COMMIT", one(1)),
            &format!("BEGIN; UPDATE d SET b = 'other' WHERE {}; DELETE FROM k WHERE id = 2; COMMIT", one(2)),
            "INSERT INTO d VALUES (1, 'same', NULL), (1, 'same', NULL), (1, 'same', 1.0), (1, 'same', 1.00)",
            &format!("DELETE FROM d WHERE {}; DELETE FROM d WHERE a = 1 AND c::text = '1.0'", one(1)),
            // Comes and goes within the batch, while equal ones stay.
            "INSERT INTO d VALUES (3, 'same', NULL), (9, NULL, NULL)",
            &format!("DELETE FROM d WHERE {}; UPDATE d SET a = 3 WHERE {}", one(3), one(0)),
            "BEGIN; INSERT INTO k VALUES (30, 1); INSERT INTO d VALUES (NULL, NULL, NULL), (NULL, NULL, NULL); DELETE FROM k WHERE id = 30; COMMIT",
            "DELETE FROM d WHERE ctid = (SELECT min(ctid) FROM d WHERE a IS NULL)",
        ],
    );
    let count = "SELECT count(*) FROM d WHERE a IS NULL AND b IS NULL";
    assert_eq!(pair.destination.value(DATABASE, count), "1", "exactly one of two equal rows went");
    assert_eq!(replays(&pair), 0);
}

/// Identities that are not the primary key: an index with included columns, one over several columns in another order, and
/// columns that the server fills by itself.
#[test]
fn identities_and_columns_of_all_kinds() {
    let pair = mirrored(
        "CREATE TABLE inc (a int NOT NULL, b text NOT NULL, c int, d text); CREATE UNIQUE INDEX inc_key ON inc (b, a) INCLUDE (c); \
         ALTER TABLE inc REPLICA IDENTITY USING INDEX inc_key; \
         CREATE TABLE pk (a int, b int, c text, PRIMARY KEY (b) INCLUDE (a, c)); \
         CREATE TABLE gen (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, n int, twice int GENERATED ALWAYS AS (n * 2) STORED); \
         CREATE TABLE counter (k text PRIMARY KEY, serial bigint GENERATED ALWAYS AS IDENTITY, v int); \
         INSERT INTO inc SELECT n, 'b' || n % 5, n, 'd' FROM generate_series(1, 50) AS n; \
         INSERT INTO pk SELECT n, n, 'c' FROM generate_series(1, 50) AS n; \
         INSERT INTO gen (n) SELECT n FROM generate_series(1, 50) AS n; INSERT INTO counter (k, v) SELECT 'k' || n, n FROM generate_series(1, 50) AS n",
    );
    merged(
        &pair,
        &["public.inc", "public.pk", "public.gen", "public.counter"],
        &[
            "UPDATE inc SET c = NULL WHERE a < 10; UPDATE inc SET d = 'e' WHERE a > 40; UPDATE inc SET b = 'z' WHERE a = 20",
            "UPDATE inc SET c = c + 1, a = a + 100 WHERE a BETWEEN 30 AND 35; DELETE FROM inc WHERE a = 41; INSERT INTO inc VALUES (41, 'b1', 0, NULL)",
            "UPDATE pk SET a = NULL, c = 'changed' WHERE b < 10; UPDATE pk SET b = b + 100 WHERE b > 45; DELETE FROM pk WHERE b = 20",
            "UPDATE gen SET n = n + 1 WHERE id < 20; INSERT INTO gen (n) VALUES (7), (8); DELETE FROM gen WHERE id = 51; UPDATE gen SET id = DEFAULT WHERE id = 3",
            "UPDATE counter SET v = 0 WHERE v < 10; UPDATE counter SET serial = DEFAULT WHERE k = 'k20'; UPDATE counter SET k = 'moved' WHERE k = 'k21'",
            "INSERT INTO counter (k, v) VALUES ('new', 1); UPDATE counter SET v = 2 WHERE k = 'new'; DELETE FROM counter WHERE k = 'k22'",
        ],
    );
    assert_eq!(replays(&pair), 0);
}

/// An exclusion constraint: reservations that change places collide if they are not applied in their order.
#[test]
fn an_exclusion_constraint() {
    let pair = mirrored(
        "CREATE TABLE stay (id int PRIMARY KEY, during int4range, EXCLUDE USING gist (during WITH &&)); \
         INSERT INTO stay SELECT n, int4range(n * 10, n * 10 + 10) FROM generate_series(1, 20) AS n",
    );
    merged(
        &pair,
        &["public.stay"],
        &[
            "DELETE FROM stay WHERE id = 1; INSERT INTO stay VALUES (101, '[10,20)')",
            "UPDATE stay SET during = '[500,510)' WHERE id = 2; UPDATE stay SET during = '[20,30)' WHERE id = 3; UPDATE stay SET during = '[30,40)' WHERE id = 2",
            "UPDATE stay SET during = '[40,45)' WHERE id = 4; INSERT INTO stay VALUES (104, '[45,50)')",
            "UPDATE stay SET id = 105, during = '[50,51)' WHERE id = 5; INSERT INTO stay VALUES (5, '[51,60)')",
        ],
    );
}

const EVENTS: &str = "CREATE TABLE events (id int PRIMARY KEY, n bigint, what text, at timestamptz, doc jsonb); \
     CREATE TABLE other (id int PRIMARY KEY, v text); INSERT INTO other SELECT n, 'v' FROM generate_series(1, 100) AS n";

/// Rows with text of several bytes a character, NULLs and empty strings.
fn events(from: i32, to: i32) -> String {
    format!(
        "INSERT INTO events SELECT n, NULLIF(n % 3, 0), CASE n % 5 WHEN 0 THEN NULL WHEN 1 THEN '' ELSE 'Grüße 日本 \u{1f418} \\t\\N ' || n END, \
         timestamptz '2024-02-29 12:00+00' + n * interval '1 s', CASE WHEN n % 7 = 0 THEN jsonb_build_object('é', n) END FROM generate_series({from}, {to}) AS n"
    )
}

/// A pair that tells which statements the destination was given.
fn pair_of_events() -> Pair {
    let pair = Pair::builder().destination_conf("log_statement", "all").start();
    pair.source.run(DATABASE, EVENTS);
    pair.start_task(TASK, &["public.*"]);
    pair.wait_for_state(DATABASE, TASK, "synchronizing");
    pair
}

/// COPY statements of the stream: those of the full copy are FREEZE or came before `mirrored`.
fn streamed_copies(pair: &Pair) -> usize {
    let log = pair.destination.log();
    log.lines().filter(|line| line.contains("COPY \"public\".\"events\"") && line.contains("FROM STDIN")).count()
}

/// 24,000 rows in transactions of a few, in a row: they travel as COPY, and are as exact as otherwise.
#[test]
fn small_transactions_become_copy() {
    let pair = pair_of_events();
    let before = streamed_copies(&pair);
    let transactions: Vec<String> = (0..600).map(|n| events(n * 40 + 1, n * 40 + 40)).collect();
    let one_session = transactions.join("; COMMIT; BEGIN; ");
    merged(&pair, &["public.events", "public.other"], &[&format!("BEGIN; {one_session}; COMMIT")]);
    assert!(streamed_copies(&pair) > before, "no COPY was used");
    assert_eq!(replays(&pair), 0);
}

/// Enums, domains over domains and domains over enums: COPY takes their fields as well.
#[test]
fn enums_and_domains_travel_as_copy() {
    let pair = Pair::builder().destination_conf("log_statement", "all").start();
    pair.source.run(
        DATABASE,
        "CREATE TYPE mood AS ENUM ('sad', 'so-so', 'ça va'); CREATE DOMAIN feeling AS mood; \
         CREATE DOMAIN positive AS int CHECK (VALUE > 0); CREATE DOMAIN small AS positive CHECK (VALUE < 1000000); \
         CREATE TABLE events (id positive PRIMARY KEY, m mood, f feeling, s small)",
    );
    pair.start_task(TASK, &["public.*"]);
    pair.wait_for_state(DATABASE, TASK, "synchronizing");
    let before = streamed_copies(&pair);
    let rows = "INSERT INTO events SELECT n, (ARRAY['sad', 'so-so', 'ça va', NULL]::mood[])[n % 4 + 1], \
                (ARRAY['ça va', 'sad']::mood[])[n % 2 + 1], NULLIF(n, 7) FROM generate_series(1, 20000) AS n";
    merged(&pair, &["public.events"], &[rows]);
    assert!(streamed_copies(&pair) > before, "no COPY was used");
    assert_eq!(replays(&pair), 0);
}

/// The run is broken in the middle, by an update of its own rows, by another table, by a delete: before and after it is
/// COPY, in between it is not, and the order stays.
#[test]
fn a_run_of_inserts_that_is_interrupted() {
    let pair = pair_of_events();
    let before = streamed_copies(&pair);
    let first = events(1, 20_000);
    let second = events(20_001, 40_000);
    let third = events(40_001, 60_000);
    merged(
        &pair,
        &["public.events", "public.other"],
        &[
            // As transactions of their own.
            &first,
            "UPDATE events SET what = 'updated' WHERE id IN (1, 10000, 20000); UPDATE other SET v = 'w' WHERE id = 1",
            &second,
            "DELETE FROM events WHERE id % 1000 = 0",
            // In one transaction, too large to be collected.
            &format!(
                "BEGIN; {third}; UPDATE events SET what = 'also' WHERE id % 500 = 1; INSERT INTO other VALUES (101, 'new'); {}; \
                      DELETE FROM events WHERE id = 60001; UPDATE other SET v = 'x' WHERE id = 101; {}; TRUNCATE other; {}; COMMIT",
                events(60_001, 80_000),
                events(80_001, 100_000),
                events(100_001, 105_000)
            ),
        ],
    );
    assert!(streamed_copies(&pair) > before, "no COPY was used");
    assert_eq!(replays(&pair), 0);
}

/// One transaction of 200,000 rows through one COPY; then one that is undone by its source after as many rows.
#[test]
fn one_transaction_of_many_rows() {
    let pair = pair_of_events();
    let before = streamed_copies(&pair);
    merged(
        &pair,
        &["public.events", "public.other"],
        &[
            &events(1, 200_000),
            &format!("BEGIN; {}; ROLLBACK", events(200_001, 300_000)),
            &format!(
                "BEGIN; {}; SAVEPOINT s; {}; ROLLBACK TO s; {}; COMMIT",
                events(300_001, 310_000),
                events(310_001, 320_000),
                events(310_001, 315_000)
            ),
        ],
    );
    assert!(streamed_copies(&pair) > before, "no COPY was used");
    assert_eq!(pair.destination.value(DATABASE, "SELECT count(*) FROM events"), "215000");
}

/// A COPY meets a row that somebody wrote on the destination: the task names table and key, has applied nothing of it
/// twice, and goes on with that row when it is removed. Once for a group of transactions, once inside a large one.
#[test]
fn a_copy_meets_a_row_that_exists() {
    let pair = pair_of_events();
    for (round, backlog) in [
        // Each statement is a transaction here.
        (0..10).map(|n| events(n * 2000 + 1, n * 2000 + 2000)).collect::<Vec<_>>(),
        vec![events(20_001, 45_000)],
    ]
    .into_iter()
    .enumerate()
    {
        let squatter = [11_111, 33_333][round];
        let before = streamed_copies(&pair);
        pair.call(DATABASE, "pause", TASK);
        pair.destination.run(DATABASE, &format!("INSERT INTO events VALUES ({squatter}, 0, 'squatter')"));
        for transaction in &backlog {
            pair.source.run(DATABASE, transaction);
        }
        pair.call(DATABASE, "resume", TASK);
        pair.wait_for_state_within(DATABASE, TASK, "failed", LONG);
        assert_mentions(&pair.failure(DATABASE, TASK), &["events", &squatter.to_string(), "resume"]);
        assert!(streamed_copies(&pair) > before, "no COPY was used");
        pair.destination.run(DATABASE, &format!("DELETE FROM events WHERE id = {squatter}"));
        pair.call(DATABASE, "resume", TASK);
        pair.wait_for_state_within(DATABASE, TASK, "synchronizing", LONG);
        pair.assert_mirrored(TASK, &["public.events"]);
    }
}

/// The destination's columns are wider than the source's: binary COPY does not convert, so such rows go another way.
#[test]
fn wider_columns_on_the_destination() {
    let pair = Pair::start();
    pair.source.run(DATABASE, "CREATE TABLE t (id int PRIMARY KEY, n int, r real, v varchar(20))");
    pair.destination.run(
        DATABASE,
        "CREATE TABLE t (v text, id bigint PRIMARY KEY, r double precision, n numeric, extra text DEFAULT 'mine'); ALTER TABLE t OWNER TO courier",
    );
    let options = TaskOptions { schema_sync: Some(false), full_copy: Some(false), ..Default::default() };
    pair.start_task_with(DATABASE, TASK, &["public.t"], &options);
    pair.wait_for_state(DATABASE, TASK, "synchronizing");
    pair.call(DATABASE, "pause", TASK);
    pair.source.run(DATABASE, "INSERT INTO t SELECT n, n * 2, n + 0.5, 'v' || n FROM generate_series(1, 20000) AS n");
    pair.source.run(DATABASE, "UPDATE t SET n = NULL WHERE id % 100 = 0; DELETE FROM t WHERE id % 77 = 0; UPDATE t SET id = -id WHERE id < 10");
    pair.call(DATABASE, "resume", TASK);
    pair.caught_up_within(DATABASE, TASK, LONG);
    let both = "SELECT count(*) || ' ' || md5(string_agg(concat_ws(',', id, n, r, v), ';' ORDER BY id)) FROM t";
    assert_eq!(pair.source.value(DATABASE, both), pair.destination.value(DATABASE, both));
    assert_eq!(pair.destination.value(DATABASE, "SELECT count(*) FROM t WHERE extra IS DISTINCT FROM 'mine'"), "0");
}

/// As many columns as a table may have.
#[test]
fn a_table_of_1600_columns() {
    let columns: Vec<String> = (2..=1600).map(|n| format!("c{n} {}", ["int", "bool", "smallint"][n % 3])).collect();
    let pair = mirrored(&format!("CREATE TABLE wide (c1 int PRIMARY KEY, {})", columns.join(", ")));
    merged(
        &pair,
        &["public.wide"],
        &[
            "INSERT INTO wide (c1, c3, c4, c1600) SELECT n, n, NULL, n % 2 = 0 FROM generate_series(1, 50) AS n",
            "UPDATE wide SET c3 = -1, c4 = true WHERE c1 % 2 = 0; UPDATE wide SET c1 = c1 + 100 WHERE c1 > 40; DELETE FROM wide WHERE c1 = 7",
        ],
    );
}

/// 20,000 subtransactions in one transaction, a third of them undone, among them ones that hold others.
#[test]
fn one_transaction_of_20000_subtransactions() {
    let pair = mirrored("CREATE TABLE t (id int PRIMARY KEY, v int)");
    merged(
        &pair,
        &["public.t"],
        &["DO $$ BEGIN FOR n IN 1..10000 LOOP \
             BEGIN INSERT INTO t VALUES (n, 0); \
               BEGIN UPDATE t SET v = v + 1 WHERE id = n - 1; IF n % 3 = 0 THEN RAISE EXCEPTION 'inner'; END IF; \
               EXCEPTION WHEN raise_exception THEN NULL; END; \
               IF n % 5 = 0 THEN RAISE EXCEPTION 'outer'; END IF; \
             EXCEPTION WHEN raise_exception THEN NULL; END; END LOOP; END $$"],
    );
    assert_eq!(pair.destination.value(DATABASE, "SELECT count(*) FROM t"), "8000");
}
