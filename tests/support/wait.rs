//! Waiting for events. A test never sleeps for an amount of time and hopes: it names
//! the event it waits for. The deadline is there only to turn a hang into a failure, and
//! the failure tells what was waited for and what the servers said meanwhile.

use std::time::{Duration, Instant};

/// Long enough for a slow machine; a test that needs less time does not take it.
pub const DEADLINE: Duration = Duration::from_secs(60);

/// How often a condition is looked at: a probe from outside has no event to wait on.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Calls `look` until it returns something, for at most `deadline`.
pub fn poll<T>(deadline: Duration, look: impl FnMut() -> Option<T>) -> Option<T> {
    poll_every(LOOK_EVERY, deadline, look)
}

/// The same for who measures how long it takes.
pub fn poll_every<T>(pause: Duration, deadline: Duration, mut look: impl FnMut() -> Option<T>) -> Option<T> {
    let end = Instant::now() + deadline;
    loop {
        if let Some(found) = look() {
            return Some(found);
        }
        if Instant::now() >= end {
            return None;
        }
        std::thread::sleep(pause);
    }
}

/// Like `poll`, but a missed event fails the test with `story()`.
pub fn until<T>(what: &str, deadline: Duration, look: impl FnMut() -> Option<T>, story: impl FnOnce() -> String) -> T {
    poll(deadline, look).unwrap_or_else(|| {
        panic!("did not happen within {deadline:?}: {what}\n{}", story());
    })
}
