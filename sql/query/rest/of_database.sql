-- What belongs to the database, not to an object that a task creates: default privileges, settings, its comment, event triggers; and what security labels say. $1: the
-- schemas that the task creates or has tables in. A statement is null where its words are to be put together outside.
WITH member AS MATERIALIZED (
    SELECT e.classid, e.objid FROM pg_depend e WHERE e.deptype = 'e' AND e.refclassid = 'pg_extension'::regclass
), entry AS MATERIALIZED (
    SELECT a.defaclrole, a.defaclnamespace, a.defaclobjtype, x.grantee, x.privilege_type, x.is_grantable
      FROM pg_default_acl a CROSS JOIN LATERAL pg_catalog.aclexplode(a.defaclacl) AS x
), built_in AS MATERIALIZED (
    -- Those of no schema stand in the place of what a new object has anyway.
    SELECT a.defaclrole, a.defaclnamespace, a.defaclobjtype, x.grantee, x.privilege_type, x.is_grantable
      FROM pg_default_acl a
     CROSS JOIN LATERAL pg_catalog.aclexplode(pg_catalog.acldefault(CASE a.defaclobjtype WHEN 'S' THEN 's' ELSE a.defaclobjtype END, a.defaclrole)) AS x
     WHERE a.defaclnamespace = 0
), wanted AS (
    SELECT e.*, false AS revoked FROM (TABLE entry EXCEPT TABLE built_in) AS e
    UNION ALL
    SELECT e.*, true FROM (TABLE built_in EXCEPT TABLE entry) AS e
)
SELECT 'default privileges' AS kind, d.object,
       pg_catalog.concat(d.object, CASE WHEN d.revoked THEN ' REVOKE ' ELSE ' GRANT ' END, d.privilege_type, ' ON ',
                         CASE d.type WHEN 'r' THEN 'TABLES' WHEN 'S' THEN 'SEQUENCES' WHEN 'f' THEN 'ROUTINES' WHEN 'T' THEN 'TYPES' WHEN 'n' THEN 'SCHEMAS' ELSE 'LARGE OBJECTS' END,
                         CASE WHEN d.revoked THEN ' FROM ' ELSE ' TO ' END, COALESCE(pg_catalog.quote_ident(d.grantee), 'PUBLIC'),
                         CASE WHEN d.is_grantable AND NOT d.revoked THEN ' WITH GRANT OPTION' END, ';') AS statement,
       CASE WHEN d.grantee IS NULL THEN pg_catalog.json_build_array(d.role) ELSE pg_catalog.json_build_array(d.role, d.grantee) END AS roles,
       pg_catalog.json_build_object('role', d.role, 'schema', d.schema, 'type', d.type, 'grantee', d.grantee, 'privilege', d.privilege_type,
                                    'grantable', d.is_grantable, 'revoked', d.revoked) AS key
  FROM (
    SELECT pg_catalog.format('ALTER DEFAULT PRIVILEGES FOR ROLE %I', r.rolname) || CASE WHEN n.oid IS NULL THEN '' ELSE pg_catalog.format(' IN SCHEMA %I', n.nspname) END AS object,
           r.rolname AS role, n.nspname AS schema, w.defaclobjtype AS type, g.rolname AS grantee, w.privilege_type, w.is_grantable, w.revoked
      FROM wanted w
      JOIN pg_roles r ON r.oid = w.defaclrole
      LEFT JOIN pg_namespace n ON n.oid = w.defaclnamespace
      LEFT JOIN pg_roles g ON g.oid = w.grantee
     WHERE (w.defaclnamespace = 0 OR w.defaclnamespace = ANY ($1::oid[])) AND (w.grantee = 0 OR g.oid IS NOT NULL)
  ) AS d
UNION ALL
SELECT 'setting', pg_catalog.concat_ws(' ', CASE WHEN r.rolname IS NULL THEN 'database' ELSE 'role ' || pg_catalog.quote_ident(r.rolname) END, 'SET', v.name), NULL,
       CASE WHEN r.rolname IS NULL THEN '[]'::json ELSE pg_catalog.json_build_array(r.rolname) END,
       pg_catalog.json_build_object('role', r.rolname, 'name', v.name, 'value', v.value)
  FROM pg_db_role_setting s
  JOIN pg_database d ON d.oid = s.setdatabase AND d.datname = pg_catalog.current_database()
  LEFT JOIN pg_roles r ON r.oid = s.setrole
 CROSS JOIN LATERAL pg_catalog.unnest(s.setconfig) AS c(setting)
 CROSS JOIN LATERAL (SELECT pg_catalog.split_part(c.setting, '=', 1) AS name, pg_catalog.substr(c.setting, pg_catalog.strpos(c.setting, '=') + 1) AS value) AS v
 WHERE s.setrole = 0 OR r.oid IS NOT NULL
UNION ALL
SELECT 'comment', 'database', NULL, '[]'::json, pg_catalog.json_build_object('comment', c.text)
  FROM pg_database d CROSS JOIN LATERAL pg_catalog.shobj_description(d.oid, 'pg_database') AS c(text)
 WHERE d.datname = pg_catalog.current_database() AND c.text IS NOT NULL
UNION ALL
SELECT 'event trigger', pg_catalog.quote_ident(e.evtname),
       pg_catalog.format('CREATE EVENT TRIGGER %I ON %I%s EXECUTE FUNCTION %s; ALTER EVENT TRIGGER %1$I DISABLE;', e.evtname, e.evtevent,
                         ' WHEN TAG IN (' || (SELECT pg_catalog.string_agg(pg_catalog.quote_literal(t.tag), ', ' ORDER BY t.at)
                                                FROM pg_catalog.unnest(e.evttags) WITH ORDINALITY AS t(tag, at)) || ')', i.identity),
       '[]'::json, pg_catalog.json_build_object('name', e.evtname, 'event', e.evtevent, 'function', i.identity)
  FROM pg_event_trigger e CROSS JOIN LATERAL pg_catalog.pg_identify_object('pg_proc'::regclass, e.evtfoid, 0) AS i
 WHERE NOT EXISTS (SELECT FROM member m WHERE m.classid = 'pg_event_trigger'::regclass AND m.objid = e.oid)
UNION ALL
SELECT 'security label', pg_catalog.format('%I on %s %s', l.provider, l.objtype, l.objname),
       pg_catalog.format('SECURITY LABEL FOR %I ON %s %s IS %L;', l.provider, pg_catalog.upper(l.objtype), l.objname, l.label), '[]'::json,
       pg_catalog.json_build_object('provider', l.provider, 'type', l.objtype, 'name', l.objname, 'label', l.label)
  FROM pg_seclabels l
 WHERE (l.objnamespace = ANY ($1::oid[])
        OR l.classoid = 'pg_catalog.pg_namespace'::regclass AND l.objoid = ANY ($1::oid[]))
   AND NOT EXISTS (SELECT FROM member m WHERE m.classid = l.classoid AND m.objid = l.objoid)
 ORDER BY 1, 2, 3
