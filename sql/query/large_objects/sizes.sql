-- The next large objects of a database and how large they are. Runs on the source, with the rights of the extension. $1: behind this one, $2: as many.
SELECT m.oid AS loid, e.bytes, pg_catalog.lo_close(CASE WHEN e.bytes OPERATOR(pg_catalog.>=) 0 THEN e.descriptor END) AS closed
FROM (SELECT o.oid FROM pg_catalog.pg_largeobject_metadata o WHERE o.oid OPERATOR(pg_catalog.>) $1::pg_catalog.oid ORDER BY o.oid LIMIT $2::pg_catalog.int4) m
CROSS JOIN LATERAL (SELECT pg_catalog.lo_open(m.oid, 262144) AS descriptor OFFSET 0) f
CROSS JOIN LATERAL (SELECT f.descriptor, pg_catalog.lo_lseek64(f.descriptor, 0::pg_catalog.int8, 2) AS bytes OFFSET 0) e
ORDER BY m.oid
