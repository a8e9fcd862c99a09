-- pg_courier: views and functions of the extension.
-- Functions that act on behalf of a task check membership in the task's owner themselves; EXECUTE decides who may try.

-- ---------------------------------------------------------------------------------------------------------------------
-- What the workers say, from shared memory
-- ---------------------------------------------------------------------------------------------------------------------

CREATE FUNCTION courier.task_status(
    OUT id integer, OUT supervisor_pid integer, OUT apply_pid integer, OUT received_lsn pg_lsn, OUT applied_lsn pg_lsn,
    OUT current_at timestamptz, OUT transactions bigint, OUT changes bigint, OUT rows_per_second bigint,
    OUT bytes_per_second bigint, OUT phase text, OUT phase_since timestamptz, OUT awaits_there integer
) RETURNS SETOF record
    LANGUAGE c VOLATILE STRICT
    AS 'MODULE_PATHNAME', 'task_positions_wrapper';
COMMENT ON FUNCTION courier.task_status() IS 'Internal: live figures of the tasks that have processes. See view courier.tasks.';

CREATE FUNCTION courier.copy_status(
    OUT task_id integer, OUT relid oid, OUT rows bigint, OUT bytes bigint, OUT seconds double precision, OUT pid integer,
    OUT moved_at timestamptz
) RETURNS SETOF record
    LANGUAGE c VOLATILE STRICT
    AS 'MODULE_PATHNAME', 'copy_figures_wrapper';
COMMENT ON FUNCTION courier.copy_status() IS 'Internal: tables being copied now. See view courier.progress.';

CREATE FUNCTION courier.progress_bar(percent numeric) RETURNS text
    LANGUAGE sql IMMUTABLE STRICT
    SET search_path = pg_catalog, pg_temp
    AS $$ SELECT rpad(repeat('#', (least(greatest(percent, 0), 100) / 5)::integer), 20, '.') $$;
COMMENT ON FUNCTION courier.progress_bar(numeric) IS 'Twenty characters that show a percentage.';

CREATE FUNCTION courier.wal_end() RETURNS pg_lsn
    LANGUAGE sql VOLATILE
    SET search_path = pg_catalog, pg_temp
    AS $$ SELECT CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_flush_lsn() END $$;
COMMENT ON FUNCTION courier.wal_end() IS 'Where the durable WAL of this server ends; on a standby, what it has replayed.';

-- What a task is doing is told by facts that stay when its processes are gone, wherever one is to be had: a figure that vanishes with
-- them must not look like good news.
CREATE VIEW courier.task_details WITH (security_barrier) AS
WITH t AS (
    SELECT t.*, l.supervisor_pid, l.apply_pid, l.received_lsn, l.transactions, l.changes, l.rows_per_second, l.bytes_per_second, l.phase, l.phase_since, l.awaits_there,
           t.wanted = 'running' AND NOT t.failed AS runs,
           t.incremental AND t.wanted IN ('running', 'paused') AS delays,
           pg_catalog.pg_has_role(t.owner, 'USAGE') AS mine,
           -- Of a worker that is gone only what the slot has confirmed is certain.
           CASE WHEN l.apply_pid IS NOT NULL AND l.applied_lsn IS NOT NULL THEN l.applied_lsn
                ELSE GREATEST(r.confirmed_flush_lsn, t.slot_lsn) END AS applied_at,
           COALESCE(l.current_at, GREATEST(h.current_at, t.current_at), t.started_at) AS as_of
      FROM courier.task t
      LEFT JOIN courier.task_status() l ON l.id = t.id
      LEFT JOIN courier.heartbeat h ON h.task_id = t.id
      LEFT JOIN pg_catalog.pg_replication_slots r
             ON r.slot_name = 'courier_' || t.name AND r.plugin = 'pg_courier' AND r.database = pg_catalog.current_database()
     WHERE pg_catalog.pg_has_role(t.owner, 'USAGE') OR pg_catalog.pg_has_role('pg_monitor', 'USAGE')
), s AS (
    SELECT t.*,
           CASE WHEN t.failed THEN 'failed'
                WHEN t.wanted <> 'running' THEN t.wanted
                WHEN t.retry_at IS NOT NULL OR t.trouble_since IS NOT NULL AND t.last_error IS NOT NULL THEN 'retrying'
                WHEN NOT t.reached OR t.supervisor_pid IS NULL OR t.stage = 'created' THEN 'starting'
                WHEN t.stage = 'post_data' THEN 'full_copy'
                ELSE t.stage
           END AS state
      FROM t
)
SELECT t.name AS task,
       f.srvname AS server,
       pg_catalog.pg_get_userbyid(t.owner) AS owner,
       t.state,
       CASE WHEN t.wanted = 'finished' OR NOT t.runs AND t.stage = 'created' THEN t.wanted
            WHEN NOT t.runs THEN pg_catalog.replace(t.stage, '_', ' ')
            WHEN t.supervisor_pid IS NULL THEN 'waiting for a worker'
            WHEN t.retry_at IS NOT NULL THEN 'waiting before the next attempt'
            ELSE COALESCE(NULLIF(t.phase, ''), pg_catalog.replace(t.stage, '_', ' '))
       END AS phase,
       CASE WHEN t.runs AND t.retry_at IS NULL THEN t.phase_since END AS phase_since,
       -- Who keeps a new slot, and the first copy, from beginning.
       CASE WHEN t.state = 'starting' AND t.supervisor_pid IS NOT NULL
            THEN NULLIF(pg_catalog.pg_blocking_pids(t.supervisor_pid)
                        || COALESCE(pg_catalog.pg_blocking_pids(t.apply_pid), '{}'), '{}') END AS waits_for,
       CASE WHEN t.runs AND t.retry_at IS NULL THEN t.awaits_there END AS awaits_there,
       CASE WHEN t.delays THEN GREATEST(pg_catalog.pg_wal_lsn_diff(courier.wal_end(), t.applied_at), 0)::bigint END AS lag_bytes,
       CASE WHEN t.delays THEN GREATEST(pg_catalog.round(EXTRACT(epoch FROM pg_catalog.clock_timestamp() - t.as_of)::numeric, 3), 0) END AS lag_seconds,
       CASE WHEN t.delays THEN t.as_of END AS current_at,
       t.received_lsn,
       t.applied_at AS applied_lsn,
       t.slot_lsn,
       t.transactions,
       t.changes,
       t.rows_per_second,
       t.bytes_per_second,
       -- Errors may name keys and values of rows.
       CASE WHEN t.mine OR t.last_error IS NULL THEN t.last_error
            ELSE pg_catalog.format('error %s, whose text is for those who may use the task', t.last_error_sqlstate) END AS last_error,
       CASE WHEN t.mine THEN t.last_error_detail END AS last_error_detail,
       CASE WHEN t.mine THEN t.last_error_hint END AS last_error_hint,
       t.last_error_sqlstate,
       t.last_error_lsn,
       t.last_error_at,
       t.trouble_since,
       t.retry_at,
       t.supervisor_pid,
       t.apply_pid,
       t.reached,
       t.stage,
       t.schema_sync,
       t.full_copy,
       t.incremental,
       t.conflict,
       t.forward_origins,
       t.ddl,
       t.include,
       t.exclude,
       t.created_at,
       t.started_at,
       t.asked_at,
       t.stage_at,
       t.finished_at
  FROM s t
  LEFT JOIN pg_catalog.pg_foreign_server f ON f.oid = t.server
 ORDER BY t.name;
