//! The definitions of tables that are about to be copied, as the source has them at that moment: what the destination has is brought there
//! first, and the model says so. Commands that the moment shows are not applied again when the stream meets them.

use std::collections::{BTreeMap, HashSet};

use super::run;
use crate::destination::Destination;
use crate::destination::aside::Pending;
use crate::error::{Error, Result};
use crate::logicalrep::TableName;
use crate::pg::compat;
use crate::schema::apart::{apart, together};
use crate::schema::aside::LatePart;
use crate::schema::captured::{Captured, Taker, Trust};
use crate::schema::deparse::postgres;
use crate::schema::diff;
use crate::schema::image::{Class, Image, Table};
use crate::schema::model::{Kept, Known, Standing};
use crate::schema::named::keep_names;
use crate::schema::plan;
use crate::schema::scope::Object;
use crate::schema::{Item, Section};

/// The source at a moment: some tables with all that they need, and which transactions it shows.
pub struct TablesAt<'a> {
    /// Those that the patterns of the task name then.
    pub named: &'a [u32],
    pub captured: &'a Captured,
    pub snapshot: &'a str,
}

/// What tables are at the moment of their copy, and what the destination has of them.
pub struct Definition {
    /// Those that have rows to copy; the others are gone or out of the task's reach, and the stream will say so.
    pub tables: Vec<Defined>,
    before: Image,
    after: Image,
    stored: Vec<(Object, Known)>,
}

pub struct Defined {
    pub oid: u32,
    /// That of the stream's moment.
    pub name: TableName,
    /// Generated columns of the source that are plain there.
    pub fed: Vec<String>,
}

/// `tables`: those of the task, as far as they are spoken of.
pub fn definition(
    destination: &mut Destination,
    trust: &Trust,
    tables: &[u32],
    at: &TablesAt<'_>,
) -> Result<Definition> {
    let task_id = trust.task_id.as_str();
    let mut available = destination.available(&at.captured.causes)?;
    available.extend(made_later(destination, task_id, at.captured)?);
    let taker = Taker { trust, available: &available, applied: &HashSet::new(), leaving: &HashSet::new() };
    let mut captured = at.captured.clone();
    captured.feed(tables, &taker, &HashSet::new());
    let image = captured.for_task(tables, &taker);
    let copied: Vec<&Table> =
        image.tables.iter().filter(|table| at.named.contains(&table.oid) && !table.unlogged).collect();
    let mut described = apart(&image, &at.captured.dependencies, &at.captured.causes);
    let objects: Vec<Object> = described.keys().copied().collect();
    let parents = copied.iter().flat_map(|table| &table.parents).map(|parent| (Class::Relation, parent.oid));
    let wanted: Vec<Object> = objects.iter().copied().chain(parents).collect();
    let mut known: BTreeMap<Object, Known> = destination.model_of(task_id, &wanted)?.into_iter().collect();
    let former: Vec<Object> = former_parents(&known).collect();
    if !former.is_empty() {
        known.extend(destination.model_of(task_id, &former)?);
    }
    for (object, kept) in &mut described {
        kept.keep_owners(known.get(object).map(|known| &known.kept));
    }
    keep_names(&mut described, &known);
    let types = destination.type_names(task_id, image.operands())?;
    described.values_mut().for_each(|kept| types.spell(&mut kept.image));
    let defined = |table: &&Table| {
        let (schema, name) = described.get(&(Class::Relation, table.oid)).map(Kept::name).unwrap_or_default();
        Defined { oid: table.oid, name: TableName::new(schema.unwrap_or_default(), name), fed: table.fed() }
    };
    let tables = copied.iter().map(defined).collect();
    let others: HashSet<&Object> = known.keys().filter(|object| !described.contains_key(object)).collect();
    let before = together(known.values().map(|known| &known.kept));
    let after = together(described.values().chain(others.iter().filter_map(|o| known.get(o)).map(|k| &k.kept)));
    let stored: Vec<(Object, Known)> = described
        .into_iter()
        .map(|(object, kept)| (object, Known { standing: Standing::Followed, base: at.snapshot.to_owned(), kept }))
        .collect();
    Ok(Definition { tables, before, after, stored })
}

