//! What a command has left behind on the source: written into `courier.ddl_log` by the session that ran it, read from the WAL by the
//! worker of each task.
//!
//! It is the state after the command, not the command: whole images of what it touched, with all that they need, and what it dropped. The
//! worker knows the state before. An image is of one moment, that of the row's snapshot, so whoever reads it knows what another
//! transaction may have changed beside it.

use std::collections::{BTreeSet, HashSet};

use serde::{Deserialize, Serialize};

use super::deparse::postgres::Foreign;
use super::image::{Class, Column, Generated, Image, Name, Plain, Table, Type, TypeForm, View};
use super::scope::{Dependency, Object, Scope};

/// The form of this text. One that a worker does not know comes from a later release.
pub const FORM: u16 = 1;

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Captured {
    pub form: u16,
    /// What the command did could not be read: there is no image, and what it touched may not be known either.
    #[serde(default)]
    pub is_unread: bool,
    /// Somebody else held a lock on what the command touched, or on what has its name: how that is now comes with the next sweep.
    #[serde(default)]
    pub is_late: bool,
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
    /// What an extension has taken: its matter from now on, as if no pattern named it.
    #[serde(default)]
    pub taken: Vec<Object>,
    /// What the parts of the image depend on.
    #[serde(default)]
    pub dependencies: Vec<Dependency>,
    /// What of that no task creates.
    #[serde(default)]
    pub causes: Vec<(Object, Foreign)>,
    /// Whose the routines and views of the image are, and the tables that have rules.
    #[serde(default)]
    pub owners: Vec<Owned>,
    /// Materialized views that have got new rows.
    #[serde(default)]
    pub refreshed: Vec<u32>,
    /// Partitions that were detached CONCURRENTLY: no reader had to wait.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub detached: Vec<u32>,
    /// What one task is to create although nobody vouches for its author.
    #[serde(default)]
    pub approval: Option<Approval>,
    /// Written before the rows of a rewritten table, with the catalogs as they are after it. The first such row of a command has the whole
    /// family of the table (all that inherit from the same ancestor), and those that follow for its other members have no image.
    #[serde(default)]
    pub rewrite: Option<Rewrite>,
}

/// An object with its owner.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owned {
    pub object: Object,
    pub role: String,
    /// By which it is trusted: another role may get the name.
    pub role_oid: u32,
    pub is_superuser: bool,
}

/// A person has read code, and lets a task create it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Approval {
    pub task: String,
    /// With what was read: anything else that is there by now was not.
    pub code: Vec<(Object, String)>,
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

/// The user there is a superuser. No class has this number.
pub const SUPERUSER: Object = (Class::OperatorClass, 0);

/// What a task has and wants, as far as the parts of an image depend on it.
#[derive(Clone, Copy)]
pub struct Taker<'a> {
    pub trust: &'a Trust,
    /// What the destination has of what the task does not create; with [`SUPERUSER`] it can make what only superusers make.
    pub available: &'a [Object],
    /// Code that it has applied, as it was then.
    pub applied: &'a HashSet<(Object, String)>,
    /// Tables that leave it with the command: described once more, and nothing any more that others can refer to.
    pub leaving: &'a HashSet<u32>,
}

/// Whose code a task creates, besides that of superusers.
#[derive(Clone, Debug, Default)]
pub struct Trust {
    pub task_id: String,
    /// Roles of the source, by their oids.
    pub roles: HashSet<u32>,
}

impl Taker<'_> {
    /// Or find it there.
    fn can_make(&self, of: &Plain) -> bool {
        !of.kind.is_for_superusers() || self.available.iter().any(|o| *o == SUPERUSER || *o == (of.class(), of.oid))
    }
}

impl Captured {
    /// The image as the task has it: parts that need what is not there are blocked, as is code of people whom nobody vouches for; what
    /// nobody needs is left out.
    ///
    /// `tables` are those that it follows.
    pub fn for_task(&self, tables: &[u32], taker: &Taker) -> Image {
        self.image_and_scope(tables, taker).0
    }

