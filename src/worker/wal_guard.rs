//! The WAL guard: a task's slot must not keep more WAL than `courier.max_retained_wal`.
//!
//! What is said and done is decided in one place, `courier.guard_task()`: it writes events and alerts and records the
//! task as paused or failed. Here it is asked and carried out: by the supervisor of a running task, and by a scout of
//! the launcher for tasks that are paused or failed, whose slots nobody else watches, or that create a schema.

use std::time::{Duration, Instant};

use crate::catalog::{self, Task, version};
use crate::error::{Error, Result, sqlstate};
use crate::guc;
use crate::pg::{latch, report, spi, xact};
use crate::source;

const LOOK_EVERY: Duration = Duration::from_secs(5);

/// What the processes of a task have to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GuardOrder {
    Pause,
    Drop,
}

impl GuardOrder {
    /// The task's row says it already; its processes are gone, and the slot goes when it has to.
    pub fn carry_out(self, task: &Task) -> Result<()> {
        if self == GuardOrder::Drop {
            xact::in_transaction(|| source::of(task).drop_slot())?;
        }
        Ok(())
    }
}

/// From here on a scout is worth while: the share of the limit at which `courier.guard_task()` warns first.
pub fn first_warning(limit: u64) -> u64 {
    limit / 10 * 8
}

#[derive(Default)]
pub struct WalGuard {
    last: Option<Instant>,
}

impl WalGuard {
    pub fn due_in(&self) -> Duration {
        match (guc::max_retained_wal(), self.last) {
            (None, _) => Duration::MAX,
            (Some(_), None) => Duration::ZERO,
            (Some(_), Some(last)) => LOOK_EVERY.saturating_sub(last.elapsed()),
        }
    }

    pub fn look_now_and_then(&mut self, task: &Task) -> Result<Option<GuardOrder>> {
        if self.due_in().is_zero() { self.look(task) } else { Ok(None) }
    }

    pub fn look(&mut self, task: &Task) -> Result<Option<GuardOrder>> {
        self.last = Some(Instant::now());
        if guc::max_retained_wal().is_none() || !task.incremental {
            return Ok(None);
        }
        xact::in_transaction(|| {
            let row = spi::as_extension(|| {
                spi::query_one("SELECT action, message FROM courier.guard_task($1::int)", &[Some(&task.id.to_string())])
            })?;
            if let Some(message) = row.opt(1) {
                task.log(&Error::new(sqlstate::CONFIGURATION_LIMIT_EXCEEDED, message), "keeps much WAL");
            }
            Ok(match row.opt(0) {
                Some("pause") => Some(GuardOrder::Pause),
                Some("drop") => Some(GuardOrder::Drop),
                _ => None,
            })
        })
    }
}

/// Looks after the tasks of this database that no supervisor watches, or whose supervisor waits for the destination to make a
/// schema: one index there may take hours.
pub fn look_after_unwatched() -> Result<()> {
    let tasks = xact::in_transaction(|| {
        spi::as_extension(|| {
            if !catalog::is_installed()? {
                return Ok(Vec::new());
            }
            version::check()?;
            spi::query(
                "SELECT t.id FROM courier.task t LEFT JOIN courier.task_status() s ON s.id = t.id \
                 WHERE t.incremental AND (s.supervisor_pid IS NULL OR t.stage IN ('schema_sync', 'post_data')) ORDER BY t.id",
                &[],
            )
        })
    })?;
    for row in &tasks {
        let task = xact::in_transaction(|| Task::by_id(row.parse(0)?))?;
        if let Some(order) = WalGuard::default().look(&task)?
            && let Err(error) = order.carry_out(&task)
        {
            xact::abort();
            report::log(&error, "pg_courier WAL guard");
            latch::wait(Some(Duration::ZERO));
        }
    }
    Ok(())
}
