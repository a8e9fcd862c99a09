//! Between "done" and "recorded": a process ends exactly where the two could come apart.

use std::time::Duration;

use pg_courier_tests::Pair;
use pg_courier_tests::cluster::kill;
use pg_courier_tests::pair::{DATABASE, ROLE};

use crate::common::{SMALL, TASK, create_small_tables, mirrored_pair, more_traffic, small_traffic};

/// Waits until a session of the task waits for a lock on the destination.
pub fn wait_until_blocked(pair: &Pair) {
    wait_for_session(pair, "waits for a lock", "wait_event_type = 'Lock'");
}

/// Waits until the destination's `pg_stat_activity` shows this of a session of the task.
pub fn wait_for_session(pair: &Pair, what: &str, condition: &str) {
    pair.destination.wait_until(
        DATABASE,
        &format!("a session of the task {what}"),
        &format!("EXISTS (SELECT FROM pg_stat_activity WHERE usename = '{ROLE}' AND {condition})"),
    );
}

/// The destination has committed a batch, the slot has not moved, the worker dies: the next
/// one must not apply the batch again. (Without a record in the same transaction there
/// are rows twice in the table without a key, and a conflict in the other.)
#[test]
fn killed_between_the_commit_and_the_slot() {
    let pair = mirrored_pair();
    let traffic = small_traffic(&pair.source, 1);
    more_traffic(&traffic, 50, &pair.source);
    pair.source.die_at("apply_after_destination_commit", 3);
    more_traffic(&traffic, 50, &pair.source);
    traffic.stop();
    pair.wait_for_state_within(DATABASE, TASK, "synchronizing", Duration::from_secs(120));
    pair.assert_mirrored(TASK, &SMALL);
}

/// Killed with a batch built but not sent: the next worker decodes it again.
#[test]
fn killed_before_a_batch_is_sent() {
    let pair = mirrored_pair();
    let traffic = small_traffic(&pair.source, 2);
    more_traffic(&traffic, 50, &pair.source);
    pair.source.die_at("apply_before_send", 3);
    more_traffic(&traffic, 50, &pair.source);
    traffic.stop();
    pair.wait_for_state_within(DATABASE, TASK, "synchronizing", Duration::from_secs(120));
    pair.assert_mirrored(TASK, &SMALL);
}

/// The same place, ended by an error instead of a signal: no crash of the source, and the
/// task tries again by itself.
#[test]
fn an_error_after_the_commit() {
    let pair = mirrored_pair();
    let traffic = small_traffic(&pair.source, 3);
    pair.source.arm("apply_after_destination_commit:error");
    pair.source.wait_for_log("failpoint apply_after_destination_commit", 0);
    pair.source.disarm();
    traffic.stop();
    // Internal errors wait for a person; a transient one comes back by itself.
    let state = "(SELECT state FROM courier.tasks WHERE task = 'shop_to_dr') IN ('failed', 'synchronizing')";
    pair.source.wait_until(DATABASE, "the task has made up its mind", state);
    if pair.task(DATABASE, TASK, "state") == "failed" {
        pair.call(DATABASE, "resume", TASK);
    }
    pair.wait_for_state(DATABASE, TASK, "synchronizing");
    pair.assert_mirrored(TASK, &SMALL);
}

/// Tables large enough that a copy has a middle.
fn pair_with_rows_to_copy() -> Pair {
    let pair = Pair::start();
    create_small_tables(&pair);
    pair.source.run(DATABASE, "INSERT INTO journal SELECT n, 'many' FROM generate_series(1, 100000) AS n");
    pair
}

fn copy_dies_at(failpoint: &str, times: usize) {
    let pair = pair_with_rows_to_copy();
    let traffic = small_traffic(&pair.source, 4);
    let before = pair.source.kills();
    pair.source.arm(&format!("{failpoint}:kill"));
    pair.start_task(TASK, &["public.*"]);
    pair.source.wait_for_log("was terminated by signal 9", before + times - 1);
    pair.source.disarm();
    pair.source.wait_until_accepting();
    traffic.stop();
    pair.wait_for_state_within(DATABASE, TASK, "synchronizing", Duration::from_secs(120));
    pair.assert_mirrored(TASK, &SMALL);
}

/// The slot exists, nobody has noted it yet: it is found again or replaced, not left behind.
#[test]
fn killed_when_the_slot_was_just_created() {
    // Once: the next worker finds the slot and takes it.
    copy_dies_at("slot_created", 1);
}

#[test]
fn killed_before_a_table_is_copied() {
    copy_dies_at("tablesync_before_copy", 2);
}

#[test]
fn killed_in_the_middle_of_a_table() {
    copy_dies_at("tablesync_mid_copy", 2);
}

/// The destination has a table's rows committed, the source has not been told: the copy is not
/// made a second time on top of the first.
#[test]
fn killed_between_the_copy_and_its_record() {
    copy_dies_at("tablesync_after_commit", 2);
}

/// Copies of small tables have committed on the destination, which crashes before anybody has waited for its disk: what it has lost is
/// copied again.
#[test]
fn a_destination_that_crashes_loses_copies() {
    let pair = Pair::builder().source_conf("courier.max_sync_workers_per_task", "1").start();
    create_small_tables(&pair);
    pair.source.arm("tablesync_after_table:wait");
    pair.start_task(TASK, &["public.*"]);
    pair.source.wait_at("tablesync_after_table");
    pair.destination.kill9();
    pair.destination.start();
    pair.source.disarm();
    pair.wait_for_state_within(DATABASE, TASK, "synchronizing", Duration::from_secs(120));
    pair.assert_mirrored(TASK, &SMALL);
}

/// The in-doubt batch. The destination holds the table locked; a batch with its commit is
/// already there, waiting, when the worker is killed; the lock goes, the destination commits
/// what nobody waits for any more. The next worker has to see that. (It would apply the
/// batch again if it read its progress before that commit.)
#[test]
fn a_batch_in_doubt_of_a_killed_worker() {
    let pair = mirrored_pair();
    for round in 1..=3 {
        let mut lock = pair.destination.connect(DATABASE);
        lock.batch_execute("BEGIN; LOCK TABLE items, journal IN ACCESS EXCLUSIVE MODE").expect("lock");
        pair.source.run(
            DATABASE,
            &format!("INSERT INTO items VALUES (900000 + {round}, {round}, 'in doubt'); \
                      INSERT INTO journal VALUES ({round}, 'in doubt'); INSERT INTO journal VALUES ({round}, 'in doubt, too')"),
        );
        wait_until_blocked(&pair);
        let before = pair.source.kills();
        kill(pair.apply_pid(DATABASE, TASK), libc::SIGKILL);
        pair.source.wait_for_log("was terminated by signal 9", before);
        if round == 2 {
            // The next worker is there before the lock goes, and has to wait for the old batch.
            pair.source.wait_until_accepting();
            pair.destination.wait_until(
                DATABASE,
                "the next session of the task waits behind the old one",
                &format!(
                    "(SELECT count(*) FROM pg_stat_activity WHERE usename = '{ROLE}' AND wait_event_type = 'Lock') >= 2"
                ),
            );
        }
        lock.batch_execute("COMMIT").expect("unlock");
        pair.source.wait_until_accepting();
        pair.assert_mirrored(TASK, &SMALL);
    }
}
