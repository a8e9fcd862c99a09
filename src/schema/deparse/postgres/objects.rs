//! The same for what tables are made of and need: columns, sequences, types, domains.

use super::table::{storage_code, storage_of};
use crate::logicalrep::names::quote_literal;
use crate::schema::diff::{ColumnChange, DomainChange, SequenceChange, Subject, TypeChange};
use crate::schema::image::{Column, Compression, Name, Sequence, Type};

use super::conditions::{has_not_options, has_options};

pub(super) fn owned_by(table: &Name, column: &str) -> String {
    format!(
        "EXISTS (SELECT FROM pg_catalog.pg_depend d JOIN pg_catalog.pg_class t ON t.oid = d.refobjid JOIN pg_catalog.pg_namespace tn \
         ON tn.oid = t.relnamespace JOIN pg_catalog.pg_attribute a ON a.attrelid = t.oid AND a.attnum = d.refobjsubid \
         WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objid = o.oid AND d.deptype = 'a' \
         AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass AND tn.nspname = {} AND t.relname = {} AND a.attname = {})",
        quote_literal(&table.schema),
        quote_literal(&table.name),
        quote_literal(column)
    )
}

pub(super) fn bounded(sequence: &Sequence) -> String {
    format!(
        "EXISTS (SELECT FROM pg_catalog.pg_sequence q WHERE q.seqrelid = o.oid AND q.seqtypid = {} AND q.seqmin = {} AND q.seqmax = {} \
         AND q.seqstart = {})",
        sequence.type_oid, sequence.min, sequence.max, sequence.start
    )
}

pub(super) fn sequence_changed(sequence: &Sequence, change: SequenceChange) -> String {
    match change {
        SequenceChange::Options { .. } => format!(
            "EXISTS (SELECT FROM pg_catalog.pg_sequence q WHERE q.seqrelid = o.oid AND q.seqtypid = {} AND q.seqstart = {} \
             AND q.seqincrement = {} AND q.seqmin = {} AND q.seqmax = {} AND q.seqcache = {} AND q.seqcycle = {})",
            sequence.type_oid,
            sequence.start,
            sequence.increment,
            sequence.min,
            sequence.max,
            sequence.cache,
            sequence.cycle
        ),
        SequenceChange::Persistence => {
            format!("o.relpersistence = '{}'", if sequence.unlogged { 'u' } else { 'p' })
        }
        SequenceChange::Free => format!("NOT {}", is_owned()),
    }
}

/// By OWNED BY.
pub(super) fn is_owned() -> String {
    "EXISTS (SELECT FROM pg_catalog.pg_depend d WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objid = o.oid \
     AND d.deptype = 'a' AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass)"
        .to_owned()
}

pub(super) fn changed(column: &Column, change: &ColumnChange) -> String {
    match change {
        ColumnChange::Type { .. } => {
            format!("{} AND {}", has_type(&column.type_name), has_collation(column.collation.as_ref()))
        }
        ColumnChange::FirstDefault(_) => "o.atthasdef".to_owned(),
        ColumnChange::Default(None) => "NOT o.atthasdef".to_owned(),
        ColumnChange::Default(Some(expression)) | ColumnChange::SetExpression(expression) => has_expression(expression),
        ColumnChange::ForgetDefault => format!("NOT o.atthasdef OR {}", has_type(&column.type_name)),
        ColumnChange::DropExpression => "o.attgenerated = ''".to_owned(),
        ColumnChange::NotNull(is) => if *is { "o.attnotnull" } else { "NOT o.attnotnull" }.to_owned(),
        ColumnChange::AddIdentity { .. } => "o.attidentity <> ''".to_owned(),
        ColumnChange::SetIdentity { always } => format!("o.attidentity = '{}'", if *always { 'a' } else { 'd' }),
        ColumnChange::DropIdentity => "o.attidentity = ''".to_owned(),
        ColumnChange::Storage => match column.storage {
            Some(storage) => format!("o.attstorage = '{}'", storage_code(storage)),
            None => format!(
                "o.attstorage = (SELECT y.typstorage FROM pg_catalog.pg_type y WHERE y.oid = o.atttypid) OR o.attstorage = '{}'",
                storage_code(storage_of(column.type_oid))
            ),
        },
        ColumnChange::Statistics => match column.statistics {
            Some(target) => format!("o.attstattarget = {target}"),
            None => "COALESCE(o.attstattarget, -1) < 0".to_owned(),
        },
        ColumnChange::Options => has_options("o.attoptions", &column.options),
        ColumnChange::ResetOptions(names) => has_not_options("o.attoptions", names),
        ColumnChange::Compression => {
            let code = match column.compression {
                Some(Compression::Pglz) => "p",
                Some(Compression::Lz4) => "l",
                None => "",
            };
            format!("o.attcompression = '{code}'")
        }
    }
}

