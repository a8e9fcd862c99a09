-- Who may use what: the last file, when everything is there. Whatever the others make is closed at its end, to everybody but superusers; whom it
-- is opened to stands here and nowhere else.

CREATE FUNCTION courier.declared_rights(OUT kind text, OUT object text, OUT audience text) RETURNS SETOF record
    LANGUAGE sql IMMUTABLE
    SET search_path = pg_catalog, pg_temp
    AS $$
-- Constants: a list in a table could be written by a member of pg_write_all_data, and would be run by a superuser.
--
--   users        whoever courier.grant_usage() has been called for; of tasks, those of roles that it is or is a member of
--   monitoring   the same, and whoever of them is a member of pg_monitor sees all tasks
--   superusers   nobody else, though people call it; what is not named here is for the extension itself
--
-- Names and types as COMMENT ON has them: docs/security.md shows both.
VALUES
    ('SCHEMA', 'courier', 'users'),
    ('FOREIGN DATA WRAPPER', 'pg_courier', 'users'),
    -- Tasks, in the order of their lives.
    ('FUNCTION', 'courier.test_connection(text)', 'users'),
    ('FUNCTION', 'courier.create_task(text, text, text[], text[], boolean, boolean, boolean, text, boolean, text)', 'users'),
    ('FUNCTION', 'courier.alter_task(text, text, boolean, text[], text)', 'users'),
    ('FUNCTION', 'courier.add_table(text, regclass)', 'users'),
    ('FUNCTION', 'courier.plan(text)', 'users'),
    ('FUNCTION', 'courier.start(text)', 'users'),
    ('FUNCTION', 'courier.pause(text)', 'users'),
    ('FUNCTION', 'courier.resume(text)', 'users'),
    ('FUNCTION', 'courier.wait_for(text, interval)', 'users'),
    ('FUNCTION', 'courier.verify(text)', 'users'),
    ('FUNCTION', 'courier.skip_change(text, pg_lsn)', 'users'),
    ('FUNCTION', 'courier.ddl_skip(text, bigint)', 'users'),
    ('FUNCTION', 'courier.ddl_replace(text, bigint, text)', 'users'),
    ('FUNCTION', 'courier.approve_ddl(text, bigint)', 'users'),
    ('FUNCTION', 'courier.set_ddl_policy(text, text, text, text)', 'users'),
    ('FUNCTION', 'courier.trust_role(text, text)', 'users'),
    ('FUNCTION', 'courier.distrust_role(text, text)', 'users'),
    ('FUNCTION', 'courier.clear_conflicts(text, timestamptz)', 'users'),
    ('FUNCTION', 'courier.capture(text)', 'users'),
    ('FUNCTION', 'courier.capture_task(text)', 'users'),
    ('FUNCTION', 'courier.sweep(text)', 'users'),
    ('FUNCTION', 'courier.adopt(text)', 'users'),
    ('FUNCTION', 'courier.complete_destination(text, boolean, boolean, text[])', 'users'),
    ('FUNCTION', 'courier.large_objects(text)', 'users'),
    ('PROCEDURE', 'courier.copy_large_objects(text)', 'users'),
    ('FUNCTION', 'courier.drop_task(text, boolean)', 'users'),
    -- Before a task starts.
    ('FUNCTION', 'courier.precheck(text)', 'users'),
    ('FUNCTION', 'courier.precheck(text, text[], text[], boolean, boolean, boolean, text)', 'users'),
    ('FUNCTION', 'courier.precheck_items()', 'users'),
    ('FUNCTION', 'courier.ignore_precheck(text, text, text)', 'users'),
    ('FUNCTION', 'courier.apply_fixes(text, boolean)', 'users'),
    ('FUNCTION', 'courier.replica_identity(text)', 'users'),
    ('PROCEDURE', 'courier.set_replica_identity(text, boolean, interval, integer)', 'users'),
    ('FUNCTION', 'courier.account_sql(text, text, text)', 'users'),
    ('FUNCTION', 'courier.check_account(text, text)', 'superusers'),
    ('FUNCTION', 'courier.hba_lines(text, text, text)', 'users'),
    ('FUNCTION', 'courier.source_settings(integer)', 'users'),
    ('FUNCTION', 'courier.preload_sql(text)', 'users'),
    ('FUNCTION', 'courier.is_preloaded()', 'users'),
    -- While it runs.
    ('VIEW', 'courier.tasks', 'monitoring'),
    ('VIEW', 'courier.task_details', 'monitoring'),
    ('VIEW', 'courier.progress', 'monitoring'),
    ('VIEW', 'courier.progress_total', 'monitoring'),
    ('VIEW', 'courier.lag', 'monitoring'),
    ('VIEW', 'courier.conflicts', 'users'),
    ('VIEW', 'courier.ddl', 'users'),
    ('VIEW', 'courier.ddl_policies', 'users'),
    ('VIEW', 'courier.events', 'monitoring'),
    ('VIEW', 'courier.alerts', 'monitoring'),
    ('VIEW', 'courier.slots', 'monitoring'),
    ('VIEW', 'courier.health_last', 'users'),
    ('FUNCTION', 'courier.coverage(text)', 'monitoring'),
    ('FUNCTION', 'courier.health()', 'monitoring'),
    ('FUNCTION', 'courier.health_check()', 'monitoring'),
    ('FUNCTION', 'courier.disk_space()', 'users'),
    ('FUNCTION', 'courier.wal_rate()', 'users'),
    ('FUNCTION', 'courier.wal_end()', 'users'),
    ('FUNCTION', 'courier.threshold(text)', 'users'),
    ('FUNCTION', 'courier.progress_bar(numeric)', 'users'),
    -- The extension itself.
    ('FUNCTION', 'courier.grant_usage(text)', 'superusers'),
    ('FUNCTION', 'courier.drop_orphaned_slots(boolean, interval, text[])', 'superusers'),
    ('FUNCTION', 'courier.schema_ddl(oid[], boolean, oid[], oid[], oid[])', 'superusers'),
    ('FUNCTION', 'courier.schema_omissions(oid[], oid[], oid[], oid[])', 'superusers'),
    -- What these call with the rights of whoever called them.
    ('VIEW', 'courier.unidentified', 'monitoring'),
    ('VIEW', 'courier.rewritten', 'monitoring'),
    ('VIEW', 'courier.copying', 'monitoring'),
    ('VIEW', 'courier.left_aside', 'monitoring'),
    ('VIEW', 'courier.uncaptured', 'monitoring'),
    ('VIEW', 'courier.ddl_attention', 'monitoring'),
    ('FUNCTION', 'courier.command_status()', 'users'),
    ('FUNCTION', 'courier.task_status()', 'users'),
    ('FUNCTION', 'courier.copy_status()', 'users'),
    ('FUNCTION', 'courier.lag_status()', 'users'),
    ('FUNCTION', 'courier.conflict_rows(text)', 'users'),
    ('FUNCTION', 'courier.read_conflicts(text)', 'users'),
    ('FUNCTION', 'courier.precheck_task(text)', 'users'),
    ('FUNCTION', 'courier.precheck_server(text, text[], text[], boolean, boolean, boolean, text)', 'users'),
    ('FUNCTION', 'courier.task_relations(text)', 'users'),
    ('FUNCTION', 'courier.identity_of(oid[])', 'users'),
    ('FUNCTION', 'courier.identities_to_set(text)', 'users'),
    ('FUNCTION', 'courier.remember_identity(text, oid)', 'users'),
    ('FUNCTION', 'courier.try_statement(text)', 'users'),
    ('FUNCTION', 'courier.copy_some_large_objects(text, oid)', 'users'),
    ('FUNCTION', 'courier.tell_of_large_objects(text, bigint, bigint, bigint)', 'users');
