-- What needs objects, by catalog ($1) and oid ($2), and what needs views and functions among that. A view stands for its query.
WITH RECURSIVE waiting (class, oid) AS (
    SELECT a.class, a.oid FROM unnest($1::oid[], $2::oid[]) AS a (class, oid)
    UNION
    SELECT CASE WHEN w.rulename = '_RETURN' THEN 1259 ELSE d.classid END, CASE WHEN w.rulename = '_RETURN' THEN w.ev_class ELSE d.objid END
      FROM waiting q
      JOIN pg_depend d ON d.refclassid = q.class AND d.refobjid = q.oid AND d.deptype = 'n'
      LEFT JOIN pg_rewrite w ON d.classid = 2618 AND w.oid = d.objid
     WHERE d.classid IN (1247, 1255, 1259, 2604, 2606, 2618, 2620, 3256, 3381)
)
SELECT w.class, w.oid FROM waiting w ORDER BY 1, 2
