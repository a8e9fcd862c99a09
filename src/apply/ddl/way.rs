//! A table that has left the task's reach stays on the destination as it is, and the source may give its names to others: another one that
//! is archived under the same name, an index that is called after it. It is nobody's there, so it is what gets another name.
//!
//! A view or routine may have given up its name without a word, as somebody held a lock when it did: it has none until the sweep tells.

use std::collections::HashSet;

use super::decide::Decided;
use crate::destination::Destination;
use crate::error::Result;
use crate::pg::compat;
use crate::schema::apart::together;
use crate::schema::diff::{self, RELATIONS, STATISTICS, names_of};
use crate::schema::image::{Class, Image, Name, Routine};
use crate::schema::model::{Known, Standing};
use crate::schema::named::{Moves, NamesIn};
use crate::schema::scope::Object;
use crate::schema::{Item, plan};

/// What gives up its name before a command.
#[derive(Default)]
pub(super) struct Freed {
    /// Before all others: a table takes its indexes along into another schema, under all of their names.
    pub items: Vec<Item>,
    /// Names that tables have given up.
    pub names: Vec<Name>,
}

/// Frees the names that the command gives to something.
pub(super) fn make(destination: &mut Destination, task_id: &str, decided: &mut Decided) -> Result<Freed> {
    let had = names_of(&decided.before);
    let new: NamesIn =
        names_of(&decided.after).difference(&had).map(|(space, name)| (*space, name.clone().into_owned())).collect();
    let relations: HashSet<Name> =
        new.iter().filter(|(of, _)| of & RELATIONS != 0).map(|(_, name)| name.clone()).collect();
    let named = named(destination, task_id, Class::Relation, relations)?;
    let (mut before, mut after) = (Image::default(), Image::default());
    let mut freed = Vec::new();
    for (object, now, then) in without_a_word(destination, task_id, decided, &named)? {
        before.extend(&together([&now.kept]));
        after.extend(&together([&then.kept]));
        decided.store.insert(object, then);
    }
    for (object, known) in left(destination, task_id, &new, &named)? {
        if decided.store.contains_key(&object) || known.kept.giving_way(&new) == known.kept && !owns(&known, &new) {
            continue;
        }
        let name = known.kept.qualified();
        let there: HashSet<(u8, Name)> = destination.names_of_table(&name)?.into_iter().collect();
        let is_there = |(space, name): &&(u8, Name)| there.iter().any(|(of, there)| of & space != 0 && there == name);
        let taken: NamesIn = new.iter().filter(is_there).cloned().collect();
        if there.is_empty() {
            // Somebody has removed it there.
            decided.forget.push(object);
            continue;
        }
        let mut all = destination.sequences_of(task_id, &name)?;
        all.push((object, known));
        all.retain(|(object, _)| !decided.store.contains_key(object));
        for (object, now, then) in giving_way(all, &taken) {
            before.extend(&together([&now.kept]));
            after.extend(&together([&then.kept]));
            freed.extend(Some(now.kept.qualified()).filter(|name| *name != then.kept.qualified()));
            decided.store.insert(object, then);
        }
    }
    let items = plan::in_order(&diff::diff(&before, &after, compat::MAJOR).steps, compat::MAJOR);
    Ok(Freed { items, names: freed })
}

fn named(
    destination: &mut Destination,
    task_id: &str,
    class: Class,
    names: HashSet<Name>,
) -> Result<Vec<(Object, Known)>> {
    let names: Vec<Name> = names.into_iter().collect();
    if names.is_empty() { Ok(Vec::new()) } else { destination.model_named(task_id, class, &names) }
}

/// Views, of relations that have its new names, and routines whose names the command gives to others: as they are and as they will be.
fn without_a_word(
    destination: &mut Destination,
    task_id: &str,
    decided: &Decided,
    relations: &[(Object, Known)],
) -> Result<Vec<(Object, Known, Known)>> {
    let signature = |of: &Routine| (of.name.clone(), of.arguments.clone());
    let had: HashSet<(Name, String)> = decided.before.routines.iter().map(signature).collect();
    let there = decided.after.routines.iter().filter(|of| !of.blocked).map(signature);
    let new: HashSet<(Name, String)> = there.filter(|of| !had.contains(of)).collect();
    let names = new.iter().map(|(name, _)| name.clone()).collect();
    let routines = named(destination, task_id, Class::Proc, names)?.into_iter();
    let taken = routines.filter(|(_, known)| known.kept.image.routines.iter().any(|of| new.contains(&signature(of))));
    let views = relations.iter().filter(|(_, known)| !known.kept.image.views.is_empty()).cloned();
    let is_told = |object: &Object| decided.store.contains_key(object) || decided.forget.contains(object);
    let found = views.chain(taken).filter(|(object, known)| !is_told(object) && !known.kept.is_blocked());
    Ok(found.map(|(object, now)| (object, now.clone(), Known { kept: now.kept.without_a_name(), ..now })).collect())
}

/// Is it a table whose sequences may have one of the names?
fn owns(known: &Known, new: &NamesIn) -> bool {
    let defaults = || known.kept.image.tables.iter().flat_map(|of| &of.columns).filter_map(|of| of.expression.as_ref());
    new.iter().any(|(_, name)| defaults().any(|text| text.contains(&name.shown())))
}

/// Tables that have left, or whose sequences, may have one of the names.
fn left(
    destination: &mut Destination,
    task_id: &str,
    new: &NamesIn,
    relations: &[(Object, Known)],
) -> Result<Vec<(Object, Known)>> {
    if new.is_empty() {
        return Ok(Vec::new());
    }
    let of = |space: u8| -> Vec<Name> {
        let names: HashSet<&Name> = new.iter().filter(|(of, _)| of & space != 0).map(|(_, name)| name).collect();
        names.into_iter().cloned().collect()
    };
    let mut left = destination.model_left(task_id, &of(!STATISTICS), &of(STATISTICS))?;
    let owner = |(_, known): &(Object, Known)| Some(known.kept.image.sequences.first()?.owner.as_ref()?.table.clone());
    let owners = relations.iter().filter_map(owner).collect();
    for (object, known) in named(destination, task_id, Class::Relation, owners)? {
        if known.standing == Standing::Left && !left.iter().any(|(of, _)| *of == object) {
            left.push((object, known));
        }
    }
    Ok(left)
}

/// What gets other names of a table and the sequences that it owns, as it is and as it will be.
fn giving_way(all: Vec<(Object, Known)>, taken: &NamesIn) -> Vec<(Object, Known, Known)> {
    let mut moves = Moves::default();
    let with_names = |(object, now): (Object, Known)| {
        let kept = now.kept.giving_way(taken);
        moves.note(&now.kept, &kept);
        (object, Known { kept, ..now.clone() }, now)
    };
    let mut all: Vec<_> = all.into_iter().map(with_names).collect();
    all.iter_mut().for_each(|(_, then, _)| moves.follow(&mut then.kept));
    all.into_iter().filter(|(_, then, now)| then != now).map(|(object, then, now)| (object, now, then)).collect()
}
