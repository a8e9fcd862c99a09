//! Changes that the destination refused: task options, `courier.skip_change`, and what was decided.

use pgrx::prelude::*;

use super::coverage;
use super::tasks::{all_given, given, given_task, locked, run};
use crate::catalog::{ConflictPolicy, Task, Wanted};
use crate::destination::{Destination, Purpose};
use crate::error::{Error, Result, sqlstate};
use crate::logicalrep::words::counted;
use crate::logicalrep::{Lsn, names};
use crate::pg::text::Text;
use crate::pg::{report, spi, xact};
use crate::worker::Endpoint;
use crate::worker::claimant::Claimant;

#[pg_extern(sql = false)]
fn alter_options(
    task: Option<Text>,
    conflict: Option<Text>,
    forward_origins: Option<bool>,
    exclude: Option<Vec<Option<Text>>>,
) {
    let alter = || {
        let task = locked(&given("task", task)?)?;
        let policy = conflict.map(|text| ConflictPolicy::given(&text)).transpose()?.unwrap_or(task.conflict);
        let forward = forward_origins.unwrap_or(task.forward_origins);
        if exclude.is_none() && policy == task.conflict && forward == task.forward_origins {
            return Ok(());
        }
        check_stopped(&task)?;
        if exclude.is_some() {
            coverage::exclude(&task, all_given("exclude", exclude)?)?;
        }
        let forward = if forward { "t" } else { "f" };
        task.update("conflict = $2, forward_origins = $3::bool", &[Some(policy.as_str()), Some(forward)])
    };
    report::unwrap(alter())
}

/// The task's description is read by its workers when they start.
pub(super) fn check_stopped(task: &Task) -> Result<()> {
    if task.wanted != Wanted::Running || task.failed {
        return Ok(());
    }
    Err(Error::new(sqlstate::OBJECT_NOT_IN_PREREQUISITE_STATE, format!("task \"{}\" is running", task.name))
        .hint(format!("SELECT courier.pause('{0}'); -- then change it, then SELECT courier.resume('{0}');", task.name)))
}

#[pg_extern(sql = false)]
fn skip_change(task: Option<Text>, lsn: Option<Text>) {
    report::unwrap(given_task(task).and_then(|task| skip(&task, &given("lsn", lsn)?)))
}

fn skip(task: &Task, lsn: &str) -> Result<()> {
    let name = &task.name;
    if !task.failed {
        return Err(Error::new(
            sqlstate::OBJECT_NOT_IN_PREREQUISITE_STATE,
            format!("task \"{name}\" has not stopped at a change"),
        )
        .hint("SELECT task, state, last_error, last_error_lsn FROM courier.tasks;"));
    }
    let wanted: Lsn = lsn.parse().map_err(|message: String| Error::new(sqlstate::INVALID_PARAMETER_VALUE, message))?;
    if !task.last_error_lsn.is_valid() {
        return Err(Error::new(
            sqlstate::OBJECT_NOT_IN_PREREQUISITE_STATE,
            format!("task \"{name}\" did not stop at a change"),
        )
        .detail(format!("Its error: {}.", task.last_error.as_deref().unwrap_or("unknown")))
        .hint(format!("SELECT courier.resume({}); -- after the repair", names::quote_literal(name))));
    }
    if wanted != task.last_error_lsn {
        return Err(Error::new(
            sqlstate::INVALID_PARAMETER_VALUE,
            format!("task \"{name}\" did not stop at a change with LSN {lsn}"),
        )
        .detail(format!(
            "It stopped at the change with LSN {}; the LSN of a commit is not that of a change.",
            task.last_error_lsn
        ))
        .hint(skip_statement(name, task.last_error_lsn)));
    }
    task.update("skip_lsn = $2::pg_lsn", &[Some(lsn)])?;
    run(task)
}

/// The statement that leaves out the change at which a task stopped.
pub fn skip_statement(task: &str, lsn: Lsn) -> String {
    format!("SELECT courier.skip_change({}, '{lsn}');", names::quote_literal(task))
}

/// Rows of the destination's `courier_applied.conflicts` as JSON. Other tasks have rows to show when a destination is out of
/// reach, so that is a row as well: no rows would read as no conflicts.
#[pg_extern(sql = false)]
fn conflicts_internal(task: Text) -> Vec<Text> {
    report::unwrap(Task::for_role(&task, xact::user_id()).map(|task| {
        let rows = read(&task).unwrap_or_else(|error| vec![not_known(&error)]);
        rows.into_iter().map(Text::from).collect()
    }))
}

fn not_known(error: &Error) -> String {
    let message = format!("the destination could not be asked: {}", error.message());
    serde_json::json!({ "decision": "not known", "sqlstate": error.sqlstate(), "message": message }).to_string()
}

fn read(task: &Task) -> Result<Vec<String>> {
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

#[pg_extern(sql = false)]
fn clear_conflicts(task: Option<Text>, before: Option<Text>) -> i64 {
    let clear = || clear(&Task::for_role(&given("task", task)?, xact::user_id())?, &given("before", before)?);
    report::unwrap(clear())
}

/// Removes what was decided before a time, and says so in `courier.events`: the list is what an operator has to look into.
fn clear(task: &Task, before: &str) -> Result<i64> {
    let Some(mut destination) = keeper(task)? else { return Ok(0) };
    // A copy of the server has nothing to remove there.
    let claimant = Claimant::of(task)?;
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
