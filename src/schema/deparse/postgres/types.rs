//! CREATE TYPE, CREATE DOMAIN, CREATE COLLATION.

use super::collate;
use crate::logicalrep::names::{quote_literal, shown};
use crate::schema::image::{Attribute, Collation, Domain, Provider, Range, Type, TypeForm};

pub(super) fn create_type(of: &Type) -> String {
    let name = of.name.shown();
    match &of.form {
        TypeForm::Enum { labels } => {
            let labels: Vec<String> = labels.iter().map(|label| quote_literal(&label.name)).collect();
            format!("CREATE TYPE {name} AS ENUM ({})", labels.join(", "))
        }
        TypeForm::Composite { attributes, .. } => {
            let list: Vec<String> = attributes.iter().map(attribute).collect();
            format!("CREATE TYPE {name} AS ({})", list.join(", "))
        }
        TypeForm::Range(range) => format!("CREATE TYPE {name} AS RANGE ({})", range_options(range)),
        TypeForm::Domain(domain) => format!("CREATE DOMAIN {name} AS {}", domain_body(domain)),
    }
}

pub(super) fn attribute(attribute: &Attribute) -> String {
    format!("{} {}{}", shown(&attribute.name), attribute.type_name, collate(attribute.collation.as_ref()))
}

/// An operator class is named only when it is not the default one. Support functions that are not created on the destination stay out:
/// stored ranges are canonical already.
fn range_options(range: &Range) -> String {
    let class = (!range.is_default_class).then(|| format!("subtype_opclass = {}", range.operator_class.shown()));
    let parts = [
        Some(format!("subtype = {}", range.subtype)),
        class,
        range.collation.as_ref().map(|name| format!("collation = {}", name.shown())),
        range.canonical.as_ref().map(|function| format!("canonical = {function}")),
        range.subtype_diff.as_ref().map(|function| format!("subtype_diff = {function}")),
        range.multirange.as_ref().map(|name| format!("multirange_type_name = {}", name.shown())),
    ];
    parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

fn domain_body(domain: &Domain) -> String {
    let mut sql = format!("{}{}", domain.base, collate(domain.collation.as_ref()));
    if let Some(default) = &domain.default {
        sql.push_str(&format!(" DEFAULT {default}"));
    }
    for constraint in domain.constraints.iter().filter(|k| k.validated && !k.blocked) {
        sql.push_str(&format!(" CONSTRAINT {} {}", shown(&constraint.name), constraint.definition));
    }
    // A named constraint from 17 on.
    if domain.not_null && domain.constraints.iter().all(|k| k.is_check) {
        sql.push_str(" NOT NULL");
    }
    sql
}

pub(super) fn create_collation(collation: &Collation) -> String {
    let provider = match collation.provider {
        Provider::Icu => "icu",
        Provider::Builtin => "builtin",
        Provider::Libc => "libc",
        Provider::Default => "",
    };
    let literal = |text: &Option<String>| text.as_deref().map_or_else(|| "NULL".to_owned(), quote_literal);
    let locale = match (&collation.locale, &collation.collate, &collation.ctype) {
        (Some(locale), ..) => format!("locale = {}", quote_literal(locale)),
        (None, Some(collate), Some(ctype)) if collate == ctype => format!("locale = {}", quote_literal(collate)),
        (None, collate, ctype) => format!("lc_collate = {}, lc_ctype = {}", literal(collate), literal(ctype)),
    };
    let rules = collation.rules.as_ref().map(|rules| format!(", rules = {}", quote_literal(rules)));
    format!(
        "CREATE COLLATION {} (provider = {provider}{}, {locale}{})",
        collation.name.shown(),
        if collation.deterministic { "" } else { ", deterministic = false" },
        rules.unwrap_or_default()
    )
}
