//! The processes of a task from outside: starting the supervisor, who starts the others, and ending all of them.

use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use super::status::TaskStatus;
use crate::catalog::Task;
use crate::error::{Error, Result, sqlstate};
use crate::pg::bgworker::{self, Spec};
use crate::pg::dsm::Segment;
use crate::pg::latch::{self, Process};
use crate::pg::{report, xact};

/// Workers end within a moment; a destination that does not let go of a connection cannot hold them.
const STOP_WITHIN: Duration = Duration::from_secs(20);

/// What a worker of a task is started with; travels as text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Argument {
    pub database: u32,
    pub task: i32,
    /// Shared memory of the task; 0 for the supervisor, who makes it.
    pub segment: u32,
    /// Number of the tablesync worker, ticket of the apply worker; 0 for others.
    pub number: u32,
    pub mode: WorkerMode,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WorkerMode {
    Run,
    /// The apply worker only creates the slot.
    CreateSlot,
    /// The tablesync worker only keeps a snapshot for the others.
    HoldSnapshot,
    /// The scout looks after slots that no supervisor watches.
    GuardSlots,
    /// The scout runs the health check.
    CheckHealth,
}

impl WorkerMode {
    const ALL: [WorkerMode; 5] = [
        WorkerMode::Run,
        WorkerMode::CreateSlot,
        WorkerMode::HoldSnapshot,
        WorkerMode::GuardSlots,
        WorkerMode::CheckHealth,
    ];

    fn as_str(self) -> &'static str {
        match self {
            WorkerMode::Run => "run",
            WorkerMode::CreateSlot => "slot",
            WorkerMode::HoldSnapshot => "hold",
            WorkerMode::GuardSlots => "guard",
            WorkerMode::CheckHealth => "health",
        }
    }
}

impl Argument {
    pub fn to_text(&self) -> String {
        format!("{} {} {} {} {}", self.database, self.task, self.segment, self.number, self.mode.as_str())
    }

    pub fn parse(text: &str) -> Option<Argument> {
        let parts: Vec<&str> = text.split(' ').collect();
        let [database, task, segment, number, mode] = parts.as_slice() else { return None };
        Some(Argument {
            database: database.parse().ok()?,
            task: task.parse().ok()?,
            segment: segment.parse().ok()?,
            number: number.parse().ok()?,
            mode: WorkerMode::ALL.into_iter().find(|known| known.as_str() == *mode)?,
        })
    }
}

/// Starts the supervisor of a task; it waits for the transaction that asked for it. The postmaster starts it again when it
/// ends with a status other than 0.
pub fn start_supervisor(task: i32, name: &str) -> Result<()> {
    let argument = Argument { database: xact::database_id(), task, segment: 0, number: 0, mode: WorkerMode::Run };
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

pub fn status_of(task: &Task) -> Option<Segment<TaskStatus>> {
    Segment::<TaskStatus>::peek(task.segment).filter(|status| status.belongs_to(task.id))
}

pub fn supervisor_is_alive(task: &Task) -> bool {
    status_of(task).is_some_and(|status| status.supervisor.is_alive())
}

/// Ends all processes of the task and waits until they are gone. They come back if the transaction is rolled back.
pub fn stop(task: &Task) -> Result<()> {
    if supervisor_is_alive(task) {
        let (id, name) = (task.id, task.name.clone());
        xact::after_rollback(move || {
            if let Err(error) = start_supervisor(id, &name) {
                report::log(&error, "pg_courier cannot start the task again whose stop was rolled back");
            }
        });
    }
    let deadline = Instant::now() + STOP_WITHIN;
    loop {
        let Some(status) = status_of(task) else { return Ok(()) };
        let pids: Vec<i32> = status.processes().filter_map(Process::pid).collect();
        if pids.is_empty() {
            return Ok(());
        }
        if Instant::now() > deadline {
            return Err(Error::new(sqlstate::OBJECT_IN_USE, format!("could not stop task \"{}\"", task.name))
                .detail(format!("Still running: {pids:?}."))
                .hint("Try again; look at these processes in pg_stat_activity."));
        }
        status.stopping.store(1, Relaxed);
        status.processes().for_each(Process::terminate);
        latch::wait(Some(Duration::from_millis(10)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_argument_survives_its_text() {
        for mode in WorkerMode::ALL {
            let argument = Argument { database: 5, task: 7, segment: 99, number: 2, mode };
            assert_eq!(Argument::parse(&argument.to_text()), Some(argument));
        }
        assert_eq!(Argument::parse(""), None);
        assert_eq!(Argument::parse("5 7 99 2 dance"), None);
    }
}
