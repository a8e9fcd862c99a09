//! Large transactions, large values and many tables: bounded memory, and all of it arrives. Sizes are those of every day, or
//! those of the nightly form; each test prints what it measured.

use std::time::{Duration, Instant};

use pg_courier_tests::pair::{DATABASE, PairBuilder, TABLESYNC};
use pg_courier_tests::{MemoryWatch, Pair, procfs};

use crate::common::{TASK, assert_mentions, sized};

const MEGABYTE: u64 = 1 << 20;

/// The limit of a failure; nothing waits for so long.
fn long() -> Duration {
    sized(Duration::from_secs(300), Duration::from_secs(3600))
}

fn roomy_pair() -> PairBuilder {
    Pair::builder().source_conf("max_wal_size", "4GB").destination_conf("max_wal_size", "4GB")
}

/// A pair whose task on these tables is synchronizing.
fn mirrored(tables: &str) -> Pair {
    let pair = roomy_pair().start();
    pair.source.run(DATABASE, tables);
    pair.start_task(TASK, &["public.*"]);
    pair.wait_for_state_within(DATABASE, TASK, "synchronizing", long());
    pair
}

fn measured(what: &str, begin: Instant, peak: u64) {
    println!("{what}: {:.1} s, {} MB", begin.elapsed().as_secs_f64(), peak / MEGABYTE);
}

