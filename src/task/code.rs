//! `courier.approve_ddl()`, `courier.trust_role()`, `courier.distrust_role()`: whose functions, views and rules a task creates on the
//! destination.

use std::collections::BTreeSet;

use super::restarted;
use crate::catalog::schema::command;
use crate::catalog::{Task, commands, ddl_log, to_json};
use crate::ddl_capture::by_hand;
use crate::error::{Error, Result, sqlstate};
use crate::logicalrep::names::quote_literal;
use crate::pg::{spi, xact};
use crate::schema::captured::{Approval, Captured, Owned};
use crate::schema::scope::Object;

/// Code of a command that is held.
pub fn approve(task: &Task, id: i64) -> Result<()> {
    let name = quote_literal(&task.name);
    let nothing = |detail: &str| {
        Error::new(
            sqlstate::OBJECT_NOT_IN_PREREQUISITE_STATE,
            format!("nothing of command {id} waits for somebody's approval"),
        )
        .detail(detail)
        .hint(format!("SELECT id, tag, error FROM courier.ddl WHERE task = {name} AND state = 'held';"))
    };
    if !commands::held(task.id)?.contains(&id) {
        return Err(nothing("It is not held."));
    }
    let captured = ddl_log::image(id)?.ok_or_else(|| nothing("It is not in courier.ddl_log any more."))?;
    let code = code_of(&captured, |owned| is_strange(task, owned));
    if code.is_empty() {
        return Err(nothing("All of its functions, views and rules belong to roles that the task trusts."));
    }
    let objects: Vec<Object> = code.iter().map(|(object, _)| *object).collect();
    let now = command::code_now(&objects)?;
    if code.iter().any(|of| !now.contains(of)) {
        return Err(Error::new(
            sqlstate::OBJECT_NOT_IN_PREREQUISITE_STATE,
            format!("what command {id} has made has changed since"),
        )
        .detail("Nobody has read what is there now.")
        .hint(format!(
            "SELECT max(id) FROM courier.ddl WHERE task = {name} AND state = 'held'; -- the command to read and approve"
        )));
    }
    by_hand::approve(&Approval { task: task.uuid.clone(), code })?;
    commands::note_approved(task.id, id, &xact::user_name())
}

/// A role whose code the task creates from now on, what is held included.
pub fn trust(task: &Task, role: &str) -> Result<()> {
    let row = spi::query_one("SELECT EXISTS (SELECT FROM pg_catalog.pg_roles r WHERE r.rolname = $1)", &[Some(role)])?;
    if !row.bool(0)? {
        return Err(Error::new(sqlstate::UNDEFINED_OBJECT, format!("role \"{role}\" does not exist")));
    }
    let roles: BTreeSet<&String> = task.trusted_roles.iter().collect();
    let role = role.to_owned();
    restarted(task, || {
        set_roles(task, roles.into_iter().chain([&role]).collect())?;
        bring_held(task, &role)
    })
}

/// What is held of the role comes once more.
fn bring_held(task: &Task, role: &str) -> Result<()> {
    for id in commands::held(task.id)? {
        let Some(captured) = ddl_log::image(id)? else { continue };
        let objects: Vec<Object> =
            code_of(&captured, |owned| owned.role == role).into_iter().map(|(object, _)| object).collect();
        if !objects.is_empty() {
            by_hand::approve(&Approval { task: String::new(), code: command::code_now(&objects)? })?;
            commands::note_approved(task.id, id, &xact::user_name())?;
        }
    }
    Ok(())
}

pub fn distrust(task: &Task, role: &str) -> Result<()> {
    restarted(task, || set_roles(task, task.trusted_roles.iter().filter(|known| *known != role).collect()))
}

fn set_roles(task: &Task, roles: BTreeSet<&String>) -> Result<()> {
    let roles = to_json(&roles.into_iter().cloned().collect::<Vec<_>>())?;
    task.update("trusted_roles = ARRAY(SELECT pg_catalog.json_array_elements_text($2::json))", &[Some(&roles)])
}

fn is_strange(task: &Task, owned: &Owned) -> bool {
    !owned.is_superuser && !task.trust().roles.contains(&owned.role)
}

fn code_of(captured: &Captured, whose: impl Fn(&Owned) -> bool) -> Vec<(Object, String)> {
    let owned = captured.owners.iter().filter(|owned| whose(owned));
    owned.filter_map(|owned| Some((owned.object, captured.code_of(owned.object)?))).collect()
}
