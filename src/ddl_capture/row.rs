//! The row of a command.

use std::cell::RefCell;
use std::collections::HashSet;

use super::effects::Effects;
use super::tags;
use crate::catalog::ddl_log::{self, LogEntry};
use crate::catalog::schema::command::{self, Patience, TouchedObject};
use crate::error::Result;
use crate::pg::event_trigger::Fired;
use crate::pg::{rel, xact};
use crate::schema::captured::{Captured, FORM, Rewrite};
use crate::schema::image::Class;
use crate::schema::scope::Object;

/// Of a longer text the beginning is enough for people.
const LONGEST_TEXT: usize = 10_000;
/// A longer image is not remembered: it may be written twice.
const LONGEST_REMEMBERED: usize = 1 << 20;

const ALTER_EXTENSION: &str = "ALTER EXTENSION";

pub enum About {
    Effects(Effects),
    /// The rows of a table are about to be written anew.
    Rewrite(Rewrite),
    /// The server does not say.
    Unknown,
}

/// What a row is about.
pub struct Noted {
    pub tag: String,
    about: About,
    author: String,
    text: Option<String>,
    /// Which command it is, as long as that runs.
    command: usize,
    /// The part of the transaction that it shares its fate with.
    here: (u32, u32),
}

impl Noted {
    pub fn of(event: &Fired, about: About) -> Noted {
        let text = event.text().filter(|_| tags::has_text(&event.tag));
        Noted {
            tag: event.tag.clone(),
            about,
            author: xact::user_name(),
            text: text.map(|text| text.chars().take(LONGEST_TEXT).collect()),
            command: event.command(),
            here: xact::here(),
        }
    }

    pub fn lateness(&self) -> Lateness {
        let About::Effects(effects) = &self.about else { return Lateness::Never };
        let is_code = |object: &TouchedObject| match Class::of(object.class) {
            Some(Class::Relation) => rel::is_view(object.oid),
            class => class == Some(Class::Proc),
        };
        if !effects.dropped.is_empty() || !effects.refreshed.is_empty() {
            return Lateness::Never;
        }
        match tags::is_needed_by_nothing(&self.tag) {
            true => Lateness::AtOnce,
            false if self.tag.starts_with("ALTER ") && effects.objects.iter().all(is_code) => Lateness::AfterAWhile,
            false => Lateness::Never,
        }
    }

    /// No command.
    pub fn by_hand(tag: &str, about: About) -> Noted {
        Noted { tag: tag.to_owned(), about, author: xact::user_name(), text: None, command: 0, here: (0, 0) }
    }
}

/// When a command that cannot be read beside somebody's lock is told of later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lateness {
    /// No row and no later command needs what it did.
    AtOnce,
    /// What is called otherwise now may be in the way of a later command: better in order.
    AfterAWhile,
    Never,
}

thread_local! {
    /// What this session wrote last, and where.
    static LAST: RefCell<Option<Ready>> = const { RefCell::new(None) };
    static REWRITTEN: RefCell<Option<Rewritten>> = const { RefCell::new(None) };
}

/// Families, by their tops, whose images a command that rewrites them has written already.
struct Rewritten {
    here: (u32, u32),
    command: usize,
    tops: HashSet<u32>,
}

impl Rewritten {
    /// Those that this command has written.
    fn of(&self, noted: &Noted) -> HashSet<u32> {
        let is_same = (self.here, self.command) == (noted.here, noted.command);
        if is_same { self.tops.clone() } else { HashSet::new() }
    }
}

/// A row as it is about to be written.
pub struct Ready {
    entry: LogEntry,
    touched: Vec<Object>,
    here: (u32, u32),
    rewritten: Option<Rewritten>,
}

/// How much is read, and how long locks of others are waited for. A command may be about what it has not locked: GRANT about a table, what
/// concerns a parent alone about its children, RENAME about those whose foreign keys and queries have the name in their texts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// Without waiting.
    All,
    /// Without waiting, and without relations that it neither names nor has locked: they can only have another name in their texts, which
    /// is told later.
    Themselves,
    /// Everything, if the locks are to be had in a while.
    AWhile,
    /// Everything, once the locks are to be had.
    Patient,
}

impl Depth {
    fn patience(self) -> Patience {
        match self {
            Depth::All | Depth::Themselves => Patience::None,
            Depth::AWhile => Patience::Short,
            Depth::Patient => Patience::OfTheSession,
        }
    }
}

/// None where there is nothing to tell.
pub fn read(noted: &Noted, depth: Depth) -> Result<Option<Ready>> {
    match &noted.about {
        About::Effects(effects) => read_effects(noted, effects, depth),
        About::Rewrite(rewrite) => read_rewrite(noted, *rewrite, depth),
        About::Unknown => read_without_image(noted).map(Some),
    }
}

