-- Which of the destination's default privileges are more than the source gives. $1: those privileges as JSON, $2: the selected tables.
WITH w AS MATERIALIZED (
    SELECT w.*
      FROM pg_catalog.json_to_recordset($1::json) AS w(schema text, kind "char", grantee text, privilege text, owner text)
     WHERE w.privilege IN ('SELECT', 'INSERT', 'UPDATE', 'DELETE', 'TRUNCATE', 'REFERENCES', 'TRIGGER', 'MAINTAIN', 'USAGE')
), t AS MATERIALIZED (
    SELECT c.oid, c.relowner, c.relacl, n.nspname, c.relkind
      FROM unnest($2::oid[]) AS u(oid)
      JOIN pg_catalog.pg_class c ON c.oid = u.oid
      JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    UNION ALL
    SELECT c.oid, c.relowner, c.relacl, n.nspname, c.relkind
      FROM unnest($2::oid[]) AS u(oid)
      JOIN pg_catalog.pg_depend d ON d.refclassid = 'pg_class'::regclass AND d.refobjid = u.oid AND d.refobjsubid > 0
       AND d.classid = 'pg_class'::regclass AND d.deptype IN ('a', 'i')
      JOIN pg_catalog.pg_class c ON c.oid = d.objid AND c.relkind = 'S'
      JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
), more AS (
    SELECT w.*, count(*) AS number, min(t.oid::regclass::text) AS first
      FROM w
      JOIN t ON (w.schema IS NULL OR w.schema = t.nspname) AND (w.kind = 'S') = (t.relkind = 'S')
     WHERE NOT EXISTS (SELECT FROM aclexplode(COALESCE(t.relacl, acldefault(CASE t.relkind WHEN 'S' THEN 's' ELSE 'r' END::"char", t.relowner))) AS x
                         LEFT JOIN pg_catalog.pg_roles r ON r.oid = x.grantee
                        WHERE x.privilege_type = w.privilege AND (x.grantee = 0 OR r.rolname = w.grantee))
     GROUP BY w.schema, w.kind, w.grantee, w.privilege, w.owner
)
SELECT 'destination_default_privileges' AS item, NULL::text AS status,
       CASE WHEN m.grantee IS NULL THEN 'PUBLIC' ELSE quote_ident(m.grantee) END AS object,
       format('Default privileges of user %I there give %s on %s it creates, which %s on the source does not (%s of them): the copy would be open to more.',
              m.owner, string_agg(m.privilege, ', ' ORDER BY m.privilege), CASE m.kind WHEN 'S' THEN 'sequences' ELSE 'tables' END,
              min(m.first), max(m.number)) AS detail,
       format('ALTER DEFAULT PRIVILEGES FOR ROLE %I%s REVOKE %s ON %s FROM %s; -- on the destination', m.owner, ' IN SCHEMA ' || quote_ident(m.schema),
              string_agg(m.privilege, ', ' ORDER BY m.privilege), CASE m.kind WHEN 'S' THEN 'SEQUENCES' ELSE 'TABLES' END,
              CASE WHEN m.grantee IS NULL THEN 'PUBLIC' ELSE quote_ident(m.grantee) END) AS fix,
       'destination' AS place
  FROM more m
 GROUP BY m.schema, m.kind, m.grantee, m.owner