COMMENT ON VIEW courier.task_details IS
'Everything about the tasks of this database that the current role may use, and for members of pg_monitor about all of them. In psql \x shows it best.';
COMMENT ON COLUMN courier.task_details.task IS 'Name of the task; its slot is courier_<task>.';
COMMENT ON COLUMN courier.task_details.server IS 'The foreign server that says where the destination is.';
COMMENT ON COLUMN courier.task_details.owner IS 'The role that created the task and whose rights it works with.';
COMMENT ON COLUMN courier.task_details.state IS 'created, starting, schema_sync, full_copy, catching_up, synchronizing, retrying, paused, failed, finished. retrying: an error that may pass keeps it from getting further; starting: it has not reached its destination since it was started or resumed.';
COMMENT ON COLUMN courier.task_details.phase IS 'What is being done now, in words.';
COMMENT ON COLUMN courier.task_details.phase_since IS 'Since when; null where no process of the task says.';
COMMENT ON COLUMN courier.task_details.waits_for IS 'Process ids of transactions that a starting task has to wait for; 0 is a prepared transaction.';
COMMENT ON COLUMN courier.task_details.awaits_there IS 'Process id, on the destination, of an earlier session of the task whose statement has to end first; 0 where its process is gone.';
COMMENT ON COLUMN courier.task_details.lag_bytes IS 'Bytes of WAL that the destination does not have yet; while no worker runs, that the slot has not confirmed. Null only for tasks without changes to apply (created, finished), and until the slot is there.';
COMMENT ON COLUMN courier.task_details.lag_seconds IS 'Seconds since current_at. Null only for tasks without changes to apply.';
COMMENT ON COLUMN courier.task_details.current_at IS 'What was committed on the source before this time is on the destination; before that is known, when the task was started first.';
COMMENT ON COLUMN courier.task_details.received_lsn IS 'WAL decoded up to here; null while no worker runs.';
COMMENT ON COLUMN courier.task_details.applied_lsn IS 'Everything before is on the destination.';
COMMENT ON COLUMN courier.task_details.slot_lsn IS 'Where the slot of the task started.';
COMMENT ON COLUMN courier.task_details.transactions IS 'Source transactions applied since the processes of the task started.';
COMMENT ON COLUMN courier.task_details.changes IS 'Rows changed on the destination since then.';
COMMENT ON COLUMN courier.task_details.rows_per_second IS 'Rows copied or changed a second, now.';
COMMENT ON COLUMN courier.task_details.bytes_per_second IS 'Bytes sent to the destination a second, now.';
COMMENT ON COLUMN courier.task_details.last_error IS 'The last error since the task was started or resumed; its text is for those who may use the task.';
COMMENT ON COLUMN courier.task_details.last_error_detail IS 'Its detail, with table, key and LSN; only for those who may use the task.';
COMMENT ON COLUMN courier.task_details.last_error_hint IS 'What to do about it; null once the task goes on.';
COMMENT ON COLUMN courier.task_details.last_error_sqlstate IS 'Its SQLSTATE.';
COMMENT ON COLUMN courier.task_details.last_error_lsn IS 'The change at which the task stopped, for courier.skip_change(); null if no change is to blame.';
COMMENT ON COLUMN courier.task_details.last_error_at IS 'When it happened last.';
COMMENT ON COLUMN courier.task_details.trouble_since IS 'Since when errors have kept the task from getting further; null while none does.';
COMMENT ON COLUMN courier.task_details.retry_at IS 'When the next attempt is due.';
COMMENT ON COLUMN courier.task_details.supervisor_pid IS 'Process id of its supervisor; null while there is none.';
COMMENT ON COLUMN courier.task_details.apply_pid IS 'Process id of its apply worker; null while there is none.';
COMMENT ON COLUMN courier.task_details.reached IS 'Has it reached its destination since it was started or resumed?';
COMMENT ON COLUMN courier.task_details.stage IS 'How far it has come: created, schema_sync, full_copy, post_data, catching_up, synchronizing.';
COMMENT ON COLUMN courier.task_details.schema_sync IS 'Does it create the tables?';
COMMENT ON COLUMN courier.task_details.full_copy IS 'Does it copy the rows that are there?';
COMMENT ON COLUMN courier.task_details.incremental IS 'Does it follow changes?';
COMMENT ON COLUMN courier.task_details.conflict IS 'What becomes of a change that meets another row than expected: error, ignore, overwrite.';
COMMENT ON COLUMN courier.task_details.forward_origins IS 'Are changes sent on that came to the source by replication?';
COMMENT ON COLUMN courier.task_details.ddl IS 'What becomes of commands that change definitions: replicate, ignore, stop, refuse.';
COMMENT ON COLUMN courier.task_details.include IS 'Patterns of tables that it covers.';
COMMENT ON COLUMN courier.task_details.exclude IS 'Patterns of tables that it leaves out.';
COMMENT ON COLUMN courier.task_details.created_at IS 'When it was created.';
COMMENT ON COLUMN courier.task_details.started_at IS 'When it was started first; its tables were fixed then.';
COMMENT ON COLUMN courier.task_details.asked_at IS 'When it was started or resumed last.';
COMMENT ON COLUMN courier.task_details.stage_at IS 'When it came to its stage.';
COMMENT ON COLUMN courier.task_details.finished_at IS 'When a task without changes to follow was done.';

