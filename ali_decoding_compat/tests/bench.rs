//! How fast, and in how much memory: `make bench-decode`.
//!
//! Speed: the same WAL is decoded by ali_decoding, test_decoding and pgoutput, in turns, in one server, through
//! the functions that peek; the best of the turns counts. What matters are the ratios, for the rest is
//! the machine's. Memory: one walsender sends ten million changes, and its memory is looked at on the way.
//!
//! `MAJORS` chooses servers (15 otherwise), `CHANGES` the changes of each table, `MEMORY_CHANGES` those sent.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "support/mod.rs"]
mod support;

use std::process::Stdio;
use std::time::{Duration, Instant};

use support::cluster::{Cluster, Database};
use support::server::{self, Server};

const TURNS: usize = 5;

/// Tables and what happens to them, each often enough to make `n` changes.
const WORKLOADS: [(&str, &str, &str); 3] = [
    (
        "narrow inserts",
        "CREATE TABLE narrow (id bigint PRIMARY KEY, v integer)",
        "INSERT INTO narrow SELECT i, i FROM generate_series(1, $n) i",
    ),
    (
        "orders, updated by key",
        "CREATE TABLE orders (id bigint PRIMARY KEY, customer integer, status text, total numeric(12,2), placed timestamptz, note varchar(80));
         INSERT INTO orders SELECT i, i % 1000, 'placed', i / 100.0, now(), 'note of order ' || i FROM generate_series(1, $n) i",
        "UPDATE orders SET status = 'shipped', total = total + 1",
    ),
    (
        "wide inserts",
        "CREATE TABLE wide (id integer PRIMARY KEY, a integer, b bigint, c text, d text, e varchar(40), f boolean, g date, h timestamp, i numeric, j double precision, k uuid, l text, m integer, n integer, o text)",
        "INSERT INTO wide SELECT i, i, i, 'text ' || i, md5(i::text), 'short', true, date '2020-01-01' + i % 1000, now(), i / 7.0, i / 3.0, md5(i::text)::uuid, NULL, 1, 2, 'end' FROM generate_series(1, $n) i",
    ),
];

const PLUGINS: [(&str, &str); 3] = [
    ("ali_decoding", "pg_logical_slot_peek_binary_changes('ali_decoding', NULL, NULL)"),
    ("test_decoding", "pg_logical_slot_peek_changes('test_decoding', NULL, NULL)"),
    (
        "pgoutput",
        "pg_logical_slot_peek_binary_changes('pgoutput', NULL, NULL, 'proto_version', '1', 'publication_names', 'p')",
    ),
];

fn servers() -> Vec<Server> {
    let all = server::all();
    let chosen = !server::variable("MAJORS").trim().is_empty();
    all.into_iter().filter(|server| chosen || server.major == 15).collect()
}

fn number(variable: &str, otherwise: u64) -> u64 {
    server::variable(variable).parse().unwrap_or(otherwise)
}

#[test]
fn changes_per_second() {
    let changes = number("CHANGES", 300_000);
    for server in servers() {
        // Spilling to disk would be the same for all three and hide the difference.
        let settings = if server.major >= 13 { "logical_decoding_work_mem = 1GB" } else { "" };
        let cluster = Cluster::with_settings(&server, settings);
        let database = cluster.existing("postgres");
        println!(
            "\nPostgreSQL {}, {changes} changes a table, best of {TURNS} turns",
            database.sql("SHOW server_version")
        );
        println!(
            "{:<24}{:>14}{:>14}{:>14}   ali_decoding against the others",
            "thousand changes/s", "ali_decoding", "test_decoding", "pgoutput"
        );
        for (name, setup, statement) in WORKLOADS {
            let filled = |sql: &str| sql.replace("$n", &changes.to_string());
            database.sql(&filled(setup));
            database.sql("CREATE PUBLICATION p FOR ALL TABLES");
            for (plugin, _) in PLUGINS {
                database.sql(&format!("SELECT pg_create_logical_replication_slot('{plugin}', '{plugin}')"));
            }
            database.sql(&filled(statement));
            let [ours, test, pgoutput] = best_rates(&database, changes);
            println!(
                "{name:<24}{:>14.0}{:>14.0}{:>14.0}   {:.2} x test_decoding, {:.2} x pgoutput",
                ours / 1e3,
                test / 1e3,
                pgoutput / 1e3,
                ours / test,
                ours / pgoutput
            );
            database.drop_slots();
            database.sql("DROP PUBLICATION p");
            assert!(ours >= test, "slower than test_decoding");
        }
    }
}

