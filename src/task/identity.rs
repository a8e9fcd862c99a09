//! Replica identities that are changed for a task: which tables it has, which tasks a table has, and what was there before. The
//! work itself is in `sql/replica_identity.sql`.

use crate::catalog::{Stage, Task};
use crate::error::{Error, Result, sqlstate};
use crate::logicalrep::names::quote_literal;
use crate::pg::{report, spi, xact};

pub fn relations(task: &Task) -> Result<Vec<u32>> {
    if task.stage == Stage::Created {
        let selection = task.selection()?;
        return Ok(selection.tables.iter().map(|table| table.oid).collect());
    }
    let rows = spi::as_extension(|| {
        spi::query(
            "SELECT relid FROM courier.task_table WHERE task_id = $1::int ORDER BY table_name",
            &[Some(&task.id.to_string())],
        )
    })?;
    rows.iter().map(|row| row.parse(0)).collect()
}

/// Each table is a transaction of its own, so there must be none around the call.
fn check_own_transactions(task: &Task) -> Result<()> {
    if !xact::is_block() {
        return Ok(());
    }
    Err(Error::new("25001", "courier.set_replica_identity() cannot run inside a transaction block")
        .detail("It commits after each table, so that no lock is held longer than needed.")
        .hint(format!(
            "COMMIT; and then as a statement of its own: CALL courier.set_replica_identity({}, dry_run => false);",
            quote_literal(&task.name)
        )))
}

fn check_may_alter(relation: u32) -> Result<()> {
    let sql = "SELECT pg_catalog.pg_has_role($1::oid, c.relowner, 'USAGE'), format('%I.%I', n.nspname, c.relname) \
               FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = $2::oid";
    let (role, relation) = (xact::user_id().to_string(), relation.to_string());
    let row = spi::as_extension(|| spi::query_opt(sql, &[Some(&role), Some(&relation)]))?;
    match row {
        Some(row) if !row.bool(0)? => {
            Err(Error::new(sqlstate::INSUFFICIENT_PRIVILEGE, format!("must be owner of table {}", row.text(1)?)))
        }
        _ => Ok(()),
    }
}

pub fn remember(task: &Task, relation: u32) -> Result<()> {
    let id = task.id.to_string();
    if relation == 0 {
        check_own_transactions(task)?;
    } else {
        check_may_alter(relation)?;
    }
    spi::as_extension(|| {
        if relation == 0 {
            let sql = "INSERT INTO courier.identity_task VALUES ($1::int) ON CONFLICT DO NOTHING";
            return spi::execute(sql, &[Some(&id)]);
        }
        spi::execute(
            "INSERT INTO courier.identity_before (task_id, relid, setting, index_name) \
             SELECT $1::int, i.relid, i.setting, i.setting_index FROM courier.identity_of(ARRAY[$2::oid]) i \
             ON CONFLICT (task_id, relid) DO NOTHING",
            &[Some(&id), Some(&relation.to_string())],
        )
    })
    .map(|_| ())
}

pub fn naming(relation: u32) -> Result<Vec<i32>> {
    let (name, tasks) = spi::as_extension(|| {
        let name = spi::query_opt(
            "SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = $1::oid",
            &[Some(&relation.to_string())],
        )?;
        let tasks = spi::query(
            "SELECT i.task_id FROM courier.identity_task i JOIN courier.task t ON t.id = i.task_id \
             JOIN pg_class c ON c.oid = $1::oid \
             WHERE t.incremental AND EXISTS (SELECT FROM pg_roles r WHERE r.oid = t.owner) \
             AND pg_catalog.pg_has_role(t.owner, c.relowner, 'USAGE') ORDER BY i.task_id",
            &[Some(&relation.to_string())],
        )?;
        Ok((name, tasks))
    })?;
    let Some(name) = name else { return Ok(Vec::new()) };
    let mut found = Vec::new();
    for row in &tasks {
        let task = Task::by_id(row.parse(0)?)?;
        if task.named()?(name.text(0)?, name.text(1)?) {
            found.push(task.id);
        }
    }
    Ok(found)
}

/// Puts back what the task changed, with the caller's rights; what cannot be put back is said.
pub fn restore(task: &Task) -> Result<()> {
    let rows = spi::as_extension(|| {
        spi::query(
            "SELECT format('ALTER TABLE %I.%I REPLICA IDENTITY %s', n.nspname, c.relname, CASE b.setting WHEN 'f' THEN 'FULL' \
             WHEN 'n' THEN 'NOTHING' WHEN 'i' THEN format('USING INDEX %I', b.index_name) ELSE 'DEFAULT' END) \
             FROM courier.identity_before b JOIN pg_class c ON c.oid = b.relid JOIN pg_namespace n ON n.oid = c.relnamespace \
             WHERE b.task_id = $1::int AND c.relreplident <> b.setting ORDER BY 1",
            &[Some(&task.id.to_string())],
        )
    })?;
    // Or the event trigger would set it anew.
    let forget = "DELETE FROM courier.identity_task WHERE task_id = $1::int";
    spi::as_extension(|| spi::execute(forget, &[Some(&task.id.to_string())]))?;
    for row in &rows {
        let statement = row.text(0)?;
        let answer = spi::as_role(xact::user_id(), || {
            spi::query("SELECT pg_catalog.set_config('lock_timeout', '2s', true)", &[])?;
            spi::query_one("SELECT courier.try_statement($1)", &[Some(statement)])
        })?;
        if let Some(problem) = answer.opt(0) {
            report::warning(&format!(
                "could not put a replica identity back ({problem}); to do it later: {statement};"
            ));
        }
    }
    Ok(())
}