impl Definition {
    /// Are rows taken there as they are here, with nothing left to be done aside?
    pub fn is_there(&self, destination: &mut Destination, task_id: &str) -> Result<bool> {
        Ok(before_rows(items(&self.before, &self.after)?).next().is_none()
            && !destination.pending(task_id)?.iter().any(|item| self.tables.iter().any(|table| is_of(item, table.oid))))
    }

    /// Brings it there, and says so in the model.
    pub fn make(&self, destination: &mut Destination, task_id: &str) -> Result<()> {
        destination.in_transaction(|destination| {
            let mut parts = Vec::new();
            for table in &self.tables {
                parts.extend(take_back(destination, task_id, table.oid)?);
            }
            let half = without_unvalidated(&self.before, &parts);
            let items = items(&self.before, &half)?.into_iter().chain(items(&half, &self.after)?);
            let items: Vec<Item> = before_rows(items).collect();
            run::run_once(destination, &items)?;
            self.store(destination, task_id)
        })
    }

    /// Says so in the model. It is there for good when the copy is that comes behind it.
    pub fn note(&self, destination: &mut Destination, task_id: &str) -> Result<()> {
        destination.in_transaction_unawaited(|destination| self.store(destination, task_id))
    }

    fn store(&self, destination: &mut Destination, task_id: &str) -> Result<()> {
        destination.store_model(task_id, self.stored.iter().map(|(object, known)| (object, known)))
    }
}

/// Parents that tables have there, and may have no more.
fn former_parents(known: &BTreeMap<Object, Known>) -> impl Iterator<Item = Object> {
    let parents = known.values().flat_map(|known| &known.kept.image.tables).flat_map(|table| &table.parents);
    parents.map(|parent| (Class::Relation, parent.oid)).filter(|parent| !known.contains_key(parent))
}

/// The rest follows the rows, from the model.
fn before_rows(items: impl IntoIterator<Item = Item>) -> impl Iterator<Item = Item> {
    items.into_iter().filter(|item| item.kind.section() == Section::PreData)
}

/// Functions and views that the task creates: some of them after the copy.
fn made_later(destination: &mut Destination, task_id: &str, captured: &Captured) -> Result<Vec<Object>> {
    let causes: Vec<Object> = captured.causes.iter().map(|(object, _)| *object).collect();
    let known = if causes.is_empty() { Vec::new() } else { destination.model_of(task_id, &causes)? };
    Ok(known.into_iter().filter(|(_, known)| !known.kept.is_blocked()).map(|(object, _)| object).collect())
}

fn items(before: &Image, after: &Image) -> Result<Vec<Item>> {
    let difference = diff::diff(before, after, compat::MAJOR);
    match difference.unsaid.first() {
        None => Ok(plan::in_order(&difference.steps, compat::MAJOR)),
        Some(subject) => {
            let subject = postgres::shown_subject(subject);
            Err(Error::internal(format!("{subject} has changed in a way that is not carried over")))
        }
    }
}

/// A constraint that was to be validated aside goes, and is made again, whole, after the copy.
fn without_unvalidated(image: &Image, parts: &[LatePart]) -> Image {
    let mut image = image.clone();
    for table in &mut image.tables {
        table.constraints.retain(|k| !parts.contains(&LatePart::Validation(k.oid)));
    }
    image
}

/// What was to be done aside is done after the copy, as all else that follows the rows.
fn take_back(destination: &mut Destination, task_id: &str, table: u32) -> Result<Vec<LatePart>> {
    if !destination.pending(task_id)?.iter().any(|item| is_of(item, table)) {
        return Ok(Vec::new());
    }
    destination.hold_items(task_id, table)?;
    let mut parts = Vec::new();
    for item in destination.pending(task_id)?.into_iter().filter(|item| is_of(item, table)) {
        destination.remove_half_built(&item.aside)?;
        destination.unqueue(task_id, &item)?;
        parts.push(item.part());
    }
    Ok(parts)
}

/// A partition that is to leave has nothing to do with its rows.
fn is_of(item: &Pending, table: u32) -> bool {
    item.aside.table == table && item.aside.detach.is_none()
}
