-- Health: one question for people and for monitoring, and alerts when an answer changes.

-- Every answer is one of facts. What is not known is no reason to say ok: a comparison with null falls through all of a CASE, so each
-- asks for it first.

CREATE FUNCTION courier.is_preloaded() RETURNS boolean
    LANGUAGE c STABLE STRICT
    AS 'MODULE_PATHNAME', 'is_preloaded_wrapper';
COMMENT ON FUNCTION courier.is_preloaded() IS 'Is pg_courier in shared_preload_libraries of the running server?';

CREATE VIEW courier.health_last WITH (security_barrier) AS
SELECT r.ran_at, r.worst, r.ran_by FROM courier.health_run r;
COMMENT ON VIEW courier.health_last IS 'When courier.health_check() ran last, what it answered, and who asked.';
COMMENT ON COLUMN courier.health_last.ran_at IS 'When it ran.';
COMMENT ON COLUMN courier.health_last.worst IS 'ok, warning or critical; null if it did not get to the end.';
COMMENT ON COLUMN courier.health_last.ran_by IS 'The role that called it, or pg_courier.';

CREATE VIEW courier.unidentified WITH (security_barrier) AS
SELECT t.name AS task, i.table_name
  FROM courier.task t
 CROSS JOIN LATERAL (SELECT ARRAY(SELECT k.relid FROM courier.task_table k WHERE k.task_id = t.id) AS relids) k
 CROSS JOIN LATERAL (SELECT n.table_name FROM courier.identity_of(k.relids) n WHERE n.current = 'none' LIMIT 20) i
 WHERE t.incremental AND t.wanted IN ('running', 'paused')
   AND (pg_catalog.pg_has_role(t.owner, 'USAGE') OR pg_catalog.pg_has_role('pg_monitor', 'USAGE'));
COMMENT ON VIEW courier.unidentified IS 'Internal: tables of started tasks without a replica identity.';

CREATE VIEW courier.rewritten WITH (security_barrier) AS
SELECT t.name AS task, (SELECT pg_catalog.format('%I.%I', n[1], n[2]) FROM pg_catalog.parse_ident(k.table_name) AS n) AS table_name,
       pg_catalog.max(r.at) AS at
  FROM courier.rewritten_table r
  JOIN courier.task t ON t.id = r.task_id
  JOIN courier.task_table k ON k.task_id = r.task_id AND k.relid = r.relid
 WHERE NOT r.unlogged AND r.at > COALESCE(k.started_at, t.started_at)
   AND (pg_catalog.pg_has_role(t.owner, 'USAGE') OR pg_catalog.pg_has_role('pg_monitor', 'USAGE'))
 GROUP BY t.name, k.table_name;
COMMENT ON VIEW courier.rewritten IS 'Internal: tables that have got new values by ALTER TABLE since they were copied, and were not found equal by courier.verify() since.';

CREATE VIEW courier.copying WITH (security_barrier) AS
SELECT t.name AS task, c.relid, c.rows, c.bytes, c.seconds, c.pid, c.moved_at
  FROM courier.copy_status() c
  JOIN courier.task t ON t.id = c.task_id
 WHERE pg_catalog.pg_has_role(t.owner, 'USAGE') OR pg_catalog.pg_has_role('pg_monitor', 'USAGE');
COMMENT ON VIEW courier.copying IS 'Internal: tables that are being copied now.';

CREATE VIEW courier.left_aside WITH (security_barrier) AS
SELECT t.name AS task, f.failed, f.waiting, f.id, f.error
  FROM courier.task t
 CROSS JOIN LATERAL (SELECT pg_catalog.count(*) FILTER (WHERE d.state = 'failed aside') AS failed,
                            pg_catalog.count(*) FILTER (WHERE d.state = 'aside') AS waiting,
                            pg_catalog.min(d.id) FILTER (WHERE d.state = 'failed aside') AS id,
                            (pg_catalog.array_agg(d.note ORDER BY d.id) FILTER (WHERE d.state = 'failed aside'))[1] AS error
                       FROM courier.ddl_done d
                      WHERE d.task_id = t.id AND d.state IN ('aside', 'failed aside')) AS f
 WHERE t.ddl = 'replicate' AND t.incremental
   AND (pg_catalog.pg_has_role(t.owner, 'USAGE') OR pg_catalog.pg_has_role('pg_monitor', 'USAGE'));
