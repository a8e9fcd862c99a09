//! More than two databases: one source with several destinations, several sources with one destination. What faces each other
//! and what goes in a row is in `origins`.

use std::time::Duration;

use pg_courier_tests::cluster::Stop;
use pg_courier_tests::pair::{DATABASE, SERVER, another_destination, create_server, create_task_sql, source_builder};
use pg_courier_tests::sql::literal;
use pg_courier_tests::{Cluster, Pair, TaskOptions, Traffic, assert_same};

use crate::common::{SMALL, TASK, create_small_tables, more_traffic, small_traffic};

/// A destination comes back, and its task has paused for a while.
const LONG: Duration = Duration::from_secs(120);

fn start_task(source: &Cluster, database: &str, task: &str, server: &str, include: &str) {
    source.run(database, &create_task_sql(task, server, &[include], &TaskOptions::default()));
    source.run(database, &format!("SELECT courier.start({})", literal(task)));
}

fn wait_until_synchronizing(source: &Cluster, database: &str, task: &str) {
    source.wait_until(
        database,
        &format!("task {task} is synchronizing"),
        &format!("(SELECT state FROM courier.tasks WHERE task = {}) = 'synchronizing'", literal(task)),
    );
}

fn wait_for(source: &Cluster, database: &str, task: &str) {
    source.run(database, &format!("SELECT courier.wait_for({}, '{} s')", literal(task), LONG.as_secs()));
}

/// Two tasks send the same tables to two destinations, under traffic from the copy on. One destination goes away and comes back: the
/// other has not noticed, and in the end all three are equal.
#[test]
fn one_to_many() {
    let pair = Pair::start();
    create_small_tables(&pair);
    let far = another_destination(DATABASE);
    pair.add_server(DATABASE, "far", DATABASE, far.port());
    let traffic = small_traffic(&pair.source, 21);
    for (task, server) in [(TASK, SERVER), ("far", "far")] {
        start_task(&pair.source, DATABASE, task, server, "public.*");
    }
    for task in [TASK, "far"] {
        wait_until_synchronizing(&pair.source, DATABASE, task);
    }
    far.stop(Stop::Immediate);
    more_traffic(&traffic, 200, &pair.source);
    pair.caught_up(DATABASE, TASK);
    assert_eq!(pair.task(DATABASE, TASK, "last_error"), "", "the other task's trouble is not this one's");
    assert_ne!(pair.task(DATABASE, "far", "state"), "failed", "a lost destination is waited for");
    far.start();
    more_traffic(&traffic, 100, &pair.source);
    traffic.stop();
    pair.assert_mirrored(TASK, &SMALL);
    wait_for(&pair.source, DATABASE, "far");
    assert_same((&pair.source, DATABASE), (&far, DATABASE), &SMALL);
}

/// Tables of a branch: the same in each, but for the schema.
fn create_branch(source: &Cluster, database: &str, schema: &str, port: u16) {
    source.create_database(database);
    source.run(
        database,
        &format!(
            "CREATE EXTENSION pg_courier; CREATE SCHEMA {schema}; CREATE TABLE {schema}.sales (id bigserial PRIMARY KEY, v int); \
             CREATE TABLE {schema}.log (what text); INSERT INTO {schema}.sales (v) SELECT g FROM generate_series(1, 500) AS g"
        ),
    );
    create_server(source, database, SERVER, DATABASE, port);
}

fn branch_traffic(source: &Cluster, database: &str, schema: &'static str, seed: u64) -> Traffic {
    Traffic::start(source, database, 1, seed, Duration::from_millis(3), move |rng| {
        let id = rng.between(1, 500);
        format!(
            "BEGIN; INSERT INTO {schema}.sales (v) VALUES ({id}); UPDATE {schema}.sales SET v = v + 1 WHERE id = {id}; \
             INSERT INTO {schema}.log VALUES ('sale {id}'); COMMIT"
        )
    })
}

/// Three branches write into schemas of their own of one database. Two of them are servers whose databases, tasks and tables have the same
/// names and numbers; the third is another database of the first server. None takes another's place, and when one leaves, the rest goes on.
#[test]
fn many_to_one() {
    let pair = Pair::builder().start_without_database();
    let other = source_builder().start();
    pair.add_destination_database(DATABASE);
    let port = pair.destination.port();
    let branches: [(&Cluster, &str, &str, &'static str); 3] = [
        (&pair.source, "shop", "branch", "north"),
        (&other, "shop", "branch", "south"),
        (&pair.source, "outlet", "branch_outlet", "east"),
    ];
    for (source, database, _, schema) in branches {
        create_branch(source, database, schema, port);
    }
    let sales_oid = |branch: usize| {
        let (source, database, _, schema) = branches[branch];
        source.value(database, &format!("SELECT '{schema}.sales'::regclass::oid"))
    };
    assert_eq!(sales_oid(0), sales_oid(1), "what could be taken for each other, would be");

    let mut traffic = branches.map(|(source, database, _, schema)| Some(branch_traffic(source, database, schema, 31)));
    for (source, database, task, schema) in branches {
        start_task(source, database, task, SERVER, &format!("{schema}.*"));
    }
    for (source, database, task, _) in branches {
        wait_until_synchronizing(source, database, task);
    }
    let settle = |branch: usize, traffic: &mut Option<Traffic>| {
        let (source, database, task, schema) = branches[branch];
        if let Some(traffic) = traffic.take() {
            more_traffic(&traffic, 50, source);
            traffic.stop();
        }
        wait_for(source, database, task);
        let tables = [format!("{schema}.sales"), format!("{schema}.log")];
        let tables: Vec<&str> = tables.iter().map(String::as_str).collect();
        assert_same((source, database), (&pair.destination, DATABASE), &tables);
    };
    settle(1, &mut traffic[1]);
    other.run("shop", "SELECT courier.drop_task('branch')");
    let tasks = "SELECT string_agg(task, ' ' ORDER BY task) FROM courier_applied.progress";
    assert_eq!(pair.destination.value(DATABASE, tasks), "branch branch_outlet");
    settle(0, &mut traffic[0]);
    settle(2, &mut traffic[2]);
    for cluster in [&pair.source, &other] {
        cluster.assert_not_crashed();
    }
}
