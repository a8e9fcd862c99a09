//! What the steps of one attempt share: the task as the attempt found it, its destination, its workers, and what is looked
//! at now and then.

use std::rc::Rc;
use std::time::{Duration, Instant};

use super::configuration::ConfigurationSync;
use super::following::Following;
use super::owner::check_owner;
use super::retry::{FOLLOW_EVERY, Retry};
use super::sequences::SequenceSync;
use super::sweep::Sweep;
use super::wanted::Asked;
use super::workers::{EarlyWorker, Workers};
use crate::catalog::{Stage, Task, tables};
use crate::destination::{Claimant, Destination, Endpoint, Missing, Purpose};
use crate::error::{Error, Result};
use crate::logicalrep::Lsn;
use crate::pg::dsm::Segment;
use crate::pg::{bgworker, latch, xact};
use crate::schema::Item;
use crate::source::{self, Source};
use crate::task::status::TaskStatus;
use crate::worker::health::HealthCheck;
use crate::worker::heartbeat::Heart;
use crate::worker::wal_guard::{GuardOrder, WalGuard};

/// The task's row is asked this often whether the task is wanted; who pauses or drops it tells us, but a DROP EXTENSION that
/// got past its guards does not.
const LOOK_EVERY: Duration = Duration::from_secs(10);

/// How an attempt ended that no error ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    Finished,
    Guarded(GuardOrder),
    NotWanted,
    /// There is more to do, from an earlier step on: tables have to be copied.
    Again,
}

/// What takes an attempt out of its steps.
#[derive(Debug)]
pub enum Stop {
    Ended(Ended),
    Failed(Error),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Stop {
        Stop::Failed(error)
    }
}

/// What comes of a step: it is done, or the attempt is over.
pub type Outcome<T = ()> = std::result::Result<T, Stop>;

/// What outlives an attempt.
pub struct Life {
    pub retry: Retry,
    pub health: HealthCheck,
    pub sweep: Sweep,
}

pub struct Context<'a> {
    pub task: &'a Task,
    pub status: Rc<Segment<TaskStatus>>,
    pub workers: &'a Workers<'a>,
    pub early: &'a mut EarlyWorker,
    pub life: &'a mut Life,
    pub source: Box<dyn Source>,
    pub endpoint: Endpoint,
    pub claimant: Rc<Claimant>,
    /// What the first look at the destination found there.
    pub found: Found,
    pub sequences: SequenceSync,
    pub configuration: ConfigurationSync,
    pub heart: Heart,
    pub guard: WalGuard,
    /// Between the step that begins it and the one that goes on with it.
    pub following: Option<Following>,
    /// What is to be created there, once it was asked for.
    pub items: Option<Rc<Vec<Item>>>,
    destination: Option<Destination>,
    /// When the task's row was last asked whether the task is wanted.
    looked: Instant,
}

pub struct Found {
    /// The lease of the task's row, if there is one.
    pub lease: Option<String>,
    /// The destination's database, where its server tells.
    pub destination_id: Option<String>,
    /// Where the slot starts, once it is there; `0/0` for a task without one.
    pub slot_lsn: Lsn,
}

impl<'a> Context<'a> {
    /// Opens the destination and asks whether the task may write there at all. First of all: a copy of the source has no
    /// business there. A row that is not there may be made only as long as nothing was copied or streamed.
    pub fn enter(
        task: &'a Task,
        status: Rc<Segment<TaskStatus>>,
        workers: &'a Workers<'a>,
        early: &'a mut EarlyWorker,
        life: &'a mut Life,
    ) -> Result<Context<'a>> {
        let mut source = source::of(task);
        let (endpoint, claimant) = xact::in_transaction(|| {
            check_owner(task)?;
            Ok((Endpoint::of(task)?, Rc::new(Claimant::of(task, source.as_mut())?)))
        })?;
        claimant.check_source(task)?;
        let mut destination = endpoint.open(Purpose::Schema)?;
        let destination_id = claimant.check_destination(task, &endpoint, &mut destination)?;
        if task.incremental && task.needs_replica_role && !destination.can_be_replica()? {
            return Err(destination.replica_role_error());
        }
        let missing = if task.stage == Stage::Created { Missing::Leave } else { Missing::Fail };
        let lease = destination.claim(&claimant.claim(task), missing)?;
        Ok(Context {
            task,
            status,
            workers,
            early,
            life,
            source,
            endpoint,
            claimant,
            found: Found { lease, destination_id, slot_lsn: task.slot_lsn },
            sequences: SequenceSync::default(),
            configuration: ConfigurationSync::default(),
            heart: Heart::default(),
            guard: WalGuard::default(),
            following: None,
            items: None,
            destination: Some(destination),
            looked: Instant::now(),
        })
    }

    /// Says what is being done, in `courier.tasks` and in `pg_stat_activity`.
    pub fn show(&self, text: &str) {
        show(&self.status, text);
    }

    /// Does something with the control session, opened anew where there is none. One that met an error is not used again.
    pub fn with_destination<T, E: From<Error>>(
        &mut self,
        f: impl FnOnce(&mut Self, &mut Destination) -> std::result::Result<T, E>,
    ) -> std::result::Result<T, E> {
        let mut destination = match self.destination.take() {
            Some(destination) => destination,
            None => self.endpoint.open(Purpose::Schema)?,
        };
        let value = f(self, &mut destination)?;
        self.destination = Some(destination);
        Ok(value)
    }

    /// Is the destination still this task's to write? What came before may have taken long.
    pub fn check_writer(&self, destination: &mut Destination) -> Result<()> {
        destination.check_writer(&self.claimant.claim(self.task))
    }

    /// Are the copies of the tables still there? A destination that was put back to before them has lost them.
    pub fn check_copies(&self, destination: &mut Destination) -> Result<()> {
        let copies = xact::in_transaction(|| tables::copies(self.task.id))?;
        destination.check_copies(&self.task.uuid, &self.task.name, &copies)
    }

    /// Now and then: is there anything that ends the attempt, besides errors?
    pub fn look_around(&mut self) -> Outcome {
        if let Some(order) = self.guard.look_now_and_then(self.task)? {
            return Err(Stop::Ended(Ended::Guarded(order)));
        }
        if self.look_due_in().is_zero() {
            self.looked = Instant::now();
            if !Asked::is_to_run(self.task.id)? {
                return Err(Stop::Ended(Ended::NotWanted));
            }
            // What was granted may have been taken away.
            xact::in_transaction(|| check_owner(self.task))?;
        }
        Ok(())
    }

    pub fn look_due_in(&self) -> Duration {
        LOOK_EVERY.saturating_sub(self.looked.elapsed())
    }

    /// Waits until an earlier session of the task has let go of the destination's schema: what it works on may come about yet.
    pub fn be_alone(&mut self, destination: &mut Destination) -> Outcome {
        let mut told = false;
        let status = self.status.clone();
        while let Some(other) = destination.try_alone(&self.task.uuid)? {
            let _awaited = status.await_there(other.0);
            let what = format!("waiting for an earlier session of the task on the destination ({other})");
            self.show(&what);
            if !told {
                self.task.log_line(&what);
                xact::in_transaction(|| self.task.record_event("waiting", &what, None))?;
                told = true;
            }
            self.look_around()?;
            latch::wait_for(FOLLOW_EVERY);
        }
        Ok(())
    }
}

/// See [`Context::show`].
pub fn show(status: &TaskStatus, text: &str) {
    status.set_phase(text);
    bgworker::report_activity(text);
}
