-- The tables that are on the destination already, or should be. Runs on the destination. $1: the subject, $2: the selected tables as JSON.
WITH s AS (
    SELECT * FROM pg_catalog.json_to_record($1::json) AS s(
           schema_sync boolean, full_copy boolean, incremental boolean, commands boolean, needs_replica_role boolean, may_be_replica boolean, code_schemas text[])
), w AS MATERIALIZED (
    SELECT w.*, format('%I.%I', w.schema, w.name) AS full_name, c.oid, c.relkind, c.relrowsecurity, c.relforcerowsecurity, c.relowner
      FROM pg_catalog.json_to_recordset($2::json) AS w(schema text, name text, kind "char", columns json, key json, forced boolean)
      LEFT JOIN pg_catalog.pg_namespace n ON n.nspname = w.schema
      LEFT JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relname = w.name
), there AS MATERIALIZED (
    SELECT * FROM w WHERE oid IS NOT NULL
), wanted AS MATERIALIZED (
    SELECT w.full_name, w.oid, c.value ->> 0 AS name, c.value ->> 1 AS type, c.value ->> 2 AS generated, c.value ->> 4 AS collation
      FROM w, json_array_elements(w.columns) AS c
), me AS (
    SELECT current_user AS name, r.rolsuper, r.rolbypassrls FROM pg_catalog.pg_roles r WHERE r.rolname = current_user
)
SELECT 'destination_tables_exist' AS item, NULL::text AS status, there.full_name AS object,
       'A relation of this name exists on the destination, and the task was created with schema_sync.' AS detail,
       format('DROP %s %s; -- on the destination; or create the task with schema_sync => false', CASE there.relkind WHEN 'v' THEN 'VIEW' WHEN 'm' THEN 'MATERIALIZED VIEW' WHEN 'S' THEN 'SEQUENCE' WHEN 'f' THEN 'FOREIGN TABLE' ELSE 'TABLE' END, there.full_name) AS fix,
       'person' AS place
  FROM s, there
 WHERE schema_sync
UNION ALL
SELECT 'destination_tables_missing', NULL, w.full_name,
       'The destination has no such table, and the task was created without schema_sync.', NULL, 'destination'
  FROM s, w
 WHERE NOT schema_sync AND w.oid IS NULL
UNION ALL
SELECT 'destination_tables_missing', NULL, there.full_name, 'It is a view or something else there, not a table.', NULL, 'person'
  FROM s, there
 WHERE NOT schema_sync AND there.relkind NOT IN ('r', 'p')
UNION ALL
SELECT 'destination_columns', NULL, there.full_name,
       format('It lacks column %s there.', string_agg(format('%I %s', c.name, c.type), ', ')),
       format('ALTER TABLE %s %s; -- on the destination', there.full_name, string_agg(format('ADD COLUMN %I %s', c.name, c.type), ', ')), 'destination'
  FROM s, there
  JOIN wanted c ON c.oid = there.oid
 WHERE NOT schema_sync AND NOT EXISTS (SELECT FROM pg_catalog.pg_attribute a WHERE a.attrelid = there.oid AND a.attname = c.name AND a.attnum > 0)
 GROUP BY there.full_name
UNION ALL
SELECT 'destination_columns', NULL, there.full_name, format('Column %I must not be null there and has no default; the source does not have it.', a.attname),
       format('ALTER TABLE %s ALTER COLUMN %I DROP NOT NULL; -- on the destination', there.full_name, a.attname), 'destination'
  FROM s, there
  JOIN pg_catalog.pg_attribute a ON a.attrelid = there.oid AND a.attnum > 0 AND NOT a.attisdropped
   AND a.attnotnull AND NOT a.atthasdef AND a.attidentity = ''
 WHERE NOT schema_sync AND NOT EXISTS (SELECT FROM wanted c WHERE c.oid = there.oid AND c.name = a.attname)
UNION ALL
SELECT 'destination_column_types', NULL, there.full_name,
       format('Column %I is %s there and %s on the source.', c.name, format_type(a.atttypid, a.atttypmod), c.type),
       format('ALTER TABLE %s ALTER COLUMN %I TYPE %s USING %2$I::%3$s; -- on the destination, rewrites the table', there.full_name, c.name, c.type), 'destination'
  FROM s, there
  JOIN wanted c ON c.oid = there.oid
  JOIN pg_catalog.pg_attribute a ON a.attrelid = there.oid AND a.attname = c.name AND a.attnum > 0
 WHERE NOT schema_sync AND format_type(a.atttypid, a.atttypmod) <> c.type
