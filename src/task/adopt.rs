//! `courier.adopt()`: a person says that this server, or this destination, is the right one.

use super::processes::supervisor_is_alive;
use super::start::run;
use crate::catalog::{Task, Wanted};
use crate::destination::{Claimant, Endpoint, Purpose};
use crate::error::{Error, Result, sqlstate};
use crate::logicalrep::names;
use crate::pg::{report, spi};
use crate::source;

/// This server, or this destination, is the right one, says a person. Whoever wrote before is shut out.
pub fn adopt(task: &Task) -> Result<()> {
    let name = names::quote_literal(&task.name);
    let refused = |message: String| Error::new(sqlstate::OBJECT_NOT_IN_PREREQUISITE_STATE, message);
    if task.wanted == Wanted::Created {
        return Err(refused(format!("task \"{}\" has not been started", task.name))
            .hint(format!("SELECT courier.start({name});")));
    }
    if task.wanted == Wanted::Running && !task.failed && supervisor_is_alive(task) {
        return Err(refused(format!("task \"{}\" is running", task.name))
            .detail("Only a task that was refused has something to adopt.")
            .hint(format!("SELECT courier.pause({name}); first, if it really has to be.")));
    }
    let claimant = Claimant::of(task, source::of(task).as_mut())?;
    if task.incremental && task.slot_lsn.is_valid() && !claimant.has_slot() {
        return Err(refused(format!("replication slot \"{}\" is not in this database", names::slot_name(&task.name)))
            .detail("Without it the changes since the last one on the destination are not to be had here: this is a copy without the slot.")
            .hint(format!(
                "SELECT courier.drop_task({name}); removes the task here; the destination stays as it is."
            )));
    }
    let leases =
        spi::as_extension(|| spi::query_one("SELECT pg_catalog.gen_random_uuid(), pg_catalog.gen_random_uuid()", &[]))?;
    let (lease, next) = (leases.text(0)?, leases.text(1)?);
    let mut destination = Endpoint::of(task)?.open(Purpose::Control)?;
    let others = destination.adopt(&claimant.claim(task), lease)?;
    let destination_id = destination.database_id()?;
    task.update(
        "lease = $2::uuid, next_lease = $3::uuid, source_id = $4, destination_id = $5",
        &[Some(lease), Some(next), Some(&claimant.source_id), destination_id.as_deref()],
    )?;
    spi::as_extension(|| {
        spi::query(
            "SELECT courier.record_event($1, $2::oid, 'adopted', format('%s made this server the one that writes for the task', session_user), \
             'Another one had written for it up to ' || $3 || '.')",
            &[Some(&task.name), Some(&task.owner.to_string()), others.map(|end| end.to_string()).as_deref()],
        )
    })?;
    if let Some(end) = others {
        // Nobody can tell where two servers of one origin parted, and positions after that mean something else on each.
        report::warning(&format!(
            "another server wrote last for task {name}, up to {end}: if both were written to since one was copied, what the other one \
             sent stays on the destination, and what was committed here up to {end} may not be sent; once the task has caught up, \
             SELECT * FROM courier.verify({name}); says which tables differ"
        ));
    }
    if task.wanted == Wanted::Running { run(task) } else { Ok(()) }
}
