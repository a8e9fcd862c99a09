//! Partitions that leave their table while readers go on: from whatever state an interrupted attempt has left.

use super::Destination;
use crate::error::Result;
use crate::schema::SchemaSql;
use crate::schema::aside::Detach;

/// How a partition stands to its table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attachment {
    Gone,
    /// An attempt to detach it was interrupted. Readers do not see it any more; nothing but its end can follow.
    Leaving,
    Attached {
        /// Can it leave without a lock that readers wait for?
        goes_concurrently: bool,
    },
}

impl Destination {
    pub fn attachment(&mut self, detach: &Detach) -> Result<Attachment> {
        let rows = self.ask_definition(&detach.state)?;
        let Some(row) = rows.first() else { return Ok(Attachment::Gone) };
        Ok(match row.bool(0)? {
            true => Attachment::Leaving,
            false => Attachment::Attached { goes_concurrently: row.bool(1)? },
        })
    }

    /// Outside of a transaction. CONCURRENTLY waits for readers without being in anybody's way; what takes a lock that others wait behind
    /// does not wait longer than `patience` for it.
    pub(super) fn detach_aside(&mut self, detach: &Detach, concurrently: &SchemaSql, patience: &str) -> Result<()> {
        match self.attachment(detach)? {
            Attachment::Gone => Ok(()),
            Attachment::Leaving => self.define_within(&detach.finalize, patience),
            Attachment::Attached { goes_concurrently: true } => self.define(concurrently),
            Attachment::Attached { goes_concurrently: false } => self.define_within(&detach.at_once, patience),
        }
    }

    fn define_within(&mut self, statement: &SchemaSql, patience: &str) -> Result<()> {
        self.connection.exec(&format!("SET lock_timeout = '{patience}'"))?;
        let outcome = self.define(statement);
        // Of a connection that is lost the first error says more.
        let reset = self.connection.exec("SET lock_timeout = 0").map(drop);
        outcome.and(reset)
    }
}
