//! The image of tables and of everything they need, as the catalogs have it now.

use std::collections::{BTreeSet, HashMap};

use serde_json::Value;

use super::facts::{
    ask, class, letter, list, name, number, opt_letter, opt_name, opt_parse, parts, string, unexpected,
};
use super::needs::Needs;
use super::{code, extensions, missing, tables};
use crate::error::Result;
use crate::logicalrep::Row;
use crate::logicalrep::array::oid_array;
use crate::schema::image::{
    Address, Attribute, Class, Collation, Domain, DomainConstraint, EnumLabel, Image, Name, Owner, Plain, Provider,
    Range, Schema, Sequence, Table, Type, TypeForm,
};
use crate::schema::scope::Scope;

/// Of a few objects in a database that may be large: parents are named whether they are in the image or not. Without comments and
/// privileges.
pub fn load(needs: &Needs, scope: &Scope, sequences: &[u32]) -> Result<Image> {
    let (mut tables, mut views, mut routines) = (needs.tables.clone(), needs.views.clone(), needs.routines.clone());
    if !tables.is_empty() {
        let [parts, _] = needs.parts;
        tables::fill(&mut tables, scope, parts)?;
        if parts.rules {
            code::rules(&mut tables, scope)?;
        }
        if parts.missing {
            missing::fill(&mut tables)?;
        }
    }
    if !views.is_empty() {
        code::fill(&mut views, scope, needs.parts[1])?;
    }
    routines.iter_mut().for_each(|routine| routine.level = scope.level(Class::Proc, routine.oid));
    let mut image = Image {
        collations: if scope.collations.is_empty() { Vec::new() } else { collations(scope)? },
        types: if scope.types.is_empty() { Vec::new() } else { types(scope)? },
        sequences: load_sequences(&mut tables, scope, sequences)?,
        extensions: extensions::load(&scope.extensions)?,
        views,
        routines,
        plain: needs.plain.iter().map(|of| Plain { level: scope.level(of.class(), of.oid), ..of.clone() }).collect(),
        ..Image::default()
    };
    image.tables = tables;
    image.schemas = schemas(&image)?;
    Ok(image)
}

/// Those that objects of the image are in.
fn schemas(image: &Image) -> Result<Vec<Schema>> {
    let mut names: BTreeSet<&str> = BTreeSet::new();
    names.extend(image.tables.iter().map(|t| t.name.schema.as_str()));
    names.extend(image.tables.iter().flat_map(|t| &t.statistics).map(|s| s.name.schema.as_str()));
    names.extend(image.sequences.iter().map(|s| s.name.schema.as_str()));
    names.extend(image.types.iter().map(|t| t.name.schema.as_str()));
    names.extend(image.collations.iter().map(|c| c.name.schema.as_str()));
    names.extend(image.extensions.iter().map(|x| x.schema.as_str()));
    names.extend(image.views.iter().map(|of| of.name().schema.as_str()));
    names.extend(image.routines.iter().map(|of| of.name.schema.as_str()));
    names.extend(image.plain.iter().map(|of| of.name.schema.as_str()));
    let names = serde_json::json!(names).to_string();
    let rows = ask(include_str!("../../../sql/query/schema/schemas.sql"), &[&names])?;
    rows.iter().map(schema).collect()
}

pub fn schema(row: &Row) -> Result<Schema> {
    Ok(Schema { oid: row.parse("oid")?, name: row.string("nspname")? })
}

fn collations(scope: &Scope) -> Result<Vec<Collation>> {
    let oids = oid_array(scope.collations.iter().copied());
    let provider = |code| match code {
        'i' => Some(Provider::Icu),
        'b' => Some(Provider::Builtin),
        'c' => Some(Provider::Libc),
        'd' => Some(Provider::Default),
        _ => None,
    };
    let rows = ask(include_str!("../../../sql/query/schema/collations.sql"), &[&oids])?;
    let collation = |row: &Row| {
        Ok(Collation {
            oid: row.parse("oid")?,
            name: name(row, "nspname", "collname")?,
            provider: letter(row, "collprovider", provider)?,
            deterministic: row.bool("collisdeterministic")?,
            collate: row.opt_string("collcollate"),
            ctype: row.opt_string("collctype"),
            locale: row.opt_string("locale"),
            rules: row.opt_string("rules"),
        })
    };
    rows.iter().map(collation).collect()
}

fn types(scope: &Scope) -> Result<Vec<Type>> {
    let oids = oid_array(scope.types.iter().copied());
    let rows = ask(include_str!("../../../sql/query/schema/types.sql"), &[&oids])?;
    rows.iter()
        .map(|row| {
            let oid = row.parse("oid")?;
            Ok(Type {
                oid,
                level: scope.level(Class::Type, oid),
                name: name(row, "nspname", "typname")?,
                form: type_form(row, oid, scope)?,
            })
        })
        .collect()
}

