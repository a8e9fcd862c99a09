//! Materialized views that get rows with a command: in the stream, or aside where what they read is large on the destination.
//!
//! One that reads another whose rows are still to come waits for them, however small it is. Rows that come aside are those of then, not of
//! the moment at which the source has refreshed the view.

use std::collections::{BTreeSet, HashMap};

use super::decide::Decided;
use crate::destination::Destination;
use crate::destination::aside::Pending;
use crate::error::Result;
use crate::logicalrep::quote::quote_qualified;
use crate::schema::aside::{Aside, LatePart, LateParts, filled, refresh};
use crate::schema::captured::Captured;
use crate::schema::diff::Step;
use crate::schema::image::{Class, Image, View};
use crate::schema::scope::Object;

/// What the command tells, and what waits.
pub(super) struct Told<'a> {
    pub task_id: &'a str,
    pub captured: &'a Captured,
    pub pending: &'a [Pending],
}

/// Those that wait: `parts` is what the command has taken back, `limit` how much may be read in the stream.
pub(super) fn aside(
    destination: &mut Destination,
    told: &Told<'_>,
    (before, decided): (&Image, &Decided),
    (steps, parts): (&[Step<'_>], &LateParts),
    limit: Option<i64>,
) -> Result<Vec<Aside>> {
    let waits = |view: &View| parts.contains_key(&LatePart::Refresh(view.oid()));
    let is_there = |view: &&View| view.is_populated() && !view.blocked;
    let taken_back = decided.after.views.iter().filter(is_there).filter(|view| waits(view));
    let mut asides: Vec<Aside> = taken_back.map(|view| refresh(view, read_first(told, view))).collect();
    let views: Vec<&View> = filled(steps, &decided.refresh).into_iter().filter(|view| !waits(view)).collect();
    let Some(limit) = limit.filter(|_| !views.is_empty()) else { return Ok(asides) };
    let mut names = Vec::new();
    for view in &views {
        names.extend(begins_with(destination, told, before, view)?.into_iter().map(|name| (view.oid(), name)));
    }
    let waiting: Vec<String> = told.pending.iter().filter_map(waiting_view).collect();
    let Some(readings) = destination.readings(&names, &waiting)? else {
        // Neither would they be filled now.
        asides.extend(views.into_iter().map(|view| refresh(view, read_first(told, view))));
        return Ok(asides);
    };
    let readings: HashMap<u32, _> = readings.into_iter().map(|reading| (reading.view, reading)).collect();
    for view in views {
        let reading = readings.get(&view.oid());
        let bytes = reading.map_or(0, |reading| reading.bytes);
        if bytes > limit || reading.is_some_and(|reading| reading.is_named) {
            asides.push(refresh(view, read_first(told, view)));
        }
    }
    Ok(asides)
}

/// What is known of what the view reads, on the destination as it is before the command: itself, or for a new one what its definition names.
fn begins_with(destination: &mut Destination, told: &Told<'_>, before: &Image, view: &View) -> Result<Vec<String>> {
    if let Some(old) = before.views.iter().find(|old| old.oid() == view.oid() && !old.blocked) {
        return Ok(vec![quote_qualified(&old.name().schema, &old.name().name)]);
    }
    let read: Vec<Object> = reads(told.captured, view).into_iter().map(|oid| (Class::Relation, oid)).collect();
    let known = destination.model_of(told.task_id, &read)?;
    let name = |known: &crate::schema::model::Known| {
        let name = known.kept.qualified();
        quote_qualified(&name.schema, &name.name)
    };
    Ok(known.iter().map(|(_, known)| name(known)).collect())
}

/// The relations that its definition names.
fn reads(captured: &Captured, view: &View) -> BTreeSet<u32> {
    let of = captured.dependencies.iter().filter(|of| of.table == Some(view.oid()));
    of.filter_map(|of| of.relation).filter(|oid| *oid != view.oid()).collect()
}

/// One of the views that it names is to have its rows first.
fn read_first(told: &Told<'_>, view: &View) -> Option<LatePart> {
    let read = reads(told.captured, view);
    let wanted = told.pending.iter().filter(|item| item.is_wanted() && item.part() != LatePart::Refresh(view.oid()));
    let first = wanted.map(Pending::part).find(|part| matches!(part, LatePart::Refresh(oid) if read.contains(oid)));
    // What has had its rows meanwhile does no harm, and the item stays as it is.
    let own = told.pending.iter().find(|item| item.part() == LatePart::Refresh(view.oid()));
    first.or_else(|| own.and_then(|item| item.aside.waits_for))
}

/// Its name there, if the item gives a view rows.
pub(super) fn waiting_view(item: &Pending) -> Option<String> {
    item.aside.refresh.as_ref().map(|refresh| refresh.name.clone())
}

/// Items that read one of the tables, by the tables of the items.
pub(super) fn that_read(destination: &mut Destination, pending: &[Pending], tables: &[String]) -> Result<Vec<u32>> {
    let views: Vec<(u32, String)> =
        pending.iter().filter_map(|item| Some((item.aside.table, waiting_view(item)?))).collect();
    if views.is_empty() {
        return Ok(Vec::new());
    }
    destination.that_read(&views, tables)
}