CREATE VIEW courier.tasks WITH (security_barrier) AS
SELECT d.task, d.server, d.owner, d.state,
       d.phase || COALESCE('; waits for pid ' || pg_catalog.array_to_string(d.waits_for, ', '), '') AS phase,
       d.lag_bytes, d.lag_seconds, d.last_error, d.last_error_hint, d.last_error_lsn
  FROM courier.task_details d
 ORDER BY d.task;
COMMENT ON VIEW courier.tasks IS
'The tasks of this database that the current role may use, and for members of pg_monitor all of them: state, what is being done, lag (bytes of WAL, seconds), the last error with its hint. courier.task_details has the rest.';
COMMENT ON COLUMN courier.tasks.task IS 'Name of the task; its slot is courier_<task>.';
COMMENT ON COLUMN courier.tasks.server IS 'The foreign server that says where the destination is.';
COMMENT ON COLUMN courier.tasks.owner IS 'The role that created the task and whose rights it works with.';
COMMENT ON COLUMN courier.tasks.state IS 'created, starting, schema_sync, full_copy, catching_up, synchronizing, retrying, paused, failed, finished.';
COMMENT ON COLUMN courier.tasks.phase IS 'What is being done now, in words, and what it waits for.';
COMMENT ON COLUMN courier.tasks.lag_bytes IS 'Bytes of WAL that the destination does not have yet; while no worker runs, that the slot has not confirmed.';
COMMENT ON COLUMN courier.tasks.lag_seconds IS 'Seconds since everything that was committed was on the destination, as far as is known.';
COMMENT ON COLUMN courier.tasks.last_error IS 'The last error since the task was started or resumed; its text is for those who may use the task.';
COMMENT ON COLUMN courier.tasks.last_error_hint IS 'What to do about it; null once the task goes on.';
COMMENT ON COLUMN courier.tasks.last_error_lsn IS 'The change at which the task stopped, for courier.skip_change().';

CREATE VIEW courier.progress WITH (security_barrier) AS
SELECT p.task, p.table_name, p.state, p.rows, p.bytes, p.percent, courier.progress_bar(p.percent) AS bar,
       p.rows_per_second,
       CASE WHEN p.state = 'datasync' AND p.percent > 0 AND p.percent < 100
            THEN pg_catalog.make_interval(secs => pg_catalog.round((p.seconds * (100 - p.percent) / p.percent)::numeric)::double precision)
       END AS time_left
  FROM (SELECT t.name AS task,
               (SELECT pg_catalog.format('%I.%I', n[1], n[2]) FROM pg_catalog.parse_ident(tt.table_name) AS n) AS table_name,
               tt.state,
               COALESCE(c.rows, tt.copied_rows, 0) AS rows,
               COALESCE(c.bytes, tt.copied_bytes, 0) AS bytes,
               CASE WHEN tt.state IN ('finishedcopy', 'catchup', 'ready') THEN 100
                    WHEN c.rows IS NULL THEN 0
                    WHEN tt.total_rows > 0 THEN LEAST(pg_catalog.round(100.0 * c.rows / tt.total_rows, 1), 99.9)
                    WHEN tt.total_bytes > 0 THEN LEAST(pg_catalog.round(100.0 * c.bytes / tt.total_bytes, 1), 99.9)
                    ELSE 0
               END AS percent,
               c.seconds,
               CASE WHEN c.seconds > 0 THEN (c.rows / c.seconds)::bigint
                    WHEN tt.finished_at > tt.started_at
                    THEN (tt.copied_rows / EXTRACT(epoch FROM tt.finished_at - tt.started_at))::bigint
               END AS rows_per_second
          FROM courier.task_table tt
          JOIN courier.task t ON t.id = tt.task_id
          LEFT JOIN courier.copy_status() c ON c.task_id = tt.task_id AND c.relid = tt.relid
         WHERE tt.kind = 'r'
           AND (pg_catalog.pg_has_role(t.owner, 'USAGE') OR pg_catalog.pg_has_role('pg_monitor', 'USAGE'))) p
 -- With thousands of tables those that move are to be seen first.
 ORDER BY p.task, p.state <> 'datasync', p.table_name;
