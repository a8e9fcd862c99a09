//! A table that is in both images: what changes in it, by its oid and the numbers of its columns; and tables that go.

use super::names::{RELATIONS, TYPES};
use super::{Action, Comparison, Subject, TableChange};
use crate::schema::image::{ConstraintKind, StorageOption, Table};
use crate::schema::kind::Kind;

impl<'a> Comparison<'a> {
    pub(super) fn alter_table(&mut self, old: &'a Table, table: &'a Table) {
        self.renames.go(table.oid, RELATIONS | TYPES, &old.name, &table.name, Subject::Table);
        self.columns(old, table);
        self.parents(old, table);
        self.type_of(old, table);
        if old.access_method != table.access_method {
            let change = TableChange::AccessMethod;
            self.step(Kind::TableSettings, -1, Action::AlterTable { table, change });
        }
        if old.unlogged != table.unlogged {
            self.step(Kind::TableSettings, 0, Action::SetPersistence { table });
        }
        self.storage_options(old, table);
        self.expect(Subject::Table(table.name.cow()), &old.is_partitioned, &table.is_partitioned);
    }

    /// A typed table takes no columns of its own: it is one of no type before columns come, and one of a type when it has them.
    fn type_of(&mut self, old: &'a Table, table: &'a Table) {
        let before = old.of_type.as_deref().map(|of| self.renames.type_name(of));
        if before.as_deref() == table.of_type.as_deref() {
            return;
        }
        if before.is_some() {
            let change = TableChange::NotOfType;
            self.step(Kind::NotOfType, 0, Action::AlterTable { table, change });
        }
        if table.of_type.is_some() {
            let change = TableChange::OfType;
            self.step(Kind::OfType, 0, Action::AlterTable { table, change });
        }
    }

    /// Partitions and children that come, go, or have another bound under the same parent.
    fn parents(&mut self, old: &'a Table, table: &'a Table) {
        let has_other_bound = old.is_partition && table.is_partition && old.bound != table.bound;
        let stays = |oid: u32| !has_other_bound && table.parents.iter().any(|now| now.oid == oid);
        for parent in old.parents.iter().filter(|parent| !stays(parent.oid)) {
            let is_kept = table.parents.iter().any(|now| now.oid == parent.oid);
            let bound = table.bound.as_deref().filter(|_| is_kept);
            if let Some(parent) = self.before.tables.iter().find(|table| table.oid == parent.oid) {
                let parent = &parent.name;
                self.step(Kind::Detach, 0, Action::DetachTable { table: old, parent, bound });
            }
        }
        let was_there = |oid: u32| !has_other_bound && old.parents.iter().any(|before| before.oid == oid);
        let parents: Vec<(&'a Table, i64)> = self.family.parents(table).collect();
        for (parent, position) in parents.into_iter().filter(|(parent, _)| !was_there(parent.oid)) {
            self.attach(table, parent, position);
        }
    }

    /// Under a partitioned table that is there already a partition comes when it has its keys and indexes: those that match the parent's
    /// are attached then, while the server would make others, under names of its own.
    pub(super) fn attach(&mut self, table: &'a Table, parent: &'a Table, position: i64) {
        let kind = match (table.is_partition, self.is_there(parent)) {
            (true, true) => Kind::PartitionOfOld,
            (true, false) => Kind::Partition,
            (false, _) => Kind::Inherit,
        };
        self.step(kind, table.level * 100 + position, Action::AttachTable { table, parent });
    }

    fn storage_options(&mut self, old: &'a Table, table: &'a Table) {
        let changed: Vec<&StorageOption> = table.options.iter().filter(|o| !old.options.contains(o)).collect();
        let is_kept = |option: &&StorageOption| {
            table.options.iter().any(|now| (now.of_toast, &now.name) == (option.of_toast, &option.name))
        };
        let gone: Vec<&StorageOption> = old.options.iter().filter(|option| !is_kept(option)).collect();
        if !changed.is_empty() {
            self.step(Kind::TableSettings, 1, Action::SetOptions { table, options: changed });
        }
        if !gone.is_empty() {
            self.step(Kind::TableSettings, 2, Action::ResetOptions { table, options: gone });
        }
    }

    /// Children first, and no foreign key from one to another.
    pub(super) fn drop_tables(&mut self, tables: &[&'a Table]) {
        for table in tables {
            let depth = self.old_depth(table);
            self.step(Kind::Drop, -depth, Action::Drop(Subject::Table(table.name.cow())));
            let keys = table.constraints.iter().filter(|k| k.kind == ConstraintKind::ForeignKey);
            for key in keys.filter(|key| tables.len() > 1 && key.parent_table.is_none()) {
                self.step(Kind::DropPart, depth, Action::Drop(Subject::constraint(&table.name, &key.name)));
            }
        }
    }
}
