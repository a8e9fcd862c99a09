//! `courier.skip_change()`: a failed task goes on without the change at which it stopped.

use super::start::run;
use crate::catalog::Task;
use crate::error::{Error, Result, sqlstate};
use crate::logicalrep::{Lsn, names};

pub fn skip(task: &Task, lsn: Lsn) -> Result<()> {
    let name = &task.name;
    if !task.failed {
        return Err(Error::new(
            sqlstate::OBJECT_NOT_IN_PREREQUISITE_STATE,
            format!("task \"{name}\" has not stopped at a change"),
        )
        .hint("SELECT task, state, last_error, last_error_lsn FROM courier.tasks;"));
    }
    if !task.last_error_lsn.is_valid() {
        return Err(Error::new(
            sqlstate::OBJECT_NOT_IN_PREREQUISITE_STATE,
            format!("task \"{name}\" did not stop at a change"),
        )
        .detail(format!("Its error: {}.", task.last_error.as_deref().unwrap_or("unknown")))
        .hint(format!("SELECT courier.resume({}); -- after the repair", names::quote_literal(name))));
    }
    if lsn != task.last_error_lsn {
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
    task.update("skip_lsn = $2::pg_lsn", &[Some(&lsn.to_string())])?;
    run(task)
}

/// The statement that leaves out the change at which a task stopped.
fn skip_statement(task: &str, lsn: Lsn) -> String {
    format!("SELECT courier.skip_change({}, '{lsn}');", names::quote_literal(task))
}
