//! The way of a task: a list of steps, each recorded when it is complete.
//!
//! ```text
//! step        what it does                                            recorded as
//! slot        makes the replication slot                              slot_lsn
//! claim       makes or claims the task's row on the destination       asked anew at each attempt
//! older gone  waits for transactions that the slot may miss           older_gone
//! pre-data    creates tables                                          stage full_copy
//! copy        copies each table under a snapshot                      stage post_data
//! post-data   creates indexes, constraints, triggers                  stage catching_up
//! catch up    streams until every copy is passed; foreign keys        stage synchronizing
//! follow      streams                                                 never complete
//! finish      a task without a stream ends here                       wanted = finished
//! ```
//! An attempt goes through the list with the task's row as it found it. A step that is complete is not run again, but what
//! it left behind is looked at: a slot can be lost, a destination put back to before the copy.

use super::claim::Claim;
use super::context::{Context, Outcome};
use super::copy::{Copy, Finish};
use super::follow::{CatchUp, Follow};
use super::schema::{PostData, PreData};
use super::slot::{OlderGone, Slot};
use crate::catalog::Task;
use crate::error::Result;
use crate::worker::failpoint;

pub trait Step {
    /// Names the failpoint in front of it.
    fn name(&self) -> &'static str;

    /// Does the task's row say that it is complete, or is it none of this task's?
    fn is_done(&self, task: &Task) -> bool;

    /// Is what it did still there? Asked in later attempts.
    fn still_holds(&self, _context: &mut Context<'_>) -> Result<()> {
        Ok(())
    }

    /// Does it, and records that it is done.
    fn run(&self, context: &mut Context<'_>) -> Outcome;
}

/// In their order.
const STEPS: [&dyn Step; 9] = [&Slot, &Claim, &OlderGone, &PreData, &Copy, &PostData, &CatchUp, &Follow, &Finish];

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
