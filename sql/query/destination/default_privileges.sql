-- What the default privileges of this user give away of what it creates: tables, sequences, routines, types, schemas. Runs on the destination.
-- `schemas`: those that it need not create.
SELECT n.nspname, a.defaclobjtype, r.rolname, x.privilege_type, current_user AS owner,
       CASE WHEN a.defaclobjtype = 'n' THEN (SELECT json_agg(s.nspname) FROM pg_catalog.pg_namespace s) END AS schemas
  FROM pg_catalog.pg_default_acl a
 CROSS JOIN LATERAL aclexplode(a.defaclacl) AS x
  LEFT JOIN pg_catalog.pg_namespace n ON n.oid = a.defaclnamespace
  LEFT JOIN pg_catalog.pg_roles r ON r.oid = x.grantee
 WHERE a.defaclrole = (SELECT u.oid FROM pg_catalog.pg_roles u WHERE u.rolname = current_user)
   AND a.defaclobjtype IN ('r', 'S', 'f', 'T', 'n')
   AND x.grantee <> a.defaclrole
   AND (x.grantee = 0 OR r.oid IS NOT NULL)
   -- Where the source has taken these from everybody, the task does.
   AND NOT (a.defaclobjtype IN ('f', 'T') AND x.grantee = 0)
