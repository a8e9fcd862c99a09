-- pg_courier: the tables of the extension, and the foreign-data wrapper. Schema "courier" is made by the control file.
-- What stands here survives an upgrade as it is: a change goes into sql/upgrade/ as well. Everything that stands in the other
-- files is dropped and made anew by one (sql/upgrade/before.sql).

-- ---------------------------------------------------------------------------------------------------------------------
-- Where destinations are
-- ---------------------------------------------------------------------------------------------------------------------

CREATE FUNCTION courier.validator(options text[], catalog oid) RETURNS void
    LANGUAGE c STRICT
    AS 'MODULE_PATHNAME', 'validator_wrapper';
COMMENT ON FUNCTION courier.validator(text[], oid) IS
'Checks the options of servers and user mappings of foreign-data wrapper pg_courier: libpq connection options, user and secrets in the user mapping, all others on the server.';

CREATE FOREIGN DATA WRAPPER pg_courier VALIDATOR courier.validator;
COMMENT ON FOREIGN DATA WRAPPER pg_courier IS
'Servers of this wrapper are destinations of pg_courier tasks; the wrapper offers no foreign tables.';

-- ---------------------------------------------------------------------------------------------------------------------
-- Tasks
-- ---------------------------------------------------------------------------------------------------------------------

CREATE TABLE courier.task (
    id                  integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    uuid                uuid NOT NULL DEFAULT pg_catalog.gen_random_uuid() UNIQUE,
    name                text NOT NULL UNIQUE,
    owner               oid NOT NULL,
    server              oid NOT NULL,
    include             text[] NOT NULL,
    exclude             text[] NOT NULL,
    schema_sync         boolean NOT NULL,
    full_copy           boolean NOT NULL,
    incremental         boolean NOT NULL,
    conflict            text NOT NULL DEFAULT 'error' CHECK (conflict IN ('error', 'ignore', 'overwrite')),
    forward_origins     boolean NOT NULL DEFAULT true,
    skip_lsn            pg_lsn,
    wanted              text NOT NULL DEFAULT 'created' CHECK (wanted IN ('created', 'running', 'paused', 'finished')),
    failed              boolean NOT NULL DEFAULT false,
    stage               text NOT NULL DEFAULT 'created'
                        CHECK (stage IN ('created', 'schema_sync', 'full_copy', 'post_data', 'catching_up', 'synchronizing')),
    stage_at            timestamptz NOT NULL DEFAULT pg_catalog.now(),
    slot_lsn            pg_lsn,
    older_gone          boolean NOT NULL DEFAULT false,
    needs_replica_role  boolean NOT NULL DEFAULT false,
    segment             bigint,
    starts              integer NOT NULL DEFAULT 0,
    starts_at           timestamptz NOT NULL DEFAULT pg_catalog.now(),
    created_at          timestamptz NOT NULL DEFAULT pg_catalog.now(),
    started_at          timestamptz,
    finished_at         timestamptz,
    last_error          text,
    last_error_detail   text,
    last_error_hint     text,
    last_error_sqlstate text,
    last_error_at       timestamptz,
    retry_at            timestamptz,
    -- What monitoring needs while no process of the task lives.
    last_error_lsn      pg_lsn,
    asked_at            timestamptz,
    reached             boolean NOT NULL DEFAULT false,
    trouble_since       timestamptz,
    current_at          timestamptz,
    -- The database that the task is of, and the one it writes to: a copy of either is another one.
    source_id           text,
    destination_id      text,
    -- What the task's row on the destination has, and what it gets next.
    lease               uuid,
    next_lease          uuid,
    -- What the task does about commands on definitions.
    ddl                 text NOT NULL DEFAULT 'ignore' CHECK (ddl IN ('replicate', 'ignore', 'stop', 'refuse')),
    command_under_way   bigint,
    trusted_roles       oid[] NOT NULL DEFAULT '{}',
    capture_due         boolean NOT NULL DEFAULT false
);
COMMENT ON TABLE courier.task IS 'Internal: one row a task. See view courier.tasks.';
COMMENT ON COLUMN courier.task.command_under_way IS 'The command of courier.ddl_log at which the task has stopped.';
COMMENT ON COLUMN courier.task.trusted_roles IS 'Roles of this server whose functions, views and rules the task creates on the destination, besides those of superusers and of its owner.';
COMMENT ON COLUMN courier.task.capture_due IS 'Commands are applied since a moment ago; definitions are to be captured when transactions of before are over.';
COMMENT ON COLUMN courier.task.asked_at IS 'When courier.start() or courier.resume() was called last.';
COMMENT ON COLUMN courier.task.reached IS 'Has the task reached its destination since then?';
COMMENT ON COLUMN courier.task.trouble_since IS 'Since when errors have kept it from getting further; null while none does.';
COMMENT ON COLUMN courier.task.current_at IS 'What was committed on the source before this time is on the destination; noted when the task stops. See courier.heartbeat.';

