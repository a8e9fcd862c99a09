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
//!
//! A load of 1 GB (transaction L) beside small transactions (s1, s2):
//!
//! ```text
//!   source WAL     first session                second session                      kept in order by
//!   ----------     -------------                --------------                      ----------------
//!   L: 64 MB
//!   s1 commits     group {s1}
//!   L: 64 MB more  (waits: s1 is applied)       BEGIN; mark; COPY t                 s1 is applied before L's rows go
//!                                               rows, 4 MB
//!   s2 commits     group {s2}, progress to s2   (rows stay uncommitted)             progress is s2's; L has not touched it
//!   L: 64 MB more  (waits: s2 is applied)       rows, 4 MB ...
//!   L commits      (waits: all is applied)      last rows; progress from s2 to L;   the fence: L follows s2
//!                                               COMMIT, and it is waited for
//! ```
//! Had s2 waited on the destination for a row of L (5 s), the second session would have been closed in the middle of that
//! wait; s2 goes on, and L's rows come from the spool behind L's commit.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use super::session::copy::PIECE;
use crate::destination::Destination;
use crate::destination::dialect::Sql;
use crate::error::{Error, Result};
use crate::logicalrep::Relation;
use crate::logicalrep::relation::{COPY_HEADER, COPY_TRAILER};

/// What has committed waits no longer than this for what has not.
pub(super) const GIVES_WAY: Duration = Duration::from_secs(5);
/// A transaction that adds no rows for so long does not keep one open on the destination.
const IDLE: Duration = Duration::from_secs(60);

/// A transaction whose rows are on the destination, uncommitted.
pub(super) struct Ahead {
    xid: u32,
    table: Rc<Relation>,
    session: Owner,
    rows: u64,
    bytes: u64,
    /// Rows that are not sent yet, as COPY takes them.
    buffer: Vec<u8>,
    last_sent: Instant,
}

/// Who has the session.
enum Owner {
    /// Until the commit: whoever must not wait for it takes the session away.
    Anybody(Held),
    /// It has committed on the source; it is the group under way, and only its rows follow.
    Group(Destination),
}

/// What becomes of rows that are ahead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    Stay,
    /// They are taken back; others may go ahead at once.
    TakenBack,
    /// The same, and for a while none go ahead.
    GivesWay,
}

/// The session, for the transaction and for whoever waits for it.
#[derive(Clone)]
pub(super) struct Held(Rc<RefCell<Option<Destination>>>);

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
    pub(super) fn close(&self) {
        if let Some(mut session) = self.take() {
            session.copy_abandon("the rows are taken back: their transaction has not committed yet");
        }
    }
}

impl Drop for Ahead {
    fn drop(&mut self) {
        if let Owner::Anybody(held) = &self.session {
            held.close();
        }
    }
}

impl Ahead {
    /// Begins the transaction there; `sql` ends in a COPY into the table. Also who is to close it if it must not be waited
    /// for. `None` when the session does not do.
    pub(super) fn begin(mut session: Destination, sql: &Sql, xid: u32, table: Rc<Relation>) -> Option<(Ahead, Held)> {
        session.copy_begin(sql).and_then(|()| session.copy_queue(COPY_HEADER)).ok()?;
        let held = Held(Rc::new(RefCell::new(Some(session))));
        let (session, last_sent) = (Owner::Anybody(held.clone()), Instant::now());
        Some((Ahead { xid, table, session, rows: 0, bytes: 0, buffer: Vec::new(), last_sent }, held))
    }

    pub(super) fn is_of(&self, xid: u32) -> bool {
        self.xid == xid
    }

    pub(super) fn table(&self) -> &Rc<Relation> {
        &self.table
    }

    #[inline]
    pub(super) fn is_adopted(&self) -> bool {
        matches!(self.session, Owner::Group(_))
    }

    /// Takes a row of the transaction.
    pub(super) fn add(&mut self, row: &[u8]) -> Result<()> {
        self.buffer.extend_from_slice(&(self.table.columns.len() as i16).to_be_bytes());
        self.rows += 1;
        self.bytes += row.len() as u64;
        if row.len() < PIECE {
            self.buffer.extend_from_slice(row);
            return if self.buffer.len() < PIECE { Ok(()) } else { self.send() };
        }
        self.send()?;
        self.send_data(row)
    }

    /// Sends what has been taken.
    pub(super) fn send(&mut self) -> Result<()> {
        let mut buffer = std::mem::take(&mut self.buffer);
        let outcome = self.send_data(&buffer);
        buffer.clear();
        self.buffer = buffer;
        outcome
    }

    /// An error means that the session is gone; before the commit the rows can still go another way.
    fn send_data(&mut self, data: &[u8]) -> Result<()> {
        match &mut self.session {
            Owner::Group(session) => session.copy_data(data),
            Owner::Anybody(held) => {
                let mut session = held.take().ok_or_else(gone)?;
                session.copy_data_within(data, GIVES_WAY)?;
                held.put(Some(session));
                self.last_sent = Instant::now();
                Ok(())
            }
        }
    }

    /// The transaction has committed on the source: what it has sent so far (rows, bytes). `None` if they were taken back.
    pub(super) fn adopt(&mut self) -> Option<(u64, u64)> {
        let Owner::Anybody(held) = &self.session else { unreachable!("a transaction commits once") };
        self.session = Owner::Group(held.take()?);
        Some((self.rows, self.bytes))
    }

    /// Commits on the destination as on the source, and waits for it.
    pub(super) fn commit(&mut self, progress: &Sql, commit: &Sql) -> Result<()> {
        assert!(self.is_adopted(), "nothing commits here before it has on the source");
        self.send()?;
        let Owner::Group(session) = &mut self.session else { return Err(gone()) };
        session.copy_data(&COPY_TRAILER)?;
        session.copy_end()?;
        session.run(progress)?;
        session.run(commit)
    }

    pub(super) fn into_session(mut self) -> Option<Destination> {
        let nobody = Owner::Anybody(Held(Rc::new(RefCell::new(None))));
        match std::mem::replace(&mut self.session, nobody) {
            Owner::Group(session) => Some(session),
            Owner::Anybody(held) => held.take(),
        }
    }

    /// What becomes of the rows when a group has waited for so long for its answer.
    pub(super) fn fate(&self, waits: Option<Duration>) -> Fate {
        match &self.session {
            Owner::Group(_) => Fate::Stay,
            Owner::Anybody(held) => fate(held.is_lost(), waits, self.last_sent.elapsed()),
        }
    }
}

fn fate(is_lost: bool, waits: Option<Duration>, idle: Duration) -> Fate {
    if is_lost || waits.is_some_and(|waits| waits > GIVES_WAY) {
        Fate::GivesWay
    } else if idle > IDLE {
        Fate::TakenBack
    } else {
        Fate::Stay
    }
}

fn gone() -> Error {
    Error::internal("rows that were sent ahead are gone")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_ahead_give_way_to_what_has_committed() {
        let second = Duration::from_secs;
        for (is_lost, waits, idle, expected) in [
            (false, None, second(0), Fate::Stay),
            (false, Some(second(5)), second(0), Fate::Stay),
            (false, Some(second(6)), second(0), Fate::GivesWay),
            // Somebody has taken the session away.
            (true, None, second(0), Fate::GivesWay),
            // No transaction stays open for nothing.
            (false, None, second(60), Fate::Stay),
            (false, Some(second(1)), second(61), Fate::TakenBack),
            (false, Some(second(6)), second(61), Fate::GivesWay),
        ] {
            assert_eq!(fate(is_lost, waits, idle), expected, "{is_lost} {waits:?} {idle:?}");
        }
    }
}
