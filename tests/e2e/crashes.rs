//! kill -9 at random moments, again and again, under traffic. After each story both
//! databases are compared row by row: nothing lost, nothing twice.

use std::time::Duration;

use pg_courier_tests::cluster::kill;
use pg_courier_tests::pair::{APPLY, DATABASE, TABLESYNC};
use pg_courier_tests::{Pair, Rng, procfs, wait};

use crate::common::{SMALL, TASK, create_small_tables, mirrored_pair, more_traffic, small_traffic};

const ROUNDS: usize = 5;

/// Longer than usual: every round holds a recovery of the server and the task's own pause.
const AFTER_CRASHES: Duration = Duration::from_secs(180);

fn settle(pair: &Pair) {
    pair.wait_for_state_within(DATABASE, TASK, "synchronizing", AFTER_CRASHES);
    pair.caught_up_within(DATABASE, TASK, AFTER_CRASHES);
    pair.assert_same(DATABASE, &SMALL);
}

/// Lets a random time pass: the moment of the next accident.
fn random_moment(rng: &mut Rng) {
    std::thread::sleep(rng.millis(1, 400));
}

/// The kernel kills the apply worker (which makes the whole source restart, as any backend
/// that dies so does). What the worker had sent may be committed or not.
#[test]
fn the_apply_worker_is_killed() {
    let mut rng = Rng::from_environment("the_apply_worker_is_killed");
    let pair = mirrored_pair();
    let traffic = small_traffic(&pair.source, rng.next_u64());
    for round in 0..ROUNDS {
        more_traffic(&traffic, 50, &pair.source);
        random_moment(&mut rng);
        let pid = wait::until(
            &format!("an apply worker runs in round {round}"),
            AFTER_CRASHES,
            || pair.source.pids(APPLY).first().copied(),
            || pair.source.describe(DATABASE),
        );
        pair.source.kill_process(pid);
    }
    traffic.stop();
    settle(&pair);
}

/// The apply worker ends by an error or an administrator's pg_terminate_backend: the rest of
/// the source is not touched, the supervisor starts it again.
#[test]
fn the_apply_worker_is_terminated() {
    let mut rng = Rng::from_environment("the_apply_worker_is_terminated");
    let pair = mirrored_pair();
    let traffic = small_traffic(&pair.source, rng.next_u64());
    let mut last = 0;
    for round in 0..ROUNDS * 2 {
        more_traffic(&traffic, 30, &pair.source);
        random_moment(&mut rng);
        let pid = wait::until(
            &format!("a new apply worker runs in round {round}"),
            AFTER_CRASHES,
            || pair.source.pids(APPLY).into_iter().find(|pid| *pid != last),
            || pair.source.describe(DATABASE),
        );
        pair.source.run("postgres", &format!("SELECT pg_terminate_backend({pid})"));
        last = pid;
    }
    traffic.stop();
    assert_eq!(pair.source.log_count("all server processes terminated"), 0, "the source did not crash");
    settle(&pair);
}

/// A copying process is killed in the middle of its table.
#[test]
fn a_tablesync_worker_is_killed() {
    let mut rng = Rng::from_environment("a_tablesync_worker_is_killed");
    let pair = Pair::start();
    create_small_tables(&pair);
    pair.source.run(
        DATABASE,
        "INSERT INTO journal SELECT n % 1000, repeat('wide ', 20) FROM generate_series(1, 400000) AS n; \
         INSERT INTO items SELECT n, 0, repeat('wide ', 20) FROM generate_series(2001, 100000) AS n",
    );
    let traffic = small_traffic(&pair.source, rng.next_u64());
    // The first time for certain, then whenever it comes.
    pair.source.arm("tablesync_mid_copy:wait");
    pair.start_task(TASK, &["public.*"]);
    let waiting = "query = 'waiting at failpoint tablesync_mid_copy'";
    pair.source.wait_until(
        DATABASE,
        "a worker is in the middle of its table",
        &format!("EXISTS (SELECT FROM pg_stat_activity WHERE {waiting})"),
    );
    let pid = pair.source.value(DATABASE, &format!("SELECT min(pid) FROM pg_stat_activity WHERE {waiting}"));
    pair.source.kill_process(pid.parse().expect("a process"));
    pair.source.disarm();
    for round in 0..3 {
        let found = wait::poll(AFTER_CRASHES, || {
            let pid = pair.source.pids(TABLESYNC).first().copied();
            let done = || pair.task(DATABASE, TASK, "state") == "synchronizing";
            if pid.is_none() && pair.source.try_connect(DATABASE).is_ok() && done() {
                return Some(None);
            }
            pid.map(Some)
        });
        match found.unwrap_or_else(|| panic!("no tablesync worker\n{}", pair.source.describe(DATABASE))) {
            Some(pid) => {
                std::thread::sleep(rng.millis(0, 150));
                let before = pair.source.kills();
                kill(pid, libc::SIGKILL);
                // It may have finished in this very moment.
                let killed = wait::poll(Duration::from_secs(5), || (pair.source.kills() > before).then_some(()));
                println!("round {round}: worker {pid} {}", if killed.is_some() { "killed" } else { "had finished" });
                pair.source.wait_until_accepting();
            }
            None => println!("round {round}: the copy was faster"),
        }
    }
    traffic.stop();
    settle(&pair);
}

