//! Constraints of tables, those that have a key's index included: the index and its key are one object, renamed as an index.

use super::matching::{self, Likeness};
use super::{Action, Comparison, ConstraintChange, Subject, Way, twins};
use crate::schema::image::{Class, Constraint, ConstraintKind, Index, Table};
use crate::schema::kind::Kind;

/// Places among the parts that go: foreign keys, then what they may refer to, all before columns.
const FOREIGN_KEY: i64 = 0;
const CHECK: i64 = 40_000;
const KEY: i64 = 50_000;

impl<'a> Comparison<'a> {
    pub(super) fn constraints(&mut self, old: Option<&'a Table>, table: &'a Table) {
        let local: Vec<u32> = {
            let checks = self.family.checks(table).into_iter().filter(|check| check.is_local);
            checks.map(|check| check.constraint.oid).collect()
        };
        let Some(old) = old else {
            for constraint in &table.constraints {
                self.add_constraint(true, table, constraint, &local);
            }
            return;
        };
        let is_retyped = self.retypes(old, table);
        let likeness = Likeness::<Constraint> {
            oid: |constraint| constraint.oid,
            name: |constraint| &constraint.name,
            is_same: &|old, new| old.kind == new.kind && (is_retyped || is_like(old, new)),
            is_like: &is_like,
        };
        let mut renamed = Vec::new();
        for (before, after) in matching::parts(&old.constraints, &table.constraints, &likeness) {
            match (before, after) {
                (None, Some(constraint)) => self.new_constraint(old, table, constraint, &local),
                (Some(before), None) => self.drop_constraint(old, table, before),
                (Some(before), Some(after)) => {
                    self.same(Class::Constraint, before.oid, after.oid);
                    // One with an index of its own has its name. With a column's type the server makes what is handed down anew (18), under
                    // the name above it; nobody could rename it.
                    let is_handed_down = [before, after].iter().all(|of| of.inherit_count > 0);
                    let is_made_anew = is_retyped && is_handed_down && after.kind == ConstraintKind::NotNull;
                    let is_away = after.kind == ConstraintKind::ForeignKey && (before.blocked || after.blocked);
                    if !has_index(after) && !is_made_anew && !is_away {
                        renamed.push((after.oid, before.name.as_str(), after.name.as_str()));
                    }
                    self.alter_constraint(old, table, (before, after), &local);
                }
                (None, None) => {}
            }
        }
        self.rename_inside(self.depth(table), renamed, |from, to| Action::Rename {
            subject: Subject::Constraint(&table.name, from),
            to,
            way: Way::default(),
        });
    }

    /// Checks that hold are in CREATE TABLE when the table is new. Never validated ones go parents first: children get theirs from the
    /// parent. Foreign keys whose both sides are in the image (the others are blocked); one that a partitioned parent hands down is
    /// created with it; rows with the table itself as parent's table are the server's bookkeeping for a partitioned referenced table.
    fn add_constraint(&mut self, is_new: bool, table: &'a Table, constraint: &'a Constraint, local: &[u32]) {
        use ConstraintKind::*;
        let place = twins::place(constraint.index);
        let (kind, level, is_made) = match constraint.kind {
            PrimaryKey => (Kind::PrimaryKey, place, true),
            Unique => (Kind::UniqueConstraint, place, true),
            Exclusion => (Kind::ExclusionConstraint, place, true),
            ForeignKey => (Kind::ForeignKey, 0, constraint.parent_table.is_none_or(|parent| !self.family.has(parent))),
            Check | NotNull => {
                let kind = match (constraint.kind, is_new || !constraint.validated) {
                    (Check, _) => Kind::Check,
                    (_, true) => Kind::NotNull,
                    // A key would make one under another name.
                    (_, false) => Kind::ColumnNotNull,
                };
                let is_late = !constraint.validated || !is_new;
                (kind, table.level, is_late && local.contains(&constraint.oid))
            }
        };
        if is_made && !constraint.blocked {
            self.step(kind, level, Action::AddConstraint { table, constraint });
        }
    }

    /// Of a table that is there: with an index that is there, or with its own.
    fn new_constraint(&mut self, old: &'a Table, table: &'a Table, constraint: &'a Constraint, local: &[u32]) {
        let index = constraint.index.filter(|_| has_index(constraint)).and_then(|oid| old.index(oid));
        match index.filter(|index| index.constraint.is_none() && index.is_made()) {
            Some(index) if !constraint.blocked => {
                let kind = match constraint.kind {
                    ConstraintKind::PrimaryKey => Kind::PrimaryKey,
                    _ => Kind::UniqueConstraint,
                };
                self.step(kind, twins::place(constraint.index), Action::UseIndex { table, constraint, index });
            }
            _ => self.add_constraint(false, table, constraint, local),
        }
    }

