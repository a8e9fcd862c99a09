-- Heartbeat: a row that each running task writes, decodes and brings to the destination, to measure the way it takes.

CREATE FUNCTION courier.lag_status(
    OUT id integer, OUT received_lsn pg_lsn, OUT applied_lsn pg_lsn, OUT confirmed_lsn pg_lsn, OUT beat_written_at timestamptz,
    OUT beat_arrived_at timestamptz, OUT decode_seconds double precision, OUT apply_seconds double precision,
    OUT destination_seconds double precision
) RETURNS SETOF record
    LANGUAGE c VOLATILE STRICT
    AS 'MODULE_PATHNAME', 'lag_positions_wrapper';
COMMENT ON FUNCTION courier.lag_status() IS 'Internal: positions and the way of the last heartbeat, from shared memory. See view courier.lag.';

CREATE VIEW courier.lag WITH (security_barrier) AS
SELECT t.task,
       t.lag_bytes,
       t.lag_seconds,
       GREATEST(pg_catalog.pg_wal_lsn_diff(courier.wal_end(), l.received_lsn), 0)::bigint AS decode_bytes,
       GREATEST(pg_catalog.pg_wal_lsn_diff(l.received_lsn, l.applied_lsn), 0)::bigint AS apply_bytes,
       GREATEST(pg_catalog.pg_wal_lsn_diff(l.applied_lsn, l.confirmed_lsn), 0)::bigint AS unconfirmed_bytes,
       pg_catalog.round(EXTRACT(epoch FROM l.beat_arrived_at - l.beat_written_at)::numeric, 3) AS delay_seconds,
       pg_catalog.round(l.decode_seconds::numeric, 3) AS decode_seconds,
       pg_catalog.round(l.apply_seconds::numeric, 3) AS apply_seconds,
       pg_catalog.round(l.destination_seconds::numeric, 3) AS destination_seconds,
       l.beat_arrived_at AS measured_at,
       pg_catalog.round(GREATEST(EXTRACT(epoch FROM h.written_at - l.beat_written_at), 0)::numeric, 3) AS outstanding_seconds
  FROM courier.task_details t
  JOIN courier.task k ON k.name = t.task
  LEFT JOIN courier.lag_status() l ON l.id = k.id
  LEFT JOIN courier.heartbeat h ON h.task_id = k.id
 WHERE t.lag_seconds IS NOT NULL
 ORDER BY t.task;
COMMENT ON VIEW courier.lag IS
'How far the destination of each task is behind, also while none of its processes runs, and where: bytes not decoded yet, decoded and not applied, applied and not confirmed to the slot; and the way of the last heartbeat in seconds: until it was decoded, until it was sent, until the destination had committed it. Everything but lag_bytes and lag_seconds is known only while the task streams.';
COMMENT ON COLUMN courier.lag.task IS 'Name of the task.';
COMMENT ON COLUMN courier.lag.lag_bytes IS 'Bytes of WAL that the destination does not have yet; while no worker runs, that the slot has not confirmed.';
COMMENT ON COLUMN courier.lag.lag_seconds IS 'Seconds since the destination is known to have had everything that was committed.';
COMMENT ON COLUMN courier.lag.decode_bytes IS 'Bytes of WAL that are not decoded yet: the source is slow when it is high.';
COMMENT ON COLUMN courier.lag.apply_bytes IS 'Bytes of WAL decoded and not applied: they wait for the destination.';
COMMENT ON COLUMN courier.lag.unconfirmed_bytes IS 'Bytes of WAL applied and not confirmed to the slot yet.';
COMMENT ON COLUMN courier.lag.delay_seconds IS 'The whole way of the last heartbeat that arrived, in seconds.';
COMMENT ON COLUMN courier.lag.decode_seconds IS 'Of these, until it was decoded.';
COMMENT ON COLUMN courier.lag.apply_seconds IS 'Until it was sent to the destination.';
COMMENT ON COLUMN courier.lag.destination_seconds IS 'Until the destination had committed it.';
COMMENT ON COLUMN courier.lag.measured_at IS 'When it arrived.';
COMMENT ON COLUMN courier.lag.outstanding_seconds IS 'Seconds between the last heartbeat that arrived and the last one written.';
