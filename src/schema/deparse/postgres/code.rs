//! Functions, procedures, views and rules.

use std::collections::BTreeSet;

use super::conditions::{self, has_options};
use super::{options, subject};
use crate::logicalrep::names::{quote_literal, shown};
use crate::schema::diff::Subject;
use crate::schema::image::{Firing, Plain, PlainKind, Routine, Rule, Table, View, ViewForm, key, slot};

pub(super) fn create_routine(routine: &Routine, or_replace: &str) -> String {
    let word = if routine.is_procedure { "PROCEDURE" } else { "FUNCTION" };
    format!("CREATE{or_replace} {word} {}{}", routine.name.shown(), routine.definition)
}

pub(super) fn create_view(view: &View, or_replace: &str, with_data: bool) -> String {
    let (start, end) = match (view.form, with_data) {
        (ViewForm::Plain, _) => (format!("CREATE{or_replace} VIEW"), ""),
        (ViewForm::Materialized { .. }, true) => ("CREATE MATERIALIZED VIEW".to_owned(), " WITH DATA"),
        (ViewForm::Materialized { .. }, false) => ("CREATE MATERIALIZED VIEW".to_owned(), " WITH NO DATA"),
    };
    let relation = &view.relation;
    let columns: Vec<String> = relation.columns.iter().map(|column| shown(&column.name)).collect();
    let list = if columns.is_empty() { String::new() } else { format!(" ({})", columns.join(", ")) };
    let method = relation.access_method.as_ref().map(|method| format!(" USING {}", shown(method)));
    let with = own_options(relation);
    let with = if with.is_empty() { String::new() } else { format!(" WITH ({})", options(&with)) };
    let name = relation.name.shown();
    format!("{start} {name}{list}{}{with} AS {}{end}", method.unwrap_or_default(), view.definition)
}

/// CONCURRENTLY, so that readers go on, where there is an index for it and there are rows.
pub(super) fn refresh(view: &View) -> String {
    let is_whole = |index: &&crate::schema::image::Index| {
        // The server wants columns, and all rows.
        let text = index.definition.as_deref().unwrap_or_default();
        let (_, of) = text.split_once(" USING btree (").unwrap_or_default();
        index.unique && index.is_made() && !of.is_empty() && !of.contains('(') && !text.contains(" WHERE ")
    };
    let is_populated = view.is_populated();
    let has_key = view.relation.indexes.iter().any(|index| is_whole(&index));
    let word = if is_populated && has_key { "CONCURRENTLY " } else { "" };
    let rows = if is_populated { "" } else { " WITH NO DATA" };
    format!("REFRESH MATERIALIZED VIEW {word}{}{rows}", view.name().shown())
}

pub(super) fn create_rule(rule: &Rule) -> String {
    rule.definition.replacen("CREATE RULE", "CREATE OR REPLACE RULE", 1)
}

pub(super) fn set_rule(table: &Table, rule: &Rule) -> String {
    let verb = match rule.firing {
        Firing::Enabled => "ENABLE",
        Firing::Disabled => "DISABLE",
    };
    format!("ALTER TABLE {} {verb} RULE {}", table.name.shown(), shown(&rule.name))
}

pub(super) fn is_routine(routine: &Routine) -> String {
    let written = create_routine(routine, " OR REPLACE");
    format!("pg_catalog.rtrim(pg_catalog.pg_get_functiondef(o.oid), E'\\n') = {}", quote_literal(&written))
}

pub(super) fn is_view(view: &View) -> String {
    let kind = if view.is_materialized() { 'm' } else { 'v' };
    let wanted = own_options(&view.relation);
    let options = match (view.is_materialized(), wanted.is_empty()) {
        (true, _) => String::new(),
        (false, true) => " AND o.reloptions IS NULL".to_owned(),
        (false, false) => {
            format!(
                " AND {} AND pg_catalog.cardinality(o.reloptions) = {}",
                has_options("o.reloptions", &wanted),
                wanted.len()
            )
        }
    };
    format!(
        "o.relkind = '{kind}' AND pg_catalog.rtrim(pg_catalog.pg_get_viewdef(o.oid), ';') = {}{options}",
        quote_literal(&view.definition)
    )
}

