//! Every type, every kind of table, every kind of change.

use pg_courier_tests::pair::DATABASE;
use pg_courier_tests::sql::literal;
use pg_courier_tests::{Answer, Pair, Rng, types};

use crate::common::{TASK, arrives};

fn compare_all(pair: &Pair) {
    let tables = types::tables(&pair.source, DATABASE);
    let tables: Vec<&str> = tables.iter().map(String::as_str).collect();
    pair.assert_mirrored(TASK, &tables);
}

/// The copy alone: every value of every type arrives as it is.
#[test]
fn every_type_is_copied() {
    let pair = Pair::start();
    types::initialize(&pair.source, DATABASE);
    pair.start_task(TASK, &[types::PATTERN]);
    compare_all(&pair);
}

/// The stream, transaction by transaction while caught up, and as a backlog that is merged
/// into batches. Both ways have to give the same.
#[test]
fn every_type_is_streamed() {
    let mut rng = Rng::from_environment("every_type_is_streamed");
    let pair = Pair::start();
    types::initialize(&pair.source, DATABASE);
    pair.start_task(TASK, &[types::PATTERN]);
    pair.wait_for_state(DATABASE, TASK, "synchronizing");
    let mut client = pair.source.connect(DATABASE);
    let mut write = |count: u32| {
        for _ in 0..count {
            let transaction = types::transaction(&mut rng);
            if let Err(error) = client.batch_execute(&transaction) {
                panic!("{transaction}\n{}", Answer::from(&error));
            }
        }
    };
    write(150);
    compare_all(&pair);
    pair.call(DATABASE, "pause", TASK);
    write(1500);
    pair.call(DATABASE, "resume", TASK);
    compare_all(&pair);
}

/// One table, prepared on both sides by the task; then statements, then the comparison.
fn mirrored_after(create: &str, table: &str, changes: &[&str]) {
    let pair = Pair::start();
    pair.source.run(DATABASE, create);
    pair.start_task(TASK, &["public.*"]);
    pair.wait_for_state(DATABASE, TASK, "synchronizing");
    // Once as they come, once as a backlog.
    for change in changes {
        pair.source.run(DATABASE, change);
    }
    pair.assert_mirrored(TASK, &[table]);
    pair.call(DATABASE, "pause", TASK);
    for change in changes {
        pair.source.run(DATABASE, change);
    }
    pair.call(DATABASE, "resume", TASK);
    pair.assert_mirrored(TASK, &[table]);
}

/// Keys that change places: with a key in the batch twice, the order of its changes counts.
#[test]
fn keys_that_change() {
    mirrored_after(
        "CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t SELECT n, 'v' || n FROM generate_series(1, 20) AS n",
        "public.t",
        &[
            "UPDATE t SET id = -1 WHERE id = 1; UPDATE t SET id = 1 WHERE id = 2; UPDATE t SET id = 2 WHERE id = -1",
            "BEGIN; UPDATE t SET id = -3 WHERE id = 3; UPDATE t SET id = 3 WHERE id = 4; UPDATE t SET id = 4 WHERE id = -3; COMMIT",
            "BEGIN; DELETE FROM t WHERE id = 5; INSERT INTO t VALUES (5, 'again'); UPDATE t SET v = 'and again' WHERE id = 5; COMMIT",
            "BEGIN; INSERT INTO t VALUES (100, 'x'); UPDATE t SET id = 101 WHERE id = 100; DELETE FROM t WHERE id = 101; COMMIT",
            "DELETE FROM t WHERE id = 6; INSERT INTO t VALUES (6, 'other')",
            "UPDATE t SET v = v || '+' WHERE id < 10; UPDATE t SET v = v || '-' WHERE id < 10; UPDATE t SET id = id + 1000 WHERE id > 15 AND id < 1000",
        ],
    );
}

