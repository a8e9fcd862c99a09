//! Writes a group on the destination: its fence, its rows, its end.
//!
//! `statement` sends rows by prepared statements, `probes` looks for broken constraints that do not check themselves, `rows`
//! makes statements of the net effect of a batch, `copy` sends runs of inserts, `huge` rows that are too large to be kept.
//! Each uses those before it.
//!
//! The first statement of a group is the **fence**: it locks the task's progress row and fails unless this worker wrote
//! there last. A group that comes to the row last, beside another, begins with a mark instead.

mod copy;
mod huge;
mod probes;
mod rows;
mod statement;

use super::collect::group::{Applied, Group};
use super::collect::written::Probes;
use super::encode::arrays::Params;
use super::flights::Lane;
use super::lanes::Lanes;
use super::session::fits::There;
use super::session::prepared::Prepared;
use crate::destination::dialect::{Advance, Dialect, MarkOf, Sql};
use crate::error::{Error, Result};

/// What writes beside others, and so has a mark of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MarkLane {
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

/// Who writes.
pub struct WriterIdentity {
    pub task_id: String,
    uuid: [u8; 16],
    epoch: i64,
}

impl WriterIdentity {
    pub fn new(task_id: String, epoch: i64) -> Result<WriterIdentity> {
        let uuid = parse_uuid(&task_id)?;
        Ok(WriterIdentity { task_id, uuid, epoch })
    }
}

pub struct Writer {
    pub lanes: Lanes,
    pub group: Group,
    identity: WriterIdentity,
    /// Do selected tables have deferrable constraints? Then they are deferred to the end of each group.
    defer_constraints: bool,
    pub params: Params,
    prepared: Prepared,
    is_progress_prepared: bool,
    there: There,
    probes: Probes,
}

impl Writer {
    pub fn new(lanes: Lanes, identity: WriterIdentity, defer_constraints: bool, there: There) -> Writer {
        Writer {
            lanes,
            group: Group::new(),
            identity,
            defer_constraints,
            params: Params::default(),
            prepared: Prepared::default(),
            is_progress_prepared: false,
            there,
            probes: Probes::default(),
        }
    }

    pub fn dialect(&self) -> &'static dyn Dialect {
        self.lanes.dialect()
    }

    pub fn task_id(&self) -> &str {
        &self.identity.task_id
    }

    /// May groups of inserts be there side by side, as far as the task goes?
    pub fn may_overlap(&self) -> bool {
        self.lanes.has_replica_role() && !self.defer_constraints && self.lanes.second.can_be_had()
    }

    /// The group's first statement: locks the progress row and checks that this worker may write. With `end` known it
    /// is the progress update as well.
    pub fn open_group(&mut self, end: Option<&Applied>) -> Result<()> {
        if self.group.is_open() {
            return Ok(());
        }
        let block = self.defer_constraints || self.lanes.flights.is_serial();
        self.group.open(block);
        if block {
            // SET CONSTRAINTS wants a transaction block; otherwise everything up to the sync is one anyway.
            self.lanes.command(&self.dialect().begin())?;
            self.lanes.command(&self.dialect().defer_constraints())?;
        }
        let same = self.at_chain();
        self.send_progress(end.unwrap_or(&same))
    }

    /// The group as it is while its end is not known: the fence leaves the row where it is.
    fn at_chain(&self) -> Applied {
        Applied { end_lsn: self.lanes.flights.chain(), ..self.group.applied }
    }

    /// Definitions were changed on the destination: what is known of its tables is asked for anew.
    pub fn forget_tables(&mut self) {
        self.there.forget_all();
    }

    /// The group's first statement, and a block around what is exchanged outside of the pipeline.
    pub fn open_block(&mut self) -> Result<()> {
        self.open_group(None)?;
        self.need_block()
    }

    /// What leaves the pipeline must not end what the pipeline began.
    fn need_block(&mut self) -> Result<()> {
        if self.group.make_block() { self.lanes.command(&self.dialect().begin()) } else { Ok(()) }
    }

    pub fn send_progress(&mut self, applied: &Applied) -> Result<()> {
        const NAME: &str = "courier_progress";
        assert!(self.group.is_open(), "progress is part of a group");
        if !self.is_progress_prepared {
            let statement = self.dialect().advance_prepared();
            self.lanes.pipeline()?.prepare(NAME, &statement, None)?;
            self.is_progress_prepared = true;
        }
        let chain = self.lanes.flights.chain();
        assert!(applied.end_lsn >= chain, "progress does not go back");
        let values: [&[u8]; 5] = [
            &self.identity.uuid,
            &applied.end_lsn.0.to_be_bytes(),
            &applied.commit_time.to_be_bytes(),
            &chain.0.to_be_bytes(),
            &self.identity.epoch.to_be_bytes(),
        ];
        self.lanes.pipeline()?.execute_own(NAME, values.into_iter())
    }

    /// The end of a group whose rows were all sent. With `durable` the commit waits for the disk.
    pub fn end_group(&mut self, durable: bool) -> Result<()> {
        assert!(self.group.is_open(), "an open group has sent its fence");
        assert!(self.probes.is_empty(), "constraints are looked at before the commit");
        if durable {
            self.lanes.command(&self.dialect().commit_durably())?;
        }
        if self.group.is_block() {
            self.lanes.command(&self.dialect().commit())?;
        }
        let applied = self.group.end();
        self.lanes.end_group(applied, durable)
    }

    /// What a transaction that comes to the progress row last begins with. No other session of this worker has the lane.
    pub fn mark(&self, lane: MarkLane) -> Sql {
        let WriterIdentity { task_id, epoch, .. } = &self.identity;
        self.dialect().mark(&MarkOf { task_id, epoch: *epoch, lane: lane as i16 })
    }

    /// The progress update with its values in the text.
    pub fn advance(&self, applied: &Applied) -> Sql {
        let WriterIdentity { task_id, epoch, .. } = &self.identity;
        let from = self.lanes.flights.chain();
        assert!(applied.end_lsn >= from, "progress does not go back");
        let (to, commit_time) = (applied.end_lsn, applied.commit_time);
        self.dialect().advance(&Advance { task_id, epoch: *epoch, from, to, commit_time })
    }
}

fn parse_uuid(text: &str) -> Result<[u8; 16]> {
    let invalid = || Error::internal(format!("invalid task id \"{text}\""));
    let digits: String = text.chars().filter(|c| *c != '-').collect();
    let number = u128::from_str_radix(&digits, 16).map_err(|_| invalid())?;
    Ok(number.to_be_bytes())
}