COMMENT ON VIEW courier.progress IS
'The tables of each task: state (init, datasync, finishedcopy, catchup, ready), rows and bytes copied, percent of the estimate, rows a second, time left. Made for \watch 1.';
COMMENT ON COLUMN courier.progress.task IS 'Name of the task.';
COMMENT ON COLUMN courier.progress.table_name IS 'The table, as it was called when the task was started.';
COMMENT ON COLUMN courier.progress.state IS 'init, datasync (being copied), finishedcopy, catchup (changes made during the copy are applied), ready.';
COMMENT ON COLUMN courier.progress.rows IS 'Rows copied.';
COMMENT ON COLUMN courier.progress.bytes IS 'Bytes copied, as sent.';
COMMENT ON COLUMN courier.progress.percent IS 'Of the number of rows, or of bytes where the table was never analyzed.';
COMMENT ON COLUMN courier.progress.bar IS 'The same as twenty characters.';
COMMENT ON COLUMN courier.progress.rows_per_second IS 'Average since the copy of the table began.';
COMMENT ON COLUMN courier.progress.time_left IS 'At this rate.';

CREATE VIEW courier.progress_total WITH (security_barrier) AS
SELECT d.task, d.state, d.phase, p.tables, p.copied, p.rows, p.bytes,
       p.percent, courier.progress_bar(p.percent) AS bar, p.rows_per_second, p.bytes_per_second
  FROM courier.task_details d
  JOIN courier.task k ON k.name = d.task
 CROSS JOIN LATERAL (
       SELECT pg_catalog.count(*) AS tables,
              pg_catalog.count(*) FILTER (WHERE tt.state IN ('finishedcopy', 'catchup', 'ready')) AS copied,
              pg_catalog.sum(COALESCE(c.rows, tt.copied_rows, 0))::bigint AS rows,
              pg_catalog.sum(COALESCE(c.bytes, tt.copied_bytes, 0))::bigint AS bytes,
              -- Each table counts by its size.
              pg_catalog.round(pg_catalog.sum(GREATEST(tt.total_bytes, 1) *
                  CASE WHEN tt.state IN ('finishedcopy', 'catchup', 'ready') THEN 100
                       WHEN tt.total_rows > 0 THEN LEAST(100.0 * COALESCE(c.rows, 0) / tt.total_rows, 99.9)
                       WHEN tt.total_bytes > 0 THEN LEAST(100.0 * COALESCE(c.bytes, 0) / tt.total_bytes, 99.9)
                       ELSE 0 END) / pg_catalog.sum(GREATEST(tt.total_bytes, 1)), 1) AS percent,
              pg_catalog.sum(c.rows / NULLIF(c.seconds, 0))::bigint AS rows_per_second,
              pg_catalog.sum(c.bytes / NULLIF(c.seconds, 0))::bigint AS bytes_per_second
         FROM courier.task_table tt
         LEFT JOIN courier.copy_status() c ON c.task_id = tt.task_id AND c.relid = tt.relid
        WHERE tt.task_id = k.id AND tt.kind = 'r') p
 WHERE p.tables > 0
 ORDER BY d.task;
COMMENT ON VIEW courier.progress_total IS 'The copy of each started task in one line; courier.progress has its tables.';
COMMENT ON COLUMN courier.progress_total.task IS 'Name of the task.';
COMMENT ON COLUMN courier.progress_total.state IS 'State of the task, see courier.tasks.';
COMMENT ON COLUMN courier.progress_total.phase IS 'What is being done now, in words.';
COMMENT ON COLUMN courier.progress_total.tables IS 'Tables of the task.';
COMMENT ON COLUMN courier.progress_total.copied IS 'Those of them that are copied.';
COMMENT ON COLUMN courier.progress_total.rows IS 'Rows copied.';
COMMENT ON COLUMN courier.progress_total.bytes IS 'Bytes copied, as sent.';
COMMENT ON COLUMN courier.progress_total.percent IS 'Of all tables, each by its size.';
COMMENT ON COLUMN courier.progress_total.bar IS 'The same as twenty characters.';
COMMENT ON COLUMN courier.progress_total.rows_per_second IS 'Rows copied a second, of the tables under way.';
COMMENT ON COLUMN courier.progress_total.bytes_per_second IS 'Bytes copied a second, of the tables under way.';

-- ---------------------------------------------------------------------------------------------------------------------
-- What a user calls
-- ---------------------------------------------------------------------------------------------------------------------

CREATE FUNCTION courier.test_connection(
    server text, OUT step text, OUT status text, OUT detail text, OUT hint text
) RETURNS SETOF record
    LANGUAGE c VOLATILE
    AS 'MODULE_PATHNAME', 'test_connection_wrapper';
COMMENT ON FUNCTION courier.test_connection(text) IS
'Tries the way to a destination with the caller''s user mapping: resolve, connect, tls, login, session (no pooler shares it), database, privileges; status is ok, warning, failed or skipped. Nothing is changed there.';

