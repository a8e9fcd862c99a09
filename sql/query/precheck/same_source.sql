-- Tables that another task of this database writes to the same destination. $1: the task, $2: its tables, $3: its server, $4: the destination's
-- identity if it tells, $5: tasks that have a row there, $6: who asks. Runs on the source with the extension's rights: names of tasks
-- are for those who may use them.
SELECT DISTINCT (SELECT pg_catalog.format('%I.%I', n[1], n[2]) FROM pg_catalog.parse_ident(w.table_name) AS n) AS object,
       CASE WHEN pg_catalog.pg_has_role($6::pg_catalog.oid, t.owner, 'USAGE') THEN t.name END AS task
  FROM courier.task t
  JOIN courier.task_table w ON w.task_id OPERATOR(pg_catalog.=) t.id
 WHERE t.id OPERATOR(pg_catalog.<>) $1::pg_catalog.int4
   AND t.wanted IN ('running', 'paused')
   AND w.relid OPERATOR(pg_catalog.=) ANY ($2::pg_catalog.oid[])
   AND (t.server OPERATOR(pg_catalog.=) $3::pg_catalog.oid
        OR t.destination_id OPERATOR(pg_catalog.=) $4
        OR t.uuid OPERATOR(pg_catalog.=) ANY ($5::pg_catalog.uuid[]))
 ORDER BY 1, 2
