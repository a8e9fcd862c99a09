-- Parts of tables and types, by catalog ($1) and oid ($2): what they are, their names and whose they are. An index of an exclusion
-- constraint is not here, it is blocked as the constraint.
SELECT b.classid, b.objid, v.part, v.code, v.name, COALESCE(n.nspname, yn.nspname) AS nspname, COALESCE(c.relname, y.typname) AS relname,
       COALESCE(v.relid, v.typid) AS of, v.parent
  FROM unnest($1::oid[], $2::oid[]) AS b (classid, objid)
 CROSS JOIN LATERAL (
    SELECT 'table' AS part, NULL::"char" AS code, NULL::name AS name, t.oid AS relid, NULL::oid AS typid, NULL::oid AS parent
      FROM pg_class t
     WHERE b.classid = 'pg_class'::regclass AND t.oid = b.objid AND t.relkind IN ('r', 'p')
    UNION ALL
    SELECT CASE a.attgenerated WHEN '' THEN 'default' ELSE 'generated' END, NULL, a.attname, a.attrelid, NULL, NULL
      FROM pg_attrdef d
      JOIN pg_attribute a ON a.attrelid = d.adrelid AND a.attnum = d.adnum
     WHERE b.classid = 'pg_attrdef'::regclass AND d.oid = b.objid
    UNION ALL
    SELECT CASE WHEN k.conrelid = 0 THEN 'domain constraint' ELSE 'constraint' END, k.contype, k.conname, NULLIF(k.conrelid, 0), NULLIF(k.contypid, 0),
           pk.conrelid
      FROM pg_constraint k
      LEFT JOIN pg_constraint pk ON pk.oid = k.conparentid
     WHERE b.classid = 'pg_constraint'::regclass AND k.oid = b.objid
    UNION ALL
    SELECT 'index', NULL, ic.relname, i.indrelid, NULL, NULL
      FROM pg_index i
      JOIN pg_class ic ON ic.oid = i.indexrelid
     WHERE b.classid = 'pg_class'::regclass AND i.indexrelid = b.objid
       AND NOT EXISTS (SELECT FROM pg_constraint k WHERE k.conindid = i.indexrelid AND k.conrelid = i.indrelid AND k.contype = 'x')
    UNION ALL
    SELECT 'trigger', NULL, g.tgname, g.tgrelid, NULL, p.tgrelid
      FROM pg_trigger g
      LEFT JOIN pg_trigger p ON p.oid = g.tgparentid
     WHERE b.classid = 'pg_trigger'::regclass AND g.oid = b.objid
    UNION ALL
    SELECT 'policy', NULL, p.polname, p.polrelid, NULL, NULL
      FROM pg_policy p
     WHERE b.classid = 'pg_policy'::regclass AND p.oid = b.objid
    UNION ALL
    SELECT 'statistics', NULL, s.stxname, s.stxrelid, NULL, NULL
      FROM pg_statistic_ext s
     WHERE b.classid = 'pg_statistic_ext'::regclass AND s.oid = b.objid
    UNION ALL
    SELECT 'type', y.typtype, NULL, NULL, y.oid, NULL
      FROM pg_type y
     WHERE b.classid = 'pg_type'::regclass AND y.oid = b.objid
 ) AS v
  LEFT JOIN pg_class c ON c.oid = v.relid
  LEFT JOIN pg_namespace n ON n.oid = c.relnamespace
  LEFT JOIN pg_type y ON y.oid = v.typid
  LEFT JOIN pg_namespace yn ON yn.oid = y.typnamespace
