-- Heartbeat: a row that each running task writes, decodes and brings to the destination, to measure the way it takes.

CREATE FUNCTION courier.lag_status(
    OUT id integer, OUT received_lsn bigint, OUT applied_lsn bigint, OUT confirmed_lsn bigint, OUT beat_written_at timestamptz,
    OUT beat_arrived_at timestamptz, OUT decode_seconds double precision, OUT apply_seconds double precision,
    OUT destination_seconds double precision
) RETURNS SETOF record
    LANGUAGE c VOLATILE STRICT
    AS 'MODULE_PATHNAME', 'lag_status_wrapper';
COMMENT ON FUNCTION courier.lag_status() IS 'Internal: positions and the way of the last heartbeat, from shared memory. See view courier.lag.';

CREATE VIEW courier.lag WITH (security_barrier) AS
SELECT t.name AS task,
       GREATEST(pg_catalog.pg_wal_lsn_diff(f.lsn, courier.lsn(l.applied_lsn)), 0)::bigint AS lag_bytes,
       GREATEST(pg_catalog.pg_wal_lsn_diff(f.lsn, courier.lsn(l.received_lsn)), 0)::bigint AS decode_bytes,
       GREATEST(l.received_lsn - l.applied_lsn, 0) AS apply_bytes,
       GREATEST(l.applied_lsn - NULLIF(l.confirmed_lsn, 0), 0) AS unconfirmed_bytes,
       pg_catalog.round(EXTRACT(epoch FROM l.beat_arrived_at - l.beat_written_at)::numeric, 3) AS delay_seconds,
       pg_catalog.round(l.decode_seconds::numeric, 3) AS decode_seconds,
       pg_catalog.round(l.apply_seconds::numeric, 3) AS apply_seconds,
       pg_catalog.round(l.destination_seconds::numeric, 3) AS destination_seconds,
       l.beat_arrived_at AS measured_at,
       pg_catalog.round(GREATEST(EXTRACT(epoch FROM h.written_at - l.beat_written_at), 0)::numeric, 3) AS outstanding_seconds
  FROM courier.task t
  JOIN courier.lag_status() l ON l.id = t.id
  LEFT JOIN courier.heartbeat h ON h.task_id = t.id
 CROSS JOIN (SELECT CASE WHEN pg_catalog.pg_is_in_recovery() THEN pg_catalog.pg_last_wal_replay_lsn() ELSE pg_catalog.pg_current_wal_flush_lsn() END AS lsn) f
 WHERE pg_catalog.pg_has_role(t.owner, 'USAGE');
COMMENT ON VIEW courier.lag IS
'How far the destination of each running task is behind, and where: bytes not decoded yet, decoded and not applied, applied and not confirmed to the slot; and the way of the last heartbeat in seconds: until it was decoded, until it was sent, until the destination had committed it. outstanding_seconds is the time between the last heartbeat that arrived and the last one written.';
REVOKE ALL ON courier.heartbeat, courier.lag FROM PUBLIC;
REVOKE ALL ON FUNCTION courier.lag_status() FROM PUBLIC;
