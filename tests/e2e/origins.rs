//! Changes that came by replication: sent on in a cascade, never back to where they came from.

use pg_courier_tests::pair::{DATABASE, PASSWORD, ROLE};
use pg_courier_tests::pgbench::{self, Pgbench};
use pg_courier_tests::sql::literal;
use pg_courier_tests::{Cluster, Pair, TaskOptions};

use crate::common::{SMALL, TASK, assert_mentions, create_small_tables};

/// Two servers that can both be a source.
fn symmetric_pair() -> Pair {
    symmetric_pair_with(true)
}

fn symmetric_pair_with(applies_as_replica: bool) -> Pair {
    let builder = Pair::builder().source_conf("logical_decoding_work_mem", "1MB").destination_is_a_source();
    let pair = builder.applies_as_replica(applies_as_replica).start();
    create_small_tables(&pair);
    pair
}

/// A task from the destination to a database of `to`, onto tables that are there.
fn task_from_destination(pair: &Pair, to: &Cluster, database: &str, options: &str) {
    start_from_destination(pair, to, database, options);
    pair.destination.wait_until(
        DATABASE,
        "the task onward is synchronizing",
        "(SELECT state FROM courier.tasks WHERE task = 'onward') = 'synchronizing'",
    );
}

fn start_from_destination(pair: &Pair, to: &Cluster, database: &str, options: &str) {
    pair.destination.run(
        DATABASE,
        &format!(
            "CREATE EXTENSION IF NOT EXISTS pg_courier; \
             CREATE SERVER onward FOREIGN DATA WRAPPER pg_courier OPTIONS (host '127.0.0.1', port '{}', dbname '{database}'); \
             CREATE USER MAPPING FOR CURRENT_USER SERVER onward OPTIONS (user '{ROLE}', password {}); \
             SELECT courier.create_task('onward', 'onward', '{{public.*}}', ddl => 'ignore'{options}); SELECT courier.start('onward')",
            to.port(),
            literal(PASSWORD)
        ),
    );
}

fn settle(pair: &Pair) {
    for (cluster, task) in [(&pair.source, TASK), (&pair.destination, "onward"), (&pair.source, TASK)] {
        cluster.run(DATABASE, &format!("SELECT courier.wait_for('{task}', '60 s')"));
    }
}

fn changes(cluster: &Cluster, task: &str) -> i64 {
    cluster
        .value(DATABASE, &format!("SELECT changes FROM courier.task_details WHERE task = '{task}'"))
        .parse()
        .expect("number")
}

/// Two tasks that face each other, on tables with and without a key.
fn two_way_pair() -> Pair {
    let pair = symmetric_pair();
    pair.source.run(DATABASE, "ALTER TABLE journal REPLICA IDENTITY FULL; CREATE SEQUENCE numbers START 10001");
    pair.start_task_with(DATABASE, TASK, &["public.*"], &TaskOptions::default());
    pair.wait_for_state(DATABASE, TASK, "synchronizing");
    pair.source.run(DATABASE, &format!("CREATE ROLE {ROLE} SUPERUSER LOGIN PASSWORD {}", literal(PASSWORD)));
    task_from_destination(&pair, &pair.source, DATABASE, ", schema_sync => false, full_copy => false");
    pair
}

/// Transactions of thousands of rows, faster than they are applied: they travel as COPY, beside one another.
fn burst(cluster: &Cluster, statement: &str) {
    let script = Some(format!("{statement};\n"));
    Pgbench::start(
        cluster,
        DATABASE,
        &pgbench::Options { clients: 4, transactions: Some(12), script, ..Default::default() },
    )
    .finish();
}

/// Groups of a burst of inserts overlap, in two sessions. What one side has sent the other must not send back, whichever
/// session it came by: in the table without a key each row that came back would be there twice.
#[test]
fn bursts_do_not_come_back() {
    let pair = two_way_pair();
    let journal = "INSERT INTO journal SELECT g, 'burst' FROM generate_series(1, 3000) AS g";
    burst(&pair.source, journal);
    settle(&pair);
    burst(&pair.source, "INSERT INTO items SELECT nextval('numbers'), 1, 'burst' FROM generate_series(1, 3000) AS g");
    settle(&pair);
    burst(&pair.destination, journal);
    settle(&pair);
    pair.assert_same(DATABASE, &SMALL);
    assert_eq!(changes(&pair.source, TASK), 2 * 48 * 3000, "what was written here, and nothing that came from there");
    assert_eq!(changes(&pair.destination, "onward"), 48 * 3000);
}

/// Rows that are sent ahead of their commit, and a transaction that is sent in parts.
#[test]
fn large_transactions_do_not_come_back() {
    let pair = two_way_pair();
    let large = "INSERT INTO journal SELECT g, repeat('large', 20) FROM generate_series(1, 60000) AS g";
    pair.source.run(DATABASE, large);
    settle(&pair);
    pair.source.run(
        DATABASE,
        &format!(
            "BEGIN; {large}; INSERT INTO items SELECT g, 1, 'large' FROM generate_series(10001, 60000) AS g; COMMIT"
        ),
    );
    settle(&pair);
    pair.source.run(DATABASE, "UPDATE items SET v = v + 1");
    settle(&pair);
    pair.assert_same(DATABASE, &SMALL);
    assert_eq!(changes(&pair.source, TASK), 60_000 + 110_000 + 51_000);
    assert_eq!(changes(&pair.destination, "onward"), 0);
}

