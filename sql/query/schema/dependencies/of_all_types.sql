    UNION ALL
    SELECT 'pg_type'::regclass, y.oid, NULL, 'pg_type'::regclass, y.oid, NULL, false
      FROM pg_type y
      LEFT JOIN pg_class c ON c.oid = y.typrelid
     WHERE y.oid >= 16384 AND (y.typrelid = 0 OR c.relkind = 'c')
    UNION ALL
    SELECT 'pg_type'::regclass, c.reltype, NULL, 'pg_class'::regclass, c.oid, NULL, false
      FROM pg_class c
     WHERE c.relkind = 'c' AND c.oid >= 16384
    UNION ALL
    SELECT 'pg_constraint'::regclass, k.oid, NULL, 'pg_constraint'::regclass, k.oid, k.contypid, k.contype = 'c'
      FROM pg_constraint k
     WHERE k.contypid >= 16384
