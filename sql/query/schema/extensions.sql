-- Extensions of the database, with those that each requires.
SELECT x.oid, x.extname, n.nspname, x.extversion,
       (SELECT json_agg(d.refobjid::bigint)
          FROM pg_depend d
         WHERE d.classid = 'pg_extension'::regclass AND d.objid = x.oid
           AND d.refclassid = 'pg_extension'::regclass AND d.deptype = 'n') AS requires
  FROM pg_extension x
  JOIN pg_namespace n ON n.oid = x.extnamespace
 WHERE x.extname NOT IN ('plpgsql', 'pg_courier')
 ORDER BY x.oid
