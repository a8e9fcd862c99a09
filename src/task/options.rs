//! `courier.alter_task()`: options of a task that is not running.

use super::create::check_policies;
use super::{check_stopped, tables};
use crate::catalog::{ConflictPolicy, Task};
use crate::error::Result;

/// What is to change; `None` leaves an option as it is.
pub struct Changes {
    pub conflict: Option<ConflictPolicy>,
    pub forward_origins: Option<bool>,
    /// Patterns that are left out from now on, besides those that are already.
    pub exclude: Option<Vec<String>>,
}

pub fn alter(task: &Task, changes: Changes) -> Result<()> {
    let policy = changes.conflict.unwrap_or(task.conflict);
    let forward = changes.forward_origins.unwrap_or(task.forward_origins);
    if changes.exclude.is_none() && policy == task.conflict && forward == task.forward_origins {
        return Ok(());
    }
    check_policies(task.ddl, policy)?;
    check_stopped(task)?;
    if let Some(patterns) = changes.exclude {
        tables::exclude(task, patterns)?;
    }
    let forward = if forward { "t" } else { "f" };
    task.update("conflict = $2, forward_origins = $3::bool", &[Some(policy.as_str()), Some(forward)])
}
