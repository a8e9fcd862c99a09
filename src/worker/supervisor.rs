//! `pg_courier supervisor: <task>`: takes a task through its stages and keeps it there.
//!
//! ```text
//! created -> slot -> older transactions gone -> schema_sync -> full_copy -> post_data -> catching_up -> synchronizing
//! ```
//! Each step is recorded when it is complete, so a supervisor that starts anew goes on with the first that is not. An
//! error ends the attempt: passing ones are tried again with growing pauses, the others fail the task and wait for
//! `courier.resume()`. The copy begins only when every transaction that might have written its commit record before the
//! slot's start is visible: such a transaction is in no stream, so it has to be in every copy (decision 4 of the design).

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::rc::Rc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use super::claimant::Claimant;
use super::health::HealthCheck;
use super::heartbeat::Heart;
use super::status::TaskStatus;
use super::wal_guard::{Verdict, WalGuard};
use super::{Argument, Endpoint, Mode, failpoint, renames};
use crate::catalog::schema::{self, Extent, Item};
use crate::catalog::sequences::{self, SequenceValue};
use crate::catalog::{self, Stage, Task, Wanted, locks, tables, version};
use crate::destination::{Destination, Missing, Purpose, SequenceTo};
use crate::error::{Error, Remedy, Result, sqlstate};
use crate::guc::{self, MAX_SYNC_WORKERS};
use crate::logicalrep::TableName;
use crate::logicalrep::words::counted;
use crate::logicalrep::{Lsn, names};
use crate::pg::bgworker::{self, Handle, Spec};
use crate::pg::dsm::Segment;
use crate::pg::{compat, latch, report, spi, xact};
use crate::schema_sync::{self, When};

const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// Between two attempts once `courier.connection_retry_time` is over.
const PAUSE_AFTER_WINDOW: Duration = Duration::from_secs(300);
/// The states of tables follow the stream this often while it catches up.
const FOLLOW_EVERY: Duration = Duration::from_secs(1);
/// The task's row is asked this often whether the task is wanted; who pauses or drops it tells us, but a DROP EXTENSION that
/// got past its guards does not.
const LOOK_EVERY: Duration = Duration::from_secs(10);

/// Starts the supervisor of a task; it waits for the transaction that asked for it. The postmaster starts it again when it
/// ends with a status other than 0.
pub fn start(task: i32, name: &str) -> Result<()> {
    let argument = Argument { database: xact::database_id(), task, segment: 0, number: 0, mode: Mode::Run };
    bgworker::start(&Spec {
        name: &format!("pg_courier supervisor: {name}"),
        kind: "pg_courier supervisor",
        function: "pg_courier_supervisor_main",
        argument: &argument.to_text(),
        restart_seconds: Some(5),
        notify: false,
    })
    .map(|_| ())
}

thread_local! {
    static STATUS: RefCell<Option<Rc<Segment<TaskStatus>>>> = const { RefCell::new(None) };
}

/// The others do not outlive their supervisor.
fn terminate_workers() {
    STATUS.with_borrow(|status| {
        if let Some(status) = status {
            for worker in &status.workers {
                worker.process.terminate();
            }
        }
    });
}

bgworker::entry_point!(pg_courier_supervisor_main, supervisor_main);

fn supervisor_main() {
    bgworker::prepare_signals();
    let Some(argument) = Argument::parse(&bgworker::argument()) else { bgworker::exit(0) };
    bgworker::connect(Some(argument.database));
    match report::catch(|| supervise(&argument)) {
        Ok(()) => bgworker::exit(0),
        Err(error) => {
            // Not even the error could be recorded; the postmaster starts us again.
            xact::abort();
            report::log(&error, "pg_courier supervisor stops");
            bgworker::exit(1)
        }
    }
}

