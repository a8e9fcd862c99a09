//! A command of the source that waits for locks on the destination: told by the apply worker, which asks who holds them, to the
//! supervisor and the views, in shared memory.

use std::sync::atomic::AtomicI64;
use std::sync::atomic::Ordering::Relaxed;

use super::shared_text::SharedText;
use crate::destination::LockHolder;
use crate::pg::xact;

#[repr(C)]
pub struct LockWait {
    /// Microseconds since 2000; 0 while no command waits.
    since: AtomicI64,
    /// Who holds the locks.
    holders: SharedText<512>,
    /// The same with their statements, which may have values of rows in them: for those who may use the task.
    statements: SharedText<2048>,
}

impl LockWait {
    /// It waits, still or from now on.
    pub fn goes_on(&self, holders: &[LockHolder]) {
        let who = |holder: &LockHolder| holder.who.clone();
        let what = |holder: &LockHolder| match &holder.statement {
            Some(statement) => format!("{}: {statement}", holder.who),
            None => holder.who.clone(),
        };
        self.holders.set(&listed(holders.iter().map(who), ", "));
        self.statements.set(&listed(holders.iter().map(what), "\n"));
        if self.since.load(Relaxed) == 0 {
            self.since.store(xact::now(), Relaxed);
        }
    }

    pub fn is_over(&self) {
        self.since.store(0, Relaxed);
    }

    /// Since when; none while no command waits.
    pub fn since(&self) -> Option<i64> {
        Some(self.since.load(Relaxed)).filter(|since| *since != 0)
    }

    pub fn holders(&self) -> String {
        self.holders.get()
    }

    pub fn statements(&self) -> String {
        self.statements.get()
    }
}

fn listed(holders: impl Iterator<Item = String>, between: &str) -> String {
    let list = holders.collect::<Vec<_>>().join(between);
    // Whoever held them has let go since.
    if list.is_empty() { "nobody any more".to_owned() } else { list }
}
