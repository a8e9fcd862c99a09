-- pg_courier: what has become of commands that change definitions.

CREATE FUNCTION courier.command_status(
    OUT task_id integer, OUT command bigint, OUT waits_since timestamptz, OUT holders text, OUT statements text
) RETURNS SETOF record
    LANGUAGE c VOLATILE STRICT
    AS 'MODULE_PATHNAME', 'command_waits_wrapper';
COMMENT ON FUNCTION courier.command_status() IS
'Internal: commands that wait for locks on the destination, of the caller''s tasks, and for members of pg_monitor of all, without the statements of those who hold them. See view courier.ddl.';

CREATE VIEW courier.uncaptured WITH (security_barrier) AS
SELECT w.name AS object,
       CASE WHEN e.evtname IS NULL THEN 'The event trigger does not exist: commands are not captured.'
            WHEN e.evtenabled = 'D' THEN 'The event trigger is disabled: commands are not captured.'
            ELSE 'The event trigger does not fire in every session (session_replication_role): commands of some are not captured.' END AS detail,
       pg_catalog.concat(CASE WHEN e.evtname IS NULL THEN pg_catalog.format('CREATE EVENT TRIGGER %I ON %s EXECUTE FUNCTION courier.capture_ddl(); ', w.name, w.event) END,
                         pg_catalog.format('ALTER EVENT TRIGGER %I ENABLE ALWAYS;', w.name)) AS fix, 'source' AS place
  FROM (VALUES ('pg_courier_ddl', 'ddl_command_end'), ('pg_courier_ddl_drop', 'sql_drop'), ('pg_courier_ddl_rewrite', 'table_rewrite')) AS w(name, event)
  LEFT JOIN pg_catalog.pg_event_trigger e ON e.evtname = w.name
 WHERE e.evtenabled IS DISTINCT FROM 'A'
UNION ALL
-- From 17 on a setting switches all of them off.
SELECT 'event_triggers', 'Setting event_triggers is off: no event trigger fires, and commands are not captured.',
       'ALTER SYSTEM SET event_triggers = on; SELECT pg_reload_conf();', 'reload'
  FROM pg_catalog.pg_settings g
 WHERE g.name = 'event_triggers' AND g.reset_val = 'off' AND g.source NOT IN ('database', 'user', 'database user', 'client')
UNION ALL
SELECT COALESCE('role ' || pg_catalog.quote_ident(r.rolname), 'database ' || pg_catalog.quote_ident(d.datname)),
       'Its sessions have event_triggers = off: their commands are not captured.',
       CASE WHEN r.rolname IS NULL THEN pg_catalog.format('ALTER DATABASE %I RESET event_triggers;', d.datname)
            ELSE pg_catalog.format('ALTER ROLE %I%s RESET event_triggers;', r.rolname, ' IN DATABASE ' || pg_catalog.quote_ident(d.datname)) END, 'source'
  FROM pg_catalog.pg_db_role_setting g
  LEFT JOIN pg_catalog.pg_database d ON d.oid = g.setdatabase
  LEFT JOIN pg_catalog.pg_roles r ON r.oid = g.setrole
 WHERE (g.setdatabase = 0 OR d.datname = pg_catalog.current_database())
   AND EXISTS (SELECT FROM pg_catalog.unnest(g.setconfig) AS c
                WHERE pg_catalog.split_part(c, '=', 1) = 'event_triggers' AND NOT pg_catalog.split_part(c, '=', 2)::boolean);
COMMENT ON VIEW courier.uncaptured IS 'Internal: why commands are not captured that change definitions.';

CREATE VIEW courier.ddl WITH (security_barrier) AS
SELECT l.id, l.at, t.name AS task, l.author, l.tag, l.command, d.objects, d.statements,
       CASE WHEN d.state IS NOT NULL THEN d.state
            WHEN t.failed AND t.command_under_way = l.id THEN 'failed'
            WHEN w.command = l.id THEN 'waiting for lock'
            WHEN t.copies THEN 'waiting for copy'
            ELSE 'pending' END AS state,
       CASE WHEN d.state IS NOT NULL THEN pg_catalog.replace(d.note, '{task}', pg_catalog.quote_literal(t.name)) WHEN t.failed AND t.command_under_way = l.id
            THEN pg_catalog.concat_ws(E'\n', t.last_error, t.last_error_detail) END AS error,
       CASE WHEN d.state IS NULL AND t.failed AND t.command_under_way = l.id THEN t.last_error_sqlstate END AS error_sqlstate,
       d.ms, d.at AS applied_at,
       CASE WHEN d.state IS NOT NULL OR t.failed AND t.command_under_way = l.id THEN NULL
            WHEN w.command = l.id THEN w.waits_since WHEN t.copies THEN t.stage_at END AS waits_since,
       CASE WHEN d.state IS NOT NULL OR t.failed AND t.command_under_way = l.id THEN NULL
            WHEN w.command = l.id THEN w.statements
            WHEN t.copies THEN (SELECT 'copy of ' || pg_catalog.string_agg(k.shown, ', ')
                                  FROM (SELECT (SELECT pg_catalog.format('%I.%I', n[1], n[2]) FROM pg_catalog.parse_ident(c.table_name) AS n) AS shown
                                          FROM courier.task_table c
                                         WHERE c.task_id = t.id AND c.kind = 'r' AND c.state IN ('init', 'datasync') ORDER BY 1 LIMIT 5) AS k) END AS waits_for
  FROM (SELECT x.*, x.wanted = 'running' AND NOT x.failed AND x.stage IN ('schema_sync', 'full_copy', 'post_data') AS copies FROM courier.task x) AS t
  JOIN courier.ddl_log l ON l.at >= t.started_at
  LEFT JOIN courier.ddl_done d ON d.task_id = t.id AND d.id = l.id
  LEFT JOIN courier.command_status() w ON w.task_id = t.id
 WHERE t.ddl <> 'ignore' AND t.incremental
   AND pg_catalog.pg_has_role(t.owner, 'USAGE')
 ORDER BY l.id, t.name;