/// The source's postmaster is killed while the task copies, catches up and synchronizes.
#[test]
fn the_source_is_killed() {
    let mut rng = Rng::from_environment("the_source_is_killed");
    let pair = Pair::start();
    create_small_tables(&pair);
    pair.source.run(DATABASE, "INSERT INTO journal SELECT n, 'many' FROM generate_series(1, 100000) AS n");
    let traffic = small_traffic(&pair.source, rng.next_u64());
    pair.start_task(TASK, &["public.*"]);
    for _ in 0..ROUNDS {
        random_moment(&mut rng);
        pair.source.kill9();
        pair.source.start();
        more_traffic(&traffic, 20, &pair.source);
    }
    traffic.stop();
    settle(&pair);
}

/// The destination's postmaster is killed likewise. What was in flight there is undone or
/// not; the task finds out and goes on.
#[test]
fn the_destination_is_killed() {
    let mut rng = Rng::from_environment("the_destination_is_killed");
    let pair = Pair::start();
    create_small_tables(&pair);
    pair.source.run(DATABASE, "INSERT INTO journal SELECT n, 'many' FROM generate_series(1, 100000) AS n");
    let traffic = small_traffic(&pair.source, rng.next_u64());
    pair.start_task(TASK, &["public.*"]);
    for _ in 0..ROUNDS {
        random_moment(&mut rng);
        pair.destination.kill9();
        pair.destination.start();
        more_traffic(&traffic, 50, &pair.source);
    }
    traffic.stop();
    settle(&pair);
    assert_eq!(pair.source.kills(), 0);
}

/// Both at once, several times.
#[test]
fn both_servers_are_killed() {
    let mut rng = Rng::from_environment("both_servers_are_killed");
    let pair = mirrored_pair();
    let traffic = small_traffic(&pair.source, rng.next_u64());
    for _ in 0..3 {
        more_traffic(&traffic, 50, &pair.source);
        random_moment(&mut rng);
        std::thread::scope(|scope| {
            scope.spawn(|| pair.source.kill9());
            scope.spawn(|| pair.destination.kill9());
        });
        pair.destination.start();
        pair.source.start();
    }
    traffic.stop();
    settle(&pair);
}

/// The supervisor is killed: the others do not outlive it as orphans that fight with
/// those of the next supervisor.
#[test]
fn the_supervisor_ends() {
    let pair = mirrored_pair();
    let supervisor: i32 = pair.task(DATABASE, TASK, "supervisor_pid").parse().expect("it runs");
    let traffic = small_traffic(&pair.source, 3);
    pair.source.run("postgres", &format!("SELECT pg_terminate_backend({supervisor})"));
    wait::until(
        "the supervisor has ended",
        wait::DEADLINE,
        || (!procfs::alive(supervisor)).then_some(()),
        || pair.source.describe(DATABASE),
    );
    pair.wait_until_in("task_details", TASK, "another supervisor runs", &format!("supervisor_pid <> {supervisor}"));
    more_traffic(&traffic, 100, &pair.source);
    traffic.stop();
    settle(&pair);
    assert_eq!(pair.source.pids(APPLY).len(), 1, "one apply worker");
}
