//! The question that goes with a statement: is it needed (any more)? True is: it is not.

use super::conditions::*;
use super::objects::{bounded, changed, domain_changed, is_owned, owned_by, sequence_changed, type_changed};
use super::{code, subject};
use crate::logicalrep::array::text_array;
use crate::logicalrep::names::quote_literal;
use crate::schema::diff::{Action, SequenceChange, Subject, TypeChange, Way};
use crate::schema::image::Extension;

pub(super) fn query(action: &Action) -> String {
    match action {
        Action::CreateExtension { extension, any_version: false } => {
            format!("{}{}", exists(&Subject::Extension(&extension.name), None), or_is_unknown(extension))
        }
        Action::UpdateExtension(extension) => {
            let is_there = format!("o.extversion = {}", quote_literal(&extension.version));
            format!("{}{}", exists(&Subject::Extension(&extension.name), Some(&is_there)), or_is_unknown(extension))
        }
        Action::Drop(subject) | Action::DropOnly(subject) => exists_not(subject, None),
        Action::DropUnless { subject, definition } => {
            let is_other = format!("NOT {}", is_defined(subject, definition));
            exists_not(subject, Some(&is_other))
        }
        Action::Rename { subject, way, .. } | Action::SetSchema { subject, way, .. } => has_gone(action, subject, way),
        // Both are asked by former names, which nothing has any more once they are others.
        Action::DetachTable { table, parent, bound } => {
            exists_not(&Subject::Table(table.name.cow()), Some(&is_child_with_other(parent, *bound)))
        }
        Action::AlterSequence { sequence, change: SequenceChange::Free } => {
            exists_not(&Subject::Sequence(sequence.name.cow()), Some(&is_owned()))
        }
        Action::AlterType { of, change: change @ TypeChange::DropAttribute { .. } } => {
            exists_not(&type_changed(of, change).0, None)
        }
        Action::RenameBeside { subject, other, parent, .. } => format!(
            "{} OR {}",
            exists_not(other, parent.as_ref().map(is_child_of).as_deref()),
            exists_not(subject, None).trim_start_matches("SELECT ")
        ),
        // When one of the roles is missing there, the statement cannot run and is skipped.
        Action::Grant { subject, grant } => {
            let question = exists(subject, Some(&granted(subject, grant)));
            let Some(role) = &grant.grantee else { return question };
            format!(
                "SELECT (SELECT pg_catalog.count(*) FROM pg_catalog.pg_roles WHERE rolname = ANY ({})) < 1 OR {}",
                quote_literal(&text_array([role.as_str()])),
                question.trim_start_matches("SELECT ")
            )
        }
        _ => {
            let (subject, condition) = place(action);
            exists(&subject, condition.as_deref())
        }
    }
}

/// It has the new name, or that at the end; not if it is where it was.
fn has_gone(action: &Action, from: &Subject, way: &Way) -> String {
    let (to, condition) = place(action);
    let mut names = vec![exists(&to, condition.as_deref())];
    names.extend(way.end.iter().map(|end| {
        let end = from.clone().moved(&end.schema).renamed(&end.name.as_str().into());
        exists(&end, None).replacen("SELECT ", "", 1)
    }));
    if way.vacates {
        let still = format!(" AND {}", exists_not(from, None).replacen("SELECT ", "", 1));
        names.iter_mut().for_each(|question| question.push_str(&still));
    }
    names.join(" OR ")
}

fn exists(subject: &Subject, condition: Option<&str>) -> String {
    let condition = condition.map(|condition| format!(" AND ({condition})")).unwrap_or_default();
    format!("SELECT EXISTS (SELECT FROM {}{condition})", subject::row(subject))
}

fn exists_not(subject: &Subject, condition: Option<&str>) -> String {
    exists(subject, condition).replacen("SELECT EXISTS", "SELECT NOT EXISTS", 1)
}

/// A version that the destination does not know is none to be made.
fn or_is_unknown(extension: &Extension) -> String {
    format!(
        " OR NOT EXISTS (SELECT FROM pg_catalog.pg_available_extension_versions v WHERE v.name = {} AND v.version = {})",
        quote_literal(&extension.name),
        quote_literal(&extension.version)
    )
}

