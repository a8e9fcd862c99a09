-- Health: one question for people and for monitoring, and alerts when an answer changes.

CREATE FUNCTION courier.health(OUT "check" text, OUT status text, OUT task text, OUT detail text, OUT hint text) RETURNS SETOF record
    LANGUAGE sql VOLATILE
    SET search_path = pg_catalog, pg_temp
    AS $$
    WITH t AS MATERIALIZED (
        SELECT *, state NOT IN ('created', 'paused', 'failed', 'finished') AS runs,
               state IN ('catching_up', 'synchronizing') AS streams
          FROM courier.tasks
    ), slot AS MATERIALIZED (
        SELECT * FROM courier.slots
    ), watches AS (
        -- What concerns the whole server is for those who watch it.
        SELECT WHERE pg_has_role('pg_monitor', 'USAGE')
    )
    SELECT 'task' AS "check",
           CASE WHEN t.state = 'failed' OR t.runs AND t.supervisor_pid IS NULL THEN 'critical'
                WHEN t.state = 'paused' THEN 'warning' ELSE 'ok' END AS status,
           t.task,
           CASE WHEN t.state = 'failed' THEN concat_ws(' ', t.last_error || '.', t.last_error_detail)
                WHEN t.state = 'paused' THEN 'The task is paused; its slot keeps WAL.'
                WHEN t.runs AND t.supervisor_pid IS NULL THEN 'The task should run, and none of its processes does.'
                ELSE format('The task is %s.', t.state) END AS detail,
           CASE WHEN t.state = 'failed' THEN COALESCE(t.last_error_hint, format('SELECT courier.resume(%L); after the repair.', t.task))
                WHEN t.state = 'paused' OR t.runs AND t.supervisor_pid IS NULL THEN format('SELECT courier.resume(%L);', t.task) END AS hint
      FROM t
    UNION ALL
    SELECT 'destination',
           CASE WHEN NOT t.runs OR t.retry_at IS NULL AND (t.apply_pid IS NOT NULL OR NOT t.streams) THEN 'ok'
                WHEN t.last_error_at > clock_timestamp() - interval '1 hour' THEN 'critical' ELSE 'warning' END,
           t.task,
           CASE WHEN NOT t.runs OR t.retry_at IS NULL AND (t.apply_pid IS NOT NULL OR NOT t.streams) THEN 'Nothing keeps the task from its destination.'
                ELSE concat_ws(' ', 'The task tries again: ' || t.last_error || '.', t.last_error_detail) END,
           CASE WHEN t.runs AND (t.retry_at IS NOT NULL OR t.streams AND t.apply_pid IS NULL)
                THEN format('SELECT * FROM courier.test_connection(%L);', t.server) END
      FROM t
    UNION ALL
    SELECT 'lag',
           CASE WHEN a.seconds >= courier.threshold('lag_critical') THEN 'critical'
                WHEN a.seconds >= courier.threshold('lag_warning') THEN 'warning' ELSE 'ok' END,
           t.task,
           format('The destination is %s and %s behind.', COALESCE(round(a.seconds) || ' s', 'an unknown time'), COALESCE(pg_size_pretty(t.lag_bytes), 'an unknown amount')),
           CASE WHEN a.seconds >= courier.threshold('lag_warning') THEN format('SELECT * FROM courier.lag WHERE task = %L; shows where it is spent.', t.task) END
      FROM t
      LEFT JOIN courier.lag l ON l.task = t.task,
           LATERAL (SELECT GREATEST(t.lag_seconds, l.outstanding_seconds) AS seconds) AS a
     WHERE t.streams AND t.incremental
    UNION ALL
    SELECT 'slot',
           CASE WHEN slot.wal_status IN ('lost', 'unreserved') OR slot.retained_bytes >= courier.threshold('retained_wal_critical')::bigint << 20
                     OR NOT slot.active AND slot.disk_full_in < courier.threshold('disk_full_warning') * interval '1 min' / 4 THEN 'critical'
                WHEN slot.retained_bytes >= courier.threshold('retained_wal_warning')::bigint << 20
                     OR NOT slot.active AND slot.disk_full_in < courier.threshold('disk_full_warning') * interval '1 min' THEN 'warning'
                ELSE 'ok' END,
           slot.task,
           format('The slot keeps %s of WAL (%s)%s.', pg_size_pretty(slot.retained_bytes), slot.wal_status,
                  CASE WHEN NOT slot.active THEN format('; nobody reads it, and at the average rate the disk is full in %s', date_trunc('minute', slot.disk_full_in)) END),
           format('Let the task run, or give it up: SELECT courier.drop_task(%L);', slot.task)
      FROM slot
     WHERE slot.owner_kind = 'task' AND slot.task IS NOT NULL
    UNION ALL
    SELECT 'slot', 'critical', t.task, 'The slot of the task does not exist any more: changes are missing.',
           'Drop the task, empty its tables on the destination, create it anew with schema_sync => false, and start it.'
      FROM t
     WHERE t.incremental AND t.streams
       AND NOT EXISTS (SELECT FROM slot WHERE slot.slot_name = 'courier_' || t.task)
    UNION ALL
    SELECT 'wal_guard',
           CASE WHEN slot.retained_bytes >= g.allowed THEN 'critical' WHEN slot.retained_bytes >= g.allowed * 0.8 THEN 'warning' ELSE 'ok' END,
           t.task,
           format('The slot keeps %s of WAL; courier.max_retained_wal is %s.', COALESCE(pg_size_pretty(slot.retained_bytes), 'nothing'), pg_size_pretty(g.allowed)),
           CASE WHEN slot.retained_bytes >= g.allowed * 0.8 THEN format('SELECT * FROM courier.lag WHERE task = %L; shows what is slow.', t.task) END
      FROM t
     CROSS JOIN (SELECT courier.threshold('max_retained_wal')::bigint << 20 AS allowed) AS g
      LEFT JOIN slot ON slot.task = t.task
     WHERE t.incremental AND g.allowed >= 0
    UNION ALL
    SELECT 'replica_identity',
           CASE WHEN count(i.table_name) > 0 THEN 'warning' ELSE 'ok' END, t.task,
           CASE WHEN count(i.table_name) > 0
                THEN format('No UPDATE or DELETE of %s can be applied: it has no replica identity.', string_agg(i.table_name, ', ' ORDER BY i.table_name))
                ELSE 'Every table has a replica identity.' END,
           CASE WHEN count(i.table_name) > 0 THEN format('CALL courier.set_replica_identity(%L, dry_run => false);', t.task) END
      FROM t
      LEFT JOIN LATERAL (SELECT r.table_name FROM courier.replica_identity(t.task) r WHERE r.current = 'none' LIMIT 20) AS i ON true
     WHERE t.incremental AND t.runs
     GROUP BY t.task
    UNION ALL
    -- What the patterns name and the task does not follow is lost, also before its first row stops the task.
    SELECT 'coverage',
           CASE WHEN count(c.table_name) > 0 THEN 'critical' ELSE 'ok' END, t.task,
           CASE WHEN count(c.table_name) > 0 THEN concat_ws(' ', (array_agg(c.detail ORDER BY c.table_name))[1],
                                                            CASE WHEN count(c.table_name) > 1 THEN format('%s tables in all.', count(c.table_name)) END)
                ELSE 'The task follows what its patterns name.' END,
           CASE WHEN count(c.table_name) = 1 THEN min(c.hint)
                WHEN count(c.table_name) > 1 THEN format('SELECT * FROM courier.coverage(%L); has the way out for each.', t.task) END
      FROM t
      LEFT JOIN LATERAL courier.coverage(t.task) AS c ON true
     WHERE t.incremental AND t.state NOT IN ('created', 'finished')
     GROUP BY t.task
    UNION ALL
    SELECT 'other_slots',
           CASE WHEN count(o.slot_name) > 0 THEN 'warning' ELSE 'ok' END, NULL,
           CASE WHEN count(o.slot_name) > 0 THEN format('Nobody reads %s; it keeps WAL.', string_agg(format('slot %s (%s, %s)', o.slot_name, o.owner_kind, pg_size_pretty(o.retained_bytes)), ', '))
                ELSE 'No forgotten slot keeps much WAL.' END,
           CASE WHEN count(o.slot_name) > 0 THEN 'SELECT * FROM courier.drop_orphaned_slots(); for ours, pg_drop_replication_slot() for others.' END
      FROM watches
      LEFT JOIN slot o ON NOT o.active AND o.owner_kind <> 'task'
           AND (o.owner_kind = 'orphaned' OR o.retained_bytes >= courier.threshold('retained_wal_warning')::bigint << 20 OR o.wal_status IN ('lost', 'unreserved'))
    HAVING EXISTS (SELECT FROM watches)
    UNION ALL
    SELECT 'disk_' || d.what,
           CASE WHEN d.free * 100.0 < d.total * courier.threshold('disk_free_critical')::numeric THEN 'critical'
                WHEN d.free * 100.0 < d.total * courier.threshold('disk_free_warning')::numeric THEN 'warning' ELSE 'ok' END, NULL,
           format('%s of %s are free.', pg_size_pretty(d.free), pg_size_pretty(d.total)),
           CASE WHEN d.free * 100.0 < d.total * courier.threshold('disk_free_warning')::numeric THEN 'SELECT * FROM courier.slots ORDER BY retained_bytes DESC; shows who keeps WAL.' END
      FROM watches, courier.disk_space() d
    UNION ALL
    SELECT 'long_transactions',
           CASE WHEN count(a.pid) > 0 THEN 'warning' ELSE 'ok' END, NULL,
           CASE WHEN count(a.pid) > 0 THEN format('Open for too long: %s.', string_agg(format('pid %s (%s, %s, since %s)', a.pid, a.usename, a.state, date_trunc('second', a.xact_start)), ', '))
                ELSE 'No transaction is open for too long.' END,
           CASE WHEN count(a.pid) > 0 THEN 'Decoding keeps their WAL and waits for their commit; pg_terminate_backend(pid) ends one.' END
      FROM watches
      LEFT JOIN pg_stat_activity a ON a.backend_type = 'client backend' AND (a.backend_xid IS NOT NULL OR a.backend_xmin IS NOT NULL)
           AND a.pid <> pg_backend_pid() AND a.xact_start < clock_timestamp() - courier.threshold('long_transaction') * interval '1 s'
    HAVING EXISTS (SELECT FROM watches)
    UNION ALL
    SELECT 'prepared_transactions',
           CASE WHEN count(p.gid) > 0 THEN 'warning' ELSE 'ok' END, NULL,
           CASE WHEN count(p.gid) > 0
                THEN format('Left over: %s. A new slot waits for them, and they keep WAL of every slot and hold back vacuum.',
                            string_agg(format('%L (%I, database %I, since %s)', p.gid, p.owner, p.database, date_trunc('second', p.prepared)), ', ' ORDER BY p.prepared)
                                FILTER (WHERE p.gid IS NOT NULL))
                ELSE 'No prepared transaction is left over.' END,
           string_agg(format('COMMIT PREPARED %L; -- or ROLLBACK PREPARED, in database %I', p.gid, p.database), E'\n' ORDER BY p.prepared)
               FILTER (WHERE p.gid IS NOT NULL)
      FROM watches
      LEFT JOIN LATERAL (SELECT x.* FROM pg_prepared_xacts x
                          WHERE x.prepared < clock_timestamp() - courier.threshold('long_transaction') * interval '1 s'
                          ORDER BY x.prepared LIMIT 20) AS p ON true
    HAVING EXISTS (SELECT FROM watches)
    $$;
