-- Privileges of other roles than the owner, as far as they differ from what a new object has. The owner's own are left alone, because the
-- owner on the destination is another role. A type or a routine that everybody lost has a row of its own. $1: oids of relations, $2: of
-- types, $3: of schemas, $4: of routines.
WITH secured AS MATERIALIZED (
    SELECT 'pg_class'::regclass::oid AS classid, c.oid AS objid, 0::smallint AS objsubid, c.relacl AS acl, c.relowner AS owner,
           CASE c.relkind WHEN 'S' THEN 's' ELSE 'r' END AS kind
      FROM unnest($1::oid[]) AS r (oid)
      JOIN pg_class c ON c.oid = r.oid
     WHERE c.relacl IS NOT NULL
    UNION ALL
    SELECT 'pg_type'::regclass, y.oid, 0, y.typacl, y.typowner, 'T'
      FROM unnest($2::oid[]) AS r (oid)
      JOIN pg_type y ON y.oid = r.oid
     WHERE y.typacl IS NOT NULL
    UNION ALL
    SELECT 'pg_namespace'::regclass, n.oid, 0, n.nspacl, n.nspowner, 'n'
      FROM unnest($3::oid[]) AS r (oid)
      JOIN pg_namespace n ON n.oid = r.oid
     WHERE n.nspacl IS NOT NULL
    UNION ALL
    SELECT 'pg_proc'::regclass, p.oid, 0, p.proacl, p.proowner, 'f'
      FROM unnest($4::oid[]) AS r (oid)
      JOIN pg_proc p ON p.oid = r.oid
     WHERE p.proacl IS NOT NULL
    UNION ALL
    SELECT 'pg_class'::regclass, c.oid, a.attnum, a.attacl, c.relowner, 'c'
      FROM unnest($1::oid[]) AS r (oid)
      JOIN pg_class c ON c.oid = r.oid AND c.relkind IN ('r', 'p', 'v', 'm')
      JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attacl IS NOT NULL
)
SELECT s.classid, s.objid, s.objsubid, false AS public_revoked, r.rolname AS grantee, x.is_grantable,
       json_agg(DISTINCT x.privilege_type) AS privileges, min(x.place) AS place
  FROM secured s
 CROSS JOIN LATERAL aclexplode(s.acl) WITH ORDINALITY AS x (grantor, grantee, privilege_type, is_grantable, place)
  LEFT JOIN pg_init_privs ip ON ip.classoid = s.classid AND ip.objoid = s.objid AND ip.objsubid = 0
  LEFT JOIN pg_roles r ON r.oid = x.grantee
 WHERE x.grantee <> s.owner
   AND (x.grantee = 0 OR r.oid IS NOT NULL)
   AND NOT EXISTS (SELECT FROM aclexplode(acldefault(s.kind::"char", s.owner)) AS y
                    WHERE s.kind <> 'c' AND (y.grantee, y.privilege_type, y.is_grantable) = (x.grantee, x.privilege_type, x.is_grantable))
   AND NOT EXISTS (SELECT FROM aclexplode(ip.initprivs) AS y
                    WHERE (y.grantee, y.privilege_type, y.is_grantable) = (x.grantee, x.privilege_type, x.is_grantable))
 GROUP BY s.classid, s.objid, s.objsubid, r.rolname, x.is_grantable
UNION ALL
SELECT s.classid, s.objid, 0, true, NULL, false, NULL, 0
  FROM secured s
 WHERE s.kind IN ('T', 'f') AND NOT EXISTS (SELECT FROM aclexplode(s.acl) AS x WHERE x.grantee = 0)
 ORDER BY 1, 2, 3, 8
