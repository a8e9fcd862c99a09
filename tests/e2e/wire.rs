//! Slots of plugin `pg_courier` that belong to no task: readers get the format that they name.
//!
//! The formats are held against what others say of the same WAL: `ali` against the plugin `ali_decoding`, byte for byte;
//! `text` against `test_decoding`, line by line; `json` against the tables themselves, which its messages rebuild.

mod mirror;

use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

use pg_courier_tests::pair::DATABASE;
use pg_courier_tests::{Cluster, Install, Rng, install, sql, types};
use serde_json::{Value, json};

use crate::common::{TASK, assert_mentions, mirrored_pair};
use mirror::Mirror;

/// A server whose administrator lets everybody use these plugins, and a database of UTF-8.
fn server() -> Cluster {
    Install::get().require_extension();
    let cluster = Cluster::builder("wire").conf("wal_level", "logical").start();
    list_plugins(&cluster, "'pgoutput', 'test_decoding', 'ali_decoding', 'pg_courier'");
    cluster.create_database(DATABASE);
    cluster
}

/// Minor releases that have the setting refuse a plugin that it does not list.
fn list_plugins(cluster: &Cluster, plugins: &str) {
    let setting = "current_setting('output_plugin_libraries', true)";
    if cluster.value("postgres", &format!("SELECT {setting}")).is_empty() {
        return;
    }
    cluster.run("postgres", &format!("ALTER SYSTEM SET output_plugin_libraries = {plugins}"));
    cluster.reload();
    cluster.wait_until("postgres", "the setting is active", &format!("{setting} LIKE '%pg_courier%'"));
}

fn create_slot(cluster: &Cluster, slot: &str, plugin: &str) {
    cluster.run(DATABASE, &format!("SELECT pg_create_logical_replication_slot('{slot}', '{plugin}')"));
}

/// What one of the functions returns, as the rows of column `data`; bytes in hex.
fn changes(cluster: &Cluster, slot: &str, how: &str, options: &str) -> Vec<String> {
    let data = if how.contains("binary") { "encode(data, 'hex')" } else { "data" };
    let query = format!("SELECT {data} FROM pg_logical_slot_{how}_changes('{slot}', NULL, NULL{options})");
    cluster.rows(DATABASE, &query).into_iter().flatten().flatten().collect()
}

fn objects(cluster: &Cluster, slot: &str, options: &str) -> Vec<Value> {
    let lines = changes(cluster, slot, "get", &format!(", 'format', 'json'{options}"));
    lines.iter().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))).collect()
}

/// What START_REPLICATION sends up to now, as pg_recvlogical writes it.
fn received(cluster: &Cluster, database: &str, slot: &str, options: &[&str]) -> Result<Vec<u8>, String> {
    let end = cluster.value(DATABASE, "SELECT pg_current_wal_flush_lsn()");
    let mut command = cluster.program("pg_recvlogical", database);
    command.args(["-S", slot, "--start", "-f", "-", "--no-loop", "--endpos", &end, "-d", database]);
    for option in options {
        command.args(["-o", option]);
    }
    let output = command.output().expect("pg_recvlogical runs");
    if output.status.success() { Ok(output.stdout) } else { Err(String::from_utf8_lossy(&output.stderr).into_owned()) }
}

