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

use super::arrays::Params;
use super::batch::{Added, Keyed, TableBatch};
use super::statements::{self, Statement};
use crate::destination::{Destination, FENCE};
use crate::error::{Error, Origin, Remedy, Result, sqlstate};
use crate::libpq::{Event, Interest, Param};
use crate::logicalrep::relation::{Fields, Identity, is_unchanged};
use crate::logicalrep::{Change, ChangeSink, Transaction};
use crate::logicalrep::{CopySnapshot, Lsn, Relation};
use crate::pg::xact;

/// Rows of one statement: enough to spread its cost, few enough to stay in the destination's caches.
const STATEMENT_ROWS: usize = 1000;
/// Bytes of one statement's rows.
const STATEMENT_BYTES: usize = 8 << 20;
/// A group is sent when it holds this much in all, or `STATEMENT_ROWS` of one table.
const GROUP_BYTES: usize = 4 << 20;
const GROUP_ROWS: usize = 20_000;
/// Tables that keep their room for the next batch.
const TABLES_KEPT: usize = 64;
/// A group does not wait longer than this for more, whatever else is in the WAL.
const OLDEST_GROUP: Duration = Duration::from_millis(50);
/// Groups on their way; beyond them the next one grows.
const GROUPS_IN_FLIGHT: usize = 3;
/// Bytes on their way; beyond them the decoder waits.
const BYTES_IN_FLIGHT: usize = 32 << 20;
/// Commits on the destination are asynchronous; this often one is not, and then the slot may advance.
const DURABLE_EVERY: Duration = Duration::from_millis(500);
/// A durable commit for its own sake, when nothing else follows.
const DURABLE_WHEN_IDLE: Duration = Duration::from_millis(100);

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

/// What the applier is told about the task.
pub struct Plan {
    pub task_id: String,
    /// The selected tables, with the snapshot of their copy as long as the stream may overlap it.
    pub tables: HashMap<u32, Option<CopySnapshot>>,
    /// Do selected tables have deferrable constraints? Then they are deferred to the end of each group.
    pub defer_constraints: bool,
    /// Replay one by one up to here.
    pub serial_until: Lsn,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
enum Kind {
    Insert,
    Update,
    Delete,
    Replace,
    DeleteByRow,
}

/// A command on its way, for the message if it fails.
enum Sent {
    Command { bytes: usize, table: Option<Rc<Relation>>, kind: Option<Kind> },
    Sync,
}

/// A group on its way.
struct Group {
    applied: Applied,
    durable: bool,
}

type StatementKey = (u64, Kind, Vec<usize>);

pub struct Applier {
    destination: Destination,
    plan: Plan,
    epoch: i64,
    task_id: [u8; 16],
    on_applied: Box<dyn Fn(&Applied)>,

    batches: HashMap<u32, TableBatch>,
    /// Tables with waiting changes, in the order of their first.
    order: Vec<u32>,
    waiting_bytes: usize,
    waiting_rows: usize,
    largest_batch: usize,

    group: Applied,
    /// Has the group's first statement, the fence, been sent?
    group_open: bool,
    /// Is it an explicit transaction block?
    group_block: bool,
    group_since: Instant,
    current: Transaction,

    sent: VecDeque<Sent>,
    groups: VecDeque<Group>,
    bytes_in_flight: usize,
    /// End of the last group sent: what the next one must follow.
    chain: Lsn,
    applied: Lsn,
    durable: Lsn,
    last_durable: Instant,