COMMENT ON VIEW courier.ddl IS
'Commands that changed definitions, and what became of them on the destination of each task: pending, waiting for lock, waiting for copy, applied, aside (indexes and validations of large tables, partitions detached CONCURRENTLY, and rows of large materialized views are left to another session), failed aside, filtered (nothing of it concerns the task), held, failed. For those who may use the task.';
COMMENT ON COLUMN courier.ddl.id IS 'Number of the command; in the order in which they were run, which is not always that of their commits.';
COMMENT ON COLUMN courier.ddl.at IS 'When it was run.';
COMMENT ON COLUMN courier.ddl.task IS 'Name of the task.';
COMMENT ON COLUMN courier.ddl.author IS 'The role that ran it.';
COMMENT ON COLUMN courier.ddl.tag IS 'What kind of command it is.';
COMMENT ON COLUMN courier.ddl.command IS 'Its text, where that is known.';
COMMENT ON COLUMN courier.ddl.objects IS 'What was changed on the destination.';
COMMENT ON COLUMN courier.ddl.statements IS 'By which statements, those that are still to be run aside included.';
COMMENT ON COLUMN courier.ddl.state IS 'pending, waiting for lock (of the destination), waiting for copy (of a table; nothing is applied before), applied, aside (something of it is still to be done by another session, while the stream goes on), failed aside (that fails, see error, and is tried again), filtered, held (parts of tables are left out, see error), skipped, replaced, failed.';
COMMENT ON COLUMN courier.ddl.error IS 'Why it failed, here or aside, or is held.';
COMMENT ON COLUMN courier.ddl.error_sqlstate IS 'SQLSTATE of the failure.';
COMMENT ON COLUMN courier.ddl.ms IS 'Milliseconds that it took on the destination, waiting for locks included.';
COMMENT ON COLUMN courier.ddl.applied_at IS 'When that was.';
COMMENT ON COLUMN courier.ddl.waits_since IS 'Since when it waits for a lock or a copy.';
COMMENT ON COLUMN courier.ddl.waits_for IS 'Sessions of the destination that hold locks on what it changes, one a line: process, user, application, state, and the beginning of the statement, as far as the user of the task may see it there; or the tables that are copied.';

CREATE VIEW courier.ddl_attention WITH (security_barrier) AS
SELECT t.name AS task, t.command_under_way AS id, 'failed' AS what, t.last_error_at AS since, NULL::text AS detail
  FROM courier.task t
 WHERE t.failed AND t.command_under_way IS NOT NULL AND (pg_catalog.pg_has_role(t.owner, 'USAGE') OR pg_catalog.pg_has_role('pg_monitor', 'USAGE'))
UNION ALL
SELECT t.name, w.command, 'waiting for lock', w.waits_since, w.holders
  FROM courier.command_status() w
  JOIN courier.task t ON t.id = w.task_id AND t.wanted = 'running' AND NOT t.failed
UNION ALL
SELECT t.name, l.id, 'waiting for copy', t.stage_at, NULL
  FROM courier.task t
 CROSS JOIN LATERAL (
       SELECT pg_catalog.min(l.id) AS id FROM courier.ddl_log l
        WHERE l.at >= t.started_at AND NOT EXISTS (SELECT FROM courier.ddl_done d WHERE d.task_id = t.id AND d.id = l.id)) AS l
 WHERE t.ddl <> 'ignore' AND t.incremental AND t.wanted = 'running' AND NOT t.failed AND t.stage IN ('schema_sync', 'full_copy', 'post_data') AND l.id IS NOT NULL
   AND (pg_catalog.pg_has_role(t.owner, 'USAGE') OR pg_catalog.pg_has_role('pg_monitor', 'USAGE'))
