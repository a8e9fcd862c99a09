//! `pg_courier aside worker: <task>`: does what commands have left aside, one item after another, until nothing waits.
//!
//! A process of its own, because a build may take hours: neither the stream nor the supervisor, whose steps, sequences and health go on
//! meanwhile, has to look after it. Each item is looked at before it is run: an index that is complete is done, what is left of one that is
//! not is dropped first. So it does not matter when this worker, its session or the destination is killed. An error of an item is no error
//! of the task: `courier.ddl` has it, and the item is tried again with growing pauses.

use std::collections::HashSet;
use std::rc::Rc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use crate::catalog::{Task, commands, tables};
use crate::destination::aside::Pending;
use crate::destination::{Destination, Endpoint, Purpose};
use crate::error::{Error, Remedy, Result};
use crate::failpoint;
use crate::pg::dsm::Segment;
use crate::pg::{bgworker, latch, report, xact};
use crate::task::processes::Argument;
use crate::task::status::TaskStatus;

bgworker::entry_point!(pg_courier_aside_worker_main, aside_worker_main);

/// For the last statements of an item: nobody there waits behind us for longer. A build, and a validation, keep no reader waiting; what they
/// wait for are transactions that have begun before.
const PATIENCE: &str = "2s";
/// After an item had to give way: longer than a command waits for a lock.
const REST: Duration = Duration::from_secs(3);
/// Whoever is in the way of something short may be gone by then; other items go first. In seconds.
const LOCK_PAUSE: u64 = 1;
/// New items are looked for this often, and commands that hold the old ones.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// After a failure, in seconds; doubled up to the longest.
const FIRST_PAUSE: u64 = 10;
const LONGEST_PAUSE: u64 = 640;

fn aside_worker_main() {
    bgworker::prepare_signals();
    let Some(argument) = Argument::parse(&bgworker::argument()) else { bgworker::exit(0) };
    bgworker::connect(Some(argument.database));
    let Some(status) = super::apply_worker::attach(argument.segment, argument.task) else { bgworker::exit(0) };
    super::take_place(&status, argument.number as usize);
    let Err(error) = report::catch(|| run(&argument, &status)) else { bgworker::exit(0) };
    xact::abort();
    // The supervisor starts another one.
    report::log(&error, "pg_courier aside worker stops");
    bgworker::exit(1)
}

fn run(argument: &Argument, status: &Rc<Segment<TaskStatus>>) -> Result<()> {
    super::apply_data_settings()?;
    let (task, endpoint) = xact::in_transaction(|| {
        let task = Task::by_id(argument.task)?;
        let endpoint = Endpoint::of(&task)?;
        Ok((task, endpoint))
    })?;
    super::show_task(&task.name)?;
    let mut destination = endpoint.open(Purpose::Schema)?;
    destination.check_helper_schema()?;
    bgworker::report_activity("waiting for the end of an earlier session");
    while !destination.be_aside(&task.uuid)? {
        latch::wait_for(Duration::from_millis(100));
    }
    Worker { task, destination, status: status.clone() }.work()
}

struct Worker {
    task: Task,
    destination: Destination,
    status: Rc<Segment<TaskStatus>>,
}

impl Worker {
    fn work(&mut self) -> Result<()> {
        loop {
            xact::check_for_interrupts();
            let pending = self.destination.pending(&self.task.uuid)?;
            let skipped = xact::in_transaction(|| commands::skipped(self.task.id))?;
            for item in pending.iter().filter(|item| item.is_wanted() && is_skipped(item, &skipped)) {
                self.with_item(item.id, Self::skip)?;
            }
            let wanted: Vec<&Pending> = pending.iter().filter(|item| item.is_wanted()).collect();
            // A table may have come in: foreign keys hold when the stream has passed its copy, and then somebody calls again.
            if wanted.is_empty() || xact::in_transaction(|| tables::count_uncaught(self.task.id))? > 0 {
                return Ok(());
            }
            if !self.run_one_of(&wanted)? {
                bgworker::report_activity("waiting for what is done aside to become due");
                latch::wait(Some(LOOK_EVERY));
            }
        }
    }

