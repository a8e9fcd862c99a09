//! Arguments of SQL functions: none is null unless it may be, and the task is one that the caller may use.

use crate::catalog::{Scope, Task};
use crate::error::{Error, Result, sqlstate};
use crate::pg::text::Text;
use crate::pg::xact;
use crate::task;

pub fn given<T>(argument: &str, value: Option<T>) -> Result<T> {
    value.ok_or_else(|| Error::new(sqlstate::NULL_VALUE_NOT_ALLOWED, format!("{argument} must not be null")))
}

/// The task of a call that changes it.
pub fn given_task(task: Option<Text>) -> Result<Task> {
    task::locked(&given("task", task)?)
}

pub fn given_scope(
    include: Option<Vec<Option<Text>>>,
    exclude: Option<Vec<Option<Text>>>,
    schema_sync: Option<bool>,
    full_copy: Option<bool>,
    incremental: Option<bool>,
) -> Result<Scope> {
    Ok(Scope {
        include: all_given("include", include)?,
        exclude: all_given("exclude", exclude)?,
        schema_sync: given("schema_sync", schema_sync)?,
        full_copy: given("full_copy", full_copy)?,
        incremental: given("incremental", incremental)?,
    })
}

pub fn all_given(argument: &str, list: Option<Vec<Option<Text>>>) -> Result<Vec<String>> {
    let pattern = |pattern| given(&format!("a pattern of {argument}"), pattern).map(Text::into_string);
    given(argument, list)?.into_iter().map(pattern).collect()
}

/// The task of a call that only looks.
pub fn seen_task(task: Option<Text>) -> Result<Task> {
    Task::for_role(&given("task", task)?, xact::user_id())
}