    params: Params,
    statements: HashMap<StatementKey, String>,
    statements_made: u64,
    progress_prepared: bool,
    generations: HashMap<u32, u64>,
}

impl Applier {
    /// Takes over the task's progress row; the applier goes on behind it.
    pub fn new(mut destination: Destination, plan: Plan, on_applied: Box<dyn Fn(&Applied)>) -> Result<Applier> {
        let (epoch, start) = destination.take_over(&plan.task_id)?;
        let task_id = parse_uuid(&plan.task_id)?;
        destination.connection.enter_pipeline()?;
        let now = Instant::now();
        Ok(Applier {
            destination,
            plan,
            epoch,
            task_id,
            on_applied,
            batches: HashMap::new(),
            order: Vec::new(),
            waiting_bytes: 0,
            waiting_rows: 0,
            largest_batch: 0,
            group: Applied::default(),
            group_open: false,
            group_block: false,
            group_since: now,
            current: Transaction::default(),
            sent: VecDeque::new(),
            groups: VecDeque::new(),
            bytes_in_flight: 0,
            chain: start,
            applied: start,
            // Taking over was a durable commit.
            durable: start,
            last_durable: now,
            params: Params::default(),
            statements: HashMap::new(),
            statements_made: 0,
            progress_prepared: false,
            generations: HashMap::new(),
        })
    }

    /// What the destination has committed.
    pub fn applied(&self) -> Lsn {
        self.applied
    }

    /// What the destination has committed and made durable.
    pub fn durable(&self) -> Lsn {
        self.durable
    }

    /// Is everything that was decoded applied and durable?
    pub fn is_settled(&self) -> bool {
        self.is_idle() && self.durable >= self.applied
    }

    /// Is nothing waiting and nothing on its way?
    pub fn is_idle(&self) -> bool {
        self.group.transactions == 0 && self.groups.is_empty()
    }

    /// Called between rounds of decoding: sends a group that is due, reads answers, asks for durability.
    pub fn tick(&mut self, caught_up: bool) -> Result<()> {
        self.read_answers()?;
        let is_due = self.is_due() || self.group_age() > OLDEST_GROUP;
        if self.group.transactions > 0 && (caught_up || is_due) && self.groups.len() < GROUPS_IN_FLIGHT {
            self.close_group(false)?;
        }
        let needs_durable = self.is_idle() && self.durable < self.applied;
        if caught_up && needs_durable && self.last_durable.elapsed() >= DURABLE_WHEN_IDLE {
            self.close_group(true)?;
        }
        self.destination.connection.flush()?;
        Ok(())
    }

    fn is_due(&self) -> bool {
        self.waiting_bytes >= GROUP_BYTES || self.waiting_rows >= GROUP_ROWS || self.largest_batch >= STATEMENT_ROWS
    }

    /// How long the worker may sleep without missing something of ours.
    pub fn patience(&self) -> Duration {
        if self.is_idle() && self.durable < self.applied { DURABLE_WHEN_IDLE } else { Duration::from_secs(10) }
    }

    /// What to wait for on the connection.
    pub fn interest(&mut self) -> Result<(i32, Interest)> {
        let write = self.destination.connection.flush()?;
        // Readable while idle means: the destination has ended the connection.
        Ok((self.destination.connection.socket()?, Interest { read: true, write }))
    }

    // ---- sending ------------------------------------------------------------------------------------------------

    fn is_serial(&self) -> bool {
        self.current.commit_lsn < self.plan.serial_until
    }

    fn add(&mut self, relation: &Rc<Relation>, change: Change<'_>) -> Result<()> {
        self.note_generation(relation)?;
        // Without the replica role foreign keys are checked: then the order between tables matters.
        let ordered = !self.destination.replica_role;
        if ordered && self.order.last().is_some_and(|last| *last != relation.oid) {
            self.send_waiting()?;
        }
        let mut added = self.batch(relation).add(change);
        if added == Added::CloseFirst {
            self.send_waiting()?;
            added = self.batch(relation).add(change);
        }
        if added != Added::Yes {
            self.send_waiting()?;
            return self.send_change(relation, change);
        }
        let batch = self.batch(relation);
        let rows = batch.len();
        if !std::mem::replace(&mut batch.queued, true) {
            self.order.push(relation.oid);
        }
        self.largest_batch = self.largest_batch.max(rows);
        self.waiting_rows += 1;
        self.waiting_bytes += change.bytes();
        Ok(())
    }

    fn batch(&mut self, relation: &Rc<Relation>) -> &mut TableBatch {
        let fresh = || TableBatch::new(relation.clone());
        self.batches.entry(relation.oid).or_insert_with(fresh)
    }

