-- What the default privileges of this user give away of tables and sequences it creates. Runs on the destination.
SELECT n.nspname, a.defaclobjtype, r.rolname, x.privilege_type, current_user AS owner
  FROM pg_catalog.pg_default_acl a
 CROSS JOIN LATERAL aclexplode(a.defaclacl) AS x
  LEFT JOIN pg_catalog.pg_namespace n ON n.oid = a.defaclnamespace
  LEFT JOIN pg_catalog.pg_roles r ON r.oid = x.grantee
 WHERE a.defaclrole = (SELECT u.oid FROM pg_catalog.pg_roles u WHERE u.rolname = current_user)
   AND a.defaclobjtype IN ('r', 'S')
   AND x.grantee <> a.defaclrole
   AND (x.grantee = 0 OR r.oid IS NOT NULL)
