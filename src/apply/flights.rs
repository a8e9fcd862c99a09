//! Groups on their way, and where the stream is: what was sent, what the destination has committed, what it has made durable.
//!
//! ```text
//!   received >= chain >= applied >= durable >= confirmed
//!      |          |         |          |           `- the slot's, moved by the worker
//!      |          |         |          `- what a crash of the destination leaves
//!      |          |         `- what its progress row says
//!      |          `- end of the last group sent: what the next one must follow
//!      `- read from the WAL
//! ```
//! Groups are committed in the order in which they were sent, whichever session they went to. Nothing here sends
//! anything: this is the account, and its assertions are what exactly-once rests on.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::collect::group::{Applied, Mode};
use crate::destination::Progress;
use crate::logicalrep::{Lsn, Transaction};

/// Commits on the destination are asynchronous; this often one is not, and then the slot may advance.
const DURABLE_EVERY: Duration = Duration::from_millis(500);
/// A durable commit for its own sake, when nothing else follows.
const DURABLE_WHEN_IDLE: Duration = Duration::from_millis(100);
/// What was read and concerned other tables is recorded on the destination this often, so that the slot may pass it.
const RECORD_IDLE_EVERY: Duration = Duration::from_secs(5);

/// Where the decoder is after a round, and who waits.
#[derive(Clone, Copy, Debug, Default)]
pub struct Round {
    /// WAL has been read up to here.
    pub position: Lsn,
    pub caught_up: bool,
    /// Somebody waits until everything before is durable.
    pub wanted: Lsn,
    /// A test keeps the destination from making anything durable.
    pub is_held: bool,
}

/// The session that a group was sent to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Lane {
    First,
    Second,
}

/// A group on its way.
#[derive(Debug)]
pub struct Flight {
    pub applied: Applied,
    pub lane: Lane,
    durable: bool,
}

pub struct Flights {
    /// What the destination had when this worker took over.
    start: Lsn,
    progress: Progress,
    /// When the last group was sent whose commit is durable.
    last_durable: Instant,
    under_way: VecDeque<Flight>,
    round: Round,
    /// The transaction whose changes came last.
    pub current: Transaction,
    /// Changes are replayed one by one up to here.
    serial_until: Lsn,
}

impl Flights {
    /// Taking over was a durable commit.
    pub fn new(start: Lsn, serial_until: Lsn) -> Flights {
        Flights {
            start,
            progress: Progress::at(start),
            last_durable: Instant::now(),
            under_way: VecDeque::new(),
            round: Round::default(),
            current: Transaction::default(),
            serial_until,
        }
    }

    /// End of the last group sent.
    pub fn chain(&self) -> Lsn {
        self.progress.chain()
    }

    /// What the destination has committed.
    pub fn applied(&self) -> Lsn {
        self.progress.applied()
    }

    /// What its progress row has after a crash, too.
    pub fn durable(&self) -> Lsn {
        self.progress.durable()
    }

    /// The group whose answers come next.
    pub fn front(&self) -> Option<&Flight> {
        self.under_way.front()
    }

    pub fn count(&self) -> usize {
        self.under_way.len()
    }

    /// The decoder has ended a round.
    pub fn note_round(&mut self, round: Round) {
        // A worker that starts reads again what came before, to know the transactions that were open.
        assert!(round.position >= self.chain() || self.chain() == self.start, "what was sent was read before");
        self.round = round;
    }

    /// Is the transaction under way replayed one by one?
    #[inline]
    pub fn is_serial(&self) -> bool {
        self.current.commit_lsn < self.serial_until
    }

    /// May a transaction that ends behind `lsn` be merged with others?
    pub fn is_merged_from(&self, lsn: Lsn) -> bool {
        lsn >= self.serial_until
    }

    /// How the current transaction's changes are applied.
    #[inline]
    pub fn mode(&self, is_adopted: bool) -> Mode {
        match is_adopted {
            true => Mode::Adopted,
            false if self.is_serial() => Mode::Serial,
            false => Mode::Merged,
        }
    }

    /// A group was sent as a whole.
    pub fn sent(&mut self, applied: Applied, durable: bool, lane: Lane) {
        // Nothing but a durable commit may be wanted, where the stream is already.
        assert!(applied.end_lsn >= self.chain(), "a group follows the one before");
        let side_by_side = lane == Lane::Second || self.under_way.iter().any(|flight| flight.lane == Lane::Second);
        if side_by_side && let Some(before) = self.under_way.back() {
            assert!(self.under_way.len() == 1 && before.lane != lane, "sessions take turns");
        }
        self.progress.send(applied.end_lsn, durable);
        self.under_way.push_back(Flight { applied, durable, lane });
        if durable {
            self.last_durable = Instant::now();
        }
    }

