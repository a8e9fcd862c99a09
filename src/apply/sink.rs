//! The applier as the decoder's sink: what it wants, and what becomes of each change.

use std::rc::Rc;
use std::time::Instant;

use super::applier::{Applier, Kind, Sent};
use super::huge::HUGE;
use super::statements;
use crate::error::{Error, Result};
use crate::logicalrep::coverage::{Interest, Seen};
use crate::logicalrep::{Change, ChangeSink, Lsn, Mark, Relation, Transaction};

impl ChangeSink for Applier {
    fn only_local(&self) -> bool {
        !self.plan.forward_origins
    }

    fn leaves_out(&mut self, transaction: &Transaction, mark: &Mark<'_>) -> Result<bool> {
        // What came from where our changes go to would go round in circles.
        let matters =
            !self.plan.forward_origins || self.destination_id.as_ref().is_some_and(|id| mark.source == id.as_bytes());
        if matters { self.plan.marks.believe(mark, transaction.commit_lsn) } else { Ok(false) }
    }

    fn precedes_start(&self, transaction: &Transaction) -> bool {
        self.plan.coverage.is_settled(transaction)
    }

    fn follows(&self, table: u32) -> bool {
        self.plan.coverage.follows(table)
    }

    fn followed(&self) -> Vec<u32> {
        self.plan.coverage.followed.keys().copied().collect()
    }

    fn interest(&self, table: &Seen<'_>, settled: bool) -> Result<Interest> {
        self.plan.coverage.interest(table, settled)
    }

    fn is_unlogged(&self, table: u32, transaction: &Transaction) -> Result<()> {
        self.plan.coverage.is_unlogged(table, transaction)
    }

    fn wants(&self, table: u32, transaction: &Transaction) -> bool {
        self.plan.coverage.wants(table, transaction)
    }

    /// While changes are replayed one by one, an error shows the row.
    fn takes_early(&self, lsn: Lsn) -> bool {
        lsn >= self.plan.serial_until
    }

    fn wants_ahead(&mut self, early: &Transaction, table: Option<&Rc<Relation>>, is_first: bool) -> Result<bool> {
        self.may_send_ahead(early, table, is_first)
    }

    fn ahead(&mut self, row: &[u8]) -> Result<()> {
        self.row_ahead(row)
    }

    fn piece_ends(&mut self) -> Result<()> {
        self.send_ahead()
    }

    fn forgets(&mut self, xid: u32) {
        self.forget_ahead(xid);
    }

    fn has_ahead(&mut self, transaction: &Transaction, slot: Option<usize>) -> Result<bool> {
        self.adopt_ahead(transaction, slot)
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
}

impl Applier {
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
        let list: Vec<(&Relation, &str)> =
            relations.iter().zip(&there).map(|(relation, there)| (relation.as_ref(), there.only())).collect();
        self.use_pipeline()?;
        self.destination.connection.send_simple(&statements::truncate(&list, restart_sequences))?;
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

impl Change<'_> {
    pub(super) fn bytes(&self) -> usize {
        match self {
            Change::Insert { row } => row.len(),
            Change::Update { old, row } => old.len() + row.len(),
            Change::Delete { old } => old.len(),
        }
    }
}
