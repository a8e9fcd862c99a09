//! Statements that make objects, sent one behind the other: the server does not wait for us between them.

use super::{Connection, Destination};
use crate::error::{Error, Result};
use crate::libpq::PipelineEvent;
use crate::schema::SchemaSql;

impl Destination {
    /// Runs statements in the transaction that is open, up to the first that fails: which one, and why.
    pub fn define_all<'a>(
        &mut self,
        statements: impl Iterator<Item = &'a SchemaSql>,
    ) -> Result<Option<(usize, Error)>> {
        self.connection.enter_pipeline()?;
        for statement in statements {
            self.connection.send_simple(statement.as_str())?;
        }
        self.connection.send_sync()?;
        let (mut at, mut failed) = (0, None);
        while let PipelineEvent::Done(outcome) = self.wait_for_event()? {
            if let Some(Err(error)) = outcome {
                failed = Some((at, error));
            }
            at += 1;
        }
        self.connection.leave_pipeline()?;
        Ok(failed)
    }

    /// Begins statements that are a transaction each. Their outcomes come in this order, from [`Self::next_outcome`], with
    /// [`Self::end_series`] behind the last. Those behind one that fails run all the same, and all of them do whatever becomes of us.
    pub fn begin_series<'a>(&mut self, statements: impl Iterator<Item = &'a SchemaSql>) -> Result<()> {
        self.connection.enter_pipeline()?;
        for statement in statements {
            self.connection.send_simple(statement.as_str())?;
            self.connection.send_sync()?;
        }
        Ok(())
    }

    /// The next outcome, if it is there.
    pub fn next_outcome(&mut self) -> Result<Option<Result<()>>> {
        while let Some(event) = self.connection.next_event()? {
            if let Some(outcome) = outcome(event) {
                return Ok(Some(outcome));
            }
        }
        Ok(None)
    }

    pub fn end_series(&mut self) -> Result<()> {
        while self.connection.is_waiting() {
            self.wait_for_event()?;
        }
        self.connection.leave_pipeline()
    }

    /// Waits until one of the sessions may have come to an end with what it has begun.
    pub fn wait_for_any<'a>(sessions: impl Iterator<Item = &'a mut Destination>) -> Result<()> {
        let mut connections: Vec<&mut Connection> = sessions.map(|session| &mut session.connection).collect();
        Connection::wait_for_any(&mut connections)
    }

    fn wait_for_event(&mut self) -> Result<PipelineEvent> {
        loop {
            let unsent = self.connection.flush()?;
            if let Some(event) = self.connection.next_event()? {
                return Ok(event);
            }
            if !self.connection.is_waiting() {
                return Err(Error::internal("no statement is under way"));
            }
            self.connection.wait_and_consume(unsent, None)?;
        }
    }
}

fn outcome(event: PipelineEvent) -> Option<Result<()>> {
    match event {
        PipelineEvent::Done(Some(outcome)) => Some(outcome.map(drop)),
        PipelineEvent::Done(None) => Some(Err(Error::internal("a statement was passed over"))),
        PipelineEvent::Synced => None,
    }
}
