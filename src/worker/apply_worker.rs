//! `pg_courier apply worker: <task>`: owns the slot and the destination session; decodes and applies.
//!
//! It reads what it has to know in one transaction at its start, and gets to know the destination; it writes nothing before the
//! supervisor has admitted it, which may still be checking. From then on it runs no SQL on the source: catalog
//! caches filled by SQL and by decoding contradict each other. Any error ends it; the supervisor reads the error from
//! shared memory and decides. A new worker resumes from the destination's progress row.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use super::rounds::Rounds;
use crate::apply::applier::{Acquainted, Applied, Applier, Plan};
use crate::apply::captures::{CapturedLater, Captures};
use crate::apply::ddl::Command;
use crate::apply::policies::KindPolicies;
use crate::catalog::tables::{self, TaskTable};
use crate::catalog::{DdlPolicy, Task, commands, coverage, ddl_policies, locks, marks};
use crate::decode::{ChangeSink, EarlySink, Event};
use crate::destination::Endpoint;
use crate::destination::{self, OnLockWait, Purpose};
use crate::error::{Error, Remedy, Result, sqlstate};
use crate::failpoint;
use crate::logicalrep::{Change, Lsn, Relation, Row, Transaction, names};
use crate::pg::dsm::Segment;
use crate::pg::{bgworker, disk, encoding, latch, report, spi, xact};
use crate::select::Selection;
use crate::select::coverage::Coverage;
use crate::select::marks::Marks;
use crate::select::origins::Origins;
use crate::select::own::{Heard, Own};
use crate::source;
use crate::task::processes::{Argument, WorkerMode};
use crate::task::status::{Admission, TaskStatus};

bgworker::entry_point!(pg_courier_apply_worker_main, apply_worker_main);

fn apply_worker_main() {
    bgworker::prepare_signals();
    let Some(argument) = Argument::parse(&bgworker::argument()) else { bgworker::exit(0) };
    bgworker::connect(Some(argument.database));
    let Some(status) = attach(argument.segment, argument.task) else { bgworker::exit(0) };
    if status.admission(argument.number) == Admission::Superseded {
        // The place is another's.
        bgworker::exit(0)
    }
    let mine = status.apply_worker();
    super::take_place(&status, 0);
    let outcome = report::catch(|| run(&argument, status.clone()));
    let Err(error) = outcome else { bgworker::exit(0) };
    if status.admission(argument.number) == Admission::Superseded {
        // Nobody waits for it, and its place is another's.
        bgworker::exit(0)
    }
    xact::abort();
    // The supervisor writes it into the log, once, with what it makes of it.
    if !status.supervisor.is_alive() {
        report::log(&error, "pg_courier apply worker stops");
    }
    mine.report(&error);
    status.announce();
    bgworker::exit(1)
}

/// The task's shared memory, mapped for the life of the process.
pub(super) fn attach(segment: u32, task: i32) -> Option<Rc<Segment<TaskStatus>>> {
    let status = xact::in_transaction(|| Ok(Segment::<TaskStatus>::attach(segment))).ok().flatten()?;
    status.belongs_to(task).then(|| Rc::new(status))
}

/// The decoder owns its sink, and this worker talks to the applier between two steps. What the extension itself says in the
/// stream is met here.
struct SharedSink {
    applier: Rc<RefCell<Applier>>,
    selection: Rc<Selection>,
    status: Rc<Segment<TaskStatus>>,
}

impl SharedSink {
    fn hear(&self, transaction: &Transaction, table: u32, change: Change<'_>) -> Result<()> {
        let own = self.selection.own();
        match own.hears(table, change) {
            Some(Heard::Heartbeat) => {
                self.status.beat.set_out(transaction);
                self.applier.borrow_mut().touch(transaction);
            }
            // Where commands are applied, the command itself says so.
            Some(Heard::Unlogged { .. }) if self.selection.joins() => {}
            Some(Heard::Unlogged { table }) => self.selection.is_unlogged(table, transaction)?,
            Some(Heard::Command { id, snapshot, image, tag }) => {
                let text = |bytes| encoding::readable(bytes).ok_or_else(|| unreadable(id));
                let command = Command { id, snapshot: text(snapshot)?, image: text(image)?, tag: text(tag)? };
                self.status.command.store(id, Relaxed);
                self.applier.borrow_mut().command(transaction, &command)?;
                self.status.command.store(0, Relaxed);
            }
            None => {}
        }
        Ok(())
    }
}

fn unreadable(id: i64) -> Error {
    Error::new(sqlstate::CHARACTER_NOT_IN_REPERTOIRE, format!("command {id} of courier.ddl_log is not valid UTF-8"))
        .detail("The database's encoding is SQL_ASCII, so nobody can tell the letters of names and constants.")
        .hint("SELECT courier.alter_task({task}, ddl => 'ignore'); then SELECT courier.resume({task});")
}

impl ChangeSink for SharedSink {
    fn selection(&self) -> Rc<Selection> {
        self.selection.clone()
    }

