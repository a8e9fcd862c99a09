//! The way of a task: a list of steps, each recorded when it is complete.
//!
//! ```text
//! step        what it does                                            recorded as
//! slot        makes the replication slot                              slot_lsn
//! claim       makes or claims the task's row on the destination       asked anew at each attempt
//! older gone  waits for transactions that the slot may miss           older_gone
//! capture     says what commands of before have left unsaid            capture_due
//! pre-data    creates tables                                          stage full_copy
//! copy        copies each table under a snapshot                      stage post_data
//! post-data   creates indexes, constraints, triggers                  stage catching_up
//! catch up    streams until every copy is passed; foreign keys        stage synchronizing
//! follow      streams                                                 never complete
//! finish      a task without a stream ends here                       wanted = finished
//! ```
//! An attempt goes through the list with the task's row as it found it. A step that is complete is not run again, but what
//! it left behind is looked at: a slot can be lost, a destination put back to before the copy.

use super::capture::Capture;
use super::claim::ClaimRow;
use super::context::{Context, Outcome};
use super::copy::{Copy, Finish};
use super::follow::{CatchUp, Follow};
use super::schema::{PostData, PreData};
use super::slot::{OlderGone, Slot};
use super::step::Step;
#[cfg(test)]
use crate::catalog::Task;
use crate::failpoint;

macro_rules! in_this_order {
    ($($step:ident),+) => {
        const STEPS: &[&dyn Step] = &[$(&$step),+];

        /// The names of those that are not complete. Without a table of functions: running one takes a server.
        #[cfg(test)]
        fn left(task: &Task) -> Vec<&'static str> {
            let mut left = Vec::new();
            $(if !$step.is_done(task) {
                left.push($step.name());
            })+
            left
        }
    };
}

in_this_order!(Slot, ClaimRow, OlderGone, Capture, PreData, Copy, PostData, CatchUp, Follow, Finish);

/// Takes the task from where it is to where it ends.
pub fn walk(context: &mut Context<'_>) -> Outcome {
    for step in STEPS {
        if step.is_done(context.task) {
            step.still_holds(context)?;
        } else {
            failpoint::hit(&format!("supervisor_before_{}", step.name()))?;
            step.run(context)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::{Scope, Stage};
    use crate::logicalrep::Lsn;

    fn task(incremental: bool, stage: Stage) -> Task {
        let sample = Task::sample();
        let scope = Scope { incremental, ..sample.scope.clone() };
        let has_slot = incremental && stage > Stage::Created;
        let slot_lsn = if has_slot { Lsn(1) } else { Lsn::INVALID };
        Task { scope, stage, slot_lsn, older_gone: has_slot, capture_due: false, ..sample }
    }

    #[test]
    fn what_is_left_to_do_at_each_stage() {
        let stream = ["pre_data", "copy", "post_data", "catch_up", "follow"];
        let copy = ["pre_data", "copy", "post_data", "finish"];
        // How many of them are complete.
        let stages = [
            (Stage::SchemaSync, 0),
            (Stage::FullCopy, 1),
            (Stage::PostData, 2),
            (Stage::CatchingUp, 3),
            (Stage::Synchronizing, 4),
        ];
        for (stage, done) in stages {
            assert_eq!(left(&task(true, stage)), [&["claim"], &stream[done..]].concat(), "{stage:?}");
            assert_eq!(left(&task(false, stage)), [&["claim"], &copy[done.min(3)..]].concat(), "{stage:?}, a copy");
        }
        assert_eq!(left(&task(true, Stage::Created)), [&["slot", "claim", "older_gone"], &stream[..]].concat());
        assert_eq!(left(&task(false, Stage::Created)), [&["claim"], &copy[..]].concat());
    }

    #[test]
    fn a_supervisor_that_died_over_a_step_does_it_again() {
        // The slot is noted, and older transactions may still run.
        let task = Task { older_gone: false, slot_lsn: Lsn(1), ..task(true, Stage::Created) };
        assert_eq!(left(&task)[..2], ["claim", "older_gone"]);
    }

    #[test]
    fn definitions_are_captured_before_the_stream_goes_on() {
        let task = Task { capture_due: true, older_gone: false, ..task(true, Stage::Synchronizing) };
        assert_eq!(left(&task), ["claim", "older_gone", "capture", "follow"]);
    }

    #[test]
    fn nothing_after_a_step_that_is_left_is_done() {
        for incremental in [true, false] {
            let stages = [Stage::Created, Stage::SchemaSync, Stage::FullCopy, Stage::PostData, Stage::CatchingUp];
            for pair in stages.windows(2) {
                let (before, after) = (left(&task(incremental, pair[0])), left(&task(incremental, pair[1])));
                assert!(after.len() <= before.len() && after.iter().all(|step| before.contains(step)));
            }
        }
    }
}
