//! `courier.ddl_skip()`, `courier.ddl_replace()`: what a person decides about the command at which a task stopped.

use super::start::run;
use crate::catalog::{Task, commands};
use crate::error::{Error, Result, sqlstate};
use crate::logicalrep::names::quote_literal;

/// Without `sql` nothing of the command is applied; otherwise this is, in its place.
pub fn decide(task: &Task, id: i64, sql: Option<&str>) -> Result<()> {
    let name = quote_literal(&task.name);
    let Some(stopped_at) = commands::stopped_at(task.id)?.filter(|_| task.failed) else {
        return Err(Error::new(
            sqlstate::OBJECT_NOT_IN_PREREQUISITE_STATE,
            format!("task {name} has not stopped at a command"),
        )
        .hint(format!("SELECT id, tag, state, error FROM courier.ddl WHERE task = {name} AND state = 'failed';")));
    };
    if stopped_at != id {
        return Err(Error::new(sqlstate::INVALID_PARAMETER_VALUE, format!("task {name} did not stop at command {id}"))
            .detail(format!("It stopped at command {stopped_at}."))
            .hint(format!("SELECT * FROM courier.ddl WHERE task = {name} AND id = {stopped_at};")));
    }
    commands::decide(task.id, id, sql)?;
    run(task)
}
