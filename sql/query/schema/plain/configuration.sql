-- Text search configurations, for source and destination; statements for each kind of token follow the first. What follows is said of the
-- row `o`.
SELECT o.oid, n.nspname, o.cfgname AS name, pg_catalog.format('%I.%I', n.nspname, o.cfgname) AS target, NULL AS types,
       pg_catalog.concat(
           pg_catalog.format('CREATE TEXT SEARCH CONFIGURATION %I.%I (PARSER = %I.%I)', n.nspname, o.cfgname, pn.nspname, p.prsname),
           (SELECT pg_catalog.string_agg(pg_catalog.format(E';\nALTER TEXT SEARCH CONFIGURATION %I.%I ADD MAPPING FOR %I WITH %s',
                                                           n.nspname, o.cfgname, m.alias, m.dictionaries), '' ORDER BY m.tokid)
              FROM (SELECT t.tokid, t.alias,
                           pg_catalog.string_agg(pg_catalog.format('%I.%I', dn.nspname, d.dictname), ', ' ORDER BY m.mapseqno) AS dictionaries
                      FROM pg_catalog.ts_token_type(o.cfgparser) AS t
                      JOIN pg_catalog.pg_ts_config_map m ON m.mapcfg = o.oid AND m.maptokentype = t.tokid
                      JOIN pg_catalog.pg_ts_dict d ON d.oid = m.mapdict
                      JOIN pg_catalog.pg_namespace dn ON dn.oid = d.dictnamespace
                     GROUP BY t.tokid, t.alias) AS m)) AS definition
  FROM pg_catalog.pg_ts_config o
  JOIN pg_catalog.pg_namespace n ON n.oid = o.cfgnamespace
  JOIN pg_catalog.pg_ts_parser p ON p.oid = o.cfgparser
  JOIN pg_catalog.pg_namespace pn ON pn.oid = p.prsnamespace
 WHERE true
