//! A task that has left definitions to people is to apply commands: what it begins with is what the source has now, once the destination
//! was found to have the same. What an earlier time knew is forgotten, as people may have changed anything since.

use std::collections::HashSet;

use super::tables::{self, reach};
use crate::catalog::coverage::{self, Gap};
use crate::catalog::schema::{self, Extent};
use crate::catalog::{Stage, Task};
use crate::destination::{Destination, ExtensionThere};
use crate::error::{Error, Origin, Result, sqlstate};
use crate::logicalrep::names::quote_literal;
use crate::schema::deparse::postgres::name_of;
use crate::schema::diff::Subject;
use crate::schema::image::{Extension, Image};
use crate::schema_sync::compare::{self, Differences};

/// With its processes stopped, in the transaction that changes the task: if that is rolled back, nobody asks the model.
pub fn take_over(task: &Task) -> Result<()> {
    let unfollowed = unfollowed(task)?;
    let others = make_model(task, &mut reach(task)?)?;
    if !unfollowed.is_empty() {
        tables::begin(task, &unfollowed)?;
        task.update("stage = $2, stage_at = now()", &[Some(Stage::FullCopy.as_str())])?;
    }
    // Whoever changed a definition before this commits may have left no row about it: such transactions have to be over first.
    task.update("capture_due = true, older_gone = false", &[])?;
    let detail = (!others.is_empty())
        .then(|| format!("The destination has not everything that the source has: {}.", listed(&others)));
    task.record_event("definitions", "the task applies commands from now on", detail.as_deref())
}

/// Tables that the patterns name and the task does not follow yet: it copies them. Everything else in which the task and the source have
/// come apart is for a person.
fn unfollowed(task: &Task) -> Result<Vec<u32>> {
    let gaps = coverage::gaps(task)?;
    if let Some(gap) = gaps.iter().find(|gap| !matches!(gap, Gap::NotFollowed { .. })) {
        return Err(refused(task).detail(gap.detail()).hint(gap.hint(task, &gaps)));
    }
    let not_followed = |gap: &Gap| match gap {
        Gap::NotFollowed { oid, .. } => Some(*oid),
        _ => None,
    };
    Ok(gaps.iter().filter_map(not_followed).collect())
}

/// Takes the definitions as they are at one moment; what the destination lacks of them that no row needs.
fn make_model(task: &Task, destination: &mut Destination) -> Result<Vec<String>> {
    let oids = crate::catalog::tables::all_of_task(task.id)?;
    let extent = Extent::of_task(task, &oids)?;
    let wanted = schema::extensions(&extent)?;
    // Those that nothing is known to need are the task's where they are there as here.
    let free = wanted.iter().filter(|of| !of.is_needed).map(|of| &of.extension);
    let there = destination.extensions(free)?;
    let is_there =
        |(wanted, there): &(&Extension, ExtensionThere)| there.installed.is_some() && there.obstacle(wanted).is_none();
    let missing = there.iter().filter(|of| !is_there(of)).map(|(extension, _)| extension.oid).collect();
    let moment = schema::moment(&extent.without_extensions(&missing)?)?;
    let available = destination.available(&moment.captured.causes)?;
    let mut image = moment.for_task(&oids, &task.trust(), &available);
    let Differences { needed, others, missing_code } = compare::compare(destination, &image)?;
    if !needed.is_empty() {
        let again = format!("SELECT courier.alter_task({}, ddl => 'replicate');", quote_literal(&task.name));
        return Err(refused(task)
            .origin(Origin::Destination)
            .detail(format!("Definitions that rows need are others on the destination: {}.", listed(&needed)))
            .hint(format!("Make them there what they are here, then {again}")));
    }
    block(&mut image, &missing_code);
    let known = moment.known(&image);
    destination.in_transaction(|destination| {
        destination.forget_whole_model(&task.uuid)?;
        destination.store_model(&task.uuid, known.iter().map(|(object, known)| (object, known)))
    })?;
    Ok(others)
}

/// The next command that is about one of them brings it.
fn block(image: &mut Image, missing: &HashSet<String>) {
    for routine in &mut image.routines {
        routine.blocked |= missing.contains(&name_of(&Subject::routine(routine, routine.name.cow())));
    }
    image.views.iter_mut().for_each(|view| view.blocked |= missing.contains(&view.name().shown()));
    image.plain.iter_mut().for_each(|of| of.blocked |= missing.contains(&of.target));
}

fn refused(task: &Task) -> Error {
    Error::new(
        sqlstate::OBJECT_NOT_IN_PREREQUISITE_STATE,
        format!("task \"{}\" cannot apply commands from now on", task.name),
    )
}

fn listed(differences: &[String]) -> String {
    schema::bounded(differences)
}
