-- Schema courier_applied: a row that says what is there (its tables, and the comment of progress, which has the version), and one for each
-- thing that is wrong. No row: no schema. Runs on the destination. Whoever owns it or its tables, or has put code on them, acts with the
-- rights of the user of the user mapping: they have to belong to that user or to a superuser, and be as pg_courier makes them.
-- One level of plain subqueries: a new session asks it, and half the time is the reading of catalogs it has not seen.
WITH trusted AS MATERIALIZED (
    SELECT r.oid FROM pg_catalog.pg_roles r WHERE r.rolsuper OR r.rolname IN (current_user, session_user)
), relations AS MATERIALIZED (
    SELECT c.oid, c.relname, c.relowner, c.relkind, c.relpersistence, c.relispartition, c.relrowsecurity,
           pg_catalog.format('table courier_applied.%I', c.relname) AS object
      FROM pg_catalog.pg_namespace n
      JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid
     WHERE n.nspname = 'courier_applied' AND c.relname IN ('progress', 'table_progress', 'marks', 'conflicts', 'writer', 'object', 'command', 'pending', 'gone')
)
SELECT NULL::pg_catalog.text AS problem,
       (SELECT pg_catalog.string_agg(c.relname::pg_catalog.text, ',') FROM relations c) AS tables,
       (SELECT d.description FROM relations c
          JOIN pg_catalog.pg_description d ON d.objoid = c.oid AND d.classoid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objsubid = 0
         WHERE c.relname = 'progress') AS comment
  FROM pg_catalog.pg_namespace n
 WHERE n.nspname = 'courier_applied'
UNION ALL
SELECT pg_catalog.format('Schema courier_applied belongs to role %I.', pg_catalog.pg_get_userbyid(n.nspowner)), NULL, NULL
  FROM pg_catalog.pg_namespace n
 WHERE n.nspname = 'courier_applied' AND NOT n.nspowner IN (SELECT r.oid FROM trusted r)
UNION ALL
SELECT p.problem, NULL, NULL
  FROM relations c
 CROSS JOIN LATERAL (VALUES
    (NOT c.relowner IN (SELECT r.oid FROM trusted r),
     pg_catalog.format('T%s belongs to role %I.', pg_catalog.substr(c.object, 2), pg_catalog.pg_get_userbyid(c.relowner))),
    (c.relkind <> 'r' OR c.relpersistence <> 'p' OR c.relispartition,
     pg_catalog.format('There is something else than a plain table under the name of %s.', c.object)),
    (EXISTS (SELECT FROM pg_catalog.pg_trigger g WHERE g.tgrelid = c.oid AND NOT g.tgisinternal),
     pg_catalog.format('There is a trigger on %s.', c.object)),
    (EXISTS (SELECT FROM pg_catalog.pg_rewrite w WHERE w.ev_class = c.oid),
     pg_catalog.format('There is a rule on %s.', c.object)),
    (c.relrowsecurity OR EXISTS (SELECT FROM pg_catalog.pg_policy y WHERE y.polrelid = c.oid),
     pg_catalog.format('There is row security on %s.', c.object)),
    (EXISTS (SELECT FROM pg_catalog.pg_inherits h WHERE c.oid IN (h.inhrelid, h.inhparent)),
     pg_catalog.format('Another table inherits from %s, or it from another.', c.object)),
    -- Objects from 16384 on are not of initdb. OFFSET 0: what an object needs is looked up for each of the few, not joined to all there is.
    (EXISTS (SELECT FROM (SELECT 'pg_catalog.pg_attrdef'::pg_catalog.regclass AS class, a.oid FROM pg_catalog.pg_attrdef a WHERE a.adrelid = c.oid
                          UNION ALL
                          SELECT 'pg_catalog.pg_constraint'::pg_catalog.regclass, k.oid FROM pg_catalog.pg_constraint k WHERE k.conrelid = c.oid
                          UNION ALL
                          SELECT 'pg_catalog.pg_class'::pg_catalog.regclass, i.indexrelid FROM pg_catalog.pg_index i WHERE i.indrelid = c.oid
                          OFFSET 0) AS o
              CROSS JOIN LATERAL (SELECT d.refclassid, d.refobjid FROM pg_catalog.pg_depend d
                                   WHERE d.classid = o.class AND d.objid = o.oid OFFSET 0) AS needed
              WHERE needed.refobjid >= 16384
                AND needed.refclassid IN ('pg_catalog.pg_proc'::pg_catalog.regclass, 'pg_catalog.pg_operator'::pg_catalog.regclass,
                                          'pg_catalog.pg_type'::pg_catalog.regclass, 'pg_catalog.pg_opclass'::pg_catalog.regclass))
        OR EXISTS (SELECT FROM pg_catalog.pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.atttypid >= 16384),
     pg_catalog.format('A column, a default, a constraint or an index of %s uses a function or a type that is not PostgreSQL''s own.', c.object))
 ) AS p(is_so, problem)
 WHERE p.is_so