/// Unique values that move from row to row: collapsing changes by key must not let two rows
/// have the value at one time.
#[test]
fn unique_values_that_move() {
    mirrored_after(
        "CREATE TABLE t (id int PRIMARY KEY, slot int UNIQUE); INSERT INTO t SELECT n, n FROM generate_series(1, 20) AS n",
        "public.t",
        &[
            "BEGIN; UPDATE t SET slot = NULL WHERE id = 1; UPDATE t SET slot = 1 WHERE id = 2; UPDATE t SET slot = 2 WHERE id = 1; COMMIT",
            "DELETE FROM t WHERE slot = 7; INSERT INTO t SELECT max(id) + 1, 7 FROM t",
            "UPDATE t SET slot = NULL WHERE slot = 9; UPDATE t SET slot = 9 WHERE id = 10; UPDATE t SET slot = 10 WHERE slot IS NULL AND id = (SELECT min(id) FROM t WHERE slot IS NULL)",
        ],
    );
}

/// REPLICA IDENTITY FULL with types that have no equality operator, with NULLs, with rows that
/// are there several times, and with a value out of line.
#[test]
fn whole_rows_as_identity() {
    mirrored_after(
        "CREATE TABLE t (a int, j json, p point, x float8, n numeric, doc text); ALTER TABLE t ALTER doc SET STORAGE EXTERNAL; \
         ALTER TABLE t REPLICA IDENTITY FULL; \
         INSERT INTO t SELECT n % 5, '{\"a\": 1}', point(1, 2), 'NaN', 1.0, NULL FROM generate_series(1, 20) AS n; \
         INSERT INTO t SELECT n, NULL, NULL, '-0', 1.00, repeat(md5(n::text), 400) FROM generate_series(100, 105) AS n",
        "public.t",
        &[
            "UPDATE t SET a = a + 10 WHERE ctid = (SELECT min(ctid) FROM t)",
            "DELETE FROM t WHERE ctid = (SELECT max(ctid) FROM t WHERE a < 50)",
            "UPDATE t SET x = 0 WHERE a = 100; UPDATE t SET n = 2 WHERE a = 101; UPDATE t SET doc = 'short' WHERE a = 102",
            "UPDATE t SET j = '[1]', p = NULL WHERE a = 3; INSERT INTO t SELECT * FROM t WHERE a = 103",
            "DELETE FROM t WHERE a = 2 AND ctid = (SELECT min(ctid) FROM t WHERE a = 2)",
        ],
    );
}

/// TRUNCATE: several tables at once, with CASCADE, restarting identities, of a partitioned
/// table, between other changes of the same transaction, and rolled back.
#[test]
fn truncate_in_all_its_forms() {
    let pair = Pair::start();
    pair.source.run(
        DATABASE,
        "CREATE TABLE a (id int PRIMARY KEY GENERATED BY DEFAULT AS IDENTITY, v text); \
         CREATE TABLE b (id int PRIMARY KEY, a int REFERENCES a); CREATE TABLE c (v text); \
         CREATE TABLE p (id int PRIMARY KEY) PARTITION BY RANGE (id); \
         CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (100); CREATE TABLE p2 PARTITION OF p FOR VALUES FROM (100) TO (200)",
    );
    let tables = ["public.a", "public.b", "public.c", "public.p1", "public.p2"];
    let fill = "INSERT INTO a SELECT n, 'v' FROM generate_series(1, 10) AS n; INSERT INTO b SELECT n, n FROM generate_series(1, 10) AS n; \
                INSERT INTO c SELECT 'c' FROM generate_series(1, 10); INSERT INTO p SELECT n FROM generate_series(0, 199) AS n";
    pair.source.run(DATABASE, fill);
    pair.start_task(TASK, &["public.*"]);
    pair.wait_for_state(DATABASE, TASK, "synchronizing");
    for change in [
        "TRUNCATE c",
        "TRUNCATE a, b, c",
        "TRUNCATE a CASCADE",
        "BEGIN; INSERT INTO c VALUES ('before'); TRUNCATE c; INSERT INTO c VALUES ('after'); COMMIT",
        "BEGIN; TRUNCATE a RESTART IDENTITY CASCADE; INSERT INTO a (v) VALUES ('first'); COMMIT",
        "TRUNCATE p",
        "TRUNCATE p1",
        "BEGIN; TRUNCATE a CASCADE; ROLLBACK",
        "BEGIN; SAVEPOINT s; TRUNCATE c; ROLLBACK TO s; INSERT INTO c VALUES ('kept'); COMMIT",
    ] {
        pair.source.run(DATABASE, &format!("TRUNCATE a, b, c, p; {fill}"));
        pair.source.run(DATABASE, change);
        pair.assert_mirrored(TASK, &tables);
    }
}

