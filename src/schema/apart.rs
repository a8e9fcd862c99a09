//! An image taken apart into its objects, each with everything that belongs to it, and put together again.

use std::collections::{HashMap, HashSet};

use super::deparse::postgres::Foreign;
use super::image::{Address, Class, Image, Table, TypeForm};
use super::model::Kept;
use super::scope::{Dependency, Object};

/// Takes an image apart: each object with what belongs to it.
pub fn apart(image: &Image, dependencies: &[Dependency], causes: &[(Object, Foreign)]) -> HashMap<Object, Kept> {
    let mut kept: HashMap<Object, Kept> = HashMap::new();
    for table in &image.tables {
        kept.entry((Class::Relation, table.oid)).or_default().image.tables.push(table.clone());
    }
    for sequence in &image.sequences {
        kept.entry((Class::Relation, sequence.oid)).or_default().image.sequences.push(sequence.clone());
    }
    for of in &image.types {
        kept.entry((Class::Type, of.oid)).or_default().image.types.push(of.clone());
    }
    for of in &image.collations {
        kept.entry((Class::Collation, of.oid)).or_default().image.collations.push(of.clone());
    }
    for of in &image.extensions {
        kept.entry((Class::Extension, of.oid)).or_default().image.extensions.push(of.clone());
    }
    for of in &image.schemas {
        kept.entry((Class::Namespace, of.oid)).or_default().image.schemas.push(of.clone());
    }
    for of in &image.routines {
        kept.entry((Class::Proc, of.oid)).or_default().image.routines.push(of.clone());
    }
    for of in &image.plain {
        kept.entry((of.class(), of.oid)).or_default().image.plain.push(of.clone());
    }
    for of in &image.views {
        kept.entry((Class::Relation, of.oid())).or_default().image.views.push(of.clone());
    }
    let whole = wholes(image);
    let root_of = |address: &Address| whole.get(&(address.0, address.1)).copied().unwrap_or((address.0, address.1));
    for (address, text) in &image.comments {
        if let Some(of) = kept.get_mut(&root_of(address)) {
            of.image.comments.insert(*address, text.clone());
        }
    }
    for (address, privileges) in &image.privileges {
        if let Some(of) = kept.get_mut(&root_of(address)) {
            of.image.privileges.insert(*address, privileges.clone());
        }
    }
    for dependency in dependencies {
        let root = match (dependency.table, dependency.domain) {
            (Some(table), _) => (Class::Relation, table),
            (None, Some(domain)) => (Class::Type, domain),
            (None, None) => dependency.part,
        };
        if let Some(of) = kept.get_mut(&root) {
            of.dependencies.push(dependency.clone());
        }
    }
    for of in kept.values_mut() {
        let on: HashSet<Object> = of.dependencies.iter().flat_map(|d| [Some(d.on), cause_of(d)]).flatten().collect();
        of.causes = causes.iter().filter(|(object, _)| on.contains(object)).cloned().collect();
    }
    kept
}

fn cause_of(dependency: &Dependency) -> Option<Object> {
    let relation = dependency.relation.map(|oid| (Class::Relation, oid));
    relation.or(dependency.element.map(|oid| (dependency.on.0, oid)))
}

/// Puts objects together again.
pub fn together<'a>(kept: impl IntoIterator<Item = &'a Kept>) -> Image {
    let mut whole = Image::default();
    kept.into_iter().for_each(|kept| whole.extend(&kept.image));
    whole
}

/// The parts of objects, and which object each belongs to.
pub fn wholes(image: &Image) -> HashMap<Object, Object> {
    let mut whole = HashMap::new();
    for table in image.tables.iter().chain(image.views.iter().map(|view| &view.relation)) {
        let root = (Class::Relation, table.oid);
        whole.extend(parts(table).map(|part| (part, root)));
        let identities = table.columns.iter().filter_map(|c| c.identity.as_ref()?.sequence.as_ref());
        whole.extend(identities.map(|sequence| ((Class::Relation, sequence.oid), root)));
    }
    for of in &image.types {
        let root = (Class::Type, of.oid);
        match &of.form {
            TypeForm::Domain(domain) => {
                whole.extend(domain.constraints.iter().map(|k| ((Class::Constraint, k.oid), root)));
            }
            TypeForm::Composite { relation, .. } => drop(whole.insert((Class::Relation, *relation), root)),
            TypeForm::Enum { .. } | TypeForm::Range(_) => {}
        }
    }
    whole
}

/// The parts of a table that are objects of their own.
fn parts(table: &Table) -> impl Iterator<Item = Object> {
    let constraints = table.constraints.iter().map(|of| (Class::Constraint, of.oid));
    let indexes = table.indexes.iter().map(|of| (Class::Relation, of.oid));
    let statistics = table.statistics.iter().map(|of| (Class::Statistics, of.oid));
    let triggers = table.triggers.iter().map(|of| (Class::Trigger, of.oid));
    constraints
        .chain(indexes)
        .chain(statistics)
        .chain(triggers)
        .chain(table.policies.iter().map(|of| (Class::Policy, of.oid)))
        .chain(table.rules.iter().map(|of| (Class::Rewrite, of.oid)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::samples::image;

    #[test]
    fn an_image_taken_apart_is_put_together_again() {
        let whole = image();
        let apart = apart(&whole, &[], &[]);
        let again = together(apart.values());
        assert_eq!((again.tables, again.sequences, again.types), (whole.tables, whole.sequences, whole.types));
        assert!(apart.values().all(|kept| {
            kept.image.tables.len() + kept.image.sequences.len() + kept.image.types.len() + kept.image.schemas.len()
                <= 1
        }));
    }
}
