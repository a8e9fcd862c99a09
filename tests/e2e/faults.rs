//! What happens to a destination in its life: somebody holds a lock, an administrator ends sessions, the disk is full, a
//! privilege or a table goes. After each the task goes on by itself where that is right, or says what to do; either way
//! both sides are equal in the end.

use std::process::Command;
use std::time::Duration;

use pg_courier_tests::cluster::{Stop, kill};
use pg_courier_tests::pair::{APPLY, DATABASE, ROLE, SUPERVISOR};
use pg_courier_tests::{Cluster, Pair, Rng, TaskOptions, assert_same, procfs, sql, wait};

use crate::common::{
    SMALL, SmallDisk, TASK, arrives, assert_mentions, create_small_tables, mirror_small_tables, mirrored_pair,
    more_traffic, sized, small_traffic,
};
use crate::exactly_once::{wait_for_session, wait_until_blocked};

/// Longer than usual: recoveries of servers and the task's own pauses add up.
const AFTER_FAULTS: Duration = Duration::from_secs(180);

fn settle(pair: &Pair) {
    pair.wait_for_state_within(DATABASE, TASK, "synchronizing", AFTER_FAULTS);
    pair.caught_up_within(DATABASE, TASK, AFTER_FAULTS);
    pair.assert_same(DATABASE, &SMALL);
}

/// Somebody alters a table on the destination and takes long: the task waits, whatever timeouts the role or the database
/// has there, keeps its place and goes on when the lock is gone. That is no failure, and needs nobody.
#[test]
fn a_locked_table_is_waited_for() {
    let pair = Pair::start();
    create_small_tables(&pair);
    pair.destination.run(
        "postgres",
        &format!(
            "ALTER ROLE {ROLE} SET lock_timeout = '50ms'; ALTER ROLE {ROLE} SET statement_timeout = '300ms'; \
             ALTER ROLE {ROLE} SET idle_in_transaction_session_timeout = '300ms'"
        ),
    );
    pair.start_task(TASK, &["public.*"]);
    pair.wait_for_state(DATABASE, TASK, "synchronizing");
    let mut lock = pair.destination.connect(DATABASE);
    lock.batch_execute("BEGIN; LOCK TABLE journal IN ACCESS EXCLUSIVE MODE").expect("lock");
    let traffic = small_traffic(&pair.source, 11);
    wait_until_blocked(&pair);
    wait_for_session(
        &pair,
        "has waited longer than all timeouts",
        "wait_event_type = 'Lock' AND clock_timestamp() - xact_start > interval '1 s'",
    );
    more_traffic(&traffic, 100, &pair.source);
    assert_eq!(pair.task(DATABASE, TASK, "last_error"), "");
    lock.batch_execute("COMMIT").expect("unlock");
    traffic.stop();
    pair.assert_mirrored(TASK, &SMALL);
    assert_eq!(pair.task(DATABASE, TASK, "last_error"), "", "waiting is no error");
}

