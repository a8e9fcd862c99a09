-- Aggregates, for source and destination. What follows is said of the row `o`.
SELECT o.oid, n.nspname, o.proname AS name,
       pg_catalog.format('%I.%I(%s)', n.nspname, o.proname, COALESCE(NULLIF(pg_catalog.oidvectortypes(o.proargtypes), ''), '*')) AS target,
       pg_catalog.array_to_json(o.proargtypes::pg_catalog.oid[]::pg_catalog.int8[]) AS types,
       pg_catalog.concat('CREATE AGGREGATE ', s.signature, ' (', pg_catalog.concat_ws(', ',
           'SFUNC = ' || g.aggtransfn::pg_catalog.regproc::pg_catalog.text,
           'STYPE = ' || pg_catalog.format_type(g.aggtranstype, NULL),
           'SSPACE = ' || NULLIF(g.aggtransspace, 0),
           CASE WHEN g.aggfinalfn <> 0 THEN 'FINALFUNC = ' || g.aggfinalfn::pg_catalog.regproc::pg_catalog.text END,
           CASE WHEN g.aggfinalextra THEN 'FINALFUNC_EXTRA' END,
           'FINALFUNC_MODIFY = ' || CASE g.aggfinalmodify WHEN 'r' THEN 'READ_ONLY' WHEN 's' THEN 'SHAREABLE' ELSE 'READ_WRITE' END,
           CASE WHEN g.aggcombinefn <> 0 THEN 'COMBINEFUNC = ' || g.aggcombinefn::pg_catalog.regproc::pg_catalog.text END,
           CASE WHEN g.aggserialfn <> 0 THEN 'SERIALFUNC = ' || g.aggserialfn::pg_catalog.regproc::pg_catalog.text END,
           CASE WHEN g.aggdeserialfn <> 0 THEN 'DESERIALFUNC = ' || g.aggdeserialfn::pg_catalog.regproc::pg_catalog.text END,
           'INITCOND = ' || pg_catalog.quote_literal(g.agginitval),
           CASE WHEN g.aggmtransfn <> 0 THEN pg_catalog.concat_ws(', ',
               'MSFUNC = ' || g.aggmtransfn::pg_catalog.regproc::pg_catalog.text,
               'MINVFUNC = ' || g.aggminvtransfn::pg_catalog.regproc::pg_catalog.text,
               'MSTYPE = ' || pg_catalog.format_type(g.aggmtranstype, NULL),
               'MSSPACE = ' || NULLIF(g.aggmtransspace, 0),
               CASE WHEN g.aggmfinalfn <> 0 THEN 'MFINALFUNC = ' || g.aggmfinalfn::pg_catalog.regproc::pg_catalog.text END,
               CASE WHEN g.aggmfinalextra THEN 'MFINALFUNC_EXTRA' END,
               'MFINALFUNC_MODIFY = ' || CASE g.aggmfinalmodify WHEN 'r' THEN 'READ_ONLY' WHEN 's' THEN 'SHAREABLE' ELSE 'READ_WRITE' END,
               'MINITCOND = ' || pg_catalog.quote_literal(g.aggminitval)) END,
           'SORTOP = ' || (SELECT pg_catalog.format('OPERATOR(%I.%s)', pn.nspname, p.oprname)
                             FROM pg_catalog.pg_operator p JOIN pg_catalog.pg_namespace pn ON pn.oid = p.oprnamespace WHERE p.oid = g.aggsortop),
           CASE WHEN g.aggkind = 'h' THEN 'HYPOTHETICAL' END,
           'PARALLEL = ' || CASE o.proparallel WHEN 's' THEN 'SAFE' WHEN 'r' THEN 'RESTRICTED' END), ')') AS definition
  FROM pg_catalog.pg_proc o
  JOIN pg_catalog.pg_namespace n ON n.oid = o.pronamespace
  JOIN pg_catalog.pg_aggregate g ON g.aggfnoid = o.oid
 CROSS JOIN LATERAL (
    SELECT pg_catalog.format('%I.%I(%s)', n.nspname, o.proname, COALESCE(NULLIF(pg_catalog.pg_get_function_identity_arguments(o.oid), ''), '*')) AS signature
 ) AS s
 WHERE true
