//! How fast a backlog is applied.

use std::time::{Duration, Instant};

use pg_courier_tests::{Pair, compare, pgbench, sql, wait};

use crate::arena::{self, SOURCE};
use crate::candidate::{self, Candidate};
use crate::report::{self, Result};
use crate::workloads::{self, Workload};
use crate::{Options, latency, meter};

/// The last transaction of a backlog: where it is visible, everything is.
const MARKER: &str = "CREATE TABLE marker (id int8 PRIMARY KEY)";

const LONG: Duration = Duration::from_secs(1800);
/// Finer than what is measured: the smallest backlogs are applied in a tenth of a second.
const LOOK_EVERY: Duration = Duration::from_millis(2);

pub fn run(options: &Options) -> bool {
    let pair = arena::open();
    let all_identical = run_all(&pair, options, &workloads::all(), &candidate::all());
    if options.only.is_empty() || options.only.iter().any(|name| name == "latency") {
        latency::run(&pair, options);
    }
    all_identical
}

/// How cost grows. Against one rival: the others grow alike.
pub fn run_growth(options: &Options) -> bool {
    let candidates = [Candidate::Native { binary: false }, Candidate::Courier];
    run_all(&arena::open(), options, &workloads::growth(), &candidates)
}

fn run_all(pair: &Pair, options: &Options, workloads: &[Workload], candidates: &[Candidate]) -> bool {
    let is_wanted =
        |workload: &&Workload| options.only.is_empty() || options.only.iter().any(|name| name == workload.name);
    let mut all_identical = true;
    for workload in workloads.iter().filter(is_wanted) {
        let mut verdicts = Vec::new();
        for round in 0..options.rounds {
            let results = measure(pair, workload, candidates, options, round);
            all_identical &= results.iter().all(|result| result.identical);
            verdicts.extend(report::print(&workload.title, &results));
        }
        report::print_rounds(&verdicts);
    }
    all_identical
}

fn measure(pair: &Pair, workload: &Workload, candidates: &[Candidate], options: &Options, round: usize) -> Vec<Result> {
    let rows = ((workload.rows as f64 * options.size) as u64 / 100).max(1) * 100;
    // pglogical does not replicate updates of tables without a key.
    let fits = |candidate: &Candidate| *candidate != Candidate::Pglogical || workload.name != "keyless";
    let candidates: Vec<Candidate> = candidates.iter().copied().filter(|candidate| fits(candidate)).collect();
    let tables = prepare(pair, workload, &candidates, rows, options.scale.min(10));
    for candidate in &candidates {
        candidate.prepare(pair);
    }
    (workload.backlog)(pair, rows);
    pair.source.run(SOURCE, "INSERT INTO marker VALUES (1)");
    pair.source.run("postgres", "CHECKPOINT");

    let names: Vec<&str> = tables.iter().map(String::as_str).collect();
    let first = round % candidates.len();
    let in_turn = candidates.iter().cycle().skip(first).take(candidates.len());
    let mut results: Vec<Result> = in_turn.map(|candidate| apply_backlog(pair, *candidate, rows, &names)).collect();
    results.rotate_right(first);
    for candidate in &candidates {
        candidate.remove(pair);
    }
    clean(pair, &candidates, &names);
    results
}

/// Tables on all sides, filled alike, and the publication.
fn prepare(pair: &Pair, workload: &Workload, candidates: &[Candidate], rows: u64, scale: u32) -> Vec<String> {
    let own = &workload.tables;
    let fill = |cluster: &pg_courier_tests::Cluster, database: &str| {
        cluster.run(database, MARKER);
        if own.is_empty() {
            pgbench::initialize(cluster, database, scale);
        }
        for (_, definition) in own {
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
    pair.source.run(SOURCE, &format!("CREATE SCHEMA beside; {}", workload.beside));
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
    let arrived =
        wait::poll_every(LOOK_EVERY, LONG, || sql::value(&mut probe, "SELECT id FROM marker").expect("readable"));
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

fn clean(pair: &Pair, candidates: &[Candidate], tables: &[&str]) {
    pair.source.run(
        SOURCE,
        &format!("DROP PUBLICATION bench; DROP SCHEMA beside CASCADE; DROP TABLE marker, {}", tables.join(", ")),
    );
    for candidate in candidates {
        let database = candidate.database();
        pair.source.run(SOURCE, &format!("DROP SERVER {database} CASCADE"));
        arena::drop_destination(pair, database);
    }
    // pglogical's supervisor may go on with what it knew of a database of the same name.
    pair.destination.restart();
}
