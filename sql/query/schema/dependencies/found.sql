(
    SELECT e.classid, e.objid, e.refobjid
      FROM pg_depend e
     WHERE e.deptype = 'e' AND e.refclassid = 'pg_extension'::regclass
), multirange AS MATERIALIZED (
    SELECT g.rngtypid, (to_jsonb(g) ->> 'rngmultitypid')::oid AS oid FROM pg_range g WHERE g.rngtypid >= 16384
)
-- An array stands for its element, a row type for its relation. `refobjid` of a composite type is the type, however it was recorded.
SELECT m.classid::oid, m.objid, m.relid, m.is_table, m.domain, m.is_check, m.deptype = 'n' AS is_normal,
       CASE WHEN c.relkind = 'c' THEN 'pg_type'::regclass ELSE m.refclassid END::oid AS refclassid,
       CASE WHEN c.relkind = 'c' THEN c.reltype ELSE m.refobjid END AS refobjid,
       element.oid AS element, g.rngtypid AS range, r.oid AS relation, COALESCE(r.relkind, c.relkind) AS relkind,
       COALESCE(element.typtype, y.typtype) AS typtype, COALESCE(e.refobjid, re.refobjid) AS extension
  FROM mention m
  LEFT JOIN pg_class c ON m.refclassid = 'pg_class'::regclass AND c.oid = m.refobjid
  LEFT JOIN pg_type y ON m.refclassid = 'pg_type'::regclass AND y.oid = m.refobjid
  LEFT JOIN pg_type element ON element.oid = y.typelem AND element.typarray = y.oid
  LEFT JOIN multirange g ON g.oid = y.oid
  LEFT JOIN pg_class r ON r.oid = COALESCE(c.oid, element.typrelid, y.typrelid) AND r.relkind IN ('r', 'p', 'v', 'm', 'f')
  LEFT JOIN member e ON e.classid = m.refclassid AND e.objid = COALESCE(element.oid, m.refobjid)
  LEFT JOIN member re ON re.classid = 'pg_class'::regclass AND re.objid = r.oid
 WHERE m.refclassid <> 'pg_namespace'::regclass OR e.refobjid IS NOT NULL
