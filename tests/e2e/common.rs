//! What several themes need: a small table, its traffic, and questions about a server.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use pg_courier_tests::account::account;
use pg_courier_tests::pair::DATABASE;
use pg_courier_tests::{Cluster, Pair, Rng, Traffic, wait};
use postgres::Client;

/// What is large enough for every day, and what `make test-nightly` (`COURIER_NIGHTLY=1`) takes its time for.
pub fn sized<T>(every_day: T, nightly: T) -> T {
    if std::env::var_os("COURIER_NIGHTLY").is_some_and(|value| value == "1") { nightly } else { every_day }
}

pub const TASK: &str = "shop_to_dr";

/// Two tables, one without a key: a row that is applied twice shows in it as two rows, where
/// the other one would answer with a conflict.
pub const SMALL: [&str; 2] = ["public.items", "public.journal"];

pub fn create_small_tables(pair: &Pair) {
    pair.source.run(
        DATABASE,
        "CREATE TABLE items (id bigint PRIMARY KEY, v int NOT NULL, note text); \
         CREATE TABLE journal (item bigint, what text); \
         INSERT INTO items SELECT n, 0, 'row ' || n FROM generate_series(1, 1000) AS n; \
         INSERT INTO journal SELECT n, 'before' FROM generate_series(1, 1000) AS n",
    );
}

/// A pair whose task on the small tables is synchronizing.
pub fn mirrored_pair() -> Pair {
    let pair = Pair::start();
    mirror_small_tables(&pair);
    pair
}

pub fn mirror_small_tables(pair: &Pair) {
    create_small_tables(pair);
    pair.start_task(TASK, &["public.*"]);
    pair.wait_for_state(DATABASE, TASK, "synchronizing");
}

/// A task whose copy is done, and whose keys wait for the transaction of this session of the destination.
pub fn key_that_waits(pair: &Pair) -> Client {
    create_small_tables(pair);
    pair.source.arm("tablesync_after_commit:wait");
    pair.start_task(TASK, &["public.items"]);
    pair.source.wait_at("tablesync_after_commit");
    let mut user = pair.destination.connect(DATABASE);
    user.batch_execute("BEGIN; LOCK TABLE items IN ROW EXCLUSIVE MODE").expect("a lock");
    pair.source.disarm();
    pair.wait_until_in("task_details", TASK, "the key waits", "stage = 'post_data' AND phase LIKE 'creating %'");
    user
}

/// Both small tables in one transaction, new rows, changed rows and removed ones.
pub fn small_transaction(rng: &mut Rng) -> String {
    let id = rng.between(1, 1000);
    match rng.between(0, 3) {
        0 => format!(
            "BEGIN; INSERT INTO items VALUES ({}, 1, 'new'); INSERT INTO journal VALUES ({id}, 'insert'); COMMIT",
            rng.between(2_000, 1 << 50)
        ),
        1 => format!(
            "BEGIN; DELETE FROM items WHERE id = (SELECT max(id) FROM items WHERE id > 2000); \
             INSERT INTO journal VALUES ({id}, 'delete'); COMMIT"
        ),
        2 => format!(
            "INSERT INTO journal SELECT {id}, 'bulk ' || n FROM generate_series(1, {}) AS n",
            rng.between(1, 300)
        ),
        _ => format!(
            "BEGIN; UPDATE items SET v = v + 1 WHERE id = {id}; INSERT INTO journal VALUES ({id}, 'update'); COMMIT"
        ),
    }
}

pub fn small_traffic(cluster: &Cluster, seed: u64) -> Traffic {
    Traffic::start(cluster, DATABASE, 2, seed, Duration::from_millis(3), small_transaction)
}

/// Waits until so many more transactions were committed: the traffic is in full swing.
pub fn more_traffic(traffic: &Traffic, transactions: u64, cluster: &Cluster) {
    let goal = traffic.committed() + transactions;
    wait::until(
        &format!("{transactions} more transactions of the traffic"),
        wait::DEADLINE,
        || (traffic.committed() >= goal).then_some(()),
        || cluster.log_tail(40),
    );
}

/// Both sides have exactly `rows` rows of a table, waiting for them to arrive.
#[track_caller]
pub fn arrives(pair: &Pair, table: &str, rows: &str) {
    pair.destination.wait_until(
        DATABASE,
        &format!("{rows} rows of {table} are on the destination"),
        &format!("(SELECT count(*) FROM {table}) = {rows}"),
    );
}

/// Whether any process of the extension runs for this server.
pub fn wait_until_no_workers(cluster: &Cluster, within: Duration) {
    cluster.wait_until_within(
        "postgres",
        "all workers of the task have ended",
        "NOT EXISTS (SELECT FROM pg_stat_activity WHERE backend_type LIKE 'pg_courier%' AND backend_type NOT LIKE '%launcher')",
        within,
    );
}

/// An error message names the thing.
#[track_caller]
pub fn assert_mentions(text: &str, words: &[&str]) {
    for word in words {
        assert!(text.to_lowercase().contains(&word.to_lowercase()), "{word:?} is not mentioned in: {text}");
    }
}

/// A small file system of its own, gone with the test.
pub struct SmallDisk(PathBuf);

impl SmallDisk {
    /// `None` where this process may not mount.
    pub fn mount(path: PathBuf, size: &str) -> Option<SmallDisk> {
        std::fs::create_dir_all(&path).expect("the cluster's directory is writable");
        let disk = SmallDisk(path);
        if !disk.run("mount", &["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"]) {
            return None;
        }
        account().own(&disk.0).expect("root may give directories away");
        Some(disk)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    pub fn resize(&self, size: &str) {
        assert!(self.run("mount", &["-o", &format!("remount,size={size}")]));
    }

    fn run(&self, program: &str, arguments: &[&str]) -> bool {
        let output = Command::new(program).args(arguments).arg(&self.0).output();
        output.is_ok_and(|output| output.status.success())
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        self.run("umount", &["-l"]);
    }
}

/// Findings of one item: status, object, detail, fix in a line each.
pub fn findings(pair: &Pair, item: &str) -> String {
    pair.source.value(
        DATABASE,
        &format!(
            "SELECT coalesce(string_agg(concat_ws(' | ', status, object, detail, fix), E'\\n' ORDER BY object), '') \
             FROM courier.precheck('{TASK}') WHERE item = '{item}'"
        ),
    )
}

/// The lines of the plan that say what is left out: detail, object, reason.
pub fn omitted(pair: &Pair) -> String {
    pair.source.value(
        DATABASE,
        &format!(
            "SELECT coalesce(string_agg(concat_ws(' | ', detail, object, reason), E'\\n' ORDER BY step), '') \
             FROM courier.plan('{TASK}') WHERE action = 'omit'"
        ),
    )
}

pub fn is_ok(pair: &Pair, item: &str) -> bool {
    findings(pair, item).starts_with("ok")
}
