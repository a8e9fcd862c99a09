//! What is done aside, as the supervisor sees it: a worker that runs while something waits.

use std::time::{Duration, Instant};

use super::workers::Workers;
use crate::catalog::{Task, commands};
use crate::destination::Destination;
use crate::error::Result;
use crate::pg::bgworker::Handle;
use crate::pg::{report, xact};

/// One that ends although there is something to do has met an error: most likely the destination is away.
const BETWEEN_STARTS: Duration = Duration::from_secs(5);

#[derive(Default)]
pub struct AsideWork {
    worker: Option<Handle>,
    started: Option<Instant>,
    /// Commands that have left something.
    commands: Vec<i64>,
    /// Those of them that somebody does not want any more, as the worker knows.
    skipped: Vec<i64>,
}

impl AsideWork {
    /// As the source knows it from before.
    pub fn of(task: &Task) -> Result<AsideWork> {
        let commands = xact::in_transaction(|| commands::with_asides(task.id))?;
        Ok(AsideWork { commands, ..AsideWork::default() })
    }

    pub fn is_wanted(&self) -> bool {
        !self.commands.is_empty()
    }

    /// Reads what has become of the commands that waited.
    pub fn note(&mut self, task: &Task, destination: &mut Destination) -> Result<()> {
        let waiting = xact::in_transaction(|| commands::with_asides(task.id))?;
        if !waiting.is_empty() {
            let now = destination.commands_now(&task.uuid, &waiting)?;
            xact::in_transaction(|| commands::note_states(task.id, &now))?;
        }
        self.commands = xact::in_transaction(|| commands::with_asides(task.id))?;
        Ok(())
    }

    /// Sees to it that the worker runs while it has something to do. That it cannot be started now is no trouble of the task.
    pub fn attend(&mut self, workers: &Workers<'_>) -> Result<()> {
        if !self.is_wanted() {
            return Ok(());
        }
        if self.worker.as_ref().is_some_and(|worker| !worker.is_stopped()) {
            return self.tell_of_skipped(workers.task);
        }
        if self.started.is_some_and(|at| at.elapsed() < BETWEEN_STARTS) {
            return Ok(());
        }
        self.started = Some(Instant::now());
        match workers.start_aside_worker() {
            Ok(worker) => self.worker = Some(worker),
            Err(error) => report::log_warning(&error, "pg_courier could not start the worker that does things aside"),
        }
        Ok(())
    }

    /// The worker reads decisions between two items; in the middle of one it is ended.
    fn tell_of_skipped(&mut self, task: &Task) -> Result<()> {
        let mut skipped = xact::in_transaction(|| commands::skipped(task.id))?;
        skipped.retain(|id| self.commands.contains(id) && !self.skipped.contains(id));
        if skipped.is_empty() {
            return Ok(());
        }
        self.skipped.extend(skipped);
        if let Some(worker) = self.worker.take() {
            worker.terminate();
        }
        self.started = None;
        Ok(())
    }
}
