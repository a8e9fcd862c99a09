-- What the destination has, or could have, of the extensions of a list. Runs on the destination. $1: JSON, name and version of each; the
-- answers have their places in it, from 0 on. A library that has to be preloaded cannot be asked for that: those are known by their names.
WITH wanted AS (
    SELECT w.name, w.version, w.n - 1 AS number
      FROM ROWS FROM (pg_catalog.json_to_recordset($1::pg_catalog.json) AS (name pg_catalog.text, version pg_catalog.text)) WITH ORDINALITY AS w(name, version, n)
), me AS (
    SELECT r.rolsuper, pg_catalog.has_database_privilege(d.oid, 'CREATE') AS may_create
      FROM pg_catalog.pg_roles r, pg_catalog.pg_database d
     WHERE r.rolname OPERATOR(pg_catalog.=) CURRENT_USER AND d.datname OPERATOR(pg_catalog.=) pg_catalog.current_database()
), preloaded AS (
    -- Not everybody sees the setting; who does not may not create these extensions either.
    SELECT ARRAY(SELECT pg_catalog.btrim(l.name, ' "') FROM pg_catalog.unnest(pg_catalog.string_to_array(s.setting, ',')) AS l(name)
                  WHERE pg_catalog.btrim(l.name, ' "') OPERATOR(pg_catalog.<>) '') AS names
      FROM pg_catalog.pg_settings s
     WHERE s.name OPERATOR(pg_catalog.=) 'shared_preload_libraries'
)
SELECT w.number, x.extversion AS installed, n.nspname AS installed_in, a.default_version AS available,
       EXISTS (SELECT FROM pg_catalog.pg_available_extension_versions v
                WHERE v.name OPERATOR(pg_catalog.=) w.name AND v.version OPERATOR(pg_catalog.=) w.version) AS same_available,
       me.rolsuper OR EXISTS (SELECT FROM pg_catalog.pg_available_extension_versions v
                               WHERE v.name OPERATOR(pg_catalog.=) w.name AND v.version OPERATOR(pg_catalog.=) a.default_version
                                 AND (v.trusted AND me.may_create OR NOT v.superuser)) AS may_create,
       CASE WHEN w.name OPERATOR(pg_catalog.=) ANY ('{pg_cron,timescaledb,citus,pgaudit,pg_stat_kcache,pg_qualstats,pg_wait_sampling}'::pg_catalog.text[])
                 AND NOT w.name OPERATOR(pg_catalog.=) ANY (p.names)
            THEN (SELECT pg_catalog.string_agg(pg_catalog.quote_literal(l.name), ', ' ORDER BY l.n)
                    FROM pg_catalog.unnest(pg_catalog.array_append(p.names, w.name)) WITH ORDINALITY AS l(name, n)) END AS libraries
  FROM wanted w
 CROSS JOIN me
  LEFT JOIN preloaded p ON true
  LEFT JOIN pg_catalog.pg_extension x ON x.extname OPERATOR(pg_catalog.=) w.name
  LEFT JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) x.extnamespace
  LEFT JOIN pg_catalog.pg_available_extensions a ON a.name OPERATOR(pg_catalog.=) w.name
 ORDER BY w.number