/// Foreign keys that act: the source's DELETE of a parent deletes children, both come in the
/// stream, and the destination's own constraint must not do it a second time.
#[test]
fn foreign_keys_that_cascade() {
    let pair = Pair::start();
    pair.source.run(
        DATABASE,
        "CREATE TABLE parent (id int PRIMARY KEY, name text); \
         CREATE TABLE child (id int PRIMARY KEY, parent int REFERENCES parent ON DELETE CASCADE ON UPDATE CASCADE); \
         CREATE TABLE soft (id int PRIMARY KEY, parent int REFERENCES parent ON DELETE SET NULL ON UPDATE CASCADE); \
         INSERT INTO parent SELECT n, 'p' FROM generate_series(1, 50) AS n; \
         INSERT INTO child SELECT n, n % 50 + 1 FROM generate_series(1, 200) AS n; \
         INSERT INTO soft SELECT n, n % 50 + 1 FROM generate_series(1, 200) AS n",
    );
    pair.start_task(TASK, &["public.*"]);
    pair.wait_for_state(DATABASE, TASK, "synchronizing");
    pair.source.run(DATABASE, "DELETE FROM parent WHERE id % 10 = 0");
    pair.source.run(DATABASE, "UPDATE parent SET id = id + 1000 WHERE id % 10 = 1");
    pair.source.run(DATABASE, "BEGIN; INSERT INTO parent VALUES (2000, 'n'); INSERT INTO child VALUES (2000, 2000); DELETE FROM parent WHERE id = 2000; COMMIT");
    pair.assert_mirrored(TASK, &["public.parent", "public.child", "public.soft"]);
}

/// Triggers of the destination's tables do not run for what comes from the source, where they
/// have run already.
#[test]
fn triggers_have_run_on_the_source() {
    let pair = Pair::start();
    pair.source.run(
        DATABASE,
        "CREATE TABLE t (id int PRIMARY KEY, title text, words tsvector); \
         CREATE TRIGGER words BEFORE INSERT OR UPDATE ON t FOR EACH ROW EXECUTE FUNCTION tsvector_update_trigger(words, 'pg_catalog.english', title)",
    );
    pair.start_task(TASK, &["public.*"]);
    pair.wait_for_state(DATABASE, TASK, "synchronizing");
    // The application overrides what the trigger computed: only the trigger's absence keeps it.
    pair.source.run(
        DATABASE,
        "INSERT INTO t VALUES (1, 'quick foxes'), (2, 'lazy dogs'); ALTER TABLE t DISABLE TRIGGER words; \
         UPDATE t SET words = 'mine:1' WHERE id = 1; ALTER TABLE t ENABLE TRIGGER words; UPDATE t SET title = 'slow foxes' WHERE id = 2",
    );
    pair.assert_mirrored(TASK, &["public.t"]);
}

/// Savepoints, rolled back and released, nested, and with more subtransactions than the
/// server keeps in memory.
#[test]
fn savepoints() {
    let pair = Pair::start();
    pair.source.run(DATABASE, "CREATE TABLE t (id int PRIMARY KEY, v int); INSERT INTO t VALUES (1, 0)");
    pair.start_task(TASK, &["public.*"]);
    pair.wait_for_state(DATABASE, TASK, "synchronizing");
    pair.source.run(
        DATABASE,
        "BEGIN; INSERT INTO t VALUES (2, 0); SAVEPOINT a; INSERT INTO t VALUES (3, 0); SAVEPOINT b; INSERT INTO t VALUES (4, 0); \
         ROLLBACK TO b; UPDATE t SET v = 1 WHERE id = 3; RELEASE a; SAVEPOINT c; DELETE FROM t WHERE id = 2; ROLLBACK TO c; COMMIT",
    );
    pair.source.run(
        DATABASE,
        "DO $$ BEGIN FOR n IN 1..500 LOOP \
           BEGIN INSERT INTO t VALUES (1000 + n, n); IF n % 3 = 0 THEN RAISE EXCEPTION 'undo'; END IF; \
           EXCEPTION WHEN raise_exception THEN UPDATE t SET v = v + 1 WHERE id = 1; END; END LOOP; END $$",
    );
    pair.assert_mirrored(TASK, &["public.t"]);
    assert_eq!(pair.destination.value(DATABASE, "SELECT count(*) FROM t WHERE id > 1000"), "334");
}

