-- The queries of views. $1: oids.
SELECT c.oid, c.relkind = 'm' AS is_materialized, c.relispopulated, rtrim(pg_get_viewdef(c.oid), ';') AS definition
  FROM unnest($1::oid[]) AS r (oid)
  JOIN pg_class c ON c.oid = r.oid AND c.relkind IN ('v', 'm')
 ORDER BY c.oid
