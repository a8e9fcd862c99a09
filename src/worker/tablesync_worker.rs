//! `pg_courier tablesync worker: <task> <n>`: copies tables, the largest first, until none is left.
//!
//! Each table is one transaction on the destination. Its first statement inserts the table's row into
//! `courier_applied.table_progress`, with the snapshot of the copy; a worker that died may still have a transaction there, and
//! the insert waits for it. If that one committed after all, its row says under which snapshot, and the table is done.

use std::rc::Rc;
use std::sync::atomic::Ordering::Relaxed;

use crate::apply::ddl;
use crate::apply::ddl::define::{Defined, OneTable};
use crate::catalog::Task;
use crate::catalog::coverage;
use crate::catalog::schema::{self, Extent};
use crate::catalog::tables::{self, TaskTable};
use crate::destination::Endpoint;
use crate::destination::full_copy::{CopiedTable, CopyFormat, Others, TableCopy};
use crate::destination::table::{self, Table};
use crate::destination::{self, Destination, Purpose};
use crate::error::{Error, Origin, Remedy, Result, sqlstate};
use crate::failpoint;
use crate::logicalrep::Relation;
use crate::logicalrep::TableName;
use crate::logicalrep::names::shown;
use crate::logicalrep::words::counted;
use crate::pg::dsm::Segment;
use crate::pg::{bgworker, latch, rel, report, spi, xact};
use crate::schema::captured::Captured;
use crate::schema::model::Standing;
use crate::select::coverage::Patterns;
use crate::source::{self, Asker, TableReader};
use crate::task::processes::{Argument, WorkerMode};
use crate::task::status::{TaskStatus, WorkerStatus};
use crate::transform::Route;

bgworker::entry_point!(pg_courier_tablesync_worker_main, tablesync_worker_main);

fn tablesync_worker_main() {
    bgworker::prepare_signals();
    let Some(argument) = Argument::parse(&bgworker::argument()) else { bgworker::exit(0) };
    bgworker::connect(Some(argument.database));
    let Some(status) = super::apply_worker::attach(argument.segment, argument.task) else { bgworker::exit(0) };
    let Some(mine) = status.workers.get(argument.number as usize) else { bgworker::exit(0) };
    super::take_place(&status, argument.number as usize);
    let outcome = report::catch(|| run(&argument, &status, mine));
    mine.table.store(0, Relaxed);
    let Err(error) = outcome else { bgworker::exit(0) };
    xact::abort();
    // The supervisor writes it into the log.
    mine.report(&error);
    bgworker::exit(1)
}

fn run(argument: &Argument, status: &Rc<Segment<TaskStatus>>, mine: &WorkerStatus) -> Result<()> {
    super::apply_data_settings()?;
    if argument.mode == WorkerMode::HoldSnapshot {
        return hold_snapshot(argument.task, status);
    }
    let (task, endpoint) = xact::in_transaction(|| {
        let task = Task::by_id(argument.task)?;
        let endpoint = Endpoint::of(&task)?;
        Ok((task, endpoint))
    })?;
    super::show_task(&task.name)?;
    if status.snapshot().is_some() {
        share_locks_of_holder(status)?;
    }
    let mut destination = endpoint.open(Purpose::Copy)?;
    destination.check_helper_schema()?;
    while let Some(mut table) = xact::in_transaction(|| tables::claim_next(task.id))? {
        mine.rows.store(0, Relaxed);
        mine.bytes.store(0, Relaxed);
        let started = xact::now();
        mine.started_at.store(started, Relaxed);
        mine.table.store(table.relid, Relaxed);
        bgworker::report_activity(&format!("copying {}", table.shown()));
        let copied = copy(&task, &mut table, &mut destination, mine, status.snapshot());
        let Some(copied) = copied.map_err(|error| explain(error, &table.shown()))? else {
            // The stream drops it there.
            xact::in_transaction(|| tables::set_gone(task.id, table.relid))?;
            continue;
        };
        failpoint::hit("tablesync_after_commit")?;
        xact::in_transaction(|| tables::set_copied(task.id, table.relid, &copied))?;
        mine.table.store(0, Relaxed);
        let seconds = (xact::now() - started) as f64 / 1e6;
        task.log_line(&format!("{} is copied, {} in {seconds:.1} s", table.shown(), counted(copied.rows, "row")));
        status.announce();
    }
    Ok(())
}

fn explain(error: Error, table: &str) -> Error {
    let error = error.context(format!("While copying {table}."));
    if error.remedy() != Remedy::Stop {
        return error;
    }
    let hint = match error.sqlstate() {
        // Program limit exceeded.
        "54000" => {
            "A server takes no row of 1 GB or more at once; such a row can only come about by updates of one column after \
             the other. Shorten it on the source, or leave its table out of the task and copy it by hand."
        }
        "23514" => {
            "Rows of the source do not fulfil it either, or it depends on the time or on settings. Correct the rows on the source, or drop \
             the constraint on the destination and add it again as NOT VALID when the task synchronizes; then SELECT courier.resume({task});"
        }
        _ if error.is_from(Origin::Destination) => {
            "Remove the cause, on the destination or in the rows of the source, then SELECT courier.resume({task});"
        }
        _ => return error,
    };
    error.or_hint(hint)
}

