-- What relations are that are no tables of a user; what is pg_courier's own is not said. $1: oids.
SELECT r.oid, n.nspname, c.relname, c.relkind, c.relpersistence, x.extname
  FROM unnest($1::oid[]) AS r (oid)
  LEFT JOIN pg_class c ON c.oid = r.oid
  LEFT JOIN pg_namespace n ON n.oid = c.relnamespace
  LEFT JOIN pg_depend e ON e.classid = 'pg_class'::regclass AND e.objid = r.oid AND e.deptype = 'e'
  LEFT JOIN pg_extension x ON x.oid = e.refobjid
 WHERE n.nspname IS DISTINCT FROM 'courier' AND n.nspname IS DISTINCT FROM 'courier_applied' AND x.extname IS DISTINCT FROM 'pg_courier'
