//! Changes of one table, collapsed to their net effect.
//!
//! For a table with a key the batch knows, for each key, what the destination has to do:
//!
//! | so far \ next | INSERT   | UPDATE         | DELETE  |
//! |---------------|----------|----------------|---------|
//! | nothing       | insert   | update         | delete  |
//! | insert        | (close)  | insert, merged | nothing |
//! | update        | (close)  | update, merged | delete  |
//! | delete        | replace  | (close)        | (close) |
//! | replace       | (close)  | replace, merged| delete  |
//!
//! "(close)" cannot follow from a consistent history of one key; the caller then sends the batch and starts a new one,
//! so that the destination judges. An UPDATE of the key is a DELETE of the old and an INSERT of the new key.
//!
//! In a table without a key equal rows are interchangeable, so the net effect is a difference of multisets: how many
//! of each distinct row to insert or delete.
//!
//! A batch of inserts alone, the common bulk load, is not hashed at all: the index is built when the first other
//! change comes.

use std::ops::Range;
use std::rc::Rc;

use crate::logicalrep::relation::{Fields, Identity, is_unchanged};
use crate::logicalrep::{Change, FastMap, Relation};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    Insert,
    Update,
    /// Deleted and inserted again: every column is set.
    Replace,
    Delete,
    /// Inserted and deleted again.
    Nothing,
}

#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) op: Op,
    /// The encoded row in the arena; empty for a delete.
    pub(super) row: Range<usize>,
    pub(super) key: Range<usize>,
    /// Has the row fields that the log does not hold?
    pub(super) partial: bool,
}

/// What adding a change came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Added {
    Yes,
    /// Send this batch first, then add the change to an empty one.
    CloseFirst,
    /// Send this batch first, then replace the one row: its key changes and its row is incomplete.
    Alone,
}

pub struct TableBatch {
    pub relation: Rc<Relation>,
    /// Is it in the list of tables to send?
    pub queued: bool,
    /// Of the room, what counts as kept.
    pub kept_room: usize,
    fits_copy: bool,
    arena: Vec<u8>,
    pub(super) entries: Vec<Entry>,
    /// Rows to delete by their whole content, in a table without a key?
    has_row_deletes: bool,
    /// Key bytes to entry; `None` while there are only inserts.
    index: Option<FastMap<Box<[u8]>, u32>>,
}

/// The key's fields of a row.
fn key_of(relation: &Relation, row: &[u8]) -> Vec<u8> {
    let fields: Vec<&[u8]> = Fields(row).collect();
    let mut key = Vec::new();
    for column in &relation.key {
        key.extend_from_slice(fields.get(*column).copied().unwrap_or_default());
    }
    key
}

/// Has the row this key? Asked for each UPDATE, so it makes nothing to compare.
pub fn has_key(relation: &Relation, row: &[u8], key: &[u8]) -> bool {
    let mut rest = key;
    let mut columns = relation.key.iter().peekable();
    for (column, field) in Fields(row).enumerate() {
        let Some(next) = columns.peek() else { break };
        if **next == column {
            let Some(after) = rest.strip_prefix(field) else { return false };
            rest = after;
            columns.next();
        }
    }
    rest.is_empty() && columns.peek().is_none()
}

impl TableBatch {
    pub fn new(relation: Rc<Relation>) -> TableBatch {
        TableBatch {
            fits_copy: relation.fits_copy(),
            relation,
            queued: false,
            kept_room: 0,
            arena: Vec::new(),
            entries: Vec::new(),
            has_row_deletes: false,
            index: None,
        }
    }

    /// Rows held.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Bytes that its rows have room for.
    pub fn room(&self) -> usize {
        self.arena.capacity()
    }

    /// Keeps so much room for the next rows.
    pub fn clear(&mut self, room: usize) {
        self.arena.clear();
        self.arena.shrink_to(room);
        self.entries.clear();
        self.has_row_deletes = false;
        self.index = None;
        self.queued = false;
    }

    /// The rows, if nothing but inserts was added.
    pub(super) fn inserts(&self) -> Option<impl Iterator<Item = &[u8]>> {
        self.has_only_inserts().then(|| self.entries.iter().map(|entry| self.slice(&entry.row)))
    }

    /// The rows as the data of a COPY in binary format, if nothing but inserts was added.
    pub fn copy_data(&self) -> Option<&[u8]> {
        self.has_only_inserts().then_some(&self.arena[..])
    }

    fn has_only_inserts(&self) -> bool {
        self.index.is_none() && !self.has_row_deletes
    }

    /// Can its rows be sent as COPY, as far as this side can tell?
    pub fn fits_copy(&self) -> bool {
        self.fits_copy && self.has_only_inserts()
    }

