-- Publications of 13 and 14: of tables. No parameters.
WITH member AS MATERIALIZED (
    SELECT e.objid FROM pg_depend e WHERE e.deptype = 'e' AND e.classid = 'pg_publication'::regclass
)
SELECT 'publication' AS kind, pg_catalog.quote_ident(p.pubname) AS object,
       pg_catalog.format('CREATE PUBLICATION %I%s WITH (publish = %L, publish_via_partition_root = %s);', p.pubname,
           CASE WHEN p.puballtables THEN ' FOR ALL TABLES' ELSE ' FOR TABLE ' || of.tables END,
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
 CROSS JOIN LATERAL (SELECT pg_catalog.string_agg(pg_catalog.format('ONLY %I.%I', n.nspname, c.relname), ', ' ORDER BY n.nspname, c.relname) AS tables
                       FROM pg_publication_rel r
                       JOIN pg_class c ON c.oid = r.prrelid
                       JOIN pg_namespace n ON n.oid = c.relnamespace
                      WHERE r.prpubid = p.oid) AS of
 WHERE NOT EXISTS (SELECT FROM member m WHERE m.objid = p.oid)
 ORDER BY p.pubname
