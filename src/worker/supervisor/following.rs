//! The state of the stream between two looks; `follow` has what is done with it.

use std::time::Instant;

use super::aside::AsideWork;
use crate::logicalrep::Lsn;
use crate::pg::bgworker::Handle;

/// The apply worker, and how far it is.
pub struct Following {
    pub(super) worker: Handle,
    pub(super) worker_since: Instant,
    /// Behind it, as of the beginning, no copy holds a change any more.
    pub(super) target: Lsn,
    /// Are there tables whose copy the stream has not passed?
    pub(super) has_uncaught: bool,
    pub(super) has_caught_up: bool,
    pub(super) in_trouble: bool,
    pub(super) is_at_rest: bool,
    /// When rows about commands were looked through for old ones.
    pub(super) tidied: Option<Instant>,
    /// How many commands had been applied, and what was done aside, when their outcome was read.
    pub(super) commands: Option<(u64, u64)>,
    pub(super) aside: AsideWork,
    /// Since when a command waits for locks there, as it was seen last, and as it was recorded.
    pub(super) lock_wait: Option<i64>,
    pub(super) recorded_wait: Option<i64>,
}
