//! A second session on the destination, for streams of inserts that one session there cannot follow.
//!
//! While the first session still takes in a group's COPY, the next group of the same kind goes to the second one, and so
//! on in turn. The destination runs both at the same time and commits them in order: such a group updates the progress
//! row behind its rows, after the end of the group before. It waits for that on an advisory lock that the group before
//! holds, so that the destination would notice a deadlock. (The progress row itself cannot be waited for: its constraint
//! is checked before the server sees that someone else has changed the row.) It can only go on if what it has to follow
//! is there (see `destination`): a group that fails takes the one behind it along, and nothing of either is lost or
//! there twice.
//!
//! This is right for groups that nothing but inserts, whose order no one sees: no trigger fires, no foreign key is
//! checked, no constraint is deferred. Everything else waits until both sessions are done.
//!
//! The session is opened when it is wanted and closed when it has not been used for a while. Where it cannot be had,
//! the task goes on with one.

use std::rc::Rc;
use std::time::{Duration, Instant};

use super::ahead::Ahead;
use crate::destination::Destination;
use crate::destination::dialect::Turn;
use crate::error::Result;
use crate::logicalrep::Relation;

/// A session that is not used is closed after this time.
const KEPT: Duration = Duration::from_secs(10);
/// After a failure to open or use it, the destination is left alone for this time.
const AVOIDED: Duration = Duration::from_secs(300);

/// Opens a session like the first one.
pub type Open = Box<dyn Fn() -> Result<Destination>>;

pub(super) struct Second {
    open: Open,
    pub(super) session: Option<Destination>,
    /// The table of the group under way.
    pub(super) table: Option<Rc<Relation>>,
    /// What the session holds of a transaction that has not committed.
    pub(super) ahead: Option<Ahead>,
    used: Instant,
    avoided_until: Option<Instant>,
    /// The number of the latest group that took a turn.
    turn: i32,
}

impl Second {
    pub(super) fn new(open: Open) -> Second {
        Second { open, session: None, table: None, ahead: None, used: Instant::now(), avoided_until: None, turn: 0 }
    }

    pub(super) fn is_busy(&self) -> bool {
        self.table.is_some()
    }

    /// Is there a session, or may one be opened?
    pub(super) fn can_be_had(&self) -> bool {
        self.ahead.is_none() && self.avoided_until.is_none_or(|until| Instant::now() > until)
    }

    /// The session of a COPY under way.
    pub(super) fn working(&mut self) -> Option<&mut Destination> {
        if self.table.is_some() { self.session.as_mut() } else { None }
    }

    /// The session, opened if need be.
    pub(super) fn session(&mut self) -> Option<&mut Destination> {
        self.used = Instant::now();
        if self.session.is_none() {
            match (self.open)() {
                // Both must treat triggers alike.
                Ok(session) if session.replica_role => self.session = Some(session),
                _ => self.avoid(),
            }
        }
        self.session.as_mut()
    }

    /// The turn of the group before, whose end the next one waits for; and that of the next group, which it takes at its
    /// start and keeps to its end.
    pub(super) fn turns(&mut self, class: i32) -> [Turn; 2] {
        let earlier = self.turn;
        self.turn = earlier.wrapping_add(1);
        [earlier, self.turn].map(|number| Turn { class, number })
    }

    /// The session, opened if need be, for somebody who gives it back or closes it.
    pub(super) fn take_session(&mut self) -> Option<Destination> {
        self.session();
        self.session.take()
    }

    /// Closes the session, which undoes what it has not committed.
    pub(super) fn close(&mut self) {
        (self.session, self.table, self.ahead) = (None, None, None);
    }

    /// Gives the session up for a while.
    pub(super) fn avoid(&mut self) {
        self.close();
        self.avoided_until = Some(Instant::now() + AVOIDED);
    }

    /// Closes a session that nobody needs.
    pub(super) fn rest(&mut self) {
        if self.table.is_none() && self.session.is_some() && self.used.elapsed() > KEPT {
            self.session = None;
        }
    }
}
