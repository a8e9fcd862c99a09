//! The traps of decoding inside the server, one test each. Each loses or garbles rows in an
//! implementation that does not know it.

use std::time::{Duration, Instant};

use pg_courier_tests::pair::DATABASE;
use pg_courier_tests::{Pair, sql, wait};

use crate::common::{SMALL, TASK, arrives, assert_mentions, create_small_tables, mirrored_pair, small_traffic};

/// Whether a process of the extension waits for the end of another's transaction.
fn wait_until_waiting_for(pair: &Pair, xid: &str, what: &str) {
    pair.source.wait_until(
        "postgres",
        &format!("the new slot waits for {what}"),
        &format!(
            "EXISTS (SELECT FROM pg_locks l JOIN pg_stat_activity a USING (pid) WHERE NOT l.granted \
             AND l.locktype = 'transactionid' AND l.transactionid::text = '{xid}' AND a.backend_type LIKE 'pg_courier%')"
        ),
    );
}

/// A commit that waits for a synchronous standby while the slot is created. Its commit record
/// lies before the point where the slot starts, so it will not be in the stream; its
/// transaction is still in the list of running ones, so a snapshot does not see it. A
/// copy that is made at this moment loses the row.
///
/// ```text
///   B1  begin .............. commit
///   slot       waits for B1, then for B2 (begun meanwhile) ....... consistent
///   B2              begin ............................. commit
///   A                          insert, commit record written, waits for the standby ........ released
///   copy                                                           must wait for A
/// ```
#[test]
fn a_commit_that_waits_for_a_synchronous_standby() {
    let pair = Pair::start();
    create_small_tables(&pair);
    // Only A waits for a standby, which does not exist; B1, B2 and whoever else do not.
    pair.source.run(DATABASE, &format!("ALTER DATABASE {DATABASE} SET synchronous_commit = local"));
    pair.create_task(DATABASE, TASK, &["public.*"], &Default::default());
    pair.source.set("synchronous_standby_names", Some("nobody"));
    pair.source.wait_until(
        DATABASE,
        "the setting is active",
        "current_setting('synchronous_standby_names') = 'nobody'",
    );

    let begin = |id: u64| {
        let mut session = pair.source.connect(DATABASE);
        session
            .batch_execute(&format!("BEGIN; INSERT INTO items VALUES ({id}, 0, 'older transaction')"))
            .expect("insert");
        let xid = sql::value(&mut session, "SELECT pg_current_xact_id()::xid::text").expect("xid").expect("a value");
        (session, xid)
    };
    let (mut b1, b1_xid) = begin(5001);
    pair.call(DATABASE, "start", TASK);
    wait_until_waiting_for(&pair, &b1_xid, "B1");
    let (mut b2, b2_xid) = begin(5002);
    b1.batch_execute("COMMIT").expect("commit");
    wait_until_waiting_for(&pair, &b2_xid, "B2");

    let mut a = pair.source.connect(DATABASE);
    let hanging = std::thread::spawn(move || {
        a.batch_execute("SET synchronous_commit = on; INSERT INTO items VALUES (5003, 0, 'stalled'); INSERT INTO journal VALUES (5003, 'stalled')")
    });
    pair.source.wait_until(
        "postgres",
        "A's commit waits for the standby",
        "EXISTS (SELECT FROM pg_stat_activity WHERE wait_event = 'SyncRep')",
    );
    b2.batch_execute("COMMIT").expect("commit");
    pair.source.wait_until(
        DATABASE,
        "the slot is consistent",
        "EXISTS (SELECT FROM pg_replication_slots WHERE slot_name = 'courier_shop_to_dr' AND confirmed_flush_lsn IS NOT NULL)",
    );
    // An implementation that does not wait for A has copied the tables within this time.
    let copied = wait::poll(Duration::from_secs(3), || {
        let states = "SELECT count(*) FROM courier.progress WHERE state NOT IN ('init', 'datasync')";
        (pair.source.value(DATABASE, states) == "2").then_some(())
    });
    pair.source.set("synchronous_standby_names", None);
    hanging.join().expect("no panic").expect("A is committed");
    pair.assert_mirrored(TASK, &SMALL);
    assert_eq!(pair.destination.value(DATABASE, "SELECT count(*) FROM items WHERE id = 5003"), "1");
    assert!(copied.is_none(), "the copy did not wait for the commit that is neither in the stream nor in the snapshot");
}

