//! A session while changes go through it: statements of the dialect, rows, and what the destination answers.

use std::time::Duration;

use super::dialect::{Sql, Statement};
use super::{Connection, Destination};
use crate::error::Result;
use crate::libpq::{Param, PipelineEvent, Watch};

impl Destination {
    // ---- the pipeline ---------------------------------------------------------------------------------------------

    pub fn enter_pipeline(&mut self) -> Result<()> {
        self.connection.enter_pipeline()
    }

    /// Back to one command at a time; everything sent must have been answered.
    pub fn leave_pipeline(&mut self) -> Result<()> {
        self.connection.leave_pipeline()
    }

    pub fn send_prepare(&mut self, name: &str, statement: &Statement) -> Result<()> {
        self.connection.send_prepare(name, statement.sql.text(), &statement.types)
    }

    /// Sends parameters for a prepared statement, all in the binary format.
    pub fn send_prepared<'a>(&mut self, name: &str, values: impl Iterator<Item = &'a [u8]>) -> Result<()> {
        let params: Vec<Param<'_>> = values.map(|value| Param { value: Some(value), binary: true }).collect();
        self.connection.send_prepared(name, &params)
    }

    pub fn send(&mut self, sql: &Sql) -> Result<()> {
        self.connection.send_simple(sql.text())
    }

    /// Asks the destination to answer what was sent so far, without ending the transaction.
    pub fn send_flush_request(&mut self) -> Result<()> {
        self.connection.send_flush_request()
    }

    /// Ends the implicit transaction. The data goes out at the next flush.
    pub fn send_sync(&mut self) -> Result<()> {
        self.connection.send_sync()
    }

    /// Sends what the socket takes; true while something is left.
    pub fn flush(&mut self) -> Result<bool> {
        self.connection.flush()
    }

    // ---- answers --------------------------------------------------------------------------------------------------

    /// Is anything sent whose end has not been read?
    pub fn is_waiting(&self) -> bool {
        self.connection.is_waiting()
    }

    /// The next event that has fully arrived; `None` when one has to wait. Never blocks.
    pub fn next_event(&mut self) -> Result<Option<PipelineEvent>> {
        self.connection.next_event()
    }

    /// Reads what has arrived, without waiting.
    pub fn consume(&mut self) -> Result<()> {
        self.connection.consume()
    }

    /// Sends what the socket takes, then waits until there is something to read or more to send, and reads.
    pub fn wait_for_answers(&mut self) -> Result<()> {
        let unsent = self.connection.flush()?;
        self.connection.wait_and_consume(unsent, None)
    }

    /// The same for two sessions, whichever is ready first.
    pub fn wait_for_either(&mut self, other: &mut Destination) -> Result<()> {
        Connection::wait_for_any(&mut [&mut self.connection, &mut other.connection])
    }

    /// What to wait for next, after sending what the socket takes. Readable while idle means that the destination has ended
    /// the connection.
    pub fn watch(&mut self) -> Result<Watch> {
        self.connection.watch()
    }

    /// Something that may be what the destination waits for, and `act` ends it: a wait must not last longer than this.
    pub fn on_stall(&mut self, after: Duration, act: Box<dyn FnOnce()>) {
        self.connection.on_stall(after, act);
    }

    // ---- outside of the pipeline ----------------------------------------------------------------------------------

    /// Runs statements and waits for them.
    pub fn run(&mut self, sql: &Sql) -> Result<()> {
        self.connection.exec_all(sql.text())
    }

    /// A round trip that costs the destination nothing.
    pub fn ping(&mut self) -> Result<()> {
        self.connection.exec("SELECT 1").map(drop)
    }

    /// Starts statements of which one is a COPY, and waits until that one takes data. Those behind it run when its data has
    /// ended.
    pub fn copy_begin(&mut self, sql: &Sql) -> Result<()> {
        self.connection.copy_begin(sql.text())
    }

    /// Hands data to libpq, which keeps what the socket does not take.
    pub fn copy_queue(&mut self, data: &[u8]) -> Result<()> {
        self.connection.copy_queue(data)
    }

    /// Sends data, waiting while the destination is slower than we are.
    pub fn copy_data(&mut self, data: &[u8]) -> Result<()> {
        self.connection.copy_data(data)
    }

    /// As [`Self::copy_data`], but the destination has to take the data within this time.
    pub fn copy_data_within(&mut self, data: &[u8], within: Duration) -> Result<()> {
        self.connection.copy_data_within(data, within)
    }

    /// Ends the COPY and returns how many rows the destination took.
    pub fn copy_end(&mut self) -> Result<u64> {
        self.connection.copy_end()
    }

    /// Ends the data. The outcome of all the statements comes as one event.
    pub fn copy_finish(&mut self) -> Result<()> {
        self.connection.copy_finish()
    }

    /// Lets the COPY fail, as far as the destination listens; the session is to be closed.
    pub fn copy_abandon(&mut self, reason: &str) {
        self.connection.copy_abandon(reason);
    }
}
