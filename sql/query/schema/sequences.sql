-- Sequences with their options, and the column that each belongs to: by OWNED BY, or as an identity column's own. $1: oids of sequences,
-- $2: of tables.
WITH owner AS MATERIALIZED (
    SELECT d.objid, d.refobjid, d.refobjsubid, d.deptype
      FROM unnest($2::oid[]) AS t (oid)
      JOIN pg_depend d ON d.refclassid = 'pg_class'::regclass AND d.refobjid = t.oid AND d.refobjsubid > 0
                      AND d.classid = 'pg_class'::regclass AND d.deptype IN ('a', 'i')
), wanted AS (
    SELECT s.oid
      FROM unnest($1::oid[]) AS s (oid)
     WHERE s.oid >= 16384
       AND NOT EXISTS (SELECT FROM pg_depend e
                        WHERE e.classid = 'pg_class'::regclass AND e.objid = s.oid AND e.deptype IN ('e', 'i'))
    UNION
    SELECT o.objid FROM owner o
)
SELECT c.oid, n.nspname, c.relname, c.relpersistence = 'u' AS is_unlogged, q.seqtypid, format_type(q.seqtypid, NULL) AS type_name, q.seqstart, q.seqincrement,
       q.seqmin, q.seqmax, q.seqcache, q.seqcycle, o.deptype, o.refobjid AS attrelid, o.refobjsubid AS attnum,
       o.objid IS NULL AND EXISTS (SELECT FROM pg_depend d
                                    WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.refclassid = 'pg_class'::regclass
                                      AND d.refobjsubid > 0 AND d.deptype = 'a') AS is_of_other
  FROM wanted w
  JOIN pg_class c ON c.oid = w.oid AND c.relkind = 'S'
  JOIN pg_sequence q ON q.seqrelid = c.oid
  JOIN pg_namespace n ON n.oid = c.relnamespace
  LEFT JOIN owner o ON o.objid = c.oid
 ORDER BY c.oid