/// The server's own hint speaks of casts, or there is none.
fn explain_unknown_name(error: Error, relation: &Relation) -> Error {
    if let Some(hint) = relation.hint_for_names(error.sqlstate()) {
        return error.hint(hint);
    }
    const UNDEFINED_FUNCTION: &str = "42883";
    if error.sqlstate() != UNDEFINED_FUNCTION {
        return error;
    }
    error.hint(
        "If an index or a check of the table calls it: the task's sessions look into pg_catalog and into those schemas of the source \
         database's search_path in which nobody else may create there, so let the calling function say where it looks. SELECT detail, fix FROM courier.precheck({task}) WHERE item = 'destination_search_path'; has \
         these functions, what calls them, and the statement for the destination. Then SELECT courier.resume({task});",
    )
}

/// The process that keeps the snapshot has a lock on every table. Whoever waits for one of them must not be waited for.
fn share_locks_of_holder(status: &TaskStatus) -> Result<()> {
    if status.workers.last().map_or(Ok(false), |holder| holder.process.share_locks_of())? {
        return Ok(());
    }
    Err(Error::new(sqlstate::OBJECT_IN_USE, "the process that keeps the snapshot of the copy is gone"))
}

/// Exports a snapshot and keeps it until the supervisor ends this worker. No table may be rewritten or truncated
/// meanwhile, as under `pg_dump`.
fn hold_snapshot(task: i32, status: &TaskStatus) -> Result<()> {
    let (task, tables) = xact::in_transaction(|| Ok((Task::by_id(task)?, tables::of_task(task)?)))?;
    let mut tables: Vec<u32> = tables.iter().map(|table| table.relid).collect();
    tables.sort_unstable();
    latch::share_locks();
    failpoint::hit("tablesync_before_snapshot")?;
    bgworker::report_activity("waiting for the locks of the tables");
    let name = source::of(&task).export_snapshot(&tables)?;
    status.set_snapshot(&name);
    status.supervisor.nudge();
    bgworker::report_activity("keeping the snapshot of the copy");
    loop {
        latch::wait(None);
    }
}

/// Brings the table on the destination to the definition that it has now, and says what that is; nothing when it is gone, or out of reach.
fn define(task: &Task, table: &mut TaskTable, destination: &mut Destination) -> Result<Option<Captured>> {
    let patterns = Patterns::parse(&task.include, &task.exclude, Vec::new())?;
    let (tables, moment, is_named) = xact::in_transaction(|| {
        // Whoever waits for a lock in the middle of reading reads one half before it and the other behind it.
        let _held = rel::open_table(table.relid);
        let is_named = coverage::is_named(&patterns, table.relid)?;
        Ok((tables::all_of_task(task.id)?, moment_of(table)?, is_named))
    })?;
    let at = OneTable { oid: table.relid, captured: &moment.captured, snapshot: &moment.snapshot, is_named };
    let Defined::As(name, fed) = ddl::define::define(destination, &task.trust(), &tables, &at)? else {
        return Ok(None);
    };
    if name != table.route.target {
        xact::in_transaction(|| tables::set_name(task.id, table.relid, &name))?;
        table.name = name.qualified();
        table.route = Rc::new(Route::identity(name));
    }
    if !fed.is_empty() {
        table.route = Rc::new((*table.route).clone().feeding(fed));
    }
    Ok(Some(moment.captured))
}

fn moment_of(table: &TaskTable) -> Result<schema::ImageAt> {
    // Table after table the same questions, with few objects each.
    spi::with_kept_plans(|| schema::moment(&Extent::tables(&[table.relid])))
}

/// Copies the table under a snapshot taken here: everything sees it as it was at that moment. Nothing when it is gone, and the stream
/// says so.
fn copy(
    task: &Task,
    table: &mut TaskTable,
    destination: &mut Destination,
    mine: &WorkerStatus,
    exported: Option<String>,
) -> Result<Option<tables::Copied>> {
    failpoint::hit("tablesync_before_copy")?;
    loop {
        let defined = if task.has_model() { define(task, table, destination)? } else { None };
        if task.has_model() && defined.is_none() {
            return Ok(None);
        }
        let mut reader = match source::of(task).copy(table, exported.as_deref()) {
            Err(error) if defined.is_some() && error.sqlstate() == sqlstate::UNDEFINED_TABLE => {
                xact::abort();
                destination.set_standing(&task.uuid, table.relid, Standing::Passing)?;
                return Ok(None);
            }
            reader => reader?,
        };
        // It is locked only now: somebody may have changed it since it was described.
        let is_same = match &defined {
            Some(defined) => moment_of(table)?.captured.image == defined.image,
            None => true,
        };
        if is_same {
            let copied = copy_rows(task, table, reader.as_mut(), destination, mine)?;
            reader.end();
            return Ok(Some(copied));
        }
        reader.end();
    }
}

