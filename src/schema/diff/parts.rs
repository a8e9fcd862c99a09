//! Parts of tables that come after the data: constraints, indexes, statistics, triggers, policies.

use super::{Action, Comparison, Subject, pairs};
use crate::schema::image::{
    Constraint, ConstraintKind, Firing, Index, Name, Policy, ReplicaIdentity, Statistics, Table, Trigger,
};
use crate::schema::kind::Kind;

impl<'a> Comparison<'a> {
    pub(super) fn parts(&mut self, old: Option<&'a Table>, table: &'a Table) {
        self.constraints(old, table);
        self.indexes(old, table);
        self.statistics(old, table);
        self.triggers(old, table);
        self.policies(old, table);
        if old.map_or(table.replica_identity != ReplicaIdentity::Default, |old| identity(old) != identity(table)) {
            self.replica_identity(table);
        }
    }

    fn constraints(&mut self, old: Option<&'a Table>, table: &'a Table) {
        let local: Vec<u32> = {
            let checks = self.family.checks(table).into_iter().filter(|check| check.is_local);
            checks.map(|check| check.constraint.oid).collect()
        };
        for (before, after) in pairs(of(old, |t| &t.constraints), &table.constraints, |k| k.oid) {
            match (before, after) {
                (None, Some(constraint)) => self.add_constraint(old.is_none(), table, constraint, &local),
                (Some(before), None) => {
                    self.step(Kind::DropPart, 0, Action::Drop(Subject::Constraint(name_of(old, table), &before.name)));
                }
                (Some(before), Some(after)) => {
                    self.rename_part(Subject::Constraint(&table.name, &before.name), &before.name, &after.name);
                    let definition = self.definition_of(&before.definition, &after.definition);
                    let said = Constraint { name: after.name.clone(), definition, ..before.clone() };
                    self.expect(Subject::Constraint(&table.name, &after.name), &said, after);
                }
                (None, None) => {}
            }
        }
    }

    /// Checks that hold are in CREATE TABLE when the table is new. Never validated ones go parents first: children get theirs from the
    /// parent. Foreign keys whose both sides are in the image (the others are blocked); one that a partitioned parent hands down is
    /// created with it; rows with the table itself as parent's table are the server's bookkeeping for a partitioned referenced table.
    fn add_constraint(&mut self, is_new: bool, table: &'a Table, constraint: &'a Constraint, local: &[u32]) {
        use ConstraintKind::*;
        let (kind, level, is_made) = match constraint.kind {
            PrimaryKey => (Kind::PrimaryKey, 0, true),
            Unique => (Kind::UniqueConstraint, 0, true),
            Exclusion => (Kind::ExclusionConstraint, 0, true),
            ForeignKey => (Kind::ForeignKey, 0, constraint.parent_table.is_none_or(|parent| !self.family.has(parent))),
            Check | NotNull => {
                let kind = if constraint.kind == Check { Kind::Check } else { Kind::NotNull };
                let is_late = !constraint.validated || !is_new;
                (kind, table.level, is_late && local.contains(&constraint.oid))
            }
        };
        if is_made && !constraint.blocked {
            self.step(kind, level, Action::AddConstraint { table, constraint });
        }
    }

    fn replica_identity(&mut self, table: &'a Table) {
        let index = table.indexes.iter().find(|index| index.is_replica_identity);
        let index = index.filter(|_| table.replica_identity == ReplicaIdentity::Index);
        if index.is_some() || table.replica_identity != ReplicaIdentity::Index {
            self.step(Kind::ReplicaIdentity, 0, Action::IdentifyReplica { table, index });
        }
    }

    fn indexes(&mut self, old: Option<&'a Table>, table: &'a Table) {
        for (before, after) in pairs(of(old, |t| &t.indexes), &table.indexes, |i| i.oid) {
            match (before, after) {
                (None, Some(index)) if index.is_made() => self.create_index(table, index),
                // That of a constraint goes with it.
                (Some(before), None) if before.constraint.is_none() => {
                    self.step(Kind::DropPart, 1, Action::Drop(Subject::index(name_of(old, table), &before.name)));
                }
                (Some(before), Some(after)) => {
                    if before.constraint.is_none() {
                        let subject = Subject::index(&table.name, &before.name);
                        self.rename_part(subject, &before.name, &after.name);
                    }
                    let definition = before.definition.as_deref().zip(after.definition.as_deref());
                    let said = Index {
                        name: after.name.clone(),
                        definition: definition.map(|(old, new)| self.definition_of(old, new)),
                        is_replica_identity: after.is_replica_identity,
                        ..before.clone()
                    };
                    self.expect(Subject::index(&table.name, &after.name), &said, after);
                }
                _ => {}
            }
        }
    }

    fn create_index(&mut self, table: &'a Table, index: &'a Index) {
        if index.constraint.is_none() {
            self.step(Kind::Index, 0, Action::CreateIndex { table, index });
        }
        if let Some(parent) = self.parent_index(table, index) {
            self.step(Kind::IndexPartition, 0, Action::AttachIndex { table, index, parent });
        }
        for statistics in &index.statistics {
            self.step(Kind::IndexStatistics, 0, Action::SetIndexStatistics { table, index, statistics });
        }
        if index.clustered {
            self.step(Kind::Cluster, 0, Action::Cluster { table, index });
        }
    }