UNION ALL
SELECT t.name, d.id, 'held', d.at, pg_catalog.replace(d.note, '{task}', pg_catalog.quote_literal(t.name))
  FROM courier.ddl_done d
  JOIN courier.task t ON t.id = d.task_id AND t.ddl <> 'ignore'
 WHERE d.state = 'held' AND (pg_catalog.pg_has_role(t.owner, 'USAGE') OR pg_catalog.pg_has_role('pg_monitor', 'USAGE'));
COMMENT ON VIEW courier.ddl_attention IS 'Internal: commands that somebody should know of: failed, held, waiting.';

CREATE FUNCTION courier.ddl_skip(task text, id bigint) RETURNS void
    LANGUAGE c VOLATILE
    AS 'MODULE_PATHNAME', 'ddl_skip_wrapper';
COMMENT ON FUNCTION courier.ddl_skip(text, bigint) IS
'Lets a task that has stopped at a command (courier.ddl, state failed) go on without it, or gives up what a command has left to be done aside (states aside, failed aside). What the command changed is missing on the destination until the next command on the same object brings it, and rows that need it stop the task. Errors: 55000 the task has not stopped at a command and has nothing of it to do aside, 22023 at another one.';

CREATE FUNCTION courier.ddl_replace(task text, id bigint, statement text) RETURNS void
    LANGUAGE c VOLATILE
    AS 'MODULE_PATHNAME', 'ddl_replace_wrapper';
COMMENT ON FUNCTION courier.ddl_replace(text, bigint, text) IS
'Lets a task that has stopped at a command (courier.ddl, state failed) run this statement on the destination in its place, with the rights of the task''s user there and in the transaction of the command, and go on. Errors: 55000 the task has not stopped at a command, 22023 at another one.';

CREATE FUNCTION courier.approve_ddl(task text, id bigint) RETURNS void
    LANGUAGE c VOLATILE
    AS 'MODULE_PATHNAME', 'approve_ddl_wrapper';
COMMENT ON FUNCTION courier.approve_ddl(text, bigint) IS
'Lets a task create the functions, views and rules of a command (courier.ddl, state held) whose owners it does not trust, as they were in that command, and what waits for them. They run with the rights of whoever uses them on the destination, and as the task''s user where they are SECURITY DEFINER, views or rules: read them first. Errors: 55000 nothing of the command waits for that, or something has changed since.';

CREATE FUNCTION courier.trust_role(task text, role text) RETURNS void
    LANGUAGE c VOLATILE
    AS 'MODULE_PATHNAME', 'trust_role_wrapper';
COMMENT ON FUNCTION courier.trust_role(text, text) IS
'Lets a task create functions, views and rules that this role of the source owns, those that are held included. Superusers of the source and the owner of the task are trusted anyway. What runs with the rights of its owner runs with those of the task''s user on the destination. Errors: 42704 there is no such role.';

CREATE FUNCTION courier.distrust_role(task text, role text) RETURNS void
    LANGUAGE c VOLATILE
    AS 'MODULE_PATHNAME', 'distrust_role_wrapper';
COMMENT ON FUNCTION courier.distrust_role(text, text) IS
'Lets a task create nothing any more that this role owns; what it has created stays as it is.';

CREATE FUNCTION courier.set_ddl_policy(task text, kind text, policy text, pattern text DEFAULT '*.*') RETURNS void
    LANGUAGE c VOLATILE
    AS 'MODULE_PATHNAME', 'set_ddl_policy_wrapper';
COMMENT ON FUNCTION courier.set_ddl_policy(text, text, text, text) IS
'What a task with ddl => ''replicate'' does about commands on things of a kind whose table, view or function the pattern names; of several patterns the one with most letters counts. kind: table, drop table, view, materialized view, function, index, check, foreign key, trigger, rule, policy, statistics, comment, privileges. policy: replicate; hold leaves the destination as it is and says so in courier.ddl; ignore leaves it as it is; stop stops the task before the command; refuse lets the command fail on the source. Tables cannot be held or ignored, as rows need them; with drop table held or ignored, a table that is dropped stays there. After hold or ignore, courier.capture() brings what is missing. Errors: 22023 unknown kind, policy or bad pattern.';

CREATE VIEW courier.ddl_policies WITH (security_barrier) AS
SELECT t.name AS task, p.kind, p.pattern, p.policy
  FROM courier.ddl_policy p
  JOIN courier.task t ON t.id = p.task_id
 WHERE pg_catalog.pg_has_role(t.owner, 'USAGE')
 ORDER BY t.name, p.kind, p.pattern;
COMMENT ON VIEW courier.ddl_policies IS 'What tasks do about commands on things of a kind, as far as that was said with courier.set_ddl_policy(). For those who may use the task.';
COMMENT ON COLUMN courier.ddl_policies.task IS 'Name of the task.';
COMMENT ON COLUMN courier.ddl_policies.kind IS 'Kind of things.';
COMMENT ON COLUMN courier.ddl_policies.pattern IS 'Names of tables, views or functions.';
COMMENT ON COLUMN courier.ddl_policies.policy IS 'replicate, hold, ignore, stop or refuse.';