pub(super) fn has_type(name: &str) -> String {
    format!("pg_catalog.format_type(o.atttypid, o.atttypmod) = {}", quote_literal(name))
}

/// None is that of the type.
fn has_collation(collation: Option<&Name>) -> String {
    match collation {
        None => {
            "o.attcollation = (SELECT y.typcollation FROM pg_catalog.pg_type y WHERE y.oid = o.atttypid)".to_owned()
        }
        Some(name) => format!(
            "EXISTS (SELECT FROM pg_catalog.pg_collation l JOIN pg_catalog.pg_namespace ln ON ln.oid = l.collnamespace \
             WHERE l.oid = o.attcollation AND ln.nspname = {} AND l.collname = {})",
            quote_literal(&name.schema),
            quote_literal(&name.name)
        ),
    }
}

/// As the server writes it there: to say the same once more does no harm.
fn has_expression(expression: &str) -> String {
    format!(
        "EXISTS (SELECT FROM pg_catalog.pg_attrdef d WHERE d.adrelid = o.attrelid AND d.adnum = o.attnum \
         AND pg_catalog.pg_get_expr(d.adbin, d.adrelid) = {})",
        quote_literal(expression)
    )
}

/// The row to look for, and what has to be true of it.
pub(super) fn type_changed<'a>(of: &'a Type, change: &'a TypeChange<'a>) -> (Subject<'a>, Option<String>) {
    let label = |label: &str| {
        let exists = "EXISTS (SELECT FROM pg_catalog.pg_enum e WHERE e.enumtypid = o.oid AND e.enumlabel =";
        Some(format!("{exists} {})", quote_literal(label)))
    };
    let column = |name| Subject::Column(&of.name, name);
    match change {
        TypeChange::AddValue { label: name, .. } => (Subject::Type(of.name.cow()), label(name)),
        TypeChange::RenameValue { to, .. } => (Subject::Type(of.name.cow()), label(to)),
        TypeChange::AddAttribute { attribute, .. } => (column(attribute.name.as_str().into()), None),
        TypeChange::AlterAttribute { attribute, .. } => {
            let has = format!("{} AND {}", has_type(&attribute.type_name), has_collation(attribute.collation.as_ref()));
            (column(attribute.name.as_str().into()), Some(has))
        }
        TypeChange::DropAttribute { name, .. } => (column((*name).into()), None),
        TypeChange::RenameAttribute { to, .. } => (column(to.clone()), None),
    }
}

pub(super) fn domain_changed<'a>(domain: &'a Type, change: DomainChange<'a>) -> (Subject<'a>, Option<String>) {
    let subject = Subject::Domain(domain.name.cow());
    match change {
        DomainChange::Default(None) => (subject, Some("o.typdefault IS NULL".to_owned())),
        DomainChange::Default(Some(text)) => {
            let there = "COALESCE(pg_catalog.pg_get_expr(o.typdefaultbin, 0), pg_catalog.quote_literal(o.typdefault))";
            (subject, Some(format!("{there} = {}", quote_literal(text))))
        }
        DomainChange::NotNull(true) => (subject, Some("o.typnotnull".to_owned())),
        DomainChange::NotNull(false) => (subject, Some("NOT o.typnotnull".to_owned())),
        DomainChange::Validate(constraint) => {
            (Subject::domain_constraint(&domain.name, &constraint.name), Some("o.convalidated".to_owned()))
        }
    }
}
