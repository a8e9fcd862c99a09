-- Operators that are more than a name, for source and destination. What follows is said of the row `o`.
SELECT o.oid, n.nspname, o.oprname AS name,
       pg_catalog.format('%I.%s (%s, %s)', n.nspname, o.oprname, COALESCE(pg_catalog.format_type(NULLIF(o.oprleft, 0), NULL), 'NONE'),
                         pg_catalog.format_type(o.oprright, NULL)) AS target,
       pg_catalog.array_to_json(ARRAY[o.oprleft, o.oprright]::pg_catalog.int8[]) AS types,
       pg_catalog.concat(pg_catalog.format('CREATE OPERATOR %I.%s (', n.nspname, o.oprname), pg_catalog.concat_ws(', ',
           'FUNCTION = ' || o.oprcode::pg_catalog.regproc::pg_catalog.text,
           'LEFTARG = ' || pg_catalog.format_type(NULLIF(o.oprleft, 0), NULL),
           'RIGHTARG = ' || pg_catalog.format_type(o.oprright, NULL),
           'COMMUTATOR = ' || (SELECT pg_catalog.format('OPERATOR(%I.%s)', pn.nspname, p.oprname)
                                 FROM pg_catalog.pg_operator p JOIN pg_catalog.pg_namespace pn ON pn.oid = p.oprnamespace WHERE p.oid = o.oprcom),
           'NEGATOR = ' || (SELECT pg_catalog.format('OPERATOR(%I.%s)', pn.nspname, p.oprname)
                              FROM pg_catalog.pg_operator p JOIN pg_catalog.pg_namespace pn ON pn.oid = p.oprnamespace WHERE p.oid = o.oprnegate),
           CASE WHEN o.oprrest <> 0 THEN 'RESTRICT = ' || o.oprrest::pg_catalog.regproc::pg_catalog.text END,
           CASE WHEN o.oprjoin <> 0 THEN 'JOIN = ' || o.oprjoin::pg_catalog.regproc::pg_catalog.text END,
           CASE WHEN o.oprcanhash THEN 'HASHES' END,
           CASE WHEN o.oprcanmerge THEN 'MERGES' END), ')') AS definition
  FROM pg_catalog.pg_operator o
  JOIN pg_catalog.pg_namespace n ON n.oid = o.oprnamespace
 WHERE o.oprcode <> 0
