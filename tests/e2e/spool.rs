//! Large transactions are encoded before they commit, and their changes wait in a file of the worker (`decode::early`). With
//! `logical_decoding_work_mem` at its minimum small data will do.
//!
//! A worker that got it wrong would apply rows twice, not at all, or in another order: an order shows in rows that are
//! changed again and again, the rest in the comparison at the end.

use pg_courier_tests::pair::DATABASE;
use pg_courier_tests::{Pair, TaskOptions, procfs, wait};
use postgres::Client;

use crate::common::{SmallDisk, TASK, assert_mentions};

/// A task that follows the tables `a`, `b` and `journal` (without a key), not `c`.
pub(crate) fn mirrored() -> Pair {
    let pair = Pair::builder()
        .source_conf("logical_decoding_work_mem", "64kB")
        .source_conf("max_prepared_transactions", "5")
        .start();
    for table in ["a", "b", "c"] {
        pair.source.run(
            DATABASE,
            &format!(
                "CREATE TABLE {table} (id int8 PRIMARY KEY, v int NOT NULL DEFAULT 0, t text); \
                 ALTER TABLE {table} ALTER t SET STORAGE EXTERNAL"
            ),
        );
    }
    pair.source.run(DATABASE, "CREATE TABLE journal (id int8, what text); ALTER TABLE journal REPLICA IDENTITY FULL");
    pair.start_task(TASK, &["public.a", "public.b", "public.journal"]);
    pair.wait_for_state(DATABASE, TASK, "synchronizing");
    pair
}

/// Since 14; before, the server keeps large transactions itself.
pub(crate) fn spools(pair: &Pair) -> bool {
    pair.source.install.major() >= 14
}

pub(crate) fn assert_same(pair: &Pair) {
    pair.caught_up(DATABASE, TASK);
    pair.assert_same(DATABASE, &["public.a", "public.b", "public.journal"]);
    pair.source.assert_not_crashed();
}

/// What does not fit is replayed one by one by another worker, from the WAL and without any spool: that would hide what the
/// first one did wrong.
pub(crate) fn assert_same_at_once(pair: &Pair, worker: i32) {
    assert_same(pair);
    assert_eq!(pair.apply_pid(DATABASE, TASK), worker, "nothing had to be replayed one by one");
}

pub(crate) fn begin(pair: &Pair) -> Client {
    let mut session = pair.source.connect(DATABASE);
    session.batch_execute("BEGIN").expect("begin");
    session
}

/// Far more than the limit: 1000 rows of 100 bytes.
pub(crate) fn insert(session: &mut Client, table: &str, from: u32) {
    let columns = if table == "journal" { "(id, what)" } else { "(id, t)" };
    let to = from + 999;
    session
        .batch_execute(&format!(
            "INSERT INTO {table} {columns} SELECT n, repeat(n::text, 20) FROM generate_series({from}, {to}) AS n"
        ))
        .expect("insert");
}

/// The worker's spools: files that are open and have no name any more.
fn open_spools(pair: &Pair) -> usize {
    let pid = pair.apply_pid(DATABASE, TASK);
    let files = procfs::open_files(pid);
    files.iter().filter(|file| file.contains("pgsql_tmp") && file.ends_with("(deleted)")).count()
}

fn wait_for_spools(pair: &Pair, number: usize) {
    if spools(pair) {
        wait::until(
            &format!("{number} spools are open"),
            wait::DEADLINE,
            || (open_spools(pair) == number).then_some(()),
            || format!("{} are\n{}", open_spools(pair), pair.source.describe(DATABASE)),
        );
    }
}

/// What the server has spilled itself, of transactions that are still open.
fn spilled_by_the_server(pair: &Pair) -> usize {
    let slots = pair.source.data_directory().join("pg_replslot");
    let Ok(slots) = std::fs::read_dir(slots) else { return 0 };
    let files = slots.flatten().filter_map(|slot| std::fs::read_dir(slot.path()).ok()).flat_map(|slot| slot.flatten());
    files.filter(|file| file.file_name().to_string_lossy().ends_with(".spill")).count()
}

