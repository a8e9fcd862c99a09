-- Accounts and settings: statements to read, change and run. Nothing here changes anything.

CREATE FUNCTION courier.account_sql(kind text, name text, task text DEFAULT NULL) RETURNS SETOF text
    LANGUAGE plpgsql VOLATILE
    SET search_path = pg_catalog, pg_temp
    SET standard_conforming_strings = on
    AS $$
DECLARE
    role text := quote_ident(name);
    tables oid[];
    schemas text[];
BEGIN
    IF kind IS NULL OR name IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'null_value_not_allowed', MESSAGE = 'an argument of account_sql is null';
    END IF;
    IF name = '' OR name ~ '[\n\r]' THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value', MESSAGE = 'the name of an account cannot be empty or have a line break';
    END IF;
    IF task IS NOT NULL THEN
        tables := ARRAY(SELECT courier.task_relations(task));
    END IF;
    -- The schemas of the task's tables, or all that have tables of users.
    schemas := ARRAY(SELECT DISTINCT n.nspname::text
                       FROM pg_class c
                       JOIN pg_namespace n ON n.oid = c.relnamespace
                      WHERE c.relkind IN ('r', 'p')
                        AND CASE WHEN task IS NULL THEN n.nspname NOT IN ('pg_catalog', 'information_schema', 'courier', 'courier_applied')
                                                        AND n.nspname !~ '^pg_(toast|temp)'
                                                        AND NOT EXISTS (SELECT FROM pg_depend d
                                                                         WHERE d.classid = 'pg_namespace'::regclass AND d.objid = n.oid AND d.deptype = 'e')
                                 ELSE c.oid = ANY (tables) END
                      ORDER BY 1);
    -- No password: \password in psql sends it hashed, so that it is in no log and no history.
    CASE kind
    WHEN 'source' THEN
        RETURN NEXT format('CREATE ROLE %s LOGIN REPLICATION;', role);
        RETURN NEXT format('SELECT courier.grant_usage(%L);', name);
        -- Not pg_read_all_data: it reads the passwords in pg_user_mapping and pg_authid.
        RETURN QUERY SELECT format('GRANT USAGE ON SCHEMA %I TO %s;', u.s, role) FROM unnest(schemas) AS u(s);
        IF task IS NULL THEN
            RETURN QUERY SELECT g.line
                           FROM unnest(schemas) WITH ORDINALITY AS u(s, n),
                                LATERAL (VALUES (1, format('GRANT SELECT ON ALL TABLES IN SCHEMA %I TO %s;', u.s, role)),
                                                (2, format('GRANT SELECT ON ALL SEQUENCES IN SCHEMA %I TO %s;', u.s, role))) AS g(k, line)
                          ORDER BY u.n, g.k;
        ELSE
            RETURN QUERY SELECT format('GRANT SELECT ON %I.%I TO %s;', n.nspname, c.relname, role)
                           FROM pg_class c
                           JOIN pg_namespace n ON n.oid = c.relnamespace
                          WHERE c.oid = ANY (tables)
                          ORDER BY n.nspname, c.relname;
            -- Values of sequences that belong to a column, or that a default names.
            RETURN QUERY SELECT DISTINCT format('GRANT SELECT ON SEQUENCE %I.%I TO %s;', n.nspname, c.relname, role)
                           FROM pg_class c
                           JOIN pg_namespace n ON n.oid = c.relnamespace
                          WHERE c.relkind = 'S'
                            AND (EXISTS (SELECT FROM pg_depend d
                                          WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.refclassid = 'pg_class'::regclass
                                            AND d.refobjid = ANY (tables) AND d.deptype IN ('a', 'i'))
                                 OR EXISTS (SELECT FROM pg_depend d
                                              JOIN pg_attrdef a ON a.oid = d.objid
                                             WHERE d.classid = 'pg_attrdef'::regclass AND d.refclassid = 'pg_class'::regclass AND d.refobjid = c.oid
                                               AND a.adrelid = ANY (tables)))
                          ORDER BY 1;
        END IF;
        RETURN QUERY SELECT g.line
                       FROM pg_foreign_server s
                       JOIN pg_foreign_data_wrapper w ON w.oid = s.srvfdw,
                            LATERAL (VALUES (1, format('GRANT USAGE ON FOREIGN SERVER %I TO %s;', s.srvname, role)),
                                            (2, format('-- CREATE USER MAPPING FOR %s SERVER %I OPTIONS (user ''...'', password ''...''); -- the account there', role, s.srvname))) AS g(k, line)
                      WHERE w.fdwname = 'pg_courier'
                        -- A line break in somebody's name would end the comment.
                        AND (g.k = 1 OR s.srvname !~ '[\n\r]')
                      ORDER BY s.srvname, g.k;
    WHEN 'destination' THEN
        RETURN NEXT format('CREATE ROLE %s LOGIN; -- all of these on the destination', role);
        RETURN NEXT format('GRANT CONNECT, CREATE ON DATABASE %I TO %s; -- the name of the database there', current_database(), role);
        IF 'public' = ANY (schemas) OR task IS NULL THEN
            RETURN NEXT format('GRANT USAGE, CREATE ON SCHEMA public TO %s;', role);
        END IF;
        schemas := array_remove(schemas, 'public');
        IF cardinality(schemas) > 0 THEN
            RETURN NEXT '-- Other schemas, if they are there already:';
            RETURN NEXT format('SELECT format(''GRANT USAGE, CREATE ON SCHEMA %%I TO %%I'', nspname, %L) FROM pg_namespace WHERE nspname IN (%s) \gexec',
                               name, (SELECT string_agg(quote_literal(u.s), ', ' ORDER BY u.n) FROM unnest(schemas) WITH ORDINALITY AS u(s, n)));
        END IF;
        RETURN NEXT format('GRANT SET ON PARAMETER session_replication_role TO %s; -- PostgreSQL 15 and later, for tables with foreign keys or triggers', role);
        RETURN NEXT format('-- With schema_sync => false also GRANT SELECT, INSERT, UPDATE, DELETE, TRUNCATE ON the tables TO %s;', role);
    WHEN 'standby' THEN
        RETURN NEXT format('CREATE ROLE %s LOGIN REPLICATION;', role);
    WHEN 'dr' THEN
        RETURN NEXT format('CREATE ROLE %s LOGIN REPLICATION CREATEROLE;', role);
        RETURN NEXT format('GRANT pg_monitor TO %s;', role);
    WHEN 'monitor' THEN
        RETURN NEXT format('CREATE ROLE %s LOGIN;', role);
        RETURN NEXT format('GRANT pg_monitor TO %s;', role);
        RETURN NEXT format('SELECT courier.grant_usage(%L);', name);
    ELSE
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value', MESSAGE = format('unknown kind of account "%s"', kind),
            HINT = 'Kinds are source, destination, standby, dr and monitor.';
    END CASE;
    RETURN NEXT format('\password %s', role);
