//! Long runs of inserts into one table travel as COPY, which costs the destination about half of what INSERT does.
//!
//! libpq's pipeline mode and COPY exclude each other, so a COPY starts when everything before it is answered and has the
//! connection for itself. Two shapes:
//! - a **group** of small transactions that holds nothing but inserts into one table is sent whole: begin, progress,
//!   rows and commit in one exchange, without waiting for its end; the next such group may meanwhile go to a second
//!   session, see `second`;
//! - inside a transaction **too large** to collect, a COPY stays open as long as only inserts into its table follow.
//!
//! Binary COPY does not convert: a table takes part if the destination's columns have the very types of the source's. The
//! stream has arrays and composite values in text form, so tables with such columns take no part.

use std::rc::Rc;
use std::time::{Duration, Instant};

use super::applier::{Applied, Applier, Kind, Lane, Sent};
use super::collect::batch::TableBatch;
use crate::destination::dialect::Sql;
use crate::destination::{Destination, table};
use crate::error::{Error, Result};
use crate::logicalrep::relation::{COPY_HEADER, COPY_TRAILER};
use crate::logicalrep::{FastMap, Relation};

/// Rows of a run that is sent as one COPY.
pub(super) const COPY_ROWS: usize = 16_000;
/// Shorter runs, counted in values, are not worth the round trips, unless the table is wide.
const FEWEST_VALUES: usize = 20_000;
/// What a statement takes to start for each of its array parameters, in microseconds; a COPY takes as long for any number of
/// columns.
const STATEMENT_PER_COLUMN: u128 = 14;
const COPY_START: u128 = 300;
/// Round trips of a COPY that a statement does not need.
const COPY_ROUND_TRIPS: u128 = 3;
/// Values that save, sent as COPY, as much time as a microsecond of round trip costs.
const VALUES_PER_MICROSECOND: u128 = 20;
/// A round trip so short that it decides nothing, and one that is longer than a busy machine makes it.
const NEAR: Duration = Duration::from_micros(300);
const FAR: Duration = Duration::from_millis(10);
/// Bytes handed to libpq at a time.
pub(super) const PIECE: usize = 128 << 10;

pub(super) struct CopyRuns {
    /// Is the connection in pipeline mode?
    pub(super) pipeline: bool,
    /// The table whose COPY is open in a transaction under way.
    open: Option<Rc<Relation>>,
    /// What came of comparing definitions with the destination's.
    agrees: FastMap<u64, Agreement>,
    round_trip: Option<Duration>,
}

/// What the destination has for a definition of the source.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Agreement {
    /// A column of another type.
    Differs,
    /// The same types, but something there may see in which order rows come.
    InOrder,
    /// The same types in a plain table; rows may come in any order.
    Plain,
}

impl CopyRuns {
    pub(super) fn new() -> CopyRuns {
        CopyRuns { pipeline: true, open: None, agrees: FastMap::default(), round_trip: None }
    }

    /// Forgets a definition that has been replaced by another.
    pub(super) fn forget(&mut self, generation: u64) {
        self.agrees.remove(&generation);
    }
}

impl Applier {
    /// The batch that waits, if it may become a COPY: it is the only one, holds inserts only, and nothing that was sent
    /// before stands in the way.
    fn copy_candidate(&self) -> Option<&TableBatch> {
        let batch = self.waiting.only().filter(|batch| batch.fits_copy())?;
        let relation = &batch.relation;
        let is_in_the_way = match &self.copy_runs.open {
            Some(open) => open.generation != relation.generation,
            None => self.group_open || self.is_serial(),
        };
        let disagrees = || self.copy_runs.agrees.get(&relation.generation) == Some(&Agreement::Differs);
        (!is_in_the_way && !disagrees()).then_some(batch)
    }

