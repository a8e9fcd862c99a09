//! SQL of PostgreSQL 13 and later, for a session with `search_path = pg_catalog`.
//!
//! Names are quoted where they have to be, as the server's own functions do: the expressions inside come from them.

mod aside;
mod causes;
mod changes;
mod code;
mod conditions;
mod differs;
mod names;
mod objects;
mod parts;
mod present;
mod subject;
mod table;
mod types;

use super::{Printed, SchemaSql};
use crate::logicalrep::names::{quote_literal, shown};
use crate::schema::diff::{Action, Step, Subject};
use crate::schema::image::{Extension, Firing, Name, Sequence};

pub use aside::{
    attachment, concurrently, concurrently_detached, finalized, key_index, leftover, refreshed, refreshes_concurrently,
};
pub use causes::{Foreign, there};
pub use names::{TakenName, names};

/// How a table is emptied that gets other rows at once.
pub struct Emptying {
    pub table: String,
    /// Then TRUNCATE is refused, whoever asks.
    pub is_referenced: SchemaSql,
    pub truncate: SchemaSql,
    pub delete: SchemaSql,
}

pub fn emptying(table: &Name) -> Emptying {
    let shown = table.shown();
    Emptying {
        is_referenced: SchemaSql(format!(
            "SELECT EXISTS (SELECT FROM pg_catalog.pg_constraint k WHERE k.contype = 'f' AND k.confrelid = {}::pg_catalog.regclass \
             AND k.conrelid <> k.confrelid)",
            quote_literal(&crate::logicalrep::quote::quote_qualified(&table.schema, &table.name))
        )),
        truncate: SchemaSql(format!("TRUNCATE ONLY {shown}")),
        delete: SchemaSql(format!("DELETE FROM ONLY {shown}")),
        table: shown,
    }
}

/// The name of whom it is about, without the word for what that is.
pub fn name_of(subject: &Subject) -> String {
    subject::object(subject)
}

/// An object, as people read it.
pub fn shown_subject(subject: &Subject) -> String {
    format!("{} {}", subject.word().to_lowercase(), subject::object(subject))
}

pub struct Postgres {
    /// The source's: definitions are compared as text, which servers of one major version write alike.
    pub major: u32,
}

impl Postgres {
    pub fn print(&self, step: &Step) -> Printed {
        Printed {
            object: object(&step.action),
            statement: SchemaSql(statement(&step.action)),
            present_sql: SchemaSql(present::query(&step.action)),
            differs_sql: self.differs(step).map(SchemaSql),
        }
    }
}

