//! Questions to the destination before anything is created: which names are taken by something else, and what is there
//! already of what the task does not create itself.

use std::collections::HashSet;

use serde_json::json;

use super::facts::{address_arrays, ask, at_one_moment, class, letter, name};
use super::{Extent, Taken as TakenExtent};
use crate::destination::Destination;
use crate::error::{Error, Result};
use crate::logicalrep::Row;
use crate::pg::compat;
use crate::schema::SchemaSql;
use crate::schema::captured::SUPERUSER;
use crate::schema::deparse::postgres::{self, Foreign, TakenName};
use crate::schema::image::{Class, Plain};
use crate::schema::omission::is_left_to_superusers;
use crate::schema::scope::Object;

/// Something that parts of the tables need and the task does not create: a function, an operator, a view.
#[derive(Clone, Debug)]
pub struct Cause {
    pub address: Object,
    /// Quoted where it has to be.
    pub schema: Option<String>,
    there_sql: SchemaSql,
    /// The statement that makes it, where the source can write one.
    pub create_sql: Option<String>,
    /// It is there, and this is why it does not count.
    pub unusable: Option<String>,
}

/// By description. What the task creates itself is none.
pub fn causes(extent: &Extent) -> Result<Vec<Cause>> {
    let TakenExtent { image, mut scope, .. } = extent.taken_as_known()?;
    let views = image.views.iter().filter(|view| !view.blocked).map(|view| (Class::Relation, view.oid()));
    let routines = image.routines.iter().filter(|of| !of.blocked).map(|of| (Class::Proc, of.oid));
    let plain = image.plain.iter().filter(|of| !of.blocked).map(|of| (of.class(), of.oid));
    let made: HashSet<Object> = views.chain(routines).chain(plain).collect();
    // What only superusers make may be there.
    let of_superusers = image.plain.iter().filter(|of| of.kind.is_for_superusers());
    scope.causes.extend(of_superusers.map(|of| (of.class(), of.oid)));
    scope.causes.retain(|cause| !made.contains(cause));
    causes_of(&scope.causes)
}

/// Operator classes that are left out because the destination's user is no superuser.
pub fn left_to_superusers(extent: &Extent) -> Result<Vec<(Object, String)>> {
    let TakenExtent { image, scope, .. } = extent.taken_as_known()?;
    let is_left = |of: &&Plain| {
        of.blocked && of.class() == Class::OperatorClass && is_left_to_superusers(&scope, (of.class(), of.oid))
    };
    Ok(image.plain.iter().filter(is_left).map(|of| ((of.class(), of.oid), of.target.clone())).collect())
}

/// The same of objects whatever they are for. Tables, sequences and indexes are none.
pub fn causes_of(objects: &HashSet<Object>) -> Result<Vec<Cause>> {
    if objects.is_empty() {
        return Ok(Vec::new());
    }
    let [classes, oids] = address_arrays(objects);
    let rows = at_one_moment(|| ask(include_str!("../../../sql/query/schema/causes.sql"), &[&classes, &oids, "t"]))?;
    rows.iter().map(cause).filter_map(Result::transpose).collect()
}

/// Those of them that a task may look for on its destination, as what they are there.
pub fn foreign_of(causes: &HashSet<Object>) -> Result<Vec<(Object, Foreign)>> {
    if causes.is_empty() {
        return Ok(Vec::new());
    }
    let [classes, oids] = address_arrays(causes);
    let rows = ask(include_str!("../../../sql/query/schema/causes.sql"), &[&classes, &oids, "f"])?;
    let described = rows.iter().map(|row| {
        let Some(class) = class(row, "classid")? else { return Ok(None) };
        Ok(Some(((class, row.parse("objid")?), foreign(class, row)?)))
    });
    described.filter_map(Result::transpose).collect()
}

fn cause(row: &Row) -> Result<Option<Cause>> {
    let Some(class) = class(row, "classid")? else { return Ok(None) };
    Ok(Some(Cause {
        address: (class, row.parse("objid")?),
        schema: row.opt_string("shown_schema"),
        there_sql: postgres::there(&foreign(class, row)?),
        create_sql: row.opt_string("create_sql"),
        unusable: None,
    }))
}

