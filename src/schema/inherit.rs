//! What tables have from their parents, and how each is created so that its columns come out as on the source.
//!
//! ATTACH PARTITION leaves columns and constraints as PARTITION OF would and keeps the column order. INHERIT leaves every column local, so it
//! is right only where everything inherited is local too, and needed only where INHERITS would give another order.

use std::collections::{HashMap, HashSet};

use super::image::{Column, Constraint, ConstraintKind, Table};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// CREATE TABLE with all columns.
    Plain,
    /// CREATE TABLE ... INHERITS: inherited columns that are not also local come from the parents.
    Inherits,
    /// CREATE TABLE with all columns in the source's order, then ALTER TABLE ... ATTACH PARTITION or INHERIT.
    Attach,
}

/// A column of a parent under the name of one of the table's. (Partitions are not inheritance here.)
struct Inherited<'a> {
    attnum: i16,
    /// Where a column comes out when the table is created with INHERITS: the least one counts.
    position: (i64, i16),
    parent: &'a Table,
    column: &'a Column,
}

pub struct Family<'a> {
    tables: HashMap<u32, &'a Table>,
    inherited: HashMap<u32, Vec<Inherited<'a>>>,
    styles: HashMap<u32, (Style, bool)>,
    /// Columns that INHERITS would merge.
    shared: HashSet<(u32, i16)>,
}

/// A CHECK or (18) NOT NULL that can be created.
#[derive(Clone, Copy)]
pub struct Check<'a> {
    pub constraint: &'a Constraint,
    /// No parent hands it down.
    pub is_local: bool,
}

impl<'a> Family<'a> {
    pub fn of(tables: &'a [Table]) -> Family<'a> {
        let by_oid: HashMap<u32, &Table> = tables.iter().map(|table| (table.oid, table)).collect();
        let mut family =
            Family { inherited: HashMap::new(), styles: HashMap::new(), shared: HashSet::new(), tables: by_oid };
        for table in tables.iter().filter(|table| !table.parents.is_empty()) {
            let inherited = family.columns_from_parents(table);
            let style = style_of(table, &inherited);
            if style.0 == Style::Inherits {
                for from in &inherited {
                    family.shared.extend([(table.oid, from.attnum), (from.parent.oid, from.column.attnum)]);
                }
            }
            family.styles.insert(table.oid, style);
            family.inherited.insert(table.oid, inherited);
        }
        family
    }

    pub fn style(&self, table: &Table) -> Style {
        self.styles.get(&table.oid).map_or(Style::Plain, |(style, _)| *style)
    }

    /// Do its columns come out in another order than on the source?
    pub fn is_reordered(&self, table: &Table) -> bool {
        self.styles.get(&table.oid).is_some_and(|(_, reordered)| *reordered)
    }

    pub fn parents(&self, table: &Table) -> impl Iterator<Item = (&'a Table, i64)> {
        table.parents.iter().filter_map(|parent| Some((*self.tables.get(&parent.oid)?, parent.position)))
    }

    pub fn has(&self, oid: u32) -> bool {
        self.tables.contains_key(&oid)
    }

    /// Is its default set once all tables exist?
    pub fn is_shared(&self, table: &Table, column: &Column) -> bool {
        self.shared.contains(&(table.oid, column.attnum))
    }

    /// The parent's column that comes first.
    pub fn inherited_from(&self, table: &Table, column: &Column) -> Option<&'a Column> {
        let from = self.from(table).filter(|i| i.attnum == column.attnum);
        from.min_by_key(|i| i.position).map(|i| i.column)
    }

    /// The column of this name of the first parent that has one; also of a partition.
    pub fn column_of_parent(&self, table: &Table, column: &Column) -> Option<&'a Column> {
        self.parents(table).find_map(|(parent, _)| parent.columns.iter().find(|c| c.name == column.name))
    }

    /// Does any parent's column of this name have a valid (18) not null constraint that it hands down?
    pub fn is_given_not_null(&self, table: &Table, column: &Column) -> bool {
        self.from(table).filter(|i| i.attnum == column.attnum).any(|i| {
            i.parent.constraints.iter().any(|k| {
                k.kind == ConstraintKind::NotNull
                    && !k.no_inherit
                    && k.validated
                    && k.columns.first() == Some(&i.column.attnum)
            })
        })
    }

    /// Before 18: columns that are not null here, and in none of the parents.
    pub fn only_not_null_here(&self, table: &'a Table) -> Vec<&'a Column> {
        let here = |column: &&Column| {
            column.not_null && !column.is_local && self.from(table).any(|i| i.attnum == column.attnum)
        };
        let in_a_parent = |column: &Column| {
            self.parents(table).any(|(p, _)| p.columns.iter().any(|c| c.name == column.name && c.not_null))
        };
        table.columns.iter().filter(here).filter(|column| !in_a_parent(column)).collect()
    }

    /// CHECK and NOT NULL constraints that can be created, with the question whether a parent hands them down: by name; a NOT NULL by the
    /// name of its column.
    pub fn checks(&self, table: &'a Table) -> Vec<Check<'a>> {
        let is_one = |k: &&Constraint| matches!(k.kind, ConstraintKind::Check | ConstraintKind::NotNull) && !k.blocked;
        let check = |constraint: &'a Constraint| {
            let handed: Vec<&Constraint> = self
                .parents(table)
                .flat_map(|(parent, _)| parent.constraints.iter().map(move |k| (parent, k)))
                .filter(|(parent, k)| {
                    k.kind == constraint.kind && !k.no_inherit && subject(parent, k) == subject(table, constraint)
                })
                .map(|(_, k)| k)
                .collect();
            // A valid NOT NULL is not what a never validated one of the parent would hand down.
            let outdone = constraint.kind == ConstraintKind::NotNull
                && constraint.validated
                && !handed.iter().any(|k| k.validated);
            let is_local = constraint.is_local || constraint.inherit_count == 0 || handed.is_empty() || outdone;
            Check { constraint, is_local }
        };
        table.constraints.iter().filter(is_one).map(check).collect()
    }

    fn from(&self, table: &Table) -> impl Iterator<Item = &Inherited<'a>> {
        self.inherited.get(&table.oid).into_iter().flatten()
    }

    fn columns_from_parents(&self, table: &Table) -> Vec<Inherited<'a>> {
        if table.is_partition {
            return Vec::new();
        }
        let own: HashMap<&str, i16> = table.columns.iter().map(|c| (c.name.as_str(), c.attnum)).collect();
        self.parents(table)
            .flat_map(|(parent, position)| parent.columns.iter().map(move |column| (parent, position, column)))
            .filter_map(|(parent, position, column)| {
                let attnum = *own.get(column.name.as_str())?;
                Some(Inherited { attnum, position: (position, column.attnum), parent, column })
            })
            .collect()
    }
}

