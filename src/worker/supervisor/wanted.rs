//! What the task's row asks of its supervisor, and how the supervisor leaves when it is not wanted any more.

use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use super::kept::terminate_workers;
use crate::catalog::{self, Task, Wanted};
use crate::error::{Error, Result, sqlstate};
use crate::logicalrep::names;
use crate::pg::{latch, xact};
use crate::source;
use crate::task::status::TaskStatus;
use crate::worker::wal_guard::GuardOrder;

/// What the task's row asks; there is none when there is no row any more, or no extension.
pub enum Asked {
    Run(Box<Task>),
    Rest,
}

impl Asked {
    /// Inside a transaction.
    pub fn look(task: i32) -> Result<Option<Asked>> {
        if !catalog::is_installed()? {
            return Ok(None);
        }
        let task = Task::find_by_id(task)?;
        Ok(task.map(|task| match task.wanted {
            Wanted::Running if !task.failed => Asked::Run(Box::new(task)),
            _ => Asked::Rest,
        }))
    }

    /// In a transaction of its own.
    pub fn is_to_run(task: i32) -> Result<bool> {
        Ok(matches!(xact::in_transaction(|| Asked::look(task))?, Some(Asked::Run(_))))
    }
}

/// The task's row does not ask for processes any more, and nobody told us. If the extension was dropped below its tasks the
/// guards of that were evaded, and what keeps WAL now is nobody's.
pub fn end_unwanted(task: &Task) -> Result<()> {
    terminate_workers();
    if xact::in_transaction(|| Asked::look(task.id))?.is_some() || !task.incremental {
        return Ok(());
    }
    let slot = names::slot_name(&task.name);
    if xact::in_transaction(|| source::of(task).slot())?.is_none() {
        return Ok(());
    }
    let drop = format!("SELECT pg_catalog.pg_drop_replication_slot({});", names::quote_literal(&slot));
    task.log(
        &Error::new(sqlstate::UNDEFINED_OBJECT, "the task is gone, its processes end")
            .detail(format!(
                "The extension was dropped, or the task's row deleted. Replication slot \"{slot}\" stays and keeps WAL."
            ))
            .hint(drop),
        "ends",
    );
    Ok(())
}

/// The slot keeps too much WAL: the task is recorded as paused or failed, and its processes go.
pub fn end_for_guard(task: &Task, status: &TaskStatus, order: GuardOrder) -> Result<()> {
    /// A worker that does not end in this time keeps its slot; the launcher looks after that.
    const PATIENCE: Duration = Duration::from_secs(60);
    terminate_workers();
    let deadline = Instant::now() + PATIENCE;
    while status.workers.iter().any(|worker| worker.process.is_alive()) && Instant::now() < deadline {
        latch::wait(Some(Duration::from_millis(20)));
    }
    order.carry_out(task)
}

/// A worker that crashes takes the whole server through recovery. If that happens again and again the task is the
/// likely cause, and the source comes first: the task fails and waits for a person.
pub fn crashes_too_often(task: &Task) -> Result<bool> {
    const MANY: i64 = 10;
    let starts = task.count_start()?;
    if starts <= MANY {
        return Ok(false);
    }
    let error = Error::new(
        "57P02",
        format!("the task was started {starts} times in a row without coming to an end or to rest"),
    )
    .detail("Its processes were killed, or they crash; a crash takes the whole server through recovery.")
    .hint(format!(
        "Look for \"terminated by signal\" in the server log, then SELECT courier.resume({});",
        names::quote_literal(&task.name)
    ));
    task.log(&error, "failed");
    task.record_error(&error, true, None)?;
    Ok(true)
}

/// Whoever stops the task does not want another supervisor; an administrator who ended only this process does.
pub fn is_stopping(status: &TaskStatus) -> bool {
    status.stopping.load(Relaxed) == 1
}
