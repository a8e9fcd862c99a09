-- Which names of a list are taken. Runs on the destination. $1: JSON, [number, catalog, schema, name] for each.
WITH w AS MATERIALIZED (
    SELECT (e.value ->> 0)::integer AS number, e.value ->> 1 AS catalog, e.value ->> 2 AS schema, e.value ->> 3 AS name
      FROM pg_catalog.json_array_elements($1::json) AS e
)
SELECT w.number FROM w
  JOIN pg_catalog.pg_namespace n ON n.nspname = w.schema
  JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relname = w.name
 WHERE w.catalog = 'class'
UNION ALL
SELECT w.number FROM w
  JOIN pg_catalog.pg_namespace n ON n.nspname = w.schema
  JOIN pg_catalog.pg_type y ON y.typnamespace = n.oid AND y.typname = w.name
 WHERE w.catalog = 'type'
UNION ALL
SELECT w.number FROM w
  JOIN pg_catalog.pg_namespace n ON n.nspname = w.schema
  JOIN pg_catalog.pg_collation l ON l.collnamespace = n.oid AND l.collname = w.name
 WHERE w.catalog = 'collation'
UNION ALL
SELECT w.number FROM w
  JOIN pg_catalog.pg_namespace n ON n.nspname = w.schema
  JOIN pg_catalog.pg_statistic_ext s ON s.stxnamespace = n.oid AND s.stxname = w.name
 WHERE w.catalog = 'statistics'
UNION ALL
SELECT w.number FROM w
  JOIN pg_catalog.pg_namespace n ON n.nspname = w.schema
 WHERE w.catalog = 'routine' AND EXISTS (SELECT FROM pg_catalog.pg_proc p WHERE p.pronamespace = n.oid AND p.proname = w.name)
UNION ALL
SELECT w.number FROM w WHERE w.catalog = 'plain'
UNION ALL
SELECT w.number FROM w
  JOIN pg_catalog.pg_extension x ON x.extname = w.name
 WHERE w.catalog = 'extension'