fn supervise(argument: &Argument) -> Result<()> {
    super::apply_data_settings()?;
    // Waits for the transaction that started us; only one of us goes on.
    xact::in_transaction(|| {
        locks::lock_task(argument.task);
        Ok(())
    })?;
    if let Err(error) = xact::in_transaction(version::check) {
        report::log(&error, "pg_courier supervisor does not start");
        return Ok(());
    }
    if !locks::try_lock_supervisor(argument.task) {
        return Ok(());
    }
    bgworker::before_exit(|| {
        terminate_workers();
        STATUS.with_borrow(|status| status.iter().for_each(|status| status.supervisor.leave()));
    });
    // Who stops the task does not want another supervisor; an administrator who ended only this process does.
    bgworker::when_asked(|| {
        let stopping = |status: &Rc<Segment<TaskStatus>>| status.stopping.load(Relaxed) == 1;
        STATUS.with_borrow(|status| i32::from(!status.as_ref().is_some_and(stopping)))
    });
    failpoint::hit("supervisor_starts")?;
    let first = xact::in_transaction(|| match Asked::look(argument.task)? {
        Some(Asked::Run(task)) if !crashes_too_often(&task)? => make_status(&task).map(|made| Some((task, made))),
        _ => Ok(None),
    })?;
    let Some((task, (status, handle))) = first else { return Ok(()) };
    HANDLE.set(handle);
    let mut first = Some(task);
    let mut retry = Retry::default();
    let mut health = HealthCheck::from_now();
    loop {
        let task = match first.take() {
            Some(task) => task,
            None => match xact::in_transaction(|| Asked::look(argument.task))? {
                Some(Asked::Run(task)) => task,
                _ => return Ok(()),
            },
        };
        if task.lease.is_none() {
            // Before the destination's row gets it.
            xact::in_transaction(|| task.draw_lease())?;
            continue;
        }
        super::show_task(&task.name)?;
        let mut attempt = Attempt {
            task: &task,
            status: status.clone(),
            retry: &mut retry,
            health: &mut health,
            sequences: SequenceSync::default(),
            heart: Heart::default(),
            guard: WalGuard::default(),
            looked: Instant::now(),
            is_at_rest: false,
            claimant: None,
            early: None,
        };
        let outcome = report::catch(|| attempt.run());
        attempt.dismiss_early();
        let error = match outcome {
            Ok(Ended::Finished) => return Ok(()),
            Ok(Ended::Guarded(verdict)) => return end_for_guard(&task, &status, verdict),
            Ok(Ended::NotWanted) => return end_unwanted(&task),
            Err(error) => error.addressed_to(&task.name),
        };
        xact::abort();
        terminate_workers();
        let error = after_adoption(&task, error)?;
        if !matches!(xact::in_transaction(|| Asked::look(task.id))?, Some(Asked::Run(_))) {
            return end_unwanted(&task);
        }
        xact::in_transaction(|| task.note_current(status.known_current().as_deref()))?;
        let Some(pause) = retry.pause(&error, task.incremental) else {
            task.log(&error, "failed");
            return xact::in_transaction(|| task.record_error(&error, true, None));
        };
        task.log(&error, &format!("tries again in {} s", pause.as_secs_f32()));
        xact::in_transaction(|| task.record_error(&error, false, Some(pause.as_secs().max(1))))?;
        show(&status, "waiting before the next attempt");
        latch::wait_for(pause);
        health.run_now_and_then();
        // A destination that is away for long is what fills the disk.
        if let Some(verdict) = WalGuard::default().look(&task)? {
            return end_for_guard(&task, &status, verdict);
        }
        xact::in_transaction(|| task.clear_retry())?;
    }
}

/// What the task's row asks of its supervisor; `None` when there is no row any more, or no extension.
enum Asked {
    Run(Box<Task>),
    Rest,
}

impl Asked {
    fn look(task: i32) -> Result<Option<Asked>> {
        if !catalog::is_installed()? {
            return Ok(None);
        }
        let task = Task::find_by_id(task)?;
        Ok(task.map(|task| match task.wanted {
            Wanted::Running if !task.failed => Asked::Run(Box::new(task)),
            _ => Asked::Rest,
        }))
    }
}

/// How an attempt ended that no error ended.
enum Ended {
    Finished,
    Guarded(Verdict),
    NotWanted,
}

/// The task's row does not ask for processes any more, and nobody told us. If the extension was dropped below its tasks the
/// guards of that were evaded, and what keeps WAL now is nobody's.
fn end_unwanted(task: &Task) -> Result<()> {
    terminate_workers();
    if xact::in_transaction(|| Asked::look(task.id))?.is_some() || !task.incremental {
        return Ok(());
    }
    let slot = names::slot_name(&task.name);
    let is_there = xact::in_transaction(|| {
        let sql = "SELECT 1 FROM pg_catalog.pg_replication_slots WHERE slot_name = $1";
        Ok(spi::query_opt(sql, &[Some(&slot)])?.is_some())
    })?;
    if !is_there {
        return Ok(());
    }
    let drop = format!("SELECT pg_catalog.pg_drop_replication_slot({});", names::quote_literal(&slot));
    task.log(
        &Error::new(sqlstate::UNDEFINED_OBJECT, "the task is gone, its processes end")
            .detail(format!(
                "The extension was dropped, or the task's row deleted. Replication slot \"{slot}\" stays and keeps WAL."
            ))
            .hint(drop),
        "ends",
    );
    Ok(())
}

/// The slot keeps too much WAL: the task is recorded as paused or failed, and its processes go.
fn end_for_guard(task: &Task, status: &TaskStatus, verdict: Verdict) -> Result<()> {
    /// A worker that does not end in this time keeps its slot; the launcher looks after that.
    const PATIENCE: Duration = Duration::from_secs(60);
    terminate_workers();
    let deadline = Instant::now() + PATIENCE;
    while status.workers.iter().any(|worker| worker.process.is_alive()) && Instant::now() < deadline {
        latch::wait(Some(Duration::from_millis(20)));
    }
    verdict.carry_out(task)
}

/// A worker that crashes takes the whole server through recovery. If that happens again and again the task is the
/// likely cause, and the source comes first: the task fails and waits for a person.
fn crashes_too_often(task: &Task) -> Result<bool> {
    const MANY: i64 = 10;
    let starts = task.count_start()?;
    if starts <= MANY {
        return Ok(false);
    }
    let error = Error::new(
        "57P02",
        format!("the task was started {starts} times in a row without coming to an end or to rest"),
    )
    .detail("Its processes were killed, or they crash; a crash takes the whole server through recovery.")
    .hint(format!(
        "Look for \"terminated by signal\" in the server log, then SELECT courier.resume({});",
        names::quote_literal(&task.name)
    ));
    task.log(&error, "failed");
    task.record_error(&error, true, None)?;
    Ok(true)
}

/// The task's shared memory, and by what others find it.
fn make_status(task: &Task) -> Result<(Rc<Segment<TaskStatus>>, u32)> {
    let (status, handle) = Segment::<TaskStatus>::create();
    status.task.store(task.id, Relaxed);
    status.supervisor.enter();
    task.update("segment = $2::bigint", &[Some(&handle.to_string())])?;
    let status = Rc::new(status);
    STATUS.with_borrow_mut(|kept| *kept = Some(status.clone()));
    Ok((status, handle))
}

