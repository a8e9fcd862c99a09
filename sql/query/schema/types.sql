-- Those of the given types that are enum, composite, range or domain types of a user; what belongs to one form of type is null for the
-- others. $1: oids of types.
SELECT y.oid, n.nspname, y.typname, y.typtype, NULLIF(y.typrelid, 0) AS typrelid,
       (SELECT json_agg(json_build_array(e.oid::bigint, e.enumlabel) ORDER BY e.enumsortorder) FROM pg_enum e WHERE e.enumtypid = y.oid) AS labels,
       (SELECT json_agg(json_build_array(a.attnum, a.attname, format_type(a.atttypid, a.atttypmod), cn.nspname, co.collname) ORDER BY a.attnum)
          FROM pg_attribute a
          JOIN pg_type ty ON ty.oid = a.atttypid
          LEFT JOIN pg_collation co ON co.oid = a.attcollation AND a.attcollation <> ty.typcollation
          LEFT JOIN pg_namespace cn ON cn.oid = co.collnamespace
         WHERE a.attrelid = y.typrelid AND a.attnum > 0 AND NOT a.attisdropped) AS attributes,
       format_type(CASE y.typtype WHEN 'd' THEN y.typbasetype ELSE r.rngsubtype END, CASE y.typtype WHEN 'd' THEN y.typtypmod END) AS base,
       cn.nspname AS collation_schema, co.collname AS collation_name,
       y.typnotnull,
       CASE WHEN y.typtype = 'd' AND y.typdefault IS NOT NULL
            THEN COALESCE(pg_get_expr(y.typdefaultbin, 0), quote_literal(y.typdefault)) END AS default_value,
       (SELECT json_agg(json_build_array(k.oid::bigint, k.contype, k.conname, pg_get_constraintdef(k.oid), k.convalidated)
                        ORDER BY k.contype DESC, k.conname)
          FROM pg_constraint k WHERE k.contypid = y.oid) AS constraints,
       ocn.nspname AS opclass_schema, oc.opcname AS opclass, oc.opcdefault,
       CASE WHEN r.rngcanonical <> 0 THEN r.rngcanonical::text END AS canonical,
       CASE WHEN r.rngsubdiff <> 0 THEN r.rngsubdiff::text END AS subtype_diff,
       mtn.nspname AS multirange_schema, mt.typname AS multirange
  FROM unnest($1::oid[]) AS t (oid)
  JOIN pg_type y ON y.oid = t.oid
  JOIN pg_namespace n ON n.oid = y.typnamespace
  LEFT JOIN pg_range r ON r.rngtypid = y.oid
  LEFT JOIN pg_type bt ON bt.oid = CASE y.typtype WHEN 'd' THEN y.typbasetype ELSE r.rngsubtype END
  LEFT JOIN pg_collation co ON co.oid = CASE y.typtype WHEN 'd' THEN y.typcollation ELSE r.rngcollation END AND co.oid <> bt.typcollation
  LEFT JOIN pg_namespace cn ON cn.oid = co.collnamespace
  LEFT JOIN pg_opclass oc ON oc.oid = r.rngsubopc
  LEFT JOIN pg_namespace ocn ON ocn.oid = oc.opcnamespace
  -- Since 14.
  LEFT JOIN pg_type mt ON mt.oid = (to_jsonb(r) ->> 'rngmultitypid')::oid
  LEFT JOIN pg_namespace mtn ON mtn.oid = mt.typnamespace
  LEFT JOIN pg_class c ON c.oid = y.typrelid
 WHERE y.oid >= 16384
   AND y.typtype IN ('e', 'c', 'd', 'r')
   AND (y.typrelid = 0 OR c.relkind = 'c')
   AND NOT EXISTS (SELECT FROM pg_depend e WHERE e.classid = 'pg_type'::regclass AND e.objid = y.oid AND e.deptype = 'e')
 ORDER BY y.oid
