//! Which errors are tried again, when, and which wait for a person. Pure: time and settings come in as values.
//!
//! ```text
//! remedy of the error   before its window is over            after it
//! RetryConnection       0.5 s, 1 s, 2 s, ... up to 60 s      every 300 s with a slot; without one a person has to look
//! RetryOther            the same                             a person has to look
//! ReplaySerially        at once                              at once
//! Stop                  a person has to look                 a person has to look
//! ```
//! The window begins with the first error and ends when an attempt has got over it.

use std::time::{Duration, Instant};

use crate::error::Remedy;
use crate::guc;
use crate::logicalrep::Lsn;

/// The states of tables follow the stream this often while it catches up, and what else is waited for is looked at.
pub const FOLLOW_EVERY: Duration = Duration::from_secs(1);

const FIRST_PAUSE: Duration = Duration::from_millis(500);
pub const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// Between two attempts once `courier.connection_retry_time` is over.
const PAUSE_AFTER_WINDOW: Duration = Duration::from_secs(300);

/// How long errors of each kind are tried again.
#[derive(Clone, Copy, Debug)]
pub struct Windows {
    pub connection: Duration,
    pub other: Duration,
}

impl Windows {
    /// As set now.
    pub fn configured() -> Windows {
        Windows { connection: guc::connection_retry_time(), other: guc::other_retry_time() }
    }
}

/// What becomes of a task after an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// It is tried again after this pause.
    Again(Duration),
    /// It fails, and waits for a person.
    Person,
}

/// How long errors have lasted, and how far the stream has come.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Retry {
    since: Option<Instant>,
    attempts: u32,
    /// How far the stream has come.
    furthest: Lsn,
}

impl Retry {
    /// An attempt has ended with an error of this remedy. A stream whose destination is out of reach never gives up: its slot
    /// keeps WAL either way, and a destination that comes back shall find it.
    pub fn after(&mut self, remedy: Remedy, has_slot: bool, windows: Windows, now: Instant) -> Next {
        let window = match remedy {
            Remedy::RetryConnection => windows.connection,
            Remedy::RetryOther => windows.other,
            Remedy::ReplaySerially => return Next::Again(Duration::ZERO),
            Remedy::Stop => return Next::Person,
        };
        let since = *self.since.get_or_insert(now);
        if now.saturating_duration_since(since) > window {
            let goes_on = has_slot && remedy == Remedy::RetryConnection;
            return if goes_on { Next::Again(PAUSE_AFTER_WINDOW) } else { Next::Person };
        }
        let pause = FIRST_PAUSE * 2u32.saturating_pow(self.attempts.min(10));
        self.attempts += 1;
        Next::Again(pause.min(LONGEST_PAUSE))
    }

    pub fn is_untroubled(&self) -> bool {
        self.since.is_none()
    }

    pub fn succeeded(&mut self) {
        (self.since, self.attempts) = (None, 0);
    }

    /// An attempt that gets further than those before has got over what stopped them. One that only starts has not.
    pub fn advanced(&mut self, durable: Lsn) -> bool {
        let advanced = durable > self.furthest;
        if advanced {
            self.furthest = durable;
            self.succeeded();
        }
        advanced
    }
}

#[cfg(test)]
mod tests {
    use super::Next::{Again, Person};
    use super::*;

    const WINDOWS: Windows = Windows { connection: Duration::from_secs(600), other: Duration::from_secs(120) };

    const fn seconds(seconds: u64) -> Next {
        Again(Duration::from_secs(seconds))
    }

    #[test]
    fn what_becomes_of_each_error() {
        // Remedy, has it a slot, how long errors have lasted (s), what then.
        let table = [
            (Remedy::RetryConnection, true, 0, Again(FIRST_PAUSE)),
            (Remedy::RetryConnection, false, 0, Again(FIRST_PAUSE)),
            (Remedy::RetryConnection, true, 600, Again(FIRST_PAUSE)),
            (Remedy::RetryConnection, true, 601, seconds(300)),
            (Remedy::RetryConnection, true, 1_000_000, seconds(300)),
            // A copy keeps nothing back that could be lost.
            (Remedy::RetryConnection, false, 601, Person),
            (Remedy::RetryOther, true, 0, Again(FIRST_PAUSE)),
            (Remedy::RetryOther, true, 120, Again(FIRST_PAUSE)),
            (Remedy::RetryOther, true, 121, Person),
            (Remedy::RetryOther, false, 121, Person),
            (Remedy::ReplaySerially, true, 1_000_000, seconds(0)),
            (Remedy::ReplaySerially, false, 0, seconds(0)),
            (Remedy::Stop, true, 0, Person),
            (Remedy::Stop, false, 0, Person),
        ];
        let start = Instant::now();
        for (remedy, has_slot, lasted, expected) in table {
            let mut retry = Retry { since: Some(start), ..Retry::default() };
            let now = start + Duration::from_secs(lasted);
            assert_eq!(retry.after(remedy, has_slot, WINDOWS, now), expected, "{remedy:?} {has_slot} after {lasted} s");
        }
    }

    #[test]
    fn pauses_double_up_to_a_minute() {
        let start = Instant::now();
        let mut retry = Retry::default();
        let pauses: Vec<Next> = (0..9).map(|_| retry.after(Remedy::RetryOther, true, WINDOWS, start)).collect();
        let doubled =
            [seconds(1), seconds(2), seconds(4), seconds(8), seconds(16), seconds(32), seconds(60), seconds(60)];
        assert_eq!(pauses[0], Again(FIRST_PAUSE));
        assert_eq!(pauses[1..], doubled);
    }

    #[test]
    fn the_window_begins_with_the_first_error_and_pauses_are_counted_over_its_kinds() {
        let start = Instant::now();
        let mut retry = Retry::default();
        assert!(retry.is_untroubled());
        retry.after(Remedy::RetryConnection, true, WINDOWS, start);
        assert!(!retry.is_untroubled());
        let later = start + Duration::from_secs(121);
        assert_eq!(retry.after(Remedy::RetryConnection, true, WINDOWS, later), seconds(1));
        assert_eq!(retry.after(Remedy::RetryOther, true, WINDOWS, later), Person);
    }

    #[test]
    fn an_attempt_that_gets_further_begins_anew() {
        let start = Instant::now();
        let mut retry = Retry::default();
        assert!(retry.advanced(Lsn(10)));
        for _ in 0..3 {
            retry.after(Remedy::RetryOther, true, WINDOWS, start);
        }
        assert!(!retry.advanced(Lsn(10)), "it only started");
        let later = start + Duration::from_secs(121);
        assert_eq!(retry.clone().after(Remedy::RetryOther, true, WINDOWS, later), Person);
        assert!(retry.advanced(Lsn(11)));
        assert_eq!(retry.after(Remedy::RetryOther, true, WINDOWS, later), Again(FIRST_PAUSE));
    }

    #[test]
    fn a_replay_and_an_error_for_a_person_begin_no_window() {
        let mut retry = Retry::default();
        retry.after(Remedy::ReplaySerially, true, WINDOWS, Instant::now());
        retry.after(Remedy::Stop, true, WINDOWS, Instant::now());
        assert_eq!(retry, Retry::default());
    }
}
