-- The objects that a text names: a qualified table, view, sequence, index, type, or function or operator with its arguments, a schema, or an
-- oid.
-- $1: the text.
SELECT o.class, o.oid
  FROM (SELECT $1 ~ '[-+*/<>=~!@#%^&|`?] ?\([^,()]+,[^,()]+\)$' AS is_operator) AS g
 CROSS JOIN LATERAL (
        SELECT 1 AS priority, 1259::oid AS class, to_regclass($1)::oid AS oid WHERE $1 !~ '^[0-9]+$' AND NOT g.is_operator
        UNION ALL SELECT 2, 1247, to_regtype($1)::oid WHERE $1 !~ '^[0-9]+$' AND NOT g.is_operator
        UNION ALL SELECT 2, 1255, to_regprocedure($1)::oid WHERE $1 LIKE '%(%' AND NOT g.is_operator
        UNION ALL SELECT 2, 2617, to_regoperator($1)::oid WHERE g.is_operator
        UNION ALL SELECT 3, 2615, n.oid FROM pg_namespace n WHERE $1 IN (n.nspname, quote_ident(n.nspname))
        UNION ALL SELECT 4, k.class, k.oid
          FROM (SELECT CASE WHEN $1 ~ '^[0-9]{1,10}$' THEN $1::bigint END AS oid) AS given
         CROSS JOIN LATERAL (
               SELECT 1259::oid AS class, c.oid FROM pg_class c WHERE c.oid::bigint = given.oid
               UNION ALL SELECT 1247, y.oid FROM pg_type y WHERE y.oid::bigint = given.oid
               UNION ALL SELECT 1255, p.oid FROM pg_proc p WHERE p.oid::bigint = given.oid
               UNION ALL SELECT 2615, n.oid FROM pg_namespace n WHERE n.oid::bigint = given.oid
               UNION ALL SELECT 3079, x.oid FROM pg_extension x WHERE x.oid::bigint = given.oid
               UNION ALL SELECT 2605, c.oid FROM pg_cast c WHERE c.oid::bigint = given.oid
               UNION ALL SELECT 2607, c.oid FROM pg_conversion c WHERE c.oid::bigint = given.oid
               UNION ALL SELECT 2616, o.oid FROM pg_opclass o WHERE o.oid::bigint = given.oid
               UNION ALL SELECT 2753, f.oid FROM pg_opfamily f WHERE f.oid::bigint = given.oid
               UNION ALL SELECT 2617, o.oid FROM pg_operator o WHERE o.oid::bigint = given.oid
               UNION ALL SELECT 3600, d.oid FROM pg_ts_dict d WHERE d.oid::bigint = given.oid
               UNION ALL SELECT 3602, c.oid FROM pg_ts_config c WHERE c.oid::bigint = given.oid
               UNION ALL SELECT 3456, l.oid FROM pg_collation l WHERE l.oid::bigint = given.oid) AS k) AS o
 WHERE o.oid IS NOT NULL
 ORDER BY o.priority
 LIMIT 1