    /// Is a COPY of this table open, that its next row can go into?
    pub(super) fn copy_is_open(&self, relation: &Relation) -> bool {
        self.copy_runs.open.as_ref().is_some_and(|open| open.generation == relation.generation)
    }

    /// Should more rows wait for a COPY to start?
    pub(super) fn collects_for_copy(&self) -> bool {
        self.copy_runs.open.is_none() && self.copy_candidate().is_some()
    }

    /// The table whose rows wait, if they are worth a new COPY.
    fn worth_a_copy(&self) -> Option<&Rc<Relation>> {
        let batch = self.copy_candidate()?;
        (self.is_wide(batch) || self.is_long(batch)).then_some(&batch.relation)
    }

    /// Is the table so wide that a COPY is worth it for any number of rows?
    fn is_wide(&self, batch: &TableBatch) -> bool {
        let columns = batch.relation.columns.len() as u128;
        columns * STATEMENT_PER_COLUMN >= COPY_START + self.round_trip() * COPY_ROUND_TRIPS
    }

    /// Is the run long enough for a COPY of a table of any width?
    fn is_long(&self, batch: &TableBatch) -> bool {
        let values = batch.len() * batch.relation.columns.len();
        values >= FEWEST_VALUES && values as u128 >= self.round_trip() * VALUES_PER_MICROSECOND
    }

    /// In microseconds.
    fn round_trip(&self) -> u128 {
        self.copy_runs.round_trip.unwrap_or_default().as_micros()
    }

    /// Does what waits start a COPY? The first time a table comes by, its columns are compared with the destination's.
    fn starts_copy(&mut self) -> Result<bool> {
        let Some(relation) = self.worth_a_copy().cloned() else { return Ok(false) };
        self.agrees(&relation)
    }

    /// May what waits go to the destination as COPY while an earlier group still does? A short run waits for its end.
    pub(super) fn may_overlap(&self) -> bool {
        let Some(batch) = self.copy_candidate() else { return false };
        (self.is_long(batch) || self.is_wide(batch) && self.is_due())
            && self.is_plain(&batch.relation)
            && self.destination.replica_role
            && !self.plan.defer_constraints
            && self.second.can_be_had()
    }

    /// Is the table known to be one whose rows may come in any order?
    pub(super) fn is_plain(&self, relation: &Relation) -> bool {
        self.copy_runs.agrees.get(&relation.generation) == Some(&Agreement::Plain)
    }

    /// Would COPY take the fields as the destination's columns? Asked once for a definition.
    pub(super) fn agrees(&mut self, relation: &Relation) -> Result<bool> {
        let known = self.copy_runs.agrees.get(&relation.generation).copied();
        let agreement = match known {
            Some(agreement) => agreement,
            None => {
                let agreement = self.compare(relation)?;
                self.copy_runs.agrees.insert(relation.generation, agreement);
                self.leave_pipeline()?;
                self.measure_round_trip()?;
                agreement
            }
        };
        Ok(agreement != Agreement::Differs)
    }

    /// Triggers that fire for replicated rows too may look at other rows; partitions may have such, or be foreign.
    fn compare(&mut self, relation: &Relation) -> Result<Agreement> {
        let there = self.there(relation)?;
        Ok(match there.takes_copy_of(&relation.columns) && !self.needs_probes(&there) {
            false => Agreement::Differs,
            true if there.kind == table::Kind::Plain && !there.has_replica_triggers => Agreement::Plain,
            true => Agreement::InOrder,
        })
    }

    /// The shortest that was ever met: a busy machine makes single ones long, so what seems to be far away gets more than
    /// one chance. By a statement that costs nothing itself.
    fn measure_round_trip(&mut self) -> Result<()> {
        let chances = if self.copy_runs.round_trip.is_none() { 10 } else { 1 };
        for chance in 1..=chances {
            let begin = Instant::now();
            self.destination.ping()?;
            let this = begin.elapsed();
            let shortest = self.copy_runs.round_trip.map_or(this, |known| known.min(this));
            self.copy_runs.round_trip = Some(shortest);
            if shortest < NEAR || chance >= 3 && shortest > FAR {
                break;
            }
        }
        Ok(())
    }

