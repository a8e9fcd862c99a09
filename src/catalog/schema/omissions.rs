//! What belongs to tables and is not created, or in another form: asked of the catalogs, said by `schema::omission`.

use std::collections::HashSet;

use super::facts::{address_arrays, ask, at_one_moment, class, letter, name, opt_letter, opt_parse};
use super::needs::describe;
use super::{Extent, Taken};
use crate::error::{Error, Result};
use crate::logicalrep::Row;
use crate::logicalrep::array::oid_array;
use crate::logicalrep::names::{shown, shown_qualified};
use crate::schema::image::{Class, Image, Name, Table};
use crate::schema::inherit::Family;
use crate::schema::omission::{self, BlockedPart, Omission, Omitted, Part, Reason};
use crate::schema::scope::Object;

/// By kind and name.
pub fn omissions(extent: &Extent) -> Result<Vec<Omission>> {
    let mut omissions = at_one_moment(|| found(extent))?;
    omissions.sort_by_cached_key(|o| (o.kind.as_str(), o.object.clone(), o.reason.to_string()));
    Ok(omissions)
}

fn found(extent: &Extent) -> Result<Vec<Omission>> {
    let taken = extent.taken_as_known()?;
    let oids = oid_array(taken.image.tables.iter().map(|table| table.oid));
    let mut omissions = no_tables(extent, &taken.image)?;
    omissions.extend(blocked(&taken)?);
    omissions.extend(lost(&oids)?);
    omissions.extend(omission::unsafe_policies(&taken.image.tables));
    omissions.extend(reordered(&taken.image.tables));
    Ok(omissions)
}

/// What was asked for and is no table of a user.
fn no_tables(extent: &Extent, image: &Image) -> Result<Vec<Omission>> {
    let taken: HashSet<Object> = image.roots().collect();
    let is_other = |object: &&Object| object.0 == Class::Relation && !taken.contains(object);
    let others: HashSet<u32> = extent.objects.iter().filter(is_other).map(|object| object.1).collect();
    if others.is_empty() {
        return Ok(Vec::new());
    }
    let rows = ask(include_str!("../../../sql/query/schema/no_tables.sql"), &[&oid_array(others)])?;
    let omission = |row: &Row| {
        let oid: u32 = row.parse("oid")?;
        let kind: Option<char> = opt_letter(row, "relkind", Some)?;
        let reason = match (kind, row.opt("relpersistence"), row.opt_string("extname")) {
            (None, ..) => Reason::Fixed("there is no relation with this oid"),
            (Some(kind), ..) if !matches!(kind, 'r' | 'p') => {
                Reason::Fixed("is neither an ordinary nor a partitioned table")
            }
            (_, Some("t"), _) => Reason::Fixed("is a temporary table"),
            (.., Some(extension)) => Reason::OfExtension { extension },
            _ => Reason::Fixed("belongs to the system"),
        };
        let name = row.opt("nspname").zip(row.opt("relname"));
        let object = name.map_or_else(|| oid.to_string(), |(schema, name)| shown_qualified(schema, name));
        Ok(Omission { kind: Omitted::Relation, object, relation: Some(oid), reason })
    };
    rows.iter().map(omission).collect()
}

fn blocked(taken: &Taken) -> Result<Vec<Omission>> {
    let scope = &taken.scope;
    let [classes, oids] = address_arrays(scope.blocked.keys());
    let rows = ask(include_str!("../../../sql/query/schema/blocked.sql"), &[&classes, &oids])?;
    let parts = rows.iter().map(part).filter_map(Result::transpose).collect::<Result<Vec<_>>>()?;
    let causes: Vec<Object> = scope.blocked.values().map(|why| why.by).collect::<HashSet<_>>().into_iter().collect();
    let types = scope.types.iter().copied().collect();
    let tables = taken.image.tables.iter().map(|table| table.oid).collect();
    let described = describe(&causes)?;
    let mut omissions = omission::blocked(&parts, &scope.blocked, &described, &tables, &types);
    omissions.extend(omission::code(&taken.image, scope, &taken.untrusted, &described));
    Ok(omissions)
}

fn part(row: &Row) -> Result<Option<BlockedPart>> {
    let Some(class) = class(row, "classid")? else { return Ok(None) };
    let code = || letter(row, "code", Some);
    let part = match row.text("part")? {
        "table" => Part::Table,
        "default" => Part::Column { is_generated: false },
        "generated" => Part::Column { is_generated: true },
        "constraint" => Part::Constraint(code()?),
        "domain constraint" => Part::DomainConstraint,
        "index" => Part::Index,
        "trigger" => Part::Trigger,
        "policy" => Part::Policy,
        "statistics" => Part::Statistics,
        "type" => Part::Type(code()?),
        other => return Err(Error::internal(format!("unexpected part \"{other}\" of a table"))),
    };
    Ok(Some(BlockedPart {
        address: (class, row.parse("objid")?),
        part,
        name: row.opt_string("name"),
        owner: name(row, "nspname", "relname")?,
        of: row.parse("of")?,
        parent: opt_parse(row, "parent")?,
    }))
}

fn lost(tables: &str) -> Result<Vec<Omission>> {
    const ELSEWHERE: &str = "created in the default tablespace of the destination";
    let rows = ask(include_str!("../../../sql/query/schema/lost.sql"), &[tables])?;
    let omission = |row: &Row| {
        let (kind, reason) = match row.text("loss")? {
            "publication" => (Omitted::Publication, "publications belong to the source"),
            "tablespace" => (Omitted::Tablespace, ELSEWHERE),
            "invalid index" => (Omitted::Index, "is invalid: its build failed or is still running"),
            "security label" => {
                (Omitted::SecurityLabel, "security labels are not created before courier.complete_destination()")
            }
            "partition" => (Omitted::Inheritance, "the partitioned table is not selected: created as a plain table"),
            "child" => (Omitted::Inheritance, "the parent is not selected: inherited columns become local"),
            "identity" => (Omitted::Identity, "its sequence belongs to the partitioned table, which is not selected"),
            "unlogged table" => (Omitted::Unlogged, "has no meaning for a partitioned table, and 18 refuses it"),
            "unlogged sequence" => (Omitted::Unlogged, "the sequence is logged on the destination, as its table is"),
            other => return Err(Error::internal(format!("unexpected loss \"{other}\" of a table"))),
        };
        let name = match (row.opt("name"), row.opt("of_index")) {
            (Some(name), Some(index)) => Some(format!("{name} of index {}", shown(index))),
            (Some(name), None) if row.text("loss")? == "unlogged sequence" => Some(format!("identity sequence {name}")),
            (name, _) => name.map(str::to_owned),
        };
        let table = Name::new(row.text("nspname")?, row.text("relname")?).shown();
        let object = name.map_or_else(|| table.clone(), |name| format!("{name} on {table}"));
        Ok(Omission { kind, object, relation: Some(row.parse("oid")?), reason: Reason::Fixed(reason) })
    };
    rows.iter().map(omission).collect()
}

/// Children whose columns come out in another order.
fn reordered(tables: &[Table]) -> Vec<Omission> {
    let family = Family::of(tables);
    let omission = |table: &Table| Omission {
        kind: Omitted::ColumnOrder,
        object: table.name.shown(),
        relation: Some(table.oid),
        reason: Reason::Fixed("inherited columns come before the table's own ones"),
    };
    tables.iter().filter(|table| family.is_reordered(table)).map(omission).collect()
}
