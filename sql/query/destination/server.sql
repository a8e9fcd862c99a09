-- The destination server, its database and the user there. Runs on the destination. $1: the subject, $2: the
-- schemas of the tables as JSON.
WITH s AS (
    SELECT *
      FROM pg_catalog.json_to_record($1::json) AS s(
           source_version integer, encoding text, lc_collate text, lc_ctype text, schema_sync boolean, incremental boolean,
           commands boolean, full_copy boolean, trusted_owners boolean, tables bigint, bytes bigint, sync_workers integer, slot_there boolean, may_be_replica boolean)
), me AS (
    SELECT current_user AS name, r.rolsuper, r.rolreplication, r.rolconnlimit FROM pg_catalog.pg_roles r WHERE r.rolname = current_user
), powers AS (
    SELECT CASE WHEN me.rolsuper THEN 'a superuser'
                ELSE (SELECT 'a member of ' || string_agg(r.rolname::text, ', ' ORDER BY r.rolname)
                        FROM pg_catalog.pg_roles r
                       WHERE r.rolname IN ('pg_execute_server_program', 'pg_write_server_files', 'pg_read_server_files')
                         AND pg_has_role(me.name, r.oid, 'MEMBER')) END AS names
      FROM me
), here AS (
    SELECT d.datname, d.datcollate, d.datctype, pg_encoding_to_char(d.encoding) AS encoding, d.datconnlimit,
           has_database_privilege(d.oid, 'CREATE') AS may_create
      FROM pg_catalog.pg_database d WHERE d.datname = current_database()
), schemas AS (
    SELECT w.name, n.oid,
           COALESCE(has_schema_privilege(n.oid, 'USAGE'), true) AS usable,
           COALESCE(has_schema_privilege(n.oid, 'CREATE'), true) AS creatable
      FROM pg_catalog.json_array_elements_text($2::json) AS w(name)
      LEFT JOIN pg_catalog.pg_namespace n ON n.nspname = w.name
), sessions AS (
    SELECT count(*) FILTER (WHERE backend_type = 'client backend') AS used FROM pg_catalog.pg_stat_activity
), room AS (
    SELECT current_setting('max_connections')::integer - current_setting('superuser_reserved_connections')::integer AS places,
           current_setting('max_locks_per_transaction')::bigint AS locks_each,
           current_setting('max_connections')::bigint + current_setting('max_prepared_transactions')::bigint AS owners
)
SELECT 'destination_version' AS item, NULL::text AS status, NULL::text AS object,
       format('The destination is PostgreSQL %s, the source %s.', current_setting('server_version_num')::integer / 10000, source_version / 10000) AS detail,
       NULL::text AS fix, 'person' AS place
  FROM s
 WHERE current_setting('server_version_num')::integer / 10000 < source_version / 10000
UNION ALL
SELECT 'destination_encoding', NULL, quote_ident(here.datname),
       format('It has encoding %s, the source %s: text that it cannot hold stops the task.', here.encoding, s.encoding), NULL, 'person'
  FROM s, here
 WHERE here.encoding <> s.encoding AND here.encoding <> 'UTF8'
UNION ALL
SELECT 'destination_locale', NULL, quote_ident(here.datname),
       format('LC_COLLATE and LC_CTYPE are %s and %s there, %s and %s on the source: text sorts in another order, and unique indexes on lower() may differ.',
              here.datcollate, here.datctype, s.lc_collate, s.lc_ctype), NULL, 'person'
  FROM s, here
 WHERE (here.datcollate, here.datctype) <> (s.lc_collate, s.lc_ctype)
UNION ALL
SELECT 'destination_create', NULL, quote_ident(here.datname),
       format('User %I may not create schemas there.', me.name),
       format('GRANT CREATE ON DATABASE %I TO %I; -- on the destination', here.datname, me.name), 'destination'
  FROM s, here, me
 WHERE NOT here.may_create
   AND (to_regnamespace('courier_applied') IS NULL OR schema_sync AND EXISTS (SELECT FROM schemas WHERE oid IS NULL))
UNION ALL
SELECT 'destination_schema', NULL, quote_ident(schemas.name),
       format('User %I has no %s on it.', me.name, CASE WHEN usable THEN 'CREATE' ELSE 'USAGE' END),
       format('GRANT USAGE%s ON SCHEMA %I TO %I; -- on the destination', CASE WHEN schema_sync THEN ', CREATE' END, schemas.name, me.name), 'destination'
  FROM s, me, schemas
 WHERE NOT usable OR schema_sync AND NOT creatable
