-- Casts, for source and destination. Their names are those of a type of a user, or of their functions. What follows is said of the row `o`.
SELECT o.oid, y.nspname, y.name,
       pg_catalog.format('(%s AS %s)', pg_catalog.format_type(o.castsource, NULL), pg_catalog.format_type(o.casttarget, NULL)) AS target,
       pg_catalog.array_to_json(ARRAY[o.castsource, o.casttarget]::pg_catalog.int8[]) AS types,
       pg_catalog.concat(
           pg_catalog.format('CREATE CAST (%s AS %s) ', pg_catalog.format_type(o.castsource, NULL), pg_catalog.format_type(o.casttarget, NULL)),
           CASE o.castmethod WHEN 'f' THEN 'WITH FUNCTION ' || o.castfunc::pg_catalog.regprocedure::pg_catalog.text
                             WHEN 'i' THEN 'WITH INOUT' ELSE 'WITHOUT FUNCTION' END,
           CASE o.castcontext WHEN 'a' THEN ' AS ASSIGNMENT' WHEN 'i' THEN ' AS IMPLICIT' END) AS definition
  FROM pg_catalog.pg_cast o
 CROSS JOIN LATERAL (
    SELECT n.nspname, c.name
      FROM (SELECT 1 AS place, s.typnamespace AS space, s.typname AS name FROM pg_catalog.pg_type s WHERE s.oid = o.castsource
            UNION ALL
            SELECT 2, t.typnamespace, t.typname FROM pg_catalog.pg_type t WHERE t.oid = o.casttarget
            UNION ALL
            SELECT 3, f.pronamespace, f.proname FROM pg_catalog.pg_proc f WHERE f.oid = o.castfunc) AS c
      JOIN pg_catalog.pg_namespace n ON n.oid = c.space
     ORDER BY n.nspname = 'pg_catalog', c.place
     LIMIT 1
 ) AS y
 WHERE true
