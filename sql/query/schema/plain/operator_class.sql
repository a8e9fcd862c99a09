-- Operator classes with their members, for source and destination. Its storage is always said, and stands before the members. What follows is
-- said of the row `o`.
SELECT o.oid, n.nspname, o.opcname AS name, pg_catalog.format('%I.%I USING %I', n.nspname, o.opcname, m.amname) AS target,
       pg_catalog.array_to_json((ARRAY[o.opcintype, COALESCE(NULLIF(o.opckeytype, 0), o.opcintype)] || member.types)::pg_catalog.int8[]) AS types,
       pg_catalog.concat(
           pg_catalog.format('CREATE OPERATOR CLASS %I.%I %sFOR TYPE %s USING %I FAMILY %I.%I AS STORAGE %s', n.nspname, o.opcname,
                             CASE WHEN o.opcdefault THEN 'DEFAULT ' ELSE '' END, pg_catalog.format_type(o.opcintype, NULL), m.amname,
                             fn.nspname, f.opfname, pg_catalog.format_type(COALESCE(NULLIF(o.opckeytype, 0), o.opcintype), NULL)),
           ', ' || member.list) AS definition
  FROM pg_catalog.pg_opclass o
  JOIN pg_catalog.pg_namespace n ON n.oid = o.opcnamespace
  JOIN pg_catalog.pg_am m ON m.oid = o.opcmethod
  JOIN pg_catalog.pg_opfamily f ON f.oid = o.opcfamily
  JOIN pg_catalog.pg_namespace fn ON fn.oid = f.opfnamespace
 CROSS JOIN LATERAL (
    SELECT pg_catalog.string_agg(e.member, ', ' ORDER BY e.is_function, e.number, e.member COLLATE "C") AS list,
           pg_catalog.string_to_array(pg_catalog.string_agg(pg_catalog.array_to_string(e.types, ' '), ' '), ' ')::pg_catalog.oid[] AS types
      FROM (SELECT false AS is_function, a.amopstrategy AS number, ARRAY[a.amoplefttype, a.amoprighttype] AS types,
                   pg_catalog.concat('OPERATOR ', a.amopstrategy, ' ', a.amopopr::pg_catalog.regoperator,
                       (SELECT pg_catalog.format(' FOR ORDER BY %I.%I', sn.nspname, s.opfname)
                          FROM pg_catalog.pg_opfamily s JOIN pg_catalog.pg_namespace sn ON sn.oid = s.opfnamespace WHERE s.oid = a.amopsortfamily)) AS member
              FROM pg_catalog.pg_depend d
              JOIN pg_catalog.pg_amop a ON a.oid = d.objid AND a.amopfamily = o.opcfamily
             WHERE d.refclassid = 'pg_catalog.pg_opclass'::pg_catalog.regclass AND d.refobjid = o.oid AND d.classid = 'pg_catalog.pg_amop'::pg_catalog.regclass
             UNION ALL
            SELECT true, a.amprocnum, ARRAY[a.amproclefttype, a.amprocrighttype] || p.proargtypes::pg_catalog.oid[],
                   pg_catalog.format('FUNCTION %s (%s, %s) %s', a.amprocnum, pg_catalog.format_type(a.amproclefttype, NULL),
                                     pg_catalog.format_type(a.amprocrighttype, NULL), p.oid::pg_catalog.regprocedure)
              FROM pg_catalog.pg_depend d
              JOIN pg_catalog.pg_amproc a ON a.oid = d.objid AND a.amprocfamily = o.opcfamily
              JOIN pg_catalog.pg_proc p ON p.oid = a.amproc
             WHERE d.refclassid = 'pg_catalog.pg_opclass'::pg_catalog.regclass AND d.refobjid = o.oid AND d.classid = 'pg_catalog.pg_amproc'::pg_catalog.regclass
           ) AS e
 ) AS member
 WHERE true