/// Administrators limit how long users may be idle (14 and later) or in a transaction (17). Our sessions are both for longer.
#[test]
fn timeouts_that_are_meant_for_users() {
    let pair = Pair::start();
    create_small_tables(&pair);
    let (source, destination) = (pair.source.install.major(), pair.destination.install.major());
    if destination >= 14 {
        pair.destination.run("postgres", &format!("ALTER ROLE {ROLE} SET idle_session_timeout = '300ms'"));
    }
    if destination >= 17 {
        pair.destination.run("postgres", &format!("ALTER ROLE {ROLE} SET transaction_timeout = '300ms'"));
    }
    if source >= 17 {
        pair.source.run(DATABASE, &format!("ALTER DATABASE {DATABASE} SET transaction_timeout = '2s'"));
    }
    pair.start_task(TASK, &["public.*"]);
    pair.wait_for_state(DATABASE, TASK, "synchronizing");
    wait_for_session(
        &pair,
        "has been idle for longer",
        "state = 'idle' AND clock_timestamp() - state_change > interval '1 s'",
    );
    pair.source.wait_until(
        DATABASE,
        "the workers are older than that",
        "(SELECT count(*) = 2 FROM pg_stat_activity WHERE backend_type LIKE 'pg_courier%' \
          AND backend_type NOT LIKE '%launcher' AND clock_timestamp() - backend_start > interval '3 s')",
    );
    let mut lock = pair.destination.connect(DATABASE);
    lock.batch_execute("BEGIN; LOCK TABLE journal IN ACCESS EXCLUSIVE MODE").expect("lock");
    pair.source.run(DATABASE, "INSERT INTO journal DEFAULT VALUES");
    wait_for_session(&pair, "has been in a transaction for longer", "clock_timestamp() - xact_start > interval '1 s'");
    lock.batch_execute("COMMIT").expect("unlock");
    pair.assert_mirrored(TASK, &SMALL);
    assert_eq!(pair.task(DATABASE, TASK, "last_error_at"), "", "nothing went wrong on the way");
}

/// Ends or cancels what the task's sessions do on the destination, under traffic: now in the middle of a transaction that
/// waits for a lock, now at any moment.
fn disturbed_by(function: &str, rounds: usize) {
    let pair = mirrored_pair();
    let traffic = small_traffic(&pair.source, 12);
    let query =
        format!("SELECT {function}(pid) FROM pg_stat_activity WHERE usename = '{ROLE}' AND state <> 'idle' LIMIT 1");
    for round in 0..rounds {
        more_traffic(&traffic, 20, &pair.source);
        let mut lock = pair.destination.connect(DATABASE);
        if round % 2 == 0 {
            lock.batch_execute("BEGIN; LOCK TABLE journal IN ACCESS EXCLUSIVE MODE").expect("lock");
            wait_until_blocked(&pair);
        }
        let met = || (pair.destination.value(DATABASE, &query) == "t").then_some(());
        let what = format!("{function} meets a session that works, round {round}");
        wait::until(&what, AFTER_FAULTS, met, || pair.source.describe(DATABASE));
    }
    traffic.stop();
    settle(&pair);
    assert_eq!(pair.source.log_count("terminated by signal"), 0, "the source did not notice");
    assert_eq!(pair.source.log_count("courier.resume"), 0, "the task goes on by itself, and says so");
}

#[test]
fn statements_are_cancelled_on_the_destination() {
    disturbed_by("pg_cancel_backend", 6);
}

#[test]
fn sessions_are_terminated_on_the_destination() {
    disturbed_by("pg_terminate_backend", 8);
}

/// A deadlock with somebody's session on the destination, in which the task's session is the victim: tried again without
/// anybody's help, and the half that was done before is not done twice.
///
/// ```text
///   task   updates items ... waits for middle ......... waits for journal: deadlock, undone
///   other  has journal ................ waits for items ............................ goes on
///   gate        has middle ................. releases it
/// ```
#[test]
fn a_deadlock_on_the_destination() {
    let pair = Pair::start();
    pair.source.run(DATABASE, "CREATE TABLE middle (id int PRIMARY KEY)");
    mirror_small_tables(&pair);
    let mut gate = pair.destination.connect(DATABASE);
    gate.batch_execute("BEGIN; LOCK TABLE middle IN ACCESS EXCLUSIVE MODE").expect("lock");
    let mut other = pair.destination.connect(DATABASE);
    other
        .batch_execute("SET deadlock_timeout = '1h'; BEGIN; LOCK TABLE journal IN ACCESS EXCLUSIVE MODE")
        .expect("lock");
    pair.source.run(
        DATABASE,
        "BEGIN; UPDATE items SET v = 77 WHERE id = 7; INSERT INTO middle VALUES (1); \
         INSERT INTO journal VALUES (7, 'deadlock'); COMMIT",
    );
    wait_until_blocked(&pair);
    let waiting = std::thread::spawn(move || {
        other.batch_execute("SELECT FROM items WHERE id = 7 FOR UPDATE; COMMIT").map_err(|e| e.to_string())
    });
    pair.destination.wait_until(
        DATABASE,
        "the other session waits for the row of the task",
        "EXISTS (SELECT FROM pg_stat_activity WHERE query LIKE '%FOR UPDATE%' AND wait_event_type = 'Lock' \
         AND pid <> pg_backend_pid())",
    );
    gate.batch_execute("COMMIT").expect("unlock");
    pair.destination.wait_for_log("deadlock detected", 0);
    waiting.join().expect("no panic").expect("the other session is not the victim");
    settle(&pair);
    assert_eq!(pair.destination.value(DATABASE, "SELECT v FROM items WHERE id = 7"), "77");
    arrives(&pair, "middle", "1");
    assert_mentions(&pair.source.log(), &["deadlock"]);
}

