//! What a command has left behind, read by the session that ran it: few objects of a database of any size, within milliseconds.
//!
//! The catalogs are asked by oid, with plans that are kept and use indexes only. The image is whole: parents that are not in it are named,
//! nothing is blocked, and rows that are older than a column say what they have in it.

use std::collections::HashSet;
use std::ffi::CString;
use std::rc::Rc;

use super::facts::{address_arrays, ask, class};
use super::needs::Needs;
use super::{ask as causes, extensions, image, privileges};
use crate::destination::data_settings;
use crate::error::{Error, Result};
use crate::logicalrep::Row;
use crate::logicalrep::array::{oid_array, text_array};
use crate::pg::{rel, spi, xact};
use crate::schema::apart::wholes;
use crate::schema::captured::{Captured, FORM, Owned};
use crate::schema::image::{Class, Image, View};
use crate::schema::scope::Object;

/// What the catalogs say after a command, as they are at one moment that is later than everything the command did.
pub fn after_command<R>(f: impl FnOnce() -> Result<R>) -> Result<R> {
    after_command_with(Patience::OfTheSession, f)
}

/// How long locks are waited for that others hold: the server takes weak ones on tables whose expressions and queries it shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Patience {
    OfTheSession,
    /// A while, but not long enough for a search for deadlocks to end the session's command.
    Short,
    /// Not long enough for anybody to look for a deadlock.
    None,
}

impl Patience {
    fn lock_timeout(self) -> Option<CString> {
        match self {
            Patience::OfTheSession => None,
            Patience::Short => CString::new(format!("{}ms", (xact::deadlock_timeout() / 2).as_millis().max(1))).ok(),
            Patience::None => Some(c"10ms".into()),
        }
    }
}

pub fn after_command_with<R>(patience: Patience, f: impl FnOnce() -> Result<R>) -> Result<R> {
    // The transaction is older than the snapshot: whoever reads the row knows that the snapshot does not show what came after.
    xact::assign_number();
    xact::make_visible();
    match patience.lock_timeout() {
        None => at_this_moment(f),
        Some(timeout) => spi::as_extension_with(&[(c"lock_timeout".into(), timeout)], || at_this_moment(f)),
    }
}

/// What they say now, for a transaction that has done nothing, and may not have to.
pub fn at_this_moment<R>(f: impl FnOnce() -> Result<R>) -> Result<R> {
    thread_local! {
        static SETTINGS: Rc<[(CString, CString)]> = settings();
    }
    let settings = SETTINGS.with(Rc::clone);
    spi::as_extension_with(&settings, || spi::with_kept_plans(|| spi::with_latest_snapshot(f)))
}

/// As questions of a task have them, and such that plans use indexes whatever the size of the catalogs is now.
fn settings() -> Rc<[(CString, CString)]> {
    const PLANS: [(&str, &str); 6] = [
        ("jit", "off"),
        ("enable_seqscan", "off"),
        ("enable_hashjoin", "off"),
        ("enable_mergejoin", "off"),
        ("enable_material", "off"),
        ("max_parallel_workers_per_gather", "0"),
    ];
    let c = |text: &str| CString::new(text).unwrap_or_default();
    data_settings().chain(PLANS).map(|(name, value)| (c(name), c(value))).collect()
}

/// What objects are parts of.
#[derive(Debug, Default)]
pub struct CommandRoots {
    pub objects: Vec<Object>,
    /// Those that are no part of another.
    pub themselves: HashSet<Object>,
    /// There was at least one, and all belong to this extension or to a session.
    pub are_ours: bool,
}

/// An object by catalog and oid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TouchedObject {
    pub class: u32,
    pub oid: u32,
    /// The command left alone what inherits from it.
    pub is_alone: bool,
}

