//! How far the destination is: the value that a worker keeps, and the tables that say so there.

use super::{Destination, taken_over};
use crate::error::{Error, Origin, Result, sqlstate};
use crate::logicalrep::Lsn;

/// The constraint whose violation means that another worker writes for the task.
const FENCE: &str = "progress_one_writer";

/// Has the destination refused a step of the progress row, because another worker writes for the task?
pub fn is_fenced(error: &Error) -> bool {
    error.constraint_name() == Some(FENCE)
}

/// What a step of the progress row that finds no row means. The supervisor looks again, and says what that means.
pub fn row_is_gone() -> Error {
    Error::new(sqlstate::OBJECT_IN_USE, "the task's row in courier_applied.progress is gone")
        .origin(Origin::Destination)
}

/// Ends of groups: what was sent, what the destination has committed, and what survives a crash there. Each follows the one
/// before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    sent: Lsn,
    sent_durably: Lsn,
    applied: Lsn,
    durable: Lsn,
}

impl Progress {
    /// Behind a commit that was durable: taking the row over is one.
    pub fn at(start: Lsn) -> Progress {
        Progress { sent: start, sent_durably: start, applied: start, durable: start }
    }

    /// End of the last group sent: what the next one must follow.
    pub fn chain(&self) -> Lsn {
        self.sent
    }

    /// End of the last group sent whose commit is durable.
    pub fn sent_durably(&self) -> Lsn {
        self.sent_durably
    }

    /// What the destination has committed.
    pub fn applied(&self) -> Lsn {
        self.applied
    }

    /// What the destination's progress row has, and will have after a crash.
    pub fn durable(&self) -> Lsn {
        self.durable
    }

    /// A group that ends here has been sent.
    pub fn send(&mut self, end: Lsn, durably: bool) {
        assert!(end >= self.sent, "a group ends at {end}, before the one that was sent before it, at {}", self.sent);
        self.sent = end;
        if durably {
            self.sent_durably = end;
        }
    }

    /// The destination has committed the group that ends here.
    pub fn commit(&mut self, end: Lsn, durably: bool) {
        assert!(
            end >= self.applied,
            "a group that ends at {end} is committed behind one that ends at {}",
            self.applied
        );
        assert!(end <= self.sent, "a group is committed up to {end}, and {} was sent", self.sent);
        self.applied = end;
        if durably {
            self.durable = end;
        }
        debug_assert!(self.sent >= self.applied && self.applied >= self.durable);
    }
}

impl Destination {
    /// Takes the task over: locks its row, which waits for a batch still under way, and raises the epoch, which shuts
    /// everyone else out. The row must have one of the two leases and gets the second. Returns the epoch and what has been
    /// applied. The helper schema has been looked at ([`Destination::check_helper_schema`]).
    pub fn take_over(&mut self, task_id: &str, [lease, next]: [&str; 2]) -> Result<(i64, Lsn)> {
        // Durable, and with it everything this reads: the slot may advance up to there.
        self.connection.exec("SET synchronous_commit = on")?;
        let rows = self.connection.query(
            "UPDATE courier_applied.progress SET epoch = epoch + 1, writer = epoch + 1, lease = $3::uuid \
             WHERE task_id = $1::uuid AND lease IN ($2::uuid, $3::uuid) RETURNING epoch, end_lsn",
            &[Some(task_id), Some(lease), Some(next)],
        )?;
        self.connection.exec("SET synchronous_commit = off")?;
        // Marks of workers before this one, but not of a transaction that still has to end.
        self.connection.execute(
            "DELETE FROM courier_applied.marks WHERE (task_id, epoch, lane) IN (SELECT m.task_id, m.epoch, m.lane \
             FROM courier_applied.marks AS m WHERE m.task_id = $1::uuid FOR UPDATE SKIP LOCKED)",
            &[Some(task_id)],
        )?;
        // The supervisor has seen the row a moment ago, and looks again.
        let row = rows.first().ok_or_else(taken_over)?;
        Ok((row.parse(0)?, row.lsn(1)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_goes_from_sent_to_applied_to_durable() {
        let mut progress = Progress::at(Lsn(10));
        progress.send(Lsn(20), false);
        progress.send(Lsn(30), true);
        progress.commit(Lsn(20), false);
        assert_eq!((progress.chain(), progress.applied(), progress.durable()), (Lsn(30), Lsn(20), Lsn(10)));
        progress.commit(Lsn(30), true);
        assert_eq!((progress.applied(), progress.durable(), progress.sent_durably()), (Lsn(30), Lsn(30), Lsn(30)));
    }

    #[test]
    #[should_panic(expected = "and 0/A was sent")]
    fn nothing_is_committed_that_was_not_sent() {
        Progress::at(Lsn(10)).commit(Lsn(20), false);
    }

    #[test]
    #[should_panic(expected = "before the one that was sent before it")]
    fn groups_are_sent_in_order() {
        Progress::at(Lsn(10)).send(Lsn(9), false);
    }

    #[test]
    #[should_panic(expected = "is committed behind one that ends at")]
    fn groups_are_committed_in_order() {
        let mut progress = Progress::at(Lsn(10));
        progress.send(Lsn(20), false);
        progress.commit(Lsn(9), false);
    }
}
