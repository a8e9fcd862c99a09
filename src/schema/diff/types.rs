//! Types that a user made: labels of an enum and attributes of a composite type come one by one, a domain has parts, a range has only its
//! name.

use std::borrow::Cow;

use super::names::TYPES;
use super::renames::spaces_of;
use super::{Action, Comparison, DomainChange, Subject, TypeChange, Way, pairs};
use crate::schema::image::{Attribute, Domain, DomainConstraint, EnumLabel, Range, Type, TypeForm};
use crate::schema::kind::Kind;

/// Before everything in tables: those of a type get their columns' names from it.
const BEFORE_TABLES: i64 = -1;

impl<'a> Comparison<'a> {
    pub(super) fn types(&mut self) {
        for (old, new) in pairs(&self.before.types, &self.after.types, |t| t.oid) {
            match (old, new) {
                (None, Some(new)) => {
                    let kind = if new.is_domain() { Kind::Domain } else { Kind::Type };
                    self.step(kind, new.level, Action::CreateType(new));
                    self.late_domain_constraints(new);
                }
                (Some(old), None) => self.drop_type(old),
                (Some(old), Some(new)) => self.alter_type(old, new),
                (None, None) => {}
            }
        }
    }

    /// What it is made of goes after it.
    fn drop_type(&mut self, old: &'a Type) {
        let subject = if old.is_domain() { Subject::Domain } else { Subject::Type };
        let name = self.renames.leave(old.oid, spaces_of(old), &old.name, subject);
        self.step(Kind::DropNeeded, 1 - old.level.saturating_add(1), Action::Drop(subject(Cow::Owned(name))));
    }

    /// A constraint that was never validated may not hold for values that are still to be copied.
    fn late_domain_constraints(&mut self, domain: &'a Type) {
        let TypeForm::Domain(definition) = &domain.form else { return };
        for constraint in definition.constraints.iter().filter(|k| !k.validated && !k.blocked) {
            self.step(Kind::Check, 0, Action::AddDomainConstraint { domain, constraint });
        }
    }

    fn alter_type(&mut self, old: &'a Type, new: &'a Type) {
        let subject = if new.is_domain() { Subject::Domain } else { Subject::Type };
        self.renames.go(new.oid, spaces_of(new), &old.name, &new.name, subject);
        match (&old.form, &new.form) {
            (TypeForm::Enum { labels: old }, TypeForm::Enum { labels }) => self.alter_enum(new, old, labels),
            (TypeForm::Composite { attributes: before, .. }, TypeForm::Composite { attributes, .. }) => {
                self.alter_composite((old, before), (new, attributes))
            }
            (TypeForm::Range(before), TypeForm::Range(range)) => self.alter_range(new, before, range),
            (TypeForm::Domain(before), TypeForm::Domain(domain)) => self.alter_domain((old, before), (new, domain)),
            _ => self.found.unsaid.push(Subject::of_type(new)),
        }
    }

    /// Labels are renamed and added, and never go.
    fn alter_enum(&mut self, of: &'a Type, old: &'a [EnumLabel], labels: &'a [EnumLabel]) {
        let both: Vec<(&EnumLabel, &EnumLabel)> =
            pairs(old, labels, |label| label.oid).into_iter().filter_map(|(old, new)| old.zip(new)).collect();
        let is_kept = both.len() == old.len() && both.iter().zip(old).all(|((before, _), old)| before.oid == old.oid);
        if !is_kept {
            self.found.unsaid.push(Subject::of_type(of));
        }
        let renamed: Vec<(u32, &str, &str)> =
            both.iter().map(|(old, new)| (new.oid, old.name.as_str(), new.name.as_str())).collect();
        self.rename_inside(BEFORE_TABLES, renamed, |from, to| Action::AlterType {
            of,
            change: TypeChange::RenameValue { from, to },
        });
        let is_new = |label: &EnumLabel| !old.iter().any(|old| old.oid == label.oid);
        for (at, label) in labels.iter().enumerate().filter(|(_, label)| is_new(label)) {
            // Those in front of it are there by then; of those behind it only the old ones.
            let (before, neighbour) = match at.checked_sub(1) {
                Some(at) => (false, labels.get(at)),
                None => (true, labels.iter().find(|label| !is_new(label))),
            };
            let neighbour = neighbour.map(|label| label.name.as_str());
            let change = TypeChange::AddValue { label: &label.name, before, neighbour };
            self.step(Kind::TypeChange, at as i64, Action::AlterType { of, change });
        }
    }

