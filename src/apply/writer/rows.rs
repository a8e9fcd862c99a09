//! The net effect of a batch as set-wise statements, and changes that go alone.

use std::rc::Rc;

use super::Writer;
use crate::apply::collect::batch::{self, TableBatch};
use crate::apply::collect::net::Keyed;
use crate::apply::collect::route::STATEMENT_ROWS;
use crate::apply::session::Verb;
use crate::destination::dialect::{Dialect, Plans};
use crate::destination::table::Table;
use crate::error::Result;
use crate::logicalrep::relation::{Fields, Identity, is_unchanged};
use crate::logicalrep::{Change, Relation};

/// Bytes of one statement's rows.
const STATEMENT_BYTES: usize = 8 << 20;

impl Writer {
    pub fn send_batch(&mut self, batch: &TableBatch) -> Result<()> {
        let relation = &batch.relation;
        let mut net = batch.net();
        // Without the replica role a foreign key of the table to itself has a say.
        if self.lanes.has_replica_role() {
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

    pub fn send_deletes(&mut self, relation: &Rc<Relation>, keys: &[&[u8]]) -> Result<()> {
        self.params.start(relation, relation.key.iter().copied());
        keys.iter().for_each(|key| self.params.push(0, key, &[]));
        self.send_rows(relation, Verb::Delete, Vec::new(), Some(keys.len() as i64), Dialect::delete)?;
        self.note_deleted(relation, keys.len() as u64)
    }

    pub fn send_row_deletes(&mut self, relation: &Rc<Relation>, rows: &[(&[u8], i64)]) -> Result<()> {
        self.params.start(relation, 0..relation.columns.len());
        rows.iter().for_each(|(row, _)| self.params.push(0, row, &[]));
        self.params.add_counts(rows.iter().map(|(_, count)| *count));
        let total = rows.iter().map(|(_, count)| *count).sum();
        // This statement alone compares whole tables; a join by hash is what makes that bearable, whatever
        // the statistics say.
        self.lanes.command(&self.dialect().plans(Plans::ByScan))?;
        self.send_rows(relation, Verb::DeleteByRow, Vec::new(), Some(total), Dialect::delete_by_row)?;
        self.lanes.command(&self.dialect().plans(Plans::ByIndex))
    }

    pub fn send_updates(&mut self, relation: &Rc<Relation>, kept: &[usize], rows: &[Keyed<'_>]) -> Result<()> {
        let is_set = |column: &usize| !kept.contains(column) && !relation.is_key(*column);
        let set: Vec<usize> = (0..relation.columns.len()).filter(is_set).collect();
        let skip: Vec<usize> = (0..relation.columns.len()).filter(|c| !is_set(c)).collect();
        self.params.start(relation, relation.key.iter().chain(&set).copied());
        for Keyed { key, row } in rows {
            self.params.push(0, key, &[]);
            self.params.push(relation.key.len(), row, &skip);
        }
        let count = Some(rows.len() as i64);
        self.send_rows(relation, Verb::Update, set.clone(), count, |dialect, relation, there| {
            dialect.update(relation, there, &set)
        })?;
        self.note_written(relation, rows.iter().map(|keyed| keyed.row))
    }

    pub fn send_replaces(&mut self, relation: &Rc<Relation>, kept: &[usize], rows: &[Keyed<'_>]) -> Result<()> {
        let columns = (0..relation.columns.len()).filter(|c| !kept.contains(c));
        self.params.start(relation, relation.key.iter().copied().chain(columns));
        for Keyed { key, row } in rows {
            self.params.push(0, key, &[]);
            self.params.push(relation.key.len(), row, kept);
        }
        let count = Some(rows.len() as i64);
        self.send_rows(relation, Verb::Replace, kept.to_vec(), count, |dialect, relation, there| {
            dialect.replace(relation, there, kept)
        })?;
        self.note_written(relation, rows.iter().map(|keyed| keyed.row))
    }

    pub fn send_inserts(&mut self, relation: &Rc<Relation>, rows: &[&[u8]]) -> Result<()> {
        if relation.columns.is_empty() {
            let sql = self.dialect().insert_nothing(relation);
            return rows.iter().try_for_each(|_| self.lanes.command(&sql));
        }
        self.params.start(relation, 0..relation.columns.len());
        rows.iter().for_each(|row| self.params.push(0, row, &[]));
        self.send_rows(relation, Verb::Insert, Vec::new(), None, |dialect, relation, _| dialect.insert(relation))?;
        self.note_written(relation, rows.iter().copied())
    }

    pub fn send_truncate(&mut self, relations: &[Rc<Relation>], restart_sequences: bool) -> Result<()> {
        assert!(self.group.is_open(), "a TRUNCATE is part of a group that has sent its fence");
        let there = relations.iter().map(|relation| self.there(relation)).collect::<Result<Vec<_>>>()?;
        let tables: Vec<(&Relation, &Table)> =
            relations.iter().zip(&there).map(|(relation, there)| (relation.as_ref(), there.as_ref())).collect();
        let sql = self.dialect().truncate(&tables, restart_sequences);
        let of = relations.first().map(|table| (table.clone(), Verb::Truncate));
        self.lanes.pipeline()?.command(&sql, of)?;
        relations.iter().try_for_each(|relation| self.note_deleted(relation, u64::MAX))
    }

    /// One change as a statement of its own.
    pub fn send_change(&mut self, relation: &Rc<Relation>, change: Change<'_>) -> Result<()> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_cut_by_their_number_and_their_bytes() {
        let sizes = |rows: &[usize]| chunks(rows, |size| *size).map(<[usize]>::len).collect::<Vec<_>>();
        assert!(sizes(&[]).is_empty());
        assert_eq!(sizes(&vec![1; 2500]), [1000, 1000, 500]);
        assert_eq!(sizes(&[STATEMENT_BYTES / 2; 5]), [2, 2, 1]);
        // One that is larger than a statement goes all the same.
        assert_eq!(sizes(&[1, 2 * STATEMENT_BYTES, 1]), [2, 1]);
    }
}
