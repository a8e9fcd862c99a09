//! The processes, and the only place where the stages meet.
//!
//! ```text
//! pg_courier launcher                   one a cluster, when preloaded: finds the tasks that should run
//!   pg_courier supervisor: <task>       everything that needs SQL on the source; starts and stops the others
//!     pg_courier apply worker: <task>   slot and destination; decodes and applies; no SQL on the source meanwhile
//!     pg_courier tablesync worker: <task> <n>   copies tables, one after the other
//! ```

pub mod apply_worker;
mod beat;
pub mod claimant;
pub mod failpoint;
mod health;
pub mod heartbeat;
pub mod launcher;
mod renames;
pub mod status;
pub mod supervisor;
pub mod tablesync_worker;
mod wal_guard;

use std::rc::Rc;

use status::TaskStatus;

use crate::catalog::{Task, connection};
use crate::destination::{Session, data_settings};
use crate::error::{Error, Result};
use crate::pg::dsm::Segment;
use crate::pg::{bgworker, encoding, latch, xact};

/// What a worker of a task is started with; travels as text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Argument {
    pub database: u32,
    pub task: i32,
    /// Shared memory of the task; 0 for the supervisor, who makes it.
    pub segment: u32,
    /// Number of the tablesync worker, ticket of the apply worker; 0 for others.
    pub number: u32,
    pub mode: Mode,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
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

const MODES: [(Mode, &str); 5] = [
    (Mode::Run, "run"),
    (Mode::CreateSlot, "slot"),
    (Mode::HoldSnapshot, "hold"),
    (Mode::GuardSlots, "guard"),
    (Mode::CheckHealth, "health"),
];

impl Argument {
    pub fn to_text(&self) -> String {
        let mode = MODES.iter().find(|(mode, _)| *mode == self.mode).map_or("run", |(_, text)| text);
        format!("{} {} {} {} {mode}", self.database, self.task, self.segment, self.number)
    }

    pub fn parse(text: &str) -> Option<Argument> {
        let parts: Vec<&str> = text.split(' ').collect();
        let [database, task, segment, number, mode] = parts.as_slice() else { return None };
        Some(Argument {
            database: database.parse().ok()?,
            task: task.parse().ok()?,
            segment: segment.parse().ok()?,
            number: number.parse().ok()?,
            mode: MODES.iter().find(|(_, text)| text == mode).map(|(mode, _)| *mode)?,
        })
    }
}

/// Settings that make values print the same in every worker, whatever role or database set.
fn apply_data_settings() -> Result<()> {
    for (name, value) in data_settings() {
        let name = std::ffi::CString::new(name).map_err(|_| Error::internal("invalid setting name"))?;
        xact::set_config(&name, value)?;
    }
    xact::set_config(c"search_path", "pg_catalog, pg_temp")?;
    // Ours are background jobs with retries of their own; a default meant for users must not end them.
    let timeouts =
        [c"statement_timeout", c"lock_timeout", c"idle_in_transaction_session_timeout", c"transaction_timeout"];
    for name in timeouts {
        if xact::config(name).is_some() {
            xact::set_config(name, "0")?;
        }
    }
    xact::set_config(c"default_transaction_read_only", "off")?;
    // They write the rows of one task at the same time, and none reads what another then writes.
    xact::set_config(c"default_transaction_isolation", "read committed")?;
    xact::send_utf8()
}

/// Shows the others that this worker runs, until it ends, however that comes about.
fn take_place(status: &Rc<Segment<TaskStatus>>, number: usize) {
    let status = status.clone();
    if let Some(worker) = status.workers.get(number) {
        worker.process.enter();
    }
    bgworker::before_exit(move || {
        if let Some(worker) = status.workers.get(number) {
            worker.process.leave();
        }
    });
}

/// `pg_stat_activity`, and lines of a log in CSV or JSON, say whose worker it is.
fn show_task(name: &str) -> Result<()> {
    xact::set_config(c"application_name", &format!("pg_courier: {name}"))
}

/// Everything a destination session of the task needs.
pub struct Endpoint {
    parameters: crate::libpq::Parameters,
    task: String,
    password_required: bool,
}

impl Endpoint {
    /// Reads server and user mapping; inside a transaction.
    pub fn of(task: &Task) -> Result<Endpoint> {
        Ok(Endpoint {
            parameters: connection::parameters(task.owner, task.server)?,
            task: task.name.clone(),
            password_required: !xact::is_superuser(task.owner),
        })
    }

    /// The same for a session that the task can do without: nobody waits long for it.
    pub fn for_extras(mut self) -> Endpoint {
        const SECONDS: u32 = 5;
        let set = self.parameters.get("connect_timeout").and_then(|seconds| seconds.parse().ok());
        let seconds = set.filter(|seconds| (1..SECONDS).contains(seconds)).unwrap_or(SECONDS);
        self.parameters.set("connect_timeout", &seconds.to_string());
        self
    }

    /// What leads the task to another database.
    pub fn redirect(&self) -> String {
        self.parameters.alter_server("dbname", "...")
    }

    pub fn open(&self, purpose: crate::destination::Purpose) -> Result<crate::destination::Destination> {
        let session = Session {
            parameters: &self.parameters,
            task: &self.task,
            encoding: encoding::sent_as(),
            password_required: self.password_required,
        };
        crate::destination::Destination::open(&session, purpose, latch::wait_sockets)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_argument_survives_its_text() {
        let argument = Argument { database: 5, task: 7, segment: 99, number: 2, mode: Mode::CreateSlot };
        assert_eq!(Argument::parse(&argument.to_text()), Some(argument));
        assert_eq!(Argument::parse(""), None);
    }
}
