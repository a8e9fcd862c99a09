//! The applier as the decoder's sink: what becomes of each change.

use std::rc::Rc;

use super::applier::Applier;
use super::collect::group::Mode;
use super::collect::route::{Arrival, arrival};
use crate::decode::{EarlySink, Event};
use crate::error::{Error, Result, sqlstate};
use crate::logicalrep::{Change, Lsn, Relation, Transaction};
use crate::transform::Operation;

impl Applier {
    /// Takes what the stream brings, in commit order.
    pub fn event(&mut self, transaction: &Transaction, event: Event<'_>) -> Result<()> {
        match event {
            Event::Change { relation, change } if !relation.takes(Operation::of(&change)) => {
                if relation.route.is_awaited { self.awaits(transaction, relation, change) } else { Ok(()) }
            }
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
        self.writer.lanes.flights.is_merged_from(lsn)
    }

    pub(super) fn change(
        &mut self,
        transaction: &Transaction,
        relation: &Rc<Relation>,
        change: Change<'_>,
    ) -> Result<()> {
        self.enter(transaction);
        let bytes = change.bytes();
        self.writer.group.count(1, bytes as u64);
        match arrival(self.mode(), bytes) {
            Arrival::Waits => {
                self.add(relation, change)?;
                // A transaction too large to wait for its end goes out in parts.
                if self.holds(2) { self.send_waiting() } else { Ok(()) }
            }
            Arrival::Serial => self.apply_serially(relation, change),
            Arrival::Huge => {
                self.note_generation(relation)?;
                self.send_waiting()?;
                self.writer.send_huge(relation, change)
            }
            Arrival::Ahead => {
                let Change::Insert { row } = change else {
                    return Err(Error::internal("a transaction whose rows were sent ahead has other changes"));
                };
                self.row(row)
            }
        }
    }

    fn truncate(
        &mut self,
        transaction: &Transaction,
        relations: &[Rc<Relation>],
        restart_sequences: bool,
    ) -> Result<()> {
        self.enter(transaction);
        self.writer.group.count(1, 0);
        self.send_waiting()?;
        self.asides_give_way(relations)?;
        match self.mode() {
            Mode::Serial => self.truncate_serially(relations, restart_sequences),
            Mode::Merged => {
                self.writer.open_group(None)?;
                self.writer.send_truncate(relations, restart_sequences)
            }
            Mode::Adopted => Err(Error::internal("a transaction whose rows were sent ahead has other changes")),
        }
    }

    fn commit(&mut self, transaction: &Transaction) -> Result<()> {
        self.definitions_end(transaction)?;
        if self.writer.lanes.flights.current.commit_lsn != transaction.commit_lsn {
            // Nothing of it was wanted; the next group's progress covers it.
            return Ok(());
        }
        self.writer.group.complete(transaction);
        match self.mode() {
            Mode::Adopted => self.commit_ahead(),
            Mode::Serial => self.commit_serially(),
            Mode::Merged => self.commit_merged(),
        }?;
        if std::mem::take(&mut self.stands_alone) {
            self.writer.lanes.await_commits()?;
            crate::failpoint::hit("apply_after_ddl_commit")?;
            if !self.entering.is_empty() {
                self.copies = true;
                return Err(Error::new(sqlstate::OBJECT_IN_USE, "tables have come in that have to be copied first"));
            }
        }
        Ok(())
    }

    /// Sends the group if it is due, or is on its way already.
    fn commit_merged(&mut self) -> Result<()> {
        if self.is_due() || self.writer.group.is_open() {
            while !self.has_room() {
                self.writer.lanes.wait_for_answers()?;
            }
            self.close_group(false)?;
            self.writer.lanes.read_answers()?;
        }
        Ok(())
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
