-- Sequences of a task: those that a selected table's column owns (serial, identity) and those that a default of a
-- selected table calls. $1: the task's id.
SELECT n.nspname, s.relname
  FROM pg_catalog.pg_class s
  JOIN pg_catalog.pg_namespace n ON n.oid = s.relnamespace
 WHERE s.relkind = 'S'
   AND (EXISTS (SELECT
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
                      AND d.refobjid = s.oid))
 ORDER BY n.nspname, s.relname
