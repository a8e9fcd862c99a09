//! The question whether the destination has what parts of tables wait for and no task creates: no row when it has not, null when it has,
//! else why it does not count.

use serde::{Deserialize, Serialize};

use crate::logicalrep::names::quote_literal as literal;
use crate::schema::deparse::SchemaSql;
use crate::schema::image::{Class, Name};

/// Something that no task creates, as far as two servers can have the same.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Foreign {
    Routine {
        name: Name,
        kind: char,
        arguments: String,
        /// Null where its arguments tell enough.
        result: Option<String>,
    },
    Operator {
        name: Name,
        left: String,
        right: String,
    },
    OperatorClass {
        name: Name,
        access_method: String,
    },
    OperatorFamily {
        name: Name,
        access_method: String,
    },
    AccessMethod {
        name: String,
    },
    Language {
        name: String,
    },
    /// A configuration, dictionary, parser or template.
    TextSearch {
        class: Class,
        name: Name,
    },
    Type {
        name: Name,
        kind: char,
        length: i16,
    },
    /// A view, or what has rows: the same columns.
    Relation {
        name: Name,
        kind: char,
        columns: String,
    },
}

pub fn there(what: &Foreign) -> SchemaSql {
    SchemaSql(match what {
        Foreign::Routine { name, kind, arguments, result } => {
            let result = result
                .as_ref()
                .map(|result| format!(" AND pg_catalog.format_type(o.prorettype, NULL) = {}", literal(result)));
            format!(
                "SELECT COALESCE(CASE WHEN NOT (pg_catalog.has_schema_privilege(n.oid, 'USAGE') \
             AND pg_catalog.has_function_privilege(o.oid, 'EXECUTE')) THEN 'the user may not execute it there' END, {}) \
             FROM pg_catalog.pg_proc o JOIN pg_catalog.pg_namespace n ON n.oid = o.pronamespace WHERE n.nspname = {} AND o.proname = {} \
             AND o.prokind = {} AND pg_catalog.oidvectortypes(o.proargtypes) = {}{}",
                owner_check("o.proowner"),
                literal(&name.schema),
                literal(&name.name),
                literal(&kind.to_string()),
                literal(arguments),
                result.unwrap_or_default()
            )
        }
        Foreign::Operator { name, left, right } => format!(
            "{} AND pg_catalog.format_type(o.oprleft, NULL) = {} AND pg_catalog.format_type(o.oprright, NULL) = {}",
            owned("pg_operator", "opr", name, ""),
            literal(left),
            literal(right)
        ),
        Foreign::OperatorClass { name, access_method } => of_method("pg_opclass", "opc", name, access_method),
        Foreign::OperatorFamily { name, access_method } => of_method("pg_opfamily", "opf", name, access_method),
        Foreign::AccessMethod { name } => {
            format!("SELECT NULL::pg_catalog.text FROM pg_catalog.pg_am o WHERE o.amname = {}", literal(name))
        }
        Foreign::Language { name } => {
            format!("SELECT NULL::pg_catalog.text FROM pg_catalog.pg_language o WHERE o.lanname = {}", literal(name))
        }
        Foreign::TextSearch { class: Class::SearchConfiguration, name } => owned("pg_ts_config", "cfg", name, ""),
        Foreign::TextSearch { class: Class::SearchDictionary, name } => owned("pg_ts_dict", "dict", name, ""),
        Foreign::TextSearch { class, name } => {
            let (catalog, prefix) =
                if *class == Class::SearchParser { ("pg_ts_parser", "prs") } else { ("pg_ts_template", "tmpl") };
            // They have no owner: only superusers make them.
            named("NULL::pg_catalog.text", catalog, prefix, name, "")
        }
        Foreign::Type { name, kind, length } => format!(
            "{} AND o.typtype = {} AND o.typlen = {length} AND o.typisdefined",
            owned("pg_type", "typ", name, ""),
            literal(&kind.to_string())
        ),
        Foreign::Relation { name, kind, columns } => format!(
            "{} AND o.relkind = {} AND (SELECT pg_catalog.string_agg(a.attname || ' ' || pg_catalog.format_type(a.atttypid, a.atttypmod), ', ' \
             ORDER BY a.attnum) FROM pg_catalog.pg_attribute a WHERE a.attrelid = o.oid AND a.attnum > 0 AND NOT a.attisdropped) = {}",
            owned("pg_class", "rel", name, ""),
            literal(&kind.to_string()),
            literal(columns)
        ),
    })
}

fn of_method(catalog: &str, prefix: &str, name: &Name, access_method: &str) -> String {
    let join = format!(" JOIN pg_catalog.pg_am m ON m.oid = o.{prefix}method");
    format!("{} AND m.amname = {}", owned(catalog, prefix, name, &join), literal(access_method))
}

fn owned(catalog: &str, prefix: &str, name: &Name, join: &str) -> String {
    named(&owner_check(&format!("o.{prefix}owner")), catalog, prefix, name, join)
}

fn named(answer: &str, catalog: &str, prefix: &str, name: &Name, join: &str) -> String {
    format!(
        "SELECT {answer} FROM pg_catalog.{catalog} o JOIN pg_catalog.pg_namespace n ON n.oid = o.{prefix}namespace{join} \
         WHERE n.nspname = {} AND o.{prefix}name = {}",
        literal(&name.schema),
        literal(&name.name)
    )
}

/// Null when the owner is one whom the task's user trusts. A role may only count on what nobody but its peers can change: an object that a
/// stranger owns would run the stranger's code. A superuser is a member of every role and a peer of none but superusers.
pub(super) fn owner_check(owner: &str) -> String {
    format!(
        "CASE WHEN NOT EXISTS (SELECT FROM pg_catalog.pg_roles w JOIN pg_catalog.pg_roles me ON me.rolname = CURRENT_USER \
         WHERE w.oid = {owner} AND (w.rolsuper OR w.oid = me.oid OR NOT me.rolsuper AND (pg_catalog.pg_has_role(w.oid, 'USAGE') \
         OR w.oid = (SELECT d.datdba FROM pg_catalog.pg_database d WHERE d.datname = pg_catalog.current_database())))) \
         THEN pg_catalog.format('it belongs to %I there, who could make it do anything', pg_catalog.pg_get_userbyid({owner})) END"
    )
}
