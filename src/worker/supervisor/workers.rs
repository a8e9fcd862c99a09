//! The workers of a task as its supervisor starts them: one apply worker at a time, and tablesync workers while it copies.

use std::rc::Rc;
use std::sync::atomic::Ordering::Relaxed;

use super::retry::Retry;
use crate::catalog::{Stage, Task};
use crate::error::Result;
use crate::pg::bgworker::{self, Handle, Spec};
use crate::pg::dsm::Segment;
use crate::pg::xact;
use crate::task::processes::{Argument, WorkerMode};
use crate::task::status::TaskStatus;

pub struct Workers<'a> {
    pub task: &'a Task,
    pub status: Rc<Segment<TaskStatus>>,
    /// By what they find the shared memory.
    pub handle: u32,
}

impl Workers<'_> {
    fn argument(&self, number: u32, mode: WorkerMode) -> String {
        Argument { database: xact::database_id(), task: self.task.id, segment: self.handle, number, mode }.to_text()
    }

    /// An apply worker that may begin at once.
    pub fn start_apply_worker(&self, mode: WorkerMode) -> Result<Handle> {
        let (worker, ticket) = self.call_apply_worker(mode)?;
        self.status.admit(ticket);
        Ok(worker)
    }

    /// An apply worker that gets ready and waits until its ticket is admitted.
    fn call_apply_worker(&self, mode: WorkerMode) -> Result<(Handle, u32)> {
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

    pub fn start_tablesync_worker(&self, number: u32, mode: WorkerMode) -> Result<Handle> {
        bgworker::start(&Spec {
            name: &format!("pg_courier tablesync worker: {} {number}", self.task.name),
            kind: "pg_courier tablesync worker",
            function: "pg_courier_tablesync_worker_main",
            argument: &self.argument(number, mode),
            restart_seconds: None,
            notify: true,
        })
    }

    pub fn start_aside_worker(&self) -> Result<Handle> {
        bgworker::start(&Spec {
            name: &format!("pg_courier aside worker: {}", self.task.name),
            kind: "pg_courier aside worker",
            function: "pg_courier_aside_worker_main",
            argument: &self.argument(TaskStatus::ASIDE_WORKER, WorkerMode::Run),
            restart_seconds: None,
            notify: true,
        })
    }

    pub fn take_apply_error(&self) -> Result<()> {
        self.status.apply_worker().take_error().map_or(Ok(()), |(_, error)| Err(error))
    }
}

/// An apply worker that gets ready while the destination is still checked, and its ticket.
#[derive(Default)]
pub struct EarlyWorker(Option<(Handle, u32)>);

impl EarlyWorker {
    /// What an apply worker does before it writes takes as long as our checks, so both go on side by side. Not after an error:
    /// two that try in vain are no better than one. One that cannot be started now is started when it is needed.
    pub fn start(workers: &Workers<'_>, retry: &Retry) -> EarlyWorker {
        let task = workers.task;
        let streams = task.incremental && task.stage >= Stage::CatchingUp && task.slot_lsn.is_valid();
        // One of 0.1.0 has to claim its row first.
        if streams && task.next_lease.is_some() && retry.is_untroubled() {
            return EarlyWorker(workers.call_apply_worker(WorkerMode::Run).ok());
        }
        EarlyWorker(None)
    }

    /// Whoever takes it admits it by its ticket.
    pub fn take(&mut self) -> Option<(Handle, u32)> {
        self.0.take()
    }

    /// There is no use for it: what it has read is old, or the attempt has ended.
    pub fn dismiss(&mut self) {
        if let Some((worker, _)) = self.0.take() {
            worker.terminate();
        }
    }
}
