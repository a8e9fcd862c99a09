//! The processes, and the only place where the stages meet.
//!
//! ```text
//! pg_courier launcher                   one a cluster, when preloaded: finds the tasks that should run
//!   pg_courier supervisor: <task>       everything that needs SQL on the source; starts and stops the others
//!     pg_courier apply worker: <task>   slot and destination; decodes and applies; no SQL on the source meanwhile
//!     pg_courier tablesync worker: <task> <n>   copies tables, one after the other
//!     pg_courier aside worker: <task>     builds what no row waits for, while there is something
//! ```

pub mod apply_worker;
pub mod aside_worker;
pub mod health;
pub mod heartbeat;
pub mod launcher;
mod renames;
mod rounds;
pub mod supervisor;
pub mod tablesync_worker;
mod wal_guard;

use std::rc::Rc;

use crate::destination::data_settings;
use crate::error::{Error, Result};
use crate::pg::dsm::Segment;
use crate::pg::{bgworker, xact};
use crate::task::status::TaskStatus;

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
