-- Those of the given relations that a user made, without what is in them. $1: oids, $2: their kinds. `has_...`: may there be such parts?
SELECT c.oid, n.nspname, c.relname, c.relkind = 'p' AS is_partitioned, c.relispartition, c.relpersistence = 'u' AS is_unlogged,
       CASE WHEN c.reloftype <> 0 THEN format_type(c.reloftype, NULL) END AS of_type,
       CASE WHEN am.amname <> 'heap' OR c.relkind = 'p' THEN am.amname END AS amname,
       CASE WHEN c.relkind = 'p' THEN pg_get_partkeydef(c.oid) END AS partkey,
       CASE WHEN c.relispartition THEN pg_get_expr(c.relpartbound, c.oid) END AS partbound,
       c.relreplident, c.relrowsecurity, c.relforcerowsecurity, to_json(c.reloptions) AS reloptions, to_json(toast.reloptions) AS toast_options,
       c.relkind IN ('v', 'm') AS is_view, c.relhasindex AS has_indexes, c.relhastriggers AS has_triggers, c.relhasrules AS has_rules,
       EXISTS (SELECT FROM pg_statistic_ext s WHERE s.stxrelid = c.oid) AS has_statistics,
       EXISTS (SELECT FROM pg_policy p WHERE p.polrelid = c.oid) AS has_policies,
       EXISTS (SELECT FROM pg_inherits h WHERE h.inhrelid = c.oid) AS has_parents,
       EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND a.atthasmissing) AS has_missing
  FROM (SELECT DISTINCT r.oid FROM unnest($1::oid[]) AS r (oid)) AS r
  JOIN pg_class c ON c.oid = r.oid
  JOIN pg_namespace n ON n.oid = c.relnamespace
  LEFT JOIN pg_class toast ON toast.oid = c.reltoastrelid
  LEFT JOIN pg_am am ON am.oid = c.relam
 WHERE c.relkind::text = ANY ($2::text[])
   AND c.relpersistence <> 't'
   AND c.oid >= 16384
   AND n.nspname NOT IN ('courier', 'courier_applied')
   AND NOT EXISTS (SELECT FROM pg_depend e WHERE e.classid = 'pg_class'::regclass AND e.objid = c.oid AND e.deptype = 'e')
 ORDER BY c.oid
