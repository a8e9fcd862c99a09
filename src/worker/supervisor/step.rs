//! What a step of a task's way is; `steps` has the list.

use super::context::{Context, Outcome};
use crate::catalog::Task;
use crate::error::Result;

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
