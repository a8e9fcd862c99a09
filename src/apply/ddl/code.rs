//! Code that a command leaves out, and why: nobody whom the task trusts has written it, or the destination does not take it.

use std::collections::BTreeMap;

use super::decide::Decided;
use super::done::NotTaken;
use crate::logicalrep::names::quote_literal;
use crate::schema::Kind;
use crate::schema::captured::Owned;
use crate::schema::deparse::postgres::shown_subject;
use crate::schema::diff::Subject;
use crate::schema::image::{Class, Image, Table};
use crate::schema::model::Known;
use crate::schema::scope::Object;

/// What the destination has not taken is not there: the model says so, and the next image of it brings it.
pub(super) fn note_not_taken(decided: &mut Decided, not_taken: &[NotTaken]) {
    let is_it = |kind: Kind, object: &str| not_taken.iter().any(|of| of.kind == kind && of.object == object);
    for Known { kept, .. } in decided.store.values_mut() {
        for routine in &mut kept.image.routines {
            routine.blocked |= is_it(Kind::Routine, &format!("{}({})", routine.name.shown(), routine.arguments));
        }
        for view in &mut kept.image.views {
            view.blocked |= is_it(Kind::View, &view.name().shown());
        }
        let Some(relation) = kept.relation_mut() else { continue };
        let Table { name, rules, triggers, .. } = relation;
        let on = |part: &str| format!("{} on {}", crate::logicalrep::names::shown(part), name.shown());
        rules.iter_mut().for_each(|rule| rule.blocked |= is_it(Kind::Rule, &on(&rule.name)));
        triggers.iter_mut().for_each(|trigger| trigger.blocked |= is_it(Kind::Trigger, &on(&trigger.name)));
    }
}

/// In sentences.
pub(super) fn left_out(command: i64, decided: &Decided, not_taken: &[NotTaken]) -> Vec<String> {
    let mut said = Vec::new();
    for (role, objects) in by_role(decided) {
        said.push(format!(
            "Not created, for the task does not trust role {role}: {}. Read it, then SELECT courier.approve_ddl({{task}}, {command}); or let the \
             task trust the role: SELECT courier.trust_role({{task}}, {});",
            objects.join(", "),
            quote_literal(role)
        ));
    }
    let is_untrusted = |object: Object| decided.untrusted.iter().any(|owned| owned.object == object);
    let waiting = waiting(&decided.before, &decided.after, is_untrusted);
    if !waiting.is_empty() {
        said.push(format!("Not created, for the destination has not what it needs: {}.", waiting.join(", ")));
    }
    for NotTaken { kind, object, error } in not_taken {
        let hint = error.hint_text().map(|hint| format!(" {hint}")).unwrap_or_default();
        said.push(format!("The destination did not take {kind} {object}: {error}.{hint}"));
    }
    said
}

fn by_role(decided: &Decided) -> BTreeMap<&str, Vec<String>> {
    let mut roles: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for Owned { object, role, .. } in &decided.untrusted {
        // One that is there already stays as it was.
        let shown = shown(&decided.after, *object).or_else(|| shown(&decided.before, *object));
        roles.entry(role).or_default().extend(shown);
    }
    roles.values_mut().for_each(|objects| objects.sort());
    roles
}

/// Views and routines that are blocked now, and were not known as that before.
fn waiting(before: &Image, after: &Image, is_untrusted: impl Fn(Object) -> bool) -> Vec<String> {
    let blocked = |image: &Image| -> Vec<Object> {
        let routines = image.routines.iter().filter(|of| of.blocked).map(|of| (Class::Proc, of.oid));
        let views = image.views.iter().filter(|of| of.blocked).map(|of| (Class::Relation, of.oid()));
        routines.chain(views).collect()
    };
    let known = blocked(before);
    let new = blocked(after).into_iter().filter(|object| !known.contains(object) && !is_untrusted(*object));
    new.filter_map(|object| shown(after, object)).collect()
}

fn shown(image: &Image, (class, oid): Object) -> Option<String> {
    let routine = image.routines.iter().find(|of| class == Class::Proc && of.oid == oid);
    let view = image.views.iter().find(|of| class == Class::Relation && of.oid() == oid);
    let table = image.tables.iter().find(|of| class == Class::Relation && of.oid == oid);
    routine
        .map(|of| shown_subject(&Subject::routine(of, of.name.cow())))
        .or_else(|| view.map(|of| shown_subject(&Subject::view(of, of.name().cow()))))
        .or_else(|| table.map(|of| format!("rules of {}", of.name.shown())))
}
