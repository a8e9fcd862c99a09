//! Two sessions in turn, and the answers of both in the order of the groups.
//!
//! Everything goes to the first session. While that one still takes in a group's COPY, the next group of the same kind goes
//! to the second, for streams of inserts that one session there cannot follow. The destination runs both at the same time
//! and commits them in order: such a group updates the progress row behind its rows, after the end of the group before. It
//! waits for that on an advisory lock that the group before holds, so that the destination would notice a deadlock. (The
//! progress row itself cannot be waited for: its constraint is checked before the server sees that someone else has changed
//! the row.)
//!
//! Groups A, B, C of 16,000 inserts each; `T(n)` is the n-th turn, `P(x -> y)` the step of the progress row:
//!
//! ```text
//!        worker              first session                  second session                  kept in order by
//!   ---  ------------------  -----------------------------  ------------------------------  -----------------------------
//!   1    A: copy_group       BEGIN; P(0 -> A); take T(1)
//!        rows of A           COPY t ...
//!   2    B: copy beside      COPY t ...                     BEGIN; mark; take T(2)
//!        rows of B           (queued in libpq)              COPY t ...
//!   3                        COMMIT                         COPY t ...
//!   4    answer of A taken   (free)                         await T(1); P(A -> B)           T(1) ends with A's commit
//!   5    C: copy beside      BEGIN; mark; take T(3)         COMMIT
//!        rows of C           COPY t ...                     (free)                          turns: C is not sent to the
//!   6    answer of B taken   await T(2); P(B -> C); COMMIT                                  session that has B
//! ```
//! If A fails, T(1) ends as well, and `P(A -> B)` finds the row at 0: the fence fails B, so nothing of either is lost or there
//! twice. The worker takes A's answer first, and it is A's error that is told.
//!
//! This is right for groups of nothing but inserts, whose order no one sees: no trigger fires, no foreign key is checked, no
//! constraint is deferred. Everything else waits until both sessions are done.

use std::time::Duration;

use super::ahead::Fate;
use super::collect::group::Applied;
use super::flights::{Flights, Lane};
use super::second::Second;
use super::session::answers::{Answer, Attempt, TryOutcome};
use super::session::explain::explain;
use super::session::{Sent, Session, Verb};
use crate::destination::Destination;
use crate::destination::dialect::{Dialect, Sql};
use crate::error::{Error, Result};
use crate::libpq::Watch;
use crate::logicalrep::Relation;
use crate::pg::xact;

/// Bytes on their way; beyond them the decoder waits.
const BYTES_IN_FLIGHT: usize = 32 << 20;

pub(super) struct Lanes {
    pub(super) first: Session,
    pub(super) second: Second,
    pub(super) flights: Flights,
    attempt: Attempt,
    on_applied: Box<dyn Fn(&Applied)>,
}

impl Lanes {
    pub(super) fn new(
        destination: Destination,
        second: Second,
        flights: Flights,
        on_applied: Box<dyn Fn(&Applied)>,
    ) -> Result<Lanes> {
        let mut first = Session::new(destination);
        first.enter_pipeline()?;
        Ok(Lanes { first, second, flights, attempt: Attempt::default(), on_applied })
    }

