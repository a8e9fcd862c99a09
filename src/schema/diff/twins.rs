//! Indexes of one table that are equal but for their names.
//!
//! Where a partition comes, and where a column gets another type, the server says by itself which index of the partition belongs to which
//! one of the partitioned table: for each of those, in the order of their oids, the first that fits and is free, in the order of its oid.
//! What it has said nobody can take back.
//!
//! ```text
//!   source        p: z, a    ATTACH PARTITION c, with x, y     x under z, y under a
//!   destination   p: a, z                                      x under a, y under z
//! ```
//! So keys and indexes are made in the order of the source's oids ([`place`]). That order is not always to be had: an index was built
//! aside, or anew, or the table is of an earlier time. Then equal indexes of a partition get each other's names: as nothing but the
//! names tells them apart, that is as if the server had said it as on the source.

use std::collections::HashSet;

use super::names::temporary;
use super::{Action, ColumnChange, Comparison, Step, Subject};
use crate::logicalrep::names::shown;
use crate::schema::image::{Class, Constraint, Image, Index, Name, ReplicaIdentity, Table};
use crate::schema::kind::Kind;

/// The place of a key or an index among those of its kind.
pub fn place(index: Option<u32>) -> i64 {
    index.map(i64::from).unwrap_or_default()
}

/// Could the server take it for the index of a key? Not if there is anything but columns in it; what looks as if there were comes later,
/// as it may need a function.
pub fn may_be_of_key(index: &Index) -> bool {
    let Some(definition) = index.definition.as_deref().filter(|_| index.unique) else { return false };
    let mut is_inside = false;
    let mut is_nested = false;
    for c in definition.chars() {
        is_nested |= c == '(' && is_inside;
        is_inside = (is_inside || c == '(') && c != ')';
    }
    !is_nested && !definition.contains(" WHERE ")
}

/// The index of the topmost partitioned table that an index of a partition belongs to: when a type changes, all but this name is new.
pub fn root<'a>(image: &'a Image, index: &Index) -> Option<&'a str> {
    let above = |oid: u32| image.tables.iter().find_map(|table| table.index(oid));
    let mut root = above(index.parent?)?;
    // No circles: the server sees to that; should there be one, this ends it.
    for _ in &image.tables {
        let Some(next) = root.parent.and_then(above) else { break };
        root = next;
    }
    Some(&root.name)
}

/// But for the name.
pub fn is_like(old: &Index, new: &Index) -> bool {
    old.unique == new.unique && body(old) == body(new)
}

/// A definition without the index's own name, which it begins with.
fn body(index: &Index) -> Option<&str> {
    let definition = index.definition.as_deref()?;
    let name = shown(&index.name);
    let start = if index.unique { "CREATE UNIQUE INDEX " } else { "CREATE INDEX " };
    let rest = definition.strip_prefix(start).and_then(|rest| rest.strip_prefix(name.as_str()));
    Some(rest.unwrap_or(definition))
}

impl<'a> Comparison<'a> {
    /// Of what comes under a parent that is there, of what is made anew for another type, and of all below.
    pub(super) fn twins(&mut self) {
        let mut touched: HashSet<u32> = self.found.steps.iter().filter_map(decided_by_server).collect();
        if touched.is_empty() {
            return;
        }
        let after = self.after;
        let mut partitions: Vec<&Table> = after.tables.iter().filter(|table| table.is_partition).collect();
        partitions.sort_by_key(|table| self.depth(table));
        for table in partitions {
            if touched.contains(&table.oid) || table.parents.iter().any(|parent| touched.contains(&parent.oid)) {
                touched.insert(table.oid);
                self.twins_of(table);
            }
        }
    }

    fn twins_of(&mut self, table: &'a Table) {
        let mut rest: Vec<&Index> = table.indexes.iter().filter(|index| index.is_made()).collect();
        rest.sort_by_key(|index| index.oid);
        while let Some(first) = rest.first().copied() {
            let (equal, others): (Vec<&Index>, Vec<&Index>) =
                rest.into_iter().partition(|index| is_twin(table, first, index));
            rest = others;
            if equal.len() > 1 {
                self.exchange(table, equal);
            }
        }
    }