CREATE FUNCTION courier.create_task(
    name text, server text, include text[], exclude text[] DEFAULT '{}', schema_sync boolean DEFAULT true,
    full_copy boolean DEFAULT true, incremental boolean DEFAULT true, conflict text DEFAULT 'error',
    forward_origins boolean DEFAULT true, ddl text DEFAULT NULL
) RETURNS integer
    LANGUAGE c VOLATILE
    AS 'MODULE_PATHNAME', 'new_task_wrapper';
COMMENT ON FUNCTION courier.create_task(text, text, text[], text[], boolean, boolean, boolean, text, boolean, text) IS
'Describes a task and returns the number of tables it covers now; nothing happens before courier.start(). Patterns are schema.table with * and ?, double quotes keep capitals. The caller becomes the owner. ddl: replicate applies commands that change definitions, ignore leaves them to people, stop stops the task at one that concerns its tables, refuse lets such a command fail; null, the default, is replicate where changes are followed and conflict is error, else ignore. Errors: 42602 bad name, 42710 name taken, 42704 unknown server, 22023 bad pattern, 42P01 no table matches.';

CREATE FUNCTION courier.alter_task(
    task text, conflict text DEFAULT NULL, forward_origins boolean DEFAULT NULL, exclude text[] DEFAULT NULL, ddl text DEFAULT NULL
) RETURNS void
    LANGUAGE c VOLATILE
    AS 'MODULE_PATHNAME', 'alter_options_wrapper';
COMMENT ON FUNCTION courier.alter_task(text, text, boolean, text[], text) IS
'Changes options of a task that is not running; null leaves an option as it is. conflict: error stops at a change that meets another row than expected, ignore keeps the destination''s row, overwrite lets the source''s row win. forward_origins: whether changes are sent on that came to this database by replication. exclude: patterns of tables that the task leaves out from now on, besides those it leaves out already; their rows on the destination stay. ddl: what becomes of commands that change definitions (see courier.create_task()); a running task is restarted for it. From another value to replicate, definitions of the followed tables are compared with those of the destination, which has to have what rows need; tables that the patterns name and that are not followed are copied. From replicate to another value, commands that have not been applied are not any more. Errors: 22023 unknown value, bad pattern or no table left, 55000 the task is running, or (ddl) copies tables, or its destination has other definitions.';

CREATE FUNCTION courier.coverage(
    task text, OUT table_name text, OUT problem text, OUT detail text, OUT hint text
) RETURNS SETOF record
    LANGUAGE c VOLATILE
    AS 'MODULE_PATHNAME', 'coverage_wrapper';
COMMENT ON FUNCTION courier.coverage(text) IS
'Where a task that has started and what its patterns name have come apart, with the way out; no row if all is well. problem: not followed (the patterns name the table, or it is a partition of a followed tree; it was created, attached, renamed or made logged later), dropped, renamed, unlogged. Rows written to a table that is not followed stop the task before they could be left out. For those who may use the task, and members of pg_monitor.';

CREATE FUNCTION courier.add_table(task text, "table" regclass) RETURNS void
    LANGUAGE c VOLATILE
    AS 'MODULE_PATHNAME', 'add_table_wrapper';
COMMENT ON FUNCTION courier.add_table(text, regclass) IS
'Lets a task that is paused or has failed follow a table that its patterns name; of a partitioned table, all partitions that it does not follow. It is copied when the task is resumed, and then followed. A table that is followed already is copied anew. It has to be on the destination, and empty. Errors: 22023 the patterns do not name it, 42809 no table that a task can follow, 42P01 it is not on the destination, 42501 the task''s owner may not read it, 55000 the task is running or has not been started, or the table there is not empty.';

CREATE FUNCTION courier.skip_change(task text, lsn pg_lsn) RETURNS void
    LANGUAGE c VOLATILE
    AS 'MODULE_PATHNAME', 'skip_change_at_wrapper';
COMMENT ON FUNCTION courier.skip_change(text, pg_lsn) IS
'Lets a failed task go on without the change at which it stopped; lsn is last_error_lsn of courier.tasks, not that of the commit. The change is kept in courier.conflicts. Rows of one COPY may share an LSN: all of them that fail are left out. Errors: 55000 the task has not failed, 22023 it did not stop at this LSN.';

CREATE FUNCTION courier.conflict_rows(task text) RETURNS text[]
    LANGUAGE c VOLATILE STRICT
    AS 'MODULE_PATHNAME', 'conflict_rows_wrapper';
COMMENT ON FUNCTION courier.conflict_rows(text) IS 'Internal: rows of courier.conflicts as JSON.';

CREATE FUNCTION courier.read_conflicts(
    task text, OUT at timestamptz, OUT lsn pg_lsn, OUT relid oid, OUT table_name text, OUT change text, OUT decision text,
    OUT sqlstate text, OUT message text, OUT key jsonb, OUT source_row jsonb, OUT destination_row jsonb
) RETURNS SETOF record
    LANGUAGE sql VOLATILE STRICT
    SET search_path = pg_catalog, pg_temp
    AS $$
    SELECT (j ->> 'at')::timestamptz, (j ->> 'lsn')::pg_lsn, (j ->> 'relid')::oid, j ->> 'table_name', j ->> 'change',
           j ->> 'decision', j ->> 'sqlstate', j ->> 'message',
           NULLIF(j -> 'key', 'null'), NULLIF(j -> 'source_row', 'null'), NULLIF(j -> 'destination_row', 'null')
      FROM (SELECT c::jsonb AS j FROM unnest(courier.conflict_rows(task)) AS c) AS conflicts
    $$;
COMMENT ON FUNCTION courier.read_conflicts(text) IS 'Internal: see view courier.conflicts.';

