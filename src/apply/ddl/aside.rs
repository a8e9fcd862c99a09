//! What a command leaves for the session aside, and what it takes back of what earlier ones have left; `schema::aside` has the rule.
//!
//! - A command that changes a table takes back all items that speak of it: what runs of them is canceled, what is half built is dropped, and
//!   what is still wanted is put there again, in the words that are right from now on. So nothing is built twice at once or under an old
//!   name, no step meets an index that is half there, and the stream does not stand still behind a build. The price is that a build which
//!   has begun begins anew.
//! - A command that changes nothing but privileges, and leaves every item as it is, lets them alone.
//! - A partition that was to leave without keeping readers waiting leaves at once: what comes next is about a table that has it no more.
//!   Another one that is to leave in the same way, as maintenance does it with one after the other, waits behind it.
//! - An index that is complete by then gets at once what only its last statements would have brought.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::rc::Rc;

use super::decide::Decided;
use super::done::NotTaken;
use super::{Command, detach, refresh, refuse};
use crate::apply::applier::Applier;
use crate::destination::Destination;
use crate::destination::aside::{ASIDE, IndexThere, LeftBy, Pending};
use crate::error::{Error, Result};
use crate::guc;
use crate::logicalrep::{Relation, TableName};
use crate::pg::compat;
use crate::schema::aside::{
    Aside, Facts, LatePart, LateParts, Leftover, There, candidates, items, late_parts, leaves, nothing_of, set_aside,
    unfilled, without,
};
use crate::schema::captured::Captured;
use crate::schema::deparse::postgres;
use crate::schema::diff::{self, Action, Step};
use crate::schema::image::{Class, Image, Table};
use crate::schema::model::Known;
use crate::schema::plan;
use crate::schema::scope::Object;
use crate::schema::{Item, Kind};

/// What is to be done at once, and what is left.
#[derive(Default)]
pub(super) struct Divided {
    pub items: Vec<Item>,
    /// What gives up names, before all that gets them, also before what a person has run in place of a command.
    pub way: Vec<Item>,
    /// Partitions that leave before anything else is done, also before what a person has run in place of a command.
    pub detaches: Vec<Item>,
    pub leftovers: Vec<Leftover>,
    pub left: Left,
}

/// How the queue changes with a command.
#[derive(Default)]
pub(super) struct Left {
    taken_back: Vec<Pending>,
    asides: Vec<Aside>,
    /// Those that wait already, and are to be done after the command.
    again: Vec<Aside>,
    /// What the command itself wants, whether it has waited before or not.
    wanted: BTreeSet<LatePart>,
}

/// What is known of the queue, and of tables whose rows come anew: they are empty by then.
pub(super) struct Queue<'a> {
    pub task_id: &'a str,
    pub pending: Vec<Pending>,
    pub emptied: Option<u32>,
    pub captured: &'a Captured,
    /// Has the stream passed all copies?
    pub fits_together: bool,
}

pub(super) fn divide(
    destination: &mut Destination,
    command: &Command,
    decided: &Decided,
    queue: Queue<'_>,
) -> Result<Divided> {
    let changed = changed(decided);
    let parents = detach::parents(decided, &changed);
    let is_concerned = |item: &Pending| detach::is_before(item, &changed, &parents);
    let concerned: Vec<Pending> = queue.pending.iter().filter(|item| is_concerned(item)).cloned().collect();
    let nothing: BTreeSet<LatePart> = concerned.iter().map(Pending::part).collect();
    let (at_once, asides) = split(destination, command, decided, &queue, &nothing_of(&nothing))?;
    if concerned.is_empty() {
        let left = Left { asides, ..Left::default() };
        return Ok(Divided { items: at_once, left, ..Divided::default() });
    }
    let wanted: BTreeSet<LatePart> = decided.refresh.iter().map(|view| LatePart::Refresh(view.oid())).collect();
    if queue.emptied.is_none() && lets_alone(&at_once, &asides, &concerned) {
        let (again, others): (Vec<_>, Vec<_>) = asides.into_iter().partition(|aside| wanted.contains(&aside.part));
        let asides = others.into_iter().filter(|aside| aside.detach.is_some()).collect();
        let left = Left { asides, again, ..Left::default() };
        return Ok(Divided { items: at_once, left, ..Divided::default() });
    }
    let Back { items: concerned, parts, leftovers, detaches } =
        take_back(destination, queue.task_id, &concerned, is_concerned)?;
    let (items, asides) = split(destination, command, decided, &queue, &parts)?;
    let left = Left { taken_back: concerned, asides, wanted, ..Left::default() };
    Ok(Divided { items, way: Vec::new(), detaches, leftovers, left })
}

