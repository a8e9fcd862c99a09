-- What 0.2.0 changes in the tables of 0.1.0 (sql/tables.sql). Functions and views are made anew around it.
DROP TABLE courier.user_object;
ALTER TABLE courier.task_table ADD COLUMN destination_relid oid;
ALTER TABLE courier.task_table ADD COLUMN route jsonb;
COMMENT ON COLUMN courier.task_table.route IS 'Internal: how rows go to the destination, as far as names and operations are others there; null: as here.';
-- What is not to be copied is complete as it is.
UPDATE courier.task_table SET state = 'ready' FROM courier.task t
 WHERE t.id = task_id AND NOT t.full_copy AND task_table.state = 'init';
-- Monitoring.
ALTER TABLE courier.task
    ADD COLUMN last_error_lsn pg_lsn,
    ADD COLUMN asked_at timestamptz,
    ADD COLUMN reached boolean NOT NULL DEFAULT false,
    ADD COLUMN trouble_since timestamptz,
    ADD COLUMN current_at timestamptz;
UPDATE courier.task SET reached = started_at IS NOT NULL, asked_at = started_at;
COMMENT ON COLUMN courier.task.asked_at IS 'When courier.start() or courier.resume() was called last.';
COMMENT ON COLUMN courier.task.reached IS 'Has the task reached its destination since then?';
COMMENT ON COLUMN courier.task.trouble_since IS 'Since when errors have kept it from getting further; null while none does.';
COMMENT ON COLUMN courier.task.current_at IS 'What was committed on the source before this time is on the destination; noted when the task stops. See courier.heartbeat.';
ALTER TABLE courier.heartbeat ADD COLUMN current_at timestamptz;
COMMENT ON TABLE courier.heartbeat IS
'One row a task, written every courier.heartbeat_interval while it streams. The change travels like any other; when it has arrived, the task''s row in courier_applied.progress on the destination says so, and courier.lag shows how long it took. It also lets a slot move while only other databases write.';
COMMENT ON COLUMN courier.heartbeat.current_at IS 'What was committed on the source before this time was on the destination when the heartbeat was written.';
CREATE TABLE courier.health_run (
    singleton boolean PRIMARY KEY DEFAULT true CHECK (singleton),
    ran_at    timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    worst     text,
    ran_by    text NOT NULL
);
COMMENT ON TABLE courier.health_run IS 'Internal: when courier.health_check() ran last, what it answered, and who asked.';
CREATE TABLE courier.rewritten_table (
    task_id  integer NOT NULL,
    relid    oid NOT NULL,
    unlogged boolean NOT NULL,
    at       timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    PRIMARY KEY (task_id, relid, at)
);
COMMENT ON TABLE courier.rewritten_table IS
'Internal: tables of tasks that ALTER TABLE has rewritten with new values, which the stream does not have, or made unlogged, if only for the length of a transaction. A row travels in the stream; one of an unlogged table stops the task at that transaction. No foreign key: nobody''s ALTER TABLE locks a task.';
ALTER TABLE courier.task ADD COLUMN source_id text, ADD COLUMN destination_id text, ADD COLUMN lease uuid, ADD COLUMN next_lease uuid;
UPDATE courier.task
   SET source_id = (SELECT c.system_identifier || '.' || d.oid FROM pg_catalog.pg_control_system() c, pg_catalog.pg_database d
                     WHERE d.datname = pg_catalog.current_database())
 WHERE wanted <> 'created';
-- Commands on definitions.
ALTER TABLE courier.task ADD COLUMN ddl text NOT NULL DEFAULT 'ignore' CHECK (ddl IN ('replicate', 'ignore', 'stop', 'refuse'));
CREATE TABLE courier.ddl_log (
    id       bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    snapshot text NOT NULL,
    image    text NOT NULL,
    tag      text NOT NULL,
    author   text NOT NULL,
    command  text,
    at       timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp()
);
COMMENT ON TABLE courier.ddl_log IS
'Internal: what commands on definitions have left behind, written by the session that ran them. The rows travel in the stream; nothing reads them here, so old ones may go.';
COMMENT ON COLUMN courier.ddl_log.snapshot IS 'pg_current_snapshot() under which the image was read.';
COMMENT ON COLUMN courier.ddl_log.image IS 'Internal: what was there after the command, as JSON.';
COMMENT ON COLUMN courier.ddl_log.command IS 'The statement, where the client sent it by itself; null where a function or DO ran it.';
CREATE TABLE courier.ddl_done (
    task_id    integer NOT NULL REFERENCES courier.task ON DELETE CASCADE,
    id         bigint NOT NULL,
    seq        bigint NOT NULL,
    state      text NOT NULL,
    note       text,
    objects    text[] NOT NULL,
    statements text[] NOT NULL,
    ms         bigint NOT NULL,
    at         timestamptz NOT NULL,
    PRIMARY KEY (task_id, id)
);
COMMENT ON TABLE courier.ddl_done IS 'Internal: what became of the commands of courier.ddl_log on the destination of each task; read from there. See view courier.ddl.';
CREATE TABLE courier.ddl_decision (
    task_id    integer NOT NULL REFERENCES courier.task ON DELETE CASCADE,
    id         bigint NOT NULL,
    statement  text,
    decided_by text NOT NULL DEFAULT CURRENT_USER,
    at         timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    PRIMARY KEY (task_id, id)
);
CREATE TABLE courier.ddl_policy (
    task_id integer NOT NULL REFERENCES courier.task ON DELETE CASCADE,
    kind    text NOT NULL,
    pattern text NOT NULL,
    policy  text NOT NULL CHECK (policy IN ('replicate', 'hold', 'ignore', 'stop', 'refuse')),
    PRIMARY KEY (task_id, kind, pattern)
);
COMMENT ON TABLE courier.ddl_policy IS 'Internal: what tasks do about commands on things of a kind. See courier.set_ddl_policy().';
COMMENT ON TABLE courier.ddl_decision IS 'Internal: commands that a person has skipped, or replaced by a statement. See courier.ddl_skip() and courier.ddl_replace().';
ALTER TABLE courier.task ADD COLUMN command_under_way bigint;
COMMENT ON COLUMN courier.task.command_under_way IS 'The command of courier.ddl_log at which the task has stopped.';
ALTER TABLE courier.task ADD COLUMN trusted_roles oid[] NOT NULL DEFAULT '{}';
COMMENT ON COLUMN courier.task.trusted_roles IS 'Roles of this server whose functions, views and rules the task creates on the destination, besides those of superusers and of its owner.';
CREATE TABLE courier.swept (
    class oid NOT NULL,
    oid   oid NOT NULL,
    print text NOT NULL,
    PRIMARY KEY (class, oid)
);
COMMENT ON TABLE courier.swept IS 'Internal: how objects of tasks were when these were told of them last, as fingerprints. See courier.sweep().';
CREATE TABLE courier.sweep (
    singleton boolean PRIMARY KEY DEFAULT true CHECK (singleton),
    log_id    bigint NOT NULL
);
COMMENT ON TABLE courier.sweep IS 'Internal: the last row of courier.ddl_log that courier.swept takes into account.';
ALTER TABLE courier.task ADD COLUMN capture_due boolean NOT NULL DEFAULT false;
COMMENT ON COLUMN courier.task.capture_due IS 'Commands are applied since a moment ago; definitions are to be captured when transactions of before are over.';