    fn alter_composite(
        &mut self,
        (old, before): (&'a Type, &'a [Attribute]),
        (of, after): (&'a Type, &'a [Attribute]),
    ) {
        let shown = of.name.shown();
        let cascade = self.after.tables.iter().any(|table| table.of_type.as_deref() == Some(&shown));
        let mut renamed = Vec::new();
        for (before, attribute) in pairs(before, after, |attribute| attribute.attnum) {
            match (before, attribute) {
                (None, Some(attribute)) => {
                    let change = TypeChange::AddAttribute { attribute, cascade };
                    self.step(Kind::TypeChange, i64::from(attribute.attnum), Action::AlterType { of, change });
                }
                (Some(before), None) => {
                    let change = TypeChange::DropAttribute { name: &before.name, cascade };
                    self.step(Kind::DropPart, BEFORE_TABLES, Action::AlterType { of: old, change });
                }
                (Some(before), Some(attribute)) => {
                    renamed.push((attribute.attnum as u32, before.name.as_str(), attribute.name.as_str()));
                    let is_other = self.renames.type_name(&before.type_name) != attribute.type_name
                        || self.collation_is_other(before.collation.as_ref(), attribute.collation.as_ref());
                    if is_other {
                        let change = TypeChange::AlterAttribute { attribute, cascade };
                        self.step(Kind::TypeChange, i64::from(attribute.attnum), Action::AlterType { of, change });
                    }
                }
                (None, None) => {}
            }
        }
        self.rename_inside(BEFORE_TABLES, renamed, |from, to| Action::AlterType {
            of,
            change: TypeChange::RenameAttribute { from, to, cascade },
        });
    }

    fn alter_range(&mut self, of: &'a Type, old: &'a Range, range: &'a Range) {
        if let Some((before, after)) = old.multirange.as_ref().zip(range.multirange.as_ref()) {
            self.renames.go(of.oid.wrapping_add(u32::MAX / 2), TYPES, before, after, Subject::Type);
        }
        // Support functions come and go with what the destination has; a range keeps those that it was made with.
        let said = Range {
            subtype: self.renames.type_name(&old.subtype).into_owned(),
            operator_class: range.operator_class.clone(),
            collation: range.collation.clone(),
            canonical: range.canonical.clone(),
            subtype_diff: range.subtype_diff.clone(),
            multirange: range.multirange.clone(),
            ..old.clone()
        };
        self.expect(Subject::of_type(of), &said, range);
    }

    fn alter_domain(&mut self, (old, before): (&'a Type, &'a Domain), (domain, after): (&'a Type, &'a Domain)) {
        if before.default != after.default {
            let change = DomainChange::Default(after.default.as_deref());
            self.step(Kind::DomainChange, 0, Action::AlterDomain { domain, change });
        }
        let is_named = |domain: &Domain| domain.constraints.iter().any(|k| !k.is_check);
        if before.not_null != after.not_null && !is_named(before) && !is_named(after) {
            let change = DomainChange::NotNull(after.not_null);
            self.step(Kind::DomainChange, 1, Action::AlterDomain { domain, change });
        }
        let mut renamed = Vec::new();
        for (before, after) in pairs(&before.constraints, &after.constraints, |k| k.oid) {
            match (before, after) {
                (Some(before), None) => {
                    let subject = Subject::domain_constraint(&old.name, &before.name);
                    self.step(Kind::DropPart, 9, Action::Drop(subject));
                }
                (before, Some(after)) => {
                    renamed.extend(before.map(|before| (after.oid, before.name.as_str(), after.name.as_str())));
                    self.domain_constraint(domain, before, after);
                }
                (None, None) => {}
            }
        }
        let name = &domain.name;
        self.rename_inside(BEFORE_TABLES, renamed, |from, to| Action::Rename {
            subject: Subject::DomainConstraint(name, from),
            to,
            way: Way::default(),
        });
        let is_same = self.renames.type_name(&before.base) == after.base
            && !self.collation_is_other(before.collation.as_ref(), after.collation.as_ref());
        self.expect(Subject::of_type(domain), &is_same, &true);
    }

    fn domain_constraint(
        &mut self,
        domain: &'a Type,
        before: Option<&'a DomainConstraint>,
        constraint: &'a DomainConstraint,
    ) {
        if constraint.blocked {
            return;
        }
        match before.filter(|before| !before.blocked) {
            None => self.step(Kind::DomainChange, 2, Action::AddDomainConstraint { domain, constraint }),
            Some(before) if !before.validated && constraint.validated => {
                let change = DomainChange::Validate(constraint);
                self.step(Kind::DomainChange, 3, Action::AlterDomain { domain, change });
            }
            Some(_) => {}
        }
    }
}
