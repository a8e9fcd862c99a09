//! The replication slot, and the transactions that it may miss.
//!
//! The copy begins only when every transaction that might have written its commit record before the slot's start is visible:
//! such a transaction is in no stream, so it has to be in every copy.

use std::sync::atomic::Ordering::Relaxed;

use super::context::{Context, Outcome, show};
use super::retry::FOLLOW_EVERY;
use super::step::Step;
use crate::catalog::Task;
use crate::error::{Error, Result, sqlstate};
use crate::logicalrep::words::counted;
use crate::logicalrep::{Lsn, names};
use crate::pg::{latch, xact};
use crate::source::SlotState;
use crate::task::processes::WorkerMode;

pub struct Slot;

impl Step for Slot {
    fn name(&self) -> &'static str {
        "slot"
    }

    fn is_done(&self, task: &Task) -> bool {
        !task.incremental || task.slot_lsn.is_valid()
    }

    fn still_holds(&self, context: &mut Context<'_>) -> Result<()> {
        if context.task.incremental && find(context)?.is_none() {
            return Err(lost(&names::slot_name(&context.task.name)));
        }
        Ok(())
    }

    fn run(&self, context: &mut Context<'_>) -> Outcome {
        let lsn = match find(context)? {
            // Made by a supervisor that died before it could note it; nothing has been copied or streamed.
            Some(lsn) => lsn,
            None => create(context)?,
        };
        xact::in_transaction(|| context.task.update("slot_lsn = $2::pg_lsn", &[Some(&lsn.to_string())]))?;
        context.found.slot_lsn = lsn;
        Ok(())
    }
}

fn find(context: &mut Context<'_>) -> Result<Option<Lsn>> {
    let there = xact::in_transaction(|| context.source.slot())?;
    there.map(|slot| start_of(&names::slot_name(&context.task.name), &slot)).transpose()
}

/// What the task's slot has confirmed; it is an error when it is not the task's, or of no use any more.
fn start_of(name: &str, slot: &SlotState) -> Result<Lsn> {
    if !slot.is_ours {
        return Err(Error::new(
            sqlstate::DUPLICATE_OBJECT,
            format!("replication slot \"{name}\" belongs to something else"),
        )
        .hint("Slot names are shared by all databases of the cluster. Drop the task and use another name."));
    }
    if slot.is_lost { Err(lost(name)) } else { Ok(slot.confirmed) }
}

/// An apply worker makes it, as it is the one that may decode.
fn create(context: &mut Context<'_>) -> Result<Lsn> {
    let handle = context.workers.start_apply_worker(WorkerMode::CreateSlot)?;
    while !handle.is_stopped() {
        // It waits for each transaction that runs now; who that is helps more than that it does.
        let pid = context.status.apply_worker().process.pid();
        let blockers = pid.map(|pid| xact::in_transaction(|| context.source.blockers_of(pid))).transpose()?;
        context.show(&match blockers.filter(|blockers| !blockers.is_empty()) {
            Some(blockers) => format!("creating the replication slot; waits for the transaction of {blockers}"),
            None => "creating the replication slot".to_owned(),
        });
        latch::wait(Some(FOLLOW_EVERY));
    }
    context.workers.take_apply_error()?;
    let lsn = Lsn(context.status.slot_lsn.load(Relaxed));
    if !lsn.is_valid() {
        return Err(Error::new(sqlstate::OBJECT_IN_USE, "the slot could not be created yet"));
    }
    Ok(lsn)
}

fn lost(slot: &str) -> Error {
    Error::new(sqlstate::OBJECT_NOT_IN_PREREQUISITE_STATE, format!("replication slot \"{slot}\" is lost"))
        .detail(
            "It was dropped, or the WAL it needs was removed (max_slot_wal_keep_size), or this server was a standby that had \
             no synchronized copy of it; changes are missing.",
        )
        .hint("Drop the task, empty its tables on the destination, create it anew with schema_sync => false, and start it.")
}

pub struct OlderGone;

impl Step for OlderGone {
    fn name(&self) -> &'static str {
        "older_gone"
    }

    fn is_done(&self, task: &Task) -> bool {
        !task.incremental || task.older_gone
    }

    fn run(&self, context: &mut Context<'_>) -> Outcome {
        let status = context.status.clone();
        context.source.wait_for_older(&mut |left, holder| {
            let left = counted(left as u64, "transaction");
            show(&status, &format!("waiting for {left} of before the slot, now {holder}"));
        })?;
        Ok(xact::in_transaction(|| context.task.update("older_gone = true", &[]))?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_slot_of_the_task_that_has_its_wal_is_gone_on_with() {
        let good = SlotState {
            database: Some("shop".to_owned()),
            is_ours: true,
            is_lost: false,
            is_synced: false,
            confirmed: Lsn(7),
            kept: 0,
        };
        let cases = [
            (good.clone(), Ok(Lsn(7))),
            (SlotState { is_synced: true, ..good.clone() }, Ok(Lsn(7))),
            (SlotState { is_lost: true, ..good.clone() }, Err(sqlstate::OBJECT_NOT_IN_PREREQUISITE_STATE)),
            (SlotState { is_ours: false, ..good.clone() }, Err(sqlstate::DUPLICATE_OBJECT)),
            // Whose it is comes first: that one's WAL is none of ours.
            (SlotState { is_ours: false, is_lost: true, ..good }, Err(sqlstate::DUPLICATE_OBJECT)),
        ];
        for (slot, expected) in cases {
            let start = start_of("courier_shop", &slot);
            assert_eq!(start.as_ref().map_err(Error::sqlstate).copied(), expected, "{slot:?}");
        }
    }
}
