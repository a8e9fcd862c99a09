    UNION ALL
    -- What a view needs is recorded at the rule that makes it one.
    SELECT 'pg_class'::regclass, t.oid, t.oid, 'pg_rewrite'::regclass, w.oid, NULL, false
      FROM unnest($1::oid[]) AS t (oid)
      JOIN pg_rewrite w ON w.ev_class = t.oid AND w.rulename = '_RETURN'
    UNION ALL
    SELECT 'pg_rewrite'::regclass, w.oid, t.oid, 'pg_rewrite'::regclass, w.oid, NULL, false
      FROM unnest($1::oid[]) AS t (oid)
      JOIN pg_rewrite w ON w.ev_class = t.oid AND w.rulename <> '_RETURN'
    -- $3, $4: catalogs and oids of functions, operators and the like.
    UNION ALL
    SELECT c.class, c.oid, NULL, c.class, c.oid, NULL, false
      FROM unnest($3::oid[], $4::oid[]) AS c (class, oid)
