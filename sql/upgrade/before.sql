-- An upgrade keeps the tables and makes everything else anew: what the extension owns besides tables is dropped here, the
-- files of sql/files.txt follow, and sql/upgrade/after.sql gives back what others were granted.

DO $upgrade$
DECLARE
    member record;
    grants jsonb;
    list   text;
BEGIN
    -- What others than their owners were granted on what belongs to the extension; on columns as well. What is dropped loses it, and
    -- from what stays sql/rights.sql takes it: only then is what it closes the state that pg_dump compares with.
    SELECT pg_catalog.jsonb_agg(g) INTO grants
      FROM (SELECT o.kind, o.column_name, (pg_catalog.pg_identify_object(d.classid, d.objid, 0)).identity AS name, a.privilege_type,
                   CASE a.grantee WHEN 0 THEN NULL ELSE pg_catalog.pg_get_userbyid(a.grantee) END AS grantee, a.is_grantable
              FROM pg_catalog.pg_depend d
             CROSS JOIN LATERAL (
                   SELECT 'ROUTINE', NULL::pg_catalog.name, p.proowner, p.proacl FROM pg_catalog.pg_proc p
                    WHERE d.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass AND p.oid = d.objid
                   UNION ALL
                   SELECT CASE r.relkind WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END, NULL, r.relowner, r.relacl FROM pg_catalog.pg_class r
                    WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND r.oid = d.objid
                   UNION ALL
                   SELECT 'TABLE', c.attname, r.relowner, c.attacl
                     FROM pg_catalog.pg_class r JOIN pg_catalog.pg_attribute c ON c.attrelid = r.oid AND NOT c.attisdropped
                    WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND r.oid = d.objid
                   UNION ALL
                   SELECT 'TYPE', NULL, t.typowner, t.typacl FROM pg_catalog.pg_type t
                    WHERE d.classid = 'pg_catalog.pg_type'::pg_catalog.regclass AND t.oid = d.objid
                   UNION ALL
                   SELECT 'FOREIGN DATA WRAPPER', NULL, w.fdwowner, w.fdwacl FROM pg_catalog.pg_foreign_data_wrapper w
                    WHERE d.classid = 'pg_catalog.pg_foreign_data_wrapper'::pg_catalog.regclass AND w.oid = d.objid
                   ) AS o(kind, column_name, owner, acl)
             CROSS JOIN LATERAL pg_catalog.aclexplode(o.acl) a
             WHERE d.refclassid = 'pg_catalog.pg_extension'::pg_catalog.regclass AND d.deptype = 'e'
               AND d.refobjid = (SELECT e.oid FROM pg_catalog.pg_extension e WHERE e.extname = 'pg_courier')
               AND a.grantee <> o.owner) AS g;
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
        SELECT t.tgname, t.tgrelid
          FROM pg_catalog.pg_trigger t
          JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objid = t.tgrelid AND d.deptype = 'e'
           AND d.refobjid = (SELECT e.oid FROM pg_catalog.pg_extension e WHERE e.extname = 'pg_courier')
         WHERE NOT t.tgisinternal
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
      FROM pg_catalog.pg_type t
      JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_type'::pg_catalog.regclass AND d.objid = t.oid AND d.deptype = 'e'
       AND d.refobjid = (SELECT e.oid FROM pg_catalog.pg_extension e WHERE e.extname = 'pg_courier')
       -- Array types and the row types of tables, which are members from 17 on, go with what they are of.
     WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_type e WHERE e.typarray = t.oid)
       AND NOT EXISTS (SELECT FROM pg_catalog.pg_class r WHERE r.oid = t.typrelid AND r.relkind <> 'c');
    EXECUTE COALESCE('DROP TYPE ' || list, 'SELECT');
END
$upgrade$;
