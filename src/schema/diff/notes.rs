//! Comments and privileges, on everything that is in the image and created.

use super::{Action, Comparison, Subject};
use crate::schema::image::{Address, Class, Constraint, ConstraintKind, Grant, Privileges, Table, TypeForm};
use crate::schema::kind::Kind;

impl<'a> Comparison<'a> {
    pub(super) fn comments(&mut self) {
        for (address, subject) in self.subjects() {
            let text = self.after.comments.get(&address).map(String::as_str);
            // Every new database has schema public with this comment, and its owner there may be another role.
            let is_given = subject == Subject::schema("public") && text == Some("standard public schema");
            let old = self.former_note(address);
            let may_be_lost = text.is_some() && self.replaced.contains(&(address.0, address.1));
            let may_be_of_another = self.exchanged.contains(&(address.0, address.1));
            if (text != old || may_be_lost || may_be_of_another) && !is_given {
                self.step(Kind::Comment, 0, Action::Comment { subject, text });
            }
        }
    }

    /// What was said about the same thing.
    fn former_note(&self, (class, oid, number): Address) -> Option<&'a str> {
        if self.renewed.contains(&(class, oid)) {
            return None;
        }
        let (class, oid) = self.former.get(&(class, oid)).copied().unwrap_or((class, oid));
        self.before.comments.get(&(class, oid, number)).map(String::as_str)
    }

    pub(super) fn privileges(&mut self) {
        if self.after.privileges.is_empty() && self.before.privileges.is_empty() {
            return;
        }
        let none = Privileges::default();
        for (address, subject) in self.subjects() {
            let old = self.before.privileges.get(&address).unwrap_or(&none);
            let new = self.after.privileges.get(&address).unwrap_or(&none);
            for grant in new.grants.iter().filter_map(|grant| beyond(grant, &old.grants)) {
                self.step(Kind::Grant, grant.place, Action::Grant { subject: subject.clone(), grant });
            }
            for grant in old.grants.iter().filter_map(|grant| beyond(grant, &new.grants)) {
                self.step(Kind::TakeBack, grant.place, Action::TakeBack { subject: subject.clone(), grant });
            }
            if new.public_revoked && !old.public_revoked {
                self.step(Kind::Revoke, 0, Action::RevokePublic { subject });
            } else if old.public_revoked && !new.public_revoked {
                self.step(Kind::Grant, 0, Action::GrantPublic { subject });
            }
        }
    }

    fn subjects(&self) -> Vec<(Address, Subject<'a>)> {
        let image = self.after;
        let mut all = Vec::new();
        all.extend(image.schemas.iter().map(|s| ((Class::Namespace, s.oid, 0), Subject::schema(&s.name))));
        all.extend(image.collations.iter().map(|c| ((Class::Collation, c.oid, 0), Subject::Collation(c.name.cow()))));
        all.extend(image.sequences.iter().map(|s| ((Class::Relation, s.oid, 0), Subject::Sequence(s.name.cow()))));
        for of in &image.types {
            all.push(((Class::Type, of.oid, 0), Subject::of_type(of)));
            match &of.form {
                TypeForm::Composite { relation, attributes } => all.extend(attributes.iter().map(|attribute| {
                    ((Class::Relation, *relation, attribute.attnum), Subject::column(&of.name, &attribute.name))
                })),
                TypeForm::Domain(domain) => {
                    let made = domain.constraints.iter().filter(|k| !k.blocked);
                    all.extend(
                        made.map(|k| ((Class::Constraint, k.oid, 0), Subject::domain_constraint(&of.name, &k.name))),
                    );
                }
                TypeForm::Enum { .. } | TypeForm::Range(_) => {}
            }
        }
        for table in &image.tables {
            self.subjects_of(table, Subject::Table(table.name.cow()), &mut all);
        }
        for view in image.views.iter().filter(|view| !view.blocked) {
            self.subjects_of(&view.relation, Subject::view(view, view.name().cow()), &mut all);
        }
        let routines = image.routines.iter().filter(|routine| !routine.blocked);
        all.extend(routines.map(|of| ((Class::Proc, of.oid, 0), Subject::routine(of, of.name.cow()))));
        let plain = image.plain.iter().filter(|of| !of.blocked);
        all.extend(plain.map(|of| ((of.class(), of.oid, 0), Subject::plain(of))));
        all
    }

    fn subjects_of(&self, table: &'a Table, subject: Subject<'a>, all: &mut Vec<(Address, Subject<'a>)>) {
        let name = &table.name;
        all.push(((Class::Relation, table.oid, 0), subject));
        all.extend(
            table.columns.iter().map(|c| ((Class::Relation, table.oid, c.attnum), Subject::column(name, &c.name))),
        );
        let handed_down = |k: &Constraint| {
            k.kind == ConstraintKind::ForeignKey && k.parent_table.is_some_and(|parent| self.family.has(parent))
        };
        let constraints = table.constraints.iter().filter(|k| !k.blocked && !handed_down(k));
        all.extend(constraints.map(|k| ((Class::Constraint, k.oid, 0), Subject::constraint(name, &k.name))));
        let indexes = table.indexes.iter().filter(|index| index.is_made());
        all.extend(indexes.map(|i| ((Class::Relation, i.oid, 0), Subject::index(name, &i.name))));
        let statistics = table.statistics.iter().filter(|s| !s.blocked);
        all.extend(statistics.map(|s| ((Class::Statistics, s.oid, 0), Subject::Statistics(s.name.cow()))));
        let triggers = table.triggers.iter().filter(|g| !g.blocked && g.inherited.is_none());
        all.extend(triggers.map(|g| ((Class::Trigger, g.oid, 0), Subject::trigger(name, &g.name))));
        let rules = table.rules.iter().filter(|r| !r.blocked);
        all.extend(rules.map(|r| ((Class::Rewrite, r.oid, 0), Subject::rule(name, &r.name))));
        let is_unsafe = table.missing_restriction().is_some();
        let policies = table.policies.iter().filter(|p| !(p.blocked || p.permissive && is_unsafe));
        all.extend(policies.map(|p| ((Class::Policy, p.oid, 0), Subject::policy(name, &p.name))));
    }
}

/// What a grant gives that others do not.
fn beyond(grant: &Grant, others: &[Grant]) -> Option<Grant> {
    let same = |other: &&Grant| other.grantee == grant.grantee && other.with_option == grant.with_option;
    let given: Vec<&String> = others.iter().filter(same).flat_map(|other| &other.privileges).collect();
    let privileges: Vec<String> = grant.privileges.iter().filter(|p| !given.contains(p)).cloned().collect();
    (!privileges.is_empty()).then(|| Grant { privileges, ..grant.clone() })
}
