//! A task may be of tables whose definitions shall not change while it runs: then the command fails, and whoever ran it reads why.

use super::effects::Effects;
use crate::catalog::schema::command;
use crate::catalog::{DdlPolicy, Task, ddl_log};
use crate::error::{Error, Result, sqlstate};
use crate::logicalrep::array::oid_array;
use crate::logicalrep::names::quote_literal;
use crate::pg::spi;
use crate::schema::image::Class;

/// An error if the effects of the command concern a table of such a task, or one that its patterns name.
pub fn check(tag: &str, effects: &Effects) -> Result<()> {
    if !ddl_log::is_any_task(DdlPolicy::Refuse) {
        return Ok(());
    }
    let roots = command::after_command(|| command::roots(&effects.objects, false))?;
    let touched = roots.objects.iter().filter(|object| object.0 == Class::Relation).map(|object| object.1);
    let dropped = effects.dropped.iter().filter(|dropped| dropped.class == Class::Relation).map(|dropped| dropped.oid);
    let (touched, dropped) = (oid_array(touched), oid_array(dropped));
    let sql = include_str!("../../sql/query/capture/refusing.sql");
    let rows = spi::as_extension(|| spi::query(sql, &[Some(&touched), Some(&dropped)]))?;
    for row in &rows {
        let is_followed = row.bool("is_followed")?;
        let task = Task::by_id(row.parse("id")?)?;
        let is_named = match (row.opt("nspname"), row.opt("relname")) {
            (Some(schema), Some(name)) if !is_followed => task.named()?(schema, name),
            _ => false,
        };
        if is_followed || is_named {
            return Err(refusal(tag, &task.name, row.text("shown")?));
        }
    }
    Ok(())
}

fn refusal(tag: &str, task: &str, table: &str) -> Error {
    Error::new(
        sqlstate::OBJECT_NOT_IN_PREREQUISITE_STATE,
        format!("task \"{task}\" of pg_courier refuses {tag} of table {table}"),
    )
    .detail("It was created with ddl => 'refuse': while it runs the definitions of its tables do not change.")
    .hint(format!("When the task is no longer needed: SELECT courier.drop_task({});", quote_literal(task)))
}
