//! `courier.ddl_done`: what has become of commands on the destination, and of the tables that they made, renamed or dropped.

use std::collections::{HashMap, HashSet};

use super::Task;
use crate::destination::aside::{ASIDE, FAILED_ASIDE};
use crate::destination::{CommandNote, ModelTable};
use crate::error::Result;
use crate::logicalrep::Row;
use crate::pg::spi;
use crate::schema::model::Standing;

/// The number of the last command that the source knows the outcome of, in the order in which they were applied.
pub fn last_known(task: i32) -> Result<i64> {
    let sql = "SELECT COALESCE(max(seq), 0) FROM courier.ddl_done WHERE task_id = $1::int";
    spi::as_extension(|| spi::query_one(sql, &[Some(&task.to_string())]))?.parse(0)
}

pub fn note(task: i32, notes: &[CommandNote]) -> Result<()> {
    let id = task.to_string();
    for note in notes {
        spi::as_extension(|| {
            spi::execute(
                "INSERT INTO courier.ddl_done (task_id, id, seq, state, note, objects, statements, ms, at) \
                 VALUES ($1::int, $2::bigint, $3::bigint, $4, $5, $6::text[], $7::text[], $8::bigint, $9::timestamptz) \
                 ON CONFLICT (task_id, id) DO NOTHING",
                &[
                    Some(&id),
                    Some(&note.id.to_string()),
                    Some(&note.seq.to_string()),
                    Some(&note.state),
                    note.note.as_deref(),
                    Some(&note.objects),
                    Some(&note.statements),
                    Some(&note.ms.to_string()),
                    Some(&note.at),
                ],
            )
        })?;
    }
    Ok(())
}

/// Commands of which something is still to be done aside.
pub fn with_asides(task: i32) -> Result<Vec<i64>> {
    let sql = "SELECT id FROM courier.ddl_done WHERE task_id = $1::int AND state IN ($2, $3)";
    let rows = spi::as_extension(|| spi::query(sql, &[Some(&task.to_string()), Some(ASIDE), Some(FAILED_ASIDE)]))?;
    rows.iter().map(|row| row.parse(0)).collect()
}

/// What has become of commands meanwhile.
pub fn note_states(task: i32, notes: &[CommandNote]) -> Result<()> {
    let sql = "UPDATE courier.ddl_done SET state = $3, note = $4 WHERE task_id = $1::int AND id = $2::bigint \
               AND (state, note) IS DISTINCT FROM ($3, $4)";
    for note in notes {
        let (task, id) = (task.to_string(), note.id.to_string());
        spi::as_extension(|| spi::execute(sql, &[Some(&task), Some(&id), Some(&note.state), note.note.as_deref()]))?;
    }
    Ok(())
}

/// `courier.task_table` as the model has it: tables that have joined are ready, those that were dropped or have left are forgotten.
pub fn note_tables(task: &Task, tables: &[ModelTable]) -> Result<()> {
    let id = task.id.to_string();
    let rows = spi::as_extension(|| {
        spi::query("SELECT relid, table_name FROM courier.task_table WHERE task_id = $1::int", &[Some(&id)])
    })?;
    let mut known = HashMap::new();
    for row in &rows {
        known.insert(row.parse::<u32>("relid")?, row.string("table_name")?);
    }
    for table in tables.iter().filter(|table| table.standing == Standing::Entering) {
        known.remove(&table.oid);
        spi::as_extension(|| {
            spi::execute(
                "INSERT INTO courier.task_table (task_id, relid, table_name, kind) VALUES ($1::int, $2::oid, $3, 'r') \
                 ON CONFLICT (task_id, relid) DO UPDATE SET table_name = excluded.table_name, state = 'init', snapshot = NULL, \
                 sync_lsn = NULL, copied_rows = NULL, copied_bytes = NULL, started_at = NULL, finished_at = NULL",
                &[Some(&id), Some(&table.oid.to_string()), Some(&table.name.qualified())],
            )
        })?;
    }
    for table in tables.iter().filter(|table| table.standing == Standing::Followed) {
        let (relid, name) = (table.oid.to_string(), table.name.qualified());
        let kind = if table.is_partitioned { "p" } else { "r" };
        match known.remove(&table.oid) {
            Some(before) if before == name => continue,
            _ => {}
        }
        spi::as_extension(|| {
            spi::execute(
                "INSERT INTO courier.task_table (task_id, relid, table_name, kind, state) VALUES ($1::int, $2::oid, $3, $4, 'ready') \
                 ON CONFLICT (task_id, relid) DO UPDATE SET table_name = excluded.table_name",
                &[Some(&id), Some(&relid), Some(&name), Some(kind)],
            )
        })?;
    }
    for gone in known.keys() {
        spi::as_extension(|| {
            spi::execute(
                "DELETE FROM courier.task_table WHERE task_id = $1::int AND relid = $2::oid",
                &[Some(&id), Some(&gone.to_string())],
            )
        })?;
    }
    Ok(())
}

