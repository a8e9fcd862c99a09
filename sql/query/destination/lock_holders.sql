-- Sessions that hold locks on relations which a statement names. Runs on the destination. $1: the statement. Names are compared without
-- their quotes; texts of others are put on one line.
SELECT DISTINCT l.pid,
       CASE WHEN l.pid IS NULL THEN 'a prepared transaction'
            ELSE format('pid %s (%s)', l.pid, concat_ws(', ', one_line.usename, NULLIF(one_line.application_name, ''), a.state,
                        'transaction since ' || date_trunc('second', a.xact_start))) END AS who,
       NULLIF(one_line.query, '') AS statement
  FROM pg_catalog.pg_locks l
  JOIN pg_catalog.pg_class c ON c.oid = l.relation AND c.oid >= 16384
  JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
  LEFT JOIN pg_catalog.pg_stat_activity a ON a.pid = l.pid
 CROSS JOIN LATERAL (
       SELECT regexp_replace(a.usename, '[[:cntrl:]]+', ' ', 'g') AS usename,
              regexp_replace(a.application_name, '[[:cntrl:]]+', ' ', 'g') AS application_name,
              left(regexp_replace(a.query, '[[:space:][:cntrl:]]+', ' ', 'g'), 200) AS query) AS one_line
 WHERE l.locktype = 'relation' AND l.granted AND l.pid IS DISTINCT FROM pg_backend_pid()
   AND l.database = (SELECT d.oid FROM pg_catalog.pg_database d WHERE d.datname = current_database())
   AND strpos(translate($1, '();,"', '    ') || ' ', translate(n.nspname || '.' || c.relname, '();,"', '    ') || ' ') > 0
 ORDER BY l.pid
 LIMIT 5