CREATE VIEW courier.conflicts WITH (security_barrier) AS
SELECT t.name AS task, c.at, c.lsn, c.table_name, c.change, c.decision, c.sqlstate, c.message, c.key, c.source_row, c.destination_row
  FROM (SELECT t.name FROM courier.task t
         WHERE t.started_at IS NOT NULL AND t.incremental AND pg_catalog.pg_has_role(t.owner, 'USAGE') OFFSET 0) t
 CROSS JOIN LATERAL courier.read_conflicts(t.name) c;
COMMENT ON VIEW courier.conflicts IS
'Changes that met another row than expected on the destination and were not applied as they were, newest last: what was decided (ignored, overwritten, inserted, skipped), the key, and the rows of both sides for those who may read the table. Kept on the destination, in the transaction that decided, until courier.clear_conflicts() or courier.drop_task(); reading asks the destination. decision is "not known" where it could not be asked, and message says why.';
COMMENT ON COLUMN courier.conflicts.task IS 'Name of the task.';
COMMENT ON COLUMN courier.conflicts.at IS 'When it was decided.';
COMMENT ON COLUMN courier.conflicts.lsn IS 'The change on the source.';
COMMENT ON COLUMN courier.conflicts.table_name IS 'Its table.';
COMMENT ON COLUMN courier.conflicts.change IS 'INSERT, UPDATE, DELETE or TRUNCATE.';
COMMENT ON COLUMN courier.conflicts.decision IS 'ignored, overwritten, inserted, skipped; not known where the destination could not be asked.';
COMMENT ON COLUMN courier.conflicts.sqlstate IS 'What the destination answered.';
COMMENT ON COLUMN courier.conflicts.message IS 'In words, for those who may read the table.';
COMMENT ON COLUMN courier.conflicts.key IS 'The key of the row.';
COMMENT ON COLUMN courier.conflicts.source_row IS 'The row as the source has it.';
COMMENT ON COLUMN courier.conflicts.destination_row IS 'The row that was there.';

CREATE FUNCTION courier.clear_conflicts(task text, before timestamptz DEFAULT 'infinity') RETURNS bigint
    LANGUAGE c VOLATILE
    AS 'MODULE_PATHNAME', 'clear_conflicts_before_wrapper';
COMMENT ON FUNCTION courier.clear_conflicts(text, timestamptz) IS
'Removes from courier.conflicts what a task decided before that time, all of it by default, and returns how many rows that were. The task may run. They go on the destination, at once: a rollback does not bring them back; courier.events says who did it. Errors: 22004 an argument is null, 42501 the task is somebody else''s, 08xxx the destination is out of reach.';

CREATE FUNCTION courier.plan(
    task text, OUT step integer, OUT action text, OUT object text, OUT detail text, OUT statement text, OUT reason text
) RETURNS SETOF record
    LANGUAGE c VOLATILE
    AS 'MODULE_PATHNAME', 'plan_wrapper';
COMMENT ON FUNCTION courier.plan(text) IS
'What the task would do, in order: action create (with the statement), copy, stream; and what it leaves out (omit), with the reason. Of a task that has started: what it still copies, what it follows, and where the source is not as it was then (courier.coverage()).';

CREATE FUNCTION courier.start(task text) RETURNS void
    LANGUAGE c VOLATILE
    AS 'MODULE_PATHNAME', 'start_wrapper';
COMMENT ON FUNCTION courier.start(text) IS
'Starts a task when the transaction commits; the tables it covers are fixed now. Starts a failed or paused one again.';

CREATE FUNCTION courier.pause(task text) RETURNS void
    LANGUAGE c VOLATILE
    AS 'MODULE_PATHNAME', 'pause_wrapper';
COMMENT ON FUNCTION courier.pause(text) IS
'Ends all processes of a task. Its slot stays and keeps WAL until courier.resume() or courier.drop_task().';

CREATE FUNCTION courier.resume(task text) RETURNS void
    LANGUAGE c VOLATILE
    AS 'MODULE_PATHNAME', 'resume_wrapper';
COMMENT ON FUNCTION courier.resume(text) IS 'Lets a paused or failed task go on where it stopped.';

CREATE FUNCTION courier.wait_for(task text, timeout interval DEFAULT '60 s') RETURNS pg_lsn
    LANGUAGE c VOLATILE
    AS 'MODULE_PATHNAME', 'wait_for_lsn_wrapper';
COMMENT ON FUNCTION courier.wait_for(text, interval) IS
'Returns when the destination has everything that was committed before the call, sequence values, foreign keys and all else of the schema that waits for the rows included; the WAL position waited for. Errors: 57014 not in time, 55000 the task is paused, failed or not started. Call it in a transaction of its own: what the calling transaction wrote is not committed yet.';

CREATE FUNCTION courier.verify(
    task text, OUT table_name text, OUT source_rows bigint, OUT destination_rows bigint, OUT source_hash text,
    OUT destination_hash text, OUT differing_keys text[], OUT identical boolean, OUT error text
) RETURNS SETOF record
    LANGUAGE c VOLATILE
    AS 'MODULE_PATHNAME', 'verify_tables_wrapper';
COMMENT ON FUNCTION courier.verify(text) IS
'Compares each table on both sides: rows, a hash over all rows, and up to ten keys that differ. A table that cannot be read on one side has the error in its row, and identical is null. Reads the tables in full. While a table changes, a difference may only mean that the destination is behind. A table that the patterns name and the task does not follow, and one that was renamed or dropped on the source, is not identical. Where the source has large objects, the last row (pg_catalog.pg_largeobject) is about all of them, with oids as keys; identical is null, and error says why, as long as the destination has none.';

