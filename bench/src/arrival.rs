//! How long a whole database takes to arrive: tables with many indexes and foreign keys, functions, views, few rows. pg_courier from the
//! first word to a task that follows the source; `pg_dump | psql` into a database of its own, after which nothing follows anything.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use pg_courier_tests::pair::{PASSWORD, ROLE, create_task_sql};
use pg_courier_tests::{Pair, Privileges, TaskOptions};

use crate::arena::{self, SOURCE};
use crate::{Options, report};

const TABLES: f64 = 1_000.0;
const INDEXES: u32 = 6;
const ROWS: u32 = 20;
const LONG: Duration = Duration::from_secs(3600);

pub fn run(options: &Options) -> bool {
    let pair = arena::open();
    let tables = (TABLES * options.size) as u32;
    create(&pair, tables);
    println!(
        "\narrival of {tables} tables of {ROWS} rows with {INDEXES} indexes, a key and a foreign key each, {tables} views and {} functions: \
         median of {} rounds",
        tables / 4,
        options.rounds
    );
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    let mut good = true;
    for round in 0..options.rounds {
        for is_ours in [round % 2 == 0, round % 2 != 0] {
            let name = if is_ours { "courier" } else { "dump" };
            arena::add_destination(&pair, name);
            // What the runs before have left in catalogs and tables of tasks, which nobody else clears away here.
            pair.source.run(SOURCE, "VACUUM");
            pair.destination.run("postgres", "VACUUM");
            pair.source.run(SOURCE, "CHECKPOINT");
            pair.destination.run("postgres", "CHECKPOINT");
            let begin = Instant::now();
            good &= if is_ours { follow(&pair, name) } else { restore(&pair, name) };
            let wall = begin.elapsed().as_secs_f64();
            println!("  {:<28}{wall:>9.2} s", if is_ours { "pg_courier" } else { "pg_dump | psql" });
            if is_ours { &mut ours } else { &mut theirs }.push(wall);
            good &= is_equal(&pair, name);
            if is_ours {
                pair.call(SOURCE, "drop_task", name);
            }
            pair.source.run(SOURCE, &format!("DROP SERVER {name} CASCADE"));
            arena::drop_destination(&pair, name);
        }
    }
    let (ours, theirs) = (report::median(ours), report::median(theirs));
    println!("  {:<28}{ours:>9.2} s", "pg_courier, median");
    println!("  {:<28}{theirs:>9.2} s", "pg_dump | psql, median");
    println!("  {:<28}{:>9.2}", "ratio", theirs / ours);
    good
}

fn follow(pair: &Pair, name: &str) -> bool {
    let options = TaskOptions { ddl: Some("replicate"), ..TaskOptions::default() };
    let mut begin = Instant::now();
    let mut lap = || std::mem::replace(&mut begin, Instant::now()).elapsed().as_secs_f64();
    pair.source.run(SOURCE, &create_task_sql(name, name, &["many.*"], &options));
    pair.call(SOURCE, "start", name);
    let started = lap();
    // Whoever asks more often takes time from those who work.
    while !["synchronizing", "failed"].contains(&pair.task(SOURCE, name, "state").as_str()) {
        std::thread::sleep(Duration::from_millis(200));
    }
    pair.wait_for_state_within(SOURCE, name, "synchronizing", LONG);
    let followed = lap();
    pair.caught_up_within(SOURCE, name, LONG);
    println!(
        "  courier.start() with its precheck {started:.2} s, to synchronizing {followed:.2} s, to the last view {:.2} s",
        lap()
    );
    true
}

/// With the login and over the network that the task has: owners that are no superusers cost something with each object.
fn restore(pair: &Pair, name: &str) -> bool {
    let mut dump = pair.source.program("pg_dump", SOURCE);
    dump.args(["--no-owner", "--schema", "many"]).stdout(Stdio::piped());
    let mut reader = pair.destination.program("psql", name);
    reader.env("PGHOST", "127.0.0.1").env("PGUSER", ROLE).env("PGPASSWORD", PASSWORD);
    reader.args(["-X", "-q", "-v", "ON_ERROR_STOP=1"]).stdout(Stdio::null());
    piped(dump, reader).unwrap_or_else(|error| {
        println!("{error}");
        false
    })
}

fn piped(mut from: Command, mut to: Command) -> std::io::Result<bool> {
    let mut from = from.spawn()?;
    if let Some(pipe) = from.stdout.take() {
        to.stdin(pipe);
    }
    let is_read = to.status()?.success();
    Ok(from.wait()?.success() && is_read)
}

fn is_equal(pair: &Pair, name: &str) -> bool {
    let dump = |side| pg_courier_tests::Dump::of(side, "many", Privileges::LeftOut);
    let difference = dump((&pair.source, SOURCE)).difference(&dump((&pair.destination, name)));
    difference.iter().for_each(|difference| println!("{name} differs:\n{difference}"));
    difference.is_none()
}

fn create(pair: &Pair, tables: u32) {
    pair.source.run(SOURCE, "CREATE SCHEMA many");
    for first in (0..tables).step_by(100) {
        let statements: String = (first..tables.min(first + 100)).map(|n| statements(n, first)).collect();
        pair.source.run(SOURCE, &statements);
    }
    pair.source.run(SOURCE, "VACUUM ANALYZE");
}

fn statements(n: u32, first: u32) -> String {
    let parent = if n == first { n } else { n - 1 };
    let indexes: String = ["a", "b", "c", "a, b", "b, c", "a, c"]
        .iter()
        .take(INDEXES as usize)
        .enumerate()
        .map(|(at, columns)| format!("CREATE INDEX t{n}_{at} ON many.t{n} ({columns});"))
        .collect();
    let function = if n.is_multiple_of(4) {
        format!("CREATE FUNCTION many.f{n}(int) RETURNS int LANGUAGE plpgsql AS 'BEGIN RETURN $1 + {n}; END';")
    } else {
        String::new()
    };
    format!(
        "CREATE TABLE many.t{n} (id bigint PRIMARY KEY, a int DEFAULT 0 CHECK (a >= 0), b text NOT NULL, c timestamptz, \
         parent bigint REFERENCES many.t{parent}); {indexes} {function} \
         CREATE VIEW many.v{n} AS SELECT t.id, t.b, p.c FROM many.t{n} t LEFT JOIN many.t{parent} p ON p.id = t.parent; \
         INSERT INTO many.t{n} SELECT g, g, 'b' || g, now(), g FROM generate_series(1, {ROWS}) g;"
    )
}
