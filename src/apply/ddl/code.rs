//! Code that a command leaves out, and why: nobody whom the task trusts has written it, or the destination does not take it.

use std::collections::BTreeMap;

use super::decide::Decided;
use super::done::NotTaken;
use crate::logicalrep::names::{quote_literal, shown as shown_name};
use crate::schema::Kind;
use crate::schema::captured::Owned;
use crate::schema::deparse::postgres::shown_subject;
use crate::schema::diff::Subject;
use crate::schema::image::{Class, Image, Table};
use crate::schema::model::Known;
use crate::schema::scope::Object;

/// What the destination has not taken is as it was there, if it was, and else not there: the model says so, and the next image of it brings
/// it.
pub(super) fn note_not_taken(decided: &mut Decided, not_taken: &[NotTaken]) {
    let is_it = |kind: Kind, object: &str| not_taken.iter().any(|of| of.kind == kind && of.object == object);
    let Decided { before, store, .. } = decided;
    for Known { kept, .. } in store.values_mut() {
        for routine in &mut kept.image.routines {
            if is_it(Kind::Routine, &format!("{}({})", routine.name.shown(), routine.arguments)) {
                let old = before.routines.iter().find(|old| old.oid == routine.oid && !old.blocked);
                take_back(&mut routine.definition, &mut routine.blocked, old.map(|old| &old.definition));
            }
        }
        for plain in kept.image.plain.iter_mut().filter(|of| is_it(Kind::Plain, &of.target)) {
            let old = before.plain.iter().find(|old| (old.class(), old.oid) == (plain.class(), plain.oid));
            let old = old.filter(|old| !old.blocked).map(|old| &old.definition);
            take_back(&mut plain.definition, &mut plain.blocked, old);
        }
        for view in kept.image.views.iter_mut().filter(|view| is_it(Kind::View, &view.name().shown())) {
            let old = before.views.iter().find(|old| old.oid() == view.oid() && !old.blocked);
            take_back(&mut view.definition, &mut view.blocked, old.map(|old| &old.definition));
            old.iter().for_each(|old| view.relation.options.clone_from(&old.relation.options));
        }
        let Some(relation) = kept.relation_mut() else { continue };
        let relations = before.tables.iter().chain(before.views.iter().map(|view| &view.relation));
        let old = relations.into_iter().find(|old| old.oid == relation.oid);
        let Table { name, rules, triggers, .. } = relation;
        let on = |part: &str| format!("{} on {}", shown_name(part), name.shown());
        for rule in rules.iter_mut().filter(|rule| is_it(Kind::Rule, &on(&rule.name))) {
            let old = old.and_then(|old| old.rules.iter().find(|old| old.oid == rule.oid && !old.blocked));
            take_back(&mut rule.definition, &mut rule.blocked, old.map(|old| &old.definition));
        }
        for trigger in triggers.iter_mut().filter(|trigger| is_it(Kind::Trigger, &on(&trigger.name))) {
            let old = old.and_then(|old| old.triggers.iter().find(|old| old.oid == trigger.oid && !old.blocked));
            take_back(&mut trigger.definition, &mut trigger.blocked, old.map(|old| &old.definition));
        }
    }
}

fn take_back(definition: &mut String, blocked: &mut bool, old: Option<&String>) {
    match old {
        Some(old) => definition.clone_from(old),
        None => *blocked = true,
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
    for (why, is_it) in [
        ("the destination has not what it needs", false),
        ("only superusers make it, and the task's user there is none", true),
    ] {
        let names = waiting.iter().filter(|(object, _)| object.0.is_for_superusers() == is_it);
        let mut names: Vec<&str> = names.map(|(_, name)| name.as_str()).collect();
        names.sort_unstable();
        if !names.is_empty() {
            said.push(format!("Not created, for {why}: {}.", names.join(", ")));
        }
    }
    for NotTaken { kind, object, error } in not_taken {
        if kind.is_drop() {
            let needs =
                error.detail_text().map(|detail| format!(" ({})", detail.replace('\n', ", "))).unwrap_or_default();
            said.push(format!("Not dropped, for something on the destination still needs it: {object}{needs}."));
            continue;
        }
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
fn waiting(before: &Image, after: &Image, is_untrusted: impl Fn(Object) -> bool) -> Vec<(Object, String)> {
    let blocked = |image: &Image| -> Vec<Object> {
        let routines = image.routines.iter().filter(|of| of.blocked).map(|of| (Class::Proc, of.oid));
        let views = image.views.iter().filter(|of| of.blocked).map(|of| (Class::Relation, of.oid()));
        let plain = image.plain.iter().filter(|of| of.blocked).map(|of| (of.class(), of.oid));
        routines.chain(views).chain(plain).collect()
    };
    let known = blocked(before);
    let new = blocked(after).into_iter().filter(|object| !known.contains(object) && !is_untrusted(*object));
    new.filter_map(|object| Some((object, shown(after, object)?))).collect()
}

fn shown(image: &Image, (class, oid): Object) -> Option<String> {
    let routine = image.routines.iter().find(|of| class == Class::Proc && of.oid == oid);
    let view = image.views.iter().find(|of| class == Class::Relation && of.oid() == oid);
    let table = image.tables.iter().find(|of| class == Class::Relation && of.oid == oid);
    let plain = image.plain.iter().find(|of| (of.class(), of.oid) == (class, oid));
    routine
        .map(|of| shown_subject(&Subject::routine(of, of.name.cow())))
        .or_else(|| view.map(|of| shown_subject(&Subject::view(of, of.name().cow()))))
        .or_else(|| table.map(|of| format!("rules of {}", of.name.shown())))
        .or_else(|| plain.map(|of| shown_subject(&Subject::plain(of))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Error;
    use crate::schema::image::Routine;
    use crate::schema::model::{Kept, Standing};

    fn routine(definition: &str) -> Image {
        let routine = Routine {
            oid: 70,
            level: 0,
            name: crate::schema::image::Name::new("s", "f"),
            is_procedure: false,
            arguments: "integer, text".to_owned(),
            operands: Vec::new(),
            definition: definition.to_owned(),
            blocked: false,
        };
        Image { routines: vec![routine], ..Image::default() }
    }

    /// If it is dropped later, it has to be known that it is there.
    #[test]
    fn what_was_there_is_there_when_its_successor_is_not_taken() {
        let noted = |before: Image| {
            let kept = Kept { image: routine("new"), ..Kept::default() };
            let known = Known { standing: Standing::Followed, base: String::new(), kept };
            let mut decided =
                Decided { before, store: BTreeMap::from([((Class::Proc, 70), known)]), ..Decided::default() };
            let not_taken = NotTaken {
                kind: Kind::Routine,
                object: "s.f(integer, text)".to_owned(),
                error: Error::new("42P13", "cannot change return type"),
            };
            note_not_taken(&mut decided, &[not_taken]);
            let routine = &decided.store[&(Class::Proc, 70)].kept.image.routines[0];
            (routine.definition.clone(), routine.blocked)
        };
        assert_eq!(noted(routine("old")), ("old".to_owned(), false));
        assert_eq!(noted(Image::default()), ("new".to_owned(), true));
    }
}