/// Inserts, updates and deletes of rows that the transaction itself has written, in three tables, one of them without a
/// key, one in no task. While it is open its changes lie in one file of ours and none of the server's; at the end the
/// file is gone, and the slot's statistics tell of it.
#[test]
fn a_large_transaction_waits_in_a_file() {
    let pair = mirrored();
    let worker = pair.apply_pid(DATABASE, TASK);
    let mut large = begin(&pair);
    for round in 0..3 {
        let from = round * 1000;
        insert(&mut large, "a", from);
        insert(&mut large, "c", from);
        insert(&mut large, "journal", from);
        large
            .batch_execute(&format!(
                "UPDATE a SET v = v + 1, t = t || '!'; \
                 UPDATE a SET id = -id - 1 WHERE id BETWEEN {from} + 10 AND {from} + 20; \
                 DELETE FROM a WHERE id % 7 = 3; \
                 UPDATE journal SET what = 'changed' WHERE id % 5 = 0; \
                 DELETE FROM journal WHERE id % 11 = 0"
            ))
            .expect("changes");
    }
    wait_for_spools(&pair, 1);
    if spools(&pair) {
        assert_eq!(spilled_by_the_server(&pair), 0, "the server spills nothing");
    }
    large.batch_execute("UPDATE a SET v = -v WHERE id < 100; COMMIT").expect("commit");
    assert_same_at_once(&pair, worker);
    wait_for_spools(&pair, 0);
    if spools(&pair) {
        pair.source.wait_until(
            DATABASE,
            "the slot's statistics tell what was spooled",
            "(SELECT spill_txns = 1 AND spill_count > 1 AND spill_bytes > 100000 AND total_bytes > spill_bytes \
              FROM pg_stat_replication_slots WHERE slot_name LIKE 'courier%')",
        );
    }
}

/// A transaction that writes only what nobody wants needs no file at all.
#[test]
fn tables_that_nobody_wants_need_no_file() {
    let pair = mirrored();
    let worker = pair.apply_pid(DATABASE, TASK);
    let mut large = begin(&pair);
    insert(&mut large, "c", 0);
    pair.source.run(DATABASE, "INSERT INTO a VALUES (1, 1, 'of another transaction')");
    assert_same_at_once(&pair, worker);
    wait_for_spools(&pair, 0);
    if spools(&pair) {
        assert_eq!(spilled_by_the_server(&pair), 0, "the server spills nothing");
    }
    insert(&mut large, "a", 1000);
    large.batch_execute("COMMIT").expect("commit");
    assert_same_at_once(&pair, worker);
}

/// Rolled back, by the user and by the end of the session: nothing arrives, and the disk is free again.
#[test]
fn a_large_transaction_is_rolled_back() {
    let pair = mirrored();
    let worker = pair.apply_pid(DATABASE, TASK);
    for by_user in [true, false] {
        let mut large = begin(&pair);
        insert(&mut large, "a", 0);
        wait_for_spools(&pair, 1);
        if by_user {
            large.batch_execute("ROLLBACK").expect("rollback");
        }
        drop(large);
        // Something has to follow in the WAL, or nobody learns of the end.
        pair.source.run(DATABASE, "INSERT INTO b (id) SELECT count(*) FROM b");
        assert_same_at_once(&pair, worker);
        wait_for_spools(&pair, 0);
    }
    assert_eq!(pair.destination.value(DATABASE, "SELECT count(*) FROM a"), "0");
}