thread_local! {
    static HANDLE: std::cell::Cell<u32> = const { std::cell::Cell::new(0) };
}

/// How long errors have lasted, and the pause before the next attempt.
#[derive(Default)]
struct Retry {
    since: Option<Instant>,
    attempts: u32,
    /// How far the stream has come.
    furthest: Lsn,
}

impl Retry {
    /// `None` when it is over: a person has to look. A stream whose destination is out of reach never gives up: its slot keeps
    /// WAL either way, and a destination that comes back shall find it.
    fn pause(&mut self, error: &Error, has_slot: bool) -> Option<Duration> {
        let window = match error.remedy() {
            Remedy::RetryConnection => guc::connection_retry_time(),
            Remedy::RetryOther => guc::other_retry_time(),
            Remedy::ReplaySerially => return Some(Duration::ZERO),
            Remedy::Stop => return None,
        };
        let since = *self.since.get_or_insert_with(Instant::now);
        if since.elapsed() > window {
            let goes_on = has_slot && error.remedy() == Remedy::RetryConnection;
            return goes_on.then_some(PAUSE_AFTER_WINDOW);
        }
        let pause = Duration::from_millis(500) * 2u32.saturating_pow(self.attempts.min(10));
        self.attempts += 1;
        Some(pause.min(LONGEST_PAUSE))
    }

    fn is_untroubled(&self) -> bool {
        self.since.is_none()
    }

    fn succeeded(&mut self) {
        (self.since, self.attempts) = (None, 0);
    }

    /// An attempt that gets further than those before has got over what stopped them. One that only starts has not.
    fn advanced(&mut self, durable: Lsn) -> bool {
        let advanced = durable > self.furthest;
        if advanced {
            self.furthest = durable;
            self.succeeded();
        }
        advanced
    }
}

struct Attempt<'a> {
    task: &'a Task,
    status: Rc<Segment<TaskStatus>>,
    retry: &'a mut Retry,
    health: &'a mut HealthCheck,
    sequences: SequenceSync,
    heart: Heart,
    guard: WalGuard,
    /// When the task's row was last asked whether the task is wanted.
    looked: Instant,
    is_at_rest: bool,
    claimant: Option<Rc<Claimant>>,
    /// An apply worker that gets ready while the destination is still checked, and its ticket.
    early: Option<(Handle, u32)>,
}

