-- Replication slots, the WAL they keep, and the disks it is kept on.

CREATE FUNCTION courier.disk_space(OUT what text, OUT total bigint, OUT free bigint) RETURNS SETOF record
    LANGUAGE c VOLATILE STRICT
    AS 'MODULE_PATHNAME', 'disk_space_wrapper';
COMMENT ON FUNCTION courier.disk_space() IS
'Bytes, and bytes free for the server, of the disks under the data directory (data) and pg_wal (wal).';

CREATE FUNCTION courier.wal_rate() RETURNS double precision
    LANGUAGE plpgsql VOLATILE
    SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    since_checkpoint double precision;
    since_reset      double precision;
BEGIN
    -- Both are averages; the higher one is the safer forecast. A few seconds say nothing.
    SELECT pg_wal_lsn_diff(CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END, c.redo_lsn)
           / EXTRACT(epoch FROM clock_timestamp() - c.checkpoint_time)
      INTO since_checkpoint
      FROM pg_control_checkpoint() c
     WHERE c.checkpoint_time < clock_timestamp() - interval '10 s';
    IF current_setting('server_version_num')::integer >= 140000 THEN
        SELECT w.wal_bytes / EXTRACT(epoch FROM clock_timestamp() - w.stats_reset)
          INTO since_reset
          FROM pg_stat_wal w
         WHERE w.stats_reset < clock_timestamp() - interval '1 s';
    END IF;
    RETURN GREATEST(since_checkpoint, since_reset, 0);
END
$$;
COMMENT ON FUNCTION courier.wal_rate() IS
'WAL written by this server in bytes a second: the higher one of the averages since the last checkpoint and since pg_stat_wal was reset (14 and later).';

REVOKE ALL ON FUNCTION courier.disk_space(), courier.wal_rate() FROM PUBLIC;
