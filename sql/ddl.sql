-- What commands on definitions leave behind for the tasks that want to know (courier.ddl_log).

-- Not STABLE: after a command that is several transactions there is no snapshot for such a function to run under.
CREATE FUNCTION courier.capture_ddl() RETURNS event_trigger
    LANGUAGE c VOLATILE
    AS 'MODULE_PATHNAME', 'capture_ddl_wrapper';
COMMENT ON FUNCTION courier.capture_ddl() IS
'Writes what a command has changed into courier.ddl_log, in the transaction that ran it; nothing where no task wants to know. What fails in it is a warning, and the command stands (courier.on_capture_error). Error: 39P03 it is not called by an event trigger.';

CREATE FUNCTION courier.capture(object text) RETURNS void
    LANGUAGE c VOLATILE
    AS 'MODULE_PATHNAME', 'capture_wrapper';
COMMENT ON FUNCTION courier.capture(text) IS
'Tells the tasks how an object is now, with all that inherits from it, as if a command had changed it: for what escaped the event triggers (they were disabled, or a catalog was edited by hand). object is a table, sequence or type with its schema, a schema, or an oid. Errors: 22004 the object is null, 42704 it does not exist, 42809 no task creates it: it is of the system, temporary, or part of an extension.';

CREATE FUNCTION courier.capture_task(task text) RETURNS bigint
    LANGUAGE c VOLATILE
    AS 'MODULE_PATHNAME', 'capture_task_wrapper';
COMMENT ON FUNCTION courier.capture_task(text) IS
'The same for all tables of a task, up to a hundred with their descendants in a row of the log; returns how many rows those are. Errors: 22004 the task is null, 42704 it does not exist or is not the caller''s.';

CREATE FUNCTION courier.sweep(task text) RETURNS bigint
    LANGUAGE c VOLATILE
    AS 'MODULE_PATHNAME', 'sweep_wrapper';
COMMENT ON FUNCTION courier.sweep(text) IS
'Compares everything that a task has of this database with what it was told last, and tells it what is another now: for what no event trigger is told of (REASSIGN OWNED, ALTER ROLE RENAME, catalogs edited by hand). Tasks with ddl => ''replicate'' do it by themselves every courier.ddl_audit_interval. Returns the number of rows of the log. Errors: 22004 the task is null, 42704 it does not exist or is not the caller''s, 55000 it does not follow commands.';

CREATE EVENT TRIGGER pg_courier_ddl ON ddl_command_end EXECUTE FUNCTION courier.capture_ddl();
CREATE EVENT TRIGGER pg_courier_ddl_drop ON sql_drop EXECUTE FUNCTION courier.capture_ddl();
CREATE EVENT TRIGGER pg_courier_ddl_rewrite ON table_rewrite EXECUTE FUNCTION courier.capture_ddl();
-- Whatever session_replication_role says.
ALTER EVENT TRIGGER pg_courier_ddl ENABLE ALWAYS;
ALTER EVENT TRIGGER pg_courier_ddl_drop ENABLE ALWAYS;
ALTER EVENT TRIGGER pg_courier_ddl_rewrite ENABLE ALWAYS;
COMMENT ON EVENT TRIGGER pg_courier_ddl IS 'Tells tasks of pg_courier what commands have made and changed.';
COMMENT ON EVENT TRIGGER pg_courier_ddl_drop IS 'Tells tasks of pg_courier what commands have dropped.';
COMMENT ON EVENT TRIGGER pg_courier_ddl_rewrite IS 'Tells tasks of pg_courier that the rows of a table are about to be written anew.';
