-- Relations that no task can cover; the patterns are applied to their names afterwards.
SELECT n.nspname, c.relname, c.relkind,
       (SELECT pg_catalog.format('%I.%I', pn.nspname, p.relname)
          FROM pg_catalog.pg_inherits i
          JOIN pg_catalog.pg_class p ON p.oid = i.inhparent
          JOIN pg_catalog.pg_namespace pn ON pn.oid = p.relnamespace
         WHERE c.relispartition AND i.inhrelid = c.oid
         LIMIT 1) AS partition_of
  FROM pg_catalog.pg_class c
  JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relkind IN ('f', 'm')
   AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'courier', 'courier_applied')
   AND n.nspname !~ '^pg_(toast|temp)'
 ORDER BY n.nspname, c.relname
