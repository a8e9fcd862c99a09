//! Heartbeats: how long the way to the destination takes, measured by walking it.
//!
//! The supervisor updates the task's row of `courier.heartbeat`. The apply worker meets the change in the stream, where
//! it counts as a transaction that writes nothing but the progress row. When the destination has committed that, the
//! heartbeat has arrived. One is measured at a time; those written meanwhile only move the slot.

use std::time::{Duration, Instant};

use crate::catalog::Task;
use crate::error::Result;
use crate::guc;
use crate::pg::{report, spi, xact};
use crate::task::status::TaskStatus;

/// The supervisor's clock.
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
