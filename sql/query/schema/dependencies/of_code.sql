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
    UNION ALL
    -- What an operator family or a class is made of is recorded at its members.
    SELECT c.class, c.oid, NULL, d.classid, d.objid, NULL, false
      FROM unnest($3::oid[], $4::oid[]) AS c (class, oid)
      JOIN pg_depend d ON d.refclassid = c.class AND d.refobjid = c.oid AND d.classid IN ('pg_amop'::regclass, 'pg_amproc'::regclass)
     WHERE c.class IN ('pg_opclass'::regclass, 'pg_opfamily'::regclass) AND d.deptype IN ('a', 'i')
