//! The copy: tablesync workers, as many as `courier.sync_workers` and as there are tables left.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::time::Duration;

use super::context::{Context, Ended, Outcome, Stop};
use super::retry::FOLLOW_EVERY;
use super::sequences::Exactness;
use super::step::Step;
use super::workers::Workers;
use crate::catalog::{Stage, Task, Wanted, tables};
use crate::error::{Error, Result, sqlstate};
use crate::guc::{self, MAX_SYNC_WORKERS};
use crate::logicalrep::names;
use crate::logicalrep::words::counted;
use crate::pg::bgworker::Handle;
use crate::pg::{latch, xact};
use crate::task::processes::WorkerMode;

pub struct Copy;

impl Step for Copy {
    fn name(&self) -> &'static str {
        "copy"
    }

    fn is_done(&self, task: &Task) -> bool {
        task.stage >= Stage::PostData
    }

    fn still_holds(&self, context: &mut Context<'_>) -> Result<()> {
        context.with_destination(|context, destination| context.check_copies(destination))
    }

    fn run(&self, context: &mut Context<'_>) -> Outcome {
        let task = context.task;
        context.with_destination(|context, destination| context.items(destination))?;
        copy_tables(context)?;
        if !task.incremental {
            tell_of_snapshots(task)?;
        }
        Ok(xact::in_transaction(|| task.set_stage(Stage::PostData))?)
    }
}

fn copy_tables(context: &mut Context<'_>) -> Outcome {
    let task = context.task;
    xact::in_transaction(|| tables::reset_unfinished(task.id))?;
    if xact::in_transaction(|| tables::count_uncopied(task.id))? == 0 {
        return Ok(());
    }
    let holder = if task.incremental { None } else { Some(hold_snapshot(context.workers)?) };
    let mut crew = Crew::default();
    loop {
        let left = xact::in_transaction(|| tables::count_uncopied(task.id))?;
        if left == 0 {
            break;
        }
        context.show(&format!("copying; {} to go", counted(left, "table")));
        context.look_around()?;
        crew.fill_up(context.workers, left)?;
        // A worker that ends nudges us.
        latch::wait(Some(FOLLOW_EVERY * 10));
        context.life.health.run_now_and_then();
        crew.let_go(context.workers)?;
        if crew.0.is_empty() {
            // Killed ones left their tables behind; do not start new ones in a tight circle.
            xact::in_transaction(|| tables::reset_unfinished(task.id))?;
            latch::wait_for(Duration::from_millis(100));
        }
    }
    // The last ones are on their way out.
    crew.0.values().for_each(Handle::wait_for_shutdown);
    if let Some(holder) = holder {
        holder.terminate();
        holder.wait_for_shutdown();
    }
    Ok(())
}

/// The tablesync workers that run, by their numbers.
#[derive(Default)]
struct Crew(HashMap<u32, Handle>);

impl Crew {
    fn fill_up(&mut self, workers: &Workers<'_>, left: i64) -> Result<()> {
        for number in 1..=guc::sync_workers().min(MAX_SYNC_WORKERS as u32 - 1).min(left as u32) {
            if let Entry::Vacant(free) = self.0.entry(number) {
                free.insert(workers.start_tablesync_worker(number, WorkerMode::Run)?);
            }
        }
        Ok(())
    }

    /// Those that have ended; the error of one is the copy's.
    fn let_go(&mut self, workers: &Workers<'_>) -> Result<()> {
        let ended: Vec<u32> = self.0.iter().filter(|(_, worker)| worker.is_stopped()).map(|(n, _)| *n).collect();
        for number in ended {
            self.0.remove(&number);
            let place = workers.status.workers.get(number as usize);
            if let Some((_, error)) = place.and_then(|place| place.take_error()) {
                return Err(error);
            }
        }
        Ok(())
    }
}

/// Without a stream nothing would bring tables together that were copied at different moments, so all of them are
/// copied under one snapshot, which a worker of its own keeps.
fn hold_snapshot(workers: &Workers<'_>) -> Result<Handle> {
    let status = &workers.status;
    status.set_snapshot("");
    let holder = workers.start_tablesync_worker(MAX_SYNC_WORKERS as u32, WorkerMode::HoldSnapshot)?;
    while status.snapshot().is_none() {
        if holder.is_stopped() {
            let error = status.workers.last().and_then(|place| place.take_error()).map(|(_, error)| error);
            return Err(error.unwrap_or_else(|| Error::new(sqlstate::OBJECT_IN_USE, "the snapshot could not be taken")));
        }
        latch::wait(Some(FOLLOW_EVERY));
    }
    Ok(holder)
}

/// A copy without a stream that was interrupted goes on under another snapshot: nothing brings its tables together.
fn tell_of_snapshots(task: &Task) -> Result<()> {
    let copies = xact::in_transaction(|| tables::copies(task.id))?;
    let Some(first) = copies.first() else { return Ok(()) };
    let Some(other) = copies.iter().find(|copy| copy.snapshot != first.snapshot) else { return Ok(()) };
    let name = names::quote_literal(&task.name);
    let error = Error::new(
        sqlstate::OBJECT_NOT_IN_PREREQUISITE_STATE,
        format!("the tables of task \"{}\" were copied at different moments", task.name),
    )
    .detail(format!(
        "The copy was interrupted and went on under another snapshot: {} is not of the same moment as {}. What was written on \
         the source between the two is on the destination in some of the tables only.",
        other.shown(),
        first.shown()
    ))
    .hint(format!(
        "If that matters, drop the tables on the destination and copy them once more: SELECT courier.drop_task({name}); then create \
         the task and start it. A task with incremental => true has no such moments."
    ));
    xact::in_transaction(|| task.record_error(&error, false, None))?;
    task.log(&error, "goes on");
    Ok(())
}

/// A task without a stream ends with its copy.
pub struct Finish;

impl Step for Finish {
    fn name(&self) -> &'static str {
        "finish"
    }

    fn is_done(&self, task: &Task) -> bool {
        task.incremental
    }

    fn run(&self, context: &mut Context<'_>) -> Outcome {
        let task = context.task;
        context.with_destination(|context, destination| context.check_copies(destination))?;
        context.sync_sequences(Exactness::Exact)?;
        xact::in_transaction(|| {
            tables::set_all_ready(task.id)?;
            task.update("wanted = $2, finished_at = now()", &[Some(Wanted::Finished.as_str())])
        })?;
        Err(Stop::Ended(Ended::Finished))
    }
}
