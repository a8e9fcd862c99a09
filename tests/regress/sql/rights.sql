-- Who may use what: nobody, until courier.grant_usage() is called for a role, which then gets what is declared.
CREATE ROLE regress_user;
CREATE ROLE regress_default;
CREATE SCHEMA courier;
CREATE FUNCTION courier.of_somebody_else() RETURNS integer LANGUAGE sql AS 'SELECT 1';
CREATE TYPE courier.type_of_somebody_else AS (a integer);
-- The superuser opens to others whatever it makes, so also what it makes for the extension.
ALTER DEFAULT PRIVILEGES GRANT ALL ON FUNCTIONS TO regress_default, pg_monitor WITH GRANT OPTION;
ALTER DEFAULT PRIVILEGES GRANT ALL ON TABLES TO PUBLIC, regress_default;
ALTER DEFAULT PRIVILEGES GRANT ALL ON SEQUENCES TO PUBLIC;
ALTER DEFAULT PRIVILEGES GRANT ALL ON TYPES TO regress_default;
CREATE EXTENSION pg_courier;

-- What others than the owner may do with what belongs to the extension.
CREATE VIEW granted AS
SELECT o.kind, o.object, a.privilege_type AS privilege, CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE pg_get_userbyid(a.grantee) END AS grantee
  FROM (SELECT CASE p.prokind WHEN 'p' THEN 'PROCEDURE' ELSE 'FUNCTION' END, p.oid::regprocedure::text, p.proowner,
               COALESCE(p.proacl, acldefault('f', p.proowner)), 'pg_proc'::regclass, p.oid
          FROM pg_proc p
        UNION ALL
        SELECT CASE c.relkind WHEN 'v' THEN 'VIEW' WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END, c.oid::regclass::text, c.relowner,
               COALESCE(c.relacl, acldefault('r', c.relowner)), 'pg_class'::regclass, c.oid
          FROM pg_class c
        UNION ALL
        SELECT 'COLUMN', a.attrelid::regclass || '.' || a.attname, c.relowner, a.attacl, 'pg_class'::regclass, c.oid
          FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
        UNION ALL
        SELECT 'TYPE', t.oid::regtype::text, t.typowner, COALESCE(t.typacl, acldefault('T', t.typowner)), 'pg_type'::regclass, t.oid
          FROM pg_type t
         -- The others have none of their own: from 17 on they are members nevertheless.
         WHERE NOT EXISTS (SELECT FROM pg_type e WHERE e.typarray = t.oid)
           AND NOT EXISTS (SELECT FROM pg_class r WHERE r.oid = t.typrelid AND r.relkind <> 'c')
        UNION ALL
        SELECT 'FOREIGN DATA WRAPPER', w.fdwname::text, w.fdwowner, COALESCE(w.fdwacl, acldefault('F', w.fdwowner)),
               'pg_foreign_data_wrapper'::regclass, w.oid
          FROM pg_foreign_data_wrapper w) AS o(kind, object, owner, acl, classid, objid)
  JOIN pg_depend d ON d.classid = o.classid AND d.objid = o.objid AND d.deptype = 'e'
   AND d.refobjid = (SELECT oid FROM pg_extension WHERE extname = 'pg_courier')
 CROSS JOIN LATERAL aclexplode(o.acl) AS a
 WHERE a.grantee <> o.owner;
SELECT * FROM granted ORDER BY 1, 2, 3, 4;

-- A role gets what is declared, as it is declared; both are none.
SELECT courier.grant_usage('regress_user');
CREATE VIEW declared AS
SELECT d.kind, CASE WHEN d.kind IN ('FUNCTION', 'PROCEDURE') THEN d.object::regprocedure::text ELSE d.object END AS object,
       CASE d.kind WHEN 'VIEW' THEN 'SELECT' WHEN 'FOREIGN DATA WRAPPER' THEN 'USAGE' ELSE 'EXECUTE' END AS privilege,
       'regress_user' AS grantee
  FROM courier.declared_rights() d WHERE d.kind <> 'SCHEMA' AND d.audience <> 'superusers';
SELECT 'declared, not granted' AS problem, d.* FROM (TABLE declared EXCEPT TABLE granted) d
 UNION ALL SELECT 'granted, not declared', g.* FROM (TABLE granted EXCEPT TABLE declared) g ORDER BY 1, 2, 3;
SELECT has_schema_privilege('regress_user', 'courier', 'USAGE') AS usage, has_schema_privilege('regress_user', 'courier', 'CREATE') AS "create";

-- What people read about and nobody has declared: none.
SELECT p.oid::regprocedure::text AS object FROM pg_proc p
  JOIN pg_depend d ON d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e'
 WHERE p.pronamespace = 'courier'::regnamespace AND p.prorettype NOT IN ('trigger'::regtype, 'event_trigger'::regtype)
   AND obj_description(p.oid, 'pg_proc') NOT LIKE 'Internal: %'
   AND NOT EXISTS (SELECT FROM pg_foreign_data_wrapper w WHERE w.fdwvalidator = p.oid)
   AND NOT EXISTS (SELECT FROM courier.declared_rights() r WHERE r.kind IN ('FUNCTION', 'PROCEDURE') AND r.object::regprocedure = p.oid)
 UNION ALL
SELECT c.relname::text FROM pg_class c
 WHERE c.relnamespace = 'courier'::regnamespace AND c.relkind = 'v'
   AND NOT EXISTS (SELECT FROM courier.declared_rights() r WHERE r.kind = 'VIEW' AND r.object::regclass = c.oid);

-- Objects of others in the schema stay as they were.
SELECT grantee, privilege_type FROM information_schema.routine_privileges WHERE routine_name = 'of_somebody_else' ORDER BY 1;
SELECT has_type_privilege('regress_user', 'courier.type_of_somebody_else', 'USAGE');

-- A function that is made after everything has been closed would be seen above.
CREATE FUNCTION courier.late() RETURNS integer LANGUAGE sql AS 'SELECT 1';
ALTER EXTENSION pg_courier ADD FUNCTION courier.late();
TABLE granted EXCEPT TABLE declared ORDER BY 2, 4;

-- Whoever had rights on an extension that was dropped has none on the next one.
DROP VIEW declared;
DROP EXTENSION pg_courier;
CREATE EXTENSION pg_courier;
SELECT * FROM granted ORDER BY 1, 2, 3, 4;

-- Nobody but superusers decides who gets something.
SET ROLE regress_user;
SELECT courier.grant_usage('regress_user');
SELECT courier.outside_of_script('SELECT 1');
RESET ROLE;
DROP OWNED BY regress_user, regress_default;
DROP ROLE regress_user, regress_default;
ALTER DEFAULT PRIVILEGES REVOKE ALL ON FUNCTIONS FROM pg_monitor;
