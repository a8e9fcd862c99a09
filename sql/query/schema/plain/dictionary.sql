-- Text search dictionaries, for source and destination. What follows is said of the row `o`.
SELECT o.oid, n.nspname, o.dictname AS name, pg_catalog.format('%I.%I', n.nspname, o.dictname) AS target, NULL AS types,
       pg_catalog.format('CREATE TEXT SEARCH DICTIONARY %I.%I (%s)', n.nspname, o.dictname, pg_catalog.concat_ws(', ',
           pg_catalog.format('TEMPLATE = %I.%I', tn.nspname, t.tmplname), o.dictinitoption)) AS definition
  FROM pg_catalog.pg_ts_dict o
  JOIN pg_catalog.pg_namespace n ON n.oid = o.dictnamespace
  JOIN pg_catalog.pg_ts_template t ON t.oid = o.dicttemplate
  JOIN pg_catalog.pg_namespace tn ON tn.oid = t.tmplnamespace
 WHERE true
