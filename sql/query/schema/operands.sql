-- Types as definitions write them, with what a user has made of them: the relation of a row type, else the type, and of an array its element.
-- $1: oids of types.
SELECT y.oid, format_type(y.oid, NULL) AS shown,
       CASE WHEN m.oid >= 16384 THEN CASE WHEN c.oid IS NULL THEN 1247 ELSE 1259 END END AS class,
       CASE WHEN m.oid >= 16384 THEN COALESCE(c.oid, m.oid) END AS of
  FROM unnest($1::oid[]) AS t (oid)
  JOIN pg_type y ON y.oid = t.oid
  LEFT JOIN pg_type e ON e.oid = y.typelem AND e.typarray = y.oid
 CROSS JOIN LATERAL (SELECT COALESCE(e.oid, y.oid) AS oid, COALESCE(e.typrelid, y.typrelid) AS typrelid) AS m
  LEFT JOIN pg_class c ON c.oid = m.typrelid AND c.relkind <> 'c'
