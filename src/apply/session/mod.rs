//! A session of the stream: one connection, the way it is used, and what was sent there and not answered.
//!
//! `wire` has the states of the connection, `copy` sends rows as COPY, `prepared` lists the statements that are prepared
//! there, `answers` matches what comes back with what was sent, `fits` knows the tables, `explain` adds to an error what
//! only we know. None of them knows a group: what an answer means for the stream is decided by `lanes`.

pub mod answers;
pub mod copy;
pub mod explain;
pub mod fits;
pub mod prepared;
pub mod wire;

use std::collections::VecDeque;
use std::rc::Rc;

use wire::Wire;

use crate::destination::Destination;
use crate::destination::dialect::{Sql, Statement};
use crate::error::Result;
use crate::logicalrep::Relation;

/// What a statement does to rows of a table.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Verb {
    Insert,
    Update,
    Delete,
    Replace,
    DeleteByRow,
    Truncate,
    /// A look for second rows.
    Probe,
}

/// A command on its way, for the message if it fails.
#[derive(Debug)]
pub enum Sent {
    Prepare {
        table: Rc<Relation>,
        verb: Verb,
    },
    Command {
        bytes: usize,
        table: Option<Rc<Relation>>,
        verb: Option<Verb>,
    },
    /// The end of a group.
    GroupEnd,
    /// A sync inside a group's block, so that an error before it is no error of what follows.
    Sync,
    /// A whole group whose rows travel as COPY.
    CopyGroup {
        table: Rc<Relation>,
    },
    /// The end of a COPY inside an open group.
    CopyEnd {
        table: Rc<Relation>,
    },
}

pub struct Session {
    destination: Destination,
    wire: Wire,
    sent: VecDeque<Sent>,
    /// Bytes of parameters whose statements are not answered.
    bytes_in_flight: usize,
}

impl Session {
    /// Nothing is on its way there.
    pub fn new(destination: Destination) -> Session {
        Session { destination, wire: Wire::Plain, sent: VecDeque::new(), bytes_in_flight: 0 }
    }

    pub fn wire(&self) -> &Wire {
        &self.wire
    }

    /// What the session was opened with.
    pub fn destination(&self) -> &Destination {
        &self.destination
    }

    /// The connection for questions, whose answers come at once.
    pub fn exchange(&mut self) -> &mut Destination {
        assert!(matches!(self.wire, Wire::Plain) && self.is_settled(), "a question has the connection for itself");
        &mut self.destination
    }

    /// Gives the connection to somebody else.
    pub fn into_destination(self) -> Destination {
        assert!(
            matches!(self.wire, Wire::Plain) && self.is_settled(),
            "nothing is under way when a session is given away"
        );
        self.destination
    }

    /// Is everything answered that was sent?
    pub fn is_settled(&self) -> bool {
        self.sent.is_empty()
    }

    pub fn bytes_in_flight(&self) -> usize {
        self.bytes_in_flight
    }

    pub fn enter_pipeline(&mut self) -> Result<()> {
        self.wire.enter_pipeline(self.sent.len());
        self.destination.enter_pipeline()
    }

    pub fn leave_pipeline(&mut self) -> Result<()> {
        self.wire.leave_pipeline(self.sent.len());
        self.destination.leave_pipeline()
    }

    /// Sends a statement that concerns no table, or as a whole the one that is given.
    pub fn command(&mut self, sql: &Sql, of: Option<(Rc<Relation>, Verb)>) -> Result<()> {
        debug_assert!(self.wire.is_pipeline());
        self.destination.send(sql)?;
        let (table, verb) = of.unzip();
        self.sent.push_back(Sent::Command { bytes: 0, table, verb });
        Ok(())
    }

    /// Prepares a statement; `of` whose rows it is about.
    pub fn prepare(&mut self, name: &str, statement: &Statement, of: Option<(Rc<Relation>, Verb)>) -> Result<()> {
        debug_assert!(self.wire.is_pipeline());
        self.destination.send_prepare(name, statement)?;
        self.sent.push_back(match of {
            Some((table, verb)) => Sent::Prepare { table, verb },
            None => Sent::Command { bytes: 0, table: None, verb: None },
        });
        Ok(())
    }

    /// Sends parameters for a prepared statement.
    pub fn execute(&mut self, name: &str, values: &[Vec<u8>], of: (Rc<Relation>, Verb)) -> Result<()> {
        debug_assert!(self.wire.is_pipeline());
        let bytes = values.iter().map(Vec::len).sum();
        self.destination.send_prepared(name, values.iter().map(Vec::as_slice))?;
        let (table, verb) = of;
        self.sent.push_back(Sent::Command { bytes, table: Some(table), verb: Some(verb) });
        self.bytes_in_flight += bytes;
        self.flush()
    }

    /// The same for one that is about no table's rows.
    pub fn execute_own<'a>(&mut self, name: &str, values: impl Iterator<Item = &'a [u8]>) -> Result<()> {
        debug_assert!(self.wire.is_pipeline());
        self.destination.send_prepared(name, values)?;
        self.sent.push_back(Sent::Command { bytes: 0, table: None, verb: None });
        Ok(())
    }

    /// Ends the implicit transaction, or inside a block what an error spoils.
    pub fn sync(&mut self, sent: Sent) -> Result<()> {
        assert!(self.wire.is_pipeline(), "a sync belongs to a pipeline");
        assert!(matches!(sent, Sent::GroupEnd | Sent::Sync));
        self.destination.send_sync()?;
        self.sent.push_back(sent);
        Ok(())
    }
}
