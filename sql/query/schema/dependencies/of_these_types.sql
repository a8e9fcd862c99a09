    -- $2: oids of types.
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