/// Two large transactions at the same time, small ones in between. One rolls back, the other one changes rows that a
/// small one has written in the meantime, and a third one, which commits later, those of the second.
#[test]
fn large_transactions_take_turns() {
    let pair = mirrored();
    let worker = pair.apply_pid(DATABASE, TASK);
    let (mut first, mut second) = (begin(&pair), begin(&pair));
    for round in 0..3 {
        let from = round * 1000;
        insert(&mut first, "a", from);
        insert(&mut second, "b", from);
        pair.source.run(DATABASE, &format!("INSERT INTO a (id, v) VALUES (-{round} - 1, {round})"));
        insert(&mut first, "journal", from);
    }
    wait_for_spools(&pair, 2);
    second.batch_execute("UPDATE a SET v = v + 100 WHERE id < 0").expect("update");
    insert(&mut second, "b", 5000);
    first.batch_execute("ROLLBACK").expect("rollback");
    pair.source.run(DATABASE, "INSERT INTO journal VALUES (-1, 'between')");
    let mut third = begin(&pair);
    insert(&mut third, "a", 0);
    second.batch_execute("COMMIT").expect("commit");
    third.batch_execute("UPDATE a SET v = v * 2; DELETE FROM b WHERE id % 2 = 0; COMMIT").expect("the rest");
    assert_same_at_once(&pair, worker);
    wait_for_spools(&pair, 0);
}

/// After a part was spooled a transaction becomes one that only the server can replay. What was spooled must be the
/// first part of it then.
#[test]
fn a_spooled_transaction_becomes_the_servers() {
    let pair = mirrored();
    let worker = pair.apply_pid(DATABASE, TASK);
    let both = |statement: &str| {
        pair.source.run(DATABASE, statement);
        pair.destination.run(DATABASE, statement);
    };
    let cases: [(&str, &dyn Fn()); 8] = [
        (
            "SAVEPOINT s; UPDATE a SET v = v + 10; ROLLBACK TO s; UPDATE a SET v = v + 1; SAVEPOINT s; \
             UPDATE a SET v = v * 3 WHERE id % 3 = 0; RELEASE s",
            &|| (),
        ),
        ("UPDATE a SET t = repeat('x', 50000) WHERE id % 500 = 1; UPDATE a SET v = v + 1", &|| ()),
        // Its own catalog changes: a table that the task has not, and one that it has (the other side has it already).
        ("CREATE TABLE mine (id int); INSERT INTO mine VALUES (1); DROP TABLE mine; UPDATE a SET v = v + 1", &|| ()),
        ("ALTER TABLE a ALTER t SET STATISTICS 10; UPDATE a SET v = v + 1", &|| ()),
        // Another session alters a table that the transaction has not touched yet, and now does.
        ("INSERT INTO b (id, v) SELECT id + 1000000, 1 FROM b; UPDATE a SET v = v + 1", &|| {
            both("ALTER TABLE b ADD COLUMN IF NOT EXISTS n int DEFAULT 3")
        }),
        (
            "INSERT INTO a (id, t) SELECT n, 'upsert' FROM generate_series(500, 2500) AS n \
             ON CONFLICT (id) DO UPDATE SET v = a.v + 7, t = excluded.t",
            &|| (),
        ),
        ("TRUNCATE b; INSERT INTO b SELECT n FROM generate_series(1, 10) AS n", &|| ()),
        ("TRUNCATE a", &|| ()),
    ];
    insert(&mut pair.source.connect(DATABASE), "b", 0);
    for (round, (rest, meanwhile)) in cases.iter().enumerate() {
        let mut large = begin(&pair);
        insert(&mut large, "a", round as u32 * 10_000);
        large.batch_execute(&format!("UPDATE a SET v = v + {round}")).expect("update");
        wait_for_spools(&pair, 1);
        meanwhile();
        large.batch_execute(&format!("{rest}; UPDATE a SET v = v + 1; COMMIT")).expect(rest);
        assert_same_at_once(&pair, worker);
        wait_for_spools(&pair, 0);
    }
}

