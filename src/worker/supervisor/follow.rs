//! The stream, as its supervisor sees it: an apply worker that is kept running, and what goes on beside it.
//!
//! While the task catches up, the states of its tables follow the stream: one whose copy is passed is `ready`. When all are,
//! the destination is one state of the source, and the rest of the schema can be created.

use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use super::aside::AsideWork;
use super::context::{Context, Ended, Outcome, Stop};
use super::following::Following;
use super::retry::FOLLOW_EVERY;
use super::retry::LONGEST_PAUSE;
use super::schema;
use super::step::Step;
use crate::catalog::{DdlPolicy, Stage, Task, commands, tables};
use crate::destination::{Destination, ModelTable};
use crate::error::{Error, Remedy, Result};
use crate::failpoint;
use crate::guc;
use crate::pg::bgworker::Handle;
use crate::pg::{latch, report, xact};
use crate::schema::model::Standing;
use crate::select::coverage::Patterns;
use crate::task::processes::WorkerMode;
use crate::worker::renames;

pub struct CatchUp;

impl Step for CatchUp {
    fn name(&self) -> &'static str {
        "catch_up"
    }

    fn is_done(&self, task: &Task) -> bool {
        !task.incremental || task.stage >= Stage::Synchronizing
    }

    fn run(&self, context: &mut Context<'_>) -> Outcome {
        let mut following = Following::begin(context)?;
        while !following.look(context)? {
            following.attend(context)?;
            latch::wait(Some(FOLLOW_EVERY));
        }
        schema::complete(context)?;
        xact::in_transaction(|| context.task.set_stage(Stage::Synchronizing))?;
        context.show(WATCHING);
        context.following = Some(following);
        Ok(())
    }
}

pub struct Follow;

impl Step for Follow {
    fn name(&self) -> &'static str {
        "follow"
    }

    fn is_done(&self, task: &Task) -> bool {
        !task.incremental
    }

    /// Ends by an error, or when the task is to rest.
    fn run(&self, context: &mut Context<'_>) -> Outcome {
        let mut following = match context.following.take() {
            Some(following) => following,
            None => Following::begin(context)?,
        };
        loop {
            following.look(context)?;
            following.attend(context)?;
            let is_soon = following.has_uncaught || following.aside.is_wanted();
            let due = if is_soon { FOLLOW_EVERY } else { following.due_in(context) };
            latch::wait(Some(due));
        }
    }
}

/// Old rows about commands are looked for this often.
const TIDY_EVERY: Duration = Duration::from_secs(3600);

const WATCHING: &str = "watching the apply worker";

impl Following {
    fn begin(context: &mut Context<'_>) -> Result<Following> {
        let task = context.task;
        // A worker that starts anew must begin behind every copy: changes that a copy holds are left out only as long
        // as its snapshot is kept.
        let target = context.source.flushed().max(xact::in_transaction(|| tables::last_sync_lsn(task.id))?);
        context.status.want_durable(target);
        // What a task that applies commands calls its tables there, its model says.
        let is_followed = task.ddl == DdlPolicy::Replicate;
        if !is_followed && context.with_destination(|_, destination| renames::take_notice(task, destination))? {
            // It has read what was written before.
            context.early.dismiss();
        }
        let worker = match context.early.take() {
            Some((worker, ticket)) => {
                failpoint::hit("supervisor_admits")?;
                context.status.admit(ticket);
                worker
            }
            None => context.workers.start_apply_worker(WorkerMode::Run)?,
        };
        context.show(WATCHING);
        Ok(Following {
            worker,
            worker_since: Instant::now(),
            target,
            has_uncaught: true,
            has_caught_up: false,
            in_trouble: task.in_trouble || task.last_error.is_some(),
            is_at_rest: false,
            lock_wait: None,
            recorded_wait: None,
            commands: None,
            aside: AsideWork::of(task)?,
            tidied: None,
        })
    }

    /// Sees to it that the worker runs, and moves the states of tables on. Has it passed every copy, and what was there when it
    /// began?
    fn look(&mut self, context: &mut Context<'_>) -> Result<bool> {
        if self.worker.is_stopped() {
            self.worker = restart(context)?;
            self.worker_since = Instant::now();
        }
        let status = &context.status;
        self.has_caught_up = status.caught_up.load(Relaxed) == 1 && status.durable() >= self.target;
        if self.has_uncaught {
            let durable = status.durable();
            self.has_uncaught = xact::in_transaction(|| tables::follow_stream(context.task.id, durable))? > 0;
            if !self.has_uncaught {
                failpoint::hit("supervisor_tables_ready")?;
            }
        }
        Ok(self.has_caught_up && !self.has_uncaught)
    }

    /// What goes on beside the stream: errors that are over, sequences, heartbeat, health, the WAL guard.
    fn attend(&mut self, context: &mut Context<'_>) -> Outcome {
        let advanced = context.life.retry.advanced(context.status.durable());
        if self.has_caught_up {
            context.life.retry.succeeded();
            self.note_rest(context.task)?;
        }
        // A worker that has lived for longer than any attempt to connect takes is at work, however large its transaction.
        let is_at_work = self.has_caught_up || advanced || self.worker_since.elapsed() > LONGEST_PAUSE;
        if self.in_trouble && is_at_work {
            xact::in_transaction(|| context.task.note_recovered())?;
            self.in_trouble = false;
        }
        self.note_commands(context)?;
        self.watch_locks(context)?;
        // Foreign keys hold only when the stream has passed all copies.
        if !self.has_uncaught {
            self.aside.attend(context.workers)?;
        }
        self.tidy(context.task)?;
        context.life.sweep.go_on(context.task);
        context.serve_sequences()?;
        context.heart.beat(context.task, &context.status);
        context.life.health.run_now_and_then();
        context.look_around()
    }

