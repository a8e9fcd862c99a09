-- Whose objects are, by catalog ($1) and oid ($2).
SELECT a.class, a.oid, r.rolname, r.oid AS role_oid, r.rolsuper
  FROM unnest($1::oid[], $2::oid[]) AS a (class, oid)
 CROSS JOIN LATERAL (
       SELECT c.relowner FROM pg_class c WHERE a.class = 1259 AND c.oid = a.oid
       UNION ALL
       SELECT p.proowner FROM pg_proc p WHERE a.class = 1255 AND p.oid = a.oid) AS o (owner)
  JOIN pg_roles r ON r.oid = o.owner
