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


CREATE FUNCTION courier.preload_sql(library text) RETURNS text
    LANGUAGE plpgsql VOLATILE
    SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    there text;
BEGIN
    IF library IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'null_value_not_allowed', MESSAGE = 'library must not be null';
    END IF;
    -- Those that wait for a restart count as well.
    BEGIN
        SELECT f.setting INTO there FROM pg_file_settings f WHERE f.name = 'shared_preload_libraries' ORDER BY f.seqno DESC LIMIT 1;
    EXCEPTION WHEN insufficient_privilege THEN
        NULL;
    END;
    BEGIN
        there := COALESCE(there, current_setting('shared_preload_libraries'));
    EXCEPTION WHEN insufficient_privilege THEN
        RETURN format('-- as a superuser: SELECT courier.preload_sql(%L);', library);
    END;
    -- Each library is a literal of its own: ALTER SYSTEM takes a list in one literal for one name.
    RETURN (SELECT format('ALTER SYSTEM SET shared_preload_libraries = %s; -- then restart', string_agg(quote_literal(l.name), ', ' ORDER BY l.place))
              FROM (SELECT min(u.place) AS place, u.name
                      FROM (SELECT h.place, btrim(h.name, ' "') AS name FROM unnest(string_to_array(there, ',')) WITH ORDINALITY AS h(name, place)
                            UNION ALL
                            SELECT 1000 + g.place, btrim(g.name) FROM unnest(string_to_array(library, ',')) WITH ORDINALITY AS g(name, place)) AS u
                     WHERE u.name <> '' GROUP BY u.name) AS l);
END
$$;
COMMENT ON FUNCTION courier.preload_sql(text) IS
'The statement that adds libraries (a list, with commas) to shared_preload_libraries and keeps those that are there.';

CREATE FUNCTION courier.threshold(name text) RETURNS integer
    LANGUAGE c STABLE
    AS 'MODULE_PATHNAME', 'threshold_wrapper';
COMMENT ON FUNCTION courier.threshold(text) IS
'The value of a threshold setting courier.<name> as a number, in the unit of its description. Error: 42704 no such threshold.';

CREATE VIEW courier.slots WITH (security_barrier) AS
WITH server AS MATERIALIZED (
    SELECT CASE WHEN pg_catalog.pg_is_in_recovery() THEN pg_catalog.pg_last_wal_replay_lsn() ELSE pg_catalog.pg_current_wal_lsn() END AS lsn,
           NULLIF(courier.wal_rate(), 0) AS rate,
           (SELECT d.free FROM courier.disk_space() d WHERE d.what = 'wal') AS free
)
SELECT r.slot_name,
       r.slot_type,
       r.database,
       CASE WHEN r.plugin = 'pg_courier' AND r.database <> pg_catalog.current_database() THEN 'other database'
            WHEN r.plugin = 'pg_courier' AND t.id IS NULL THEN 'orphaned'
            WHEN r.plugin = 'pg_courier' THEN 'task'
            WHEN r.slot_type = 'physical' THEN 'standby'
            WHEN r.plugin = 'pgoutput' THEN 'subscriber'
            ELSE 'unknown'
       END AS owner_kind,
       CASE WHEN pg_catalog.pg_has_role(t.owner, 'USAGE') OR pg_catalog.pg_has_role('pg_monitor', 'USAGE') THEN t.name END AS task,
       r.plugin,
       r.active,
       r.active_pid,
       CASE WHEN r.active THEN NULL
            ELSE COALESCE((pg_catalog.to_jsonb(r) ->> 'inactive_since')::timestamptz, o.since) END AS inactive_since,
       r.restart_lsn,
       GREATEST(pg_catalog.pg_wal_lsn_diff(server.lsn, r.restart_lsn), 0)::bigint AS retained_bytes,
       r.wal_status,
       -- LEAST passes over a null: no limit, or no rate, is no forecast, and not one of thirty years.
       CASE WHEN r.safe_wal_size IS NOT NULL AND server.rate IS NOT NULL
            THEN pg_catalog.make_interval(secs => GREATEST(LEAST(r.safe_wal_size / server.rate, 1e9), 0)) END AS lost_in,
       CASE WHEN server.free IS NOT NULL AND server.rate IS NOT NULL
            THEN pg_catalog.make_interval(secs => LEAST(server.free / server.rate, 1e9)) END AS disk_full_in
  FROM pg_catalog.pg_replication_slots r
 CROSS JOIN server
  LEFT JOIN courier.task t ON 'courier_' || t.name = r.slot_name AND r.plugin = 'pg_courier' AND r.database = pg_catalog.current_database()
  LEFT JOIN courier.orphan_slot o ON o.slot_name = r.slot_name
 ORDER BY r.slot_name;