/// The role loses a privilege on one table. The task stops with the table and what to grant; what was granted again is
/// enough to go on with that very change.
#[test]
fn a_privilege_is_revoked() {
    // Of a role that is no superuser before 15 either.
    let pair = Pair::builder().applies_as_replica(false).start();
    mirror_small_tables(&pair);
    let traffic = small_traffic(&pair.source, 13);
    for privilege in ["INSERT", "UPDATE", "DELETE", "SELECT"] {
        more_traffic(&traffic, 20, &pair.source);
        pair.destination.run(DATABASE, &format!("REVOKE {privilege} ON items FROM {ROLE}"));
        let text = pair.failure(DATABASE, TASK);
        assert_mentions(&text, &["permission denied", "items", "grant", "resume"]);
        pair.destination.run(DATABASE, &format!("GRANT {privilege} ON items TO {ROLE}"));
        pair.call(DATABASE, "resume", TASK);
        pair.wait_for_state(DATABASE, TASK, "synchronizing");
    }
    traffic.stop();
    settle(&pair);
}

/// A table is dropped on the destination and made again from a copy, as after a restore: the task stops in between and
/// goes on with the new table.
#[test]
fn a_table_is_dropped_and_made_again() {
    let pair = mirrored_pair();
    pair.source.run(DATABASE, "UPDATE items SET v = 1 WHERE id = 1; INSERT INTO journal VALUES (1, 'prepared')");
    pair.assert_mirrored(TASK, &SMALL);
    pair.destination.run(DATABASE, "CREATE TABLE kept AS TABLE journal; DROP TABLE journal");
    pair.source.run(DATABASE, "INSERT INTO journal VALUES (2, 'where to?'); UPDATE items SET v = 2 WHERE id = 2");
    assert_mentions(&pair.failure(DATABASE, TASK), &["journal", "create the table", "resume"]);
    pair.destination.run(
        DATABASE,
        &format!("CREATE TABLE journal (item bigint, what text); ALTER TABLE journal OWNER TO {ROLE}; INSERT INTO journal TABLE kept"),
    );
    pair.call(DATABASE, "resume", TASK);
    pair.assert_mirrored(TASK, &SMALL);

    // Quick enough that no change meets the gap: statements prepared for the old table serve the new one.
    pair.destination.run(
        DATABASE,
        &format!(
            "BEGIN; ALTER TABLE journal RENAME TO old; CREATE TABLE journal (item bigint, what text); \
             ALTER TABLE journal OWNER TO {ROLE}; INSERT INTO journal TABLE old; DROP TABLE old; COMMIT"
        ),
    );
    pair.source.run(DATABASE, "INSERT INTO journal VALUES (3, 'new table')");
    pair.assert_mirrored(TASK, &SMALL);
}

