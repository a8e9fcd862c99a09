-- The next large objects of a database, by their oids. $1: behind this one, $2: as many.
SELECT m.oid AS loid
FROM pg_catalog.pg_largeobject_metadata m
WHERE m.oid OPERATOR(pg_catalog.>) $1::pg_catalog.oid
ORDER BY m.oid
LIMIT $2::pg_catalog.int4