    fn event(&mut self, transaction: &Transaction, event: Event<'_>) -> Result<()> {
        let own = self.selection.own();
        match event {
            Event::Change { relation, change } if own.speaks_by(relation.oid) => {
                self.hear(transaction, relation.oid, change)
            }
            Event::Truncate { relations, restart_sequences } if relations.iter().any(|r| own.speaks_by(r.oid)) => {
                let others: Vec<_> = relations.iter().filter(|r| !own.speaks_by(r.oid)).cloned().collect();
                if others.is_empty() {
                    return Ok(());
                }
                let event = Event::Truncate { relations: &others, restart_sequences };
                self.applier.borrow_mut().event(transaction, event)
            }
            event => self.applier.borrow_mut().event(transaction, event),
        }
    }

    fn early(&mut self, lsn: Lsn) -> Option<&mut dyn EarlySink> {
        if self.applier.borrow().takes_early(lsn) { Some(self) } else { None }
    }
}

impl EarlySink for SharedSink {
    fn wants(&mut self, early: &Transaction, table: Option<&Rc<Relation>>, is_first: bool) -> Result<bool> {
        let others = table.filter(|table| !self.selection.own().speaks_by(table.oid));
        self.applier.borrow_mut().wants(early, others, is_first)
    }

    fn row(&mut self, row: &[u8]) -> Result<()> {
        self.applier.borrow_mut().row(row)
    }

    fn piece_ends(&mut self) -> Result<()> {
        self.applier.borrow_mut().piece_ends()
    }

    fn forgets(&mut self, xid: u32) {
        self.applier.borrow_mut().forgets(xid);
    }

    fn has_all(&mut self, transaction: &Transaction, slot: Option<usize>) -> Result<bool> {
        self.applier.borrow_mut().has_all(transaction, slot)
    }
}

fn run(argument: &Argument, status: Rc<Segment<TaskStatus>>) -> Result<()> {
    super::apply_data_settings()?;
    if argument.mode == WorkerMode::CreateSlot {
        return create_slot(argument, &status);
    }
    let is_admitted = status.admission(argument.number) == Admission::Granted;
    let AtStart { mut task, endpoint, mut plan, coverage, marks, own } =
        xact::in_transaction(|| AtStart::read(argument, &status))?;
    super::show_task(&task.name)?;
    let applies_commands = task.has_model();
    let mut destination = endpoint.open(Purpose::Apply)?;
    destination.applies_commands = applies_commands;
    if !destination.replica_role && task.needs_replica_role {
        return Err(destination.replica_role_error());
    }
    let mut session = Acquainted::with(destination, &plan.names)?;
    if !is_admitted {
        bgworker::report_activity("waits until the supervisor has checked the destination");
        if !wait_for_admission(&status, argument.number) {
            return Ok(());
        }
        // The supervisor has noted what it found there. Had it changed more, it would have called another worker.
        task = xact::in_transaction(|| Task::by_id(argument.task))?;
        plan.leases = task.leases()?;
    }
    // A moment ago it has looked at the helper schema there too.
    if is_admitted || !session.is_on(task.destination_id.as_deref()) {
        session.check_helper_schema()?;
    }
    // The lines that the server writes about decoding name a process only.
    task.log_line(&format!("decodes slot \"{}\"", names::slot_name(&task.name)));
    let observer = status.clone();
    let on_applied = Box::new(move |applied: &Applied| note_applied(&observer, applied));
    let on_wait = tells_of_waits(status.clone());
    let endpoint = endpoint.for_extras();
    let open = Box::new(move || {
        let mut opened = endpoint.open(Purpose::Apply)?;
        opened.applies_commands = applies_commands;
        Ok(opened)
    });
    let destination = session.destination_id().map(str::to_owned);
    let origins = Origins { forward: task.forward_origins, destination, marks };
    let selection = Rc::new(Selection::new(coverage, origins, own));
    let mut applier = Applier::new(session, open, plan, selection.clone(), on_applied, on_wait)?;
    if task.ddl == DdlPolicy::Replicate {
        applier.follow_model()?;
    }
    if applier.waits_for_copies() {
        return Ok(());
    }
    let applier = Rc::new(RefCell::new(applier));
    // A heartbeat that set out with a worker that died is met again.
    status.beat.forget();
    let start = applier.borrow().applied();
    let sink = SharedSink { applier: applier.clone(), selection, status: status.clone() };
    let mut stream = source::of(&task).stream(start, Box::new(sink))?;
    if start < stream.confirmed() {
        // It would begin behind the gap, without a word.
        return Err(destination::behind(&task.name, start, stream.confirmed()));
    }
    // Not the maximum: a destination that crashed may have lost what it had not made durable.
    status.applied_lsn.store(start.0, Relaxed);
    status.durable_lsn.store(applier.borrow().durable().0, Relaxed);
    let outcome = Rounds::new(status.clone(), applier.clone()).run(stream.as_mut());
    if applier.borrow().waits_for_copies() {
        // The supervisor finds them in the model.
        return Ok(());
    }
    if let Err(error) = &outcome
        && error.remedy() == Remedy::ReplaySerially
    {
        let until = applier.borrow().failing_end();
        status.serial_until.store(until.0, Relaxed);
    }
    outcome
}

