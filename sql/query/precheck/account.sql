-- What the owner of the task may do on the source. $1: the subject, $2: the selected tables.
WITH s AS (
    SELECT s.*, pg_get_userbyid(owner) AS name, r.rolsuper, r.rolreplication, r.rolbypassrls
      FROM pg_catalog.json_to_record($1::json) AS s(owner oid, incremental boolean, full_copy boolean)
      JOIN pg_catalog.pg_roles r ON r.oid = s.owner
), t AS (
    SELECT c.oid, c.relname, c.relnamespace, c.relkind, c.relrowsecurity, c.relforcerowsecurity, c.relowner, n.nspname
      FROM unnest($2::oid[]) AS u(oid)
      JOIN pg_catalog.pg_class c ON c.oid = u.oid
      JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
)
SELECT 'owner_replication' AS item, NULL::text AS status, s.name::text AS object,
       'Without attribute REPLICATION it gets no stream of changes.' AS detail,
       format('ALTER ROLE %I REPLICATION;', s.name) AS fix, 'source' AS place
  FROM s
 WHERE incremental AND NOT rolsuper AND NOT rolreplication
UNION ALL
SELECT 'source_schema_usage', NULL, quote_ident(n.nspname), format('Role %I has no USAGE on it.', s.name),
       format('GRANT USAGE ON SCHEMA %I TO %I;', n.nspname, s.name), 'source'
  FROM s, pg_catalog.pg_namespace n
 WHERE n.oid IN (SELECT relnamespace FROM t) AND NOT has_schema_privilege(s.owner, n.oid, 'USAGE')
UNION ALL
SELECT 'source_table_select', NULL, format('%I.%I', t.nspname, t.relname), format('Role %I has no SELECT on it.', s.name),
       format('GRANT SELECT ON %I.%I TO %I;', t.nspname, t.relname, s.name), 'source'
  FROM s, t
 WHERE t.relkind = 'r' AND NOT has_table_privilege(s.owner, t.oid, 'SELECT')
UNION ALL
SELECT 'source_table_select', NULL, format('%I.%I', n.nspname, q.relname), format('Role %I has no SELECT on this sequence.', s.name),
       format('GRANT SELECT ON SEQUENCE %I.%I TO %I;', n.nspname, q.relname, s.name), 'source'
  FROM s, pg_catalog.pg_class q
  JOIN pg_catalog.pg_namespace n ON n.oid = q.relnamespace
 WHERE q.relkind = 'S' AND NOT has_sequence_privilege(s.owner, q.oid, 'SELECT')
   AND (EXISTS (SELECT FROM t JOIN pg_catalog.pg_depend d ON d.refobjid = t.oid
                 WHERE d.classid = 'pg_class'::regclass AND d.objid = q.oid AND d.refclassid = 'pg_class'::regclass AND d.deptype IN ('a', 'i'))
        OR EXISTS (SELECT FROM t JOIN pg_catalog.pg_attrdef a ON a.adrelid = t.oid JOIN pg_catalog.pg_depend d ON d.objid = a.oid
                    WHERE d.classid = 'pg_attrdef'::regclass AND d.refclassid = 'pg_class'::regclass AND d.refobjid = q.oid))
UNION ALL
SELECT 'source_row_security', NULL, format('%I.%I', t.nspname, t.relname),
       format('Its policies would hide rows from role %I; a copy must have all of them.', s.name),
       format('ALTER ROLE %I BYPASSRLS;', s.name), 'source'
  FROM s, t
 WHERE t.relrowsecurity AND NOT rolsuper AND NOT rolbypassrls
   AND (t.relforcerowsecurity OR NOT pg_has_role(s.owner, t.relowner, 'USAGE'))
