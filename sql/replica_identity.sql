-- Replica identity: what lets the stream find the row that an UPDATE or DELETE means.

CREATE FUNCTION courier.task_relations(task text) RETURNS SETOF oid
    LANGUAGE c VOLATILE
    AS 'MODULE_PATHNAME', 'task_relations_wrapper';
COMMENT ON FUNCTION courier.task_relations(text) IS
'Internal: the tables of a task; of one that has not been started those that its patterns name now.';

CREATE FUNCTION courier.identity_of(
    relations oid[], OUT relid oid, OUT table_name text, OUT setting "char", OUT setting_index name, OUT current text, OUT advised text,
    OUT reason text, OUT statement text
) RETURNS SETOF record
    LANGUAGE sql STABLE STRICT
    SET search_path = pg_catalog, pg_temp
    AS $$
    WITH t AS MATERIALIZED (
        SELECT c.oid, c.relreplident, format('%I.%I', n.nspname, c.relname) AS name, c.reltuples,
               CASE WHEN c.reltuples > 0 THEN ceil(pg_relation_size(c.oid) / c.reltuples) END AS width
          FROM unnest(relations) AS u(oid)
          JOIN pg_class c ON c.oid = u.oid AND c.relkind = 'r'
          JOIN pg_namespace n ON n.oid = c.relnamespace
    ), ix AS MATERIALIZED (
        SELECT i.indrelid, c.relname, i.indisprimary, i.indisreplident, i.indnkeyatts
          FROM t
          JOIN pg_index i ON i.indrelid = t.oid AND i.indisunique AND i.indisvalid AND i.indimmediate AND i.indpred IS NULL AND i.indexprs IS NULL
          JOIN pg_class c ON c.oid = i.indexrelid
         WHERE NOT EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey::int2[])
                             AND (NOT a.attnotnull OR a.attgenerated <> '' AND a.attnum = ANY ((i.indkey::int2[])[0:i.indnkeyatts - 1])))
    ), best AS (
        SELECT DISTINCT ON (indrelid) indrelid, relname, indisprimary FROM ix ORDER BY indrelid, indisprimary DESC, indnkeyatts, relname
    ), judged AS (
        SELECT t.*, b.relname AS best, b.indisprimary, r.relname AS chosen,
               CASE WHEN t.relreplident = 'f' THEN 'full'
                    WHEN t.relreplident = 'd' AND b.indisprimary THEN 'primary key'
                    WHEN t.relreplident = 'i' AND r.relname IS NOT NULL THEN 'index ' || quote_ident(r.relname)
                    ELSE 'none' END AS now
          FROM t
          LEFT JOIN best b ON b.indrelid = t.oid
          LEFT JOIN ix r ON r.indrelid = t.oid AND r.indisreplident
    ), advice AS (
        SELECT j.*, CASE WHEN j.now LIKE 'index %' THEN j.now
                         WHEN j.indisprimary THEN 'primary key'
                         WHEN j.best IS NOT NULL THEN 'index ' || quote_ident(j.best)
                         ELSE 'full' END AS wanted
          FROM judged j
    )
    SELECT a.oid, a.name, a.relreplident, a.chosen, a.now, a.wanted,
           CASE WHEN a.now = a.wanted AND a.now <> 'full' THEN 'It identifies a row at no cost.'
                WHEN a.wanted <> 'full' AND a.now = 'full'
                THEN format('FULL writes the whole old row%s to the WAL on each UPDATE and DELETE; the key is enough.', ' (about ' || a.width || ' bytes)')
                WHEN a.wanted <> 'full' THEN 'It has a key that identifies a row at no cost.'
                ELSE format('No unique index on ordinary columns that are not null: the whole old row%s goes to the WAL on each UPDATE and DELETE (%s so far), and the destination compares all columns.',
                            ' (about ' || a.width || ' bytes)', COALESCE(pg_stat_get_tuples_updated(a.oid) + pg_stat_get_tuples_deleted(a.oid), 0)) END,
           CASE WHEN a.now <> a.wanted THEN format('ALTER TABLE %s REPLICA IDENTITY %s;', a.name,
                CASE a.wanted WHEN 'primary key' THEN 'DEFAULT' WHEN 'full' THEN 'FULL' ELSE format('USING INDEX %I', a.best) END) END
      FROM advice a
     ORDER BY a.name
    $$;
COMMENT ON FUNCTION courier.identity_of(oid[]) IS 'Internal: current and advised replica identity of tables.';

CREATE FUNCTION courier.replica_identity(
    task text, OUT table_name text, OUT current text, OUT advised text, OUT reason text, OUT statement text
) RETURNS SETOF record
    LANGUAGE sql VOLATILE
    SET search_path = pg_catalog, pg_temp
    AS $$
    SELECT i.table_name, i.current, i.advised, i.reason, i.statement
      FROM courier.identity_of(ARRAY(SELECT courier.task_relations(task))) i
    $$;