    /// A command that waits for locks on the destination, and everything behind it, waits for whoever holds them.
    fn watch_locks(&mut self, context: &Context<'_>) -> Result<()> {
        let wait = &context.status.lock_wait;
        let (Some(since), holders) = (wait.since(), wait.holders()) else {
            if self.lock_wait.take().is_some() {
                context.show(WATCHING);
            }
            return Ok(());
        };
        self.lock_wait = Some(since);
        let id = context.status.command.load(Relaxed);
        context.show(&format!("command {id} of courier.ddl waits for locks on the destination, held by {holders}"));
        let waited = Duration::from_micros(u64::try_from(xact::now() - since).unwrap_or_default());
        if self.recorded_wait == Some(since) || waited < guc::ddl_lock_alert() {
            return Ok(());
        }
        self.recorded_wait = Some(since);
        let what =
            format!("command {id} of courier.ddl has waited {} s for locks on the destination", waited.as_secs());
        context.task.log_line(&format!("{what}, held by {holders}"));
        xact::in_transaction(|| context.task.record_event("waiting", &what, Some(&format!("Held by {holders}."))))
    }

    /// What has become of commands, and of tables by them, is noted here when it has happened there.
    fn note_commands(&mut self, context: &mut Context<'_>) -> Outcome {
        let status = &context.status;
        let (task, seen) = (context.task, (status.commands.load(Relaxed), status.asides.load(Relaxed)));
        // What was left aside is done even if no commands are applied any more.
        let is_heard = task.ddl != DdlPolicy::Ignore;
        if self.commands == Some(seen) || !is_heard && !self.aside.is_wanted() {
            return Ok(());
        }
        let tables = context.with_destination(|_, destination| {
            let tables = if is_heard { read_commands(task, destination)? } else { Vec::new() };
            self.aside.note(task, destination)?;
            Ok::<_, Error>(tables)
        })?;
        self.commands = Some(seen);
        if tables.iter().all(|table| table.standing != Standing::Entering) {
            return Ok(());
        }
        // Before the copy every transaction has to be visible whose commit record is behind the stream.
        let stage = Stage::FullCopy.as_str();
        xact::in_transaction(|| task.update("stage = $2, stage_at = now(), older_gone = false", &[Some(stage)]))?;
        Err(Stop::Ended(Ended::Again))
    }

    fn tidy(&mut self, task: &Task) -> Result<()> {
        if task.ddl == DdlPolicy::Ignore || self.tidied.is_some_and(|at| at.elapsed() < TIDY_EVERY) {
            return Ok(());
        }
        self.tidied = Some(Instant::now());
        xact::in_transaction(commands::forget_old)
    }

    /// The task works: what was counted against it is forgotten.
    fn note_rest(&mut self, task: &Task) -> Result<()> {
        if std::mem::replace(&mut self.is_at_rest, true) {
            return Ok(());
        }
        xact::in_transaction(|| task.forget_starts())
    }

    /// When the next of them has something to do.
    fn due_in(&self, context: &Context<'_>) -> Duration {
        let due = [
            context.sequences.due_in(),
            context.heart.due_in(),
            context.guard.due_in(),
            context.life.health.due_in(),
            context.look_due_in(),
            context.life.sweep.due_in(context.task),
        ];
        let soon = self.lock_wait.map(|_| FOLLOW_EVERY);
        due.into_iter().chain(soon).min().unwrap_or(FOLLOW_EVERY)
    }
}

/// Reads the outcome of commands, and how they have changed the tables of the task.
fn read_commands(task: &Task, destination: &mut Destination) -> Result<Vec<ModelTable>> {
    loop {
        let last = xact::in_transaction(|| commands::last_known(task.id))?;
        let notes = destination.commands_done(&task.uuid, last)?;
        if notes.is_empty() {
            break;
        }
        xact::in_transaction(|| commands::note(task.id, &notes))?;
    }
    let patterns = Patterns::parse(&task.include, &task.exclude, Vec::new())?;
    let mut tables = destination.model_tables(&task.uuid)?;
    let is_known = !tables.is_empty() || destination.has_model(&task.uuid)?;
    // Some may have been left out since.
    tables.retain(|table| !patterns.exclude(&table.name));
    for table in tables.iter().filter(|table| table.standing == Standing::Entering) {
        destination.forget_copy(&task.uuid, table.oid)?;
        failpoint::hit("supervisor_forgets_copy")?;
    }
    if is_known {
        xact::in_transaction(|| commands::note_tables(task, &tables))?;
    }
    Ok(tables)
}

fn restart(context: &Context<'_>) -> Result<Handle> {
    match context.status.apply_worker().take_error() {
        Some((Remedy::ReplaySerially, error)) => {
            report::log(&error, "pg_courier replays the last batch transaction by transaction");
        }
        Some((_, error)) => return Err(error),
        // Killed, or ended by an administrator: it goes on where it was, after a moment.
        None => latch::wait_for(Duration::from_millis(500)),
    }
    context.workers.start_apply_worker(WorkerMode::Run)
}
