//! What a command of the source means for a task: which objects it makes, changes, loses or leaves alone. Pure.
//!
//! The pattern is the contract: at every commit the destination has the tables whose names match then. A table that a command made and
//! that matches joins, empty; one that gets another name out of the task's reach is renamed there as well, so that the name is free, and
//! left as it is from then on; one that is dropped is dropped.

use std::collections::{BTreeMap, HashSet};

use super::called::{Called, Named};
use super::leave::{applied_code, is_applied, is_refreshed, keep_rules, kind_of, left_by_policy};
use crate::logicalrep::{CopySnapshot, TableName};
use crate::schema::apart::{apart, together};
use crate::schema::captured::{Captured, Owned, Taker, Trust};
use crate::schema::governed::{Frozen, Governed, KindPolicy, Policies, freeze};
use crate::schema::image::{Class, Image, Name, Schema, Table, View};
use crate::schema::model::{Kept, Known, Standing, Witness, is_shown};
use crate::schema::scope::Object;
use crate::schema::spelling::TypeNames;

/// What a task knows, as far as a command concerns it.
pub struct ModelBefore {
    pub model: BTreeMap<Object, Known>,
    /// The tables that are followed, by their OIDs.
    pub followed: HashSet<u32>,
    /// What types are called there.
    pub types: TypeNames,
}

impl ModelBefore {
    /// Has the object come into the model with what this transaction did?
    pub fn has_seen(&self, object: &Object, xid: u64) -> Result<bool, String> {
        self.model.get(object).map_or(Ok(false), |known| is_shown(&known.base, xid))
    }
}

/// Whose command it is.
pub struct Said<'a> {
    /// Its whole number.
    pub xid: u64,
    pub snapshot: &'a CopySnapshot,
    pub captured: &'a Captured,
    /// A table whose rows come behind it, all of them.
    pub loads: Option<u32>,
    pub trust: &'a Trust,
    pub policies: Policies<'a>,
    /// What the destination has of what no task creates.
    pub available: &'a [Object],
}

impl Said<'_> {
    fn witness(&self) -> Witness<'_> {
        Witness { xid: self.xid, snapshot: self.snapshot }
    }
}

/// What is to be done.
#[derive(Debug, Default)]
pub struct Decided {
    /// What the destination has of the objects in question, and what it is to have.
    pub before: Image,
    pub after: Image,
    pub store: BTreeMap<Object, Known>,
    pub forget: Vec<Object>,
    /// Tables that are gone on the source and stay there. They are stored as such that have left.
    pub retired: Vec<Object>,
    /// Tables that are followed from now on, under these names; a partitioned one has no rows of its own.
    pub follow: Vec<(u32, TableName, bool)>,
    pub unfollow: Vec<u32>,
    /// Tables with rows that come into the task's reach.
    pub enter: Vec<(u32, TableName)>,
    /// Those of them that are there, from before they left, under these names.
    pub empty: Vec<Name>,
    /// What stays as it is by the task's policies.
    pub frozen: Frozen,
    /// Code that somebody wrote whom the task does not trust.
    pub untrusted: Vec<Owned>,
    /// Materialized views that get new rows.
    pub refresh: Vec<View>,
}

