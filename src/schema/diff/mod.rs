//! What has to be done to make one image of another: from nothing, everything in the order in which it can be created.
//!
//! Objects are the same when their oids are: one under another name is renamed, one that the later image has not is dropped, and one that
//! is new is created with its parts. So the former image may only have what is to go and what the later one has, too: a type that a table
//! does not need any more is not there, or it is dropped. The order is that of the kinds ([`Kind::phase`]), then of the levels.
//!
//! Texts of the server (defaults, definitions) change with any name in them. Where that may be all that has changed, the step's question
//! asks the destination, which writes its own text by then, and the step is not needed.
//!
//! What an object was and what the steps make of it is compared with what it is: a change that no step says is named in
//! [`Difference::unsaid`], so that nobody takes a difference for none. The server has no way to make such a change either.

mod action;
mod alter;
mod casts;
mod code;
mod columns;
mod constraints;
mod containers;
mod indexes;
mod matching;
mod names;
mod notes;
mod parts;
mod renames;
mod sequences;
mod subject;
mod table;
#[cfg(test)]
mod tests;
mod twins;
mod types;

use std::collections::{HashMap, HashSet};

use super::image::{Class, Image, Table};
use super::inherit::Family;
use super::kind::Kind;
use super::scope::Object;
use matching::pairs;
use renames::Renames;

pub use action::{
    Action, ColumnChange, ConstraintChange, DomainChange, IndexChange, SequenceChange, TableChange, TypeChange, Way,
};
pub use names::{RELATIONS, TYPES};
pub use renames::{STATISTICS, names_of};
pub use subject::Subject;
pub use table::{ColumnDefinition, Element, NotNull, Value};

#[derive(Clone, Debug)]
pub struct Step<'a> {
    pub kind: Kind,
    pub level: i64,
    pub action: Action<'a>,
}

impl Step<'_> {
    /// The table has no rows when the step runs: any type can become any other.
    pub fn of_empty(&mut self, emptied: u32) {
        if let Action::AlterColumn { table, change: ColumnChange::Type { by_text }, .. } = &mut self.action
            && table.oid == emptied
        {
            *by_text = true;
        }
    }

    /// The table that comes under a partitioned one that is there.
    pub fn coming(&self) -> Option<u32> {
        match &self.action {
            Action::AttachTable { table, .. } if self.kind == Kind::PartitionOfOld => Some(table.oid),
            _ => None,
        }
    }
}

/// What makes one image of another.
#[derive(Clone, Debug, Default)]
pub struct Difference<'a> {
    pub steps: Vec<Step<'a>>,
    /// What is in both, and changed in a way that no step says.
    pub unsaid: Vec<Subject<'a>>,
}

/// What is dropped, of what others may have come to need.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Options {
    pub drops_schemas: bool,
    pub drops_extensions: bool,
}

/// What two images are compared with.
struct Comparison<'a> {
    before: &'a Image,
    after: &'a Image,
    options: Options,
    family: Family<'a>,
    found: Difference<'a>,
    /// The source's.
    major: u32,
    renames: Renames<'a>,
    /// How deep tables are below others, in the later image and in the former.
    depths: HashMap<u32, i64>,
    old_depths: HashMap<u32, i64>,
    /// Parts of tables that are the same under another oid: the later one's, and the former's.
    former: HashMap<Object, Object>,
    /// What is made now, whatever was there under its oid: nothing is left of what was said about it.
    renewed: HashSet<Object>,
    /// What may have to be made anew: the destination says whether.
    replaced: HashSet<Object>,
    /// What may be said there of another one that has got its name.
    exchanged: HashSet<Object>,
}

/// `major` is the source's version: 18 gives NOT NULL constraints names.
pub fn diff<'a>(before: &'a Image, after: &'a Image, major: u32) -> Difference<'a> {
    diff_with(before, after, major, Options::default())
}

pub fn diff_with<'a>(before: &'a Image, after: &'a Image, major: u32, options: Options) -> Difference<'a> {
    let mut comparison = Comparison {
        before,
        after,
        options,
        family: Family::of(&after.tables),
        found: Difference::default(),
        major,
        renames: Renames::of(before, after),
        depths: depths(&after.tables),
        old_depths: depths(&before.tables),
        former: HashMap::new(),
        renewed: HashSet::new(),
        replaced: HashSet::new(),
        exchanged: HashSet::new(),
    };
    comparison.containers();
    comparison.types();
    comparison.sequences();
    comparison.routines();
    comparison.plain();
    comparison.tables();
    comparison.twins();
    comparison.views();
    comparison.rename();
    comparison.comments();
    comparison.privileges();
    comparison.found
}

impl<'a> Comparison<'a> {
    fn step(&mut self, kind: Kind, level: i64, action: Action<'a>) {
        self.found.steps.push(Step { kind, level, action });
    }

    /// `said` is the former state with everything that steps were made for: anything else that changed is not said.
    fn expect<T: PartialEq>(&mut self, subject: Subject<'a>, said: &T, after: &T) {
        if said != after {
            self.found.unsaid.push(subject);
        }
    }

    fn has_named_not_null(&self) -> bool {
        self.major >= 18
    }

    fn tables(&mut self) {
        let mut dropped = Vec::new();
        for (old, new) in pairs(&self.before.tables, &self.after.tables, |t| t.oid) {
            match (old, new) {
                (None, Some(new)) => self.create_table(new),
                (Some(old), None) => dropped.push(old),
                (Some(old), Some(new)) => self.alter_table(old, new),
                (None, None) => {}
            }
            if let Some(new) = new {
                self.parts(old, new);
                self.identity(old, new);
            }
        }
        self.drop_tables(&dropped);
    }

    /// How deep a table is below others of its image.
    fn depth(&self, table: &Table) -> i64 {
        self.depths.get(&table.oid).copied().unwrap_or_default()
    }

    /// Is a table in the former image, too?
    fn is_there(&self, table: &Table) -> bool {
        self.old_depths.contains_key(&table.oid)
    }

    /// In the later image.
    fn children_of(&self, table: &Table) -> impl Iterator<Item = &'a Table> {
        let (after, oid) = (self.after, table.oid);
        after.tables.iter().filter(move |child| child.parents.iter().any(|parent| parent.oid == oid))
    }

    fn old_depth(&self, table: &Table) -> i64 {
        self.old_depths.get(&table.oid).copied().unwrap_or_default()
    }

    /// The catalog's number of a part that is the same under another one.
    fn same(&mut self, class: Class, old: u32, new: u32) {
        if old != new {
            self.former.insert((class, new), (class, old));
        }
    }

    fn is_same(&self, class: Class, old: u32, new: u32) -> bool {
        old == new || self.former.get(&(class, new)) == Some(&(class, old))
    }
}

fn depths(tables: &[Table]) -> HashMap<u32, i64> {
    fn depth(table: &Table, tables: &HashMap<u32, &Table>, known: &mut HashMap<u32, i64>) -> i64 {
        if let Some(known) = known.get(&table.oid) {
            return *known;
        }
        // No circles: the server sees to that; should there be one, this ends it.
        known.insert(table.oid, 0);
        let parents = table.parents.iter().filter_map(|parent| tables.get(&parent.oid));
        let found = parents.map(|parent| depth(parent, tables, known) + 1).max().unwrap_or_default();
        known.insert(table.oid, found);
        found
    }
    let by_oid: HashMap<u32, &Table> = tables.iter().map(|table| (table.oid, table)).collect();
    let mut known = HashMap::new();
    for table in tables {
        depth(table, &by_oid, &mut known);
    }
    known
}