/// One transaction of 500,000 new rows (10,000,000 in the nightly form), then one that updates all of them, then one that
/// deletes half: each goes to disk while it is decoded, and each is one transaction on
/// the destination (a reader never sees a part of it).
#[test]
fn transactions_of_many_rows() {
    let rows = sized(500_000, 10_000_000);
    let pair = mirrored("CREATE TABLE big (id int PRIMARY KEY, v int, t text)");
    let worker = pair.apply_pid(DATABASE, TASK);
    let peak = || procfs::peak_memory(worker).expect("the same worker does all of it");

    let watcher = Watcher::start(&pair);
    let begin = Instant::now();
    pair.source
        .run(DATABASE, &format!("INSERT INTO big SELECT n, 0, 'row ' || n FROM generate_series(1, {rows}) AS n"));
    pair.caught_up_within(DATABASE, TASK, long());
    measured(&format!("{rows} inserts"), begin, peak());
    watcher.saw_only(&["0", &rows.to_string()]);

    let begin = Instant::now();
    pair.source.run(DATABASE, "UPDATE big SET v = id % 1000");
    pair.source.run(DATABASE, "DELETE FROM big WHERE id % 2 = 0");
    pair.caught_up_within(DATABASE, TASK, long());
    measured(&format!("{rows} updates and half as many deletes"), begin, peak());
    pair.assert_same(DATABASE, &["public.big"]);
    assert!(peak() < 300 * MEGABYTE, "the worker's memory stays bounded: {} MB", peak() / MEGABYTE);
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
                let begin = Instant::now();
                let count = pg_courier_tests::sql::value(&mut client, "SELECT count(*) FROM big").expect("readable");
                let count = count.unwrap_or_default();
                if seen.last() != Some(&count) {
                    seen.push(count);
                }
                // Most of the machine is for what is being tested.
                std::thread::sleep(Duration::from_millis(20) + 3 * begin.elapsed());
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

/// One transaction of 100,000 subtransactions, every tenth of which is rolled back, some inside others.
#[test]
fn a_transaction_of_many_subtransactions() {
    let pair = mirrored("CREATE TABLE sub (id int PRIMARY KEY, v int)");
    let worker = pair.apply_pid(DATABASE, TASK);
    let begin = Instant::now();
    pair.source.run(
        DATABASE,
        "DO $$ BEGIN FOR n IN 1..50000 LOOP \
           BEGIN INSERT INTO sub VALUES (n, 0); \
             BEGIN UPDATE sub SET v = n WHERE id = n; \
               IF n % 5 = 0 THEN RAISE EXCEPTION 'undone'; END IF; \
             EXCEPTION WHEN raise_exception THEN NULL; END; \
             IF n % 10 = 0 THEN RAISE EXCEPTION 'undone'; END IF; \
           EXCEPTION WHEN raise_exception THEN NULL; END; \
         END LOOP; END $$",
    );
    pair.caught_up_within(DATABASE, TASK, long());
    let peak = procfs::peak_memory(worker).expect("the same worker does all of it");
    measured("100,000 subtransactions", begin, peak);
    pair.assert_same(DATABASE, &["public.sub"]);
    let rows = "SELECT count(*) || ' ' || count(*) FILTER (WHERE v = 0) FROM sub";
    assert_eq!(pair.destination.value(DATABASE, rows), "45000 5000");
    assert!(peak < 300 * MEGABYTE, "the worker's memory stays bounded: {} MB", peak / MEGABYTE);
}

/// A value of 300 MB (900 MB in the nightly form) in the copy and one in the stream, text and bytea, kept out of line; an
/// update of another column that leaves it alone, and one that replaces it.
#[test]
fn huge_values() {
    let megabytes = sized(300, 900);
    let pair = roomy_pair().start();
    pair.source.run(
        DATABASE,
        &format!(
            "CREATE TABLE huge (id int PRIMARY KEY, n int, t text, b bytea); \
             ALTER TABLE huge ALTER t SET STORAGE EXTERNAL, ALTER b SET STORAGE EXTERNAL; \
             INSERT INTO huge VALUES (1, 0, repeat('0123456789abcdef', {megabytes} * 65536), NULL)"
        ),
    );
    let (source, destination) = (MemoryWatch::start(&pair.source), MemoryWatch::start(&pair.destination));
    let begin = Instant::now();
    pair.start_task(TASK, &["public.*"]);
    pair.wait_for_state_within(DATABASE, TASK, "synchronizing", long());
    measured("copied; the tablesync worker", begin, source.peak_of(TABLESYNC));
    measured("copied; the destination", begin, destination.peak_of("courier shop"));

    let worker = pair.apply_pid(DATABASE, TASK);
    let begin = Instant::now();
    let destination = MemoryWatch::start(&pair.destination);
    pair.source.run(
        DATABASE,
        &format!(
            "INSERT INTO huge SELECT 2, 0, NULL, half || half || half \
               FROM decode(repeat('00ff27', {megabytes} * 1048576 / 9), 'hex') AS half; \
             UPDATE huge SET n = n + 1; \
             UPDATE huge SET t = repeat('fedcba9876543210', {megabytes} * 65536) || 'end' WHERE id = 1"
        ),
    );
    pair.caught_up_within(DATABASE, TASK, long());
    measured("streamed; the apply worker", begin, procfs::peak_memory(worker).expect("the same worker does all of it"));
    measured("streamed; the destination", begin, destination.peak_of("courier shop"));
    let digest =
        "SELECT string_agg(concat_ws(' ', id, n, length(t), md5(t), length(b), md5(b)), '; ' ORDER BY id) FROM huge";
    assert_eq!(pair.source.value(DATABASE, digest), pair.destination.value(DATABASE, digest));
}

/// Two values of 20 MB in one row; in the nightly form of 600 MB, and then the row is larger than a server lets a client send: it can only
/// be put together there from parts. The task names it and waits; somebody else makes the row, in parts, and the task goes on.
#[test]
fn rows_larger_than_a_message() {
    let megabytes = sized(20, 600);
    let pair = roomy_pair().start();
    pair.source.run(
        DATABASE,
        &format!(
            "CREATE TABLE wide (id int PRIMARY KEY, n int, t text, b bytea); CREATE TABLE small (id int PRIMARY KEY, v text); \
             CREATE SCHEMA stage; CREATE TABLE stage.parts (t text, b bytea); \
             ALTER TABLE wide ALTER t SET STORAGE EXTERNAL, ALTER b SET STORAGE EXTERNAL; \
             ALTER TABLE stage.parts ALTER t SET STORAGE EXTERNAL, ALTER b SET STORAGE EXTERNAL; \
             INSERT INTO stage.parts VALUES (repeat('t', {megabytes} << 20), NULL); \
             UPDATE stage.parts SET b = repeat('b', {megabytes} << 20)::bytea; \
             INSERT INTO wide SELECT 1, 0, t, NULL FROM stage.parts"
        ),
    );
    pair.start_task(TASK, &["public.*"]);
    pair.wait_for_state_within(DATABASE, TASK, "synchronizing", long());
    let worker = pair.apply_pid(DATABASE, TASK);
    let digest = "SELECT count(*) || string_agg(concat_ws(' ', id, n, length(t), md5(t), length(b), md5(b)), '; ' ORDER BY id) \
                    FILTER (WHERE id < 100) || (SELECT string_agg(v, ' ') FROM small) FROM wide";
    let assert_same = || {
        pair.caught_up_within(DATABASE, TASK, long());
        assert_eq!(pair.source.value(DATABASE, digest), pair.destination.value(DATABASE, digest));
    };

    // Huge rows between changes of all kinds, in one transaction, and among many of their own table.
    let begin = Instant::now();
    pair.source.run(
        DATABASE,
        "BEGIN; INSERT INTO small VALUES (1, 'before'); INSERT INTO wide SELECT 2, 0, NULL, b FROM stage.parts; \
         UPDATE small SET v = 'after' WHERE id = 1; UPDATE wide SET n = 1; DELETE FROM wide WHERE id = 1; COMMIT; \
         BEGIN; INSERT INTO wide SELECT g, 0, 'one of many' FROM generate_series(100, 60000) AS g; \
         INSERT INTO wide SELECT 3, 0, t, NULL FROM stage.parts; \
         INSERT INTO wide SELECT -g, 0, 'one of many' FROM generate_series(100, 60000) AS g; COMMIT",
    );
    assert_same();
    measured("rows of one such value; the apply worker", begin, procfs::peak_memory(worker).expect("the same worker"));

    pair.source.run(DATABASE, "INSERT INTO wide SELECT 4, 0, t, b FROM stage.parts");
    if sized(false, true) {
        let text = failure(&pair);
        assert_mentions(&text, &["too", "wide", "(id)=(4)", "LSN"]);
        pair.destination.run(DATABASE, "INSERT INTO wide VALUES (4, 0)");
        skip_change(&pair, &text);
        pair.source.run(DATABASE, "UPDATE wide SET t = p.t FROM stage.parts AS p WHERE id = 4");
        pair.source.run(DATABASE, "UPDATE wide SET b = p.b FROM stage.parts AS p WHERE id = 4");
    }
    assert_same();

    pair.source.run(DATABASE, "UPDATE wide SET t = p.t || 'x', b = p.b FROM stage.parts AS p WHERE id = 2");
    if sized(false, true) {
        let text = failure(&pair);
        assert_mentions(&text, &["too large for one message", "wide", "(id)=(2)", "LSN", "skip_change"]);
        skip_change(&pair, &text);
        pair.source.run(DATABASE, "UPDATE wide SET t = p.t FROM stage.parts AS p WHERE id = 2");
        pair.source.run(DATABASE, "UPDATE wide SET b = p.b FROM stage.parts AS p WHERE id = 2");
    }
    assert_same();

    // Refused by the destination: named, and left out without a try to show what is too large to be shown.
    pair.destination.run(DATABASE, "INSERT INTO wide VALUES (5, 0, 'squatter')");
    pair.source.run(DATABASE, "INSERT INTO wide SELECT 5, 0, t, NULL FROM stage.parts");
    let text = failure(&pair);
    assert_mentions(&text, &["wide", "(id)=(5)", "already on the destination"]);
    skip_change(&pair, &text);
    pair.source.run(DATABASE, "DELETE FROM wide WHERE id = 5");
    assert_same();
    let row = "SELECT source_row::text FROM courier.conflicts WHERE change = 'INSERT' AND key IS NULL ORDER BY at DESC LIMIT 1";
    assert_eq!(pair.source.value(DATABASE, row), "{\"b\": null, \"n\": 0, \"id\": 5}");
}

/// What the task says; its serial replay has to decode everything once more.
fn failure(pair: &Pair) -> String {
    pair.wait_for_state_within(DATABASE, TASK, "failed", long());
    pair.failure(DATABASE, TASK)
}

fn skip_change(pair: &Pair, text: &str) {
    let lsn = crate::conflicts::lsn_of(text);
    pair.source.run(DATABASE, &format!("SELECT courier.skip_change('{TASK}', '{lsn}')"));
}

/// 300 tables (5,000 in the nightly form) of a few rows: the copy of each is cheap, and the plan and the views keep up.
#[test]
fn many_small_tables() {
    let tables = sized(300, 5000);
    // A transaction with so many tables holds as many locks.
    let locks = [("max_locks_per_transaction", "256")];
    let pair = locks
        .iter()
        .fold(Pair::builder(), |pair, (key, value)| pair.source_conf(key, value).destination_conf(key, value));
    let pair = pair.start();
    pair.source.run(
        DATABASE,
        &format!(
            "DO $$ BEGIN FOR n IN 1..{tables} LOOP \
               EXECUTE format('CREATE TABLE t%s (id int PRIMARY KEY, v text)', n); \
               EXECUTE format('INSERT INTO t%s SELECT g, %L FROM generate_series(1, 10) AS g', n, n); END LOOP; END $$"
        ),
    );
    let memory = MemoryWatch::start(&pair.source);
    let begin = Instant::now();
    pair.start_task(TASK, &["public.*"]);
    pair.wait_for_state_within(DATABASE, TASK, "synchronizing", long());
    measured(&format!("{tables} tables copied; the largest of our processes"), begin, memory.peak_of("pg_courier"));

    let worker = pair.apply_pid(DATABASE, TASK);
    let begin = Instant::now();
    pair.source.run(
        DATABASE,
        &format!("DO $$ BEGIN FOR n IN 1..{tables} LOOP EXECUTE format('UPDATE t%s SET v = v || ''!'' WHERE id %% 3 = 0', n); END LOOP; END $$"),
    );
    pair.source.run(
        DATABASE,
        &format!("DO $$ BEGIN FOR n IN 1..{tables} LOOP EXECUTE format('INSERT INTO t%s VALUES (11, ''new'')', n); COMMIT; END LOOP; END $$"),
    );
    pair.caught_up_within(DATABASE, TASK, long());
    let peak = procfs::peak_memory(worker).expect("the same worker does all of it");
    measured(&format!("updates and inserts of {tables} tables"), begin, peak);
    assert!(peak < 300 * MEGABYTE, "the worker's memory stays bounded: {} MB", peak / MEGABYTE);
    let names: Vec<String> = (1..=tables).map(|n| format!("public.t{n}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    pair.assert_mirrored(TASK, &names);
}