END
$$;
COMMENT ON FUNCTION courier.account_sql(text, text, text) IS
'The statements that make an account: kind is source (owner of tasks), destination (run them there), standby (physical replication), dr (disaster recovery of a whole instance) or monitor (health checks). With a task the rights are those that its tables take, without one those of all schemas that have tables: leave out what the account must not read. For psql; the last line asks for the password. Errors: 22023 unknown kind, empty name.';

CREATE FUNCTION courier.check_account(
    name text, kind text, OUT item text, OUT status text, OUT detail text, OUT fix text
) RETURNS SETOF record
    LANGUAGE plpgsql VOLATILE
    SET search_path = pg_catalog, pg_temp
    SET standard_conforming_strings = on
    AS $$
DECLARE
    r record;
    probe text := 'courier_probe_' || pg_backend_pid();
BEGIN
    IF name IS NULL OR kind IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'null_value_not_allowed', MESSAGE = 'an argument of check_account is null';
    END IF;
    PERFORM courier.account_sql(kind, name);
    SELECT * INTO r FROM pg_roles p WHERE p.rolname = check_account.name;
    item := 'role';
    IF NOT FOUND THEN
        status := 'failed'; detail := 'It does not exist on this server.';
        fix := (SELECT string_agg(s, E'\n') FROM courier.account_sql(kind, name) s);
        RETURN NEXT;
        RETURN;
    END IF;
    status := 'ok'; detail := 'It exists.'; RETURN NEXT;
    FOR item, status, detail, fix IN
        SELECT c.item, CASE WHEN c.ok THEN 'ok' WHEN c.item = 'no more than needed' THEN 'warning' ELSE 'failed' END, c.detail, CASE WHEN NOT c.ok THEN c.fix END
          FROM (VALUES
            ('login', true, r.rolcanlogin, 'LOGIN', format('ALTER ROLE %I LOGIN;', name)),
            ('not expired', true, COALESCE(r.rolvaliduntil > clock_timestamp(), true), 'VALID UNTIL', format('ALTER ROLE %I VALID UNTIL ''infinity'';', name)),
            ('replication', kind IN ('source', 'standby', 'dr'), r.rolreplication OR r.rolsuper, 'REPLICATION', format('ALTER ROLE %I REPLICATION;', name)),
            ('create roles', kind = 'dr', r.rolcreaterole OR r.rolsuper, 'CREATEROLE', format('ALTER ROLE %I CREATEROLE;', name)),
            ('monitoring', kind IN ('dr', 'monitor'), pg_has_role(r.oid, 'pg_monitor', 'USAGE'), 'pg_monitor', format('GRANT pg_monitor TO %I;', name)),
            ('courier', kind IN ('source', 'monitor'), has_schema_privilege(r.oid, 'courier', 'USAGE') AND has_function_privilege(r.oid, 'courier.health()', 'EXECUTE'),
             'usage of pg_courier', format('SELECT courier.grant_usage(%L);', name)),
            ('create in database', kind = 'destination', has_database_privilege(r.oid, current_database(), 'CREATE'), 'CREATE on this database',
             format('GRANT CREATE ON DATABASE %I TO %I;', current_database(), name)),
            ('create in public', kind = 'destination' AND to_regnamespace('public') IS NOT NULL,
             has_schema_privilege(r.oid, to_regnamespace('public'), 'USAGE') AND has_schema_privilege(r.oid, to_regnamespace('public'), 'CREATE'),
             'USAGE and CREATE on schema public', format('GRANT USAGE, CREATE ON SCHEMA public TO %I;', name)),
            ('no more than needed', kind = 'source',
             -- Not there before 14.
             r.rolsuper OR COALESCE(NOT pg_has_role(r.oid, to_regrole('pg_read_all_data'), 'MEMBER'), true),
             'pg_read_all_data reads the passwords in pg_user_mapping and pg_authid, and the tables of pg_courier',
             format('REVOKE pg_read_all_data FROM %I; -- and grant what SELECT courier.account_sql(''source'', %L, task) FROM courier.tasks; prints', name, name))
          ) AS c(item, asked, ok, detail, fix)
         WHERE c.asked
    LOOP
        RETURN NEXT;
    END LOOP;
    IF kind = 'dr' THEN
        -- Done as the account, and undone: before 16 only a superuser makes roles with REPLICATION.
        item := 'create replication roles'; fix := NULL;
        BEGIN
            EXECUTE format('SET LOCAL ROLE %I', name);
            EXECUTE format('CREATE ROLE %I REPLICATION', probe);
            RAISE EXCEPTION USING ERRCODE = 'CO001';
        EXCEPTION WHEN SQLSTATE 'CO001' THEN
            status := 'ok'; detail := 'It can make roles with REPLICATION (tried, and undone).';
        WHEN OTHERS THEN
            status := 'failed'; detail := SQLERRM; fix := format('ALTER ROLE %I SUPERUSER;', name);
        END;
        RETURN NEXT;
    END IF;
