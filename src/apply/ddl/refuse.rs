//! Commands that the task stops at.

use std::collections::HashSet;

use super::Command;
use super::decide::{Decided, ModelBefore};
use super::leave::kind_of;
use crate::apply::policies::KindPolicies;
use crate::destination::Destination;
use crate::error::{Error, Origin, Result, sqlstate};
use crate::logicalrep::TableName;
use crate::logicalrep::names::{quote_literal, shown_qualified};
use crate::schema::captured::{Captured, FORM};
use crate::schema::governed::{Governed, KindPolicy};
use crate::schema::image::{Class, Name, Table, View};
use crate::schema::model::Standing;

pub(super) fn read(command: &Command) -> Result<Captured> {
    let invalid = |why: String| {
        Error::new(sqlstate::DATA_CORRUPTED, format!("command {} of courier.ddl_log cannot be read", command.id))
            .detail(why)
    };
    let captured: Captured = serde_json::from_str(&command.image).map_err(|error| invalid(error.to_string()))?;
    if captured.form > FORM {
        return Err(invalid(format!("Its form is {}, and this pg_courier knows forms up to {FORM}.", captured.form)));
    }
    Ok(captured)
}

/// A command whose effect could not be read (`courier.on_capture_error`) leaves a row that says no more than what it touched, if that. What
/// is new, and code, is told later by the sweep.
pub(super) fn check_read(command: &Command, captured: &Captured, before: &ModelBefore) -> Result<()> {
    let is_about_nothing = captured.touched.is_empty() && captured.rewrite.is_none();
    let known = captured.touched.iter().filter_map(|object| before.model.get(object));
    let known = known.into_iter().find(|known| kind_of(&known.kept).is_none());
    let rewritten = captured.rewrite.and_then(|rewrite| before.model.get(&(Class::Relation, rewrite.table)));
    if !captured.is_unread || known.or(rewritten).is_none() && !is_about_nothing {
        return Ok(());
    }
    let shown = known.or(rewritten).map(|known| {
        let (schema, name) = known.kept.name();
        shown_qualified(schema.unwrap_or_default(), name)
    });
    let hint = match &shown {
        Some(object) => format!("SELECT courier.capture({});", quote_literal(object)),
        None => "SELECT courier.capture_task({task});".to_owned(),
    };
    let what = shown.map_or_else(String::new, |object| format!(" of {object}"));
    Err(Error::new(sqlstate::DATA_CORRUPTED, format!("what {} has made{what} could not be read", command.tag))
        .detail(format!("It is command {} of courier.ddl. Nothing of its transaction has been applied.", command.id))
        .hint(format!(
            "{hint} Then SELECT courier.ddl_skip({{task}}, {}); the image that is written now brings what is missing.",
            command.id
        )))
}

/// A table that is copied has to be the task's own there.
pub(super) fn refuse_taken(destination: &mut Destination, decided: &Decided, freed: &[Name]) -> Result<()> {
    let is_new = |oid: &u32| !decided.before.tables.iter().any(|table| table.oid == *oid);
    let is_freed = |name: &TableName| freed.iter().any(|of| (&of.schema, &of.name) == (&name.schema, &name.name));
    for (_, name) in decided.enter.iter().filter(|(oid, name)| is_new(oid) && !is_freed(name)) {
        if destination.has_table(name)? {
            let shown = name.shown();
            return Err(Error::new("42P07", format!("table {shown} already exists on the destination"))
                .origin(Origin::Destination)
                .detail(
                    "It has come into the reach of the task with its rows, which would mix with those that are there.",
                )
                .hint("Drop or rename it there, then SELECT courier.resume({task});"));
        }
    }
    Ok(())
}