pub(super) fn is_rule(table: &Table, rule: &Rule) -> String {
    conditions::is_defined(&Subject::rule(&table.name, &rule.name), &rule.definition)
}

fn own_options(relation: &Table) -> Vec<(String, String)> {
    let own = relation.options.iter().filter(|option| !option.of_toast);
    own.map(|option| (option.name.clone(), option.value.clone())).collect()
}

pub(super) fn create_plain(plain: &Plain) -> String {
    match plain.definition.contains(";\n") {
        true => in_one([plain.definition.as_str()]),
        false => plain.definition.clone(),
    }
}

/// In place of one that is there, which nothing needs.
pub(super) fn replace_plain(plain: &Plain) -> String {
    in_one([&*format!("DROP {} {}", plain.kind.word(), plain.target), &plain.definition])
}

/// Of one that something may need.
pub(super) fn alter_plain(before: &Plain, plain: &Plain) -> String {
    let alter = format!("ALTER {} {}", plain.kind.word(), plain.target);
    match plain.kind {
        PlainKind::Configuration => {
            let kinds: BTreeSet<&str> = before.mappings().chain(plain.mappings()).map(|(kind, _)| kind).collect();
            let kinds: Vec<&str> = kinds.into_iter().collect();
            let none = format!("{alter} DROP MAPPING IF EXISTS FOR {}", kinds.join(", "));
            in_one(std::iter::once(none.as_str()).chain(plain.mappings().map(|(_, statement)| statement)))
        }
        PlainKind::Dictionary => {
            // The first is its template; an option without a value goes.
            let (old, new) = (before.items(), plain.items());
            let kept: BTreeSet<&str> = new.iter().map(|item| key(item)).collect();
            let gone = old.iter().map(|item| key(item)).filter(|key| !kept.contains(key));
            let options: Vec<&str> = gone.chain(new.iter().skip(1).copied()).collect();
            format!("{alter} ({})", options.join(", "))
        }
        PlainKind::Operator => {
            let value = |of: &str| plain.items().into_iter().find_map(|item| item.strip_prefix(of)).unwrap_or("NONE");
            format!("{alter} SET (RESTRICT = {}, JOIN = {})", value("RESTRICT = "), value("JOIN = "))
        }
        PlainKind::OperatorFamily | PlainKind::OperatorClass => alter_family(before, plain),
        PlainKind::Aggregate | PlainKind::Cast | PlainKind::Conversion => {
            plain.definition.replacen("CREATE ", "CREATE OR REPLACE ", 1)
        }
    }
}

/// Its members, one by one: those of a class are its family's as well.
fn alter_family(before: &Plain, plain: &Plain) -> String {
    let (old, new) = (before.members(), plain.members());
    let alter = format!("ALTER OPERATOR FAMILY {}", plain.family().unwrap_or_default());
    let gone = old.iter().filter(|member| !new.contains(member)).filter_map(|member| slot(member));
    let gone = gone.map(|slot| format!("{alter} DROP {slot}"));
    let come = new.iter().filter(|member| !old.contains(member)).map(|member| format!("{alter} ADD {member}"));
    let statements: Vec<String> = gone.chain(come).collect();
    in_one(statements.iter().map(String::as_str))
}

/// Several statements have to be one for a session that prepares what it runs.
fn in_one<'t>(statements: impl IntoIterator<Item = &'t str>) -> String {
    let statements: Vec<&str> = statements.into_iter().collect();
    format!("DO {}", quote_literal(&format!("BEGIN\n{};\nEND", statements.join(";\n"))))
}

pub(super) fn is_plain(plain: &Plain) -> String {
    format!("o.definition = {}", quote_literal(&plain.definition))
}

/// The row of a plain object, which is named `o`, with its definition.
pub(super) fn plain_row(plain: &Plain) -> String {
    format!("({}) AS o WHERE o.target = {}", plain.kind.query().trim_end(), quote_literal(&plain.target))
}

/// The row of a routine, which is named `o`.
pub(super) fn routine_row(name: &crate::schema::image::Name, arguments: &str) -> String {
    format!(
        "{} AND pg_catalog.oidvectortypes(o.proargtypes) = {}",
        subject::named("pg_proc", "pro", name),
        quote_literal(arguments)
    )
}