fn statement(action: &Action) -> String {
    match action {
        Action::CreateSchema(schema) => format!("CREATE SCHEMA IF NOT EXISTS {}", shown(&schema.name)),
        Action::CreateExtension { extension, any_version } => create_extension(extension, *any_version),
        Action::UpdateExtension(extension) => {
            format!("ALTER EXTENSION {} UPDATE TO {}", shown(&extension.name), quote_literal(&extension.version))
        }
        Action::CreateCollation(collation) => types::create_collation(collation),
        Action::CreateType(of) => types::create_type(of),
        Action::AlterType { of, change } => changes::of_type(of, change),
        Action::AlterDomain { domain, change } => changes::of_domain(domain, *change),
        Action::AddDomainConstraint { domain, constraint } => format!(
            "ALTER DOMAIN {} ADD CONSTRAINT {} {}",
            domain.name.shown(),
            shown(&constraint.name),
            constraint.definition
        ),
        Action::CreateSequence(sequence) => create_sequence(sequence),
        Action::AlterSequence { sequence, change } => changes::of_sequence(sequence, *change),
        Action::OwnSequence { sequence, owner } => format!(
            "ALTER SEQUENCE {} OWNED BY {}.{}",
            sequence.name.shown(),
            owner.table.shown(),
            shown(&owner.column)
        ),
        Action::BoundSequence(sequence) => format!(
            "ALTER SEQUENCE {} AS {} START WITH {} MINVALUE {} MAXVALUE {}",
            sequence.name.shown(),
            sequence.type_name,
            sequence.start,
            sequence.min,
            sequence.max
        ),
        Action::CreateTable { table, elements, parents } => table::create(table, elements, parents),
        Action::AlterTable { table, change } => changes::of_table(table, *change),
        // Children get it, too: the server knows no other way.
        Action::AddColumn { table, definition } => {
            format!("ALTER TABLE {} ADD COLUMN {}", table.name.shown(), table::column(definition))
        }
        Action::AlterColumn { table, column, change } => format!(
            "ALTER TABLE {}{} ALTER COLUMN {} {}",
            if table::is_of_children(table, change) { "" } else { "ONLY " },
            table.name.shown(),
            shown(&column.name),
            table::column_change(column, change)
        ),
        Action::AttachTable { table, parent } => table::attach(table, parent),
        Action::DetachTable { table, parent, .. } => table::detach(table, parent),
        Action::Comment { subject, text } => format!(
            "COMMENT ON {} IS {}",
            subject::target(subject),
            text.map_or_else(|| "NULL".to_owned(), quote_literal)
        ),
        Action::Drop(subject) | Action::DropUnless { subject, .. } => drop(subject, ""),
        Action::DropOnly(subject) => drop(subject, "ONLY "),
        Action::Rename { subject, to, .. } | Action::RenameBeside { subject, to, .. } => changes::rename(subject, to),
        Action::SetSchema { subject, to, .. } => format!("ALTER {} SET SCHEMA {}", subject::target(subject), shown(to)),
        Action::AddConstraint { table, constraint } => parts::add_constraint(table, constraint),
        Action::UseIndex { table, constraint, index } => parts::use_index(table, constraint, index),
        Action::AlterConstraint { table, constraint, change } => changes::of_constraint(table, constraint, *change),
        Action::IdentifyReplica { table, index } => format!(
            "ALTER TABLE ONLY {} REPLICA IDENTITY {}",
            table.name.shown(),
            parts::identity(table.replica_identity, *index)
        ),
        Action::CreateIndex { index, .. } => index.definition.clone().unwrap_or_default(),
        Action::AttachIndex { table, index, parent } => {
            format!("ALTER INDEX {} ATTACH PARTITION {}", parent.shown(), parts::index_name(table, index))
        }
        Action::AlterIndex { table, index, change } => changes::of_index(table, index, change),
        Action::SetIndexStatistics { table, index, statistics } => format!(
            "ALTER INDEX {} ALTER COLUMN {} SET STATISTICS {}",
            parts::index_name(table, index),
            statistics.attnum,
            statistics.target
        ),
        Action::Cluster { table, index } => {
            format!("ALTER TABLE {} CLUSTER ON {}", table.name.shown(), shown(&index.name))
        }
        Action::Uncluster { table } => format!("ALTER TABLE {} SET WITHOUT CLUSTER", table.name.shown()),
        Action::CreateStatistics { statistics, .. } => statistics.definition.clone(),
        Action::SetStatisticsTarget { statistics, target } => {
            format!("ALTER STATISTICS {} SET STATISTICS {target}", statistics.name.shown())
        }
        Action::CreateTrigger { trigger, .. } => trigger.definition.clone(),
        Action::ReplaceTrigger { trigger, .. } => {
            trigger.definition.replacen("CREATE TRIGGER", "CREATE OR REPLACE TRIGGER", 1)
        }
        Action::SetTrigger { table, trigger } => {
            let verb = match trigger.firing {
                Firing::Enabled => "ENABLE",
                Firing::Disabled => "DISABLE",
            };
            format!("ALTER TABLE {} {verb} TRIGGER {}", table.name.shown(), shown(&trigger.name))
        }
        Action::SecureRows { table, force, on } => {
            let verb = match (force, on) {
                (false, true) => "ENABLE",
                (false, false) => "DISABLE",
                (true, true) => "FORCE",
                (true, false) => "NO FORCE",
            };
            format!("ALTER TABLE {} {verb} ROW LEVEL SECURITY", table.name.shown())
        }
        Action::SetPersistence { table } => {
            let word = if table.unlogged { "UNLOGGED" } else { "LOGGED" };
            format!("ALTER TABLE {} SET {word}", table.name.shown())
        }
        Action::SetOptions { table, options } => {
            let list: Vec<String> = options.iter().map(|option| table::storage_option(option)).collect();
            format!("ALTER TABLE {} SET ({})", table.name.shown(), list.join(", "))
        }
        Action::ResetOptions { table, options } => {
            let list: Vec<String> = options.iter().map(|option| table::option_name(option)).collect();
            format!("ALTER TABLE {} RESET ({})", table.name.shown(), list.join(", "))
        }
        Action::CreatePlain(plain) => code::create_plain(plain),
        Action::ReplacePlain(plain) => code::replace_plain(plain),
        Action::AlterPlain { before, plain } => code::alter_plain(before, plain),
        Action::CreateRoutine(routine) => code::create_routine(routine, " OR REPLACE"),
        Action::MakeRoutine(routine) => code::create_routine(routine, ""),
        Action::CreateView(view) => code::create_view(view, " OR REPLACE", view.is_populated()),
        Action::MakeView(view) => code::create_view(view, "", false),
        Action::FillView(view) => format!("REFRESH MATERIALIZED VIEW {}", view.name().shown()),
        Action::RefreshView(view) => code::refresh(view),
        Action::CreateRule { rule, .. } => code::create_rule(rule),
        Action::SetRule { table, rule } => code::set_rule(table, rule),
        Action::CreatePolicy { table, policy } => parts::create_policy(table, policy),
        Action::AlterPolicy { table, policy } => parts::alter_policy(table, policy),
        Action::Grant { subject, grant } => parts::give(subject, grant),
        Action::TakeBack { subject, grant } => parts::take_back(subject, grant),
        Action::RevokePublic { subject } => format!("REVOKE ALL ON {} FROM PUBLIC", subject::secured(subject)),
        Action::GrantPublic { subject } => {
            let word = if subject.is_routine() { "EXECUTE" } else { "USAGE" };
            format!("GRANT {word} ON {} TO PUBLIC", subject::secured(subject))
        }
    }
}

