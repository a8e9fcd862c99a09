-- Every table of the database that could be synchronized, with what the selection wants to know.
-- Ordered by name, so that plans read the same each time.
SELECT c.oid,
       n.nspname,
       c.relname,
       c.relkind,
       GREATEST(c.reltuples, 0)::bigint AS rows,
       -- pg_table_size() would lock each table, and wait for whoever alters one. What ANALYZE and VACUUM saw, and the first
       -- file of each, which is the whole table up to 1 GB, say enough.
       CASE WHEN c.relkind = 'r'
            THEN GREATEST((c.relpages::bigint + COALESCE(t.relpages, 0)) * pg_catalog.current_setting('block_size')::bigint,
                          COALESCE((pg_catalog.pg_stat_file(pg_catalog.pg_relation_filepath(c.oid), true)).size, 0)
                          + COALESCE((pg_catalog.pg_stat_file(pg_catalog.pg_relation_filepath(t.oid), true)).size, 0))
            ELSE 0 END AS bytes,
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
       c.relpersistence = 'u' AS is_unlogged,
       COALESCE((SELECT pg_catalog.json_agg(pg_catalog.json_build_array(ac.oid::bigint, an.nspname, ac.relname))
                   FROM pg_catalog.pg_partition_ancestors(c.oid) a
                   JOIN pg_catalog.pg_class ac ON ac.oid = a.relid
                   JOIN pg_catalog.pg_namespace an ON an.oid = ac.relnamespace
                  WHERE c.relispartition AND a.relid <> c.oid), '[]') AS ancestors,
       -- Those by which a table is known that another tool has made.
       COALESCE((SELECT pg_catalog.json_agg(a.attname)
                   FROM pg_catalog.pg_attribute a
                  WHERE c.relname ~ '^(dts|aliyun_dts|awsdms)_' AND a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped), '[]') AS columns
  FROM pg_catalog.pg_class c
  JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
  LEFT JOIN pg_catalog.pg_class t ON t.oid = c.reltoastrelid
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
