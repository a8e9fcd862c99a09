//! What a command has left behind on the source: written into `courier.ddl_log` by the session that ran it, read from the WAL by the
//! worker of each task.
//!
//! It is the state after the command, not the command: whole images of what it touched, with all that they need, and what it dropped. The
//! worker knows the state before. An image is of one moment, that of the row's snapshot, so whoever reads it knows what another
//! transaction may have changed beside it.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};

use super::deparse::postgres::Foreign;
use super::image::{Class, Image, Name, Table, Type, TypeForm};
use super::scope::{Dependency, Object, Scope};

/// The form of this text. One that a worker does not know comes from a later release.
pub const FORM: u16 = 1;

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Captured {
    pub form: u16,
    /// What the command did could not be read: there is no image, and what it touched may not be known either.
    #[serde(default)]
    pub is_unread: bool,
    /// Objects that the command touched and that are there, as roots: a table for its columns, constraints, indexes, triggers.
    #[serde(default)]
    pub touched: Vec<Object>,
    /// Those of them that the command made: a table among them has no rows but those that follow in its transaction.
    #[serde(default)]
    pub created: Vec<Object>,
    /// The touched objects, whole, and the types, collations, sequences and extensions that they need. No part is blocked here: what a
    /// task does not have is known to its worker only.
    #[serde(default)]
    pub image: Image,
    #[serde(default)]
    pub dropped: Vec<Dropped>,
    /// What the parts of the image depend on.
    #[serde(default)]
    pub dependencies: Vec<Dependency>,
    /// What of that no task creates.
    #[serde(default)]
    pub causes: Vec<(Object, Foreign)>,
    /// Written before the rows of a rewritten table, with the catalogs as they are after it. The first such row of a command has the whole
    /// family of the table (all that inherit from the same ancestor), and those that follow for its other members have no image.
    #[serde(default)]
    pub rewrite: Option<Rewrite>,
}

/// A root that is gone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dropped {
    pub class: Class,
    pub oid: u32,
    /// As the server names it: `table s.t`.
    pub identity: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rewrite {
    pub table: u32,
    /// `pg_event_trigger_table_rewrite_reason()`: 1 persistence, 2 default, 4 type, 8 access method.
    pub reason: i32,
    /// `ALTER COLUMN ... TYPE ... USING`: the values may be anything.
    #[serde(default)]
    pub by_expression: bool,
}

impl Captured {
    /// The image as a task has it that follows `tables`, on a destination that has `available` of what no task creates: parts that need
    /// anything else are blocked, and what nobody needs is left out.
    pub fn for_task(&self, tables: &[u32], available: &[Object]) -> Image {
        let selected: HashSet<u32> = tables.iter().copied().collect();
        // What only other tables need is nobody's.
        let is_of_others = |of: &&Dependency| of.table.is_some_and(|table| !selected.contains(&table));
        let dependencies: Vec<Dependency> = self.dependencies.iter().filter(|of| !is_of_others(of)).cloned().collect();
        let scope = Scope::of(tables, &dependencies, available);
        let touched: HashSet<Object> = self.touched.iter().copied().collect();
        let is_wanted =
            |class: Class, oid: u32, reached: &[u32]| touched.contains(&(class, oid)) || reached.contains(&oid);
        let mut image = self.image.clone();
        image.tables.retain(|table| selected.contains(&table.oid));
        image.types.retain(|of| is_wanted(Class::Type, of.oid, &scope.types));
        image.collations.retain(|of| is_wanted(Class::Collation, of.oid, &scope.collations));
        image
            .extensions
            .retain(|of| touched.contains(&(Class::Extension, of.oid)) || scope.extensions.contains(&of.oid));
        let of_columns: HashSet<&Name> = image.tables.iter().map(|table| &table.name).collect();
        image.sequences.retain_mut(|sequence| match &sequence.owner {
            Some(owner) if of_columns.contains(&owner.table) => true,
            // One of a column that is not there goes with it, unless a table that is needs it.
            Some(_) => {
                sequence.owner = None;
                scope.sequences.contains(&sequence.oid)
            }
            None => is_wanted(Class::Relation, sequence.oid, &scope.sequences),
        });
        image.tables.iter_mut().for_each(|table| block_table(table, &scope, &selected));
        image.types.iter_mut().for_each(|of| block_type(of, &scope));
        image
    }
}

impl Captured {
    /// While a table is written to anew the catalogs have it as it was before: one that is unlogged then, and gets another persistence, is
    /// logged.
    pub fn becomes_logged(&mut self) {
        const PERSISTENCE: i32 = 1;
        let Some(rewrite) = self.rewrite.filter(|rewrite| rewrite.reason & PERSISTENCE != 0) else { return };
        for table in self.image.tables.iter_mut().filter(|table| table.oid == rewrite.table) {
            table.unlogged = !table.unlogged;
        }
    }
}

