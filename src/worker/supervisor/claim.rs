//! The task's row on the destination: who writes there for the task. See `destination/claim.rs`.

use super::context::{Context, Outcome};
use super::step::Step;
use crate::catalog::Task;
use crate::destination::Missing;
use crate::pg::xact;

pub struct ClaimRow;

impl Step for ClaimRow {
    fn name(&self) -> &'static str {
        "claim"
    }

    /// Who writes is told anew at each attempt.
    fn is_done(&self, _task: &Task) -> bool {
        false
    }

    /// The row is claimed when the destination is entered, unless it has to be made: then the slot is there now, and the row
    /// begins at its start.
    fn run(&self, context: &mut Context<'_>) -> Outcome {
        let (task, claimant, start) = (context.task, context.claimant.clone(), context.found.slot_lsn);
        if context.found.lease.is_none() {
            let make = Missing::Make(start);
            context.found.lease =
                context.with_destination(|_, destination| destination.claim(&claimant.claim(task), make))?;
        }
        let found = &context.found;
        xact::in_transaction(|| {
            if found.destination_id.is_some() && task.destination_id != found.destination_id {
                task.update("destination_id = $2", &[found.destination_id.as_deref()])?;
            }
            found.lease.as_deref().map_or(Ok(()), |lease| task.note_lease(lease))?;
            task.note_reached()
        })?;
        Ok(())
    }
}
