-- What other tools may have left for themselves: their tables, with the names of their columns, and their code. Which of it is theirs,
-- src/select/leftovers.rs says.
SELECT 'event trigger' AS kind, NULL::name AS nspname, e.evtname AS name, '[]'::text AS columns
  FROM pg_catalog.pg_event_trigger e
 WHERE e.evtname ~ '^(dts|awsdms)_'
UNION ALL
SELECT 'function', n.nspname, p.proname, '[]'
  FROM pg_catalog.pg_proc p
  JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
 WHERE p.proname ~ '^(dts|awsdms)_' AND p.pronargs = 0 AND p.prorettype = 'event_trigger'::regtype
UNION ALL
SELECT 'table', n.nspname, c.relname,
       COALESCE((SELECT json_agg(a.attname) FROM pg_catalog.pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped), '[]')::text
  FROM pg_catalog.pg_class c
  JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relname ~ '^(dts|aliyun_dts|awsdms)_' AND c.relkind IN ('r', 'p') AND n.nspname !~ '^pg_temp'
 ORDER BY 1, 2, 3
