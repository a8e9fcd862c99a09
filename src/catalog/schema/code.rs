//! Code of an image: functions and procedures, views, and the rules of relations.

use super::facts::{ask, letter, name};
use super::tables::{self, Parts, firing};
use crate::error::{Error, Result};
use crate::logicalrep::Row;
use crate::logicalrep::array::oid_array;
use crate::schema::image::{Class, Routine, Rule, Table, View, ViewForm};
use crate::schema::scope::Scope;

/// Views with their queries, of relations by oid.
pub fn bare_views(relations: Vec<Table>) -> Result<Vec<View>> {
    if relations.is_empty() {
        return Ok(Vec::new());
    }
    let oids = oid_array(relations.iter().map(|relation| relation.oid));
    let rows = ask(include_str!("../../../sql/query/schema/views.sql"), &[&oids])?;
    let mut queries = rows.iter();
    // Both are in the order of the oids, and of one snapshot.
    let view = |relation: Table| {
        let row = queries.next().ok_or_else(|| Error::internal("a view without a query"))?;
        let populated = row.bool("relispopulated")?;
        let is_materialized = row.bool("is_materialized")?;
        let form = if is_materialized { ViewForm::Materialized { populated } } else { ViewForm::Plain };
        Ok(View { relation, form, definition: row.string("definition")?, blocked: false })
    };
    relations.into_iter().map(view).collect()
}

/// Fills views that are in the order of their oids.
pub fn fill(views: &mut [View], scope: &Scope, parts: Parts) -> Result<()> {
    let mut relations: Vec<Table> = views.iter().map(|view| view.relation.clone()).collect();
    tables::fill(&mut relations, scope, tables::Parents::All, parts)?;
    rules(&mut relations, scope)?;
    for (view, relation) in views.iter_mut().zip(relations) {
        view.relation = relation;
    }
    Ok(())
}

pub fn rules(relations: &mut [Table], scope: &Scope) -> Result<()> {
    let oids = oid_array(relations.iter().map(|relation| relation.oid));
    let rows = ask(include_str!("../../../sql/query/schema/rules.sql"), &[&oids])?;
    let rule = |row: &Row| {
        let oid = row.parse("oid")?;
        Ok(Rule {
            oid,
            name: row.string("rulename")?,
            definition: row.string("definition")?,
            firing: letter(row, "ev_enabled", firing)?,
            blocked: scope.is_blocked(Class::Rewrite, oid),
        })
    };
    tables::each(relations, &rows, "ev_class", |relation| &mut relation.rules, rule)
}

/// Those of the routines that a user made.
pub fn routines(oids: &[u32]) -> Result<Vec<Routine>> {
    let rows = ask(include_str!("../../../sql/query/schema/routines.sql"), &[&oid_array(oids.iter().copied())])?;
    let routine = |row: &Row| {
        Ok(Routine {
            oid: row.parse("oid")?,
            level: 0,
            name: name(row, "nspname", "proname")?,
            is_procedure: row.bool("is_procedure")?,
            arguments: row.string("arguments")?,
            definition: row.string("definition")?,
            blocked: false,
        })
    };
    rows.iter().map(routine).collect()
}
