//! What the selected tables are made of: the statements that create them, what is left out and why, and what the destination has to
//! have. The catalogs are asked here (`sql/query/schema`), `crate::schema` makes statements of the answers.

mod ask;
mod code;
pub mod command;
mod extensions;
mod facts;
mod image;
mod left_out;
mod missing;
mod needs;
mod omissions;
mod privileges;
mod rest;
mod tables;

use std::cell::OnceCell;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::rc::Rc;

use self::needs::NeededCode;
use super::{Scope, Task, sequences};
use crate::error::{Error, Result, sqlstate};
use crate::pg::{compat, encoding, xact};
use crate::schema::Item;
use crate::schema::apart::apart;
use crate::schema::captured::{Captured, Owned, SUPERUSER, Taker, Trust};
use crate::schema::image::{Class, Extension, Image, Plain, Table};
use crate::schema::model::{Known, Standing};
use crate::schema::order::{Order, needed_code};
use crate::schema::plan;
use crate::schema::scope::{Dependency, Object, Scope as ScopeOfTables};

pub use ask::{Cause, ask_causes, ask_names, causes, causes_of, left_to_superusers};
pub use facts::again;
pub use left_out::{bounded, left_out};
pub use omissions::omissions;
pub use rest::{Besides, RoleSql, memberships, outside, rest, roles_of, roles_sql};

/// What is to be created: tables, sequences that no column owns, views and functions, with all that they need; and for whom.
#[derive(Clone, Debug, Default)]
pub struct Extent {
    objects: Vec<Object>,
    /// With the functions and views that they need?
    with_code: bool,
    /// Whose code is created; none: everybody's.
    trust: Option<Trust>,
    /// What the destination has of what is not created.
    available: Vec<Object>,
    /// Read once, for all that is asked about this extent; not for what is created.
    described: Rc<OnceCell<Captured>>,
}

impl Extent {
    /// Tables of a task, and what its patterns name besides. Without looking at the destination: what needs something made by hand counts as
    /// left out.
    pub fn of(scope: &Scope, relations: &[u32]) -> Result<Extent> {
        let mut objects = relations_of(relations);
        objects.extend(sequences::named(scope)?.into_iter().map(|sequence| (Class::Relation, sequence.oid)));
        if scope.schema_sync {
            objects.extend(code::named(scope)?);
            objects.extend(extensions::named(scope)?);
        }
        Ok(Extent { objects, with_code: scope.schema_sync, ..Extent::default() })
    }

    /// What a task has of tables.
    pub fn of_task(task: &Task, relations: &[u32]) -> Result<Extent> {
        Ok(Extent::of(&task.scope, relations)?.trusting(task.trust()))
    }

    /// Tables by themselves.
    pub fn tables(relations: &[u32]) -> Extent {
        Extent { objects: relations_of(relations), ..Extent::default() }
    }

    /// As somebody names it who knows what the destination has.
    pub fn by_hand(relations: &[u32], sequences: &[u32], available: Vec<Object>) -> Extent {
        let mut objects = relations_of(relations);
        objects.extend(relations_of(sequences));
        Extent { objects, available, ..Extent::default() }
    }

    pub fn trusting(mut self, trust: Trust) -> Extent {
        self.trust = Some(trust);
        self
    }

    pub fn with(mut self, available: Vec<Object>) -> Extent {
        self.available = available;
        self
    }

    /// Are extensions among what is named? Others come only if something needs them.
    pub fn names_extensions(&self) -> bool {
        self.objects.iter().any(|(class, _)| *class == Class::Extension)
    }

    /// Without extensions that the destination cannot have, and those that require them, where nothing is known to need them.
    pub fn without_extensions(mut self, missing: &HashSet<u32>) -> Result<Extent> {
        if missing.is_empty() {
            return Ok(self);
        }
        let missing = extensions::with_requiring(missing)?;
        self.objects.retain(|(class, oid)| *class != Class::Extension || !missing.contains(oid));
        self.described = Rc::default();
        Ok(self)
    }

    /// As it is now, with everything that the server says it depends on.
    fn describe(&self) -> Result<Captured> {
        match self.with_code {
            true => command::describe_with_code(&self.objects),
            false => command::describe(&self.objects),
        }
    }

    fn described(&self) -> Result<&Captured> {
        match self.described.get() {
            Some(described) => Ok(described),
            None => {
                let described = facts::at_one_moment(|| self.describe())?;
                Ok(self.described.get_or_init(|| described))
            }
        }
    }