macro_rules! touched {
    ($($others:literal)?; $($renamed:literal)?) => {
        concat!(
            include_str!("../../../sql/query/capture/touched/of_relations.sql"),
            $(include_str!(concat!("../../../sql/query/capture/touched/", $others, ".sql")),)?
            include_str!("../../../sql/query/capture/touched/typed_tables.sql"),
            $(include_str!(concat!("../../../sql/query/capture/touched/", $renamed, ".sql")),)?
            include_str!("../../../sql/query/capture/touched/found.sql")
        )
    };
}

/// With tables that name them, if they may have got other names.
pub fn roots(objects: &[TouchedObject], are_renamed: bool) -> Result<CommandRoots> {
    let (classes, oids) = objects.iter().map(|object| (object.class, object.oid)).unzip::<_, _, Vec<_>, Vec<_>>();
    let alone = text_array(objects.iter().map(|object| if object.is_alone { "t" } else { "f" }));
    let are_relations = classes.iter().all(|class| *class == Class::Relation.oid());
    let sql = match (are_relations, are_renamed) {
        (true, false) => touched!(;),
        (true, true) => touched!(; "renamed"),
        (false, false) => touched!("of_others";),
        (false, true) => touched!("of_others"; "renamed"),
    };
    let rows = ask(sql, &[&oid_array(classes), &oid_array(oids), &alone])?;
    let mut roots = CommandRoots::default();
    for row in &rows {
        let Some(class) = class(row, "class")? else { continue };
        let object = (class, row.parse("oid")?);
        if row.bool("is_ours")? {
            continue;
        }
        roots.objects.push(object);
        if row.bool("is_root")? {
            roots.themselves.insert(object);
        }
    }
    roots.are_ours = !rows.is_empty() && roots.objects.is_empty();
    Ok(roots)
}

/// What needs the objects, and they themselves, as parts of what they belong to.
pub fn dependents(objects: &[Object]) -> Result<Vec<TouchedObject>> {
    let [classes, oids] = address_arrays(objects);
    let sql = include_str!("../../../sql/query/capture/dependents.sql");
    let rows = spi::as_extension(|| ask(sql, &[&classes, &oids]))?;
    let touched = |row: &Row| Ok(TouchedObject { class: row.parse("class")?, oid: row.parse("oid")?, is_alone: true });
    rows.iter().map(touched).collect()
}

/// What the objects are now, by their code.
pub fn code_now(objects: &[Object]) -> Result<Vec<(Object, String)>> {
    let captured = after_command(|| describe(objects))?;
    Ok(objects.iter().filter_map(|object| Some((*object, captured.code_of(*object)?))).collect())
}

/// How far up from a table its ancestors are held by this transaction: those, or the table itself, of which no parent is.
pub fn tops(table: u32) -> Result<Vec<u32>> {
    let rows = ask(include_str!("../../../sql/query/capture/family.sql"), &[&table.to_string()])?;
    let pairs: Vec<(u32, u32)> = rows.iter().map(|row| Ok((row.parse(0)?, row.parse(1)?))).collect::<Result<_>>()?;
    let (mut seen, mut tops, mut waiting) = (HashSet::from([table]), Vec::new(), vec![table]);
    while let Some(oid) = waiting.pop() {
        let parents = pairs.iter().filter(|pair| pair.0 == oid).map(|pair| pair.1);
        let held: Vec<u32> = parents.filter(|parent| rel::is_held(*parent)).collect();
        if held.is_empty() {
            tops.push(oid);
        }
        waiting.extend(held.into_iter().filter(|parent| seen.insert(*parent)));
    }
    tops.sort_unstable();
    Ok(tops)
}

/// The snapshot that everything here is read under.
pub fn snapshot() -> Result<String> {
    let rows = ask(include_str!("../../../sql/query/capture/snapshot.sql"), &[])?;
    let row = rows.first().ok_or_else(|| Error::internal("no snapshot"))?;
    row.string(0)
}

/// The objects, those that are images of something, whole and with all that they need.
pub fn describe(objects: &[Object]) -> Result<Captured> {
    describe_with(Needs::of_few(objects)?, objects)
}

/// The same with the functions and views that they need.
pub fn describe_with_code(objects: &[Object]) -> Result<Captured> {
    describe_with(Needs::with_code(objects)?, objects)
}

