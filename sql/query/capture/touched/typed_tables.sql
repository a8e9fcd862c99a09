     ) AS r
), family (class, oid, is_root, is_alone) AS (
    SELECT r.class, r.oid, r.is_root, r.is_alone FROM root r
    UNION
    SELECT 1259, d.objid, false, r.is_alone
      FROM root r
      JOIN pg_depend d ON d.refclassid = 1247 AND d.refobjid = r.oid AND d.classid = 1259 AND d.objsubid = 0
      JOIN pg_class c ON c.oid = d.objid AND c.reloftype = r.oid
     WHERE r.class = 1247 AND NOT r.is_alone
