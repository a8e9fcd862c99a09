-- The first thing that CREATE EXTENSION and ALTER EXTENSION UPDATE do: whom do they deal with in schema "courier"?

-- No script of this extension finds anything in schema "courier" by chance: an operator there that fits better would run as superuser.
SET LOCAL search_path TO pg_catalog, pg_temp;

-- Whoever may create something in the schema, or has before the extension came, could have put a function beside one of ours that fits a
-- call better, and superusers would run it.
DO $schema$
DECLARE
    problem record;
BEGIN
    SELECT f.* INTO problem
      FROM pg_namespace n
     CROSS JOIN LATERAL (
           SELECT 1, n.nspowner, format('schema courier belongs to role %I, which is no superuser', pg_get_userbyid(n.nspowner)),
                  'ALTER SCHEMA courier OWNER TO CURRENT_USER;'
           UNION ALL
           SELECT 2, a.grantee, format('%s may create objects in schema courier', g.role),
                  -- Default privileges open it to them when CREATE EXTENSION makes the schema.
                  format('CREATE SCHEMA IF NOT EXISTS courier; REVOKE CREATE ON SCHEMA courier FROM %s;', g.role)
             FROM aclexplode(n.nspacl) a
            CROSS JOIN LATERAL (SELECT CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(a.grantee)) END) AS g(role)
            WHERE a.privilege_type = 'CREATE' AND a.grantee <> n.nspowner
           UNION ALL
           SELECT 3, p.proowner, format('function %s belongs to role %I, which is no superuser', p.oid::regprocedure, pg_get_userbyid(p.proowner)),
                  format('DROP ROUTINE %s;', p.oid::regprocedure)
             FROM pg_proc p
            WHERE p.pronamespace = n.oid
              -- Those of the extension that an update finds belong to whoever owns it.
              AND NOT EXISTS (SELECT FROM pg_depend e
                               WHERE e.classid = 'pg_proc'::regclass AND e.objid = p.oid AND e.deptype = 'e'
                                 AND e.refobjid = (SELECT x.oid FROM pg_extension x WHERE x.extname = 'pg_courier'))
           ) AS f(priority, role, message, hint)
     WHERE n.nspname = 'courier' AND NOT EXISTS (SELECT FROM pg_roles r WHERE r.oid = f.role AND r.rolsuper)
     ORDER BY f.priority, f.message
     LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION USING ERRCODE = 'object_not_in_prerequisite_state', MESSAGE = problem.message,
            DETAIL = 'A function beside one of pg_courier that fits a call better would be run by superusers.', HINT = problem.hint;
    END IF;
END
$schema$;