CREATE FUNCTION courier.adopt(task text) RETURNS void
    LANGUAGE c VOLATILE
    AS 'MODULE_PATHNAME', 'adopt_wrapper';
COMMENT ON FUNCTION courier.adopt(text) IS
'Makes this server the one that writes for a task which was refused because the destination belongs to another server (this one is a copy of it, or was moved), the database was upgraded, or the destination is another database than before. Whoever wrote there before is shut out and stops with an error. The task goes on if it was running. If another server wrote last, a warning says up to where: where both were written to since one was copied from the other, compare with courier.verify(). Errors: 55000 the task runs or was never started, its slot is not here, the destination lacks changes that the slot has confirmed.';

CREATE FUNCTION courier.complete_destination(task text, dry_run boolean DEFAULT true, roles boolean DEFAULT false, kinds text[] DEFAULT NULL)
    RETURNS TABLE(kind text, object text, state text, statement text, detail text)
    LANGUAGE c VOLATILE
    AS 'MODULE_PATHNAME', 'complete_destination_wrapper';
COMMENT ON FUNCTION courier.complete_destination(text, boolean, boolean, text[]) IS
'What the destination lacks besides the objects that a task creates, in the order in which it is to be made: roles that owners, grants, policies and settings name, and which of them are members of which; foreign-data wrappers, servers, user mappings and foreign tables, without options that may be secrets; subscriptions, without secrets, disabled and without a slot; owners of all objects; default privileges; settings of the database, and of roles in it; the comment on the database; event triggers, which are created disabled; publications; security labels, for which their provider has to be there. What is the same has no row. With dry_run => false each statement runs on the destination as the task''s user, in a transaction of its own; roles and members are made only with roles => true, without passwords and without what only superusers may give. kinds limits it: role, membership, foreign-data wrapper, server, user mapping, foreign table, subscription, owner, default privileges, setting, comment, event trigger, publication, security label. state: missing (to be done), done, waits (for a role), not there (the object), failed (detail says why; the statement is for somebody who may). Call it before the start for roles, and when applications are to come for the rest: until then the task''s user owns everything, since whoever owns a table may have things run with that user''s rights. It may be called again at any time. Errors: 22004 an argument is null, 22023 there is no such kind, 42704 the task does not exist or is not the caller''s, 55000 this server or this destination is not the task''s.';

CREATE FUNCTION courier.drop_task(task text, restore_replica_identity boolean DEFAULT false) RETURNS void
    LANGUAGE c VOLATILE
    AS 'MODULE_PATHNAME', 'drop_task_wrapper';
COMMENT ON FUNCTION courier.drop_task(text, boolean) IS
'Ends a task: its processes, slot, and helper rows on both sides go; copied tables stay. With restore_replica_identity the tables get back what courier.set_replica_identity() changed. If the destination is out of reach a warning says how to remove the rows there later. Slot and rows go when the transaction commits; if it is rolled back the task goes on. Error: 0A000 the transaction is prepared.';

CREATE FUNCTION courier.guard_drop_extension() RETURNS event_trigger
    LANGUAGE c
    AS 'MODULE_PATHNAME', 'guard_drop_extension_wrapper';
COMMENT ON FUNCTION courier.guard_drop_extension() IS
'Sees to it that no statement can drop extension pg_courier while there are tasks (their slots would stay and keep WAL for ever), also where the library is not preloaded.';

CREATE EVENT TRIGGER pg_courier_guard ON ddl_command_start
    WHEN TAG IN ('DROP EXTENSION', 'DROP SCHEMA', 'DROP OWNED', 'DROP LANGUAGE')
    EXECUTE FUNCTION courier.guard_drop_extension();

-- Reads the tasks for whoever drops a server of his own.
CREATE FUNCTION courier.guard_drop_server() RETURNS event_trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    tasks text;
    drops text;
BEGIN
    SELECT string_agg(quote_ident(t.name), ', ' ORDER BY t.name), string_agg(format('SELECT courier.drop_task(%L);', t.name), ' ' ORDER BY t.name)
      INTO tasks, drops
      FROM pg_event_trigger_dropped_objects() d
      JOIN courier.task t ON t.server = d.objid
     WHERE d.classid = 'pg_catalog.pg_foreign_server'::regclass;
    IF tasks IS NOT NULL THEN
        RAISE EXCEPTION USING
            ERRCODE = 'dependent_objects_still_exist',
            MESSAGE = 'cannot drop the server because tasks of pg_courier use it',
            DETAIL = format('Tasks: %s. Each has a replication slot that keeps WAL.', tasks),
            HINT = drops || ' Then drop the server.';
    END IF;
END
$$;
COMMENT ON FUNCTION courier.guard_drop_server() IS
'Refuses to drop a server that tasks use: without it neither the destination nor the task can be cleaned up.';

CREATE EVENT TRIGGER pg_courier_guard_server ON sql_drop
    WHEN TAG IN ('DROP SERVER', 'DROP FOREIGN DATA WRAPPER', 'DROP OWNED')
    EXECUTE FUNCTION courier.guard_drop_server();

CREATE FUNCTION courier.remember_rewrite(relation oid, is_unlogged boolean) RETURNS void
    LANGUAGE plpgsql VOLATILE
    SET search_path = pg_catalog, pg_temp
    AS $$