COMMENT ON VIEW courier.left_aside IS 'Internal: how many commands have left something to be done aside, and the first that fails.';

CREATE FUNCTION courier.health(OUT item text, OUT status text, OUT task text, OUT detail text, OUT hint text) RETURNS SETOF record
    LANGUAGE sql VOLATILE
    SET search_path = pg_catalog, pg_temp
    AS $$
    WITH t AS MATERIALIZED (
        SELECT d.*, d.state NOT IN ('created', 'paused', 'failed', 'finished') AS runs,
               d.state NOT IN ('created', 'finished') AS is_on,
               clock_timestamp() - d.asked_at AS on_for
          FROM courier.task_details d
         WHERE NOT pg_is_in_recovery()
    ), slot AS MATERIALIZED (
        SELECT * FROM courier.slots WHERE NOT pg_is_in_recovery()
    ), watches AS (
        -- What concerns the whole server is for those who watch it.
        SELECT WHERE pg_has_role('pg_monitor', 'USAGE')
    )
    SELECT 'task' AS item, 'skipped' AS status, d.task, 'This server is a standby; the task runs on its primary.' AS detail, NULL AS hint
      FROM courier.task_details d
     WHERE pg_is_in_recovery()
    UNION ALL
    SELECT 'task',
           CASE WHEN t.state = 'failed' OR t.runs AND t.supervisor_pid IS NULL THEN 'critical'
                WHEN t.state IN ('created', 'finished') THEN 'ok'
                WHEN t.state IN ('paused', 'retrying') OR t.state = 'starting' AND COALESCE(t.on_for > interval '1 min', true)
                     OR t.awaits_there IS NOT NULL THEN 'warning'
                WHEN t.runs THEN 'ok' ELSE 'critical' END,
           t.task,
           CASE WHEN t.state = 'failed' THEN concat_ws(' ', COALESCE(t.last_error, 'The task has failed') || '.', t.last_error_detail)
                WHEN t.state = 'paused' THEN 'The task is paused; its slot keeps WAL.'
                WHEN t.runs AND t.supervisor_pid IS NULL THEN 'The task should run, and none of its processes does.'
                WHEN t.state = 'retrying' THEN format('The task has been trying again since %s.', date_trunc('second', COALESCE(t.trouble_since, t.last_error_at)))
                WHEN t.state = 'starting' THEN format('The task has been starting since %s: %s%s.', date_trunc('second', t.asked_at), t.phase,
                     '; it waits for pid ' || array_to_string(t.waits_for, ', '))
                WHEN t.runs AND t.awaits_there IS NOT NULL THEN format('The task is %s.', t.phase)
                ELSE format('The task is %s.', t.state) END,
           CASE WHEN t.state = 'failed' THEN COALESCE(t.last_error_hint, format('SELECT courier.resume(%L);', t.task))
                WHEN t.state = 'paused' OR t.runs AND t.supervisor_pid IS NULL THEN format('SELECT courier.resume(%L);', t.task)
                WHEN t.state = 'retrying' THEN t.last_error_hint
                WHEN t.waits_for IS NOT NULL
                THEN format('SELECT pid, usename, state, xact_start, query FROM pg_stat_activity WHERE pid = ANY (%L);', t.waits_for::text)
                WHEN t.runs AND t.awaits_there > 0
                THEN format('SELECT state, query FROM pg_stat_activity WHERE pid = %1$s; -- on the destination; or, if its statement is not '
                            'to end by itself: SELECT pg_terminate_backend(%1$s);', t.awaits_there)
                WHEN t.state = 'starting' AND COALESCE(t.on_for > interval '1 min', true)
                THEN format('SELECT * FROM courier.test_connection(%L);', t.server) END
      FROM t
    UNION ALL
    SELECT 'commands_aside', CASE WHEN f.failed > 0 THEN 'warning' ELSE 'ok' END, t.task,
           CASE WHEN f.failed > 0 THEN format('What %s command(s) left to be done aside fails, and is tried again: %s', f.failed, f.error)
                WHEN f.waiting > 0 THEN format('%s command(s) have left something to be done aside.', f.waiting)
                ELSE 'Nothing is left to be done aside.' END,
           CASE WHEN f.failed > 0
                THEN format('Remove the cause on the destination; or, to go on without it: SELECT courier.ddl_skip(%L, %s);', t.task, f.id) END
      FROM t
      JOIN courier.left_aside f ON f.task = t.task
    UNION ALL
    SELECT 'destination',
           CASE WHEN t.state IN ('created', 'finished') THEN 'ok'
                WHEN t.trouble_since IS NOT NULL OR t.retry_at IS NOT NULL THEN 'critical'
                WHEN NOT t.runs THEN 'warning'
                WHEN NOT t.reached THEN CASE WHEN t.on_for < interval '1 min' OR t.waits_for IS NOT NULL THEN 'unknown' ELSE 'critical' END
                WHEN t.supervisor_pid IS NULL THEN 'critical'
                WHEN t.stage IN ('catching_up', 'synchronizing') AND t.incremental AND t.apply_pid IS NULL THEN 'warning'
                ELSE 'ok' END,
           t.task,
           CASE WHEN t.state IN ('created', 'finished') THEN format('The task is %s.', t.state)
                WHEN t.trouble_since IS NOT NULL OR t.retry_at IS NOT NULL
                THEN concat_ws(' ', format('Nothing has arrived since %s.', date_trunc('second', COALESCE(t.trouble_since, t.last_error_at))),
                               'Last error: ' || t.last_error || '.', t.last_error_detail)
                WHEN NOT t.runs THEN format('The task is %s: nobody asks the destination.', t.state)
                WHEN NOT t.reached THEN format('The task has not reached it since it was started at %s.', date_trunc('second', t.asked_at))
                WHEN t.supervisor_pid IS NULL THEN 'None of the task''s processes runs: nobody asks the destination.'
                WHEN t.stage IN ('catching_up', 'synchronizing') AND t.incremental AND t.apply_pid IS NULL THEN 'The apply worker is not there.'
                ELSE 'Nothing keeps the task from its destination.' END,
           CASE WHEN t.is_on AND (t.trouble_since IS NOT NULL OR t.retry_at IS NOT NULL OR NOT t.runs OR NOT t.reached
                                  OR t.stage IN ('catching_up', 'synchronizing') AND t.incremental AND t.apply_pid IS NULL)
                THEN format('SELECT * FROM courier.test_connection(%L);', t.server) END
      FROM t
    UNION ALL
    SELECT 'lag', a.status, t.task,
           CASE WHEN t.current_at > clock_timestamp() + interval '5 s'
                THEN format('Not known: the clock of this server went back, the destination''s last news is of %s.', t.current_at)
                WHEN NOT a.streams THEN format('The first copy is under way; the delay counts from its end. Started %s ago.', date_trunc('second', clock_timestamp() - t.started_at))
                WHEN t.lag_seconds IS NULL OR t.lag_bytes IS NULL THEN 'Not known.'
                ELSE format('The destination is %s s and %s behind%s.', round(t.lag_seconds), pg_size_pretty(t.lag_bytes),
                            CASE WHEN t.apply_pid IS NULL THEN ', by what is known of it' END) END,
           CASE WHEN a.status <> 'ok' THEN format('SELECT * FROM courier.lag WHERE task = %L; -- where it is spent', t.task) END
      FROM t,
           -- One that copies another table now has streamed before: all others stand still meanwhile.
           LATERAL (SELECT t.stage IN ('catching_up', 'synchronizing') OR t.current_at IS NOT NULL AS streams) AS b,
           LATERAL (SELECT b.streams,
               CASE WHEN t.current_at > clock_timestamp() + interval '5 s' THEN 'critical'
                    WHEN NOT b.streams THEN 'ok'
                    WHEN t.lag_seconds IS NULL OR t.lag_bytes IS NULL THEN 'critical'
                    WHEN t.lag_seconds >= courier.threshold('lag_critical') THEN 'critical'
                    WHEN t.lag_seconds >= courier.threshold('lag_warning') THEN 'warning'
                    WHEN t.lag_seconds < courier.threshold('lag_warning') THEN 'ok' ELSE 'critical' END AS status) AS a
     WHERE t.is_on AND t.incremental
    UNION ALL
    -- A copy that stands still without an error: a destination that has stopped answering.
    SELECT 'copy',
           -- One object, or one batch of tables: a large index may take that long, and a destination that does not answer takes for ever.
           CASE WHEN t.runs AND t.stage IN ('schema_sync', 'post_data') AND t.phase_since < clock_timestamp() - courier.threshold('lag_critical') * interval '1 s' THEN 'warning'
                WHEN t.stage <> 'full_copy' OR NOT t.runs THEN 'ok'
                WHEN count(c.moved_at) = 0 THEN CASE WHEN t.supervisor_pid IS NULL THEN 'critical' ELSE 'ok' END
                WHEN max(c.moved_at) < clock_timestamp() - courier.threshold('lag_critical') * interval '1 s' THEN 'critical'
                WHEN max(c.moved_at) < clock_timestamp() - courier.threshold('lag_warning') * interval '1 s' THEN 'warning' ELSE 'ok' END,
           t.task,
           CASE WHEN t.runs AND t.stage IN ('schema_sync', 'post_data') AND t.phase_since IS NOT NULL
                THEN format('%s, since %s.', t.phase, date_trunc('second', t.phase_since))
                WHEN t.stage <> 'full_copy' OR NOT t.runs THEN 'No copy is under way.'
                WHEN count(c.moved_at) = 0 THEN 'No table is being copied at this moment.'
                ELSE format('Tables that are being copied: %s; the last rows went at %s.', count(*), date_trunc('second', max(c.moved_at))) END,
           CASE WHEN t.runs AND t.stage IN ('schema_sync', 'post_data') AND t.phase_since < clock_timestamp() - courier.threshold('lag_critical') * interval '1 s'
                     OR t.stage = 'full_copy' AND t.runs AND max(c.moved_at) < clock_timestamp() - courier.threshold('lag_warning') * interval '1 s'
                THEN format('SELECT * FROM courier.test_connection(%L);', t.server) END
      FROM t
      LEFT JOIN courier.copying c ON c.task = t.task
     WHERE t.is_on AND t.full_copy
     GROUP BY t.task, t.stage, t.runs, t.supervisor_pid, t.server, t.phase, t.phase_since
    UNION ALL
    SELECT 'slot',
           CASE WHEN slot.wal_status IN ('lost', 'unreserved') OR slot.retained_bytes >= courier.threshold('retained_wal_critical')::bigint << 20
                     OR NOT slot.active AND slot.disk_full_in < courier.threshold('disk_full_warning') * interval '1 min' / 4 THEN 'critical'
                WHEN slot.retained_bytes >= courier.threshold('retained_wal_warning')::bigint << 20
                     OR NOT slot.active AND slot.disk_full_in < courier.threshold('disk_full_warning') * interval '1 min'
                     OR slot.wal_status IS NULL OR slot.retained_bytes IS NULL THEN 'warning'
                ELSE 'ok' END,
           t.task,
           format('The slot keeps %s of WAL (%s)%s.', COALESCE(pg_size_pretty(slot.retained_bytes), 'an unknown amount'), COALESCE(slot.wal_status, 'its state is not known'),
                  CASE WHEN NOT slot.active THEN '; nobody reads it' || COALESCE(', and at the average rate the disk is full in ' || date_trunc('minute', slot.disk_full_in), '') END),
           CASE WHEN slot.wal_status = 'lost' THEN 'Drop the task, empty its tables on the destination, create it anew with schema_sync => false, and start it.'
                WHEN slot.wal_status IN ('unreserved') OR slot.wal_status IS NULL OR slot.retained_bytes IS NULL
                     OR slot.retained_bytes >= courier.threshold('retained_wal_warning')::bigint << 20
                     OR NOT slot.active AND slot.disk_full_in < courier.threshold('disk_full_warning') * interval '1 min'
                THEN CASE WHEN t.state IN ('paused', 'failed') THEN format('SELECT courier.resume(%L); -- or give it up: SELECT courier.drop_task(%1$L);', t.task)
                          ELSE format('SELECT * FROM courier.lag WHERE task = %L; -- or give it up: SELECT courier.drop_task(%1$L);', t.task) END END
      FROM t
      JOIN slot ON slot.slot_name = 'courier_' || t.task AND slot.owner_kind = 'task'
     WHERE t.slot_lsn IS NOT NULL
    UNION ALL
    SELECT 'slot', 'critical', t.task, 'The slot of the task does not exist any more: changes are missing.',
           'Drop the task, empty its tables on the destination, create it anew with schema_sync => false, and start it.'
      FROM t
     WHERE t.incremental AND t.slot_lsn IS NOT NULL
       AND NOT EXISTS (SELECT FROM slot WHERE slot.slot_name = 'courier_' || t.task AND slot.owner_kind = 'task')
    UNION ALL
    SELECT 'wal_guard',
           CASE WHEN g.allowed < 0 OR slot.slot_name IS NULL THEN 'ok'
                WHEN slot.retained_bytes IS NULL THEN 'warning'
                WHEN slot.retained_bytes >= g.allowed THEN 'critical' WHEN slot.retained_bytes >= g.allowed * 0.8 THEN 'warning' ELSE 'ok' END,
           t.task,
           CASE WHEN g.allowed < 0 THEN 'courier.max_retained_wal sets no limit.'
                ELSE format('The slot keeps %s of WAL; courier.max_retained_wal is %s.',
                            CASE WHEN slot.slot_name IS NULL THEN 'nothing' ELSE COALESCE(pg_size_pretty(slot.retained_bytes), 'an unknown amount') END,
                            pg_size_pretty(g.allowed)) END,
           CASE WHEN g.allowed >= 0 AND slot.retained_bytes >= g.allowed * 0.8 THEN format('SELECT * FROM courier.lag WHERE task = %L; -- what is slow', t.task) END
      FROM t
     CROSS JOIN (SELECT courier.threshold('max_retained_wal')::bigint << 20 AS allowed) AS g
      LEFT JOIN slot ON slot.slot_name = 'courier_' || t.task AND slot.owner_kind = 'task'
     WHERE t.incremental AND t.is_on
    UNION ALL
    SELECT 'replica_identity',
           CASE WHEN count(i.table_name) > 0 THEN 'warning' ELSE 'ok' END, t.task,
           CASE WHEN count(i.table_name) > 0
                THEN format('No UPDATE or DELETE of %s can be applied: it has no replica identity.', string_agg(i.table_name, ', ' ORDER BY i.table_name))
                ELSE 'Every table has a replica identity.' END,
           CASE WHEN count(i.table_name) > 0 THEN format('CALL courier.set_replica_identity(%L, dry_run => false);', t.task) END
      FROM t
      LEFT JOIN courier.unidentified i ON i.task = t.task
     WHERE t.incremental AND t.is_on
     GROUP BY t.task
    UNION ALL
    -- What the patterns name and the task does not follow is lost, also before its first row stops the task.
    SELECT 'coverage',
           CASE WHEN count(c.table_name) > 0 THEN 'critical' WHEN min(r.tables) > 0 THEN 'warning' ELSE 'ok' END, t.task,
           CASE WHEN count(c.table_name) = 0 AND min(r.tables) > 0
                THEN format('ALTER TABLE has given rows of %s new values%s. They are not in the stream of changes.', min(r.first), CASE WHEN min(r.tables) > 1 THEN format(' (%s tables in all)', min(r.tables)) END)
                WHEN count(c.table_name) > 0 THEN concat_ws(' ', (array_agg(c.detail ORDER BY c.table_name))[1],
                                                            CASE WHEN count(c.table_name) > 1 THEN format('%s tables in all.', count(c.table_name)) END)
                ELSE 'The task follows what its patterns name.' END,
           CASE WHEN count(c.table_name) = 1 THEN min(c.hint)
                WHEN count(c.table_name) > 1 THEN format('SELECT * FROM courier.coverage(%L); -- has the way out for each', t.task)
                WHEN min(r.tables) > 0
                THEN format('SELECT * FROM courier.verify(%L); -- ends this for tables that are equal; others can be emptied on the destination and copied anew by courier.add_table()', t.task) END
      FROM t
      CROSS JOIN LATERAL (SELECT count(*) AS tables, min(w.table_name) AS first FROM courier.rewritten w WHERE w.task = t.task) AS r
      LEFT JOIN LATERAL courier.coverage(t.task) AS c ON true
     WHERE t.incremental AND t.is_on
     GROUP BY t.task
    UNION ALL
    -- Commands on definitions: those that are not captured, and those that do not get through.
    SELECT 'commands',
           CASE WHEN u.number > 0 OR a.failed > 0 THEN 'critical'
                WHEN a.locked_since < clock_timestamp() - courier.threshold('ddl_lock_alert') * interval '1 s' OR a.held > 0
                     OR a.copying_since < clock_timestamp() - courier.threshold('lag_warning') * interval '1 s' THEN 'warning'
                ELSE 'ok' END,
           t.task,
           CASE WHEN u.number > 0 THEN format('%s: %s', u.object, u.detail)
                WHEN a.failed > 0 THEN format('The task has stopped at command %s.', a.failed)
                WHEN a.locked > 0 THEN format('Command %s has waited for locks on the destination since %s, held by %s; everything behind it waits.',
                                              a.locked, date_trunc('second', a.locked_since), a.holders)
                WHEN a.held > 0 THEN concat_ws(' ', format('Of command %s parts are left out.', a.first_held), a.note,
                                               CASE WHEN a.held > 1 THEN format('%s such commands in all.', a.held) END)
                WHEN a.copying > 0 THEN format('Command %s waits for the copy of tables, since %s.', a.copying, date_trunc('second', a.copying_since))
                ELSE 'Commands are captured, and none of them waits.' END,
           CASE WHEN u.number > 0 THEN u.fix
                WHEN a.failed > 0 THEN format('SELECT * FROM courier.ddl WHERE task = %L AND state = ''failed'';', t.task)
                WHEN a.locked > 0
                THEN format('SELECT waits_since, waits_for FROM courier.ddl WHERE task = %L AND state = ''waiting for lock''; -- then, on the destination: SELECT pg_terminate_backend(pid), or wait', t.task)
                WHEN a.held > 0 THEN format('SELECT * FROM courier.ddl WHERE task = %L AND state = ''held'';', t.task)
                WHEN a.copying > 0 THEN format('SELECT * FROM courier.progress WHERE task = %L;', t.task) END
      FROM t
     CROSS JOIN (SELECT count(*) AS number, (array_agg(c.object))[1] AS object, (array_agg(c.detail))[1] AS detail, (array_agg(c.fix))[1] AS fix
                   FROM courier.uncaptured c) AS u
     CROSS JOIN LATERAL (
           SELECT max(x.id) FILTER (WHERE x.what = 'failed') AS failed,
                  max(x.id) FILTER (WHERE x.what = 'waiting for lock') AS locked, max(x.since) FILTER (WHERE x.what = 'waiting for lock') AS locked_since,
                  max(x.detail) FILTER (WHERE x.what = 'waiting for lock') AS holders,
                  max(x.id) FILTER (WHERE x.what = 'waiting for copy') AS copying, max(x.since) FILTER (WHERE x.what = 'waiting for copy') AS copying_since,
                  count(*) FILTER (WHERE x.what = 'held') AS held, min(x.id) FILTER (WHERE x.what = 'held') AS first_held,
                  (array_agg(x.detail ORDER BY x.id) FILTER (WHERE x.what = 'held'))[1] AS note
             FROM courier.ddl_attention x WHERE x.task = t.task) AS a
     WHERE t.ddl <> 'ignore' AND t.incremental AND t.is_on
    UNION ALL
    SELECT 'launcher',
           CASE WHEN courier.is_preloaded() AND EXISTS (SELECT FROM pg_stat_activity a WHERE a.backend_type = 'pg_courier launcher') THEN 'ok' ELSE 'warning' END,
           NULL,
           CASE WHEN NOT courier.is_preloaded() THEN 'pg_courier is not in shared_preload_libraries: after a restart of the server no task runs, and nobody watches paused and failed ones.'
                WHEN EXISTS (SELECT FROM pg_stat_activity a WHERE a.backend_type = 'pg_courier launcher') THEN 'The launcher runs.'
                ELSE 'The launcher does not run: no task would start after a restart of the server, and nobody watches paused and failed ones.' END,
           CASE WHEN NOT courier.is_preloaded() THEN courier.preload_sql('pg_courier')
                WHEN NOT EXISTS (SELECT FROM pg_stat_activity a WHERE a.backend_type = 'pg_courier launcher')
                THEN 'SHOW max_worker_processes; -- too few? The server starts the launcher again by itself, within seconds' END
      FROM watches
     WHERE NOT pg_is_in_recovery()
    UNION ALL
    -- Who watches the watcher: the answer is for those who look here, as a check that does not run raises no alert.
    SELECT 'health_check',
           CASE WHEN r.ran_at IS NULL OR r.worst IS NULL OR r.ran_at < clock_timestamp() - a.late THEN 'warning' ELSE 'ok' END, NULL,
           CASE WHEN r.ran_at IS NULL THEN 'courier.health_check() has never run: nothing raises alerts.'
                WHEN r.worst IS NULL THEN format('courier.health_check() began at %s and did not get to its end.', date_trunc('second', r.ran_at))
                ELSE format('courier.health_check() ran last at %s (%s), called by %s.', date_trunc('second', r.ran_at), r.worst, r.ran_by) END,
           CASE WHEN COALESCE(r.worst IS NULL OR r.ran_at < clock_timestamp() - a.late, true)
                THEN 'ALTER SYSTEM SET courier.health_interval = ''60s''; -- and pg_courier in shared_preload_libraries; or a job of pg_cron' END
      FROM watches
     CROSS JOIN (SELECT GREATEST(courier.threshold('health_interval') * 3 * interval '1 s', interval '5 min') AS late) AS a
      LEFT JOIN courier.health_last r ON true
     WHERE NOT pg_is_in_recovery() AND EXISTS (SELECT FROM courier.task_details)
    UNION ALL
    SELECT 'other_slots',
           CASE WHEN count(o.slot_name) > 0 THEN 'warning' ELSE 'ok' END, NULL,
           CASE WHEN count(o.slot_name) > 0 THEN format('Nobody reads %s; it keeps WAL.', string_agg(format('slot %s (%s, %s)', o.slot_name, o.owner_kind, pg_size_pretty(o.retained_bytes)), ', '))
                ELSE 'No forgotten slot keeps much WAL.' END,
           CASE WHEN count(o.slot_name) > 0 THEN 'SELECT * FROM courier.drop_orphaned_slots(); -- for ours; pg_drop_replication_slot() for others' END
      FROM watches
      LEFT JOIN slot o ON NOT o.active AND o.owner_kind <> 'task'
           AND (o.owner_kind = 'orphaned' OR o.retained_bytes >= courier.threshold('retained_wal_warning')::bigint << 20 OR o.wal_status IN ('lost', 'unreserved'))
    HAVING EXISTS (SELECT FROM watches)
    UNION ALL
    SELECT 'disk_' || d.what,
           CASE WHEN d.free * 100.0 < d.total * courier.threshold('disk_free_critical')::numeric THEN 'critical'
                WHEN d.free * 100.0 < d.total * courier.threshold('disk_free_warning')::numeric THEN 'warning' ELSE 'ok' END, NULL,
           format('%s of %s are free.', pg_size_pretty(d.free), pg_size_pretty(d.total)),
           CASE WHEN d.free * 100.0 < d.total * courier.threshold('disk_free_warning')::numeric THEN 'SELECT * FROM courier.slots ORDER BY retained_bytes DESC; -- who keeps WAL' END
      FROM watches, courier.disk_space() d
    UNION ALL
    SELECT 'long_transactions',
           CASE WHEN count(a.pid) > 0 THEN 'warning' ELSE 'ok' END, NULL,
           CASE WHEN count(a.pid) > 0 THEN format('Open for too long: %s.', string_agg(format('pid %s (%s, %s, since %s)', a.pid, a.usename, a.state, date_trunc('second', a.xact_start)), ', '))
                ELSE 'No transaction is open for too long.' END,
           CASE WHEN count(a.pid) > 0 THEN format('SELECT pg_terminate_backend(%s); -- ends one; decoding keeps their WAL and waits for their commit', min(a.pid)) END
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
'How things are: one row for each check and task of the caller, and for members of pg_monitor one for each check of the server; status is ok, warning, critical, unknown (in the first minute after a start or resume), or on a standby skipped; what is not known is never ok. Members of pg_monitor see every task. Thresholds are settings: courier.lag_warning, courier.lag_critical, courier.retained_wal_warning, courier.retained_wal_critical, courier.disk_free_warning, courier.disk_free_critical, courier.disk_full_warning, courier.ddl_lock_alert, courier.long_transaction.';

