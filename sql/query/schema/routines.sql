-- Functions and procedures of a user. `definition` is what the server writes behind the name. $1: oids; $2: also those of libraries?
SELECT p.oid, n.nspname, p.proname, p.prokind = 'p' AS is_procedure, oidvectortypes(p.proargtypes) AS arguments,
       array_to_json(p.proargtypes::oid[]::bigint[]) AS types,
       rtrim(substr(pg_get_functiondef(p.oid),
                    length(format('CREATE OR REPLACE %s %I.%I', CASE p.prokind WHEN 'p' THEN 'PROCEDURE' ELSE 'FUNCTION' END, n.nspname, p.proname)) + 1),
             E'\n') AS definition
  FROM unnest($1::oid[]) AS r (oid)
  JOIN pg_proc p ON p.oid = r.oid
  JOIN pg_namespace n ON n.oid = p.pronamespace
  JOIN pg_language l ON l.oid = p.prolang AND ($2::boolean OR l.lanname NOT IN ('c', 'internal'))
 WHERE p.prokind <> 'a'
   AND p.oid >= 16384
   AND n.nspname NOT IN ('courier', 'courier_applied') AND n.nspname NOT LIKE 'pg\_%'
   AND NOT EXISTS (SELECT FROM pg_depend e WHERE e.classid = 'pg_proc'::regclass AND e.objid = p.oid AND e.deptype = 'e')
 ORDER BY p.oid
