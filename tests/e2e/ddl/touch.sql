-- Writes a row into each table of some schemas, changes one, removes one, as far as its keys and checks let it. Returns how many of
-- these were done, and the tables where none was.
CREATE SCHEMA tester;
CREATE FUNCTION tester.try(statement text) RETURNS int LANGUAGE plpgsql AS $$
DECLARE
    done int;
BEGIN
    EXECUTE statement;
    GET DIAGNOSTICS done = ROW_COUNT;
    RETURN least(done, 1);
EXCEPTION WHEN integrity_constraint_violation OR data_exception OR insufficient_privilege OR raise_exception THEN
    RETURN 0;
END $$;
CREATE FUNCTION tester.touch(relation regclass) RETURNS int LANGUAGE plpgsql AS $$
DECLARE
    key text;
    others text;
    changed text;
    done int := 0;
BEGIN
    SELECT quote_ident(attname) INTO key FROM pg_index JOIN pg_attribute ON attrelid = indrelid AND attnum = indkey[0]
        WHERE indrelid = relation AND indisprimary AND indnkeyatts = 1 AND atttypid IN ('int4'::regtype, 'int8'::regtype);
    SELECT string_agg(quote_ident(attname), ', ' ORDER BY attnum) INTO others FROM pg_attribute
        WHERE attrelid = relation AND attnum > 0 AND NOT attisdropped AND attgenerated = '' AND quote_ident(attname) IS DISTINCT FROM key;
    SELECT CASE WHEN atttypid IN ('text'::regtype) THEN format('%1$I = %1$I || ''~''', attname) ELSE format('%1$I = %1$I + 1', attname) END
        INTO changed FROM pg_attribute
        WHERE attrelid = relation AND attnum > 0 AND NOT attisdropped AND attgenerated = '' AND attidentity = ''
            AND quote_ident(attname) IS DISTINCT FROM key
            AND atttypid IN ('text'::regtype, 'int4'::regtype, 'int8'::regtype, 'numeric'::regtype, 'float8'::regtype)
        ORDER BY atttypid <> 'text'::regtype, attnum LIMIT 1;
    IF key IS NULL THEN
        IF others IS NOT NULL THEN
            done := tester.try(format('INSERT INTO %s (%s) OVERRIDING SYSTEM VALUE SELECT %s FROM %1$s LIMIT 1', relation, others, others));
        END IF;
        RETURN done + tester.try(format('DELETE FROM %s WHERE (tableoid, ctid) = (SELECT tableoid, ctid FROM %1$s LIMIT 1)', relation));
    END IF;
    done := tester.try(format('INSERT INTO %s (%s) OVERRIDING SYSTEM VALUE SELECT %s FROM %1$s ORDER BY %s LIMIT 1',
        relation, concat_ws(', ', key, others), concat_ws(', ', format('(SELECT max(%s) FROM %s) + 1000', key, relation), others), key));
    IF done = 0 THEN
        done := tester.try(format('INSERT INTO %s (%s) OVERRIDING SYSTEM VALUE VALUES (1000)', relation, key));
    END IF;
    RETURN done
        + tester.try(format('UPDATE %s SET %s WHERE %s = (SELECT max(%3$s) FROM %1$s)', relation, coalesce(changed, key || ' = ' || key || ' + 1'), key))
        + tester.try(format('DELETE FROM %s WHERE %s = (SELECT min(%2$s) FROM %1$s)', relation, key));
END $$;
CREATE FUNCTION tester.touch_all(schemas text, OUT done int, OUT untouched text) LANGUAGE sql AS $$
    SELECT coalesce(sum(n), 0), coalesce(string_agg(relation::text, ', ') FILTER (WHERE n = 0), '') FROM (
        SELECT c.oid::regclass AS relation, tester.touch(c.oid) AS n FROM pg_class c JOIN pg_namespace s ON s.oid = relnamespace
        WHERE nspname LIKE schemas AND relkind IN ('r', 'p') AND relpersistence = 'p' ORDER BY relname) AS t
$$;
