//! Long runs of inserts into one table travel as COPY, which costs the destination about half of what INSERT does.
//!
//! libpq's pipeline mode and COPY exclude each other, so a COPY starts when everything before it is answered and has the
//! connection for itself. Two shapes:
//! - a **group** of small transactions that holds nothing but inserts into one table is sent whole: begin, progress,
//!   rows and commit in one exchange, without waiting for its end; the next such group may meanwhile go to a second
//!   session, see `lanes`;
//! - inside a transaction **too large** to collect, a COPY stays open as long as only inserts into its table follow.
//!
//! Which of them it is, if any, is decided by `collect::route`.

use std::rc::Rc;

use super::Writer;
use crate::apply::collect::batch::TableBatch;
use crate::apply::collect::group::Applied;
use crate::apply::flights::Lane;
use crate::apply::session::copy::Flow;
use crate::destination::dialect::{Sql, Turn};
use crate::error::{Error, Result};
use crate::logicalrep::Relation;

impl Writer {
    /// Sends a group that consists of this one run of inserts, beside the group under way or when everything is answered.
    pub fn copy_group(&mut self, batch: &TableBatch, durable: bool, beside: bool) -> Result<()> {
        assert!(!self.group.is_open(), "a group that is sent whole was not begun");
        let (table, group) = (&batch.relation, self.group.applied);
        let free = if beside { self.free_lane() } else { None };
        let [earlier, this] = self.lanes.second.turns(self.class_of_turns());
        let lane = match free {
            Some(lane) => self.begin_beside(table, &group, durable, lane, [earlier, this])?,
            None => None,
        };
        let lane = match lane {
            Some(lane) => lane,
            None => self.begin_alone(table, &group, durable, this)?,
        };
        self.queue_rows(batch, lane, Flow::Queued)?;
        self.lanes.session(lane)?.end_copy(true)?;
        self.group.end();
        self.lanes.flights.sent(group, durable, lane);
        Ok(())
    }

    /// The session that is free while a group is under way in the other one.
    fn free_lane(&mut self) -> Option<Lane> {
        match self.lanes.flights.front()?.lane {
            Lane::First => self.lanes.second.session().map(|_| Lane::Second),
            Lane::Second => Some(Lane::First),
        }
    }

    /// Starts the group's COPY beside the group under way; `None` if that session does not do.
    fn begin_beside(
        &mut self,
        table: &Rc<Relation>,
        group: &Applied,
        durable: bool,
        lane: Lane,
        [earlier, this]: [Turn; 2],
    ) -> Result<Option<Lane>> {
        let dialect = self.dialect();
        let sql = Sql::all([
            Some(dialect.begin()),
            durable.then(|| dialect.commit_durably()),
            Some(self.mark(lane.into())),
            Some(dialect.take_turn(this)),
            Some(self.copy_of(table)?),
            Some(dialect.await_turn(earlier)),
            Some(self.advance(group)),
            Some(dialect.commit()),
        ]);
        match self.lanes.session(lane)?.begin_copy(&sql, table) {
            Ok(()) => Ok(Some(lane)),
            Err(error) if lane == Lane::First => Err(self.lanes.explain_copy(error, table)),
            // Perhaps closed while nobody used it. Nothing was sent yet.
            Err(_) => {
                self.lanes.second.avoid();
                Ok(None)
            }
        }
    }

    /// Starts the group's COPY in the first session when everything is answered.
    fn begin_alone(&mut self, table: &Rc<Relation>, group: &Applied, durable: bool, turn: Turn) -> Result<Lane> {
        let dialect = self.dialect();
        let copy = self.copy_of(table)?;
        let durably = durable.then(|| dialect.commit_durably());
        let (begin, take) = (self.begins(group), dialect.take_turn(turn));
        self.begin_copy(table, &Sql::all([Some(begin), durably, Some(take), Some(copy), Some(dialect.commit())]))?;
        Ok(Lane::First)
    }

    /// Names the turns of this worker among the advisory locks of the destination.
    fn class_of_turns(&self) -> i32 {
        let [a, b, c, d, ..] = self.identity.uuid;
        i32::from_be_bytes([a, b, c, d]) ^ self.identity.epoch as i32
    }

    /// Starts a COPY in a transaction that is too large to be collected, with its first run.
    pub fn copy_inside(&mut self, batch: &TableBatch) -> Result<()> {
        let same = self.at_chain();
        let begin = self.begins(&same);
        self.group.open(true);
        let copy = self.copy_of(&batch.relation)?;
        self.begin_copy(&batch.relation, &Sql::all([Some(begin), Some(copy)]))?;
        self.copy_open(batch)
    }

    /// Sends a run through the COPY that is open.
    pub fn copy_open(&mut self, batch: &TableBatch) -> Result<()> {
        assert!(self.group.is_open() && self.copy_is_open(&batch.relation), "rows go into the COPY of their table");
        self.queue_rows(batch, Lane::First, Flow::Sent)
    }

    /// Is a COPY of this table open, that its next row can go into?
    pub fn copy_is_open(&self, relation: &Relation) -> bool {
        self.lanes.first.wire().copy().is_some_and(|open| open.generation == relation.generation)
    }

    fn begins(&self, group: &Applied) -> Sql {
        let dialect = self.dialect();
        let deferred = self.defer_constraints.then(|| dialect.defer_constraints());
        Sql::all([Some(dialect.begin()), deferred, Some(self.advance(group))])
    }

    /// A COPY of binary rows, behind a look whether its columns still are what they were.
    pub fn copy_of(&mut self, table: &Relation) -> Result<Sql> {
        let there = self.there(table)?;
        Ok(self.dialect().copy(table, &there))
    }

    pub(super) fn begin_copy(&mut self, table: &Rc<Relation>, sql: &Sql) -> Result<()> {
        let outcome = self.lanes.plain()?.begin_copy(sql, table);
        outcome.map_err(|error| self.lanes.explain_copy(error, table))
    }

    fn queue_rows(&mut self, batch: &TableBatch, lane: Lane, flow: Flow) -> Result<()> {
        let data = batch.copy_data().ok_or_else(|| Error::internal("a COPY of something else than inserts"))?;
        let outcome = self.lanes.session(lane)?.copy(data, flow);
        outcome.map_err(|error| self.lanes.explain_copy(error, &batch.relation))
    }
}