/// The plain case of the same: the commit hangs already when the task is started.
#[test]
fn a_task_started_while_a_commit_hangs() {
    let pair = Pair::start();
    create_small_tables(&pair);
    pair.source.run(DATABASE, &format!("ALTER DATABASE {DATABASE} SET synchronous_commit = local"));
    pair.create_task(DATABASE, TASK, &["public.*"], &Default::default());
    pair.source.set("synchronous_standby_names", Some("nobody"));
    pair.source.wait_until(
        DATABASE,
        "the setting is active",
        "current_setting('synchronous_standby_names') = 'nobody'",
    );
    let mut a = pair.source.connect(DATABASE);
    let hanging = std::thread::spawn(move || {
        a.batch_execute("SET synchronous_commit = on; INSERT INTO items VALUES (5003, 0, 'stalled')")
    });
    pair.source.wait_until(
        "postgres",
        "the commit waits for the standby",
        "EXISTS (SELECT FROM pg_stat_activity WHERE wait_event = 'SyncRep')",
    );
    pair.call(DATABASE, "start", TASK);
    pair.source.wait_until(
        DATABASE,
        "the task has begun",
        "EXISTS (SELECT FROM pg_replication_slots WHERE slot_name = 'courier_shop_to_dr')",
    );
    pair.source.set("synchronous_standby_names", None);
    hanging.join().expect("no panic").expect("committed");
    pair.assert_mirrored(TASK, &SMALL);
    assert_eq!(pair.destination.value(DATABASE, "SELECT count(*) FROM items WHERE id = 5003"), "1");
}

/// The extension's own commits must not wait for a synchronous standby that is away: the task
/// would stand still with the source. (Its rows are not worth more than the user's.)
#[test]
fn a_missing_synchronous_standby_does_not_stop_the_task() {
    let pair = mirrored_pair();
    pair.source.set("synchronous_standby_names", Some("nobody"));
    pair.source.wait_until(
        DATABASE,
        "the setting is active",
        "current_setting('synchronous_standby_names') = 'nobody'",
    );
    pair.source.run(DATABASE, "SET synchronous_commit = local; INSERT INTO journal VALUES (1, 'local')");
    arrives(&pair, "journal", "1001");
    pair.source.set("synchronous_standby_names", None);
}

/// PROC_IN_LOGICAL_DECODING. A process that created its decoding context outside a transaction is
/// invisible for others' snapshots; if it then writes, another session takes the row for
/// aborted and says so on the page, and after the commit the row is lost for ever.
///
/// Every write of the extension on the source is made slow here, other sessions commit and
/// read its tables meanwhile, and at the end its rows have to be there. Also its
/// decoding process is watched: it never has a transaction id of its own.
#[test]
fn rows_that_the_extension_writes_are_not_lost() {
    let pair = Pair::start();
    create_small_tables(&pair);
    let written = pair.source.rows(
        DATABASE,
        "SELECT format('%I.%I', n.nspname, c.relname) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
         WHERE n.nspname = 'courier' AND c.relkind = 'r'",
    );
    let tables: Vec<String> = written.into_iter().flatten().flatten().collect();
    assert!(!tables.is_empty());
    pair.source.run(
        DATABASE,
        "CREATE SCHEMA slow; CREATE TABLE slow.seen (what text, pid int); \
         CREATE FUNCTION slow.down() RETURNS trigger LANGUAGE plpgsql AS \
         $$ BEGIN PERFORM pg_sleep(0.2); RETURN NULL; END $$",
    );
    pair.create_task(DATABASE, TASK, &["public.*"], &Default::default());
    for table in &tables {
        // Always: the extension may write as a replica does.
        pair.source.run(
            DATABASE,
            &format!("CREATE TRIGGER slow AFTER INSERT OR UPDATE ON {table} FOR EACH STATEMENT EXECUTE FUNCTION slow.down(); \
                      ALTER TABLE {table} ENABLE ALWAYS TRIGGER slow"),
        );
    }
    // Readers that set hint bits on whatever they find, and commits that move the horizon.
    let looks: Vec<String> = tables.iter().map(|table| format!("SELECT count(*) FROM {table};")).collect();
    let looks = format!("INSERT INTO slow.seen VALUES ('commit', pg_backend_pid()); {}", looks.join(" "));
    let readers =
        pg_courier_tests::Traffic::start(&pair.source, DATABASE, 2, 1, Duration::ZERO, move |_| looks.clone());
    let traffic = small_traffic(&pair.source, 2);
    pair.call(DATABASE, "start", TASK);
    pair.wait_for_state_within(DATABASE, TASK, "synchronizing", Duration::from_secs(120));
    for _ in 0..50 {
        let wrote = pair.source.value(
            "postgres",
            "SELECT count(*) FROM pg_stat_activity WHERE backend_type LIKE 'pg_courier apply%' AND backend_xid IS NOT NULL",
        );
        assert_eq!(wrote, "0", "the process that decodes writes nothing on the source");
        crate::common::more_traffic(&traffic, 5, &pair.source);
    }
    readers.stop();
    traffic.stop();
    pair.assert_mirrored(TASK, &SMALL);
    // Everything it knows is still there for a new session, after a restart too.
    assert_eq!(pair.source.value(DATABASE, "SELECT count(*) FROM courier.tasks"), "1");
    assert_eq!(pair.source.value(DATABASE, "SELECT count(*) FROM courier.progress WHERE state = 'ready'"), "2");
    for table in &tables {
        pair.source.run(DATABASE, &format!("DROP TRIGGER slow ON {table}"));
    }
    pair.source.restart();
    assert_eq!(pair.source.value(DATABASE, "SELECT count(*) FROM courier.progress"), "2");
    pair.source.run(DATABASE, "UPDATE items SET v = -1");
    pair.assert_mirrored(TASK, &SMALL);
}

