//! Rows of a large transaction that has not committed yet, sent ahead of its commit.
//!
//! A bulk load of an hour would otherwise begin to arrive when it ends. As soon as such a transaction is too large for the
//! source's memory (`decode::early`), and as long as it is nothing but inserts into one plain table, its rows go into a COPY
//! in the second session, in a transaction of its own there. At the commit only the rest follows, then the progress and
//! the commit on the destination. The rows are in the source's spool as well: whatever is in the way, the session is
//! closed, which takes them back, and they are applied at the commit like all others.
//!
//! Order: before rows are sent, everything that had committed before them is applied. What commits later had to wait on
//! the source for the large transaction wherever it touched its rows, and so does not wait for it here, unless the
//! destination has constraints or users of its own. Then the rows sent ahead give way: as long as the worker waits, it
//! would not see their transaction commit.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use super::applier::{Applier, Kind, Lane};
use super::copy_runs::PIECE;
use super::group::MarkLane;
use super::second::Second;
use crate::destination::Destination;
use crate::destination::dialect::Sql;
use crate::error::{Error, Result};
use crate::logicalrep::relation::{COPY_HEADER, COPY_TRAILER};
use crate::logicalrep::{Relation, Transaction};
use crate::pg::xact;
use crate::transform::Operation;

/// What has committed waits no longer than this for what has not.
const GIVES_WAY: Duration = Duration::from_secs(5);
/// A transaction that adds no rows for so long does not keep one open on the destination.
const IDLE: Duration = Duration::from_secs(60);

/// A transaction whose rows are on the destination, uncommitted.
pub(super) struct Ahead {
    xid: u32,
    table: Rc<Relation>,
    /// Until the commit: whoever must not wait for it takes the session away.
    session: Held,
    rows: u64,
    bytes: u64,
    /// Rows that are not sent yet, as COPY takes them.
    buffer: Vec<u8>,
    last_sent: Instant,
    /// Has it committed on the source? Then it is the group under way, and only its rows follow.
    pub(super) is_group: bool,
}

#[derive(Clone)]
struct Held(Rc<RefCell<Option<Destination>>>);

impl Held {
    fn take(&self) -> Option<Destination> {
        self.0.try_borrow_mut().ok()?.take()
    }

    fn put(&self, session: Option<Destination>) {
        if let Ok(mut held) = self.0.try_borrow_mut() {
            *held = session;
        }
    }

    fn is_lost(&self) -> bool {
        self.0.try_borrow().is_ok_and(|session| session.is_none())
    }

    /// Closes the session, which undoes what it has not committed.
    fn close(&self) {
        if let Some(mut session) = self.take() {
            session.copy_abandon("the rows are taken back: their transaction has not committed yet");
        }
    }
}

impl Drop for Ahead {
    fn drop(&mut self) {
        self.session.close();
    }
}

impl Applier {
    /// A piece of a transaction that has not committed is about to be encoded, nothing but inserts into `table` if that is
    /// given. Shall its rows be sent ahead?
    pub(super) fn may_send_ahead(
        &mut self,
        early: &Transaction,
        table: Option<&Rc<Relation>>,
        is_first: bool,
    ) -> Result<bool> {
        let xid = early.xid;
        self.tend_ahead();
        match (&self.second.ahead, table) {
            (Some(ahead), Some(table)) if ahead.xid == xid && ahead.table.generation == table.generation => {}
            (Some(ahead), _) if ahead.xid != xid => return Ok(false),
            (None, Some(table)) if is_first && self.suits_ahead(early, table) => {}
            _ => {
                self.forget_ahead(xid);
                return Ok(false);
            }
        }
        self.apply_all()?;
        match table {
            Some(table) if self.second.ahead.is_none() && is_first => self.start_ahead(xid, table.clone()),
            _ => Ok(self.second.ahead.is_some()),
        }
    }

    /// Applies everything that has committed, and waits for it; what was sent ahead may have to give way to it.
    fn apply_all(&mut self) -> Result<()> {
        if self.group.transactions > 0 {
            self.close_group(false)?;
        }
        self.settle()?;
        self.tend_ahead();
        Ok(())
    }

    fn suits_ahead(&self, early: &Transaction, table: &Relation) -> bool {
        // A worker that starts reads again what came before; part of that has been applied.
        early.commit_lsn >= self.progress.chain()
            && self.destination.replica_role
            && !self.plan.defer_constraints
            && self.second.can_be_had()
            && table.fits_copy()
            && table.takes(Operation::Insert)
            && self.selection.wants(table.oid, early)
    }

    fn start_ahead(&mut self, xid: u32, table: Rc<Relation>) -> Result<bool> {
        if !self.agrees(&table)? || !self.is_plain(&table) {
            return Ok(false);
        }
        let dialect = self.dialect();
        let (copy, mark) = (self.copy_of(&table)?, self.mark(MarkLane::Ahead));
        let Some(mut session) = self.second.take_session() else { return Ok(false) };
        let sql = Sql::all([Some(dialect.begin()), Some(dialect.commit_durably()), Some(mark), Some(copy)]);
        if session.copy_begin(&sql).and_then(|()| session.copy_queue(COPY_HEADER)).is_err() {
            self.second.avoid();
            return Ok(false);
        }
        let held = Held(Rc::new(RefCell::new(Some(session))));
        let session = held.clone();
        self.destination.on_stall(GIVES_WAY, Box::new(move || held.close()));
        let last_sent = Instant::now();
        let (rows, bytes, buffer) = (0, 0, Vec::new());
        self.second.ahead = Some(Ahead { xid, table, session, rows, bytes, buffer, last_sent, is_group: false });
        Ok(true)
    }