    pub fn add(&mut self, change: Change<'_>) -> Added {
        match self.relation.identity {
            Identity::FullRow => {
                self.add_rows(change);
                Added::Yes
            }
            Identity::Key | Identity::Nothing | Identity::Generated => self.add_keyed(change),
        }
    }

    /// Without a key: rows out, rows in.
    fn add_rows(&mut self, change: Change<'_>) {
        let (out, row) = match change {
            Change::Insert { row } => (None, Some(row)),
            Change::Update { old, row } => (Some(old), Some(row)),
            Change::Delete { old } => (Some(old), None),
        };
        if let Some(out) = out {
            let row = self.store(out);
            self.has_row_deletes = true;
            self.entries.push(Entry { op: Op::Delete, row, key: 0..0, partial: false });
        }
        if let Some(row) = row {
            self.push_insert(row);
        }
    }

    fn add_keyed(&mut self, change: Change<'_>) -> Added {
        match change {
            Change::Insert { row } => self.add_insert(row),
            Change::Delete { old } => self.add_delete(old),
            Change::Update { old, row } => {
                let partial = Fields(row).any(is_unchanged);
                if has_key(&self.relation, row, old) {
                    self.add_update(old, row, partial)
                } else {
                    self.add_move(old, row, partial)
                }
            }
        }
    }

    fn add_insert(&mut self, row: &[u8]) -> Added {
        if self.index.is_none() {
            self.push_insert(row);
            return Added::Yes;
        }
        let key = key_of(&self.relation, row);
        let op = match self.find(&key).map(|at| self.entries[at].op) {
            None | Some(Op::Nothing) => Op::Insert,
            Some(Op::Delete) => Op::Replace,
            Some(_) => return Added::CloseFirst,
        };
        let row = self.store(row);
        self.put(&key, op, row, false);
        Added::Yes
    }

    fn add_delete(&mut self, old: &[u8]) -> Added {
        self.build_index();
        let op = match self.find(old).map(|at| self.entries[at].op) {
            None | Some(Op::Update | Op::Replace) => Op::Delete,
            Some(Op::Insert) => Op::Nothing,
            Some(Op::Delete | Op::Nothing) => return Added::CloseFirst,
        };
        self.put(old, op, 0..0, false);
        Added::Yes
    }

    fn add_update(&mut self, key: &[u8], row: &[u8], partial: bool) -> Added {
        self.build_index();
        let Some(at) = self.find(key) else {
            let row = self.store(row);
            self.put(key, Op::Update, row, partial);
            return Added::Yes;
        };
        let op = self.entries[at].op;
        if matches!(op, Op::Delete | Op::Nothing) {
            return Added::CloseFirst;
        }
        let (row, partial) = self.merge(at, row, partial);
        self.put(key, op, row, partial);
        Added::Yes
    }

    fn add_move(&mut self, old: &[u8], row: &[u8], partial: bool) -> Added {
        self.build_index();
        let at = self.find(old);
        // The rows that this batch brings itself are complete, so they can complete the moved row.
        let (row, partial) = match at.filter(|_| partial) {
            Some(at) if !self.entries[at].row.is_empty() => self.merge(at, row, partial),
            _ => (self.store(row), partial),
        };
        if partial {
            return Added::Alone;
        }
        let new_key = key_of(&self.relation, &self.arena[row.clone()]);
        let old_op = match at.map(|at| self.entries[at].op) {
            None | Some(Op::Update | Op::Replace) => Op::Delete,
            Some(Op::Insert) => Op::Nothing,
            Some(Op::Delete | Op::Nothing) => return Added::CloseFirst,
        };
        let new_op = match self.find(&new_key).map(|at| self.entries[at].op) {
            None | Some(Op::Nothing) => Op::Insert,
            Some(Op::Delete) => Op::Replace,
            Some(_) => return Added::CloseFirst,
        };
        self.put(old, old_op, 0..0, false);
        self.put(&new_key, new_op, row, false);
        Added::Yes
    }

    /// As long as all are inserts the arena is the data of a COPY: each row has the number of its fields in front.
    fn push_insert(&mut self, row: &[u8]) {
        self.store(&(self.relation.columns.len() as i16).to_be_bytes());
        let row = self.store(row);
        self.entries.push(Entry { op: Op::Insert, row, key: 0..0, partial: false });
    }

    fn store(&mut self, bytes: &[u8]) -> Range<usize> {
        let start = self.arena.len();
        self.arena.extend_from_slice(bytes);
        start..self.arena.len()
    }

