//! Parts of tables that are left out, because they need what the destination has not, or nobody trusts: rows are applied without them,
//! and somebody is told.

use std::collections::{BTreeSet, HashSet};

use super::Command;
use super::decide::Decided;
use crate::destination::Destination;
use crate::error::Result;
use crate::logicalrep::names::shown;
use crate::schema::image::{Class, Image, Table};
use crate::schema::scope::Object;

/// Those that the later image leaves out, and the earlier one did not know of.
pub(super) fn parts(before: &Image, after: &Image, frozen: &HashSet<Object>) -> Vec<String> {
    let known: HashSet<(u32, &str, u32)> = relations(before).flat_map(left_out).map(|part| part.key()).collect();
    let new = relations(after)
        .flat_map(left_out)
        .filter(|part| !known.contains(&part.key()) && !frozen.contains(&part.object()));
    new.map(|part| format!("{} {} on {}", part.what, shown(part.name), part.table.name.shown())).collect()
}

/// Those that are there.
fn relations(image: &Image) -> impl Iterator<Item = &Table> {
    image.tables.iter().chain(image.views.iter().filter(|view| !view.blocked).map(|view| &view.relation))
}

/// Roles to which something is granted, or for which a policy is, that was not before.
pub(super) fn roles(before: &Image, after: &Image) -> Vec<String> {
    let before = named(before);
    let roles: BTreeSet<&str> = named(after).difference(&before).map(|(_, role)| *role).collect();
    roles.into_iter().map(str::to_owned).collect()
}

fn named(image: &Image) -> BTreeSet<(Object, &str)> {
    let grantees = image.privileges.iter().flat_map(|((class, oid, _), privileges)| {
        privileges.grants.iter().filter_map(move |grant| Some(((*class, *oid), grant.grantee.as_deref()?)))
    });
    let policies = image.tables.iter().flat_map(|table| &table.policies);
    let of_policies =
        policies.flat_map(|policy| policy.roles.iter().map(move |role| ((Class::Policy, policy.oid), role.as_str())));
    grantees.chain(of_policies).collect()
}

struct LeftOut<'a> {
    class: Class,
    table: &'a Table,
    what: &'static str,
    name: &'a str,
    oid: u32,
}

impl<'a> LeftOut<'a> {
    fn key(&self) -> (u32, &'a str, u32) {
        (self.table.oid, self.what, self.oid)
    }

    fn object(&self) -> Object {
        (self.class, self.oid)
    }
}

fn left_out(table: &Table) -> impl Iterator<Item = LeftOut<'_>> {
    let part = move |class, what, name, oid| LeftOut { class, table, what, name, oid };
    let constraints = table.constraints.iter().filter(|of| of.blocked);
    let indexes = table.indexes.iter().filter(|of| of.blocked && of.constraint.is_none());
    let triggers = table.triggers.iter().filter(|of| of.blocked);
    let policies = table.policies.iter().filter(|of| of.blocked);
    let statistics = table.statistics.iter().filter(|of| of.blocked);
    let rules = table.rules.iter().filter(|of| of.blocked);
    // A default that is left out is one that is not there, but known.
    let missing = table.columns.iter().filter(|of| of.default_oid.is_some() && of.expression.is_none());
    let (generated, defaults): (Vec<_>, Vec<_>) = missing.partition(|of| of.fed);
    constraints
        .map(move |of| part(Class::Constraint, "constraint", of.name.as_str(), of.oid))
        .chain(indexes.map(move |of| part(Class::Relation, "index", of.name.as_str(), of.oid)))
        .chain(triggers.map(move |of| part(Class::Trigger, "trigger", of.name.as_str(), of.oid)))
        .chain(policies.map(move |of| part(Class::Policy, "policy", of.name.as_str(), of.oid)))
        .chain(rules.map(move |of| part(Class::Rewrite, "rule", of.name.as_str(), of.oid)))
        .chain(statistics.map(move |of| part(Class::Statistics, "statistics", of.name.name.as_str(), of.oid)))
        .chain(generated.into_iter().map(move |of| {
            part(Class::AttributeDefault, "expression of column", of.name.as_str(), of.default_oid.unwrap_or_default())
        }))
        .chain(defaults.into_iter().map(move |of| {
            part(Class::AttributeDefault, "default of column", of.name.as_str(), of.default_oid.unwrap_or_default())
        }))
}

/// What is left out of a command, in sentences.
pub(super) fn held(destination: &mut Destination, command: &Command, decided: &Decided) -> Result<Vec<String>> {
    let (before, after) = (&decided.before, &decided.after);
    let mut held = Vec::new();
    let left_out = parts(before, after, &decided.frozen.parts);
    if !left_out.is_empty() {
        held.push(format!(
            "Left out: {}. They need what is not on the destination, or belongs there to somebody whom the user of the task does not trust.",
            left_out.join(", ")
        ));
    }
    let by_policy = decided.frozen.held_by(&command.tag);
    if !by_policy.is_empty() {
        held.push(format!("Held by the task's policies, see courier.set_ddl_policy(): {}.", by_policy.join(", ")));
    }
    let named = roles(before, after);
    let missing = if named.is_empty() { named } else { destination.missing_roles(&named)? };
    if !missing.is_empty() {
        held.push(format!(
            "Left out: what is granted to roles that are not on the destination: {}.",
            missing.join(", ")
        ));
    }
    Ok(held)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::image::{Constraint, ConstraintKind, Grant, Privileges};
    use crate::schema::samples::{constraint, table};

    #[test]
    fn what_is_left_out_anew_is_told_once() {
        let image = |blocked: &[u32]| {
            let key = |oid: &u32| Constraint {
                blocked: true,
                ..constraint(*oid, &format!("k{oid}"), ConstraintKind::ForeignKey, "FOREIGN KEY (id) REFERENCES z.z")
            };
            let table = Table { constraints: blocked.iter().map(key).collect(), ..table(1, "t") };
            Image { tables: vec![table], ..Image::default() }
        };
        assert_eq!(parts(&image(&[]), &image(&[5]), &HashSet::new()), ["constraint k5 on s.t"]);
        assert_eq!(parts(&image(&[5]), &image(&[5, 6]), &HashSet::new()), ["constraint k6 on s.t"]);
        assert!(parts(&image(&[5]), &image(&[5]), &HashSet::new()).is_empty());
    }

    #[test]
    fn roles_are_those_that_are_new_to_an_object() {
        let granted = |roles: &[&str]| {
            let grant = |role: &&str| Grant {
                place: 1,
                grantee: Some((*role).to_owned()),
                privileges: vec!["SELECT".into()],
                with_option: false,
            };
            let privileges = Privileges { grants: roles.iter().map(grant).collect(), public_revoked: false };
            Image { privileges: [((Class::Relation, 10, 0), privileges)].into(), ..Image::default() }
        };
        assert_eq!(roles(&granted(&["r1"]), &granted(&["r1", "r2"])), ["r2"]);
        assert!(roles(&granted(&["r1"]), &granted(&[])).is_empty());
    }
}