CREATE VIEW courier.alerts WITH (security_barrier) AS
SELECT a.check_name AS item, a.task, a.status,
       CASE WHEN a.is_hidden THEN 'courier.alerts says more to those who may use the task.' ELSE a.detail END AS detail,
       CASE WHEN NOT a.is_hidden THEN a.hint END AS hint, a.raised_at, a.changed_at, a.cleared_at
  FROM (SELECT v.*, v.check_name IN ('task', 'destination') AND v.task IS NOT NULL AND NOT v.is_ours AS is_hidden
          FROM (SELECT x.*, EXISTS (SELECT FROM pg_catalog.pg_roles r WHERE r.oid = x.owner AND pg_catalog.pg_has_role(r.oid, 'USAGE')) AS is_ours
                  FROM courier.alert x OFFSET 0) v) a
 WHERE a.is_ours OR pg_catalog.pg_has_role('pg_monitor', 'USAGE')
 ORDER BY a.cleared_at IS NOT NULL, a.changed_at DESC;
COMMENT ON VIEW courier.alerts IS
'What courier.health_check() has found, the open alerts first; cleared_at is set once the check was ok again. Alerts of a task are for those who may use it, the others for members of pg_monitor, who see of a task''s error only that there is one: it may name keys and values of rows.';
COMMENT ON COLUMN courier.alerts.item IS 'The check, as in courier.health().';
COMMENT ON COLUMN courier.alerts.task IS 'Name of the task; null for checks of the server.';
COMMENT ON COLUMN courier.alerts.status IS 'warning or critical, as it is or was last.';
COMMENT ON COLUMN courier.alerts.detail IS 'What was found.';
COMMENT ON COLUMN courier.alerts.hint IS 'What to do about it.';
COMMENT ON COLUMN courier.alerts.raised_at IS 'When it was raised.';
COMMENT ON COLUMN courier.alerts.changed_at IS 'When its status changed last.';
COMMENT ON COLUMN courier.alerts.cleared_at IS 'When the check was ok again; null while it is not.';