COMMENT ON VIEW courier.slots IS
'Every replication slot of the cluster: whose it is (task, orphaned, other database, subscriber, standby, unknown), the WAL it keeps, and at the average rate of WAL the time until it is lost (max_slot_wal_keep_size) or, if it does not move, the disk is full.';
COMMENT ON COLUMN courier.slots.slot_name IS 'Name of the slot.';
COMMENT ON COLUMN courier.slots.slot_type IS 'logical or physical.';
COMMENT ON COLUMN courier.slots.database IS 'The database that a logical slot decodes.';
COMMENT ON COLUMN courier.slots.owner_kind IS 'Whose it is: task, orphaned (of this extension, and its task is gone), other database, subscriber, standby, unknown.';
COMMENT ON COLUMN courier.slots.task IS 'The task, for those who may see it.';
COMMENT ON COLUMN courier.slots.plugin IS 'The output plugin of a logical slot.';
COMMENT ON COLUMN courier.slots.active IS 'Does a process read it?';
COMMENT ON COLUMN courier.slots.active_pid IS 'Which one.';
COMMENT ON COLUMN courier.slots.inactive_since IS 'Since when nobody reads it (17 and later), or since when it is known to be nobody''s.';
COMMENT ON COLUMN courier.slots.restart_lsn IS 'The oldest WAL that it keeps; null when it is lost, or not ready yet.';
COMMENT ON COLUMN courier.slots.retained_bytes IS 'Bytes of WAL that it keeps.';
COMMENT ON COLUMN courier.slots.wal_status IS 'reserved, extended, unreserved, lost: see pg_replication_slots.';
COMMENT ON COLUMN courier.slots.lost_in IS 'Time until the slot is lost at the average rate of WAL; null without max_slot_wal_keep_size.';
COMMENT ON COLUMN courier.slots.disk_full_in IS 'Time until the disk of pg_wal is full at the average rate of WAL, if the slot does not move.';

CREATE FUNCTION courier.note_orphans() RETURNS void
    LANGUAGE sql VOLATILE
    SET search_path = pg_catalog, pg_temp
    AS $$
    DELETE FROM courier.orphan_slot o
     WHERE NOT EXISTS (SELECT FROM courier.slots s WHERE s.slot_name = o.slot_name AND s.owner_kind = 'orphaned' AND NOT s.active);
    INSERT INTO courier.orphan_slot (slot_name)
    SELECT s.slot_name FROM courier.slots s WHERE s.owner_kind = 'orphaned' AND NOT s.active
        ON CONFLICT (slot_name) DO NOTHING;
    $$;
COMMENT ON FUNCTION courier.note_orphans() IS 'Internal: remembers since when slots are nobody''s.';

CREATE FUNCTION courier.drop_orphaned_slots(
    dry_run boolean DEFAULT true, older_than interval DEFAULT '1 hour', named text[] DEFAULT '{}',
    OUT slot_name text, OUT owner_kind text, OUT retained_bytes bigint, OUT inactive_since timestamptz, OUT result text
) RETURNS SETOF record
    LANGUAGE plpgsql VOLATILE
    SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    slot record;
BEGIN
    IF dry_run IS NULL OR older_than IS NULL OR named IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'null_value_not_allowed', MESSAGE = 'an argument of drop_orphaned_slots is null';
    END IF;
    PERFORM courier.note_orphans();
    FOR slot IN
        SELECT s.* FROM courier.slots s
         WHERE s.owner_kind = 'orphaned' OR s.slot_name = ANY (named)
         ORDER BY s.slot_name
    LOOP
        slot_name := slot.slot_name;
        owner_kind := slot.owner_kind;
        retained_bytes := slot.retained_bytes;
        inactive_since := slot.inactive_since;
        IF slot.active THEN
            result := format('kept: process %s reads it', slot.active_pid);
        ELSIF slot.owner_kind = 'task' THEN
            result := 'kept: courier.drop_task() ends a task with its slot';
        ELSIF slot.slot_name <> ALL (named) AND slot.inactive_since > clock_timestamp() - older_than THEN
            result := format('kept: known to be nobody''s only since %s', date_trunc('second', slot.inactive_since));
        ELSIF dry_run THEN
            result := 'would be dropped';
        ELSE
            PERFORM pg_drop_replication_slot(slot.slot_name);
            DELETE FROM courier.orphan_slot o WHERE o.slot_name = slot.slot_name;
            PERFORM courier.record_event(NULL, NULL, 'slot',
                format('slot "%s" (%s) was dropped by %s', slot.slot_name, slot.owner_kind, session_user),
                format('It kept %s of WAL.', pg_size_pretty(slot.retained_bytes)));
            result := 'dropped';
        END IF;
        RETURN NEXT;
    END LOOP;
END
$$;
COMMENT ON FUNCTION courier.drop_orphaned_slots(boolean, interval, text[]) IS
'Drops slots of this extension in this database whose task is gone, for instance after a restored backup, if that has been so for older_than; others only when they are named, and none that is in use. With dry_run, the default, only says what would be dropped. For superusers.';