/// `names` says whether the task's patterns name a table.
pub fn decide(
    said: &Said<'_>,
    mut known: ModelBefore,
    names: impl Fn(&Name, &[u32]) -> bool,
) -> Result<Decided, String> {
    let mut decided = Decided::default();
    // One that is made now is another one, also where it has the OID of one that is gone.
    let is_new = |object: &Object| said.captured.created.contains(object);
    known.model.retain(|object, known| known.standing != Standing::Left || !is_new(object));
    let standings = standings(said, &known, &names, &mut decided)?;
    let joining = decided.follow.iter().map(|(oid, ..)| *oid).chain(decided.enter.iter().map(|(oid, _)| *oid));
    // Those that pass are described as well, also where the command says no more of them than a name.
    let passes = |(object, known): (&Object, &Known)| {
        let standing = standings.get(object).copied().unwrap_or(known.standing);
        (standing == Standing::Passing).then_some(object.1)
    };
    let without_rows: Vec<u32> = known.model.iter().filter_map(passes).collect();
    let leaving: HashSet<u32> = decided.unfollow.iter().copied().chain(without_rows).collect();
    let there: HashSet<u32> = known.followed.iter().copied().chain(joining).chain(leaving.iter().copied()).collect();
    let there: Vec<u32> = there.into_iter().collect();
    let applied: HashSet<(Object, String)> = known.model.iter().filter_map(applied_code).collect();
    let taker = Taker { trust: said.trust, available: said.available, applied: &applied, leaving: &leaving };
    let image = said.captured.for_task(&there, &taker);
    let untrusted = said.captured.untrusted(&taker);
    let described = apart(&image, &said.captured.dependencies, &said.captured.causes);
    let touched: HashSet<&Object> = said.captured.touched.iter().collect();
    let renamed = renamed_schemas(said, &known);
    let mut called = Called::default();
    for (object, mut kept) in described {
        let before = known.model.remove(&object);
        kept.keep_owners(before.as_ref().map(|before| &before.kept));
        let is_wanted = match &before {
            Some(before) => !is_shown(&before.base, said.xid)?,
            // What somebody touched and no table needs is nobody's.
            None => standings.contains_key(&object) || is_needed(&object, &kept, &touched, &names),
        };
        if !is_wanted {
            let unnamed =
                before.and_then(|before| called.hear(said.witness(), object, before, &kept).transpose()).transpose()?;
            known.model.extend(unnamed.map(|before| (object, before)));
            continue;
        }
        if let Some(policy) = left_by_policy(said.policies, &kept) {
            if policy == KindPolicy::Hold {
                decided.frozen.held.extend(kind_of(&kept).map(|kind| (kind, kept.qualified().shown())));
            }
            known.model.extend(before.map(|before| (object, before)));
            continue;
        }
        decided.untrusted.extend(untrusted.iter().filter(|owned| owned.object == object).copied().cloned());
        if before.as_ref().is_some_and(is_applied) && kept.is_blocked() {
            // What is there stays as it is.
            known.model.extend(before.map(|before| (object, before)));
            continue;
        }
        let mut after = heard(said, before.as_ref(), kept, standings.get(&object).copied());
        freeze(before.as_ref().map(|known| &known.kept), &mut after.kept, said.policies, &mut decided.frozen);
        keep_rules(before.as_ref(), &mut after);
        decided.refresh.extend(after.kept.image.views.iter().filter(|view| is_refreshed(said.captured, view)).cloned());
        let befores = before.iter().map(|known| &known.kept);
        decided.before.extend(&together(befores));
        decided.after.extend(&together([&after.kept]));
        decided.store.insert(object, after);
    }
    called.end().for_each(|named| give_name(named, &mut known, &mut decided));
    drops(said, &mut known, &names, &mut decided)?;
    leaves(said, &known, &mut decided)?;
    give_way(said, &mut known, &names, &mut decided)?;
    move_along(said, &renamed, &mut known, &names, &mut decided)?;
    leave_schemas(&touched, &mut decided);
    known.types.learn(&decided.store);
    known.types.spell(&mut decided.after);
    decided.store.values_mut().for_each(|of| known.types.spell(&mut of.kept.image));
    // Parents and the like: there, and as they are.
    let rest = together(known.model.values().map(|known| &known.kept));
    decided.before.extend(&rest);
    decided.after.extend(&rest);
    Ok(decided)
}

/// A name of a moment before that of the table's copy.
fn give_name(Named { object, before, after }: Named, known: &mut ModelBefore, decided: &mut Decided) {
    if before == after {
        known.model.insert(object, before);
        return;
    }
    let table = after.kept.image.tables.first().filter(|_| after.standing == Standing::Followed);
    let name = |table: &Table| TableName::new(&table.name.schema, &table.name.name);
    decided.follow.extend(table.map(|table| (table.oid, name(table), table.is_partitioned)));
    decided.before.extend(&together([&before.kept]));
    decided.after.extend(&together([&after.kept]));
    decided.store.insert(object, after);
}

