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
