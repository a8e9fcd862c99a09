//! The second session on the destination: what it does, and whether it can be had.
//!
//! ```text
//!            opened                    group sent
//!   Closed ---------> Open (settled) -------------> Open (under way)
//!     ^                |     ^                        |
//!     |  10 s unused   |     `---- group committed ---'
//!     |<---------------'
//!     |  taken for rows ahead of their commit
//!     `------ Ahead (Rows of an open transaction) ----> Ahead (adopted) ----> Open (settled)
//! ```
//! It is opened when it is wanted. Where it cannot be had, or has failed, the task goes on with one session.

use std::time::{Duration, Instant};

use super::ahead::Ahead;
use super::session::Session;
use crate::destination::Destination;
use crate::destination::dialect::Turn;
use crate::error::Result;

/// A session that is not used is closed after this time.
const KEPT: Duration = Duration::from_secs(10);
/// After a failure to open or use it, the destination is left alone for this time.
const AVOIDED: Duration = Duration::from_secs(300);

/// Opens a session like the first one.
pub type Open = Box<dyn Fn() -> Result<Destination>>;

enum State {
    Closed,
    /// Ready, or with a group under way.
    Open(Box<Session>),
    /// It holds rows of a transaction that has not committed on the destination.
    Ahead(Box<Ahead>),
}

pub(super) struct Second {
    open: Open,
    state: State,
    used: Instant,
    avoided_until: Option<Instant>,
    /// The number of the latest group that took a turn.
    turn: i32,
}

impl Second {
    pub(super) fn new(open: Open) -> Second {
        Second { open, state: State::Closed, used: Instant::now(), avoided_until: None, turn: 0 }
    }

    /// The session, if a group is under way there.
    pub(super) fn busy(&mut self) -> Option<&mut Session> {
        match &mut self.state {
            State::Open(session) if !session.is_settled() => Some(session),
            _ => None,
        }
    }

    pub(super) fn is_busy(&self) -> bool {
        matches!(&self.state, State::Open(session) if !session.is_settled())
    }

    /// Is there a session for groups, or may one be opened?
    pub(super) fn can_be_had(&self) -> bool {
        !matches!(self.state, State::Ahead(_)) && self.avoided_until.is_none_or(|until| Instant::now() > until)
    }

    /// The session for a group, opened if need be.
    pub(super) fn session(&mut self) -> Option<&mut Session> {
        self.used = Instant::now();
        if matches!(self.state, State::Closed) {
            match (self.open)() {
                // Both must treat triggers alike.
                Ok(session) if session.replica_role => self.state = State::Open(Box::new(Session::new(session))),
                _ => self.avoid(),
            }
        }
        match &mut self.state {
            State::Open(session) => Some(session),
            State::Closed | State::Ahead(_) => None,
        }
    }

    /// The session, opened if need be, for rows ahead of their commit. It comes back with [`Self::keep`], or not.
    pub(super) fn take(&mut self) -> Option<Destination> {
        self.session()?;
        match std::mem::replace(&mut self.state, State::Closed) {
            State::Open(session) => Some(session.into_destination()),
            State::Closed | State::Ahead(_) => None,
        }
    }

    /// Rows have gone ahead in the session that was taken.
    pub(super) fn put_ahead(&mut self, ahead: Ahead) {
        assert!(matches!(self.state, State::Closed), "the session was taken before");
        self.state = State::Ahead(Box::new(ahead));
    }

    pub(super) fn ahead(&self) -> Option<&Ahead> {
        match &self.state {
            State::Ahead(ahead) => Some(ahead),
            State::Closed | State::Open(_) => None,
        }
    }

    pub(super) fn ahead_mut(&mut self) -> Option<&mut Ahead> {
        match &mut self.state {
            State::Ahead(ahead) => Some(ahead),
            State::Closed | State::Open(_) => None,
        }
    }

    /// Has the transaction whose rows went ahead committed on the source?
    #[inline]
    pub(super) fn has_adopted(&self) -> bool {
        self.ahead().is_some_and(Ahead::is_adopted)
    }

    /// Keeps the session whose transaction has committed on the destination as well.
    pub(super) fn keep_adopted(&mut self) {
        assert!(self.has_adopted(), "a session comes back when its transaction has committed");
        if let State::Ahead(ahead) = std::mem::replace(&mut self.state, State::Closed)
            && let Some(session) = ahead.into_session()
        {
            self.state = State::Open(Box::new(Session::new(session)));
        }
    }

    /// The turn of the group before, whose end the next one waits for; and that of the next group, which it takes at its
    /// start and keeps to its end.
    pub(super) fn turns(&mut self, class: i32) -> [Turn; 2] {
        let earlier = self.turn;
        self.turn = earlier.wrapping_add(1);
        [earlier, self.turn].map(|number| Turn { class, number })
    }

    /// Closes the session, which undoes what it has not committed.
    pub(super) fn close(&mut self) {
        self.state = State::Closed;
    }

    /// Gives the session up for a while.
    pub(super) fn avoid(&mut self) {
        self.close();
        self.avoided_until = Some(Instant::now() + AVOIDED);
    }

    /// Closes a session that nobody needs.
    pub(super) fn rest(&mut self) {
        if matches!(&self.state, State::Open(session) if session.is_settled()) && self.used.elapsed() > KEPT {
            self.close();
        }
    }
}
