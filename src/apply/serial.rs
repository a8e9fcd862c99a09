//! Changes one by one, each answered before the next, up to the end of a merged group that has failed.
//!
//! So an error names the very row, and what was only a matter of order goes through: two rows that exchange a unique value.
//! Here the task's option `conflict` and `courier.skip_change` have their say, see `conflicts`.

use std::rc::Rc;

use super::applier::Applier;
use super::collect::route::HUGE;
use crate::error::Result;
use crate::logicalrep::{Change, Relation};

impl Applier {
    /// Sends one change and waits for its outcome.
    pub(super) fn apply_serially(&mut self, relation: &Rc<Relation>, change: Change<'_>) -> Result<()> {
        self.note_generation(relation)?;
        debug_assert!(self.waiting.is_empty(), "what waits is merged, and was sent before");
        let policy = self.policy;
        if policy.may_resolve(self.writer.lanes.flights.current.change_lsn) {
            return self.writer.apply_or_resolve(policy, relation, change);
        }
        if change.bytes() >= HUGE {
            self.writer.send_huge(relation, change)?;
        } else {
            self.writer.send_change(relation, change)?;
        }
        self.writer.lanes.settle()
    }

    pub(super) fn truncate_serially(&mut self, relations: &[Rc<Relation>], restart_sequences: bool) -> Result<()> {
        if self.policy.skips(self.writer.lanes.flights.current.change_lsn) {
            return self.writer.truncate_or_skip(relations, restart_sequences);
        }
        self.writer.open_group(None)?;
        self.writer.send_truncate(relations, restart_sequences)?;
        self.writer.lanes.settle()
    }

    /// The end of a transaction: durable, and waited for.
    pub(super) fn commit_serially(&mut self) -> Result<()> {
        self.close_group(true)?;
        self.writer.lanes.await_commits()
    }
}
