//! Heartbeats: how long the way to the destination takes, measured by walking it.
//!
//! The supervisor updates the task's row of `courier.heartbeat`. The apply worker meets the change in the stream, where
//! it counts as a transaction that writes nothing but the progress row. When the destination has committed that, the
//! heartbeat has arrived. One is measured at a time; those written meanwhile only move the slot.

use std::rc::Rc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use super::status::TaskStatus;
use crate::apply::applier::Applied;
use crate::catalog::Task;
use crate::error::Result;
use crate::guc;
use crate::logicalrep::{Change, Transaction};
use crate::pg::dsm::Segment;
use crate::pg::{report, spi, xact};

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
    fn set_out(&self, transaction: &Transaction) {
        if self.end_lsn.load(Relaxed) == 0 {
            self.committed_at.store(transaction.commit_time, Relaxed);
            self.decoded_at.store(xact::now(), Relaxed);
            self.end_lsn.store(transaction.end_lsn.0, Relaxed);
        }
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

/// The apply worker's ear: for what the extension itself says in the stream.
pub struct Listener {
    heartbeats: u32,
    /// `courier.rewritten_table`.
    rewritten: u32,
    task: i32,
    status: Rc<Segment<TaskStatus>>,
}

impl Listener {
    pub fn of(task: &Task, status: Rc<Segment<TaskStatus>>) -> Result<Listener> {
        let row = spi::query_one(
            "SELECT 'courier.heartbeat'::pg_catalog.regclass::pg_catalog.oid, 'courier.rewritten_table'::pg_catalog.regclass::pg_catalog.oid",
            &[],
        )?;
        // A heartbeat that set out with a worker that died is met again.
        status.beat.end_lsn.store(0, Relaxed);
        Ok(Listener { heartbeats: row.parse(0)?, rewritten: row.parse(1)?, task: task.id, status })
    }

    /// Is it a table that the extension speaks by?
    pub fn listens_to(&self, table: u32) -> bool {
        [self.heartbeats, self.rewritten].contains(&table)
    }

    /// What a change of such a table says to this task. All tasks of the database write into the same tables.
    pub fn hears(&self, transaction: &Transaction, table: u32, change: Change<'_>) -> Option<Heard> {
        let row = match change {
            Change::Insert { row } | Change::Update { row, .. } => row,
            Change::Delete { .. } => return None,
        };
        if integer(row, 0) != Some(self.task) {
            return None;
        }
        if table == self.rewritten {
            let table = integer(row, 1)? as u32;
            return is_true(row.get(16..)?).then_some(Heard::Unlogged { table });
        }
        self.status.beat.set_out(transaction);
        Some(Heard::Heartbeat)
    }
}

/// What the extension says in the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heard {
    Heartbeat,
    /// The table was made unlogged in this transaction.
    Unlogged {
        table: u32,
    },
}

/// A field of a row of which all before are binary integers, too.
fn integer(row: &[u8], field: usize) -> Option<i32> {
    let row = row.get(8 * field..)?;
    let length = i32::from_be_bytes(row.get(..4)?.try_into().ok()?);
    let value = row.get(4..8)?.try_into().ok()?;
    (length == 4).then(|| i32::from_be_bytes(value))
}

/// The supervisor's side.
#[derive(Default)]
pub struct Heart {
    last: Option<Instant>,
}

impl Heart {
    pub fn due_in(&self) -> Duration {
        match (guc::heartbeat_interval(), self.last) {
            (None, _) => Duration::MAX,
            (Some(_), None) => Duration::ZERO,
            (Some(interval), Some(last)) => interval.saturating_sub(last.elapsed()),
        }
    }

    /// Writes one when it is due. Trouble with it is no trouble of the task.
    pub fn beat(&mut self, task: &Task, status: &TaskStatus) {
        if !self.due_in().is_zero() {
            return;
        }
        self.last = Some(Instant::now());
        if let Err(error) = xact::in_transaction(|| write(task, status)) {
            xact::abort();
            report::log(&error, "pg_courier could not write a heartbeat");
        }
    }
}

fn write(task: &Task, status: &TaskStatus) -> Result<()> {
    let current_at = status.known_current();
    spi::as_extension(|| {
        // It is flushed at once, as only flushed WAL is decoded, and waits for no standby.
        spi::query("SELECT pg_catalog.set_config('synchronous_commit', 'local', true)", &[])?;
        spi::execute(
            "INSERT INTO courier.heartbeat AS h (task_id, task, slot_name, current_at) VALUES ($1::int, $2, 'courier_' || $2, \
             timestamptz '2000-01-01 00:00+00' + $3::bigint * interval '1 microsecond') \
             ON CONFLICT (task_id) DO UPDATE SET written_at = clock_timestamp(), \
             wal_lsn = pg_current_wal_insert_lsn(), beats = h.beats + 1, current_at = COALESCE(excluded.current_at, h.current_at)",
            &[Some(&task.id.to_string()), Some(&task.name), current_at.as_deref()],
        )
    })
    .map(|_| ())
}

/// Does this begin with a binary boolean that is true?
fn is_true(row: &[u8]) -> bool {
    row.starts_with(&[0, 0, 0, 1, 1])
}

#[cfg(test)]
mod tests {
    use super::{integer, is_true};

    #[test]
    fn the_first_fields_of_a_row() {
        assert_eq!(integer(&[0, 0, 0, 4, 0, 0, 0, 7, 0, 0, 0, 1, 65], 0), Some(7));
        assert_eq!(integer(&[0, 0, 0, 4, 0, 0, 0, 7, 0, 0, 0, 4, 0, 0, 64, 0], 1), Some(16384));
        assert_eq!(integer(&[0, 0, 0, 4, 0, 0, 0, 7, 0, 0, 0, 1, 65], 1), None);
        assert_eq!(integer(&[255, 255, 255, 255, 0, 0, 0, 1, 65], 0), None);
        assert_eq!(integer(&[0, 0], 0), None);
        assert_eq!(integer(&[0, 0], 1), None);
        assert!(is_true(&[0, 0, 0, 1, 1, 0]));
        assert!(!is_true(&[0, 0, 0, 1, 0]));
        assert!(!is_true(&[0, 0]));
    }
}
