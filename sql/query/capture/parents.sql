-- Parents of tables, partitioned tables included, whatever they are. $1: oids of the tables.
SELECT i.inhrelid, i.inhparent, i.inhseqno
  FROM unnest($1::oid[]) AS t (oid)
  JOIN pg_inherits i ON i.inhrelid = t.oid
 ORDER BY i.inhrelid, i.inhseqno
