//! What has to be done to make one image of another: from nothing, everything in the order in which it can be created.
//!
//! Objects are the same when their oids are: one under another name is renamed, one that the later image has not is dropped, and one that
//! is new is created with its parts. The order is that of the kinds ([`Kind::phase`]), then of the levels.
//!
//! What an object was and what the steps make of it is compared with what it is: a change that no step says is named in
//! [`Difference::unsaid`], so that nobody takes a difference for none.

mod alter;
mod notes;
mod parts;
mod subject;
mod table;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::collections::HashMap;

use super::image::{
    Collation, Column, Constraint, DomainConstraint, Extension, Grant, Image, Index, IndexStatistics, Name, Owner,
    Policy, Schema, Sequence, Statistics, StorageOption, Table, Trigger, Type, TypeForm,
};
use super::inherit::Family;
use super::kind::Kind;

pub use subject::Subject;
pub use table::{ColumnDefinition, Element, NotNull, Value};

#[derive(Clone, Debug)]
pub struct Step<'a> {
    pub kind: Kind,
    pub level: i64,
    pub action: Action<'a>,
}

#[derive(Clone, Debug)]
pub enum Action<'a> {
    CreateSchema(&'a Schema),
    CreateExtension {
        extension: &'a Extension,
        any_version: bool,
    },
    CreateCollation(&'a Collation),
    CreateType(&'a Type),
    AddDomainConstraint {
        domain: &'a Type,
        constraint: &'a DomainConstraint,
    },
    CreateSequence(&'a Sequence),
    OwnSequence {
        sequence: &'a Sequence,
        owner: &'a Owner,
    },
    /// The sequence of an identity column is made with the column, and of its type: this gives it its own.
    BoundSequence(&'a Sequence),
    CreateTable {
        table: &'a Table,
        elements: Vec<Element<'a>>,
        parents: Vec<&'a Name>,
    },
    AddColumn {
        table: &'a Table,
        definition: ColumnDefinition<'a>,
    },
    AlterColumn {
        table: &'a Table,
        column: &'a Column,
        change: ColumnChange<'a>,
    },
    /// A partition, or a child whose columns keep their order.
    AttachTable {
        table: &'a Table,
        parent: &'a Table,
    },
    /// From a parent under its former name.
    DetachTable {
        table: &'a Table,
        parent: &'a Name,
    },
    AddConstraint {
        table: &'a Table,
        constraint: &'a Constraint,
    },
    IdentifyReplica {
        table: &'a Table,
        index: Option<&'a Index>,
    },
    CreateIndex {
        table: &'a Table,
        index: &'a Index,
    },
    AttachIndex {
        table: &'a Table,
        index: &'a Index,
        parent: Name,
    },
    SetIndexStatistics {
        table: &'a Table,
        index: &'a Index,
        statistics: &'a IndexStatistics,
    },
    Cluster {
        table: &'a Table,
        index: &'a Index,
    },
    CreateStatistics {
        table: &'a Table,
        statistics: &'a Statistics,
    },
    SetStatisticsTarget {
        statistics: &'a Statistics,
        target: i32,
    },
    CreateTrigger {
        table: &'a Table,
        trigger: &'a Trigger,
    },
    SetTrigger {
        table: &'a Table,
        trigger: &'a Trigger,
    },
    /// FORCE is a setting of its own.
    SecureRows {
        table: &'a Table,
        force: bool,
        on: bool,
    },
    SetPersistence {
        table: &'a Table,
    },
    SetOptions {
        table: &'a Table,
        options: Vec<&'a StorageOption>,
    },
    ResetOptions {
        table: &'a Table,
        options: Vec<&'a StorageOption>,
    },
    CreatePolicy {
        table: &'a Table,
        policy: &'a Policy,
    },
    Comment {
        subject: Subject<'a>,
        text: Option<&'a str>,
    },
    Grant {
        subject: Subject<'a>,
        grant: Grant,
    },
    TakeBack {
        subject: Subject<'a>,
        grant: Grant,
    },
    RevokePublic {
        subject: Subject<'a>,
    },
    Drop(Subject<'a>),
    Rename {
        subject: Subject<'a>,
        to: &'a str,
    },
    SetSchema {
        subject: Subject<'a>,
        to: &'a str,
    },
}

#[derive(Clone, Debug)]
pub enum ColumnChange<'a> {
    Type,
    Default(Option<&'a str>),
    NotNull(bool),
    Storage,
    Statistics,
    Options,
    /// By name.
    ResetOptions(Vec<&'a str>),
    Compression,
}

/// What makes one image of another.
#[derive(Clone, Debug, Default)]
pub struct Difference<'a> {
    pub steps: Vec<Step<'a>>,
    /// What is in both, and changed in a way that no step says.
    pub unsaid: Vec<Subject<'a>>,
}

/// What two images are compared with.
struct Comparison<'a> {
    before: &'a Image,
    after: &'a Image,
    family: Family<'a>,
    found: Difference<'a>,
    /// NOT NULL is a constraint with a name.
    has_named_not_null: bool,
    /// Schemas under another name: what is in them did not move.
    renamed: HashMap<&'a str, &'a str>,
    /// Something has another name: definitions as the server writes them are other texts then, although they say the same.
    has_renamed: bool,
}

/// `major` is the source's version: 18 gives NOT NULL constraints names.
pub fn diff<'a>(before: &'a Image, after: &'a Image, major: u32) -> Difference<'a> {
    let mut comparison = Comparison {
        before,
        after,
        family: Family::of(&after.tables),
        found: Difference::default(),
        has_named_not_null: major >= 18,
        renamed: HashMap::new(),
        has_renamed: has_renamed(before, after),
    };
    comparison.containers();
    comparison.types();
    comparison.sequences();
    comparison.tables();
    comparison.comments();
    comparison.privileges();
    comparison.found
}

impl<'a> Comparison<'a> {
    fn step(&mut self, kind: Kind, level: i64, action: Action<'a>) {
        self.found.steps.push(Step { kind, level, action });
    }

    /// `said` is the former state with everything that steps were made for: anything else that changed is not said.
    fn expect<T: PartialEq>(&mut self, subject: Subject<'a>, said: &T, after: &T) {
        if said != after {
            self.found.unsaid.push(subject);
        }
    }

    fn containers(&mut self) {
        for (old, new) in pairs(&self.before.schemas, &self.after.schemas, |s| s.oid) {
            match (old, new) {
                (None, Some(schema)) => self.step(Kind::Schema, 0, Action::CreateSchema(schema)),
                (Some(old), Some(new)) if old.name != new.name => {
                    self.renamed.insert(&old.name, &new.name);
                    let subject = Subject::Schema(&old.name);
                    self.step(Kind::RenameSchema, 0, Action::Rename { subject, to: &new.name });
                }
                // One that is not needed any more: others may have put something into it.
                (Some(_), _) | (None, None) => {}
            }
        }
        for (old, new) in pairs(&self.before.extensions, &self.after.extensions, |x| x.oid) {
            match (old, new) {
                (None, Some(extension)) => self.create_extension(extension),
                (Some(old), Some(new)) => {
                    self.expect(Subject::Extension(&new.name), &Extension { level: new.level, ..old.clone() }, new);
                }
                // One that is not needed any more may be needed by others.
                (Some(_), None) | (None, None) => {}
            }
        }
        for (old, collation) in pairs(&self.before.collations, &self.after.collations, |c| c.oid) {
            match (old, collation) {
                (None, Some(collation)) => self.step(Kind::Collation, 0, Action::CreateCollation(collation)),
                (Some(old), None) => self.step(Kind::Drop, 3, Action::Drop(Subject::Collation(old.name.cow()))),
                (Some(old), Some(new)) => {
                    self.move_to(Subject::Collation, &old.name, &new.name);
                    let said = Collation { name: new.name.clone(), ..old.clone() };
                    self.expect(Subject::Collation(new.name.cow()), &said, new);
                }
                (None, None) => {}
            }
        }
    }

    /// In the source's version where the destination has it, else in the destination's own, which precheck has said.
    fn create_extension(&mut self, extension: &'a Extension) {
        let action = |any_version| Action::CreateExtension { extension, any_version };
        self.step(Kind::Extension, extension.level, action(false));
        self.step(Kind::ExtensionInAnotherVersion, extension.level, action(true));
    }

    fn types(&mut self) {
        for (old, new) in pairs(&self.before.types, &self.after.types, |t| t.oid) {
            match (old, new) {
                (None, Some(new)) => {
                    let kind = if new.is_domain() { Kind::Domain } else { Kind::Type };
                    self.step(kind, new.level, Action::CreateType(new));
                    self.late_domain_constraints(new);
                }
                (Some(old), None) => self.step(Kind::Drop, 2, Action::Drop(Subject::of_type(old))),
                (Some(old), Some(new)) => {
                    let subject = if new.is_domain() { Subject::Domain } else { Subject::Type };
                    self.move_to(subject, &old.name, &new.name);
                    let said = Type { name: new.name.clone(), level: new.level, ..old.clone() };
                    self.expect(Subject::of_type(new), &said, new);
                }
                (None, None) => {}
            }
        }
    }

    /// A constraint that was never validated may not hold for values that are still to be copied.
    fn late_domain_constraints(&mut self, domain: &'a Type) {
        let TypeForm::Domain(definition) = &domain.form else { return };
        for constraint in definition.constraints.iter().filter(|k| !k.validated && !k.blocked) {
            self.step(Kind::Check, 0, Action::AddDomainConstraint { domain, constraint });
        }
    }

    fn sequences(&mut self) {
        for (old, new) in pairs(&self.before.sequences, &self.after.sequences, |s| s.oid) {
            match (old, new) {
                (None, Some(new)) => self.step(Kind::Sequence, 0, Action::CreateSequence(new)),
                (Some(old), None) => self.step(Kind::Drop, 1, Action::Drop(Subject::Sequence(old.name.cow()))),
                (Some(old), Some(new)) => {
                    self.move_to(Subject::Sequence, &old.name, &new.name);
                    let owner = if old.owner.is_none() { new.owner.clone() } else { old.owner.clone() };
                    let said = Sequence { name: new.name.clone(), owner, ..old.clone() };
                    self.expect(Subject::Sequence(new.name.cow()), &said, new);
                }
                (None, None) => {}
            }
            if let Some((sequence, owner)) = new.and_then(|new| Some((new, new.owner.as_ref()?)))
                && old.is_none_or(|old| old.owner.is_none())
            {
                self.step(Kind::SequenceOwnedBy, 0, Action::OwnSequence { sequence, owner });
            }
        }
    }

    fn tables(&mut self) {
        for (old, new) in pairs(&self.before.tables, &self.after.tables, |t| t.oid) {
            match (old, new) {
                (None, Some(new)) => self.create_table(new),
                (Some(old), None) => self.step(Kind::Drop, 0, Action::Drop(Subject::Table(old.name.cow()))),
                (Some(old), Some(new)) => self.alter_table(old, new),
                (None, None) => {}
            }
            if let Some(new) = new {
                self.parts(old, new);
            }
        }
    }

    /// The same object under another name, in another schema, or both.
    fn move_to(&mut self, subject: fn(Cow<'a, Name>) -> Subject<'a>, old: &'a Name, new: &'a Name) {
        let schema = self.renamed.get(old.schema.as_str()).copied().unwrap_or(&old.schema);
        if schema != new.schema {
            let subject = subject(Cow::Owned(Name::new(schema, &old.name)));
            self.step(Kind::SetSchema, 0, Action::SetSchema { subject, to: &new.schema });
        }
        if old.name != new.name {
            let subject = subject(Cow::Owned(Name::new(&new.schema, &old.name)));
            self.step(Kind::Rename, 0, Action::Rename { subject, to: &new.name });
        }
    }

    /// A part of a table that has its name in the later image already.
    fn rename_part(&mut self, subject: Subject<'a>, old: &str, new: &'a str) {
        if old != new {
            self.step(Kind::Rename, 1, Action::Rename { subject, to: new });
        }
    }
}

/// What is in one of two lists or in both, by identity: those of the later one in its order, then what is left of the former.
fn pairs<'a, T, K: std::hash::Hash + Eq>(
    before: &'a [T],
    after: &'a [T],
    key: impl Fn(&T) -> K,
) -> impl Iterator<Item = (Option<&'a T>, Option<&'a T>)> {
    let mut old: HashMap<K, &T> = before.iter().map(|item| (key(item), item)).collect();
    let mut pairs: Vec<(Option<&T>, Option<&T>)> =
        after.iter().map(|item| (old.remove(&key(item)), Some(item))).collect();
    pairs.extend(before.iter().filter(|item| old.contains_key(&key(item))).map(|item| (Some(item), None)));
    pairs.into_iter()
}

fn has_renamed(before: &Image, after: &Image) -> bool {
    let columns = |table: &Table| table.columns.iter().map(|c| (c.attnum, c.name.clone())).collect::<HashMap<_, _>>();
    let is_altered = |old: &Table, new: &Table| {
        let now = columns(new);
        old.name != new.name || old.columns.iter().any(|c| now.get(&c.attnum).is_some_and(|name| *name != c.name))
    };
    differ(&before.schemas, &after.schemas, |s| s.oid, |old, new| old.name != new.name)
        || differ(&before.collations, &after.collations, |c| c.oid, |old, new| old.name != new.name)
        || differ(&before.types, &after.types, |t| t.oid, |old, new| old.name != new.name)
        || differ(&before.sequences, &after.sequences, |s| s.oid, |old, new| old.name != new.name)
        || differ(&before.tables, &after.tables, |t| t.oid, is_altered)
}

fn differ<T>(before: &[T], after: &[T], key: impl Fn(&T) -> u32, is_other: impl Fn(&T, &T) -> bool) -> bool {
    pairs(before, after, key).any(|(old, new)| old.zip(new).is_some_and(|(old, new)| is_other(old, new)))
}
