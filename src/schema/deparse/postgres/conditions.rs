//! What has to be true of a row of a catalog, which is named `o`, for a statement not to be needed: tables, constraints, indexes, notes.

use super::table::method_of;
use super::{flag, subject};
use crate::logicalrep::array::text_array;
use crate::logicalrep::names::quote_literal;
use crate::schema::diff::{ConstraintChange, IndexChange, Subject, TableChange};
use crate::schema::image::{Constraint, Grant, Index, Name, Policy, ReplicaIdentity, StorageOption, Table};

/// Whether a table, or what it keeps beside it, has an option of each kind, or has not.
pub(super) fn each_option(options: &[&StorageOption], not: &str, which: impl Fn(&StorageOption) -> String) -> String {
    let question = |option: &&StorageOption| {
        let relation = if option.of_toast { "o.reltoastrelid" } else { "o.oid" };
        format!(
            "{not}EXISTS (SELECT FROM pg_catalog.pg_class r CROSS JOIN LATERAL pg_catalog.unnest(r.reloptions) AS x(option) \
             WHERE r.oid = {relation} AND {})",
            which(option)
        )
    };
    options.iter().map(question).collect::<Vec<_>>().join(" AND ")
}

pub(super) fn is_child_of(parent: &Name) -> String {
    format!(
        "EXISTS (SELECT FROM pg_catalog.pg_inherits i JOIN pg_catalog.pg_class p ON p.oid = i.inhparent JOIN pg_catalog.pg_namespace pn \
         ON pn.oid = p.relnamespace WHERE i.inhrelid = o.oid AND pn.nspname = {} AND p.relname = {})",
        quote_literal(&parent.schema),
        quote_literal(&parent.name)
    )
}

/// A partition has to leave its parent to come back with another bound.
pub(super) fn is_child_with_other(parent: &Name, bound: Option<&str>) -> String {
    let is_child = is_child_of(parent);
    match bound {
        Some(bound) => {
            let there = "pg_catalog.pg_get_expr(o.relpartbound, o.oid)";
            format!("{is_child} AND {there} <> {}", quote_literal(bound))
        }
        None => is_child,
    }
}

pub(super) fn table_changed(table: &Table, change: TableChange) -> String {
    let of = |of: &str| format!("pg_catalog.format_type(NULLIF(o.reloftype, 0), NULL) = {}", quote_literal(of));
    match (change, &table.of_type) {
        (TableChange::AccessMethod, _) => match method_of(table) {
            Some(method) => {
                format!("o.relam = (SELECT m.oid FROM pg_catalog.pg_am m WHERE m.amname = {})", quote_literal(method))
            }
            None => "o.relam = 0".to_owned(),
        },
        (TableChange::OfType, Some(name)) => of(name),
        (TableChange::OfType | TableChange::NotOfType, None) => "o.reloftype = 0".to_owned(),
        (TableChange::NotOfType, Some(name)) => format!("o.reloftype = 0 OR {}", of(name)),
    }
}

pub(super) fn constraint_changed(constraint: &Constraint, change: ConstraintChange) -> String {
    match change {
        ConstraintChange::Validate => "o.convalidated".to_owned(),
        ConstraintChange::Declare => "o.conislocal".to_owned(),
        ConstraintChange::Defer => format!(
            "o.condeferrable = {} AND o.condeferred = {}",
            quote_literal(flag(constraint.deferrable)),
            quote_literal(flag(constraint.deferred))
        ),
        ConstraintChange::Enforce(is) => {
            format!("(pg_catalog.to_jsonb(o) ->> 'conenforced')::pg_catalog.bool IS DISTINCT FROM {}", !is)
        }
        ConstraintChange::Inherit(is) => format!("o.connoinherit = {}", quote_literal(flag(!is))),
    }
}

pub(super) fn index_changed(index: &Index, change: &IndexChange) -> String {
    match change {
        IndexChange::Options => has_options("o.reloptions", &index.options),
        IndexChange::ResetOptions(names) => has_not_options("o.reloptions", names),
        IndexChange::ResetStatistics(statistics) => format!(
            "NOT EXISTS (SELECT FROM pg_catalog.pg_attribute a WHERE a.attrelid = o.oid AND a.attnum = {} AND a.attstattarget >= 0)",
            statistics.attnum
        ),
    }
}

pub(super) fn has_options(list: &str, options: &[(String, String)]) -> String {
    let options: Vec<String> = options.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let wanted = text_array(options.iter().map(String::as_str));
    format!("{list} OPERATOR(pg_catalog.@>) {}::pg_catalog.text[]", quote_literal(&wanted))
}

pub(super) fn has_not_options(list: &str, names: &[&str]) -> String {
    format!(
        "NOT EXISTS (SELECT FROM pg_catalog.unnest({list}) AS x(option) WHERE pg_catalog.split_part(x.option, '=', 1) = ANY ({}::pg_catalog.text[]))",
        quote_literal(&text_array(names.iter().copied()))
    )
}

