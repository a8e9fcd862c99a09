//! What no event tells: `REASSIGN OWNED`, `ALTER ROLE ... RENAME`, `ALTER TABLE ALL IN TABLESPACE`, REINDEX of an invalid index up to 16,
//! catalogs that somebody edits, commands while an event trigger is disabled. From time to time all objects of a task are compared with how they were when tasks were told of them
//! last, and those that are others get a row of the log, like that of a command.
//!
//! ```text
//!   a task begins ---> fingerprints of its first image --.
//!   ddl_log      ---> fingerprints of its images -------> courier.swept
//!   catalogs now ---> fingerprint differs? ---> a row of the log, with the images of now
//! ```
//! Who is told once more of what he knows makes nothing of it, so whatever is in doubt is told. It goes on a hundred objects at a time,
//! and only reads as long as nothing differs.

use super::effects::Effects;
use super::row::{self, About, Depth, Noted};
use crate::catalog::schema::command::{self, TouchedObject};
use crate::catalog::swept::{self, IfKnown};
use crate::catalog::{DdlPolicy, Task};
use crate::error::{Error, Result, sqlstate};
use crate::schema::captured::{Captured, Dropped};
use crate::schema::fingerprint::fingerprints;
use crate::schema::image::Class;
use crate::schema::scope::Object;

const TAG: &str = "SWEEP";
/// In place of a fingerprint: a command has said that it is there, and nothing else.
const UNKNOWN: &str = "";

/// So many objects at a time, besides what they need.
pub const AT_ONCE: usize = 100;

/// What a task begins with.
pub fn begin(captured: &Captured) -> Result<()> {
    swept::begin_to_read()?;
    swept::note(&fingerprints(captured), IfKnown::Kept)
}

/// Takes note of rows of the log. Returns whether there may be more.
pub fn read_log() -> Result<bool> {
    let rows = swept::unread()?;
    for (id, image) in &rows {
        let captured: Captured =
            serde_json::from_str(image).map_err(|error| Error::internal(format!("an image of the log: {error}")))?;
        let gone: Vec<Object> = captured.dropped.iter().map(|dropped| (dropped.class, dropped.oid)).collect();
        swept::forget(&gone)?;
        if captured.is_late || captured.is_unread {
            let touched: Vec<_> = captured.touched.iter().map(|object| (*object, UNKNOWN.to_owned())).collect();
            swept::note(&touched, IfKnown::Kept)?;
        }
        swept::note(&fingerprints(&captured), IfKnown::Replaced)?;
        swept::read_up_to(*id)?;
    }
    Ok(!rows.is_empty())
}

/// Compares some objects, and writes a row if one of them is another one by now. Returns the number of rows.
pub fn compare(objects: &[TouchedObject]) -> Result<i64> {
    let asked: Vec<Object> = objects.iter().filter_map(|of| Some((Class::of(of.class)?, of.oid))).collect();
    let captured = command::at_this_moment(|| command::describe(&asked))?;
    let now = fingerprints(&captured);
    let found: Vec<Object> = now.iter().map(|(object, _)| *object).collect();
    let known = swept::known(&found)?;
    let lost: Vec<Object> = asked.iter().filter(|object| !found.contains(object)).copied().collect();
    let mut rows = tell_gone(&lost)?;
    let news: Vec<(Object, String)> =
        now.into_iter().filter(|(object, print)| known.get(object) != Some(print)).collect();
    if news.is_empty() {
        return Ok(rows);
    }
    // What a table has come to need came with the table.
    let is_told = |object: &Object| known.contains_key(object) || asked.contains(object);
    let others = news.iter().map(|(object, _)| object).filter(|object| is_told(object));
    let others: Vec<TouchedObject> =
        others.map(|(class, oid)| TouchedObject { class: class.oid(), oid: *oid, is_alone: true }).collect();
    if !others.is_empty() {
        rows += tell(Effects { objects: others, is_any: true, ..Effects::default() })?;
    }
    // As it was when it was compared: what has changed since is found the next time.
    swept::note(&news, IfKnown::Replaced)?;
    Ok(rows)
}

/// Forgets what is no object of a task any more, and writes a row about what nobody has told to be dropped: an event trigger was disabled.
fn tell_gone(lost: &[Object]) -> Result<i64> {
    if lost.is_empty() {
        return Ok(0);
    }
    let gone = swept::gone(lost)?;
    swept::forget(lost)?;
    if gone.is_empty() {
        return Ok(0);
    }
    let dropped = |(class, oid)| Dropped { class, oid, identity: String::new() };
    let dropped = gone.into_iter().map(dropped).collect();
    tell(Effects { dropped, is_any: true, ..Effects::default() })
}

fn tell(effects: Effects) -> Result<i64> {
    let Some(ready) = row::read(&Noted::by_hand(TAG, About::Effects(effects)), Depth::Patient)? else { return Ok(0) };
    row::write(ready)?;
    Ok(1)
}

/// All of a task, at once. Returns the number of rows.
pub fn task(task: &Task) -> Result<i64> {
    if task.ddl != DdlPolicy::Replicate {
        return Err(Error::new(
            sqlstate::OBJECT_NOT_IN_PREREQUISITE_STATE,
            format!("task \"{}\" does not follow commands", task.name),
        )
        .detail("It was not created with ddl => 'replicate'."));
    }
    while read_log()? {}
    let mut rows = 0;
    for some in swept::objects(task.id)?.chunks(AT_ONCE) {
        rows += compare(some)?;
    }
    Ok(rows)
}