UNION ALL
SELECT 'generated_columns', NULL, there.full_name,
       format('Column %I is %s there, not on the source: its value cannot be written.', c.name, CASE WHEN a.attgenerated = '' THEN 'an ordinary column' ELSE 'generated' END),
       CASE WHEN a.attgenerated <> '' THEN format('ALTER TABLE %s ALTER COLUMN %I DROP EXPRESSION; -- on the destination', there.full_name, c.name) END, 'destination'
  FROM s, there
  JOIN wanted c ON c.oid = there.oid
  JOIN pg_catalog.pg_attribute a ON a.attrelid = there.oid AND a.attname = c.name AND a.attnum > 0
 WHERE NOT schema_sync AND a.attgenerated <> '' AND c.generated = ''
UNION ALL
SELECT 'destination_keys', NULL, there.full_name,
       'No unique index there covers the key of the source: each UPDATE and DELETE reads the whole table, and rows may become duplicates.',
       format('ALTER TABLE %s ADD PRIMARY KEY (%s); -- on the destination', there.full_name, (SELECT string_agg(quote_ident(k), ', ') FROM json_array_elements_text(there.key) AS k)), 'destination'
  FROM s, there
 WHERE NOT schema_sync AND there.key IS NOT NULL AND there.relkind IN ('r', 'p')
   AND NOT EXISTS (SELECT FROM pg_catalog.pg_index i
                    WHERE i.indrelid = there.oid AND i.indisunique AND i.indisvalid AND i.indpred IS NULL AND i.indexprs IS NULL
                      AND (SELECT array_agg(a.attname::text ORDER BY a.attname) FROM pg_catalog.pg_attribute a
                            WHERE a.attrelid = there.oid AND a.attnum = ANY ((i.indkey::int2[])[0:i.indnkeyatts - 1]))
                          = (SELECT array_agg(k ORDER BY k COLLATE "C") FROM json_array_elements_text(there.key) AS k))
UNION ALL
SELECT 'destination_triggers', NULL, there.full_name,
       format('Trigger %I fires there for replicated changes too%s.', g.tgname,
              CASE WHEN pg_get_userbyid(there.relowner) <> me.name
                   THEN format(', with the rights of user %I; the table belongs to %I', me.name, pg_get_userbyid(there.relowner)) END),
       format('ALTER TABLE %s ENABLE TRIGGER %I; -- on the destination: fires for ordinary sessions only', there.full_name, g.tgname), 'destination'
  FROM me, there
  JOIN pg_catalog.pg_trigger g ON g.tgrelid = there.oid AND NOT g.tgisinternal AND g.tgenabled IN ('A', 'R')
UNION ALL
SELECT 'destination_powers', 'warning', there.full_name,
       format('User %I is %s there, and the table belongs to %I, who may give it triggers that fire for replicated changes, or constraints: they run with the rights of %1$I.',
              me.name, CASE WHEN me.rolsuper THEN 'a superuser' ELSE 'a member of roles that read and write files of the server' END,
              pg_get_userbyid(there.relowner)),
       NULL, 'person'
  FROM s, me, there
  JOIN pg_catalog.pg_roles o ON o.oid = there.relowner
 WHERE NOT schema_sync AND NOT o.rolsuper AND o.rolname <> me.name
   AND (me.rolsuper OR EXISTS (SELECT FROM pg_catalog.pg_roles r
                                WHERE r.rolname IN ('pg_execute_server_program', 'pg_write_server_files', 'pg_read_server_files')
                                  AND pg_has_role(me.name, r.oid, 'MEMBER')))
