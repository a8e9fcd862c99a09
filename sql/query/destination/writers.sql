-- Other tasks that write into the same tables. Runs on the destination, where the helper tables are. $1: the subject, $2: the tables as JSON.
SELECT 'destination_other_task' AS item, NULL::text AS status, format('%I.%I', w.schema, w.name) AS object,
       format('Task %s of %s writes into it too.', p.task, p.source) AS detail, NULL::text AS fix, 'person' AS place
  FROM courier_applied.table_progress o
  JOIN courier_applied.progress p ON p.task_id = o.task_id
  JOIN pg_catalog.json_to_recordset($2::json) AS w(schema text, name text)
    -- The workers quote always.
    ON o.table_name = format('"%s"."%s"', replace(w.schema, '"', '""'), replace(w.name, '"', '""'))
 WHERE o.task_id::text <> COALESCE($1::json ->> 'uuid', '')
