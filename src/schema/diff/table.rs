//! Creating a table: which columns and constraints stand in CREATE TABLE, and what is set once all tables exist.

use super::{Action, ColumnChange, Comparison};
use crate::schema::image::{Column, Constraint, ConstraintKind, Identity, Name, Sequence, Table};
use crate::schema::inherit::Style;
use crate::schema::kind::Kind;

/// What stands between the parentheses.
#[derive(Clone, Debug)]
pub enum Element<'a> {
    Column(ColumnDefinition<'a>),
    Constraint(&'a Constraint),
}

#[derive(Clone, Debug)]
pub struct ColumnDefinition<'a> {
    pub column: &'a Column,
    /// The type comes from the type of the table (`OF`).
    pub is_typed: bool,
    pub value: Option<Value<'a>>,
    pub not_null: NotNull<'a>,
}

#[derive(Clone, Debug)]
pub enum Value<'a> {
    Default(&'a str),
    /// What rows that are there have, as a constant: the default is set afterwards.
    Missing(&'a str),
    Stored(&'a str),
    Virtual(&'a str),
    Identity {
        identity: &'a Identity,
        sequence: &'a Sequence,
    },
}

#[derive(Clone, Debug)]
pub enum NotNull<'a> {
    No,
    Unnamed,
    /// Since 18.
    Named(&'a Constraint),
}

impl<'a> Comparison<'a> {
    pub(super) fn create_table(&mut self, table: &'a Table) {
        let style = self.family.style(table);
        let elements = self.elements(table, style);
        let parents: Vec<&'a Name> = match style {
            Style::Inherits => self.family.parents(table).map(|(parent, _)| &parent.name).collect(),
            Style::Plain | Style::Attach => Vec::new(),
        };
        self.step(Kind::Table, table.level, Action::CreateTable { table, elements, parents });
        for column in &table.columns {
            self.late_default(table, column);
            self.settings(table, column);
        }
        if !self.has_named_not_null() && style == Style::Inherits {
            for column in self.family.only_not_null_here(table) {
                let change = ColumnChange::NotNull(true);
                self.step(Kind::ColumnNotNull, table.level, Action::AlterColumn { table, column, change });
            }
        }
        if style == Style::Attach {
            let parents: Vec<(&'a Table, i64)> = self.family.parents(table).collect();
            for (parent, position) in parents {
                self.attach(table, parent, position);
            }
        }
    }

    /// Defaults of columns in an inheritance tree: inside CREATE TABLE a child would take over its parents' defaults, and be refused
    /// where two parents disagree; set afterwards and with ONLY, each table has its own or none. From a parent that is there already
    /// it has got one.
    fn late_default(&mut self, table: &'a Table, column: &'a Column) {
        if column.generated.is_some() || !self.family.is_shared(table, column) {
            return;
        }
        let is_given = |parent: &Table| {
            let same = parent.columns.iter().find(|c| c.name == column.name);
            same.is_some_and(|same| same.expression.is_some()) && self.is_there(parent)
        };
        let change = match column.expression.as_deref() {
            expression if self.family.parents(table).any(|(parent, _)| is_given(parent)) => {
                ColumnChange::Default(expression)
            }
            Some(expression) => ColumnChange::FirstDefault(expression),
            None => return,
        };
        self.step(Kind::ColumnDefault, 0, Action::AlterColumn { table, column, change });
    }

    /// What a new column has besides.
    pub(super) fn settings(&mut self, table: &'a Table, column: &'a Column) {
        let settings = [
            (column.storage.is_some(), Kind::ColumnStorage, ColumnChange::Storage),
            (column.statistics.is_some(), Kind::ColumnStatistics, ColumnChange::Statistics),
            (!column.options.is_empty(), Kind::ColumnOptions, ColumnChange::Options),
            (column.compression.is_some(), Kind::ColumnCompression, ColumnChange::Compression),
        ];
        for (_, kind, change) in settings.into_iter().filter(|(is_set, ..)| *is_set) {
            self.step(kind, 0, Action::AlterColumn { table, column, change });
        }
        if let Some(sequence) = column.identity.as_ref().and_then(|identity| identity.sequence.as_deref())
            && sequence.type_oid != column.type_oid
        {
            self.step(Kind::IdentitySequence, 1, Action::BoundSequence(sequence));
        }
    }

    fn elements(&self, table: &'a Table, style: Style) -> Vec<Element<'a>> {
        let shown: Vec<&Column> = table.columns.iter().filter(|column| self.is_shown(table, style, column)).collect();
        let columns = shown.iter().map(|column| self.definition(table, style, column)).filter(|d| !d.is_nothing());
        let mut elements: Vec<Element> = columns.map(Element::Column).collect();
        let checks = self.family.checks(table).into_iter().filter(|check| {
            let constraint = check.constraint;
            let is_of_shown = shown.iter().any(|column| constraint.columns.first() == Some(&column.attnum));
            constraint.validated
                && (check.is_local || style == Style::Attach)
                && (constraint.kind == ConstraintKind::Check || !is_of_shown)
        });
        elements.extend(checks.map(|check| Element::Constraint(check.constraint)));
        elements
    }

    /// The others come from a parent.
    fn is_shown(&self, table: &Table, style: Style, column: &Column) -> bool {
        let parent = self.family.inherited_from(table, column);
        style != Style::Inherits
            || column.is_local
            || parent.is_none_or(|parent| column.generated.is_some() && column.expression != parent.expression)
    }

    pub(super) fn definition(&self, table: &'a Table, style: Style, column: &'a Column) -> ColumnDefinition<'a> {
        ColumnDefinition {
            column,
            is_typed: table.of_type.is_some(),
            value: self.value(table, style, column),
            not_null: self.not_null(table, style, column),
        }
    }

    fn value(&self, table: &'a Table, style: Style, column: &'a Column) -> Option<Value<'a>> {
        let expression = column.expression.as_deref();
        if column.generated.is_some() && style == Style::Inherits {
            let parent = self.family.inherited_from(table, column);
            // Servers before 16 refuse to hear a parent's expression repeated.
            if parent.is_some_and(|parent| parent.expression == column.expression) {
                return None;
            }
        }
        match (column.generated, &column.identity) {
            (Some(crate::schema::image::Generated::Stored), _) => expression.map(Value::Stored),
            (Some(crate::schema::image::Generated::Virtual), _) => expression.map(Value::Virtual),
            (None, Some(identity)) if identity.sequence.is_some() => {
                identity.sequence.as_deref().map(|sequence| Value::Identity { identity, sequence })
            }
            (None, _) if self.family.is_shared(table, column) => None,
            (None, _) => expression.map(Value::Default),
        }
    }

    /// 18 names its not null constraints. One that only came from a parent comes from there again; one that was never validated is added
    /// after the data.
    fn not_null(&self, table: &'a Table, style: Style, column: &'a Column) -> NotNull<'a> {
        let named = table
            .constraints
            .iter()
            .find(|k| k.kind == ConstraintKind::NotNull && k.columns.first() == Some(&column.attnum));
        match named {
            None if column.not_null => NotNull::Unnamed,
            Some(constraint)
                if constraint.validated
                    && (constraint.is_local
                        || style != Style::Inherits
                        || !self.family.is_given_not_null(table, column)) =>
            {
                NotNull::Named(constraint)
            }
            _ => NotNull::No,
        }
    }
}

impl ColumnDefinition<'_> {
    /// Of a typed table only what differs from its type is written.
    fn is_nothing(&self) -> bool {
        self.is_typed && self.value.is_none() && matches!(self.not_null, NotNull::No)
    }
}