COMMENT ON FUNCTION courier.replica_identity(text) IS
'For each table of a task its replica identity (primary key, index, full, none), the advised one (primary key, else the narrowest unique index on columns that are neither null nor generated, else full), what it costs, and the statement that sets it.';

CREATE FUNCTION courier.remember_identity(task text, relation oid) RETURNS void
    LANGUAGE c VOLATILE STRICT
    AS 'MODULE_PATHNAME', 'remember_identity_wrapper';
COMMENT ON FUNCTION courier.remember_identity(text, oid) IS 'Internal: notes the replica identity of a table before the task changes it; 0 marks the task as one that does.';

CREATE FUNCTION courier.try_statement(statement text) RETURNS text
    LANGUAGE plpgsql VOLATILE STRICT
    SET search_path = pg_catalog, pg_temp
    AS $$
BEGIN
    EXECUTE statement;
    RETURN NULL;
EXCEPTION WHEN lock_not_available THEN
    RETURN 'busy';
WHEN OTHERS THEN
    RETURN SQLERRM;
END
$$;
COMMENT ON FUNCTION courier.try_statement(text) IS 'Internal: runs a statement with the caller''s rights; NULL, busy (no lock in lock_timeout), or the error.';

CREATE FUNCTION courier.identities_to_set(task text) RETURNS oid[]
    LANGUAGE plpgsql VOLATILE
    SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    tables  oid[];
    foreign_ones text;
    many    bigint;
BEGIN
    SELECT array_agg(i.relid ORDER BY i.table_name) INTO tables
      FROM courier.identity_of(ARRAY(SELECT courier.task_relations(task))) i WHERE i.statement IS NOT NULL;
    SELECT string_agg(x.name, ', ' ORDER BY x.name) FILTER (WHERE x.n <= 10), count(*) INTO foreign_ones, many
      FROM (SELECT format('%I.%I', n.nspname, c.relname) AS name, row_number() OVER (ORDER BY n.nspname, c.relname) AS n
              FROM pg_class c
              JOIN pg_namespace n ON n.oid = c.relnamespace
             WHERE c.oid = ANY (tables) AND NOT pg_has_role(c.relowner, 'USAGE')) x;
    IF many > 0 THEN
        RAISE EXCEPTION USING ERRCODE = 'insufficient_privilege',
            MESSAGE = format('must be owner of %s', foreign_ones || CASE WHEN many > 10 THEN format(' and %s more', many - 10) ELSE '' END),
            DETAIL = 'Nothing has been changed.',
            HINT = format('The owners run their statements: SELECT table_name, statement FROM courier.replica_identity(%L) WHERE statement IS NOT NULL;', task);
    END IF;
    RETURN COALESCE(tables, '{}');
END
$$;
COMMENT ON FUNCTION courier.identities_to_set(text) IS
'Internal: tables of a task whose replica identity is another than the advised one; an error if one is not the caller''s to alter.';

CREATE PROCEDURE courier.set_replica_identity(
    task text, dry_run boolean DEFAULT true, lock_timeout interval DEFAULT '200 ms', attempts integer DEFAULT 20
)
    LANGUAGE plpgsql
    AS $$
-- No SET clause: a procedure that commits must not have one. A search_path that is set ends with each transaction. So everything
-- here is qualified, types and operators too: what is not runs what the caller's search_path finds, with the caller's rights.
DECLARE
    tables    pg_catalog.oid[];
    line      pg_catalog.record;
    answer    pg_catalog.text;
    many      pg_catalog.int4;
    left_over pg_catalog.int4 := 0;
BEGIN
    PERFORM pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
    IF task IS NULL OR dry_run IS NULL OR lock_timeout IS NULL OR attempts IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'null_value_not_allowed', MESSAGE = 'an argument of set_replica_identity is null';
    END IF;
    tables := courier.identities_to_set(task);
    many := pg_catalog.cardinality(tables::pg_catalog.oid[]);
    IF NOT dry_run THEN
        PERFORM courier.remember_identity(task, 0::pg_catalog.oid);
        COMMIT;
        PERFORM pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
    END IF;
    FOR n IN 1 .. many LOOP
        SELECT i.* INTO line FROM courier.identity_of(ARRAY[tables[n]]::pg_catalog.oid[]) i WHERE i.statement IS NOT NULL;
        CONTINUE WHEN line.statement IS NULL;
        IF dry_run THEN
            RAISE NOTICE '% -- is %', line.statement, line.current;
            CONTINUE;
        END IF;
        FOR attempt IN 1 .. attempts LOOP
            PERFORM pg_catalog.set_config('lock_timeout',
                (EXTRACT(epoch FROM lock_timeout) OPERATOR(pg_catalog.*) 1000)::pg_catalog.int4::pg_catalog.text, true);
            PERFORM courier.remember_identity(task, line.relid);
            answer := courier.try_statement(line.statement);
            IF answer IS NULL THEN
                -- The lock lasts as long as the transaction.
                COMMIT;
                PERFORM pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
                RAISE NOTICE '% -- was %', line.statement, line.current;
                EXIT;
            END IF;
            ROLLBACK;
            PERFORM pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
            EXIT WHEN answer OPERATOR(pg_catalog.<>) 'busy'::pg_catalog.text;
            -- Everybody who queued behind us goes first.
            PERFORM pg_catalog.pg_sleep(
                0.1::pg_catalog.float8 OPERATOR(pg_catalog.*) (CASE WHEN attempt OPERATOR(pg_catalog.>) 10 THEN 10 ELSE attempt END)::pg_catalog.float8);
        END LOOP;
        IF answer IS NOT NULL THEN
            left_over := left_over OPERATOR(pg_catalog.+) 1;
            RAISE WARNING 'could not set the replica identity of %: %', line.table_name,
                CASE WHEN answer OPERATOR(pg_catalog.=) 'busy'::pg_catalog.text THEN 'the table was locked all the time'::pg_catalog.text ELSE answer END;
        END IF;
    END LOOP;
    IF left_over OPERATOR(pg_catalog.>) 0 THEN
        RAISE EXCEPTION '% tables keep their replica identity', left_over USING ERRCODE = 'lock_not_available',
            HINT = 'The others are done. Call it again, or end what holds the tables: SELECT * FROM courier.health();';
    END IF;