END
$$;
COMMENT ON FUNCTION courier.check_account(text, text) IS
'Whether a role of this server has what courier.account_sql() gives its kind, with what is missing as SQL. What cannot be read from the catalogs is tried and undone. For superusers and whoever may SET ROLE to it.';

CREATE FUNCTION courier.hba_lines(account text, cidr text, kind text DEFAULT 'destination') RETURNS SETOF text
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
    SET standard_conforming_strings = on
    AS $$
DECLARE
    network cidr;
    role text := CASE WHEN account ~ '^[a-z_][a-z0-9_]*$' AND account NOT IN ('all', 'sameuser', 'samerole', 'replication')
                      THEN account ELSE '"' || replace(account, '"', '""') || '"' END;
BEGIN
    IF account IS NULL OR cidr IS NULL OR kind IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'null_value_not_allowed', MESSAGE = 'an argument of hba_lines is null';
    END IF;
    IF account = '' OR account ~ '[\n\r]' THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value', MESSAGE = 'the name of an account cannot be empty or have a line break';
    END IF;
    IF kind NOT IN ('destination', 'standby', 'dr', 'monitor') THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value', MESSAGE = format('account of kind "%s" needs no line of pg_hba.conf', kind),
            HINT = 'Kinds are destination, standby, dr and monitor. The owner of tasks on the source connects to no server.';
    END IF;
    network := cidr::cidr;
    IF masklen(network) = 0 THEN
        RETURN NEXT '# This admits every address: prefer the address of the other server.';
    END IF;
    RETURN NEXT format('hostssl all         %s %s scram-sha-256', role, network);
    -- Physical replication and base backups only: a task is an ordinary client.
    IF kind IN ('standby', 'dr') THEN
        RETURN NEXT format('hostssl replication %s %s scram-sha-256', role, network);
    END IF;
    RETURN NEXT '# Then: SELECT pg_reload_conf(); SELECT * FROM pg_hba_file_rules WHERE error IS NOT NULL; finds mistakes.';
    RETURN NEXT format('# The file: %s hostssl needs ssl = on.',
        CASE WHEN kind = 'destination' THEN 'the destination''s; there SHOW hba_file; says where it is.'
             WHEN pg_has_role('pg_read_all_settings', 'USAGE') THEN format('%s on this server.', current_setting('hba_file'))
             ELSE 'SHOW hba_file; says where it is.' END);