    /// The index of a partitioned table under which this one of a partition is.
    fn parent_index(&self, table: &'a Table, index: &Index) -> Option<Name> {
        let parent = index.parent?;
        self.family
            .parents(table)
            .find_map(|(table, _)| Some((table, table.index(parent).filter(|index| index.is_made())?)))
            .map(|(table, index)| Name::new(&table.name.schema, &index.name))
    }

    fn statistics(&mut self, old: Option<&'a Table>, table: &'a Table) {
        for (before, after) in pairs(of(old, |t| &t.statistics), &table.statistics, |s| s.oid) {
            match (before, after) {
                (None, Some(statistics)) if !statistics.blocked => {
                    self.step(Kind::Statistics, 0, Action::CreateStatistics { table, statistics });
                    if let Some(target) = statistics.target {
                        self.step(Kind::StatisticsTarget, 1, Action::SetStatisticsTarget { statistics, target });
                    }
                }
                (Some(before), None) => {
                    self.step(Kind::DropPart, 2, Action::Drop(Subject::Statistics(before.name.cow())));
                }
                (Some(before), Some(after)) => {
                    self.move_to(Subject::Statistics, &before.name, &after.name);
                    if let Some(target) = after.target.filter(|_| before.target != after.target) {
                        self.step(Kind::StatisticsTarget, 1, Action::SetStatisticsTarget { statistics: after, target });
                    }
                    let definition = self.definition_of(&before.definition, &after.definition);
                    let (name, target) = (after.name.clone(), after.target.or(before.target));
                    let said = Statistics { name, target, definition, ..before.clone() };
                    self.expect(Subject::Statistics(after.name.cow()), &said, after);
                }
                _ => {}
            }
        }
    }

    /// A partition's copy of its parent's trigger comes with the parent, and so does what is said about it: parents first.
    fn triggers(&mut self, old: Option<&'a Table>, table: &'a Table) {
        for (before, trigger) in pairs(of(old, |t| &t.triggers), &table.triggers, |g| g.oid) {
            match (before, trigger) {
                (None, Some(trigger)) if !trigger.blocked => {
                    if trigger.inherited.is_none() {
                        self.step(Kind::Trigger, table.level, Action::CreateTrigger { table, trigger });
                    }
                    if trigger.firing != trigger.inherited.unwrap_or(Firing::Enabled) {
                        self.step(Kind::TriggerState, table.level, Action::SetTrigger { table, trigger });
                    }
                }
                (Some(before), None) => {
                    self.step(Kind::DropPart, 3, Action::Drop(Subject::Trigger(name_of(old, table), &before.name)));
                }
                (Some(before), Some(trigger)) => {
                    self.rename_part(Subject::Trigger(&table.name, &before.name), &before.name, &trigger.name);
                    if before.firing != trigger.firing {
                        self.step(Kind::TriggerState, table.level, Action::SetTrigger { table, trigger });
                    }
                    let definition = self.definition_of(&before.definition, &trigger.definition);
                    let (name, firing) = (trigger.name.clone(), trigger.firing);
                    let said = Trigger { name, firing, definition, ..before.clone() };
                    self.expect(Subject::Trigger(&table.name, &trigger.name), &said, trigger);
                }
                _ => {}
            }
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
        let is_unsafe = table.missing_restriction().is_some();
        for (before, policy) in pairs(of(old, |t| &t.policies), &table.policies, |p| p.oid) {
            match (before, policy) {
                (None, Some(policy)) if !(policy.blocked || policy.permissive && is_unsafe) => {
                    self.step(Kind::Policy, i64::from(policy.permissive), Action::CreatePolicy { table, policy });
                }
                (Some(before), None) => {
                    self.step(Kind::DropPart, 4, Action::Drop(Subject::Policy(name_of(old, table), &before.name)));
                }
                (Some(before), Some(policy)) => {
                    self.rename_part(Subject::Policy(&table.name, &before.name), &before.name, &policy.name);
                    let using = self.opt_definition_of(&before.using, &policy.using);
                    let check = self.opt_definition_of(&before.check, &policy.check);
                    let said = Policy { name: policy.name.clone(), using, check, ..before.clone() };
                    self.expect(Subject::Policy(&table.name, &policy.name), &said, policy);
                }
                _ => {}
            }
        }
    }

    /// What the former definition is expected to be called now.
    fn definition_of(&self, before: &str, after: &str) -> String {
        if self.has_renamed { after } else { before }.to_owned()
    }

    fn opt_definition_of(&self, before: &Option<String>, after: &Option<String>) -> Option<String> {
        let both = before.as_deref().zip(after.as_deref());
        both.map_or_else(|| before.clone(), |(before, after)| Some(self.definition_of(before, after)))
    }
}

/// A list of the former table, if there was one.
fn of<T>(table: Option<&Table>, list: impl Fn(&Table) -> &Vec<T>) -> &[T] {
    table.map_or(&[], |table| list(table))
}

/// Drops come before renames: the table has its former name.
fn name_of<'a>(old: Option<&'a Table>, table: &'a Table) -> &'a Name {
    old.map_or(&table.name, |old| &old.name)
}

fn identity(table: &Table) -> (ReplicaIdentity, Option<u32>) {
    let index = table.indexes.iter().find(|index| index.is_replica_identity);
    (table.replica_identity, index.map(|index| index.oid))
}
