//! `courier.approve_ddl()`, `courier.trust_role()`, `courier.distrust_role()`: whose functions, views and rules a task creates on the
//! destination.

use super::restarted;
use crate::catalog::schema::command;
use crate::catalog::{Task, commands, ddl_log};
use crate::ddl_capture::by_hand;
use crate::error::{Error, Result, sqlstate};
use crate::logicalrep::array::oid_array;
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
    by_hand::code(&objects, Some(Approval { task: task.uuid.clone(), code }))?;
    commands::note_approved(task.id, id, &xact::user_name())
}

/// A role whose code the task creates from now on, what is held included.
pub fn trust(task: &Task, role: &str) -> Result<()> {
    let oid = role_of(role)?
        .ok_or_else(|| Error::new(sqlstate::UNDEFINED_OBJECT, format!("role \"{role}\" does not exist")))?;
    restarted(task, || {
        task.update("trusted_roles = trusted_roles || $2::oid[]", &[Some(&oid_array([oid]))])?;
        bring_held(task, oid)
    })
}

fn role_of(name: &str) -> Result<Option<u32>> {
    let sql = "SELECT r.oid FROM pg_catalog.pg_roles r WHERE r.rolname = $1";
    spi::as_extension(|| spi::query_opt(sql, &[Some(name)]))?.map(|row| row.parse(0)).transpose()
}

/// What is held of the role comes once more.
fn bring_held(task: &Task, role: u32) -> Result<()> {
    for id in commands::held(task.id)? {
        let Some(captured) = ddl_log::image(id)? else { continue };
        let objects: Vec<Object> =
            code_of(&captured, |owned| owned.role_oid == role).into_iter().map(|(object, _)| object).collect();
        if !objects.is_empty() {
            by_hand::code(&objects, None)?;
            commands::note_approved(task.id, id, &xact::user_name())?;
        }
    }
    Ok(())
}

/// With those that do not exist any more.
pub fn distrust(task: &Task, role: &str) -> Result<()> {
    let oid = role_of(role)?.unwrap_or_default();
    restarted(task, || {
        task.update(
            "trusted_roles = ARRAY(SELECT t.oid FROM pg_catalog.unnest(trusted_roles) AS t (oid) JOIN pg_catalog.pg_roles r ON r.oid = t.oid \
             WHERE r.oid <> $2::oid)",
            &[Some(&oid.to_string())],
        )
    })
}

fn is_strange(task: &Task, owned: &Owned) -> bool {
    !owned.is_superuser && !task.trust().roles.contains(&owned.role_oid)
}

fn code_of(captured: &Captured, whose: impl Fn(&Owned) -> bool) -> Vec<(Object, String)> {
    let owned = captured.owners.iter().filter(|owned| whose(owned));
    owned.filter_map(|owned| Some((owned.object, captured.code_of(owned.object)?))).collect()
}
