-- Names of relations and routines, by catalog ($1) and oid ($2).
SELECT n.nspname, o.name
  FROM unnest($1::oid[], $2::oid[]) AS a (class, oid)
 CROSS JOIN LATERAL (
       SELECT c.relnamespace, c.relname FROM pg_class c WHERE a.class = 1259 AND c.oid = a.oid
       UNION ALL
       SELECT p.pronamespace, p.proname FROM pg_proc p WHERE a.class = 1255 AND p.oid = a.oid) AS o (namespace, name)
  JOIN pg_namespace n ON n.oid = o.namespace
