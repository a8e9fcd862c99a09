   AND o.oid = ANY ($1::oid[]) AND o.oid >= 16384
   AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d WHERE d.classid = $2::oid AND d.objid = o.oid AND d.deptype = 'e')
 ORDER BY o.oid