COMMENT ON FUNCTION courier.health() IS
'How things are: one row for each check and task of the caller, and for members of pg_monitor one for each check of the server; status is ok, warning or critical. Thresholds are settings: courier.lag_warning, courier.lag_critical, courier.retained_wal_warning, courier.retained_wal_critical, courier.disk_free_warning, courier.disk_free_critical, courier.disk_full_warning, courier.long_transaction.';

CREATE VIEW courier.alerts WITH (security_barrier) AS
SELECT a.check_name AS "check", a.task, a.status,
       CASE WHEN a.is_hidden THEN 'courier.alerts says more to those who may use the task.' ELSE a.detail END AS detail,
       CASE WHEN NOT a.is_hidden THEN a.hint END AS hint, a.raised_at, a.changed_at, a.cleared_at
  FROM (SELECT v.*, v.check_name IN ('task', 'destination') AND v.task IS NOT NULL AND NOT v.is_ours AS is_hidden
          FROM (SELECT x.*, EXISTS (SELECT FROM pg_catalog.pg_roles r WHERE r.oid = x.owner AND pg_catalog.pg_has_role(r.oid, 'USAGE')) AS is_ours
                  FROM courier.alert x OFFSET 0) v) a
 WHERE a.is_ours OR pg_catalog.pg_has_role('pg_monitor', 'USAGE')
 ORDER BY a.cleared_at IS NOT NULL, a.changed_at DESC;
