//! Locks that a task's processes and the sessions that change it take, on the source.

use crate::pg::xact;

/// Their classes among the advisory locks.
#[derive(Clone, Copy)]
#[repr(u32)]
enum Class {
    /// Held by a supervisor for its life: a task has one.
    Supervisor = 0x7067_6373,
    /// Held to the end of a transaction that changes a task.
    Task = 0x7067_6374,
}

/// Makes this process the supervisor of the task; false when another one is.
pub fn try_lock_supervisor(task: i32) -> bool {
    xact::try_lock_for_life(Class::Supervisor as u32, task)
}

/// Keeps others from changing the task until this transaction ends; waits for one that is at it.
pub fn lock_task(task: i32) {
    xact::lock_for_transaction(Class::Task as u32, task);
}
