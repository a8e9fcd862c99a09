//! Where a task's sessions on the destination go, and as whom.

use super::{Destination, Purpose, SessionOptions};
use crate::catalog::code_schemas::{self, CodeSearch};
use crate::catalog::{Task, connection};
use crate::error::Result;
use crate::libpq::Parameters;
use crate::pg::{encoding, latch, xact};

/// Everything a destination session of the task needs.
pub struct Endpoint {
    parameters: Parameters,
    task: String,
    code_search: CodeSearch,
    password_required: bool,
}

impl Endpoint {
    /// Reads server and user mapping; inside a transaction.
    pub fn of(task: &Task) -> Result<Endpoint> {
        Ok(Endpoint {
            parameters: connection::parameters(task.owner, task.server)?,
            task: task.name.clone(),
            code_search: code_schemas::of_database(task.trust().roles)?,
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

    /// Lets a session of [`Purpose::Schema`] find code in schemas that are there only now.
    pub fn look_again(&self, destination: &mut Destination) -> Result<()> {
        destination.begin_code_path(&self.code_search)
    }

    pub fn open(&self, purpose: Purpose) -> Result<Destination> {
        let session = SessionOptions {
            parameters: &self.parameters,
            task: &self.task,
            code_search: &self.code_search,
            encoding: encoding::sent_as(),
            password_required: self.password_required,
        };
        Destination::open(&session, purpose, latch::wait_sockets)
    }
}