/// A table without columns, one with only dropped ones, one with only generated ones: rare, but
/// their rows count.
#[test]
fn tables_with_hardly_any_columns() {
    let pair = Pair::start();
    pair.source.run(
        DATABASE,
        "CREATE TABLE nothing (); CREATE TABLE dropped (a int); ALTER TABLE dropped DROP a; \
         CREATE TABLE few (id int PRIMARY KEY, twice int GENERATED ALWAYS AS (id * 2) STORED); \
         INSERT INTO nothing DEFAULT VALUES; INSERT INTO dropped DEFAULT VALUES; INSERT INTO few VALUES (1)",
    );
    pair.start_task(TASK, &["public.*"]);
    pair.wait_for_state(DATABASE, TASK, "synchronizing");
    pair.source.run(
        DATABASE,
        "INSERT INTO nothing DEFAULT VALUES; INSERT INTO dropped DEFAULT VALUES; INSERT INTO few VALUES (2)",
    );
    pair.caught_up(DATABASE, TASK);
    for table in ["nothing", "dropped", "few"] {
        arrives(&pair, table, "2");
    }
}

/// An UPDATE or DELETE of a table without identity cannot be sent. The source itself says so only to
/// publications; here the task has to say it before rows go missing.
#[test]
fn changes_of_a_table_without_identity_are_not_lost_in_silence() {
    let pair = Pair::start();
    pair.source
        .run(DATABASE, "CREATE TABLE t (a int, b text); INSERT INTO t SELECT n, 'b' FROM generate_series(1, 10) AS n");
    pair.start_task(TASK, &["public.*"]);
    pair.wait_for_state(DATABASE, TASK, "synchronizing");
    pair.source.run(DATABASE, "UPDATE t SET b = 'changed' WHERE a = 4; DELETE FROM t WHERE a = 5");
    // Either it is applied all the same, or the task stops and names the table and the way out.
    pair.source.wait_until(
        DATABASE,
        "the task has applied it or stopped",
        &format!("(SELECT state FROM courier.tasks WHERE task = '{TASK}') = 'failed' OR \
                  (SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), applied_lsn) < 10000 FROM courier.task_details WHERE task = '{TASK}')"),
    );
    if pair.task(DATABASE, TASK, "state") == "failed" {
        let text = pair.failure(DATABASE, TASK);
        crate::common::assert_mentions(&text, &["public.t", "replica identity"]);
    } else {
        pair.assert_mirrored(TASK, &["public.t"]);
    }
}

/// A number of any size, scale and sign, as JSON has it too.
fn any_number(rng: &mut Rng) -> String {
    let mut digits = |most: u64| -> String {
        let only_zeros = rng.between(0, 2) == 0;
        let count = rng.between(0, most);
        (0..count).map(|_| if only_zeros { '0' } else { char::from(b'0' + rng.between(0, 9) as u8) }).collect()
    };
    // The short stored form has room for 63 decimal places.
    let (whole, fraction) = (digits(30), digits(80));
    let whole = if rng.between(0, 1) == 0 { "0".to_owned() } else { format!("{}{whole}", rng.between(1, 9)) };
    let power = match rng.between(0, 5) {
        0 => format!("e{}", rng.between(0, 600)),
        1 => format!("e-{}", rng.between(0, 600)),
        _ => String::new(),
    };
    format!("{}{whole}.{fraction}0{power}", rng.pick(&["", "-"]))
}

