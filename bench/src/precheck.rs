//! How long a precheck of many tables takes, and that the number of its queries does not depend on their number.
//!
//! Both databases are there, with the same tables on both sides in the second run, so that the comparison of
//! tables and columns has its full size. The goal is 10 seconds for 10,000 tables.

use std::time::{Duration, Instant};

use pg_courier_tests::Pair;
use pg_courier_tests::pair::{DATABASE, ROLE};

use crate::Options;

const GOAL: Duration = Duration::from_secs(10);
const TABLES: f64 = 10_000.0;

pub fn run(options: &Options) -> bool {
    let pair = Pair::builder()
        .source_conf("max_locks_per_transaction", "512")
        .destination_conf("max_locks_per_transaction", "512")
        .start();
    let tables = (TABLES * options.size) as u32;
    println!("\nprecheck, 10 columns a table, goal {} s for {TABLES} tables", GOAL.as_secs());
    println!("  {:<44}{:>9}{:>9}{:>18}{:>23}", "run", "tables", "wall s", "queries, source", "queries, destination");
    let mut good = true;
    for part in [100, tables] {
        pair.source.run(DATABASE, "DROP SCHEMA IF EXISTS many CASCADE");
        create(&pair.source, part);
        good &= measure(&pair, "new tables", part, "");
    }
    pair.destination.run(DATABASE, "CREATE SCHEMA many");
    create_on_destination(&pair, tables);
    good && measure(&pair, "tables on both sides, without schema_sync", tables, ", schema_sync => false")
}

fn statement(n: u32) -> String {
    format!(
        "CREATE TABLE many.t{n} (id bigint PRIMARY KEY, a int, b text, c timestamptz, d numeric(12,2), e boolean, f date, \
         g uuid, h jsonb, i varchar(100));"
    )
}

fn create(cluster: &pg_courier_tests::Cluster, tables: u32) {
    cluster.run(DATABASE, "CREATE SCHEMA IF NOT EXISTS many");
    for first in (0..tables).step_by(200) {
        let statements: String = (first..tables.min(first + 200)).map(statement).collect();
        cluster.run(DATABASE, &statements);
    }
    cluster.run(DATABASE, "ANALYZE pg_class, pg_attribute, pg_index");
}

fn create_on_destination(pair: &Pair, tables: u32) {
    create(&pair.destination, tables);
    pair.destination.run(
        DATABASE,
        &format!("GRANT USAGE, CREATE ON SCHEMA many TO {ROLE}; GRANT ALL ON ALL TABLES IN SCHEMA many TO {ROLE}"),
    );
}

fn measure(pair: &Pair, name: &str, tables: u32, options: &str) -> bool {
    let script = format!(
        "SET client_min_messages = debug1;\n\
         SELECT count(*) FILTER (WHERE status = 'failed') AS failed FROM courier.precheck('dr', ARRAY['many.*']{options});"
    );
    let begin = Instant::now();
    let output = pair.source.psql(DATABASE, &script);
    let wall = begin.elapsed();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    // "precheck of 100 tables: 9 queries on the source, 3 on the destination"
    let line = said.lines().find(|line| line.contains("precheck of")).unwrap_or("no line about queries");
    let numbers: Vec<&str> = line.split(|c: char| !c.is_ascii_digit()).filter(|part| !part.is_empty()).collect();
    let (source, destination) = match numbers[..] {
        [.., source, destination] => (source, destination),
        _ => ("?", "?"),
    };
    println!("  {name:<44}{tables:>9}{:>9.2}{source:>18}{destination:>23}", wall.as_secs_f64());
    output.status.success() && wall < GOAL && line.contains("precheck of")
}
