-- Every table of the database that could be synchronized, with what the selection wants to know.
-- Ordered by name, so that plans read the same each time.
SELECT c.oid,
       n.nspname,
       c.relname,
       c.relkind,
       GREATEST(c.reltuples, 0)::bigint AS rows,
       CASE WHEN c.relkind = 'r' THEN pg_catalog.pg_table_size(c.oid) ELSE 0 END AS bytes,
       c.relkind = 'p'
         OR c.relreplident = 'f'
         OR EXISTS (SELECT
                      FROM pg_catalog.pg_index i
                     WHERE i.indrelid = c.oid
                       AND i.indisvalid AND i.indimmediate
                       AND NOT EXISTS (SELECT
                                         FROM pg_catalog.pg_attribute a
                                        WHERE a.attrelid = c.oid AND a.attnum = ANY ((i.indkey::int2[])[0:i.indnkeyatts - 1]) AND a.attgenerated <> '')
                       AND ((c.relreplident = 'd' AND i.indisprimary)
                            OR (c.relreplident = 'i' AND i.indisreplident))) AS has_identity,
       c.relpersistence,
       COALESCE((SELECT pg_catalog.json_agg(pg_catalog.json_build_array(ac.oid::bigint, an.nspname, ac.relname))
                   FROM pg_catalog.pg_partition_ancestors(c.oid) a
                   JOIN pg_catalog.pg_class ac ON ac.oid = a.relid
                   JOIN pg_catalog.pg_namespace an ON an.oid = ac.relnamespace
                  WHERE c.relispartition AND a.relid <> c.oid), '[]') AS ancestors
  FROM pg_catalog.pg_class c
  JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relkind IN ('r', 'p')
   AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'courier', 'courier_applied')
   AND n.nspname !~ '^pg_(toast|temp)'
   AND NOT EXISTS (SELECT
                     FROM pg_catalog.pg_depend d
                    WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass
                      AND d.objid = c.oid
                      AND d.refclassid = 'pg_catalog.pg_extension'::pg_catalog.regclass
                      AND d.deptype = 'e')
 ORDER BY n.nspname, c.relname
