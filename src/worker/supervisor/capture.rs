//! A task that left definitions to people applies commands from now on (`task/definitions.rs`): what nobody has said is said now.
//!
//! ```text
//!   alter_task           takes definitions as they are, and compares them with the destination
//!   its commit           from here on commands leave rows in courier.ddl_log
//!   older gone           those that ran before, and left none, have ended
//!   capture              definitions of all tables once more, as a row of the log: what such a transaction has changed is in it
//! ```

use super::context::{Context, Outcome};
use super::step::Step;
use crate::catalog::coverage::{self, Gap};
use crate::catalog::{Task, tables};
use crate::ddl_capture::by_hand;
use crate::error::Result;
use crate::pg::xact;

pub struct Capture;

impl Step for Capture {
    fn name(&self) -> &'static str {
        "capture"
    }

    fn is_done(&self, task: &Task) -> bool {
        !task.capture_due
    }

    fn run(&self, context: &mut Context<'_>) -> Outcome {
        let task = context.task;
        context.show("capturing definitions");
        Ok(xact::in_transaction(|| {
            let mut all = tables::all_of_task(task.id)?;
            all.extend(unfollowed(task)?);
            by_hand::tables(&all)?;
            task.update("capture_due = false", &[])
        })?)
    }
}

/// Tables that were made without a word, and the patterns name: this is the word.
fn unfollowed(task: &Task) -> Result<Vec<u32>> {
    let not_followed = |gap: &Gap| match gap {
        Gap::NotFollowed { oid, .. } => Some(*oid),
        _ => None,
    };
    Ok(coverage::gaps(task)?.iter().filter_map(not_followed).collect())
}
