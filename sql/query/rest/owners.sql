-- Whose the objects of a task are, with the statement that makes it so. $1: catalogs, $2: oids, side by side. Schema public belongs to
-- whom its server says, and a sequence of a column to whom the table belongs.
WITH o AS MATERIALIZED (
    SELECT u.classid, u.objid FROM unnest($1::oid[], $2::oid[]) AS u(classid, objid)
    UNION
    SELECT 'pg_statistic_ext'::regclass::oid, s.oid
      FROM pg_statistic_ext s JOIN unnest($1::oid[], $2::oid[]) AS u(classid, objid) ON u.classid = 'pg_class'::regclass AND u.objid = s.stxrelid
), owned AS (
    SELECT o.classid, o.objid, c.relowner AS owner
      FROM o JOIN pg_class c ON o.classid = 'pg_class'::regclass AND c.oid = o.objid AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S')
     WHERE NOT (c.relkind = 'S' AND EXISTS (SELECT FROM pg_depend d
                                             WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.refclassid = 'pg_class'::regclass
                                               AND d.refobjsubid > 0 AND d.deptype IN ('a', 'i')))
    UNION ALL SELECT o.classid, o.objid, p.proowner FROM o JOIN pg_proc p ON o.classid = 'pg_proc'::regclass AND p.oid = o.objid
    UNION ALL SELECT o.classid, o.objid, t.typowner FROM o JOIN pg_type t ON o.classid = 'pg_type'::regclass AND t.oid = o.objid
    UNION ALL SELECT o.classid, o.objid, n.nspowner FROM o JOIN pg_namespace n ON o.classid = 'pg_namespace'::regclass AND n.oid = o.objid AND n.nspname <> 'public'
    UNION ALL SELECT o.classid, o.objid, p.oprowner FROM o JOIN pg_operator p ON o.classid = 'pg_operator'::regclass AND p.oid = o.objid
    UNION ALL SELECT o.classid, o.objid, f.opfowner FROM o JOIN pg_opfamily f ON o.classid = 'pg_opfamily'::regclass AND f.oid = o.objid
    UNION ALL SELECT o.classid, o.objid, c.opcowner FROM o JOIN pg_opclass c ON o.classid = 'pg_opclass'::regclass AND c.oid = o.objid
    UNION ALL SELECT o.classid, o.objid, w.fdwowner FROM o JOIN pg_foreign_data_wrapper w ON o.classid = 'pg_foreign_data_wrapper'::regclass AND w.oid = o.objid
    UNION ALL SELECT o.classid, o.objid, s.srvowner FROM o JOIN pg_foreign_server s ON o.classid = 'pg_foreign_server'::regclass AND s.oid = o.objid
    UNION ALL SELECT o.classid, o.objid, s.subowner FROM o JOIN pg_subscription s ON o.classid = 'pg_subscription'::regclass AND s.oid = o.objid
    UNION ALL SELECT o.classid, o.objid, c.conowner FROM o JOIN pg_conversion c ON o.classid = 'pg_conversion'::regclass AND c.oid = o.objid
    UNION ALL SELECT o.classid, o.objid, c.collowner FROM o JOIN pg_collation c ON o.classid = 'pg_collation'::regclass AND c.oid = o.objid
    UNION ALL SELECT o.classid, o.objid, c.cfgowner FROM o JOIN pg_ts_config c ON o.classid = 'pg_ts_config'::regclass AND c.oid = o.objid
    UNION ALL SELECT o.classid, o.objid, d.dictowner FROM o JOIN pg_ts_dict d ON o.classid = 'pg_ts_dict'::regclass AND d.oid = o.objid
    UNION ALL SELECT o.classid, o.objid, s.stxowner FROM o JOIN pg_statistic_ext s ON o.classid = 'pg_statistic_ext'::regclass AND s.oid = o.objid
)
SELECT 'owner' AS kind, pg_catalog.format('%s %s', i.type, i.identity) AS object,
       pg_catalog.format('ALTER %s %s OWNER TO %I;',
                         CASE i.type WHEN 'function' THEN 'ROUTINE' WHEN 'procedure' THEN 'ROUTINE' WHEN 'aggregate' THEN 'ROUTINE'
                                     WHEN 'statistics object' THEN 'STATISTICS' WHEN 'composite type' THEN 'TYPE' WHEN 'foreign-data wrapper' THEN 'FOREIGN DATA WRAPPER' ELSE pg_catalog.upper(i.type) END,
                         i.identity, r.rolname) AS statement,
       pg_catalog.json_build_array(r.rolname) AS roles,
       pg_catalog.json_build_object('class', owned.classid::regclass, 'identity', i.identity, 'owner', r.rolname,
           'names', COALESCE((SELECT ARRAY[n.nspname, t.typname]::text[] FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace
                               WHERE owned.classid = 'pg_type'::regclass AND t.oid = owned.objid), a.object_names)) AS key
  FROM owned
  JOIN pg_roles r ON r.oid = owned.owner
 CROSS JOIN LATERAL pg_catalog.pg_identify_object(owned.classid, owned.objid, 0) AS i
 CROSS JOIN LATERAL pg_catalog.pg_identify_object_as_address(owned.classid, owned.objid, 0) AS a
 -- Who is to own something in a schema must be able to create there.
 ORDER BY i.type <> 'schema', i.type, i.identity
