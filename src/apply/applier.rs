//! The applier: collects transactions into groups, sends each group as one destination transaction.
//!
//! - A **group** is a run of whole source transactions, a prefix of what follows the destination's progress. It ends in
//!   a progress update and a sync; what lies between is one transaction on the destination.
//! - Inside a group, changes wait in a batch for each table until one is large enough, the transaction needs order
//!   (TRUNCATE), or the group closes. A transaction too large for memory is sent in parts; its group just stays open.
//! - While the destination is busy with earlier groups, the current one keeps growing: that is what merges transactions
//!   when the stream is behind, and sends them at once when it is not.
//! - An error of a merged group says too little, and may come from the merging itself (two rows that exchange a unique
//!   value). Then the worker starts anew in **serial** mode up to the end of that group: one change at a time, each
//!   answered before the next, so that an error names the very row, and what was only a matter of order goes through.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use super::captures::{CapturedLater, Captures};
use super::collect::batch::{Added, TableBatch};
pub use super::collect::group::Applied;
use super::collect::group::Mode;
use super::collect::route::{Before, OpenCopy, Run, Way, WayFacts};
use super::collect::waiting::Waiting;
use super::conflicts::Policy;
use super::definitions::Definitions;
use super::flights::Flights;
pub use super::flights::Round;
use super::lanes::Lanes;
use super::policies::KindPolicies;
use super::second::{Open, Second};
use super::session::fits::There;
use super::writer::{Writer, WriterIdentity};
use crate::catalog::ConflictPolicy;
use crate::destination::{Destination, OnLockWait};
use crate::error::Result;
use crate::libpq::Watch;
use crate::logicalrep::{Change, FastMap, Lsn, Relation, Transaction};
use crate::pg::xact;
use crate::schema::captured::Trust;
use crate::select::Selection;

/// A group does not wait longer than this for more, whatever else is in the WAL.
const OLDEST_GROUP: Duration = Duration::from_millis(50);
/// Groups on their way; beyond them the next one grows.
const GROUPS_IN_FLIGHT: usize = 3;

/// What the applier is told about the task.
pub struct Plan {
    pub task_id: String,
    /// The tables' names on the destination, as far as they are known before the stream is read.
    pub names: Vec<String>,
    /// What the destination's row has, and what it gets; see `destination/claim.rs`.
    pub leases: [String; 2],
    /// Do selected tables have deferrable constraints? Then they are deferred to the end of each group.
    pub defer_constraints: bool,
    /// Replay one by one up to here.
    pub serial_until: Lsn,
    pub conflict: ConflictPolicy,
    /// The change to leave out if the destination refuses it.
    pub skip: Lsn,
    /// Commands that a person has decided about: the statement in its place, or none at all.
    pub decisions: HashMap<i64, Option<String>>,
    /// Definitions that were captured without a command, and that the stream has yet to come to.
    pub captures: Captures,
    pub stops_at_commands: bool,
    /// Whose code is created.
    pub trust: Trust,
    pub policies: KindPolicies,
    /// For what has to wait and is too large for memory.
    pub temporary: PathBuf,
}

type ApplyCapture = fn(&mut Applier, &Transaction, &CapturedLater) -> Result<()>;

pub struct Applier {
    pub(super) writer: Writer,
    pub(super) waiting: Waiting,
    pub(super) policy: Policy,
    pub(super) selection: Rc<Selection>,
    /// The transaction under way has a command of the source: what follows waits until it has committed.
    pub(super) stands_alone: bool,
    /// Tables have to be copied before anything else is applied; while the transaction under way brings them (`entering`), that is not so yet.
    pub(super) copies: bool,
    pub(super) entering: HashSet<u32>,
    pub(super) decisions: HashMap<i64, Option<String>>,
    pub(super) captures: Captures,
    /// Set where commands are applied: tests of the rest have no server.
    pub(super) apply_capture: Option<ApplyCapture>,
    pub(super) stops_at_commands: bool,
    pub(super) trust: Trust,
    pub(super) policies: KindPolicies,
    /// May something wait aside?
    pub(super) has_asides: bool,
    pub(super) definitions: Definitions,
    pub(super) on_wait: Box<OnLockWait>,
    /// The definitions that changes came with last, by table.
    generations: FastMap<u32, u64>,
}

