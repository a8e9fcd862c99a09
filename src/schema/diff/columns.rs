//! Columns of a table that is in both images, by their numbers. What the server does to the columns of children by itself (add, drop,
//! rename, another type) is asked of the parent; the children's own steps come after and are not needed then.

use super::casts::{Castable, is_by_text};
use super::table::Value;
use super::{Action, ColumnChange, Comparison, Subject, Way, pairs};
use crate::schema::image::{Column, Image, Name, Sequence, Table};
use crate::schema::inherit::Style;
use crate::schema::kind::Kind;

/// Places among the parts that go: what needs a column before the column, a generated one before those that it is made of.
const GENERATED: i64 = 70_000;
const PLAIN: i64 = 80_000;

impl<'a> Comparison<'a> {
    pub(super) fn columns(&mut self, old: &'a Table, table: &'a Table) {
        let mut renamed = Vec::new();
        for (before, after) in pairs(&old.columns, &table.columns, |column| column.attnum) {
            match (before, after) {
                (None, Some(column)) => self.add_column(table, column),
                (Some(before), None) => self.drop_column(old, table, before),
                (Some(before), Some(after)) => {
                    renamed.push((after.attnum as u32, before.name.as_str(), after.name.as_str()));
                    self.alter_column(table, before, after);
                }
                (None, None) => {}
            }
        }
        self.rename_inside(self.depth(table), renamed, |from, to| Action::Rename {
            subject: Subject::Column(&table.name, from),
            to,
            way: Way::default(),
        });
    }

    /// Rows that are there get the value that they have on the source, where that is known; the default comes after it.
    fn add_column(&mut self, table: &'a Table, column: &'a Column) {
        // In their order, of parents first.
        const MOST: i64 = 2_000;
        let level = self.depth(table);
        let place = level * MOST + i64::from(column.attnum);
        let mut definition = self.definition(table, Style::Plain, column);
        let is_plain = column.generated.is_none() && column.identity.is_none();
        let missing = column.missing.as_deref().filter(|_| is_plain);
        let expression = column.expression.as_deref();
        if is_plain {
            definition.value = missing.map(Value::Missing).or(expression.map(Value::Default));
        }
        let of_parent = self.family.column_of_parent(table, column);
        let is_other = of_parent.is_some_and(|parent| parent.expression != column.expression);
        self.step(Kind::Column, place, Action::AddColumn { table, definition });
        if is_plain && (missing.is_some() || is_other) {
            let change = ColumnChange::Default(expression);
            self.step(Kind::ColumnDefault, level, Action::AlterColumn { table, column, change });
        }
        self.settings(table, column);
    }

    /// Children have their own column of that name where they keep it.
    fn drop_column(&mut self, old: &'a Table, table: &'a Table, column: &'a Column) {
        let subject = Subject::column(&old.name, &column.name);
        let is_kept = self.children_of(table).any(|child| child.columns.iter().any(|c| c.name == column.name));
        let action = if is_kept { Action::DropOnly(subject) } else { Action::Drop(subject) };
        let place = if column.generated.is_some() { GENERATED } else { PLAIN };
        self.step(Kind::DropPart, place + self.depth(table), action);
    }

    fn alter_column(&mut self, table: &'a Table, old: &'a Column, column: &'a Column) {
        let depth = self.depth(table);
        self.column_type(table, depth, old, column);
        self.column_value(table, depth, old, column);
        let has_named_not_null = self.has_named_not_null();
        for (kind, change) in settings(old, column, has_named_not_null) {
            self.step(kind, depth, Action::AlterColumn { table, column, change });
        }
        if old.generated.is_none() && column.generated.is_some() {
            self.found.unsaid.push(Subject::column(&table.name, &column.name));
        }
    }

    /// Does it have another type, or collation, and not only under another name?
    fn is_retyped(&self, old: &Column, column: &Column) -> bool {
        // Another type of the same name is another type.
        let is_other = old.type_oid != column.type_oid && old.type_name == column.type_name;
        is_other
            || self.renames.type_name(&old.type_name) != column.type_name
            || self.collation_is_other(old.collation.as_ref(), column.collation.as_ref())
    }

    pub(super) fn collation_is_other(&self, old: Option<&Name>, new: Option<&Name>) -> bool {
        let is_renamed = |old: &Name, new: &Name| {
            let mut both = self.before.collations.iter().filter(|c| c.name == *old);
            both.any(|old| self.after.collations.iter().any(|c| c.oid == old.oid && c.name == *new))
        };
        match (old, new) {
            (Some(old), Some(new)) => self.renames.name(old) != *new && !is_renamed(old, new),
            (old, new) => old.is_some() != new.is_some(),
        }
    }

    /// Are there columns of another type in the table? The server makes what depends on them anew.
    pub(super) fn retypes(&self, old: &Table, table: &Table) -> bool {
        let both = pairs(&old.columns, &table.columns, |column| column.attnum);
        both.into_iter().filter_map(|(old, new)| old.zip(new)).any(|(old, new)| self.is_retyped(old, new))
    }