/// A prepared transaction is one of the server's, too: committed by another session, after a restart of the worker; and
/// rolled back.
#[test]
fn a_large_transaction_is_prepared() {
    let pair = mirrored();
    for (round, end) in ["COMMIT", "ROLLBACK", "COMMIT"].into_iter().enumerate() {
        let worker = pair.apply_pid(DATABASE, TASK);
        let mut large = begin(&pair);
        insert(&mut large, "a", round as u32 * 1000);
        wait_for_spools(&pair, 1);
        large.batch_execute("UPDATE a SET v = v + 1; PREPARE TRANSACTION 'large'").expect("prepare");
        pair.source.run(DATABASE, &format!("INSERT INTO b (id) VALUES ({round})"));
        assert_same_at_once(&pair, worker);
        wait_for_spools(&pair, 1);
        if round == 2 {
            pair.call(DATABASE, "pause", TASK);
            pair.call(DATABASE, "resume", TASK);
        }
        let worker = pair.apply_pid(DATABASE, TASK);
        pair.source.run(DATABASE, &format!("{end} PREPARED 'large'"));
        assert_same_at_once(&pair, worker);
        wait_for_spools(&pair, 0);
    }
    assert_eq!(pair.destination.value(DATABASE, "SELECT count(*) FROM a"), "2000");
}

/// The worker is killed, or ended, while the transaction is open: what it had in the file is read from the WAL again.
#[test]
fn the_worker_ends_between_spooling_and_commit() {
    let pair = mirrored();
    for round in 0..2 {
        let mut large = begin(&pair);
        insert(&mut large, "a", round * 1000);
        wait_for_spools(&pair, 1);
        let pid = pair.apply_pid(DATABASE, TASK);
        pair.source.run("postgres", &format!("SELECT pg_terminate_backend({pid})"));
        wait::until("the worker has ended", wait::DEADLINE, || (!procfs::alive(pid)).then_some(()), String::new);
        large.batch_execute("UPDATE a SET v = v + 1; COMMIT").expect("commit");
        assert_same(&pair);
    }
    // A kill takes all sessions with it: the transaction is gone for good.
    let mut large = begin(&pair);
    insert(&mut large, "a", 5000);
    wait_for_spools(&pair, 1);
    pair.source.kill_process(pair.apply_pid(DATABASE, TASK));
    drop(large);
    insert(&mut pair.source.connect(DATABASE), "b", 0);
    pair.caught_up(DATABASE, TASK);
    pair.assert_same(DATABASE, &["public.a", "public.b", "public.journal"]);
    wait_for_spools(&pair, 0);
    assert_eq!(pair.destination.value(DATABASE, "SELECT count(*) FROM a"), "2000");
    let left = std::fs::read_dir(pair.source.data_directory().join("base/pgsql_tmp"));
    assert_eq!(left.map_or(0, Iterator::count), 0, "no file is left");
}

/// The disk that the file lies on is full. The task says so and when it tries again, the source goes on, and once there is
/// room everything arrives without anybody touching the task.
#[test]
fn a_full_disk_below_the_file() {
    let pair = mirrored();
    let temporary = pair.source.data_directory().join("base/pgsql_tmp");
    let Some(disk) = SmallDisk::mount(temporary, "1m") else {
        println!("not run: mounting a small file system takes root");
        return;
    };
    let mut large = begin(&pair);
    (0..30).for_each(|round| insert(&mut large, "a", round * 1000));
    if spools(&pair) {
        pair.source.wait_until(
            DATABASE,
            "the task tells about the disk and its next try",
            &format!(
                "EXISTS (SELECT FROM courier.task_details WHERE task = '{TASK}' AND retry_at IS NOT NULL \
                 AND last_error LIKE '%spool of a large transaction: No space left on device%' \
                 AND last_error_hint LIKE 'Free space on the disk%')"
            ),
        );
    }
    insert(&mut pair.source.connect(DATABASE), "b", 0);
    large.batch_execute("UPDATE a SET v = 1 WHERE id % 3 = 0; COMMIT").expect("the source does not mind");
    assert_ne!(pair.task(DATABASE, TASK, "state"), "failed", "a full disk passes");
    disk.resize("100m");
    assert_same(&pair);
    assert_eq!(pair.task(DATABASE, TASK, "retry_at"), "");
}