/// A session on the destination that knows what it will write to, and has written nothing.
pub struct Acquainted {
    destination: Destination,
    destination_id: Option<String>,
    there: There,
}

impl Acquainted {
    /// Looks at the tables of these names.
    pub fn with(mut destination: Destination, names: &[String]) -> Result<Acquainted> {
        let destination_id = destination.database_id()?;
        let mut there = There::default();
        there.learn(&mut destination, names)?;
        Ok(Acquainted { destination, destination_id, there })
    }

    /// Looks at the helper schema, before anything there is touched.
    pub fn check_helper_schema(&mut self) -> Result<()> {
        self.destination.check_helper_schema()
    }

    /// Where the changes go, see [`crate::destination::Destination::database_id`].
    pub fn destination_id(&self) -> Option<&str> {
        self.destination_id.as_deref()
    }

    /// Is this the database of that identity, beyond doubt?
    pub fn is_on(&self, destination_id: Option<&str>) -> bool {
        destination_id.is_some() && self.destination_id.as_deref() == destination_id
    }
}

impl Applier {
    /// Takes over the task's progress row; the applier goes on behind it.
    /// `open` opens more sessions like the first.
    pub fn new(
        Acquainted { mut destination, mut there, .. }: Acquainted,
        open: Open,
        plan: Plan,
        selection: Rc<Selection>,
        on_applied: Box<dyn Fn(&Applied)>,
        on_wait: Box<OnLockWait>,
    ) -> Result<Applier> {
        let (epoch, start) = destination.take_over(&plan.task_id, plan.leases.each_ref().map(String::as_str))?;
        let identity = WriterIdentity::new(plan.task_id, epoch)?;
        there.learn(&mut destination, &plan.names)?;
        let flights = Flights::new(start, plan.serial_until);
        let lanes = Lanes::new(destination, Second::new(open), flights, on_applied)?;
        Ok(Applier {
            writer: Writer::new(lanes, identity, plan.defer_constraints, there),
            waiting: Waiting::default(),
            policy: Policy { conflict: plan.conflict, skip: plan.skip },
            selection,
            stands_alone: false,
            copies: false,
            entering: HashSet::new(),
            decisions: plan.decisions,
            captures: plan.captures,
            apply_capture: None,
            stops_at_commands: plan.stops_at_commands,
            trust: plan.trust,
            policies: plan.policies,
            has_asides: false,
            definitions: Definitions::new(plan.temporary),
            on_wait,
            generations: FastMap::default(),
        })
    }

    /// Is nothing to be applied before tables are copied? Then an error of the stream says no more than that.
    pub fn waits_for_copies(&self) -> bool {
        self.copies
    }

    /// What the destination has committed.
    pub fn applied(&self) -> Lsn {
        self.writer.lanes.flights.applied()
    }

    /// What the destination's progress row has, and will have after a crash. The slot may advance up to here and not
    /// further: a row that is behind the slot then tells that the destination has lost something.
    pub fn durable(&self) -> Lsn {
        self.writer.lanes.flights.durable()
    }

    /// End of the group whose command was answered last, for the serial replay.
    pub fn failing_end(&self) -> Lsn {
        self.writer.lanes.flights.failing_end()
    }

    /// Is nothing waiting and nothing on its way?
    pub fn is_idle(&self) -> bool {
        self.writer.group.is_empty() && self.writer.lanes.flights.count() == 0
    }

