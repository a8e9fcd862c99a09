-- Tables that a command touched ($1) or dropped ($2), by oid, for each task that wants none of its own changed: the table with its ancestors,
-- and whether the task has it. Of one that is gone there is no name here.
WITH RECURSIVE lineage (touched, oid) AS (
    SELECT t.oid, t.oid FROM unnest($1::oid[]) AS t (oid)
    UNION
    SELECT l.touched, h.inhparent FROM lineage l JOIN pg_inherits h ON h.inhrelid = l.oid
)
SELECT k.id, format('%I.%I', tn.nspname, tc.relname) AS shown, n.nspname, c.relname,
       EXISTS (SELECT FROM courier.task_table f WHERE f.task_id = k.id AND f.relid = l.oid) AS is_followed
  FROM courier.task k
 CROSS JOIN lineage l
  JOIN pg_class c ON c.oid = l.oid AND c.relkind IN ('r', 'p')
  JOIN pg_namespace n ON n.oid = c.relnamespace
  JOIN pg_class tc ON tc.oid = l.touched
  JOIN pg_namespace tn ON tn.oid = tc.relnamespace
 WHERE k.ddl = 'refuse' AND k.wanted IN ('running', 'paused')
 UNION ALL
SELECT k.id, f.table_name, NULL, NULL, true
  FROM courier.task k
  JOIN courier.task_table f ON f.task_id = k.id AND f.relid = ANY ($2::oid[])
 WHERE k.ddl = 'refuse' AND k.wanted IN ('running', 'paused')
 ORDER BY 1, 2
