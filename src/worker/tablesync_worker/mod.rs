//! `pg_courier tablesync worker: <task> <n>`: copies tables, the largest first, until none is left.
//!
//! Each table is one transaction on the destination, or many small ones together are. Its first statement inserts the table's row into
//! `courier_applied.table_progress`, with the snapshot of the copy; a worker that died may still have a transaction there, and
//! the insert waits for it. If that one committed after all, its row says under which snapshot, and the table is done.

mod together;

use std::rc::Rc;
use std::sync::atomic::Ordering::Relaxed;

use crate::apply::ddl;
use crate::apply::ddl::define::{Defined, Definition, TablesAt};
use crate::catalog::Task;
use crate::catalog::coverage;
use crate::catalog::schema::{self, Extent};
use crate::catalog::tables::{self, TaskTable};
use crate::destination::Endpoint;
use crate::destination::full_copy::{CopiedTable, CopyFormat, Others, TableCopies};
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
use crate::schema::image::Image;
use crate::schema::model::Standing;
use crate::select::coverage::Patterns;
use crate::source::{self, CopyWay, TableReader};
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
    // What this process writes here is seen on the destination, too, if a crash takes it.
    xact::set_config(c"synchronous_commit", "off")?;
    let mut destination = endpoint.open(Purpose::Copy)?;
    destination.check_helper_schema()?;
    let mut unsettled = Unsettled::default();
    let mut alone = Vec::new();
    loop {
        if alone.is_empty() && together::is_possible(status) {
            let claimed = xact::in_transaction(|| tables::claim_small(task.id, together::SMALL))?;
            alone = together::copy(&task, claimed, &endpoint, &mut destination, mine, &mut unsettled)?;
            if unsettled.is_due() || !alone.is_empty() {
                unsettled.settle(&task, &mut destination, status)?;
            }
        }
        let next = match alone.pop() {
            None => xact::in_transaction(|| tables::claim_next(task.id))?,
            some => some,
        };
        let Some(mut table) = next else { break };
        let started = show(mine, &table);
        let size = Size::of(&table);
        if size == Size::Large {
            unsettled.settle(&task, &mut destination, status)?;
        }
        let copied = copy(&task, &mut table, &mut destination, mine, status.snapshot(), size);
        let Some(copied) = copied.map_err(|error| explain(error, &table.shown()))? else {
            // The stream drops it there.
            xact::in_transaction(|| tables::set_gone(task.id, table.relid))?;
            continue;
        };
        mine.table.store(0, Relaxed);
        unsettled.0.push(Settling { table, copied, started, ended: xact::now() });
        failpoint::hit("tablesync_after_table")?;
        if size == Size::Large || unsettled.is_due() {
            unsettled.settle(&task, &mut destination, status)?;
        }
    }
    unsettled.settle(&task, &mut destination, status)
}

/// Says that it is copied from now on.
fn show(mine: &WorkerStatus, table: &TaskTable) -> i64 {
    mine.rows.store(0, Relaxed);
    mine.bytes.store(0, Relaxed);
    let started = xact::now();
    mine.started_at.store(started, Relaxed);
    mine.table.store(table.relid, Relaxed);
    bgworker::report_activity(&format!("copying {}", table.shown()));
    started
}

/// How much there is to copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Size {
    /// Waiting for the disk takes longer than the rows.
    Small,
    Large,
}

impl Size {
    fn of(table: &TaskTable) -> Size {
        const LARGE: i64 = 4 << 20;
        if table.bytes >= LARGE { Size::Large } else { Size::Small }
    }
}

/// Copies that have committed there and may not have reached the disk: until they have, nothing here says that they are done.
#[derive(Default)]
struct Unsettled(Vec<Settling>);

struct Settling {
    table: TaskTable,
    copied: tables::Copied,
    started: i64,
    ended: i64,
}

impl Unsettled {
    /// Others wait for what is done, and whoever looks wants to see it.
    fn is_due(&self) -> bool {
        const MOST: usize = 100;
        const LONGEST: i64 = 500_000;
        self.0.len() >= MOST || self.0.first().is_some_and(|first| xact::now() - first.ended > LONGEST)
    }

