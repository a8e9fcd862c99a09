-- Columns of tables. What equals the type's own (collation, storage) is null. $1: oids of the tables.
SELECT a.attrelid, a.attnum, a.attname, a.atttypid, format_type(a.atttypid, a.atttypmod) AS type_name, cn.nspname AS collation_schema, co.collname,
       a.attnotnull, a.attislocal, d.oid AS attrdef, pg_get_expr(d.adbin, d.adrelid) AS expression, NULLIF(a.attgenerated, '') AS attgenerated,
       NULLIF(a.attidentity, '') AS attidentity,
       CASE WHEN a.attstorage <> y.typstorage THEN a.attstorage END AS attstorage,
       CASE WHEN a.attstattarget >= 0 THEN a.attstattarget END AS attstattarget,
       to_json(a.attoptions) AS attoptions, NULLIF(later.attcompression, '') AS attcompression
  FROM unnest($1::oid[]) AS t (oid)
  JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum > 0 AND NOT a.attisdropped
  JOIN pg_type y ON y.oid = a.atttypid
  LEFT JOIN pg_collation co ON co.oid = a.attcollation AND a.attcollation <> y.typcollation
  LEFT JOIN pg_namespace cn ON cn.oid = co.collnamespace
  LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum AND a.atthasdef
 -- 13 has no compression: there the name means the value beside the table.
 CROSS JOIN (VALUES (''::"char")) AS none (attcompression)
 CROSS JOIN LATERAL (SELECT attcompression FROM (SELECT a.*) AS here) AS later
 ORDER BY a.attrelid, a.attnum