    fn column_type(&mut self, table: &'a Table, depth: i64, old: &'a Column, column: &'a Column) {
        if !self.is_retyped(old, column) {
            return;
        }
        // The former default need not be a value of the new type.
        let has_default = old.generated.is_none() && old.expression.is_some() && old.expression != column.expression;
        if has_default {
            let change = ColumnChange::ForgetDefault;
            self.step(Kind::ColumnType, depth - 1_000, Action::AlterColumn { table, column, change });
        }
        let by_text = is_by_text(castable(self.before, old.type_oid), castable(self.after, column.type_oid));
        let change = ColumnChange::Type { by_text };
        self.step(Kind::ColumnType, depth, Action::AlterColumn { table, column, change });
    }

    /// What new rows have in it: a default, a generated value, an identity. What it was goes before what it is now. Before 17 nothing
    /// changes what a column is generated from but a name in it.
    fn column_value(&mut self, table: &'a Table, depth: i64, old: &'a Column, column: &'a Column) {
        let expression = column.expression.as_deref();
        let is_other = old.expression != column.expression;
        let default = (Kind::ColumnDefault, ColumnChange::Default(expression));
        let changes = match (old.generated, column.generated, expression) {
            (Some(_), None, None) => vec![(Kind::ColumnExpression, ColumnChange::DropExpression)],
            (Some(_), None, Some(_)) => vec![(Kind::ColumnExpression, ColumnChange::DropExpression), default],
            (Some(_), Some(_), Some(expression)) if is_other && self.major >= 17 => {
                vec![(Kind::ColumnExpression, ColumnChange::SetExpression(expression))]
            }
            (None, None, _) if is_other => vec![default],
            _ => Vec::new(),
        };
        for (kind, change) in changes.into_iter().chain(identity(old, column)) {
            self.step(kind, depth, Action::AlterColumn { table, column, change });
        }
        let sequences = (sequence_of(old), sequence_of(column));
        match sequences {
            (None, Some(sequence)) if sequence.type_oid != column.type_oid => {
                self.step(Kind::IdentitySequence, 1, Action::BoundSequence(sequence));
            }
            (Some(before), Some(after)) => self.identity_sequence(before, after),
            _ => {}
        }
    }

    fn identity_sequence(&mut self, old: &'a Sequence, new: &'a Sequence) {
        if old.oid == new.oid {
            let names = (old.name.name.as_str(), new.name.name.as_str());
            self.renames.follow(new.oid, (&old.name.schema, &new.name.schema), names, Subject::Sequence);
        }
        self.sequence_options(old, new);
    }
}

fn castable(image: &Image, oid: u32) -> Castable {
    Castable { oid, is_domain: image.types.iter().any(|of| of.oid == oid && of.is_domain()) }
}

fn sequence_of(column: &Column) -> Option<&Sequence> {
    column.identity.as_ref()?.sequence.as_deref()
}

fn identity<'a>(old: &'a Column, column: &'a Column) -> Option<(Kind, ColumnChange<'a>)> {
    match (&old.identity, &column.identity) {
        (Some(_), None) => Some((Kind::ColumnExpression, ColumnChange::DropIdentity)),
        // One that has no sequence yet is no identity: so a table is that is written anew with the column.
        (before, Some(identity)) if before.as_ref().is_none_or(|before| before.sequence.is_none()) => {
            let sequence = identity.sequence.as_deref()?;
            Some((Kind::ColumnIdentity, ColumnChange::AddIdentity { identity, sequence }))
        }
        (Some(before), Some(after)) if before.always != after.always => {
            Some((Kind::ColumnIdentity, ColumnChange::SetIdentity { always: after.always }))
        }
        _ => None,
    }
}

/// What a column has besides its type and its value. 18 says NOT NULL with constraints.
fn settings<'a>(
    old: &'a Column,
    column: &'a Column,
    has_named_not_null: bool,
) -> impl Iterator<Item = (Kind, ColumnChange<'a>)> {
    let is_kept = |name: &str| column.options.iter().any(|(other, _)| other == name);
    let gone: Vec<&str> = old.options.iter().map(|(name, _)| name.as_str()).filter(|name| !is_kept(name)).collect();
    let has_new = column.options.iter().any(|option| !old.options.contains(option));
    let changes = [
        (old.not_null != column.not_null && !has_named_not_null)
            .then_some((Kind::ColumnNotNull, ColumnChange::NotNull(column.not_null))),
        (old.storage != column.storage).then_some((Kind::ColumnStorage, ColumnChange::Storage)),
        (old.statistics != column.statistics).then_some((Kind::ColumnStatistics, ColumnChange::Statistics)),
        (!gone.is_empty()).then_some((Kind::ColumnOptions, ColumnChange::ResetOptions(gone))),
        has_new.then_some((Kind::ColumnOptions, ColumnChange::Options)),
        (old.compression != column.compression).then_some((Kind::ColumnCompression, ColumnChange::Compression)),
    ];
    changes.into_iter().flatten()
}
