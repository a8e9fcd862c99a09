//! The tables that a decoder has met: what the task wants of them, how to encode their rows, and by which file their
//! changes are known.
//!
//! A change in the WAL names the file of its table, not the table. The server looks that up in its caches for each
//! change; what it found is kept here as long as no definition changes.

use std::rc::Rc;

use pgrx::pg_sys;

use crate::error::{Error, Result};
use crate::logicalrep::helper::MARKS;
use crate::logicalrep::{FastMap, TableName, Transaction};
use crate::pg::invalidation::{self, Changed, Stale};
use crate::pg::rel::{name_of, text};
use crate::pg::{compat, encoding, rel};
use crate::select::Selection;
use crate::select::interest::{AskedAt, Interest, Moment, Names, Ruling, Seen};
use crate::select::leftovers;
use crate::transform::Route;
use crate::tuple::{self, Described};

pub(super) struct Met {
    pub(super) oid: u32,
    pub(super) interest: Interest,
    /// The owner, if it has the name of a helper table whose row says where a transaction came from.
    pub(super) marked_by: Option<u32>,
    route: Option<Rc<Route>>,
    described: Option<Described>,
    /// Has the definition changed since?
    stale: bool,
    /// When the selection was asked.
    asked: AskedAt,
    /// Does the answer hold for settled transactions and others alike?
    is_certain: bool,
}

pub(super) struct Tables {
    selection: Rc<Selection>,
    met: Vec<Met>,
    by_oid: FastMap<u32, usize>,
    by_file: FastMap<u64, usize>,
    /// The file and the table of the last lookup: most changes follow one of the same table.
    last: (u64, usize),
    moment: Moment,
}

impl Tables {
    pub(super) fn new(selection: Rc<Selection>) -> Tables {
        Tables {
            selection,
            met: Vec::new(),
            by_oid: FastMap::default(),
            by_file: FastMap::default(),
            last: Default::default(),
            moment: Moment::default(),
        }
    }

    /// Takes notice of changed definitions, and of another selection.
    pub(super) fn refresh(&mut self) {
        let Tables { selection, met, by_oid, by_file, last, moment } = self;
        if moment.selection_is(selection.epoch()) {
            by_file.clear();
            *last = Default::default();
        }
        invalidation::drain(|what| {
            if let Stale::Type(hash) = what {
                let has = |table: &&mut Met| table.described.as_ref().is_some_and(|known| known.types.contains(&hash));
                return met.iter_mut().filter(has).for_each(|table| table.stale = true);
            }
            by_file.clear();
            *last = Default::default();
            moment.definition_changed();
            match what {
                Stale::Table(oid) => by_oid.get(&oid).into_iter().for_each(|at| met[*at].stale = true),
                _ => met.iter_mut().for_each(|table| table.stale = true),
            }
        });
    }

    /// A transaction begins to be replayed.
    pub(super) fn enter(&mut self, transaction: &Transaction) {
        self.settle(self.selection.is_settled(transaction));
    }

    /// What is looked up from now on concerns transactions that have ended before the start, or others.
    pub(super) fn settle(&mut self, settled: bool) {
        let Tables { met, by_file, last, moment, .. } = self;
        let certain = met.iter_mut().filter(|table| table.is_certain).map(|table| &mut table.asked);
        if moment.settle(settled, certain) {
            // What was sent ahead of a commit has to be known at the commit, whatever ended in between.
            by_file.retain(|_, at| moment.is_current(met[*at].asked));
            *last = Default::default();
        }
    }

    /// Refuses to go on with a table whose rows have not been in the WAL for a while.
    ///
    /// # Safety
    /// Inside the callback that begins the transaction.
    pub(super) unsafe fn check_changed(&self, transaction: &Transaction) -> Result<()> {
        let selection = &self.selection;
        let changed = match invalidation::take_changed() {
            Changed::All => selection.followed(),
            Changed::These(tables) => tables.into_iter().filter(|table| selection.follows(*table)).collect(),
        };
        for table in changed {
            // SAFETY: by contract catalogs can be read.
            match unsafe { rel::is_unlogged(table) } {
                true if selection.began_before_news(table, transaction) => invalidation::look_again(table),
                true => selection.is_unlogged(table, transaction)?,
                false => {}
            }
        }
        Ok(())
    }

    /// The table of a change that the server hands over, and from now on of every change in its file.
    ///
    /// # Safety
    /// `relation` is open, inside a callback; `change` is a row change of it.
    pub(super) unsafe fn meet(
        &mut self,
        relation: pg_sys::Relation,
        change: *const pg_sys::ReorderBufferChange,
    ) -> Result<usize> {
        self.refresh();
        // SAFETY: by contract.
        unsafe {
            let file = compat::file(change);
            if let Some(known) = self.of_file(file) {
                return Ok(known);
            }
            let at = self.meet_table(relation)?;
            // The file that a table is being written to anew is the table's own in the end.
            let is_transient = (*(*relation).rd_rel).relrewrite != pg_sys::InvalidOid;
            if self.met[at].marked_by.is_none() && !is_transient {
                self.by_file.insert(file, at);
            }
            Ok(at)
        }
    }

