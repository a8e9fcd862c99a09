-- In which of some schemas code of users may be looked for by a session of this user. $1: schemas, in their order; $2: roles whose code the
-- task runs anyway. `open_to`: a role that can put something there that runs with rights it does not have: it may create in the schema, or
-- owns a function, operator or view of it, and cannot become this user anyway. PUBLIC where everybody may, also if nobody is there yet.
WITH me AS (
    SELECT r.oid FROM pg_catalog.pg_roles r WHERE r.rolname = current_user
), stranger AS MATERIALIZED (
    -- Predefined roles do nothing themselves; who is a member of them counts.
    SELECT r.oid, r.rolname FROM pg_catalog.pg_roles r, me
     WHERE r.rolname NOT LIKE 'pg\_%' AND r.rolname <> ALL ($2::text[]) AND NOT pg_catalog.pg_has_role(r.oid, me.oid, 'MEMBER')
), looked_into AS MATERIALIZED (
    SELECT n.oid, n.nspname, n.nspowner, n.nspacl, u.at
      FROM pg_catalog.unnest($1::text[]) WITH ORDINALITY AS u(name, at)
      JOIN pg_catalog.pg_namespace n ON n.nspname = u.name
), creates AS MATERIALIZED (
    SELECT l.oid, l.nspowner AS role FROM looked_into l
    UNION
    SELECT l.oid, a.grantee FROM looked_into l, pg_catalog.aclexplode(l.nspacl) AS a WHERE a.privilege_type = 'CREATE'
)
SELECT l.nspname,
       CASE WHEN EXISTS (SELECT FROM creates c WHERE c.oid = l.oid AND c.role = 0) THEN 'PUBLIC' ELSE
       (SELECT pg_catalog.min(s.rolname) FROM stranger s
         WHERE EXISTS (SELECT FROM creates c WHERE c.oid = l.oid AND pg_catalog.pg_has_role(s.oid, c.role, 'MEMBER'))
            OR s.oid = ANY (ARRAY(SELECT p.proowner FROM pg_catalog.pg_proc p WHERE p.pronamespace = l.oid
                                  UNION SELECT o.oprowner FROM pg_catalog.pg_operator o WHERE o.oprnamespace = l.oid
                                  UNION SELECT c.relowner FROM pg_catalog.pg_class c WHERE c.relnamespace = l.oid AND c.relkind IN ('v', 'm')))) END AS open_to
  FROM looked_into l
 ORDER BY l.at
