//! `pg_courier supervisor: <task>`: takes a task through its stages and keeps it there.
//!
//! ```text
//! created -> slot -> older transactions gone -> schema_sync -> full_copy -> post_data -> catching_up -> synchronizing
//! ```
//! Each step ([`steps`]) is recorded when it is complete, so a supervisor that starts anew goes on with the first that is not. An
//! error ends the attempt: passing ones are tried again with growing pauses ([`retry`]), the others fail the task and wait for
//! `courier.resume()`.

mod aside;
mod capture;
mod claim;
mod configuration;
mod context;
mod copy;
mod follow;
mod following;
mod kept;
mod owner;
mod retry;
mod schema;
mod sequences;
mod serve;
mod slot;
mod step;
mod steps;
mod sweep;
mod wanted;
mod workers;

use std::rc::Rc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use super::health::HealthCheck;
use super::wal_guard::WalGuard;
use crate::catalog::{Task, locks, version};
use crate::error::{Error, Result};
use crate::failpoint;
use crate::logicalrep::names;
use crate::pg::bgworker;
use crate::pg::dsm::Segment;
use crate::pg::{latch, report, spi, xact};
use crate::task::processes::{self, Argument};
use crate::task::status::TaskStatus;
use context::{Context, Ended, Life, Stop, show};
use retry::{Next, Retry, Windows};
use sweep::Sweep;
use wanted::{Asked, crashes_too_often, end_for_guard, end_unwanted, is_stopping};
use workers::{EarlyWorker, Workers};

bgworker::entry_point!(pg_courier_supervisor_main, supervisor_main);

fn supervisor_main() {
    bgworker::prepare_signals();
    let Some(argument) = Argument::parse(&bgworker::argument()) else { bgworker::exit(0) };
    bgworker::connect(Some(argument.database));
    match report::catch(|| supervise(&argument)) {
        Ok(()) => bgworker::exit(0),
        Err(error) => {
            // Not even the error could be recorded; the postmaster starts us again.
            xact::abort();
            report::log(&error, "pg_courier supervisor stops");
            bgworker::exit(1)
        }
    }
}

fn supervise(argument: &Argument) -> Result<()> {
    super::apply_data_settings()?;
    let Some((mut task, memory)) = take_up(argument)? else { return Ok(()) };
    let mut life = Life { retry: Retry::default(), health: HealthCheck::from_now(), sweep: Sweep::new() };
    loop {
        if task.lease.is_none() {
            // Before the destination's row gets it.
            xact::in_transaction(|| task.draw_lease())?;
        } else {
            super::show_task(&task.name)?;
            match attempt(&task, &memory, &mut life) {
                Ok(Ended::Finished) => return Ok(()),
                Ok(Ended::Guarded(order)) => return end_for_guard(&task, &memory.status, order),
                Ok(Ended::NotWanted) => return end_unwanted(&task),
                Ok(Ended::Again) => kept::terminate_workers(),
                Err(error) => {
                    if !outlives(&task, error, &memory.status, &mut life)? {
                        return Ok(());
                    }
                }
            }
        }
        task = match xact::in_transaction(|| Asked::look(argument.task))? {
            Some(Asked::Run(task)) => task,
            _ => return Ok(()),
        };
    }
}

/// The task's shared memory, and by what others find it.
struct Memory {
    status: Rc<Segment<TaskStatus>>,
    handle: u32,
}

/// Makes this process the task's supervisor; nothing when it is not to run, or has another one.
fn take_up(argument: &Argument) -> Result<Option<(Box<Task>, Memory)>> {
    // Waits for the transaction that started us; only one of us goes on.
    xact::in_transaction(|| {
        locks::lock_task(argument.task);
        Ok(())
    })?;
    if let Err(error) = xact::in_transaction(version::check) {
        report::log(&error, "pg_courier supervisor does not start");
        return Ok(None);
    }
    if !be_the_one(argument.task)? {
        return Ok(None);
    }
    bgworker::before_exit(|| {
        kept::terminate_workers();
        kept::look(|status| status.supervisor.leave());
    });
    bgworker::when_asked(|| i32::from(!kept::look(is_stopping).unwrap_or(false)));
    failpoint::hit("supervisor_starts")?;
    xact::in_transaction(|| {
        // Whoever changes the task now does not see us yet, and would leave us with what it was.
        locks::lock_task(argument.task);
        match Asked::look(argument.task)? {
            Some(Asked::Run(task)) if !crashes_too_often(&task)? => {
                let memory = make_memory(&task)?;
                Ok(Some((task, memory)))
            }
            _ => Ok(None),
        }
    })
}

