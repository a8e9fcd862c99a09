-- Operator families, for source and destination; a statement for each member that is no class's follows the first. What follows is said of the
-- row `o`.
SELECT o.oid, n.nspname, o.opfname AS name, t.target, pg_catalog.array_to_json(member.types::pg_catalog.int8[]) AS types,
       pg_catalog.concat('CREATE OPERATOR FAMILY ', t.target, member.list) AS definition
  FROM pg_catalog.pg_opfamily o
  JOIN pg_catalog.pg_namespace n ON n.oid = o.opfnamespace
  JOIN pg_catalog.pg_am m ON m.oid = o.opfmethod
 CROSS JOIN LATERAL (SELECT pg_catalog.format('%I.%I USING %I', n.nspname, o.opfname, m.amname) AS target) AS t
 CROSS JOIN LATERAL (
    SELECT pg_catalog.string_agg(pg_catalog.concat(E';\nALTER OPERATOR FAMILY ', t.target, ' ADD ', e.member), ''
                                 ORDER BY e.is_function, e.number, e.member COLLATE "C") AS list,
           pg_catalog.string_to_array(pg_catalog.string_agg(pg_catalog.array_to_string(e.types, ' '), ' '), ' ')::pg_catalog.oid[] AS types
      FROM (SELECT false AS is_function, a.amopstrategy AS number, ARRAY[a.amoplefttype, a.amoprighttype] AS types,
                   pg_catalog.concat('OPERATOR ', a.amopstrategy, ' ', a.amopopr::pg_catalog.regoperator,
                       (SELECT pg_catalog.format(' FOR ORDER BY %I.%I', sn.nspname, s.opfname)
                          FROM pg_catalog.pg_opfamily s JOIN pg_catalog.pg_namespace sn ON sn.oid = s.opfnamespace WHERE s.oid = a.amopsortfamily)) AS member
              FROM pg_catalog.pg_depend d
              JOIN pg_catalog.pg_amop a ON a.oid = d.objid AND a.amopfamily = o.oid
             WHERE d.refclassid = 'pg_catalog.pg_opfamily'::pg_catalog.regclass AND d.refobjid = o.oid AND d.classid = 'pg_catalog.pg_amop'::pg_catalog.regclass
               AND d.deptype IN ('a', 'i')
             UNION ALL
            SELECT true, a.amprocnum, ARRAY[a.amproclefttype, a.amprocrighttype] || p.proargtypes::pg_catalog.oid[],
                   pg_catalog.format('FUNCTION %s (%s, %s) %s', a.amprocnum, pg_catalog.format_type(a.amproclefttype, NULL),
                                     pg_catalog.format_type(a.amprocrighttype, NULL), p.oid::pg_catalog.regprocedure)
              FROM pg_catalog.pg_depend d
              JOIN pg_catalog.pg_amproc a ON a.oid = d.objid AND a.amprocfamily = o.oid
              JOIN pg_catalog.pg_proc p ON p.oid = a.amproc
             WHERE d.refclassid = 'pg_catalog.pg_opfamily'::pg_catalog.regclass AND d.refobjid = o.oid AND d.classid = 'pg_catalog.pg_amproc'::pg_catalog.regclass
               AND d.deptype IN ('a', 'i')
           ) AS e
 ) AS member
 WHERE true
