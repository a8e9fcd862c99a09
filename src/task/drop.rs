//! `courier.drop_task()`: what a task leaves behind is removed, on both sides.

use super::{identity, processes};
use crate::catalog::{Task, Wanted};
use crate::destination::{Claimant, Endpoint, Purpose, removal_of};
use crate::error::{Result, sqlstate};
use crate::failpoint;
use crate::logicalrep::HELPER_SCHEMA;
use crate::pg::{report, spi, xact};
use crate::source;

pub fn drop_task(task: Task, restore_replica_identity: bool) -> Result<()> {
    processes::stop(&task)?;
    failpoint::hit("drop_task_after_stop")?;
    if restore_replica_identity {
        identity::restore(&task)?;
    }
    let mut source = source::of(&task);
    let has_slot = source.slot()?.is_some_and(|slot| slot.is_ours);
    // Asked while the slot is there.
    let leaving = (task.wanted != Wanted::Created).then(|| {
        let claimant = Claimant::of(&task, source.as_mut())?;
        claimant.check_source(&task)?;
        Ok((claimant, Endpoint::of(&task)?))
    });
    spi::as_extension(|| {
        let id = task.id.to_string();
        spi::execute("DELETE FROM courier.rewritten_table WHERE task_id = $1::int", &[Some(&id)])?;
        spi::execute("DELETE FROM courier.task WHERE id = $1::int", &[Some(&id)])
    })?;
    // No rollback brings back a slot, or rows on another server.
    xact::before_commit("cannot prepare a transaction that drops a task of pg_courier", move || {
        if has_slot {
            source.drop_slot()?;
        }
        if let Some(leaving) = leaving {
            forget_on_destination(&task, leaving);
        }
        Ok(())
    });
    Ok(())
}

/// A destination that is gone for good must not keep a slot, and with it WAL, on the source: its rows stay then.
fn forget_on_destination(task: &Task, leaving: Result<(Claimant, Endpoint)>) {
    let outcome =
        leaving.and_then(|(claimant, endpoint)| endpoint.open(Purpose::Control)?.forget_task(&claimant.claim(task)));
    let Err(error) = outcome else { return };
    let remove = removal_of(&task.uuid);
    if error.sqlstate() == sqlstate::OBJECT_NOT_IN_PREREQUISITE_STATE {
        // A copy of the server that writes there.
        let detail = error.detail_text().unwrap_or_default();
        report::warning(&format!(
            "nothing was removed on the destination: {}. {detail} Only if nobody else is to run the task any more, remove its rows there: {remove}",
            error.message()
        ));
        return;
    }
    report::warning(&format!(
        "the task's rows in schema {HELPER_SCHEMA} of the destination stay: {}; if no other server (of which this one may be a copy) \
         runs the task, remove them there later: {remove}",
        error.message()
    ));
}
