-- User mappings with the statements that make them, as far as the session may see them. Only options that are no secrets are in a statement; the
-- others `by_hand` sets. For source and destination. No parameters.
SELECT 'user mapping' AS kind, pg_catalog.format('for %s on %I', v.role, u.srvname) AS object,
       pg_catalog.concat('CREATE USER MAPPING FOR ', v.role, ' SERVER ', pg_catalog.quote_ident(u.srvname), ' OPTIONS (' || o.open || ')', ';') AS statement,
       CASE WHEN o.others IS NOT NULL OR u.umoptions IS NULL AND NOT me.rolsuper
            THEN pg_catalog.format('ALTER USER MAPPING FOR %s SERVER %I OPTIONS (%s);', v.role, u.srvname, COALESCE(o.others, 'ADD "user" ''...'', ADD password ''...''')) END AS by_hand,
       CASE WHEN u.umuser = 0 THEN '[]'::json ELSE pg_catalog.json_build_array(u.usename) END AS roles, 'null'::json AS key
  FROM pg_user_mappings u
  JOIN pg_foreign_server s ON s.oid = u.srvid
  JOIN pg_foreign_data_wrapper w ON w.oid = s.srvfdw AND w.fdwname <> 'pg_courier'
  JOIN pg_roles me ON me.rolname = current_user
 CROSS JOIN LATERAL (SELECT CASE WHEN u.umuser = 0 THEN 'PUBLIC' ELSE pg_catalog.quote_ident(u.usename) END AS role) AS v
 CROSS JOIN LATERAL (
    SELECT pg_catalog.string_agg(pg_catalog.format('%I %L', x.option_name, x.option_value), ', ' ORDER BY x.option_name COLLATE "C") FILTER (WHERE x.is_open) AS open,
           pg_catalog.string_agg(pg_catalog.format('ADD %I ''...''', x.option_name), ', ' ORDER BY x.option_name COLLATE "C") FILTER (WHERE NOT x.is_open) AS others
      FROM (SELECT p.*, p.option_name IN ('user', 'username', 'password_required', 'use_scram_passthrough') AS is_open
              FROM pg_catalog.pg_options_to_table(u.umoptions) AS p) AS x
 ) AS o
 WHERE u.usename IS NOT NULL
 ORDER BY u.srvname, u.usename
