-- What users have besides tables and sequences, and the patterns of a task may name: views, functions and what is made of them, types and
-- domains, collations, text search objects; of schemas `name` is null. What is written in C or is the server's own is a library's.
WITH space AS MATERIALIZED (
    SELECT n.oid, n.nspname
      FROM pg_namespace n
     WHERE n.nspname NOT IN ('information_schema', 'courier', 'courier_applied') AND n.nspname NOT LIKE 'pg\_%'
), found AS (
    SELECT 'pg_class'::regclass::oid AS class, c.oid, n.nspname, c.relname AS name
      FROM pg_class c
      JOIN space n ON n.oid = c.relnamespace
     WHERE c.relkind IN ('v', 'm') AND c.relpersistence <> 't'
    UNION ALL
    SELECT 'pg_proc'::regclass, p.oid, n.nspname, p.proname
      FROM pg_proc p
      JOIN space n ON n.oid = p.pronamespace
      JOIN pg_language l ON l.oid = p.prolang
     WHERE p.prokind = 'a' OR p.prokind IN ('f', 'p') AND l.lanname NOT IN ('c', 'internal')
    UNION ALL
    SELECT 'pg_operator'::regclass, o.oid, n.nspname, o.oprname
      FROM pg_operator o
      JOIN space n ON n.oid = o.oprnamespace
     WHERE o.oprcode <> 0
    UNION ALL
    SELECT 'pg_ts_dict'::regclass, d.oid, n.nspname, d.dictname
      FROM pg_ts_dict d
      JOIN space n ON n.oid = d.dictnamespace
    UNION ALL
    SELECT 'pg_ts_config'::regclass, c.oid, n.nspname, c.cfgname
      FROM pg_ts_config c
      JOIN space n ON n.oid = c.cfgnamespace
    UNION ALL
    SELECT 'pg_conversion'::regclass, c.oid, n.nspname, c.conname
      FROM pg_conversion c
      JOIN space n ON n.oid = c.connamespace
    UNION ALL
    SELECT 'pg_opfamily'::regclass, f.oid, n.nspname, f.opfname
      FROM pg_opfamily f
      JOIN space n ON n.oid = f.opfnamespace
    UNION ALL
    SELECT 'pg_opclass'::regclass, o.oid, n.nspname, o.opcname
      FROM pg_opclass o
      JOIN space n ON n.oid = o.opcnamespace
    UNION ALL
    -- A cast has no name: it is named where one of its types is.
    SELECT 'pg_cast'::regclass, c.oid, n.nspname, y.typname
      FROM pg_cast c
      JOIN pg_type y ON y.oid IN (c.castsource, c.casttarget)
      JOIN space n ON n.oid = y.typnamespace
     WHERE c.oid >= 16384
    UNION ALL
    SELECT 'pg_type'::regclass, y.oid, n.nspname, y.typname
      FROM pg_type y
      JOIN space n ON n.oid = y.typnamespace
      LEFT JOIN pg_class c ON c.oid = y.typrelid
     WHERE y.typtype IN ('e', 'd', 'r') OR y.typtype = 'c' AND c.relkind = 'c'
    UNION ALL
    SELECT 'pg_collation'::regclass, l.oid, n.nspname, l.collname
      FROM pg_collation l
      JOIN space n ON n.oid = l.collnamespace
    UNION ALL
    SELECT 'pg_namespace'::regclass, n.oid, n.nspname, NULL
      FROM space n
)
SELECT f.class, f.oid, f.nspname, f.name
  FROM found f
 WHERE NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = f.class AND d.objid = f.oid AND d.deptype = 'e')
 ORDER BY f.class, f.oid
