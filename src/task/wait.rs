//! Waiting until the destination has everything that was committed before, the last of the schema included, and keeps it
//! through a crash.

use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use super::refuse_on_standby;
use super::status::TaskStatus;
use crate::catalog::{Stage, Task, Wanted};
use crate::error::{Error, Result, sqlstate};
use crate::logicalrep::Lsn;
use crate::pg::dsm::Segment;
use crate::pg::{latch, spi, xact};
use crate::source;

/// Nobody announces that a task has failed or was paused: look this often.
const PATIENCE: Duration = Duration::from_millis(200);

/// Waits until everything committed before now is durable on the destination, sequences included. Returns the position waited for.
pub fn wait(name: &str, timeout: Duration) -> Result<Lsn> {
    refuse_on_standby()?;
    let deadline = Instant::now() + timeout;
    let task = look(name)?;
    check_running(&task)?;
    if !task.incremental {
        return wait_until_finished(name, deadline).map(|()| Lsn::INVALID);
    }
    let mark = source::of(&task).mark();
    let mut asked: Option<(u32, u32)> = None;
    let mut seen = Instant::now();
    loop {
        let task = look(name)?;
        check_running(&task)?;
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(timed_out(&task, mark));
        }
        let status = Segment::<TaskStatus>::peek(task.segment).filter(|status| status.belongs_to(task.id));
        check_processes(&task, status.as_deref(), &mut seen)?;
        // Before it synchronizes the destination has no foreign keys yet.
        let Some(status) = status.filter(|_| task.stage >= Stage::Synchronizing) else {
            latch::wait(Some(PATIENCE.min(left)));
            continue;
        };
        // Committed there is not enough: a crash there could take it back.
        status.want_durable(mark);
        status.apply_worker().process.nudge();
        let patience = PATIENCE.min(left);
        let _waiter = status.wait();
        let arrived = status.changed.wait_until(patience, patience, || status.durable() >= mark);
        if arrived {
            // The values of sequences are asked for once the rows are over.
            let (segment, wanted) = match asked {
                Some((segment, wanted)) if segment == task.segment => (segment, wanted),
                _ => (task.segment, status.sequences_wanted.fetch_add(1, Relaxed) + 1),
            };
            asked = Some((segment, wanted));
            status.supervisor.nudge();
            let done = || status.sequences_done.load(Relaxed).wrapping_sub(wanted) as i32 >= 0;
            if status.changed.wait_until(patience, patience, done) {
                let trouble = status.sequences_trouble();
                return if trouble.is_empty() { Ok(mark) } else { Err(without_sequences(&look(name)?, &trouble)) };
            }
        }
    }
}

/// The task as it is now, also where the caller's transaction sees the world as it was when it began.
fn look(name: &str) -> Result<Task> {
    spi::with_latest_snapshot(|| Task::for_role(name, xact::user_id()))
}

/// Nobody brings what is waited for when none of the task's processes runs. One that was killed is back before this gives up.
fn check_processes(task: &Task, status: Option<&TaskStatus>, seen: &mut Instant) -> Result<()> {
    const GRACE: Duration = Duration::from_secs(10);
    if status.is_some_and(|status| status.supervisor.is_alive()) {
        *seen = Instant::now();
    }
    if task.wanted != Wanted::Running || seen.elapsed() < GRACE {
        return Ok(());
    }
    Err(Error::new(
        sqlstate::OBJECT_NOT_IN_PREREQUISITE_STATE,
        format!("task \"{}\" should run, and none of its processes does", task.name),
    )
    .hint(format!("SELECT courier.resume('{}');", task.name)))
}

/// All rows are there, and sequences are not: who would switch over now would give numbers twice.
fn without_sequences(task: &Task, trouble: &str) -> Error {
    let error = Error::new(
        sqlstate::OBJECT_NOT_IN_PREREQUISITE_STATE,
        format!("task \"{}\" could not bring sequences to the destination", task.name),
    )
    .detail(format!("All rows are there. About the sequences: {trouble}."));
    match &task.last_error_hint {
        Some(hint) => error.hint(hint.clone()),
        None => {
            error.hint(format!("SELECT last_error, last_error_hint FROM courier.tasks WHERE task = '{}';", task.name))
        }
    }
}

fn wait_until_finished(name: &str, deadline: Instant) -> Result<()> {
    let mut seen = Instant::now();
    loop {
        let task = look(name)?;
        let status = Segment::<TaskStatus>::peek(task.segment).filter(|status| status.belongs_to(task.id));
        check_processes(&task, status.as_deref(), &mut seen)?;
        if task.wanted == Wanted::Finished {
            return Ok(());
        }
        check_running(&task)?;
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(timed_out(&task, Lsn::INVALID));
        }
        latch::wait(Some(PATIENCE.min(left)));
    }
}

fn check_running(task: &Task) -> Result<()> {
    let stopped =
        |state: &str| Error::new(sqlstate::OBJECT_NOT_IN_PREREQUISITE_STATE, format!("task \"{}\" {state}", task.name));
    match task.wanted {
        _ if task.failed => {
            let error = stopped("has failed").detail(task.last_error.clone().unwrap_or_default());
            Err(match &task.last_error_hint {
                Some(hint) => error.hint(hint.clone()),
                None => error,
            })
        }
        Wanted::Running | Wanted::Finished => Ok(()),
        Wanted::Paused => Err(stopped("is paused").hint(format!("SELECT courier.resume('{}');", task.name))),
        Wanted::Created => Err(stopped("has not been started").hint(format!("SELECT courier.start('{}');", task.name))),
    }
}

fn timed_out(task: &Task, mark: Lsn) -> Error {
    let mut error = Error::new(sqlstate::QUERY_CANCELED, format!("task \"{}\" did not get there in time", task.name))
        .detail(format!("It is in stage {}; waited for LSN {mark}.", task.stage.as_str()))
        .hint("Look at courier.tasks, or wait with a longer timeout.");
    if let Some(last) = &task.last_error {
        error = error.context(format!("Last error: {last}."));
    }
    error
}
