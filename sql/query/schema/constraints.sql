-- Constraints of tables. $1: oids of the tables.
SELECT k.conrelid, k.oid, k.conname, k.contype, pg_get_constraintdef(k.oid) AS definition, to_json(k.conkey) AS conkey, k.convalidated, k.conislocal,
       k.coninhcount, k.connoinherit, k.condeferrable, k.condeferred, NULLIF(k.conindid, 0) AS conindid, pk.conrelid AS parent_table
  FROM unnest($1::oid[]) AS t (oid)
  JOIN pg_constraint k ON k.conrelid = t.oid AND k.contype IN ('p', 'u', 'x', 'c', 'n', 'f')
  LEFT JOIN pg_constraint pk ON pk.oid = k.conparentid
 ORDER BY k.conrelid, k.conname COLLATE "C"
