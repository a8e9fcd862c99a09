//! What tables depend on, as the server records it.

use std::collections::HashSet;

use super::code;
use super::facts::{self, ask, class, opt_letter, opt_parse};
use super::tables::{self, Parts};
use crate::error::Result;
use crate::logicalrep::Row;
use crate::logicalrep::array::oid_array;
use crate::schema::image::{Class, Plain, PlainKind, Routine, Table, View};
use crate::schema::scope::{Dependency, Object, RelationKind, Scope, TypeKind};

macro_rules! dependencies {
    ($types:literal, $code:literal) => {
        concat!(
            include_str!("../../../sql/query/schema/dependencies/of_tables.sql"),
            include_str!(concat!("../../../sql/query/schema/dependencies/", $types)),
            include_str!(concat!("../../../sql/query/schema/dependencies/", $code)),
            include_str!("../../../sql/query/schema/dependencies/mentions.sql"),
            "NOT MATERIALIZED ",
            include_str!("../../../sql/query/schema/dependencies/found.sql")
        )
    };
}

const OF_ALL: &str = dependencies!("of_these_types.sql", "of_code.sql");
/// Of tables without rules, as most commands are about.
const OF_TABLES: &str = dependencies!("of_no_types.sql", "of_no_code.sql");

/// Tables, views and what else was asked for, still empty, with everything that the server says they depend on.
#[derive(Debug, Default)]
pub struct Needs {
    /// By oid.
    pub tables: Vec<Table>,
    /// What is in the tables, and in the views.
    pub parts: [Parts; 2],
    /// As empty; by oid.
    pub views: Vec<View>,
    pub routines: Vec<Routine>,
    pub plain: Vec<Plain>,
    dependencies: Vec<Dependency>,
}

impl Needs {
    /// Of tables, views, types, functions and the like in a database that may be large: of types only what these lead to.
    pub fn of_few(objects: &[Object]) -> Result<Needs> {
        Finder::default().find(objects, Reach::Types)
    }

    /// The same with the functions and views that they need, and what those need.
    pub fn with_code(objects: &[Object]) -> Result<Needs> {
        Finder::default().find(objects, Reach::Code)
    }

    pub fn oids(&self) -> Vec<u32> {
        self.tables.iter().map(|table| table.oid).collect()
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

/// Views, functions and the like among objects and what they need, by the catalogs' numbers.
#[derive(Debug, Default)]
pub struct NeededCode {
    /// All of them, with tables and types.
    pub objects: HashSet<Object>,
    pub views: HashSet<Object>,
    pub dependencies: Vec<Dependency>,
}

impl NeededCode {
    pub fn of(objects: &[Object]) -> Result<NeededCode> {
        let relations: Vec<u32> = objects.iter().filter(|of| of.0 == Class::Relation).map(|of| of.1).collect();
        let [_, (views, _)] = tables::tables_and_views(&relations, "{v,m}")?;
        let mut found = NeededCode {
            objects: objects.iter().copied().collect(),
            views: views.iter().map(|view| (Class::Relation, view.oid)).collect(),
            dependencies: Vec::new(),
        };
        let mut waiting: Vec<Object> = objects.to_vec();
        while !waiting.is_empty() {
            let of = |class| oid_array(waiting.iter().filter(move |of| of.0 == class).map(|of| of.1));
            let code: Vec<Object> = waiting.iter().copied().filter(|of| of.0.is_code()).collect();
            let [classes, oids] = facts::address_arrays(&code);
            let rows = ask(OF_ALL, &[&of(Class::Relation), &of(Class::Type), &classes, &oids])?;
            let news = rows.iter().map(dependency).filter_map(Result::transpose).collect::<Result<Vec<_>>>()?;
            found.views.extend(news.iter().filter_map(Dependency::view).map(|oid| (Class::Relation, oid)));
            let next = |of: &Dependency| {
                let view = of.view().map(|oid| (Class::Relation, oid));
                [view, of.code(), Some(of.on).filter(|on| on.0 == Class::Type)]
            };
            let next = news.iter().flat_map(next).flatten();
            waiting = next.filter(|object| found.objects.insert(*object)).collect();
            found.dependencies.extend(news);
        }
        Ok(found)
    }
}

/// How far what objects need is looked for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reach {
    Types,
    /// Also functions and views that a task can create.
    Code,
}

/// Round by round: what objects need may need something itself.
#[derive(Default)]
struct Finder {
    needs: Needs,
    seen: HashSet<Object>,
    /// What is in a library may be on the destination, and else does not come.
    without_libraries: bool,
}

/// What is asked about next.
#[derive(Default)]
struct Round {
    relations: Vec<u32>,
    types: Vec<u32>,
    code: Vec<Object>,
}

impl Finder {
    fn find(mut self, objects: &[Object], reach: Reach) -> Result<Needs> {
        self.without_libraries = reach == Reach::Code;
        let of = |class| objects.iter().filter(move |object| object.0 == class).map(|object| object.1);
        let code: Vec<Object> = objects.iter().copied().filter(|object| object.0.is_code()).collect();
        let mut round = Round {
            relations: self.relations(&of(Class::Relation).collect::<Vec<_>>(), "{r,p,v,m}")?,
            types: of(Class::Type).filter(|oid| self.seen.insert((Class::Type, *oid))).collect(),
            code: self.code(&code)?,
        };
        while !(round.relations.is_empty() && round.types.is_empty() && round.code.is_empty()) {
            let found = self.ask(round)?;
            let mut new = |of: fn(&Dependency) -> Option<Object>| -> Vec<Object> {
                found.iter().filter_map(of).filter(|object| self.seen.insert(*object)).collect()
            };
            let types =
                new(|of| Some(of.on).filter(|on| on.0 == Class::Type)).into_iter().map(|object| object.1).collect();
            let (views, code) = match reach {
                Reach::Types => (Vec::new(), Vec::new()),
                Reach::Code => (new(|of| of.view().map(|oid| (Class::Relation, oid))), new(Dependency::code)),
            };
            self.needs.dependencies.extend(found);
            let views: Vec<u32> = views.into_iter().map(|object| object.1).collect();
            round = Round { relations: self.relations(&views, "{v,m}")?, types, code: self.code(&code)? };
        }
        self.needs.views.sort_by_key(View::oid);
        Ok(self.needs)
    }

