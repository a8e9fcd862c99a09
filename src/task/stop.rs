//! `courier.pause()`: ends the processes of a task; its slot stays, and keeps WAL.

use super::processes::{self, status_of};
use crate::catalog::{Task, Wanted};
use crate::error::{Error, Result, sqlstate};
use crate::logicalrep::TableName;
use crate::logicalrep::words::counted;
use crate::pg::{report, spi};

pub fn pause(task: &Task) -> Result<()> {
    match task.wanted {
        Wanted::Running if task.failed => {
            let error = Error::new(
                sqlstate::OBJECT_NOT_IN_PREREQUISITE_STATE,
                format!("task \"{}\" does not run: it has failed", task.name),
            )
            .detail(format!(
                "{}. Its slot keeps WAL until it goes on or is dropped.",
                task.last_error.clone().unwrap_or_default()
            ))
            .hint(format!("SELECT courier.resume('{}'); after the repair.", task.name));
            return Err(error);
        }
        Wanted::Running => {}
        Wanted::Paused => {
            report::notice(&format!("task \"{}\" is already paused", task.name));
            return Ok(());
        }
        other => {
            return Err(Error::new(
                sqlstate::OBJECT_NOT_IN_PREREQUISITE_STATE,
                format!("task \"{}\" is not running", task.name),
            )
            .detail(format!("It is {}.", other.as_str())));
        }
    }
    task.update("wanted = $2", &[Some(Wanted::Paused.as_str())])?;
    let current_at = status_of(task).and_then(|status| status.known_current());
    warn_of_lost_copies(task)?;
    processes::stop(task)?;
    task.note_current(current_at.as_deref())
}

/// A table is copied in one transaction: what is under way begins anew.
fn warn_of_lost_copies(task: &Task) -> Result<()> {
    let rows = spi::as_extension(|| {
        spi::query(
            "SELECT t.table_name, c.rows, pg_size_pretty(c.bytes) AS size FROM courier.copy_status() c \
             JOIN courier.task_table t ON t.task_id = c.task_id AND t.relid = c.relid WHERE c.task_id = $1::int ORDER BY 1",
            &[Some(&task.id.to_string())],
        )
    })?;
    for row in &rows {
        report::warning(&format!(
            "the copy of {} ({}, {}) is given up; it begins anew at courier.resume()",
            TableName::shown_as(row.text("table_name")?),
            counted(row.parse::<i64>("rows")?, "row"),
            row.text("size")?
        ));
    }
    Ok(())
}
