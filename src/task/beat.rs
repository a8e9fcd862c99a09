//! The way of a heartbeat, see `worker/heartbeat.rs`: when it set out, and what took how long until it arrived.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};

use crate::apply::applier::Applied;
use crate::logicalrep::Transaction;
use crate::pg::xact;

/// Written by the apply worker only. Times are microseconds since 2000, durations microseconds.
#[repr(C)]
pub struct Beat {
    /// Where the heartbeat under way ends; 0 when there is none.
    end_lsn: AtomicU64,
    committed_at: AtomicI64,
    decoded_at: AtomicI64,
    /// The last one that arrived: when it was committed on the source, when on the destination, and what took how long.
    pub written_at: AtomicI64,
    pub arrived_at: AtomicI64,
    pub decode: AtomicI64,
    pub apply: AtomicI64,
    pub destination: AtomicI64,
}

impl Beat {
    /// The stream has met a heartbeat.
    pub fn set_out(&self, transaction: &Transaction) {
        if self.end_lsn.load(Relaxed) == 0 {
            self.committed_at.store(transaction.commit_time, Relaxed);
            self.decoded_at.store(xact::now(), Relaxed);
            self.end_lsn.store(transaction.end_lsn.0, Relaxed);
        }
    }

    /// The one under way is forgotten.
    pub fn forget(&self) {
        self.end_lsn.store(0, Relaxed);
    }

    /// The destination has committed a group.
    pub fn arrived(&self, applied: &Applied) {
        let end = self.end_lsn.load(Relaxed);
        if end == 0 || applied.end_lsn.0 < end {
            return;
        }
        let (committed, decoded, now) = (self.committed_at.load(Relaxed), self.decoded_at.load(Relaxed), xact::now());
        self.decode.store((decoded - committed).max(0), Relaxed);
        self.apply.store((applied.sent_at - decoded).max(0), Relaxed);
        self.destination.store((now - applied.sent_at).max(0), Relaxed);
        self.written_at.store(committed, Relaxed);
        self.arrived_at.store(now, Relaxed);
        self.end_lsn.store(0, Relaxed);
    }
}
