//! One row change: which way round it is, what the WAL holds of it, and its bytes.

use pgrx::pg_sys;

use crate::logicalrep::relation::Identity;
use crate::logicalrep::{Change, Relation};
use crate::pg::{compat, guard};
use crate::tuple::encode::{Deformed, EncodeFor, OldTuple};
use crate::tuple::{Described, Scratch};

/// Room for the rows of one change.
pub(super) struct Rows {
    pub(super) scratch: Scratch,
    pub(super) new: Deformed,
    old: Deformed,
    pub(super) row: Vec<u8>,
    key: Vec<u8>,
}

/// What a row change is, and what the WAL holds of it.
#[derive(Clone, Copy)]
pub(super) struct ChangeShape {
    pub(super) is_insert: bool,
    pub(super) is_delete: bool,
    /// Does the WAL say which row was meant?
    pub(super) has_identity: bool,
    pub(super) has_new: bool,
}

impl ChangeShape {
    /// # Safety
    /// `change` is a row change of the table.
    #[inline]
    pub(super) unsafe fn of(relation: &Relation, change: *mut pg_sys::ReorderBufferChange) -> ChangeShape {
        // SAFETY: by contract.
        let (action, (old, new)) = unsafe { ((*change).action, compat::tuples(change)) };
        let is_insert = action == pg_sys::ReorderBufferChangeType::REORDER_BUFFER_CHANGE_INSERT;
        let is_delete = action == pg_sys::ReorderBufferChangeType::REORDER_BUFFER_CHANGE_DELETE;
        let (has_old, has_new) = (!old.is_null(), !new.is_null());
        let has_identity = is_insert
            || match relation.identity {
                Identity::Key => !is_delete || has_old,
                Identity::FullRow => has_old,
                Identity::Nothing | Identity::Generated => false,
            };
        ChangeShape { is_insert, is_delete, has_identity, has_new }
    }

    /// Is there all that it takes to apply it?
    #[inline]
    pub(super) fn is_complete(self) -> bool {
        self.has_identity && (self.is_delete || self.has_new)
    }

    pub(super) fn verb(self) -> &'static str {
        match (self.is_insert, self.is_delete) {
            (true, _) => "INSERT",
            (_, true) => "DELETE",
            _ => "UPDATE",
        }
    }
}

impl Rows {
    pub(super) fn new() -> Rows {
        // SAFETY: this context lives as long as the process.
        let scratch = unsafe { Scratch::new(pg_sys::TopMemoryContext, c"pg_courier row encoding") };
        Rows { scratch, new: Deformed::default(), old: Deformed::default(), row: Vec::new(), key: Vec::new() }
    }
}

/// Bytes of the last row whose room serves the next.
const MOST_KEPT: usize = 1 << 20;

impl Rows {
    /// Encodes the new row, and what identifies the old one: the old tuple where one was logged, else the unchanged key
    /// of the new one.
    ///
    /// # Safety
    /// `change` is a row change of the described table that has what it needs. Inside a guard.
    pub(super) unsafe fn encode(
        &mut self,
        described: &mut Described,
        change: *mut pg_sys::ReorderBufferChange,
        shape: ChangeShape,
    ) {
        let Rows { scratch, new, old, row, key } = self;
        for bytes in [&mut *row, &mut *key] {
            bytes.clear();
            // The room of one huge row is not kept.
            bytes.shrink_to(MOST_KEPT);
        }
        // SAFETY: by contract.
        unsafe {
            let (old_tuple, new_tuple) = compat::tuples(change);
            let has_old = !old_tuple.is_null();
            if has_old {
                old.take(old_tuple, described.desc.0);
            }
            if !shape.is_delete {
                new.take(new_tuple, described.desc.0);
            }
            scratch.run(|| {
                let before = if has_old { old.row() } else { new.row() };
                match described.relation.identity {
                    _ if shape.is_insert => {}
                    Identity::FullRow => described.encode(before, None, EncodeFor::Param, key),
                    _ => described.encode_key(before, key),
                }
                if !shape.is_delete {
                    let known = has_old.then(|| OldTuple { row: old.row(), is_full: described.is_full });
                    described.encode(new.row(), known, EncodeFor::Param, row);
                }
            });
        }
    }

    /// What was encoded last.
    #[inline]
    pub(super) fn change(&self, shape: ChangeShape) -> Change<'_> {
        match (shape.is_insert, shape.is_delete) {
            (true, _) => Change::Insert { row: &self.row },
            (_, true) => Change::Delete { old: &self.key },
            _ => Change::Update { old: &self.key, row: &self.row },
        }
    }

    /// The key of a change for a message.
    ///
    /// # Safety
    /// The tuples belong to the described table, or are null; where catalogs can be read.
    pub(super) unsafe fn show_key(
        &mut self,
        described: &Described,
        old: pg_sys::HeapTuple,
        new: pg_sys::HeapTuple,
        is_insert: bool,
    ) -> String {
        let tuple = if is_insert || old.is_null() { new } else { old };
        if tuple.is_null() {
            return "(not logged)".to_owned();
        }
        // SAFETY: by contract.
        unsafe {
            guard::guarded(|| self.new.take(tuple, described.desc.0));
            described.show_key(self.new.row())
        }
    }
}

/// # Safety
/// `change` is a row change.
pub(super) unsafe fn verb_of(change: *const pg_sys::ReorderBufferChange) -> &'static str {
    use pg_sys::ReorderBufferChangeType::{REORDER_BUFFER_CHANGE_DELETE, REORDER_BUFFER_CHANGE_INSERT};
    // SAFETY: by contract.
    match unsafe { (*change).action } {
        REORDER_BUFFER_CHANGE_INSERT => "INSERT",
        REORDER_BUFFER_CHANGE_DELETE => "DELETE",
        _ => "UPDATE",
    }
}
