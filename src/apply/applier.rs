//! The decoder's sink: collects transactions into groups, sends each group as one destination transaction.
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

use std::collections::{HashMap, VecDeque};
use std::rc::Rc;
use std::time::{Duration, Instant};

use super::collect::batch::Added;
use super::collect::waiting::Waiting;
use super::conflicts::Attempt;
use super::copy_runs::{COPY_ROWS, CopyRuns};
use super::encode::arrays::Params;
use super::second::{Open, Second};
use super::send::STATEMENT_ROWS;
use super::there::{Probes, There};
use crate::catalog::ConflictPolicy;
use crate::destination::dialect::Dialect;
use crate::destination::{Destination, Progress};
use crate::error::{Error, Result};
use crate::libpq::Watch;
use crate::logicalrep::{Change, Transaction};
use crate::logicalrep::{FastMap, Lsn, Relation};
use crate::select::Selection;

/// A group is sent when it holds this much in all, or `STATEMENT_ROWS` of one table.
pub(super) const GROUP_BYTES: usize = 4 << 20;
pub(super) const GROUP_ROWS: usize = 40_000;
/// Rows of one table in a group while earlier groups are on their way.
const MERGED_ROWS: usize = 20 * STATEMENT_ROWS;
/// A group does not wait longer than this for more, whatever else is in the WAL.
pub(super) const OLDEST_GROUP: Duration = Duration::from_millis(50);
/// Groups on their way; beyond them the next one grows.
pub(super) const GROUPS_IN_FLIGHT: usize = 3;
/// Bytes on their way; beyond them the decoder waits.
pub(super) const BYTES_IN_FLIGHT: usize = 32 << 20;
/// Commits on the destination are asynchronous; this often one is not, and then the slot may advance.
pub(super) const DURABLE_EVERY: Duration = Duration::from_millis(500);
/// A durable commit for its own sake, when nothing else follows.
const DURABLE_WHEN_IDLE: Duration = Duration::from_millis(100);
/// What was read and concerned other tables is recorded on the destination this often, so that the slot may pass it.
const RECORD_IDLE_EVERY: Duration = Duration::from_secs(5);

/// What the worker wants to hear about a group that the destination has committed.
#[derive(Clone, Copy, Debug, Default)]
pub struct Applied {
    pub end_lsn: Lsn,
    pub commit_time: i64,
    pub transactions: u64,
    pub changes: u64,
    pub bytes: u64,
    /// When the group was sent (microseconds since 2000).
    pub sent_at: i64,
}

/// Where the decoder is after a round, and who waits.
#[derive(Clone, Copy, Debug, Default)]
pub struct Round {
    /// WAL has been read up to here.
    pub position: Lsn,
    pub caught_up: bool,
    /// Somebody waits until everything before is durable.
    pub wanted: Lsn,
    /// A test keeps the destination from making anything durable.
    pub is_held: bool,
}

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
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) enum Kind {
    Insert,
    Update,
    Delete,
    Replace,
    DeleteByRow,
    Truncate,
    /// A look for second rows.
    Probe,
}

/// A command on its way, for the message if it fails.
#[derive(Debug)]
pub(super) enum Sent {
    Prepare {
        table: Rc<Relation>,
        kind: Kind,
    },
    Command {
        bytes: usize,
        table: Option<Rc<Relation>>,
        kind: Option<Kind>,
    },
    Sync,
    /// A whole group whose rows travel as COPY.
    CopyGroup {
        table: Rc<Relation>,
    },
    /// The end of a COPY inside an open group.
    CopyEnd {
        table: Rc<Relation>,
    },
}

/// A group on its way.
pub(super) struct Group {
    pub(super) applied: Applied,
    pub(super) durable: bool,
    pub(super) lane: Lane,
}

/// The session that a group was sent to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Lane {
    First,
    Second,
}

/// A statement prepared on the destination.
pub(super) struct Prepared {
    pub(super) number: u64,
    pub(super) name: Rc<str>,
    /// When it was used last, in uses of all statements.
    pub(super) used: u64,
    pub(super) weight: usize,
}

pub(super) type StatementKey = (u64, Kind, Vec<usize>);