    /// Stores `row` with its unchanged fields taken from the entry's row.
    fn merge(&mut self, at: usize, row: &[u8], partial: bool) -> (Range<usize>, bool) {
        if !partial {
            return (self.store(row), false);
        }
        let mut merged = Vec::with_capacity(row.len());
        for (new, old) in Fields(row).zip(Fields(&self.arena[self.entries[at].row.clone()])) {
            merged.extend_from_slice(if is_unchanged(new) { old } else { new });
        }
        let partial = Fields(&merged).any(is_unchanged);
        (self.store(&merged), partial)
    }

    fn find(&self, key: &[u8]) -> Option<usize> {
        self.index.as_ref()?.get(key).map(|at| *at as usize)
    }

    fn build_index(&mut self) {
        if self.index.is_some() {
            return;
        }
        let mut index = FastMap::with_capacity_and_hasher(self.entries.len() * 2, Default::default());
        for at in 0..self.entries.len() {
            let key = key_of(&self.relation, &self.arena[self.entries[at].row.clone()]);
            let range = self.store(&key);
            self.entries[at].key = range;
            index.insert(key.into_boxed_slice(), at as u32);
        }
        self.index = Some(index);
    }

    fn put(&mut self, key: &[u8], op: Op, row: Range<usize>, partial: bool) {
        if let Some(at) = self.find(key) {
            let entry = &mut self.entries[at];
            (entry.op, entry.row, entry.partial) = (op, row, partial);
            return;
        }
        let key_range = self.store(key);
        let at = self.entries.len() as u32;
        self.entries.push(Entry { op, row, key: key_range, partial });
        if let Some(index) = &mut self.index {
            index.insert(key.into(), at);
        }
    }

    pub(super) fn slice(&self, range: &Range<usize>) -> &[u8] {
        &self.arena[range.clone()]
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::logicalrep::relation::UNCHANGED_FIELD;

    pub fn field(text: &str) -> Vec<u8> {
        match text {
            "?" => UNCHANGED_FIELD.to_be_bytes().to_vec(),
            text => [&(text.len() as i32).to_be_bytes()[..], text.as_bytes()].concat(),
        }
    }

    pub fn row(id: &str, value: &str) -> Vec<u8> {
        [field(id), field(value)].concat()
    }

    pub fn keyed() -> TableBatch {
        TableBatch::new(Rc::new(crate::destination::fixture::relation()))
    }

    pub fn unkeyed() -> TableBatch {
        let mut relation = crate::destination::fixture::relation();
        relation.identity = Identity::FullRow;
        relation.key.clear();
        TableBatch::new(Rc::new(relation))
    }

    pub fn insert(batch: &mut TableBatch, id: &str, value: &str) -> Added {
        batch.add(Change::Insert { row: &row(id, value) })
    }

    pub fn update(batch: &mut TableBatch, old: &str, id: &str, value: &str) -> Added {
        batch.add(Change::Update { old: &field(old), row: &row(id, value) })
    }

    pub fn delete(batch: &mut TableBatch, id: &str) -> Added {
        batch.add(Change::Delete { old: &field(id) })
    }

    #[test]
    fn inserts_alone_are_not_indexed() {
        let mut batch = keyed();
        insert(&mut batch, "1", "a");
        insert(&mut batch, "2", "b");
        assert!(batch.index.is_none());
        assert_eq!(batch.net().inserts, [&row("1", "a")[..], &row("2", "b")[..]]);
    }

    #[test]
    fn a_key_is_recognized_in_its_row() {
        let mut relation = crate::destination::fixture::relation();
        assert!(has_key(&relation, &row("1", "a"), &field("1")));
        assert!(!has_key(&relation, &row("1", "a"), &field("2")));
        assert!(!has_key(&relation, &row("1", "a"), &field("12")));
        assert!(!has_key(&relation, &row("12", "a"), &field("1")));
        relation.key = vec![0, 1];
        assert!(has_key(&relation, &row("1", "a"), &row("1", "a")));
        assert!(!has_key(&relation, &row("1", "a"), &row("1", "b")));
        assert!(!has_key(&relation, &row("1", "a"), &field("1")));
        relation.key = vec![1];
        assert!(has_key(&relation, &row("1", "a"), &field("a")));
    }

    #[test]
    fn an_impossible_history_closes_the_batch() {
        let mut batch = keyed();
        delete(&mut batch, "1");
        assert_eq!(delete(&mut batch, "1"), Added::CloseFirst);
        assert_eq!(update(&mut batch, "1", "1", "x"), Added::CloseFirst);
        update(&mut batch, "2", "2", "x");
        assert_eq!(insert(&mut batch, "2", "x"), Added::CloseFirst);
    }
}