/// All that the command touched and dropped.
fn read_effects(noted: &Noted, effects: &Effects, depth: Depth) -> Result<Option<Ready>> {
    REWRITTEN.take();
    let (captured, snapshot) = command::after_command_with(depth.patience(), || {
        let mut roots = command::roots(&effects.objects, effects.are_renamed && depth != Depth::Themselves)?;
        if depth == Depth::Themselves {
            roots.objects.retain(|object| roots.themselves.contains(object) || is_to_be_had(object));
        }
        if roots.are_ours && effects.dropped.is_empty() {
            return Ok((None, String::new()));
        }
        let mut captured = command::describe(&roots.objects)?;
        let made =
            |object: &Object| roots.themselves.contains(object) && effects.made.contains(&(object.0.oid(), object.1));
        captured.created = captured.touched.iter().copied().filter(made).collect();
        if noted.tag == ALTER_EXTENSION {
            captured.taken = without_image(&roots.objects, &captured);
        }
        Ok((Some(captured), command::snapshot()?))
    })?;
    let Some(mut captured) = captured else { return Ok(None) };
    captured.dropped.clone_from(&effects.dropped);
    captured.refreshed.clone_from(&effects.refreshed);
    captured.detached.clone_from(&effects.detached);
    captured.approval.clone_from(&effects.approval);
    captured.is_late = depth == Depth::Themselves && effects.are_renamed;
    let ready = ready(noted, snapshot, captured)?;
    Ok((ready.touched.is_empty() || !is_repeated(&ready)).then_some(ready))
}

/// Relations that the command named and that no task creates any more.
fn without_image(objects: &[Object], captured: &Captured) -> Vec<Object> {
    let is_taken = |object: &&Object| object.0 == Class::Relation && !captured.touched.contains(object);
    objects.iter().filter(is_taken).copied().collect()
}

fn is_to_be_had(object: &Object) -> bool {
    object.0 != Class::Relation || rel::is_held(object.1)
}

/// Before the rows. The first row of a command has the images of all that inherit from the same table, as far as the command has locked
/// them, so that no part of what it changes is described without the rest; those for its other members name the member only.
fn read_rewrite(noted: &Noted, rewrite: Rewrite, depth: Depth) -> Result<Option<Ready>> {
    let mut written = REWRITTEN.with_borrow(|known| known.as_ref().map_or_else(HashSet::new, |known| known.of(noted)));
    let (captured, snapshot) = command::after_command_with(depth.patience(), || {
        let tops: Vec<u32> = command::tops(rewrite.table)?.into_iter().filter(|top| written.insert(*top)).collect();
        let table = |oid| TouchedObject { class: Class::Relation.oid(), oid, is_alone: false };
        let objects: Vec<TouchedObject> = tops.into_iter().map(table).collect();
        let roots = command::roots(&objects, false)?;
        let held: Vec<Object> = roots.objects.into_iter().filter(is_to_be_had).collect();
        let captured = if held.is_empty() { empty() } else { command::describe(&held)? };
        Ok(((!roots.are_ours).then_some(captured), command::snapshot()?))
    })?;
    let Some(captured) = captured else { return Ok(None) };
    let ready = ready(noted, snapshot, Captured { rewrite: Some(rewrite), ..captured })?;
    let rewritten = Some(Rewritten { here: noted.here, command: noted.command, tops: written });
    Ok(Some(Ready { rewritten, ..ready }))
}

/// What the command was about, as far as that is known.
pub fn read_without_image(noted: &Noted) -> Result<Ready> {
    read_touched(noted, |captured| captured.is_unread = true)
}

/// What the command was about: how that is now is told later.
pub fn read_late(noted: &Noted) -> Result<Ready> {
    read_touched(noted, |captured| captured.is_late = true)
}

fn read_touched(noted: &Noted, mark: impl FnOnce(&mut Captured)) -> Result<Ready> {
    REWRITTEN.take();
    let mut captured = match &noted.about {
        About::Effects(Effects { objects, dropped, .. }) => {
            let touched = objects.iter().filter_map(|object| Some((Class::of(object.class)?, object.oid)));
            Captured { touched: touched.collect(), dropped: dropped.clone(), ..empty() }
        }
        About::Rewrite(rewrite) => Captured { rewrite: Some(*rewrite), ..empty() },
        About::Unknown => empty(),
    };
    mark(&mut captured);
    let snapshot = command::after_command(command::snapshot)?;
    ready(noted, snapshot, captured)
}

fn ready(noted: &Noted, snapshot: String, captured: Captured) -> Result<Ready> {
    let entry = LogEntry {
        snapshot,
        image: ddl_log::text(&captured)?,
        tag: noted.tag.clone(),
        author: noted.author.clone(),
        command: noted.text.clone(),
    };
    Ok(Ready { entry, touched: captured.touched, here: noted.here, rewritten: None })
}

fn empty() -> Captured {
    Captured { form: FORM, ..Captured::default() }
}

/// ALTER TABLE that drops a column is told twice by the server, and once by us: as long as nothing is rolled back in between.
fn is_repeated(ready: &Ready) -> bool {
    // Without a number one transaction cannot be told from another.
    let is_known = ready.here.0 != 0;
    let is_same = |last: &Ready| {
        (last.here, &last.entry.tag, &last.entry.image) == (ready.here, &ready.entry.tag, &ready.entry.image)
    };
    is_known && LAST.with_borrow(|last| last.as_ref().is_some_and(is_same))
}

/// Returns what the row is about, as roots.
pub fn write(mut ready: Ready) -> Result<Vec<Object>> {
    ddl_log::write(&ready.entry)?;
    if let Some(rewritten) = ready.rewritten.take() {
        REWRITTEN.set(Some(rewritten));
    }
    let touched = ready.touched.clone();
    LAST.set((ready.entry.image.len() <= LONGEST_REMEMBERED).then_some(ready));
    Ok(touched)
}