fn best_rates(database: &Database, changes: u64) -> [f64; 3] {
    let mut best = [0f64; 3];
    for _ in 0..TURNS {
        for (position, (_, function)) in PLUGINS.iter().enumerate() {
            // The clock is the server's: starting psql is not part of it.
            let answer = database.sql(&format!(
                "SELECT extract(epoch FROM clock_timestamp()) AS begun \\gset\nSELECT count(*), extract(epoch FROM clock_timestamp()) - :begun FROM {function}"
            ));
            let (rows, seconds) = answer.split_once('|').expect("two columns");
            assert!(rows.parse::<u64>().expect("a count") >= changes, "{rows} messages");
            best[position] = best[position].max(changes as f64 / seconds.parse::<f64>().expect("seconds"));
        }
    }
    best
}

#[test]
fn memory_stays_flat() {
    let changes = number("MEMORY_CHANGES", 10_000_000);
    for server in servers() {
        let cluster = Cluster::with_settings(&server, "");
        let database = cluster.existing("postgres");
        // Values that take memory to print: an array and a composite, a detoasted text, floats.
        database.sql("CREATE TYPE pair AS (a integer, b text); CREATE TABLE t (id integer PRIMARY KEY, a integer[], b pair, c text, d float8)");
        database.create_slot("s", "ali_decoding");
        let step = 100_000.min(changes);
        let insert = format!(
            "INSERT INTO t SELECT i, ARRAY[i, i], ROW(i, 'x')::pair, 'text', i / 3.0 FROM generate_series(1, {step}) i;\n"
        );
        // The table stays small, the log does not. DDL in between makes the caches forget.
        let round = format!(
            "{insert}TRUNCATE t; ALTER TABLE t RENAME COLUMN c TO e; ALTER TABLE t RENAME COLUMN e TO c; ALTER TYPE pair RENAME TO q; ALTER TYPE q RENAME TO pair;\n"
        );
        database.sql(&round.repeat((changes / step) as usize));
        let end = database.flushed_lsn();

        let begun = Instant::now();
        let mut receiver = database.receiver("s", &end).stdout(Stdio::null()).spawn().expect("pg_recvlogical runs");
        let mut samples: Vec<u64> = Vec::new();
        while receiver.try_wait().expect("our child").is_none() {
            let pid = database.sql("SELECT active_pid FROM pg_replication_slots WHERE active_pid IS NOT NULL");
            if let Some(kilobytes) = pid.parse().ok().and_then(anonymous_memory) {
                samples.push(kilobytes);
            }
            std::thread::sleep(Duration::from_millis(250));
        }
        assert!(receiver.wait().expect("our child").success());
        let seconds = begun.elapsed().as_secs_f64();
        let skipped = samples.len() / 10;
        let (early, late) = (&samples[skipped..samples.len() / 2], &samples[samples.len() / 2..]);
        let most = |part: &[u64]| part.iter().copied().max().expect("the walsender was seen");
        println!(
            "\nPostgreSQL {}: {changes} changes sent in {seconds:.0} s; most anonymous memory of the walsender {} kB in the first half, {} kB in the second ({} looks)",
            database.sql("SHOW server_version"),
            most(early),
            most(late),
            samples.len()
        );
        assert!(most(late) < most(early) + 1024, "memory grew: {samples:?}");
    }
}

fn anonymous_memory(pid: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    status.lines().find_map(|line| line.strip_prefix("RssAnon:")?.trim().strip_suffix(" kB")?.trim().parse().ok())
}
