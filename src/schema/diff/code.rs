//! Functions, procedures, views and rules. One that is the same is replaced: whatever the server lets somebody change of it, it takes by
//! OR REPLACE. What has a name in its text is then said once more where only the name has changed, which does no harm.

use std::borrow::Cow;

use super::matching::{self, Likeness};
use super::names::TYPES;
use super::parts::of;
use super::{Action, Comparison, RELATIONS, Subject, Way, pairs};
use crate::schema::image::{Class, Firing, Name, Plain, PlainKind, Routine, Rule, Table, View};
use crate::schema::kind::Kind;

/// Its place among the parts that go.
const RULE: i64 = 5_000;

impl<'a> Comparison<'a> {
    pub(super) fn routines(&mut self) {
        for (old, new) in pairs(&self.before.routines, &self.after.routines, |of| of.oid) {
            match (old.filter(|old| !old.blocked), new) {
                (None, Some(new)) if !new.blocked => {
                    self.renewed.insert((Class::Proc, new.oid));
                    self.step(Kind::Routine, new.level, Action::CreateRoutine(new));
                }
                (Some(old), None) => {
                    let subject = Subject::routine(old, Cow::Owned(self.renames.name(&old.name)));
                    self.step(Kind::DropRoutine, 0, Action::Drop(subject));
                }
                (Some(old), Some(new)) if !new.blocked => self.alter_routine(old, new),
                _ => {}
            }
        }
    }

    fn alter_routine(&mut self, old: &'a Routine, new: &'a Routine) {
        let from = self.renames.name(&old.name);
        let level = i64::from(new.oid);
        if from.schema != new.name.schema {
            let subject = Subject::routine(new, Cow::Owned(from.clone()));
            let to = new.name.schema.as_str().into();
            self.step(Kind::SetSchema, level, Action::SetSchema { subject, to, way: Way::default() });
        }
        if from.name != new.name.name {
            let subject = Subject::routine(new, Cow::Owned(Name::new(&new.name.schema, &from.name)));
            self.step(
                Kind::RenamePart,
                level,
                Action::Rename { subject, to: new.name.name.as_str().into(), way: Way::default() },
            );
        }
        if old.definition != new.definition {
            self.step(Kind::Routine, new.level, Action::CreateRoutine(new));
        }
        self.expect(Subject::routine(new, new.name.cow()), &old.is_procedure, &new.is_procedure);
    }

    pub(super) fn plain(&mut self) {
        for (old, new) in pairs(&self.before.plain, &self.after.plain, |of| (of.class(), of.oid)) {
            match (old.filter(|old| !old.blocked), new) {
                (None, Some(new)) if !new.blocked => {
                    self.renewed.insert((new.class(), new.oid));
                    self.step(Kind::Plain, new.level, Action::CreatePlain(new));
                }
                (Some(old), None) => self.step(Kind::DropRoutine, 0, Action::Drop(Subject::plain(old))),
                (Some(old), Some(new)) if !new.blocked => self.alter_plain(old, new),
                _ => {}
            }
        }
    }

    /// Its text has the names of others in it, too: whether it is another one the destination knows.
    fn alter_plain(&mut self, old: &'a Plain, new: &'a Plain) {
        let level = i64::from(new.oid);
        // A cast is called after a type.
        let from = if new.kind == PlainKind::Cast { new.name.clone() } else { self.renames.name(&old.name) };
        let subject = |name: &Name| Subject::Plain(Cow::Owned(new.named(name)));
        if from.schema != new.name.schema {
            let to = new.name.schema.as_str().into();
            self.step(Kind::SetSchema, level, Action::SetSchema { subject: subject(&from), to, way: Way::default() });
        }
        if from.name != new.name.name {
            let subject = subject(&Name::new(&new.name.schema, &from.name));
            let to = new.name.name.as_str().into();
            self.step(Kind::RenamePart, level, Action::Rename { subject, to, way: Way::default() });
        }
        let before = Box::new(old.named(&new.name));
        if before.definition == new.definition {
            return;
        }
        if before.is_like(new) {
            self.step(Kind::Plain, new.level, Action::AlterPlain { before, plain: new });
        } else {
            self.replaced.insert((new.class(), new.oid));
            self.step(Kind::Plain, new.level, Action::ReplacePlain(new));
        }
    }

