-- How roles are made, without what only superusers may give and without passwords. $1: their names.
SELECT r.rolname AS role,
       pg_catalog.concat('CREATE ROLE ', pg_catalog.quote_ident(r.rolname), CASE WHEN r.rolcanlogin THEN ' LOGIN' END,
                         CASE WHEN NOT r.rolinherit THEN ' NOINHERIT' END,
                         CASE WHEN r.rolconnlimit >= 0 THEN pg_catalog.format(' CONNECTION LIMIT %s', r.rolconnlimit) END,
                         CASE WHEN r.rolvaliduntil IS NOT NULL THEN pg_catalog.format(' VALID UNTIL %L', r.rolvaliduntil) END, ';') AS statement,
       NULLIF(pg_catalog.concat_ws(', ', CASE WHEN r.rolsuper THEN 'SUPERUSER' END, CASE WHEN r.rolcreatedb THEN 'CREATEDB' END,
                         CASE WHEN r.rolcreaterole THEN 'CREATEROLE' END, CASE WHEN r.rolreplication THEN 'REPLICATION' END,
                         CASE WHEN r.rolbypassrls THEN 'BYPASSRLS' END), '') AS left_out,
       r.rolcanlogin AS has_login
  FROM pg_roles r
 WHERE r.rolname = ANY ($1::text[])
 ORDER BY r.rolname