/// Whatever tables of the image need; what was only touched if the patterns would name a table of its name.
fn is_needed(
    (class, oid): &Object,
    kept: &Kept,
    touched: &HashSet<&Object>,
    names: &impl Fn(&Name, &[u32]) -> bool,
) -> bool {
    let is_owned = kept.image.sequences.iter().any(|sequence| sequence.owner.is_some());
    if !touched.contains(&(*class, *oid)) || is_owned {
        return true;
    }
    match kept.name() {
        (Some(schema), name) => names(&Name::new(schema, name), &[]),
        (None, _) => *class == Class::Namespace,
    }
}

/// Schemas that have another name than the task knows: from which, to which.
fn renamed_schemas(said: &Said<'_>, known: &ModelBefore) -> Vec<(String, String)> {
    let renamed = |schema: &Schema| {
        let known = known.model.get(&(Class::Namespace, schema.oid))?;
        let (_, before) = known.kept.name();
        (before != schema.name).then(|| (before.to_owned(), schema.name.clone()))
    };
    said.captured.image.schemas.iter().filter_map(renamed).collect()
}

/// What is in a schema that has another name now.
fn move_along(
    said: &Said<'_>,
    renamed: &[(String, String)],
    known: &mut ModelBefore,
    names: &impl Fn(&Name, &[u32]) -> bool,
    decided: &mut Decided,
) -> Result<(), String> {
    for (from, to) in renamed {
        let inside: Vec<Object> =
            known.model.iter().filter(|(_, k)| k.kept.name().0 == Some(from)).map(|(object, _)| *object).collect();
        for object in inside {
            let Some(before) = known.model.remove(&object) else { continue };
            let mut after = Known { kept: before.kept.in_schema(to), ..before.clone() };
            if let Some(table) = after.kept.image.tables.first().filter(|_| before.standing == Standing::Followed) {
                let parents: Vec<u32> = table.parents.iter().map(|parent| parent.oid).collect();
                // Where it goes before its copy says nothing about where it is.
                if is_shown(&before.base, said.xid)? || names(&table.name, &parents) {
                    let name = TableName::new(&table.name.schema, &table.name.name);
                    decided.follow.push((table.oid, name, table.is_partitioned));
                } else {
                    decided.unfollow.push(table.oid);
                    after.standing = Standing::Left;
                    after.kept.image.tables.iter_mut().for_each(Table::stand_alone);
                }
            }
            decided.before.extend(&together([&before.kept]));
            decided.after.extend(&together([&after.kept]));
            decided.store.insert(object, after);
        }
    }
    Ok(())
}

/// A table that has left because it is unlogged keeps a name of the task's as long as it has it on the source, and gives it up with it.
fn give_way(
    said: &Said<'_>,
    known: &mut ModelBefore,
    names: &impl Fn(&Name, &[u32]) -> bool,
    decided: &mut Decided,
) -> Result<(), String> {
    let image = &said.captured.image;
    for table in &image.tables {
        let object = (Class::Relation, table.oid);
        let Some(before) = known.model.get(&object).filter(|before| before.standing == Standing::Left) else {
            continue;
        };
        let old = before.kept.qualified();
        if old == table.name || !names(&old, &[]) || is_shown(&before.base, said.xid)? {
            continue;
        }
        let is_its = |(_, of): &(&Object, &Known)| {
            of.kept.image.sequences.iter().any(|s| s.owner.as_ref().is_some_and(|owner| owner.table == old))
        };
        let its: Vec<Object> = known.model.iter().filter(is_its).map(|(object, _)| *object).chain([object]).collect();
        for object in its {
            let Some(before) = known.model.remove(&object) else { continue };
            let after = heard(said, Some(&before), before.kept.of_table(&table.name), None);
            decided.before.extend(&together([&before.kept]));
            decided.after.extend(&together([&after.kept]));
            decided.store.insert(object, after);
        }
        let schemas = image.schemas.iter().filter(|schema| schema.name == table.name.schema).cloned().collect();
        for (object, kept) in apart(&Image { schemas, ..Image::default() }, &[], &[]) {
            if !known.model.contains_key(&object) && !decided.store.contains_key(&object) {
                decided.after.extend(&together([&kept]));
                decided.store.insert(object, heard(said, None, kept, None));
            }
        }
    }
    Ok(())
}