fn block_table(table: &mut Table, scope: &Scope, selected: &HashSet<u32>) {
    table.level = scope.level(Class::Relation, table.oid);
    table.parents.retain(|parent| selected.contains(&parent.oid));
    for column in table.columns.iter_mut().filter(|column| column.generated.is_none()) {
        if column.default_oid.is_some_and(|oid| scope.is_blocked(Class::AttributeDefault, oid)) {
            column.expression = None;
        }
    }
    let is_blocked = |class, oid| scope.is_blocked(class, oid);
    table.constraints.iter_mut().for_each(|of| of.blocked = is_blocked(Class::Constraint, of.oid));
    table.indexes.iter_mut().for_each(|of| of.blocked = is_blocked(Class::Relation, of.oid));
    table.statistics.iter_mut().for_each(|of| of.blocked = is_blocked(Class::Statistics, of.oid));
    table.policies.iter_mut().for_each(|of| of.blocked = is_blocked(Class::Policy, of.oid));
    let is_part = table.is_partition && !table.parents.is_empty();
    for trigger in &mut table.triggers {
        trigger.blocked = is_blocked(Class::Trigger, trigger.oid);
        trigger.inherited = trigger.inherited.filter(|_| is_part);
    }
}

/// Only a default, a constraint or a support function can wait without the whole type.
fn block_type(of: &mut Type, scope: &Scope) {
    of.level = scope.level(Class::Type, of.oid);
    let is_blocked = scope.is_blocked(Class::Type, of.oid);
    match &mut of.form {
        TypeForm::Domain(domain) => {
            domain.default = domain.default.take().filter(|_| !is_blocked);
            domain.constraints.iter_mut().for_each(|k| k.blocked = scope.is_blocked(Class::Constraint, k.oid));
        }
        TypeForm::Range(range) if is_blocked => (range.canonical, range.subtype_diff) = (None, None),
        TypeForm::Range(_) | TypeForm::Enum { .. } | TypeForm::Composite { .. } => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::image::{Column, ConstraintKind, Owner, Sequence};
    use crate::schema::samples::{child, column, constraint, image, needs, sequence, table};

    const FUNCTION: Object = (Class::Proc, 900);

    fn captured(image: Image, dependencies: Vec<Dependency>) -> Captured {
        Captured {
            form: FORM,
            is_unread: false,
            touched: image.tables.iter().map(|table| (Class::Relation, table.oid)).collect(),
            created: Vec::new(),
            image,
            dropped: Vec::new(),
            dependencies,
            causes: Vec::new(),
            rewrite: None,
        }
    }

    #[test]
    fn what_is_written_is_what_is_read() {
        let written = captured(image(), vec![needs((Class::Constraint, 5), Some(10), FUNCTION)]);
        let text = serde_json::to_string(&written).unwrap();
        assert_eq!(serde_json::from_str::<Captured>(&text).unwrap(), written);
        let least: Captured = serde_json::from_str(r#"{"form": 1}"#).unwrap();
        assert_eq!(least.touched, []);
    }

    #[test]
    fn parts_wait_for_what_the_destination_has_not() {
        let mut of = table(1, "t");
        of.columns.push(Column { expression: Some("f()".into()), default_oid: Some(70), ..column(3, "x", "text") });
        of.constraints.push(constraint(71, "k", ConstraintKind::Check, "CHECK (f())"));
        let dependencies = vec![
            needs((Class::AttributeDefault, 70), Some(1), FUNCTION),
            needs((Class::Constraint, 71), Some(1), FUNCTION),
        ];
        let captured = captured(Image { tables: vec![of], ..Image::default() }, dependencies);
        let without = captured.for_task(&[1], &[]);
        assert!(without.tables[0].constraints[0].blocked && without.tables[0].columns[2].expression.is_none());
        let with = captured.for_task(&[1], &[FUNCTION]);
        assert!(!with.tables[0].constraints[0].blocked && with.tables[0].columns[2].expression.is_some());
    }

    #[test]
    fn a_sequence_goes_with_the_table_of_its_column() {
        let owned = Sequence { owner: Some(owner(&table(1, "t"))), ..sequence(5, "t_id_seq") };
        let image = Image { tables: vec![table(1, "t")], sequences: vec![owned], ..Image::default() };
        let mut captured = captured(image, Vec::new());
        captured.touched.push((Class::Relation, 5));
        captured.dependencies.push(needs((Class::AttributeDefault, 70), Some(1), (Class::Relation, 5)));
        assert_eq!(captured.for_task(&[1], &[]).sequences.len(), 1);
        assert!(captured.for_task(&[], &[]).sequences.is_empty(), "although it was touched");
    }

    fn owner(table: &Table) -> Owner {
        Owner { table: table.name.clone(), column: "id".to_owned() }
    }

    #[test]
    fn what_no_followed_table_needs_is_left_out() {
        let own = Sequence { owner: None, ..sequence(5, "free") };
        let image = Image { tables: vec![table(1, "t"), child(2, "c", 1)], sequences: vec![own], ..Image::default() };
        let captured = captured(image, Vec::new());
        let seen = captured.for_task(&[2], &[]);
        assert_eq!(seen.tables.iter().map(|table| table.oid).collect::<Vec<_>>(), [2]);
        assert!(seen.tables[0].parents.is_empty(), "its parent is not followed");
        assert!(seen.sequences.is_empty());
        let touched = Captured { touched: vec![(Class::Relation, 5)], ..captured };
        assert_eq!(touched.for_task(&[], &[]).sequences.len(), 1, "what was touched is the caller's to judge");
    }
}
