//! What the destination's tables are like, and the constraints there that the replica role keeps quiet.
//!
//! A deferrable unique or exclusion constraint is checked by a trigger at the end of a statement or a transaction, and
//! triggers do not fire for replicated rows. So the values that were written are looked up before the commit: none may
//! have a second row. In between they may, as on the source: two rows may exchange their values.

use std::collections::HashMap;
use std::rc::Rc;

use super::applier::{Applier, Kind};
use crate::destination::Destination;
use crate::destination::dialect::{Dialect, FoundTwice};
use crate::destination::table::{Deferrable, Table};
use crate::error::{Error, Origin, Result, sqlstate};
use crate::logicalrep::names::shown;
use crate::logicalrep::relation::{Fields, NULL_FIELD, is_unchanged};
use crate::logicalrep::{FastMap, Lsn, Relation};

/// Values of one constraint, in bytes, that wait for the commit.
const MOST_WAITING: usize = 8 << 20;
/// Values looked up by one statement.
const LOOKED_UP: usize = 1000;

/// The tables of the destination, as far as they were asked for.
#[derive(Default)]
pub(super) struct There {
    /// By name, asked for when the worker started.
    known: HashMap<String, Rc<Table>>,
    by_generation: FastMap<u64, Met>,
}

struct Met {
    table: Rc<Table>,
    /// Rows that were deleted since it was asked for.
    deleted: u64,
}

impl There {
    /// Asks for all tables of the task at once, but for those that it knows.
    pub(super) fn learn(&mut self, destination: &mut Destination, names: &[String]) -> Result<()> {
        let unknown: Vec<String> = names.iter().filter(|name| !self.known.contains_key(*name)).cloned().collect();
        if unknown.is_empty() {
            return Ok(());
        }
        let tables = match destination.tables(&unknown) {
            Ok(tables) => tables,
            // A schema that may not be looked into: the first change of its table says so.
            Err(error) if error.sqlstate() == sqlstate::INSUFFICIENT_PRIVILEGE => HashMap::new(),
            Err(error) => return Err(error),
        };
        self.known.extend(tables.into_iter().map(|(name, table)| (name, Rc::new(table))));
        Ok(())
    }

    /// The source's definition has changed: the destination's will have, too.
    pub(super) fn forget(&mut self, generation: u64, relation: &Relation) {
        self.by_generation.remove(&generation);
        self.known.remove(&relation.target());
    }
}

/// Values written under a deferrable constraint.
struct Written {
    relation: Rc<Relation>,
    there: Rc<Table>,
    constraint: usize,
    /// For each row the fields of the constraint's columns, and where the change was.
    rows: Vec<(Vec<u8>, Lsn)>,
    bytes: usize,
}

#[derive(Default)]
pub(super) struct Probes(Vec<Written>);

impl Applier {
    /// The destination's table for this definition of the source's.
    pub(super) fn there(&mut self, relation: &Relation) -> Result<Rc<Table>> {
        if let Some(met) = self.there.by_generation.get(&relation.generation) {
            return Ok(met.table.clone());
        }
        let name = relation.target();
        let there = match self.there.known.get(&name) {
            Some(there) => there.clone(),
            None => {
                self.use_pipeline()?;
                if self.group_open && !std::mem::replace(&mut self.group_block, true) {
                    // A question outside of the pipeline must not end what the pipeline began.
                    self.send_command(&self.dialect().begin())?;
                }
                self.leave_pipeline()?;
                let there = Rc::new(self.destination.table(&name)?);
                self.use_pipeline()?;
                there
            }
        };
        self.there.by_generation.insert(relation.generation, Met { table: there.clone(), deleted: 0 });
        Ok(there)
    }

    /// Rows of the table have been deleted. Statements that are right for a large table only are not kept when it may
    /// have become a small one: the server makes its plans for them anew, and its statistics may go on calling the table
    /// empty when it is not any more.
    pub(super) fn note_deleted(&mut self, relation: &Relation, rows: u64) -> Result<()> {
        let Some(met) = self.there.by_generation.get_mut(&relation.generation) else { return Ok(()) };
        met.deleted = met.deleted.saturating_add(rows);
        if met.table.rows == 0 || met.table.is_large(met.deleted) {
            return Ok(());
        }
        met.table = Rc::new(met.table.with_rows(0));
        self.forget_statements(relation.generation)
    }

    /// Does the destination check what is written into the table only by triggers, which do not fire?
    pub(super) fn needs_probes(&self, there: &Table) -> bool {
        self.destination.replica_role && !there.deferrable.is_empty()
    }

