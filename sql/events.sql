-- What happened to the tasks: a bounded history. Written by the triggers below, so that no way of changing a task is forgotten.

CREATE FUNCTION courier.record_event(task text, owner oid, kind text, message text, detail text) RETURNS void
    LANGUAGE sql VOLATILE
    SET search_path = pg_catalog, pg_temp
    AS $$
    INSERT INTO courier.event (task, owner, kind, message, detail) VALUES (task, owner, kind, message, detail);
    DELETE FROM courier.event
     WHERE id <= (SELECT max(e.id) FROM courier.event e) - COALESCE(current_setting('courier.events_kept', true)::integer, 10000);
    $$;
COMMENT ON FUNCTION courier.record_event(text, oid, text, text, text) IS
'Internal: adds a row to courier.events and removes those beyond courier.events_kept.';

CREATE FUNCTION courier.log_line(line text) RETURNS void
    LANGUAGE c VOLATILE STRICT
    AS 'MODULE_PATHNAME', 'log_line_wrapper';
COMMENT ON FUNCTION courier.log_line(text) IS 'Internal: writes a line into the server log.';

CREATE FUNCTION courier.note_task_change() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    task   courier.task;
    kind   text;
    what   text;
BEGIN
    -- Errors are in the log already, with a level that says so.
    IF TG_OP = 'UPDATE' AND NEW.failed AND NOT OLD.failed THEN
        PERFORM courier.record_event(NEW.name, NEW.owner, 'failed', NEW.last_error, NEW.last_error_detail);
        RETURN NULL;
    ELSIF TG_OP = 'UPDATE' AND NEW.last_error_at IS DISTINCT FROM OLD.last_error_at AND NEW.last_error IS NOT NULL
          AND NEW.last_error IS DISTINCT FROM OLD.last_error THEN
        PERFORM courier.record_event(NEW.name, NEW.owner, 'error', NEW.last_error, NEW.last_error_detail);
        RETURN NULL;
    ELSIF TG_OP = 'INSERT' THEN
        task := NEW; kind := 'created'; what := 'task created';
    ELSIF TG_OP = 'DELETE' THEN
        task := OLD; kind := 'dropped'; what := 'task dropped';
    ELSIF NEW.wanted <> OLD.wanted OR OLD.failed AND NOT NEW.failed THEN
        task := NEW; kind := NEW.wanted;
        what := CASE WHEN NEW.wanted = 'running' THEN CASE WHEN OLD.wanted = 'created' THEN 'task is started' ELSE 'task is resumed' END
                     ELSE format('task is %s', NEW.wanted) END;
    ELSIF NEW.stage <> OLD.stage THEN
        task := NEW; kind := 'stage'; what := format('task went from %s to %s', OLD.stage, NEW.stage);
    ELSE
        RETURN NULL;
    END IF;
    PERFORM courier.record_event(task.name, task.owner, kind, what, NULL);
    PERFORM courier.log_line(format('pg_courier task "%s": %s', task.name, what));
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION courier.note_task_change() IS 'Internal: writes changes of a task''s state into courier.events.';

CREATE TRIGGER note_task_change AFTER INSERT OR DELETE OR UPDATE OF wanted, failed, stage, last_error ON courier.task
    FOR EACH ROW EXECUTE FUNCTION courier.note_task_change();

CREATE VIEW courier.events WITH (security_barrier) AS
SELECT e.at, e.task, e.kind,
       CASE WHEN e.is_hidden THEN 'The task met an error; courier.tasks says which to its owner.' ELSE e.message END AS message,
       CASE WHEN NOT e.is_hidden THEN e.detail END AS detail
  FROM (SELECT v.*, v.kind IN ('error', 'failed') AND NOT v.is_ours AS is_hidden
          FROM (SELECT x.*, EXISTS (SELECT FROM pg_catalog.pg_roles r WHERE r.oid = x.owner AND pg_catalog.pg_has_role(r.oid, 'USAGE')) AS is_ours
                  FROM courier.event x OFFSET 0) v) e
 WHERE e.is_ours OR pg_catalog.pg_has_role('pg_monitor', 'USAGE')
 ORDER BY e.id DESC;
COMMENT ON VIEW courier.events IS
'What happened to the tasks of this database that the current role may use, the latest first: kind is created, running, paused, finished, stage, error, failed, dropped, adopted, waiting, wal_guard, slot, conflicts, definitions. courier.events_kept rows are kept. Errors of tasks may name keys and values of rows: they are for those who may use the task, while members of pg_monitor see that there was one.';
COMMENT ON COLUMN courier.events.at IS 'When it happened.';
COMMENT ON COLUMN courier.events.task IS 'Name of the task; null for what concerns the server.';
COMMENT ON COLUMN courier.events.kind IS 'created, running, paused, finished, stage, error, failed, dropped, adopted, waiting, wal_guard, slot, conflicts, definitions.';
COMMENT ON COLUMN courier.events.message IS 'What happened.';
COMMENT ON COLUMN courier.events.detail IS 'More about it.';
