-- Extensions whose foreign-data wrappers the servers of the database use, with these servers.
SELECT x.oid, x.extname, n.nspname, x.extversion, pg_catalog.json_agg(pg_catalog.quote_ident(s.srvname) ORDER BY s.srvname) AS servers
  FROM pg_catalog.pg_foreign_server s
  JOIN pg_catalog.pg_depend e ON e.classid = 'pg_catalog.pg_foreign_data_wrapper'::pg_catalog.regclass AND e.objid = s.srvfdw AND e.deptype = 'e'
  JOIN pg_catalog.pg_extension x ON x.oid = e.refobjid AND x.extname <> 'pg_courier'
  JOIN pg_catalog.pg_namespace n ON n.oid = x.extnamespace
 GROUP BY x.oid, x.extname, n.nspname, x.extversion
 ORDER BY x.extname