pub struct Applier {
    pub(super) destination: Destination,
    pub(super) second: Second,
    pub(super) plan: Plan,
    pub(super) selection: Rc<Selection>,
    pub(super) epoch: i64,
    pub(super) task_id: [u8; 16],
    pub(super) on_applied: Box<dyn Fn(&Applied)>,

    pub(super) waiting: Waiting,

    pub(super) group: Applied,
    /// Has the group's first statement, the fence, been sent?
    pub(super) group_open: bool,
    /// Is it an explicit transaction block?
    pub(super) group_block: bool,
    pub(super) group_since: Instant,
    pub(super) current: Transaction,

    pub(super) sent: VecDeque<Sent>,
    pub(super) groups: VecDeque<Group>,
    pub(super) bytes_in_flight: usize,
    pub(super) progress: Progress,
    pub(super) last_durable: Instant,
    pub(super) round: Round,

    pub(super) params: Params,
    pub(super) statements: HashMap<StatementKey, Prepared>,
    pub(super) statements_made: u64,
    pub(super) statements_used: u64,
    pub(super) statements_weight: usize,
    pub(super) progress_prepared: bool,
    pub(super) copy_runs: CopyRuns,
    pub(super) attempt: Attempt,
    pub(super) there: There,
    pub(super) probes: Probes,
    pub(super) generations: FastMap<u32, u64>,
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
    ) -> Result<Applier> {
        let (epoch, start) = destination.take_over(&plan.task_id, plan.leases.each_ref().map(String::as_str))?;
        let task_id = parse_uuid(&plan.task_id)?;
        there.learn(&mut destination, &plan.names)?;
        destination.enter_pipeline()?;
        let now = Instant::now();
        Ok(Applier {
            destination,
            second: Second::new(open),
            plan,
            selection,
            epoch,
            task_id,
            on_applied,
            waiting: Waiting::default(),
            group: Applied::default(),
            group_open: false,
            group_block: false,
            group_since: now,
            current: Transaction::default(),
            sent: VecDeque::new(),
            groups: VecDeque::new(),
            bytes_in_flight: 0,
            // Taking over was a durable commit.
            progress: Progress::at(start),
            last_durable: now,
            round: Round::default(),
            params: Params::default(),
            statements: HashMap::new(),
            statements_made: 0,
            statements_used: 0,
            statements_weight: 0,
            progress_prepared: false,
            copy_runs: CopyRuns::new(),
            attempt: Attempt::default(),
            there,
            probes: Probes::default(),
            generations: FastMap::default(),
        })
    }

    /// What the destination has committed.
    pub fn applied(&self) -> Lsn {
        self.progress.applied()
    }

    /// What the destination's progress row has, and will have after a crash. The slot may advance up to here and not
    /// further: a row that is behind the slot then tells that the destination has lost something.
    pub fn durable(&self) -> Lsn {
        self.progress.durable()
    }

    pub(super) fn dialect(&self) -> &'static dyn Dialect {
        self.destination.dialect()
    }

    /// Is nothing waiting and nothing on its way?
    pub fn is_idle(&self) -> bool {
        self.group.transactions == 0 && self.groups.is_empty()
    }

    /// Called between rounds of decoding: sends a group that is due, reads answers, asks for durability.
    pub fn tick(&mut self, round: Round) -> Result<()> {
        let caught_up = round.caught_up;
        self.round = round;
        self.read_answers()?;
        let is_due = self.is_due() || self.group_age() > OLDEST_GROUP;
        if self.group.transactions > 0 && (caught_up || is_due) && self.has_room() {
            self.close_group(false)?;
        }
        if self.is_to_be_recorded() {
            self.record_position(round.position)?;
        }
        self.destination.flush()?;
        self.second.rest();
        self.tend_ahead();
        Ok(())
    }

    /// Is it time to write down where the stream is, though no change asks for it? Then all that was committed before
    /// is durable as well.
    fn is_to_be_recorded(&self) -> bool {
        let Round { position, caught_up, wanted, is_held } = self.round;
        if is_held || !self.is_idle() || position <= self.durable() {
            return false;
        }
        let since = self.last_durable.elapsed();
        if self.durable() < wanted && wanted <= position {
            return true;
        }
        match self.durable() < self.applied() {
            true if caught_up => since >= DURABLE_WHEN_IDLE,
            true => since >= DURABLE_EVERY,
            false => since >= RECORD_IDLE_EVERY,
        }
    }

    pub(super) fn is_due(&self) -> bool {
        self.holds(1)
    }

    /// Does so many times as much wait as makes a group?
    pub(super) fn holds(&self, times: usize) -> bool {
        let Waiting { bytes, rows, largest, .. } = self.waiting;
        bytes >= times * GROUP_BYTES
            || rows >= times * GROUP_ROWS
            || largest >= times * STATEMENT_ROWS && largest >= times * self.batch_rows()
    }

    /// Rows of one table that are enough to send. COPY wants longer runs, and while the destination is busy anyway rows
    /// that lie side by side may still come.
    pub(super) fn batch_rows(&self) -> usize {
        if self.collects_for_copy() {
            COPY_ROWS
        } else if self.groups.is_empty() {
            STATEMENT_ROWS
        } else {
            MERGED_ROWS
        }
    }

    /// May another group be sent before the earlier ones are answered? A COPY has the connection for itself.
    pub(super) fn has_room(&self) -> bool {
        let room = match self.copy_runs.pipeline {
            true => GROUPS_IN_FLIGHT,
            false if self.may_overlap() => 2,
            false => 1,
        };
        self.groups.len() < room
    }

    /// How long the worker may sleep without missing something of ours.
    pub fn patience(&self) -> Duration {
        if self.is_idle() && self.durable() < self.applied() {
            DURABLE_WHEN_IDLE
        } else if self.is_idle() && self.durable() < self.round.position {
            RECORD_IDLE_EVERY
        } else if self.second.ahead.is_some() {
            Duration::from_secs(1)
        } else {
            Duration::from_secs(10)
        }
    }

    /// What to wait for on the connections.
    pub fn watches(&mut self) -> Result<Vec<Watch>> {
        let mut watches = vec![self.destination.watch()?];
        if let Some(second) = self.second.working() {
            watches.push(second.watch()?);
        }
        Ok(watches)
    }

    // ---- sending ------------------------------------------------------------------------------------------------

    pub(super) fn is_serial(&self) -> bool {
        self.current.commit_lsn < self.plan.serial_until
    }

    pub(super) fn add(&mut self, relation: &Rc<Relation>, change: Change<'_>) -> Result<()> {
        if !self.waiting.knows(relation) {
            self.note_generation(relation)?;
        }
        // Without the replica role foreign keys are checked: then the order between tables matters.
        if !self.destination.replica_role && self.waiting.is_behind_another(relation) {
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
        self.send_change(relation, change)
    }

    /// A changed definition: what waits was meant for the old one.
    pub(super) fn note_generation(&mut self, relation: &Rc<Relation>) -> Result<()> {
        let known = self.generations.insert(relation.oid, relation.generation);
        let Some(old) = known.filter(|known| *known != relation.generation) else {
            return Ok(());
        };
        self.send_waiting()?;
        self.waiting.forget(relation.slot);
        self.send_probes()?;
        self.copy_runs.forget(old);
        self.there.forget(old, relation);
        self.forget_statements(old)
    }

    /// Sends the waiting changes of all tables.
    pub(super) fn send_waiting(&mut self) -> Result<()> {
        if self.waiting.is_empty() || self.copy_waiting()? {
            return Ok(());
        }
        self.open_group(None)?;
        for batch in self.waiting.take() {
            self.send_batch(&batch)?;
            self.waiting.give_back(batch);
        }
        self.throttle()
    }

    /// Age of the oldest change that has not been sent as a whole.
    pub fn group_age(&self) -> Duration {
        if self.group.changes == 0 { Duration::ZERO } else { self.group_since.elapsed() }
    }
}

fn parse_uuid(text: &str) -> Result<[u8; 16]> {
    let invalid = || Error::internal(format!("invalid task id \"{text}\""));
    let digits: String = text.chars().filter(|c| *c != '-').collect();
    let number = u128::from_str_radix(&digits, 16).map_err(|_| invalid())?;
    Ok(number.to_be_bytes())
}
