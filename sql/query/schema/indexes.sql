-- Indexes of tables; that of a constraint without its definition. $1: oids of the tables.
SELECT i.indrelid, i.indexrelid, ic.relname, k.oid AS conoid,
       CASE WHEN k.oid IS NULL THEN pg_get_indexdef(i.indexrelid) END AS definition, i.indisunique,
       -- A partitioned one is invalid while a child is missing.
       (i.indisvalid AND i.indisready) OR ic.relkind = 'I' AS is_usable,
       i.indisclustered, i.indisreplident, h.inhparent, to_json(ic.reloptions) AS reloptions,
       (SELECT json_agg(json_build_array(a.attnum, a.attname, a.attstattarget) ORDER BY a.attnum)
          FROM pg_attribute a
         WHERE a.attrelid = i.indexrelid AND a.attnum > 0 AND a.attstattarget >= 0) AS statistics
  FROM unnest($1::oid[]) AS t (oid)
  JOIN pg_index i ON i.indrelid = t.oid
  JOIN pg_class ic ON ic.oid = i.indexrelid
  LEFT JOIN pg_constraint k ON k.conindid = i.indexrelid AND k.conrelid = i.indrelid AND k.contype IN ('p', 'u', 'x')
  LEFT JOIN pg_inherits h ON h.inhrelid = i.indexrelid
 ORDER BY i.indrelid, ic.relname COLLATE "C"
