//! `pg_courier launcher`: after a start of the server, finds the tasks that should run.
//!
//! Which databases have tasks is known only inside each of them, so a short-lived scout looks into one after the
//! other. Tasks started later register their supervisor themselves, and the postmaster restarts one that died. From then on
//! it looks every minute where a task may have been left behind: into databases where a scout could not start everything,
//! as there were too few worker slots, and into those with a slot of ours that nobody reads. If `courier.max_retained_wal`
//! limits what such slots keep, a scout looks after that as well. And it runs the health check where no supervisor does: in
//! the databases known to have tasks or a slot, and in one of the others each time, so that all of them are known after
//! a while.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::{Duration, Instant};

use super::{health, wal_guard};
use crate::catalog::{self, Task, version};
use crate::error::Result;
use crate::guc;
use crate::pg::bgworker::{self, Spec};
use crate::pg::dsm::Segment;
use crate::pg::{latch, report, spi, wake, xact};
use crate::source;
use crate::task::processes::{Argument, WorkerMode, start_supervisor};

pub const NAME: &str = "pg_courier launcher";
pub const FUNCTION: &str = "pg_courier_launcher_main";
/// The time between two looks.
const AGAIN: Duration = Duration::from_secs(60);

bgworker::entry_point!(pg_courier_launcher_main, launcher_main);

/// What a scout has found.
#[repr(C)]
pub struct ScoutReport {
    magic: AtomicU32,
    has_tasks: AtomicU32,
}

const MAGIC: u32 = 0x7067_5343;

// Atomics; zero bytes are valid values.
crate::pg::dsm::share!(ScoutReport, |answer: &ScoutReport| answer.magic.store(MAGIC, Relaxed));

struct Launcher {
    answer: Segment<ScoutReport>,
    handle: u32,
    /// Databases that had tasks when somebody looked last.
    known: BTreeSet<u32>,
    /// The last one of the others that was looked into.
    last_other: u32,
    checked: Instant,
}

fn launcher_main() {
    bgworker::prepare_signals();
    bgworker::connect(None);
    let made = xact::in_transaction(|| Ok(Segment::<ScoutReport>::create()));
    let (answer, handle) = report::unwrap(made);
    let mut launcher = Launcher { answer, handle, known: BTreeSet::new(), last_other: 0, checked: Instant::now() };
    let mut open: BTreeSet<u32> = bgworker::databases().into_iter().collect();
    let mut looked: Option<Instant> = None;
    loop {
        if looked.is_none_or(|time| time.elapsed() >= AGAIN) {
            looked = Some(Instant::now());
            open.extend(source::databases_keeping(0));
            open.retain(|database| !launcher.start_tasks(*database));
            // With a limit on retained WAL: slots of tasks that are paused or failed have no supervisor that watches them.
            if let Some(limit) = guc::max_retained_wal() {
                for database in source::databases_keeping(wal_guard::first_warning(limit)) {
                    launcher.visit(database, WorkerMode::GuardSlots);
                }
            }
        }
        launcher.check_health();
        let until_look = looked.map_or(AGAIN, |time| AGAIN.saturating_sub(time.elapsed()));
        let until_check = guc::health_interval().map(|interval| interval.saturating_sub(launcher.checked.elapsed()));
        let patience = until_check.map_or(until_look, |left| left.min(until_look));
        let slept = Instant::now();
        latch::wait(Some(patience));
        // A reload of the configuration nudges: what somebody has just changed may have made room.
        if slept.elapsed() < patience {
            looked = None;
        }
    }
}

impl Launcher {
    /// Sends a scout into a database; false when it could not be sent or did not get all tasks started.
    fn start_tasks(&mut self, database: u32) -> bool {
        let before = wake::unstarted();
        self.visit(database, WorkerMode::Run) && wake::unstarted() == before
    }

