-- Schemas that a user made. $1: names, as a JSON array.
SELECT n.oid, n.nspname
  FROM json_array_elements_text($1::json) AS w (name)
  JOIN pg_namespace n ON n.nspname = w.name
 WHERE n.nspname NOT LIKE 'pg\_%' AND n.nspname NOT IN ('information_schema', 'courier', 'courier_applied')
   AND NOT EXISTS (SELECT FROM pg_depend e WHERE e.classid = 'pg_namespace'::regclass AND e.objid = n.oid AND e.deptype = 'e')
 ORDER BY n.oid