    /// Takes a row of the transaction; `piece_ends` sends what has been taken.
    pub(super) fn row_ahead(&mut self, row: &[u8]) -> Result<()> {
        let Some(ahead) = &mut self.second.ahead else { return Ok(()) };
        ahead.buffer.extend_from_slice(&(ahead.table.columns.len() as i16).to_be_bytes());
        ahead.rows += 1;
        ahead.bytes += row.len() as u64;
        if row.len() < PIECE {
            ahead.buffer.extend_from_slice(row);
            return if ahead.buffer.len() < PIECE { Ok(()) } else { self.send_ahead() };
        }
        self.send_ahead()?;
        self.send_data_ahead(row)
    }

    /// Sends what has been taken.
    pub(super) fn send_ahead(&mut self) -> Result<()> {
        let Some(ahead) = &mut self.second.ahead else { return Ok(()) };
        let mut buffer = std::mem::take(&mut ahead.buffer);
        let outcome = self.send_data_ahead(&buffer);
        if let Some(ahead) = &mut self.second.ahead {
            buffer.clear();
            ahead.buffer = buffer;
        }
        outcome
    }

    /// An error is one only behind the commit: before it the rows can still go another way.
    fn send_data_ahead(&mut self, data: &[u8]) -> Result<()> {
        let Second { ahead: Some(ahead), session, .. } = &mut self.second else { return Ok(()) };
        if ahead.is_group {
            let table = ahead.table.clone();
            let session = session.as_mut().ok_or_else(gone)?;
            let outcome = session.copy_data(data);
            return outcome.map_err(|error| self.explain(error, Some(&table), Some(Kind::Insert)));
        }
        let mut session = ahead.session.take();
        let outcome = session.as_mut().map(|session| session.copy_data_within(data, GIVES_WAY));
        if let Some(Ok(())) = outcome {
            ahead.session.put(session);
            ahead.last_sent = Instant::now();
        } else {
            self.second.avoid();
        }
        Ok(())
    }

    /// The transaction has ended otherwise, or is no longer what it seemed.
    pub(super) fn forget_ahead(&mut self, xid: u32) {
        if self.second.ahead.as_ref().is_some_and(|ahead| ahead.xid == xid) {
            self.second.close();
        }
    }

    /// The transaction has committed, and nothing follows but inserts into the table in this slot, if that is given. Are
    /// the rows that came before already sent?
    pub(super) fn adopt_ahead(&mut self, transaction: &Transaction, slot: Option<usize>) -> Result<bool> {
        let Some(ahead) = &self.second.ahead else { return Ok(false) };
        if ahead.xid != transaction.xid {
            return Ok(false);
        }
        if slot.is_some_and(|slot| slot != ahead.table.slot) {
            self.second.close();
            return Ok(false);
        }
        self.apply_all()?;
        let Second { ahead: Some(ahead), session, .. } = &mut self.second else { return Ok(false) };
        *session = ahead.session.take();
        ahead.is_group = true;
        let (rows, bytes) = (ahead.rows, ahead.bytes);
        self.touch(transaction);
        self.group.changes += rows;
        self.group.bytes += bytes;
        Ok(true)
    }

    /// Commits what was sent ahead, on the destination as on the source.
    pub(super) fn commit_ahead(&mut self) -> Result<()> {
        self.send_ahead()?;
        self.group.sent_at = xact::now();
        let group = self.group;
        let (progress, commit) = (self.advance(&group), self.dialect().commit());
        let Second { ahead: Some(ahead), session: Some(session), .. } = &mut self.second else { return Err(gone()) };
        let table = ahead.table.clone();
        let outcome = session
            .copy_data(&COPY_TRAILER)
            .and_then(|()| session.copy_end())
            .and_then(|_| session.run(&progress))
            .and_then(|()| session.run(&commit));
        outcome.map_err(|error| self.explain(error, Some(&table), Some(Kind::Insert)))?;
        self.second.ahead = None;
        self.last_durable = Instant::now();
        self.note_sent(group, true, Lane::Second);
        self.committed();
        Ok(())
    }

    /// Takes back what was sent ahead if what has committed seems to wait for it, or if nothing is added.
    pub(super) fn tend_ahead(&mut self) {
        let Some(ahead) = self.second.ahead.as_ref().filter(|ahead| !ahead.is_group) else { return };
        let waits_since = self.groups.front().map(|group| xact::now() - group.applied.sent_at);
        if ahead.session.is_lost() || waits_since.is_some_and(|since| since > GIVES_WAY.as_micros() as i64) {
            self.second.avoid();
        } else if ahead.last_sent.elapsed() > IDLE {
            self.second.close();
        }
    }
}

fn gone() -> Error {
    Error::internal("rows that were sent ahead are gone")
}