END
$$;
COMMENT ON PROCEDURE courier.set_replica_identity(text, boolean, interval, integer) IS
'Gives the tables of a task the advised replica identity, with the caller''s rights: one transaction a table, no rewrite, a lock that is waited for lock_timeout at a time and tried attempts times. What was there is remembered: courier.drop_task(task, restore_replica_identity => true) puts it back. From then on tables that the patterns name get theirs when they are created or renamed. With dry_run, the default, only prints the statements.';

CREATE FUNCTION courier.tasks_naming(relation oid) RETURNS SETOF integer
    LANGUAGE c VOLATILE STRICT
    AS 'MODULE_PATHNAME', 'tasks_naming_wrapper';
COMMENT ON FUNCTION courier.tasks_naming(oid) IS
'Internal: tasks that see to the replica identity, whose patterns name this table, and whose owner may alter it.';

CREATE FUNCTION courier.identify_new_tables() RETURNS event_trigger
    LANGUAGE plpgsql
    SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    line record;
    owner_task integer;
BEGIN
    IF NOT EXISTS (SELECT FROM courier.identity_task) THEN
        RETURN;
    END IF;
    FOR line IN
        SELECT i.* FROM courier.identity_of(ARRAY(
            SELECT DISTINCT c.objid FROM pg_event_trigger_ddl_commands() c
             WHERE c.classid = 'pg_class'::regclass AND c.object_type = 'table' AND c.schema_name <> 'pg_temp')) i
         WHERE i.statement IS NOT NULL
    LOOP
        SELECT t INTO owner_task FROM courier.tasks_naming(line.relid) t LIMIT 1;
        CONTINUE WHEN owner_task IS NULL;
        -- An identity that somebody else chose stays, unless it identifies nothing.
        CONTINUE WHEN line.current = 'full'
            AND NOT EXISTS (SELECT FROM courier.identity_before b WHERE b.relid = line.relid AND b.setting <> 'f');
        -- ALTER TABLE of a table that others use may hold a weak lock, and nobody's DDL waits for a stronger one because of us.
        IF TG_TAG = 'ALTER TABLE' AND NOT EXISTS (
            SELECT FROM pg_locks l WHERE l.locktype = 'relation' AND l.relation = line.relid AND l.pid = pg_backend_pid()
               AND l.database = (SELECT d.oid FROM pg_database d WHERE d.datname = current_database())
               AND l.mode = 'AccessExclusiveLock' AND l.granted)
        THEN
            RAISE WARNING USING MESSAGE = format('%s has no replica identity that its task wants', line.table_name),
                DETAIL = 'The lock that this statement holds is too weak to set it.',
                HINT = line.statement;
            CONTINUE;
        END IF;
        INSERT INTO courier.identity_before (task_id, relid, setting, index_name)
        VALUES (owner_task, line.relid, line.setting, line.setting_index)
            ON CONFLICT (task_id, relid) DO NOTHING;
        EXECUTE line.statement;
    END LOOP;
EXCEPTION WHEN OTHERS THEN
    -- Nobody's DDL fails because of us.
    RAISE WARNING 'pg_courier could not set a replica identity: %', SQLERRM;
END
$$;
COMMENT ON FUNCTION courier.identify_new_tables() IS
'Gives tables that are created or renamed the advised replica identity, if a task that sees to it names them.';

CREATE EVENT TRIGGER pg_courier_identity ON ddl_command_end
    WHEN TAG IN ('CREATE TABLE', 'CREATE TABLE AS', 'SELECT INTO', 'ALTER TABLE')
    EXECUTE FUNCTION courier.identify_new_tables();
-- Also for the tables that a replication tool makes.
ALTER EVENT TRIGGER pg_courier_identity ENABLE ALWAYS;
COMMENT ON EVENT TRIGGER pg_courier_identity IS 'Gives new tables the replica identity that their task of pg_courier wants.';