    /// The destination has committed the group whose turn it was.
    pub fn committed(&mut self, lane: Lane) -> Applied {
        let flight = self.under_way.pop_front();
        let Some(flight) = flight else { unreachable!("a commit nobody asked for") };
        assert_eq!(flight.lane, lane, "groups are committed in the order in which they were sent");
        self.progress.commit(flight.applied.end_lsn, flight.durable);
        assert!(self.chain() >= self.applied() && self.applied() >= self.durable(), "sent, then applied, then durable");
        assert_eq!(self.under_way.is_empty(), self.chain() == self.applied(), "what is not applied is on its way");
        flight.applied
    }

    /// End of the group whose command was answered last, for the serial replay.
    pub fn failing_end(&self) -> Lsn {
        self.under_way.front().map_or(self.current.end_lsn, |flight| flight.applied.end_lsn)
    }

    /// Was the group that fails replayed one by one already? Then there is no better way to find out about it.
    pub fn failing_was_serial(&self) -> bool {
        let end = self.failing_end();
        end.is_valid() && end <= self.serial_until
    }

    /// Does the commit of a group that ends here wait for the disk?
    pub fn is_to_be_durable(&self, end: Lsn) -> bool {
        let is_wanted = self.progress.sent_durably() < self.round.wanted && self.round.wanted <= end;
        let is_due = is_wanted || self.is_serial() || self.last_durable.elapsed() >= DURABLE_EVERY;
        is_due && !self.round.is_held
    }

    /// While nothing waits and nothing is on its way: is it time to write down where the stream is, though no change asks
    /// for it?
    pub fn is_to_be_recorded(&self) -> bool {
        is_to_be_recorded(&self.round, &self.progress, self.last_durable.elapsed())
    }

    /// How long the worker may sleep while nothing waits and nothing is on its way; `None`: until something happens.
    pub fn patience(&self) -> Option<Duration> {
        if self.durable() < self.applied() {
            Some(DURABLE_WHEN_IDLE)
        } else if self.durable() < self.round.position {
            Some(RECORD_IDLE_EVERY)
        } else {
            None
        }
    }
}