fn type_form(row: &Row, oid: u32, scope: &Scope) -> Result<TypeForm> {
    // Only a default or a support function can wait without the whole type.
    let is_blocked = scope.is_blocked(Class::Type, oid);
    match letter(row, "typtype", Some)? {
        'e' => {
            let labels = list(row, "labels")?.iter().map(enum_label).collect::<Result<_>>()?;
            Ok(TypeForm::Enum { labels })
        }
        'c' => {
            let attributes = list(row, "attributes")?.iter().map(attribute).collect::<Result<_>>()?;
            Ok(TypeForm::Composite { relation: row.parse("typrelid")?, attributes })
        }
        'r' => Ok(TypeForm::Range(Range {
            subtype: row.string("base")?,
            operator_class: name(row, "opclass_schema", "opclass")?,
            is_default_class: row.bool("opcdefault")?,
            collation: opt_name(row, "collation_schema", "collation_name"),
            canonical: row.opt_string("canonical").filter(|_| !is_blocked),
            subtype_diff: row.opt_string("subtype_diff").filter(|_| !is_blocked),
            multirange: opt_name(row, "multirange_schema", "multirange"),
        })),
        _ => Ok(TypeForm::Domain(Domain {
            base: row.string("base")?,
            collation: opt_name(row, "collation_schema", "collation_name"),
            not_null: row.bool("typnotnull")?,
            default: row.opt_string("default_value").filter(|_| !is_blocked),
            constraints: list(row, "constraints")?
                .iter()
                .map(|k| domain_constraint(k, scope))
                .collect::<Result<_>>()?,
        })),
    }
}

fn enum_label(value: &Value) -> Result<EnumLabel> {
    const COLUMN: &str = "labels";
    let [oid, label] = parts::<2>(value, COLUMN)?;
    Ok(EnumLabel { oid: number(oid, COLUMN)?, name: string(label, COLUMN)? })
}

fn attribute(value: &Value) -> Result<Attribute> {
    const COLUMN: &str = "attributes";
    let [attnum, attname, type_name, schema, collation] = parts::<5>(value, COLUMN)?;
    Ok(Attribute {
        attnum: number(attnum, COLUMN)?,
        name: string(attname, COLUMN)?,
        type_name: string(type_name, COLUMN)?,
        collation: schema.as_str().zip(collation.as_str()).map(|(schema, name)| Name::new(schema, name)),
    })
}

fn domain_constraint(value: &Value, scope: &Scope) -> Result<DomainConstraint> {
    const COLUMN: &str = "constraints";
    let [oid, contype, conname, definition, validated] = parts::<5>(value, COLUMN)?;
    let oid = number(oid, COLUMN)?;
    Ok(DomainConstraint {
        oid,
        name: string(conname, COLUMN)?,
        is_check: contype == "c",
        definition: string(definition, COLUMN)?,
        validated: validated.as_bool().ok_or_else(|| unexpected(validated, COLUMN))?,
        blocked: scope.is_blocked(Class::Constraint, oid),
    })
}

/// Sequences by themselves; those of identity columns go to their columns.
fn load_sequences(tables: &mut [Table], scope: &Scope, sequences: &[u32]) -> Result<Vec<Sequence>> {
    let wanted = oid_array(scope.sequences.iter().chain(sequences).copied());
    let oids = oid_array(tables.iter().map(|table| table.oid));
    let places: HashMap<u32, usize> = tables.iter().enumerate().map(|(at, table)| (table.oid, at)).collect();
    let rows = ask(include_str!("../../../sql/query/schema/sequences.sql"), &[&wanted, &oids])?;
    let mut free = Vec::new();
    for row in &rows {
        let mut found = sequence(row)?;
        let is_identity = opt_letter(row, "deptype", |code| Some(code == 'i'))?;
        let table = opt_parse::<u32>(row, "attrelid")?.and_then(|oid| places.get(&oid)).map(|at| &mut tables[*at]);
        let attnum: Option<i16> = opt_parse(row, "attnum")?;
        let Some((is_identity, table, attnum)) =
            is_identity.zip(table).zip(attnum).map(|((is_identity, table), attnum)| (is_identity, table, attnum))
        else {
            free.push(found);
            continue;
        };
        let table_name = table.name.clone();
        let Some(column) = table.columns.iter_mut().find(|column| column.attnum == attnum) else { continue };
        match &mut column.identity {
            Some(identity) if is_identity => identity.sequence = Some(Box::new(found)),
            _ => {
                found.owner = Some(Owner { table: table_name, column: column.name.clone() });
                free.push(found);
            }
        }
    }
    Ok(free)
}

fn sequence(row: &Row) -> Result<Sequence> {
    Ok(Sequence {
        oid: row.parse("oid")?,
        name: name(row, "nspname", "relname")?,
        unlogged: row.bool("is_unlogged")?,
        type_oid: row.parse("seqtypid")?,
        type_name: row.string("type_name")?,
        start: row.parse("seqstart")?,
        increment: row.parse("seqincrement")?,
        min: row.parse("seqmin")?,
        max: row.parse("seqmax")?,
        cache: row.parse("seqcache")?,
        cycle: row.bool("seqcycle")?,
        owner: None,
        is_of_other: row.bool("is_of_other")?,
    })
}

pub fn comments_of(rows: &[Row]) -> Result<HashMap<Address, String>> {
    let comment = |row: &Row| {
        let Some(class) = class(row, "classoid")? else { return Ok(None) };
        Ok(Some(((class, row.parse("objoid")?, row.parse("objsubid")?), row.string("description")?)))
    };
    rows.iter().map(comment).filter_map(Result::transpose).collect()
}