    pub(super) fn dialect(&self) -> &'static dyn Dialect {
        self.first.destination().dialect()
    }

    /// Do triggers and foreign keys not fire there?
    #[inline]
    pub(super) fn has_replica_role(&self) -> bool {
        self.first.destination().replica_role
    }

    /// The session of a group's COPY.
    pub(super) fn session(&mut self, lane: Lane) -> Result<&mut Session> {
        match lane {
            Lane::First => Ok(&mut self.first),
            Lane::Second => self.second.session().ok_or_else(|| Error::internal("the second session is gone")),
        }
    }

    /// What to wait for on the connections.
    pub(super) fn watches(&mut self) -> Result<Vec<Watch>> {
        let mut watches = vec![self.first.watch()?];
        if let Some(second) = self.second.busy() {
            watches.push(second.watch()?);
        }
        Ok(watches)
    }

    // ---- the first session's two ways ------------------------------------------------------------------------------

    /// The first session, ready for statements: ends a COPY that is open there.
    pub(super) fn pipeline(&mut self) -> Result<&mut Session> {
        if !self.first.wire().is_pipeline() {
            self.return_to_pipeline()?;
        }
        Ok(&mut self.first)
    }

    #[cold]
    fn return_to_pipeline(&mut self) -> Result<()> {
        if self.first.wire().copy().is_some() {
            self.first.end_copy(false)?;
        }
        self.settle()?;
        self.first.enter_pipeline()
    }

    /// The first session for an exchange of its own, when everything is answered.
    pub(super) fn plain(&mut self) -> Result<&mut Session> {
        assert!(self.first.wire().copy().is_none(), "a COPY ends before anything else is exchanged");
        self.settle()?;
        if self.first.wire().is_pipeline() {
            self.first.leave_pipeline()?;
        }
        Ok(&mut self.first)
    }

    pub(super) fn command(&mut self, sql: &Sql) -> Result<()> {
        self.pipeline()?.command(sql, None)
    }

    /// Ends the group in the pipeline's transaction.
    pub(super) fn end_group(&mut self, applied: Applied, durable: bool) -> Result<()> {
        self.pipeline()?.sync(Sent::GroupEnd)?;
        self.flights.sent(applied, durable, Lane::First);
        self.first.flush()
    }

    // ---- answers ---------------------------------------------------------------------------------------------------

    /// Waits while too much is on its way.
    pub(super) fn throttle(&mut self) -> Result<()> {
        self.read_answers()?;
        while self.first.bytes_in_flight() > BYTES_IN_FLIGHT {
            self.first.ask_for_answers()?;
            self.wait_for_answers()?;
        }
        Ok(())
    }

    pub(super) fn wait_for_answers(&mut self) -> Result<()> {
        match self.second.busy() {
            Some(second) => self.first.wait_for_either(second)?,
            None => self.first.wait()?,
        }
        self.take_answers()
    }

    pub(super) fn read_answers(&mut self) -> Result<()> {
        self.first.read()?;
        if let Some(second) = self.second.busy() {
            second.read()?;
        }
        self.take_answers()
    }

    /// Takes what has been answered, group by group in the order they were sent.
    fn take_answers(&mut self) -> Result<()> {
        loop {
            let lane = self.flights.front().map_or(Lane::First, |flight| flight.lane);
            let answer = match lane {
                Lane::First => self.first.next_answer()?,
                Lane::Second => match self.second.busy() {
                    Some(second) => second.next_answer()?,
                    None => return Err(Error::internal("a group was sent to a session that is gone")),
                },
            };
            match answer {
                None => return Ok(()),
                Some(Answer::Done) => {}
                Some(Answer::Committed) => self.committed(lane),
                Some(Answer::Refused { error, sent }) => self.refused(error, sent)?,
            }
        }
    }

    pub(super) fn committed(&mut self, lane: Lane) {
        let applied = self.flights.committed(lane);
        (self.on_applied)(&applied);
    }

    fn refused(&mut self, error: Error, sent: Sent) -> Result<()> {
        match sent {
            Sent::Command { table, verb, .. } => {
                let error = self.explain(error, table.as_deref().zip(verb));
                self.attempt.fail(error, false)
            }
            Sent::Prepare { table, verb } => {
                let error = self.explain(error, Some((&table, verb)));
                self.attempt.fail(error, true)
            }
            Sent::CopyGroup { table } | Sent::CopyEnd { table } => {
                Err(self.explain(error, Some((&table, Verb::Insert))))
            }
            Sent::GroupEnd | Sent::Sync => Err(error),
        }
    }

    /// Waits until everything that was sent is answered.
    pub(super) fn settle(&mut self) -> Result<()> {
        self.first.ask_for_answers()?;
        while !self.first.is_settled() || self.second.is_busy() {
            self.wait_for_answers()?;
        }
        assert_eq!(self.flights.count(), 0, "nothing is in flight when everything is answered");
        assert_eq!(self.first.bytes_in_flight(), 0, "nothing is on its way when everything is answered");
        Ok(())
    }

    /// Waits until all groups that were sent are committed.
    pub(super) fn await_commits(&mut self) -> Result<()> {
        while self.flights.count() > 0 {
            self.wait_for_answers()?;
        }
        Ok(())
    }

    // ---- errors ----------------------------------------------------------------------------------------------------

    pub(super) fn explain(&self, error: Error, of: Option<(&Relation, Verb)>) -> Error {
        explain(error, of, self.flights.failing_was_serial(), self.first.destination())
    }

    /// The error of a COPY that could not be sent whole. What a group before it has to say comes first.
    pub(super) fn explain_copy(&mut self, error: Error, table: &Relation) -> Error {
        match self.await_commits() {
            Ok(()) => self.explain(error, Some((table, Verb::Insert))),
            Err(earlier) => earlier,
        }
    }

    /// From here on an error does not end the worker, if trying again does not help.
    pub(super) fn begin_attempt(&mut self) -> Result<()> {
        self.settle()?;
        self.attempt.begin();
        Ok(())
    }

    /// What came of it, with `sent` the outcome of sending.
    pub(super) fn end_attempt(&mut self, sent: Result<()>) -> Result<TryOutcome> {
        if let Err(error) = sent {
            self.attempt.fail(error, false)?;
        }
        // After an error the destination ignores everything up to a sync. Inside the block it commits nothing.
        self.pipeline()?.sync(Sent::Sync)?;
        self.settle()?;
        Ok(self.attempt.end())
    }

    // ---- rows ahead of their commit --------------------------------------------------------------------------------

    /// An error is one only behind the commit: before it the rows can still go another way.
    pub(super) fn judge_ahead(&mut self, outcome: Result<()>) -> Result<()> {
        let Err(error) = outcome else { return Ok(()) };
        match self.second.ahead().filter(|ahead| ahead.is_adopted()).map(|ahead| ahead.table().clone()) {
            Some(table) => Err(self.explain(error, Some((&table, Verb::Insert)))),
            None => {
                self.second.avoid();
                Ok(())
            }
        }
    }

    /// Takes back what was sent ahead if what has committed seems to wait for it, or if nothing is added.
    pub(super) fn tend_ahead(&mut self) {
        let Some(ahead) = self.second.ahead() else { return };
        let since = |sent_at: i64| Duration::from_micros((xact::now() - sent_at).max(0) as u64);
        match ahead.fate(self.flights.front().map(|flight| since(flight.applied.sent_at))) {
            Fate::Stay => {}
            Fate::TakenBack => self.second.close(),
            Fate::GivesWay => self.second.avoid(),
        }
    }
}