    /// Runs the first that can be run; false when none can.
    fn run_one_of(&mut self, wanted: &[&Pending]) -> Result<bool> {
        for item in wanted.iter().filter(|item| is_ready(item, wanted)) {
            if self.with_item(item.id, Self::run_item)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Does something about an item while no command can change it; false when a command is at it, or has taken it away. The answer is how
    /// long others are let at the table afterwards.
    fn with_item(&mut self, id: i64, f: impl FnOnce(&mut Worker, &Pending) -> Result<Duration>) -> Result<bool> {
        let task_id = self.task.uuid.clone();
        let find = |destination: &mut Destination| -> Result<Option<Pending>> {
            Ok(destination.pending(&task_id)?.into_iter().find(|item| item.id == id && item.is_wanted()))
        };
        let Some(table) = find(&mut self.destination)?.map(|item| item.aside.table) else { return Ok(false) };
        if !self.destination.try_items(&task_id, table)? {
            return Ok(false);
        }
        let item = find(&mut self.destination)?;
        let rest = item.as_ref().map(|item| f(self, item)).transpose()?;
        self.destination.release_items(&task_id, table)?;
        self.status.asides.fetch_add(1, Relaxed);
        self.status.supervisor.nudge();
        latch::wait_for(rest.unwrap_or_default());
        Ok(rest.is_some())
    }

    /// An error is one of the session.
    fn run_item(&mut self, item: &Pending) -> Result<Duration> {
        let object = &item.aside.object;
        bgworker::report_activity(&format!("aside: {object}"));
        let Err(error) = self.attempt(item) else {
            self.task.log_line(&format!("{object} is done aside"));
            return Ok(Duration::ZERO);
        };
        match error.sqlstate() {
            // Canceled: somebody needs the table, most likely a command. He finds the lock of its items free.
            "57014" => Ok(REST),
            "55P03" | "40P01" => {
                self.destination.put_off(&self.task.uuid, item, LOCK_PAUSE)?;
                Ok(Duration::ZERO)
            }
            _ if error.remedy() == Remedy::RetryConnection => Err(error),
            _ => self.note_failure(item, &error),
        }
    }

    fn attempt(&mut self, item: &Pending) -> Result<()> {
        self.destination.drop_invalid(&item.aside)?;
        failpoint::hit("aside_before_build")?;
        self.destination.run_first(&item.aside, PATIENCE)?;
        failpoint::hit("aside_after_build")?;
        self.destination.end_item(&self.task.uuid, item, PATIENCE)
    }

    fn note_failure(&mut self, item: &Pending, error: &Error) -> Result<Duration> {
        // Nobody shall find an index that is not one. What cannot be dropped now is dropped before the next attempt.
        if let Err(error) = self.destination.drop_invalid(&item.aside)
            && error.remedy() == Remedy::RetryConnection
        {
            return Err(error);
        }
        let pause = (FIRST_PAUSE << item.tries.min(10)).min(LONGEST_PAUSE);
        self.task.log(error, &format!("tries {} again in {pause} s", item.aside.object));
        let text = match error.detail_text() {
            Some(detail) => format!("{} {error}. {detail}", item.aside.object),
            None => format!("{} {error}", item.aside.object),
        };
        self.destination.in_transaction(|destination| destination.fail_item(&self.task.uuid, item, &text, pause))?;
        Ok(Duration::ZERO)
    }

    fn skip(&mut self, item: &Pending) -> Result<Duration> {
        self.destination.drop_invalid(&item.aside)?;
        self.task.log_line(&format!("{} is skipped", item.aside.object));
        self.destination.in_transaction(|destination| destination.skip_item(&self.task.uuid, item))?;
        Ok(Duration::ZERO)
    }
}

/// Is it time for it, and is there nothing that has to come first?
fn is_ready(item: &Pending, wanted: &[&Pending]) -> bool {
    let waits_for = item.aside.waits_for;
    item.due_in <= 0.0 && !wanted.iter().any(|other| Some(other.part()) == waits_for)
}

fn is_skipped(item: &Pending, skipped: &HashSet<i64>) -> bool {
    item.origins.iter().any(|origin| skipped.contains(&origin.command))
}