/// The disk of the destination is full. The task says so and when it tries again, the source goes on writing, and once
/// there is room everything arrives without anybody touching the task.
#[test]
fn a_full_disk_on_the_destination() {
    let pair = mirrored_pair();
    let Some(disk) = SmallDisk::mount(pair.destination.socket_directory().join("small_disk"), "6m") else {
        println!("not run: mounting a small file system takes root");
        return;
    };
    pair.destination.run(DATABASE, &format!("CREATE TABLESPACE small LOCATION '{}'", disk.path().display()));
    pair.destination.run(DATABASE, "ALTER TABLE journal SET TABLESPACE small");
    pair.source.run(
        DATABASE,
        "UPDATE items SET v = 8 WHERE id < 100; \
         INSERT INTO journal SELECT n, repeat('wide ', 40) FROM generate_series(1, 60000) AS n",
    );
    pair.source.wait_until(
        DATABASE,
        "the task tells about the disk and its next try",
        &format!(
            "EXISTS (SELECT FROM courier.task_details WHERE task = '{TASK}' AND retry_at IS NOT NULL \
             AND last_error LIKE '%No space left on device%' AND last_error_hint LIKE '%disk space%')"
        ),
    );
    let traffic = small_traffic(&pair.source, 14);
    more_traffic(&traffic, 100, &pair.source);
    traffic.stop();
    assert_ne!(pair.task(DATABASE, TASK, "state"), "failed", "a full disk passes");
    disk.resize("100m");
    settle(&pair);
    assert_eq!(pair.task(DATABASE, TASK, "retry_at"), "");
    // The tablespace's files go while the file system is there.
    pair.call(DATABASE, "drop_task", TASK);
    pair.destination.run(DATABASE, "ALTER TABLE journal SET TABLESPACE pg_default");
    pair.destination.run(DATABASE, "DROP TABLESPACE small");
}

/// There is no room for the destination's WAL: the server there panics, recovers, panics again, or gives up. The task waits for it as
/// for any lost destination, the source goes on writing, and once there is room nothing is missing.
#[test]
fn a_full_pg_wal_on_the_destination() {
    let pair =
        Pair::builder().destination_conf("min_wal_size", "32MB").destination_conf("max_wal_size", "32MB").start();
    mirror_small_tables(&pair);
    let Some(disk) = SmallDisk::mount(pair.destination.socket_directory().join("small_disk"), "400m") else {
        println!("not run: mounting a small file system takes root");
        return;
    };
    pair.destination.stop(Stop::Fast);
    let wal = pair.destination.data_directory().join("pg_wal");
    let moved = disk.path().join("pg_wal");
    assert!(Command::new("cp").arg("-a").arg(&wal).arg(&moved).status().is_ok_and(|status| status.success()));
    std::fs::remove_dir_all(&wal).expect("the server is down");
    std::os::unix::fs::symlink(&moved, &wal).expect("its place is free");
    pair.destination.start();
    let filler = disk.path().join("filler");
    let fills = Command::new("dd").args(["if=/dev/zero", "bs=1M"]).arg(format!("of={}", filler.display())).output();
    assert!(fills.is_ok_and(|output| !output.status.success()), "dd writes until there is no room");

    let traffic = small_traffic(&pair.source, 15);
    pair.source.run(DATABASE, "INSERT INTO journal SELECT n, repeat('wide ', 40) FROM generate_series(1, 250000) AS n");
    pair.destination.wait_for_log("PANIC:  could not write to file \"pg_wal", 0);
    more_traffic(&traffic, 100, &pair.source);
    pair.source.wait_until(
        DATABASE,
        "the task tries again",
        &format!(
            "(SELECT retry_at IS NOT NULL OR last_error IS NOT NULL FROM courier.task_details WHERE task = '{TASK}')"
        ),
    );
    assert_ne!(pair.task(DATABASE, TASK, "state"), "failed", "a destination that is down is waited for");
    std::fs::remove_file(&filler).expect("it is there");
    pair.destination.bring_up();
    more_traffic(&traffic, 100, &pair.source);
    traffic.stop();
    settle(&pair);
    pair.destination.stop(Stop::Fast);
}