    /// Sends a group that consists of one run of inserts; false when it does not.
    pub(super) fn copy_group(&mut self, group: &Applied, durable: bool) -> Result<bool> {
        if self.group_open || !self.starts_copy()? {
            return Ok(false);
        }
        let beside = self.lane_beside();
        let Some(batch) = self.waiting.take().pop() else { return Ok(false) };
        let table = batch.relation.clone();
        let lane = self.start_copy_group(&table, group, durable, beside)?;
        self.queue_rows(&batch, lane, Flow::Queued)?;
        match lane {
            Lane::First => self.copy_ends(Sent::CopyGroup { table })?,
            Lane::Second => {
                let connection = self.connection(lane)?;
                connection.copy_queue(&COPY_TRAILER)?;
                connection.copy_finish()?;
                connection.flush()?;
                self.second.table = Some(table);
            }
        }
        if durable {
            self.last_durable = Instant::now();
        }
        self.note_sent(*group, durable, lane);
        self.waiting.give_back(batch);
        Ok(true)
    }

    /// The session that is free while a group is under way in the other one.
    fn lane_beside(&mut self) -> Option<Lane> {
        if self.copy_runs.pipeline || self.groups.len() != 1 || !self.may_overlap() {
            return None;
        }
        match self.groups.front()?.lane {
            Lane::First => self.second.session().map(|_| Lane::Second),
            Lane::Second => Some(Lane::First),
        }
    }

    /// Starts a group's COPY beside the group under way, or when everything is answered.
    fn start_copy_group(
        &mut self,
        table: &Rc<Relation>,
        group: &Applied,
        durable: bool,
        beside: Option<Lane>,
    ) -> Result<Lane> {
        let dialect = self.dialect();
        let durably = durable.then(|| dialect.commit_durably());
        let [earlier, this] = self.second.turns(self.class_of_turns());
        if let Some(lane) = beside {
            let sql = Sql::all([
                Some(dialect.begin()),
                durably.clone(),
                Some(self.mark(lane.into())),
                Some(dialect.take_turn(this)),
                Some(self.copy_of(table)?),
                Some(dialect.await_turn(earlier)),
                Some(self.advance(group)),
                Some(dialect.commit()),
            ]);
            let connection = self.connection(lane)?;
            match connection.copy_begin(&sql).and_then(|()| connection.copy_queue(COPY_HEADER)) {
                Ok(()) => return Ok(lane),
                Err(error) if lane == Lane::First => return Err(self.explain_copy(error, table)),
                // Perhaps closed while nobody used it. Nothing was sent yet.
                Err(_) => self.second.avoid(),
            }
        }
        let copy = self.copy_of(table)?;
        let (begin, take) = (self.begins(group), dialect.take_turn(this));
        self.start_copy(table, &Sql::all([Some(begin), durably, Some(take), Some(copy), Some(dialect.commit())]))?;
        Ok(Lane::First)
    }

    /// Names the turns of this worker among the advisory locks of the destination.
    fn class_of_turns(&self) -> i32 {
        let [a, b, c, d, ..] = self.task_id;
        i32::from_be_bytes([a, b, c, d]) ^ self.epoch as i32
    }

    fn connection(&mut self, lane: Lane) -> Result<&mut Destination> {
        match lane {
            Lane::First => Ok(&mut self.destination),
            Lane::Second => self.second.session().ok_or_else(|| Error::internal("the second session is gone")),
        }
    }

