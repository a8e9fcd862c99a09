//! The applier as the decoder's sink: what it wants, and what becomes of each change.

use std::rc::Rc;
use std::time::Instant;

use super::applier::{Applier, Kind, Sent};
use super::huge::HUGE;
use crate::decode::{EarlySink, Event};
use crate::destination::table::Table;
use crate::error::{Error, Result};
use crate::logicalrep::{Change, Lsn, Relation, Transaction};
use crate::transform::Operation;

impl Applier {
    /// Takes what the stream brings, in commit order.
    pub fn event(&mut self, transaction: &Transaction, event: Event<'_>) -> Result<()> {
        match event {
            Event::Change { relation, change } if !relation.takes(Operation::of(&change)) => Ok(()),
            Event::Change { relation, change } => self.change(transaction, relation, change),
            Event::Truncate { relations, restart_sequences } => {
                let taken: Vec<_> = relations.iter().filter(|r| r.takes(Operation::Truncate)).cloned().collect();
                if taken.is_empty() { Ok(()) } else { self.truncate(transaction, &taken, restart_sequences) }
            }
            Event::Commit => self.commit(transaction),
        }
    }

    /// May rows be taken before their transaction, which ends behind `lsn`, has committed? While changes are replayed one by
    /// one, an error shows the row.
    pub fn takes_early(&self, lsn: Lsn) -> bool {
        lsn >= self.plan.serial_until
    }

    fn change(&mut self, transaction: &Transaction, relation: &Rc<Relation>, change: Change<'_>) -> Result<()> {
        if self.second.ahead.as_ref().is_some_and(|ahead| ahead.is_group) {
            let Change::Insert { row } = change else {
                return Err(Error::internal("a transaction whose rows were sent ahead has other changes"));
            };
            self.group.changes += 1;
            self.group.bytes += row.len() as u64;
            return self.row_ahead(row);
        }
        self.enter(transaction);
        self.group.changes += 1;
        self.group.bytes += change.bytes() as u64;
        if self.is_serial() {
            return self.apply_serially(relation, change);
        }
        if change.bytes() >= HUGE {
            return self.send_huge(relation, change);
        }
        self.add(relation, change)?;
        // A transaction too large to wait for its end goes out in parts.
        if self.holds(2) { self.send_waiting() } else { Ok(()) }
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
        if self.is_serial() && self.is_to_be_skipped() {
            return self.truncate_or_skip(relations, restart_sequences);
        }
        self.open_group(None)?;
        self.send_truncate(relations, restart_sequences)?;
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
        if self.second.ahead.as_ref().is_some_and(|ahead| ahead.is_group) {
            return self.commit_ahead();
        }
        if self.is_serial() {
            self.close_group(true)?;
            while !self.groups.is_empty() {
                self.wait_for_answers()?;
            }
            return Ok(());
        }
        if self.is_due() || self.group_open {
            while !self.has_room() {
                self.wait_for_answers()?;
            }
            self.close_group(false)?;
            self.read_answers()?;
        }
        Ok(())
    }

    /// Sends one change and waits for its outcome.
    fn apply_serially(&mut self, relation: &Rc<Relation>, change: Change<'_>) -> Result<()> {
        self.note_generation(relation)?;
        if self.may_resolve() {
            return self.apply_or_resolve(relation, change);
        }
        if change.bytes() >= HUGE {
            self.send_huge(relation, change)?;
        } else {
            self.send_change(relation, change)?;
        }
        self.settle()
    }

    pub(super) fn send_truncate(&mut self, relations: &[Rc<Relation>], restart_sequences: bool) -> Result<()> {
        let there = relations.iter().map(|relation| self.there(relation)).collect::<Result<Vec<_>>>()?;
        let tables: Vec<(&Relation, &Table)> =
            relations.iter().zip(&there).map(|(relation, there)| (relation.as_ref(), there.as_ref())).collect();
        self.use_pipeline()?;
        self.destination.send(&self.destination.dialect().truncate(&tables, restart_sequences))?;
        let table = relations.first().cloned();
        self.sent.push_back(Sent::Command { bytes: 0, table, kind: Some(Kind::Truncate) });
        relations.iter().try_for_each(|relation| self.note_deleted(relation, u64::MAX))
    }

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
}

/// Rows of large transactions go ahead of their commit where that can be had.
impl EarlySink for Applier {
    fn wants(&mut self, early: &Transaction, table: Option<&Rc<Relation>>, is_first: bool) -> Result<bool> {
        self.may_send_ahead(early, table, is_first)
    }

    fn row(&mut self, row: &[u8]) -> Result<()> {
        self.row_ahead(row)
    }

    fn piece_ends(&mut self) -> Result<()> {
        self.send_ahead()
    }

    fn forgets(&mut self, xid: u32) {
        self.forget_ahead(xid);
    }

    fn has_all(&mut self, transaction: &Transaction, slot: Option<usize>) -> Result<bool> {
        self.adopt_ahead(transaction, slot)
    }
}

impl Change<'_> {
    pub(super) fn bytes(&self) -> usize {
        match self {
            Change::Insert { row } => row.len(),
            Change::Update { old, row } => old.len() + row.len(),
            Change::Delete { old } => old.len(),
        }
    }
}
