-- Objects that are in no catalog any more, by catalog ($1) and oid ($2), among those of which a command may have told.
SELECT g.class, g.oid
  FROM unnest($1::oid[], $2::oid[]) AS g (class, oid)
 WHERE CASE g.class
            WHEN 1247 THEN NOT EXISTS (SELECT FROM pg_type y WHERE y.oid = g.oid)
            WHEN 1255 THEN NOT EXISTS (SELECT FROM pg_proc p WHERE p.oid = g.oid)
            WHEN 1259 THEN NOT EXISTS (SELECT FROM pg_class c WHERE c.oid = g.oid)
            WHEN 2605 THEN NOT EXISTS (SELECT FROM pg_cast c WHERE c.oid = g.oid)
            WHEN 2607 THEN NOT EXISTS (SELECT FROM pg_conversion c WHERE c.oid = g.oid)
            WHEN 2617 THEN NOT EXISTS (SELECT FROM pg_operator o WHERE o.oid = g.oid)
            WHEN 2616 THEN NOT EXISTS (SELECT FROM pg_opclass o WHERE o.oid = g.oid)
            WHEN 2753 THEN NOT EXISTS (SELECT FROM pg_opfamily f WHERE f.oid = g.oid)
            WHEN 3600 THEN NOT EXISTS (SELECT FROM pg_ts_dict d WHERE d.oid = g.oid)
            WHEN 3602 THEN NOT EXISTS (SELECT FROM pg_ts_config c WHERE c.oid = g.oid)
            WHEN 2615 THEN NOT EXISTS (SELECT FROM pg_namespace n WHERE n.oid = g.oid)
            WHEN 3079 THEN NOT EXISTS (SELECT FROM pg_extension e WHERE e.oid = g.oid)
            WHEN 3456 THEN NOT EXISTS (SELECT FROM pg_collation l WHERE l.oid = g.oid)
            ELSE false
       END
