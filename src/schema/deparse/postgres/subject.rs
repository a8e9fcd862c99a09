//! Whom a step is about: as people read it, as COMMENT ON takes it, and where the destination's catalogs keep it.

use crate::logicalrep::names::{quote_literal, quote_qualified, shown};
use crate::schema::diff::Subject;
use crate::schema::image::Name;

/// `"Price" on shop.items` for what has its name inside another object, else the qualified name.
pub(super) fn object(subject: &Subject) -> String {
    match subject {
        Subject::Schema(name) => shown(name),
        Subject::Extension(name) => shown(name),
        Subject::Collation(name)
        | Subject::Type(name)
        | Subject::Domain(name)
        | Subject::Sequence(name)
        | Subject::Table(name)
        | Subject::View(name)
        | Subject::MaterializedView(name)
        | Subject::Statistics(name) => name.shown(),
        Subject::Function(name, arguments) | Subject::Procedure(name, arguments) => {
            format!("{}({arguments})", name.shown())
        }
        Subject::Index(name) => name.shown(),
        Subject::Plain(plain) => plain.target.clone(),
        Subject::Column(table, column) => format!("{}.{}", table.shown(), shown(column)),
        Subject::Constraint(table, name)
        | Subject::Trigger(table, name)
        | Subject::Rule(table, name)
        | Subject::Policy(table, name) => {
            format!("{} on {}", shown(name), table.shown())
        }
        Subject::DomainConstraint(domain, name) => format!("{} on domain {}", shown(name), domain.shown()),
    }
}

/// How COMMENT ON, ALTER and DROP name it.
pub(super) fn target(subject: &Subject) -> String {
    let word = subject.word();
    match subject {
        Subject::Constraint(table, name)
        | Subject::Trigger(table, name)
        | Subject::Rule(table, name)
        | Subject::Policy(table, name) => {
            format!("{word} {} ON {}", shown(name), table.shown())
        }
        Subject::DomainConstraint(domain, name) => format!("{word} {} ON DOMAIN {}", shown(name), domain.shown()),
        _ => format!("{word} {}", object(subject)),
    }
}

/// What GRANT names: a column's table.
pub(super) fn secured(subject: &Subject) -> String {
    match subject {
        Subject::Column(table, _) => format!("TABLE {}", table.shown()),
        Subject::View(name) | Subject::MaterializedView(name) => format!("TABLE {}", name.shown()),
        // GRANT has no word for an aggregate, nor a star.
        Subject::Plain(plain) => format!(
            "FUNCTION {}",
            plain.target.strip_suffix("(*)").map_or_else(|| plain.target.clone(), |name| format!("{name}()"))
        ),
        _ => target(subject),
    }
}

/// The catalog, as the descriptions know it.
pub(super) fn catalog(subject: &Subject) -> &'static str {
    match subject {
        Subject::Schema(_) => "pg_namespace",
        Subject::Extension(_) => "pg_extension",
        Subject::Collation(_) => "pg_collation",
        Subject::Type(_) | Subject::Domain(_) => "pg_type",
        Subject::Sequence(_) | Subject::Table(_) | Subject::Index(_) | Subject::Column(..) => "pg_class",
        Subject::View(_) | Subject::MaterializedView(_) => "pg_class",
        Subject::Function(..) | Subject::Procedure(..) => "pg_proc",
        Subject::Rule(..) => "pg_rewrite",
        Subject::Statistics(_) => "pg_statistic_ext",
        Subject::Constraint(..) | Subject::DomainConstraint(..) => "pg_constraint",
        Subject::Trigger(..) => "pg_trigger",
        Subject::Policy(..) => "pg_policy",
        Subject::Plain(plain) => plain.kind.catalog(),
    }
}

/// FROM and WHERE that find its row, which is named `o`.
pub(super) fn row(subject: &Subject) -> String {
    match subject {
        Subject::Schema(name) => format!("pg_catalog.pg_namespace o WHERE o.nspname = {}", quote_literal(name)),
        Subject::Extension(name) => format!("pg_catalog.pg_extension o WHERE o.extname = {}", quote_literal(name)),
        Subject::Collation(name) => named("pg_collation", "coll", name),
        Subject::Type(name) | Subject::Domain(name) => named("pg_type", "typ", name),
        Subject::Sequence(name) | Subject::Table(name) => named("pg_class", "rel", name),
        Subject::Index(name) | Subject::View(name) | Subject::MaterializedView(name) => named("pg_class", "rel", name),
        Subject::Function(name, arguments) | Subject::Procedure(name, arguments) => {
            super::code::routine_row(name, arguments)
        }
        Subject::Rule(table, name) => inside("pg_rewrite", "ev_class", "rulename", table, name),
        Subject::Statistics(name) => named("pg_statistic_ext", "stx", name),
        Subject::Column(table, column) => {
            format!("{} AND NOT o.attisdropped", inside("pg_attribute", "attrelid", "attname", table, column))
        }
        Subject::Constraint(table, name) => inside("pg_constraint", "conrelid", "conname", table, name),
        Subject::Trigger(table, name) => inside("pg_trigger", "tgrelid", "tgname", table, name),
        Subject::Plain(plain) => super::code::plain_row(plain),
        Subject::Policy(table, name) => inside("pg_policy", "polrelid", "polname", table, name),
        Subject::DomainConstraint(domain, name) => format!(
            "pg_catalog.pg_constraint o JOIN pg_catalog.pg_type c ON c.oid = o.contypid JOIN pg_catalog.pg_namespace n \
             ON n.oid = c.typnamespace WHERE n.nspname = {} AND c.typname = {} AND o.conname = {}",
            quote_literal(&domain.schema),
            quote_literal(&domain.name),
            quote_literal(name)
        ),
    }
}

pub(super) fn named(catalog: &str, prefix: &str, name: &Name) -> String {
    format!(
        "pg_catalog.{catalog} o JOIN pg_catalog.pg_namespace n ON n.oid = o.{prefix}namespace WHERE n.nspname = {} AND o.{prefix}name = {}",
        quote_literal(&name.schema),
        quote_literal(&name.name)
    )
}

/// Asked thousands of times: a plan of one table takes the server a fifth of the time of one that joins three.
fn inside(catalog: &str, relation: &str, column: &str, table: &Name, name: &str) -> String {
    format!(
        "pg_catalog.{catalog} o WHERE o.{relation} = pg_catalog.to_regclass({})::pg_catalog.oid AND o.{column} = {}",
        quote_literal(&quote_qualified(&table.schema, &table.name)),
        quote_literal(name)
    )
}
