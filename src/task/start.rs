//! `courier.start()` and `courier.resume()`. The first start decides which tables the task has.

use super::processes::{start_supervisor, supervisor_is_alive};
use crate::catalog::select::Candidate;
use crate::catalog::{Stage, Task, Wanted, connection, to_json};
use crate::error::{Error, Result, sqlstate};
use crate::guc;
use crate::logicalrep::array::oid_array;
use crate::logicalrep::names;
use crate::pg::{report, spi, wake, xact};
use crate::precheck::gate;
use crate::source;

/// [`run`] for a task that has been started before.
pub fn resume(task: &Task) -> Result<()> {
    if task.wanted == Wanted::Created {
        return Err(Error::new(
            sqlstate::OBJECT_NOT_IN_PREREQUISITE_STATE,
            format!("task \"{}\" has not been started", task.name),
        )
        .hint(format!("SELECT courier.start('{}');", task.name)));
    }
    run(task)
}

/// Starts a task, or lets a paused or failed one go on, when the transaction commits.
pub fn run(task: &Task) -> Result<()> {
    match task.wanted {
        Wanted::Running if !task.failed => {
            if supervisor_is_alive(task) {
                report::notice(&format!("task \"{}\" is already running", task.name));
                return Ok(());
            }
            report::notice(&format!("none of the processes of task \"{}\" ran: it is started again", task.name));
        }
        Wanted::Finished => {
            return Err(Error::new(
                sqlstate::OBJECT_NOT_IN_PREREQUISITE_STATE,
                format!("task \"{}\" is finished", task.name),
            )
            .hint("Drop it and create a new one to copy again."));
        }
        _ => {}
    }
    connection::parameters(task.owner, task.server)?;
    if task.incremental {
        check_wal_level()?;
    }
    if task.stage == Stage::Created {
        gate::require_passed(task)?;
        fix_tables(task)?;
    }
    task.update(
        "wanted = $2, failed = false, starts = 0, retry_at = NULL, last_error = NULL, last_error_detail = NULL, \
         last_error_hint = NULL, last_error_sqlstate = NULL, last_error_at = NULL, \
         last_error_lsn = NULL, reached = false, asked_at = now(), started_at = COALESCE(started_at, now())",
        &[Some(Wanted::Running.as_str())],
    )?;
    let_catch_up(task)?;
    if !wake::is_preloaded() {
        report::notice(
            "pg_courier is not in shared_preload_libraries: the task will have to be resumed after a restart of the server",
        );
    }
    start_supervisor(task.id, &task.name)
}

/// Who resumes a task whose slot keeps too much wants it to catch up: the WAL guard has said what it has to say.
fn let_catch_up(task: &Task) -> Result<()> {
    let Some(allowed) = guc::max_retained_wal() else { return Ok(()) };
    if !source::of(task).slot()?.is_some_and(|slot| slot.is_ours && slot.kept >= allowed) {
        return Ok(());
    }
    spi::as_extension(|| {
        spi::execute(
            "INSERT INTO courier.wal_guard AS g (task_id, level) VALUES ($1::int, 'limit') \
             ON CONFLICT (task_id) DO UPDATE SET level = 'limit'",
            &[Some(&task.id.to_string())],
        )
    })
    .map(drop)
}

fn check_wal_level() -> Result<()> {
    let level = xact::config(c"wal_level").unwrap_or_default();
    if level == "logical" {
        return Ok(());
    }
    Err(Error::new(sqlstate::OBJECT_NOT_IN_PREREQUISITE_STATE, "wal_level must be logical for an incremental task")
        .detail(format!("It is {level}."))
        .hint("ALTER SYSTEM SET wal_level = logical; then restart the server."))
}

/// Decides on the first start which tables the task has.
fn fix_tables(task: &Task) -> Result<()> {
    let selection = task.selection()?;
    check_readable(task, &selection.tables)?;
    let without = |t: &&Candidate| !t.has_identity;
    let unidentified: Vec<String> = selection.tables.iter().filter(without).map(Candidate::shown).collect();
    if task.incremental && !unidentified.is_empty() {
        report::warning(&format!(
            "only INSERT and TRUNCATE can be applied to {}: no primary key and no other replica identity",
            unidentified.join(", ")
        ));
    }
    let column = |f: &dyn Fn(&Candidate) -> String| to_json(&selection.tables.iter().map(f).collect::<Vec<String>>());
    let oids = column(&|t| t.oid.to_string())?;
    let names = column(&|t| t.qualified_name())?;
    let kinds = column(&|t| t.kind.to_string())?;
    let rows = column(&|t| t.rows.to_string())?;
    let bytes = column(&|t| t.bytes.to_string())?;
    let id = task.id.to_string();
    spi::as_extension(|| {
        spi::execute("DELETE FROM courier.task_table WHERE task_id = $1::int", &[Some(&id)])?;
        spi::execute(
            // What is not to be copied is complete as it is.
            "INSERT INTO courier.task_table (task_id, relid, table_name, kind, total_rows, total_bytes, state) \
             SELECT $1::int, u.a::oid, u.b, u.c, u.d::bigint, u.e::bigint, \
             CASE WHEN $7::bool THEN 'init' ELSE 'ready' END FROM ROWS FROM ( \
             json_array_elements_text($2::json), json_array_elements_text($3::json), \
             json_array_elements_text($4::json), json_array_elements_text($5::json), \
             json_array_elements_text($6::json)) AS u(a, b, c, d, e)",
            &[
                Some(&id),
                Some(&oids),
                Some(&names),
                Some(&kinds),
                Some(&rows),
                Some(&bytes),
                Some(if task.full_copy { "t" } else { "f" }),
            ],
        )
    })?;
    note_triggers(task)
}

/// Do tables of the task have triggers or foreign keys, which have to keep quiet on the destination?
pub fn note_triggers(task: &Task) -> Result<()> {
    task.update(
        "needs_replica_role = EXISTS (SELECT FROM courier.task_table t \
         JOIN pg_trigger g ON g.tgrelid = t.relid WHERE t.task_id = $1::int AND g.tgenabled IN ('O', 'A'))",
        &[],
    )
}

/// The copy reads whole tables for the owner of the task.
pub fn check_readable(task: &Task, tables: &[Candidate]) -> Result<()> {
    let oids = oid_array(tables.iter().filter(|t| t.kind == 'r').map(|t| t.oid));
    let rows = spi::as_extension(|| {
        spi::query(
            "SELECT format('%I.%I', n.nspname, c.relname) FROM unnest($2::oid[]) AS u(oid) \
             JOIN pg_class c ON c.oid = u.oid JOIN pg_namespace n ON n.oid = c.relnamespace \
             WHERE NOT has_table_privilege($1::oid, c.oid, 'SELECT') \
                OR NOT has_schema_privilege($1::oid, n.oid, 'USAGE') ORDER BY 1",
            &[Some(&task.owner.to_string()), Some(&oids)],
        )
    })?;
    if rows.is_empty() {
        return Ok(());
    }
    let denied: Vec<&str> = rows.iter().filter_map(|row| row.opt(0)).collect();
    let owner = names::quote_ident(&task.owner_name);
    Err(Error::new(
        sqlstate::INSUFFICIENT_PRIVILEGE,
        format!("role {owner} may not read {} of the selected tables", denied.len()),
    )
    .detail(denied.join(", "))
    .hint(format!("GRANT SELECT ON {} TO {owner}; and USAGE on their schemas.", denied.join(", "))))
}
