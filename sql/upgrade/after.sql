-- Gives back what was granted before the upgrade; whoever might use the extension may use what is new in it. Tasks that ran go on.
DO $upgrade$
DECLARE
    given   record;
    grantee text;
    task    text;
BEGIN
    FOR given IN
        SELECT g.* FROM pg_catalog.jsonb_to_recordset(pg_catalog.current_setting('courier_upgrade.grants')::jsonb)
               AS g(kind text, name text, privilege_type text, grantee text, is_grantable boolean)
         WHERE CASE g.kind WHEN 'TABLE' THEN pg_catalog.to_regclass(g.name)::oid ELSE pg_catalog.to_regprocedure(g.name)::oid END IS NOT NULL
    LOOP
        grantee := COALESCE(pg_catalog.quote_ident(given.grantee), 'PUBLIC');
        EXECUTE pg_catalog.format('GRANT %s ON %s %s TO %s%s', given.privilege_type, given.kind, given.name, grantee,
                                  CASE WHEN given.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END);
        IF given.name LIKE 'courier.create_task(%' AND given.grantee IS NOT NULL THEN
            PERFORM courier.grant_usage(given.grantee);
        END IF;
    END LOOP;
    FOR task IN SELECT t.name FROM courier.task t WHERE t.wanted = 'running' AND NOT t.failed LOOP
        BEGIN
            PERFORM courier.resume(task);
        EXCEPTION WHEN OTHERS THEN
            RAISE WARNING USING MESSAGE = pg_catalog.format('task "%s" does not go on by itself: %s', task, SQLERRM),
                HINT = pg_catalog.format('SELECT courier.resume(%L);', task);
        END;
    END LOOP;
END
$upgrade$;
