-- Sequences of a task: those that a selected table's column owns (serial, identity) and those that a default of a
-- selected table calls, and others that its patterns name; with what limits their values, whether the owner of the task may read
-- them, and whether a table needs them. $1: the task's id, $2: the owner, $3: the named ones.
SELECT n.nspname, s.relname, q.seqincrement, q.seqmin, q.seqmax,
       pg_catalog.has_sequence_privilege($2::oid, s.oid, 'SELECT') AND pg_catalog.has_schema_privilege($2::oid, n.oid, 'USAGE') AS may_read,
       needed.is AS is_needed
  FROM pg_catalog.pg_class s
  JOIN pg_catalog.pg_sequence q ON q.seqrelid = s.oid
  JOIN pg_catalog.pg_namespace n ON n.oid = s.relnamespace
 CROSS JOIN LATERAL (
       SELECT EXISTS (SELECT
                        FROM pg_catalog.pg_depend d
                        JOIN courier.task_table t ON t.relid = d.refobjid
                       WHERE t.task_id = $1::int
                         AND d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass
                         AND d.objid = s.oid
                         AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass
                         AND d.deptype IN ('a', 'i'))
           OR EXISTS (SELECT
                        FROM pg_catalog.pg_depend d
                        JOIN pg_catalog.pg_attrdef a ON a.oid = d.objid
                        JOIN courier.task_table t ON t.relid = a.adrelid
                       WHERE t.task_id = $1::int
                         AND d.classid = 'pg_catalog.pg_attrdef'::pg_catalog.regclass
                         AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass
                         AND d.refobjid = s.oid) AS is) AS needed
 WHERE s.relkind = 'S' AND (needed.is OR s.oid = ANY ($3::oid[]))
 ORDER BY n.nspname, s.relname
