-- What objects are called. $1: their catalogs, $2: their oids.
SELECT a.classid, a.objid, pg_describe_object(a.classid, a.objid, 0) AS description
  FROM unnest($1::oid[], $2::oid[]) AS a (classid, objid)