/// Tables that are not as they were, and those of which something else was told.
fn changed(decided: &Decided) -> HashSet<u32> {
    let tables = |image: &'_ Image| -> BTreeMap<u32, Table> {
        image.tables.iter().map(|table| (table.oid, table.clone())).collect()
    };
    let (before, after) = (tables(&decided.before), tables(&decided.after));
    let differ = before.keys().chain(after.keys()).filter(|oid| before.get(oid) != after.get(oid)).copied();
    let told = decided.store.keys().chain(&decided.forget).filter(|(class, _)| *class == Class::Relation);
    differ.chain(told.map(|(_, oid)| *oid)).collect()
}

/// Is there nothing that has to be done, or undone, about the items? Another partition may leave behind them.
fn lets_alone(at_once: &[Item], asides: &[Aside], concerned: &[Pending]) -> bool {
    let is_harmless = |item: &Item| matches!(item.kind, Kind::Grant | Kind::TakeBack | Kind::Revoke);
    let is_there = |aside: &&Aside| concerned.iter().any(|item| item.is_wanted() && item.aside == **aside);
    let (leaving, others): (Vec<&Aside>, Vec<&Aside>) = asides.iter().partition(|aside| aside.detach.is_some());
    let is_new = |aside: &&Aside| concerned.iter().all(|item| item.part() != aside.part);
    let stays = concerned.iter().filter(|item| item.aside.detach.is_none());
    let stays: BTreeSet<LatePart> = stays.map(Pending::part).collect();
    at_once.iter().all(is_harmless)
        && others.len() == stays.len()
        && others.iter().all(is_there)
        && leaving.iter().all(is_new)
}

/// Items as they are when nothing runs of them any more.
struct Back {
    items: Vec<Pending>,
    /// How much of each is there.
    parts: LateParts,
    /// What has to go.
    leftovers: Vec<Leftover>,
    /// What is done of them first.
    detaches: Vec<Item>,
}

fn take_back(
    destination: &mut Destination,
    task_id: &str,
    concerned: &[Pending],
    is_concerned: impl Fn(&Pending) -> bool,
) -> Result<Back> {
    let tables: BTreeSet<u32> = concerned.iter().map(|item| item.aside.table).collect();
    for table in tables {
        destination.hold_items(task_id, table)?;
    }
    // Some may have come to their end meanwhile.
    let mut items = destination.pending(task_id)?;
    items.retain(is_concerned);
    let mut back = Back { items, parts: LateParts::new(), leftovers: Vec::new(), detaches: Vec::new() };
    for item in &back.items {
        if item.aside.detach.is_some() {
            back.detaches.extend(detach::at_once(destination, item, &mut back.parts)?);
            continue;
        }
        let there = destination.index_there(&item.aside)?;
        back.parts.insert(item.part(), if there == IndexThere::Valid { There::Bare } else { There::Nothing });
        back.leftovers.extend(item.aside.leftover.clone().filter(|_| there == IndexThere::Invalid));
    }
    Ok(back)
}

