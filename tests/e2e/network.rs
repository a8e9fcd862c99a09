//! The wire between both servers: cut, stalled, slow, and away for a while.

use std::time::Duration;

use pg_courier_tests::pair::DATABASE;
use pg_courier_tests::{Pair, Proxy, Rng, wait};

use crate::common::{SMALL, TASK, assert_mentions, create_small_tables, more_traffic, small_traffic};

fn pair_behind_a_proxy() -> (Pair, Proxy) {
    let pair = Pair::start();
    create_small_tables(&pair);
    let proxy = Proxy::to(pair.destination.port());
    pair.route(DATABASE, proxy.port());
    (pair, proxy)
}

/// The connection is cut in the middle of batches, at random numbers of bytes, under traffic
/// and during the copy.
#[test]
fn cut_in_the_middle_of_batches() {
    let mut rng = Rng::from_environment("cut_in_the_middle_of_batches");
    let (pair, proxy) = pair_behind_a_proxy();
    pair.source.run(DATABASE, "INSERT INTO journal SELECT n, 'many' FROM generate_series(1, 100000) AS n");
    let traffic = small_traffic(&pair.source, rng.next_u64());
    proxy.cut_after(rng.between(100_000, 1_000_000)); // in the copy
    pair.start_task(TASK, &["public.*"]);
    let wait_for_cut = |count: u64| {
        wait::until(
            &format!("cut number {count}"),
            Duration::from_secs(120),
            || (proxy.cuts() >= count).then_some(()),
            || pair.source.describe(DATABASE),
        );
    };
    wait_for_cut(1);
    pair.wait_for_state_within(DATABASE, TASK, "synchronizing", Duration::from_secs(120));
    for round in 2..8 {
        proxy.cut_after(rng.between(1, 40_000));
        wait_for_cut(round);
        more_traffic(&traffic, 20, &pair.source);
    }
    traffic.stop();
    pair.wait_for_state_within(DATABASE, TASK, "synchronizing", Duration::from_secs(120));
    pair.assert_mirrored(TASK, &SMALL);
}

/// The answer to a commit is lost, not the commit: the wire stalls, then breaks.
#[test]
fn a_stalled_wire_that_breaks() {
    let (pair, proxy) = pair_behind_a_proxy();
    pair.start_task(TASK, &["public.*"]);
    pair.wait_for_state(DATABASE, TASK, "synchronizing");
    let traffic = small_traffic(&pair.source, 5);
    for _ in 0..3 {
        more_traffic(&traffic, 30, &pair.source);
        proxy.stall();
        more_traffic(&traffic, 30, &pair.source);
        proxy.cut();
        proxy.flow();
    }
    traffic.stop();
    pair.assert_mirrored(TASK, &SMALL);
}

/// The source does not wait for the destination: with the wire stalled its own transactions
/// go on, and a pause takes effect.
#[test]
fn a_stalled_wire_does_not_stop_the_source() {
    let (pair, proxy) = pair_behind_a_proxy();
    pair.start_task(TASK, &["public.*"]);
    pair.wait_for_state(DATABASE, TASK, "synchronizing");
    proxy.stall();
    let traffic = small_traffic(&pair.source, 6);
    more_traffic(&traffic, 200, &pair.source);
    traffic.stop();
    pair.call(DATABASE, "pause", TASK);
    crate::common::wait_until_no_workers(&pair.source, Duration::from_secs(2));
    proxy.cut();
    proxy.flow();
    pair.call(DATABASE, "resume", TASK);
    pair.assert_mirrored(TASK, &SMALL);
}

/// A slow wire: less than what the source writes, for a while. It arrives in the end.
#[test]
fn a_slow_wire() {
    let (pair, proxy) = pair_behind_a_proxy();
    pair.start_task(TASK, &["public.*"]);
    pair.wait_for_state(DATABASE, TASK, "synchronizing");
    proxy.limit(Some(200_000));
    let traffic = small_traffic(&pair.source, 8);
    more_traffic(&traffic, 200, &pair.source);
    traffic.stop();
    proxy.limit(None);
    pair.assert_mirrored(TASK, &SMALL);
}

/// The destination is away: the task says so, names the time of its next try, tries again with
/// growing pauses, and goes on by itself when it is back.
#[test]
fn a_lost_destination_is_tried_again() {
    let (pair, proxy) = pair_behind_a_proxy();
    pair.start_task(TASK, &["public.*"]);
    pair.wait_for_state(DATABASE, TASK, "synchronizing");
    let before = proxy.connections();
    proxy.refuse();
    proxy.cut();
    pair.source.run(DATABASE, "UPDATE items SET v = 6");
    let retries = "retry_at IS NOT NULL AND last_error <> ''";
    pair.wait_until_in("task_details", TASK, "the task tells that it will try again", retries);
    assert_ne!(pair.task(DATABASE, TASK, "state"), "failed", "a lost destination is not a failure");
    wait::until(
        "several tries",
        Duration::from_secs(60),
        || (proxy.connections() >= before + 4).then_some(()),
        || pair.source.describe(DATABASE),
    );
    proxy.accept();
    pair.wait_for_state(DATABASE, TASK, "synchronizing");
    pair.assert_mirrored(TASK, &SMALL);
    assert_eq!(pair.task(DATABASE, TASK, "retry_at"), "");
}

/// A wrong password in mid-life is not a matter of waiting: the answer is there to be read
/// and names the server's words; when it is right again, the task goes on.
#[test]
fn a_changed_password() {
    let (pair, proxy) = pair_behind_a_proxy();
    pair.start_task(TASK, &["public.*"]);
    pair.wait_for_state(DATABASE, TASK, "synchronizing");
    pair.destination.run("postgres", "ALTER ROLE courier PASSWORD 'changed'");
    proxy.cut();
    pair.source.run(DATABASE, "UPDATE items SET v = 7");
    let told = "concat(last_error, last_error_detail) LIKE '%password%'";
    pair.wait_until_in("task_details", TASK, "the task tells about the password", told);
    let shown = pair.task(DATABASE, TASK, "concat(last_error, last_error_detail, last_error_hint)");
    assert!(!shown.contains(pg_courier_tests::pair::PASSWORD), "{shown}");
    assert_mentions(&shown, &["courier"]);
    pair.source.run(DATABASE, "ALTER USER MAPPING FOR CURRENT_USER SERVER dr OPTIONS (SET password 'changed')");
    if pair.task(DATABASE, TASK, "state") == "failed" {
        pair.call(DATABASE, "resume", TASK);
    }
    pair.assert_mirrored(TASK, &SMALL);
    assert!(!pair.source.log().contains(pg_courier_tests::pair::PASSWORD), "no password in the log");
}