/// A schema that was not touched itself is made for what is in it.
fn leave_schemas(touched: &HashSet<&Object>, decided: &mut Decided) {
    let is_of_others = |object: &Object| object.0 == Class::Namespace && !touched.contains(object);
    if !decided.store.is_empty() && decided.store.keys().all(is_of_others) {
        decided.store.clear();
        decided.after.schemas.clone_from(&decided.before.schemas);
    }
}

/// How the task stands to the tables of the image from now on.
fn standings(
    said: &Said<'_>,
    known: &ModelBefore,
    names: &impl Fn(&Name, &[u32]) -> bool,
    decided: &mut Decided,
) -> Result<BTreeMap<Object, Standing>, String> {
    let created: HashSet<&Object> = said.captured.created.iter().collect();
    let mut standings = BTreeMap::new();
    // A partition is named with its parent, so parents come first.
    let mut tables: Vec<&Table> = said.captured.image.tables.iter().collect();
    tables.sort_by_key(|table| (table.is_partition, table.level, table.oid));
    let mut joined: HashSet<u32> = HashSet::new();
    for table in tables {
        let object = (Class::Relation, table.oid);
        // What it was before its copy says nothing about what it is.
        if known.has_seen(&object, said.xid)? {
            continue;
        }
        let name = TableName::new(&table.name.schema, &table.name.name);
        let parents: Vec<u32> = table.parents.iter().map(|parent| parent.oid).collect();
        let is_named = names(&table.name, &parents)
            || table.is_partition && table.parents.iter().any(|parent| joined.contains(&parent.oid));
        let before = known.model.get(&object);
        let stood = before.map(|known| known.standing);
        let was_followed = stood.is_some_and(|stood| stood != Standing::Left);
        match (before.is_some(), is_named && !table.unlogged) {
            (true, true) if stood == Some(Standing::Passing) => {
                standings.insert(object, Standing::Passing);
            }
            // The same transaction goes on with it.
            (true, true) if stood == Some(Standing::Entering) && said.loads != Some(table.oid) => {
                standings.insert(object, Standing::Entering);
                decided.enter.push((table.oid, name));
            }
            (true, true) if was_followed => {
                standings.insert(object, Standing::Followed);
                decided.follow.push((table.oid, name, table.is_partitioned));
            }
            (true, false) if was_followed => {
                standings.insert(object, Standing::Left);
                decided.unfollow.push(table.oid);
            }
            (_, true) if said.loads == Some(table.oid) || created.contains(&object) || table.is_partitioned => {
                standings.insert(object, Standing::Followed);
                joined.insert(table.oid);
                decided.follow.push((table.oid, name, table.is_partitioned));
            }
            (_, true) => {
                standings.insert(object, Standing::Entering);
                decided.enter.push((table.oid, name));
                decided
                    .empty
                    .extend(before.and_then(|known| known.kept.image.tables.first()).map(|of| of.name.clone()));
            }
            (true, false) => drop(standings.insert(object, Standing::Left)),
            (false, false) => {}
        }
    }
    Ok(standings)
}

fn heard(said: &Said<'_>, before: Option<&Known>, new: Kept, standing: Option<Standing>) -> Known {
    match before {
        Some(before) => Known {
            kept: before.kept.heard(new, said.witness()),
            standing: standing.unwrap_or(before.standing),
            base: before.base.clone(),
        },
        // Whoever changes it later commits later. The snapshot is no base: a transaction is not in its own list of those that run, so it
        // would seem to show what this one has yet to do.
        None => Known { kept: new, standing: standing.unwrap_or(Standing::Followed), base: String::new() },
    }
}

