-- Gives back what was granted before the upgrade; whoever might use the extension may use what is new in it.
DO $upgrade$
DECLARE
    given   record;
    grantee text;
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
END
$upgrade$;
