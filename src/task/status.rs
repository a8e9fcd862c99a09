//! What a task's processes tell each other and the views, in shared memory: positions, counters, errors.
//!
//! One writer for each field, except the requests of `wait_for`. Made by the supervisor, gone with the last process.

use std::sync::atomic::Ordering::{Acquire, Release};
use std::sync::atomic::{AtomicI32, AtomicI64, AtomicU32, AtomicU64, Ordering::Relaxed};

use super::beat::Beat;
use super::lock_wait::LockWait;
use super::shared_text::SharedText;
use crate::error::{Error, Origin, Remedy};
use crate::guc::MAX_SYNC_WORKERS;
use crate::logicalrep::Lsn;
use crate::pg::dsm::Condition;
use crate::pg::latch::Process;
use crate::pg::xact;

const MAGIC: u64 = 0x7067_636f_7572_0007;

/// May an apply worker take the destination over?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    Pending,
    Granted,
    /// Another worker was started since.
    Superseded,
}

#[repr(C)]
pub struct TaskStatus {
    magic: AtomicU64,
    pub task: AtomicI32,
    pub supervisor: Process,
    /// 1 when somebody who stops the task asks its processes to end: the supervisor is not to be started again.
    pub stopping: AtomicU32,
    /// WAL decoded up to here.
    pub received_lsn: AtomicU64,
    /// Everything before is committed on the destination. A crash there may take it back, so it is for people.
    pub applied_lsn: AtomicU64,
    /// The destination's progress row has this position and will have it after a crash: an apply worker that starts
    /// anew begins here or later. What is decided for good is decided from this.
    pub durable_lsn: AtomicU64,
    /// Somebody waits until `durable_lsn` is there.
    pub durable_wanted: AtomicU64,
    /// What the slot has confirmed.
    pub confirmed_lsn: AtomicU64,
    /// What was committed on the source before this time is on the destination (microseconds since 2000); 0: not known.
    pub current_at: AtomicI64,
    pub transactions: AtomicU64,
    pub changes: AtomicU64,
    pub bytes: AtomicU64,
    /// Commands of the source that were applied, and the one that is being applied.
    pub commands: AtomicU64,
    pub command: AtomicI64,
    /// What that one waits for.
    pub lock_wait: LockWait,
    /// Looks that the aside worker has taken at its items; each may have changed what becomes of a command.
    pub asides: AtomicU64,
    /// Rates of the last full second, and when it ended.
    pub changes_per_second: AtomicU64,
    pub bytes_per_second: AtomicU64,
    pub rated_at: AtomicI64,
    /// Where a new slot starts.
    pub slot_lsn: AtomicU64,
    /// The apply worker replays one by one up to here.
    pub serial_until: AtomicU64,
    /// Numbers given to apply workers, and the one that may take the destination over: the others wait or go.
    tickets: AtomicU32,
    admitted: AtomicU32,
    /// 1 once the apply worker has been at the end of the WAL, and durable as far as was wanted.
    pub caught_up: AtomicU32,
    /// Requests for sequences, and the last one served.
    pub sequences_wanted: AtomicU32,
    pub sequences_done: AtomicU32,
    /// Processes that sleep on `changed`.
    pub waiters: AtomicU32,
    pub changed: Condition,
    /// What the supervisor is doing, for people, and since when.
    phase: SharedText<256>,
    /// The process on the destination whose end is waited for: 0 for nobody, -1 for one whose process is gone.
    awaited_there: AtomicI32,
    pub phase_since: AtomicI64,
    /// Why sequences did not arrive when they were asked for last; empty when they did.
    sequences_trouble: SharedText<512>,
    /// The exported snapshot that a copy without a stream uses.
    snapshot: SharedText<64>,
    /// The way of the last heartbeat.
    pub beat: Beat,
    /// The apply worker's place is the first. The last is that of the worker that holds a snapshot, which only a task without a stream
    /// has, and of the aside worker, which only a task with one has.
    pub workers: [WorkerStatus; MAX_SYNC_WORKERS + 1],
}

#[repr(C)]
pub struct WorkerStatus {
    pub process: Process,
    /// The table being copied.
    pub table: AtomicU32,
    pub rows: AtomicU64,
    pub bytes: AtomicU64,
    pub started_at: AtomicI64,
    /// When the last rows of the table being copied were taken off our hands.
    pub moved_at: AtomicI64,
    /// The change that the error is about; 0: none.
    lsn: AtomicU64,
    remedy: AtomicU32,
    origin: AtomicU32,
    sqlstate: SharedText<8>,
    message: SharedText<1024>,
    detail: SharedText<3072>,
    hint: SharedText<1024>,
}

// Atomics, arrays of them, a Process, and a Condition; zero bytes are valid values.
crate::pg::dsm::share!(TaskStatus, |status: &TaskStatus| {
    status.magic.store(MAGIC, Relaxed);
    status.changed.initialize();
});

impl TaskStatus {
    /// Is it the status of this task, and not of something that got the same handle later?
    pub fn belongs_to(&self, task: i32) -> bool {
        self.magic.load(Relaxed) == MAGIC && self.task.load(Relaxed) == task
    }