/// The copy of a table, while a task that faces it streams already.
#[test]
fn a_copy_does_not_come_back() {
    let pair = symmetric_pair();
    let journal = "CREATE TABLE journal (item bigint, what text); ALTER TABLE journal REPLICA IDENTITY FULL";
    pair.source.run(DATABASE, "DROP TABLE items; ALTER TABLE journal REPLICA IDENTITY FULL");
    pair.source.run(DATABASE, &format!("CREATE ROLE {ROLE} SUPERUSER LOGIN PASSWORD {}", literal(PASSWORD)));
    pair.destination.run(DATABASE, &format!("{journal}; ALTER TABLE journal OWNER TO {ROLE}"));
    task_from_destination(&pair, &pair.source, DATABASE, ", schema_sync => false, full_copy => false");
    let options = TaskOptions { schema_sync: Some(false), ..Default::default() };
    pair.start_task_with(DATABASE, TASK, &["public.*"], &options);
    pair.wait_for_state(DATABASE, TASK, "synchronizing");
    settle(&pair);
    pair.assert_same(DATABASE, &["public.journal"]);
    assert_eq!(changes(&pair.destination, "onward"), 0);
}

/// Changes that are applied one by one, with a conflict among them that is left out and listed.
#[test]
fn conflicts_do_not_come_back() {
    let pair = symmetric_pair();
    pair.source.run(DATABASE, &format!("CREATE ROLE {ROLE} SUPERUSER LOGIN PASSWORD {}", literal(PASSWORD)));
    let options = TaskOptions { conflict: Some("ignore"), ..Default::default() };
    pair.start_task_with(DATABASE, TASK, &["public.items"], &options);
    pair.wait_for_state(DATABASE, TASK, "synchronizing");
    task_from_destination(
        &pair,
        &pair.source,
        DATABASE,
        ", schema_sync => false, full_copy => false, conflict => 'ignore'",
    );
    pair.destination.run(DATABASE, "SELECT courier.pause('onward')");
    pair.destination.run(DATABASE, "INSERT INTO items VALUES (20005, 2, 'theirs')");
    pair.source.run(DATABASE, "INSERT INTO items SELECT i, 1, 'ours' FROM generate_series(20001, 20010) AS i");
    pair.caught_up(DATABASE, TASK);
    assert_eq!(pair.source.value(DATABASE, "SELECT count(*) FROM courier.conflicts"), "1");
    pair.destination.run(DATABASE, "SELECT courier.resume('onward')");
    settle(&pair);
    assert_eq!(changes(&pair.destination, "onward"), 1, "its own row, which meets one there, and nothing else");
    let differ = "SELECT string_agg(note, ' ') FROM items WHERE id BETWEEN 20001 AND 20010 AND note <> 'ours'";
    assert_eq!(
        (pair.source.value(DATABASE, differ), pair.destination.value(DATABASE, differ)),
        (String::new(), "theirs".to_owned())
    );
}

/// What came by replication is not sent on if the task says so, however it came.
#[test]
fn bursts_do_not_go_on_in_a_cascade_of_own_changes() {
    let pair = symmetric_pair();
    pair.source.run(DATABASE, "ALTER TABLE journal REPLICA IDENTITY FULL");
    pair.start_task_with(DATABASE, TASK, &["public.*"], &TaskOptions::default());
    pair.wait_for_state(DATABASE, TASK, "synchronizing");
    pair.add_destination_database("third");
    task_from_destination(&pair, &pair.destination, "third", ", forward_origins => false");
    burst(&pair.source, "INSERT INTO journal SELECT g, 'burst' FROM generate_series(1, 3000) AS g");
    pair.caught_up(DATABASE, TASK);
    pair.destination.run(DATABASE, "INSERT INTO journal VALUES (-1, 'its own')");
    pair.destination.run(DATABASE, "SELECT courier.wait_for('onward', '60 s')");
    assert_eq!(pair.destination.value("third", "SELECT count(*) FROM journal WHERE what = 'burst'"), "0");
    assert_eq!(pair.destination.value("third", "SELECT count(*) FROM journal WHERE item = -1"), "1");
    let burst = "SELECT count(*) FROM journal WHERE what = 'burst'";
    assert_eq!(pair.destination.value(DATABASE, burst), pair.source.value(DATABASE, burst));
}

