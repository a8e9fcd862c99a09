//! What of a command is done aside, when it has been applied: parts of large tables that take long, and that no row needs. (So are
//! partitions that leave, in `detach.rs`, and rows of materialized views, in `refresh.rs`.)
//!
//! The model has a part that waits, as the source has it; the destination has not, or has it as it is before its last step. So what the
//! destination has is the model without the parts that wait ([`without`]), and that is what the next command on the table is compared
//! with: whatever of them is still wanted comes out of the difference again, under the names that are right then.
//!
//! ```text
//!   before, without what waits --> after, without what is to wait     run in the transaction of the command
//!                                  then with bare indexes             each by itself, CONCURRENTLY
//!                                  then with all but validations      keys that use them, comments, ATTACH, foreign keys
//!                                  then as it is                      VALIDATE CONSTRAINT
//! ```
//! A part on which another one is built takes that along: the key of an index, the foreign keys that refer to it.

mod detach;
mod items;
mod refresh;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, HashSet};

use serde::{Deserialize, Serialize};

use super::deparse::postgres::key_index;
use super::diff::{Action, ConstraintChange, Step};
use super::image::{Class, Constraint, ConstraintKind, Image, Index, ReplicaIdentity, Table};
use super::scope::Object;

pub use detach::{Detach, leaves};
pub use items::{Aside, Leftover, Statement, items};
pub use refresh::{Refresh, filled, refresh, unfilled};

/// By its oid on the source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LatePart {
    /// With the key that uses it.
    Index(u32),
    /// One that refers to a key whose index waits.
    ForeignKey(u32),
    /// Of a check or a foreign key, which is there.
    Validation(u32),
    /// A partition that leaves without keeping readers waiting.
    Detach(u32),
    /// The rows of a materialized view.
    Refresh(u32),
}

/// How much of it is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum There {
    Nothing,
    /// An index that nothing uses, and nothing is said of.
    Bare,
}

pub type LateParts = BTreeMap<LatePart, There>;

/// An image of a destination that has not got these parts.
pub fn without(image: &Image, parts: &LateParts) -> Image {
    let mut image = image.clone();
    if parts.is_empty() {
        return image;
    }
    let mut gone: HashSet<Object> = HashSet::new();
    for table in &mut image.tables {
        strip(table, parts, &mut gone);
    }
    image.comments.retain(|(class, oid, _), _| !gone.contains(&(*class, *oid)));
    image
}

fn strip(table: &mut Table, parts: &LateParts, gone: &mut HashSet<Object>) {
    let mut indexes = Vec::new();
    for index in std::mem::take(&mut table.indexes) {
        let there = parts.get(&LatePart::Index(index.oid)).copied();
        if there.is_none() {
            indexes.push(index);
            continue;
        }
        gone.insert((Class::Relation, index.oid));
        if index.is_replica_identity && table.replica_identity == ReplicaIdentity::Index {
            table.replica_identity = ReplicaIdentity::Default;
        }
        if there == Some(There::Bare) {
            indexes.push(bare(table, index));
        }
    }
    table.indexes = indexes;
    let waits = |k: &Constraint| {
        k.index.is_some_and(|index| parts.contains_key(&LatePart::Index(index)))
            || parts.contains_key(&LatePart::ForeignKey(k.oid))
    };
    gone.extend(table.constraints.iter().filter(|k| waits(k)).map(|k| (Class::Constraint, k.oid)));
    table.constraints.retain(|k| !waits(k));
    for constraint in &mut table.constraints {
        if constraint.validated && parts.contains_key(&LatePart::Validation(constraint.oid)) {
            constraint.validated = false;
            constraint.definition.push_str(NOT_VALID);
        }
    }
}

const NOT_VALID: &str = " NOT VALID";

/// As it is before anything uses it.
fn bare(table: &Table, index: Index) -> Index {
    let key = index.constraint.and_then(|oid| table.constraints.iter().find(|k| k.oid == oid));
    let definition = match key {
        Some(key) => key_index(table, key, &index),
        None => index.definition.clone(),
    };
    Index {
        constraint: None,
        definition,
        clustered: false,
        is_replica_identity: false,
        parent: None,
        statistics: Vec::new(),
        ..index
    }
}

/// What is known of the destination, and of what waits there.
pub struct Facts<'a> {
    /// What waits, of whatever table.
    pub waiting: &'a BTreeSet<LatePart>,
    /// Tables that are large there.
    pub large: &'a HashSet<u32>,
    /// Has the stream passed all copies? Tables that were copied at different moments need not fulfil a foreign key before that.
    pub fits_together: bool,
}

impl Facts<'_> {
    /// Is the validation of a constraint to wait?
    fn put_off(&self, table: &Table, constraint: &Constraint) -> bool {
        self.large.contains(&table.oid) || constraint.kind == ConstraintKind::ForeignKey && !self.fits_together
    }
}

