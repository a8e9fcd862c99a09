-- Configuration tables and sequences of extensions: those whose rows users may have put in, and pg_dump takes along. $1: oids of the
-- tables of a task, $2: its owner. `is_used`: a column or an index of the task's tables needs the extension, or a foreign key leads to the
-- table. The filter is SQL of whoever owns the extension: `is_trusted` where that is a superuser or the owner of the task, who runs it.
WITH t AS MATERIALIZED (
    SELECT u.oid FROM pg_catalog.unnest($1::pg_catalog.oid[]) AS u(oid)
), configuration AS MATERIALIZED (
    SELECT x.oid AS extension, x.extname, x.extnamespace, x.extowner, f.oid, f.filter
      FROM pg_catalog.pg_extension x
     CROSS JOIN LATERAL ROWS FROM (pg_catalog.unnest(x.extconfig), pg_catalog.unnest(x.extcondition)) AS f(oid, filter)
     WHERE x.extname OPERATOR(pg_catalog.<>) 'pg_courier'
       AND EXISTS (SELECT FROM pg_catalog.pg_depend d
                    WHERE d.classid OPERATOR(pg_catalog.=) 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objid OPERATOR(pg_catalog.=) f.oid
                      AND d.refclassid OPERATOR(pg_catalog.=) 'pg_catalog.pg_extension'::pg_catalog.regclass
                      AND d.refobjid OPERATOR(pg_catalog.=) x.oid AND d.deptype OPERATOR(pg_catalog.=) 'e')
)
SELECT f.extension, f.extname, en.nspname AS extension_schema, c.oid, n.nspname, c.relname,
       c.relkind OPERATOR(pg_catalog.=) 'S' AS is_sequence, COALESCE(f.filter, '') AS filter,
       pg_catalog.has_table_privilege($2::pg_catalog.oid, c.oid, 'SELECT')
         AND pg_catalog.has_schema_privilege($2::pg_catalog.oid, n.oid, 'USAGE')
         AND (NOT c.relrowsecurity
              OR EXISTS (SELECT FROM pg_catalog.pg_roles r WHERE r.oid OPERATOR(pg_catalog.=) $2::pg_catalog.oid AND (r.rolsuper OR r.rolbypassrls))) AS may_read,
       NOT EXISTS (SELECT FROM pg_catalog.pg_roles r
                    WHERE r.oid IN (f.extowner, c.relowner) AND NOT r.rolsuper AND r.oid OPERATOR(pg_catalog.<>) $2::pg_catalog.oid) AS is_trusted,
       pg_catalog.pg_get_userbyid(f.extowner) AS owner,
       EXISTS (SELECT FROM t JOIN pg_catalog.pg_constraint k ON k.conrelid OPERATOR(pg_catalog.=) t.oid
                WHERE k.contype OPERATOR(pg_catalog.=) 'f' AND k.confrelid OPERATOR(pg_catalog.=) c.oid)
         OR EXISTS (SELECT FROM t
                      JOIN pg_catalog.pg_attribute a ON a.attrelid OPERATOR(pg_catalog.=) t.oid AND a.attnum OPERATOR(pg_catalog.>) 0
                       AND NOT a.attisdropped
                      JOIN pg_catalog.pg_type y ON y.oid OPERATOR(pg_catalog.=) a.atttypid
                      JOIN pg_catalog.pg_depend d ON d.classid OPERATOR(pg_catalog.=) 'pg_catalog.pg_type'::pg_catalog.regclass
                       AND d.objid IN (y.oid, y.typelem, y.typbasetype) AND d.deptype OPERATOR(pg_catalog.=) 'e'
                       AND d.refclassid OPERATOR(pg_catalog.=) 'pg_catalog.pg_extension'::pg_catalog.regclass
                     WHERE d.refobjid OPERATOR(pg_catalog.=) f.extension)
         OR EXISTS (SELECT FROM t
                      JOIN pg_catalog.pg_index i ON i.indrelid OPERATOR(pg_catalog.=) t.oid
                      JOIN pg_catalog.pg_depend d ON d.classid OPERATOR(pg_catalog.=) 'pg_catalog.pg_opclass'::pg_catalog.regclass
                       AND d.objid OPERATOR(pg_catalog.=) ANY (i.indclass::pg_catalog.oid[]) AND d.deptype OPERATOR(pg_catalog.=) 'e'
                       AND d.refclassid OPERATOR(pg_catalog.=) 'pg_catalog.pg_extension'::pg_catalog.regclass
                     WHERE d.refobjid OPERATOR(pg_catalog.=) f.extension) AS is_used,
       COALESCE((SELECT pg_catalog.json_agg(pg_catalog.json_build_array(
                          a.attname, pg_catalog.format_type(a.atttypid, a.atttypmod), a.attidentity OPERATOR(pg_catalog.=) 'a',
                          EXISTS (SELECT FROM pg_catalog.pg_index i
                                   WHERE i.indrelid OPERATOR(pg_catalog.=) c.oid AND i.indisprimary AND i.indimmediate
                                     AND a.attnum OPERATOR(pg_catalog.=) ANY (i.indkey::pg_catalog.int2[]))) ORDER BY a.attnum)
                   FROM pg_catalog.pg_attribute a
                  WHERE a.attrelid OPERATOR(pg_catalog.=) c.oid AND a.attnum OPERATOR(pg_catalog.>) 0 AND NOT a.attisdropped
                    AND a.attgenerated OPERATOR(pg_catalog.=) ''), '[]'::pg_catalog.json) AS columns,
       -- Changes that are counted; null where nobody counts.
       CASE WHEN pg_catalog.current_setting('track_counts') OPERATOR(pg_catalog.=) 'on'
            THEN pg_catalog.pg_stat_get_tuples_inserted(c.oid) OPERATOR(pg_catalog.+) pg_catalog.pg_stat_get_tuples_updated(c.oid) END AS changes
  FROM configuration f
  JOIN pg_catalog.pg_class c ON c.oid OPERATOR(pg_catalog.=) f.oid AND c.relkind IN ('r', 'S')
  JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) c.relnamespace
  JOIN pg_catalog.pg_namespace en ON en.oid OPERATOR(pg_catalog.=) f.extnamespace
 ORDER BY n.nspname, c.relname