CREATE FUNCTION courier.record_alerts(
    findings json, OUT change text, OUT item text, OUT task text, OUT status text, OUT detail text, OUT hint text
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
        -- What says nothing changes nothing; and what has no status is not ok.
        SELECT f.item, COALESCE(f.status, 'critical') AS status, f.task, f.detail, f.hint FROM json_to_recordset(findings) AS f(item text, status text, task text, detail text, hint text)
         WHERE COALESCE(f.status, '') NOT IN ('skipped', 'unknown')
        UNION ALL
        SELECT a.check_name, 'ok', a.task, 'The task is gone.', NULL
          FROM courier.alert a
         WHERE a.cleared_at IS NULL AND a.task IS NOT NULL AND NOT EXISTS (SELECT FROM courier.task t WHERE t.name = a.task)
    LOOP
        SELECT a.* INTO known FROM courier.alert a
         WHERE a.cleared_at IS NULL AND a.check_name = line.item AND a.task IS NOT DISTINCT FROM line.task;
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
            VALUES (line.item, line.task, (SELECT t.owner FROM courier.task t WHERE t.name = line.task), line.status, line.detail, line.hint);
        ELSIF change = 'cleared' THEN
            UPDATE courier.alert a SET cleared_at = clock_timestamp(), changed_at = clock_timestamp() WHERE a.id = known.id;
        ELSE
            UPDATE courier.alert a
               SET status = line.status, detail = line.detail, hint = line.hint, changed_at = clock_timestamp()
             WHERE a.id = known.id;
        END IF;
        item := line.item; task := line.task; status := line.status; detail := line.detail; hint := line.hint;
        -- Anybody may listen: nothing that has to be looked up with rights.
        PERFORM pg_notify('courier_alert', json_build_object('change', change, 'item', line.item, 'task', line.task,
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

CREATE FUNCTION courier.claim_health_check(interval_seconds integer) RETURNS boolean
    LANGUAGE plpgsql VOLATILE STRICT
    SET search_path = pg_catalog, pg_temp
    AS $$
BEGIN
    -- Several may find that it is time: supervisors, the launcher's scout, pg_cron. One does it.
    PERFORM FROM courier.health_run r WHERE r.ran_at > clock_timestamp() - interval_seconds * interval '0.9 s' AND r.ran_at <= clock_timestamp();
    IF FOUND OR NOT EXISTS (SELECT FROM courier.task) OR NOT pg_try_advisory_xact_lock(hashtext('courier.health_run'), 0) THEN
        RETURN false;
    END IF;
    RETURN true;
END
$$;
COMMENT ON FUNCTION courier.claim_health_check(integer) IS 'Internal: is it time for the health check that the extension itself runs, and is nobody else at it?';

CREATE FUNCTION courier.health_check() RETURNS text
    LANGUAGE c VOLATILE STRICT
    AS 'MODULE_PATHNAME', 'health_check_wrapper';
COMMENT ON FUNCTION courier.health_check() IS
'Asks courier.health() with the caller''s rights, records what changed in courier.alerts, announces each change with NOTIFY courier_alert (JSON: change, item, task, status, database, at; the rest is in the view) and in the server log, and returns the worst status: ok, warning or critical. The extension calls it every courier.health_interval; pg_cron or another scheduler may as well. On a standby it records nothing and returns skipped.';
