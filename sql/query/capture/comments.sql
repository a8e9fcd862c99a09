-- Comments on objects and their columns, by catalog ($1) and oid ($2).
SELECT d.classoid, d.objoid, d.objsubid, d.description
  FROM unnest($1::oid[], $2::oid[]) AS a (class, oid)
  JOIN pg_description d ON d.objoid = a.oid AND d.classoid = a.class
