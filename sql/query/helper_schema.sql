-- What is wrong with schema courier_applied. Runs on the destination. Whoever owns it or its tables, or has put code on them, acts with the
-- rights of the user of the user mapping: they have to belong to that user or to a superuser, and be as pg_courier makes them.
WITH trusted AS (
    SELECT r.oid FROM pg_catalog.pg_roles r WHERE r.rolsuper OR r.rolname IN (current_user, session_user)
), tables AS (
    SELECT c.*, pg_catalog.format('table courier_applied.%I', c.relname) AS object
      FROM pg_catalog.pg_class c
      JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
     WHERE n.nspname = 'courier_applied' AND c.relname IN ('progress', 'table_progress', 'marks', 'conflicts', 'writer')
), indexes AS (
    SELECT i.indexrelid, t.object FROM tables t JOIN pg_catalog.pg_index i ON i.indrelid = t.oid
), code AS (
    SELECT t.object, d.refclassid, d.refobjid
      FROM tables t
      JOIN pg_catalog.pg_attrdef a ON a.adrelid = t.oid
      JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_attrdef'::pg_catalog.regclass AND d.objid = a.oid
    UNION ALL
    SELECT t.object, d.refclassid, d.refobjid
      FROM tables t
      JOIN pg_catalog.pg_constraint k ON k.conrelid = t.oid
      JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_constraint'::pg_catalog.regclass AND d.objid = k.oid
    UNION ALL
    SELECT i.object, d.refclassid, d.refobjid
      FROM indexes i
      JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objid = i.indexrelid
    UNION ALL
    SELECT t.object, 'pg_catalog.pg_type'::pg_catalog.regclass, a.atttypid
      FROM tables t
      JOIN pg_catalog.pg_attribute a ON a.attrelid = t.oid AND a.attnum > 0 AND NOT a.attisdropped
      JOIN pg_catalog.pg_type y ON y.oid = a.atttypid AND y.typnamespace <> 'pg_catalog'::pg_catalog.regnamespace
)
SELECT pg_catalog.format('Schema courier_applied belongs to role %I.', pg_catalog.pg_get_userbyid(n.nspowner)) AS problem
  FROM pg_catalog.pg_namespace n
 WHERE n.nspname = 'courier_applied' AND NOT EXISTS (SELECT FROM trusted r WHERE r.oid = n.nspowner)
UNION ALL
SELECT pg_catalog.format('%s belongs to role %I.', pg_catalog.initcap(pg_catalog.left(t.object, 1)) || pg_catalog.substr(t.object, 2),
                         pg_catalog.pg_get_userbyid(t.relowner))
  FROM tables t WHERE NOT EXISTS (SELECT FROM trusted r WHERE r.oid = t.relowner)
UNION ALL
SELECT pg_catalog.format('There is something else than a plain table under the name of %s.', t.object)
  FROM tables t WHERE t.relkind <> 'r' OR t.relpersistence <> 'p' OR t.relispartition
UNION ALL
SELECT pg_catalog.format('There is a trigger on %s.', t.object)
  FROM tables t WHERE EXISTS (SELECT FROM pg_catalog.pg_trigger g WHERE g.tgrelid = t.oid AND NOT g.tgisinternal)
UNION ALL
SELECT pg_catalog.format('There is a rule on %s.', t.object)
  FROM tables t WHERE EXISTS (SELECT FROM pg_catalog.pg_rewrite w WHERE w.ev_class = t.oid)
UNION ALL
SELECT pg_catalog.format('There is row security on %s.', t.object)
  FROM tables t WHERE t.relrowsecurity OR EXISTS (SELECT FROM pg_catalog.pg_policy p WHERE p.polrelid = t.oid)
UNION ALL
SELECT pg_catalog.format('Another table inherits from %s, or it from another.', t.object)
  FROM tables t WHERE EXISTS (SELECT FROM pg_catalog.pg_inherits h WHERE t.oid IN (h.inhrelid, h.inhparent))
UNION ALL
SELECT DISTINCT pg_catalog.format('A column, a default, a constraint or an index of %s uses a function or a type that is not PostgreSQL''s own.', c.object)
  FROM code c
 -- Objects from 16384 on are not of initdb.
 WHERE c.refobjid >= 16384
   AND c.refclassid IN ('pg_catalog.pg_proc'::pg_catalog.regclass, 'pg_catalog.pg_operator'::pg_catalog.regclass,
                        'pg_catalog.pg_type'::pg_catalog.regclass, 'pg_catalog.pg_opclass'::pg_catalog.regclass)
