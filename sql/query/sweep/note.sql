-- How objects are. $1: catalogs, $2: oids, $3: fingerprints, $4: whether those that are known already are replaced.
INSERT INTO courier.swept AS s (class, oid, print)
SELECT g.class, g.oid, g.print
  FROM unnest($1::oid[], $2::oid[], $3::text[]) AS g (class, oid, print)
 ORDER BY g.class, g.oid
    ON CONFLICT (class, oid) DO UPDATE SET print = excluded.print WHERE $4::boolean AND s.print <> excluded.print