/// What is done at once, and what aside; `parts` is how much there is of what waits.
fn split(
    destination: &mut Destination,
    command: &Command,
    decided: &Decided,
    queue: &Queue<'_>,
    parts: &LateParts,
) -> Result<(Vec<Item>, Vec<Aside>)> {
    let before = without(&decided.before, parts);
    let limit = guc::ddl_inline_limit();
    let waiting: BTreeSet<LatePart> = queue.pending.iter().filter(|item| item.is_wanted()).map(Pending::part).collect();
    let leaving = limit.map_or(&[][..], |_| &queue.captured.detached);
    let (after, mut asides) = leaves(&before, &decided.after, leaving, &waiting, compat::MAJOR);
    asides.iter_mut().for_each(|aside| detach::wait_for_others(aside, &queue.pending));
    let steps = difference(command, &before, &after)?;
    let sized = limit.map_or_else(BTreeSet::new, |_| candidates(&steps));
    let empty: HashSet<u32> = queue.emptied.into_iter().chain(decided.enter.iter().map(|(oid, _)| *oid)).collect();
    let large = large(destination, &before, sized, &empty, limit.unwrap_or_default())?;
    let aside = set_aside(&steps, &Facts { waiting: &waiting, large: &large, fits_together: queue.fits_together });
    let told = refresh::Told { task_id: queue.task_id, captured: queue.captured, pending: &queue.pending };
    let refreshes = refresh::aside(destination, &told, (&before, decided), (&steps, parts), limit)?;
    let views: BTreeSet<u32> = refreshes.iter().map(|aside| aside.table).collect();
    if aside.is_empty() && views.is_empty() {
        return Ok((in_order(steps, decided, (queue.emptied, &views)), asides));
    }
    let at_once = unfilled(without(&after, &nothing_of(&aside)), &before, &views);
    let unknown = |what| Error::internal(format!("nobody knows how to do aside: {what}"));
    asides.extend(items(&after, &aside, compat::MAJOR).map_err(unknown)?);
    asides.extend(refreshes);
    Ok((in_order(difference(command, &before, &at_once)?, decided, (queue.emptied, &views)), asides))
}

/// With the views that get rows at once.
fn in_order<'a>(
    mut steps: Vec<Step<'a>>,
    decided: &'a Decided,
    (emptied, later): (Option<u32>, &BTreeSet<u32>),
) -> Vec<Item> {
    if let Some(table) = emptied {
        steps.iter_mut().for_each(|step| step.of_empty(table));
    }
    let refresh = |view| Step { kind: Kind::Refresh, level: 0, action: Action::RefreshView(view) };
    steps.extend(decided.refresh.iter().filter(|view| !later.contains(&view.oid())).map(refresh));
    plan::in_order(&steps, compat::MAJOR)
}

fn difference<'a>(command: &Command, before: &'a Image, after: &'a Image) -> Result<Vec<Step<'a>>> {
    let options = diff::Options { drops_schemas: true, ..diff::Options::default() };
    let difference = diff::diff_with(before, after, compat::MAJOR, options);
    match difference.unsaid.first() {
        Some(subject) => Err(refuse::unsaid(&postgres::shown_subject(subject), command)),
        None => Ok(difference.steps),
    }
}

/// Those that are there, and large, under the names that they have before the command.
fn large(
    destination: &mut Destination,
    before: &Image,
    candidates: BTreeSet<u32>,
    empty: &HashSet<u32>,
    limit: i64,
) -> Result<HashSet<u32>> {
    let there = before.tables.iter().filter(|table| candidates.contains(&table.oid) && !empty.contains(&table.oid));
    let there: Vec<(u32, TableName)> =
        there.map(|table| (table.oid, TableName::new(&table.name.schema, &table.name.name))).collect();
    if there.is_empty() {
        return Ok(HashSet::new());
    }
    Ok(destination.tables_above(&there, limit)?.into_iter().collect())
}

impl Left {
    /// Does the command wait for something that is done aside?
    pub(super) fn is_of(&self) -> bool {
        !self.again.is_empty() || self.asides.iter().any(|aside| self.is_new(aside))
    }

    /// Is there anything for the session aside?
    pub(super) fn waits(&self) -> bool {
        !self.asides.is_empty() || !self.again.is_empty()
    }

    pub(super) fn asides(&self) -> impl Iterator<Item = &Aside> + Clone {
        self.asides.iter().chain(&self.again)
    }

    /// What is not there gets no rows.
    pub(super) fn forget_not_taken(&mut self, not_taken: &[NotTaken]) {
        let views: Vec<&str> =
            not_taken.iter().filter(|of| of.kind == Kind::View).map(|of| of.object.as_str()).collect();
        let is_of = |aside: &Aside| aside.object.strip_prefix("refresh ").is_some_and(|view| views.contains(&view));
        self.asides.retain(|aside| aside.refresh.is_none() || !is_of(aside));
    }

    /// The items that were there for the same part.
    fn before(&self, aside: &Aside) -> impl Iterator<Item = &Pending> {
        self.taken_back.iter().filter(|item| item.is_wanted() && item.part() == aside.part)
    }

