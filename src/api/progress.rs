//! What the views show from shared memory. Internal functions: the views filter by owner.

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};

use pgrx::prelude::*;

use crate::error::Result;
use crate::logicalrep::Lsn;
use crate::pg::dsm::Segment;
use crate::pg::text::Text;
use crate::pg::{report, spi, xact};
use crate::task::status::TaskStatus;

/// Rates older than this are history.
const RATE_LASTS: i64 = 5_000_000;

fn statuses() -> Result<Vec<(i32, Segment<TaskStatus>)>> {
    let rows = spi::as_extension(|| {
        spi::query("SELECT id, segment FROM courier.task WHERE segment IS NOT NULL ORDER BY id", &[])
    })?;
    let mut found = Vec::new();
    for row in &rows {
        let (id, segment) = (row.parse(0)?, row.parse::<i64>(1)? as u32);
        if let Some(status) = Segment::<TaskStatus>::peek(segment).filter(|s| s.belongs_to(id)) {
            found.push((id, status));
        }
    }
    Ok(found)
}

#[pg_extern(sql = false)]
fn task_positions() -> TableIterator<
    'static,
    (
        name!(id, i32),
        name!(supervisor_pid, Option<i32>),
        name!(apply_pid, Option<i32>),
        name!(received_lsn, Option<Lsn>),
        name!(applied_lsn, Option<Lsn>),
        name!(current_at, Option<TimestampWithTimeZone>),
        name!(transactions, i64),
        name!(changes, i64),
        name!(rows_per_second, i64),
        name!(bytes_per_second, i64),
        name!(phase, Text),
        name!(phase_since, Option<TimestampWithTimeZone>),
        name!(awaits_there, Option<i32>),
    ),
> {
    let now = xact::now();
    let rows: Vec<_> = report::unwrap(statuses())
        .into_iter()
        .map(|(id, status)| {
            let number = |value: &AtomicU64| value.load(Relaxed) as i64;
            let recent = now - status.rated_at.load(Relaxed) < RATE_LASTS;
            (
                id,
                status.supervisor.pid(),
                status.apply_worker().process.pid(),
                position(&status.received_lsn),
                position(&status.applied_lsn),
                timestamp(status.current_at.load(Relaxed)),
                number(&status.transactions),
                number(&status.changes),
                if recent { number(&status.changes_per_second) } else { 0 },
                if recent { number(&status.bytes_per_second) } else { 0 },
                status.phase().into(),
                timestamp(status.phase_since.load(Relaxed)),
                status.awaited_there(),
            )
        })
        .collect();
    TableIterator::new(rows)
}

#[pg_extern(sql = false)]
fn copy_figures() -> TableIterator<
    'static,
    (
        name!(task_id, i32),
        name!(relid, pg_sys::Oid),
        name!(rows, i64),
        name!(bytes, i64),
        name!(seconds, f64),
        name!(pid, i32),
        name!(moved_at, Option<TimestampWithTimeZone>),
    ),
> {
    let now = xact::now();
    let mut rows = Vec::new();
    for (id, status) in report::unwrap(statuses()) {
        for worker in &status.workers[1..] {
            let table = worker.table.load(Relaxed);
            if table != 0
                && let Some(pid) = worker.process.pid()
            {
                let seconds = (now - worker.started_at.load(Relaxed)) as f64 / 1e6;
                let (copied, bytes) = (worker.rows.load(Relaxed) as i64, worker.bytes.load(Relaxed) as i64);
                let moved_at = worker.moved_at.load(Relaxed).max(worker.started_at.load(Relaxed));
                rows.push((id, pg_sys::Oid::from(table), copied, bytes, seconds, pid, timestamp(moved_at)));
            }
        }
    }
    TableIterator::new(rows)
}

/// Commands that wait for locks on the destination. What those who hold them run is for who may use the task.
#[pg_extern(sql = false)]
fn command_waits() -> TableIterator<
    'static,
    (
        name!(task_id, i32),
        name!(command, i64),
        name!(waits_since, Option<TimestampWithTimeZone>),
        name!(holders, Text),
        name!(statements, Option<Text>),
    ),
> {
    let caller = xact::user_id().to_string();
    let rows = report::unwrap(spi::as_extension(|| {
        let sql = "SELECT t.id, pg_has_role($1::oid, t.owner, 'USAGE') FROM courier.task t \
                   WHERE pg_has_role($1::oid, t.owner, 'USAGE') OR pg_has_role($1::oid, 'pg_monitor', 'USAGE')";
        spi::query(sql, &[Some(&caller)])
    }));
    let mut seen: HashMap<i32, bool> = HashMap::new();
    for row in &rows {
        seen.insert(report::unwrap(row.parse(0)), report::unwrap(row.bool(1)));
    }
    let mut waits = Vec::new();
    for (id, status) in report::unwrap(statuses()) {
        let (Some(is_mine), Some(since)) = (seen.get(&id), status.lock_wait.since()) else { continue };
        if status.apply_worker().process.pid().is_some() {
            let statements = is_mine.then(|| status.lock_wait.statements().into());
            let (command, holders) = (status.command.load(Relaxed), status.lock_wait.holders().into());
            waits.push((id, command, timestamp(since), holders, statements));
        }
    }
    TableIterator::new(waits)
}

/// A position that is known.
fn position(lsn: &AtomicU64) -> Option<Lsn> {
    Some(Lsn(lsn.load(Relaxed))).filter(|lsn| lsn.is_valid())
}

/// Microseconds since 2000 as a timestamp; 0 is none.
fn timestamp(microseconds: i64) -> Option<TimestampWithTimeZone> {
    (microseconds != 0).then(|| TimestampWithTimeZone::try_from(microseconds).ok()).flatten()
}

#[pg_extern(sql = false)]
fn lag_positions() -> TableIterator<
    'static,
    (
        name!(id, i32),
        name!(received_lsn, Lsn),
        name!(applied_lsn, Lsn),
        name!(confirmed_lsn, Option<Lsn>),
        name!(beat_written_at, Option<TimestampWithTimeZone>),
        name!(beat_arrived_at, Option<TimestampWithTimeZone>),
        name!(decode_seconds, Option<f64>),
        name!(apply_seconds, Option<f64>),
        name!(destination_seconds, Option<f64>),
    ),
> {
    let rows: Vec<_> = report::unwrap(statuses())
        .into_iter()
        .filter(|(_, status)| status.applied_lsn.load(Relaxed) > 0)
        .map(|(id, status)| {
            let beat = &status.beat;
            let arrived = beat.arrived_at.load(Relaxed);
            let seconds = |value: &AtomicI64| (arrived != 0).then(|| value.load(Relaxed) as f64 / 1e6);
            (
                id,
                Lsn(status.received_lsn.load(Relaxed)),
                Lsn(status.applied_lsn.load(Relaxed)),
                position(&status.confirmed_lsn),
                timestamp(beat.written_at.load(Relaxed)),
                timestamp(arrived),
                seconds(&beat.decode),
                seconds(&beat.apply),
                seconds(&beat.destination),
            )
        })
        .collect();
    TableIterator::new(rows)
}
