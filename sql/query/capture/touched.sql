-- What objects are parts of, by catalog ($1) and oid ($2): the table of an index, the type of a domain's constraint; an object that is no
-- part stands for itself, and a sequence of a column for both. With all descendants of tables, which get what their parents get, but for
-- those that the command left alone ($3), the tables of a composite type, and, where a name may have changed ($4), the tables and views
-- whose foreign keys, rules and queries have it in their texts. Nothing for what no task creates. `is_root`: it is what was
-- asked about. `is_ours`: temporary, or of this extension.
WITH RECURSIVE root (class, oid, is_root, is_alone) AS (
    SELECT r.class, r.oid, (r.class, r.oid) = (a.class, a.oid), a.is_alone
      FROM unnest($1::oid[], $2::oid[], $3::boolean[]) AS a (class, oid, is_alone)
     CROSS JOIN LATERAL (
        SELECT 1259::oid AS class, a.oid
         WHERE a.class = 1259
        UNION ALL
        SELECT 1259, i.indrelid FROM pg_index i WHERE a.class = 1259 AND i.indexrelid = a.oid
        UNION ALL
        SELECT 1259, d.refobjid
          FROM pg_depend d
         WHERE a.class = 1259 AND d.classid = 1259 AND d.objid = a.oid AND d.refclassid = 1259 AND d.refobjsubid > 0 AND d.deptype IN ('a', 'i')
        UNION ALL
        SELECT 1247, c.reltype FROM pg_class c WHERE a.class = 1259 AND c.oid = a.oid AND c.relkind = 'c'
        UNION ALL
        -- An array stands for its element, the row type of a table for the table.
        SELECT CASE WHEN c.relkind IN ('r', 'p') THEN 1259 ELSE 1247 END,
               CASE WHEN c.relkind IN ('r', 'p') THEN c.oid ELSE COALESCE(e.oid, y.oid) END
          FROM pg_type y
          LEFT JOIN pg_type e ON e.oid = y.typelem AND e.typarray = y.oid
          LEFT JOIN pg_class c ON c.oid = COALESCE(NULLIF(e.typrelid, 0), y.typrelid)
         WHERE a.class = 1247 AND y.oid = a.oid
        UNION ALL
        SELECT CASE WHEN k.conrelid <> 0 THEN 1259 ELSE 1247 END, CASE WHEN k.conrelid <> 0 THEN k.conrelid ELSE k.contypid END
          FROM pg_constraint k
         WHERE a.class = 2606 AND k.oid = a.oid
        UNION ALL
        SELECT 1259, d.adrelid FROM pg_attrdef d WHERE a.class = 2604 AND d.oid = a.oid
        UNION ALL
        SELECT 1259, g.tgrelid FROM pg_trigger g WHERE a.class = 2620 AND g.oid = a.oid
        UNION ALL
        SELECT 1259, p.polrelid FROM pg_policy p WHERE a.class = 3256 AND p.oid = a.oid
        UNION ALL
        SELECT 1259, w.ev_class FROM pg_rewrite w WHERE a.class = 2618 AND w.oid = a.oid
        UNION ALL
        SELECT 1259, s.stxrelid FROM pg_statistic_ext s WHERE a.class = 3381 AND s.oid = a.oid
        UNION ALL
        -- Schemas, extensions, collations, functions.
        SELECT a.class, a.oid WHERE a.class IN (2615, 3079, 3456, 1255)
     ) AS r
), family (class, oid, is_root, is_alone) AS (
    SELECT r.class, r.oid, r.is_root, r.is_alone FROM root r
    UNION
    SELECT 1259, d.objid, false, r.is_alone
      FROM root r
      JOIN pg_depend d ON d.refclassid = 1247 AND d.refobjid = r.oid AND d.classid = 1259 AND d.objsubid = 0
      JOIN pg_class c ON c.oid = d.objid AND c.reloftype = r.oid
     WHERE r.class = 1247 AND NOT r.is_alone
    UNION
    SELECT 1259, k.conrelid, false, true
      FROM root r
      JOIN pg_depend d ON d.refclassid = 1259 AND d.refobjid = r.oid AND d.classid = 2606
      JOIN pg_constraint k ON k.oid = d.objid AND k.confrelid = r.oid AND k.conrelid <> r.oid
     WHERE $4::boolean AND r.class = 1259
    UNION
    SELECT 1259, w.ev_class, false, true
      FROM root r
      JOIN pg_depend d ON d.refclassid = r.class AND d.refobjid = r.oid AND d.classid = 2618
      JOIN pg_rewrite w ON w.oid = d.objid AND w.ev_class <> r.oid
     WHERE $4::boolean
    UNION
    SELECT 1259, h.inhrelid, false, false
      FROM family f
      JOIN pg_inherits h ON h.inhparent = f.oid
     WHERE f.class = 1259 AND NOT f.is_alone
)
SELECT f.class, f.oid, bool_or(f.is_root) AS is_root,
       -- Of what is gone there is no row here.
       bool_or(COALESCE(c.relpersistence = 't', false) OR COALESCE(n.nspname IN ('courier', 'courier_applied') OR n.nspname LIKE 'pg\_temp%', false)) AS is_ours
  FROM family f
  LEFT JOIN pg_class c ON f.class = 1259 AND c.oid = f.oid
  LEFT JOIN pg_type y ON f.class = 1247 AND y.oid = f.oid
  LEFT JOIN pg_proc p ON f.class = 1255 AND p.oid = f.oid
  LEFT JOIN pg_namespace n ON n.oid = CASE f.class WHEN 1259 THEN c.relnamespace WHEN 1247 THEN y.typnamespace WHEN 1255 THEN p.pronamespace WHEN 2615 THEN f.oid END
 WHERE f.class <> 1259 OR c.relkind IN ('r', 'p', 'S', 'v', 'm')
 GROUP BY f.class, f.oid
 ORDER BY f.class, f.oid
