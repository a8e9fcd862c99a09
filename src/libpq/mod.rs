//! A safe client for the destination over libpq (bundled, so pipeline mode is there whatever the host has).
//!
//! Everything is non-blocking: each wait goes through the [`WaitFn`] the caller hands in, which in a server process
//! sleeps on the latch and the socket together and lets a signal end it. libpq's memory stays inside this module.
#![allow(unsafe_code)]

mod connection;
mod copy;
mod options;
mod pipeline;

pub use connection::{Connection, Parameters};
pub use options::{OptionKind, known_option};
pub use pipeline::{Event, Param};

use std::time::Duration;

/// What a wait may end for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Interest {
    pub read: bool,
    pub write: bool,
}

/// Waits until the socket is ready, the time is over, or the process was nudged; says what the socket is ready for.
/// It does not return when the process is asked to stop: it leaves through the server's error path.
pub type WaitFn = fn(socket: i32, interest: Interest, timeout: Option<Duration>) -> Interest;