/// A stale tuple descriptor. Rows are written, the column's type changes, rows are written; the
/// worker reads all of it afterwards. Old rows have to be read with the old type and new rows
/// with the new one; with the catalog cache of another moment they are garbage or a crash.
/// (DDL does not travel yet: the test alters the destination when its turn has come.)
#[test]
fn a_column_changes_its_type_in_mid_stream() {
    let pair = Pair::start();
    pair.source.run(
        DATABASE,
        "CREATE TABLE t (id int PRIMARY KEY, v int, w text); INSERT INTO t SELECT n, n, 'w' FROM generate_series(1, 100) AS n",
    );
    pair.start_task(TASK, &["public.*"]);
    pair.wait_for_state(DATABASE, TASK, "synchronizing");

    pair.call(DATABASE, "pause", TASK);
    pair.source.run(
        DATABASE,
        "INSERT INTO t SELECT n, n * 1000, 'int' FROM generate_series(101, 200) AS n; UPDATE t SET v = -v WHERE id % 7 = 0",
    );
    pair.source.run(DATABASE, "ALTER TABLE t ALTER v TYPE text USING 'text ' || v");
    pair.source.run(
        DATABASE,
        "INSERT INTO t SELECT n, repeat('long ', n), 'text' FROM generate_series(201, 300) AS n; UPDATE t SET w = 'both' WHERE id % 10 = 0",
    );
    pair.call(DATABASE, "resume", TASK);
    // The old rows fit; the first new one does not, and the task says so.
    let text = pair.failure(DATABASE, TASK);
    assert_mentions(&text, &["t"]);
    assert_eq!(
        pair.destination.value(DATABASE, "SELECT count(*) FROM t WHERE w = 'int' AND abs(v) = id * 1000"),
        "100"
    );
    pair.destination.run(DATABASE, "ALTER TABLE t ALTER v TYPE text USING 'text ' || v");
    pair.call(DATABASE, "resume", TASK);
    pair.assert_mirrored(TASK, &["public.t"]);
}

/// Columns come, go and change their order of appearance while the worker reads a backlog.
/// The destination has all columns from the start.
#[test]
fn columns_come_and_go_in_mid_stream() {
    let pair = Pair::start();
    pair.source.run(DATABASE, "CREATE TABLE t (id int PRIMARY KEY, gone text, kept text)");
    pair.start_task(TASK, &["public.*"]);
    pair.wait_for_state(DATABASE, TASK, "synchronizing");
    pair.destination.run(DATABASE, "ALTER TABLE t ADD late int, ADD later numeric");
    pair.call(DATABASE, "pause", TASK);
    for statement in [
        "INSERT INTO t SELECT n, 'g', 'k' FROM generate_series(1, 50) AS n",
        "ALTER TABLE t DROP gone",
        "INSERT INTO t SELECT n, 'k' FROM generate_series(51, 100) AS n",
        "ALTER TABLE t ADD late int",
        "INSERT INTO t SELECT n, 'k', n FROM generate_series(101, 150) AS n",
        "UPDATE t SET late = -1 WHERE id <= 75",
        "ALTER TABLE t ADD later numeric DEFAULT 2.5",
        "INSERT INTO t SELECT n, 'k', n, n / 4.0 FROM generate_series(151, 200) AS n",
        "VACUUM FULL t",
        "UPDATE t SET kept = 'after the rewrite' WHERE id > 190",
    ] {
        pair.source.run(DATABASE, statement);
    }
    pair.call(DATABASE, "resume", TASK);
    pair.caught_up(DATABASE, TASK);
    // What a default filled in without writing rows is DDL's business.
    let rows =
        "SELECT string_agg(concat_ws(' ', id, kept, late, CASE WHEN id > 150 THEN later END), '; ' ORDER BY id) FROM t";
    assert_eq!(pair.source.value(DATABASE, rows), pair.destination.value(DATABASE, rows));
    assert_eq!(pair.destination.value(DATABASE, "SELECT count(*) FROM t WHERE gone = 'g'"), "50");
}

