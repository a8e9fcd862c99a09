//! How fast a backlog is applied.

use std::time::{Duration, Instant};

use pg_courier_tests::{Pair, compare, pgbench, sql, wait};

use crate::arena::{self, SOURCE};
use crate::candidate::{self, Candidate};
use crate::report::{self, Result};
use crate::{Options, latency, meter};

struct Workload {
    name: &'static str,
    title: &'static str,
    /// Rows changed at size 1.
    rows: u64,
    /// Makes the tables; pgbench's when empty.
    tables: fn() -> Vec<(String, String)>,
    /// Fills them on all sides, for a number of rows.
    fill: fn(u64) -> String,
    /// Statements that make the backlog on the source, for a number of rows.
    backlog: fn(&Pair, u64),
}

const WORKLOADS: [Workload; 10] = [
    Workload {
        name: "single",
        title: "(a) inserts, transactions of 1 row",
        rows: 200_000,
        tables: one_table,
        fill: |_| String::new(),
        backlog: |pair, rows| loop_of_transactions(pair, rows, 1, INSERT),
    },
    Workload {
        name: "hundred",
        title: "(b) inserts, transactions of 100 rows",
        rows: 500_000,
        tables: one_table,
        fill: |_| String::new(),
        backlog: |pair, rows| loop_of_transactions(pair, rows / 100, 100, INSERT),
    },
    Workload {
        name: "big",
        title: "(c) inserts, one transaction",
        rows: 500_000,
        tables: one_table,
        fill: |_| String::new(),
        backlog: |pair, rows| loop_of_transactions(pair, 1, rows, INSERT),
    },
    Workload {
        name: "update",
        title: "(d) updates by primary key, transactions of 1 row",
        rows: 200_000,
        tables: one_table,
        fill: filled,
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
        tables: one_table,
        fill: filled,
        backlog: |pair, rows| loop_of_transactions(pair, rows, 1, "DELETE FROM bt WHERE id = i"),
    },
    Workload {
        name: "tpcb",
        title: "(f) pgbench TPC-B, 4 clients (3 updates and 1 insert a transaction)",
        rows: 160_000,
        tables: Vec::new,
        fill: |_| String::new(),
        backlog: pgbench_backlog,
    },
    Workload {
        name: "wide",
        title: "(g) inserts of 30 columns of mixed types, about 1 kB, transactions of 10 rows",
        rows: 100_000,
        tables: || vec![("public.wide".to_owned(), wide_table())],
        fill: |_| String::new(),
        backlog: |pair, rows| loop_of_transactions(pair, rows / 10, 10, &wide_insert()),
    },
    Workload {
        name: "toast",
        title: "(h) updates beside an unchanged 10 kB TOAST value, transactions of 1 row",
        rows: 20_000,
        tables: || {
            let table = "CREATE TABLE toasted (id int8 PRIMARY KEY, v int4, big text); \
                         ALTER TABLE toasted ALTER big SET STORAGE EXTERNAL";
            vec![("public.toasted".to_owned(), table.to_owned())]
        },
        fill: |rows| {
            let big = "(SELECT string_agg(md5((n * k)::text), '') FROM generate_series(1, 320) AS k)";
            format!("INSERT INTO toasted SELECT n, 0, {big} FROM generate_series(1, {rows} / 10) AS n")
        },
        backlog: |pair, rows| {
            let statement = format!("UPDATE toasted SET v = v + 1 WHERE id = i % ({rows} / 10) + 1");
            loop_of_transactions(pair, rows, 1, &statement);
        },
    },
    Workload {
        name: "keyless",
        title: "(i) updates of a table of 100,000 rows with REPLICA IDENTITY FULL and no key",
        rows: 5_000,
        tables: || {
            let table = "CREATE TABLE keyless (a int4, b text); ALTER TABLE keyless REPLICA IDENTITY FULL";
            vec![("public.keyless".to_owned(), table.to_owned())]
        },
        fill: |rows| format!("INSERT INTO keyless SELECT n, 'row ' || n FROM generate_series(1, 20 * {rows}) AS n"),
        backlog: |pair, rows| {
            loop_of_transactions(
                pair,
                rows,
                1,
                "UPDATE keyless SET b = 'changed ' || i WHERE ctid = ('(' || i / 100 || ',' || i % 100 + 1 || ')')::tid",
            );
        },
    },
    Workload {
        name: "many",
        title: "(j) inserts into 200 tables in turn, transactions of 1 row",
        rows: 100_000,
        tables: || {
            (0..200)
                .map(|n| (format!("public.m{n}"), format!("CREATE TABLE m{n} (id int8 PRIMARY KEY, t text)")))
                .collect()
        },
        fill: |_| String::new(),
        backlog: |pair, rows| {
            let statement = "EXECUTE format('INSERT INTO m%s VALUES (%s, %L)', i % 200, i, 'row')";
            loop_of_transactions(pair, rows, 1, statement);
        },
    },
];