/// The source's own limit took the slot's WAL away while the task was paused. Changes are missing for good: the task must
/// not go on as if nothing had happened, but say what to do, and that has to work.
#[test]
fn the_slot_is_lost() {
    let pair = Pair::builder()
        .source_conf("max_slot_wal_keep_size", "16MB")
        .source_conf("max_wal_size", "32MB")
        .source_conf("min_wal_size", "32MB")
        .start();
    mirror_small_tables(&pair);
    pair.call(DATABASE, "pause", TASK);
    pair.source.run(DATABASE, "INSERT INTO journal VALUES (1, 'lost')");
    wait::until(
        "the slot is lost",
        AFTER_FAULTS,
        || {
            pair.source.run(
                DATABASE,
                "CREATE TABLE noise AS SELECT repeat('x', 1000) FROM generate_series(1, 30000); DROP TABLE noise",
            );
            pair.source.run(DATABASE, "SELECT pg_switch_wal()");
            pair.source.run(DATABASE, "CHECKPOINT");
            let status = "SELECT wal_status FROM pg_replication_slots WHERE slot_name = 'courier_shop_to_dr'";
            (pair.source.value(DATABASE, status) == "lost").then_some(())
        },
        || pair.source.describe(DATABASE),
    );
    pair.call(DATABASE, "resume", TASK);
    let text = pair.failure(DATABASE, TASK);
    assert_mentions(
        &text,
        &["slot", "lost", "max_slot_wal_keep_size", "drop the task", "anew with schema_sync => false"],
    );
    let count = pair.destination.value(DATABASE, "SELECT count(*) FROM journal");
    assert_eq!(count, "1000", "nothing was applied behind the gap");

    pair.call(DATABASE, "drop_task", TASK);
    pair.destination.run(DATABASE, "TRUNCATE items, journal");
    let options = TaskOptions { schema_sync: Some(false), ..Default::default() };
    pair.start_task_with(DATABASE, TASK, &["public.items", "public.journal"], &options);
    settle(&pair);
}

/// A COPY of the stream (one transaction of many rows) is ended from either side, while it waits for the table or
/// in the middle of its rows: nothing of it stays, and it is made again, once.
#[test]
fn a_copy_under_way_is_ended() {
    let mut rng = Rng::from_environment("a_copy_under_way_is_ended");
    let pair = mirrored_pair();
    let mut copies = 0;
    for (round, end) in
        [cancel_copy, end_copy, end_apply_worker, kill_apply_worker, kill_destination].iter().enumerate()
    {
        pair.source.run(DATABASE, "TRUNCATE journal");
        pair.caught_up(DATABASE, TASK);
        let mut lock = pair.destination.connect(DATABASE);
        lock.batch_execute("BEGIN; LOCK TABLE journal IN ACCESS EXCLUSIVE MODE").expect("lock");
        pair.source.run(
            DATABASE,
            &format!("INSERT INTO journal SELECT n, 'copied in round {round}' FROM generate_series(1, 34000) AS n"),
        );
        wait_until_blocked(&pair);
        copies += pair.destination.value(DATABASE, COPIES_THAT_WAIT).parse::<u32>().expect("a number");
        if rng.between(0, 1) == 0 {
            lock.batch_execute("COMMIT").expect("unlock");
            std::thread::sleep(rng.millis(0, 30)); // the moment is what is random
        }
        end(&pair);
        drop(lock);
        settle(&pair);
    }
    // A wire that is slow for the moment makes INSERT the better way; not each time.
    assert!(copies > 0, "all rounds were INSERT");
}

const COPIES_THAT_WAIT: &str = "SELECT count(*) FROM pg_stat_activity WHERE usename = 'courier' AND wait_event_type = 'Lock' \
     AND query LIKE '%COPY \"public\".\"journal\"%'";

fn cancel_copy(pair: &Pair) {
    pair.destination
        .run(DATABASE, &format!("SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE usename = '{ROLE}'"));
}

