//! The objects of the task on the destination: tables before the copy, indexes and constraints after it, foreign keys when
//! the tables are one state of the source.

use std::collections::{BTreeSet, HashSet};
use std::rc::Rc;

use super::context::{Context, Outcome, show};
use super::sequences::Exactness;
use super::step::Step;
use crate::catalog::schema::{self, Extent};
use crate::catalog::{Stage, Task, tables};
use crate::ddl_capture::{by_hand, sweep};
use crate::destination::aside::Pending;
use crate::destination::{Destination, Purpose};
use crate::error::Result;
use crate::failpoint;
use crate::guc;
use crate::logicalrep::names::shown;
use crate::logicalrep::words::counted;
use crate::pg::xact;
use crate::schema::Item;
use crate::schema::apart::together;
use crate::schema::aside::{LatePart, nothing_of, without};
use crate::schema::model::Kept;
use crate::schema::scope::{Dependency, Object};
use crate::schema_sync::{self, Crew, IfThere, Note, When};

pub struct PreData;

impl Step for PreData {
    fn name(&self) -> &'static str {
        "pre_data"
    }

    fn is_done(&self, task: &Task) -> bool {
        task.stage >= Stage::FullCopy
    }

    fn run(&self, context: &mut Context<'_>) -> Outcome {
        let task = context.task;
        context.with_destination(|context, destination| {
            keep_model(task, destination)?;
            let items = context.items(destination)?;
            context.be_alone(destination)?;
            if task.stage < Stage::SchemaSync {
                context.show("looking for tables on the destination");
                schema_sync::check_absent(destination, &items)?;
                xact::in_transaction(|| task.set_stage(Stage::SchemaSync))?;
            }
            schema_sync::create_pre_data(destination, &items, &task.uuid, |done, all| {
                let all = counted(all as u64, "object");
                context.show(&format!("creating tables on the destination: {done} of {all}"));
                if done > 0 {
                    let _ = failpoint::hit("pre_data_between_pieces");
                }
            })?;
            xact::in_transaction(|| task.set_stage(Stage::FullCopy))?;
            Ok(destination.not_alone()?)
        })
    }
}

pub struct PostData;

impl Step for PostData {
    fn name(&self) -> &'static str {
        "post_data"
    }

    fn is_done(&self, task: &Task) -> bool {
        task.stage >= Stage::CatchingUp
    }

    fn run(&self, context: &mut Context<'_>) -> Outcome {
        let task = context.task;
        if task.has_model() {
            // While tables were copied they may have become others.
            context.items = None;
        }
        // Constraints may need them.
        context.show("bringing rows of extensions' tables");
        context.sync_configuration(Exactness::Exact)?;
        let mut there = HashSet::new();
        context.with_destination(|context, destination| -> Outcome {
            let items = context.items(destination)?;
            context.check_writer(destination)?;
            context.be_alone(destination)?;
            create_post_data(context, destination, &items, When::Copied)?;
            if !task.incremental {
                // All tables were copied under one snapshot.
                create_post_data(context, destination, &items, When::Consistent)?;
            }
            if task.has_model() && task.schema_sync {
                there = code_there(task, destination)?;
            }
            Ok(destination.not_alone()?)
        })?;
        capture_code(task, &there)?;
        xact::in_transaction(|| task.set_stage(Stage::CatchingUp))?;
        context.life.retry.succeeded();
        Ok(xact::in_transaction(|| task.note_recovered())?)
    }
}

/// Functions and views that the task has created.
fn code_there(task: &Task, destination: &mut Destination) -> Result<HashSet<Object>> {
    let known = destination.whole_model(&task.uuid)?.into_iter();
    let is_there = |kept: &Kept| kept.is_code() && !kept.is_blocked();
    Ok(known.filter(|(_, known)| is_there(&known.kept)).map(|(object, _)| object).collect())
}

/// The others: the stream comes to these rows of the log when all tables are of one moment, and creates what they tell, or says why not.
fn capture_code(task: &Task, there: &HashSet<Object>) -> Result<()> {
    if !(task.has_model() && task.schema_sync) {
        return Ok(());
    }
    let levels = xact::in_transaction(|| {
        let extent = Extent::of_task(task, &tables::all_of_task(task.id)?)?;
        schema::code_in_order(&extent, there)
    })?;
    // A row says nothing about order, so what needs something of another one comes in a later one.
    levels.iter().try_for_each(|level| {
        xact::in_transaction(|| by_hand::whole_code(level))?;
        failpoint::hit("supervisor_between_code")
    })
}

/// The destination is one state of the source now: foreign keys hold.
pub fn complete(context: &mut Context<'_>) -> Outcome {
    let task = context.task;
    if !task.schema_sync {
        return Ok(());
    }
    // What was written meanwhile has come with the stream, but for these.
    context.sync_configuration(Exactness::Exact)?;
    // A session of its own: the other one has been idle for as long as it took to get here.
    let mut destination = context.endpoint.open(Purpose::Schema)?;
    context.check_writer(&mut destination)?;
    let items = items_of(task, &mut destination)?;
    context.be_alone(&mut destination)?;
    Ok(create_post_data(context, &mut destination, &items, When::Consistent)?)
}

