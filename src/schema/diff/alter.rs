//! A table that is in both images: what changes in it, by its oid and the numbers of its columns.

use super::{Action, ColumnChange, Comparison, Subject, pairs};
use crate::schema::image::{Column, StorageOption, Table};
use crate::schema::kind::Kind;

impl<'a> Comparison<'a> {
    pub(super) fn alter_table(&mut self, old: &'a Table, table: &'a Table) {
        self.move_to(Subject::Table, &old.name, &table.name);
        for (before, after) in pairs(&old.columns, &table.columns, |column| column.attnum) {
            match (before, after) {
                (None, Some(column)) => {
                    let definition = self.definition(table, self.family.style(table), column);
                    self.step(Kind::Column, table.level, Action::AddColumn { table, definition });
                }
                (Some(before), None) => {
                    self.step(Kind::DropPart, 5, Action::Drop(Subject::Column(&old.name, &before.name)));
                }
                (Some(before), Some(after)) => self.alter_column(table, before, after),
                (None, None) => {}
            }
        }
        self.parents(old, table);
        self.storage_options(old, table);
        if old.unlogged != table.unlogged {
            self.step(Kind::TableSettings, 0, Action::SetPersistence { table });
        }
        self.expect(Subject::Table(table.name.cow()), &said_of(old, table), table);
    }

    fn alter_column(&mut self, table: &'a Table, old: &'a Column, column: &'a Column) {
        self.rename_part(Subject::Column(&table.name, &old.name), &old.name, &column.name);
        let mut said = Column {
            name: column.name.clone(),
            is_local: column.is_local,
            default_oid: column.default_oid,
            missing: column.missing.clone(),
            ..old.clone()
        };
        if self.has_named_not_null {
            // The constraint is what changes.
            said.not_null = column.not_null;
        }
        for (kind, change) in changes(old, column, self.has_named_not_null) {
            said = said_by(said, &change, column);
            self.step(kind, 0, Action::AlterColumn { table, column, change });
        }
        self.expect(Subject::Column(&table.name, &column.name), &said, column);
    }

    fn parents(&mut self, old: &'a Table, table: &'a Table) {
        let kind = if table.is_partition { Kind::Partition } else { Kind::Inherit };
        let parents: Vec<(&'a Table, i64)> = self.family.parents(table).collect();
        for (parent, position) in parents {
            if !old.parents.iter().any(|p| p.oid == parent.oid) {
                self.step(kind, table.level * 100 + position, Action::AttachTable { table, parent });
            }
        }
        let gone = old.parents.iter().filter(|p| !table.parents.iter().any(|now| now.oid == p.oid));
        for parent in gone.filter_map(|p| self.before.tables.iter().find(|table| table.oid == p.oid)) {
            self.step(Kind::Detach, 0, Action::DetachTable { table: old, parent: &parent.name });
        }
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
}

fn changes<'a>(
    old: &'a Column,
    column: &'a Column,
    has_named_not_null: bool,
) -> impl Iterator<Item = (Kind, ColumnChange<'a>)> {
    let is_default = old.generated.is_none() && column.generated.is_none();
    let gone: Vec<&str> = old
        .options
        .iter()
        .map(|(name, _)| name.as_str())
        .filter(|name| !column.options.iter().any(|(other, _)| other == name))
        .collect();
    let changes = [
        ((&old.type_name, &old.collation) != (&column.type_name, &column.collation))
            .then_some((Kind::ColumnType, ColumnChange::Type)),
        (old.expression != column.expression && is_default)
            .then_some((Kind::ColumnDefault, ColumnChange::Default(column.expression.as_deref()))),
        (old.not_null != column.not_null && !has_named_not_null)
            .then_some((Kind::ColumnNotNull, ColumnChange::NotNull(column.not_null))),
        (old.storage != column.storage && column.storage.is_some())
            .then_some((Kind::ColumnStorage, ColumnChange::Storage)),
        (old.statistics != column.statistics).then_some((Kind::ColumnStatistics, ColumnChange::Statistics)),
        (!gone.is_empty()).then_some((Kind::ColumnOptions, ColumnChange::ResetOptions(gone))),
        (old.options != column.options && !column.options.is_empty())
            .then_some((Kind::ColumnOptions, ColumnChange::Options)),
        (old.compression != column.compression && column.compression.is_some())
            .then_some((Kind::ColumnCompression, ColumnChange::Compression)),
    ];
    changes.into_iter().flatten()
}

fn said_by(said: Column, change: &ColumnChange, column: &Column) -> Column {
    match change {
        ColumnChange::Type => Column {
            type_oid: column.type_oid,
            type_name: column.type_name.clone(),
            collation: column.collation.clone(),
            ..said
        },
        ColumnChange::Default(_) => Column { expression: column.expression.clone(), ..said },
        ColumnChange::NotNull(not_null) => Column { not_null: *not_null, ..said },
        ColumnChange::Storage => Column { storage: column.storage, ..said },
        ColumnChange::Statistics => Column { statistics: column.statistics, ..said },
        ColumnChange::Options | ColumnChange::ResetOptions(_) => Column { options: column.options.clone(), ..said },
        ColumnChange::Compression => Column { compression: column.compression, ..said },
    }
}

/// What steps make of the former table, apart from its parts, which are compared by themselves. A partition's bound comes and goes with
/// its place under the partitioned table.
fn said_of(old: &Table, table: &Table) -> Table {
    let is_moved = old.parents != table.parents;
    Table {
        oid: old.oid,
        is_partitioned: old.is_partitioned,
        is_partition: if is_moved { table.is_partition } else { old.is_partition },
        of_type: old.of_type.clone(),
        access_method: old.access_method.clone(),
        partition_key: old.partition_key.clone(),
        bound: if is_moved { table.bound.clone() } else { old.bound.clone() },
        ..table.clone()
    }
}
