//! What the selected tables are made of: the statements that create them, what is left out and why, and what the destination has to
//! have. The catalogs are asked here (`sql/query/schema`), `crate::schema` makes statements of the answers.

mod ask;
mod code;
pub mod command;
mod facts;
mod image;
mod left_out;
mod missing;
mod needs;
mod omissions;
mod privileges;
mod tables;

use std::cell::OnceCell;
use std::collections::HashSet;
use std::rc::Rc;

use self::needs::Needs;
use super::{Scope, sequences};
use crate::error::{Error, Result, sqlstate};
use crate::pg::{compat, encoding, xact};
use crate::schema::Item;
use crate::schema::apart::apart;
use crate::schema::captured::{Captured, Taker, Trust};
use crate::schema::image::{Class, Image, Table};
use crate::schema::model::{Known, Standing};
use crate::schema::plan;
use crate::schema::scope::Object;

pub use ask::{Cause, ask_causes, ask_names, causes};
pub use facts::again;
pub use left_out::{bounded, left_out};
pub use omissions::omissions;

/// What is to be created: tables, the sequences that no column owns, and what parts of the tables need and the
/// destination has already.
#[derive(Clone, Debug, Default)]
pub struct Extent {
    relations: Vec<u32>,
    sequences: Vec<u32>,
    available: Vec<Object>,
    /// Read once, for all that is asked about this extent; not for what is created.
    needs: Rc<OnceCell<Needs>>,
}

impl Extent {
    /// Without looking at the destination: parts that need something made by hand count as left out.
    pub fn of(scope: &Scope, relations: &[u32]) -> Result<Extent> {
        let sequences = sequences::named(scope)?.into_iter().map(|sequence| sequence.oid).collect();
        Ok(Extent { relations: relations.to_vec(), sequences, ..Extent::default() })
    }

    /// Tables by themselves.
    pub fn tables(relations: &[u32]) -> Extent {
        Extent { relations: relations.to_vec(), ..Extent::default() }
    }

    /// As somebody names it who knows what the destination has.
    pub fn by_hand(relations: Vec<u32>, sequences: Vec<u32>, available: Vec<Object>) -> Extent {
        Extent { relations, sequences, available, ..Extent::default() }
    }

    pub fn with(mut self, available: &[Cause]) -> Extent {
        self.available = available.iter().map(|cause| cause.address).collect();
        self
    }

    fn image(&self, with_privileges: bool) -> Result<Image> {
        facts::at_one_moment(|| self.image_with(&Needs::of(&self.relations)?, with_privileges))
    }

    /// For questions only: what is created is read at one moment.
    fn image_as_known(&self) -> Result<Image> {
        facts::at_one_moment(|| self.image_with(self.needs()?, false))
    }

    fn image_with(&self, needs: &Needs, with_privileges: bool) -> Result<Image> {
        let scope = needs.scope(&self.available);
        image::load(needs, &scope, &self.sequences, with_privileges)
    }

    fn needs(&self) -> Result<&Needs> {
        match self.needs.get() {
            Some(needs) => Ok(needs),
            None => {
                let needs = Needs::of(&self.relations)?;
                Ok(self.needs.get_or_init(|| needs))
            }
        }
    }
}

/// All statements that create it on an empty database, in order.
pub fn statements(extent: &Extent) -> Result<Vec<Item>> {
    statements_of(&extent.image(false)?)
}

/// The same with what other roles may do, which no task gives them.
pub fn statements_and_privileges(extent: &Extent) -> Result<Vec<Item>> {
    statements_of(&extent.image(true)?)
}

/// The objects as they are at one moment, and which transactions that moment shows.
pub struct ImageAt {
    pub captured: Captured,
    pub snapshot: String,
}

impl ImageAt {
    /// The image as a task has it that follows these tables.
    pub fn for_task(&self, tables: &[u32], trust: &Trust, available: &[Object]) -> Image {
        let taker = Taker { trust, available, applied: &HashSet::new(), leaving: &HashSet::new() };
        let mut captured = self.captured.clone();
        captured.feed(tables, &taker, &HashSet::new());
        captured.for_task(tables, &taker)
    }

    /// An image of that moment, object by object: commands that the moment shows are not applied to them again.
    pub fn known(&self, image: &Image) -> Vec<(Object, Known)> {
        let known =
            |(object, kept)| (object, Known { standing: Standing::Followed, base: self.snapshot.clone(), kept });
        apart(image, &self.captured.dependencies, &self.captured.causes).into_iter().map(known).collect()
    }
}

pub fn moment(extent: &Extent) -> Result<ImageAt> {
    let objects: Vec<Object> =
        extent.relations.iter().chain(&extent.sequences).map(|oid| (Class::Relation, *oid)).collect();
    let describe = || Ok(ImageAt { captured: command::describe(&objects)?, snapshot: command::snapshot()? });
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

pub fn statements_of(image: &Image) -> Result<Vec<Item>> {
    let items = plan::create(image, compat::MAJOR);
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
