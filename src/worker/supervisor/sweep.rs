//! Looking, beside the stream, for what has changed without a command (`ddl_capture::sweep`). A few objects at a time, each in a transaction
//! of its own, so that nobody waits for it; what fails is tried again the next time.

use std::time::{Duration, Instant};

use crate::catalog::schema::command::TouchedObject;
use crate::catalog::{DdlPolicy, Task, swept};
use crate::ddl_capture::sweep;
use crate::error::{Result, sqlstate};
use crate::guc;
use crate::pg::{report, spi, xact};

/// A place in the list of objects, or when the next look is due.
pub struct Sweep {
    began: Instant,
    left: Vec<TouchedObject>,
    /// Rows of the log that have left something for later, and when that was looked up.
    late: Vec<i64>,
    looked: Instant,
    /// Something was left for later, and is not told yet.
    is_urgent: bool,
    /// This look is for that.
    is_for_late: bool,
}

/// What was left for later is looked for this often.
const LATE: Duration = Duration::from_secs(5);

impl Sweep {
    /// What a task begins with is what it was told of; the first look comes after the first interval.
    pub fn new() -> Sweep {
        let now = Instant::now();
        Sweep { began: now, left: Vec::new(), late: Vec::new(), looked: now, is_urgent: false, is_for_late: false }
    }

    /// Does a little of it, if it is due.
    pub fn go_on(&mut self, task: &Task) {
        if task.ddl != DdlPolicy::Replicate {
            return;
        }
        let looked = if self.looked.elapsed() >= LATE { self.look() } else { Ok(()) };
        let step = match self.due_in(task) {
            Duration::ZERO if self.left.is_empty() => self.start(task),
            Duration::ZERO => self.compare(),
            _ => Ok(()),
        };
        for error in [looked, step].into_iter().filter_map(Result::err) {
            report::log(&error, "pg_courier could not look for changes without a command");
        }
    }

    pub fn due_in(&self, task: &Task) -> Duration {
        match guc::ddl_audit_interval() {
            _ if task.ddl != DdlPolicy::Replicate => Duration::MAX,
            _ if !self.left.is_empty() => Duration::ZERO,
            _ if self.is_urgent => LATE.saturating_sub(self.began.elapsed()),
            Some(interval) => interval.saturating_sub(self.began.elapsed()),
            None => Duration::MAX,
        }
    }

    fn start(&mut self, task: &Task) -> Result<()> {
        (self.began, self.is_for_late) = (Instant::now(), std::mem::take(&mut self.is_urgent));
        while xact::in_transaction(sweep::read_log)? {}
        self.left = xact::in_transaction(|| swept::objects(task.id))?;
        Ok(())
    }

    fn compare(&mut self) -> Result<()> {
        let some = self.left.split_off(self.left.len().saturating_sub(sweep::AT_ONCE));
        xact::in_transaction(|| {
            // Who holds a lock on what is described here is in the middle of a command.
            spi::as_extension(|| spi::execute("SET LOCAL lock_timeout = '200ms'", &[]))?;
            sweep::compare(&some).map(drop)
        })
        .inspect_err(|error| self.is_urgent |= self.is_for_late && error.sqlstate() == sqlstate::LOCK_NOT_AVAILABLE)
    }

    /// A row may commit after others with higher numbers.
    fn look(&mut self) -> Result<()> {
        self.looked = Instant::now();
        let late = xact::in_transaction(swept::late)?;
        self.is_urgent |= late.iter().any(|id| !self.late.contains(id));
        self.late = late;
        Ok(())
    }
}
