-- What is known by its name only: user mappings, subscriptions, and all foreign-data wrappers, those of extensions among them. Runs on the destination.
SELECT 'user mapping' AS kind, pg_catalog.format('for %s on %I', CASE WHEN u.umuser = 0 THEN 'PUBLIC' ELSE pg_catalog.quote_ident(u.usename) END, u.srvname) AS object
  FROM pg_catalog.pg_user_mappings u
 UNION ALL
SELECT 'subscription', pg_catalog.quote_ident(s.subname)
  FROM pg_catalog.pg_subscription s JOIN pg_catalog.pg_database d ON d.oid = s.subdbid AND d.datname = pg_catalog.current_database()
 UNION ALL
SELECT 'wrapper', pg_catalog.quote_ident(w.fdwname)
  FROM pg_catalog.pg_foreign_data_wrapper w
