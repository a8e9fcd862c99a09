-- Policies of tables. $1: oids of the tables.
SELECT p.polrelid, p.oid, p.polname, p.polpermissive, p.polcmd, 0 = ANY (p.polroles) AS to_public,
       (SELECT json_agg(r.rolname ORDER BY r.rolname) FROM pg_roles r WHERE r.oid = ANY (p.polroles)) AS roles,
       pg_get_expr(p.polqual, p.polrelid) AS polqual, pg_get_expr(p.polwithcheck, p.polrelid) AS polwithcheck
  FROM unnest($1::oid[]) AS t (oid)
  JOIN pg_policy p ON p.polrelid = t.oid
 ORDER BY p.polrelid, p.polname COLLATE "C"
