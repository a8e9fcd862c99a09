-- How objects were when tasks were told of them last. $1: their catalogs, $2: their oids.
SELECT s.class, s.oid, s.print
  FROM unnest($1::oid[], $2::oid[]) AS g (class, oid)
  JOIN courier.swept s ON (s.class, s.oid) = (g.class, g.oid)
