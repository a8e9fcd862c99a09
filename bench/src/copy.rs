//! How fast a database is copied: from an empty destination to all tables there, with their
//! primary keys, following the source.
//!
//! The built-in copy needs the tables to be there first: it gets them with their keys, as a
//! schema dump would make them, outside of the measured time. pg_courier makes them itself.

use std::time::{Duration, Instant};

use pg_courier_tests::pair::create_task_sql;
use pg_courier_tests::sql::literal;
use pg_courier_tests::{Pair, TaskOptions, compare, pgbench};

use crate::arena::{self, SOURCE};
use crate::candidate::{Candidate, WITHOUT_PACKAGES};
use crate::report::{self, Result};
use crate::{Options, meter};

const LONG: Duration = Duration::from_secs(3600);

pub fn run(options: &Options) -> bool {
    let pair = arena::open();
    pgbench::initialize(&pair.source, SOURCE, options.scale);
    pair.source.run(SOURCE, "VACUUM ANALYZE");
    pair.source.run(SOURCE, "CHECKPOINT");
    pair.source.run(SOURCE, &format!("CREATE PUBLICATION bench FOR TABLE {}", pgbench::TABLES.join(", ")));
    let rows: u64 = pair
        .source
        .value(SOURCE, "SELECT (SELECT count(*) FROM pgbench_accounts) + (SELECT count(*) FROM pgbench_tellers) + (SELECT count(*) FROM pgbench_branches)")
        .parse()
        .expect("a number");
    // Reads everything once, so that the first candidate does not pay for a cold cache.
    pair.source.run(SOURCE, "SELECT sum(abalance) FROM pgbench_accounts");
    let results: Vec<Result> = WITHOUT_PACKAGES.into_iter().map(|candidate| copy(&pair, candidate, rows)).collect();
    report::print(&format!("copy of pgbench -s {} ({} rows)", options.scale, rows), &results);
    results.iter().all(|result| result.identical)
}

fn copy(pair: &Pair, candidate: Candidate, rows: u64) -> Result {
    let name = candidate.database();
    arena::add_destination(pair, name);
    if candidate != Candidate::Courier {
        let output =
            pair.destination.program("pgbench", name).args(["-i", "-I", "dtp", "-q"]).output().expect("pgbench runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    pair.destination.run("postgres", "CHECKPOINT");
    let before = (meter::cpu(&pair.source), meter::cpu(&pair.destination));
    let begin = Instant::now();
    match candidate {
        Candidate::Native { binary } => {
            pair.destination.run(
                name,
                &format!(
                    "CREATE SUBSCRIPTION {name} CONNECTION {} PUBLICATION bench WITH (binary = {binary})",
                    literal(&arena::conninfo(pair))
                ),
            );
            pair.destination.wait_until_within(
                name,
                "all tables of the subscription are ready",
                "NOT EXISTS (SELECT FROM pg_subscription_rel WHERE srsubstate <> 'r')",
                LONG,
            );
        }
        Candidate::Pglogical => unreachable!("not in this comparison"),
        Candidate::Courier => {
            pair.source.run(SOURCE, &create_task_sql(name, name, &["public.*"], &TaskOptions::default()));
            pair.call(SOURCE, "start", name);
            pair.wait_for_state_within(SOURCE, name, "synchronizing", LONG);
        }
    }
    let wall = begin.elapsed();
    let after = (meter::cpu(&pair.source), meter::cpu(&pair.destination));
    let identical = compare((&pair.source, SOURCE), (&pair.destination, name), &pgbench::TABLES).is_empty();
    let result = Result {
        candidate: candidate.name(),
        rows,
        wall,
        source_cpu: after.0.saturating_sub(before.0),
        destination_cpu: after.1.saturating_sub(before.1),
        // The processes that copied have ended.
        source_peak: None,
        destination_peak: None,
        identical,
    };
    candidate.remove(pair);
    arena::drop_destination(pair, name);
    result
}