    /// The same, and why parts are blocked.
    pub fn image_and_scope(&self, tables: &[u32], taker: &Taker) -> (Image, Scope) {
        let untrusted: HashSet<Object> = self.untrusted(taker).into_iter().map(|owned| owned.object).collect();
        let scope = self.scope_for(tables, taker, &untrusted);
        let selected: HashSet<u32> = tables.iter().copied().collect();
        let staying: HashSet<u32> = selected.difference(taker.leaving).copied().collect();
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
        image.tables.iter_mut().for_each(|table| {
            let has_left = taker.leaving.contains(&table.oid);
            block_table(table, &scope, if has_left { &selected } else { &staying });
            block_rules(table, &untrusted);
            if has_left {
                table.stand_alone();
            }
        });
        image.types.iter_mut().for_each(|of| block_type(of, &scope));
        let is_blocked = |object: Object| untrusted.contains(&object) || scope.is_blocked(object.0, object.1);
        image.routines.iter_mut().for_each(|of| of.blocked = is_blocked((Class::Proc, of.oid)));
        image.plain.iter_mut().for_each(|of| of.blocked = is_blocked((of.class(), of.oid)) || !taker.can_make(of));
        for view in &mut image.views {
            view.blocked = is_blocked((Class::Relation, view.oid()));
            block_table(&mut view.relation, &scope, &staying);
            block_rules(&mut view.relation, &untrusted);
        }
        (image, scope)
    }

    /// Columns that are generated by what the destination has not, or were plain there before (`fed`: table and number), are plain there.
    /// Those of the image's tables that `tables` do not name may join with it.
    pub fn feed(&mut self, tables: &[u32], taker: &Taker, fed: &HashSet<(u32, i16)>) {
        let is_stored = |column: &Column| column.generated == Some(Generated::Stored);
        if !self.image.tables.iter().any(|table| table.columns.iter().any(is_stored)) {
            return;
        }
        let all: Vec<u32> = tables.iter().copied().chain(self.image.tables.iter().map(|table| table.oid)).collect();
        let untrusted: HashSet<Object> = self.untrusted(taker).into_iter().map(|owned| owned.object).collect();
        let scope = self.scope_for(&all, taker, &untrusted);
        for table in &mut self.image.tables {
            for column in table.columns.iter_mut().filter(|column| is_stored(column)) {
                let is_blocked = column.default_oid.is_some_and(|oid| scope.is_blocked(Class::AttributeDefault, oid));
                if is_blocked || fed.contains(&(table.oid, column.attnum)) {
                    (column.generated, column.expression, column.fed) = (None, None, true);
                }
            }
        }
    }

    /// Code in the image whose owners the task does not trust, and nobody has approved.
    pub fn untrusted(&self, taker: &Taker) -> Vec<&Owned> {
        let approved = self.approval.iter().filter(|approval| approval.task == taker.trust.task_id);
        let approved: HashSet<&(Object, String)> = approved.flat_map(|approval| &approval.code).collect();
        let is_trusted = |owned: &Owned| owned.is_superuser || taker.trust.roles.contains(&owned.role_oid);
        let is_approved = |owned: &Owned| {
            let code = self.code_of(owned.object).map(|code| (owned.object, code));
            code.is_some_and(|code| approved.contains(&code) || taker.applied.contains(&code))
        };
        self.owners.iter().filter(|owned| !is_trusted(owned) && !is_approved(owned)).collect()
    }

    /// Every relation that it speaks of: whether the task follows it may decide about something in here.
    pub fn relations(&self) -> BTreeSet<u32> {
        let tables = self.image.tables.iter();
        let parents = tables.clone().flat_map(|table| table.parents.iter().map(|parent| parent.oid));
        let needed = self.dependencies.iter().flat_map(|of| {
            let on = (of.on.0 == Class::Relation).then_some(of.on.1);
            [of.table, of.relation, on].into_iter().flatten()
        });
        tables.map(|table| table.oid).chain(parents).chain(needed).collect()
    }

