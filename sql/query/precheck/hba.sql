-- Lines of pg_hba.conf that the server cannot read. Only for those who may read them.
SELECT 'hba_rules' AS item, NULL::text AS status, format('line %s', h.line_number) AS object,
       format('%s. The next reload keeps the old rules, and a restart fails.', h.error) AS detail, NULL::text AS fix, 'person' AS place
  FROM pg_catalog.pg_hba_file_rules h
 WHERE h.error IS NOT NULL
