-- Who may do what: the last file, when everything is there. A function, procedure or view for users is named here as well.

CREATE FUNCTION courier.grant_usage(role_name text) RETURNS void
    LANGUAGE plpgsql VOLATILE
    SET search_path = pg_catalog, pg_temp
    AS $$
-- Constants: a list in a table could be written by a member of pg_write_all_data, and would be run here by a superuser.
DECLARE
    views      constant text[] := ARRAY[
        'courier.tasks',
        'courier.task_details',
        'courier.progress',
        'courier.progress_total',
        'courier.conflicts',
        'courier.events',
        'courier.alerts',
        'courier.lag',
        'courier.slots',
        'courier.health_last',
        'courier.unidentified',
        'courier.rewritten',
        'courier.copying'];
    procedures constant text[] := ARRAY[
        'courier.set_replica_identity(text, boolean, interval, integer)'];
    functions  constant text[] := ARRAY[
        'courier.test_connection(text)',
        'courier.create_task(text, text, text[], text[], boolean, boolean, boolean, text, boolean)',
        'courier.plan(text)',
        'courier.start(text)',
        'courier.pause(text)',
        'courier.resume(text)',
        'courier.wait_for(text, interval)',
        'courier.verify(text)',
        'courier.adopt(text)',
        'courier.drop_task(text, boolean)',
        'courier.alter_task(text, text, boolean, text[])', 'courier.add_table(text, regclass)', 'courier.coverage(text)',
        'courier.skip_change(text, pg_lsn)',
        'courier.conflict_rows(text)',
        'courier.read_conflicts(text)',
        'courier.clear_conflicts(text, timestamptz)',
        'courier.wal_end()',
        'courier.is_preloaded()',
        'courier.preload_sql(text)',
        'courier.progress_bar(numeric)',
        'courier.task_status()',
        'courier.copy_status()',
        'courier.account_sql(text, text, text)',
        'courier.hba_lines(text, text, text)',
        'courier.source_settings(integer)',
        'courier.health()',
        'courier.health_check()',
        'courier.lag_status()',
        'courier.precheck_task(text)',
        'courier.precheck_server(text, text[], text[], boolean, boolean, boolean)',
        'courier.precheck(text)',
        'courier.precheck(text, text[], text[], boolean, boolean, boolean)',
        'courier.precheck_items()',
        'courier.ignore_precheck(text, text, text)',
        'courier.apply_fixes(text, boolean)',
        'courier.disk_space()',
        'courier.wal_rate()',
        'courier.threshold(text)',
        'courier.task_relations(text)',
        'courier.identity_of(oid[])',
        'courier.replica_identity(text)',
        'courier.identities_to_set(text)',
        'courier.remember_identity(text, oid)',
        'courier.try_statement(text)'];
    target     text;
    object     text;
BEGIN
    IF role_name IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'null_value_not_allowed', MESSAGE = 'role_name must not be null';
    END IF;
    target := quote_ident(role_name);
    EXECUTE format('GRANT USAGE ON SCHEMA courier TO %s', target);
    EXECUTE format('GRANT USAGE ON FOREIGN DATA WRAPPER pg_courier TO %s', target);
    FOREACH object IN ARRAY views LOOP
        EXECUTE format('GRANT SELECT ON %s TO %s', object, target);
    END LOOP;
    FOREACH object IN ARRAY procedures LOOP
        EXECUTE format('GRANT EXECUTE ON PROCEDURE %s TO %s', object, target);
    END LOOP;
    FOREACH object IN ARRAY functions LOOP
        EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO %s', object, target);
    END LOOP;
END
$$;
COMMENT ON FUNCTION courier.grant_usage(text) IS
'Lets a role create and run tasks of its own. It still needs REPLICATION for incremental tasks, SELECT on the tables, and USAGE on a server or the right to create one. Errors: 22004 the role is null.';
REVOKE ALL ON FUNCTION courier.grant_usage(text) FROM PUBLIC;

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
REVOKE ALL ON FUNCTION courier.guard_rows() FROM PUBLIC;

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
