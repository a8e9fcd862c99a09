-- Tables of a task ($1), what is known besides tables of tasks and what goes with them, and what could not be read when it was made.
SELECT 1259::oid AS class, t.relid AS oid
  FROM courier.task_table t
 WHERE t.task_id = $1::int
 UNION ALL
SELECT s.class, s.oid
  FROM courier.swept s
  LEFT JOIN pg_class c ON s.class = 1259 AND c.oid = s.oid
 WHERE s.class <> 1259 OR c.relkind NOT IN ('r', 'p') OR c.oid IS NULL OR s.print = ''
 ORDER BY 1, 2
