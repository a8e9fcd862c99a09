//! Constraints of the destination that the replica role keeps quiet.
//!
//! A deferrable unique or exclusion constraint is checked by a trigger at the end of a statement or a transaction, and
//! triggers do not fire for replicated rows. So the values that were written are looked up before the commit: none may
//! have a second row. In between they may, as on the source: two rows may exchange their values.

use std::rc::Rc;

use super::Writer;
use crate::apply::collect::written::{Written, probed};
use crate::apply::session::Verb;
use crate::destination::table::Deferrable;
use crate::error::{Error, Origin, Result, sqlstate};
use crate::logicalrep::Relation;
use crate::logicalrep::names::shown;

/// Values looked up by one statement.
const LOOKED_UP: usize = 1000;

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
            rows.clone().for_each(|row| written.add(row, &columns, constraint.nulls_are_equal, lsn));
        }
        // While changes are replayed one by one the end of the transaction decides, however large it is.
        if !self.lanes.flights.is_serial() && self.probes.is_due() { self.send_probes() } else { Ok(()) }
    }

    /// Looks for second rows with the values that were written. The destination fails the transaction if there are any.
    pub fn send_probes(&mut self) -> Result<()> {
        for written in self.probes.take() {
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
