-- pg_courier: what has become of commands that change definitions.

CREATE VIEW courier.ddl WITH (security_barrier) AS
SELECT l.id, l.at, t.name AS task, l.author, l.tag, l.command, d.objects, d.statements,
       CASE WHEN d.state IS NOT NULL THEN d.state WHEN t.failed AND t.command_under_way = l.id THEN 'failed' ELSE 'pending' END AS state,
       CASE WHEN d.state IS NOT NULL THEN pg_catalog.replace(d.note, '{task}', pg_catalog.quote_literal(t.name)) WHEN t.failed AND t.command_under_way = l.id
            THEN pg_catalog.concat_ws(E'\n', t.last_error, t.last_error_detail) END AS error,
       CASE WHEN d.state IS NULL AND t.failed AND t.command_under_way = l.id THEN t.last_error_sqlstate END AS error_sqlstate,
       d.ms, d.at AS applied_at
  FROM courier.task t
  JOIN courier.ddl_log l ON l.at >= t.started_at
  LEFT JOIN courier.ddl_done d ON d.task_id = t.id AND d.id = l.id
 WHERE t.ddl <> 'ignore' AND t.incremental
   AND pg_catalog.pg_has_role(t.owner, 'USAGE')
 ORDER BY l.id, t.name;
COMMENT ON VIEW courier.ddl IS
'Commands that changed definitions, and what became of them on the destination of each task: pending, applied, aside (indexes and validations of large tables are left to another session), failed aside, filtered (nothing of it concerns the task), held, failed. For those who may use the task.';
COMMENT ON COLUMN courier.ddl.id IS 'Number of the command; in the order in which they were run, which is not always that of their commits.';
COMMENT ON COLUMN courier.ddl.at IS 'When it was run.';
COMMENT ON COLUMN courier.ddl.task IS 'Name of the task.';
COMMENT ON COLUMN courier.ddl.author IS 'The role that ran it.';
COMMENT ON COLUMN courier.ddl.tag IS 'What kind of command it is.';
COMMENT ON COLUMN courier.ddl.command IS 'Its text, where that is known.';
COMMENT ON COLUMN courier.ddl.objects IS 'What was changed on the destination.';
COMMENT ON COLUMN courier.ddl.statements IS 'By which statements, those that are still to be run aside included.';
COMMENT ON COLUMN courier.ddl.state IS 'pending, applied, aside (something of it is still to be done by another session, while the stream goes on), failed aside (that fails, see error, and is tried again), filtered, held (parts of tables are left out, see error), skipped, replaced, failed.';
COMMENT ON COLUMN courier.ddl.error IS 'Why it failed, here or aside, or is held.';
COMMENT ON COLUMN courier.ddl.error_sqlstate IS 'SQLSTATE of the failure.';
COMMENT ON COLUMN courier.ddl.ms IS 'Milliseconds that it took on the destination, waiting for locks included.';
COMMENT ON COLUMN courier.ddl.applied_at IS 'When that was.';

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
'Lets a task create functions, views and rules that this role of the source owns, those that are held included. Superusers of the source and the owner of the task are trusted anyway. What runs with the rights of its owner runs with those of the task''s user on the destination. The task must not be running. Errors: 55000 it is, 42704 there is no such role.';

CREATE FUNCTION courier.distrust_role(task text, role text) RETURNS void
    LANGUAGE c VOLATILE
    AS 'MODULE_PATHNAME', 'distrust_role_wrapper';
COMMENT ON FUNCTION courier.distrust_role(text, text) IS
'Lets a task create nothing any more that this role owns; what it has created stays as it is. The task must not be running. Errors: 55000 it is.';

CREATE FUNCTION courier.set_ddl_policy(task text, kind text, policy text, pattern text DEFAULT '*.*') RETURNS void
    LANGUAGE c VOLATILE
    AS 'MODULE_PATHNAME', 'set_ddl_policy_wrapper';
COMMENT ON FUNCTION courier.set_ddl_policy(text, text, text, text) IS
'What a task with ddl => ''replicate'' does about commands on things of a kind whose table, view or function the pattern names; of several patterns the one with most letters counts. kind: table, drop table, view, materialized view, function, index, check, foreign key, trigger, rule, policy, statistics, comment, privileges. policy: replicate; hold leaves the destination as it is and says so in courier.ddl; ignore leaves it as it is; stop stops the task before the command; refuse lets the command fail on the source. Tables cannot be held or ignored, as rows need them; with drop table held or ignored, a table that is dropped stays there. After hold or ignore, courier.capture() brings what is missing. The task must not be running. Errors: 22023 unknown kind, policy or bad pattern, 55000 the task is running.';

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