CREATE TABLE courier.task_table (
    task_id      integer NOT NULL REFERENCES courier.task ON DELETE CASCADE,
    relid        oid NOT NULL,
    table_name   text NOT NULL,
    kind         text NOT NULL CHECK (kind IN ('r', 'p')),
    state        text NOT NULL DEFAULT 'init' CHECK (state IN ('init', 'datasync', 'finishedcopy', 'catchup', 'ready')),
    snapshot     text,
    sync_lsn     pg_lsn,
    total_rows   bigint NOT NULL DEFAULT 0,
    total_bytes  bigint NOT NULL DEFAULT 0,
    copied_rows  bigint,
    copied_bytes bigint,
    started_at   timestamptz,
    finished_at  timestamptz,
    destination_relid oid,
    route        jsonb,
    PRIMARY KEY (task_id, relid)
);
COMMENT ON TABLE courier.task_table IS 'Internal: the tables of each task and the state of their copy. See view courier.progress.';
COMMENT ON COLUMN courier.task_table.route IS 'Internal: how rows go to the destination, as far as names and operations are others there; null: as here.';

CREATE TABLE courier.event (
    id       bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at       timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    task     text,
    owner    oid,
    kind     text NOT NULL,
    message  text NOT NULL,
    detail   text
);
COMMENT ON TABLE courier.event IS 'Internal: what happened. See view courier.events.';

-- How long a slot has been nobody's is not in the catalogs before 17.
CREATE TABLE courier.orphan_slot (
    slot_name text PRIMARY KEY,
    since     timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp()
);
COMMENT ON TABLE courier.orphan_slot IS 'Internal: slots of this extension that no task has, and since when that is known.';

CREATE TABLE courier.wal_guard (
    task_id integer PRIMARY KEY REFERENCES courier.task ON DELETE CASCADE,
    level   text NOT NULL CHECK (level IN ('warned', 'limit')),
    at      timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp()
);
COMMENT ON TABLE courier.wal_guard IS 'Internal: tasks whose slot keeps much WAL, and what was said about it.';

CREATE TABLE courier.precheck_ignored (
    task_id    integer NOT NULL REFERENCES courier.task ON DELETE CASCADE,
    item       text NOT NULL,
    reason     text NOT NULL,
    ignored_by text NOT NULL,
    ignored_at timestamptz NOT NULL DEFAULT pg_catalog.now(),
    PRIMARY KEY (task_id, item)
);
COMMENT ON TABLE courier.precheck_ignored IS 'Internal: prechecks that someone decided to live with. See courier.ignore_precheck().';

CREATE TABLE courier.heartbeat (
    task_id    integer PRIMARY KEY REFERENCES courier.task ON DELETE CASCADE,
    task       text NOT NULL,
    slot_name  text NOT NULL,
    written_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    wal_lsn    pg_lsn NOT NULL DEFAULT pg_catalog.pg_current_wal_insert_lsn(),
    beats      bigint NOT NULL DEFAULT 1,
    current_at timestamptz
-- Room on the page keeps the updates of one row in place.
) WITH (fillfactor = 10);
COMMENT ON TABLE courier.heartbeat IS
'One row a task, written every courier.heartbeat_interval while it streams. The change travels like any other; when it has arrived, the task''s row in courier_applied.progress on the destination says so, and courier.lag shows how long it took. It also lets a slot move while only other databases write.';
COMMENT ON COLUMN courier.heartbeat.current_at IS 'What was committed on the source before this time was on the destination when the heartbeat was written.';

CREATE TABLE courier.rewritten_table (
    task_id  integer NOT NULL,
    relid    oid NOT NULL,
    unlogged boolean NOT NULL,
    at       timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    PRIMARY KEY (task_id, relid, at)
);
COMMENT ON TABLE courier.rewritten_table IS
'Internal: tables of tasks that ALTER TABLE has rewritten with new values, which the stream does not have, or made unlogged, if only for the length of a transaction. A row travels in the stream; one of an unlogged table stops the task at that transaction. No foreign key: nobody''s ALTER TABLE locks a task.';

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

CREATE TABLE courier.identity_task (
    task_id integer PRIMARY KEY REFERENCES courier.task ON DELETE CASCADE
);
COMMENT ON TABLE courier.identity_task IS 'Internal: tasks that see to the replica identity of their tables, later ones too, since courier.set_replica_identity().';

CREATE TABLE courier.identity_before (
    task_id    integer NOT NULL REFERENCES courier.task ON DELETE CASCADE,
    relid      oid NOT NULL,
    setting    "char" NOT NULL,
    index_name name,
    changed_at timestamptz NOT NULL DEFAULT pg_catalog.now(),
    PRIMARY KEY (task_id, relid)
);
COMMENT ON TABLE courier.identity_before IS 'Internal: the replica identity of tables before a task changed it; courier.drop_task() can put it back.';

CREATE TABLE courier.alert (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    check_name text NOT NULL,
    task       text,
    owner      oid,
    status     text NOT NULL CHECK (status IN ('warning', 'critical')),
    detail     text,
    hint       text,
    raised_at  timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    changed_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    cleared_at timestamptz
);
COMMENT ON TABLE courier.alert IS 'Internal: findings of courier.health_check() that were not ok. See view courier.alerts.';
CREATE TABLE courier.health_run (
    singleton boolean PRIMARY KEY DEFAULT true CHECK (singleton),
    ran_at    timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    worst     text,
    ran_by    text NOT NULL
);
COMMENT ON TABLE courier.health_run IS 'Internal: when courier.health_check() ran last, what it answered, and who asked.';

CREATE UNIQUE INDEX alert_open ON courier.alert (check_name, COALESCE(task, '')) WHERE cleared_at IS NULL;

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
