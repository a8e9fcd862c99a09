-- What rows that are older than a column have in it, as text. The catalog keeps it as the one element of an array. $1: oids of tables.
SELECT a.attrelid, a.attnum, (a.attmissingval::text::text[])[1] AS missing
  FROM unnest($1::oid[]) AS t (oid)
  JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.atthasmissing
