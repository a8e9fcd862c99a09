-- What the destination is asked about: the selected tables with their columns and keys, and the extensions they need, as JSON.
-- $1: the selected tables, $2: the task's owner.
WITH t AS MATERIALIZED (
    SELECT c.oid, c.relname, c.relkind, c.relowner, n.nspname, c.relreplident, c.relrowsecurity AND c.relforcerowsecurity AS forced
      FROM unnest($1::oid[]) AS u(oid)
      JOIN pg_catalog.pg_class c ON c.oid = u.oid
      JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
), columns AS (
    SELECT t.oid,
           json_agg(json_build_array(a.attname, format_type(a.atttypid, a.atttypmod), a.attgenerated, a.attnotnull,
                    CASE WHEN a.attcollation <> y.typcollation AND a.attcollation <> 0
                         THEN (SELECT format('%I.%I', n.nspname, l.collname) FROM pg_catalog.pg_collation l
                                 JOIN pg_catalog.pg_namespace n ON n.oid = l.collnamespace WHERE l.oid = a.attcollation) END)) AS list
      FROM t
      JOIN pg_catalog.pg_attribute a ON a.attrelid = t.oid AND a.attnum > 0 AND NOT a.attisdropped
      JOIN pg_catalog.pg_type y ON y.oid = a.atttypid
     GROUP BY t.oid
), keys AS (
    SELECT i.indrelid, json_agg(a.attname ORDER BY a.attnum) AS list
      FROM t
      JOIN pg_catalog.pg_index i ON i.indrelid = t.oid AND i.indisvalid AND i.indimmediate
           AND CASE t.relreplident WHEN 'i' THEN i.indisreplident ELSE i.indisprimary END
      JOIN pg_catalog.pg_attribute a ON a.attrelid = t.oid AND a.attnum = ANY (i.indkey::int2[])
     GROUP BY i.indrelid
), used AS (
    SELECT d.refobjid
      FROM t
      JOIN pg_catalog.pg_attribute a ON a.attrelid = t.oid AND a.attnum > 0 AND NOT a.attisdropped
      JOIN pg_catalog.pg_type y ON y.oid = a.atttypid
      JOIN pg_catalog.pg_depend d ON d.classid = 'pg_type'::regclass AND d.objid IN (y.oid, NULLIF(y.typelem, 0), NULLIF(y.typbasetype, 0))
           AND d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e'
    UNION
    SELECT d.refobjid
      FROM t
      JOIN pg_catalog.pg_index i ON i.indrelid = t.oid
      JOIN pg_catalog.pg_depend d ON d.classid = 'pg_opclass'::regclass AND d.objid = ANY (i.indclass::oid[])
           AND d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e'
)
SELECT (SELECT COALESCE(json_agg(json_build_object('schema', t.nspname, 'name', t.relname, 'kind', t.relkind,
                                                   'columns', columns.list, 'key', keys.list, 'forced', t.forced)), '[]')
          FROM t
          LEFT JOIN columns ON columns.oid = t.oid
          LEFT JOIN keys ON keys.indrelid = t.oid) AS tables,
       (SELECT COALESCE(json_agg(json_build_object('name', x.extname, 'version', x.extversion, 'schema', (SELECT n.nspname FROM pg_catalog.pg_namespace n WHERE n.oid = x.extnamespace))), '[]')
          FROM pg_catalog.pg_extension x
         WHERE x.oid IN (SELECT refobjid FROM used)) AS extensions,
       (SELECT EXISTS (SELECT FROM t JOIN pg_catalog.pg_trigger g ON g.tgrelid = t.oid AND g.tgenabled IN ('O', 'A'))) AS needs_replica_role,
       (SELECT NOT EXISTS (SELECT FROM t JOIN pg_catalog.pg_roles r ON r.oid = t.relowner WHERE NOT r.rolsuper AND r.oid <> $2::oid)) AS trusted_owners
