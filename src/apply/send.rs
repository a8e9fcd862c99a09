//! Sending: the net effect of a batch as set-wise statements, prepared once for each shape.

use std::rc::Rc;

use super::applier::{Applier, Kind, Prepared, Sent, StatementKey};
use super::collect::batch::{self, TableBatch};
use super::collect::net::Keyed;
use super::huge;
use crate::destination::dialect::{Dialect, Plans, Sql, Statement};
use crate::destination::table::Table;
use crate::error::Result;
use crate::logicalrep::relation::{Fields, Identity, is_unchanged};
use crate::logicalrep::{Change, Relation};

/// Rows of one statement: enough to spread its cost, few enough to stay in the destination's caches.
pub(super) const STATEMENT_ROWS: usize = 1000;
/// Bytes of one statement's rows.
const STATEMENT_BYTES: usize = 8 << 20;
/// What prepared statements may weigh together: about 4 kB on the destination for each parameter, and as much as for this
/// many parameters for the statement itself. In all some 60 MB.
const STATEMENTS_KEPT: usize = 16_000;
const STATEMENT_WEIGHT: usize = 4;

impl Applier {
    pub(super) fn send_batch(&mut self, batch: &TableBatch) -> Result<()> {
        let relation = &batch.relation;
        let mut net = batch.net();
        // Without the replica role a foreign key of the table to itself has a say.
        if self.destination.replica_role {
            net.sort(relation);
        }
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

    pub(super) fn send_deletes(&mut self, relation: &Rc<Relation>, keys: &[&[u8]]) -> Result<()> {
        self.params.start(relation, relation.key.iter().copied());
        keys.iter().for_each(|key| self.params.push(0, key, &[]));
        self.send_rows(relation, Kind::Delete, Vec::new(), Some(keys.len() as i64), Dialect::delete)?;
        self.note_deleted(relation, keys.len() as u64)
    }

    pub(super) fn send_row_deletes(&mut self, relation: &Rc<Relation>, rows: &[(&[u8], i64)]) -> Result<()> {
        self.params.start(relation, 0..relation.columns.len());
        rows.iter().for_each(|(row, _)| self.params.push(0, row, &[]));
        self.params.add_counts(rows.iter().map(|(_, count)| *count));
        let total = rows.iter().map(|(_, count)| *count).sum();
        // This statement alone compares whole tables; a join by hash is what makes that bearable, whatever
        // the statistics say.
        self.send_command(&self.dialect().plans(Plans::ByScan))?;
        self.send_rows(relation, Kind::DeleteByRow, Vec::new(), Some(total), Dialect::delete_by_row)?;
        self.send_command(&self.dialect().plans(Plans::ByIndex))
    }

    pub(super) fn send_updates(&mut self, relation: &Rc<Relation>, kept: &[usize], rows: &[Keyed<'_>]) -> Result<()> {
        let is_set = |column: &usize| !kept.contains(column) && !relation.is_key(*column);
        let set: Vec<usize> = (0..relation.columns.len()).filter(is_set).collect();
        let skip: Vec<usize> = (0..relation.columns.len()).filter(|c| !is_set(c)).collect();
        self.params.start(relation, relation.key.iter().chain(&set).copied());
        for Keyed { key, row } in rows {
            self.params.push(0, key, &[]);
            self.params.push(relation.key.len(), row, &skip);
        }
        let count = Some(rows.len() as i64);
        self.send_rows(relation, Kind::Update, set.clone(), count, |dialect, relation, there| {
            dialect.update(relation, there, &set)
        })?;
        self.note_written(relation, rows.iter().map(|keyed| keyed.row))
    }

    pub(super) fn send_replaces(&mut self, relation: &Rc<Relation>, kept: &[usize], rows: &[Keyed<'_>]) -> Result<()> {
        let columns = (0..relation.columns.len()).filter(|c| !kept.contains(c));
        self.params.start(relation, relation.key.iter().copied().chain(columns));
        for Keyed { key, row } in rows {
            self.params.push(0, key, &[]);
            self.params.push(relation.key.len(), row, kept);
        }
        let count = Some(rows.len() as i64);
        self.send_rows(relation, Kind::Replace, kept.to_vec(), count, |dialect, relation, there| {
            dialect.replace(relation, there, kept)
        })?;
        self.note_written(relation, rows.iter().map(|keyed| keyed.row))
    }

    pub(super) fn send_inserts(&mut self, relation: &Rc<Relation>, rows: &[&[u8]]) -> Result<()> {
        if relation.columns.is_empty() {
            let sql = self.dialect().insert_nothing(relation);
            return rows.iter().try_for_each(|_| self.send_command(&sql));
        }
        self.params.start(relation, 0..relation.columns.len());
        rows.iter().for_each(|row| self.params.push(0, row, &[]));
        self.send_rows(relation, Kind::Insert, Vec::new(), None, |dialect, relation, _| dialect.insert(relation))?;
        self.note_written(relation, rows.iter().copied())
    }

    /// Sends the prepared parameters with the statement for them, preparing it first when it is new.
    pub(super) fn send_rows(
        &mut self,
        relation: &Rc<Relation>,
        kind: Kind,
        columns: Vec<usize>,
        total: Option<i64>,
        build: impl FnOnce(&'static dyn Dialect, &Relation, &Table) -> Statement,
    ) -> Result<()> {
        self.use_pipeline()?;
        let key = (relation.generation, kind, columns);
        self.statements_used += 1;
        let name = match self.statements.get_mut(&key) {
            Some(prepared) => {
                prepared.used = self.statements_used;
                prepared.name.clone()
            }
            None => {
                let there = self.there(relation)?;
                self.statements_made += 1;
                let name: Rc<str> = format!("courier_{}", self.statements_made).into();
                let statement = build(self.dialect(), relation, &there);
                let (used, weight) = (self.statements_used, STATEMENT_WEIGHT + statement.parameters());
                self.make_room_for_statement(weight)?;
                self.destination.send_prepare(&name, &statement)?;
                self.sent.push_back(Sent::Prepare { table: relation.clone(), kind });
                self.statements_weight += weight;
                let number = self.statements_made;
                self.statements.insert(key, Prepared { number, name: name.clone(), used, weight });
                name
            }
        };
        let is_serial = self.is_serial();
        let values = self.params.finish(total);
        huge::fits_into_message(relation, values, is_serial)?;
        let bytes = values.iter().map(Vec::len).sum();
        self.destination.send_prepared(&name, values.iter().map(Vec::as_slice))?;
        self.sent.push_back(Sent::Command { bytes, table: Some(relation.clone()), kind: Some(kind) });
        self.bytes_in_flight += bytes;
        self.destination.flush()?;
        Ok(())
    }

    /// The destination keeps a plan for each prepared statement, and there is one for each combination of columns that
    /// large values were left out of.
    fn make_room_for_statement(&mut self, weight: usize) -> Result<()> {
        if self.statements_weight + weight <= STATEMENTS_KEPT {
            return Ok(());
        }
        let mut by_use: Vec<(u64, StatementKey)> =
            self.statements.iter().map(|(key, prepared)| (prepared.used, key.clone())).collect();
        by_use.sort_unstable_by_key(|(used, _)| *used);
        for (_, key) in by_use.into_iter().take(self.statements.len().div_ceil(8)) {
            self.forget_statement(&key)?;
        }
        Ok(())
    }

    /// Forgets what was prepared for a definition.
    pub(super) fn forget_statements(&mut self, generation: u64) -> Result<()> {
        let stale: Vec<StatementKey> = self.statements.keys().filter(|(g, _, _)| *g == generation).cloned().collect();
        for key in stale {
            self.open_group(None)?;
            self.forget_statement(&key)?;
        }
        Ok(())
    }

    /// Forgets a prepared statement on both sides, inside an open group.
    pub(super) fn forget_statement(&mut self, key: &StatementKey) -> Result<()> {
        let Some(prepared) = self.statements.remove(key) else { return Ok(()) };
        self.statements_weight -= prepared.weight;
        self.send_command(&self.dialect().forget_statement(&prepared.name))
    }

    pub(super) fn send_command(&mut self, sql: &Sql) -> Result<()> {
        self.use_pipeline()?;
        self.destination.send(sql)?;
        self.sent.push_back(Sent::Command { bytes: 0, table: None, kind: None });
        Ok(())
    }

    /// One change as a statement of its own.
    pub(super) fn send_change(&mut self, relation: &Rc<Relation>, change: Change<'_>) -> Result<()> {
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
                let keyed = [Keyed { key: old, row }];
                if !batch::has_key(relation, row, old) || relation.needs_replacing() {
                    self.send_replaces(relation, &kept, &keyed)
                } else {
                    self.send_updates(relation, &kept, &keyed)
                }
            }
        }
    }
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