fn drops(
    said: &Said<'_>,
    known: &mut ModelBefore,
    names: &impl Fn(&Name, &[u32]) -> bool,
    decided: &mut Decided,
) -> Result<(), String> {
    let staying = staying(said, known, names);
    for dropped in &said.captured.dropped {
        let object = (dropped.class, dropped.oid);
        let Some(before) = known.model.get(&object) else { continue };
        if is_shown(&before.base, said.xid)? {
            continue;
        }
        let Some(mut before) = known.model.remove(&object) else { continue };
        before.kept.image.routines.iter_mut().for_each(|routine| routine.is_called(&dropped.identity));
        before.kept.image.plain.iter_mut().for_each(|plain| plain.is_called(&dropped.identity));
        // That is for types of which the task knows nothing.
        known.types.spell(&mut before.kept.image);
        let kind = kind_of(&before.kept).or(before.kept.image.tables.first().map(|_| Governed::DropTable));
        let name = before.kept.qualified();
        let policy = kind.map_or(KindPolicy::Replicate, |kind| (said.policies)(kind, &name));
        if policy == KindPolicy::Hold {
            // The sweep finds what is gone without a name.
            let identity = Some(&dropped.identity).filter(|identity| !identity.is_empty());
            let shown = identity.cloned().unwrap_or_else(|| name.shown());
            decided.frozen.held.extend(kind.map(|kind| (kind, shown)));
        }
        if known.followed.contains(&dropped.oid) {
            decided.unfollow.push(dropped.oid);
        }
        let owner = before.kept.image.sequences.first().and_then(|of| of.owner.as_ref()).map(|owner| &owner.table);
        let table = before.kept.image.tables.first().map(|table| &table.name).or(owner);
        if table.is_some_and(|table| staying.contains(table)) {
            // It keeps its names until somebody of the task needs them.
            decided.store.insert(object, Known { standing: Standing::Left, ..before });
            decided.retired.push(object);
            continue;
        }
        if !matches!(policy, KindPolicy::Hold | KindPolicy::Ignore) {
            decided.before.extend(&together([&before.kept]));
        }
        decided.forget.push(object);
    }
    Ok(())
}

/// Tables that the destination keeps when the source drops them: by policy, or because they have left. What has left under a name of others
/// is not the task's own any more; the name of one that was made unlogged is.
fn staying(said: &Said<'_>, known: &ModelBefore, names: &impl Fn(&Name, &[u32]) -> bool) -> HashSet<Name> {
    let is_named = |table: &Table| {
        let parents: Vec<u32> = table.parents.iter().map(|parent| parent.oid).collect();
        table.unlogged && names(&table.name, &parents)
    };
    let is_dropped = |object: &Object| said.captured.dropped.iter().any(|of| (of.class, of.oid) == *object);
    let stays = |(object, known): (&Object, &Known)| {
        let table = known.kept.image.tables.first()?;
        let policy = || (said.policies)(Governed::DropTable, &table.name);
        let has_left = known.standing == Standing::Left && !is_named(table);
        let stays = has_left || is_dropped(object) && matches!(policy(), KindPolicy::Hold | KindPolicy::Ignore);
        stays.then(|| table.name.clone())
    };
    known.model.iter().filter_map(stays).collect()
}

/// What an extension has taken stays as it is.
fn leaves(said: &Said<'_>, known: &ModelBefore, decided: &mut Decided) -> Result<(), String> {
    for object in &said.captured.taken {
        let Some(before) = known.model.get(object) else { continue };
        if before.standing == Standing::Left || is_shown(&before.base, said.xid)? {
            continue;
        }
        decided.store.insert(*object, Known { standing: Standing::Left, ..before.clone() });
        if known.followed.contains(&object.1) {
            decided.unfollow.push(object.1);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