    /// Called between rounds of decoding: sends a group that is due, reads answers, asks for durability.
    pub fn tick(&mut self, round: Round) -> Result<()> {
        let caught_up = round.caught_up;
        self.writer.lanes.flights.note_round(round);
        self.writer.lanes.read_answers()?;
        let is_due = self.is_due() || self.writer.group.age() > OLDEST_GROUP;
        if !self.writer.group.is_empty() && (caught_up || is_due) && self.has_room() {
            self.close_group(false)?;
        }
        if self.is_idle() && self.writer.lanes.flights.is_to_be_recorded() {
            self.record_position(round.position)?;
        }
        let lanes = &mut self.writer.lanes;
        lanes.first.flush()?;
        lanes.second.rest();
        lanes.tend_ahead();
        Ok(())
    }

    /// How long the worker may sleep without missing something of ours.
    pub fn patience(&self) -> Duration {
        let lanes = &self.writer.lanes;
        let idle = if self.is_idle() { lanes.flights.patience() } else { None };
        let others = if lanes.second.ahead().is_some() { Duration::from_secs(1) } else { Duration::from_secs(10) };
        idle.unwrap_or(others)
    }

    /// What to wait for on the connections.
    pub fn watches(&mut self) -> Result<Vec<Watch>> {
        self.writer.lanes.watches()
    }

    /// The transaction counts although nothing of it is written but the progress: a heartbeat.
    pub fn touch(&mut self, transaction: &Transaction) {
        self.enter(transaction);
    }

    #[inline]
    pub(super) fn enter(&mut self, transaction: &Transaction) {
        self.writer.group.enter();
        self.writer.lanes.flights.current = *transaction;
    }

    /// How changes of the current transaction are applied.
    #[inline]
    pub(super) fn mode(&self) -> Mode {
        self.writer.lanes.flights.mode(self.writer.lanes.second.has_adopted())
    }

    // ---- what waits ------------------------------------------------------------------------------------------------

    pub(super) fn is_due(&self) -> bool {
        self.holds(1)
    }

    /// Does so many times as much wait as makes a group?
    #[inline]
    pub(super) fn holds(&self, times: usize) -> bool {
        self.waiting.load.holds(times, || self.facts().enough_rows(self.writer.lanes.flights.count() > 0))
    }

    /// May another group be sent before the earlier ones are answered? A COPY has the connection for itself.
    pub(super) fn has_room(&self) -> bool {
        let room = match self.writer.lanes.first.wire().is_pipeline() {
            true => GROUPS_IN_FLIGHT,
            false if self.facts().may_overlap(|| self.is_due()) => 2,
            false => 1,
        };
        self.writer.lanes.flights.count() < room
    }

    /// What decides which way the waiting changes go.
    fn facts(&self) -> WayFacts {
        let batch = self.waiting.only().filter(|batch| batch.fits_copy());
        let copy = match (self.writer.lanes.first.wire().copy(), batch) {
            (None, _) => OpenCopy::No,
            (Some(open), Some(batch)) if open.generation == batch.relation.generation => OpenCopy::SameTable,
            (Some(_), _) => OpenCopy::OtherTable,
        };
        let run = batch.map(|batch| Run {
            rows: batch.len(),
            columns: batch.relation.columns.len(),
            agreement: self.writer.agreement(&batch.relation),
        });
        WayFacts {
            run,
            copy,
            is_open: self.writer.group.is_open(),
            mode: self.mode(),
            round_trip: self.writer.round_trip(),
            has_second: self.writer.may_overlap(),
        }
    }

    /// The way of what waits; asks the destination where that decides.
    fn way(&mut self, choose: impl Fn(&Applier) -> Way) -> Result<Way> {
        let mut way = choose(self);
        if way == Way::Ask
            && let Some(relation) = self.waiting.only().map(|batch| batch.relation.clone())
        {
            self.writer.agrees(&relation)?;
            way = choose(self);
        }
        assert_ne!(way, Way::Ask, "the destination is asked once");
        Ok(way)
    }

    /// The group that is sent last: does it leave one session free?
    fn before(&self) -> Before {
        let Lanes { first, flights, .. } = &self.writer.lanes;
        match (first.wire().is_pipeline(), flights.count()) {
            (true, _) => Before::Pipeline,
            (false, 1) => Before::OneCopy,
            (false, _) => Before::OtherCopies,
        }
    }

