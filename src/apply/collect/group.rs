//! The group that is being collected: whole transactions of the source that become one on the destination.
//!
//! ```text
//!             open(false)                make_block            end
//!   Waiting ---------------> Implicit ---------------> Block ------> Waiting
//!      |                        `---------- end ------------------------^
//!      `---- open(true) ------------------------------> Block
//! ```
//! A group is **open** when its first statement, the fence, has been sent; from then on it ends with a commit there or not
//! at all. Up to a sync the pipeline is one transaction anyway; an explicit block is for what must outlive a sync, or asks
//! for one.

use std::time::{Duration, Instant};

use crate::logicalrep::{Lsn, Transaction};

/// What the worker wants to hear about a group that the destination has committed.
#[derive(Clone, Copy, Debug, Default)]
pub struct Applied {
    pub end_lsn: Lsn,
    pub commit_time: i64,
    pub transactions: u64,
    pub changes: u64,
    pub bytes: u64,
    /// Of the source, that change definitions.
    pub commands: u64,
    /// When the group was sent (microseconds since 2000).
    pub sent_at: i64,
}

/// How the changes of a transaction are applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Collapsed with others.
    Merged,
    /// One by one, each answered before the next.
    Serial,
    /// Its rows went ahead of the commit, and what is left goes behind them.
    Adopted,
}

/// How far the destination has the group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Nothing of it was sent.
    Waiting,
    /// In the pipeline's transaction.
    Implicit,
    /// In an explicit block.
    Block,
}

#[derive(Debug)]
pub struct Group {
    /// What it holds so far; its end is that of its last whole transaction.
    pub applied: Applied,
    stage: Stage,
    since: Instant,
}

impl Group {
    pub fn new() -> Group {
        Group { applied: Applied::default(), stage: Stage::Waiting, since: Instant::now() }
    }

    /// A transaction has come, or another change of the one before.
    #[inline]
    pub fn enter(&mut self) {
        if self.applied.transactions == 0 && self.applied.changes == 0 {
            self.since = Instant::now();
        }
    }

    #[inline]
    pub fn count(&mut self, changes: u64, bytes: u64) {
        self.applied.changes += changes;
        self.applied.bytes += bytes;
    }

    /// A transaction is whole.
    pub fn complete(&mut self, transaction: &Transaction) {
        assert!(transaction.end_lsn > self.applied.end_lsn, "a group takes transactions in the order of their commits");
        self.applied.transactions += 1;
        self.applied.end_lsn = transaction.end_lsn;
        self.applied.commit_time = transaction.commit_time;
    }

    /// Age of the oldest change that has not been sent as a whole.
    pub fn age(&self) -> Duration {
        if self.applied.changes == 0 { Duration::ZERO } else { self.since.elapsed() }
    }

    /// Does it hold no whole transaction?
    pub fn is_empty(&self) -> bool {
        self.applied.transactions == 0
    }

    /// Has the fence been sent?
    pub fn is_open(&self) -> bool {
        self.stage != Stage::Waiting
    }

    pub fn is_block(&self) -> bool {
        self.stage == Stage::Block
    }

    /// The fence is about to be sent, behind a BEGIN or not.
    pub fn open(&mut self, block: bool) {
        assert_eq!(self.stage, Stage::Waiting, "a group is opened once");
        self.stage = if block { Stage::Block } else { Stage::Implicit };
    }

    /// The group needs a block from here on; true when the caller has to begin it.
    #[must_use]
    pub fn make_block(&mut self) -> bool {
        assert!(self.is_open(), "a block belongs to a group whose fence is sent");
        std::mem::replace(&mut self.stage, Stage::Block) != Stage::Block
    }

    /// All of it was sent, its end included: what it was, and the next one begins.
    pub fn end(&mut self) -> Applied {
        self.stage = Stage::Waiting;
        std::mem::take(&mut self.applied)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn transaction(end: u64) -> Transaction {
        Transaction { end_lsn: Lsn(end), commit_time: end as i64, ..Transaction::default() }
    }

    #[test]
    fn a_group_ends_where_its_last_transaction_does() {
        let mut group = Group::new();
        for end in [10, 20] {
            group.enter();
            group.count(2, 100);
            group.complete(&transaction(end));
        }
        group.open(false);
        let applied = group.end();
        assert_eq!((applied.end_lsn, applied.transactions, applied.changes, applied.bytes), (Lsn(20), 2, 4, 200));
        assert!(group.is_empty() && !group.is_open());
    }

    #[test]
    fn a_block_is_begun_once() {
        let mut group = Group::new();
        group.open(false);
        assert_eq!(group.stage, Stage::Implicit);
        assert!(group.make_block());
        assert!(!group.make_block());
        assert!(group.is_block());
        let mut group = Group::new();
        group.open(true);
        assert!(!group.make_block());
    }

    #[test]
    #[should_panic(expected = "in the order of their commits")]
    fn a_group_takes_no_earlier_transaction() {
        let mut group = Group::new();
        group.complete(&transaction(20));
        group.complete(&transaction(20));
    }

    #[test]
    #[should_panic(expected = "opened once")]
    fn a_group_is_not_opened_twice() {
        let mut group = Group::new();
        group.open(false);
        group.open(false);
    }

    #[test]
    #[should_panic(expected = "whose fence is sent")]
    fn no_block_without_a_fence() {
        let _ = Group::new().make_block();
    }
}