impl Attempt<'_> {
    fn run(&mut self) -> Result<Ended> {
        let task = self.task;
        self.start_early();
        let (endpoint, claimant) = xact::in_transaction(|| {
            check_owner(task)?;
            Ok((Endpoint::of(task)?, Rc::new(Claimant::of(task)?)))
        })?;
        claimant.check_source(task)?;
        self.claimant = Some(claimant.clone());
        let mut destination = endpoint.open(Purpose::Control)?;
        let destination_id = claimant.check_destination(task, &endpoint, &mut destination)?;
        if task.incremental && task.needs_replica_role && !destination.can_be_replica()? {
            return Err(destination.replica_role_error());
        }
        // First of all: a copy of the source has no business here. A row that is not there is made only as long as nothing
        // was copied or streamed.
        let missing = if task.stage == Stage::Created { Missing::Leave } else { Missing::Fail };
        let mut lease = destination.claim(&claimant.claim(task), missing)?;
        let start = if task.incremental { self.ensure_slot()? } else { Lsn::INVALID };
        if lease.is_none() {
            lease = destination.claim(&claimant.claim(task), Missing::Make(start))?;
        }
        xact::in_transaction(|| {
            if destination_id.is_some() && task.destination_id != destination_id {
                task.update("destination_id = $2", &[destination_id.as_deref()])?;
            }
            lease.as_deref().map_or(Ok(()), |lease| task.note_lease(lease))
        })?;
        if task.stage > Stage::FullCopy {
            self.check_copies(&mut destination)?;
        }
        if task.incremental && !task.older_gone {
            self.wait_for_older_transactions()?;
        }
        xact::in_transaction(|| task.note_reached())?;
        if task.stage < Stage::CatchingUp {
            if let Some(ended) = self.prepare_and_copy(&mut destination)? {
                return Ok(ended);
            }
            self.retry.succeeded();
            xact::in_transaction(|| task.note_recovered())?;
        }
        if task.incremental {
            return self.stream(&endpoint, destination);
        }
        self.check_copies(&mut destination)?;
        self.sequences.sync(task, &claimant, &mut destination, Exactness::Exact)?;
        xact::in_transaction(|| {
            tables::set_all_ready(task.id)?;
            task.update("wanted = $2, finished_at = now()", &[Some(Wanted::Finished.as_str())])
        })?;
        Ok(Ended::Finished)
    }

    fn show(&self, text: &str) {
        show(&self.status, text);
    }

    /// Now and then: is there anything that ends the attempt, besides errors?
    fn look_around(&mut self) -> Result<Option<Ended>> {
        if let Some(verdict) = self.guard.look_now_and_then(self.task)? {
            return Ok(Some(Ended::Guarded(verdict)));
        }
        if self.look_due_in().is_zero() {
            self.looked = Instant::now();
            if !matches!(xact::in_transaction(|| Asked::look(self.task.id))?, Some(Asked::Run(_))) {
                return Ok(Some(Ended::NotWanted));
            }
            // What was granted may have been taken away.
            xact::in_transaction(|| check_owner(self.task))?;
        }
        Ok(None)
    }

    fn look_due_in(&self) -> Duration {
        LOOK_EVERY.saturating_sub(self.looked.elapsed())
    }

    // ---- slot ---------------------------------------------------------------------------------------------------

    /// The slot's start; creates the slot when the task has none yet.
    fn ensure_slot(&mut self) -> Result<Lsn> {
        let task = self.task;
        let slot = names::slot_name(&task.name);
        let there = xact::in_transaction(|| {
            spi::as_extension(|| {
                spi::query_opt(
                    "SELECT confirmed_flush_lsn, plugin = 'pg_courier' AND database = current_database(), \
                     wal_status FROM pg_replication_slots WHERE slot_name = $1",
                    &[Some(&slot)],
                )
            })
        })?;
        match there {
            Some(row) if !row.bool(1)? => Err(Error::new(
                sqlstate::DUPLICATE_OBJECT,
                format!("replication slot \"{slot}\" belongs to something else"),
            )
            .hint("Slot names are shared by all databases of the cluster. Drop the task and use another name.")),
            Some(row) if row.opt(2) == Some("lost") => Err(slot_lost(&slot)),
            Some(_) if task.slot_lsn.is_valid() => Ok(task.slot_lsn),
            Some(row) => {
                // Made by a supervisor that died before it could note it; nothing has been copied or streamed.
                let lsn = row.lsn(0)?;
                self.note_slot(lsn)
            }
            None if task.slot_lsn.is_valid() => Err(slot_lost(&slot)),
            None => {
                let handle = self.start_apply_worker(Mode::CreateSlot)?;
                while !handle.is_stopped() {
                    // It waits for each transaction that runs now; who that is helps more than that it does.
                    let blockers = self.status.apply_worker().process.pid().map(blockers_of).transpose()?;
                    self.show(&match blockers.filter(|blockers| !blockers.is_empty()) {
                        Some(blockers) => {
                            format!("creating the replication slot; waits for the transaction of {blockers}")
                        }
                        None => "creating the replication slot".to_owned(),
                    });
                    latch::wait(Some(FOLLOW_EVERY));
                }
                self.take_worker_error()?;
                let lsn = Lsn(self.status.slot_lsn.load(Relaxed));
                if !lsn.is_valid() {
                    return Err(Error::new(sqlstate::OBJECT_IN_USE, "the slot could not be created yet"));
                }
                self.note_slot(lsn)
            }
        }
    }

    fn note_slot(&self, lsn: Lsn) -> Result<Lsn> {
        xact::in_transaction(|| self.task.update("slot_lsn = $2::pg_lsn", &[Some(&lsn.to_string())]))?;
        Ok(lsn)
    }

    /// See the story above. Waiting for the transactions' locks is waiting for an event: they are released after the
    /// transaction has left the list of running ones.
    fn wait_for_older_transactions(&self) -> Result<()> {
        let running = xact::in_transaction(|| {
            spi::query("SELECT pg_catalog.pg_snapshot_xip(pg_catalog.pg_current_snapshot())", &[])
        })?;
        for (done, row) in running.iter().enumerate() {
            let xid: u64 = row.parse(0)?;
            let left = counted((running.len() - done) as u64, "transaction");
            let holder = xact::in_transaction(|| holder_of(xid as u32))?;
            self.show(&format!("waiting for {left} of before the slot, now {holder}"));
            xact::in_transaction(|| {
                xact::wait_for_transaction(xid as u32);
                Ok(())
            })?;
        }
        xact::in_transaction(|| self.task.update("older_gone = true", &[]))
    }

    // ---- schema and copy ----------------------------------------------------------------------------------------

    fn prepare_and_copy(&mut self, destination: &mut Destination) -> Result<Option<Ended>> {
        let task = self.task;
        let items = if task.schema_sync { self.schema_statements(destination)? } else { Vec::new() };
        if task.stage < Stage::FullCopy {
            if let Some(ended) = self.be_alone(destination)? {
                return Ok(Some(ended));
            }
            if task.stage < Stage::SchemaSync {
                self.show("looking for tables on the destination");
                schema_sync::check_absent(destination, &items)?;
                xact::in_transaction(|| task.set_stage(Stage::SchemaSync))?;
            }
            schema_sync::create_pre_data(destination, &items, &task.uuid, |done, all| {
                show(
                    &self.status,
                    &format!("creating tables on the destination: {done} of {}", counted(all as u64, "object")),
                );
                if done > 0 {
                    let _ = failpoint::hit("pre_data_between_pieces");
                }
            })?;
            xact::in_transaction(|| task.set_stage(Stage::FullCopy))?;
            destination.not_alone(&task.uuid)?;
        }
        if task.stage < Stage::PostData {
            let ended = self.copy_tables()?;
            if ended.is_some() {
                return Ok(ended);
            }
            if !task.incremental {
                self.tell_of_snapshots()?;
            }
        }
        xact::in_transaction(|| task.set_stage(Stage::PostData))?;
        self.check_writer(destination)?;
        if let Some(ended) = self.be_alone(destination)? {
            return Ok(Some(ended));
        }
        self.create_post_data(destination, &items, When::Copied)?;
        if !task.incremental {
            // All tables were copied under one snapshot.
            self.create_post_data(destination, &items, When::Consistent)?;
        }
        destination.not_alone(&task.uuid)?;
        xact::in_transaction(|| task.set_stage(Stage::CatchingUp))?;
        Ok(None)
    }

    /// Waits until an earlier session of the task has let go of the destination's schema: what it works on may come about yet.
    fn be_alone(&mut self, destination: &mut Destination) -> Result<Option<Ended>> {
        let mut told = false;
        while let Some(other) = destination.try_alone(&self.task.uuid)? {
            let what = format!("waiting for an earlier session of the task on the destination ({other})");
            self.show(&what);
            if !told {
                self.task.log_line(&what);
                xact::in_transaction(|| self.task.record_event("waiting", &what, None))?;
                told = true;
            }
            if let Some(ended) = self.look_around()? {
                return Ok(Some(ended));
            }
            latch::wait_for(FOLLOW_EVERY);
        }
        Ok(None)
    }

    /// A copy without a stream that was interrupted goes on under another snapshot: nothing brings its tables together.
    fn tell_of_snapshots(&self) -> Result<()> {
        let task = self.task;
        let copies = xact::in_transaction(|| tables::copies(task.id))?;
        let Some(first) = copies.first() else { return Ok(()) };
        let Some(other) = copies.iter().find(|copy| copy.snapshot != first.snapshot) else { return Ok(()) };
        let name = names::quote_literal(&task.name);
        let error = Error::new(
            sqlstate::OBJECT_NOT_IN_PREREQUISITE_STATE,
            format!("the tables of task \"{}\" were copied at different moments", task.name),
        )
        .detail(format!(
            "The copy was interrupted and went on under another snapshot: {} is not of the same moment as {}. What was written on \
             the source between the two is on the destination in some of the tables only.",
            other.shown(),
            first.shown()
        ))
        .hint(format!(
            "If that matters, drop the tables on the destination and copy them once more: SELECT courier.drop_task({name}); then create \
             the task and start it. A task with incremental => true has no such moments."
        ));
        xact::in_transaction(|| task.record_error(&error, false, None))?;
        task.log(&error, "goes on");
        Ok(())
    }

    /// The copy may have taken long.
    fn check_writer(&self, destination: &mut Destination) -> Result<()> {
        let Some(claimant) = &self.claimant else { return Ok(()) };
        destination.check_writer(&claimant.claim(self.task))
    }

    /// Are the copies of the tables still there? A destination that was put back to before them has lost them.
    fn check_copies(&self, destination: &mut Destination) -> Result<()> {
        let copies = xact::in_transaction(|| tables::copies(self.task.id))?;
        destination.check_copies(&self.task.uuid, &self.task.name, &copies)
    }

    fn create_post_data(&self, destination: &mut Destination, items: &[Item], when: When) -> Result<()> {
        schema_sync::create_post_data(destination, items, when, |item| {
            show(&self.status, &format!("creating {} {}", item.kind, item.object));
        })
    }

    /// What the destination has already of what the tables need (functions made by hand) is not left out. No transaction
    /// is open on the source while the destination is asked.
    fn schema_statements(&self, destination: &mut Destination) -> Result<Vec<Item>> {
        let (extent, causes) = xact::in_transaction(|| {
            let rows = spi::as_extension(|| {
                spi::query(
                    "SELECT relid FROM courier.task_table WHERE task_id = $1::int",
                    &[Some(&self.task.id.to_string())],
                )
            })?;
            let oids = rows.iter().map(|row| row.parse(0)).collect::<Result<Vec<u32>>>()?;
            Ok((Extent::of(&self.task.scope, &oids)?, schema::causes(&oids)?))
        })?;
        let (available, _) = schema::ask_causes(destination, causes)?;
        let extent = extent.with(&available);
        xact::in_transaction(|| schema::statements(&extent))
    }

    fn copy_tables(&mut self) -> Result<Option<Ended>> {
        let task = self.task;
        xact::in_transaction(|| tables::reset_unfinished(task.id))?;
        if xact::in_transaction(|| tables::count_uncopied(task.id))? == 0 {
            return Ok(None);
        }
        let holder = if task.incremental { None } else { Some(self.hold_snapshot()?) };
        let mut handles: HashMap<u32, Handle> = HashMap::new();
        loop {
            let left = xact::in_transaction(|| tables::count_uncopied(task.id))?;
            if left == 0 {
                break;
            }
            self.show(&format!("copying; {} to go", counted(left, "table")));
            if let Some(ended) = self.look_around()? {
                return Ok(Some(ended));
            }
            for number in 1..=guc::sync_workers().min(MAX_SYNC_WORKERS as u32 - 1).min(left as u32) {
                if let std::collections::hash_map::Entry::Vacant(free) = handles.entry(number) {
                    free.insert(self.start_tablesync_worker(number, Mode::Run)?);
                }
            }
            // A worker that ends nudges us.
            latch::wait(Some(FOLLOW_EVERY * 10));
            self.health.run_now_and_then();
            let ended: Vec<u32> = handles.iter().filter(|(_, h)| h.is_stopped()).map(|(n, _)| *n).collect();
            for number in ended {
                handles.remove(&number);
                let worker = self.status.workers.get(number as usize);
                if let Some((_, error)) = worker.and_then(|w| w.take_error()) {
                    return Err(error);
                }
            }
            if handles.is_empty() {
                // Killed ones left their tables behind; do not start new ones in a tight circle.
                xact::in_transaction(|| tables::reset_unfinished(task.id))?;
                latch::wait_for(Duration::from_millis(100));
            }
        }
        // The last ones are on their way out.
        handles.values().for_each(Handle::wait_for_shutdown);
        if let Some(holder) = holder {
            holder.terminate();
            holder.wait_for_shutdown();
        }
        Ok(None)
    }

    /// Without a stream nothing would bring tables together that were copied at different moments, so all of them are
    /// copied under one snapshot, which a worker of its own keeps.
    fn hold_snapshot(&self) -> Result<Handle> {
        self.status.set_snapshot("");
        let holder = self.start_tablesync_worker(MAX_SYNC_WORKERS as u32, Mode::HoldSnapshot)?;
        while self.status.snapshot().is_none() {
            if holder.is_stopped() {
                let worker = self.status.workers.last();
                let error = worker.and_then(|w| w.take_error()).map(|(_, error)| error);
                return Err(
                    error.unwrap_or_else(|| Error::new(sqlstate::OBJECT_IN_USE, "the snapshot could not be taken"))
                );
            }
            latch::wait(Some(FOLLOW_EVERY));
        }
        Ok(holder)
    }

    // ---- workers ------------------------------------------------------------------------------------------------

    fn argument(&self, number: u32, mode: Mode) -> String {
        let argument =
            Argument { database: xact::database_id(), task: self.task.id, segment: HANDLE.get(), number, mode };
        argument.to_text()
    }

    /// An apply worker that may begin at once.
    fn start_apply_worker(&self, mode: Mode) -> Result<Handle> {
        let (worker, ticket) = self.call_apply_worker(mode)?;
        self.status.admit(ticket);
        Ok(worker)
    }

    /// An apply worker that gets ready and waits until its ticket is admitted.
    fn call_apply_worker(&self, mode: Mode) -> Result<(Handle, u32)> {
        self.status.caught_up.store(0, Relaxed);
        let ticket = self.status.draw_ticket();
        // What one before it left behind that nobody waited for.
        drop(self.status.apply_worker().take_error());
        let worker = bgworker::start(&Spec {
            name: &format!("pg_courier apply worker: {}", self.task.name),
            kind: "pg_courier apply worker",
            function: "pg_courier_apply_worker_main",
            argument: &self.argument(ticket, mode),
            restart_seconds: None,
            notify: true,
        })?;
        Ok((worker, ticket))
    }

    /// What an apply worker does before it writes takes as long as our checks, so both go on side by side. Not after an error:
    /// two that try in vain are no better than one. One that cannot be started now is started when it is needed.
    fn start_early(&mut self) {
        let task = self.task;
        let streams = task.incremental && task.stage >= Stage::CatchingUp && task.slot_lsn.is_valid();
        // One of 0.1.0 has to claim its row first.
        if streams && task.next_lease.is_some() && self.retry.is_untroubled() {
            self.early = self.call_apply_worker(Mode::Run).ok();
        }
    }

    /// The attempt has ended without a use for it.
    fn dismiss_early(&mut self) {
        if let Some((worker, _)) = self.early.take() {
            worker.terminate();
        }
    }

    fn start_tablesync_worker(&self, number: u32, mode: Mode) -> Result<Handle> {
        bgworker::start(&Spec {
            name: &format!("pg_courier tablesync worker: {} {number}", self.task.name),
            kind: "pg_courier tablesync worker",
            function: "pg_courier_tablesync_worker_main",
            argument: &self.argument(number, mode),
            restart_seconds: None,
            notify: true,
        })
    }

    fn take_worker_error(&self) -> Result<()> {
        self.status.apply_worker().take_error().map_or(Ok(()), |(_, error)| Err(error))
    }

    // ---- stream -------------------------------------------------------------------------------------------------

    /// Keeps the apply worker running; returns by an error, or when the task is to rest.
    fn stream(&mut self, endpoint: &Endpoint, destination: Destination) -> Result<Ended> {
        let task = self.task;
        // A worker that starts anew must begin behind every copy: changes that a copy holds are left out only as long
        // as its snapshot is kept.
        let target = compat::flush_lsn().max(xact::in_transaction(|| tables::last_sync_lsn(task.id))?);
        self.status.want_durable(target);
        let mut destination = destination;
        if renames::take_notice(task, &mut destination)? {
            // It has read what was written before.
            self.dismiss_early();
        }
        let mut control = Some(destination);
        let mut synchronizing = task.stage == Stage::Synchronizing;
        let mut uncaught = true;
        let mut worker = match self.early.take() {
            Some((worker, ticket)) => {
                failpoint::hit("supervisor_admits")?;
                self.status.admit(ticket);
                worker
            }
            None => self.start_apply_worker(Mode::Run)?,
        };
        let mut worker_since = Instant::now();
        let mut in_trouble = task.in_trouble || task.last_error.is_some();
        self.show("watching the apply worker");
        loop {
            if worker.is_stopped() {
                worker = self.restart_apply_worker()?;
                worker_since = Instant::now();
            }
            let caught_up = self.status.caught_up.load(Relaxed) == 1 && self.status.durable() >= target;
            if uncaught {
                let durable = self.status.durable();
                uncaught = xact::in_transaction(|| tables::follow_stream(task.id, durable))? > 0;
                if !uncaught {
                    failpoint::hit("supervisor_tables_ready")?;
                }
            }
            if caught_up && !uncaught && !synchronizing {
                if let Some(ended) = self.complete_schema(endpoint)? {
                    return Ok(ended);
                }
                xact::in_transaction(|| task.set_stage(Stage::Synchronizing))?;
                synchronizing = true;
                self.show("watching the apply worker");
            }
            let advanced = self.retry.advanced(self.status.durable());
            if caught_up {
                self.retry.succeeded();
                self.at_rest()?;
            }
            // A worker that has lived for longer than any attempt to connect takes is at work, however large its transaction.
            if in_trouble && (caught_up || advanced || worker_since.elapsed() > LONGEST_PAUSE) {
                xact::in_transaction(|| task.note_recovered())?;
                in_trouble = false;
            }
            self.serve_sequences(endpoint, &mut control)?;
            self.heart.beat(task, &self.status);
            self.health.run_now_and_then();
            if let Some(ended) = self.look_around()? {
                return Ok(ended);
            }
            let settled = synchronizing && !uncaught;
            let due = self
                .sequences
                .due_in()
                .min(self.heart.due_in())
                .min(self.guard.due_in())
                .min(self.health.due_in())
                .min(self.look_due_in());
            latch::wait(Some(if settled { due } else { FOLLOW_EVERY }));
        }
    }

    /// The destination is one state of the source now: foreign keys hold.
    fn complete_schema(&mut self, endpoint: &Endpoint) -> Result<Option<Ended>> {
        if !self.task.schema_sync {
            return Ok(None);
        }
        let mut destination = endpoint.open(Purpose::Control)?;
        self.check_writer(&mut destination)?;
        let items = self.schema_statements(&mut destination)?;
        if let Some(ended) = self.be_alone(&mut destination)? {
            return Ok(Some(ended));
        }
        self.create_post_data(&mut destination, &items, When::Consistent)?;
        Ok(None)
    }

    fn restart_apply_worker(&mut self) -> Result<Handle> {
        match self.status.apply_worker().take_error() {
            Some((Remedy::ReplaySerially, error)) => {
                report::log(&error, "pg_courier replays the last batch transaction by transaction");
            }
            Some((_, error)) => return Err(error),
            // Killed, or ended by an administrator: it goes on where it was, after a moment.
            None => latch::wait_for(Duration::from_millis(500)),
        }
        self.start_apply_worker(Mode::Run)
    }

    /// The task works: what was counted against it is forgotten.
    fn at_rest(&mut self) -> Result<()> {
        if std::mem::replace(&mut self.is_at_rest, true) {
            return Ok(());
        }
        xact::in_transaction(|| self.task.forget_starts())
    }

    /// Sequences go over when someone waits for them, and now and then. A destination that is away for the moment is
    /// the apply worker's problem. What else keeps them back is said: to who waits, once in the log, in the task's row.
    fn serve_sequences(&mut self, endpoint: &Endpoint, control: &mut Option<Destination>) -> Result<()> {
        let wanted = self.status.sequences_wanted.load(Relaxed);
        let asked = wanted != self.status.sequences_done.load(Relaxed);
        if !asked && !self.sequences.is_due() || self.sequences.has_just_failed() {
            return Ok(());
        }
        let Some(claimant) = self.claimant.clone() else { return Ok(()) };
        let exactness = if asked { Exactness::Exact } else { Exactness::Ahead };
        let outcome = report::catch(|| {
            if control.is_none() {
                *control = Some(endpoint.open(Purpose::Control)?);
            }
            control
                .as_mut()
                .map_or(Ok(()), |destination| self.sequences.sync(self.task, &claimant, destination, exactness))
        });
        let trouble = match outcome {
            Ok(()) => {
                if !self.status.sequences_trouble().is_empty() {
                    xact::in_transaction(|| self.task.note_recovered())?;
                }
                String::new()
            }
            Err(error) => {
                xact::abort();
                *control = None;
                self.sequences.postpone();
                let text = error.message().to_owned();
                let is_news = self.status.sequences_trouble() != text;
                self.status.set_sequences_trouble(&text);
                if is_news {
                    report::log(&error, "pg_courier could not bring sequences to the destination");
                }
                if error.remedy() != Remedy::Stop {
                    return Ok(());
                }
                if is_news {
                    xact::in_transaction(|| self.task.record_error(&error, false, None))?;
                }
                text
            }
        };
        self.status.set_sequences_trouble(&trouble);
        self.status.sequences_done.store(wanted, Relaxed);
        self.status.changed.broadcast();
        Ok(())
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Exactness {
    /// As on the source: for who takes over now.
    Exact,
    /// Never behind the rows, whenever the source dies.
    Ahead,
}

/// Brings sequence values over; remembers what the source had then.
#[derive(Default)]
struct SequenceSync {
    sent: HashMap<String, SequenceValue>,
    /// Not there; said once.
    missing: HashSet<String>,
    last: Option<Instant>,
    failed: Option<Instant>,
    /// Are values on the destination exact? The first number drawn makes them too low, so that is looked for more often.
    is_exact: bool,
}

impl SequenceSync {
    fn is_due(&self) -> bool {
        self.due_in().is_zero()
    }

    fn due_in(&self) -> Duration {
        let every = if self.is_exact { FOLLOW_EVERY } else { guc::sequence_interval() };
        self.last.map_or(Duration::ZERO, |last| every.saturating_sub(last.elapsed()))
    }

    fn postpone(&mut self) {
        (self.last, self.failed, self.is_exact) = (Some(Instant::now()), Some(Instant::now()), false);
    }

    /// Who waits nudges several times a second; a destination that is away is not asked that often.
    fn has_just_failed(&self) -> bool {
        self.failed.is_some_and(|at| at.elapsed() < FOLLOW_EVERY)
    }

    fn sync(
        &mut self,
        task: &Task,
        claimant: &Claimant,
        destination: &mut Destination,
        exactness: Exactness,
    ) -> Result<()> {
        self.last = Some(Instant::now());
        let found = xact::in_transaction(|| sequences::read(task))?;
        if !found.values.is_empty() {
            destination.check_writer(&claimant.claim(task))?;
        }
        for value in found.values {
            let before = self.sent.get(&value.name);
            if exactness == Exactness::Ahead && before == Some(&value) {
                continue;
            }
            let (to, is_called) = match exactness {
                Exactness::Exact => (value.last_value, value.is_called),
                Exactness::Ahead => (value.ahead(before), true),
            };
            if exactness == Exactness::Ahead {
                self.is_exact = false;
            }
            // One that only a pattern names may have been made after the start, or be left out there on purpose.
            let to = SequenceTo {
                name: &value.name,
                value: to,
                is_called,
                may_go_back: exactness == Exactness::Exact,
                descends: value.increment < 0,
                is_needed: value.is_needed,
            };
            let is_there = destination.set_sequence(&to).map_err(|error| {
                error.context(format!("While setting sequence {}.", TableName::shown_as(&value.name)))
            })?;
            if !is_there {
                if !self.missing.insert(value.name.clone()) {
                    continue;
                }
                report::log(
                    &Error::new(
                        sqlstate::UNDEFINED_TABLE,
                        format!(
                            "sequence {} is not on the destination or not the user's, its value does not follow",
                            TableName::shown_as(&value.name)
                        ),
                    )
                    .hint("Create it there, as it is on the source; its value comes with the next round."),
                    "pg_courier brings sequences to the destination",
                );
                continue;
            }
            self.sent.insert(value.name.clone(), value);
        }
        self.is_exact |= exactness == Exactness::Exact;
        sequences::check_denied(&found.denied, &task.owner_name)
    }
}

/// Rows of another server, up to where the two parted and beyond, are a likely reason for a change that does not fit.
fn after_adoption(task: &Task, error: Error) -> Result<Error> {
    if !error.lsn_value().is_valid() {
        return Ok(error);
    }
    let sql = "SELECT pg_catalog.date_trunc('second', e.at), e.detail FROM courier.event e \
               WHERE e.task = $1 AND e.kind = 'adopted' AND e.detail IS NOT NULL ORDER BY e.id DESC LIMIT 1";
    let row = xact::in_transaction(|| spi::as_extension(|| spi::query_opt(sql, &[Some(&task.name)])))?;
    let Some(row) = row else { return Ok(error) };
    Ok(error.context(format!(
        "The task was adopted at {}. {} What that server sent is on the destination: SELECT * FROM courier.verify({}); says which tables differ.",
        row.text(0)?,
        row.text(1)?,
        names::quote_literal(&task.name)
    )))
}

/// Who keeps a process waiting.
fn blockers_of(pid: i32) -> Result<String> {
    let sql = "SELECT pg_catalog.string_agg(CASE b.pid WHEN 0 THEN 'a prepared transaction' ELSE pg_catalog.format('process %s', b.pid) END, ', ') \
               FROM pg_catalog.unnest(pg_catalog.pg_blocking_pids($1::int)) AS b(pid)";
    xact::in_transaction(|| Ok(spi::query_one(sql, &[Some(&pid.to_string())])?.opt(0).unwrap_or_default().to_owned()))
}

/// Whose transaction this is.
fn holder_of(xid: u32) -> Result<String> {
    let sql = "SELECT COALESCE((SELECT pg_catalog.format('of process %s', l.pid) FROM pg_catalog.pg_locks l \
               WHERE l.locktype = 'transactionid' AND l.transactionid = $1::xid AND l.granted AND l.pid IS NOT NULL LIMIT 1), \
               (SELECT pg_catalog.format('the prepared one %L', p.gid) FROM pg_catalog.pg_prepared_xacts p \
               WHERE p.transaction = $1::xid), pg_catalog.format('number %s', $1))";
    Ok(spi::query_one(sql, &[Some(&xid.to_string())])?.text(0)?.to_owned())
}

/// Says what is being done, in `courier.tasks` and in `pg_stat_activity`.
fn show(status: &TaskStatus, text: &str) {
    status.set_phase(text);
    bgworker::report_activity(text);
}

/// The worker reads WAL and tables for the owner, so the owner must be allowed to.
fn check_owner(task: &Task) -> Result<()> {
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

fn slot_lost(slot: &str) -> Error {
    Error::new(sqlstate::OBJECT_NOT_IN_PREREQUISITE_STATE, format!("replication slot \"{slot}\" is lost"))
        .detail(
            "It was dropped, or the WAL it needs was removed (max_slot_wal_keep_size), or this server was a standby that had \
             no synchronized copy of it; changes are missing.",
        )
        .hint("Drop the task, empty its tables on the destination, create it anew with schema_sync => false, and start it.")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_never_gives_up_a_destination_that_is_away() {
        let long_ago =
            || Retry { since: Instant::now().checked_sub(guc::connection_retry_time() * 2), ..Retry::default() };
        let away = Error::connection("gone");
        assert_eq!(long_ago().pause(&away, true), Some(PAUSE_AFTER_WINDOW));
        assert_eq!(long_ago().pause(&away, false), None, "a copy keeps nothing back that could be lost");
        let deadlock = Error::new("40P01", "deadlock").origin(crate::error::Origin::Destination);
        assert_eq!(long_ago().pause(&deadlock, true), None);
        assert_eq!(Retry::default().pause(&away, true), Some(Duration::from_millis(500)));
    }
}