/// A name that another table of the task has there is not taken from it, nor is that table taken for the new one. One that the task has begun
/// with has the name that it had got by then.
pub(super) fn refuse_names_of_others(
    destination: &mut Destination,
    task_id: &str,
    command: &Command,
    decided: &mut Decided,
) -> Result<()> {
    let before: HashSet<(u32, &Name)> = decided.before.tables.iter().map(|table| (table.oid, &table.name)).collect();
    let had = |table: &Table| before.contains(&(table.oid, &table.name));
    let new: Vec<(u32, Name)> =
        decided.after.tables.iter().filter(|t| !had(t)).map(|t| (t.oid, t.name.clone())).collect();
    if new.is_empty() {
        return Ok(());
    }
    let names: Vec<Name> = new.iter().map(|(_, name)| name.clone()).collect();
    for (object, known) in destination.model_named(task_id, Class::Relation, &names)? {
        if known.kept.image.tables.is_empty() {
            continue;
        }
        let name = known.kept.qualified();
        let gives_up = decided.forget.contains(&object)
            || decided.store.get(&object).is_some_and(|after| after.kept.qualified() != name);
        if gives_up || new.contains(&(object.1, name.clone())) {
            continue;
        }
        let shown = name.shown();
        if !destination.has_table(&TableName::new(&name.schema, &name.name))? {
            // Somebody has removed it there. Rows that the source may still have of it are not to go into the new one.
            decided.forget.push(object);
            decided.unfollow.push(object.1);
            continue;
        }
        let (what, hint) = match known.standing {
            Standing::Left | Standing::Passing => (
                "a table that has left the task has the name there",
                format!("Drop or rename {shown} on the destination, then SELECT courier.resume({{task}});"),
            ),
            Standing::Followed | Standing::Entering => (
                "another table of the task, which had got the name when the task began, or whose end was skipped, has it there",
                format!(
                    "If the source has no such table any more: drop or rename {shown} on the destination, then SELECT courier.resume({{task}}); \
                     If tables have exchanged names while the task began: SELECT courier.drop_task({{task}}); and create it anew."
                ),
            ),
        };
        return Err(Error::new(
            "42P07",
            format!("table {shown} on the destination is not the one that {} is about", command.tag),
        )
        .origin(Origin::Destination)
        .detail(format!(
            "It is command {} of courier.ddl: {what}. Nothing of its transaction has been applied.",
            command.id
        ))
        .hint(hint));
    }
    Ok(())
}

pub(super) fn unsaid(subject: &str, command: &Command) -> Error {
    Error::new(
        sqlstate::FEATURE_NOT_SUPPORTED,
        format!("{} changes {subject} in a way that pg_courier does not carry over", command.tag),
    )
    .detail(format!("It is command {} of courier.ddl. Nothing of its transaction has been applied.", command.id))
    .hint("Change it on the destination, then SELECT courier.resume({task});")
}

/// An error where the task stops at commands on what this one is about.
pub(super) fn check_policies(
    policies: &KindPolicies,
    command: &Command,
    captured: &Captured,
    before: &ModelBefore,
    is_named: impl Fn(&Name) -> bool,
) -> Result<()> {
    let Some(kind) = Governed::of_tag(&command.tag) else { return Ok(()) };
    let image = &captured.image;
    let tables = image.tables.iter().map(|of| ((Class::Relation, of.oid), of.name.clone()));
    let views = image.views.iter().map(|of: &View| ((Class::Relation, of.oid()), of.name().clone()));
    let routines = image.routines.iter().map(|of| ((Class::Proc, of.oid), of.name.clone()));
    // Tables that are left without a foreign key are not dropped.
    let is_touched = |object: &(Class, u32)| kind != Governed::DropTable && captured.touched.contains(object);
    let touched = tables.chain(views).chain(routines).filter(|(object, _)| is_touched(object));
    let dropped = captured.dropped.iter().filter_map(|dropped| {
        let object = (dropped.class, dropped.oid);
        Some((object, before.model.get(&object)?.kept.qualified()))
    });
    let is_of_task = |(object, name): &((Class, u32), Name)| before.model.contains_key(object) || is_named(name);
    let mut stopping = touched.chain(dropped).filter(is_of_task);
    let Some((_, name)) = stopping.find(|(_, name)| policies.policy(kind, name) == KindPolicy::Stop) else {
        return Ok(());
    };
    Err(Error::new(
        sqlstate::OBJECT_NOT_IN_PREREQUISITE_STATE,
        format!("{} concerns {}, and the task stops at commands on things of kind {}", command.tag, name.shown(), quote_literal(kind.as_str())),
    )
    .detail(format!("It is command {} of courier.ddl. Nothing of its transaction has been applied.", command.id))
    .hint(format!(
        "SELECT courier.set_ddl_policy({{task}}, {}, 'replicate', {}); and SELECT courier.resume({{task}}); apply it; SELECT courier.ddl_skip({{task}}, {}); \
         goes on without it.",
        quote_literal(kind.as_str()),
        quote_literal(&name.shown()),
        command.id
    )))
}
