//! May the owner of a task do what it does for him? What was granted once may have been taken away.

use crate::catalog::{Task, tables};
use crate::error::{Error, Result, sqlstate};
use crate::logicalrep::names;
use crate::pg::spi;

/// The worker reads WAL and tables for the owner, so the owner must be allowed to.
pub fn check_owner(task: &Task) -> Result<()> {
    let owner = task.owner.to_string();
    let row = spi::as_extension(|| {
        spi::query_opt("SELECT rolsuper OR rolreplication FROM pg_roles WHERE oid = $1::oid", &[Some(&owner)])
    })?;
    match row {
        Some(row) if task.incremental && !row.bool(0)? => {
            Err(Error::new(sqlstate::INSUFFICIENT_PRIVILEGE, format!("role \"{}\" may not replicate", task.owner_name))
                .detail("The owner of an incremental task needs attribute REPLICATION.")
                .hint(format!("ALTER ROLE {} REPLICATION;", names::quote_ident(&task.owner_name))))
        }
        Some(_) => check_tables_readable(task),
        None => Err(Error::new(sqlstate::UNDEFINED_OBJECT, "the owner of the task does not exist any more")
            .hint("A superuser can drop the task; create it anew under another role.")),
    }
}

/// Rows of a table go only where somebody sends them who may read it.
fn check_tables_readable(task: &Task) -> Result<()> {
    let denied = tables::unreadable(task.id, task.owner)?;
    if denied.is_empty() {
        return Ok(());
    }
    let (list, owner) = (denied.join(", "), names::quote_ident(&task.owner_name));
    Err(Error::new(
        sqlstate::INSUFFICIENT_PRIVILEGE,
        format!("role {owner} may not read {} of the task's tables any more", denied.len()),
    )
    .detail(list.clone())
    .hint(format!(
        "GRANT SELECT ON {list} TO {owner}; and USAGE on their schemas, then SELECT courier.resume('{}');",
        task.name
    )))
}