    /// One wait for the disk there, and one transaction here.
    fn settle(&mut self, task: &Task, destination: &mut Destination, status: &TaskStatus) -> Result<()> {
        if self.0.is_empty() {
            return Ok(());
        }
        let relids: Vec<u32> = self.0.iter().map(|of| of.table.relid).collect();
        destination.settle_copies(&task.uuid, &relids)?;
        failpoint::hit("tablesync_after_commit")?;
        xact::in_transaction(|| {
            self.0.iter().try_for_each(|of| tables::set_copied(task.id, of.table.relid, &of.copied))
        })?;
        for Settling { table, copied, started, ended } in self.0.drain(..) {
            let seconds = (ended - started) as f64 / 1e6;
            task.log_line(&format!("{} is copied, {} in {seconds:.1} s", table.shown(), counted(copied.rows, "row")));
        }
        status.announce();
        Ok(())
    }
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

/// Tables as they are for the transaction that is open here, which has their locks, and what the destination has of them.
fn definition(task: &Task, relids: &[u32], destination: &mut Destination) -> Result<(Definition, Image)> {
    let patterns = Patterns::parse(&task.include, &task.exclude, Vec::new())?;
    // Again and again the same questions, with few objects each.
    let (moment, named, tables) = spi::with_kept_plans(|| {
        let moment = schema::moment(&Extent::tables(relids))?;
        let tables = tables::of_task_among(task.id, moment.captured.relations())?;
        Ok((moment, coverage::named(&patterns, relids)?, tables))
    })?;
    let at = TablesAt { named: &named, captured: &moment.captured, snapshot: &moment.snapshot };
    let definition = ddl::define::definition(destination, &task.trust(), &tables, &at)?;
    Ok((definition, moment.captured.image))
}

/// That of one table; none when it is gone, or out of the task's reach.
fn definition_of_one(
    task: &Task,
    table: &TaskTable,
    destination: &mut Destination,
) -> Result<Option<(Definition, Image)>> {
    let (definition, image) = definition(task, &[table.relid], destination)?;
    if definition.tables.is_empty() {
        // Else it would wait for its copy for ever.
        destination.set_standing(&task.uuid, table.relid, Standing::Passing)?;
        return Ok(None);
    }
    Ok(Some((definition, image)))
}

/// Do its rows go where the definition says?
fn is_routed(table: &TaskTable, defined: &Defined) -> bool {
    defined.name == table.route.target && defined.fed == table.route.fed
}

/// The table is called so there; was it to be?
fn adopt(task: &Task, table: &mut TaskTable, defined: &Defined) -> Result<()> {
    let Defined { name, fed, .. } = defined;
    if *name != table.route.target {
        xact::in_transaction(|| tables::set_name(task.id, table.relid, name))?;
        table.name = name.qualified();
        table.route = Rc::new(Route::identity(name.clone()));
    }
    table.route = Rc::new((*table.route).clone().feeding(fed.clone()));
    Ok(())
}

/// Copies the table under a snapshot taken here: everything sees it as it was at that moment. Nothing when it is gone, and the stream
/// says so.
fn copy(
    task: &Task,
    table: &mut TaskTable,
    destination: &mut Destination,
    mine: &WorkerStatus,
    exported: Option<String>,
    size: Size,
) -> Result<Option<tables::Copied>> {
    failpoint::hit("tablesync_before_copy")?;
    let mut made = None;
    loop {
        let mut reader = match source::of(task).copy(&[table], CopyWay::Waiting(exported.as_deref())) {
            Err(error) if task.has_model() => {
                xact::abort();
                return if is_passing(task, table, destination, &error)? { Ok(None) } else { Err(error) };
            }
            reader => reader?,
        };
        let defined = if task.has_model() { definition_of_one(task, table, destination)? } else { None };
        if task.has_model() && defined.is_none() {
            reader.end();
            return Ok(None);
        }
        if let Some((definition, image)) = defined.as_ref() {
            let is_there = made.as_ref() == Some(image) || definition.is_there(destination, &task.uuid)?;
            if !(is_there && definition.tables.iter().all(|defined| is_routed(table, defined))) {
                // That may take long, and sessions here must not wait for it.
                reader.end();
                definition.make(destination, &task.uuid)?;
                definition.tables.iter().try_for_each(|defined| adopt(task, table, defined))?;
                made = defined.map(|(_, image)| image);
                continue;
            }
        }
        if let Some((definition, _)) = &defined {
            // Not in the transaction of the copy: what other tables need, too, would be closed to them as long as that lasts.
            definition.note(destination, &task.uuid)?;
        }
        let copied = copy_rows(task, table, reader.as_mut(), destination, mine, size)?;
        reader.end();
        return Ok(Some(copied));
    }
}

/// What cannot be read may be gone, or out of the task's reach.
fn is_passing(task: &Task, table: &TaskTable, destination: &mut Destination, error: &Error) -> Result<bool> {
    if error.sqlstate() == sqlstate::UNDEFINED_TABLE {
        destination.set_standing(&task.uuid, table.relid, Standing::Passing)?;
        return Ok(true);
    }
    xact::in_transaction(|| {
        // Whoever waits for a lock in the middle of reading reads one half before it and the other behind it.
        let _held = rel::open_table(table.relid);
        definition_of_one(task, table, destination).map(|definition| definition.is_none())
    })
}

fn copy_rows(
    task: &Task,
    table: &TaskTable,
    reader: &mut dyn TableReader,
    destination: &mut Destination,
    mine: &WorkerStatus,
    size: Size,
) -> Result<tables::Copied> {
    let (snapshot, sync_lsn) = (reader.snapshot().to_owned(), reader.sync_lsn());
    let name = reader.relation(0).target();
    let leases = task.leases()?;
    let copy = TableCopies {
        task_id: &task.uuid,
        tables: &[(table.relid, name.as_str())],
        snapshot: &snapshot,
        sync_lsn,
        leases: leases.each_ref().map(String::as_str),
    };
    if destination.begin_copies(&copy, size == Size::Large)? == 0 {
        let copied = already_copied(task, table.relid, destination)?;
        destination.leave_copy()?;
        return Ok(copied);
    }
    // Nobody changes its columns from here on; and the rows of whoever comes between a look whether it is empty and the
    // TRUNCATE would go.
    destination.lock_for_copy(&name, others(task))?;
    let there = destination.table(&name)?;
    if !destination.are_empty([&there])? {
        return Err(not_empty(task, &there));
    }
    // A table that this task created can be truncated in the transaction of the copy, so that its rows go in frozen (but for a partitioned
    // one). That gives it new files, which the destination waits for: not worth it where there are few rows.
    let may_freeze = task.schema_sync && there.kind == table::Kind::Plain && size == Size::Large;
    let freeze = may_freeze && destination.renew(&there)?;
    let rows = send_rows(reader, 0, &there, freeze, destination, mine)?;
    destination.commit_copies(&copy, &[rows])?;
    Ok(tables::Copied { snapshot, sync_lsn, rows, bytes: mine.bytes.load(Relaxed) })
}

/// Who may write into tables that are copied.
fn others(task: &Task) -> Others {
    if task.schema_sync { Others::Wait } else { Others::MayWrite }
}

/// The rows of one of the reader's tables, within the transaction of the copy.
fn send_rows(
    reader: &mut dyn TableReader,
    place: usize,
    there: &Table,
    freeze: bool,
    destination: &mut Destination,
    mine: &WorkerStatus,
) -> Result<u64> {
    let is_binary = reader.fits_binary(place, &|column| there.base_type(column));
    destination.start_copy(reader.relation(place), CopyFormat { is_binary, freeze })?;
    let rows = reader.read(place, is_binary, &mut |bytes, rows| {
        destination.copy_data(bytes)?;
        mine.rows.fetch_add(rows, Relaxed);
        mine.bytes.fetch_add(bytes.len() as u64, Relaxed);
        mine.moved_at.store(xact::now(), Relaxed);
        failpoint::hit("tablesync_mid_copy")
    })?;
    let taken = destination.copy_end().map_err(|error| explain_unknown_name(error, reader.relation(place)))?;
    if taken != rows {
        return Err(Error::new(
            "XX001",
            format!(
                "the destination took {} of {}, the source sent {rows}",
                counted(taken, "row"),
                reader.relation(place).shown_there()
            ),
        )
        .origin(Origin::Destination)
        .hint("A trigger or rule on the destination table takes rows away; disable it."));
    }
    if destination.replica_role {
        check_deferrable_constraints(there, destination)?;
    }
    Ok(rows)
}

/// A dead worker's copy committed after all.
fn already_copied(task: &Task, relid: u32, destination: &mut Destination) -> Result<tables::Copied> {
    let CopiedTable { snapshot, sync_lsn, rows } =
        destination.copied(&task.uuid, relid)?.ok_or_else(destination::taken_over)?;
    Ok(tables::Copied { snapshot, sync_lsn, rows, bytes: 0 })
}

fn not_empty(task: &Task, there: &Table) -> Error {
    let name = TableName::shown_as(&there.name);
    Error::new("55000", format!("table {name} on the destination is not empty"))
        .origin(Origin::Destination)
        .detail("The copy would mix with rows that are there.")
        .hint(format!(
            "If they are not needed: TRUNCATE {name}; there, then SELECT courier.resume('{}'). To keep them and \
             follow changes only, create the task with full_copy => false.",
            task.name
        ))
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
