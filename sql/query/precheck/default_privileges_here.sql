-- Which of the destination's default privileges are more than the source gives. $1: those privileges as JSON, $2 and $3: catalogs and oids of what
-- is created.
WITH w AS MATERIALIZED (
    SELECT w.*
      FROM pg_catalog.json_to_recordset($1::json) AS w(schema text, kind "char", grantee text, privilege text, owner text, schemas jsonb)
     WHERE w.privilege IN ('SELECT', 'INSERT', 'UPDATE', 'DELETE', 'TRUNCATE', 'REFERENCES', 'TRIGGER', 'MAINTAIN', 'USAGE', 'EXECUTE', 'CREATE')
), created AS MATERIALIZED (
    SELECT u.class, u.oid FROM unnest($2::oid[], $3::oid[]) AS u(class, oid)
    UNION
    -- Sequences of columns.
    SELECT d.classid, d.objid
      FROM unnest($2::oid[], $3::oid[]) AS u(class, oid)
      JOIN pg_catalog.pg_depend d ON d.refclassid = 'pg_class'::regclass AND d.refobjid = u.oid AND d.refobjsubid > 0
       AND d.classid = 'pg_class'::regclass AND d.deptype IN ('a', 'i')
     WHERE u.class = 'pg_class'::regclass
), t AS MATERIALIZED (
    SELECT CASE c.relkind WHEN 'S' THEN 'S' ELSE 'r' END AS kind, n.nspname, format('%I.%I', n.nspname, c.relname) AS name,
           COALESCE(c.relacl, acldefault(CASE c.relkind WHEN 'S' THEN 's' ELSE 'r' END::"char", c.relowner)) AS acl
      FROM created o
      JOIN pg_catalog.pg_class c ON o.class = 'pg_class'::regclass AND c.oid = o.oid AND c.relkind IN ('r', 'p', 'v', 'm', 'S')
      JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    UNION ALL
    SELECT 'f', n.nspname, format('%I.%I(%s)', n.nspname, p.proname, pg_get_function_identity_arguments(p.oid)), COALESCE(p.proacl, acldefault('f', p.proowner))
      FROM created o
      JOIN pg_catalog.pg_proc p ON o.class = 'pg_proc'::regclass AND p.oid = o.oid
      JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
    UNION ALL
    SELECT 'T', n.nspname, format('%I.%I', n.nspname, y.typname), COALESCE(y.typacl, acldefault('T', y.typowner))
      FROM created o
      JOIN pg_catalog.pg_type y ON o.class = 'pg_type'::regclass AND y.oid = o.oid
      JOIN pg_catalog.pg_namespace n ON n.oid = y.typnamespace
    UNION ALL
    SELECT 'n', n.nspname, quote_ident(n.nspname), COALESCE(n.nspacl, acldefault('n', n.nspowner))
      FROM created o
      JOIN pg_catalog.pg_namespace n ON o.class = 'pg_namespace'::regclass AND n.oid = o.oid
), more AS (
    SELECT w.schema, w.kind, w.grantee, w.privilege, w.owner, count(*) AS number, min(t.name) AS first
      FROM w
      JOIN t ON (w.schema IS NULL OR w.schema = t.nspname) AND t.kind = w.kind::text
     WHERE NOT (w.kind = 'n' AND COALESCE(w.schemas, '[]') ? t.nspname::text)
       AND NOT EXISTS (SELECT FROM aclexplode(t.acl) AS x
                         LEFT JOIN pg_catalog.pg_roles r ON r.oid = x.grantee
                        WHERE x.privilege_type = w.privilege AND (x.grantee = 0 OR r.rolname = w.grantee))
     GROUP BY w.schema, w.kind, w.grantee, w.privilege, w.owner
)
SELECT 'destination_default_privileges' AS item, NULL::text AS status,
       CASE WHEN m.grantee IS NULL THEN 'PUBLIC' ELSE quote_ident(m.grantee) END AS object,
       format('Default privileges of user %I there give %s on %s it creates, which %s on the source does not (%s of them): the copy would be open to more.',
              m.owner, string_agg(m.privilege, ', ' ORDER BY m.privilege), lower(k.word), min(m.first), max(m.number)) AS detail,
       format('ALTER DEFAULT PRIVILEGES FOR ROLE %I%s REVOKE %s ON %s FROM %s; -- on the destination', m.owner, ' IN SCHEMA ' || quote_ident(m.schema),
              string_agg(m.privilege, ', ' ORDER BY m.privilege), k.word, CASE WHEN m.grantee IS NULL THEN 'PUBLIC' ELSE quote_ident(m.grantee) END) AS fix,
       'destination' AS place
  FROM more m
 CROSS JOIN LATERAL (SELECT CASE m.kind WHEN 'S' THEN 'SEQUENCES' WHEN 'f' THEN 'ROUTINES' WHEN 'T' THEN 'TYPES' WHEN 'n' THEN 'SCHEMAS' ELSE 'TABLES' END AS word) AS k
 GROUP BY m.schema, m.kind, m.grantee, m.owner, k.word