fn copy_rows(
    task: &Task,
    table: &TaskTable,
    reader: &mut dyn TableReader,
    destination: &mut Destination,
    mine: &WorkerStatus,
) -> Result<tables::Copied> {
    let (snapshot, sync_lsn) = (reader.snapshot().to_owned(), reader.sync_lsn());
    let name = reader.relation().target();
    let leases = task.leases()?;
    let copy = TableCopy {
        task_id: &task.uuid,
        relid: table.relid,
        name: &name,
        snapshot: &snapshot,
        sync_lsn,
        leases: leases.each_ref().map(String::as_str),
    };
    if !destination.begin_copy(&copy)? {
        let copied = already_copied(task, table.relid, destination)?;
        destination.leave_copy()?;
        return Ok(copied);
    }
    // Nobody changes its columns from here on; and the rows of whoever comes between a look whether it is empty and the
    // TRUNCATE would go.
    destination.lock_for_copy(&name, if task.schema_sync { Others::Wait } else { Others::MayWrite })?;
    let there = destination.table(&name)?;
    prepare_destination_table(task, &there, destination)?;
    // The server freezes no rows of a partitioned table.
    let may_freeze = task.schema_sync && there.kind == table::Kind::Plain && is_worth_freezing(task, table.relid)?;
    let freeze = may_freeze && destination.renew(&there)?;
    let is_binary = reader.fits_binary(&|column| there.base_type(column));
    destination.start_copy(reader.relation(), CopyFormat { is_binary, freeze })?;
    let rows = reader.read(is_binary, &mut |bytes, rows| {
        destination.copy_data(bytes)?;
        mine.rows.fetch_add(rows, Relaxed);
        mine.bytes.fetch_add(bytes.len() as u64, Relaxed);
        mine.moved_at.store(xact::now(), Relaxed);
        failpoint::hit("tablesync_mid_copy")
    })?;
    let taken = destination.copy_end().map_err(|error| explain_unknown_name(error, reader.relation()))?;
    if taken != rows {
        return Err(Error::new(
            "XX001",
            format!(
                "the destination took {} of {}, the source sent {rows}",
                counted(taken, "row"),
                reader.relation().shown_there()
            ),
        )
        .origin(Origin::Destination)
        .hint("A trigger or rule on the destination table takes rows away; disable it."));
    }
    if destination.replica_role {
        check_deferrable_constraints(&there, destination)?;
    }
    destination.commit_copy(&copy, rows)?;
    Ok(tables::Copied { snapshot, sync_lsn, rows, bytes: mine.bytes.load(Relaxed) })
}

/// A dead worker's copy committed after all.
fn already_copied(task: &Task, relid: u32, destination: &mut Destination) -> Result<tables::Copied> {
    let CopiedTable { snapshot, sync_lsn, rows } =
        destination.copied(&task.uuid, relid)?.ok_or_else(destination::taken_over)?;
    Ok(tables::Copied { snapshot, sync_lsn, rows, bytes: 0 })
}

/// A table that this task created can be truncated in the transaction of the copy, so that its rows go in frozen. That gives it new files,
/// which the destination waits for: where there are few rows it takes longer than the copy.
fn is_worth_freezing(task: &Task, table: u32) -> Result<bool> {
    let sql = "SELECT pg_catalog.pg_table_size($1::oid) >= 4194304";
    let rows = source::of(task).ask(Asker::Extension, sql, &[Some(&table.to_string())])?;
    rows.first().map_or(Ok(false), |row| row.bool(0))
}

/// The table must be empty.
fn prepare_destination_table(task: &Task, there: &Table, destination: &mut Destination) -> Result<()> {
    if !destination.is_empty(there)? {
        let name = TableName::shown_as(&there.name);
        return Err(Error::new("55000", format!("table {name} on the destination is not empty"))
            .origin(Origin::Destination)
            .detail("The copy would mix with rows that are there.")
            .hint(format!(
                "If they are not needed: TRUNCATE {name}; there, then SELECT courier.resume('{}'). To keep them and \
                 follow changes only, create the task with full_copy => false.",
                task.name
            )));
    }
    Ok(())
}

/// The server checks a deferrable constraint by a trigger, which does not fire for replicated rows.
fn check_deferrable_constraints(there: &Table, destination: &mut Destination) -> Result<()> {
    for constraint in &there.deferrable {
        let broken = |what: &str| {
            let (table, name) = (TableName::shown_as(&there.name), shown(&constraint.name));
            let drop =
                format!("ALTER TABLE {table} DROP CONSTRAINT {name}; -- on the destination, or make it NOT DEFERRABLE");
            Error::new("55000", format!("deferrable constraint {name} of {table} on the destination {what}"))
                .origin(Origin::Destination)
                .detail("The server checks it by a trigger, which does not fire for rows that are replicated.")
                .hint(drop)
        };
        match destination.is_broken(there, constraint)? {
            Some(false) => {}
            Some(true) => return Err(broken("is broken by the rows of the source")),
            None => return Err(broken("cannot be checked")),
        }
    }
    Ok(())
}