    /// Notes rows, as they will be, for the look before the commit.
    pub(super) fn note_written<'a>(
        &mut self,
        relation: &Rc<Relation>,
        rows: impl Iterator<Item = &'a [u8]> + Clone,
    ) -> Result<()> {
        let there = self.there(relation)?;
        if !self.needs_probes(&there) {
            return Ok(());
        }
        let lsn = self.current.change_lsn;
        for (number, constraint) in there.deferrable.iter().enumerate() {
            let columns = probed(relation, constraint).ok_or_else(|| cannot_be_probed(relation, constraint))?;
            let written = self.probes.of(relation, &there, number);
            for row in rows.clone() {
                let fields: Vec<&[u8]> = Fields(row).collect();
                let mut values = Vec::new();
                for column in &columns {
                    values.push(fields.get(*column).copied().unwrap_or_default());
                }
                let is_null = |field: &&[u8]| field.starts_with(&NULL_FIELD.to_be_bytes());
                if values.iter().any(|field| is_unchanged(field))
                    || !constraint.nulls_are_equal && values.iter().any(is_null)
                {
                    continue;
                }
                let values = values.concat();
                written.bytes += values.len();
                written.rows.push((values, lsn));
            }
        }
        // While changes are replayed one by one the end of the transaction decides, however large it is.
        if !self.is_serial() && self.probes.0.iter().any(|written| written.bytes > MOST_WAITING) {
            self.send_probes()?;
        }
        Ok(())
    }

    /// Looks for second rows with the values that were written. The destination fails the transaction if there are any.
    pub(super) fn send_probes(&mut self) -> Result<()> {
        for written in std::mem::take(&mut self.probes.0) {
            let Written { relation, there, constraint: number, rows, .. } = written;
            let Some(constraint) = there.deferrable.get(number) else { continue };
            let columns = probed(&relation, constraint).unwrap_or_default();
            for rows in rows.chunks(LOOKED_UP) {
                self.params.start(&relation, columns.iter().copied());
                rows.iter().for_each(|(values, _)| self.params.push(0, values, &[]));
                self.params.add_counts(rows.iter().map(|(_, lsn)| lsn.0 as i64));
                self.send_rows(&relation, Kind::Probe, vec![number], None, |dialect, relation, there| {
                    dialect.probe(relation, there, constraint, &columns)
                })?;
            }
        }
        Ok(())
    }
}

impl Probes {
    fn of(&mut self, relation: &Rc<Relation>, there: &Rc<Table>, constraint: usize) -> &mut Written {
        let is_it =
            |written: &Written| written.relation.generation == relation.generation && written.constraint == constraint;
        let at = match self.0.iter().position(is_it) {
            Some(at) => at,
            None => {
                let (relation, there) = (relation.clone(), there.clone());
                self.0.push(Written { relation, there, constraint, rows: Vec::new(), bytes: 0 });
                self.0.len() - 1
            }
        };
        &mut self.0[at]
    }
}

/// The columns of the constraint, if all of them travel.
fn probed(relation: &Relation, constraint: &Deferrable) -> Option<Vec<usize>> {
    let columns = constraint.columns.as_ref().filter(|_| !constraint.is_partial)?;
    let number = |(name, _): &(String, String)| relation.columns.iter().position(|column| column.name == *name);
    columns.iter().map(number).collect()
}

fn cannot_be_probed(relation: &Relation, constraint: &Deferrable) -> Error {
    let (table, name) = (relation.shown_there(), shown(&constraint.name));
    Error::new(
        sqlstate::OBJECT_NOT_IN_PREREQUISITE_STATE,
        format!("deferrable constraint {name} of {table} on the destination cannot be checked"),
    )
    .origin(Origin::Destination)
    .detail(
        "The server checks it by a trigger, which does not fire for replicated rows, and it has an expression, a condition \
         or a column that does not travel.",
    )
    .hint(format!("ALTER TABLE {table} DROP CONSTRAINT {name}; -- on the destination, or make it NOT DEFERRABLE"))
}

/// The destination's error of a probe, as one of the constraint.
pub(super) fn explain_probe(error: Error, table: &Relation, dialect: &dyn Dialect) -> Error {
    let Some(FoundTwice { lsn, constraint, values }) = dialect.found_twice(&error) else { return error };
    let name = table.shown_there();
    const UNIQUE_VIOLATION: &str = "23505";
    Error::new(UNIQUE_VIOLATION, format!("two rows of {name} on the destination break its deferrable constraint {constraint}"))
        .origin(Origin::Destination)
        .detail("Another row there has the values of the source's change already. The constraint is looked at before the commit.")
        .hint(
            "Remove that row on the destination, then SELECT courier.resume({task}); goes on. SELECT courier.skip_change({task}, {lsn}); leaves the \
             change out for good.",
        )
        .context(format!("Source change: values {values} of {name}, LSN {lsn}."))
        .lsn(lsn)
}
