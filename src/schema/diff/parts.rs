//! Parts of tables that come after the data: replica identity, statistics, triggers, policies.

use super::matching::{self, Likeness};
use super::renames::STATISTICS;
use super::{Action, Comparison, Subject, Way};
use crate::schema::image::{Class, Firing, Policy, ReplicaIdentity, Statistics, Table, Trigger};
use crate::schema::kind::Kind;

/// Their places among the parts that go: before the columns that they need.
const POLICY: i64 = 10_000;
const TRIGGER: i64 = 20_000;
const EXTENDED: i64 = 30_000;

impl<'a> Comparison<'a> {
    pub(super) fn parts(&mut self, old: Option<&'a Table>, table: &'a Table) {
        self.constraints(old, table);
        self.indexes(old, table);
        self.statistics(old, table);
        self.triggers(old, table);
        self.policies(old, table);
        self.rules(old, table);
    }

    /// Of a table: what the server says of views means nothing.
    pub(super) fn identity(&mut self, old: Option<&'a Table>, table: &'a Table) {
        if old.map_or(table.replica_identity != ReplicaIdentity::Default, |old| self.is_known_otherwise(old, table)) {
            self.replica_identity(table);
        }
    }

    fn is_known_otherwise(&self, old: &Table, table: &Table) -> bool {
        let index = |table: &Table| table.indexes.iter().find(|index| index.is_replica_identity).map(|index| index.oid);
        let is_same_index = match (index(old), index(table)) {
            (Some(old), Some(new)) => self.is_same(Class::Relation, old, new),
            (None, None) => true,
            _ => false,
        };
        old.replica_identity != table.replica_identity || !is_same_index
    }

    fn replica_identity(&mut self, table: &'a Table) {
        let index = table.indexes.iter().find(|index| index.is_replica_identity);
        let index = index.filter(|_| table.replica_identity == ReplicaIdentity::Index);
        if index.is_some() || table.replica_identity != ReplicaIdentity::Index {
            self.step(Kind::ReplicaIdentity, 0, Action::IdentifyReplica { table, index });
        }
    }

    fn statistics(&mut self, old: Option<&'a Table>, table: &'a Table) {
        let is_retyped = old.is_some_and(|old| self.retypes(old, table));
        let likeness = Likeness::<Statistics> {
            oid: |statistics| statistics.oid,
            name: |statistics| &statistics.name.name,
            is_same: &|old, new| is_retyped || old.definition == new.definition,
            is_like: &|_, _| false,
        };
        for (before, after) in matching::parts(of(old, |t| &t.statistics), &table.statistics, &likeness) {
            match (before, after) {
                (Some(before), None) => {
                    let another = table.statistics.iter().find(|statistics| statistics.name == before.name);
                    let subject = Subject::Statistics(before.name.cow());
                    let action = drop_unless(subject, another.map(|statistics| statistics.definition.as_str()));
                    self.step(Kind::DropPart, EXTENDED, action);
                }
                (Some(before), Some(after)) if !before.blocked => {
                    self.same(Class::Statistics, before.oid, after.oid);
                    self.renames.go(after.oid, STATISTICS, &before.name, &after.name, Subject::Statistics);
                    if before.target != after.target {
                        let target = after.target.unwrap_or(-1);
                        let action = Action::SetStatisticsTarget { statistics: after, target };
                        self.step(Kind::StatisticsTarget, 1, action);
                    }
                }
                (_, Some(statistics)) if !statistics.blocked => {
                    self.renewed.insert((Class::Statistics, statistics.oid));
                    self.step(Kind::Statistics, 0, Action::CreateStatistics { table, statistics });
                    if let Some(target) = statistics.target {
                        self.step(Kind::StatisticsTarget, 1, Action::SetStatisticsTarget { statistics, target });
                    }
                }
                _ => {}
            }
        }
    }

    /// A partition's copy of its parent's trigger comes with the parent, and so does what is said about it: parents first.
    fn triggers(&mut self, old: Option<&'a Table>, table: &'a Table) {
        let likeness = Likeness::<Trigger> {
            oid: |trigger| trigger.oid,
            name: |trigger| &trigger.name,
            is_same: &|old, new| old.definition == new.definition,
            is_like: &|_, _| false,
        };
        let mut renamed = Vec::new();
        for (before, trigger) in matching::parts(of(old, |t| &t.triggers), &table.triggers, &likeness) {
            match (before, trigger) {
                (Some(before), None) => {
                    let subject = Subject::trigger(old.map_or(&table.name, |old| &old.name), &before.name);
                    let another = table.triggers.iter().find(|trigger| trigger.name == before.name);
                    let action = drop_unless(subject, another.map(|trigger| trigger.definition.as_str()));
                    self.step(Kind::DropPart, TRIGGER + self.depth(table), action);
                }
                (Some(before), Some(trigger)) if !before.blocked => {
                    self.same(Class::Trigger, before.oid, trigger.oid);
                    renamed.push((trigger.oid, before.name.as_str(), trigger.name.as_str()));
                    self.alter_trigger(table, before, trigger);
                }
                (_, Some(trigger)) if !trigger.blocked => {
                    self.renewed.insert((Class::Trigger, trigger.oid));
                    if trigger.inherited.is_none() {
                        self.step(Kind::Trigger, table.level, Action::CreateTrigger { table, trigger });
                    }
                    if trigger.firing != trigger.inherited.unwrap_or(Firing::Enabled) {
                        self.step(Kind::TriggerState, table.level, Action::SetTrigger { table, trigger });
                    }
                }
                _ => {}
            }
        }
        self.rename_inside(self.depth(table), renamed, |from, to| Action::Rename {
            subject: Subject::Trigger(&table.name, from),
            to,
            way: Way::default(),
        });
    }