-- ---------------------------------------------------------------------------------------------------------------------
-- The WAL guard: courier.max_retained_wal
-- ---------------------------------------------------------------------------------------------------------------------

CREATE FUNCTION courier.guard_task(task_id integer, OUT action text, OUT message text) RETURNS record
    LANGUAGE plpgsql VOLATILE
    SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    allowed bigint := courier.threshold('max_retained_wal')::bigint << 20;
    policy  text := current_setting('courier.max_retained_wal_policy');
    t       courier.task;
    slot    record;
    level   text;
    forecast text;
BEGIN
    IF allowed < 0 THEN
        RETURN;
    END IF;
    SELECT * INTO t FROM courier.task k WHERE k.id = guard_task.task_id;
    SELECT s.* INTO slot FROM courier.slots s WHERE s.slot_name = 'courier_' || t.name AND s.owner_kind = 'task';
    SELECT g.level INTO level FROM courier.wal_guard g WHERE g.task_id = t.id;
    -- A slot that is lost keeps nothing that could be counted; that is no news of less WAL.
    IF slot.slot_name IS NOT NULL AND slot.retained_bytes IS NULL THEN
        RETURN;
    ELSIF slot.retained_bytes IS NULL OR slot.retained_bytes < allowed * 0.7 THEN
        IF level IS NOT NULL THEN
            DELETE FROM courier.wal_guard g WHERE g.task_id = t.id;
            PERFORM courier.record_event(t.name, t.owner, 'wal_guard', 'the slot keeps less WAL again', NULL);
            PERFORM courier.record_alerts(json_build_array(json_build_object('item', 'wal_guard', 'status', 'ok', 'task', t.name,
                'detail', 'The slot keeps less WAL again.')));
        END IF;
        RETURN;
    END IF;
    message := format('slot "%s" keeps %s of WAL, courier.max_retained_wal is %s', slot.slot_name, pg_size_pretty(slot.retained_bytes), pg_size_pretty(allowed));
    IF slot.retained_bytes < allowed * 0.8 OR slot.retained_bytes < allowed AND level IS NOT NULL OR level = 'limit' AND policy <> 'drop' THEN
        message := NULL;
        RETURN;
    ELSIF slot.retained_bytes < allowed THEN
        forecast := format('At the average rate of WAL the limit is reached in %s; then the policy is %s.',
            COALESCE(date_trunc('second', make_interval(secs => LEAST((allowed - slot.retained_bytes) / NULLIF(courier.wal_rate(), 0), 1e9)))::text, 'an unknown time'), policy);
        action := 'warn';
        INSERT INTO courier.wal_guard (task_id, level) VALUES (t.id, 'warned');
    ELSE
        action := CASE WHEN policy = 'drop' THEN 'drop' WHEN policy = 'pause' AND t.wanted = 'running' AND NOT t.failed THEN 'pause' ELSE 'warn' END;
        forecast := CASE action WHEN 'drop' THEN 'The slot is dropped, and the task fails: the source comes first.'
                                WHEN 'pause' THEN 'The task is paused; its slot, and the WAL, stay.'
                                ELSE 'Nothing is done about it: courier.max_retained_wal_policy is ' || policy || '.' END;
        INSERT INTO courier.wal_guard AS g (task_id, level) VALUES (t.id, 'limit')
            ON CONFLICT ON CONSTRAINT wal_guard_pkey DO UPDATE SET level = 'limit', at = clock_timestamp();
    END IF;
    PERFORM courier.record_event(t.name, t.owner, 'wal_guard', message, forecast);
    PERFORM courier.record_alerts(json_build_array(json_build_object('item', 'wal_guard', 'task', t.name,
        'status', CASE WHEN slot.retained_bytes < allowed THEN 'warning' ELSE 'critical' END,
        'detail', message || '. ' || forecast, 'hint', format('SELECT * FROM courier.lag WHERE task = %L; -- what is slow', t.name))));
    IF action = 'pause' THEN
        UPDATE courier.task k SET wanted = 'paused' WHERE k.id = t.id;
    ELSIF action = 'drop' THEN
        UPDATE courier.task k
           SET failed = true, retry_at = NULL, last_error = message, last_error_detail = forecast, last_error_sqlstate = '53400',
               last_error_at = clock_timestamp(),
               last_error_hint = 'Drop the task, empty its tables on the destination, create it anew with schema_sync => false, and start it.'
         WHERE k.id = t.id;
    END IF;
    message := message || ': ' || forecast;
END
$$;
COMMENT ON FUNCTION courier.guard_task(integer) IS
'Internal: compares the WAL that a task''s slot keeps with courier.max_retained_wal, writes events and alerts, and says what its processes have to do: warn, pause, drop, or nothing.';
