//! How fast a backlog is applied.

use std::time::{Duration, Instant};

use pg_courier_tests::{Pair, compare, pgbench, sql, wait};

use crate::arena::{self, SOURCE};
use crate::candidate::{ALL, Candidate};
use crate::report::{self, Result};
use crate::{Options, latency, meter};

struct Workload {
    name: &'static str,
    title: &'static str,
    /// Rows changed at size 1.
    rows: u64,
    /// Rows there before, as a share of the rows changed.
    prefilled: bool,
    /// Statements that make the backlog on the source, for a number of rows.
    backlog: fn(&Pair, u64),
}

const WORKLOADS: [Workload; 6] = [
    Workload {
        name: "single",
        title: "(a) inserts, transactions of 1 row",
        rows: 200_000,
        prefilled: false,
        backlog: |pair, rows| loop_of_transactions(pair, rows, 1, INSERT),
    },
    Workload {
        name: "hundred",
        title: "(b) inserts, transactions of 100 rows",
        rows: 500_000,
        prefilled: false,
        backlog: |pair, rows| loop_of_transactions(pair, rows / 100, 100, INSERT),
    },
    Workload {
        name: "big",
        title: "(c) inserts, one transaction",
        rows: 500_000,
        prefilled: false,
        backlog: |pair, rows| loop_of_transactions(pair, 1, rows, INSERT),
    },
    Workload {
        name: "update",
        title: "(d) updates by primary key, transactions of 1 row",
        rows: 200_000,
        prefilled: true,
        // A step that is coprime to the number of rows: every row once, in no order of the index.
        backlog: |pair, rows| {
            let statement = format!("UPDATE bt SET a = a + 1, b = 'changed ' || i WHERE id = (i * 7919) % {rows} + 1");
            loop_of_transactions(pair, rows, 1, &statement);
        },
    },
    Workload {
        name: "delete",
        title: "(e) deletes by primary key, transactions of 1 row",
        rows: 200_000,
        prefilled: true,
        backlog: |pair, rows| loop_of_transactions(pair, rows, 1, "DELETE FROM bt WHERE id = i"),
    },
    Workload {
        name: "tpcb",
        title: "(f) pgbench TPC-B, 4 clients (3 updates and 1 insert a transaction)",
        rows: 160_000,
        prefilled: false,
        backlog: pgbench_backlog,
    },
];

const TABLE: &str = "CREATE TABLE bt (id int8 PRIMARY KEY, a int4, b text, c timestamptz, d numeric)";
const VALUES: &str =
    "SELECT n, n % 1000, 'row number ' || n, '2020-01-01 00:00+00'::timestamptz + n * interval '1 s', n / 7.0 FROM";
const INSERT: &str = "INSERT INTO bt SELECT n, n % 1000, 'row number ' || n, \
     '2020-01-01 00:00+00'::timestamptz + n * interval '1 s', round(n / 7.0, 6) \
     FROM generate_series((i - 1) * width + 1, i * width) AS n";
/// The last transaction of a backlog: where it is visible, everything is.
const MARKER: &str = "CREATE TABLE marker (id int8 PRIMARY KEY)";

const LONG: Duration = Duration::from_secs(1800);

pub fn run(options: &Options) -> bool {
    let pair = arena::open();
    let mut all_identical = true;
    for workload in &WORKLOADS {
        if !options.only.is_empty() && !options.only.iter().any(|name| name == workload.name) {
            continue;
        }
        let results = measure(&pair, workload, options);
        all_identical &= results.iter().all(|result| result.identical);
        report::print(workload.title, &results);
    }
    if options.only.is_empty() || options.only.iter().any(|name| name == "latency") {
        latency::run(&pair, options);
    }
    all_identical
}

fn measure(pair: &Pair, workload: &Workload, options: &Options) -> Vec<Result> {
    let rows = ((workload.rows as f64 * options.size) as u64 / 100).max(1) * 100;
    let tables = prepare(pair, workload, rows, options.scale.min(10));
    for candidate in ALL {
        candidate.prepare(pair);
    }
    (workload.backlog)(pair, rows);
    pair.source.run(SOURCE, "INSERT INTO marker VALUES (1)");
    pair.source.run("postgres", "CHECKPOINT");

    let tables: Vec<&str> = tables.iter().map(String::as_str).collect();
    let results = ALL.map(|candidate| apply_backlog(pair, candidate, rows, &tables)).to_vec();
    for candidate in ALL {
        candidate.remove(pair);
    }
    clean(pair);
    results
}

