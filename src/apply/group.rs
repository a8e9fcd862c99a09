//! A group's beginning and end on the destination: the progress row, which is also the fence, and the commit.

use std::time::Instant;

use super::applier::{Applied, Applier, DURABLE_EVERY, Group, Lane, Sent};
use crate::destination::dialect::{Advance, MarkOf, Sql};
use crate::error::Result;
use crate::logicalrep::Lsn;
use crate::pg::xact;

/// What writes beside others, and so has a mark of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum MarkLane {
    FirstSession = 1,
    SecondSession = 2,
    Ahead = 3,
}

impl From<Lane> for MarkLane {
    fn from(lane: Lane) -> MarkLane {
        match lane {
            Lane::First => MarkLane::FirstSession,
            Lane::Second => MarkLane::SecondSession,
        }
    }
}

impl Applier {
    /// The group's first statement: locks the progress row and checks that this worker may write. With `end` known it
    /// is the progress update as well.
    pub(super) fn open_group(&mut self, end: Option<&Applied>) -> Result<()> {
        if self.group_open {
            return Ok(());
        }
        self.group_open = true;
        self.group_block = self.plan.defer_constraints || self.is_serial();
        if self.group_block {
            // SET CONSTRAINTS wants a transaction block; otherwise everything up to the sync is one anyway.
            self.send_command(&self.dialect().begin())?;
            self.send_command(&self.dialect().defer_constraints())?;
        }
        let same = Applied { end_lsn: self.progress.chain(), ..self.group };
        self.send_progress(end.unwrap_or(&same))
    }

    pub(super) fn send_progress(&mut self, applied: &Applied) -> Result<()> {
        const NAME: &str = "courier_progress";
        self.use_pipeline()?;
        if !self.progress_prepared {
            self.destination.send_prepare(NAME, &self.destination.dialect().advance_prepared())?;
            self.sent.push_back(Sent::Command { bytes: 0, table: None, kind: None });
            self.progress_prepared = true;
        }
        let values: [&[u8]; 5] = [
            &self.task_id,
            &applied.end_lsn.0.to_be_bytes(),
            &applied.commit_time.to_be_bytes(),
            &self.progress.chain().0.to_be_bytes(),
            &self.epoch.to_be_bytes(),
        ];
        self.destination.send_prepared(NAME, values.into_iter())?;
        self.sent.push_back(Sent::Command { bytes: 0, table: None, kind: None });
        Ok(())
    }

    /// Records durably that the stream has come to `position`, while nothing waits and nothing is on its way: what lies
    /// between concerned other tables.
    pub(super) fn record_position(&mut self, position: Lsn) -> Result<()> {
        self.group.end_lsn = position;
        self.close_group(true)
    }

    /// Sends the rest of the group and its end. With `durable`, when it is time, or when somebody waits for what is in
    /// it, the commit waits for the disk.
    pub(super) fn close_group(&mut self, durable: bool) -> Result<()> {
        let is_wanted = self.progress.sent_durably() < self.round.wanted && self.round.wanted <= self.group.end_lsn;
        let is_due = is_wanted || self.is_serial() || self.last_durable.elapsed() >= DURABLE_EVERY;
        let durable = durable || is_due && !self.round.is_held;
        self.group.sent_at = xact::now();
        let group = self.group;
        if self.copy_group(&group, durable)? {
            return Ok(());
        }
        let sent_in_parts = self.group_open;
        self.open_group(Some(&group))?;
        self.send_waiting()?;
        self.send_probes()?;
        if sent_in_parts {
            self.send_progress(&group)?;
        }
        if durable {
            self.send_command(&self.dialect().commit_durably())?;
            self.last_durable = Instant::now();
        }
        if std::mem::take(&mut self.group_block) {
            self.send_command(&self.dialect().commit())?;
        }
        self.destination.send_sync()?;
        self.sent.push_back(Sent::Sync);
        self.note_sent(group, durable, Lane::First);
        self.destination.flush()?;
        Ok(())
    }

    pub(super) fn note_sent(&mut self, group: Applied, durable: bool, lane: Lane) {
        self.groups.push_back(Group { applied: group, durable, lane });
        self.progress.send(group.end_lsn, durable);
        self.group = Applied::default();
        self.group_open = false;
    }

    /// What a transaction that comes to the progress row last begins with. No other session of this worker has the lane.
    pub(super) fn mark(&self, lane: MarkLane) -> Sql {
        self.dialect().mark(&MarkOf { task_id: &self.plan.task_id, epoch: self.epoch, lane: lane as i16 })
    }

    /// The progress update with its values in the text.
    pub(super) fn advance(&self, applied: &Applied) -> Sql {
        self.dialect().advance(&Advance {
            task_id: &self.plan.task_id,
            epoch: self.epoch,
            from: self.progress.chain(),
            to: applied.end_lsn,
            commit_time: applied.commit_time,
        })
    }
}
