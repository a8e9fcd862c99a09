-- Which of some roles are members of which. $1: their names.
SELECT 'membership' AS kind, pg_catalog.format('%I in %I', m.rolname, g.rolname) AS object, pg_catalog.format('GRANT %I TO %I;', g.rolname, m.rolname) AS statement,
       pg_catalog.json_build_array(g.rolname, m.rolname) AS roles, pg_catalog.json_build_object('role', g.rolname, 'member', m.rolname) AS key
  FROM (SELECT DISTINCT a.roleid, a.member FROM pg_auth_members a) AS a
  JOIN pg_roles g ON g.oid = a.roleid
  JOIN pg_roles m ON m.oid = a.member
 WHERE g.rolname = ANY ($1::text[]) AND m.rolname = ANY ($1::text[])
 ORDER BY g.rolname, m.rolname
