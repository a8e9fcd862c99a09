-- Objects of users that values name: catalogs ($1) and oids ($2), by their places from 0 on. An array type stands for its element, the type
-- of a row for its relation. What belongs to an extension comes with that.
WITH given AS (
    SELECT o.class, o.oid, o.n - 1 AS place FROM ROWS FROM (pg_catalog.unnest($1::pg_catalog.oid[]), pg_catalog.unnest($2::pg_catalog.oid[])) WITH ORDINALITY AS o(class, oid, n)
), meant AS (
    SELECT g.place, CASE WHEN r.oid IS NULL THEN g.class ELSE 'pg_catalog.pg_class'::pg_catalog.regclass::pg_catalog.oid END AS class,
           COALESCE(r.oid, e.oid, g.oid) AS oid
      FROM given g
      LEFT JOIN pg_catalog.pg_type y ON g.class OPERATOR(pg_catalog.=) 'pg_catalog.pg_type'::pg_catalog.regclass AND y.oid OPERATOR(pg_catalog.=) g.oid
      LEFT JOIN pg_catalog.pg_type e ON e.oid OPERATOR(pg_catalog.=) y.typelem AND e.typarray OPERATOR(pg_catalog.=) y.oid
      LEFT JOIN pg_catalog.pg_class r ON r.oid OPERATOR(pg_catalog.=) COALESCE(e.typrelid, y.typrelid) AND r.relkind OPERATOR(pg_catalog.<>) 'c'
)
SELECT m.place, m.class::pg_catalog.oid AS class, m.oid, pg_catalog.pg_describe_object(m.class, m.oid, 0) AS description, n.nspname, c.relname
  FROM meant m
  LEFT JOIN pg_catalog.pg_class c ON m.class OPERATOR(pg_catalog.=) 'pg_catalog.pg_class'::pg_catalog.regclass AND c.oid OPERATOR(pg_catalog.=) m.oid
        AND c.relkind NOT IN ('v', 'm', 'f')
  LEFT JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) c.relnamespace
 WHERE pg_catalog.pg_describe_object(m.class, m.oid, 0) IS NOT NULL
   AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d
                    WHERE d.classid OPERATOR(pg_catalog.=) m.class AND d.objid OPERATOR(pg_catalog.=) m.oid AND d.deptype OPERATOR(pg_catalog.=) 'e')