fn foreign(class: Class, row: &Row) -> Result<Foreign> {
    let named = || name(row, "nspname", "name");
    let code = || letter(row, "code", Some);
    Ok(match class {
        Class::Proc => Foreign::Routine {
            name: named()?,
            kind: code()?,
            arguments: row.string("qualifier")?,
            // A procedure has none.
            result: Some(row.opt_string("result").unwrap_or_default()),
        },
        Class::Operator => {
            Foreign::Operator { name: named()?, left: row.string("qualifier")?, right: row.string("result")? }
        }
        Class::OperatorClass => Foreign::OperatorClass { name: named()?, access_method: row.string("qualifier")? },
        Class::OperatorFamily => Foreign::OperatorFamily { name: named()?, access_method: row.string("qualifier")? },
        Class::AccessMethod => Foreign::AccessMethod { name: row.string("name")? },
        Class::Language => Foreign::Language { name: row.string("name")? },
        Class::SearchConfiguration | Class::SearchDictionary | Class::SearchParser | Class::SearchTemplate => {
            Foreign::TextSearch { class, name: named()? }
        }
        Class::Type => Foreign::Type { name: named()?, kind: code()?, length: row.parse("length")? },
        Class::Relation => Foreign::Relation {
            name: named()?,
            kind: code()?,
            columns: row.opt_string("qualifier").unwrap_or_default(),
        },
        Class::AttributeDefault
        | Class::Constraint
        | Class::Namespace
        | Class::Trigger
        | Class::Extension
        | Class::Policy
        | Class::Statistics
        | Class::Rewrite
        | Class::Cast
        | Class::Conversion
        | Class::Collation => return Err(Error::internal(format!("a part waits for a {class:?}"))),
    })
}

/// Those that the destination has, and those that are missing there or do not count.
pub fn ask_causes(destination: &mut Destination, causes: Vec<Cause>) -> Result<(Vec<Object>, Vec<Cause>)> {
    const AT_ONCE: usize = 100;
    let (mut available, mut missing) = (Vec::new(), Vec::new());
    if causes.iter().any(|cause| cause.address.0.is_for_superusers()) && destination.is_superuser()? {
        available.push(SUPERUSER);
    }
    let mut causes = causes.into_iter();
    loop {
        let some: Vec<Cause> = causes.by_ref().take(AT_ONCE).collect();
        if some.is_empty() {
            return Ok((available, missing));
        }
        let questions = some.iter().map(|cause| &cause.there_sql).enumerate();
        let mut answers: Vec<Option<Option<String>>> = vec![None; some.len()];
        for (number, text) in destination.ask_definitions(questions)? {
            if let Some(answer) = answers.get_mut(number) {
                *answer = Some(text);
            }
        }
        for (mut cause, answer) in some.into_iter().zip(answers) {
            match answer {
                Some(None) => available.push(cause.address),
                answer => {
                    cause.unusable = answer.flatten();
                    missing.push(cause);
                }
            }
        }
    }
}

/// A name that the task needs and that something else has on the destination.
#[derive(Clone, Debug)]
pub struct Taken {
    pub kind: String,
    pub object: String,
    pub difference: String,
}

/// Which names are taken by something else. Most destinations have none of them, so names go first and questions after.
pub fn ask_names(destination: &mut Destination, extent: &Extent) -> Result<Vec<Taken>> {
    const AT_ONCE: usize = 100;
    let names = postgres::names(&extent.taken_as_known()?.image, compat::MAJOR);
    let list: Vec<_> = names
        .iter()
        .enumerate()
        .map(|(n, taken)| json!([n, taken.catalog.as_str(), taken.name.schema, taken.name.name]))
        .collect();
    let list = serde_json::to_string(&list).map_err(|e| Error::internal(format!("invalid list of names: {e}")))?;
    let there = destination.names_taken(&list)?;
    let mut taken = Vec::new();
    for some in there.chunks(AT_ONCE) {
        let known = some.iter().filter_map(|n| Some((*n, &names.get(*n)?.differs_sql)));
        for (number, difference) in destination.ask_definitions(known)? {
            let (Some(name), Some(difference)) = (names.get(number), difference) else { continue };
            let TakenName { kind, object, .. } = name.clone();
            taken.push(Taken { kind, object, difference });
        }
    }
    Ok(taken)
}