fn create_post_data(context: &Context<'_>, destination: &mut Destination, items: &[Item], when: When) -> Result<()> {
    // The task has created schemas, or it has taken long to get here.
    context.endpoint.look_again(destination)?;
    let there = if context.task.has_model() { IfThere::Adopted } else { IfThere::Compared };
    let note = |note: Note<'_>| match note {
        Note::Building(item) => {
            show(&context.status, &format!("creating {} {}", item.kind, item.object));
            Ok(())
        }
        Note::NotValid { item, error, validate } => {
            let what = format!(
                "{} {} is NOT VALID on the destination: rows have no partner, on the source either",
                item.kind, item.object
            );
            context.task.log_line(&what);
            let found = error.detail_text().unwrap_or_else(|| error.message().to_owned());
            let detail =
                format!("{found} Once such rows are corrected on both sides: {validate}; -- on the destination");
            xact::in_transaction(|| context.task.record_event("error", &what, Some(&detail)))
        }
    };
    const SMALL: i64 = 4 << 20;
    let tables = xact::in_transaction(|| tables::of_task(context.task.id))?;
    let small: HashSet<u32> = tables.iter().filter(|table| table.bytes < SMALL).map(|table| table.relid).collect();
    destination.share_alone(&context.task.uuid)?;
    destination.in_a_row(&context.task.uuid, |destination| {
        let mut crew = Crew::new(destination, guc::sync_workers() as usize, small, || another(context));
        schema_sync::create_post_data(&mut crew, items, when, there, note)
    })
}

/// One more session that makes indexes; none where the destination has no room for it.
fn another(context: &Context<'_>) -> Result<Option<Destination>> {
    const TOO_MANY_CONNECTIONS: &str = "53300";
    let mut session = match context.endpoint.open(Purpose::Schema) {
        Err(error) if error.sqlstate() == TOO_MANY_CONNECTIONS => return Ok(None),
        session => session?,
    };
    Ok(session.join(&context.task.uuid)?.then_some(session))
}

impl Context<'_> {
    /// What the task creates, as it was when it was asked for first in this attempt: an object that comes while tables are
    /// copied is a later change of the source.
    pub fn items(&mut self, destination: &mut Destination) -> Result<Rc<Vec<Item>>> {
        if let Some(items) = &self.items {
            return Ok(items.clone());
        }
        let items = if self.task.schema_sync { items_of(self.task, destination)? } else { Vec::new() };
        Ok(self.items.insert(Rc::new(items)).clone())
    }
}

/// What a task that applies commands begins with: all its objects, as they are at one moment. From then on the stream says how they
/// change, so that is also what is created, whenever that is.
fn keep_model(task: &Task, destination: &mut Destination) -> Result<()> {
    if !task.has_model() || destination.has_model(&task.uuid)? {
        return Ok(());
    }
    let (oids, extent) = extent_there(task, destination)?;
    let moment = xact::in_transaction(|| {
        let moment = schema::moment(&extent)?;
        sweep::begin(&moment.captured)?;
        Ok(moment)
    })?;
    let available = destination.available(&moment.captured.causes)?;
    let image = moment.for_task(&oids, &task.trust(), &available);
    let known = moment.known(&image);
    destination.in_transaction(|destination| {
        destination.store_model(&task.uuid, known.iter().map(|(object, known)| (object, known)))
    })
}

/// The tables of the task, and with them what it is to create: but for extensions that nothing is known to need and the destination cannot
/// have, as is said once.
fn extent_there(task: &Task, destination: &mut Destination) -> Result<(Vec<u32>, Extent)> {
    let (oids, extent, wanted) = xact::in_transaction(|| {
        let oids = tables::all_of_task(task.id)?;
        let extent = Extent::of_task(task, &oids)?;
        // That reads all of it.
        let wanted = if extent.names_extensions() { schema::extensions(&extent)? } else { Vec::new() };
        Ok((oids, extent, wanted))
    })?;
    let free = wanted.iter().filter(|of| !of.is_needed).map(|of| &of.extension);
    let mut left_out = HashSet::new();
    for (extension, there) in destination.extensions(free)? {
        let Some(obstacle) = there.obstacle(extension) else { continue };
        left_out.insert(extension.oid);
        if task.stage < Stage::SchemaSync {
            let what = format!("extension {} is left out: {obstacle}", shown(&extension.name));
            task.log_line(&what);
            xact::in_transaction(|| task.record_event("definitions", &what, None))?;
        }
    }
    let extent = xact::in_transaction(|| extent.without_extensions(&left_out))?;
    Ok((oids, extent))
}

fn items_of(task: &Task, destination: &mut Destination) -> Result<Vec<Item>> {
    if !task.has_model() {
        return statements(task, destination);
    }
    let known = destination.whole_model(&task.uuid)?;
    let image = together(known.iter().map(|(_, known)| &known.kept));
    let dependencies: Vec<Dependency> =
        known.iter().flat_map(|(_, known)| known.kept.dependencies.iter().cloned()).collect();
    // What commands have left to be done aside is done there.
    let aside: BTreeSet<LatePart> = destination.pending(&task.uuid)?.iter().map(Pending::part).collect();
    let image = without(&image, &nothing_of(&aside));
    schema::statements_of(&image, &dependencies)
}

/// What the destination has already of what the tables need (functions made by hand) is not left out. No transaction
/// is open on the source while the destination is asked.
fn statements(task: &Task, destination: &mut Destination) -> Result<Vec<Item>> {
    let (_, extent) = extent_there(task, destination)?;
    let causes = xact::in_transaction(|| schema::causes(&extent))?;
    let (available, _) = schema::ask_causes(destination, causes)?;
    let extent = extent.with(available);
    xact::in_transaction(|| schema::statements(&extent))
}