    /// What is created of it.
    fn image(&self) -> Result<(Image, Vec<Dependency>)> {
        let captured = facts::at_one_moment(|| self.describe())?;
        let dependencies = captured.dependencies.clone();
        Ok((self.taken(captured).image, dependencies))
    }

    /// The same, for questions only: what is created is read at one moment.
    fn taken_as_known(&self) -> Result<Taken> {
        Ok(self.taken(self.described()?.clone()))
    }

    fn taken(&self, captured: Captured) -> Taken {
        let everybody = || Trust { roles: captured.owners.iter().map(|of| of.role_oid).collect(), ..Trust::default() };
        let trust = self.trust.clone().unwrap_or_else(everybody);
        let taker =
            Taker { trust: &trust, available: &self.available, applied: &HashSet::new(), leaving: &HashSet::new() };
        let tables: Vec<u32> = captured.image.tables.iter().map(|table| table.oid).collect();
        let (image, scope) = captured.image_and_scope(&tables, &taker);
        Taken { image, scope, untrusted: captured.untrusted(&taker).into_iter().cloned().collect() }
    }
}

/// What is created of an extent, and why not the rest.
struct Taken {
    image: Image,
    scope: ScopeOfTables,
    untrusted: Vec<Owned>,
}

fn relations_of(oids: &[u32]) -> Vec<Object> {
    oids.iter().map(|oid| (Class::Relation, *oid)).collect()
}

/// All statements that create it on an empty database, in order.
pub fn statements(extent: &Extent) -> Result<Vec<Item>> {
    let (image, dependencies) = extent.image()?;
    statements_of(&image, &dependencies)
}

/// The same, where nobody else is to do anything with it.
pub fn statements_without_privileges(extent: &Extent) -> Result<Vec<Item>> {
    let (image, dependencies) = extent.image()?;
    statements_of(&Image { privileges: HashMap::new(), ..image }, &dependencies)
}

/// Of one object that only superusers make: what it needs, and it itself with others of that kind.
pub fn statements_of_one(extent: &Extent, object: Object) -> Result<[Vec<Item>; 2]> {
    let (trust, available) = (extent.trust.clone(), vec![SUPERUSER]);
    let alone = Extent { objects: vec![object], with_code: true, trust, available, ..Extent::default() };
    let (mut image, dependencies) = alone.image()?;
    image.privileges.clear();
    let is_for_superusers = |of: &Plain| of.kind.is_for_superusers();
    let plain = image.plain.iter().filter(|of| is_for_superusers(of)).cloned().collect();
    let others = Image { plain, comments: std::mem::take(&mut image.comments), ..Image::default() };
    image.plain.retain(|of| !is_for_superusers(of));
    Ok([statements_of(&image, &dependencies)?, statements_of(&others, &dependencies)?])
}

/// Functions, views and the like of an extent besides `there`: each list after what it needs. No text is read, so nobody's lock is waited for.
pub fn code_in_order(extent: &Extent, there: &HashSet<Object>) -> Result<Vec<Vec<Object>>> {
    let needs = facts::at_one_moment(|| NeededCode::of(&extent.objects))?;
    let order = Order::among(&needs.objects, &needs.views, &needs.dependencies);
    let is_missing = |object: &&Object| (object.0.is_code() || needs.views.contains(object)) && !there.contains(object);
    let mut missing: Vec<Object> = needs.objects.iter().filter(is_missing).copied().collect();
    missing.sort_unstable();
    Ok(order.in_levels(missing))
}

/// Roles to which something is granted that is created, and how many grants that are.
pub fn grantees(extent: &Extent) -> Result<BTreeMap<String, usize>> {
    let image = extent.taken_as_known()?.image;
    let mut grants = BTreeMap::new();
    for role in image.privileges.values().flat_map(|of| &of.grants).filter_map(|grant| grant.grantee.as_ref()) {
        *grants.entry(role.clone()).or_default() += 1;
    }
    Ok(grants)
}

/// What is created, by catalogs and oids, as two arrays.
pub fn created(extent: &Extent) -> Result<[String; 2]> {
    let image = extent.taken_as_known()?.image;
    Ok(facts::address_arrays(&image.roots().collect::<Vec<_>>()))
}

/// An extension that comes, and whether something that is created is known to need it.
#[derive(Clone, Debug)]
pub struct WantedExtension {
    pub extension: Extension,
    pub is_needed: bool,
}

