-- Which of the tables have others of them as parents, partitions included. $1: oids of the tables.
SELECT i.inhrelid, i.inhparent, i.inhseqno
  FROM unnest($1::oid[]) AS p (oid)
  JOIN pg_inherits i ON i.inhparent = p.oid
 WHERE i.inhrelid = ANY ($1::oid[])
 ORDER BY i.inhrelid, i.inhseqno
