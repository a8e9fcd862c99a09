//! What was decided about changes that met another row than expected: the list is kept on the destination.

use crate::catalog::Task;
use crate::destination::{Claimant, Destination, Endpoint, Purpose};
use crate::error::Result;
use crate::logicalrep::words::counted;
use crate::pg::{spi, xact};
use crate::source;

pub fn read(task: &Task) -> Result<Vec<String>> {
    let Some(mut destination) = keeper(task)? else { return Ok(Vec::new()) };
    destination.conflicts(&task.uuid, &readable(task)?)
}

/// Tables of the task that the caller may read.
fn readable(task: &Task) -> Result<String> {
    let (id, caller) = (task.id.to_string(), xact::user_id().to_string());
    let row = spi::as_extension(|| {
        spi::query_one(
            "SELECT COALESCE(pg_catalog.array_agg(t.relid), '{}') FROM courier.task_table t WHERE t.task_id = $1::int \
             AND COALESCE(pg_catalog.has_table_privilege($2::oid, t.relid, 'SELECT'), false)",
            &[Some(&id), Some(&caller)],
        )
    })?;
    row.string(0)
}

/// The task's destination, if it has the table already.
fn keeper(task: &Task) -> Result<Option<Destination>> {
    // Whoever looks at a list does not wait for long.
    let mut destination = Endpoint::of(task)?.for_extras().open(Purpose::Control)?;
    destination.check_helper_schema()?;
    Ok(destination.keeps_conflicts()?.then_some(destination))
}

/// Removes what was decided before a time, and says so in `courier.events`: the list is what an operator has to look into.
pub fn clear(task: &Task, before: &str) -> Result<i64> {
    let Some(mut destination) = keeper(task)? else { return Ok(0) };
    // A copy of the server has nothing to remove there.
    let claimant = Claimant::of(task, source::of(task).as_mut())?;
    claimant.check_source(task)?;
    destination.check_writer(&claimant.claim(task))?;
    let count = destination.clear_conflicts(&task.uuid, before)?;
    if count > 0 {
        spi::as_extension(|| {
            spi::query(
                "SELECT courier.record_event($1, $2::oid, 'conflicts', format('%s of courier.conflicts removed by %s', \
                 $3, session_user), format('Those before %s.', $4))",
                &[Some(&task.name), Some(&task.owner.to_string()), Some(&counted(count, "row")), Some(before)],
            )
        })?;
    }
    Ok(count)
}