    /// A number for an apply worker, higher than all before. Nobody is admitted until it is.
    pub fn draw_ticket(&self) -> u32 {
        self.tickets.fetch_add(1, Relaxed) + 1
    }

    /// Lets this apply worker take the destination over.
    pub fn admit(&self, ticket: u32) {
        self.admitted.store(ticket, Release);
        self.apply_worker().process.nudge();
    }

    pub fn admission(&self, ticket: u32) -> Admission {
        // Whoever is admitted also sees what was done before.
        if self.tickets.load(Relaxed) != ticket {
            return Admission::Superseded;
        }
        if self.admitted.load(Acquire) == ticket { Admission::Granted } else { Admission::Pending }
    }

    pub fn durable(&self) -> Lsn {
        Lsn(self.durable_lsn.load(Relaxed))
    }

    /// Asks the apply worker not to let the destination take its time with what lies before `lsn`.
    pub fn want_durable(&self, lsn: Lsn) {
        self.durable_wanted.fetch_max(lsn.0, Relaxed);
    }

    /// `current_at` as a statement's parameter; `None` while it is not known.
    pub fn known_current(&self) -> Option<String> {
        Some(self.current_at.load(Relaxed)).filter(|time| *time != 0).map(|time| time.to_string())
    }

    pub fn set_phase(&self, text: &str) {
        if self.phase.get() != text {
            self.phase.set(text);
            self.phase_since.store(xact::now(), Relaxed);
        }
    }

    /// Shows whose end on the destination is waited for, until the guard is dropped; 0 is a process that is gone.
    pub fn await_there(&self, pid: i32) -> AwaitedThere<'_> {
        self.awaited_there.store(if pid == 0 { -1 } else { pid }, Relaxed);
        AwaitedThere(self)
    }

    /// The process on the destination that is waited for; 0 for one that is gone.
    pub fn awaited_there(&self) -> Option<i32> {
        match self.awaited_there.load(Relaxed) {
            0 => None,
            pid => Some(pid.max(0)),
        }
    }

    pub fn set_snapshot(&self, name: &str) {
        self.snapshot.set(name);
    }

    pub fn snapshot(&self) -> Option<String> {
        Some(self.snapshot.get()).filter(|name| !name.is_empty())
    }

    pub fn set_sequences_trouble(&self, text: &str) {
        self.sequences_trouble.set(text);
    }

    pub fn sequences_trouble(&self) -> String {
        self.sequences_trouble.get()
    }

    /// Counts somebody who sleeps on `changed`, until the guard is dropped.
    pub fn wait(&self) -> Waiter<'_> {
        self.waiters.fetch_add(1, Relaxed);
        Waiter(self)
    }

    pub fn phase(&self) -> String {
        self.phase.get()
    }

    /// The supervisor and all workers.
    pub fn processes(&self) -> impl Iterator<Item = &Process> {
        std::iter::once(&self.supervisor).chain(self.workers.iter().map(|worker| &worker.process))
    }

    /// The number of its place.
    pub const ASIDE_WORKER: u32 = MAX_SYNC_WORKERS as u32;

    pub fn apply_worker(&self) -> &WorkerStatus {
        &self.workers[0]
    }

    /// Wakes those who wait for progress; costs a load when nobody does.
    pub fn announce(&self) {
        if self.waiters.load(Relaxed) > 0 {
            self.changed.broadcast();
        }
    }
}

/// See [`TaskStatus::wait`]. An error that interrupts the wait drops it as well.
pub struct Waiter<'a>(&'a TaskStatus);

impl Drop for Waiter<'_> {
    fn drop(&mut self) {
        self.0.waiters.fetch_sub(1, Relaxed);
    }
}

/// See [`TaskStatus::await_there`].
pub struct AwaitedThere<'a>(&'a TaskStatus);

impl Drop for AwaitedThere<'_> {
    fn drop(&mut self) {
        self.0.awaited_there.store(0, Relaxed);
    }
}

impl WorkerStatus {
    pub fn report(&self, error: &Error) {
        self.sqlstate.set(error.sqlstate());
        self.message.set(error.message());
        self.detail.set(&error.detail_text().unwrap_or_default());
        self.hint.set(error.hint_text().unwrap_or_default());
        self.lsn.store(error.lsn_value().0, Relaxed);
        self.remedy.store(error.remedy() as u32, Relaxed);
    }

    /// Takes the error that the worker left behind, if it left one.
    pub fn take_error(&self) -> Option<(Remedy, Error)> {
        let remedy = self.remedy.swap(0, Relaxed);
        if remedy == 0 {
            return None;
        }
        let remedy = Remedy::from_u32(remedy);
        // The origin only matters for the remedy, which is known.
        let origin = if remedy == Remedy::RetryConnection { Origin::Connection } else { Origin::Source };
        let mut error =
            Error::new(&self.sqlstate.get(), self.message.get()).origin(origin).lsn(Lsn(self.lsn.load(Relaxed)));
        let (detail, hint) = (self.detail.get(), self.hint.get());
        if !detail.is_empty() {
            error = error.detail(detail);
        }
        if !hint.is_empty() {
            error = error.hint(hint);
        }
        Some((remedy, error))
    }
}
