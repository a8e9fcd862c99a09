-- Which of some things are as they are on the source. $1: JSON, an array of [number, kind, what it is]. `there`: null where that is
-- missing, an empty text where it is the same, else what is there in its place. `misses_role` names a role that does not exist here.
WITH w AS MATERIALIZED (
    SELECT (e.value ->> 0)::integer AS n, e.value ->> 1 AS kind, e.value -> 2 AS k FROM pg_catalog.json_array_elements($1::json) AS e(value)
), o AS MATERIALIZED (
    SELECT w.n, w.k ->> 'class' AS class, w.k ->> 'identity' AS identity, w.k ->> 'owner' AS owner,
           ARRAY(SELECT t.name FROM pg_catalog.json_array_elements_text(w.k -> 'names') WITH ORDINALITY AS t(name, at) ORDER BY t.at) AS names
      FROM w WHERE w.kind = 'owner'
), owned AS (
    SELECT o.n, o.owner,
           CASE o.class
               -- Those that look a name up want to use its schema, which may be another's by now.
               WHEN 'pg_class' THEN (SELECT c.relowner FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
                                      WHERE n.nspname = o.names[1] AND c.relname = o.names[2])
               WHEN 'pg_namespace' THEN (SELECT n.nspowner FROM pg_namespace n WHERE n.nspname = o.names[1])
               WHEN 'pg_type' THEN (SELECT t.typowner FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace
                                     WHERE n.nspname = o.names[1] AND t.typname = o.names[2])
               -- Types in a name that do not exist are an error for to_regprocedure().
               WHEN 'pg_proc' THEN (SELECT p.proowner FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
                                     WHERE n.nspname = o.names[1] AND p.proname = o.names[2]
                                       AND (pg_catalog.pg_identify_object('pg_proc'::regclass, p.oid, 0)).identity = o.identity)
               WHEN 'pg_operator' THEN (SELECT p.oprowner FROM pg_operator p JOIN pg_namespace n ON n.oid = p.oprnamespace
                                         WHERE n.nspname = o.names[1] AND p.oprname = o.names[2]
                                           AND (pg_catalog.pg_identify_object('pg_operator'::regclass, p.oid, 0)).identity = o.identity)
               WHEN 'pg_foreign_data_wrapper' THEN (SELECT w.fdwowner FROM pg_foreign_data_wrapper w WHERE w.fdwname = o.names[1])
               WHEN 'pg_foreign_server' THEN (SELECT s.srvowner FROM pg_foreign_server s WHERE s.srvname = o.names[1])
               WHEN 'pg_subscription' THEN (SELECT s.subowner FROM pg_subscription s JOIN pg_database d ON d.oid = s.subdbid AND d.datname = pg_catalog.current_database()
                                             WHERE s.subname = o.names[1])
               WHEN 'pg_opfamily' THEN (SELECT f.opfowner FROM pg_opfamily f JOIN pg_am m ON m.oid = f.opfmethod JOIN pg_namespace n ON n.oid = f.opfnamespace
                                         WHERE m.amname = o.names[1] AND n.nspname = o.names[2] AND f.opfname = o.names[3])
               WHEN 'pg_opclass' THEN (SELECT c.opcowner FROM pg_opclass c JOIN pg_am m ON m.oid = c.opcmethod JOIN pg_namespace n ON n.oid = c.opcnamespace
                                        WHERE m.amname = o.names[1] AND n.nspname = o.names[2] AND c.opcname = o.names[3])
               WHEN 'pg_conversion' THEN (SELECT c.conowner FROM pg_conversion c JOIN pg_namespace n ON n.oid = c.connamespace
                                           WHERE n.nspname = o.names[1] AND c.conname = o.names[2])
               WHEN 'pg_collation' THEN (SELECT c.collowner FROM pg_collation c JOIN pg_namespace n ON n.oid = c.collnamespace
                                          WHERE n.nspname = o.names[1] AND c.collname = o.names[2] ORDER BY c.collencoding DESC LIMIT 1)
               WHEN 'pg_ts_config' THEN (SELECT c.cfgowner FROM pg_ts_config c JOIN pg_namespace n ON n.oid = c.cfgnamespace
                                          WHERE n.nspname = o.names[1] AND c.cfgname = o.names[2])
               WHEN 'pg_ts_dict' THEN (SELECT d.dictowner FROM pg_ts_dict d JOIN pg_namespace n ON n.oid = d.dictnamespace
                                        WHERE n.nspname = o.names[1] AND d.dictname = o.names[2])
               WHEN 'pg_statistic_ext' THEN (SELECT s.stxowner FROM pg_statistic_ext s JOIN pg_namespace n ON n.oid = s.stxnamespace
                                              WHERE n.nspname = o.names[1] AND s.stxname = o.names[2])
           END AS owner_there
      FROM o
), d AS MATERIALIZED (
    SELECT w.n, r.oid AS role, w.k ->> 'schema' AS schema_name, n.oid AS schema, w.k ->> 'type' AS type, w.k ->> 'grantee' AS grantee_name, g.oid AS grantee,
           w.k ->> 'privilege' AS privilege, (w.k ->> 'grantable')::boolean AS grantable, (w.k ->> 'revoked')::boolean AS revoked
      FROM w
      LEFT JOIN pg_roles r ON r.rolname = w.k ->> 'role'
      LEFT JOIN pg_namespace n ON n.nspname = w.k ->> 'schema'
      LEFT JOIN pg_roles g ON g.rolname = w.k ->> 'grantee'
     WHERE w.kind = 'default privileges'
), answer AS (
    SELECT owned.n, CASE WHEN owned.owner_there IS NULL THEN NULL
                         WHEN pg_catalog.pg_get_userbyid(owned.owner_there) = owned.owner THEN ''
                         ELSE pg_catalog.format('it belongs to %I there', pg_catalog.pg_get_userbyid(owned.owner_there)) END AS there
      FROM owned
    UNION ALL
    SELECT d.n, CASE WHEN d.role IS NULL OR d.schema_name IS NOT NULL AND d.schema IS NULL OR d.grantee_name IS NOT NULL AND d.grantee IS NULL THEN NULL
                     WHEN d.revoked <> EXISTS (
                          SELECT FROM pg_catalog.aclexplode(COALESCE(
                                     (SELECT a.defaclacl FROM pg_default_acl a WHERE a.defaclrole = d.role AND a.defaclnamespace = COALESCE(d.schema, 0) AND a.defaclobjtype = d.type::"char"),
                                     CASE WHEN d.schema IS NULL THEN pg_catalog.acldefault((CASE d.type WHEN 'S' THEN 's' ELSE d.type END)::"char", d.role) END)) AS x
                           WHERE x.grantee = COALESCE(d.grantee, 0) AND x.privilege_type = d.privilege AND x.is_grantable = d.grantable)
                     THEN '' ELSE 'not so there' END
      FROM d
    UNION ALL
    SELECT w.n, COALESCE((SELECT CASE WHEN c.setting = pg_catalog.concat(w.k ->> 'name', '=', w.k ->> 'value') THEN ''
                                      ELSE pg_catalog.format('there it is %s', pg_catalog.substr(c.setting, pg_catalog.strpos(c.setting, '=') + 1)) END
                            FROM pg_db_role_setting s
                            JOIN pg_database b ON b.oid = s.setdatabase AND b.datname = pg_catalog.current_database()
                            LEFT JOIN pg_roles r ON r.oid = s.setrole
                           CROSS JOIN LATERAL pg_catalog.unnest(s.setconfig) AS c(setting)
                           WHERE pg_catalog.split_part(c.setting, '=', 1) = w.k ->> 'name' AND r.rolname IS NOT DISTINCT FROM w.k ->> 'role'
                             AND (s.setrole = 0) = (w.k ->> 'role' IS NULL)), 'it is not set there')
      FROM w WHERE w.kind = 'setting'
    UNION ALL
    SELECT w.n, CASE WHEN pg_catalog.shobj_description(b.oid, 'pg_database') = w.k ->> 'comment' THEN '' ELSE 'it has another one there, or none' END
      FROM w JOIN pg_database b ON b.datname = pg_catalog.current_database()
     WHERE w.kind = 'comment'
    UNION ALL
    SELECT w.n, COALESCE((SELECT CASE WHEN e.evtevent = w.k ->> 'event' AND (pg_catalog.pg_identify_object('pg_proc'::regclass, e.evtfoid, 0)).identity = w.k ->> 'function'
                                      THEN '' ELSE 'another one has the name there' END
                            FROM pg_event_trigger e WHERE e.evtname = w.k ->> 'name'), 'it is not there')
      FROM w WHERE w.kind = 'event trigger'
    UNION ALL
    SELECT w.n, COALESCE((SELECT CASE WHEN l.label = w.k ->> 'label' THEN '' ELSE 'it has another one there' END FROM pg_seclabels l
                           WHERE l.provider = w.k ->> 'provider' AND l.objtype = w.k ->> 'type' AND l.objname = w.k ->> 'name'), 'it has none there')
      FROM w WHERE w.kind = 'security label'
    UNION ALL
    SELECT w.n, CASE WHEN EXISTS (SELECT FROM pg_catalog.pg_auth_members a JOIN pg_roles g ON g.oid = a.roleid JOIN pg_roles m ON m.oid = a.member
                                   WHERE g.rolname = w.k ->> 'role' AND m.rolname = w.k ->> 'member') THEN '' ELSE 'it is none there' END
      FROM w WHERE w.kind = 'membership'
    UNION ALL
    SELECT w.n, COALESCE((SELECT CASE WHEN p.puballtables = (w.k ->> 'all')::boolean AND p.pubviaroot = (w.k ->> 'root')::boolean
                                       AND pg_catalog.to_json(ARRAY[p.pubinsert, p.pubupdate, p.pubdelete, p.pubtruncate])::text = (w.k -> 'operations')::text
                                       AND (p.puballtables OR ARRAY(SELECT pg_catalog.format('%I.%I', t.schemaname, t.tablename)
                                                                      FROM pg_publication_tables t WHERE t.pubname = p.pubname ORDER BY 1)
                                                            = ARRAY(SELECT t.name FROM pg_catalog.json_array_elements_text(
                                                                        CASE WHEN pg_catalog.json_typeof(w.k -> 'tables') = 'array' THEN w.k -> 'tables' ELSE '[]' END) AS t(name) ORDER BY 1))
                                      THEN '' ELSE 'another one has the name there' END
                            FROM pg_publication p WHERE p.pubname = w.k ->> 'name'), 'it is not there')
      FROM w WHERE w.kind = 'publication'
)
SELECT answer.n, answer.there FROM answer ORDER BY answer.n