UNION ALL
SELECT 'destination_search_path', NULL, f.name,
       format('%s of %s calls it%s. It has no SET search_path: if its body names tables or functions without their schema, copy and stream fail.',
              min(f.what), min(f.full_name), CASE WHEN count(*) > 1 THEN format(', and %s more', count(*) - 1) END),
       format('ALTER %s %s SET search_path = %s; -- on the destination', min(f.kind), f.name, min(f.path)), 'person'
  FROM (
    SELECT p.oid::regprocedure::text AS name, CASE p.prokind WHEN 'p' THEN 'PROCEDURE' ELSE 'FUNCTION' END AS kind, v.what, v.full_name,
           CASE WHEN n.nspname = 'public' THEN 'public' ELSE format('%I, public', n.nspname) END || ', pg_temp' AS path
      FROM s, (
        SELECT there.full_name, 'a column' AS what, 'pg_attrdef'::regclass AS classid, d.oid AS objid
          FROM there JOIN pg_catalog.pg_attrdef d ON d.adrelid = there.oid
          JOIN pg_catalog.pg_attribute a ON a.attrelid = d.adrelid AND a.attnum = d.adnum AND a.attgenerated <> ''
        UNION ALL
        SELECT there.full_name, format('constraint %I', k.conname), 'pg_constraint'::regclass, k.oid
          FROM there JOIN pg_catalog.pg_constraint k ON k.conrelid = there.oid
        UNION ALL
        SELECT there.full_name, format('domain %s of column %I', format_type(a.atttypid, NULL), a.attname), 'pg_constraint'::regclass, k.oid
          FROM there JOIN pg_catalog.pg_attribute a ON a.attrelid = there.oid AND a.attnum > 0
          JOIN pg_catalog.pg_constraint k ON k.contypid = a.atttypid
        UNION ALL
        SELECT there.full_name, format('index %s', i.indexrelid::regclass), 'pg_class'::regclass, i.indexrelid
          FROM there JOIN pg_catalog.pg_index i ON i.indrelid = there.oid
      ) AS v
      JOIN pg_catalog.pg_depend d ON d.classid = v.classid AND d.objid = v.objid AND d.refclassid = 'pg_proc'::regclass AND d.refobjid >= 16384
      JOIN pg_catalog.pg_proc p ON p.oid = d.refobjid
      JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
      JOIN pg_catalog.pg_language l ON l.oid = p.prolang AND l.lanname NOT IN ('c', 'internal')
     WHERE NOT s.schema_sync
       -- The task's sessions look where it is, but for what builds an index from 17 on.
       AND (n.nspname <> ALL (s.code_schemas) OR v.classid = 'pg_class'::regclass AND current_setting('server_version_num')::integer >= 170000)
       AND NOT EXISTS (SELECT FROM unnest(p.proconfig) AS c WHERE c LIKE 'search\_path=%')
       -- A body in the standard's form (14 and later) is bound to objects, not to names.
       AND to_jsonb(p) ->> 'prosqlbody' IS NULL
  ) AS f
 GROUP BY f.name
UNION ALL
SELECT 'destination_rules', NULL, there.full_name,
       format('Rule %I changes what is written there%s.', r.rulename, CASE WHEN r.ev_enabled = 'O' THEN ', as the user may not set session_replication_role' END),
       format('ALTER TABLE %s DISABLE RULE %I; -- on the destination', there.full_name, r.rulename), 'destination'
  FROM s, there
  JOIN pg_catalog.pg_rewrite r ON r.ev_class = there.oid AND r.rulename <> '_RETURN'
 WHERE r.ev_enabled IN ('A', 'R') OR r.ev_enabled = 'O' AND NOT may_be_replica
UNION ALL
SELECT 'destination_replica_role', NULL, quote_ident(me.name),
       'Tables have foreign keys or triggers, and the user may not set session_replication_role on the destination: triggers would fire a second time, and foreign keys be checked in the middle of a batch.'
       || CASE WHEN current_setting('server_version_num')::integer < 150000
               THEN ' Before PostgreSQL 15 only a superuser may: name one in the user mapping, or leave those tables out.' ELSE '' END,
       CASE WHEN current_setting('server_version_num')::integer >= 150000
            THEN format('GRANT SET ON PARAMETER session_replication_role TO %I; -- on the destination, as superuser', me.name) END,
       CASE WHEN current_setting('server_version_num')::integer >= 150000 THEN 'destination' ELSE 'person' END
  FROM s, me
 WHERE incremental AND NOT may_be_replica
   AND (needs_replica_role OR EXISTS (SELECT FROM there JOIN pg_catalog.pg_trigger g ON g.tgrelid = there.oid AND g.tgenabled = 'O'))
UNION ALL
SELECT 'destination_table_privileges', NULL, there.full_name,
       format('User %I has no %s on it.', me.name, string_agg(p.name, ', ' ORDER BY p.name)),
       format('GRANT %s ON %s TO %I; -- on the destination', string_agg(p.name, ', ' ORDER BY p.name), there.full_name, me.name), 'destination'
  FROM s, me, there, (VALUES ('SELECT'), ('INSERT'), ('UPDATE'), ('DELETE'), ('TRUNCATE')) AS p(name)
 WHERE NOT schema_sync AND there.relkind IN ('r', 'p') AND (incremental OR p.name IN ('SELECT', 'INSERT'))
   AND NOT has_table_privilege(there.oid, p.name)
 GROUP BY there.full_name, me.name
UNION ALL
SELECT 'destination_row_security', NULL, there.full_name,
       format('Its row security would hide rows from user %I.', me.name),
       format('ALTER TABLE %s DISABLE ROW LEVEL SECURITY; -- on the destination', there.full_name), 'destination'
  FROM s, me, there
 WHERE NOT schema_sync AND there.relrowsecurity AND NOT me.rolsuper AND NOT me.rolbypassrls
   AND (there.relforcerowsecurity OR NOT pg_has_role(there.relowner, 'USAGE'))
