//! Changes of very large rows: up to 1 GB a value, and several of those in a row.
//!
//! They are not collected: each place where such a row is kept is as large as the row. An INSERT goes as a COPY of one
//! row, in pieces from where it was decoded, so it needs no more memory here and may be larger than a message of the
//! protocol can be. Anything else is a statement of its own, whose values have to fit into one message.

use std::rc::Rc;

use super::Writer;
use crate::apply::collect::route::Agreement;
use crate::error::Result;
use crate::logicalrep::{Change, Relation};

impl Writer {
    /// Sends one huge change, behind everything that was sent before.
    pub fn send_huge(&mut self, relation: &Rc<Relation>, change: Change<'_>) -> Result<()> {
        match change {
            Change::Insert { row } if relation.fits_copy() => self.send_huge_insert(relation, row)?,
            _ => self.send_change(relation, change)?,
        }
        self.lanes.throttle()
    }

    fn send_huge_insert(&mut self, relation: &Rc<Relation>, row: &[u8]) -> Result<()> {
        if self.copy_is_open(relation) {
            return self.copy_row(relation, row);
        }
        self.open_group(None)?;
        self.need_block()?;
        self.lanes.pipeline()?;
        if self.agrees(relation)? == Agreement::Differs {
            return self.send_change(relation, Change::Insert { row });
        }
        let copy = self.copy_of(relation)?;
        self.begin_copy(relation, &copy)?;
        self.copy_row(relation, row)?;
        self.lanes.first.end_copy(false)
    }

    fn copy_row(&mut self, relation: &Rc<Relation>, row: &[u8]) -> Result<()> {
        let outcome = self.lanes.first.copy_row(row, relation.columns.len());
        outcome.map_err(|error| self.lanes.explain_copy(error, relation))
    }
}