    /// What another transaction has dropped, which committed before this one and was not seen by it.
    pub fn leave_out(&mut self, gone: &HashSet<Object>) {
        self.image.leave_out(gone);
        self.touched.retain(|object| !gone.contains(object));
        self.created.retain(|object| !gone.contains(object));
    }

    /// Is nothing told here of what the command touched?
    pub fn is_told_later(&self) -> bool {
        self.is_late && self.image.roots().next().is_none()
    }

    /// Is it about nothing but code that somebody lets another task create?
    pub fn is_approved_for_others(&self, task: &str) -> bool {
        self.approval.as_ref().is_some_and(|approval| approval.task != task)
    }

    /// What one reads of it.
    pub fn code_of(&self, object: Object) -> Option<String> {
        code_of(&self.image, object)
    }

    /// Code that is to be created counts as there, unless it is blocked itself.
    fn scope_for(&self, tables: &[u32], taker: &Taker, untrusted: &HashSet<Object>) -> Scope {
        let is_open = |object: &Object| !untrusted.contains(object);
        let routines = self.image.routines.iter().map(|of| (Class::Proc, of.oid));
        let plain = self.image.plain.iter().filter(|of| taker.can_make(of)).map(|of| (of.class(), of.oid));
        let mut routines: Vec<Object> = routines.chain(plain).filter(is_open).collect();
        let mut views: Vec<u32> = self.image.views.iter().map(View::oid).collect();
        // What only other tables need is nobody's.
        let taken: HashSet<u32> = tables.iter().chain(&views).copied().collect();
        let is_of_others = |of: &&Dependency| of.table.is_some_and(|table| !taken.contains(&table));
        let dependencies: Vec<Dependency> = self.dependencies.iter().filter(|of| !is_of_others(of)).cloned().collect();
        views.retain(|oid| is_open(&(Class::Relation, *oid)));
        let staying: Vec<u32> = tables.iter().filter(|oid| !taker.leaving.contains(oid)).copied().collect();
        loop {
            let relations: Vec<u32> = staying.iter().chain(&views).copied().collect();
            let available: Vec<Object> = taker.available.iter().chain(&routines).copied().collect();
            let scope = Scope::of(&relations, &dependencies, &available);
            let before = routines.len() + views.len();
            routines.retain(|(class, oid)| !scope.is_blocked(*class, *oid));
            views.retain(|oid| !scope.is_blocked(Class::Relation, *oid));
            if routines.len() + views.len() == before {
                return scope;
            }
        }
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

/// What one reads of a routine or a view, or of the rules of a table. Options of a view say with whose rights it reads.
pub fn code_of(image: &Image, (class, oid): Object) -> Option<String> {
    let routine = image.routines.iter().find(|of| class == Class::Proc && of.oid == oid);
    let rules = |table: &Table| table.rules.iter().map(|rule| format!("{};\n", rule.definition)).collect::<String>();
    let options = |relation: &Table| -> String {
        relation.options.iter().map(|option| format!("{}={};\n", option.name, option.value)).collect()
    };
    let view = image.views.iter().find(|view| class == Class::Relation && view.oid() == oid);
    let table = image.tables.iter().find(|table| class == Class::Relation && table.oid == oid);
    routine
        .map(|of| of.definition.clone())
        .or_else(|| {
            view.map(|view| format!("{}{}\n{}", options(&view.relation), view.definition, rules(&view.relation)))
        })
        .or_else(|| table.map(rules))
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
    table.rules.iter_mut().for_each(|of| of.blocked = is_blocked(Class::Rewrite, of.oid));
    let is_part = table.is_partition && !table.parents.is_empty();
    for trigger in &mut table.triggers {
        trigger.blocked = is_blocked(Class::Trigger, trigger.oid);
        trigger.inherited = trigger.inherited.filter(|_| is_part);
    }
}

/// A rule acts with the rights of the owner of its table.
fn block_rules(table: &mut Table, untrusted: &HashSet<Object>) {
    if untrusted.contains(&(Class::Relation, table.oid)) {
        table.rules.iter_mut().for_each(|rule| rule.blocked = true);
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
mod tests;