    pub(super) fn views(&mut self) {
        for (old, new) in pairs(&self.before.views, &self.after.views, View::oid) {
            match (old.filter(|old| !old.blocked), new) {
                (None, Some(new)) if !new.blocked => {
                    self.renewed.insert((Class::Relation, new.oid()));
                    self.step(Kind::View, new.relation.level, Action::CreateView(new));
                    self.view_defaults(None, &new.relation);
                    self.parts(None, &new.relation);
                }
                (Some(old), None) => {
                    let name = self.renames.name(old.name());
                    self.step(Kind::DropView, 0, Action::Drop(Subject::view(old, Cow::Owned(name))));
                }
                (Some(old), Some(new)) if !new.blocked => self.alter_view(old, new),
                _ => {}
            }
        }
    }

    fn alter_view(&mut self, old: &'a View, new: &'a View) {
        let word = if new.is_materialized() { Subject::MaterializedView } else { Subject::View };
        self.renames.go(new.oid(), RELATIONS | TYPES, old.name(), new.name(), word);
        let (before, after) = (&old.relation, &new.relation);
        let renamed: Vec<(u32, &str, &str)> = pairs(&before.columns, &after.columns, |column| column.attnum)
            .into_iter()
            .filter_map(|(old, new)| old.zip(new))
            .map(|(old, new)| (u32::from(new.attnum.unsigned_abs()), old.name.as_str(), new.name.as_str()))
            .collect();
        self.rename_inside(0, renamed, |from, to| Action::Rename {
            subject: Subject::Column(&after.name, from),
            to,
            way: Way::default(),
        });
        let is_other = old.definition != new.definition || before.options != after.options;
        match new.is_materialized() {
            true => self.settings_of_view(before, after),
            false if is_other => self.step(Kind::View, after.level, Action::CreateView(new)),
            false => {}
        }
        self.view_defaults(Some(before), after);
        self.parts(Some(before), after);
        self.expect(Subject::view(new, new.name().cow()), &old.is_materialized(), &new.is_materialized());
    }

    fn settings_of_view(&mut self, before: &'a Table, after: &'a Table) {
        let is_in = |list: &Table, option: &crate::schema::image::StorageOption| {
            list.options.iter().any(|other| (other.of_toast, &other.name) == (option.of_toast, &option.name))
        };
        let gone: Vec<_> = before.options.iter().filter(|option| !is_in(after, option)).collect();
        if !gone.is_empty() {
            self.step(Kind::IndexSettings, 0, Action::ResetOptions { table: after, options: gone });
        }
        let new: Vec<_> = after.options.iter().filter(|option| !before.options.contains(option)).collect();
        if !new.is_empty() {
            self.step(Kind::IndexSettings, 0, Action::SetOptions { table: after, options: new });
        }
    }

    /// What an INSERT through the view takes where it says nothing.
    fn view_defaults(&mut self, before: Option<&'a Table>, after: &'a Table) {
        for column in &after.columns {
            let old = before.and_then(|before| before.column(column.attnum));
            let (was, is) = (old.and_then(|old| old.expression.as_deref()), column.expression.as_deref());
            if was != is {
                let change = super::ColumnChange::Default(is);
                self.step(Kind::ViewDefault, after.level, Action::AlterColumn { table: after, column, change });
            }
        }
    }

    pub(super) fn rules(&mut self, old: Option<&'a Table>, table: &'a Table) {
        let likeness = Likeness::<Rule> {
            oid: |rule| rule.oid,
            name: |rule| &rule.name,
            is_same: &|old, new| old.definition == new.definition,
            is_like: &|_, _| false,
        };
        let mut renamed = Vec::new();
        for (before, rule) in matching::parts(of(old, |t| &t.rules), &table.rules, &likeness) {
            match (before.filter(|before| !before.blocked), rule) {
                (Some(before), None) => {
                    let subject = Subject::rule(old.map_or(&table.name, |old| &old.name), &before.name);
                    self.step(Kind::DropPart, RULE, Action::Drop(subject));
                }
                (Some(before), Some(rule)) if !rule.blocked => {
                    self.same(Class::Rewrite, before.oid, rule.oid);
                    renamed.push((rule.oid, before.name.as_str(), rule.name.as_str()));
                    if before.definition != rule.definition {
                        self.step(Kind::Rule, 0, Action::CreateRule { table, rule });
                    }
                    if before.firing != rule.firing {
                        self.step(Kind::RuleState, 0, Action::SetRule { table, rule });
                    }
                }
                (None, Some(rule)) if !rule.blocked => {
                    self.renewed.insert((Class::Rewrite, rule.oid));
                    self.step(Kind::Rule, 0, Action::CreateRule { table, rule });
                    if rule.firing != Firing::Enabled {
                        self.step(Kind::RuleState, 0, Action::SetRule { table, rule });
                    }
                }
                _ => {}
            }
        }
        self.rename_inside(self.depth(table), renamed, |from, to| Action::Rename {
            subject: Subject::Rule(&table.name, from),
            to,
            way: Way::default(),
        });
    }
}
