-- What the destination has of configuration tables of extensions, and what the user may do with them. Runs on the destination. $1: JSON,
-- extension, schema, name and columns of each; the answers have their places in it, from 0 on.
WITH wanted AS (
    SELECT w.extension, w.schema, w.name, w.columns, w.n - 1 AS number
      FROM ROWS FROM (pg_catalog.json_to_recordset($1::pg_catalog.json)
                      AS (extension pg_catalog.text, schema pg_catalog.text, name pg_catalog.text, columns pg_catalog.json)) WITH ORDINALITY
           AS w(extension, schema, name, columns, n)
)
SELECT w.number, x.oid IS NOT NULL AS has_extension, c.oid IS NOT NULL AS is_there,
       COALESCE(pg_catalog.has_schema_privilege(n.oid, 'USAGE') AND pg_catalog.has_table_privilege(c.oid, 'SELECT')
                AND pg_catalog.has_table_privilege(c.oid, 'INSERT') AND pg_catalog.has_table_privilege(c.oid, 'UPDATE'), false) AS may_write,
       NOT EXISTS (SELECT FROM pg_catalog.json_array_elements_text(w.columns) AS e(name)
                    WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_attribute a
                                       WHERE a.attrelid OPERATOR(pg_catalog.=) c.oid AND a.attname OPERATOR(pg_catalog.=) e.name
                                         AND a.attnum OPERATOR(pg_catalog.>) 0 AND NOT a.attisdropped)) AS has_columns,
       -- The script of a trusted extension runs as the superuser of the cluster, and what it makes is his.
       r.rolsuper OR EXISTS (SELECT FROM pg_catalog.pg_available_extension_versions v
                              WHERE v.name OPERATOR(pg_catalog.=) w.extension AND NOT v.superuser) AS is_of_user
  FROM wanted w
  JOIN pg_catalog.pg_roles r ON r.rolname OPERATOR(pg_catalog.=) CURRENT_USER
  LEFT JOIN pg_catalog.pg_extension x ON x.extname OPERATOR(pg_catalog.=) w.extension
  LEFT JOIN pg_catalog.pg_namespace n ON n.nspname OPERATOR(pg_catalog.=) w.schema
  LEFT JOIN pg_catalog.pg_class c ON c.relnamespace OPERATOR(pg_catalog.=) n.oid AND c.relname OPERATOR(pg_catalog.=) w.name
        AND c.relkind OPERATOR(pg_catalog.=) 'r'
        AND EXISTS (SELECT FROM pg_catalog.pg_depend d
                     WHERE d.classid OPERATOR(pg_catalog.=) 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objid OPERATOR(pg_catalog.=) c.oid
                       AND d.refclassid OPERATOR(pg_catalog.=) 'pg_catalog.pg_extension'::pg_catalog.regclass
                       AND d.refobjid OPERATOR(pg_catalog.=) x.oid AND d.deptype OPERATOR(pg_catalog.=) 'e')
 ORDER BY w.number