/// With this, all that was committed before is durable as well.
fn is_to_be_recorded(round: &Round, progress: &Progress, since: Duration) -> bool {
    let (applied, durable) = (progress.applied(), progress.durable());
    let Round { position, caught_up, wanted, is_held } = *round;
    if is_held || position <= durable {
        return false;
    }
    if durable < wanted && wanted <= position {
        return true;
    }
    match durable < applied {
        true if caught_up => since >= DURABLE_WHEN_IDLE,
        true => since >= DURABLE_EVERY,
        false => since >= RECORD_IDLE_EVERY,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group(end: u64) -> Applied {
        Applied { end_lsn: Lsn(end), ..Applied::default() }
    }

    fn positions(flights: &Flights) -> [u64; 3] {
        [flights.chain().0, flights.applied().0, flights.durable().0]
    }

    #[test]
    fn what_is_sent_is_applied_and_then_durable() {
        let mut flights = Flights::new(Lsn(10), Lsn::INVALID);
        assert_eq!(positions(&flights), [10, 10, 10]);
        flights.sent(group(20), false, Lane::First);
        flights.sent(group(30), true, Lane::First);
        assert_eq!(positions(&flights), [30, 10, 10]);
        assert_eq!(flights.failing_end(), Lsn(20));
        flights.committed(Lane::First);
        assert_eq!(positions(&flights), [30, 20, 10]);
        flights.committed(Lane::First);
        assert_eq!(positions(&flights), [30, 30, 30]);
    }

    #[test]
    fn sessions_take_turns() {
        let mut flights = Flights::new(Lsn(10), Lsn::INVALID);
        flights.sent(group(20), false, Lane::First);
        flights.sent(group(30), false, Lane::Second);
        flights.committed(Lane::First);
        flights.sent(group(40), false, Lane::First);
        flights.committed(Lane::Second);
        flights.committed(Lane::First);
        assert_eq!(positions(&flights), [40, 40, 10]);
    }

    #[test]
    #[should_panic(expected = "sessions take turns")]
    fn no_session_has_two_groups_beside_one_of_the_other() {
        let mut flights = Flights::new(Lsn(10), Lsn::INVALID);
        flights.sent(group(20), false, Lane::First);
        flights.sent(group(30), false, Lane::Second);
        flights.sent(group(40), false, Lane::First);
    }

    #[test]
    #[should_panic(expected = "in the order in which they were sent")]
    fn no_group_overtakes_the_one_before() {
        let mut flights = Flights::new(Lsn(10), Lsn::INVALID);
        flights.sent(group(20), false, Lane::First);
        flights.sent(group(30), false, Lane::Second);
        flights.committed(Lane::Second);
    }

    #[test]
    #[should_panic(expected = "a group follows the one before")]
    fn no_group_ends_before_the_one_before() {
        let mut flights = Flights::new(Lsn(10), Lsn::INVALID);
        flights.sent(group(20), false, Lane::First);
        flights.sent(group(19), false, Lane::First);
    }

    #[test]
    #[should_panic(expected = "what was sent was read before")]
    fn nothing_is_sent_that_was_not_read() {
        let mut flights = Flights::new(Lsn(10), Lsn::INVALID);
        // Behind the start: read again.
        flights.note_round(Round { position: Lsn(5), ..Round::default() });
        flights.sent(group(20), false, Lane::First);
        flights.note_round(Round { position: Lsn(15), ..Round::default() });
    }

    #[test]
    fn transactions_up_to_the_end_of_the_failed_group_are_replayed_one_by_one() {
        let mut flights = Flights::new(Lsn(10), Lsn(30));
        let at = |commit, end| Transaction { commit_lsn: Lsn(commit), end_lsn: Lsn(end), ..Transaction::default() };
        for (transaction, mode, was_serial) in [
            (at(18, 20), Mode::Serial, true),
            (at(28, 30), Mode::Serial, true),
            // Its commit record begins where the group's last one ends.
            (at(30, 32), Mode::Merged, false),
            (at(40, 42), Mode::Merged, false),
        ] {
            flights.current = transaction;
            assert_eq!(flights.mode(false), mode, "{transaction:?}");
            assert_eq!(flights.failing_was_serial(), was_serial, "{transaction:?}");
            assert_eq!(flights.mode(true), Mode::Adopted);
        }
        assert!(!flights.is_merged_from(Lsn(29)) && flights.is_merged_from(Lsn(30)));
    }

    fn applied_up_to_20(durable: u64) -> Progress {
        let mut progress = Progress::at(Lsn(durable));
        progress.send(Lsn(20), false);
        progress.commit(Lsn(20), false);
        progress
    }

    #[test]
    fn the_position_is_recorded_when_it_is_time_or_wanted() {
        let ms = Duration::from_millis;
        let round = |position, caught_up, wanted| Round {
            position: Lsn(position),
            caught_up,
            wanted: Lsn(wanted),
            is_held: false,
        };
        // Applied up to 20.
        for (round, durable, since, expected) in [
            // Nothing was read that is not durable.
            (round(20, true, 0), 20, ms(60_000), false),
            // WAL of other tables.
            (round(30, true, 0), 20, ms(4_999), false),
            (round(30, true, 0), 20, ms(5_000), true),
            // Commits that are not durable.
            (round(30, true, 0), 10, ms(99), false),
            (round(30, true, 0), 10, ms(100), true),
            (round(30, false, 0), 10, ms(499), false),
            (round(30, false, 0), 10, ms(500), true),
            // Somebody waits: for what was read, for what is durable, for what is still to come.
            (round(30, false, 25), 20, ms(0), true),
            (round(30, false, 20), 20, ms(0), false),
            (round(30, false, 31), 20, ms(0), false),
            (Round { is_held: true, ..round(30, true, 25) }, 10, ms(60_000), false),
        ] {
            let recorded = is_to_be_recorded(&round, &applied_up_to_20(durable), since);
            assert_eq!(recorded, expected, "{round:?} {durable} {since:?}");
        }
    }

    #[test]
    fn a_commit_waits_for_the_disk_when_somebody_waits_for_it() {
        let mut flights = Flights::new(Lsn(10), Lsn::INVALID);
        assert!(!flights.is_to_be_durable(Lsn(20)));
        flights.note_round(Round { wanted: Lsn(20), ..Round::default() });
        assert!(!flights.is_to_be_durable(Lsn(19)));
        assert!(flights.is_to_be_durable(Lsn(20)));
        flights.note_round(Round { wanted: Lsn(20), is_held: true, ..Round::default() });
        assert!(!flights.is_to_be_durable(Lsn(20)));
        // One by one each commit is.
        let serial = Flights::new(Lsn(10), Lsn(30));
        assert!(serial.is_to_be_durable(Lsn(20)));
    }
}