BEGIN
    -- A table whose copy has not begun is copied as it will be.
    INSERT INTO courier.rewritten_table (task_id, relid, unlogged)
    SELECT t.task_id, t.relid, is_unlogged
      FROM courier.task_table t
      JOIN courier.task k ON k.id = t.task_id AND k.incremental
     WHERE t.relid = relation AND t.kind = 'r' AND t.state <> 'init';
    IF FOUND AND NOT is_unlogged THEN
        RAISE WARNING USING MESSAGE = format('pg_courier does not send the new values of the rows of table %s', relation::regclass),
            DETAIL = 'What ALTER TABLE gives the rows that are there is no change of rows in the WAL.',
            HINT = 'Run the statement on the destination, too. Values that depend on when or where it runs differ: SELECT * FROM courier.verify(task); tells.';
    END IF;
EXCEPTION WHEN OTHERS THEN
    -- Nobody's DDL fails because of us.
    RAISE WARNING USING MESSAGE = format('pg_courier could not note what ALTER TABLE does to table %s: %s', relation::regclass, SQLERRM),
        HINT = 'Its tasks may not get what is written to it now: compare with courier.verify(task).';
END
$$;
COMMENT ON FUNCTION courier.remember_rewrite(oid, boolean) IS
'Internal: notes for the tasks of a table that its rows have got new values, or that it is made unlogged, and warns the session that does it.';

CREATE FUNCTION courier.note_rewrite() RETURNS event_trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    -- Bits of AT_REWRITE_*: 1 persistence, 2 a default that is no constant, 4 another type. An access method (8) changes no value.
    reason      integer := pg_event_trigger_table_rewrite_reason();
    -- The catalog still has the old persistence.
    is_unlogged boolean := reason & 1 = 1
        AND EXISTS (SELECT FROM pg_class c WHERE c.oid = pg_event_trigger_table_rewrite_oid() AND c.relpersistence = 'p');
BEGIN
    IF is_unlogged OR reason & 6 <> 0 THEN
        PERFORM courier.remember_rewrite(pg_event_trigger_table_rewrite_oid(), is_unlogged);
    END IF;
END
$$;
COMMENT ON FUNCTION courier.note_rewrite() IS
'Notes that ALTER TABLE rewrites a table of a task with new values, or makes it unlogged: neither those values nor what is written to it until it is logged again is in the stream of changes, and afterwards nothing else tells.';

CREATE EVENT TRIGGER pg_courier_rewrite ON table_rewrite
    WHEN TAG IN ('ALTER TABLE')
    EXECUTE FUNCTION courier.note_rewrite();

CREATE FUNCTION courier.note_defaults() RETURNS event_trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
    AS $$
BEGIN
    PERFORM courier.remember_rewrite(relation.oid, false)
       FROM (WITH RECURSIVE relation AS (
                 SELECT c.objid AS oid FROM pg_event_trigger_ddl_commands() c WHERE c.classid = 'pg_class'::regclass AND c.object_type = 'table'
                 UNION SELECT h.inhrelid FROM relation r JOIN pg_inherits h ON h.inhparent = r.oid)
             SELECT r.oid FROM relation r) AS relation
      WHERE EXISTS (SELECT FROM courier.task_table t WHERE t.relid = relation.oid)
        AND EXISTS (
            SELECT FROM pg_attribute a
              JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
             -- A column of this transaction whose value was computed once, for all rows that were there.
             WHERE a.attrelid = relation.oid AND a.atthasmissing AND NOT a.attisdropped AND age(a.xmin) <= 0
               -- Its default is no constant: it has CURRENT_TIMESTAMP or the like in it, or calls what is not immutable.
               AND (d.adbin::text LIKE '%{SQLVALUEFUNCTION %'
                    OR EXISTS (SELECT FROM regexp_matches(d.adbin::text, ':(?:op)?funcid ([0-9]+)', 'g') AS called(ids)
                                 JOIN pg_proc p ON p.oid = called.ids[1]::oid AND p.provolatile <> 'i')));
EXCEPTION WHEN OTHERS THEN
    -- Nobody's DDL fails because of us.
    RAISE WARNING 'pg_courier could not look for new values of rows: %', SQLERRM;
END
$$;
COMMENT ON FUNCTION courier.note_defaults() IS
'Notes that ALTER TABLE adds a column to a table of a task whose rows all get a value that was computed now (DEFAULT now()): no rewrite, and not in the stream of changes.';

CREATE EVENT TRIGGER pg_courier_defaults ON ddl_command_end
    WHEN TAG IN ('ALTER TABLE')
    EXECUTE FUNCTION courier.note_defaults();

COMMENT ON EVENT TRIGGER pg_courier_guard IS 'Sees to it that extension pg_courier is not dropped while it has tasks.';
COMMENT ON EVENT TRIGGER pg_courier_guard_server IS 'Refuses to drop a server that tasks of pg_courier use.';
COMMENT ON EVENT TRIGGER pg_courier_defaults IS 'Notes columns added to tables of tasks of pg_courier whose rows get a value of this moment.';
COMMENT ON EVENT TRIGGER pg_courier_rewrite IS 'Notes tables of tasks of pg_courier that are rewritten with new values, or made unlogged.';
-- Whoever works as a replica does all that as well.
ALTER EVENT TRIGGER pg_courier_guard ENABLE ALWAYS;
ALTER EVENT TRIGGER pg_courier_guard_server ENABLE ALWAYS;
ALTER EVENT TRIGGER pg_courier_rewrite ENABLE ALWAYS;
ALTER EVENT TRIGGER pg_courier_defaults ENABLE ALWAYS;