    /// Sends what waits through the COPY of a transaction under way, starting one if that is worth it; false when what
    /// waits has to go another way.
    pub(super) fn copy_waiting(&mut self) -> Result<bool> {
        let is_open = self.copy_runs.open.is_some();
        let can = if is_open { self.copy_candidate().is_some() } else { self.starts_copy()? };
        if !can {
            return Ok(false);
        }
        let Some(batch) = self.waiting.take().pop() else { return Ok(false) };
        if !is_open {
            let same = Applied { end_lsn: self.progress.chain(), ..self.group };
            let begin = self.begins(&same);
            (self.group_open, self.group_block) = (true, true);
            let copy = self.copy_of(&batch.relation)?;
            self.start_copy(&batch.relation, &Sql::all([Some(begin), Some(copy)]))?;
            self.copy_runs.open = Some(batch.relation.clone());
        }
        self.queue_rows(&batch, Lane::First, Flow::Sent)?;
        self.waiting.give_back(batch);
        Ok(true)
    }

    fn begins(&self, group: &Applied) -> Sql {
        let dialect = self.dialect();
        let deferred = self.plan.defer_constraints.then(|| dialect.defer_constraints());
        Sql::all([Some(dialect.begin()), deferred, Some(self.advance(group))])
    }

    pub(super) fn start_copy(&mut self, table: &Rc<Relation>, sql: &Sql) -> Result<()> {
        self.leave_pipeline()?;
        let outcome = self.destination.copy_begin(sql);
        outcome.map_err(|error| self.explain_copy(error, table))?;
        self.destination.copy_queue(COPY_HEADER)
    }

    fn queue_rows(&mut self, batch: &TableBatch, lane: Lane, flow: Flow) -> Result<()> {
        let data = batch.copy_data().ok_or_else(|| Error::internal("a COPY of something else than inserts"))?;
        for piece in data.chunks(PIECE) {
            let connection = self.connection(lane)?;
            let outcome = match flow {
                Flow::Queued => connection.copy_queue(piece),
                Flow::Sent => connection.copy_data(piece),
            };
            outcome.map_err(|error| self.explain_copy(error, &batch.relation))?;
        }
        Ok(())
    }

    pub(super) fn copy_ends(&mut self, sent: Sent) -> Result<()> {
        self.destination.copy_queue(&COPY_TRAILER)?;
        self.destination.copy_finish()?;
        self.sent.push_back(sent);
        self.destination.flush()?;
        Ok(())
    }

    /// The error of a COPY that could not be sent whole. What a group before it has to say comes first.
    pub(super) fn explain_copy(&mut self, error: Error, table: &Relation) -> Error {
        while !self.groups.is_empty() {
            if let Err(earlier) = self.wait_for_answers() {
                return earlier;
            }
        }
        self.explain(error, Some(table), Some(Kind::Insert))
    }

    /// A COPY of binary rows, behind a look whether its columns still are what they were.
    pub(super) fn copy_of(&mut self, table: &Relation) -> Result<Sql> {
        let there = self.there(table)?;
        Ok(self.dialect().copy(table, &there))
    }

    /// Ends a COPY that is open and returns to pipeline mode, before anything else is sent.
    pub(super) fn use_pipeline(&mut self) -> Result<()> {
        if self.copy_runs.pipeline {
            return Ok(());
        }
        if let Some(table) = self.copy_runs.open.take() {
            self.copy_ends(Sent::CopyEnd { table })?;
        }
        self.settle()?;
        self.destination.enter_pipeline()?;
        self.copy_runs.pipeline = true;
        Ok(())
    }

    /// Waits for all answers, then leaves pipeline mode.
    pub(super) fn leave_pipeline(&mut self) -> Result<()> {
        self.settle()?;
        if std::mem::take(&mut self.copy_runs.pipeline) {
            self.destination.leave_pipeline()?;
        }
        Ok(())
    }
}

/// What becomes of data that the socket does not take at once.
#[derive(Clone, Copy)]
enum Flow {
    /// libpq keeps it: for a group, whose size has a limit.
    Queued,
    /// The worker waits: for a transaction of any size.
    Sent,
}