/// A row of a large transaction meets another one on the destination: the error names it as ever, and it can be left out.
#[test]
fn a_conflict_inside_of_a_large_transaction() {
    let pair = mirrored();
    pair.destination.run(DATABASE, "INSERT INTO a VALUES (777, -1, 'not ours')");
    let mut large = begin(&pair);
    insert(&mut large, "a", 0);
    wait_for_spools(&pair, 1);
    large.batch_execute("UPDATE a SET v = 5 WHERE id <> 777; COMMIT").expect("commit");
    let text = pair.failure(DATABASE, TASK);
    assert_mentions(&text, &["INSERT on public.a", "(id)=(777)", "LSN"]);
    let lsn = text.split("LSN ").nth(1).and_then(|rest| rest.split(|c: char| c == '.' || c.is_whitespace()).next());
    pair.source.run(DATABASE, &format!("SELECT courier.skip_change('{TASK}', '{}')", lsn.expect("an LSN")));
    pair.call(DATABASE, "resume", TASK);
    pair.wait_for_state(DATABASE, TASK, "synchronizing");
    pair.caught_up(DATABASE, TASK);
    assert_eq!(pair.destination.value(DATABASE, "SELECT v FROM a WHERE id = 777"), "-1");
    pair.source.run(DATABASE, "UPDATE a SET v = 6, t = ''");
    assert_same(&pair);
}

/// An UPDATE of a table without any identity cannot be applied. While the transaction may still roll back that is no error.
#[test]
fn an_error_waits_for_the_commit() {
    let pair = mirrored();
    let mut large = begin(&pair);
    insert(&mut large, "journal", 0);
    large.batch_execute("COMMIT").expect("commit");
    assert_same(&pair);
    pair.source.run(DATABASE, "ALTER TABLE journal REPLICA IDENTITY NOTHING");
    let mut large = begin(&pair);
    large.batch_execute("UPDATE journal SET what = what || '!'").expect("update");
    pair.source.run(DATABASE, "INSERT INTO b (id) VALUES (1)");
    assert_same(&pair);
    large.batch_execute("ROLLBACK").expect("rollback");
    pair.source.run(DATABASE, "INSERT INTO b (id) VALUES (2)");
    assert_same(&pair);
    pair.source.run(DATABASE, "UPDATE journal SET what = what || '!'");
    assert_mentions(&pair.failure(DATABASE, TASK), &["UPDATE", "journal", "no replica identity"]);
}

/// Large transactions go on while a table is being copied: those that the copy has seen must not be applied again. The
/// table has no unique key, in which a row that comes twice would be refused, and then be left out in another way.
#[test]
fn large_transactions_beside_the_copy() {
    let pair = Pair::builder().source_conf("logical_decoding_work_mem", "64kB").start();
    pair.source.run(DATABASE, "CREATE TABLE journal (id int8, what text)");
    insert(&mut pair.source.connect(DATABASE), "journal", 0);
    pair.create_task(DATABASE, TASK, &["public.*"], &TaskOptions::default());
    let mut writer = pair.source.connect(DATABASE);
    pair.call(DATABASE, "start", TASK);
    let mut round = 1;
    while pair.task(DATABASE, TASK, "state") != "synchronizing" && round < 500 {
        insert(&mut writer, "journal", round * 1000);
        round += 1;
    }
    pair.wait_for_state(DATABASE, TASK, "synchronizing");
    pair.caught_up(DATABASE, TASK);
    pair.assert_same(DATABASE, &["public.journal"]);
}
