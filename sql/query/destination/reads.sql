-- What views read, directly and through plain views, with themselves: how large that is together, and whether some of it is named. Runs on
-- the destination. $1, $2: what views are known by, and the names to begin with, the view's own or those that its definition has; $3: names;
-- $4: whether it is to be measured.
WITH RECURSIVE reads AS (
    SELECT w.view, n.relid, true AS is_first
      FROM ROWS FROM (pg_catalog.unnest($1::oid[]), pg_catalog.unnest($2::text[])) AS w (view, name)
     CROSS JOIN LATERAL (SELECT pg_catalog.to_regclass(w.name)::oid AS relid) AS n
     WHERE n.relid IS NOT NULL
    UNION
    SELECT r.view, next.relid, false
      FROM reads r
     CROSS JOIN LATERAL (
           SELECT d.refobjid AS relid
             FROM pg_catalog.pg_rewrite w
             JOIN pg_catalog.pg_class c ON c.oid = w.ev_class AND (c.relkind = 'v' OR r.is_first)
             JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_rewrite'::regclass AND d.objid = w.oid
                                        AND d.refclassid = 'pg_catalog.pg_class'::regclass AND d.refobjid <> r.relid
            WHERE w.ev_class = r.relid AND w.rulename = '_RETURN'
            UNION ALL
           SELECT h.inhrelid FROM pg_catalog.pg_inherits h WHERE h.inhparent = r.relid) AS next
)
SELECT r.view, pg_catalog.bool_or(r.is_named) AS is_named,
       -- To measure something takes a lock on it, and whoever fills a view that is named may have that.
       pg_catalog.sum(CASE WHEN $4::boolean AND NOT r.is_named THEN pg_catalog.pg_table_size(r.relid) ELSE 0 END)::int8 AS bytes
  FROM (SELECT DISTINCT d.view, d.relid,
               d.relid = ANY (ARRAY(SELECT pg_catalog.to_regclass(x.name)::oid FROM pg_catalog.unnest($3::text[]) AS x (name) WHERE pg_catalog.to_regclass(x.name) IS NOT NULL)) AS is_named
          FROM reads d) AS r
 GROUP BY r.view
