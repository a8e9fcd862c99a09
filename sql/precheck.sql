-- Prechecks: what a task needs, asked before anything is created.

CREATE FUNCTION courier.precheck_task(
    task text, OUT category text, OUT item text, OUT severity text, OUT status text, OUT object text, OUT detail text, OUT fix text,
    OUT ignorable boolean, OUT place text
) RETURNS SETOF record
    LANGUAGE c VOLATILE
    AS 'MODULE_PATHNAME', 'precheck_task_wrapper';
COMMENT ON FUNCTION courier.precheck_task(text) IS 'Internal: courier.precheck(task), with the place where a fix runs.';

CREATE FUNCTION courier.precheck_server(
    server text, include text[], exclude text[], schema_sync boolean, full_copy boolean, incremental boolean, ddl text,
    OUT category text, OUT item text, OUT severity text, OUT status text, OUT object text, OUT detail text, OUT fix text,
    OUT ignorable boolean, OUT place text
) RETURNS SETOF record
    LANGUAGE c VOLATILE
    AS 'MODULE_PATHNAME', 'precheck_new_task_wrapper';
COMMENT ON FUNCTION courier.precheck_server(text, text[], text[], boolean, boolean, boolean, text) IS
'Internal: courier.precheck() of a server and patterns, with the place where a fix runs.';

CREATE FUNCTION courier.precheck(
    task text, OUT category text, OUT item text, OUT severity text, OUT status text, OUT object text, OUT detail text, OUT fix text,
    OUT ignorable boolean
) RETURNS SETOF record
    LANGUAGE sql VOLATILE
    SET search_path = pg_catalog, pg_temp
    AS $$ SELECT category, item, severity, status, object, detail, fix, ignorable FROM courier.precheck_task(task) $$;
COMMENT ON FUNCTION courier.precheck(text) IS
'Whether a task will work: one row for each finding, and one for each item without, the worst first. status is ok, warning, failed, ignored or skipped; fix is SQL that runs as printed, with a comment where it is not for the source. docs/prechecks.md lists the items. Nothing is changed on either side.';

CREATE FUNCTION courier.precheck(
    server text, include text[], exclude text[] DEFAULT '{}', schema_sync boolean DEFAULT true, full_copy boolean DEFAULT true,
    incremental boolean DEFAULT true, ddl text DEFAULT NULL, OUT category text, OUT item text, OUT severity text, OUT status text,
    OUT object text, OUT detail text, OUT fix text, OUT ignorable boolean
) RETURNS SETOF record
    LANGUAGE sql VOLATILE
    SET search_path = pg_catalog, pg_temp
    AS $$
    SELECT category, item, severity, status, object, detail, fix, ignorable
      FROM courier.precheck_server(server, include, exclude, schema_sync, full_copy, incremental, ddl)
    $$;
COMMENT ON FUNCTION courier.precheck(text, text[], text[], boolean, boolean, boolean, text) IS
'The same before there is a task: would one with these options work for the caller?';

CREATE FUNCTION courier.precheck_items(
    OUT category text, OUT item text, OUT severity text, OUT ignorable boolean, OUT about text
) RETURNS SETOF record
    LANGUAGE c STABLE STRICT
    AS 'MODULE_PATHNAME', 'precheck_items_wrapper';
COMMENT ON FUNCTION courier.precheck_items() IS 'What courier.precheck() looks at, and why: the text of docs/prechecks.md.';

CREATE FUNCTION courier.ignore_precheck(task text, item text, reason text) RETURNS void
    LANGUAGE c VOLATILE
    AS 'MODULE_PATHNAME', 'ignore_precheck_wrapper';
COMMENT ON FUNCTION courier.ignore_precheck(text, text, text) IS
'Lets a task start although an item fails, and records who decided so, when and why; reason NULL takes it back. Errors: 42704 no such item, 55000 the item cannot be ignored.';

CREATE FUNCTION courier.apply_fixes(
    task text, dry_run boolean DEFAULT true, OUT item text, OUT object text, OUT statement text, OUT result text
) RETURNS SETOF record
    LANGUAGE plpgsql VOLATILE
    SET search_path = pg_catalog, pg_temp
    -- Without a lock at hand it is better to fail than to queue before everybody.
    SET lock_timeout = '2s'
    AS $$
DECLARE
    finding record;
BEGIN
    IF task IS NULL OR dry_run IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'null_value_not_allowed', MESSAGE = 'an argument of apply_fixes is null';
    END IF;
    FOR finding IN
        SELECT DISTINCT ON (p.fix) p.* FROM courier.precheck_task(task) p
         WHERE p.status IN ('failed', 'warning') AND p.fix IS NOT NULL
         ORDER BY p.fix, p.status
    LOOP
        item := finding.item;
        object := finding.object;
        statement := finding.fix;
        IF finding.place IS DISTINCT FROM 'source' THEN
            result := CASE finding.place
                WHEN 'destination' THEN 'by hand, on the destination'
                WHEN 'reload' THEN 'by hand: ALTER SYSTEM does not run in a function'
                WHEN 'restart' THEN 'by hand: needs a restart'
                ELSE 'by hand: needs a decision' END;
        ELSIF dry_run THEN
            result := 'would run';
        ELSE
            BEGIN
                EXECUTE finding.fix;
                result := 'done';
            EXCEPTION WHEN OTHERS THEN
                result := 'failed: ' || SQLERRM;
            END;
        END IF;
        RETURN NEXT;
    END LOOP;
END
$$;
COMMENT ON FUNCTION courier.apply_fixes(text, boolean) IS
'Runs the fixes of courier.precheck() that SQL on the source alone can do and that need no decision, with the caller''s rights; lists the others. With dry_run, the default, only says what would run.';