    fn visit(&mut self, database: u32, mode: WorkerMode) -> bool {
        self.answer.has_tasks.store(0, Relaxed);
        if let Err(error) = send_scout(database, self.handle, mode) {
            report::log_warning(&error, "pg_courier launcher will look again in a minute");
            return false;
        }
        if self.answer.has_tasks.load(Relaxed) == 1 {
            self.known.insert(database);
        } else if mode == WorkerMode::CheckHealth {
            self.known.remove(&database);
        }
        true
    }

    fn check_health(&mut self) {
        if guc::health_interval().is_none_or(|interval| self.checked.elapsed() < interval) {
            return;
        }
        self.checked = Instant::now();
        let there = bgworker::databases();
        let wanted: BTreeSet<u32> =
            source::databases_keeping(0).into_iter().chain(self.known.iter().copied()).collect();
        let other = next_other(&there, &wanted, self.last_other);
        self.last_other = other.unwrap_or(0);
        for database in there.into_iter().filter(|database| wanted.contains(database) || Some(*database) == other) {
            self.visit(database, WorkerMode::CheckHealth);
        }
    }
}

/// One after the other, in the order of their OIDs, those that are not visited each time.
fn next_other(there: &[u32], wanted: &BTreeSet<u32>, last: u32) -> Option<u32> {
    let others: BTreeSet<u32> = there.iter().copied().filter(|database| !wanted.contains(database)).collect();
    others.range(last.saturating_add(1)..).next().or(others.first()).copied()
}

/// Sends a scout and waits until it is back.
fn send_scout(database: u32, answer: u32, mode: WorkerMode) -> Result<()> {
    let argument = Argument { database, task: 0, segment: answer, number: 0, mode };
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
    let outcome = report::catch(|| match argument.mode {
        WorkerMode::GuardSlots => wal_guard::look_after_unwatched().map(|()| true),
        WorkerMode::CheckHealth => health::run_where_there_are_tasks(),
        _ => start_supervisors(),
    });
    let has_tasks = outcome.unwrap_or_else(|error| {
        xact::abort();
        wake::note_unstarted();
        report::log_warning(&error, "pg_courier scout");
        true
    });
    if has_tasks
        && let Ok(Some(answer)) = xact::in_transaction(|| Ok(Segment::<ScoutReport>::attach(argument.segment)))
        && answer.magic.load(Relaxed) == MAGIC
    {
        answer.has_tasks.store(1, Relaxed);
    }
    bgworker::exit(0)
}

/// Of the tasks that should run; false where there are no tasks at all.
fn start_supervisors() -> Result<bool> {
    let tasks = xact::in_transaction(|| {
        spi::as_extension(|| {
            if !catalog::is_installed()? {
                return Ok(Vec::new());
            }
            version::check()?;
            spi::query(
                "SELECT t.id, t.wanted = 'running' AND NOT t.failed AND s.supervisor_pid IS NULL \
                 FROM courier.task t LEFT JOIN courier.task_status() s ON s.id = t.id ORDER BY t.id",
                &[],
            )
        })
    })?;
    for row in &tasks {
        if !row.bool(1)? {
            continue;
        }
        let Some(task) = xact::in_transaction(|| Task::find_by_id(row.parse(0)?))? else { continue };
        if let Err(error) = start_supervisor(task.id, &task.name) {
            wake::note_unstarted();
            task.log(&error, "waits for a worker");
            xact::in_transaction(|| task.record_error(&error, false, Some(AGAIN.as_secs())))?;
        }
    }
    Ok(!tasks.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_others_take_turns() {
        let there = [10, 5, 16384, 16390];
        let wanted = BTreeSet::from([16384]);
        let mut last = 0;
        let mut seen = Vec::new();
        for _ in 0..4 {
            last = next_other(&there, &wanted, last).unwrap();
            seen.push(last);
        }
        assert_eq!(seen, [5, 10, 16390, 5]);
        assert_eq!(next_other(&[16384], &wanted, 7), None);
    }
}
