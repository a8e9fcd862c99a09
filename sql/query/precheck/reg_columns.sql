-- Columns of the selected tables ($1) whose values are names of objects, and the catalog that these are in. Only those that the caller may
-- read, of tables that are read within a moment.
SELECT pg_catalog.format('%I.%I', n.nspname, c.relname) AS table_name, pg_catalog.quote_ident(a.attname) AS column_name, k.class::pg_catalog.oid AS class,
       pg_catalog.format_type(a.atttypid, a.atttypmod) AS type_name
  FROM pg_catalog.unnest($1::pg_catalog.oid[]) AS u(oid)
  JOIN pg_catalog.pg_class c ON c.oid OPERATOR(pg_catalog.=) u.oid AND c.relkind OPERATOR(pg_catalog.=) 'r'
  JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) c.relnamespace
  JOIN pg_catalog.pg_attribute a ON a.attrelid OPERATOR(pg_catalog.=) c.oid AND a.attnum OPERATOR(pg_catalog.>) 0 AND NOT a.attisdropped
  JOIN (VALUES ('pg_catalog.regclass'::pg_catalog.regtype, 'pg_catalog.pg_class'::pg_catalog.regclass),
               ('pg_catalog.regproc', 'pg_catalog.pg_proc'), ('pg_catalog.regprocedure', 'pg_catalog.pg_proc'),
               ('pg_catalog.regoper', 'pg_catalog.pg_operator'), ('pg_catalog.regoperator', 'pg_catalog.pg_operator'),
               ('pg_catalog.regtype', 'pg_catalog.pg_type'), ('pg_catalog.regconfig', 'pg_catalog.pg_ts_config'),
               ('pg_catalog.regdictionary', 'pg_catalog.pg_ts_dict')) AS k(type, class) ON k.type::pg_catalog.oid OPERATOR(pg_catalog.=) a.atttypid
 WHERE c.relpages::pg_catalog.int8 OPERATOR(pg_catalog.*) pg_catalog.current_setting('block_size')::pg_catalog.int8 OPERATOR(pg_catalog.<=) 67108864
   AND pg_catalog.has_column_privilege(c.oid, a.attnum, 'SELECT') AND pg_catalog.has_schema_privilege(n.oid, 'USAGE')
   AND NOT pg_catalog.row_security_active(c.oid)
 ORDER BY 1, a.attnum