$$;
COMMENT ON FUNCTION courier.declared_rights() IS 'Internal: what of the extension is for whom; all else is for superusers only.';

CREATE FUNCTION courier.grant_usage(role_name text) RETURNS void
    LANGUAGE plpgsql VOLATILE
    SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    declared record;
BEGIN
    IF role_name IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'null_value_not_allowed', MESSAGE = 'role_name must not be null';
    END IF;
    FOR declared IN
        SELECT CASE WHEN d.kind = 'VIEW' THEN 'SELECT ON TABLE'
                    WHEN d.kind IN ('SCHEMA', 'FOREIGN DATA WRAPPER') THEN 'USAGE ON ' || d.kind
                    ELSE 'EXECUTE ON ' || d.kind END AS privilege,
               d.object
          FROM courier.declared_rights() d
         WHERE d.audience IN ('users', 'monitoring')
    LOOP
        EXECUTE format('GRANT %s %s TO %I', declared.privilege, declared.object, role_name);
    END LOOP;
END
$$;
COMMENT ON FUNCTION courier.grant_usage(text) IS
'Lets a role create and run tasks of its own. It still needs REPLICATION for incremental tasks, SELECT on the tables, and USAGE on a server or the right to create one. Errors: 22004 the role is null.';

CREATE FUNCTION courier.outside_of_script(statement text) RETURNS void
    LANGUAGE c VOLATILE STRICT
    AS 'MODULE_PATHNAME', 'outside_of_script_wrapper';