    /// Parents first: what a parent handed down goes with the parent's. A child that has its own keeps it.
    fn drop_constraint(&mut self, old: &'a Table, table: &'a Table, constraint: &'a Constraint) {
        use ConstraintKind::*;
        let place = match constraint.kind {
            ForeignKey => FOREIGN_KEY,
            Check => CHECK,
            PrimaryKey | Unique | Exclusion => KEY,
            NotNull => return self.drop_not_null(table, constraint),
        };
        let is_kept = constraint.kind == Check
            && self
                .children_of(table)
                .any(|child| child.constraints.iter().any(|k| k.kind == Check && k.name == constraint.name));
        let subject = Subject::constraint(&old.name, &constraint.name);
        let another = table.constraints.iter().find(|k| k.name == constraint.name && !k.blocked);
        let action = match another {
            Some(another) => Action::DropUnless { subject, definition: &another.definition },
            None if is_kept => Action::DropOnly(subject),
            None => Action::Drop(subject),
        };
        self.step(Kind::DropPart, place + self.depth(table), action);
    }

    /// 18: it goes with its column, and after an identity that wants it.
    fn drop_not_null(&mut self, table: &'a Table, constraint: &'a Constraint) {
        let Some(column) = constraint.columns.first().and_then(|attnum| table.column(*attnum)) else { return };
        let is_kept = self.children_of(table).any(|child| {
            let same = child.columns.iter().find(|other| other.name == column.name);
            let of_same = |k: &Constraint| same.is_some_and(|same| k.columns.first() == Some(&same.attnum));
            child.constraints.iter().any(|k| k.kind == ConstraintKind::NotNull && of_same(k))
        });
        let subject = Subject::constraint(&table.name, &constraint.name);
        let action = if is_kept { Action::DropOnly(subject) } else { Action::Drop(subject) };
        const FIRST: i64 = -1_000;
        self.step(Kind::ColumnNotNull, FIRST + self.depth(table), action);
    }

    /// Under one oid only a few things change; another text comes from another name in it. Made anew by the server, a check may be
    /// another one all the same.
    fn alter_constraint(
        &mut self,
        old: &'a Table,
        table: &'a Table,
        (before, constraint): (&'a Constraint, &'a Constraint),
        local: &[u32],
    ) {
        if constraint.blocked {
            // What it refers to is not followed any more, and what refers to it would hold it fast. Anything else stays as it is.
            if constraint.kind == ConstraintKind::ForeignKey && !before.blocked {
                self.drop_constraint(old, table, before);
            }
            return;
        }
        if before.blocked {
            self.renewed.insert((Class::Constraint, constraint.oid));
            return self.new_constraint(old, table, constraint, local);
        }
        let is_new = before.oid != constraint.oid;
        if is_new && constraint.kind == ConstraintKind::Check && before.definition != constraint.definition {
            let subject = Subject::constraint(&table.name, &constraint.name);
            let definition = &constraint.definition;
            self.step(Kind::DropReplaced, self.depth(table), Action::DropUnless { subject, definition });
            self.add_constraint(false, table, constraint, local);
            self.renewed.insert((Class::Constraint, constraint.oid));
            return;
        }
        let is_enforced = |k: &Constraint| !k.definition.contains(" NOT ENFORCED");
        let changes = [
            (is_enforced(before) != is_enforced(constraint))
                .then_some(ConstraintChange::Enforce(is_enforced(constraint))),
            ((before.deferrable, before.deferred) != (constraint.deferrable, constraint.deferred))
                .then_some(ConstraintChange::Defer),
            (before.no_inherit != constraint.no_inherit).then_some(ConstraintChange::Inherit(!constraint.no_inherit)),
            (!before.validated && constraint.validated && is_enforced(before)).then_some(ConstraintChange::Validate),
            (!before.is_local && constraint.is_local && constraint.inherit_count > 0)
                .then_some(ConstraintChange::Declare),
        ];
        for change in changes.into_iter().flatten() {
            let level = self.depth(table);
            self.step(Kind::ConstraintChange, level, Action::AlterConstraint { table, constraint, change });
        }
        let said = (constraint.kind, constraint.columns.len());
        let subject = Subject::constraint(&table.name, &constraint.name);
        self.expect(subject, &(before.kind, before.columns.len()), &said);
    }

    /// Has the index of a key become that of a constraint?
    pub(super) fn is_used_now(&self, before: &Index, after: &Index) -> bool {
        before.constraint.is_none() && after.constraint.is_some() && before.is_made()
    }
}

/// Those with an index of their own; a foreign key's is that of the key it refers to.
pub(super) fn has_index(constraint: &Constraint) -> bool {
    matches!(constraint.kind, ConstraintKind::PrimaryKey | ConstraintKind::Unique | ConstraintKind::Exclusion)
}

fn is_like(old: &Constraint, new: &Constraint) -> bool {
    (old.kind, &old.definition, &old.columns) == (new.kind, &new.definition, &new.columns)
}
