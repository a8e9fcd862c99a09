-- Selected tables that have pages on the destination and may be read there. Runs on the destination. $1: the selected tables as JSON.
-- By their numbers in that list: what the destination calls them is not for statements.
SELECT w.n
  FROM ROWS FROM (pg_catalog.json_to_recordset($1::json) AS (schema text, name text)) WITH ORDINALITY AS w(schema, name, n)
  JOIN pg_catalog.pg_namespace n ON n.nspname = w.schema
  JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relname = w.name AND c.relkind = 'r'
 WHERE pg_relation_size(c.oid) > 0 AND has_table_privilege(c.oid, 'SELECT') AND has_schema_privilege(n.oid, 'USAGE')
