//! `courier.alter_task()`: options of a task that is not running, and what it does about commands, which a running one is restarted for.

use super::create::check_policies;
use super::{check_stopped, definitions, restarted, tables};
use crate::catalog::{ConflictPolicy, DdlPolicy, Stage, Task};
use crate::error::{Error, Result, sqlstate};
use crate::logicalrep::names::quote_literal;
use crate::logicalrep::words::counted;
use crate::pg::{report, spi};

/// What is to change; `None` leaves an option as it is.
pub struct Changes {
    pub conflict: Option<ConflictPolicy>,
    pub forward_origins: Option<bool>,
    /// Patterns that are left out from now on, besides those that are already.
    pub exclude: Option<Vec<String>>,
    pub ddl: Option<DdlPolicy>,
}

pub fn alter(task: &Task, changes: Changes) -> Result<()> {
    let policy = changes.conflict.unwrap_or(task.conflict);
    let forward = changes.forward_origins.unwrap_or(task.forward_origins);
    let ddl = changes.ddl.unwrap_or(task.ddl);
    let is_about_ddl = ddl != task.ddl;
    let is_about_more = changes.exclude.is_some() || policy != task.conflict || forward != task.forward_origins;
    if !is_about_ddl && !is_about_more {
        return Ok(());
    }
    check_policies(ddl, policy)?;
    if is_about_more {
        check_stopped(task)?;
    }
    restarted(task, || {
        if let Some(patterns) = changes.exclude {
            tables::exclude(task, patterns)?;
        }
        if is_about_ddl {
            change_ddl(task, ddl)?;
        }
        let forward = if forward { "t" } else { "f" };
        task.update("conflict = $2, forward_origins = $3::bool", &[Some(policy.as_str()), Some(forward)])
    })
}

/// What has been applied is known from the beginning of the task, or from a comparison with the destination; what an earlier time knew
/// says nothing about it.
fn change_ddl(task: &Task, ddl: DdlPolicy) -> Result<()> {
    let concerns_model = task.incremental && (ddl == DdlPolicy::Replicate || task.has_model());
    let is_copying = task.stage > Stage::Created && task.stage < Stage::CatchingUp;
    if concerns_model && is_copying {
        return Err(Error::new(
            sqlstate::OBJECT_NOT_IN_PREREQUISITE_STATE,
            format!("task \"{}\" is copying tables", task.name),
        )
        .detail("Their definitions are taken over by the rule that was there when the copy began.")
        .hint(format!(
            "SELECT state, phase FROM courier.tasks WHERE task = {}; -- again when it synchronizes",
            quote_literal(&task.name)
        )));
    }
    if task.has_model() {
        tell_what_is_missed(task)?;
    }
    if concerns_model && ddl == DdlPolicy::Replicate && task.stage > Stage::Created {
        definitions::take_over(task)?;
    }
    task.update("ddl = $2, capture_due = capture_due AND $2 = 'replicate'", &[Some(ddl.as_str())])
}

fn tell_what_is_missed(task: &Task) -> Result<()> {
    let sql = "SELECT count(*), min(l.id) FROM courier.ddl_log l WHERE l.at >= (SELECT t.started_at FROM courier.task t WHERE t.id = $1::int) \
               AND NOT EXISTS (SELECT FROM courier.ddl_done d WHERE d.task_id = $1::int AND d.id = l.id)";
    let row = spi::as_extension(|| spi::query_one(sql, &[Some(&task.id.to_string())]))?;
    let missed = row.parse::<i64>(0)?;
    if missed > 0 {
        report::warning(&format!(
            "{} that {} not been applied will not be, from number {} on: do the same on the destination, or rows that need it stop the task",
            counted(missed, "command"),
            if missed == 1 { "has" } else { "have" },
            row.text(1)?
        ));
    }
    Ok(())
}