fn create_extension(extension: &Extension, any_version: bool) -> String {
    let version = if any_version { String::new() } else { format!(" VERSION {}", quote_literal(&extension.version)) };
    format!(
        "CREATE EXTENSION IF NOT EXISTS {} WITH SCHEMA {}{version}",
        shown(&extension.name),
        shown(&extension.schema)
    )
}

fn create_sequence(sequence: &Sequence) -> String {
    format!(
        "CREATE {}SEQUENCE {} AS {} START WITH {} INCREMENT BY {} MINVALUE {} MAXVALUE {} CACHE {}{}",
        if sequence.unlogged { "UNLOGGED " } else { "" },
        sequence.name.shown(),
        sequence.type_name,
        sequence.start,
        sequence.increment,
        sequence.min,
        sequence.max,
        sequence.cache,
        if sequence.cycle { " CYCLE" } else { "" }
    )
}

/// What depends on it is dropped by itself, or stops it: a table's parts come before the table.
fn drop(subject: &Subject, only: &str) -> String {
    match subject {
        Subject::Column(table, column) => format!("ALTER TABLE {only}{} DROP COLUMN {}", table.shown(), shown(column)),
        Subject::Constraint(table, name) => {
            format!("ALTER TABLE {only}{} DROP CONSTRAINT {}", table.shown(), shown(name))
        }
        Subject::DomainConstraint(domain, name) => {
            format!("ALTER DOMAIN {} DROP CONSTRAINT {}", domain.shown(), shown(name))
        }
        _ => format!("DROP {}", subject::target(subject)),
    }
}

