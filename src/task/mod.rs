//! What a task is apart from its processes: what may be done with it, and what must not happen to it.
//!
//! | file | what it does |
//! |---|---|
//! | `create.rs`, `start.rs`, `stop.rs`, `drop.rs` | the life of a task |
//! | `options.rs`, `tables.rs`, `definitions.rs` | changing one: options, tables that join or leave, who sees to definitions |
//! | `skip.rs`, `conflicts.rs`, `adopt.rs` | decisions of a person: a change that is left out, what was decided, which server is the right one |
//! | `complete.rs` | what a destination lacks besides objects: roles, owners, settings |
//! | `large_objects.rs` | large objects, which no stream carries |
//! | `identity.rs` | replica identities that were changed for it |
//! | `wait.rs` | waiting until the destination has everything |
//! | `processes.rs`, `status.rs`, `beat.rs` | its processes from outside: their start and end, and what they say in shared memory |
//! | `guards.rs` | statements that would pull it away from under them |
//!
//! A task is in one state of [`Wanted`](crate::catalog::Wanted), failed or not, and in one [`Stage`](crate::catalog::Stage):
//!
//! ```text
//! wanted     what moves it on                         its processes
//! created    courier.start() -> running               none
//! running    courier.pause() -> paused                a supervisor, and whom it starts
//!   failed   courier.resume() -> running              none, until a person has looked
//! paused     courier.resume() -> running              none
//! finished   nothing but courier.drop_task()          none
//! ```

pub mod adopt;
pub mod beat;
pub mod code;
pub mod commands;
pub mod complete;
pub mod conflicts;
pub mod create;
mod definitions;
pub mod drop;
pub mod guards;
pub mod identity;
pub mod large_objects;
mod lock_wait;
pub mod options;
pub mod policies;
pub mod processes;
mod shared_text;
pub mod skip;
pub mod start;
pub mod status;
pub mod stop;
pub mod tables;
pub mod wait;

use crate::catalog::{Task, Wanted, locks};
use crate::error::{Error, Result, sqlstate};
use crate::pg::xact;

/// The task, locked against other changes until the end of the transaction.
pub fn locked(name: &str) -> Result<Task> {
    refuse_on_standby()?;
    let task = Task::for_role(name, xact::user_id())?;
    locks::lock_task(task.id);
    // As it is now: another transaction may have held the lock.
    Task::for_role(name, xact::user_id())
}

/// A standby knows the tasks of its primary and can do nothing for them.
pub fn refuse_on_standby() -> Result<()> {
    if !xact::is_in_recovery() {
        return Ok(());
    }
    Err(Error::new(sqlstate::READ_ONLY_SQL_TRANSACTION, "tasks cannot be used on a standby")
        .detail("They run on the primary of this server; the views show what it has recorded.")
        .hint("SELECT sender_host, sender_port FROM pg_stat_wal_receiver; -- the primary: call it there"))
}

/// Changes what the workers of the task read when they start; those that run are started anew.
pub fn restarted(task: &Task, change: impl FnOnce() -> Result<()>) -> Result<()> {
    let runs = task.wanted == Wanted::Running && !task.failed;
    if runs {
        // It comes back by itself.
        processes::stop(task)?;
    }
    change()?;
    if runs { processes::start_supervisor(task.id, &task.name) } else { Ok(()) }
}

/// The task's description is read by its workers when they start.
pub fn check_stopped(task: &Task) -> Result<()> {
    if task.wanted != Wanted::Running || task.failed {
        return Ok(());
    }
    Err(Error::new(sqlstate::OBJECT_NOT_IN_PREREQUISITE_STATE, format!("task \"{}\" is running", task.name))
        .hint(format!("SELECT courier.pause('{0}'); -- then change it, then SELECT courier.resume('{0}');", task.name)))
}