    /// # Safety
    /// `relation` is open, inside a callback.
    pub(super) unsafe fn meet_table(&mut self, relation: pg_sys::Relation) -> Result<usize> {
        self.refresh();
        // SAFETY: by contract.
        let oid = unsafe { (*relation).rd_id.to_u32() };
        let at = *self.by_oid.entry(oid).or_insert_with(|| {
            self.met.push(Met {
                oid,
                interest: Interest::Nothing,
                marked_by: None,
                route: None,
                described: None,
                stale: true,
                asked: AskedAt::default(),
                is_certain: false,
            });
            self.met.len() - 1
        });
        let met = &mut self.met[at];
        if !self.moment.is_current(met.asked) {
            // SAFETY: by contract.
            let answer = unsafe { ask(relation, &self.selection, self.moment.settled())? };
            if answer.route != met.route {
                (met.route, met.stale) = (answer.route, true);
            }
            (met.interest, met.is_certain) = (answer.interest, answer.is_certain);
            // SAFETY: by contract.
            let owner = || unsafe { (*(*relation).rd_rel).relowner.to_u32() };
            // SAFETY: by contract.
            let is_mark = || unsafe { MARKS.contains(&rel::table_name(relation).as_str()) };
            met.marked_by = (!met.interest.is_any() && is_mark()).then(owner);
            met.asked = self.moment.now();
        }
        Ok(at)
    }

    /// The table whose changes this file holds, if the server has said so.
    pub(super) fn of_file(&mut self, file: u64) -> Option<usize> {
        if self.last.0 != file {
            self.last = (file, *self.by_file.get(&file)?);
        }
        Some(self.last.1)
    }

    pub(super) fn at(&self, table: usize) -> &Met {
        &self.met[table]
    }

    /// The definition to encode rows with, if it is known and still true.
    pub(super) fn described(&mut self, table: usize) -> Option<&mut Described> {
        let met = self.met.get_mut(table)?;
        if met.stale { None } else { met.described.as_mut() }
    }

    /// The definition to encode rows with, read anew if need be.
    ///
    /// # Safety
    /// `relation` is the open table, inside a callback.
    pub(super) unsafe fn describe(&mut self, table: usize, relation: pg_sys::Relation) -> Result<&mut Described> {
        let met = &mut self.met[table];
        if met.stale || met.described.is_none() {
            // SAFETY: by contract.
            let fresh = unsafe { tuple::describe::describe(relation, table, met.route.as_ref())? };
            met.described = Some(match met.described.take() {
                Some(known) => fresh.keep_generation_of(&known),
                None => fresh,
            });
            met.stale = false;
        }
        met.described.as_mut().ok_or_else(|| Error::internal("a table's definition is missing"))
    }
}

/// Names as the catalogs show them where decoding is.
struct Catalog;

impl Names for Catalog {
    fn table(&self, oid: u32) -> Option<TableName> {
        // SAFETY: made by `ask` only, where catalogs can be read; null means that it is gone.
        unsafe {
            let name = pg_sys::get_rel_name(oid.into());
            let schema = pg_sys::get_namespace_name(pg_sys::get_rel_namespace(oid.into()));
            (!name.is_null() && !schema.is_null()).then(|| TableName { schema: text(schema), name: text(name) })
        }
    }

    fn has_schema(&self, name: &str) -> bool {
        let Ok(name) = encoding::to_server(name) else { return false };
        // SAFETY: as above; a C string.
        unsafe { pg_sys::get_namespace_oid(name.as_ptr(), true) != pg_sys::InvalidOid }
    }
}

/// What is wanted of a table that rows were written to.
///
/// # Safety
/// `relation` is open, in a state where catalogs can be read.
unsafe fn ask(relation: pg_sys::Relation, selection: &Selection, settled: bool) -> Result<Ruling> {
    // SAFETY: by contract.
    unsafe {
        let id = (*relation).rd_id;
        let rewritten = (*(*relation).rd_rel).relrewrite;
        if rewritten != pg_sys::InvalidOid {
            return Ok(selection.interest_in_rewritten(rewritten.to_u32()));
        }
        let mut seen = Seen {
            oid: id.to_u32(),
            name: name_of(relation),
            ancestors: Vec::new(),
            is_users: true,
            made_by: None,
            catalog: &Catalog,
        };
        if !selection.follows(seen.oid) || selection.joins() {
            let form = (*relation).rd_rel;
            seen.is_users = (*form).relkind as u8 == pg_sys::RELKIND_RELATION
                && pg_sys::getExtensionOfObject(pg_sys::RelationRelationId, id) == pg_sys::InvalidOid;
            seen.made_by = leftovers::tool_of_table(&seen.name, || rel::columns_of(relation));
            if (*form).relispartition {
                let named = |oid: pg_sys::Oid| Catalog.table(oid.to_u32()).map(|name| (oid.to_u32(), name));
                seen.ancestors = compat::partition_ancestors(id).into_iter().filter_map(named).collect();
            }
        }
        selection.interest(&seen, settled)
    }
}