/// How a child is created, and whether its columns are in another order then.
fn style_of(table: &Table, inherited: &[Inherited]) -> (Style, bool) {
    if table.is_partition {
        return (Style::Attach, false);
    }
    let least = |column: &Column| inherited.iter().filter(|i| i.attnum == column.attnum).map(|i| i.position).min();
    let mut merged: Vec<&Column> = table.columns.iter().collect();
    // What no parent has comes after.
    merged.sort_by_key(|c| (least(c).is_none(), least(c), c.attnum));
    let is_moved = merged.iter().zip(&table.columns).any(|(merged, column)| merged.attnum != column.attnum);
    let is_local = table.columns.iter().all(|c| c.is_local || least(c).is_none())
        && !table
            .constraints
            .iter()
            .any(|k| matches!(k.kind, ConstraintKind::Check | ConstraintKind::NotNull) && k.validated && !k.is_local);
    match (is_moved && !inherited.is_empty(), is_local) {
        (true, true) => (Style::Attach, false),
        (true, false) => (Style::Inherits, true),
        (false, _) => (Style::Inherits, false),
    }
}

/// What a constraint is found by among those of a parent.
fn subject<'a>(table: &'a Table, constraint: &'a Constraint) -> Option<&'a str> {
    match constraint.kind {
        ConstraintKind::NotNull => {
            constraint.columns.first().and_then(|attnum| table.column(*attnum)).map(|column| column.name.as_str())
        }
        _ => Some(&constraint.name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::samples::{child, column, constraint, table};

    /// How a child of `s.father` (columns `id`, `note`) with these columns is created, and whether they come out in another order.
    fn made(columns: Vec<Column>, change: impl FnOnce(&mut Table)) -> (Style, bool) {
        let mut tables = [table(1, "father"), Table { columns, ..child(2, "son", 1) }];
        change(&mut tables[1]);
        let family = Family::of(&tables);
        assert_eq!((family.style(&tables[0]), family.is_reordered(&tables[0])), (Style::Plain, false));
        (family.style(&tables[1]), family.is_reordered(&tables[1]))
    }

    fn columns(names: &[(&str, bool)]) -> Vec<Column> {
        let column = |(at, (name, is_local)): (usize, &(&str, bool))| Column {
            is_local: *is_local,
            ..column(at as i16 + 1, name, "text")
        };
        names.iter().enumerate().map(column).collect()
    }

    #[test]
    fn children_whose_columns_come_first_are_created_with_inherits() {
        let inherited = columns(&[("id", false), ("note", false), ("own", true)]);
        assert_eq!(made(inherited, |_| ()), (Style::Inherits, false));
    }

    #[test]
    fn children_in_another_order_are_attached_where_that_is_the_same() {
        let own_first = [("own", true), ("id", true), ("note", true)];
        assert_eq!(made(columns(&own_first), |_| ()), (Style::Attach, false));
        // INHERIT would make what is only inherited local, so the order is given up.
        let inherited = [("own", true), ("id", false), ("note", false)];
        assert_eq!(made(columns(&inherited), |_| ()), (Style::Inherits, true));
        let check =
            Constraint { is_local: false, ..constraint(9, "positive", ConstraintKind::Check, "CHECK ((id > 0))") };
        assert_eq!(made(columns(&own_first), |son| son.constraints.push(check)), (Style::Inherits, true));
    }

    #[test]
    fn partitions_are_attached() {
        let order = columns(&[("note", false), ("id", false)]);
        assert_eq!(made(order, |son| son.is_partition = true), (Style::Attach, false));
    }

    #[test]
    fn a_parent_that_is_not_there_leaves_a_plain_table() {
        let table = child(2, "son", 99);
        let family = Family::of(std::slice::from_ref(&table));
        assert_eq!(family.parents(&table).count(), 0);
        assert!(!family.is_shared(&table, &table.columns[0]));
    }

    #[test]
    fn checks_that_a_parent_hands_down_are_not_local() {
        let check = |name: &str, is_local| Constraint {
            is_local,
            inherit_count: i32::from(!is_local),
            ..constraint(9, name, ConstraintKind::Check, "CHECK ((id > 0))")
        };
        let (mut father, mut son) = (table(1, "father"), child(2, "son", 1));
        father.constraints.push(check("both", true));
        father.constraints.push(Constraint { no_inherit: true, ..check("alone", true) });
        son.constraints = vec![check("both", false), check("alone", false), check("orphan", false)];
        let tables = [father, son];
        let family = Family::of(&tables);
        let local: Vec<bool> = family.checks(&tables[1]).iter().map(|check| check.is_local).collect();
        assert_eq!(local, [false, true, true], "handed down, not handed down, of a parent that is gone");
    }
}
