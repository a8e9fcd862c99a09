//! How long a change takes when everything is caught up, and what waiting costs.
//!
//! One session commits rows at a steady rate and notes when each commit returned; another one
//! looks on the destination which rows it sees. Then nobody writes for a while, and the CPU
//! of the processes involved is taken.

use std::time::{Duration, Instant};

use pg_courier_tests::{Pair, sql, wait};

use crate::arena::{self, SOURCE};
use crate::candidate::{Candidate, WITHOUT_PACKAGES};
use crate::report::percentile;
use crate::{Options, meter};

pub fn run(pair: &Pair, options: &Options) {
    pair.source
        .run(SOURCE, "CREATE TABLE probe (id int8 PRIMARY KEY, t text); CREATE PUBLICATION bench FOR TABLE probe");
    for candidate in WITHOUT_PACKAGES {
        arena::add_destination(pair, candidate.database());
        pair.destination.run(
            candidate.database(),
            "CREATE TABLE probe (id int8 PRIMARY KEY, t text); ALTER TABLE probe OWNER TO courier",
        );
    }
    println!(
        "\nlatency at {} transactions/s from the commit on the source to visible on the destination, and CPU while idle",
        options.rate
    );
    println!(
        "  {:<18}{:>8}{:>10}{:>10}{:>10}{:>10}{:>16}{:>16}",
        "candidate", "rows", "p50 ms", "p99 ms", "max ms", "lost", "idle src %", "idle dst %"
    );
    for candidate in WITHOUT_PACKAGES {
        pair.source.run(SOURCE, "TRUNCATE probe");
        candidate.prepare(pair);
        candidate.go(pair);
        let (delays, lost) = probe(pair, candidate, options);
        let (source, destination) = idle(pair, candidate, options);
        println!(
            "  {:<18}{:>8}{:>10.2}{:>10.2}{:>10.2}{:>10}{:>16.3}{:>16.3}",
            candidate.name(),
            delays.len(),
            milliseconds(percentile(&delays, 50.0)),
            milliseconds(percentile(&delays, 99.0)),
            milliseconds(percentile(&delays, 100.0)),
            lost,
            source,
            destination
        );
        candidate.remove(pair);
    }
}

fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

/// Sorted delays, and how many rows never came.
fn probe(pair: &Pair, candidate: Candidate, options: &Options) -> (Vec<Duration>, usize) {
    let mut writer = pair.source.connect(SOURCE);
    let mut reader = pair.destination.connect(candidate.database());
    // The first row tells that the candidate is under way.
    writer.batch_execute("INSERT INTO probe VALUES (0, 'first')").expect("insert");
    let first =
        wait::poll(Duration::from_secs(60), || sql::value(&mut reader, "SELECT id FROM probe").expect("readable"));
    assert!(first.is_some(), "{} does not apply anything", candidate.name());

    let count = u64::from(options.rate) * u64::from(options.seconds);
    let interval = Duration::from_secs(1) / options.rate.max(1);
    let watcher = std::thread::spawn(move || watch(&mut reader, count));
    let begin = Instant::now();
    let mut committed = Vec::new();
    for id in 1..=count {
        let due = begin + interval * u32::try_from(id).unwrap_or(u32::MAX);
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        writer.batch_execute(&format!("INSERT INTO probe VALUES ({id}, 'row {id}')")).expect("insert");
        committed.push(Instant::now());
    }
    let seen = watcher.join().expect("no panic");
    let mut delays: Vec<Duration> = committed
        .iter()
        .zip(&seen)
        .filter_map(|(commit, seen)| Some(seen.as_ref()?.saturating_duration_since(*commit)))
        .collect();
    delays.sort();
    let lost = committed.len() - delays.len();
    (delays, lost)
}

/// When each row was first seen.
fn watch(reader: &mut postgres::Client, count: u64) -> Vec<Option<Instant>> {
    let mut seen = vec![None; count as usize];
    let statement = reader.prepare("SELECT max(id) FROM probe").expect("table is there");
    let mut known = 0usize;
    let mut last_news = Instant::now();
    while known < seen.len() && last_news.elapsed() < Duration::from_secs(30) {
        let row = reader.query_one(&statement, &[]).expect("readable");
        let now = Instant::now();
        let newest = row.get::<_, Option<i64>>(0).unwrap_or(0) as usize;
        if newest > known {
            seen[known..newest].fill(Some(now));
            known = newest;
            last_news = now;
        }
        // Short against what is measured, long enough not to take a core away from it.
        std::thread::sleep(Duration::from_micros(200));
    }
    seen
}

/// CPU of the candidate's processes while nobody writes, in percent of a core.
fn idle(pair: &Pair, candidate: Candidate, options: &Options) -> (f64, f64) {
    let used = || {
        let sum = |cluster, condition| -> Duration {
            let pids = meter::pids(cluster, condition);
            pids.into_iter().filter_map(pg_courier_tests::procfs::cpu).sum()
        };
        (sum(&pair.source, candidate.source_processes()), sum(&pair.destination, candidate.destination_processes()))
    };
    let before = used();
    let begin = Instant::now();
    std::thread::sleep(Duration::from_secs(u64::from(options.seconds)));
    let after = used();
    let percent = |a: Duration, b: Duration| b.saturating_sub(a).as_secs_f64() * 100.0 / begin.elapsed().as_secs_f64();
    (percent(before.0, after.0), percent(before.1, after.1))
}