    #[inline]
    pub(super) fn add(&mut self, relation: &Rc<Relation>, change: Change<'_>) -> Result<()> {
        if !self.waiting.knows(relation) {
            self.note_generation(relation)?;
        }
        // Without the replica role foreign keys are checked: then the order between tables matters.
        if !self.writer.lanes.has_replica_role() && self.waiting.is_behind_another(relation) {
            self.send_waiting()?;
        }
        let mut added = self.waiting.add(relation, change);
        if added == Added::CloseFirst {
            self.send_waiting()?;
            added = self.waiting.add(relation, change);
        }
        if added == Added::Yes {
            return Ok(());
        }
        self.send_waiting()?;
        self.writer.send_change(relation, change)
    }

    /// A changed definition: what waits was meant for the old one.
    pub(super) fn note_generation(&mut self, relation: &Rc<Relation>) -> Result<()> {
        let known = self.generations.insert(relation.oid, relation.generation);
        if let Some(old) = known.filter(|known| *known != relation.generation) {
            self.send_waiting()?;
            self.waiting.forget(relation.slot);
            self.writer.forget(old, relation)?;
        }
        if known != Some(relation.generation) { self.catch_up(relation) } else { Ok(()) }
    }

    // ---- sending ---------------------------------------------------------------------------------------------------

    /// Sends the waiting changes of all tables.
    pub(super) fn send_waiting(&mut self) -> Result<()> {
        if self.waiting.is_empty() {
            return Ok(());
        }
        match self.way(|applier| applier.facts().way_inside())? {
            Way::CopyOpen => self.send_run(Writer::copy_open),
            Way::CopyInside => self.send_run(Writer::copy_inside),
            _ => self.send_batches(),
        }
    }

    fn send_batches(&mut self) -> Result<()> {
        self.writer.open_group(None)?;
        for batch in self.waiting.take() {
            self.writer.send_batch(&batch)?;
            self.waiting.give_back(batch);
        }
        self.writer.lanes.throttle()
    }

    fn send_run(&mut self, send: impl FnOnce(&mut Writer, &TableBatch) -> Result<()>) -> Result<()> {
        let mut batches = self.waiting.take();
        assert_eq!(batches.len(), 1, "a run is a single batch");
        let Some(batch) = batches.pop() else { return Ok(()) };
        send(&mut self.writer, &batch)?;
        self.waiting.give_back(batch);
        Ok(())
    }

    /// Records durably that the stream has come to `position`, while nothing waits and nothing is on its way: what lies
    /// between concerned other tables.
    fn record_position(&mut self, position: Lsn) -> Result<()> {
        assert!(self.is_idle() && self.waiting.is_empty(), "a position is recorded when nothing is before it");
        self.writer.group.applied.end_lsn = position;
        self.close_group(true)
    }

    /// Sends the rest of the group and its end. With `durable`, when it is time, or when somebody waits for what is in
    /// it, the commit waits for the disk.
    pub(super) fn close_group(&mut self, durable: bool) -> Result<()> {
        let flights = &self.writer.lanes.flights;
        let durable = durable || flights.is_to_be_durable(self.writer.group.applied.end_lsn);
        self.writer.group.applied.sent_at = xact::now();
        let way = self.way(|applier| applier.facts().way_at_end(applier.before(), || applier.is_due()))?;
        if let Way::CopyGroup | Way::CopyBeside = way {
            return self.send_run(|writer, batch| writer.copy_group(batch, durable, way == Way::CopyBeside));
        }
        let group = self.writer.group.applied;
        let was_sent_in_parts = self.writer.group.is_open();
        self.writer.open_group(Some(&group))?;
        self.send_waiting()?;
        self.writer.send_probes()?;
        if was_sent_in_parts {
            self.writer.send_progress(&group)?;
        }
        self.writer.end_group(durable)
    }
}
