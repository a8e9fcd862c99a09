-- Those of the given collations that a user made. ICU locale and rules: colliculocale in 15 and 16, colllocale from 17 on; before 15 an ICU
-- locale was in collcollate.
-- $1: oids of collations.
SELECT l.oid, n.nspname, l.collname, l.collprovider, l.collisdeterministic, l.collcollate, l.collctype,
       COALESCE(to_jsonb(l) ->> 'colllocale', to_jsonb(l) ->> 'colliculocale') AS locale, to_jsonb(l) ->> 'collicurules' AS rules
  FROM unnest($1::oid[]) AS t (oid)
  JOIN pg_collation l ON l.oid = t.oid
  JOIN pg_namespace n ON n.oid = l.collnamespace
 WHERE l.oid >= 16384
   AND NOT EXISTS (SELECT FROM pg_depend e WHERE e.classid = 'pg_collation'::regclass AND e.objid = l.oid AND e.deptype = 'e')
 ORDER BY l.oid