/// Tables on all sides, filled alike, and the publication.
fn prepare(pair: &Pair, workload: &Workload, rows: u64, scale: u32) -> Vec<String> {
    let tpcb = workload.name == "tpcb";
    let tables: Vec<String> =
        if tpcb { pgbench::TABLES.map(str::to_owned).to_vec() } else { vec!["public.bt".to_owned()] };
    let fill = |cluster: &pg_courier_tests::Cluster, database: &str| {
        cluster.run(database, MARKER);
        if tpcb {
            pgbench::initialize(cluster, database, scale);
        } else {
            cluster.run(database, TABLE);
            if workload.prefilled {
                cluster.run(database, &format!("INSERT INTO bt {VALUES} generate_series(1, {rows}) AS n"));
            }
        }
        cluster.run(database, "VACUUM ANALYZE");
    };
    fill(&pair.source, SOURCE);
    for candidate in ALL {
        arena::add_destination(pair, candidate.database());
        fill(&pair.destination, candidate.database());
        let owned: Vec<String> = tables.iter().map(|table| format!("ALTER TABLE {table} OWNER TO courier")).collect();
        pair.destination
            .run(candidate.database(), &format!("{}; ALTER TABLE marker OWNER TO courier", owned.join("; ")));
    }
    pair.source.run(SOURCE, &format!("CREATE PUBLICATION bench FOR TABLE marker, {}", tables.join(", ")));
    tables
}

fn apply_backlog(pair: &Pair, candidate: Candidate, rows: u64, tables: &[&str]) -> Result {
    let database = candidate.database();
    pair.destination.run("postgres", "CHECKPOINT");
    let mut probe = pair.destination.connect(database);
    let before = (meter::cpu(&pair.source), meter::cpu(&pair.destination));
    let begin = Instant::now();
    candidate.go(pair);
    let arrived = wait::poll(LONG, || sql::value(&mut probe, "SELECT id FROM marker").expect("readable"));
    let wall = begin.elapsed();
    assert!(
        arrived.is_some(),
        "{} did not finish\n{}{}",
        candidate.name(),
        pair.source.describe(SOURCE),
        pair.destination.log_tail(30)
    );
    let after = (meter::cpu(&pair.source), meter::cpu(&pair.destination));
    let source_peak = meter::peak_memory(&pair.source, candidate.source_processes());
    let destination_peak = meter::peak_memory(&pair.destination, candidate.destination_processes());
    candidate.stop(pair);
    let identical = compare((&pair.source, SOURCE), (&pair.destination, database), tables).is_empty();
    Result {
        candidate: candidate.name(),
        rows,
        wall,
        source_cpu: after.0.saturating_sub(before.0),
        destination_cpu: after.1.saturating_sub(before.1),
        source_peak,
        destination_peak,
        identical,
    }
}

/// Transactions in a loop inside the server: the client's round trips are not what is measured.
fn loop_of_transactions(pair: &Pair, transactions: u64, width: u64, statement: &str) {
    pair.source.run(
        SOURCE,
        &format!(
            "CREATE OR REPLACE PROCEDURE backlog() LANGUAGE plpgsql AS $$ \
             DECLARE width CONSTANT int8 := {width}; \
             BEGIN FOR i IN 1::int8..{transactions} LOOP {statement}; COMMIT; END LOOP; END $$"
        ),
    );
    let mut session = pair.source.connect(SOURCE);
    session.batch_execute("SET synchronous_commit = off").expect("setting");
    session.batch_execute("CALL backlog()").expect("backlog");
    session.batch_execute("DROP PROCEDURE backlog()").expect("drop");
}

fn pgbench_backlog(pair: &Pair, rows: u64) {
    let transactions = (rows / 4 / 4).max(1).to_string();
    let output = pair
        .source
        .program("pgbench", SOURCE)
        .args(["-n", "-c", "4", "-j", "1", "-M", "prepared", "-t", &transactions])
        .env("PGOPTIONS", "-c synchronous_commit=off")
        .output()
        .expect("pgbench runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

fn clean(pair: &Pair) {
    pair.source.run(SOURCE, "DROP PUBLICATION bench; DROP TABLE IF EXISTS bt, marker, pgbench_accounts, pgbench_branches, pgbench_tellers, pgbench_history");
    for candidate in ALL {
        let database = candidate.database();
        pair.source.run(SOURCE, &format!("DROP SERVER {database} CASCADE"));
        pair.destination.run("postgres", &format!("DROP DATABASE {database} WITH (FORCE)"));
    }
}
