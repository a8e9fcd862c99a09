//! `pg_courier launcher`: after a start of the server, finds the tasks that should run.
//!
//! Which databases have tasks is known only inside each of them, so a short-lived scout looks into one after the
//! other. Tasks started later register their supervisor themselves, and the postmaster restarts one that died. What is
//! left is to look after slots that nobody reads, if `courier.max_retained_wal` limits them.

use std::time::Duration;

use super::{Argument, Mode, supervisor, wal_guard};
use crate::catalog::version;
use crate::error::Result;
use crate::guc;
use crate::pg::bgworker::{self, Spec};
use crate::pg::{latch, report, slots, spi, xact};

pub const NAME: &str = "pg_courier launcher";
pub const FUNCTION: &str = "pg_courier_launcher_main";
/// Worker slots were all taken: look again after this time.
const AGAIN: Duration = Duration::from_secs(60);

bgworker::entry_point!(pg_courier_launcher_main, launcher_main);

fn launcher_main() {
    bgworker::prepare_signals();
    bgworker::connect(None);
    while !scan_all() {
        latch::wait(Some(AGAIN));
    }
    loop {
        // With a limit on retained WAL: slots of tasks that are paused or failed have no supervisor that watches them.
        let limit = guc::max_retained_wal();
        if let Some(limit) = limit {
            for database in slots::databases_keeping(wal_guard::first_warning(limit)) {
                send_scout(database, Mode::GuardSlots)
                    .unwrap_or_else(|error| report::log(&error, "pg_courier launcher"));
            }
        }
        latch::wait(limit.map(|_| AGAIN));
    }
}

/// Sends a scout into every database; false when one could not be sent or did not get all tasks started.
fn scan_all() -> bool {
    let mut complete = true;
    for database in bgworker::databases() {
        if let Err(error) = send_scout(database, Mode::Run) {
            report::log(&error, "pg_courier launcher will look again in a minute");
            complete = false;
        }
    }
    complete
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
        report::log(&error, "pg_courier scout");
    }
    bgworker::exit(0)
}

fn start_supervisors() -> Result<()> {
    let tasks = xact::in_transaction(|| {
        spi::as_extension(|| {
            let there = spi::query_one("SELECT to_regclass('courier.task') IS NOT NULL", &[])?.bool(0)?;
            if !there {
                return Ok(Vec::new());
            }
            version::check()?;
            spi::query("SELECT id, name FROM courier.task WHERE wanted = 'running' AND NOT failed ORDER BY id", &[])
        })
    })?;
    for row in &tasks {
        supervisor::start(row.parse(0)?, row.text(1)?)?;
    }
    Ok(())
}