COMMENT ON FUNCTION courier.outside_of_script(text) IS
'Internal: runs a statement of an upgrade as if it were no part of it. What a script grants, the server takes for the extension''s own, and pg_dump leaves it out.';

-- Rows of these tables become rights: whose a task is, and with that with whose rights workers read. Nobody is granted anything on
-- them, but a member of pg_write_all_data needs no grant.
CREATE FUNCTION courier.guard_rows() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
    AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles r WHERE r.rolname = current_user AND r.rolsuper)
       AND NOT EXISTS (SELECT FROM pg_class c WHERE c.oid = TG_RELID AND pg_get_userbyid(c.relowner) = current_user)
    THEN
        RAISE EXCEPTION USING ERRCODE = 'insufficient_privilege',
            MESSAGE = format('permission denied for table %I.%I', TG_TABLE_SCHEMA, TG_TABLE_NAME),
            DETAIL = 'Its rows decide with whose rights tasks work; only functions of pg_courier write them.',
            HINT = 'Call them instead: SELECT proname, obj_description(oid, ''pg_proc'') FROM pg_proc WHERE pronamespace = ''courier''::regnamespace;';
    END IF;
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION courier.guard_rows() IS 'Internal: refuses to let anybody write the tables of the extension but superusers, and so its own functions.';

DO $guard$
DECLARE
    guarded regclass;
BEGIN
    FOR guarded IN
        SELECT d.objid
          FROM pg_catalog.pg_depend d
          JOIN pg_catalog.pg_class c ON c.oid = d.objid AND c.relkind = 'r'
         WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.deptype = 'e'
           AND d.refclassid = 'pg_catalog.pg_extension'::pg_catalog.regclass
           AND d.refobjid = (SELECT e.oid FROM pg_catalog.pg_extension e WHERE e.extname = 'pg_courier')
    LOOP
        EXECUTE pg_catalog.format('CREATE TRIGGER guard_rows BEFORE INSERT OR UPDATE OR DELETE ON %s EXECUTE FUNCTION courier.guard_rows()', guarded);
        -- Whatever session_replication_role says.
        EXECUTE pg_catalog.format('ALTER TABLE %s ENABLE ALWAYS TRIGGER guard_rows', guarded);
    END LOOP;
END
$guard$;

