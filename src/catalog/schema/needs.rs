//! What tables depend on, as the server records it.

use std::collections::HashSet;

use super::code;
use super::facts::{self, ask, class, opt_letter, opt_parse};
use super::tables::{self, Parts};
use crate::error::Result;
use crate::logicalrep::Row;
use crate::logicalrep::array::oid_array;
use crate::schema::image::{Class, Routine, Table, View};
use crate::schema::scope::{Dependency, Object, RelationKind, Scope, TypeKind};

macro_rules! dependencies {
    ($types:literal, $code:literal, $members:literal) => {
        concat!(
            include_str!("../../../sql/query/schema/dependencies/of_tables.sql"),
            include_str!(concat!("../../../sql/query/schema/dependencies/", $types)),
            include_str!(concat!("../../../sql/query/schema/dependencies/", $code)),
            include_str!("../../../sql/query/schema/dependencies/mentions.sql"),
            $members,
            include_str!("../../../sql/query/schema/dependencies/found.sql")
        )
    };
}

/// What belongs to extensions is read once for all tables of a database, and looked up for few. Code is of no task's first image.
const OF_ALL_TYPES: &str = dependencies!("of_all_types.sql", "of_no_code.sql", "MATERIALIZED ");
const OF_FEW: &str = dependencies!("of_these_types.sql", "of_code.sql", "NOT MATERIALIZED ");
/// Of tables without rules, as most commands are about.
const OF_FEW_TABLES: &str = dependencies!("of_no_types.sql", "of_no_code.sql", "NOT MATERIALIZED ");

/// Tables, still empty, with everything that the server says they and all types of users depend on.
#[derive(Debug)]
pub struct Needs {
    /// By oid.
    pub tables: Vec<Table>,
    /// What is in the tables, and in the views.
    pub parts: [Parts; 2],
    /// As empty; by oid.
    pub views: Vec<View>,
    pub routines: Vec<Routine>,
    dependencies: Vec<Dependency>,
}

impl Needs {
    /// Of those of the relations that are tables of a user.
    pub fn of(relations: &[u32]) -> Result<Needs> {
        let [(tables, parts), _] = tables::tables_and_views(relations, "{r,p}")?;
        let oids = oid_array(tables.iter().map(|table| table.oid));
        let rows = ask(OF_ALL_TYPES, &[&oids])?;
        let dependencies = rows.iter().map(dependency).filter_map(Result::transpose).collect::<Result<_>>()?;
        let parts = [parts, Parts::default()];
        Ok(Needs { tables, parts, views: Vec::new(), routines: Vec::new(), dependencies })
    }

    /// The same of a few tables, views, types and routines in a database that may be large: of types only what these lead to.
    pub fn of_few(relations: &[u32], types: &[u32], routines: &[u32]) -> Result<Needs> {
        let [(tables, of_tables), (views, of_views)] = match relations.is_empty() {
            true => Default::default(),
            false => tables::tables_and_views(relations, "{r,p,v,m}")?,
        };
        let (views, parts) = (code::bare_views(views)?, [of_tables, of_views]);
        let routines = if routines.is_empty() { Vec::new() } else { code::routines(routines)? };
        let mut dependencies: Vec<Dependency> = Vec::new();
        let mut seen: HashSet<u32> = HashSet::new();
        let mut waiting: Vec<u32> = types.iter().copied().filter(|oid| seen.insert(*oid)).collect();
        let mut of = oid_array(tables.iter().map(|table| table.oid).chain(views.iter().map(View::oid)));
        let mut of_code = oid_array(routines.iter().map(|routine| routine.oid));
        while of != "{}" || of_code != "{}" || !waiting.is_empty() {
            let has_code = of != "{}" && (!views.is_empty() || of_tables.rules) || of_code != "{}";
            let rows = match waiting.is_empty() && !has_code {
                true => ask(OF_FEW_TABLES, &[&of])?,
                false => ask(OF_FEW, &[&of, &oid_array(waiting.drain(..)), &of_code])?,
            };
            let found: Vec<Dependency> =
                rows.iter().map(dependency).filter_map(Result::transpose).collect::<Result<_>>()?;
            let types = found.iter().filter(|dependency| dependency.on.0 == Class::Type).map(|d| d.on.1);
            waiting.extend(types.filter(|oid| seen.insert(*oid)));
            dependencies.extend(found);
            (of, of_code) = (oid_array([]), oid_array([]));
        }
        Ok(Needs { tables, parts, views, routines, dependencies })
    }

    pub fn oids(&self) -> Vec<u32> {
        self.tables.iter().map(|table| table.oid).collect()
    }

    /// `available`: what the destination has of what no task creates.
    pub fn scope(&self, available: &[Object]) -> Scope {
        Scope::of(&self.oids(), &self.dependencies, available)
    }

    /// In which nothing is blocked, with `types` besides those that the tables need.
    pub fn whole_scope(&self, types: &[u32]) -> Scope {
        let relations: Vec<u32> = self.oids().into_iter().chain(self.views.iter().map(View::oid)).collect();
        Scope::whole(&relations, types, &self.dependencies)
    }

    pub fn into_dependencies(self) -> Vec<Dependency> {
        self.dependencies
    }
}

/// None where a catalog is involved in which nothing is that blocks or is created.
fn dependency(row: &Row) -> Result<Option<Dependency>> {
    let (Some(part), Some(on)) = (class(row, "classid")?, class(row, "refclassid")?) else { return Ok(None) };
    let relation_kind = |code| {
        Some(match code {
            'r' | 'p' => RelationKind::Table,
            'S' => RelationKind::Sequence,
            'v' | 'm' => RelationKind::View,
            _ => RelationKind::Other,
        })
    };
    let type_kind = |code| Some(if matches!(code, 'b' | 'p') { TypeKind::Base } else { TypeKind::Made });
    Ok(Some(Dependency {
        part: (part, row.parse("objid")?),
        table: opt_parse(row, "relid")?,
        at_table: row.opt("is_table") == Some("t"),
        domain: opt_parse(row, "domain")?,
        is_check: row.bool("is_check")?,
        is_normal: row.bool("is_normal")?,
        on: (on, row.parse("refobjid")?),
        element: opt_parse(row, "element")?,
        range: opt_parse(row, "range")?,
        relation: opt_parse(row, "relation")?,
        relation_kind: opt_letter(row, "relkind", relation_kind)?,
        type_kind: opt_letter(row, "typtype", type_kind)?,
        extension: opt_parse(row, "extension")?,
    }))
}

/// What objects are called by the server.
pub fn describe(objects: &[Object]) -> Result<std::collections::HashMap<Object, String>> {
    let [classes, oids] = facts::address_arrays(objects);
    let rows = ask(include_str!("../../../sql/query/schema/describe.sql"), &[&classes, &oids])?;
    let described = rows.iter().map(|row| {
        let class = class(row, "classid")?;
        class.map(|class| Ok(((class, row.parse("objid")?), row.string("description")?))).transpose()
    });
    described.filter_map(Result::transpose).collect()
}