const TABLE: &str = "CREATE TABLE bt (id int8 PRIMARY KEY, a int4, b text, c timestamptz, d numeric)";
const VALUES: &str =
    "SELECT n, n % 1000, 'row number ' || n, '2020-01-01 00:00+00'::timestamptz + n * interval '1 s', n / 7.0 FROM";
const INSERT: &str = "INSERT INTO bt SELECT n, n % 1000, 'row number ' || n, \
     '2020-01-01 00:00+00'::timestamptz + n * interval '1 s', round(n / 7.0, 6) \
     FROM generate_series((i - 1) * width + 1, i * width) AS n";

fn one_table() -> Vec<(String, String)> {
    vec![("public.bt".to_owned(), TABLE.to_owned())]
}

fn filled(rows: u64) -> String {
    format!("INSERT INTO bt {VALUES} generate_series(1, {rows}) AS n")
}

/// Type and value of each of the ten columns that come three times.
const WIDE: [(&str, &str); 10] = [
    ("int4", "n::int4"),
    ("int8", "n"),
    ("text", "'some words for row ' || n || repeat(' and more', 8)"),
    ("varchar(100)", "md5(n::text) || md5(n::text)"),
    ("numeric(20,6)", "round(n / 7.0, 6)"),
    ("timestamptz", "'2020-01-01 00:00+00'::timestamptz + n * interval '1 s'"),
    ("date", "'2020-01-01'::date + (n % 3000)::int4"),
    ("bool", "n % 2 = 0"),
    ("uuid", "md5(n::text)::uuid"),
    ("jsonb", "jsonb_build_object('n', n, 'tags', ARRAY['a', 'b'])"),
];

fn wide_table() -> String {
    let columns: Vec<String> = (0..29).map(|c| format!("c{c} {}", WIDE[c % WIDE.len()].0)).collect();
    format!("CREATE TABLE wide (id int8 PRIMARY KEY, {})", columns.join(", "))
}

fn wide_insert() -> String {
    let values: Vec<&str> = (0..29).map(|c| WIDE[c % WIDE.len()].1).collect();
    format!(
        "INSERT INTO wide SELECT n, {} FROM generate_series((i - 1) * width + 1, i * width) AS n",
        values.join(", ")
    )
}

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
    // pglogical does not replicate updates of tables without a key.
    let fits = |candidate: &Candidate| *candidate != Candidate::Pglogical || workload.name != "keyless";
    let candidates: Vec<Candidate> = candidate::all().into_iter().filter(fits).collect();
    let tables = prepare(pair, workload, &candidates, rows, options.scale.min(10));
    for candidate in &candidates {
        candidate.prepare(pair);
    }
    (workload.backlog)(pair, rows);
    pair.source.run(SOURCE, "INSERT INTO marker VALUES (1)");
    pair.source.run("postgres", "CHECKPOINT");

    let names: Vec<&str> = tables.iter().map(String::as_str).collect();
    let results = candidates.iter().map(|candidate| apply_backlog(pair, *candidate, rows, &names)).collect();
    for candidate in &candidates {
        candidate.remove(pair);
    }
    clean(pair, &candidates, &names);
    results
}

/// Tables on all sides, filled alike, and the publication.
fn prepare(pair: &Pair, workload: &Workload, candidates: &[Candidate], rows: u64, scale: u32) -> Vec<String> {
    let own = (workload.tables)();
    let fill = |cluster: &pg_courier_tests::Cluster, database: &str| {
        cluster.run(database, MARKER);
        if own.is_empty() {
            pgbench::initialize(cluster, database, scale);
        }
        for (_, definition) in &own {
            cluster.run(database, definition);
        }
        cluster.run(database, &(workload.fill)(rows));
        cluster.run(database, "VACUUM ANALYZE");
    };
    let tables: Vec<String> = match own.is_empty() {
        true => pgbench::TABLES.map(str::to_owned).to_vec(),
        false => own.iter().map(|(name, _)| name.clone()).collect(),
    };
    fill(&pair.source, SOURCE);
    for candidate in candidates {
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

fn clean(pair: &Pair, candidates: &[Candidate], tables: &[&str]) {
    pair.source.run(SOURCE, &format!("DROP PUBLICATION bench; DROP TABLE marker, {}", tables.join(", ")));
    for candidate in candidates {
        let database = candidate.database();
        pair.source.run(SOURCE, &format!("DROP SERVER {database} CASCADE"));
        arena::drop_destination(pair, database);
    }
    // pglogical's supervisor may go on with what it knew of a database of the same name.
    pair.destination.restart();
}
