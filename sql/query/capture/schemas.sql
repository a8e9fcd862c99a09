-- Schemas that a user made. $1: oids.
SELECT n.oid, n.nspname
  FROM unnest($1::oid[]) AS t (oid)
  JOIN pg_namespace n ON n.oid = t.oid
 WHERE n.nspname NOT LIKE 'pg\_%' AND n.nspname NOT IN ('information_schema', 'courier', 'courier_applied')
   AND NOT EXISTS (SELECT FROM pg_depend e WHERE e.classid = 'pg_namespace'::regclass AND e.objid = n.oid AND e.deptype = 'e')
 ORDER BY n.oid