/// Minor releases with output_plugin_libraries refuse plugins that are not listed. The worker
/// works without anybody listing it, and nobody else can use the plugin because of that.
#[test]
fn output_plugin_libraries() {
    let pair = mirrored_pair();
    let setting = "SELECT current_setting('output_plugin_libraries', true)";
    let listed = pair.source.value(DATABASE, setting);
    if listed.is_empty() {
        println!("this minor release has no output_plugin_libraries");
    }
    assert!(!listed.contains("pg_courier"), "the default stays as it is: {listed}");
    pair.source.run(DATABASE, "UPDATE items SET v = 12");
    pair.assert_mirrored(TASK, &SMALL);

    // Elsewhere: refused by the server where the setting exists, else by the plugin itself.
    let mut session = pair.source.connect(DATABASE);
    let created = session.batch_execute("SELECT pg_create_logical_replication_slot('stranger', 'pg_courier')");
    if !listed.is_empty() {
        assert!(created.is_err(), "the setting still protects other sessions");
        session
            .batch_execute("SET output_plugin_libraries = 'pgoutput', 'pg_courier'; SELECT pg_create_logical_replication_slot('stranger', 'pg_courier')")
            .or_else(|error| if error.as_db_error().is_some() { Ok(()) } else { Err(error) })
            .expect("an answer, not a crash");
    }
    let exists = "SELECT count(*) FROM pg_replication_slots WHERE slot_name = 'stranger'";
    if sql::value(&mut session, exists).expect("answer").as_deref() == Some("1") {
        let answer = session
            .batch_execute("INSERT INTO items VALUES (70000, 0, 'x'); SELECT * FROM pg_logical_slot_get_changes('stranger', NULL, NULL)")
            .expect_err("the plugin does not run outside its worker");
        assert_mentions(&pg_courier_tests::Answer::from(&answer).to_string(), &["pg_courier"]);
        pair.source.run(DATABASE, "SELECT pg_drop_replication_slot('stranger')");
    }
    pair.assert_mirrored(TASK, &SMALL);
}

/// With synchronous_commit = off a commit returns before its WAL is flushed, and what wakes the
/// worker at the commit finds nothing to read. It must not go back to sleep for long then.
#[test]
fn commits_without_flush_wake_the_worker() {
    let pair = Pair::builder().source_conf("wal_writer_delay", "10ms").start();
    crate::common::mirror_small_tables(&pair);
    let mut source = pair.source.connect(DATABASE);
    let mut destination = pair.destination.connect(DATABASE);
    source.batch_execute("SET synchronous_commit = off").expect("setting");
    let mut delays: Vec<Duration> = (0..30)
        .map(|n| {
            let id = 8_000_000 + n;
            let begin = Instant::now();
            source.batch_execute(&format!("INSERT INTO items VALUES ({id}, 0, 'async')")).expect("insert");
            let query = format!("SELECT 1 FROM items WHERE id = {id}");
            let arrived =
                wait::poll(Duration::from_secs(20), || sql::value(&mut destination, &query).expect("readable"));
            assert!(arrived.is_some(), "row {id} never arrived\n{}", pair.source.describe(DATABASE));
            begin.elapsed()
        })
        .collect();
    delays.sort();
    let median = delays[delays.len() / 2];
    println!("median {median:?}, longest {:?}", delays[delays.len() - 1]);
    // The walwriter flushes within 10 to 30 ms; a worker that was not woken needs its fallback.
    assert!(median < Duration::from_millis(120), "{delays:?}");
}

/// Prepared transactions: what is committed by COMMIT PREPARED, perhaps by another session and
/// after a restart, arrives; what is rolled back does not.
#[test]
fn prepared_transactions() {
    let pair = Pair::builder().source_conf("max_prepared_transactions", "5").start();
    crate::common::mirror_small_tables(&pair);
    pair.source.run(DATABASE, "BEGIN; UPDATE items SET v = 50 WHERE id <= 10; PREPARE TRANSACTION 'one'");
    pair.source.run(DATABASE, "BEGIN; INSERT INTO journal VALUES (1, 'never'); PREPARE TRANSACTION 'two'");
    pair.source.run(DATABASE, "INSERT INTO journal VALUES (2, 'between')");
    pair.assert_mirrored(TASK, &SMALL);
    pair.source.restart();
    pair.source.run(DATABASE, "COMMIT PREPARED 'one'");
    pair.source.run(DATABASE, "ROLLBACK PREPARED 'two'");
    pair.assert_mirrored(TASK, &SMALL);
    assert_eq!(pair.destination.value(DATABASE, "SELECT count(*) FROM items WHERE v = 50"), "10");
}
