-- Selected tables that have pages on the destination and may be read there. Runs on the destination. $1: the selected tables as JSON.
SELECT format('%I.%I', w.schema, w.name)
  FROM pg_catalog.json_to_recordset($1::json) AS w(schema text, name text)
  JOIN pg_catalog.pg_namespace n ON n.nspname = w.schema
  JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relname = w.name AND c.relkind = 'r'
 WHERE pg_relation_size(c.oid) > 0 AND has_table_privilege(c.oid, 'SELECT') AND has_schema_privilege(n.oid, 'USAGE')
