//! `pg_courier launcher`: after a start of the server, finds the tasks that should run.
//!
//! Which databases have tasks is known only inside each of them, so a short-lived scout looks into one after the
//! other. Tasks started later register their supervisor themselves, and the postmaster restarts one that died. From then on
//! it looks every minute where a task may have been left behind: into databases where a scout could not start everything,
//! as there were too few worker slots, and into those with a slot of ours that nobody reads. If `courier.max_retained_wal`
//! limits what such slots keep, a scout looks after that as well.

use std::collections::BTreeSet;
use std::time::Duration;

use super::{Argument, Mode, supervisor, wal_guard};
use crate::catalog::{self, Task, version};
use crate::error::Result;
use crate::guc;
use crate::pg::bgworker::{self, Spec};
use crate::pg::{latch, report, slots, spi, wake, xact};

pub const NAME: &str = "pg_courier launcher";
pub const FUNCTION: &str = "pg_courier_launcher_main";
/// The time between two looks.
const AGAIN: Duration = Duration::from_secs(60);

bgworker::entry_point!(pg_courier_launcher_main, launcher_main);

fn launcher_main() {
    bgworker::prepare_signals();
    bgworker::connect(None);
    let mut open: BTreeSet<u32> = bgworker::databases().into_iter().collect();
    loop {
        open.extend(slots::databases_keeping(0));
        open.retain(|database| !start_tasks(*database));
        // With a limit on retained WAL: slots of tasks that are paused or failed have no supervisor that watches them.
        let limit = guc::max_retained_wal();
        if let Some(limit) = limit {
            for database in slots::databases_keeping(wal_guard::first_warning(limit)) {
                send_scout(database, Mode::GuardSlots)
                    .unwrap_or_else(|error| report::log(&error, "pg_courier launcher"));
            }
        }
        // A reload of the configuration nudges: what somebody has just changed may have made room.
        latch::wait(Some(AGAIN));
    }
}

/// Sends a scout into a database; false when it could not be sent or did not get all tasks started.
fn start_tasks(database: u32) -> bool {
    let before = wake::unstarted();
    match send_scout(database, Mode::Run) {
        Ok(()) => wake::unstarted() == before,
        Err(error) => {
            report::log(&error, "pg_courier launcher will look again in a minute");
            false
        }
    }
}

/// Sends a scout and waits until it is back.
fn send_scout(database: u32, mode: Mode) -> Result<()> {
    let argument = Argument { database, task: 0, segment: 0, number: 0, mode };
    bgworker::start(&Spec {
        name: "pg_courier scout",
        kind: "pg_courier scout",
        function: "pg_courier_scout_main",
        argument: &argument.to_text(),
        restart_seconds: None,
        notify: true,
    })
    .map(|handle| handle.wait_for_shutdown())
}

bgworker::entry_point!(pg_courier_scout_main, scout_main);

fn scout_main() {
    bgworker::prepare_signals();
    let Some(argument) = Argument::parse(&bgworker::argument()) else { bgworker::exit(0) };
    bgworker::connect(Some(argument.database));
    let outcome = match argument.mode {
        Mode::GuardSlots => wal_guard::look_after_unwatched(),
        _ => start_supervisors(),
    };
    if let Err(error) = outcome {
        xact::abort();
        wake::note_unstarted();
        report::log(&error, "pg_courier scout");
    }
    bgworker::exit(0)
}

fn start_supervisors() -> Result<()> {
    let tasks = xact::in_transaction(|| {
        spi::as_extension(|| {
            if !catalog::is_installed()? {
                return Ok(Vec::new());
            }
            version::check()?;
            spi::query(
                "SELECT t.id FROM courier.task t LEFT JOIN courier.task_status() s ON s.id = t.id \
                 WHERE t.wanted = 'running' AND NOT t.failed AND s.supervisor_pid IS NULL ORDER BY t.id",
                &[],
            )
        })
    })?;
    for row in &tasks {
        let Some(task) = xact::in_transaction(|| Task::find_by_id(row.parse(0)?))? else { continue };
        if let Err(error) = supervisor::start(task.id, &task.name) {
            wake::note_unstarted();
            task.log(&error);
            xact::in_transaction(|| task.record_error(&error, false, Some(AGAIN.as_secs())))?;
        }
    }
    Ok(())
}
