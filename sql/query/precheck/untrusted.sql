-- Functions, views and tables with rules of roles that are no superusers. Members of extensions come with those.
SELECT o.kind, n.nspname, o.name, r.rolname, r.oid AS role_oid
  FROM (SELECT 'functions' AS kind, 'pg_catalog.pg_proc'::regclass AS class, p.oid, p.pronamespace AS namespace, p.proname AS name, p.proowner AS owner
          FROM pg_catalog.pg_proc p
         WHERE p.prokind <> 'a'
        UNION ALL
        SELECT 'views', 'pg_catalog.pg_class', c.oid, c.relnamespace, c.relname, c.relowner
          FROM pg_catalog.pg_class c
         WHERE c.relkind IN ('v', 'm')
        UNION ALL
        SELECT 'tables with rules', 'pg_catalog.pg_class', c.oid, c.relnamespace, c.relname, c.relowner
          FROM pg_catalog.pg_class c
         WHERE c.relkind IN ('r', 'p') AND EXISTS (SELECT FROM pg_catalog.pg_rewrite w WHERE w.ev_class = c.oid)) AS o
  JOIN pg_catalog.pg_roles r ON r.oid = o.owner AND NOT r.rolsuper
  JOIN pg_catalog.pg_namespace n ON n.oid = o.namespace
 WHERE o.oid >= 16384 AND n.nspname !~ '^pg_' AND n.nspname NOT IN ('information_schema', 'courier', 'courier_applied')
   AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend e WHERE e.classid = o.class AND e.objid = o.oid AND e.deptype = 'e')
 ORDER BY r.rolname, o.kind