/// Puts the plugin `ali_decoding` beside ours, by its own script.
fn install_ali_decoding() {
    static INSTALLED: OnceLock<()> = OnceLock::new();
    INSTALLED.get_or_init(|| {
        let archive = std::env::var_os("ALI_DECODING_DIST").map(PathBuf::from);
        let archive = archive.expect("ALI_DECODING_DIST names the archive: run `make test-e2e`");
        let output = Command::new(archive.join("install.sh")).arg(Install::get().program("pg_config")).output();
        let output = output.expect("install.sh runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    });
}

/// The workload that the format's golden file was made with: our bytes are those of ali_decoding, through each of the
/// functions and through a walsender.
#[test]
fn ali_is_byte_identical_with_ali_decoding_on_the_golden_workload() {
    install_ali_decoding();
    let cluster = server();
    for (slot, plugin) in [("theirs", "ali_decoding"), ("ours", "pg_courier"), ("streamed", "pg_courier")] {
        create_slot(&cluster, slot, plugin);
    }
    let workload = install::project().join("ali_decoding_compat/tests/data/workload.sql");
    cluster.psql_ok(DATABASE, &std::fs::read_to_string(workload).expect("part of the project"));

    let theirs = changes(&cluster, "theirs", "get_binary", "");
    assert!(theirs.len() > 300, "{}", theirs.len());
    let streamed = received(&cluster, DATABASE, "streamed", &["format=ali", "version=1", "encoding=UTF8"]);
    let options = ", 'format', 'ali', 'version', '1', 'encoding', 'UTF8'";
    assert_eq!(changes(&cluster, "ours", "peek_binary", options), theirs);
    assert_eq!(changes(&cluster, "ours", "get_binary", options), theirs);
    let lines: Vec<u8> = theirs.iter().flat_map(|line| from_hex(line).into_iter().chain(*b"\n")).collect();
    assert!(streamed.expect("streams") == lines, "what the walsender sent differs");
}

fn from_hex(digits: &str) -> Vec<u8> {
    (0..digits.len()).step_by(2).map(|at| u8::from_str_radix(&digits[at..at + 2], 16).expect("hex")).collect()
}

/// Every type, every kind of table, transactions at random, and definitions that change in between: the same WAL in all
/// formats, each compared with what somebody else makes of it.
#[test]
fn every_format_tells_the_truth_about_random_changes() {
    install_ali_decoding();
    let mut rng = Rng::from_environment("every_format_tells_the_truth_about_random_changes");
    let cluster = server();
    let slots = [
        ("ali_theirs", "ali_decoding"),
        ("text_theirs", "test_decoding"),
        ("ali", "pg_courier"),
        ("text", "pg_courier"),
    ];
    for (slot, plugin) in slots.into_iter().chain([("json", "pg_courier"), ("streamed", "pg_courier")]) {
        create_slot(&cluster, slot, plugin);
    }
    types::initialize(&cluster, DATABASE);
    cluster.run(DATABASE, "CREATE TABLE probe (id int PRIMARY KEY, m types.mood, gone text)");
    let mut client = cluster.connect(DATABASE);
    for round in 0..250 {
        let transaction = if round % 10 == 0 { redefinition(&mut rng, round) } else { types::transaction(&mut rng) };
        client.batch_execute(&transaction).unwrap_or_else(|error| panic!("{transaction}\n{error}"));
    }

    let ali = changes(&cluster, "ali", "get_binary", ", 'format', 'ali'");
    assert_same_lines(&ali, &changes(&cluster, "ali_theirs", "get_binary", ""));
    assert!(ali.len() > 3_000, "{}", ali.len());
    let text = changes(&cluster, "text", "get", ", 'format', 'text', 'include-timestamp', 'on'");
    assert_same_lines(&text, &changes(&cluster, "text_theirs", "get", ", 'include-timestamp', 'on'"));

    let lines = changes(&cluster, "json", "get", ", 'format', 'json'");
    let streamed = received(&cluster, DATABASE, "streamed", &["format=json"]).expect("streams");
    assert_same_lines(
        &lines,
        &String::from_utf8(streamed).expect("UTF-8").lines().map(str::to_owned).collect::<Vec<_>>(),
    );
    let mut mirror = Mirror::default();
    for line in &lines {
        mirror.apply(&serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")));
    }
    assert!(mirror.unchanged > 0, "values out of line were among them");
    for table in types::tables(&cluster, DATABASE) {
        mirror.assert_same(&cluster, DATABASE, &table);
    }
}

/// DDL that leaves everything as it was, with changes in between that show the names of that moment.
fn redefinition(rng: &mut Rng, id: usize) -> String {
    let (there, back) = *rng.pick(&[
        ("ALTER TYPE types.mood RENAME TO \"Mood\"", "ALTER TYPE types.\"Mood\" RENAME TO mood"),
        ("ALTER TABLE probe RENAME COLUMN m TO \"select\"", "ALTER TABLE probe RENAME COLUMN \"select\" TO m"),
        ("ALTER TABLE probe RENAME TO \"Probe\"", "ALTER TABLE \"Probe\" RENAME TO probe"),
        ("ALTER TABLE probe REPLICA IDENTITY FULL", "ALTER TABLE probe REPLICA IDENTITY DEFAULT"),
        ("ALTER TABLE probe REPLICA IDENTITY NOTHING", "ALTER TABLE probe REPLICA IDENTITY DEFAULT"),
        ("ALTER TABLE probe DROP COLUMN gone", "ALTER TABLE probe ADD COLUMN gone text DEFAULT 'again'"),
        ("SELECT pg_logical_emit_message(true, 'app', 'it''s')", "SELECT pg_logical_emit_message(false, 'app', 'ü')"),
    ]);
    let table = if there.ends_with("\"Probe\"") { "\"Probe\"" } else { "probe" };
    format!(
        "INSERT INTO probe (id) VALUES ({id}); {there}; INSERT INTO {table} (id) VALUES (-{id} - 1); \
         UPDATE {table} SET id = id + 100000 WHERE id = {id}; DELETE FROM {table} WHERE id = -{id} - 1; {back}; \
         UPDATE probe SET m = 'happy' WHERE id = {id} + 100000"
    )
}

#[track_caller]
fn assert_same_lines(ours: &[String], theirs: &[String]) {
    for (number, (ours, theirs)) in ours.iter().zip(theirs).enumerate() {
        assert!(ours == theirs, "line {number}\n ours: {ours:.2000}\n theirs: {theirs:.2000}");
    }
    assert_eq!(ours.len(), theirs.len());
}

/// BEGIN and COMMIT, TRUNCATE with its options, logical messages inside and outside of transactions.
#[test]
fn json_tells_all_there_is() {
    let cluster = server();
    cluster.run(DATABASE, "CREATE TABLE a (id serial PRIMARY KEY, v bigint); CREATE TABLE b (a int REFERENCES a)");
    create_slot(&cluster, "s", "pg_courier");
    let before = cluster.value(DATABASE, "SELECT to_json(clock_timestamp())#>>'{}'");
    // One that is not transactional comes when it is read, before the transaction whose commit brings both to disk.
    cluster.run(
        DATABASE,
        "SELECT pg_logical_emit_message(false, 'app', '\\x00ff'::bytea); \
         BEGIN; INSERT INTO a (v) VALUES (9007199254740993); TRUNCATE a RESTART IDENTITY CASCADE; \
         SELECT pg_logical_emit_message(true, 'app', 'süß'); COMMIT",
    );
    let after = cluster.value(DATABASE, "SELECT to_json(clock_timestamp())#>>'{}'");
    let facts =
        cluster.rows(DATABASE, "SELECT xid, lsn FROM pg_logical_slot_peek_changes('s', NULL, NULL, 'format', 'json')");

    let all = objects(&cluster, "s", "");
    let [outside, begin, insert, truncate, message, commit] = &all[..] else { panic!("{all:#?}") };
    assert_eq!(begin["action"], "begin");
    assert_eq!(begin["xid"].to_string(), facts[1][0].clone().expect("an xid"));
    assert_eq!(begin["commit_lsn"], commit["commit_lsn"]);
    let time = begin["commit_time"].as_str().expect("text");
    assert!(before.as_str() <= time && time <= after.as_str(), "{before} {time} {after}");
    assert_eq!(insert["columns"][1], json!({"name": "v", "type": "bigint", "value": "9007199254740993"}));
    assert_eq!(insert["lsn"], facts[2][1].clone().expect("an LSN"));
    let tables = json!([{"schema": "public", "table": "a"}, {"schema": "public", "table": "b"}]);
    assert_eq!(
        (&truncate["tables"], &truncate["cascade"], &truncate["restart_identity"]),
        (&tables, &json!(true), &json!(true))
    );
    assert_eq!((&message["content"], &message["transactional"]), (&json!("süß"), &json!(true)));
    assert_eq!((commit["action"].as_str(), commit["end_lsn"].is_string()), (Some("commit"), true));
    assert_eq!((&outside["hex"], &outside["transactional"]), (&json!("\\x00ff"), &json!(false)));
}

/// Options change what they say and nothing else.
#[test]
fn empty_transactions_can_be_left_out() {
    let cluster = server();
    create_slot(&cluster, "s", "pg_courier");
    cluster.run(DATABASE, "CREATE TABLE t (id int PRIMARY KEY)");
    cluster.run(DATABASE, "INSERT INTO t VALUES (1)");
    let peek = |options: &str| changes(&cluster, "s", "peek", &format!(", 'format', 'text'{options}"));
    assert_eq!(peek("").len(), 5, "DDL leaves a transaction with nothing to tell: {:?}", peek(""));
    let kept = peek(", 'skip-empty-xacts', 'on', 'include-xids', '0'");
    assert_eq!(kept, ["BEGIN", "table public.t: INSERT: id[integer]:1", "COMMIT"]);
}

/// Whoever reads a slot has to say what they want, and hears what there is; the slot stays as it was.
#[test]
fn wrong_options_are_refused() {
    let cluster = server();
    create_slot(&cluster, "s", "pg_courier");
    cluster.run(DATABASE, "CREATE TABLE t (id int)");
    let refused = |how: &str, options: &str| {
        cluster.refuses(DATABASE, &format!("SELECT * FROM pg_logical_slot_{how}_changes('s', NULL, NULL{options})"))
    };
    for (how, options, sqlstate, says) in [
        ("get", "", "55000", "needs option \"format\""),
        ("get", ", 'include-xids', 'on'", "55000", "needs option \"format\""),
        ("get", ", 'format', 'xml'", "22023", "cannot be \"xml\""),
        ("get", ", 'format', 'json', 'version', '1'", "22023", "unknown to format \"json\""),
        ("get", ", 'format', 'json', 'include-xids', 'perhaps'", "22023", "cannot be \"perhaps\""),
        ("get_binary", ", 'format', 'ali', 'include-xids', 'on'", "22023", "unknown to format \"ali\""),
        ("get_binary", ", 'format', 'ali', 'version', 'one'", "22023", "cannot be \"one\""),
        ("get_binary", ", 'format', 'ali', 'encoding', 'LATIN1'", "22023", "cannot be \"LATIN1\""),
        // The server's own: a binary format through a textual function.
        ("get", ", 'format', 'ali'", "0A000", "binary"),
    ] {
        let answer = refused(how, options);
        assert_eq!(answer.sqlstate, sqlstate, "{options}: {answer}");
        assert_mentions(&answer.to_string(), &[says]);
    }
    assert_mentions(&refused("get", "").hint, &["'format', 'json'"]);
    let said = received(&cluster, DATABASE, "s", &["format=json", "include-xids=perhaps"]).expect_err("refused");
    assert_mentions(&said, &["cannot be \"perhaps\""]);
    assert!(!changes(&cluster, "s", "get_binary", ", 'format', 'json'").is_empty(), "text may be read as bytes");
    cluster.assert_not_crashed();
}

/// A task's slot belongs to its worker. Nobody can read it, not even in a format and while the task is paused, and
/// nobody can make a slot that looks like one.
#[test]
fn slots_of_tasks_stay_with_their_tasks() {
    let pair = mirrored_pair();
    list_plugins(&pair.source, "'pgoutput', 'pg_courier'");
    pair.call(DATABASE, "pause", TASK);
    pair.source.wait_until(
        DATABASE,
        "the slot is free",
        "EXISTS (SELECT FROM pg_replication_slots WHERE slot_name = 'courier_shop_to_dr' AND NOT active)",
    );
    pair.source.run(DATABASE, "INSERT INTO items VALUES (70000, 0, 'while paused')");
    for read in ["peek", "get"] {
        let answer = pair.source.refuses(
            DATABASE,
            &format!(
                "SELECT * FROM pg_logical_slot_{read}_changes('courier_shop_to_dr', NULL, NULL, 'format', 'json')"
            ),
        );
        assert_eq!(answer.sqlstate, "55000", "{answer}");
        assert_mentions(&answer.to_string(), &["task"]);
    }
    let said = received(&pair.source, DATABASE, "courier_shop_to_dr", &["format=json"]).expect_err("refused");
    assert_mentions(&said, &["workers of pg_courier only"]);
    let answer =
        pair.source.refuses(DATABASE, "SELECT pg_create_logical_replication_slot('courier_other', 'pg_courier')");
    assert_eq!(answer.sqlstate, "55000", "{answer}");
    assert_eq!(pair.source.value(DATABASE, "SELECT count(*) FROM pg_replication_slots"), "1");
    pair.call(DATABASE, "resume", TASK);
    pair.assert_mirrored(TASK, &crate::common::SMALL);
}

/// In a database of another encoding ali and text are in that encoding, and json is in ASCII, which is UTF-8 and any
/// encoding at once. Where the database has no encoding, bytes that are no UTF-8 come in hex.
#[test]
fn databases_of_other_encodings() {
    let cluster = server();
    for (database, encoding) in [("latin", "LATIN1"), ("bytes", "SQL_ASCII")] {
        cluster.run("postgres", &format!("CREATE DATABASE {database} ENCODING '{encoding}' TEMPLATE template0"));
        // Bytes as they are, whatever the client: two letters in LATIN1, and no UTF-8.
        let written = "convert_from('\\xfcdf', current_setting('server_encoding'))";
        let slots: Vec<String> = ["functions", "streamed", "streamed_text"].map(|s| format!("{database}_{s}")).to_vec();
        cluster.run(database, "CREATE TABLE t (id int PRIMARY KEY, v text)");
        for slot in &slots {
            cluster.run(database, &format!("SELECT pg_create_logical_replication_slot('{slot}', 'pg_courier')"));
        }
        cluster.run(database, &format!("SELECT pg_logical_emit_message(false, 'app', {written})"));
        // Its commit brings both to disk.
        cluster.run(database, &format!("INSERT INTO t VALUES (1, {written})"));
        let query = format!(
            "SELECT data FROM pg_logical_slot_get_changes('{}', NULL, NULL, 'format', 'json') WHERE data LIKE '%\"insert\"%'",
            slots[0]
        );
        let line = cluster.value(database, &query);
        assert!(line.is_ascii(), "{line}");
        let field = json!({"name": "v", "type": "text"});
        let (key, expected) = if encoding == "LATIN1" { ("value", "üß") } else { ("hex", "\\xfcdf") };
        let parsed: Value = serde_json::from_str(&line).expect("JSON");
        assert_eq!(parsed["columns"][1]["name"], field["name"]);
        assert_eq!(parsed["columns"][1][key], expected);

        let streamed = received(&cluster, database, &slots[1], &["format=json"]).expect("streams");
        let streamed = String::from_utf8(streamed).expect("UTF-8");
        assert!(streamed.lines().any(|streamed| streamed == line), "{streamed}");
        // A message outside of a transaction comes where nothing can be converted.
        let message = streamed.lines().find(|line| line.contains("\"message\"")).expect("a message");
        let message: Value = serde_json::from_str(message).expect("JSON");
        assert_eq!(message["hex"], "\\xfcdf");
        let text = received(&cluster, database, &slots[2], &["format=text"]).expect("streams");
        let expected = b"v[text]:'\xfc\xdf'";
        assert!(text.windows(expected.len()).any(|window| window == expected), "{}", String::from_utf8_lossy(&text));
    }
}

/// An error in mid-stream costs the statement only: the session's settings are its own again, and the slot can be read
/// from where it was.
#[test]
fn a_canceled_reader_goes_on() {
    let cluster = server();
    cluster.run(DATABASE, "CREATE TABLE t (id int, f float8)");
    create_slot(&cluster, "s", "pg_courier");
    cluster.run(DATABASE, "INSERT INTO t SELECT n, n / 3.0 FROM generate_series(1, 200000) n");
    let mut session = cluster.connect(DATABASE);
    let count = "SELECT count(*) FROM pg_logical_slot_peek_changes('s', NULL, NULL, 'format', 'json')";
    session.batch_execute("SET extra_float_digits = -2").expect("setting");
    for _ in 0..3 {
        session.batch_execute("SET statement_timeout = 60").expect("setting");
        let error = session.batch_execute(count).expect_err("200000 rows take longer");
        assert_eq!(pg_courier_tests::Answer::from(&error).sqlstate, "57014");
        session.batch_execute("SET statement_timeout = 0").expect("setting");
        let digits = sql::value(&mut session, "SHOW extra_float_digits").expect("answer");
        assert_eq!(digits.as_deref(), Some("-2"));
    }
    assert_eq!(sql::value(&mut session, count).expect("answer").as_deref(), Some("200002"));
    cluster.assert_not_crashed();
}

/// One walsender, many changes, values that take memory to print, definitions that change: its memory stays where it was.
#[test]
fn memory_stays_flat() {
    let cluster = server();
    cluster.run(
        DATABASE,
        "CREATE TYPE pair AS (a int, b text); CREATE TABLE t (id int PRIMARY KEY, a int[], b pair, c text, d float8)",
    );
    let round = "INSERT INTO t SELECT n, ARRAY[n, n], ROW(n, 'x')::pair, repeat('x', 100), n / 3.0 FROM generate_series(1, 20000) n; \
                 TRUNCATE t; ALTER TABLE t RENAME c TO e; ALTER TABLE t RENAME e TO c; ALTER TYPE pair RENAME TO q; ALTER TYPE q RENAME TO pair;";
    for format in ["ali", "json", "text"] {
        create_slot(&cluster, format, "pg_courier");
    }
    (0..30).for_each(|_| cluster.run(DATABASE, round));
    let mut session = cluster.connect(DATABASE);
    for format in ["ali", "json", "text"] {
        // Peeking keeps its rows in a file; what stays in memory is ours.
        session.batch_execute("SET work_mem = '64kB'").expect("setting");
        let read = format!(
            "SELECT count(*) FROM pg_logical_slot_peek_binary_changes('{format}', NULL, NULL, 'format', '{format}')"
        );
        let pid: i32 = sql::value(&mut session, "SELECT pg_backend_pid()")
            .expect("answer")
            .expect("a pid")
            .parse()
            .expect("a number");
        let mut after = Vec::new();
        for _ in 0..3 {
            let rows = sql::value(&mut session, &read).expect("answer").expect("a count");
            assert!(rows.parse::<u64>().expect("a number") > 600_000, "{rows}");
            after.push(anonymous_memory(pid));
        }
        println!("{format}: {after:?} kB after each reading of 600000 changes");
        assert!(after[2] < after[0] + 1024, "{format}: memory grew: {after:?} kB");
    }
}

fn anonymous_memory(pid: i32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("the backend lives");
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).expect("a Linux kernel");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}
