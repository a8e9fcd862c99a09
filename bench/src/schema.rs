//! How long it takes to write the definitions of many tables: pg_courier's schema generator against `pg_dump --schema-only`, in turn, on the
//! same database. Both write everything into a file.

use std::process::Stdio;
use std::time::Instant;

use pg_courier_tests::Pair;
use pg_courier_tests::pair::DATABASE;

use crate::{Options, report};

const TABLES: f64 = 10_000.0;
const STATEMENTS: &str = "SELECT statement || ';' FROM courier.schema_ddl(ARRAY(SELECT c.oid FROM pg_class c \
     JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = 'many' AND c.relkind = 'r')) ORDER BY ordinal";

pub fn run(options: &Options) -> bool {
    let pair = Pair::builder().source_conf("max_locks_per_transaction", "20000").start();
    let tables = (TABLES * options.size) as u32;
    create(&pair, tables);
    println!(
        "\nschema of {tables} tables with a key, an index, a check, a default and a foreign key: median of {} rounds",
        options.rounds
    );
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    let mut good = true;
    for round in 0..options.rounds {
        let mut measure = |is_ours: bool| match seconds(&pair, is_ours) {
            Some(seconds) if is_ours => ours.push(seconds),
            Some(seconds) => theirs.push(seconds),
            None => good = false,
        };
        let ours_first = round % 2 == 0;
        measure(ours_first);
        measure(!ours_first);
    }
    if good {
        let (ours, theirs) = (report::median(ours), report::median(theirs));
        println!("  {:<28}{ours:>9.2} s", "courier.schema_ddl()");
        println!("  {:<28}{theirs:>9.2} s", "pg_dump --schema-only");
        println!("  {:<28}{:>9.2}", "ratio", theirs / ours);
    }
    good
}

fn create(pair: &Pair, tables: u32) {
    pair.source.run(DATABASE, "CREATE SCHEMA many");
    for first in (0..tables).step_by(200) {
        let statements: String = (first..tables.min(first + 200)).map(|n| statement(n, first)).collect();
        pair.source.run(DATABASE, &statements);
    }
    pair.source.run(DATABASE, "VACUUM ANALYZE");
}

fn statement(n: u32, first: u32) -> String {
    let parent = if n == first { n } else { n - 1 };
    format!(
        "CREATE TABLE many.t{n} (id bigint PRIMARY KEY, a int DEFAULT 0 CHECK (a >= 0), b text NOT NULL, c timestamptz, \
         d numeric(12,2), e boolean, parent bigint REFERENCES many.t{parent}); CREATE INDEX ON many.t{n} (b);"
    )
}

/// None where it failed, which it has said then.
fn seconds(pair: &Pair, is_ours: bool) -> Option<f64> {
    let mut command = if is_ours {
        let mut command = pair.source.program("psql", DATABASE);
        command.args(["-X", "-q", "-A", "-t", "-c", STATEMENTS]);
        command
    } else {
        let mut command = pair.source.program("pg_dump", DATABASE);
        command.args(["--schema-only", "--no-owner", "--schema", "many"]);
        command
    };
    let begin = Instant::now();
    let output = command.stdin(Stdio::null()).output();
    let wall = begin.elapsed().as_secs_f64();
    match output {
        Ok(output) if output.status.success() && !output.stdout.is_empty() => Some(wall),
        Ok(output) => {
            println!("{}", String::from_utf8_lossy(&output.stderr));
            None
        }
        Err(error) => {
            println!("{error}");
            None
        }
    }
}
