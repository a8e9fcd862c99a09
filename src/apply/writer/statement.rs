//! Rows by prepared statements, one for each shape, and the destination's table that a statement is made for.

use std::rc::Rc;

use super::Writer;
use crate::apply::collect::route::Agreement;
use crate::apply::session::Verb;
use crate::destination::dialect::{Dialect, Statement};
use crate::destination::table::Table;
use crate::error::{Error, Result};
use crate::logicalrep::Relation;

/// A server refuses longer messages, and ends the connection; the rest is for what is not values.
const LARGEST_MESSAGE: usize = (1 << 30) - (64 << 10);

impl Writer {
    /// The destination's table for this definition of the source's.
    pub fn there(&mut self, relation: &Relation) -> Result<Rc<Table>> {
        match self.there.of(relation) {
            Some(table) => Ok(table),
            None => self.ask(relation),
        }
    }

    #[cold]
    fn ask(&mut self, relation: &Relation) -> Result<Rc<Table>> {
        self.lanes.pipeline()?;
        if self.group.is_open() {
            self.need_block()?;
        }
        let table = self.there.ask(self.lanes.plain()?, relation)?;
        self.lanes.pipeline()?;
        Ok(table)
    }

    /// Does the destination check what is written into the table only by triggers, which do not fire?
    pub fn needs_probes(&self, there: &Table) -> bool {
        self.lanes.has_replica_role() && !there.deferrable.is_empty()
    }

    /// Would COPY take the fields as the destination's columns? `None` while it was not asked, see [`Self::agrees`].
    #[inline]
    pub fn agreement(&self, relation: &Relation) -> Option<Agreement> {
        self.there.agreement(relation)
    }

    /// The same, asked once for a definition.
    pub fn agrees(&mut self, relation: &Relation) -> Result<Agreement> {
        if let Some(agreement) = self.agreement(relation) {
            return Ok(agreement);
        }
        let there = self.there(relation)?;
        let needs_probes = self.needs_probes(&there);
        self.there.compare(relation, &there, needs_probes);
        self.there.measure_round_trip(self.lanes.plain()?)?;
        self.agreement(relation).ok_or_else(|| Error::internal("a table that was compared is not known"))
    }

    pub fn round_trip(&self) -> std::time::Duration {
        self.there.round_trip()
    }

    /// Sends the prepared parameters with the statement for them, preparing it first when it is new.
    pub fn send_rows(
        &mut self,
        relation: &Rc<Relation>,
        verb: Verb,
        columns: Vec<usize>,
        total: Option<i64>,
        build: impl FnOnce(&'static dyn Dialect, &Relation, &Table) -> Statement,
    ) -> Result<()> {
        assert!(self.group.is_open(), "rows are part of a group that has sent its fence");
        self.lanes.pipeline()?;
        let shape = (relation.generation, verb, columns);
        let name = match self.prepared.find(&shape) {
            Some(name) => name,
            None => {
                let there = self.there(relation)?;
                let statement = build(self.dialect(), relation, &there);
                let name = self.prepared.name();
                let gone = self.prepared.make_room(statement.parameters());
                self.deallocate(&gone)?;
                self.lanes.pipeline()?.prepare(&name, &statement, Some((relation.clone(), verb)))?;
                self.prepared.add(shape, &name, statement.parameters());
                name
            }
        };
        let is_serial = self.lanes.flights.is_serial();
        let values = self.params.finish(total);
        fits_into_message(relation, values, is_serial)?;
        self.lanes.pipeline()?.execute(&name, values, (relation.clone(), verb))
    }

    /// Rows have been deleted from the table.
    pub fn note_deleted(&mut self, relation: &Relation, rows: u64) -> Result<()> {
        if self.there.note_deleted(relation, rows) { self.forget_statements(relation.generation) } else { Ok(()) }
    }

    /// Forgets what was prepared for a definition, on both sides.
    pub fn forget_statements(&mut self, generation: u64) -> Result<()> {
        let stale = self.prepared.forget_generation(generation);
        if !stale.is_empty() {
            self.open_group(None)?;
        }
        self.deallocate(&stale)
    }

    fn deallocate(&mut self, names: &[Rc<str>]) -> Result<()> {
        let dialect = self.dialect();
        names.iter().try_for_each(|name| self.lanes.command(&dialect.forget_statement(name)))
    }

    /// How many statements were made so far, for [`Self::forget_refused`].
    pub fn statements_made(&self) -> u64 {
        self.prepared.made()
    }

    /// The destination has refused statements that were made since.
    pub fn forget_refused(&mut self, made: u64) {
        self.prepared.forget_since(made);
    }
}

/// Refuses what no server would take, before it ends the connection and the task tries for ever.
fn fits_into_message(relation: &Relation, values: &[Vec<u8>], is_serial: bool) -> Result<()> {
    const PROGRAM_LIMIT_EXCEEDED: &str = "54000";
    let bytes: usize = values.iter().map(Vec::len).sum();
    if bytes <= LARGEST_MESSAGE {
        return Ok(());
    }
    let name = relation.shown();
    let error = Error::new(
        PROGRAM_LIMIT_EXCEEDED,
        format!("the values of a change of {name} are too large for one message: {} MB", bytes >> 20),
    )
    .detail("A message to a server can have 1 GB.")
    .hint(
        "Make the change on the destination by hand, one column after the other, then SELECT courier.skip_change({task}, {lsn}); \
         leaves it out of the stream.",
    );
    // Merged with others it may be too large, and not alone.
    Err(if is_serial { error } else { error.replay_serially() })
}
