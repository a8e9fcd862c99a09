//! Answers to statements that a task would otherwise make hang or fail obscurely, or that would leave its slot behind.

use pgrx::prelude::*;

use crate::error::{Error, Result, sqlstate};
use crate::logicalrep::names;
use crate::pg::{hooks, rel, spi};
use crate::source;

/// From `_PG_init`, in every process that loads the library.
pub fn install() {
    hooks::before_drop_table(check_drop_of_table);
}

/// From `_PG_init` while preloading.
pub fn install_preloaded() {
    hooks::before_drop_database(check_drop_of_database);
}

/// The extension itself comes last, when its tables are gone and the names of its tasks with them: so this one is looked at.
fn check_drop_of_table(table: u32) -> Result<()> {
    if !rel::is_table_of(table, c"task", c"pg_courier") {
        return Ok(());
    }
    let tasks = spi::as_extension(|| spi::query("SELECT name FROM courier.task ORDER BY name", &[]))?;
    let tasks: Vec<String> = tasks.iter().filter_map(|row| row.opt_string(0)).collect();
    let Some(first) = tasks.first() else { return Ok(()) };
    Err(Error::new(sqlstate::OBJECT_IN_USE, "cannot drop extension pg_courier while it has tasks")
        .detail(format!("Tasks: {}. Each has a replication slot that would stay and keep WAL.", tasks.join(", ")))
        .hint(format!("SELECT courier.drop_task({}); and so on for each of them.", names::quote_literal(first))))
}

fn check_drop_of_database(database: u32, name: &str) -> Result<()> {
    let slots = source::slots_in_use(database);
    let tasks: Vec<&str> = slots.iter().map(|slot| slot.strip_prefix("courier_").unwrap_or(slot)).collect();
    let Some(first) = tasks.first().map(|first| names::quote_literal(first)) else { return Ok(()) };
    Err(Error::new(sqlstate::OBJECT_IN_USE, format!("database \"{name}\" is the source of running pg_courier tasks"))
        .detail(format!("Running: {}.", tasks.join(", ")))
        .hint(format!(
            "Connect to the database and run for each of them, here the first: SELECT courier.drop_task({first}); or \
             SELECT courier.pause({first});"
        )))
}

/// Event trigger before statements that can drop the extension. It does nothing, but to be called it loads the library, and
/// with it the hook that does: without `shared_preload_libraries` a session may have come without.
#[pg_extern(sql = false)]
fn guard_drop_extension(_fcinfo: pg_sys::FunctionCallInfo) {}