pub fn extensions(extent: &Extent) -> Result<Vec<WantedExtension>> {
    let Taken { image, scope, .. } = extent.taken_as_known()?;
    let wanted =
        |extension: Extension| WantedExtension { is_needed: scope.extensions.contains(&extension.oid), extension };
    Ok(image.extensions.into_iter().map(wanted).collect())
}

/// What of an extent is there when rows come: tables and what they need, and functions that may be called by chance.
pub fn made_before_rows(extent: &Extent) -> Result<HashSet<Object>> {
    let image = extent.taken_as_known()?.image;
    let needed = needed_code(&image, &extent.described()?.dependencies);
    let code = image.routines.iter().map(|of| ((Class::Proc, of.oid), of.blocked));
    let code = code.chain(image.plain.iter().map(|of| ((of.class(), of.oid), of.blocked)));
    let code = code.chain(image.views.iter().map(|of| ((Class::Relation, of.oid()), of.blocked)));
    let late: HashSet<Object> =
        code.filter(|(object, is_blocked)| *is_blocked || !needed.contains(object)).map(|(object, _)| object).collect();
    Ok(image.roots().filter(|object| !late.contains(object)).collect())
}

/// Does a view or a function of an extent need one of its tables?
pub fn reads_tables(extent: &Extent, object: Object) -> Result<bool> {
    let described = extent.described()?;
    let is_table = |oid: u32| described.image.tables.iter().any(|table| table.oid == oid);
    let needs = |of: &Dependency| of.part == object || of.table == Some(object.1);
    Ok(described.dependencies.iter().any(|of| needs(of) && of.relation.is_some_and(is_table)))
}

/// The objects as they are at one moment, and which transactions that moment shows.
pub struct ImageAt {
    pub captured: Captured,
    pub snapshot: String,
}

impl ImageAt {
    /// The image as a task has it that follows these tables, without functions and views that they do not need: the stream brings those
    /// when all tables are of one moment.
    pub fn for_task(&self, tables: &[u32], trust: &Trust, available: &[Object]) -> Image {
        let taker = Taker { trust, available, applied: &HashSet::new(), leaving: &HashSet::new() };
        let mut captured = self.captured.clone();
        captured.feed(tables, &taker, &HashSet::new());
        let mut image = captured.for_task(tables, &taker);
        let needed = needed_code(&image, &captured.dependencies);
        image.sequences.iter_mut().for_each(|of| of.is_of_other = false);
        image.routines.retain(|of| needed.contains(&(Class::Proc, of.oid)));
        image.views.retain(|view| needed.contains(&(Class::Relation, view.oid())));
        image.plain.retain(|of| needed.contains(&(of.class(), of.oid)));
        image
    }

    /// An image of that moment, object by object: commands that the moment shows are not applied to them again.
    pub fn known(&self, image: &Image) -> Vec<(Object, Known)> {
        let known =
            |(object, kept)| (object, Known { standing: Standing::Followed, base: self.snapshot.clone(), kept });
        apart(image, &self.captured.dependencies, &self.captured.causes).into_iter().map(known).collect()
    }
}

pub fn moment(extent: &Extent) -> Result<ImageAt> {
    let describe = || Ok(ImageAt { captured: extent.describe()?, snapshot: command::snapshot()? });
    // The server shows texts of definitions as they are now, whatever the snapshot: a table may get another name in between.
    const TIMES: u32 = 10;
    let mut times = 1;
    loop {
        let read = again(|| xact::attempt(|| facts::at_one_moment(describe)))?;
        if times == TIMES || !read.captured.image.tables.iter().any(Table::is_torn) {
            return Ok(read);
        }
        times += 1;
    }
}

pub fn statements_of(image: &Image, dependencies: &[Dependency]) -> Result<Vec<Item>> {
    let items = plan::create(image, dependencies, compat::MAJOR);
    match items.iter().find(|item| encoding::is_damaged(item.statement.as_str())) {
        Some(item) => Err(unreadable(item)),
        None => Ok(items),
    }
}

fn unreadable(item: &Item) -> Error {
    Error::new(
        sqlstate::CHARACTER_NOT_IN_REPERTOIRE,
        format!("the definition of {} {} is not valid UTF-8", item.kind, item.object),
    )
    .detail("The database's encoding is SQL_ASCII, so nobody can tell the letters of names and constants.")
    .hint("Create the objects on the destination yourself, and the task with schema_sync => false.")
}
