//! Changes that came by replication: sent on in a cascade, never back to where they came from.

use pg_courier_tests::pair::{DATABASE, PASSWORD, ROLE};
use pg_courier_tests::sql::literal;
use pg_courier_tests::{Cluster, Pair, TaskOptions};

use crate::common::{SMALL, TASK, create_small_tables};

/// Two servers that can both be a source.
fn symmetric_pair() -> Pair {
    let mut builder = Pair::builder();
    for (key, value) in
        [("wal_level", "logical"), ("shared_preload_libraries", "pg_courier"), ("max_worker_processes", "32")]
    {
        builder = builder.destination_conf(key, value);
    }
    let pair = builder.start();
    create_small_tables(&pair);
    pair
}

/// A task from the destination to a database of `to`, onto tables that are there.
fn task_from_destination(pair: &Pair, to: &Cluster, database: &str, options: &str) {
    pair.destination.run(
        DATABASE,
        &format!(
            "CREATE EXTENSION IF NOT EXISTS pg_courier; \
             CREATE SERVER onward FOREIGN DATA WRAPPER pg_courier OPTIONS (host '127.0.0.1', port '{}', dbname '{database}'); \
             CREATE USER MAPPING FOR CURRENT_USER SERVER onward OPTIONS (user '{ROLE}', password {}); \
             SELECT courier.create_task('onward', 'onward', '{{public.*}}'{options}); SELECT courier.start('onward')",
            to.port(),
            literal(PASSWORD)
        ),
    );
    pair.destination.wait_until(
        DATABASE,
        "the task onward is synchronizing",
        "(SELECT state FROM courier.tasks WHERE task = 'onward') = 'synchronizing'",
    );
}

fn settle(pair: &Pair) {
    for (cluster, task) in [(&pair.source, TASK), (&pair.destination, "onward"), (&pair.source, TASK)] {
        cluster.run(DATABASE, &format!("SELECT courier.wait_for('{task}', '60 s')"));
    }
}

fn changes(cluster: &Cluster, task: &str) -> i64 {
    cluster
        .value(DATABASE, &format!("SELECT changes FROM courier.tasks WHERE task = '{task}'"))
        .parse()
        .expect("number")
}

/// Both sides write, each to its own rows. Every change arrives on the other side and ends there: were it sent back, an
/// insert would meet itself, and an update would go round for ever. The copy counts as well.
#[test]
fn two_way_does_not_loop() {
    let pair = symmetric_pair();
    pair.start_task_with(DATABASE, TASK, &["public.*"], &TaskOptions::default());
    pair.wait_for_state(DATABASE, TASK, "synchronizing");
    pair.source.run(DATABASE, &format!("CREATE ROLE {ROLE} SUPERUSER LOGIN PASSWORD {}", literal(PASSWORD)));
    task_from_destination(&pair, &pair.source, DATABASE, ", schema_sync => false, full_copy => false");

    pair.source.run(DATABASE, "INSERT INTO items SELECT i, 1, 'north' FROM generate_series(20001, 25000) AS i");
    pair.destination.run(DATABASE, "INSERT INTO items SELECT i, 2, 'south' FROM generate_series(30001, 30100) AS i");
    pair.source.run(DATABASE, "UPDATE items SET v = v + 1 WHERE id > 20000 AND note = 'north'");
    settle(&pair);
    pair.destination.run(DATABASE, "UPDATE items SET v = v + 1 WHERE note = 'south'; TRUNCATE journal");
    settle(&pair);
    pair.assert_same(DATABASE, &SMALL);
    assert_eq!(pair.source.value(DATABASE, "SELECT count(*) FROM items WHERE note = 'south' AND v = 3"), "100");
    assert_eq!(changes(&pair.source, TASK), 10_000, "5000 inserts and 5000 updates of the source's own");
    assert_eq!(changes(&pair.destination, "onward"), 201, "100 inserts, 100 updates and a TRUNCATE of its own");
}

/// A to B to C: what A sends to B goes on to C. With forward_origins => false only B's own changes do.
#[test]
fn a_cascade_sends_on_unless_told_otherwise() {
    for (forward, arrives) in [(true, "1"), (false, "0")] {
        let pair = symmetric_pair();
        pair.start_task_with(DATABASE, TASK, &["public.*"], &TaskOptions::default());
        pair.wait_for_state(DATABASE, TASK, "synchronizing");
        pair.add_destination_database("third");
        task_from_destination(&pair, &pair.destination, "third", &format!(", forward_origins => {forward}"));
        pair.source.run(DATABASE, "INSERT INTO items VALUES (20001, 1, 'from A')");
        pair.caught_up(DATABASE, TASK);
        pair.destination.run(DATABASE, "INSERT INTO items VALUES (20002, 1, 'from B')");
        pair.destination.run(DATABASE, "SELECT courier.wait_for('onward', '60 s')");
        let count = |id: u32| pair.destination.value("third", &format!("SELECT count(*) FROM items WHERE id = {id}"));
        assert_eq!((count(20001).as_str(), count(20002).as_str()), (arrives, "1"));
    }
}

/// The destination has the extension too, for the way back after a switchover: nothing gets in each other's way.
#[test]
fn a_destination_may_have_the_extension() {
    let pair = symmetric_pair();
    pair.destination.run(DATABASE, "CREATE EXTENSION pg_courier");
    pair.start_task_with(DATABASE, TASK, &["public.*"], &TaskOptions::default());
    pair.wait_for_state(DATABASE, TASK, "synchronizing");
    pair.source.run(DATABASE, "UPDATE items SET v = 5 WHERE id = 5");
    pair.assert_mirrored(TASK, &SMALL);
    pair.call(DATABASE, "drop_task", TASK);
    assert_eq!(pair.destination.value(DATABASE, "SELECT count(*) FROM courier.tasks"), "0");
}