fn any_text(rng: &mut Rng) -> String {
    const PIECES: [&str; 14] = [
        "a",
        " ",
        r#"\""#,
        r"\\",
        r"\/",
        r"\n",
        r"\r\t",
        r"\b\f",
        r"\u0001",
        r"\u001f",
        "\u{7f}",
        "é",
        r"\ud83d\ude00",
        "x, [y]: {z}",
    ];
    let length = *rng.pick(&[0, 1, 3, 3, 10, 300]);
    (0..length).map(|_| *rng.pick(&PIECES)).collect()
}

fn any_document(rng: &mut Rng, levels: u32) -> String {
    let kind = rng.between(0, if levels == 0 { 4 } else { 9 });
    // Beyond 32 members some of them say where they end, the others how long they are.
    let members = *rng.pick(&[0, 1, 2, 3, 5, if levels == 1 { 200 } else { 4 }]);
    match kind {
        0 => "null".to_owned(),
        1 => (*rng.pick(&["true", "false"])).to_owned(),
        2 => any_number(rng),
        3 | 4 => format!("\"{}\"", any_text(rng)),
        5..=7 => {
            let members: Vec<String> =
                (0..members).map(|n| format!("\"{n}{}\" : {}", any_text(rng), any_document(rng, levels - 1))).collect();
            format!("{{{}}}", members.join(" , "))
        }
        _ => {
            let members: Vec<String> = (0..members).map(|_| any_document(rng, levels - 1)).collect();
            format!("[{}]", members.join(","))
        }
    }
}

/// These are taken apart here instead of by the server's functions, in the copy and in the stream.
#[test]
fn numbers_and_documents_of_every_shape() {
    let mut rng = Rng::from_environment("numbers_and_documents_of_every_shape");
    let pair = Pair::start();
    pair.source.run(DATABASE, "CREATE TABLE t (id int PRIMARY KEY, n numeric, j jsonb, ns numeric[], js jsonb[])");
    let infinity = "CASE WHEN current_setting('server_version_num')::int >= 140000 THEN 'Infinity' ELSE 'NaN' END";
    let special = format!(
        "INSERT INTO t SELECT row_number() OVER (), n, j, ARRAY[n], ARRAY[j] FROM (VALUES \
           ('NaN'::numeric, repeat('[', 63)::text || repeat(']', 63)), (({infinity})::numeric, repeat('[', 64) || repeat(']', 64)), \
           (-({infinity})::numeric, repeat('[', 65) || repeat(']', 65)), (0, repeat('{{\"a\":', 300) || '0' || repeat('}}', 300)), \
           (0.000, '\"\"'), ('1e-16383', '{{}}'), ('1e131071', '[[], {{}}]'), ('-1e-63', '{{\"\": null}}'), ('-1e-64', '-0.0'), (9999, '1.10'), \
           (10000, '10000'), (-99999999.9999, '1e400'), (NULL, NULL), (0.0001, '0.00001'), \
           (1, (SELECT jsonb_agg(n * 1.5) FROM generate_series(1, 60000) AS n)::text), \
           (1, (SELECT jsonb_object_agg(md5(n::text), n) FROM generate_series(1, 5000) AS n)::text), \
           (1, to_json(repeat(E'long \\x07 \"text\" ', 100000))::text)) AS v (n, t), LATERAL (SELECT t::jsonb) AS of_t (j)"
    );
    let mut random = |from: u32, count: u32| -> String {
        let rows: Vec<String> = (from..from + count)
            .map(|id| {
                let (number, document) = (any_number(&mut rng), literal(&any_document(&mut rng, 3)));
                format!("({id}, '{number}', {document}, '{{{number}}}', ARRAY[{document}::jsonb])")
            })
            .collect();
        format!("INSERT INTO t VALUES {}", rows.join(", "))
    };
    pair.source.run(DATABASE, &special);
    pair.source.run(DATABASE, &random(100, 500));
    pair.start_task(TASK, &["public.*"]);
    pair.wait_for_state(DATABASE, TASK, "synchronizing");
    pair.assert_mirrored(TASK, &["public.t"]);

    for id in (1000..1200).step_by(4) {
        pair.source.run(DATABASE, &random(id, 4));
    }
    pair.source.run(DATABASE, "UPDATE t SET id = -id; UPDATE t SET n = -n, ns = NULL");
    pair.assert_mirrored(TASK, &["public.t"]);
}