-- Closes everything that belongs to the extension, and nothing else: PostgreSQL opens functions and types to PUBLIC, and default privileges of
-- whoever installs it may open the rest to anybody. An update has noted what administrators granted, and gives it back (sql/upgrade/).
DO $sweep$
DECLARE
    closed  record;
    missing text;
BEGIN
    FOR closed IN
        SELECT o.kind, o.grantees, pg_catalog.string_agg(o.name, ', ') AS names
          FROM (SELECT m.kind, (pg_catalog.pg_identify_object(d.classid, d.objid, 0)).identity AS name,
                       pg_catalog.concat_ws(', ', 'PUBLIC',
                           pg_catalog.string_agg(DISTINCT pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(a.grantee)), ', ')) AS grantees
                  FROM pg_catalog.pg_depend d
                 CROSS JOIN LATERAL (
                       SELECT 'ROUTINE', p.proowner, p.proacl FROM pg_catalog.pg_proc p
                        WHERE d.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass AND p.oid = d.objid
                       UNION ALL
                       SELECT CASE r.relkind WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END, r.relowner, r.relacl FROM pg_catalog.pg_class r
                        WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND r.oid = d.objid
                       UNION ALL
                       SELECT CASE r.relkind WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END, r.relowner, c.attacl
                         FROM pg_catalog.pg_class r JOIN pg_catalog.pg_attribute c ON c.attrelid = r.oid
                        WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND r.oid = d.objid
                       UNION ALL
                       -- Array types, which have no privileges, and the row types of tables are members, too, from 17 on.
                       SELECT 'TYPE', t.typowner, t.typacl FROM pg_catalog.pg_type t
                        WHERE d.classid = 'pg_catalog.pg_type'::pg_catalog.regclass AND t.oid = d.objid
                          AND NOT EXISTS (SELECT FROM pg_catalog.pg_type e WHERE e.typarray = t.oid)
                          AND NOT EXISTS (SELECT FROM pg_catalog.pg_class r WHERE r.oid = t.typrelid AND r.relkind <> 'c')
                       UNION ALL
                       SELECT 'FOREIGN DATA WRAPPER', w.fdwowner, w.fdwacl FROM pg_catalog.pg_foreign_data_wrapper w
                        WHERE d.classid = 'pg_catalog.pg_foreign_data_wrapper'::pg_catalog.regclass AND w.oid = d.objid
                       ) AS m(kind, owner, acl)
                  LEFT JOIN LATERAL pg_catalog.aclexplode(m.acl) a ON NOT a.grantee IN (0, m.owner)
                 WHERE d.refclassid = 'pg_catalog.pg_extension'::pg_catalog.regclass AND d.deptype = 'e'
                   AND d.refobjid = (SELECT e.oid FROM pg_catalog.pg_extension e WHERE e.extname = 'pg_courier')
                 GROUP BY m.kind, d.classid, d.objid) AS o
         GROUP BY o.kind, o.grantees
    LOOP
        EXECUTE pg_catalog.format('REVOKE ALL ON %s %s FROM %s CASCADE', closed.kind, closed.names, closed.grantees);
    END LOOP;

    -- A name that is not there would be found by the first who calls courier.grant_usage().
    SELECT pg_catalog.string_agg(d.object, ', ') INTO missing
      FROM courier.declared_rights() d
     WHERE CASE d.kind WHEN 'VIEW' THEN pg_catalog.to_regclass(d.object)::oid
                       WHEN 'FUNCTION' THEN pg_catalog.to_regprocedure(d.object)::oid
                       WHEN 'PROCEDURE' THEN pg_catalog.to_regprocedure(d.object)::oid
                       ELSE 0 END IS NULL
        OR NOT d.audience IN ('users', 'monitoring', 'superusers');
    IF missing IS NOT NULL THEN
        RAISE EXCEPTION 'sql/rights.sql declares what is not there: %', missing;
    END IF;
END
$sweep$;
