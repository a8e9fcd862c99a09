//! Code of an image: functions and procedures, views, and the rules of relations.

use std::collections::{HashMap, HashSet};

use super::facts::{self, ask, class, letter, name};
use super::tables::{self, Parts, firing};
use crate::catalog::scope as task;
use crate::error::{Error, Result};
use crate::logicalrep::Row;
use crate::logicalrep::array::oid_array;
use crate::schema::image::{Class, Operand, Plain, PlainKind, Routine, Rule, Table, View, ViewForm};
use crate::schema::scope::{Object, Scope};
use crate::select::leftovers;

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
    tables::fill(&mut relations, scope, parts)?;
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

/// What the patterns of a task name besides tables and sequences.
pub fn named(scope: &task::Scope) -> Result<Vec<Object>> {
    let (is_named, is_covered) = (scope.named()?, scope.covers_schema()?);
    let rows = facts::at_one_moment(|| ask(include_str!("../../../sql/query/schema/named.sql"), &[]))?;
    let mut named = Vec::new();
    for row in &rows {
        let schema = row.text("nspname")?;
        let is_it = row.opt("name").map_or_else(|| is_covered(schema), |name| is_named(schema, name));
        let Some(class) = class(row, "class")?.filter(|_| is_it) else { continue };
        let is_left_over =
            class == Class::Proc && row.opt("name").is_some_and(|name| leftovers::tool_of_function(name).is_some());
        if !is_left_over {
            named.push((class, row.parse("oid")?));
        }
    }
    // A cast between two types of users has two names.
    named.dedup();
    Ok(named)
}

/// Those of the objects of a kind that a user made.
pub fn plain(kind: PlainKind, oids: &[u32]) -> Result<Vec<Plain>> {
    let sql = match kind {
        PlainKind::Aggregate => of_user!("aggregate"),
        PlainKind::Operator => of_user!("operator"),
        PlainKind::Cast => of_user!("cast"),
        PlainKind::Dictionary => of_user!("dictionary"),
        PlainKind::Configuration => of_user!("configuration"),
        PlainKind::Conversion => of_user!("conversion"),
        PlainKind::OperatorFamily => of_user!("operator_family"),
        PlainKind::OperatorClass => of_user!("operator_class"),
    };
    let rows = ask(sql, &[&oid_array(oids.iter().copied()), &kind.class().oid().to_string()])?;
    let mut operands = Operands::of(&rows)?;
    let plain = |row: &Row| {
        Ok(Plain {
            oid: row.parse("oid")?,
            level: 0,
            kind,
            name: name(row, "nspname", "name")?,
            target: row.string("target")?,
            operands: operands.next(),
            definition: row.string("definition")?,
            blocked: false,
        })
    };
    rows.iter().map(plain).collect()
}

macro_rules! of_user {
    ($kind:literal) => {
        concat!(
            include_str!(concat!("../../../sql/query/schema/plain/", $kind, ".sql")),
            include_str!("../../../sql/query/schema/plain_of_user.sql")
        )
    };
}
use of_user;

/// Those of the routines that a user made.
pub fn routines(oids: &[u32], with_libraries: bool) -> Result<Vec<Routine>> {
    let oids = oid_array(oids.iter().copied());
    let rows = ask(include_str!("../../../sql/query/schema/routines.sql"), &[&oids, &with_libraries.to_string()])?;
    let mut operands = Operands::of(&rows)?;
    let routine = |row: &Row| {
        Ok(Routine {
            oid: row.parse("oid")?,
            level: 0,
            name: name(row, "nspname", "proname")?,
            is_procedure: row.bool("is_procedure")?,
            arguments: row.string("arguments")?,
            operands: operands.next(),
            definition: row.string("definition")?,
            blocked: false,
        })
    };
    rows.iter().map(routine).collect()
}

/// What the rows of a query are signed with, one after the other.
struct Operands {
    /// The oids of types, of those rows that have some of a user.
    lists: std::vec::IntoIter<Vec<u32>>,
    types: HashMap<u32, Operand>,
}

impl Operands {
    fn of(rows: &[Row]) -> Result<Operands> {
        const FIRST_OF_USER: u32 = 16384;
        let list = |row: &Row| -> Result<Vec<u32>> {
            let list: Vec<u32> =
                facts::list(row, "types")?.iter().map(|oid| facts::number(oid, "types")).collect::<Result<_>>()?;
            let is_any = list.iter().any(|oid| *oid >= FIRST_OF_USER);
            Ok(if is_any { list } else { Vec::new() })
        };
        let lists: Vec<Vec<u32>> = rows.iter().map(list).collect::<Result<_>>()?;
        let oids: HashSet<u32> = lists.iter().flatten().copied().collect();
        let types = if oids.is_empty() { HashMap::new() } else { types(oids)? };
        Ok(Operands { lists: lists.into_iter(), types })
    }

    fn next(&mut self) -> Vec<Operand> {
        let none = || Operand { shown: Operand::NONE.to_owned(), of: None };
        let list = self.lists.next().unwrap_or_default();
        list.iter().map(|oid| self.types.get(oid).cloned().unwrap_or_else(none)).collect()
    }
}

fn types(oids: HashSet<u32>) -> Result<HashMap<u32, Operand>> {
    let rows = ask(include_str!("../../../sql/query/schema/operands.sql"), &[&oid_array(oids)])?;
    let operand = |row: &Row| {
        let of = row.opt("of").map(|_| Ok((class(row, "class")?, row.parse("of")?))).transpose()?;
        let of = of.and_then(|(class, oid)| Some((class?, oid)));
        Ok((row.parse("oid")?, Operand { shown: row.string("shown")?, of }))
    };
    rows.iter().map(operand).collect()
}