    /// A changed definition: what waits was meant for the old one.
    fn note_generation(&mut self, relation: &Rc<Relation>) -> Result<()> {
        let known = self.generations.insert(relation.oid, relation.generation);
        let Some(old) = known.filter(|known| *known != relation.generation) else {
            return Ok(());
        };
        self.send_waiting()?;
        self.batches.remove(&relation.oid);
        let stale: Vec<StatementKey> = self.statements.keys().filter(|(g, _, _)| *g == old).cloned().collect();
        for key in stale {
            if let Some(name) = self.statements.remove(&key) {
                self.open_group(None)?;
                self.send_command(&format!("DEALLOCATE {name}"))?;
            }
        }
        Ok(())
    }

    /// Sends the waiting changes of all tables.
    fn send_waiting(&mut self) -> Result<()> {
        if self.order.is_empty() {
            return Ok(());
        }
        self.open_group(None)?;
        for oid in std::mem::take(&mut self.order) {
            if let Some(mut batch) = self.batches.remove(&oid) {
                self.send_batch(&batch)?;
                if self.batches.len() < TABLES_KEPT {
                    batch.clear();
                    self.batches.insert(oid, batch);
                }
            }
        }
        (self.waiting_bytes, self.waiting_rows, self.largest_batch) = (0, 0, 0);
        self.throttle()
    }

    fn send_batch(&mut self, batch: &TableBatch) -> Result<()> {
        let relation = &batch.relation;
        let net = batch.net();
        for rows in chunks(&net.deletes, |row| row.len()) {
            self.send_deletes(relation, rows)?;
        }
        if !net.row_deletes.is_empty() {
            self.send_row_deletes(relation, &net.row_deletes)?;
        }
        for (kept, rows) in &net.replaces {
            for rows in chunks(rows, |keyed| keyed.row.len()) {
                self.send_replaces(relation, kept, rows)?;
            }
        }
        for (kept, rows) in &net.updates {
            for rows in chunks(rows, |keyed| keyed.row.len()) {
                self.send_updates(relation, kept, rows)?;
            }
        }
        for rows in chunks(&net.inserts, |row| row.len()) {
            self.send_inserts(relation, rows)?;
        }
        Ok(())
    }

    fn send_deletes(&mut self, relation: &Rc<Relation>, keys: &[&[u8]]) -> Result<()> {
        self.params.start(relation, relation.key.iter().copied());
        keys.iter().for_each(|key| self.params.push(0, key, &[]));
        self.send_rows(relation, Kind::Delete, Vec::new(), Some(keys.len() as i64), statements::delete)
    }

    fn send_row_deletes(&mut self, relation: &Rc<Relation>, rows: &[(&[u8], i64)]) -> Result<()> {
        self.params.start(relation, 0..relation.columns.len());
        rows.iter().for_each(|(row, _)| self.params.push(0, row, &[]));
        self.params.add_counts(rows.iter().map(|(_, count)| *count));
        let total = rows.iter().map(|(_, count)| *count).sum();
        // This statement alone compares whole tables; a join by hash is what makes that bearable.
        self.send_command(SCANS_ON)?;
        self.send_rows(relation, Kind::DeleteByRow, Vec::new(), Some(total), statements::delete_by_row)?;
        self.send_command(SCANS_OFF)
    }