END
$$;
COMMENT ON FUNCTION courier.hba_lines(text, text, text) IS
'Lines of pg_hba.conf that admit an account from a network, the same for PostgreSQL 13 to 18. Kind says whose file they are for: destination (the default) is that of the destination of tasks, standby, dr and monitor that of this server. A task needs none on the source. Errors: 22P02 no network, 22023 unknown kind, empty name.';

CREATE FUNCTION courier.source_settings(
    tasks integer DEFAULT 1, OUT name text, OUT current text, OUT needed text, OUT statement text, OUT takes_effect text
) RETURNS SETOF record
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
    SET standard_conforming_strings = on
    AS $$
#variable_conflict use_column
BEGIN
    IF tasks IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'null_value_not_allowed', MESSAGE = 'an argument of source_settings is null';
    END IF;
    RETURN QUERY
    WITH used AS (
        SELECT (SELECT count(*) FROM pg_replication_slots) AS slots,
               (SELECT count(*) FROM pg_stat_activity WHERE backend_type LIKE '%worker%' AND backend_type NOT IN ('parallel worker', 'autovacuum worker')
                                                     OR backend_type LIKE '%launcher' AND backend_type <> 'autovacuum launcher'
                                                     OR backend_type LIKE 'pg_courier supervisor%') AS workers
    ), wanted AS (
        SELECT 'wal_level' AS name, 'logical' AS needed, 0 AS number
        UNION ALL SELECT 'max_replication_slots', NULL, slots + tasks FROM used
        UNION ALL SELECT 'max_worker_processes', NULL,
                         workers + tasks * (2 + (SELECT setting::integer FROM pg_settings WHERE name = 'courier.max_sync_workers_per_task')) + 1 FROM used
        UNION ALL SELECT 'logical_decoding_work_mem', NULL, 65536
    )
    SELECT w.name, current_setting(w.name), COALESCE(w.needed, CASE WHEN w.number = 65536 THEN '64MB' ELSE w.number::text END),
           CASE WHEN w.name = 'wal_level' AND s.setting <> 'logical' OR w.name <> 'wal_level' AND s.setting::bigint < w.number
                THEN format('ALTER SYSTEM SET %s = %s;', w.name, COALESCE(w.needed, CASE WHEN w.number = 65536 THEN '''64MB''' ELSE w.number::text END)) END,
           CASE s.context WHEN 'postmaster' THEN 'after a restart' ELSE 'after SELECT pg_reload_conf();' END
      FROM wanted w
      JOIN pg_settings s ON s.name = w.name
    UNION ALL
    SELECT 'shared_preload_libraries', CASE WHEN pg_has_role('pg_read_all_settings', 'USAGE') THEN l.list END, 'pg_courier',
           CASE WHEN l.list IS NULL THEN 'ALTER SYSTEM SET shared_preload_libraries = ''pg_courier''; -- keep what is there'
                WHEN l.list !~ '\mpg_courier\M'
                THEN format('ALTER SYSTEM SET shared_preload_libraries = %s;',
                     (SELECT string_agg(quote_literal(trim(p, ' "')), ', ' ORDER BY n)
                        FROM unnest(string_to_array(l.list || ',pg_courier', ',')) WITH ORDINALITY AS u(p, n) WHERE trim(p, ' "') <> '')) END,
           'after a restart'
      -- Not everybody may read it.
      FROM (SELECT (SELECT setting FROM pg_settings WHERE name = 'shared_preload_libraries') AS list) AS l;
END
    $$;
COMMENT ON FUNCTION courier.source_settings(integer) IS
'Settings of the source for so many more tasks: what is set, what is needed beside everything that runs now, the ALTER SYSTEM command where they differ, and when it takes effect.';
