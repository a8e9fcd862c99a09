-- What the parts of tables ($1) and types ($2) depend on: the same rows as of sql/query/schema/dependencies.sql, which has all types of the
-- database, for few objects in a large one.
WITH part (classid, objid, relid, depclass, depobj, domain, is_check) AS (
    SELECT 'pg_class'::regclass, t.oid, t.oid, 'pg_class'::regclass, t.oid, NULL::oid, false
      FROM unnest($1::oid[]) AS t (oid)
    UNION ALL
    SELECT 'pg_attrdef'::regclass, d.oid, t.oid, 'pg_attrdef'::regclass, d.oid, NULL, false
      FROM unnest($1::oid[]) AS t (oid)
      JOIN pg_attrdef d ON d.adrelid = t.oid
    UNION ALL
    SELECT 'pg_constraint'::regclass, k.oid, t.oid, 'pg_constraint'::regclass, k.oid, NULL, k.contype = 'c'
      FROM unnest($1::oid[]) AS t (oid)
      JOIN pg_constraint k ON k.conrelid = t.oid AND k.contype IN ('c', 'x', 'f')
    UNION ALL
    SELECT 'pg_constraint'::regclass, k.oid, t.oid, 'pg_class'::regclass, k.conindid, NULL, false
      FROM unnest($1::oid[]) AS t (oid)
      JOIN pg_constraint k ON k.conrelid = t.oid AND k.contype = 'x'
    UNION ALL
    SELECT 'pg_class'::regclass, i.indexrelid, t.oid, 'pg_class'::regclass, i.indexrelid, NULL, false
      FROM unnest($1::oid[]) AS t (oid)
      JOIN pg_index i ON i.indrelid = t.oid
    UNION ALL
    SELECT 'pg_trigger'::regclass, g.oid, t.oid, 'pg_trigger'::regclass, g.oid, NULL, false
      FROM unnest($1::oid[]) AS t (oid)
      JOIN pg_trigger g ON g.tgrelid = t.oid
      LEFT JOIN pg_constraint k ON k.oid = g.tgconstraint
     WHERE k.oid IS NULL OR k.contype = 't'
    UNION ALL
    SELECT 'pg_policy'::regclass, p.oid, t.oid, 'pg_policy'::regclass, p.oid, NULL, false
      FROM unnest($1::oid[]) AS t (oid)
      JOIN pg_policy p ON p.polrelid = t.oid
    UNION ALL
    SELECT 'pg_statistic_ext'::regclass, s.oid, t.oid, 'pg_statistic_ext'::regclass, s.oid, NULL, false
      FROM unnest($1::oid[]) AS t (oid)
      JOIN pg_statistic_ext s ON s.stxrelid = t.oid
    UNION ALL
    SELECT 'pg_type'::regclass, y.oid, NULL, 'pg_type'::regclass, y.oid, NULL, false
      FROM unnest($2::oid[]) AS t (oid)
      JOIN pg_type y ON y.oid = t.oid
      LEFT JOIN pg_class c ON c.oid = y.typrelid
     WHERE y.typrelid = 0 OR c.relkind = 'c'
    UNION ALL
    SELECT 'pg_type'::regclass, c.reltype, NULL, 'pg_class'::regclass, c.oid, NULL, false
      FROM unnest($2::oid[]) AS t (oid)
      JOIN pg_type y ON y.oid = t.oid
      JOIN pg_class c ON c.oid = y.typrelid AND c.relkind = 'c'
    UNION ALL
    SELECT 'pg_constraint'::regclass, k.oid, NULL, 'pg_constraint'::regclass, k.oid, k.contypid, k.contype = 'c'
      FROM unnest($2::oid[]) AS t (oid)
      JOIN pg_constraint k ON k.contypid = t.oid
), mention AS (
    SELECT p.classid, p.objid, p.relid, p.depclass = 'pg_class'::regclass AND p.depobj = p.relid AS is_table, p.domain, p.is_check, d.deptype,
           d.refclassid, d.refobjid
      FROM part p
      JOIN pg_depend d ON d.classid = p.depclass AND d.objid = p.depobj
     WHERE d.deptype IN ('n', 'a', 'i')
       AND d.refobjid >= 16384
       AND NOT (d.refclassid = 'pg_class'::regclass AND d.refobjid IS NOT DISTINCT FROM p.relid)
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
), multirange AS MATERIALIZED (
    SELECT g.rngtypid, (to_jsonb(g) ->> 'rngmultitypid')::oid AS oid FROM pg_range g WHERE g.rngtypid >= 16384
)
SELECT m.classid::oid, m.objid, m.relid, m.is_table, m.domain, m.is_check, m.deptype = 'n' AS is_normal,
       CASE WHEN c.relkind = 'c' THEN 'pg_type'::regclass ELSE m.refclassid END::oid AS refclassid,
       CASE WHEN c.relkind = 'c' THEN c.reltype ELSE m.refobjid END AS refobjid,
       element.oid AS element, g.rngtypid AS range, r.oid AS relation, COALESCE(r.relkind, c.relkind) AS relkind,
       COALESCE(element.typtype, y.typtype) AS typtype, COALESCE(e.refobjid, re.refobjid) AS extension
  FROM mention m
  LEFT JOIN pg_class c ON m.refclassid = 'pg_class'::regclass AND c.oid = m.refobjid
  LEFT JOIN pg_type y ON m.refclassid = 'pg_type'::regclass AND y.oid = m.refobjid
  LEFT JOIN pg_type element ON element.oid = y.typelem AND element.typarray = y.oid
  LEFT JOIN multirange g ON g.oid = y.oid
  LEFT JOIN pg_class r ON r.oid = COALESCE(c.oid, element.typrelid, y.typrelid) AND r.relkind IN ('r', 'p', 'v', 'm', 'f')
  LEFT JOIN pg_depend e ON e.classid = m.refclassid AND e.objid = COALESCE(element.oid, m.refobjid)
                       AND e.deptype = 'e' AND e.refclassid = 'pg_extension'::regclass
  LEFT JOIN pg_depend re ON re.classid = 'pg_class'::regclass AND re.objid = r.oid
                        AND re.deptype = 'e' AND re.refclassid = 'pg_extension'::regclass
 WHERE m.refclassid <> 'pg_namespace'::regclass OR e.refobjid IS NOT NULL
