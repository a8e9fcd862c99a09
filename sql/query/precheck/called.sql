-- Functions with a body of names, and without a search_path of their own, that a row of the selected tables calls where it is written, or an
-- index where it is built. $1: the selected tables.
WITH t AS MATERIALIZED (
    SELECT c.oid, format('%I.%I', n.nspname, c.relname) AS name
      FROM unnest($1::oid[]) AS u(oid)
      JOIN pg_catalog.pg_class c ON c.oid = u.oid
      JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
), v AS (
    SELECT t.name, format('column %I', a.attname) AS what, false AS is_index, 'pg_attrdef'::regclass AS classid, d.oid AS objid
      FROM t JOIN pg_catalog.pg_attrdef d ON d.adrelid = t.oid
      JOIN pg_catalog.pg_attribute a ON a.attrelid = d.adrelid AND a.attnum = d.adnum AND a.attgenerated <> ''
    UNION ALL
    SELECT t.name, format('constraint %I', k.conname), false, 'pg_constraint'::regclass, k.oid
      FROM t JOIN pg_catalog.pg_constraint k ON k.conrelid = t.oid
    UNION ALL
    SELECT t.name, format('domain %s of column %I', format_type(a.atttypid, NULL), a.attname), false, 'pg_constraint'::regclass, k.oid
      FROM t JOIN pg_catalog.pg_attribute a ON a.attrelid = t.oid AND a.attnum > 0
      JOIN pg_catalog.pg_constraint k ON k.contypid = a.atttypid
    UNION ALL
    SELECT t.name, format('index %I', c.relname), true, 'pg_class'::regclass, i.indexrelid
      FROM t JOIN pg_catalog.pg_index i ON i.indrelid = t.oid JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid
)
SELECT f.oid, f.name, f.schema, f.is_sql, f.role_oid, f.rolsuper, bool_or(f.is_index) AS is_indexed,
       format('%s of %s calls it%s', min(f.what), min(f.table_name), CASE WHEN count(*) > 1 THEN format(', and %s more', count(*) - 1) END) AS called,
       format('ALTER FUNCTION %s SET search_path = %s;', f.name, min(f.path)) AS fix
  FROM (
    SELECT p.oid, format('%I.%I(%s)', n.nspname, p.proname, oidvectortypes(p.proargtypes)) AS name, n.nspname AS schema, v.what, v.is_index, v.name AS table_name,
           l.lanname = 'sql' AS is_sql, p.proowner AS role_oid, r.rolsuper,
           CASE WHEN n.nspname = 'public' THEN 'public' ELSE format('%I, public', n.nspname) END || ', pg_temp' AS path
      FROM v
      JOIN pg_catalog.pg_depend d ON d.classid = v.classid AND d.objid = v.objid AND d.refclassid = 'pg_proc'::regclass AND d.refobjid >= 16384
      JOIN pg_catalog.pg_proc p ON p.oid = d.refobjid
      JOIN pg_catalog.pg_roles r ON r.oid = p.proowner
      JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
      JOIN pg_catalog.pg_language l ON l.oid = p.prolang AND l.lanname NOT IN ('c', 'internal')
     WHERE NOT EXISTS (SELECT FROM unnest(p.proconfig) AS c WHERE c LIKE 'search\_path=%')
       -- A body in the standard's form (14 and later) is bound to objects, not to names.
       AND to_jsonb(p) ->> 'prosqlbody' IS NULL
       AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend e WHERE e.classid = 'pg_proc'::regclass AND e.objid = p.oid AND e.deptype = 'e')
  ) AS f
 GROUP BY f.oid, f.name, f.schema, f.is_sql, f.role_oid, f.rolsuper
 ORDER BY f.name
