//! The task's row of `courier_applied.progress` while changes are applied, and what stands for it at the beginning of a
//! transaction that comes to it last.

use super::super::{Advance, MarkOf, Sql, Statement, Turn};

pub(super) fn advance(advance: &Advance<'_>) -> Sql {
    update([
        &format!("'{}'::pg_catalog.uuid", advance.task_id),
        &format!("'{}'::pg_catalog.pg_lsn", advance.to),
        &format!(
            "('2000-01-01 00:00+00'::pg_catalog.timestamptz + {} * '1 us'::pg_catalog.interval)",
            advance.commit_time
        ),
        &format!("'{}'::pg_catalog.pg_lsn", advance.from),
        &advance.epoch.to_string(),
    ])
}

pub(super) fn advance_prepared() -> Statement {
    const UUID: u32 = 2950;
    const LSN: u32 = 3220;
    const TIMESTAMPTZ: u32 = 1184;
    const INT8: u32 = 20;
    Statement { sql: update(["$1", "$2", "$3", "$4", "$5"]), types: vec![UUID, LSN, TIMESTAMPTZ, LSN, INT8] }
}

/// "Division by zero" when the row is gone. A writer that is not the row's, or believes the row elsewhere, breaks the
/// constraint that [`crate::destination::is_fenced`] knows.
fn update([task, end, commit_time, chain, epoch]: [&str; 5]) -> Sql {
    Sql::new(format!(
        "WITH touched AS (UPDATE courier_applied.progress SET end_lsn = {end}, \
         commit_time = CASE WHEN {commit_time} > '2000-01-01 00:00+00'::pg_catalog.timestamptz THEN {commit_time} \
         ELSE commit_time END, \
         updated_at = pg_catalog.now(), writer = CASE WHEN end_lsn = {chain} THEN {epoch} ELSE -1 END \
         WHERE task_id = {task} RETURNING 1) \
         SELECT 1 / (pg_catalog.count(*) = 1)::pg_catalog.int4 FROM touched"
    ))
}

/// No other session of the worker writes the lane's row.
pub(super) fn mark(mark: &MarkOf<'_>) -> Sql {
    Sql::new(format!(
        "INSERT INTO courier_applied.marks AS m (task_id, epoch, lane, source_id) \
         SELECT p.task_id, {epoch}, {lane}, p.source_id FROM courier_applied.progress AS p \
         WHERE p.task_id = '{task}'::pg_catalog.uuid \
         ON CONFLICT (task_id, epoch, lane) DO UPDATE SET used = m.used + 1",
        epoch = mark.epoch,
        lane = mark.lane,
        task = mark.task_id,
    ))
}

pub(super) fn take_turn(turn: Turn) -> Sql {
    Sql::new(format!("SELECT pg_catalog.pg_advisory_xact_lock({}, {})", turn.class, turn.number))
}

/// An advisory lock, so that the destination would notice a deadlock.
pub(super) fn await_turn(turn: Turn) -> Sql {
    Sql::new(format!("SELECT pg_catalog.pg_advisory_xact_lock_shared({}, {})", turn.class, turn.number))
}
