//! Large transactions and large values: bounded memory, and all of it arrives.

use std::time::Duration;

use pg_courier_tests::pair::DATABASE;
use pg_courier_tests::{Pair, procfs};

use crate::common::TASK;

const LONG: Duration = Duration::from_secs(300);

/// One transaction of 1,000,000 new rows, then one that updates all of them, then one that
/// deletes half: each spills to disk while it is decoded, and each is one transaction on
/// the destination (a reader never sees a part of it).
#[test]
fn transactions_of_a_million_rows() {
    let pair = Pair::builder().source_conf("max_wal_size", "4GB").destination_conf("max_wal_size", "4GB").start();
    pair.source.run(DATABASE, "CREATE TABLE big (id int PRIMARY KEY, v int, t text)");
    pair.start_task(TASK, &["public.*"]);
    pair.wait_for_state(DATABASE, TASK, "synchronizing");
    let worker = pair.apply_pid(DATABASE, TASK);

    let watcher = Watcher::start(&pair);
    pair.source.run(DATABASE, "INSERT INTO big SELECT n, 0, 'row ' || n FROM generate_series(1, 1000000) AS n");
    pair.caught_up_within(DATABASE, TASK, LONG);
    watcher.saw_only(&["0", "1000000"]);
    pair.assert_same(DATABASE, &["public.big"]);

    pair.source.run(DATABASE, "UPDATE big SET v = id % 1000");
    pair.source.run(DATABASE, "DELETE FROM big WHERE id % 2 = 0");
    pair.caught_up_within(DATABASE, TASK, LONG);
    pair.assert_same(DATABASE, &["public.big"]);
    let peak = procfs::peak_memory(worker).expect("the same worker did all of it");
    assert!(peak < 600 << 20, "the worker's memory stays bounded: {} MB", peak >> 20);
}

/// Reads the number of rows on the destination all the time.
struct Watcher {
    stop: std::sync::Arc<std::sync::atomic::AtomicBool>,
    thread: std::thread::JoinHandle<Vec<String>>,
}

impl Watcher {
    fn start(pair: &Pair) -> Watcher {
        let stop = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
        let mut client = pair.destination.connect(DATABASE);
        let stopped = std::sync::Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            let mut seen: Vec<String> = Vec::new();
            while !stopped.load(std::sync::atomic::Ordering::Relaxed) {
                let count = pg_courier_tests::sql::value(&mut client, "SELECT count(*) FROM big").expect("readable");
                let count = count.unwrap_or_default();
                if seen.last() != Some(&count) {
                    seen.push(count);
                }
                std::thread::sleep(Duration::from_millis(20));
            }
            seen
        });
        Watcher { stop, thread }
    }

    fn saw_only(self, allowed: &[&str]) {
        self.stop.store(true, std::sync::atomic::Ordering::Relaxed);
        let seen = self.thread.join().expect("no panic");
        assert!(seen.iter().all(|count| allowed.contains(&&**count)), "a reader saw {seen:?}");
    }
}

/// A value of 300 MB in the copy and one in the stream, text and bytea, kept out of line; an
/// update of another column that leaves it alone, and one that replaces it.
#[test]
fn values_of_300_megabytes() {
    let pair = Pair::builder().source_conf("max_wal_size", "4GB").destination_conf("max_wal_size", "4GB").start();
    pair.source.run(
        DATABASE,
        "CREATE TABLE huge (id int PRIMARY KEY, n int, t text, b bytea); \
         ALTER TABLE huge ALTER t SET STORAGE EXTERNAL, ALTER b SET STORAGE EXTERNAL; \
         INSERT INTO huge VALUES (1, 0, repeat('0123456789abcdef', 300 * 65536), NULL)",
    );
    pair.start_task(TASK, &["public.*"]);
    pair.wait_for_state_within(DATABASE, TASK, "synchronizing", LONG);
    pair.source.run(
        DATABASE,
        "INSERT INTO huge VALUES (2, 0, NULL, decode(repeat('00ff27', 100 * 1048576), 'hex')); \
         UPDATE huge SET n = n + 1; \
         UPDATE huge SET t = repeat('fedcba9876543210', 300 * 65536) || 'end' WHERE id = 1",
    );
    pair.caught_up_within(DATABASE, TASK, LONG);
    let digest =
        "SELECT string_agg(concat_ws(' ', id, n, length(t), md5(t), length(b), md5(b)), '; ' ORDER BY id) FROM huge";
    assert_eq!(pair.source.value(DATABASE, digest), pair.destination.value(DATABASE, digest));
}

/// 300 tables of a few rows: the copy of each is cheap, and the plan and the views keep up.
#[test]
fn many_small_tables() {
    let pair = Pair::start();
    pair.source.run(
        DATABASE,
        "DO $$ BEGIN FOR n IN 1..300 LOOP \
           EXECUTE format('CREATE TABLE t%s (id int PRIMARY KEY, v text)', n); \
           EXECUTE format('INSERT INTO t%s SELECT g, %L FROM generate_series(1, 10) AS g', n, n); END LOOP; END $$",
    );
    pair.start_task(TASK, &["public.*"]);
    pair.wait_for_state_within(DATABASE, TASK, "synchronizing", LONG);
    pair.source.run(
        DATABASE,
        "DO $$ BEGIN FOR n IN 1..300 LOOP EXECUTE format('UPDATE t%s SET v = v || ''!'' WHERE id %% 3 = 0', n); END LOOP; END $$",
    );
    let names: Vec<String> = (1..=300).map(|n| format!("public.t{n}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    pair.assert_mirrored(TASK, &names);
}
