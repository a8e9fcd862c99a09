//! Indexes of tables. One that was built anew by REINDEX CONCURRENTLY or with a column's type has another oid and is the same.

use super::constraints::has_index;
use super::matching::{self, Likeness};
use super::parts::drop_unless;
use super::twins::{self, is_like};
use super::{Action, Comparison, IndexChange, Subject};
use crate::schema::image::{Class, Index, Name, Table};
use crate::schema::kind::Kind;

/// Its place among the parts that go: after keys, before columns.
const INDEX: i64 = 60_000;

impl<'a> Comparison<'a> {
    pub(super) fn indexes(&mut self, old: Option<&'a Table>, table: &'a Table) {
        let Some(old) = old else {
            for index in table.indexes.iter().filter(|index| index.is_made()) {
                self.create_index(table, index);
            }
            return;
        };
        let is_retyped = self.retypes(old, table);
        let (before, after) = (self.before, self.after);
        let likeness = Likeness::<Index> {
            oid: |index| index.oid,
            name: |index| &index.name,
            is_same: &|old, new| {
                old.constraint.is_some() == new.constraint.is_some() && (is_retyped || is_like(old, new))
            },
            is_like: &|old, new| {
                let roots = is_retyped.then(|| twins::root(before, old).zip(twins::root(after, new))).flatten();
                old.definition.is_some() && roots.map_or_else(|| is_like(old, new), |(old, new)| old == new)
            },
        };
        for (before, after) in matching::parts(&old.indexes, &table.indexes, &likeness) {
            match (before, after) {
                (None, Some(index)) if index.is_made() => self.create_index(table, index),
                // That of a constraint goes with it.
                (Some(before), None) if before.constraint.is_none() => {
                    let subject = Subject::index(&old.name, &before.name);
                    let another = table.indexes.iter().find(|index| index.name == before.name);
                    let action = drop_unless(subject, another.and_then(|index| index.definition.as_deref()));
                    self.step(Kind::DropPart, INDEX + self.depth(table), action);
                }
                (Some(before), Some(after)) => {
                    self.same(Class::Relation, before.oid, after.oid);
                    self.alter_index((old, before), (table, after));
                }
                _ => {}
            }
        }
        let has_clustered = |table: &Table| table.indexes.iter().any(|index| index.clustered);
        if has_clustered(old) && !has_clustered(table) {
            self.step(Kind::Cluster, 0, Action::Uncluster { table });
        }
    }

    fn create_index(&mut self, table: &'a Table, index: &'a Index) {
        if index.constraint.is_none() {
            // Views, which are made later, have no keys.
            let is_beside_keys = self.family.has(table.oid) && twins::may_be_of_key(index);
            let kind = if is_beside_keys { Kind::UniqueIndex } else { Kind::Index };
            self.step(kind, twins::place(Some(index.oid)), Action::CreateIndex { table, index });
        }
        self.attach_index(table, index);
        for statistics in &index.statistics {
            self.step(Kind::IndexStatistics, 0, Action::SetIndexStatistics { table, index, statistics });
        }
        if index.clustered {
            self.step(Kind::Cluster, 0, Action::Cluster { table, index });
        }
    }

    fn alter_index(&mut self, (old, before): (&'a Table, &'a Index), (table, index): (&'a Table, &'a Index)) {
        if !index.is_made() {
            return;
        }
        let is_of_same_key = |k: &crate::schema::image::Constraint| has_index(k) && k.index == Some(before.oid);
        let was_made = before.is_made() && !old.constraints.iter().any(|k| is_of_same_key(k) && k.blocked);
        if !was_made {
            self.renewed.insert((Class::Relation, index.oid));
            return self.create_index(table, index);
        }
        // The constraint gives it its name.
        if !self.is_used_now(before, index) {
            let schemas = (old.name.schema.as_str(), table.name.schema.as_str());
            self.renames.follow(index.oid, schemas, (&before.name, &index.name), Subject::Index);
        }
        if before.parent.is_none() {
            self.attach_index(table, index);
        }
        if index.clustered && !before.clustered {
            self.step(Kind::Cluster, 0, Action::Cluster { table, index });
        }
        self.index_settings(before, table, index);
        self.expect(Subject::index(&table.name, &index.name), &before.unique, &index.unique);
    }

    fn index_settings(&mut self, before: &'a Index, table: &'a Table, index: &'a Index) {
        let is_kept = |name: &str| index.options.iter().any(|(other, _)| other == name);
        let names = before.options.iter().map(|(name, _)| name.as_str());
        let gone: Vec<&str> = names.filter(|name| !is_kept(name)).collect();
        if !gone.is_empty() {
            let change = IndexChange::ResetOptions(gone);
            self.step(Kind::IndexSettings, 0, Action::AlterIndex { table, index, change });
        }
        if index.options.iter().any(|option| !before.options.contains(option)) {
            self.step(Kind::IndexSettings, 1, Action::AlterIndex { table, index, change: IndexChange::Options });
        }
        for statistics in index.statistics.iter().filter(|target| !before.statistics.contains(target)) {
            self.step(Kind::IndexStatistics, 0, Action::SetIndexStatistics { table, index, statistics });
        }
        let is_set = |attnum| index.statistics.iter().any(|target| target.attnum == attnum);
        for statistics in before.statistics.iter().filter(|target| !is_set(target.attnum)) {
            let change = IndexChange::ResetStatistics(statistics);
            self.step(Kind::IndexStatistics, 0, Action::AlterIndex { table, index, change });
        }
    }

    /// Under the index of the partitioned table that it belongs to.
    fn attach_index(&mut self, table: &'a Table, index: &'a Index) {
        let found = index.parent.and_then(|parent| {
            let of = |of: &'a Table| Some((of, of.index(parent).filter(|index| index.is_made())?));
            self.family.parents(table).find_map(|(parent, _)| of(parent))
        });
        if let Some((of, parent)) = found {
            let kind = if self.is_attached_now(of) { Kind::IndexOfSubtree } else { Kind::IndexPartition };
            let parent = Name::new(&of.name.schema, &parent.name);
            self.step(kind, -self.depth(table), Action::AttachIndex { table, index, parent });
        }
    }

    /// Does the table become a partition of one that is there?
    fn is_attached_now(&self, table: &'a Table) -> bool {
        let old = self.before.tables.iter().find(|old| old.oid == table.oid);
        let was_under = |parent: &Table| old.is_some_and(|old| old.parents.iter().any(|p| p.oid == parent.oid));
        table.is_partition && self.family.parents(table).any(|(parent, _)| self.is_there(parent) && !was_under(parent))
    }
}