fn create_slot(argument: &Argument, status: &TaskStatus) -> Result<()> {
    // Whoever drops the task may not have seen us come. Once this is through, it does.
    let task = xact::in_transaction(|| {
        locks::lock_task(argument.task);
        Task::by_id(argument.task)
    })?;
    super::show_task(&task.name)?;
    bgworker::report_activity("creating the replication slot; waits for transactions that run now");
    let lsn = source::of(&task).create_slot()?;
    failpoint::hit("slot_created")?;
    status.slot_lsn.store(lsn.0, Relaxed);
    Ok(())
}

/// Waits for the supervisor's word; false when it was given to another worker.
fn wait_for_admission(status: &TaskStatus, ticket: u32) -> bool {
    /// The supervisor nudges. When it is gone nobody does.
    const LOOK_EVERY: Duration = Duration::from_secs(1);
    loop {
        match status.admission(ticket) {
            Admission::Granted => return true,
            Admission::Superseded => return false,
            Admission::Pending if !status.supervisor.is_alive() => return false,
            Admission::Pending => latch::wait(Some(LOOK_EVERY)),
        }
    }
}

/// What this server knows of the task.
struct AtStart {
    task: Task,
    endpoint: Endpoint,
    plan: Plan,
    coverage: Coverage,
    marks: Marks,
    own: Own,
}

impl AtStart {
    fn read(argument: &Argument, status: &Rc<Segment<TaskStatus>>) -> Result<AtStart> {
        let task = Task::by_id(argument.task)?;
        let plan = Plan {
            task_id: task.uuid.clone(),
            leases: task.leases()?,
            names: tables::of_task(task.id)?.iter().map(TaskTable::target).collect(),
            defer_constraints: tables::have_deferrable_constraints(task.id)?,
            conflict: task.conflict,
            skip: task.skip_lsn,
            decisions: commands::decisions(task.id)?,
            captures: if task.has_model() { Captures::new(captures(&task)?) } else { Captures::default() },
            stops_at_commands: task.ddl == DdlPolicy::Stop,
            trust: task.trust(),
            policies: KindPolicies::of(
                ddl_policies::of_task(task.id)?.into_iter().map(|row| (row.kind, row.pattern, row.policy)),
            )?,
            temporary: disk::temporary_directory(),
            serial_until: Lsn(status.serial_until.load(Relaxed)),
        };
        let mut source = source::of(&task);
        let (coverage, marks, own) =
            (coverage::at_start(&task, source.as_mut())?, marks::read(source.as_mut())?, own_tables(&task)?);
        Ok(AtStart { endpoint: Endpoint::of(&task)?, task, plan, coverage, marks, own })
    }
}

fn captures(task: &Task) -> Result<Vec<CapturedLater>> {
    let capture = |row: &Row| {
        Ok(CapturedLater {
            id: row.parse("id")?,
            xid: row.parse("xid")?,
            snapshot: row.string("snapshot")?,
            image: row.string("image")?,
            tag: row.string("tag")?,
        })
    };
    commands::captures(task.id)?.iter().map(capture).collect()
}

fn own_tables(task: &Task) -> Result<Own> {
    let sql = "SELECT 'courier.heartbeat'::pg_catalog.regclass::pg_catalog.oid AS heartbeat, \
               'courier.rewritten_table'::pg_catalog.regclass::pg_catalog.oid AS rewritten, \
               'courier.ddl_log'::pg_catalog.regclass::pg_catalog.oid AS commands";
    let row = spi::query_one(sql, &[])?;
    let is_read = matches!(task.ddl, DdlPolicy::Replicate | DdlPolicy::Stop);
    let commands = if is_read { row.parse("commands")? } else { 0 };
    Ok(Own { heartbeat: row.parse("heartbeat")?, rewritten: row.parse("rewritten")?, commands, task: task.id })
}

/// A command that waits for locks there keeps this process from anything else.
fn tells_of_waits(status: Rc<Segment<TaskStatus>>) -> Box<OnLockWait> {
    // Whoever told of it last is gone.
    status.lock_wait.is_over();
    Box::new(move |holders| {
        match holders {
            Some(holders) => status.lock_wait.goes_on(holders),
            None if status.lock_wait.since().is_none() => return,
            None => status.lock_wait.is_over(),
        }
        status.supervisor.nudge();
    })
}

fn note_applied(status: &TaskStatus, applied: &Applied) {
    status.applied_lsn.fetch_max(applied.end_lsn.0, Relaxed);
    if applied.commit_time != 0 {
        status.current_at.store(applied.commit_time, Relaxed);
    }
    status.transactions.fetch_add(applied.transactions, Relaxed);
    status.changes.fetch_add(applied.changes, Relaxed);
    status.bytes.fetch_add(applied.bytes, Relaxed);
    status.commands.fetch_add(applied.commands, Relaxed);
    status.beat.arrived(applied);
    status.announce();
}
