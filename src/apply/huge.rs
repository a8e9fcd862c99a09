//! Changes of very large rows: up to 1 GB a value, and several of those in a row.
//!
//! They are not collected: each place where such a row is kept is as large as the row. An INSERT goes as a COPY of one
//! row, in pieces from where it was decoded, so it needs no more memory here and may be larger than a message of the
//! protocol can be. Anything else is a statement of its own, whose values have to fit into one message.

use std::rc::Rc;

use super::applier::{Applier, Sent};
use crate::error::{Error, Result};
use crate::logicalrep::{Change, Relation};

/// Rows from here on are huge.
pub(super) const HUGE: usize = 16 << 20;
/// A server refuses longer messages, and ends the connection; the rest is for what is not values.
const LARGEST_MESSAGE: usize = (1 << 30) - (64 << 10);

impl Applier {
    /// Sends one huge change, behind everything that waits.
    pub(super) fn send_huge(&mut self, relation: &Rc<Relation>, change: Change<'_>) -> Result<()> {
        self.note_generation(relation)?;
        self.send_waiting()?;
        match change {
            Change::Insert { row } if relation.fits_copy() => self.send_huge_insert(relation, row)?,
            _ => self.send_change(relation, change)?,
        }
        self.throttle()
    }

    fn send_huge_insert(&mut self, relation: &Rc<Relation>, row: &[u8]) -> Result<()> {
        if !self.copy_is_open(relation) {
            self.open_group(None)?;
            if !std::mem::replace(&mut self.group_block, true) {
                // A COPY outside of the pipeline must not end what the pipeline began.
                self.send_command(&self.dialect().begin())?;
            }
            self.use_pipeline()?;
            if !self.agrees(relation)? {
                return self.send_change(relation, Change::Insert { row });
            }
            let copy = self.copy_of(relation)?;
            self.start_copy(relation, &copy)?;
            self.copy_row(relation, row)?;
            return self.copy_ends(Sent::CopyEnd { table: relation.clone() });
        }
        self.copy_row(relation, row)
    }

    fn copy_row(&mut self, relation: &Rc<Relation>, row: &[u8]) -> Result<()> {
        let columns = (relation.columns.len() as i16).to_be_bytes();
        let connection = &mut self.destination;
        let outcome = connection.copy_data(&columns).and_then(|()| connection.copy_data(row));
        outcome.map_err(|error| self.explain_copy(error, relation))
    }
}

/// Refuses what no server would take, before it ends the connection and the task tries for ever.
pub(super) fn fits_into_message(relation: &Relation, values: &[Vec<u8>], is_serial: bool) -> Result<()> {
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