fn end_copy(pair: &Pair) {
    pair.destination
        .run(DATABASE, &format!("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '{ROLE}'"));
}

fn end_apply_worker(pair: &Pair) {
    let worker = pair.apply_pid(DATABASE, TASK);
    pair.source.run(DATABASE, &format!("SELECT pg_terminate_backend({worker})"));
    wait::until(
        "the apply worker ends though its COPY waits",
        Duration::from_secs(10),
        || (!procfs::alive(worker)).then_some(()),
        || pair.source.describe(DATABASE),
    );
}

fn kill_apply_worker(pair: &Pair) {
    Victim::ApplyWorker.dies(pair);
}

fn kill_destination(pair: &Pair) {
    Victim::Destination.dies(pair);
}

/// Everything that can be killed, in random order, under mixed traffic: 20 accidents, 200 in the nightly form, some of them while the
/// task recovers from the one before.
#[test]
fn anything_is_killed_at_any_moment() {
    let mut rng = Rng::from_environment("anything_is_killed_at_any_moment");
    let rounds = sized(20, 200);
    let pair = mirrored_pair();
    let traffic = small_traffic(&pair.source, rng.next_u64());
    for round in 0..rounds {
        std::thread::sleep(rng.millis(1, 400)); // the moment is what is random
        let victim = *rng.pick(&Victim::ALL);
        println!("round {round}: {victim:?}");
        victim.dies(&pair);
        more_traffic(&traffic, 20, &pair.source);
        // A task that never comes to rest is stopped for the source's sake; one accident in three meets it in recovery.
        if rng.between(0, 2) > 0 {
            pair.wait_for_state_within(DATABASE, TASK, "synchronizing", AFTER_FAULTS);
            pair.caught_up_within(DATABASE, TASK, AFTER_FAULTS);
        }
    }
    traffic.stop();
    settle(&pair);
}

#[derive(Clone, Copy, Debug)]
enum Victim {
    ApplyWorker,
    Supervisor,
    DestinationBackend,
    Source,
    Destination,
}

impl Victim {
    const ALL: [Victim; 5] =
        [Victim::ApplyWorker, Victim::Supervisor, Victim::DestinationBackend, Victim::Source, Victim::Destination];

    fn dies(self, pair: &Pair) {
        match self {
            Victim::ApplyWorker => self.kill_process_of(&pair.source, || pair.source.pids(APPLY).first().copied()),
            Victim::Supervisor => self.kill_process_of(&pair.source, || pair.source.pids(SUPERVISOR).first().copied()),
            Victim::DestinationBackend => {
                let query = format!("SELECT pid FROM pg_stat_activity WHERE usename = '{ROLE}' LIMIT 1");
                self.kill_process_of(&pair.destination, || {
                    let mut client = pair.destination.try_connect(DATABASE).ok()?;
                    sql::value(&mut client, &query).ok().flatten()?.parse().ok()
                });
            }
            Victim::Source => {
                pair.source.kill9();
                pair.source.start();
            }
            Victim::Destination => {
                pair.destination.kill9();
                pair.destination.start();
            }
        }
    }

    /// The process found may be gone before the signal reaches it, so again until the server has noticed one.
    fn kill_process_of(self, cluster: &Cluster, mut find: impl FnMut() -> Option<i32>) {
        let before = cluster.kills();
        let killed = || {
            kill(find()?, libc::SIGKILL);
            wait::poll(Duration::from_secs(1), || (cluster.kills() > before).then_some(()))
        };
        wait::until(&format!("{self:?} is killed"), AFTER_FAULTS, killed, || cluster.describe(DATABASE));
        cluster.wait_until_accepting();
    }
}

