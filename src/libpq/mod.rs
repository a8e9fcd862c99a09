//! A safe client for the destination over libpq (bundled, so pipeline mode is there whatever the host has).
//!
//! Everything is non-blocking: each wait goes through the [`WaitFn`] the caller hands in, which in a server process
//! sleeps on the latch and the socket together and lets a signal end it. libpq's memory stays inside this module.
#![allow(unsafe_code)]

mod connection;
mod copy;
mod kept;
mod options;
mod parameters;
mod pipeline;
mod pooler;
#[cfg(any(test, fuzzing))]
pub mod properties;
mod refusal;

pub use connection::Connection;
pub use options::{OptionKind, known_option, without_secrets};
pub use parameters::Parameters;
pub use pipeline::{Param, PipelineEvent};
#[cfg_attr(test, allow(unused_imports, reason = "unit tests have a connection of their own"))]
pub use pooler::refuse_shared;

use std::time::Duration;

/// What a wait may end for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Readiness {
    pub read: bool,
    pub write: bool,
}

/// A socket to wait for.
#[derive(Clone, Copy, Debug)]
pub struct Watch {
    pub socket: i32,
    pub interest: Readiness,
    /// What the wait found it ready for.
    pub ready: Readiness,
}

impl Watch {
    pub fn new(socket: i32, interest: Readiness) -> Watch {
        Watch { socket, interest, ready: Readiness::default() }
    }
}

/// Waits until one of the sockets is ready, the time is over, or the process was nudged; notes what they are ready for.
/// It does not return when the process is asked to stop: it leaves through the server's error path.
pub type WaitFn = fn(sockets: &mut [Watch], timeout: Option<Duration>);
