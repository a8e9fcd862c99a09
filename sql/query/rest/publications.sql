-- Publications, with what they consist of in `part`. No parameters.
SELECT 'publication' AS kind, pg_catalog.quote_ident(p.pubname) AS object,
       pg_catalog.format('CREATE PUBLICATION %I%s WITH (publish = %L, publish_via_partition_root = %s);', p.pubname,
           CASE WHEN p.puballtables THEN ' FOR ALL TABLES'
                WHEN of.tables IS NULL AND of.schemas IS NULL THEN ''
                ELSE ' FOR ' || pg_catalog.concat_ws(', ', 'TABLE ' || of.tables, 'TABLES IN SCHEMA ' || of.schemas) END,
           pg_catalog.concat_ws(', ', CASE WHEN p.pubinsert THEN 'insert' END, CASE WHEN p.pubupdate THEN 'update' END,
                                CASE WHEN p.pubdelete THEN 'delete' END, CASE WHEN p.pubtruncate THEN 'truncate' END),
           p.pubviaroot::text) AS statement,
       '[]'::json AS roles,
       pg_catalog.json_build_object('name', p.pubname, 'all', p.puballtables, 'root', p.pubviaroot,
           'operations', ARRAY[p.pubinsert, p.pubupdate, p.pubdelete, p.pubtruncate],
           'tables', CASE WHEN NOT p.puballtables THEN
               (SELECT pg_catalog.json_agg(pg_catalog.format('%I.%I', t.schemaname, t.tablename) ORDER BY t.schemaname, t.tablename)
                  FROM pg_publication_tables t WHERE t.pubname = p.pubname) END) AS key
  FROM pg_publication p
 CROSS JOIN LATERAL (SELECT pg_catalog.string_agg(part.text, ', ' ORDER BY part.nspname, part.relname) FILTER (WHERE NOT part.is_schema) AS tables,
                            pg_catalog.string_agg(part.text, ', ' ORDER BY part.nspname) FILTER (WHERE part.is_schema) AS schemas
                       FROM part WHERE part.publication = p.oid) AS of
 WHERE NOT EXISTS (SELECT FROM pg_depend e WHERE e.deptype = 'e' AND e.classid = 'pg_publication'::regclass AND e.objid = p.oid)
 ORDER BY p.pubname
