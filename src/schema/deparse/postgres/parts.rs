//! Statements after the data: constraints, indexes, statistics, triggers, policies, privileges.

use super::{options, subject};
use crate::logicalrep::names::shown;
use crate::schema::diff::Subject;
use crate::schema::image::{
    Constraint, ConstraintKind, Firing, Grant, Index, Policy, PolicyCommand, ReplicaIdentity, Table,
};

pub(super) fn index_name(table: &Table, index: &Index) -> String {
    subject::object(&Subject::index(&table.name, &index.name))
}

/// ONLY: each partition has a constraint of its own, with its own name, and its index is attached afterwards. A foreign key of a
/// partitioned table and a check go down to the children.
pub(super) fn add_constraint(table: &Table, constraint: &Constraint) -> String {
    let only = match constraint.kind {
        ConstraintKind::PrimaryKey | ConstraintKind::Unique | ConstraintKind::Exclusion => "ONLY ",
        ConstraintKind::ForeignKey if !table.is_partitioned => "ONLY ",
        ConstraintKind::ForeignKey | ConstraintKind::Check | ConstraintKind::NotNull => "",
    };
    format!(
        "ALTER TABLE {only}{} ADD CONSTRAINT {} {}",
        table.name.shown(),
        shown(&constraint.name),
        with_options(table, constraint)
    )
}

/// The storage parameters of the index are not in the definition of keys; they belong before the last words about deferring.
fn with_options(table: &Table, constraint: &Constraint) -> String {
    let is_key = matches!(constraint.kind, ConstraintKind::PrimaryKey | ConstraintKind::Unique);
    let index = constraint.index.and_then(|index| table.index(index)).filter(|index| !index.options.is_empty());
    let Some(index) = index.filter(|_| is_key) else { return constraint.definition.clone() };
    let deferring = deferring(constraint);
    let definition = constraint.definition.strip_suffix(deferring).unwrap_or(&constraint.definition);
    format!("{definition} WITH ({}){deferring}", options(&index.options))
}

/// The index gets the name of the constraint.
pub(super) fn use_index(table: &Table, constraint: &Constraint, index: &Index) -> String {
    let key = if constraint.kind == ConstraintKind::PrimaryKey { "PRIMARY KEY" } else { "UNIQUE" };
    format!(
        "ALTER TABLE {} ADD CONSTRAINT {} {key} USING INDEX {}{}",
        table.name.shown(),
        shown(&constraint.name),
        shown(&index.name),
        deferring(constraint)
    )
}

pub(super) fn deferring(constraint: &Constraint) -> &'static str {
    match (constraint.deferrable, constraint.deferred) {
        (true, true) => " DEFERRABLE INITIALLY DEFERRED",
        (true, false) => " DEFERRABLE",
        (false, _) => "",
    }
}

pub(super) fn identity(identity: ReplicaIdentity, index: Option<&Index>) -> String {
    match (identity, index) {
        (_, Some(index)) => format!("USING INDEX {}", shown(&index.name)),
        (ReplicaIdentity::Full, None) => "FULL".to_owned(),
        (ReplicaIdentity::Nothing, None) => "NOTHING".to_owned(),
        (ReplicaIdentity::Default | ReplicaIdentity::Index, None) => "DEFAULT".to_owned(),
    }
}

pub(super) fn firing_code(firing: Firing) -> char {
    match firing {
        Firing::Enabled => 'O',
        Firing::Disabled => 'D',
    }
}

pub(super) fn create_policy(table: &Table, policy: &Policy) -> String {
    let command = match policy.command {
        PolicyCommand::All => "ALL",
        PolicyCommand::Select => "SELECT",
        PolicyCommand::Insert => "INSERT",
        PolicyCommand::Update => "UPDATE",
        PolicyCommand::Delete => "DELETE",
    };
    format!(
        "CREATE POLICY {} ON {}{} FOR {command} TO {}{}",
        shown(&policy.name),
        table.name.shown(),
        if policy.permissive { "" } else { " AS RESTRICTIVE" },
        roles(policy),
        clauses(policy)
    )
}

pub(super) fn alter_policy(table: &Table, policy: &Policy) -> String {
    let (name, table) = (shown(&policy.name), table.name.shown());
    format!("ALTER POLICY {name} ON {table} TO {}{}", roles(policy), clauses(policy))
}

fn roles(policy: &Policy) -> String {
    let public = policy.to_public.then(|| "PUBLIC".to_owned());
    let roles: Vec<String> = public.into_iter().chain(policy.roles.iter().map(|role| shown(role))).collect();
    roles.join(", ")
}

fn clauses(policy: &Policy) -> String {
    let clause =
        |word: &str, text: &Option<String>| text.as_ref().map(|t| format!(" {word} ({t})")).unwrap_or_default();
    format!("{}{}", clause("USING", &policy.using), clause("WITH CHECK", &policy.check))
}

pub(super) fn give(subject: &Subject, grant: &Grant) -> String {
    format!(
        "GRANT {} ON {} TO {}{}",
        privileges(subject, grant),
        subject::secured(subject),
        grantee(grant),
        if grant.with_option { " WITH GRANT OPTION" } else { "" }
    )
}

pub(super) fn take_back(subject: &Subject, grant: &Grant) -> String {
    let list = privileges(subject, grant);
    format!("REVOKE {list} ON {} FROM {}", subject::secured(subject), grantee(grant))
}

fn privileges(subject: &Subject, grant: &Grant) -> String {
    let column = match subject {
        Subject::Column(_, column) => format!(" ({})", shown(column)),
        _ => String::new(),
    };
    grant.privileges.iter().map(|p| format!("{p}{column}")).collect::<Vec<_>>().join(", ")
}

pub(super) fn grantee(grant: &Grant) -> String {
    grant.grantee.as_ref().map_or_else(|| "PUBLIC".to_owned(), |role| shown(role))
}