    fn send_updates(&mut self, relation: &Rc<Relation>, kept: &[usize], rows: &[Keyed<'_>]) -> Result<()> {
        let is_set = |column: &usize| !kept.contains(column) && !relation.is_key(*column);
        let set: Vec<usize> = (0..relation.columns.len()).filter(is_set).collect();
        let skip: Vec<usize> = (0..relation.columns.len()).filter(|c| !is_set(c)).collect();
        self.params.start(relation, relation.key.iter().chain(&set).copied());
        for Keyed { key, row } in rows {
            self.params.push(0, key, &[]);
            self.params.push(relation.key.len(), row, &skip);
        }
        let count = Some(rows.len() as i64);
        self.send_rows(relation, Kind::Update, set.clone(), count, |relation| statements::update(relation, &set))
    }

    fn send_replaces(&mut self, relation: &Rc<Relation>, kept: &[usize], rows: &[Keyed<'_>]) -> Result<()> {
        let columns = (0..relation.columns.len()).filter(|c| !kept.contains(c));
        self.params.start(relation, relation.key.iter().copied().chain(columns));
        for Keyed { key, row } in rows {
            self.params.push(0, key, &[]);
            self.params.push(relation.key.len(), row, kept);
        }
        let count = Some(rows.len() as i64);
        let build = |relation: &Relation| statements::replace(relation, kept);
        self.send_rows(relation, Kind::Replace, kept.to_vec(), count, build)
    }

    fn send_inserts(&mut self, relation: &Rc<Relation>, rows: &[&[u8]]) -> Result<()> {
        if relation.columns.is_empty() {
            // No columns, or only generated ones: there is nothing to unnest.
            let sql = format!("INSERT INTO {} DEFAULT VALUES", relation.qualified_name());
            return rows.iter().try_for_each(|_| self.send_command(&sql));
        }
        self.params.start(relation, 0..relation.columns.len());
        rows.iter().for_each(|row| self.params.push(0, row, &[]));
        self.send_rows(relation, Kind::Insert, Vec::new(), None, statements::insert)
    }

    /// Sends the prepared parameters with the statement for them, preparing it first when it is new.
    fn send_rows(
        &mut self,
        relation: &Rc<Relation>,
        kind: Kind,
        columns: Vec<usize>,
        total: Option<i64>,
        build: impl FnOnce(&Relation) -> Statement,
    ) -> Result<()> {
        let key = (relation.generation, kind, columns);
        let name = match self.statements.get(&key) {
            Some(name) => name.clone(),
            None => {
                self.statements_made += 1;
                let name = format!("courier_{}", self.statements_made);
                let statement = build(relation);
                self.destination.connection.send_prepare(&name, &statement.sql, &statement.types)?;
                self.sent.push_back(Sent::Command { bytes: 0, table: Some(relation.clone()), kind: Some(kind) });
                self.statements.insert(key, name.clone());
                name
            }
        };
        let values = self.params.finish(total);
        let bytes = values.iter().map(Vec::len).sum();
        let params: Vec<Param<'_>> = values.iter().map(|v| Param { value: Some(v), binary: true }).collect();
        self.destination.connection.send_prepared(&name, &params)?;
        self.sent.push_back(Sent::Command { bytes, table: Some(relation.clone()), kind: Some(kind) });
        self.bytes_in_flight += bytes;
        self.destination.connection.flush()?;
        Ok(())
    }

    fn send_command(&mut self, sql: &str) -> Result<()> {
        self.destination.connection.send_simple(sql)?;
        self.sent.push_back(Sent::Command { bytes: 0, table: None, kind: None });
        Ok(())
    }

    /// One change as a statement of its own.
    fn send_change(&mut self, relation: &Rc<Relation>, change: Change<'_>) -> Result<()> {
        self.open_group(None)?;
        let by_row = relation.identity == Identity::FullRow;
        match change {
            Change::Insert { row } => self.send_inserts(relation, &[row]),
            Change::Delete { old } if by_row => self.send_row_deletes(relation, &[(old, 1)]),
            Change::Delete { old } => self.send_deletes(relation, &[old]),
            Change::Update { old, row } if by_row => {
                self.send_row_deletes(relation, &[(old, 1)])?;
                self.send_inserts(relation, &[row])
            }
            Change::Update { old, row } => {
                let kept: Vec<usize> =
                    Fields(row).enumerate().filter(|(_, f)| is_unchanged(f)).map(|(i, _)| i).collect();
                let mut batch = TableBatch::new(relation.clone());
                let moves = batch.add(change) != Added::Yes || batch.len() != 1;
                let keyed = [Keyed { key: old, row }];
                if moves || relation.needs_replacing() {
                    self.send_replaces(relation, &kept, &keyed)
                } else {
                    self.send_updates(relation, &kept, &keyed)
                }
            }
        }
    }

    /// The group's first statement: locks the progress row and checks that this worker may write. With `end` known it
    /// is the progress update as well.
    fn open_group(&mut self, end: Option<&Applied>) -> Result<()> {
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

    fn send_progress(&mut self, applied: &Applied) -> Result<()> {
        const UUID: u32 = 2950;
        const LSN: u32 = 3220;
        const TIMESTAMPTZ: u32 = 1184;
        const INT8: u32 = 20;
        const NAME: &str = "courier_progress";
        const SQL: &str = "WITH touched AS (UPDATE courier.progress SET end_lsn = $2, \
             commit_time = CASE WHEN $3 > '2000-01-01 00:00+00'::pg_catalog.timestamptz THEN $3 ELSE commit_time END, \
             updated_at = pg_catalog.now(), writer = CASE WHEN end_lsn = $4 THEN $5 ELSE -1 END \
             WHERE task_id = $1 RETURNING 1) \
             SELECT 1 / (pg_catalog.count(*) = 1)::pg_catalog.int4 FROM touched";
        if !self.progress_prepared {
            let types = [UUID, LSN, TIMESTAMPTZ, LSN, INT8];
            self.destination.connection.send_prepare(NAME, SQL, &types)?;
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

    /// Sends the rest of the group and its end. With `durable` (or when it is time) the commit waits for the disk.
    fn close_group(&mut self, durable: bool) -> Result<()> {
        let durable = durable || self.is_serial() || self.last_durable.elapsed() >= DURABLE_EVERY;
        if self.group.transactions == 0 {
            // Nothing but a wish for durability.
            self.group.end_lsn = self.chain;
        }
        self.group.sent_at = xact::now();
        let group = self.group;
        let sent_in_parts = self.group_open;
        self.open_group(Some(&group))?;
        self.send_waiting()?;
        if sent_in_parts {
            self.send_progress(&group)?;
        }
        if durable {
            self.send_command("SELECT pg_catalog.set_config('synchronous_commit', 'on', true)")?;
            self.last_durable = Instant::now();
        }
        if std::mem::take(&mut self.group_block) {
            self.send_command("COMMIT")?;
        }
        self.destination.connection.send_sync()?;
        self.sent.push_back(Sent::Sync);
        self.groups.push_back(Group { applied: group, durable });
        self.chain = group.end_lsn;
        self.group = Applied::default();
        self.group_open = false;
        self.destination.connection.flush()?;
        Ok(())
    }

    /// Waits while too much is on its way.
    fn throttle(&mut self) -> Result<()> {
        self.read_answers()?;
        while self.bytes_in_flight > BYTES_IN_FLIGHT {
            self.ask_for_answers()?;
            self.wait_for_answers()?;
        }
        Ok(())
    }

    /// An open group has no sync yet; without this the destination would keep its answers.
    fn ask_for_answers(&mut self) -> Result<()> {
        if matches!(self.sent.back(), Some(Sent::Command { .. })) {
            self.destination.connection.send_flush_request()?;
        }
        Ok(())
    }

    fn wait_for_answers(&mut self) -> Result<()> {
        let unsent = self.destination.connection.flush()?;
        self.destination.connection.wait_and_consume(unsent, None)?;
        self.take_events()
    }

    // ---- answers ------------------------------------------------------------------------------------------------

    fn read_answers(&mut self) -> Result<()> {
        if self.destination.connection.is_waiting() {
            self.destination.connection.flush()?;
        }
        self.destination.connection.consume()?;
        self.take_events()
    }

    fn take_events(&mut self) -> Result<()> {
        while let Some(event) = self.destination.connection.next_event()? {
            match (event, self.sent.pop_front()) {
                (Event::Done(outcome), Some(Sent::Command { bytes, table, kind })) => {
                    self.bytes_in_flight -= bytes;
                    if let Some(Err(error)) = outcome {
                        return Err(self.explain(error, table.as_deref(), kind));
                    }
                }
                (Event::Synced, Some(Sent::Sync)) => self.committed(),
                _ => return Err(Error::internal("the destination's answers are out of step")),
            }
        }
        Ok(())
    }

    fn committed(&mut self) {
        if let Some(group) = self.groups.pop_front() {
            self.applied = group.applied.end_lsn;
            if group.durable {
                self.durable = self.applied;
            }
            (self.on_applied)(&group.applied);
        }
    }

    /// Adds to a destination error what only we know.
    fn explain(&self, error: Error, table: Option<&Relation>, kind: Option<Kind>) -> Error {
        if error.detail_text().is_some_and(|d| d.contains(FENCE)) {
            return Error::new(sqlstate::OBJECT_IN_USE, "another worker writes for this task on the destination")
                .origin(Origin::Destination)
                .hint("If two source servers run the same task (a copied or restored one), drop it on one of them.");
        }
        let error = match (table, kind) {
            (Some(table), Some(kind)) => describe_conflict(error, table, kind),
            (_, _) if error.sqlstate() == sqlstate::DIVISION_BY_ZERO => {
                Error::new(sqlstate::OBJECT_NOT_IN_PREREQUISITE_STATE, "the task's row in courier.progress is gone")
                    .origin(Origin::Destination)
                    .hint("Drop the task, empty its tables on the destination and create it anew.")
            }
            (_, _) => error,
        };
        let merged = !self.is_serial_group();
        if merged && error.remedy() == Remedy::Stop { error.replay_serially() } else { error }
    }

    fn is_serial_group(&self) -> bool {
        let end = self.failing_end();
        end.is_valid() && end <= self.plan.serial_until
    }

    /// End of the group whose command was answered last, for the serial replay.
    pub fn failing_end(&self) -> Lsn {
        self.groups.front().map_or(self.current.end_lsn, |g| g.applied.end_lsn)
    }

    // ---- serial mode --------------------------------------------------------------------------------------------

    /// Sends one change and waits for its outcome.
    fn apply_serially(&mut self, relation: &Rc<Relation>, change: Change<'_>) -> Result<()> {
        self.note_generation(relation)?;
        self.send_change(relation, change)?;
        self.settle()
    }

    fn settle(&mut self) -> Result<()> {
        self.ask_for_answers()?;
        while !self.sent.is_empty() {
            self.wait_for_answers()?;
        }
        Ok(())
    }
}

const SCANS_ON: &str = "SELECT pg_catalog.set_config('enable_hashjoin', 'on', true), \
     pg_catalog.set_config('enable_seqscan', 'on', true)";
const SCANS_OFF: &str = "SELECT pg_catalog.set_config('enable_hashjoin', 'off', true), \
     pg_catalog.set_config('enable_seqscan', 'off', true)";

fn describe_conflict(error: Error, table: &Relation, kind: Kind) -> Error {
    let name = table.qualified_name();
    if error.sqlstate() == sqlstate::DIVISION_BY_ZERO && kind != Kind::Insert {
        let verb = if kind == Kind::Update || kind == Kind::Replace { "update" } else { "delete" };
        return Error::new(sqlstate::NO_DATA_FOUND, format!("the row to {verb} in {name} is not on the destination"))
            .origin(Origin::Destination)
            .detail("No row there has the key of the source's change, or more than one has.")
            .hint(
                "Put the row in place on the destination (see the key below), then SELECT courier.resume(...). \
                 Find out who else writes there.",
            );
    }
    let hint = match error.sqlstate() {
        "23505" => "The row is already on the destination. Remove it there, then SELECT courier.resume(...).",
        "42P01" => "Create the table on the destination as it is on the source, then SELECT courier.resume(...).",
        "42703" | "42804" | "42883" => {
            "Alter the table on the destination as it was altered on the source, then SELECT courier.resume(...)."
        }
        "42501" => "Grant the user of the user mapping what it lacks, then SELECT courier.resume(...).",
        _ => "Remove the cause on the destination, then SELECT courier.resume(...).",
    };
    error.or_hint(hint).context(format!("Destination table: {name}."))
}

/// Cuts rows into statements.
fn chunks<T>(rows: &[T], size: impl Fn(&T) -> usize) -> impl Iterator<Item = &[T]> {
    let mut rest = rows;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let (mut count, mut bytes) = (0, 0);
        while count < rest.len().min(STATEMENT_ROWS) && (count == 0 || bytes < STATEMENT_BYTES) {
            bytes += size(&rest[count]);
            count += 1;
        }
        let (now, later) = rest.split_at(count);
        rest = later;
        Some(now)
    })
}

fn parse_uuid(text: &str) -> Result<[u8; 16]> {
    let invalid = || Error::internal(format!("invalid task id \"{text}\""));
    let digits: String = text.chars().filter(|c| *c != '-').collect();
    let number = u128::from_str_radix(&digits, 16).map_err(|_| invalid())?;
    Ok(number.to_be_bytes())
}

impl Change<'_> {
    fn bytes(&self) -> usize {
        match self {
            Change::Insert { row } => row.len(),
            Change::Update { old, row } => old.len() + row.len(),
            Change::Delete { old } => old.len(),
        }
    }
}

impl ChangeSink for Applier {
    fn wants(&mut self, table: u32, transaction: &Transaction) -> bool {
        match self.plan.tables.get(&table) {
            None => false,
            Some(None) => true,
            Some(Some(snapshot)) => !snapshot.contains(transaction.xid, transaction.commit_lsn),
        }
    }

    fn change(&mut self, transaction: &Transaction, relation: &Rc<Relation>, change: Change<'_>) -> Result<()> {
        self.enter(transaction);
        self.group.changes += 1;
        self.group.bytes += change.bytes() as u64;
        if self.is_serial() {
            return self.apply_serially(relation, change);
        }
        self.add(relation, change)?;
        // A transaction too large to wait for its end goes out in parts.
        let is_large = self.waiting_rows >= 2 * GROUP_ROWS
            || self.waiting_bytes >= 2 * GROUP_BYTES
            || self.largest_batch >= 2 * STATEMENT_ROWS;
        if is_large { self.send_waiting() } else { Ok(()) }
    }

    fn truncate(
        &mut self,
        transaction: &Transaction,
        relations: &[Rc<Relation>],
        restart_sequences: bool,
    ) -> Result<()> {
        self.enter(transaction);
        self.group.changes += 1;
        self.send_waiting()?;
        self.open_group(None)?;
        let list: Vec<&Relation> = relations.iter().map(Rc::as_ref).collect();
        self.destination.connection.send_simple(&statements::truncate(&list, restart_sequences))?;
        let table = relations.first().cloned();
        self.sent.push_back(Sent::Command { bytes: 0, table, kind: Some(Kind::Insert) });
        if self.is_serial() { self.settle() } else { Ok(()) }
    }

    fn commit(&mut self, transaction: &Transaction) -> Result<()> {
        if self.current.commit_lsn != transaction.commit_lsn {
            // Nothing of it was wanted; the next group's progress covers it.
            return Ok(());
        }
        self.group.transactions += 1;
        self.group.end_lsn = transaction.end_lsn;
        self.group.commit_time = transaction.commit_time;
        if self.is_serial() {
            self.close_group(true)?;
            while !self.groups.is_empty() {
                self.wait_for_answers()?;
            }
            return Ok(());
        }
        if self.is_due() || self.group_open {
            while self.groups.len() >= GROUPS_IN_FLIGHT {
                self.wait_for_answers()?;
            }
            self.close_group(false)?;
            self.read_answers()?;
        }
        Ok(())
    }
}

impl Applier {
    /// The transaction counts although nothing of it is written but the progress: a heartbeat.
    pub fn touch(&mut self, transaction: &Transaction) {
        self.enter(transaction);
    }

    fn enter(&mut self, transaction: &Transaction) {
        if self.group.transactions == 0 && self.group.changes == 0 {
            self.group_since = Instant::now();
        }
        self.current = *transaction;
    }

    /// Age of the oldest change that has not been sent as a whole.
    pub fn group_age(&self) -> Duration {
        if self.group.changes == 0 { Duration::ZERO } else { self.group_since.elapsed() }
    }
}