    /// Takes those that are a user's.
    fn relations(&mut self, oids: &[u32], kinds: &str) -> Result<Vec<u32>> {
        if oids.is_empty() {
            return Ok(Vec::new());
        }
        let [(tables, of_tables), (views, of_views)] = tables::tables_and_views(oids, kinds)?;
        let taken: Vec<u32> = tables.iter().chain(&views).map(|of| of.oid).collect();
        self.seen.extend(taken.iter().map(|oid| (Class::Relation, *oid)));
        let [parts, parts_of_views] = &mut self.needs.parts;
        (*parts, *parts_of_views) = (parts.and(of_tables), parts_of_views.and(of_views));
        self.needs.tables.extend(tables);
        self.needs.views.extend(code::bare_views(views)?);
        Ok(taken)
    }

    fn code(&mut self, objects: &[Object]) -> Result<Vec<Object>> {
        if objects.is_empty() {
            return Ok(Vec::new());
        }
        let of =
            |class| objects.iter().filter(move |object| object.0 == class).map(|object| object.1).collect::<Vec<_>>();
        let routines = of(Class::Proc);
        let routines =
            if routines.is_empty() { Vec::new() } else { code::routines(&routines, !self.without_libraries)? };
        let mut taken: Vec<Object> = routines.iter().map(|routine| (Class::Proc, routine.oid)).collect();
        let is_routine: HashSet<u32> = taken.iter().map(|object| object.1).collect();
        for kind in PlainKind::ALL {
            let mut oids = of(kind.class());
            oids.retain(|oid| kind.class() != Class::Proc || !is_routine.contains(oid));
            if !oids.is_empty() {
                let plain = code::plain(kind, &oids)?;
                taken.extend(plain.iter().map(|of| (of.class(), of.oid)));
                self.needs.plain.extend(plain);
            }
        }
        self.seen.extend(&taken);
        self.needs.routines.extend(routines);
        Ok(taken)
    }

    fn ask(&self, Round { relations, types, code }: Round) -> Result<Vec<Dependency>> {
        let has_code = !relations.is_empty() && (!self.needs.views.is_empty() || self.needs.parts[0].rules);
        let relations = oid_array(relations);
        let [classes, oids] = facts::address_arrays(&code);
        let rows = match types.is_empty() && code.is_empty() && !has_code {
            true => ask(OF_TABLES, &[&relations])?,
            false => ask(OF_ALL, &[&relations, &oid_array(types), &classes, &oids])?,
        };
        rows.iter().map(dependency).filter_map(Result::transpose).collect()
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
