-- What belongs to tables and no statement is made for, and what changes its form. $1: oids of the tables.
SELECT v.loss, v.name, v.of_index, n.nspname, c.relname, c.oid
  FROM unnest($1::oid[]) AS t (oid)
  JOIN pg_class c ON c.oid = t.oid
  JOIN pg_namespace n ON n.oid = c.relnamespace
  JOIN (
    SELECT r.prrelid AS relid, 'publication' AS loss, quote_ident(p.pubname) AS name, NULL::name AS of_index
      FROM pg_publication_rel r
      JOIN pg_publication p ON p.oid = r.prpubid
    UNION ALL
    SELECT tc.oid, 'tablespace', quote_ident(s.spcname), NULL
      FROM pg_class tc
      JOIN pg_tablespace s ON s.oid = tc.reltablespace
     WHERE tc.relkind IN ('r', 'p')
    UNION ALL
    SELECT i.indrelid, 'tablespace', quote_ident(s.spcname), ic.relname
      FROM pg_class ic
      JOIN pg_tablespace s ON s.oid = ic.reltablespace
      JOIN pg_index i ON i.indexrelid = ic.oid
    UNION ALL
    SELECT i.indrelid, 'invalid index', quote_ident(ic.relname), NULL
      FROM pg_index i
      JOIN pg_class ic ON ic.oid = i.indexrelid
     WHERE ic.relkind = 'i' AND NOT (i.indisvalid AND i.indisready)
    UNION ALL
    SELECT l.objoid, 'security label', quote_ident(l.provider), NULL
      FROM pg_seclabel l
     WHERE l.classoid = 'pg_class'::regclass AND l.objsubid = 0
    UNION ALL
    SELECT i.inhrelid, CASE WHEN pc.relkind = 'p' THEN 'partition' ELSE 'child' END, quote_ident(pn.nspname) || '.' || quote_ident(pc.relname), NULL
      FROM pg_inherits i
      JOIN pg_class pc ON pc.oid = i.inhparent AND pc.relkind IN ('r', 'p', 'f')
      JOIN pg_namespace pn ON pn.oid = pc.relnamespace
     WHERE NOT EXISTS (SELECT FROM unnest($1::oid[]) AS s (oid) WHERE s.oid = i.inhparent)
    UNION ALL
    -- Since 17 partitions share the identity sequence of their partitioned table.
    SELECT a.attrelid, 'identity', quote_ident(a.attname), NULL
      FROM pg_attribute a
     WHERE a.attidentity <> '' AND a.attnum > 0
       AND NOT EXISTS (SELECT FROM pg_depend d
                        WHERE d.refclassid = 'pg_class'::regclass AND d.refobjid = a.attrelid AND d.refobjsubid = a.attnum
                          AND d.classid = 'pg_class'::regclass AND d.deptype = 'i')
       AND NOT EXISTS (SELECT FROM pg_inherits i JOIN unnest($1::oid[]) AS s (oid) ON s.oid = i.inhparent
                        WHERE i.inhrelid = a.attrelid)
    UNION ALL
    SELECT uc.oid, 'unlogged table', NULL, NULL
      FROM pg_class uc
     WHERE uc.relkind = 'p' AND uc.relpersistence = 'u'
    UNION ALL
    SELECT d.refobjid, 'unlogged sequence', quote_ident(q.relname), NULL
      FROM pg_depend d
      JOIN pg_class q ON q.oid = d.objid AND q.relkind = 'S' AND q.relpersistence = 'u'
      JOIN pg_class lc ON lc.oid = d.refobjid AND lc.relpersistence = 'p'
     WHERE d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass AND d.refobjsubid > 0 AND d.deptype = 'i'
  ) AS v ON v.relid = c.oid