/// Tables whose size decides about steps.
pub fn candidates(steps: &[Step]) -> BTreeSet<u32> {
    let candidate = |step: &Step| match &step.action {
        Action::CreateIndex { table, .. } => Some(table.oid),
        Action::AddConstraint { table, constraint } => is_validated_later(table, constraint).then_some(table.oid),
        Action::AlterConstraint { table, change: ConstraintChange::Validate, .. } => Some(table.oid),
        _ => None,
    };
    steps.iter().filter_map(candidate).collect()
}

/// What of the steps waits. What has waited before goes on waiting, and takes along what needs it; a key whose index was never put aside
/// is made at once however large its table is, as rows need it. So is what a partition lacks that comes under a parent: the server would
/// make it by itself, under a name of its own.
pub fn set_aside(steps: &[Step], facts: &Facts) -> BTreeSet<LatePart> {
    let coming: HashSet<u32> = steps.iter().filter_map(Step::coming).collect();
    let at_once: BTreeSet<LatePart> = steps.iter().filter_map(|step| comes_along(step, &coming)).collect();
    let mut parts: BTreeSet<LatePart> = steps.iter().filter_map(|step| waits(step, facts)).collect();
    parts.retain(|part| !at_once.contains(part));
    for step in steps {
        let Action::AddConstraint { constraint, .. } = &step.action else { continue };
        let index = constraint.index.filter(|_| constraint.kind == ConstraintKind::ForeignKey).map(LatePart::Index);
        let waits = |index| parts.contains(&index) || facts.waiting.contains(&index) && !at_once.contains(&index);
        if index.is_some_and(waits) {
            parts.insert(LatePart::ForeignKey(constraint.oid));
        }
    }
    parts
}

/// An index, or that of a key, that a partition has under one of its parent.
fn comes_along(step: &Step, coming: &HashSet<u32>) -> Option<LatePart> {
    let (table, index) = match &step.action {
        Action::CreateIndex { table, index } => (table, *index),
        Action::AddConstraint { table, constraint } if is_key(constraint) => (table, table.index(constraint.index?)?),
        _ => return None,
    };
    (index.parent.is_some() && coming.contains(&table.oid)).then_some(LatePart::Index(index.oid))
}

fn waits(step: &Step, facts: &Facts) -> Option<LatePart> {
    match &step.action {
        Action::CreateIndex { table, index } => {
            let part = LatePart::Index(index.oid);
            // That of a partitioned table has no rows: those of its partitions have.
            let is_long = facts.large.contains(&table.oid) && !table.is_partitioned && !index.is_replica_identity;
            (is_long || facts.waiting.contains(&part)).then_some(part)
        }
        Action::AddConstraint { table, constraint } if is_key(constraint) => {
            let index = table.index(constraint.index?)?;
            let part = LatePart::Index(index.oid);
            (facts.waiting.contains(&part) && key_index(table, constraint, index).is_some()).then_some(part)
        }
        Action::AddConstraint { table, constraint } => {
            let waits = facts.put_off(table, constraint) && is_validated_later(table, constraint);
            waits.then_some(LatePart::Validation(constraint.oid))
        }
        Action::AlterConstraint { table, constraint, change: ConstraintChange::Validate } => {
            let part = LatePart::Validation(constraint.oid);
            (facts.put_off(table, constraint) || facts.waiting.contains(&part)).then_some(part)
        }
        _ => None,
    }
}

/// Can it be added first, and validated afterwards? (Before 18 a foreign key of a partitioned table cannot.)
fn is_validated_later(table: &Table, constraint: &Constraint) -> bool {
    constraint.validated
        && match constraint.kind {
            ConstraintKind::Check => true,
            ConstraintKind::ForeignKey => !table.is_partitioned,
            _ => false,
        }
}

fn is_key(constraint: &Constraint) -> bool {
    matches!(constraint.kind, ConstraintKind::PrimaryKey | ConstraintKind::Unique)
}

/// All of a table that could wait.
pub fn late_parts(table: &Table) -> impl Iterator<Item = LatePart> + '_ {
    let indexes = table.indexes.iter().map(|index| LatePart::Index(index.oid));
    let constraints = table.constraints.iter().map(|k| k.oid);
    let has_left = (!table.is_partition).then_some(LatePart::Detach(table.oid));
    indexes.chain(constraints.flat_map(|oid| [LatePart::ForeignKey(oid), LatePart::Validation(oid)])).chain(has_left)
}

/// All of them as they are while nothing is done yet.
pub fn nothing_of(parts: &BTreeSet<LatePart>) -> LateParts {
    parts.iter().map(|part| (*part, There::Nothing)).collect()
}
