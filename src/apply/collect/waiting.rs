//! The changes that wait to be sent, in a batch for each table.

use std::rc::Rc;

use super::batch::{Added, TableBatch};
use super::route::Load;
use crate::logicalrep::{Change, Relation};

/// Tables that keep their room for the next batch.
const TABLES_KEPT: usize = 64;
/// Bytes that they keep together: fresh memory costs page faults, a tenth of the worker's time in a stream of wide rows.
const ROOM_KEPT: usize = 32 << 20;

#[derive(Default)]
pub struct Waiting {
    /// By the tables' slots. One that nothing waits in is kept for its room.
    batches: Vec<Option<TableBatch>>,
    kept: usize,
    /// Bytes that the kept ones have room for, as they were given back.
    room: usize,
    /// Slots of the tables with waiting changes, in the order of their first.
    order: Vec<usize>,
    pub load: Load,
}

impl Waiting {
    pub fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    /// Is the table known here, by this definition?
    pub fn knows(&self, relation: &Relation) -> bool {
        let batch = self.batches.get(relation.slot).and_then(Option::as_ref);
        batch.is_some_and(|batch| batch.relation.generation == relation.generation)
    }

    /// Does the latest table that waits differ from this one?
    pub fn is_behind_another(&self, relation: &Relation) -> bool {
        self.order.last().is_some_and(|last| *last != relation.slot)
    }

    pub fn add(&mut self, relation: &Rc<Relation>, change: Change<'_>) -> Added {
        let slot = relation.slot;
        if self.batches.len() <= slot {
            self.batches.resize_with(slot + 1, || None);
        }
        let kept = &mut self.kept;
        let batch = self.batches[slot].get_or_insert_with(|| {
            *kept += 1;
            TableBatch::new(relation.clone())
        });
        let added = batch.add(change);
        if added == Added::Yes {
            if !std::mem::replace(&mut batch.queued, true) {
                self.order.push(slot);
            }
            self.load.largest = self.load.largest.max(batch.len());
            self.load.rows += 1;
            self.load.bytes += change.bytes();
        }
        added
    }

    /// The batch, if only one table has any.
    pub fn only(&self) -> Option<&TableBatch> {
        let [slot] = self.order[..] else { return None };
        self.batches.get(slot)?.as_ref()
    }

    /// Everything, table by table.
    pub fn take(&mut self) -> Vec<TableBatch> {
        self.load = Load::default();
        let order = std::mem::take(&mut self.order);
        order.into_iter().filter_map(|slot| self.forget(slot)).collect()
    }

    /// Keeps the room of a batch that was sent.
    pub fn give_back(&mut self, mut batch: TableBatch) {
        let slot = batch.relation.slot;
        if self.kept < TABLES_KEPT && self.batches.get(slot).is_some_and(Option::is_none) {
            batch.clear(ROOM_KEPT.saturating_sub(self.room));
            batch.kept_room = batch.room();
            self.room += batch.kept_room;
            self.batches[slot] = Some(batch);
            self.kept += 1;
        }
    }

    /// Forgets a table that nothing waits in.
    pub fn forget(&mut self, slot: usize) -> Option<TableBatch> {
        let mut batch = self.batches.get_mut(slot)?.take()?;
        self.kept -= 1;
        self.room -= std::mem::take(&mut batch.kept_room);
        Some(batch)
    }
}

#[cfg(test)]
mod tests {
    use super::super::batch::tests::row;
    use super::*;

    fn relation(slot: usize) -> Rc<Relation> {
        Rc::new(Relation { slot, ..crate::destination::fixture::relation() })
    }

    #[test]
    fn batches_leave_in_the_order_of_their_first_change() {
        let mut waiting = Waiting::default();
        let row = row("1", "a");
        for slot in [3, 1, 3, 2] {
            assert_eq!(waiting.add(&relation(slot), Change::Insert { row: &row }), Added::Yes);
        }
        assert!(waiting.only().is_none() && waiting.is_behind_another(&relation(1)));
        assert_eq!(waiting.load, Load { bytes: 4 * row.len(), rows: 4, largest: 2 });
        let slots: Vec<usize> = waiting.take().iter().map(|batch| batch.relation.slot).collect();
        assert_eq!(slots, [3, 1, 2]);
        assert!(waiting.is_empty());
        assert_eq!(waiting.load, Load::default());
    }

    #[test]
    fn a_batch_that_comes_back_is_empty_and_known() {
        let mut waiting = Waiting::default();
        waiting.add(&relation(1), Change::Insert { row: &row("1", "a") });
        for batch in waiting.take() {
            waiting.give_back(batch);
        }
        assert!(waiting.is_empty() && waiting.knows(&relation(1)));
        waiting.forget(1);
        assert!(!waiting.knows(&relation(1)));
    }
}
