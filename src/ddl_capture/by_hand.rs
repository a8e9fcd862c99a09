//! Rows without a command: how things are now, for who asks. What escaped the event triggers (they were disabled, or a catalog was edited)
//! reaches the tasks so.

use std::collections::HashSet;

use super::effects::Effects;
use super::row::{self, About, Depth, Noted};
use crate::catalog::schema;
use crate::catalog::schema::command::{self, TouchedObject};
use crate::error::{Error, Result, sqlstate};
use crate::pg::{spi, xact};
use crate::schema::captured::Approval;
use crate::schema::image::Class;
use crate::schema::scope::Object;

const TAG: &str = "CAPTURE";
const APPROVED: &str = "APPROVE";

/// One object by its name or oid, with its descendants.
pub fn object(name: &str) -> Result<()> {
    let found =
        spi::as_extension(|| spi::query_opt(include_str!("../../sql/query/capture/object.sql"), &[Some(name)]))?;
    let Some(found) = found else {
        return Err(Error::new(sqlstate::UNDEFINED_OBJECT, format!("object \"{name}\" does not exist")).detail(
            "It has to be the name of a table, a view, a sequence, a type, a function or an operator with its arguments (each with its schema) or a schema, or an oid.",
        ));
    };
    let object = TouchedObject { class: found.parse("class")?, oid: found.parse("oid")?, is_alone: false };
    match write(vec![object])?.is_empty() {
        true => Err(Error::new(sqlstate::WRONG_OBJECT_TYPE, format!("no task creates \"{name}\""))
            .detail("It is of the system, temporary, or part of an extension.")),
        false => Ok(()),
    }
}

/// So many tables in a row of the log, besides their descendants.
const AT_ONCE: usize = 100;

/// Returns the number of rows.
pub fn tables(relations: &[u32]) -> Result<i64> {
    let mut written: HashSet<u32> = HashSet::new();
    let mut rows = 0;
    let table = |oid| TouchedObject { class: Class::Relation.oid(), oid, is_alone: false };
    for some in relations.chunks(AT_ONCE) {
        // A partition that came with its table is there.
        let missing = some.iter().filter(|oid| !written.contains(oid)).copied().map(table);
        let missing: Vec<TouchedObject> = missing.collect();
        if missing.is_empty() {
            continue;
        }
        let touched = write(missing)?;
        rows += i64::from(!touched.is_empty());
        written.extend(touched.into_iter().filter(|object| object.0 == Class::Relation).map(|object| object.1));
    }
    Ok(rows)
}

/// Functions and views that tasks are to have. Nobody is kept waiting for long: what cannot be read now is told of, and comes with the next
/// sweep.
pub fn whole_code(code: &[Object]) -> Result<()> {
    for some in code.chunks(AT_ONCE) {
        let Err(_) = schema::again(|| xact::attempt(|| tell(some))) else { continue };
        for object in some {
            if schema::again(|| xact::attempt(|| tell(&[*object]))).is_err() {
                row::write(row::read_late(&about(&[*object]))?)?;
            }
        }
    }
    Ok(())
}

fn about(objects: &[Object]) -> Noted {
    let touched = |(class, oid): &Object| TouchedObject { class: class.oid(), oid: *oid, is_alone: true };
    let objects = objects.iter().map(touched).collect();
    Noted::by_hand(TAG, About::Effects(Effects { objects, is_any: true, ..Effects::default() }))
}

fn tell(objects: &[Object]) -> Result<()> {
    match row::read(&about(objects), Depth::AWhile)? {
        Some(ready) => row::write(ready).map(drop),
        None => Ok(()),
    }
}

/// Code that is to be created now, and then what waits for it; with the word of a person who has read it, or without.
pub fn code(code: &[Object], approval: Option<Approval>) -> Result<()> {
    let touched = |(class, oid): &Object| TouchedObject { class: class.oid(), oid: *oid, is_alone: true };
    let tag = if approval.is_some() { APPROVED } else { TAG };
    // Nobody else is told of it.
    let also = approval.as_ref().map(|approval| Approval { task: approval.task.clone(), code: Vec::new() });
    let noted = |objects: Vec<TouchedObject>, approval: Option<Approval>| {
        let effects = Effects { objects, approval, is_any: true, ..Effects::default() };
        row::read(&Noted::by_hand(tag, About::Effects(effects)), Depth::Patient)
    };
    let Some(ready) = noted(code.iter().map(touched).collect(), approval)? else { return Ok(()) };
    row::write(ready)?;
    let waiting = command::dependents(code)?;
    match noted(waiting, also)? {
        Some(ready) => row::write(ready).map(drop),
        None => Ok(()),
    }
}

fn write(objects: Vec<TouchedObject>) -> Result<Vec<(Class, u32)>> {
    let effects = Effects { objects, is_any: true, ..Effects::default() };
    match row::read(&Noted::by_hand(TAG, About::Effects(effects)), Depth::Patient)? {
        Some(ready) => row::write(ready),
        None => Ok(Vec::new()),
    }
}