COMMENT ON VIEW courier.alerts IS
'What courier.health_check() has found, the open alerts first; cleared_at is set once the check was ok again. Alerts of a task are for those who may use it, the others for members of pg_monitor, who see of a task''s error only that there is one: it may name keys and values of rows.';

CREATE FUNCTION courier.record_alerts(
    findings json, OUT change text, OUT "check" text, OUT task text, OUT status text, OUT detail text, OUT hint text
) RETURNS SETOF record
    LANGUAGE plpgsql VOLATILE
    SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    line record;
    known courier.alert;
BEGIN
    -- One at a time: two checks at the same moment would announce everything twice.
    PERFORM pg_advisory_xact_lock(hashtext('courier.record_alerts'), 0);
    FOR line IN
        SELECT f.* FROM json_to_recordset(findings) AS f("check" text, status text, task text, detail text, hint text)
        UNION ALL
        SELECT a.check_name, 'ok', a.task, 'The task is gone.', NULL
          FROM courier.alert a
         WHERE a.cleared_at IS NULL AND a.task IS NOT NULL AND NOT EXISTS (SELECT FROM courier.task t WHERE t.name = a.task)
    LOOP
        SELECT a.* INTO known FROM courier.alert a
         WHERE a.cleared_at IS NULL AND a.check_name = line."check" AND a.task IS NOT DISTINCT FROM line.task;
        change := CASE WHEN known.id IS NULL AND line.status <> 'ok' THEN 'raised'
                       WHEN known.id IS NOT NULL AND line.status = 'ok' THEN 'cleared'
                       WHEN known.status <> line.status THEN 'changed' END;
        IF change IS NULL THEN
            IF known.id IS NOT NULL AND known.detail IS DISTINCT FROM line.detail THEN
                UPDATE courier.alert a SET detail = line.detail, hint = line.hint WHERE a.id = known.id;
            END IF;
            CONTINUE;
        END IF;
        IF change = 'raised' THEN
            INSERT INTO courier.alert (check_name, task, owner, status, detail, hint)
            VALUES (line."check", line.task, (SELECT t.owner FROM courier.task t WHERE t.name = line.task), line.status, line.detail, line.hint);
        ELSIF change = 'cleared' THEN
            UPDATE courier.alert a SET cleared_at = clock_timestamp(), changed_at = clock_timestamp() WHERE a.id = known.id;
        ELSE
            UPDATE courier.alert a
               SET status = line.status, detail = line.detail, hint = line.hint, changed_at = clock_timestamp()
             WHERE a.id = known.id;
        END IF;
        "check" := line."check"; task := line.task; status := line.status; detail := line.detail; hint := line.hint;
        -- Anybody may listen: nothing that has to be looked up with rights.
        PERFORM pg_notify('courier_alert', json_build_object('change', change, 'check', line."check", 'task', line.task,
            'status', line.status, 'database', current_database(), 'at', clock_timestamp())::text);
        RETURN NEXT;
    END LOOP;
    DELETE FROM courier.alert a
     WHERE a.cleared_at IS NOT NULL
       AND a.id <= (SELECT max(m.id) FROM courier.alert m) - COALESCE(current_setting('courier.events_kept', true)::integer, 10000);
    PERFORM courier.note_orphans();
END
$$;
COMMENT ON FUNCTION courier.record_alerts(json) IS 'Internal: courier.health_check().';

CREATE FUNCTION courier.health_check() RETURNS text
    LANGUAGE c VOLATILE STRICT
    AS 'MODULE_PATHNAME', 'health_check_wrapper';
COMMENT ON FUNCTION courier.health_check() IS
'Asks courier.health() with the caller''s rights, records what changed in courier.alerts, announces each change with NOTIFY courier_alert (JSON: change, check, task, status, database, at; the rest is in the view) and in the server log, and returns the worst status: ok, warning or critical. For pg_cron, every minute.';
REVOKE ALL ON courier.alert, courier.alerts FROM PUBLIC;
REVOKE ALL ON FUNCTION courier.health(), courier.record_alerts(json), courier.health_check() FROM PUBLIC;