/// The row to look for, and what has to be true of it.
fn place<'a>(action: &'a Action<'a>) -> (Subject<'a>, Option<String>) {
    let is = |condition: &str| Some(condition.to_owned());
    match action {
        Action::CreateSchema(schema) => (Subject::schema(&schema.name), None),
        Action::CreateExtension { extension, .. } | Action::UpdateExtension(extension) => {
            (Subject::Extension(&extension.name), None)
        }
        Action::CreateCollation(collation) => (Subject::Collation(collation.name.cow()), None),
        Action::CreateType(of) => (Subject::Type(of.name.cow()), None),
        Action::AlterType { of, change } => type_changed(of, change),
        Action::AlterDomain { domain, change } => domain_changed(domain, *change),
        Action::AddDomainConstraint { domain, constraint } => {
            (Subject::domain_constraint(&domain.name, &constraint.name), None)
        }
        Action::CreateSequence(sequence) => (Subject::Sequence(sequence.name.cow()), is("o.relkind = 'S'")),
        Action::AlterSequence { sequence, change } => {
            (Subject::Sequence(sequence.name.cow()), Some(sequence_changed(sequence, *change)))
        }
        Action::OwnSequence { sequence, owner } => {
            (Subject::Sequence(sequence.name.cow()), Some(owned_by(&owner.table, &owner.column)))
        }
        Action::BoundSequence(sequence) => (Subject::Sequence(sequence.name.cow()), Some(bounded(sequence))),
        Action::CreateTable { table, .. } => (Subject::Table(table.name.cow()), is("o.relkind IN ('r', 'p')")),
        Action::AlterTable { table, change } => (Subject::Table(table.name.cow()), Some(table_changed(table, *change))),
        Action::AddColumn { table, definition } => (Subject::column(&table.name, &definition.column.name), None),
        Action::AlterColumn { table, column, change } => {
            (Subject::column(&table.name, &column.name), Some(changed(column, change)))
        }
        Action::AttachTable { table, parent } => (Subject::Table(table.name.cow()), Some(is_child_of(&parent.name))),
        Action::DetachTable { table, .. } => (Subject::Table(table.name.cow()), None),
        Action::AlterConstraint { table, constraint, change } => {
            (Subject::constraint(&table.name, &constraint.name), Some(constraint_changed(constraint, *change)))
        }
        Action::AddConstraint { table, constraint } | Action::UseIndex { table, constraint, .. } => {
            (Subject::constraint(&table.name, &constraint.name), None)
        }
        Action::IdentifyReplica { table, index } => (Subject::Table(table.name.cow()), Some(identified(table, *index))),
        Action::CreateIndex { table, index } => {
            (Subject::index(&table.name, &index.name), is("o.relkind IN ('i', 'I')"))
        }
        Action::AttachIndex { table, index, parent } => {
            (Subject::index(&table.name, &index.name), Some(is_child_of(parent)))
        }
        Action::Cluster { table, index } => (
            Subject::index(&table.name, &index.name),
            is("EXISTS (SELECT FROM pg_catalog.pg_index i WHERE i.indexrelid = o.oid AND i.indisclustered)"),
        ),
        Action::Uncluster { table } => (
            Subject::Table(table.name.cow()),
            is("NOT EXISTS (SELECT FROM pg_catalog.pg_index i WHERE i.indrelid = o.oid AND i.indisclustered)"),
        ),
        Action::AlterIndex { table, index, change } => {
            (Subject::index(&table.name, &index.name), Some(index_changed(index, change)))
        }
        // A column of an index has a row like one of a table; the index is where it is looked for.
        Action::SetIndexStatistics { table, index, statistics } => (
            Subject::index(&table.name, &index.name),
            Some(format!(
                "EXISTS (SELECT FROM pg_catalog.pg_attribute a WHERE a.attrelid = o.oid AND a.attname = {} AND a.attstattarget = {})",
                quote_literal(&statistics.attname),
                statistics.target
            )),
        ),
        Action::CreateStatistics { statistics, .. } => (Subject::Statistics(statistics.name.cow()), None),
        Action::SetStatisticsTarget { statistics, target } => {
            (Subject::Statistics(statistics.name.cow()), Some(format!("COALESCE(o.stxstattarget, -1) = {target}")))
        }
        Action::CreateTrigger { table, trigger } => (Subject::trigger(&table.name, &trigger.name), None),
        Action::ReplaceTrigger { table, trigger } => {
            let subject = Subject::trigger(&table.name, &trigger.name);
            let condition = is_defined(&subject, &trigger.definition);
            (subject, Some(condition))
        }
        Action::SetTrigger { table, trigger } => (
            Subject::trigger(&table.name, &trigger.name),
            Some(format!("o.tgenabled = '{}'", super::parts::firing_code(trigger.firing))),
        ),
        Action::SecureRows { table, force, on } => {
            let column = if *force { "o.relforcerowsecurity" } else { "o.relrowsecurity" };
            let not = if *on { "" } else { "NOT " };
            (Subject::Table(table.name.cow()), Some(format!("{not}{column}")))
        }
        Action::SetPersistence { table } => {
            let code = if table.unlogged { 'u' } else { 'p' };
            (Subject::Table(table.name.cow()), Some(format!("o.relpersistence = '{code}'")))
        }
        Action::SetOptions { table, options } => (
            Subject::Table(table.name.cow()),
            Some(each_option(options, "", |option| {
                format!("x.option = {}", quote_literal(&format!("{}={}", option.name, option.value)))
            })),
        ),
        Action::ResetOptions { table, options } => (
            Subject::Table(table.name.cow()),
            Some(each_option(options, "NOT ", |option| {
                format!("pg_catalog.split_part(x.option, '=', 1) = {}", quote_literal(&option.name))
            })),
        ),
        Action::CreateRoutine(routine) => {
            (Subject::routine(routine, routine.name.cow()), Some(code::is_routine(routine)))
        }
        Action::CreateView(view) => (Subject::view(view, view.name().cow()), Some(code::is_view(view))),
        Action::MakeView(view) => (Subject::view(view, view.name().cow()), None),
        Action::CreatePlain(plain) => (Subject::plain(plain), None),
        Action::ReplacePlain(plain) | Action::AlterPlain { plain, .. } => {
            (Subject::plain(plain), Some(code::is_plain(plain)))
        }
        Action::MakeRoutine(routine) => (Subject::routine(routine, routine.name.cow()), None),
        Action::FillView(view) => (Subject::view(view, view.name().cow()), is("o.relispopulated")),
        Action::RefreshView(view) => (Subject::view(view, view.name().cow()), is("false")),
        Action::CreateRule { table, rule } => {
            (Subject::rule(&table.name, &rule.name), Some(code::is_rule(table, rule)))
        }
        Action::SetRule { table, rule } => (
            Subject::rule(&table.name, &rule.name),
            Some(format!("o.ev_enabled = '{}'", super::parts::firing_code(rule.firing))),
        ),
        Action::CreatePolicy { table, policy } => (Subject::policy(&table.name, &policy.name), None),
        Action::AlterPolicy { table, policy } => {
            (Subject::policy(&table.name, &policy.name), Some(policy_altered(policy)))
        }
        Action::Comment { subject, text } => (subject.clone(), Some(commented(subject, *text))),
        Action::Grant { subject, grant } => (subject.clone(), Some(granted(subject, grant))),
        Action::TakeBack { subject, grant } => (
            subject.clone(),
            Some(format!(
                "NOT ({}::pg_catalog.text[] OPERATOR(pg_catalog.&&) {})",
                quote_literal(&text_array(grant.privileges.iter().map(String::as_str))),
                privileges_of(subject, grant)
            )),
        ),
        Action::RevokePublic { subject } => (subject.clone(), Some(format!("NOT {}", is_public(subject)))),
        Action::GrantPublic { subject } => (subject.clone(), Some(is_public(subject))),
        Action::Drop(subject) | Action::DropOnly(subject) | Action::DropUnless { subject, .. } => {
            (subject.clone(), None)
        }
        Action::Rename { subject, to, .. } => (subject.clone().renamed(to), None),
        Action::SetSchema { subject: subject @ Subject::Extension(_), to, .. } => {
            (subject.clone(), Some(format!("o.extnamespace = {}", schema_oid(to))))
        }
        Action::SetSchema { subject, to, .. } => (subject.clone().moved(to), None),
        Action::RenameBeside { other, .. } => (other.clone(), None),
    }
}
