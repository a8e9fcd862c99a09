-- Gives back what was granted before the upgrade; whoever might use the extension may use what is new in it. Tasks that ran go on.
DO $upgrade$
DECLARE
    given     record;
    privilege text;
    grantee   text;
    task      text;
BEGIN
    FOR given IN
        SELECT g.* FROM pg_catalog.jsonb_to_recordset(pg_catalog.current_setting('courier_upgrade.grants')::jsonb)
               AS g(kind text, name text, column_name text, privilege_type text, grantee text, is_grantable boolean)
         WHERE CASE g.kind WHEN 'ROUTINE' THEN pg_catalog.to_regprocedure(g.name) IS NOT NULL
                           WHEN 'TYPE' THEN pg_catalog.to_regtype(g.name) IS NOT NULL
                           WHEN 'FOREIGN DATA WRAPPER' THEN true
                           ELSE pg_catalog.to_regclass(g.name) IS NOT NULL END
           AND (g.column_name IS NULL OR EXISTS (
                   SELECT FROM pg_catalog.pg_attribute a
                    WHERE a.attrelid = pg_catalog.to_regclass(g.name) AND a.attname = g.column_name AND NOT a.attisdropped))
    LOOP
        grantee := COALESCE(pg_catalog.quote_ident(given.grantee), 'PUBLIC');
        privilege := given.privilege_type || COALESCE(' (' || pg_catalog.quote_ident(given.column_name) || ')', '');
        PERFORM courier.outside_of_script(pg_catalog.format('GRANT %s ON %s %s TO %s%s', privilege, given.kind, given.name, grantee,
                                                            CASE WHEN given.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END));
    END LOOP;
    -- Who could create tasks can go on to, whatever arguments the function has now.
    FOR grantee IN
        SELECT DISTINCT g.grantee
          FROM pg_catalog.jsonb_to_recordset(pg_catalog.current_setting('courier_upgrade.grants')::jsonb) AS g(name text, grantee text)
         WHERE g.name LIKE 'courier.create_task(%' AND g.grantee IS NOT NULL
    LOOP
        PERFORM courier.outside_of_script(pg_catalog.format('SELECT courier.grant_usage(%L)', grantee));
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