    fn is_new(&self, aside: &Aside) -> bool {
        self.wanted.contains(&aside.part) || self.before(aside).all(|item| item.aside != *aside)
    }

    /// Who wants it: whoever did before, and the command if something comes of it.
    fn origins(&self, aside: &Aside, of_command: &LeftBy) -> Vec<LeftBy> {
        let origins = self.before(aside).flat_map(|item| &item.origins);
        origins.chain(Some(of_command).filter(|_| self.is_new(aside))).cloned().collect()
    }

    /// Writes the queue down, in the transaction of the command.
    pub(super) fn store(&self, destination: &mut Destination, task_id: &str, of_command: &LeftBy) -> Result<()> {
        for aside in &self.asides {
            destination.queue(task_id, &self.origins(aside, of_command), aside)?;
        }
        self.again.iter().try_for_each(|aside| destination.queue_again(task_id, aside, of_command))?;
        self.taken_back.iter().try_for_each(|item| destination.unqueue(task_id, item))
    }
}

/// The state of a command in the meantime.
pub(super) fn state(left: &Left, at_last: &'static str) -> &'static str {
    if left.is_of() { ASIDE } else { at_last }
}

/// Adds what the items name of which one speaks of something known.
pub(super) fn know(
    destination: &mut Destination,
    task_id: &str,
    known: &mut BTreeMap<Object, Known>,
    pending: &[Pending],
) -> Result<()> {
    let is_known = |table: &u32| known.contains_key(&(Class::Relation, *table));
    let concerned = pending.iter().filter(|item| item.aside.tables.iter().any(is_known));
    let missing: BTreeSet<u32> =
        concerned.flat_map(|item| &item.aside.tables).filter(|table| !is_known(table)).copied().collect();
    if !missing.is_empty() {
        let missing: Vec<Object> = missing.into_iter().map(|table| (Class::Relation, table)).collect();
        known.extend(destination.model_of(task_id, &missing)?);
    }
    Ok(())
}

/// What somebody has dropped there himself is not built any more.
pub(super) fn forget_gone(
    destination: &mut Destination,
    task_id: &str,
    decided: &Decided,
    pending: &[Pending],
) -> Result<()> {
    let changed = changed(decided);
    let mut there: HashSet<LatePart> = decided.after.tables.iter().flat_map(late_parts).collect();
    there.extend(decided.after.views.iter().map(|view| LatePart::Refresh(view.oid())));
    let is_gone = |item: &&Pending| changed.contains(&item.aside.table) && !there.contains(&item.part());
    for item in pending.iter().filter(is_gone) {
        destination.hold_items(task_id, item.aside.table)?;
        destination.remove_half_built(&item.aside)?;
        destination.unqueue(task_id, item)?;
    }
    Ok(())
}

impl Applier {
    /// What waits aside; asked only while there may be something.
    pub(super) fn pending(&mut self) -> Result<Vec<Pending>> {
        if !self.has_asides {
            return Ok(Vec::new());
        }
        let task_id = self.writer.task_id().to_owned();
        let pending = self.writer.lanes.plain()?.exchange().pending(&task_id)?;
        self.has_asides = !pending.is_empty();
        Ok(pending)
    }

    /// TRUNCATE takes locks that nothing aside lets through: what runs on its tables, or reads them, ends, and begins anew when the
    /// transaction has committed.
    pub(in crate::apply) fn asides_give_way(&mut self, tables: &[Rc<Relation>]) -> Result<()> {
        if !self.has_asides {
            return Ok(());
        }
        self.stand_still()?;
        let pending = self.pending()?;
        let task_id = self.writer.task_id().to_owned();
        let destination = self.writer.lanes.plain()?.exchange();
        let is_named = |oid: &u32| tables.iter().any(|table| table.oid == *oid);
        let concerned = pending.iter().filter(|item| item.aside.tables.iter().any(is_named));
        let mut locks: BTreeSet<u32> = concerned.map(|item| item.aside.table).collect();
        let names: Vec<String> = tables.iter().map(|table| table.target()).collect();
        locks.extend(refresh::that_read(destination, &pending, &names)?);
        locks.into_iter().try_for_each(|table| destination.hold_items(&task_id, table))
    }
}
