    -- What has a name in its text.
    UNION
    SELECT 1259, k.conrelid, false, true
      FROM root r
      JOIN pg_depend d ON d.refclassid = 1259 AND d.refobjid = r.oid AND d.classid = 2606
      JOIN pg_constraint k ON k.oid = d.objid AND k.confrelid = r.oid AND k.conrelid <> r.oid
     WHERE r.class = 1259
    UNION
    SELECT 1259, w.ev_class, false, true
      FROM root r
      JOIN pg_depend d ON d.refclassid = r.class AND d.refobjid = r.oid AND d.classid = 2618
      JOIN pg_rewrite w ON w.oid = d.objid AND w.ev_class <> r.oid