    /// OR REPLACE is of 14, and for no constraint trigger.
    fn alter_trigger(&mut self, table: &'a Table, before: &'a Trigger, trigger: &'a Trigger) {
        if trigger.blocked {
            return;
        }
        let is_other = before.definition != trigger.definition && trigger.inherited.is_none();
        let can_replace = self.major >= 14 && !trigger.definition.starts_with("CREATE CONSTRAINT TRIGGER ");
        if is_other && can_replace {
            self.step(Kind::Trigger, table.level, Action::ReplaceTrigger { table, trigger });
        } else if is_other {
            let subject = Subject::trigger(&table.name, &trigger.name);
            let definition = &trigger.definition;
            self.step(Kind::DropReplaced, self.depth(table), Action::DropUnless { subject, definition });
            self.step(Kind::Trigger, table.level, Action::CreateTrigger { table, trigger });
            self.renewed.insert((Class::Trigger, trigger.oid));
        }
        // One that is made again fires.
        if before.firing != trigger.firing || (is_other && trigger.firing != Firing::Enabled) {
            self.step(Kind::TriggerState, table.level, Action::SetTrigger { table, trigger });
        }
    }

    /// Restrictive ones first, and no permissive one where a restrictive one is missing: what is not there yet hides rows, never shows
    /// them. A role that is missing there is an error for the same reason.
    fn policies(&mut self, old: Option<&'a Table>, table: &'a Table) {
        for (force, is_on, was_on) in [
            (false, table.row_security, old.is_some_and(|old| old.row_security)),
            (true, table.force_row_security, old.is_some_and(|old| old.force_row_security)),
        ] {
            if is_on != was_on {
                self.step(Kind::RowLevelSecurity, i64::from(force), Action::SecureRows { table, force, on: is_on });
            }
        }
        let is_made = |table: &Table| {
            let is_unsafe = table.missing_restriction().is_some();
            move |policy: &Policy| !(policy.blocked || policy.permissive && is_unsafe)
        };
        let likeness = Likeness::<Policy> {
            oid: |policy| policy.oid,
            name: |policy| &policy.name,
            is_same: &|old, new| Policy { oid: new.oid, ..old.clone() } == *new,
            is_like: &|_, _| false,
        };
        let (was_made, is_made) = (old.map(is_made), is_made(table));
        let mut renamed = Vec::new();
        for (before, policy) in matching::parts(of(old, |t| &t.policies), &table.policies, &likeness) {
            let before = before.filter(|before| was_made.as_ref().is_none_or(|was_made| was_made(before)));
            match (before, policy) {
                (Some(before), Some(policy)) if is_made(policy) => {
                    self.same(Class::Policy, before.oid, policy.oid);
                    renamed.push((policy.oid, before.name.as_str(), policy.name.as_str()));
                    self.alter_policy(table, before, policy);
                }
                (None, Some(policy)) if is_made(policy) => {
                    self.renewed.insert((Class::Policy, policy.oid));
                    self.step(Kind::Policy, i64::from(policy.permissive), Action::CreatePolicy { table, policy });
                }
                // Also one that would show too much now.
                (Some(before), None) | (Some(before), Some(_)) => {
                    let subject = Subject::policy(old.map_or(&table.name, |old| &old.name), &before.name);
                    self.step(Kind::DropPart, POLICY, Action::Drop(subject));
                }
                (None, _) => {}
            }
        }
        self.rename_inside(self.depth(table), renamed, |from, to| Action::Rename {
            subject: Subject::Policy(&table.name, from),
            to,
            way: Way::default(),
        });
    }

    fn alter_policy(&mut self, table: &'a Table, before: &'a Policy, policy: &'a Policy) {
        let said = Policy { oid: policy.oid, name: policy.name.clone(), ..before.clone() };
        if said != *policy {
            self.step(Kind::Policy, i64::from(policy.permissive), Action::AlterPolicy { table, policy });
        }
        let fixed = |policy: &Policy| (policy.permissive, policy.command);
        let goes = (before.using.is_some() && policy.using.is_none(), before.check.is_some() && policy.check.is_none());
        let subject = Subject::policy(&table.name, &policy.name);
        self.expect(subject, &(fixed(before), goes), &(fixed(policy), (false, false)));
    }
}

/// To make room for another one of the same name, if that is not what is there.
pub(super) fn drop_unless<'a>(subject: Subject<'a>, another: Option<&'a str>) -> Action<'a> {
    match another {
        Some(definition) => Action::DropUnless { subject, definition },
        None => Action::Drop(subject),
    }
}

/// A list of the former table, if there was one.
pub(super) fn of<T>(table: Option<&Table>, list: impl Fn(&Table) -> &Vec<T>) -> &[T] {
    table.map_or(&[], |table| list(table))
}
