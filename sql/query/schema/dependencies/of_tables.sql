-- What the parts of tables, and types that a user made, depend on, as far as it can be more than the table itself: one row for each
-- dependency of a part on something that a user or an extension made. $1: oids of the tables. One statement in pieces, as most commands are
-- about tables alone (src/catalog/schema/needs.rs).
--
-- `depclass, depobj` is where pg_depend records what a part depends on: an exclusion constraint's expressions, for example,
-- are recorded at its index. Keys and not null constraints are no parts here.
WITH part (classid, objid, relid, depclass, depobj, domain, is_check) AS (
    SELECT 'pg_class'::regclass, t.oid, t.oid, 'pg_class'::regclass, t.oid, NULL::oid, false
      FROM unnest($1::oid[]) AS t (oid)
    UNION ALL
    SELECT 'pg_attrdef'::regclass, d.oid, t.oid, 'pg_attrdef'::regclass, d.oid, NULL, false
      FROM unnest($1::oid[]) AS t (oid)
      JOIN pg_attrdef d ON d.adrelid = t.oid
    UNION ALL
    SELECT 'pg_constraint'::regclass, k.oid, t.oid, 'pg_constraint'::regclass, k.oid, NULL, k.contype = 'c'
      FROM unnest($1::oid[]) AS t (oid)
      JOIN pg_constraint k ON k.conrelid = t.oid AND k.contype IN ('c', 'x', 'f')
    UNION ALL
    SELECT 'pg_constraint'::regclass, k.oid, t.oid, 'pg_class'::regclass, k.conindid, NULL, false
      FROM unnest($1::oid[]) AS t (oid)
      JOIN pg_constraint k ON k.conrelid = t.oid AND k.contype = 'x'
    UNION ALL
    SELECT 'pg_class'::regclass, i.indexrelid, t.oid, 'pg_class'::regclass, i.indexrelid, NULL, false
      FROM unnest($1::oid[]) AS t (oid)
      JOIN pg_index i ON i.indrelid = t.oid
    UNION ALL
    SELECT 'pg_trigger'::regclass, g.oid, t.oid, 'pg_trigger'::regclass, g.oid, NULL, false
      FROM unnest($1::oid[]) AS t (oid)
      JOIN pg_trigger g ON g.tgrelid = t.oid
      LEFT JOIN pg_constraint k ON k.oid = g.tgconstraint
     WHERE k.oid IS NULL OR k.contype = 't'
    UNION ALL
    SELECT 'pg_policy'::regclass, p.oid, t.oid, 'pg_policy'::regclass, p.oid, NULL, false
      FROM unnest($1::oid[]) AS t (oid)
      JOIN pg_policy p ON p.polrelid = t.oid
    UNION ALL
    SELECT 'pg_statistic_ext'::regclass, s.oid, t.oid, 'pg_statistic_ext'::regclass, s.oid, NULL, false
      FROM unnest($1::oid[]) AS t (oid)
      JOIN pg_statistic_ext s ON s.stxrelid = t.oid
