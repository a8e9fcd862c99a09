-- An upgrade keeps the tables and makes everything else anew: what the extension owns besides tables is dropped here, the
-- files of sql/files.txt follow, and sql/upgrade/after.sql gives back what others were granted.

DO $upgrade$
DECLARE
    member record;
    grants jsonb;
    list   text;
BEGIN
    -- What is granted on functions and views to others than their owner.
    SELECT pg_catalog.jsonb_agg(g) INTO grants FROM (
        SELECT CASE p.prokind WHEN 'p' THEN 'PROCEDURE' ELSE 'FUNCTION' END AS kind, p.oid::pg_catalog.regprocedure::text AS name, a.privilege_type,
               CASE a.grantee WHEN 0 THEN NULL ELSE pg_catalog.pg_get_userbyid(a.grantee) END AS grantee, a.is_grantable
          FROM pg_catalog.pg_proc p
          CROSS JOIN LATERAL pg_catalog.aclexplode(p.proacl) a
         WHERE p.pronamespace = 'courier'::pg_catalog.regnamespace AND a.grantee <> p.proowner
        UNION ALL
        SELECT 'TABLE', c.oid::pg_catalog.regclass::text, a.privilege_type,
               CASE a.grantee WHEN 0 THEN NULL ELSE pg_catalog.pg_get_userbyid(a.grantee) END, a.is_grantable
          FROM pg_catalog.pg_class c
          CROSS JOIN LATERAL pg_catalog.aclexplode(c.relacl) a
         WHERE c.relnamespace = 'courier'::pg_catalog.regnamespace AND c.relkind = 'v' AND a.grantee <> c.relowner) AS g;
    PERFORM pg_catalog.set_config('courier_upgrade.grants', COALESCE(grants, '[]')::text, true);

    FOR member IN
        SELECT d.classid, d.objid
          FROM pg_catalog.pg_depend d
         WHERE d.refclassid = 'pg_catalog.pg_extension'::pg_catalog.regclass AND d.deptype = 'e'
           AND d.refobjid = (SELECT e.oid FROM pg_catalog.pg_extension e WHERE e.extname = 'pg_courier')
           AND d.classid = 'pg_catalog.pg_event_trigger'::pg_catalog.regclass
    LOOP
        EXECUTE pg_catalog.format('DROP EVENT TRIGGER %I', (SELECT e.evtname FROM pg_catalog.pg_event_trigger e WHERE e.oid = member.objid));
    END LOOP;
    FOR member IN
        SELECT t.tgname, t.tgrelid FROM pg_catalog.pg_trigger t JOIN pg_catalog.pg_class c ON c.oid = t.tgrelid
         WHERE c.relnamespace = 'courier'::pg_catalog.regnamespace AND NOT t.tgisinternal
    LOOP
        EXECUTE pg_catalog.format('DROP TRIGGER %I ON %s', member.tgname, member.tgrelid::pg_catalog.regclass);
    END LOOP;
    SELECT pg_catalog.string_agg(c.oid::pg_catalog.regclass::text, ', ') INTO list
      FROM pg_catalog.pg_class c
      JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objid = c.oid AND d.deptype = 'e'
       AND d.refobjid = (SELECT e.oid FROM pg_catalog.pg_extension e WHERE e.extname = 'pg_courier')
     WHERE c.relkind = 'v';
    EXECUTE COALESCE('DROP VIEW ' || list, 'SELECT');
    SELECT pg_catalog.string_agg(p.oid::pg_catalog.regprocedure::text, ', ') INTO list
      FROM pg_catalog.pg_proc p
      JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass AND d.objid = p.oid AND d.deptype = 'e'
       AND d.refobjid = (SELECT e.oid FROM pg_catalog.pg_extension e WHERE e.extname = 'pg_courier')
     WHERE p.oid <> 'courier.validator(text[], oid)'::pg_catalog.regprocedure;
    EXECUTE COALESCE('DROP ROUTINE ' || list, 'SELECT');
    SELECT pg_catalog.string_agg(t.oid::pg_catalog.regtype::text, ', ') INTO list
      FROM pg_catalog.pg_class c
      JOIN pg_catalog.pg_type t ON t.typrelid = c.oid
     WHERE c.relkind = 'c' AND c.relnamespace = 'courier'::pg_catalog.regnamespace;
    EXECUTE COALESCE('DROP TYPE ' || list, 'SELECT');
END
$upgrade$;