    /// One after another gets what is under its parent; what has got it stays.
    fn exchange(&mut self, table: &'a Table, mut equal: Vec<&'a Index>) {
        // Those that belong to none are only there to be taken.
        equal.sort_by_key(|index| (self.parent_of(table, index).is_none(), index.oid));
        let mut is_any = false;
        for (at, index) in equal.iter().enumerate() {
            let Some(parent) = self.parent_of(table, index) else { break };
            for other in &equal[at + 1..] {
                self.exchange_both(table, (index, other), parent.clone());
                is_any = true;
            }
        }
        if is_any {
            self.say_again(table, &equal);
        }
    }

    fn parent_of(&self, table: &'a Table, index: &Index) -> Option<Name> {
        let oid = index.parent?;
        let mut parents = self.family.parents(table);
        let name = |of: &Table| {
            let index = of.index(oid).filter(|index| index.is_made())?;
            Some(Name::new(&of.name.schema, &index.name))
        };
        parents.find_map(|(parent, _)| name(parent))
    }

    /// The other legs follow where there is something under the name between.
    fn exchange_both(&mut self, table: &'a Table, (index, other): (&'a Index, &'a Index), parent: Name) {
        let of = |name: &str| Subject::index(&table.name, name);
        let between = temporary(index.oid);
        let legs: [(&str, &str, &str, _); 3] = [
            (&index.name, &between, &other.name, Some(parent)),
            (&other.name, &index.name, &between, None),
            (&between, &other.name, &between, None),
        ];
        for (from, to, beside, parent) in legs {
            let (subject, other) = (of(from), of(beside));
            let leg = Action::RenameBeside { subject, to: to.to_owned().into(), other, parent };
            // Parents first, then in the order in which they were said.
            let level = (self.depth(table) << 32) + self.found.steps.len() as i64;
            self.step(Kind::IndexExchange, level, leg);
        }
    }

    /// What was said of an index stays with it when its name goes.
    fn say_again(&mut self, table: &'a Table, equal: &[&'a Index]) {
        let addresses = equal.iter().flat_map(|index| {
            let constraint = index.constraint.map(|oid| (Class::Constraint, oid));
            [Some((Class::Relation, index.oid)), constraint].into_iter().flatten()
        });
        let addresses: Vec<_> = addresses.collect();
        for class in [Class::Relation, Class::Constraint] {
            let of_class = addresses.iter().copied().filter(|(of, _)| *of == class);
            if of_class.clone().any(|(class, oid)| self.after.comments.contains_key(&(class, oid, 0))) {
                self.exchanged.extend(of_class);
            }
        }
        if let Some(index) = equal.iter().find(|index| index.clustered) {
            self.step(Kind::Cluster, 0, Action::Cluster { table, index });
        }
        let identity = equal.iter().find(|index| index.is_replica_identity);
        if let Some(index) = identity.filter(|_| table.replica_identity == ReplicaIdentity::Index) {
            self.step(Kind::ReplicaIdentity, 0, Action::IdentifyReplica { table, index: Some(index) });
        }
    }
}

/// Where the server says what belongs to what.
fn decided_by_server(step: &Step) -> Option<u32> {
    match &step.action {
        Action::AlterColumn { table, change: ColumnChange::Type { .. }, .. } => Some(table.oid),
        _ => step.coming(),
    }
}

fn is_twin(table: &Table, index: &Index, other: &Index) -> bool {
    let key = |index: &Index| table.constraints.iter().find(|k| Some(k.oid) == index.constraint);
    let is_like_key = |key: &Constraint, other: &Constraint| {
        (key.kind, &key.definition, &key.columns) == (other.kind, &other.definition, &other.columns)
    };
    let is_equal = match (key(index), key(other)) {
        (Some(key), Some(other)) => is_like_key(key, other),
        (None, None) => index.definition.is_some() && is_like(index, other),
        _ => false,
    };
    is_equal && (&index.options, &index.statistics) == (&other.options, &other.statistics)
}