/// How people read whom a step is about.
fn object(action: &Action) -> String {
    match action {
        Action::CreateSchema(schema) => shown(&schema.name),
        Action::CreateExtension { extension, .. } | Action::UpdateExtension(extension) => shown(&extension.name),
        Action::CreateCollation(collation) => collation.name.shown(),
        Action::CreateType(of) | Action::AlterType { of, .. } => of.name.shown(),
        Action::AlterDomain { domain, .. } => domain.name.shown(),
        Action::AddDomainConstraint { domain, constraint } => {
            subject::object(&Subject::domain_constraint(&domain.name, &constraint.name))
        }
        Action::CreateSequence(sequence)
        | Action::AlterSequence { sequence, .. }
        | Action::BoundSequence(sequence)
        | Action::OwnSequence { sequence, .. } => sequence.name.shown(),
        Action::AddColumn { table, definition } => {
            subject::object(&Subject::column(&table.name, &definition.column.name))
        }
        Action::AlterColumn { table, column, .. } => subject::object(&Subject::column(&table.name, &column.name)),
        Action::CreateTable { table, .. }
        | Action::AlterTable { table, .. }
        | Action::AttachTable { table, .. }
        | Action::DetachTable { table, .. }
        | Action::IdentifyReplica { table, .. }
        | Action::Cluster { table, .. }
        | Action::Uncluster { table }
        | Action::SecureRows { table, .. }
        | Action::SetPersistence { table }
        | Action::SetOptions { table, .. }
        | Action::ResetOptions { table, .. } => table.name.shown(),
        Action::AddConstraint { table, constraint }
        | Action::UseIndex { table, constraint, .. }
        | Action::AlterConstraint { table, constraint, .. } => {
            subject::object(&Subject::constraint(&table.name, &constraint.name))
        }
        Action::CreateIndex { table, index }
        | Action::AttachIndex { table, index, .. }
        | Action::AlterIndex { table, index, .. } => subject::object(&Subject::index(&table.name, &index.name)),
        Action::SetIndexStatistics { table, index, statistics } => {
            format!("{} column {}", subject::object(&Subject::index(&table.name, &index.name)), statistics.attnum)
        }
        Action::CreateStatistics { statistics, .. } | Action::SetStatisticsTarget { statistics, .. } => {
            statistics.name.shown()
        }
        Action::CreateTrigger { table, trigger }
        | Action::ReplaceTrigger { table, trigger }
        | Action::SetTrigger { table, trigger } => subject::object(&Subject::trigger(&table.name, &trigger.name)),
        Action::CreatePlain(plain) | Action::ReplacePlain(plain) | Action::AlterPlain { plain, .. } => {
            plain.target.clone()
        }
        Action::CreateRoutine(routine) | Action::MakeRoutine(routine) => {
            subject::object(&Subject::routine(routine, routine.name.cow()))
        }
        Action::CreateView(view) | Action::MakeView(view) | Action::FillView(view) | Action::RefreshView(view) => {
            view.name().shown()
        }
        Action::CreateRule { table, rule } | Action::SetRule { table, rule } => {
            subject::object(&Subject::rule(&table.name, &rule.name))
        }
        Action::CreatePolicy { table, policy } | Action::AlterPolicy { table, policy } => {
            subject::object(&Subject::policy(&table.name, &policy.name))
        }
        Action::Comment { subject, .. } => {
            format!("on {} {}", subject.word().to_lowercase(), subject::object(subject))
        }
        Action::Grant { subject, grant } => {
            format!("on {} to {}", subject::object(subject), parts::grantee(grant))
        }
        Action::TakeBack { subject, grant } => {
            format!("on {} from {}", subject::object(subject), parts::grantee(grant))
        }
        Action::RevokePublic { subject } => format!("on {} from PUBLIC", subject::object(subject)),
        Action::GrantPublic { subject } => format!("on {} to PUBLIC", subject::object(subject)),
        Action::Drop(subject)
        | Action::DropOnly(subject)
        | Action::DropUnless { subject, .. }
        | Action::Rename { subject, .. }
        | Action::RenameBeside { subject, .. }
        | Action::SetSchema { subject, .. } => {
            format!("{} {}", subject.word().to_lowercase(), subject::object(subject))
        }
    }
}

/// `COLLATE`, where there is one to be named.
fn collate(collation: Option<&Name>) -> String {
    collation.map(|collation| format!(" COLLATE {}", collation.shown())).unwrap_or_default()
}

/// `name='value', ...`, as after WITH and SET.
fn options(options: &[(String, String)]) -> String {
    let list: Vec<String> =
        options.iter().map(|(name, value)| format!("{}={}", shown(name), quote_literal(value))).collect();
    list.join(", ")
}

fn flag(is: bool) -> &'static str {
    if is { "t" } else { "f" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_quoted() {
        assert_eq!(
            options(&[("fillfactor".into(), "70".into()), ("Odd".into(), "it's".into())]),
            "fillfactor='70', \"Odd\"='it''s'"
        );
    }
}
