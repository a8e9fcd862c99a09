-- Conversions, for source and destination. What follows is said of the row `o`.
SELECT o.oid, n.nspname, o.conname AS name, pg_catalog.format('%I.%I', n.nspname, o.conname) AS target, NULL AS types,
       pg_catalog.format('CREATE %sCONVERSION %I.%I FOR %L TO %L FROM %s', CASE WHEN o.condefault THEN 'DEFAULT ' ELSE '' END, n.nspname, o.conname,
                         pg_catalog.pg_encoding_to_char(o.conforencoding), pg_catalog.pg_encoding_to_char(o.contoencoding),
                         o.conproc::pg_catalog.regproc::pg_catalog.text) AS definition
  FROM pg_catalog.pg_conversion o
  JOIN pg_catalog.pg_namespace n ON n.oid = o.connamespace
 WHERE true