/// Only one of us goes on. One that has been told to stop is not seen any more a moment before it lets go of the lock: whoever gave up then
/// would leave the task to nobody.
fn be_the_one(id: i32) -> Result<bool> {
    const PATIENCE: Duration = Duration::from_secs(10);
    let began = Instant::now();
    while !locks::try_lock_supervisor(id) {
        let task = xact::in_transaction(|| Task::find_by_id(id))?;
        if task.is_none_or(|task| processes::supervisor_is_alive(&task)) || began.elapsed() > PATIENCE {
            return Ok(false);
        }
        latch::wait_for(Duration::from_millis(50));
    }
    Ok(true)
}

fn make_memory(task: &Task) -> Result<Memory> {
    let (status, handle) = Segment::<TaskStatus>::create();
    status.task.store(task.id, Relaxed);
    status.supervisor.enter();
    task.update("segment = $2::bigint", &[Some(&handle.to_string())])?;
    let status = Rc::new(status);
    kept::keep(status.clone());
    Ok(Memory { status, handle })
}

/// Goes through the steps, from the first that is not complete.
fn attempt(task: &Task, memory: &Memory, life: &mut Life) -> Result<Ended> {
    let workers = Workers { task, status: memory.status.clone(), handle: memory.handle };
    let mut early = EarlyWorker::start(&workers, &life.retry);
    let outcome = report::catch(|| {
        let mut context = Context::enter(task, memory.status.clone(), &workers, &mut early, life)?;
        match steps::walk(&mut context) {
            // The last step says how it ends.
            Ok(()) => Err(Error::internal("no step is left for the task")),
            Err(Stop::Ended(ended)) => Ok(ended),
            Err(Stop::Failed(error)) => Err(error),
        }
    });
    early.dismiss();
    outcome
}

/// Records the error of an attempt, and waits as long as it takes until the next; false when there is none.
fn outlives(task: &Task, error: Error, status: &TaskStatus, life: &mut Life) -> Result<bool> {
    xact::abort();
    kept::terminate_workers();
    let error = after_adoption(task, error.addressed_to(&task.name))?;
    if !Asked::is_to_run(task.id)? {
        end_unwanted(task)?;
        return Ok(false);
    }
    xact::in_transaction(|| task.note_current(status.known_current().as_deref()))?;
    let next = life.retry.after(error.remedy(), task.incremental, Windows::configured(), Instant::now());
    let Next::Again(pause) = next else {
        task.log(&error, "failed");
        xact::in_transaction(|| {
            task.note_command(status.command.load(Relaxed))?;
            task.record_error(&error, true, None)
        })?;
        return Ok(false);
    };
    task.log(&error, &format!("tries again in {} s", pause.as_secs_f32()));
    xact::in_transaction(|| task.record_error(&error, false, Some(pause.as_secs().max(1))))?;
    show(status, "waiting before the next attempt");
    latch::wait_for(pause);
    life.health.run_now_and_then();
    // A destination that is away for long is what fills the disk.
    if let Some(order) = WalGuard::default().look(task)? {
        end_for_guard(task, status, order)?;
        return Ok(false);
    }
    xact::in_transaction(|| task.clear_retry())?;
    Ok(true)
}

/// Rows of another server, up to where the two parted and beyond, are a likely reason for a change that does not fit.
fn after_adoption(task: &Task, error: Error) -> Result<Error> {
    if !error.lsn_value().is_valid() {
        return Ok(error);
    }
    let sql = "SELECT pg_catalog.date_trunc('second', e.at), e.detail FROM courier.event e \
               WHERE e.task = $1 AND e.kind = 'adopted' AND e.detail IS NOT NULL ORDER BY e.id DESC LIMIT 1";
    let row = xact::in_transaction(|| spi::as_extension(|| spi::query_opt(sql, &[Some(&task.name)])))?;
    let Some(row) = row else { return Ok(error) };
    Ok(error.context(format!(
        "The task was adopted at {}. {} What that server sent is on the destination: SELECT * FROM courier.verify({}); says which tables differ.",
        row.text(0)?,
        row.text(1)?,
        names::quote_literal(&task.name)
    )))
}
