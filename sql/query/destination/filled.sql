-- Selected tables that have pages on the destination, or partitions, and may be read there. Runs on the destination. $1: the selected tables
-- as JSON. By their numbers in that list: what the destination calls them is not for statements. Is the table partitioned?
SELECT w.n, c.relkind = 'p'
  FROM ROWS FROM (pg_catalog.json_to_recordset($1::json) AS (schema text, name text, kind "char")) WITH ORDINALITY AS w(schema, name, kind, n)
  JOIN pg_catalog.pg_namespace n ON n.nspname = w.schema
  JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relname = w.name AND (c.relkind = 'r' OR c.relkind = 'p' AND w.kind = 'r')
 WHERE (c.relkind = 'p' OR pg_relation_size(c.oid) > 0) AND has_table_privilege(c.oid, 'SELECT') AND has_schema_privilege(n.oid, 'USAGE')