/// Commands of which something is left out.
pub fn held(task: i32) -> Result<Vec<i64>> {
    let sql = "SELECT id FROM courier.ddl_done WHERE task_id = $1::int AND state = 'held' ORDER BY id";
    let rows = spi::as_extension(|| spi::query(sql, &[Some(&task.to_string())]))?;
    rows.iter().map(|row| row.parse("id")).collect()
}

/// Nothing of the command waits for a person any more; what the destination makes of it is said of the command that brings it.
pub fn note_approved(task: i32, id: i64, by: &str) -> Result<()> {
    let sql = "UPDATE courier.ddl_done SET state = 'applied', note = pg_catalog.format('Approved by role %s.', $3::text) \
               WHERE task_id = $1::int AND id = $2::bigint";
    spi::as_extension(|| spi::execute(sql, &[Some(&task.to_string()), Some(&id.to_string()), Some(by)])).map(drop)
}

/// The command at which the task has stopped.
pub fn stopped_at(task: i32) -> Result<Option<i64>> {
    let sql = "SELECT command_under_way FROM courier.task WHERE id = $1::int";
    let row = spi::as_extension(|| spi::query_one(sql, &[Some(&task.to_string())]))?;
    row.opt("command_under_way").map(|_| row.parse("command_under_way")).transpose()
}

/// A person has decided about a command.
pub fn decide(task: i32, id: i64, statement: Option<&str>) -> Result<()> {
    let by = crate::pg::xact::user_name();
    spi::as_extension(|| {
        spi::execute(
            "INSERT INTO courier.ddl_decision (task_id, id, statement, decided_by) VALUES ($1::int, $2::bigint, $3, $4) \
             ON CONFLICT (task_id, id) DO UPDATE SET statement = excluded.statement, decided_by = excluded.decided_by, at = excluded.at",
            &[Some(&task.to_string()), Some(&id.to_string()), statement, Some(&by)],
        )
    })
    .map(|_| ())
}

/// What persons have decided: the statement that replaces a command; none for one that is skipped.
pub fn decisions(task: i32) -> Result<HashMap<i64, Option<String>>> {
    let sql = "SELECT id, statement FROM courier.ddl_decision WHERE task_id = $1::int";
    let rows = spi::as_extension(|| spi::query(sql, &[Some(&task.to_string())]))?;
    rows.iter().map(|row| Ok((row.parse("id")?, row.opt_string("statement")))).collect()
}

/// Rows of the log without a command whose outcome is not known yet, in their order.
pub fn captures(task: i32) -> Result<Vec<Row>> {
    let sql = "SELECT l.id, l.xmin AS xid, l.snapshot, l.image, l.tag FROM courier.ddl_log l WHERE l.tag IN ('CAPTURE', 'SWEEP') \
               AND NOT EXISTS (SELECT FROM courier.ddl_done d WHERE d.task_id = $1::int AND d.id = l.id) ORDER BY l.id";
    spi::as_extension(|| spi::query(sql, &[Some(&task.to_string())]))
}

/// Commands that somebody does not want any more.
pub fn skipped(task: i32) -> Result<HashSet<i64>> {
    let decisions = decisions(task)?.into_iter();
    Ok(decisions.filter(|(_, statement)| statement.is_none()).map(|(id, _)| id).collect())
}

/// Rows of the log travel in the WAL; here they are kept for people, and not for ever.
pub fn forget_old() -> Result<()> {
    const KEPT: &str = "30 days";
    for table in ["ddl_log", "ddl_done", "ddl_decision"] {
        let sql = format!("DELETE FROM courier.{table} WHERE at < pg_catalog.now() - $1::interval");
        spi::as_extension(|| spi::execute(&sql, &[Some(KEPT)]))?;
    }
    Ok(())
}