UNION ALL
SELECT 'destination_schema', NULL, 'courier_applied',
       format('User %I may not keep its progress there.', me.name),
       format('GRANT USAGE, CREATE ON SCHEMA courier_applied TO %I; -- on the destination', me.name), 'destination'
  FROM me, pg_catalog.pg_namespace n
 WHERE n.nspname = 'courier_applied'
   AND NOT (has_schema_privilege(n.oid, 'USAGE') AND (has_schema_privilege(n.oid, 'CREATE') OR to_regclass('courier_applied.progress') IS NOT NULL))
UNION ALL
-- Constraints, defaults, indexes and policies come from the tables of the source, and are evaluated there as this user.
SELECT 'destination_powers', CASE WHEN s.trusted_owners THEN 'warning' ELSE 'failed' END, quote_ident(me.name),
       format('User %I is %s there. What the owners of the source''s tables %s into constraints, defaults, indexes and policies runs there with its rights%s.',
              me.name, p.names, CASE WHEN s.schema_sync THEN 'wrote' ELSE 'write' END,
              CASE WHEN s.trusted_owners THEN '; all of them are superusers or the owner of the task'
                   ELSE ', and not all of them are superusers or the owner of the task' END),
       NULL, 'person'
  FROM s, me, powers p
 WHERE (s.schema_sync OR s.commands) AND p.names IS NOT NULL
UNION ALL
SELECT 'destination_connections', CASE WHEN u.used + 2 > room.places THEN 'failed' ELSE 'warning' END, NULL,
       format('%s of %s connections are in use; the task takes %s.', u.used, room.places, 2 + n.copies),
       format('ALTER SYSTEM SET max_connections = %s; -- on the destination, then restart it', current_setting('max_connections')::integer + 2 + n.copies), 'restart'
  FROM s, room, (SELECT used - 1 AS used FROM sessions) AS u, LATERAL (SELECT CASE WHEN full_copy THEN LEAST(sync_workers, tables) ELSE 0 END AS copies) AS n
 WHERE NOT slot_there AND u.used + 2 + n.copies > room.places
UNION ALL
SELECT 'destination_connections', 'failed', quote_ident(me.name),
       format('The user may have %s connections; the task takes up to %s.', me.rolconnlimit, 2 + s.sync_workers),
       format('ALTER ROLE %I CONNECTION LIMIT %s; -- on the destination', me.name, 2 + s.sync_workers), 'destination'
  FROM s, me
 WHERE me.rolconnlimit BETWEEN 0 AND 1 + s.sync_workers
UNION ALL
SELECT 'destination_marks', NULL, quote_ident(me.name),
       'The extension is installed there: a task that follows changes back would stop at the first that came from here.',
       format(CASE WHEN current_setting('server_version_num')::integer >= 150000
                   THEN 'GRANT SET ON PARAMETER session_replication_role TO %I; -- on the destination'
                   ELSE 'ALTER ROLE %I REPLICATION; -- on the destination' END, me.name), 'destination'
  FROM s, me
 WHERE s.incremental AND NOT (me.rolsuper OR me.rolreplication OR s.may_be_replica)
   AND EXISTS (SELECT FROM pg_catalog.pg_extension WHERE extname = 'pg_courier')
UNION ALL
SELECT 'destination_locks', NULL, NULL,
       format('Tables are created up to 100 in one transaction, with their indexes about %s locks; there is room for %s.', LEAST(s.tables, 100) * 4, room.locks_each * room.owners),
       format('ALTER SYSTEM SET max_locks_per_transaction = %s; -- on the destination, then restart it', ceil(LEAST(s.tables, 100) * 4.0 / room.owners)), 'restart'
  FROM s, room
 WHERE s.schema_sync AND NOT s.slot_there AND LEAST(s.tables, 100) * 4 > room.locks_each * room.owners
UNION ALL
SELECT 'destination_size', 'ok', NULL,
       format('The tables have about %s on the source. How much is free there, SQL cannot ask; database %I has %s now.',
              pg_size_pretty(s.bytes), here.datname, pg_size_pretty(pg_database_size(current_database()))), NULL, 'person'
  FROM s, here
