//! Rows as COPY: a session has the connection for nothing else while one is open.

use std::rc::Rc;

use super::wire::Wire;
use super::{Sent, Session};
use crate::destination::dialect::Sql;
use crate::error::Result;
use crate::logicalrep::Relation;
use crate::logicalrep::relation::{COPY_HEADER, COPY_TRAILER};

/// Bytes handed to libpq at a time.
pub const PIECE: usize = 128 << 10;

/// What becomes of data that the socket does not take at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    /// libpq keeps it: for a group, whose size has a limit.
    Queued,
    /// The worker waits: for a transaction of any size.
    Sent,
}

impl Session {
    /// Starts statements of which one is a COPY into the table, and waits until that one takes data.
    pub fn begin_copy(&mut self, sql: &Sql, table: &Rc<Relation>) -> Result<()> {
        self.wire.begin_copy(table, self.sent.len());
        let outcome = self.destination.copy_begin(sql);
        if outcome.is_err() {
            self.wire = Wire::Plain;
        }
        outcome?;
        self.destination.copy_queue(COPY_HEADER)
    }

    pub fn copy(&mut self, data: &[u8], flow: Flow) -> Result<()> {
        debug_assert!(self.wire.copy().is_some());
        for piece in data.chunks(PIECE) {
            match flow {
                Flow::Queued => self.destination.copy_queue(piece)?,
                Flow::Sent => self.destination.copy_data(piece)?,
            }
        }
        Ok(())
    }

    /// One row, however large, from where it is.
    pub fn copy_row(&mut self, row: &[u8], columns: usize) -> Result<()> {
        debug_assert!(self.wire.copy().is_some());
        self.destination.copy_data(&(columns as i16).to_be_bytes())?;
        self.destination.copy_data(row)
    }

    /// Ends the data; the answer comes for all the statements. With `is_group` the group's end is among them.
    pub fn end_copy(&mut self, is_group: bool) -> Result<()> {
        let table = self.wire.end_copy();
        self.destination.copy_queue(&COPY_TRAILER)?;
        self.destination.copy_finish()?;
        self.sent.push_back(if is_group { Sent::CopyGroup { table } } else { Sent::CopyEnd { table } });
        self.flush()
    }
}