/// An error that passes by itself, and does not pass for a while: the pauses between attempts grow, although each attempt
/// gets as far as the stream. Then it goes on.
#[test]
fn attempts_that_get_nowhere_are_made_with_growing_pauses() {
    let pair = mirrored_pair();
    pair.destination.run(
        DATABASE,
        "CREATE FUNCTION no_space() RETURNS trigger LANGUAGE plpgsql AS \
         $$ BEGIN RAISE EXCEPTION 'no space left' USING ERRCODE = 'disk_full'; END $$; \
         CREATE TRIGGER no_space BEFORE UPDATE ON items EXECUTE FUNCTION no_space(); \
         ALTER TABLE items ENABLE ALWAYS TRIGGER no_space",
    );
    pair.source.run(DATABASE, "UPDATE items SET v = 77");
    pair.wait_until_in("task_details", TASK, "the pause has grown", "retry_at - last_error_at >= '3.5 s'");
    pair.destination.run(DATABASE, "DROP FUNCTION no_space() CASCADE");
    pair.assert_mirrored(TASK, &SMALL);
}

/// The source dies under traffic, and its standby takes its place. From 17 on the standby has a copy of the task's slot, and the
/// task goes on there: nothing is lost, and as the destination never had what the standby had not, both are equal. Before, the task
/// says that the destination belongs to the server that is gone.
#[test]
fn the_source_is_promoted_from_a_standby() {
    let pair = mirrored_pair();
    let synchronizes_slots = pair.source.install.major() >= 17;
    let settings: &[(&str, &str)] = if synchronizes_slots { &[("sync_replication_slots", "on")] } else { &[] };
    let standby = pair.source.standby("standby", settings);
    let traffic = small_traffic(&pair.source, 16);
    if synchronizes_slots {
        pair.source.set("synchronized_standby_slots", Some("standby"));
        let copied = "EXISTS (SELECT FROM pg_replication_slots WHERE slot_name = 'courier_shop_to_dr' AND synced AND NOT temporary)";
        standby.wait_until(DATABASE, "the standby has the task's slot", copied);
        not_ahead_of_the_standby(&pair, &standby);
    }
    more_traffic(&traffic, 100, &pair.source);
    pair.source.kill9();
    traffic.stop();
    standby.run("postgres", "SELECT pg_promote()");
    let state = |state: &str| {
        let condition = format!("(SELECT state FROM courier.tasks WHERE task = '{TASK}') = '{state}'");
        standby.wait_until_within(DATABASE, &format!("the task is {state}"), &condition, AFTER_FAULTS);
    };
    if !synchronizes_slots {
        state("failed");
        let error = "SELECT concat_ws(' ', last_error, last_error_detail, last_error_hint) FROM courier.task_details";
        assert_mentions(
            &standby.value(DATABASE, error),
            &["belongs to another server", "courier.drop_task", "courier.adopt"],
        );
        return;
    }
    let traffic = small_traffic(&standby, 17);
    more_traffic(&traffic, 100, &standby);
    traffic.stop();
    state("synchronizing");
    standby.run(DATABASE, &format!("SELECT courier.wait_for('{TASK}', '60 s')"));
    assert_same((&standby, DATABASE), (&pair.destination, DATABASE), &SMALL);
}

/// While the standby is away, nothing new goes to the destination, and the source's log says why.
fn not_ahead_of_the_standby(pair: &Pair, standby: &Cluster) {
    standby.stop(Stop::Immediate);
    pair.source.wait_until(
        DATABASE,
        "the source has noticed",
        "NOT EXISTS (SELECT FROM pg_replication_slots WHERE slot_name = 'standby' AND active)",
    );
    pair.source.run(DATABASE, "INSERT INTO items VALUES (1999, 1, 'not yet')");
    pair.source.wait_for_log("replication slot \"standby\" specified in parameter", 0);
    // A wrong row would need some time to get there.
    std::thread::sleep(Duration::from_secs(1));
    let arrived = "SELECT count(*) FROM items WHERE id = 1999";
    assert_eq!(pair.destination.value(DATABASE, arrived), "0");
    standby.start();
    arrives(pair, "items WHERE id = 1999", "1");
}
