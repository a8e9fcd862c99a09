//! The steps that a supervisor takes a task through, one by one.

use pg_courier_tests::pair::DATABASE;
use pg_courier_tests::{Pair, TaskOptions};

use crate::common::{SMALL, TASK, assert_mentions, create_small_tables};

/// Lets a task fail in front of each of `steps`, and resumes it each time: whatever was done before is neither lost nor
/// done again.
fn fail_before_each(pair: &Pair, steps: &[&str]) {
    for (number, step) in steps.iter().enumerate() {
        pair.source.arm(&format!("supervisor_before_{step}:error"));
        pair.call(DATABASE, if number == 0 { "start" } else { "resume" }, TASK);
        pair.wait_until_in("tasks", TASK, "it fails before the step", "state = 'failed'");
        assert_mentions(&pair.task(DATABASE, TASK, "last_error"), &[&format!("failpoint supervisor_before_{step}")]);
    }
    pair.source.disarm();
    pair.call(DATABASE, "resume", TASK);
}

#[test]
fn a_stream_goes_on_at_the_step_that_failed() {
    let pair = Pair::start();
    create_small_tables(&pair);
    pair.create_task(DATABASE, TASK, &["public.*"], &TaskOptions::default());
    let steps = ["slot", "claim", "older_gone", "pre_data", "copy", "post_data", "catch_up", "follow"];
    fail_before_each(&pair, &steps);
    pair.assert_mirrored(TASK, &SMALL);
    pair.source.assert_not_crashed();
}

#[test]
fn a_copy_goes_on_at_the_step_that_failed() {
    let pair = Pair::start();
    create_small_tables(&pair);
    let options = TaskOptions { incremental: Some(false), ..TaskOptions::default() };
    pair.create_task(DATABASE, TASK, &["public.*"], &options);
    fail_before_each(&pair, &["claim", "pre_data", "copy", "post_data", "finish"]);
    pair.wait_for_state(DATABASE, TASK, "finished");
    pair.assert_same(DATABASE, &SMALL);
    pair.source.assert_not_crashed();
}

/// A newer version has written a stage that this one does not know, before somebody went back to this one. Whoever took
/// it for the first stage would create and copy everything again.
#[test]
fn a_stage_that_nobody_knows_is_not_taken_for_another() {
    let pair = Pair::start();
    create_small_tables(&pair);
    pair.start_task(TASK, &["public.*"]);
    pair.assert_mirrored(TASK, &SMALL);
    pair.call(DATABASE, "pause", TASK);
    pair.source.run(
        DATABASE,
        "ALTER TABLE courier.task DROP CONSTRAINT task_stage_check; UPDATE courier.task SET stage = 'cutover'",
    );
    let answer = pair.source.refuses(DATABASE, &format!("SELECT courier.resume('{TASK}')"));
    assert_mentions(&answer.message, &["courier.task.stage is \"cutover\"", "does not know"]);
    pair.source.run(DATABASE, "UPDATE courier.task SET stage = 'synchronizing', wanted = 'paused'");
    pair.call(DATABASE, "resume", TASK);
    pair.assert_mirrored(TASK, &SMALL);
}