UNION ALL
SELECT 'destination_row_security', NULL, w.full_name,
       format('Its row security is forced, and the task will create it so: it would hide rows from user %I, who will own the table.', me.name),
       format('ALTER ROLE %I BYPASSRLS; -- on the destination, as superuser', me.name), 'destination'
  FROM s, me, w
 WHERE schema_sync AND w.forced AND NOT me.rolsuper AND NOT me.rolbypassrls
UNION ALL
SELECT 'destination_types', NULL, w.type,
       format('Columns of this type: %s, the first of table %s; the destination does not know it.', count(*), min(w.full_name)), NULL, 'destination'
  FROM s, wanted w
 WHERE NOT schema_sync AND to_regtype(w.type) IS NULL
 GROUP BY w.type
UNION ALL
SELECT 'destination_collations', NULL, w.collation,
       format('Columns with this collation: %s, the first of table %s; the destination does not know it.', count(*), min(w.full_name)), NULL, 'destination'
  FROM s, wanted w
 WHERE w.collation IS NOT NULL AND to_regcollation(w.collation) IS NULL AND (NOT schema_sync OR w.collation LIKE 'pg_catalog.%')
 GROUP BY w.collation
UNION ALL
-- What commands of the source do there is done by this user.
SELECT 'destination_ddl_rights', 'warning', quote_ident(current_database()),
       format('User %I may not create schemas there: a CREATE SCHEMA of the source that the patterns name stops the task.', me.name),
       format('GRANT CREATE ON DATABASE %I TO %I; -- on the destination', current_database(), me.name), 'destination'
  FROM s, me
 WHERE commands AND NOT has_database_privilege(current_database(), 'CREATE')
UNION ALL
SELECT DISTINCT 'destination_ddl_rights', 'failed', quote_ident(w.schema),
       format('User %I may not create in schema %I: CREATE TABLE, CREATE INDEX and CREATE TYPE of the source fail there.', me.name, w.schema),
       format('GRANT USAGE, CREATE ON SCHEMA %I TO %I; -- on the destination', w.schema, me.name), 'destination'
  FROM s, me, w
  JOIN pg_catalog.pg_namespace n ON n.nspname = w.schema
 WHERE commands AND NOT schema_sync AND NOT has_schema_privilege(n.oid, 'CREATE')
UNION ALL
SELECT 'destination_ddl_rights', 'failed', there.full_name,
       format('It belongs to %I there, and only its owner may alter it: user %I is not, nor a member.', pg_get_userbyid(there.relowner), me.name),
       format('ALTER TABLE %s OWNER TO %I; -- on the destination, as superuser', there.full_name, me.name), 'destination'
  FROM s, me, there
 WHERE commands AND NOT schema_sync AND there.relkind IN ('r', 'p') AND NOT pg_has_role(there.relowner, 'USAGE')
UNION ALL
SELECT DISTINCT 'destination_ddl_rights', 'failed', format_type(y.oid, NULL),
       format('The type of columns belongs to %I there, and only its owner may alter it: user %I is not, nor a member.', pg_get_userbyid(y.typowner), me.name),
       format('ALTER TYPE %s OWNER TO %I; -- on the destination, as superuser', y.oid::regtype, me.name), 'destination'
  FROM s, me, there
  JOIN pg_catalog.pg_attribute a ON a.attrelid = there.oid AND a.attnum > 0 AND NOT a.attisdropped
  JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
  -- Of an array, the type of its elements.
  JOIN pg_catalog.pg_type y ON y.oid = CASE WHEN t.typcategory = 'A' AND t.typelem <> 0 THEN t.typelem ELSE t.oid END
 WHERE commands AND NOT schema_sync AND y.oid >= 16384 AND NOT pg_has_role(y.typowner, 'USAGE')
   AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d
                    WHERE d.classid = 'pg_type'::regclass AND d.objid = y.oid AND d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e')
UNION ALL
SELECT 'destination_event_triggers', NULL, quote_ident(e.evtname),
       format('Event trigger %I (function %s) fires there for what the task does%s.', e.evtname, e.evtfoid::regproc,
              CASE WHEN e.evtenabled = 'O' THEN ', as the user may not set session_replication_role' END),
       CASE WHEN e.evtenabled = 'O' THEN format('ALTER EVENT TRIGGER %I DISABLE; -- on the destination, as its owner', e.evtname)
            ELSE format('ALTER EVENT TRIGGER %I ENABLE; -- on the destination, as its owner: fires for ordinary sessions only', e.evtname) END, 'person'
  FROM s, pg_catalog.pg_event_trigger e
 WHERE commands AND (e.evtenabled IN ('A', 'R') OR e.evtenabled = 'O' AND NOT may_be_replica)
   AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d
                    WHERE d.classid = 'pg_event_trigger'::regclass AND d.objid = e.oid AND d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e')