fn of(objects: &[Object], class: Class) -> Vec<u32> {
    objects.iter().filter(|object| object.0 == class).map(|object| object.1).collect()
}

fn describe_with(needs: Needs, objects: &[Object]) -> Result<Captured> {
    let types = of(objects, Class::Type);
    let mut scope = needs.whole_scope(&types);
    scope.extensions.extend(of(objects, Class::Extension));
    let named = of(objects, Class::Collation).into_iter();
    scope.collations.extend(named.filter(|oid| !scope.collations.contains(oid)).collect::<Vec<_>>());
    // A relation that is neither a table nor a view is a sequence, or nothing that travels.
    let here: HashSet<u32> = needs.oids().into_iter().chain(needs.views.iter().map(View::oid)).collect();
    let sequences: Vec<u32> = of(objects, Class::Relation).into_iter().filter(|oid| !here.contains(oid)).collect();
    let mut image = image::load(&needs, &scope, &sequences)?;
    schemas(&mut image, &of(objects, Class::Namespace))?;
    comments(&mut image)?;
    image.privileges = privileges::load(&image)?;
    let known: HashSet<Object> = image.roots().collect();
    // Who has no superuser there looks for them.
    let of_superusers = image.plain.iter().filter(|of| of.kind.is_for_superusers()).map(|of| (of.class(), of.oid));
    scope.causes.extend(of_superusers);
    let causes = causes::foreign_of(&scope.causes)?;
    let mut dependencies = needs.into_dependencies();
    dependencies.extend(extensions::requirements(&image.extensions)?);
    Ok(Captured {
        form: FORM,
        touched: objects.iter().copied().filter(|object| known.contains(object)).collect(),
        owners: owners(&image)?,
        image,
        dependencies,
        causes,
        ..Captured::default()
    })
}

/// Of what runs with the rights of its owner.
fn owners(image: &Image) -> Result<Vec<Owned>> {
    let with_rules = image.tables.iter().filter(|table| !table.rules.is_empty());
    let relations = with_rules.map(|table| table.oid).chain(image.views.iter().map(View::oid));
    let routines = image.routines.iter().map(|routine| (Class::Proc, routine.oid));
    let objects: Vec<Object> = relations.map(|oid| (Class::Relation, oid)).chain(routines).collect();
    if objects.is_empty() {
        return Ok(Vec::new());
    }
    let [classes, oids] = address_arrays(&objects);
    let rows = ask(include_str!("../../../sql/query/capture/owners.sql"), &[&classes, &oids])?;
    let owned = |row: &Row| {
        let Some(class) = class(row, "class")? else { return Ok(None) };
        Ok(Some(Owned {
            object: (class, row.parse("oid")?),
            role: row.string("rolname")?,
            role_oid: row.parse("role_oid")?,
            is_superuser: row.bool("rolsuper")?,
        }))
    };
    rows.iter().map(owned).filter_map(Result::transpose).collect()
}

/// Adds those that the command touched to those that the objects are in.
fn schemas(image: &mut Image, touched: &[u32]) -> Result<()> {
    let there: HashSet<u32> = image.schemas.iter().map(|schema| schema.oid).collect();
    let more = oid_array(touched.iter().copied().filter(|oid| !there.contains(oid)));
    if more != "{}" {
        let rows = ask(include_str!("../../../sql/query/capture/schemas.sql"), &[&more])?;
        let more = rows.iter().map(image::schema).collect::<Result<Vec<_>>>()?;
        image.schemas.extend(more);
    }
    Ok(())
}

fn comments(image: &mut Image) -> Result<()> {
    let objects: Vec<Object> = image.roots().chain(wholes(image).into_keys()).collect();
    let [classes, oids] = address_arrays(&objects);
    let rows = ask(include_str!("../../../sql/query/capture/comments.sql"), &[&classes, &oids])?;
    image.comments = image::comments_of(&rows)?;
    Ok(())
}
