//! Constraints of the destination that the replica role keeps quiet.
//!
//! A deferrable unique or exclusion constraint is checked by a trigger at the end of a statement or a transaction, and
//! triggers do not fire for replicated rows. So the values that were written are looked up before the commit: none may
//! have a second row. In between they may, as on the source: two rows may exchange their values.

use std::rc::Rc;

use super::Writer;
use crate::apply::session::Verb;
use crate::destination::table::{Deferrable, Table};
use crate::error::{Error, Origin, Result, sqlstate};
use crate::logicalrep::names::shown;
use crate::logicalrep::relation::{Fields, NULL_FIELD, is_unchanged};
use crate::logicalrep::{Lsn, Relation};

/// Values of one constraint, in bytes, that wait for the commit.
const MOST_WAITING: usize = 8 << 20;
/// Values looked up by one statement.
const LOOKED_UP: usize = 1000;

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
pub struct Probes(Vec<Written>);

impl Writer {
    /// Notes rows, as they will be, for the look before the commit.
    pub fn note_written<'a>(
        &mut self,
        relation: &Rc<Relation>,
        rows: impl Iterator<Item = &'a [u8]> + Clone,
    ) -> Result<()> {
        let there = self.there(relation)?;
        if !self.needs_probes(&there) {
            return Ok(());
        }
        let lsn = self.lanes.flights.current.change_lsn;
        for (number, constraint) in there.deferrable.iter().enumerate() {
            let columns = probed(relation, constraint).ok_or_else(|| cannot_be_probed(relation, constraint))?;
            let written = self.probes.of(relation, &there, number);
            let values = rows.clone().filter_map(|row| values(row, &columns, constraint.nulls_are_equal));
            values.for_each(|values| written.add(values, lsn));
        }
        // While changes are replayed one by one the end of the transaction decides, however large it is.
        if !self.lanes.flights.is_serial() && self.probes.is_due() { self.send_probes() } else { Ok(()) }
    }

    /// Looks for second rows with the values that were written. The destination fails the transaction if there are any.
    pub fn send_probes(&mut self) -> Result<()> {
        for written in std::mem::take(&mut self.probes.0) {
            let Written { relation, there, constraint: number, rows, .. } = written;
            let Some(constraint) = there.deferrable.get(number) else { continue };
            let columns = probed(&relation, constraint).unwrap_or_default();
            for rows in rows.chunks(LOOKED_UP) {
                self.params.start(&relation, columns.iter().copied());
                rows.iter().for_each(|(values, _)| self.params.push(0, values, &[]));
                self.params.add_counts(rows.iter().map(|(_, lsn)| lsn.0 as i64));
                self.send_rows(&relation, Verb::Probe, vec![number], None, |dialect, relation, there| {
                    dialect.probe(relation, there, constraint, &columns)
                })?;
            }
        }
        Ok(())
    }

    /// A changed definition: what is known of the old one is forgotten. What waited for it has been sent.
    pub fn forget(&mut self, old: u64, relation: &Relation) -> Result<()> {
        self.send_probes()?;
        self.there.forget(old, relation);
        self.forget_statements(old)
    }
}

impl Written {
    fn add(&mut self, values: Vec<u8>, lsn: Lsn) {
        self.bytes += values.len();
        self.rows.push((values, lsn));
    }
}

/// The fields that a second row must not have; `None` if the row is none that can be met twice, or has not changed there.
fn values(row: &[u8], columns: &[usize], nulls_are_equal: bool) -> Option<Vec<u8>> {
    let fields: Vec<&[u8]> = Fields(row).collect();
    let values: Vec<&[u8]> = columns.iter().map(|column| fields.get(*column).copied().unwrap_or_default()).collect();
    let is_null = |field: &&[u8]| field.starts_with(&NULL_FIELD.to_be_bytes());
    let is_left_out = values.iter().any(|field| is_unchanged(field)) || !nulls_are_equal && values.iter().any(is_null);
    (!is_left_out).then(|| values.concat())
}

impl Probes {
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn is_due(&self) -> bool {
        self.0.iter().any(|written| written.bytes > MOST_WAITING)
    }

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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logicalrep::relation::UNCHANGED_FIELD;

    #[test]
    fn rows_are_looked_up_that_may_be_there_twice() {
        let field = |text: &str| [&(text.len() as i32).to_be_bytes()[..], text.as_bytes()].concat();
        let (null, unchanged) = (NULL_FIELD.to_be_bytes().to_vec(), UNCHANGED_FIELD.to_be_bytes().to_vec());
        let full = [field("1"), field("a")].concat();
        assert_eq!(values(&full, &[1], false), Some(field("a")));
        assert_eq!(values(&full, &[1, 0], false), Some([field("a"), field("1")].concat()));
        // NULL is equal to nothing, unless the constraint says so.
        let with_null = [field("1"), null.clone()].concat();
        assert_eq!(values(&with_null, &[1], false), None);
        assert_eq!(values(&with_null, &[1], true), Some(null));
        assert_eq!(values(&with_null, &[0], false), Some(field("1")));
        // What has not changed was looked up when it was written.
        assert_eq!(values(&[field("1"), unchanged].concat(), &[0, 1], true), None);
    }
}
