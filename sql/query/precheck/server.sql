-- Settings, resources and activity of the source server. One row for each finding: item, status (null: the item's severity), object,
-- detail, fix, place (where the fix runs: source, restart, reload, destination, person).
-- $1: the subject as JSON (src/precheck/subject.rs).
WITH s AS (
    SELECT *
      FROM pg_catalog.json_to_record($1::json) AS s(
           slot_name text, slot_there boolean, incremental boolean, commands boolean, full_copy boolean, tables bigint, preloaded boolean, libraries text,
           sync_workers integer, wal_rate double precision, wal_free bigint, wal_total bigint, data_free bigint, data_total bigint,
           disk_free_warning integer, long_transaction integer, xid_age_warning bigint, retained_wal_warning bigint)
), slots AS (
    SELECT count(*) AS used
      FROM pg_catalog.pg_replication_slots
), workers AS (
    -- What is registered cannot be seen; what runs can. Parallel workers come and go, and so does the launcher's scout, for
    -- which one is counted below.
    SELECT count(*) AS used
      FROM pg_catalog.pg_stat_activity
     WHERE backend_type NOT IN ('client backend', 'walsender', 'parallel worker', 'autovacuum launcher', 'autovacuum worker',
                                'background writer', 'checkpointer', 'walwriter', 'archiver', 'startup', 'walreceiver',
                                'walsummarizer', 'slotsync worker', 'io worker', 'logger', 'pg_courier scout')
), keep AS (
    -- WAL that may pile up before the slot is lost, or the disk full.
    SELECT NULLIF(setting::bigint, -1) * 1048576 AS allowed
      FROM pg_catalog.pg_settings
     WHERE name = 'max_slot_wal_keep_size'
)
SELECT 'wal_level' AS item, NULL::text AS status, NULL::text AS object,
       format('It is %s; a slot for decoding needs logical.', current_setting('wal_level')) AS detail,
       'ALTER SYSTEM SET wal_level = logical; -- then restart the server' AS fix, 'restart' AS place
  FROM s
 WHERE incremental AND current_setting('wal_level') <> 'logical'
UNION ALL
SELECT 'max_replication_slots', NULL, NULL,
       format('%s of %s slots are taken, the task needs 1.', slots.used, current_setting('max_replication_slots')),
       format('ALTER SYSTEM SET max_replication_slots = %s; -- then restart the server', slots.used + 1), 'restart'
  FROM s, slots
 WHERE incremental AND NOT slot_there AND slots.used + 1 > current_setting('max_replication_slots')::integer
UNION ALL
SELECT 'max_wal_senders', NULL, NULL,
       format('%s of %s WAL senders are in use. The task itself needs none, but standbys and backups do%s.',
              u.used, current_setting('max_wal_senders'),
              CASE WHEN current_setting('server_version_num')::integer >= 160000 THEN ', and with 0 a commit is noticed late' END),
       format('ALTER SYSTEM SET max_wal_senders = %s; -- then restart the server', u.used + 2), 'restart'
  FROM s, (SELECT count(*) AS used FROM pg_catalog.pg_stat_activity WHERE backend_type = 'walsender') AS u
 WHERE incremental AND u.used >= current_setting('max_wal_senders')::integer
UNION ALL
SELECT 'max_worker_processes', CASE WHEN n.used + 3 > n.most THEN 'failed' ELSE 'warning' END, NULL,
       format('%s of %s run now. The task takes %s: a supervisor, an apply worker, %s for tables copied at the same time; and the launcher 1 for a moment.',
              n.used, n.most, n.copies + 3, n.copies),
       format('ALTER SYSTEM SET max_worker_processes = %s; -- then restart the server', n.used + n.copies + 3), 'restart'
  FROM (SELECT workers.used, current_setting('max_worker_processes')::integer AS most,
               CASE WHEN full_copy THEN LEAST(sync_workers, tables) ELSE 0 END AS copies
          FROM s, workers WHERE NOT slot_there) AS n
 WHERE n.used + n.copies + 3 > n.most
UNION ALL
SELECT 'shared_preload_libraries', NULL, NULL,
       'A restart of the server ends the task until courier.resume(), and a commit is noticed within 20 ms instead of at once.',
       'ALTER SYSTEM SET shared_preload_libraries = ' || libraries || '''pg_courier''; -- then restart the server', 'restart'
  FROM s
 WHERE NOT preloaded
UNION ALL
SELECT 'wal_retention', NULL, NULL,
       format('At %s of WAL an hour a task that stands still loses its slot, or fills the disk, in %s hours; %s are advised: %s %s. The rate is the higher one of the averages since the last checkpoint and since the statistics were reset; a load of a few minutes ago counts in full.',
              pg_size_pretty((wal_rate * 3600)::bigint), round((r.room / GREATEST(wal_rate, 1) / 3600)::numeric, 1), r.hours,
              CASE WHEN allowed < wal_free THEN 'max_slot_wal_keep_size is' ELSE 'the disk of pg_wal has room for' END, pg_size_pretty(r.room)),
       CASE WHEN allowed < wal_free
            THEN format(E'ALTER SYSTEM SET max_slot_wal_keep_size = ''%sMB'';\nSELECT pg_reload_conf();',
                        ceil(wal_rate * r.hours * 3600 / 1048576)) END,
       CASE WHEN allowed < wal_free THEN 'reload' ELSE 'person' END
  FROM s, keep, LATERAL (SELECT CASE WHEN full_copy THEN 168 ELSE 24 END AS hours, LEAST(allowed, wal_free) AS room) AS r
 WHERE incremental AND r.room < wal_rate * r.hours * 3600
UNION ALL
SELECT 'disk_' || d.what, NULL, d.what,
       format('%s of %s are free (%s %%); %s %% are advised.', pg_size_pretty(d.free), pg_size_pretty(d.total),
              round(100.0 * d.free / GREATEST(d.total, 1)), disk_free_warning), NULL, 'person'
  FROM s, LATERAL (VALUES ('wal', wal_free, wal_total), ('data', data_free, data_total)) AS d(what, free, total)
 WHERE d.free * 100.0 < d.total * disk_free_warning::numeric
UNION ALL
SELECT 'logical_decoding_work_mem', NULL, NULL,
       format('It is %s: transactions with more changes than that are written to disk while they are decoded.',
              current_setting('logical_decoding_work_mem')),
       E'ALTER SYSTEM SET logical_decoding_work_mem = ''64MB'';\nSELECT pg_reload_conf();', 'reload'
  FROM s, pg_catalog.pg_settings g
 WHERE incremental AND g.name = 'logical_decoding_work_mem' AND g.setting::bigint < 65536
UNION ALL
SELECT 'long_transactions', NULL, format('pid %s', a.pid),
       format('User %I of database %I, open for %s, %s: %s', a.usename, a.datname,
              date_trunc('second', clock_timestamp() - a.xact_start), a.state, left(regexp_replace(a.query, '\s+', ' ', 'g'), 200)),
       format('SELECT pg_terminate_backend(%s);', a.pid), 'person'
  FROM s, pg_catalog.pg_stat_activity a
 WHERE a.backend_type = 'client backend' AND (a.backend_xid IS NOT NULL OR a.backend_xmin IS NOT NULL)
   AND a.pid <> pg_backend_pid()
   AND a.xact_start < clock_timestamp() - long_transaction * interval '1 s'
UNION ALL
SELECT 'prepared_transactions', NULL, p.gid,
       format('Prepared by %I in database %I at %s. A new slot waits for it, vacuum too.', p.owner, p.database, p.prepared),
       format('COMMIT PREPARED %L; -- or ROLLBACK PREPARED, in database %I', p.gid, p.database), 'person'
  FROM pg_catalog.pg_prepared_xacts p
UNION ALL
SELECT 'xid_age', NULL, d.datname,
       format('Its oldest unfrozen transaction is %s transactions old; at 2,000,000,000 the server stops writing.',
              age(d.datfrozenxid)), 'VACUUM (FREEZE);', 'person'
  FROM s, pg_catalog.pg_database d
 WHERE d.datname = current_database() AND age(d.datfrozenxid) > xid_age_warning
UNION ALL
SELECT 'inactive_slots', NULL, l.slot_name,
       format('Nobody reads it, and it keeps %s of WAL (%s).', pg_size_pretty(pg_wal_lsn_diff(l.now, l.restart_lsn)),
              COALESCE(l.wal_status, 'unknown')),
       format('SELECT pg_drop_replication_slot(%L);', l.slot_name), 'person'
  FROM s, (SELECT *, CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END AS now
             FROM pg_catalog.pg_replication_slots) AS l
 WHERE NOT l.active AND l.slot_name <> s.slot_name
   AND (l.wal_status IN ('unreserved', 'lost') OR pg_wal_lsn_diff(l.now, l.restart_lsn) > retained_wal_warning * 1048576)
UNION ALL
SELECT 'standbys', NULL, NULL,
       CASE WHEN current_setting('server_version_num')::integer < 170000
            THEN format('Physical replication slots: %s. The slot of the task is on this server only: after a failover the task has to be created anew.', p.slots)
            ELSE format('Not in synchronized_standby_slots: %s. After a failover to such a standby the destination may have what the standby has not, and without a synchronized slot the task has to be created anew.', p.names) END,
       CASE WHEN current_setting('server_version_num')::integer >= 170000
            THEN format('ALTER SYSTEM SET synchronized_standby_slots = %s; -- with the slots of standbys that may take over, which need sync_replication_slots = on', quote_literal(concat_ws(', ', NULLIF(current_setting('synchronized_standby_slots', true), ''), p.names))) END, 'person'
  FROM s, (SELECT count(*) AS slots, string_agg(r.slot_name, ', ' ORDER BY r.slot_name) AS names
             FROM pg_catalog.pg_replication_slots r
            WHERE r.slot_type = 'physical'
              AND r.slot_name <> ALL (string_to_array(replace(COALESCE(current_setting('synchronized_standby_slots', true), ''), ' ', ''), ','))) AS p
 WHERE incremental AND p.slots > 0
UNION ALL
SELECT 'health_check', NULL, NULL,
       'courier.health_interval is 0, and nobody has called courier.health_check() within the last five minutes' ||
       COALESCE(', the last time at ' || date_trunc('second', h.ran_at) || '.', ': nothing raises alerts.'),
       E'ALTER SYSTEM SET courier.health_interval = ''60s'';\nSELECT pg_reload_conf();', 'reload'
  FROM s
  LEFT JOIN courier.health_last h ON true
 WHERE courier.threshold('health_interval') = 0 AND COALESCE(h.ran_at < clock_timestamp() - interval '5 min', true)
UNION ALL
SELECT 'ddl_event_triggers', NULL, u.object, u.detail, u.fix, u.place
  FROM s, courier.uncaptured u
 WHERE commands
