), mention AS (
    SELECT p.classid, p.objid, p.relid, p.depclass = 'pg_class'::regclass AND p.depobj = p.relid AS is_table, p.domain, p.is_check,
           -- An operator class needs its family, and both their members, however that is recorded.
           CASE WHEN p.classid IN ('pg_opclass'::regclass, 'pg_opfamily'::regclass) THEN 'n' ELSE d.deptype END AS deptype, d.refclassid, d.refobjid
      FROM part p
      JOIN pg_depend d ON d.classid = p.depclass AND d.objid = p.depobj
     WHERE d.deptype IN ('n', 'a', 'i')
       AND d.refobjid >= 16384
       AND NOT (d.refclassid = 'pg_class'::regclass AND d.refobjid IS NOT DISTINCT FROM p.relid)
       AND NOT (d.refclassid = p.classid AND d.refobjid = p.objid)
    UNION ALL
    -- Up to 14 the column itself has what its generation needs, as if it would go with it.
    SELECT 'pg_attrdef'::regclass, a.oid, p.relid, false, NULL, false, 'n', d.refclassid, d.refobjid
      FROM part p
      JOIN pg_depend d ON d.classid = 'pg_class'::regclass AND d.objid = p.relid AND d.objsubid > 0
      JOIN pg_attribute t ON t.attrelid = p.relid AND t.attnum = d.objsubid AND t.attgenerated <> ''
      JOIN pg_attrdef a ON a.adrelid = p.relid AND a.adnum = d.objsubid
     WHERE p.classid = 'pg_class'::regclass AND p.objid = p.relid AND d.deptype IN ('n', 'a')
       AND d.refobjid >= 16384 AND d.refclassid IN ('pg_proc'::regclass, 'pg_operator'::regclass)
    UNION ALL
    -- The server's own trigger function reads its configuration from a text argument, which leaves no dependency.
    SELECT p.classid, p.objid, p.relid, false, NULL, false, 'n', 'pg_ts_config'::regclass, c.oid
      FROM part p
      JOIN pg_trigger g ON p.classid = 'pg_trigger'::regclass AND g.oid = p.objid
                       AND g.tgfoid = 'tsvector_update_trigger()'::regprocedure AND g.tgnargs > 1
     CROSS JOIN LATERAL (SELECT split_part(encode(g.tgargs, 'escape'), '\000', 2) AS name) AS argument
      JOIN pg_ts_config c ON c.oid >= 16384
      JOIN pg_namespace n ON n.oid = c.cfgnamespace
     WHERE replace(argument.name, '"', '') IN (c.cfgname, concat(n.nspname, '.', c.cfgname))
), member AS
