//! A group's beginning and end on the destination: the progress row, which is also the fence, and the commit.

use std::time::Instant;

use super::applier::{Applied, Applier, DURABLE_EVERY, Group, Lane, Sent};
use crate::error::Result;
use crate::libpq::Param;
use crate::logicalrep::Lsn;
use crate::pg::xact;

/// Makes the commit of the transaction under way wait for the disk.
pub(super) const COMMIT_DURABLY: &str = "SELECT pg_catalog.set_config('synchronous_commit', 'on', true)";

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
            self.send_command("BEGIN")?;
            self.send_command("SET CONSTRAINTS ALL DEFERRED")?;
        }
        let same = Applied { end_lsn: self.chain, ..self.group };
        self.send_progress(end.unwrap_or(&same))
    }

    pub(super) fn send_progress(&mut self, applied: &Applied) -> Result<()> {
        const UUID: u32 = 2950;
        const LSN: u32 = 3220;
        const TIMESTAMPTZ: u32 = 1184;
        const INT8: u32 = 20;
        const NAME: &str = "courier_progress";
        self.use_pipeline()?;
        if !self.progress_prepared {
            let types = [UUID, LSN, TIMESTAMPTZ, LSN, INT8];
            self.destination.connection.send_prepare(NAME, &progress_sql(["$1", "$2", "$3", "$4", "$5"]), &types)?;
            self.sent.push_back(Sent::Command { bytes: 0, table: None, kind: None });
            self.progress_prepared = true;
        }
        let values: [&[u8]; 5] = [
            &self.task_id,
            &applied.end_lsn.0.to_be_bytes(),
            &applied.commit_time.to_be_bytes(),
            &self.chain.0.to_be_bytes(),
            &self.epoch.to_be_bytes(),
        ];
        let params = values.map(|value| Param { value: Some(value), binary: true });
        self.destination.connection.send_prepared(NAME, &params)?;
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
        let is_wanted = self.durable_sent < self.round.wanted && self.round.wanted <= self.group.end_lsn;
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
            self.send_command(COMMIT_DURABLY)?;
            self.last_durable = Instant::now();
        }
        if std::mem::take(&mut self.group_block) {
            self.send_command("COMMIT")?;
        }
        self.destination.connection.send_sync()?;
        self.sent.push_back(Sent::Sync);
        self.note_sent(group, durable, Lane::First);
        self.destination.connection.flush()?;
        Ok(())
    }

    pub(super) fn note_sent(&mut self, group: Applied, durable: bool, lane: Lane) {
        self.groups.push_back(Group { applied: group, durable, lane });
        if durable {
            self.durable_sent = group.end_lsn;
        }
        self.chain = group.end_lsn;
        self.group = Applied::default();
        self.group_open = false;
    }

    /// The first statement of a transaction that comes to the progress row last: it says where the changes come from, for
    /// whoever reads them from the destination's WAL. No other session of this worker writes the lane's row.
    pub(super) fn mark_text(&self, lane: MarkLane) -> String {
        format!(
            "INSERT INTO courier_applied.marks AS m (task_id, epoch, lane, source_id) \
             SELECT p.task_id, {epoch}, {lane}, p.source_id FROM courier_applied.progress AS p \
             WHERE p.task_id = '{task}'::pg_catalog.uuid \
             ON CONFLICT (task_id, epoch, lane) DO UPDATE SET used = m.used + 1",
            epoch = self.epoch,
            lane = lane as i32,
            task = self.plan.task_id,
        )
    }

    /// The progress update with its values in the text.
    pub(super) fn progress_text(&self, applied: &Applied) -> String {
        progress_sql([
            &format!("'{}'::pg_catalog.uuid", self.plan.task_id),
            &format!("'{}'::pg_catalog.pg_lsn", applied.end_lsn),
            &format!(
                "('2000-01-01 00:00+00'::pg_catalog.timestamptz + {} * '1 us'::pg_catalog.interval)",
                applied.commit_time
            ),
            &format!("'{}'::pg_catalog.pg_lsn", self.chain),
            &self.epoch.to_string(),
        ])
    }
}

/// Parameters: task, new end, commit time, the end it must follow, epoch.
fn progress_sql([task, end, commit_time, chain, epoch]: [&str; 5]) -> String {
    format!(
        "WITH touched AS (UPDATE courier_applied.progress SET end_lsn = {end}, \
         commit_time = CASE WHEN {commit_time} > '2000-01-01 00:00+00'::pg_catalog.timestamptz THEN {commit_time} \
         ELSE commit_time END, \
         updated_at = pg_catalog.now(), writer = CASE WHEN end_lsn = {chain} THEN {epoch} ELSE -1 END \
         WHERE task_id = {task} RETURNING 1) \
         SELECT 1 / (pg_catalog.count(*) = 1)::pg_catalog.int4 FROM touched"
    )
}