/// The destination's helper tables were made by a version that had no table of marks.
#[test]
fn helper_tables_of_an_earlier_version_get_the_marks() {
    let pair = two_way_pair();
    pair.call(DATABASE, "pause", TASK);
    pair.destination.run(DATABASE, "DROP TABLE courier_applied.marks");
    pair.call(DATABASE, "resume", TASK);
    burst(&pair.source, "INSERT INTO journal SELECT g, 'burst' FROM generate_series(1, 3000) AS g");
    settle(&pair);
    pair.assert_same(DATABASE, &SMALL);
    assert_eq!(changes(&pair.destination, "onward"), 0);
}

/// A role that is no replica applies changes here, for a task that this one faces. Prechecks of both sides say what is
/// missing; without it the task stops, as to believe it or not could both be wrong, and goes on when it is granted.
#[test]
fn whoever_applies_changes_has_to_be_believed() {
    let pair = symmetric_pair_with(false);
    pair.destination.run(DATABASE, "CREATE EXTENSION pg_courier");
    pair.create_task(DATABASE, TASK, &["public.*"], &TaskOptions::default());
    let finding = |cluster: &Cluster, task: &str, item: &str| {
        cluster.value(
            DATABASE,
            &format!("SELECT status || ' ' || fix FROM courier.precheck('{task}') WHERE item = '{item}'"),
        )
    };
    let fix = finding(&pair.source, TASK, "destination_marks");
    assert!(fix.starts_with("warning ") && fix.contains("courier"), "{fix}");
    pair.call(DATABASE, "start", TASK);
    pair.wait_for_state(DATABASE, TASK, "synchronizing");
    pair.source.run(DATABASE, &format!("CREATE ROLE {ROLE} SUPERUSER LOGIN PASSWORD {}", literal(PASSWORD)));
    start_from_destination(&pair, &pair.source, DATABASE, ", schema_sync => false, full_copy => false");
    let fix = finding(&pair.destination, "onward", "source_marks");
    assert!(fix.starts_with("warning ") && fix.contains("courier"), "{fix}");
    pair.source.run(DATABASE, "INSERT INTO items VALUES (20001, 1, 'from here')");
    let state = "(SELECT state FROM courier.tasks WHERE task = 'onward') = 'failed'";
    pair.destination.wait_until(DATABASE, "the task onward has failed", state);
    let text =
        pair.destination.value(DATABASE, "SELECT concat_ws(' ', last_error, last_error_hint) FROM courier.tasks");
    assert_mentions(&text, &["courier", "replica"]);
    pair.let_apply_as_replica();
    pair.destination.run(DATABASE, "SELECT courier.resume('onward')");
    pair.destination.run(DATABASE, "INSERT INTO items VALUES (20002, 1, 'from there')");
    settle(&pair);
    pair.assert_same(DATABASE, &SMALL);
    assert_eq!(changes(&pair.destination, "onward"), 1);
}

/// A role that may create a schema gives its tables the names of the marks. It hides nothing by that: the task stops and
/// names the role, and when the table is gone its changes go the way of all others.
#[test]
fn a_forged_mark_hides_nothing() {
    let pair = symmetric_pair();
    pair.start_task_with(DATABASE, TASK, &["public.*"], &TaskOptions::default());
    pair.wait_for_state(DATABASE, TASK, "synchronizing");
    let destination = pair.destination.value(
        DATABASE,
        "SELECT (SELECT system_identifier FROM pg_control_system()) || '.' || oid FROM pg_database WHERE datname = current_database()",
    );
    pair.source.run(
        DATABASE,
        &format!(
            "CREATE ROLE sly LOGIN PASSWORD 'pw'; GRANT CREATE ON DATABASE {DATABASE} TO sly; GRANT ALL ON items TO sly; \
             GRANT ALL ON SCHEMA public TO sly"
        ),
    );
    let hide = |table: &str, id: u32| {
        format!(
            "CREATE SCHEMA courier_applied; CREATE TABLE courier_applied.{table} (source_id text); \
             BEGIN; INSERT INTO courier_applied.{table} VALUES ('{destination}'); \
             UPDATE items SET note = 'hidden' WHERE id = {id}; INSERT INTO items VALUES ({id} + 20000, 1, 'hidden'); COMMIT"
        )
    };
    let mut sly = pair.source.connect_as(DATABASE, "sly", "pw");
    for (id, table) in (1..).zip(["progress", "table_progress", "marks"]) {
        sly.batch_execute(&hide(table, id)).expect("may create a schema");
        let text = pair.failure(DATABASE, TASK);
        assert_mentions(&text, &["courier_applied", "sly"]);
        sly.batch_execute("DROP SCHEMA courier_applied CASCADE").expect("its own");
        pair.call(DATABASE, "resume", TASK);
        pair.assert_mirrored(TASK, &SMALL);
    }
    // A message is a mark for nobody, and a table that nobody looks at is not either.
    sly.batch_execute(&format!(
        "BEGIN; SELECT pg_logical_emit_message(true, 'pg_courier', '{destination}'); \
         CREATE TEMP TABLE progress (source_id text); INSERT INTO progress VALUES ('{destination}'); \
         UPDATE items SET note = 'hidden' WHERE id = 9; COMMIT"
    ))
    .expect("a message");
    pair.assert_mirrored(TASK, &SMALL);
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