/// The definition as the server writes it there.
pub(super) fn is_defined(subject: &Subject, definition: &str) -> String {
    let function = match subject {
        Subject::Trigger(..) => "pg_get_triggerdef",
        Subject::Index(_) => "pg_get_indexdef",
        Subject::Statistics(_) => "pg_get_statisticsobjdef",
        Subject::Rule(..) => {
            return format!("pg_catalog.rtrim(pg_catalog.pg_get_ruledef(o.oid), ';') = {}", quote_literal(definition));
        }
        _ => "pg_get_constraintdef",
    };
    format!("pg_catalog.{function}(o.oid) = {}", quote_literal(definition))
}

pub(super) fn policy_altered(policy: &Policy) -> String {
    let expression = |column: &str, text: &Option<String>| {
        let text = text.as_deref().map_or_else(|| "NULL".to_owned(), quote_literal);
        format!("pg_catalog.pg_get_expr(o.{column}, o.polrelid) IS NOT DISTINCT FROM {text}")
    };
    let mut roles = policy.roles.clone();
    roles.sort();
    format!(
        "(0 = ANY (o.polroles)) = {} AND ARRAY(SELECT r.rolname::pg_catalog.text FROM pg_catalog.pg_roles r WHERE r.oid = ANY (o.polroles) \
         ORDER BY r.rolname COLLATE \"C\") = {}::pg_catalog.text[] AND {} AND {}",
        quote_literal(flag(policy.to_public)),
        quote_literal(&text_array(roles.iter().map(String::as_str))),
        expression("polqual", &policy.using),
        expression("polwithcheck", &policy.check)
    )
}

pub(super) fn identified(table: &Table, index: Option<&Index>) -> String {
    let code = match (table.replica_identity, index) {
        (_, Some(index)) => {
            return format!(
                "EXISTS (SELECT FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class ic ON ic.oid = i.indexrelid \
                 WHERE i.indrelid = o.oid AND i.indisreplident AND ic.relname = {})",
                quote_literal(&index.name)
            );
        }
        (ReplicaIdentity::Full, None) => 'f',
        (ReplicaIdentity::Nothing, None) => 'n',
        (ReplicaIdentity::Default | ReplicaIdentity::Index, None) => 'd',
    };
    format!("o.relreplident = '{code}'")
}

pub(super) fn commented(subject: &Subject, text: Option<&str>) -> String {
    let description = match subject {
        Subject::Column(..) => "pg_catalog.col_description(o.attrelid, o.attnum)".to_owned(),
        _ => format!("pg_catalog.obj_description(o.oid, '{}')", subject::catalog(subject)),
    };
    match text {
        Some(text) => format!("{description} = {}", quote_literal(text)),
        None => format!("{description} IS NULL"),
    }
}

/// May everybody use a type, or execute a routine?
pub(super) fn is_public(subject: &Subject) -> String {
    let list = match subject {
        Subject::Plain(_) => list_of_aggregate(),
        of if of.is_routine() => default_list("pro", 'f'),
        _ => default_list("typ", 'T'),
    };
    format!("EXISTS (SELECT FROM pg_catalog.aclexplode({list}) AS x WHERE x.grantee = 0)")
}

pub(super) fn schema_oid(name: &str) -> String {
    format!("(SELECT n.oid FROM pg_catalog.pg_namespace n WHERE n.nspname = {})", quote_literal(name))
}

pub(super) fn granted(subject: &Subject, grant: &Grant) -> String {
    format!(
        "{}::pg_catalog.text[] OPERATOR(pg_catalog.<@) {}",
        quote_literal(&text_array(grant.privileges.iter().map(String::as_str))),
        privileges_of(subject, grant)
    )
}

/// What the role may do there.
pub(super) fn privileges_of(subject: &Subject, grant: &Grant) -> String {
    let list = match subject {
        Subject::Column(..) => "o.attacl".to_owned(),
        Subject::Schema(_) => default_list("nsp", 'n'),
        Subject::Type(_) | Subject::Domain(_) => default_list("typ", 'T'),
        Subject::Sequence(_) => default_list("rel", 's'),
        Subject::Function(..) | Subject::Procedure(..) => default_list("pro", 'f'),
        Subject::Plain(_) => list_of_aggregate(),
        _ => default_list("rel", 'r'),
    };
    let grantee = match &grant.grantee {
        None => "x.grantee = 0".to_owned(),
        Some(role) => format!("r.rolname = {}", quote_literal(role)),
    };
    format!(
        "ARRAY(SELECT x.privilege_type FROM pg_catalog.aclexplode({list}) AS x \
         LEFT JOIN pg_catalog.pg_roles r ON r.oid = x.grantee WHERE {grantee}{})",
        if grant.with_option { " AND x.is_grantable" } else { "" }
    )
}

/// Its row is not that of its catalog.
fn list_of_aggregate() -> String {
    "(SELECT COALESCE(p.proacl, pg_catalog.acldefault('f', p.proowner)) FROM pg_catalog.pg_proc p WHERE p.oid = o.oid)"
        .to_owned()
}

pub(super) fn default_list(prefix: &str, kind: char) -> String {
    format!("COALESCE(o.{prefix}acl, pg_catalog.acldefault('{kind}', o.{prefix}owner))")
}
