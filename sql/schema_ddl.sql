-- The schema generator: from a list of tables to the statements that build them, and what they need, on an empty database.
--
--   relations oid[] --> schema_scope_of() --> ddl_*(scope) --> schema_ddl()        what is created, in which order
--                            |
--                            |-----------------------------> schema_omissions()   parts of the tables that are left out, and why
--                            |-----------------------------> schema_left_out()    everything else that is left out
--                            `-----------------------------> schema_names()       names that may belong to something else on the destination
--
-- What blocked parts wait for may be on the destination: schema_causes() says how to ask, and what is there goes back into the scope.
--
-- schema_scope_of() answers "which objects?": it walks pg_depend from the selected tables to types, collations, sequences and
-- extensions, puts types and tables into dependency order, and finds the parts that cannot be created because they depend on something
-- that is not (a user-defined function, an unselected table): the *blocked* ones. Each ddl_*() function answers "which statement?" for one
-- family of objects with set-based catalog queries, so the cost grows with the number of objects, not with the number of queries.
-- schema_ddl() gives the statements their order and turns each item's address into a query for the destination.
--
-- A new kind of object (views, functions) is: its class taken out of the blocking classes in schema_scope_of() and added to what the walk
-- expands, its oids as a new field of schema_scope, and a ddl_*() function that returns items in a phase of its own.
--
-- Works on sources 13 to 18. What only later catalogs have is read through to_jsonb(row) ->> 'column', or by dynamic SQL where a
-- catalog is large. Every function runs with search_path = pg_catalog, so that the server's own deparsers qualify all other names.

-- ---------------------------------------------------------------------------------------------------------------------------------
-- Values
-- ---------------------------------------------------------------------------------------------------------------------------------

-- Arrays that belong together have one index: table_level[i] is the level of tables[i].
CREATE TYPE courier.schema_scope AS (
    tables           oid[],      -- selected ordinary and partitioned tables
    table_level      integer[],  -- creation order: a higher level needs something of a lower one
    types            oid[],      -- enum, composite, domain and range types those tables need
    type_level       integer[],
    sequences        oid[],      -- owned by a column (not identity) or used by a default
    collations       oid[],
    extensions       oid[],
    extension_level  integer[],
    schemas          oid[],
    blocked_class    oid[],      -- parts that depend on what is not created: (class, object) and the description of the first such thing
    blocked_object   oid[],
    blocked_cause    oid[],      -- catalog of that thing
    blocked_by       text[]
);
COMMENT ON TYPE courier.schema_scope IS 'objects the schema generator works on, in dependency order';

CREATE TYPE courier.schema_item AS (
    phase            integer,    -- order among all kinds; 200 and above is post-data
    level            integer,    -- order inside the phase
    kind             text,
    object           text,
    relid            oid,
    classid          oid,        -- catalog address on the source, to find comments and privileges
    objid            oid,
    target           text,       -- how COMMENT ON names it; NULL for a property of another object
    statement        text,
    probe            text,       -- catalog to look into on the destination: see schema_probe()
    probe_schema     text,
    probe_name       text,
    probe_sub        text,
    probe_condition  text,       -- further condition on the row, which is named o
    probe_roles      text[]      -- when one of these roles is missing there, the statement cannot run and is to be skipped
);
COMMENT ON TYPE courier.schema_item IS 'one statement of the schema generator with its place in the order and its address';

-- ---------------------------------------------------------------------------------------------------------------------------------
-- Scope: which objects
-- ---------------------------------------------------------------------------------------------------------------------------------

-- Every catalog object whose dependencies are dependencies of a selected table or of a user-defined type, as far as they can be more than
-- the table itself (keys and not null constraints are not here). `depclass, depobj` is where pg_depend records them: an exclusion
-- constraint's expressions, for example, are recorded at its index.
CREATE FUNCTION courier.schema_parts(tables oid[])
RETURNS TABLE (classid oid, objid oid, relid oid, depclass oid, depobj oid)
LANGUAGE plpgsql STABLE ROWS 20000
SET search_path = pg_catalog, pg_temp
SET plan_cache_mode = force_custom_plan
SET jit = off
AS $function$
#variable_conflict use_column
BEGIN
    RETURN QUERY
        SELECT p.classid::oid, p.objid, p.relid, p.depclass::oid, p.depobj
        FROM (
            SELECT 'pg_class'::regclass, t.oid, t.oid, 'pg_class'::regclass, t.oid
            FROM unnest(tables) AS t (oid)
            UNION ALL
            SELECT 'pg_attrdef'::regclass, d.oid, t.oid, 'pg_attrdef'::regclass, d.oid
            FROM unnest(tables) AS t (oid)
            JOIN pg_attrdef d ON d.adrelid = t.oid
            UNION ALL
            SELECT 'pg_constraint'::regclass, k.oid, t.oid, 'pg_constraint'::regclass, k.oid
            FROM unnest(tables) AS t (oid)
            JOIN pg_constraint k ON k.conrelid = t.oid AND k.contype IN ('c', 'x', 'f')
            UNION ALL
            SELECT 'pg_constraint'::regclass, k.oid, t.oid, 'pg_class'::regclass, k.conindid
            FROM unnest(tables) AS t (oid)
            JOIN pg_constraint k ON k.conrelid = t.oid AND k.contype = 'x'
            UNION ALL
            SELECT 'pg_class'::regclass, i.indexrelid, t.oid, 'pg_class'::regclass, i.indexrelid
            FROM unnest(tables) AS t (oid)
            JOIN pg_index i ON i.indrelid = t.oid
            UNION ALL
            SELECT 'pg_trigger'::regclass, g.oid, t.oid, 'pg_trigger'::regclass, g.oid
            FROM unnest(tables) AS t (oid)
            JOIN pg_trigger g ON g.tgrelid = t.oid
            LEFT JOIN pg_constraint k ON k.oid = g.tgconstraint
            WHERE k.oid IS NULL OR k.contype = 't'
            UNION ALL
            SELECT 'pg_policy'::regclass, p.oid, t.oid, 'pg_policy'::regclass, p.oid
            FROM unnest(tables) AS t (oid)
            JOIN pg_policy p ON p.polrelid = t.oid
            UNION ALL
            SELECT 'pg_statistic_ext'::regclass, s.oid, t.oid, 'pg_statistic_ext'::regclass, s.oid
            FROM unnest(tables) AS t (oid)
            JOIN pg_statistic_ext s ON s.stxrelid = t.oid
            UNION ALL
            SELECT 'pg_type'::regclass, y.oid, NULL, 'pg_type'::regclass, y.oid
            FROM pg_type y
            LEFT JOIN pg_class c ON c.oid = y.typrelid
            WHERE y.oid >= 16384 AND (y.typrelid = 0 OR c.relkind = 'c')
            UNION ALL
            SELECT 'pg_type'::regclass, c.reltype, NULL, 'pg_class'::regclass, c.oid
            FROM pg_class c
            WHERE c.relkind = 'c' AND c.oid >= 16384
            UNION ALL
            SELECT 'pg_constraint'::regclass, k.oid, NULL, 'pg_constraint'::regclass, k.oid
            FROM pg_constraint k
            WHERE k.contypid >= 16384
        ) AS p (classid, objid, relid, depclass, depobj);
END
$function$;
REVOKE ALL ON FUNCTION courier.schema_parts(oid[]) FROM PUBLIC;
COMMENT ON FUNCTION courier.schema_parts(oid[]) IS
'Internal: catalog objects whose dependencies decide what the given tables need. No errors of its own.';

-- The tables among the given relations that the generator works on.
CREATE FUNCTION courier.schema_tables(relations oid[])
RETURNS oid[]
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $function$
    SELECT ARRAY(
        SELECT DISTINCT c.oid
        FROM unnest(relations) AS r (oid)
        JOIN pg_class c ON c.oid = r.oid
        JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE c.relkind IN ('r', 'p')
          AND c.relpersistence <> 't'
          AND c.oid >= 16384
          AND n.nspname NOT IN ('courier', 'courier_applied')
          AND NOT EXISTS (SELECT FROM pg_depend e
                          WHERE e.classid = 'pg_class'::regclass AND e.objid = c.oid AND e.deptype = 'e'))
$function$;
REVOKE ALL ON FUNCTION courier.schema_tables(oid[]) FROM PUBLIC;
COMMENT ON FUNCTION courier.schema_tables(oid[]) IS
'Internal: those of the given relations that are tables of a user. No errors of its own.';

-- What parts depend on and the generator does not create: `cause` is the thing itself, `refclassid, refobjid` how pg_depend names it (an
-- array type, a row type). A normal dependency is what an expression or a definition mentions; what the part belongs to is recorded as
-- automatic or internal. Inheritance is a normal dependency between tables and blocks nothing: an unselected parent only makes the
-- inherited columns local ones.
CREATE FUNCTION courier.schema_needs(
    tables oid[], part_class oid[], part_object oid[], part_table oid[], part_depclass oid[], part_depobj oid[]
)
RETURNS TABLE (classid oid, objid oid, cause_class oid, cause_object oid, refclassid oid, refobjid oid)
LANGUAGE plpgsql STABLE ROWS 1000
SET search_path = pg_catalog, pg_temp
SET standard_conforming_strings = on
SET plan_cache_mode = force_custom_plan
SET jit = off
AS $function$
#variable_conflict use_column
DECLARE
    -- A dependency on one of these is not satisfied on the destination unless it is built in or comes with an extension.
    blocking CONSTANT oid[] := ARRAY['pg_proc', 'pg_operator', 'pg_opclass', 'pg_opfamily', 'pg_am', 'pg_ts_config', 'pg_ts_dict',
                                     'pg_ts_parser', 'pg_ts_template']::regclass[]::oid[];
BEGIN
    RETURN QUERY
        SELECT p.classid, p.objid,
               CASE WHEN r.oid IS NOT NULL THEN 'pg_class'::regclass::oid ELSE d.refclassid END,
               coalesce(r.oid, element.oid, d.refobjid),
               d.refclassid, d.refobjid
        FROM unnest(part_class, part_object, part_table, part_depclass, part_depobj) AS p (classid, objid, relid, depclass, depobj)
        JOIN pg_depend d ON d.classid = p.depclass AND d.objid = p.depobj
        LEFT JOIN pg_type y ON d.refclassid = 'pg_type'::regclass AND y.oid = d.refobjid
        LEFT JOIN pg_type element ON element.oid = y.typelem AND element.typarray = y.oid
        LEFT JOIN pg_class r
               ON r.oid = CASE WHEN d.refclassid = 'pg_class'::regclass THEN d.refobjid
                               WHEN d.refclassid = 'pg_type'::regclass THEN coalesce(element.typrelid, y.typrelid) END
              AND r.relkind IN ('r', 'p', 'v', 'm', 'f')
        WHERE d.deptype = 'n'
          AND d.refobjid >= 16384
          AND (d.refclassid = ANY (blocking)
               OR coalesce(element.typtype, y.typtype) IN ('b', 'p')
               OR (r.oid IS NOT NULL
                   AND r.oid NOT IN (SELECT s.oid FROM unnest(tables) AS s (oid))
                   AND NOT (d.refclassid = 'pg_class'::regclass AND p.depclass = 'pg_class'::regclass AND p.depobj = p.relid)))
          AND NOT EXISTS (SELECT FROM pg_depend e
                          WHERE e.deptype = 'e'
                            AND (e.classid, e.objid) IN ((d.refclassid, coalesce(element.oid, d.refobjid)),
                                                         ('pg_class'::regclass::oid, r.oid)))
        UNION ALL
        -- The server's own trigger function reads its configuration from a text argument, which leaves no dependency.
        SELECT p.classid, p.objid, 'pg_ts_config'::regclass::oid, c.oid, 'pg_ts_config'::regclass::oid, c.oid
        FROM unnest(part_class, part_object) AS p (classid, objid)
        JOIN pg_trigger g ON p.classid = 'pg_trigger'::regclass AND g.oid = p.objid
                         AND g.tgfoid = 'tsvector_update_trigger()'::regprocedure AND g.tgnargs > 1
        CROSS JOIN LATERAL (SELECT split_part(encode(g.tgargs, 'escape'), '\000', 2) AS name) AS argument
        JOIN pg_ts_config c ON c.oid >= 16384
        JOIN pg_namespace n ON n.oid = c.cfgnamespace
        WHERE replace(argument.name, '"', '') IN (c.cfgname, concat(n.nspname, '.', c.cfgname))
          AND NOT EXISTS (SELECT FROM pg_depend e
                          WHERE e.classid = 'pg_ts_config'::regclass AND e.objid = c.oid AND e.deptype = 'e');
END
$function$;
REVOKE ALL ON FUNCTION courier.schema_needs(oid[], oid[], oid[], oid[], oid[], oid[]) FROM PUBLIC;
COMMENT ON FUNCTION courier.schema_needs(oid[], oid[], oid[], oid[], oid[], oid[]) IS
'Internal: what parts of the given tables depend on that the generator does not create. No errors of its own.';

-- A role may only count on what nobody but its peers can change: an object that a stranger owns would run the stranger''s code.
CREATE FUNCTION courier.schema_owner_check(owner text) RETURNS text
LANGUAGE sql IMMUTABLE
SET search_path = pg_catalog, pg_temp
AS $function$
    SELECT format($sql$CASE WHEN NOT EXISTS (SELECT FROM pg_catalog.pg_roles w
                                    WHERE w.oid = %1$s
                                      AND (w.rolsuper OR pg_catalog.pg_has_role(w.oid, 'USAGE')
                                           OR w.oid = (SELECT d.datdba FROM pg_catalog.pg_database d
                                                        WHERE d.datname = pg_catalog.current_database())))
        THEN pg_catalog.format('it belongs to %%I there, who could make it do anything', pg_catalog.pg_get_userbyid(%1$s)) END$sql$, owner)
$function$;
REVOKE ALL ON FUNCTION courier.schema_owner_check(text) FROM PUBLIC;
COMMENT ON FUNCTION courier.schema_owner_check(text) IS
'Internal: an expression for the destination, null when the owner is one the task''s user trusts, else what is wrong.';

-- The things that parts of the tables wait for, each with the question whether the destination has it: no row when it has not, null when
-- it has, else a text why it does not count.
CREATE FUNCTION courier.schema_causes(relations oid[])
RETURNS TABLE (classid oid, objid oid, description text, schema_name text, there_sql text, create_sql text)
LANGUAGE plpgsql STABLE ROWS 100
SET search_path = pg_catalog, pg_temp
SET standard_conforming_strings = on
SET plan_cache_mode = force_custom_plan
SET jit = off
AS $function$
#variable_conflict use_column
DECLARE
    tables oid[] := courier.schema_tables(relations);
    cause_class oid[];
    cause_object oid[];
BEGIN
    SELECT array_agg(c.cause_class), array_agg(c.cause_object)
    INTO cause_class, cause_object
    FROM (SELECT DISTINCT n.cause_class, n.cause_object
          FROM (SELECT array_agg(p.classid) AS a, array_agg(p.objid) AS b, array_agg(p.relid) AS c, array_agg(p.depclass) AS d,
                       array_agg(p.depobj) AS e
                FROM courier.schema_parts(tables) AS p) AS part
          CROSS JOIN LATERAL courier.schema_needs(tables, part.a, part.b, part.c, part.d, part.e) AS n) AS c;

    RETURN QUERY
        WITH cause AS MATERIALIZED (
            SELECT c.classid, c.objid FROM unnest(cause_class, cause_object) AS c (classid, objid)
        )
        SELECT c.classid, c.objid, pg_describe_object(c.classid, c.objid, 0),
               (SELECT i.schema FROM pg_identify_object(c.classid, c.objid, 0) AS i), v.there_sql, v.create_sql
        FROM cause c
        CROSS JOIN LATERAL (
            SELECT format($sql$SELECT COALESCE(CASE WHEN NOT (pg_catalog.has_schema_privilege(n.oid, 'USAGE')
                                            AND pg_catalog.has_function_privilege(o.oid, 'EXECUTE'))
                                     THEN 'the user may not execute it there' END, %s)
                     FROM pg_catalog.pg_proc o JOIN pg_catalog.pg_namespace n ON n.oid = o.pronamespace
                    WHERE n.nspname = %L AND o.proname = %L AND o.prokind = %L
                      AND pg_catalog.oidvectortypes(o.proargtypes) = %L AND pg_catalog.format_type(o.prorettype, NULL) = %L$sql$,
                          courier.schema_owner_check('o.proowner'), n.nspname, f.proname, f.prokind, oidvectortypes(f.proargtypes),
                          format_type(f.prorettype, NULL)) AS there_sql,
                   CASE WHEN f.prokind = 'f' THEN rtrim(pg_get_functiondef(f.oid), E'\n') END AS create_sql
            FROM pg_proc f
            JOIN pg_namespace n ON n.oid = f.pronamespace
            WHERE c.classid = 'pg_proc'::regclass AND f.oid = c.objid
            UNION ALL
            SELECT format('SELECT %s FROM pg_catalog.pg_operator o JOIN pg_catalog.pg_namespace n ON n.oid = o.oprnamespace'
                          ' WHERE n.nspname = %L AND o.oprname = %L AND pg_catalog.format_type(o.oprleft, NULL) = %L'
                          ' AND pg_catalog.format_type(o.oprright, NULL) = %L',
                          courier.schema_owner_check('o.oprowner'), n.nspname, p.oprname, format_type(p.oprleft, NULL), format_type(p.oprright, NULL)),
                   NULL
            FROM pg_operator p
            JOIN pg_namespace n ON n.oid = p.oprnamespace
            WHERE c.classid = 'pg_operator'::regclass AND p.oid = c.objid
            UNION ALL
            SELECT format('SELECT %s FROM pg_catalog.%3$s o JOIN pg_catalog.pg_namespace n ON n.oid = o.%4$snamespace'
                          ' JOIN pg_catalog.pg_am m ON m.oid = o.%4$smethod'
                          ' WHERE n.nspname = %L AND o.%4$sname = %5$L AND m.amname = %6$L',
                          courier.schema_owner_check(p.abbreviation || 'owner'), p.nspname, p.catalog, p.prefix, p.name, m.amname),
                   NULL
            FROM (SELECT 'pg_opclass'::text, 'opc'::text, 'o.opc'::text, o.oid, n.nspname, o.opcname, o.opcmethod
                  FROM pg_opclass o JOIN pg_namespace n ON n.oid = o.opcnamespace
                  WHERE c.classid = 'pg_opclass'::regclass AND o.oid = c.objid
                  UNION ALL
                  SELECT 'pg_opfamily', 'opf', 'o.opf', o.oid, n.nspname, o.opfname, o.opfmethod
                  FROM pg_opfamily o JOIN pg_namespace n ON n.oid = o.opfnamespace
                  WHERE c.classid = 'pg_opfamily'::regclass AND o.oid = c.objid) AS p (catalog, prefix, abbreviation, oid, nspname, name, method)
            JOIN pg_am m ON m.oid = p.method
            UNION ALL
            SELECT format('SELECT NULL::pg_catalog.text FROM pg_catalog.pg_am o WHERE o.amname = %L', m.amname), NULL
            FROM pg_am m
            WHERE c.classid = 'pg_am'::regclass AND m.oid = c.objid
            UNION ALL
            SELECT format('SELECT %s FROM pg_catalog.%I o JOIN pg_catalog.pg_namespace n ON n.oid = o.%3$snamespace'
                          ' WHERE n.nspname = %4$L AND o.%3$sname = %5$L',
                          -- Parsers and templates have no owner: only superusers make them.
                          CASE WHEN p.owned THEN courier.schema_owner_check('o.' || p.prefix || 'owner') ELSE 'NULL::pg_catalog.text' END,
                          p.catalog, p.prefix, p.nspname, p.name),
                   NULL
            FROM (SELECT 'pg_ts_config'::text, 'cfg'::text, true, n.nspname, o.cfgname
                  FROM pg_ts_config o JOIN pg_namespace n ON n.oid = o.cfgnamespace
                  WHERE c.classid = 'pg_ts_config'::regclass AND o.oid = c.objid
                  UNION ALL
                  SELECT 'pg_ts_dict', 'dict', true, n.nspname, o.dictname
                  FROM pg_ts_dict o JOIN pg_namespace n ON n.oid = o.dictnamespace
                  WHERE c.classid = 'pg_ts_dict'::regclass AND o.oid = c.objid
                  UNION ALL
                  SELECT 'pg_ts_parser', 'prs', false, n.nspname, o.prsname
                  FROM pg_ts_parser o JOIN pg_namespace n ON n.oid = o.prsnamespace
                  WHERE c.classid = 'pg_ts_parser'::regclass AND o.oid = c.objid
                  UNION ALL
                  SELECT 'pg_ts_template', 'tmpl', false, n.nspname, o.tmplname
                  FROM pg_ts_template o JOIN pg_namespace n ON n.oid = o.tmplnamespace
                  WHERE c.classid = 'pg_ts_template'::regclass AND o.oid = c.objid) AS p (catalog, prefix, owned, nspname, name)
            UNION ALL
            SELECT format('SELECT %s FROM pg_catalog.pg_type o JOIN pg_catalog.pg_namespace n ON n.oid = o.typnamespace'
                          ' WHERE n.nspname = %L AND o.typname = %L AND o.typtype = %L AND o.typlen = %s AND o.typisdefined',
                          courier.schema_owner_check('o.typowner'), n.nspname, y.typname, y.typtype, y.typlen), NULL
            FROM pg_type y
            JOIN pg_namespace n ON n.oid = y.typnamespace
            WHERE c.classid = 'pg_type'::regclass AND y.oid = c.objid
            UNION ALL
            -- The row type of a view: the same columns. Of tables nobody can say whether they have the same rows.
            SELECT format('SELECT %s FROM pg_catalog.pg_class o JOIN pg_catalog.pg_namespace n ON n.oid = o.relnamespace'
                          ' WHERE n.nspname = %L AND o.relname = %L AND o.relkind = %L'
                          ' AND (SELECT pg_catalog.string_agg(a.attname || '' '' || pg_catalog.format_type(a.atttypid, a.atttypmod), '', '' ORDER BY a.attnum)'
                          ' FROM pg_catalog.pg_attribute a WHERE a.attrelid = o.oid AND a.attnum > 0 AND NOT a.attisdropped) = %L',
                          courier.schema_owner_check('o.relowner'), n.nspname, r.relname, r.relkind,
                          (SELECT string_agg(a.attname || ' ' || format_type(a.atttypid, a.atttypmod), ', ' ORDER BY a.attnum)
                           FROM pg_attribute a WHERE a.attrelid = r.oid AND a.attnum > 0 AND NOT a.attisdropped)),
                   CASE WHEN r.relkind = 'v' THEN format('CREATE VIEW %I.%I AS %s', n.nspname, r.relname, rtrim(pg_get_viewdef(r.oid), ';')) END
            FROM pg_class r
            JOIN pg_namespace n ON n.oid = r.relnamespace
            WHERE c.classid = 'pg_class'::regclass AND r.oid = c.objid AND r.relkind IN ('v', 'm', 'f')
        ) AS v;
END
$function$;
REVOKE ALL ON FUNCTION courier.schema_causes(oid[]) FROM PUBLIC;
COMMENT ON FUNCTION courier.schema_causes(oid[]) IS
'Internal: what parts of the given tables wait for, how to ask the destination for it, and where it can be written, the statement that makes it.';

-- Sequences that no column owns: nothing but a name ties them to a table, so the patterns of a task decide about them as about tables.
CREATE FUNCTION courier.schema_free_sequences()
RETURNS TABLE (oid oid, nspname name, relname name)
LANGUAGE sql STABLE ROWS 100
SET search_path = pg_catalog, pg_temp
AS $function$
    SELECT c.oid, n.nspname, c.relname
    FROM pg_class c
    JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind = 'S'
      AND c.relpersistence <> 't'
      AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'courier', 'courier_applied')
      AND NOT EXISTS (SELECT FROM pg_depend d
                      WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid
                        AND (d.deptype = 'e'
                             OR d.refclassid = 'pg_class'::regclass AND d.refobjsubid > 0 AND d.deptype IN ('a', 'i')))
    ORDER BY n.nspname, c.relname
$function$;
REVOKE ALL ON FUNCTION courier.schema_free_sequences() FROM PUBLIC;
COMMENT ON FUNCTION courier.schema_free_sequences() IS 'Internal: sequences that no column owns, those of extensions aside. No errors of its own.';

-- `sequences` are created with the tables; `available_*` are causes (see schema_causes) that the destination has: what waits for them is
-- not blocked.
CREATE FUNCTION courier.schema_scope_of(
    relations oid[], sequences oid[] DEFAULT '{}', available_class oid[] DEFAULT '{}', available_object oid[] DEFAULT '{}'
)
RETURNS courier.schema_scope
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
SET standard_conforming_strings = on
SET plan_cache_mode = force_custom_plan
SET jit = off
AS $function$
#variable_conflict use_column
DECLARE
    scope courier.schema_scope;
    -- A dependency on one of these is not satisfied on the destination unless it is built in or comes with an extension.
    blocking CONSTANT oid[] := ARRAY['pg_proc', 'pg_operator', 'pg_opclass', 'pg_opfamily', 'pg_am', 'pg_ts_config', 'pg_ts_dict',
                                     'pg_ts_parser', 'pg_ts_template']::regclass[]::oid[];
    -- Intermediate results are arrays, because the planner knows their length.
    part_class oid[];
    part_object oid[];
    part_table oid[];
    part_depclass oid[];
    part_depobj oid[];
    reached_class oid[];
    reached_object oid[];
    edge_class oid[];
    edge_object oid[];
    edge_to_class oid[];
    edge_to_object oid[];
BEGIN
    scope.tables := courier.schema_tables(relations);

    SELECT array_agg(p.classid), array_agg(p.objid), array_agg(p.relid), array_agg(p.depclass), array_agg(p.depobj)
    INTO part_class, part_object, part_table, part_depclass, part_depobj
    FROM courier.schema_parts(scope.tables) AS p;

    -- Blocked parts, each with one cause.
    SELECT coalesce(array_agg(b.classid), '{}'), coalesce(array_agg(b.objid), '{}'), coalesce(array_agg(b.cause), '{}'),
           coalesce(array_agg(b.blocked_by), '{}')
    INTO scope.blocked_class, scope.blocked_object, scope.blocked_cause, scope.blocked_by
    FROM (
        SELECT DISTINCT ON (d.classid, d.objid)
               d.classid, d.objid, d.refclassid AS cause, pg_describe_object(d.refclassid, d.refobjid, 0) AS blocked_by
        FROM courier.schema_needs(scope.tables, part_class, part_object, part_table, part_depclass, part_depobj) AS d
        WHERE NOT EXISTS (SELECT FROM unnest(available_class, available_object) AS a (classid, objid)
                          WHERE a.classid = d.cause_class AND a.objid = d.cause_object)
        -- What no other form of the object could do without comes first: a domain lives without a default, not without its base type.
        ORDER BY d.classid, d.objid, d.refclassid = 'pg_type'::regclass DESC, d.refclassid = 'pg_opclass'::regclass DESC,
                 d.refclassid, d.refobjid
    ) AS b;

    -- Everything the tables and their unblocked parts need. Blocking classes are followed only to the extension they belong to; tables are
    -- not followed, for the selected ones are all in the start set already.
    WITH RECURSIVE reached (classid, objid) AS (
        SELECT p.classid, p.objid
        FROM unnest(part_class, part_object, part_table) AS p (classid, objid, relid)
        LEFT JOIN unnest(scope.blocked_class, scope.blocked_object) AS b (classid, objid)
               ON b.classid = p.classid AND b.objid = p.objid
        WHERE p.relid IS NOT NULL
          AND (b.objid IS NULL OR p.objid = p.relid)
        UNION
        SELECT n.classid, n.objid
        FROM reached r
        CROSS JOIN LATERAL (
            SELECT d.refclassid, d.refobjid
            FROM pg_depend d
            WHERE d.classid = r.classid AND d.objid = r.objid
              AND (d.deptype = 'e' OR (d.deptype IN ('n', 'a', 'i') AND r.classid <> ALL (blocking)))
              AND (d.refclassid <> 'pg_class'::regclass
                   OR EXISTS (SELECT FROM pg_class c WHERE c.oid = d.refobjid AND c.relkind IN ('S', 'c')))
            UNION ALL
            SELECT 'pg_class'::regclass, y.typrelid
            FROM pg_type y
            JOIN pg_class c ON c.oid = y.typrelid AND c.relkind = 'c'
            WHERE r.classid = 'pg_type'::regclass AND y.oid = r.objid
            UNION ALL
            SELECT 'pg_constraint'::regclass, k.oid
            FROM pg_constraint k
            WHERE r.classid = 'pg_type'::regclass AND k.contypid = r.objid
              AND NOT EXISTS (SELECT FROM unnest(scope.blocked_class, scope.blocked_object) AS b (classid, objid)
                              WHERE b.classid = 'pg_constraint'::regclass AND b.objid = k.oid)
        ) AS n (classid, objid)
    )
    SELECT array_agg(r.classid), array_agg(r.objid)
    INTO reached_class, reached_object
    FROM reached r
    WHERE r.classid IN ('pg_type'::regclass, 'pg_class'::regclass, 'pg_collation'::regclass, 'pg_extension'::regclass)
      AND r.objid >= 16384
      AND NOT EXISTS (SELECT FROM pg_depend e WHERE e.classid = r.classid AND e.objid = r.objid AND e.deptype = 'e');

    scope.collations := ARRAY(
        SELECT r.objid
        FROM unnest(reached_class, reached_object) AS r (classid, objid)
        WHERE r.classid = 'pg_collation'::regclass);

    -- The sequence of an identity column is created with the column, unlike the one a serial column or an OWNED BY made.
    scope.sequences := ARRAY(
        SELECT c.oid
        FROM unnest(reached_class, reached_object) AS r (classid, objid)
        JOIN pg_class c ON c.oid = r.objid
        WHERE r.classid = 'pg_class'::regclass AND c.relkind = 'S'
          AND NOT EXISTS (SELECT FROM pg_depend d
                          WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'i')
        UNION
        SELECT c.oid
        FROM unnest(scope.tables) AS t (oid)
        JOIN pg_depend d ON d.refclassid = 'pg_class'::regclass AND d.refobjid = t.oid AND d.refobjsubid > 0
                        AND d.classid = 'pg_class'::regclass AND d.deptype = 'a'
        JOIN pg_class c ON c.oid = d.objid AND c.relkind = 'S'
        UNION
        SELECT q.oid
        FROM courier.schema_free_sequences() AS q
        WHERE q.oid = ANY (sequences));

    WITH RECURSIVE extension AS (
        SELECT x.oid
        FROM unnest(reached_class, reached_object) AS r (classid, objid)
        JOIN pg_extension x ON x.oid = r.objid
        WHERE r.classid = 'pg_extension'::regclass AND x.extname NOT IN ('plpgsql', 'pg_courier')
    ), ordered (oid, level) AS (
        SELECT x.oid, 0
        FROM extension x
        UNION
        SELECT d.objid, o.level + 1
        FROM ordered o
        JOIN pg_depend d ON d.refclassid = 'pg_extension'::regclass AND d.refobjid = o.oid
                        AND d.classid = 'pg_extension'::regclass AND d.deptype = 'n'
        JOIN extension x ON x.oid = d.objid
        WHERE o.level < 100
    )
    SELECT coalesce(array_agg(o.oid), '{}'), coalesce(array_agg(o.level), '{}')
    INTO scope.extensions, scope.extension_level
    FROM (SELECT o.oid, max(o.level) AS level FROM ordered o GROUP BY o.oid) AS o;

    -- Types and tables in one order: a table may need a type and a type the row type of a table. An edge is a dependency between two
    -- of them, of what is written inside CREATE TABLE or CREATE TYPE (defaults and checks included).
    scope.types := ARRAY(
        SELECT y.oid
        FROM unnest(reached_class, reached_object) AS r (classid, objid)
        JOIN pg_type y ON y.oid = r.objid
        LEFT JOIN pg_class c ON c.oid = y.typrelid
        LEFT JOIN pg_type element ON element.oid = y.typelem AND element.typarray = y.oid
        WHERE r.classid = 'pg_type'::regclass
          AND y.typtype IN ('e', 'c', 'd', 'r') AND element.oid IS NULL
          AND (y.typrelid = 0 OR c.relkind = 'c'));

    WITH node AS MATERIALIZED (
        SELECT 'pg_class'::regclass::oid AS classid, t.oid AS objid FROM unnest(scope.tables) AS t (oid)
        UNION ALL
        SELECT 'pg_type'::regclass::oid, t.oid FROM unnest(scope.types) AS t (oid)
    ), mention AS MATERIALIZED (
        SELECT DISTINCT CASE WHEN p.relid IS NULL THEN 'pg_type'::regclass ELSE 'pg_class'::regclass END::oid AS classid,
               CASE WHEN p.relid IS NOT NULL THEN p.relid WHEN k.oid IS NOT NULL THEN k.contypid ELSE p.objid END AS objid,
               d.refclassid, d.refobjid
        FROM unnest(part_class, part_object, part_table, part_depclass, part_depobj) AS p (classid, objid, relid, depclass, depobj)
        LEFT JOIN pg_constraint k ON p.classid = 'pg_constraint'::regclass AND k.oid = p.objid
        JOIN pg_depend d ON d.classid = p.depclass AND d.objid = p.depobj AND d.deptype IN ('n', 'a', 'i')
                        AND d.refclassid IN ('pg_class'::regclass, 'pg_type'::regclass)
        WHERE p.classid IN ('pg_type'::regclass, 'pg_attrdef'::regclass)
           OR p.objid = p.relid
           OR k.contype = 'c'
    ), range AS MATERIALIZED (
        SELECT g.rngtypid, (to_jsonb(g) ->> 'rngmultitypid')::oid AS rngmultitypid FROM pg_range g
    ), resolved AS MATERIALIZED (
        -- An array stands for its element, a multirange for its range, a table's row type for the table.
        SELECT DISTINCT m.classid, m.objid,
               CASE WHEN r.oid IS NOT NULL THEN 'pg_class'::regclass ELSE m.refclassid END::oid AS dst_class,
               coalesce(r.oid, element.oid, g.rngtypid, m.refobjid) AS dst_object
        FROM mention m
        LEFT JOIN pg_type y ON m.refclassid = 'pg_type'::regclass AND y.oid = m.refobjid
        LEFT JOIN pg_type element ON element.oid = y.typelem AND element.typarray = y.oid
        LEFT JOIN range g ON g.rngmultitypid = y.oid
        LEFT JOIN pg_class r ON r.oid = coalesce(element.typrelid, y.typrelid) AND r.relkind IN ('r', 'p')
    )
    SELECT array_agg(r.classid), array_agg(r.objid), array_agg(r.dst_class), array_agg(r.dst_object)
    INTO edge_class, edge_object, edge_to_class, edge_to_object
    FROM resolved r
    JOIN node here ON here.classid = r.classid AND here.objid = r.objid
    JOIN node there ON there.classid = r.dst_class AND there.objid = r.dst_object
    WHERE (r.classid, r.objid) <> (r.dst_class, r.dst_object);

    -- The level is the length of the longest path.
    WITH RECURSIVE ordered (classid, objid, level) AS (
        SELECT DISTINCT e.classid, e.objid, 1
        FROM unnest(edge_class, edge_object) AS e (classid, objid)
        UNION
        SELECT e.classid, e.objid, o.level + 1
        FROM ordered o
        JOIN unnest(edge_class, edge_object, edge_to_class, edge_to_object) AS e (classid, objid, dst_class, dst_object)
          ON e.dst_class = o.classid AND e.dst_object = o.objid
        WHERE o.level < 100
    ), leveled AS (
        SELECT n.classid, n.objid, coalesce(o.level, 0) AS level
        FROM (SELECT 'pg_class'::regclass::oid, t.oid FROM unnest(scope.tables) AS t (oid)
              UNION ALL
              SELECT 'pg_type'::regclass::oid, t.oid FROM unnest(scope.types) AS t (oid)) AS n (classid, objid)
        LEFT JOIN (SELECT o.classid, o.objid, max(o.level) AS level FROM ordered o GROUP BY o.classid, o.objid) AS o
               ON o.classid = n.classid AND o.objid = n.objid
    )
    SELECT coalesce(array_agg(l.objid ORDER BY l.level, l.objid) FILTER (WHERE l.classid = 'pg_class'::regclass), '{}'),
           coalesce(array_agg(l.level ORDER BY l.level, l.objid) FILTER (WHERE l.classid = 'pg_class'::regclass), '{}'),
           coalesce(array_agg(l.objid ORDER BY l.level, l.objid) FILTER (WHERE l.classid = 'pg_type'::regclass), '{}'),
           coalesce(array_agg(l.level ORDER BY l.level, l.objid) FILTER (WHERE l.classid = 'pg_type'::regclass), '{}')
    INTO scope.tables, scope.table_level, scope.types, scope.type_level
    FROM leveled l;

    scope.schemas := ARRAY(
        SELECT n.oid
        FROM pg_namespace n
        WHERE n.nspname NOT LIKE 'pg\_%' AND n.nspname NOT IN ('information_schema', 'courier', 'courier_applied')
          AND n.oid IN (SELECT c.relnamespace FROM unnest(scope.tables || scope.sequences) AS t (oid) JOIN pg_class c ON c.oid = t.oid
                        UNION
                        SELECT s.stxnamespace FROM unnest(scope.tables) AS t (oid) JOIN pg_statistic_ext s ON s.stxrelid = t.oid
                        UNION
                        SELECT y.typnamespace FROM unnest(scope.types) AS t (oid) JOIN pg_type y ON y.oid = t.oid
                        UNION
                        SELECT l.collnamespace FROM unnest(scope.collations) AS t (oid) JOIN pg_collation l ON l.oid = t.oid
                        UNION
                        SELECT x.extnamespace FROM unnest(scope.extensions) AS t (oid) JOIN pg_extension x ON x.oid = t.oid)
          AND NOT EXISTS (SELECT FROM pg_depend e
                          WHERE e.classid = 'pg_namespace'::regclass AND e.objid = n.oid AND e.deptype = 'e'));
    RETURN scope;
END
$function$;
REVOKE ALL ON FUNCTION courier.schema_scope_of(oid[], oid[], oid[], oid[]) FROM PUBLIC;
COMMENT ON FUNCTION courier.schema_scope_of(oid[], oid[], oid[], oid[]) IS
'Internal: the selected tables with everything they need, in dependency order, and the parts that cannot be created. Oids that are no user table are ignored.';

-- ---------------------------------------------------------------------------------------------------------------------------------
-- Pre-data: schemas, extensions, collations, types, sequences, tables
-- ---------------------------------------------------------------------------------------------------------------------------------

CREATE FUNCTION courier.ddl_containers(scope courier.schema_scope)
RETURNS SETOF courier.schema_item
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
SET plan_cache_mode = force_custom_plan
SET jit = off
AS $function$
#variable_conflict use_column
BEGIN
    RETURN QUERY
        SELECT 100, 0, 'schema'::text, quote_ident(n.nspname), NULL::oid,
               'pg_namespace'::regclass::oid, n.oid, format('SCHEMA %I', n.nspname),
               format('CREATE SCHEMA IF NOT EXISTS %I', n.nspname),
               'schema'::text, n.nspname::text, NULL::text, NULL::text, NULL::text, NULL::text[]
        FROM unnest(scope.schemas) AS s (oid)
        JOIN pg_namespace n ON n.oid = s.oid;

    -- No comment target: the extension brings its own comment. In the source's version where the destination has it, else in the
    -- destination's own, which precheck has said.
    RETURN QUERY
        SELECT 110, s.level, v.kind, quote_ident(x.extname), NULL::oid,
               'pg_extension'::regclass::oid, x.oid, NULL::text,
               format('CREATE EXTENSION IF NOT EXISTS %I WITH SCHEMA %I%s', x.extname, n.nspname, v.clause),
               'extension'::text, NULL::text, x.extname::text, NULL::text, NULL::text, NULL::text[]
        FROM unnest(scope.extensions, scope.extension_level) AS s (oid, level)
        JOIN pg_extension x ON x.oid = s.oid
        JOIN pg_namespace n ON n.oid = x.extnamespace
        CROSS JOIN LATERAL (VALUES ('extension', format(' VERSION %L', x.extversion)),
                                   ('extension in another version', NULL)) AS v (kind, clause);

    -- ICU locale and rules: colliculocale in 15 and 16, colllocale from 17 on; before 15 an ICU locale was in collcollate.
    RETURN QUERY
        SELECT 120, 0, 'collation'::text, format('%I.%I', n.nspname, l.collname), NULL::oid,
               'pg_collation'::regclass::oid, l.oid, format('COLLATION %I.%I', n.nspname, l.collname),
               format('CREATE COLLATION %I.%I (provider = %s%s%s%s)', n.nspname, l.collname,
                      CASE l.collprovider WHEN 'i' THEN 'icu' WHEN 'b' THEN 'builtin' WHEN 'c' THEN 'libc' END,
                      CASE WHEN NOT l.collisdeterministic THEN ', deterministic = false' END,
                      CASE
                          WHEN v.locale IS NOT NULL THEN format(', locale = %L', v.locale)
                          WHEN l.collcollate = l.collctype THEN format(', locale = %L', l.collcollate)
                          ELSE format(', lc_collate = %L, lc_ctype = %L', l.collcollate, l.collctype)
                      END,
                      CASE WHEN v.rules IS NOT NULL THEN format(', rules = %L', v.rules) END),
               'collation'::text, n.nspname::text, l.collname::text, NULL::text, NULL::text, NULL::text[]
        FROM unnest(scope.collations) AS s (oid)
        JOIN pg_collation l ON l.oid = s.oid
        JOIN pg_namespace n ON n.oid = l.collnamespace
        CROSS JOIN LATERAL (
            SELECT coalesce(to_jsonb(l) ->> 'colllocale', to_jsonb(l) ->> 'colliculocale') AS locale,
                   to_jsonb(l) ->> 'collicurules' AS rules
        ) AS v;
END
$function$;
REVOKE ALL ON FUNCTION courier.ddl_containers(courier.schema_scope) FROM PUBLIC;
COMMENT ON FUNCTION courier.ddl_containers(courier.schema_scope) IS 'Internal: schemas, extensions and collations of the scope.';

CREATE FUNCTION courier.ddl_types(scope courier.schema_scope)
RETURNS SETOF courier.schema_item
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
SET plan_cache_mode = force_custom_plan
SET jit = off
AS $function$
#variable_conflict use_column
BEGIN
    RETURN QUERY
        SELECT 140, s.level, CASE y.typtype WHEN 'd' THEN 'domain' ELSE 'type' END,
               format('%I.%I', n.nspname, y.typname), NULL::oid, 'pg_type'::regclass::oid, y.oid,
               format('%s %I.%I', CASE y.typtype WHEN 'd' THEN 'DOMAIN' ELSE 'TYPE' END, n.nspname, y.typname),
               format(CASE y.typtype
                          WHEN 'e' THEN 'CREATE TYPE %I.%I AS ENUM (%s)'
                          WHEN 'c' THEN 'CREATE TYPE %I.%I AS (%s)'
                          WHEN 'r' THEN 'CREATE TYPE %I.%I AS RANGE (%s)'
                          WHEN 'd' THEN 'CREATE DOMAIN %I.%I AS %s'
                      END, n.nspname, y.typname, body.definition),
               'type'::text, n.nspname::text, y.typname::text, NULL::text, NULL::text, NULL::text[]
        FROM unnest(scope.types, scope.type_level) AS s (oid, level)
        JOIN pg_type y ON y.oid = s.oid
        JOIN pg_namespace n ON n.oid = y.typnamespace
        CROSS JOIN LATERAL (
            SELECT (SELECT string_agg(quote_literal(e.enumlabel), ', ' ORDER BY e.enumsortorder)
                    FROM pg_enum e
                    WHERE e.enumtypid = y.oid)
            WHERE y.typtype = 'e'
            UNION ALL
            SELECT (SELECT string_agg(format('%I %s', a.attname, format_type(a.atttypid, a.atttypmod))
                                      || CASE WHEN a.attcollation <> ty.typcollation
                                              THEN format(' COLLATE %I.%I', cn.nspname, co.collname) ELSE '' END,
                                      ', ' ORDER BY a.attnum)
                    FROM pg_attribute a
                    JOIN pg_type ty ON ty.oid = a.atttypid
                    LEFT JOIN pg_collation co ON co.oid = a.attcollation
                    LEFT JOIN pg_namespace cn ON cn.oid = co.collnamespace
                    WHERE a.attrelid = y.typrelid AND a.attnum > 0 AND NOT a.attisdropped)
            WHERE y.typtype = 'c'
            UNION ALL
            -- An operator class is named only when it is not the default one. Support functions that are not created on the destination
            -- stay out: stored ranges are canonical already.
            SELECT concat_ws(', ',
                       'subtype = ' || format_type(r.rngsubtype, NULL),
                       CASE WHEN NOT oc.opcdefault THEN format('subtype_opclass = %I.%I', ocn.nspname, oc.opcname) END,
                       CASE WHEN r.rngcollation <> st.typcollation THEN format('collation = %I.%I', cn.nspname, co.collname) END,
                       CASE WHEN r.rngcanonical <> 0 AND b.objid IS NULL THEN 'canonical = ' || r.rngcanonical::text END,
                       CASE WHEN r.rngsubdiff <> 0 AND b.objid IS NULL THEN 'subtype_diff = ' || r.rngsubdiff::text END,
                       CASE WHEN mt.oid IS NOT NULL THEN format('multirange_type_name = %I.%I', mtn.nspname, mt.typname) END)
            FROM pg_range r
            JOIN pg_type st ON st.oid = r.rngsubtype
            JOIN pg_opclass oc ON oc.oid = r.rngsubopc
            JOIN pg_namespace ocn ON ocn.oid = oc.opcnamespace
            LEFT JOIN pg_collation co ON co.oid = r.rngcollation
            LEFT JOIN pg_namespace cn ON cn.oid = co.collnamespace
            LEFT JOIN pg_type mt ON mt.oid = (to_jsonb(r) ->> 'rngmultitypid')::oid
            LEFT JOIN pg_namespace mtn ON mtn.oid = mt.typnamespace
            LEFT JOIN unnest(scope.blocked_class, scope.blocked_object) AS b (classid, objid)
                   ON b.classid = 'pg_type'::regclass AND b.objid = y.oid
            WHERE y.typtype = 'r' AND r.rngtypid = y.oid
            UNION ALL
            -- NOT NULL of a domain is a named constraint from 17 on.
            SELECT format_type(y.typbasetype, y.typtypmod)
                   || CASE WHEN y.typcollation <> bt.typcollation THEN format(' COLLATE %I.%I', cn.nspname, co.collname) ELSE '' END
                   || CASE WHEN y.typdefault IS NOT NULL AND b.objid IS NULL
                           THEN ' DEFAULT ' || coalesce(pg_get_expr(y.typdefaultbin, 0), quote_literal(y.typdefault)) ELSE '' END
                   || coalesce((SELECT string_agg(format(' CONSTRAINT %I %s', k.conname, pg_get_constraintdef(k.oid)), ''
                                                  ORDER BY k.contype DESC, k.conname)
                                FROM pg_constraint k
                                LEFT JOIN unnest(scope.blocked_class, scope.blocked_object) AS kb (classid, objid)
                                       ON kb.classid = 'pg_constraint'::regclass AND kb.objid = k.oid
                                WHERE k.contypid = y.oid AND k.convalidated AND kb.objid IS NULL), '')
                   || CASE WHEN y.typnotnull AND NOT EXISTS (SELECT FROM pg_constraint k WHERE k.contypid = y.oid AND k.contype = 'n')
                           THEN ' NOT NULL' ELSE '' END
            FROM pg_type bt
            LEFT JOIN pg_collation co ON co.oid = y.typcollation
            LEFT JOIN pg_namespace cn ON cn.oid = co.collnamespace
            LEFT JOIN unnest(scope.blocked_class, scope.blocked_object) AS b (classid, objid)
                   ON b.classid = 'pg_type'::regclass AND b.objid = y.oid
            WHERE y.typtype = 'd' AND bt.oid = y.typbasetype
        ) AS body (definition);

    -- A constraint that was never validated may not hold for values that are still to be copied.
    RETURN QUERY
        SELECT 250, 0, 'check'::text, format('%I on domain %I.%I', k.conname, n.nspname, y.typname), NULL::oid,
               'pg_constraint'::regclass::oid, k.oid, format('CONSTRAINT %I ON DOMAIN %I.%I', k.conname, n.nspname, y.typname),
               format('ALTER DOMAIN %I.%I ADD CONSTRAINT %I %s', n.nspname, y.typname, k.conname, pg_get_constraintdef(k.oid)),
               'domain constraint'::text, n.nspname::text, y.typname::text, k.conname::text, NULL::text, NULL::text[]
        FROM unnest(scope.types) AS s (oid)
        JOIN pg_type y ON y.oid = s.oid
        JOIN pg_namespace n ON n.oid = y.typnamespace
        JOIN pg_constraint k ON k.contypid = y.oid AND NOT k.convalidated
        LEFT JOIN unnest(scope.blocked_class, scope.blocked_object) AS b (classid, objid)
               ON b.classid = 'pg_constraint'::regclass AND b.objid = k.oid
        WHERE b.objid IS NULL;
END
$function$;
REVOKE ALL ON FUNCTION courier.ddl_types(courier.schema_scope) FROM PUBLIC;
COMMENT ON FUNCTION courier.ddl_types(courier.schema_scope) IS 'Internal: enum, composite, range and domain types of the scope.';

CREATE FUNCTION courier.ddl_sequences(scope courier.schema_scope)
RETURNS SETOF courier.schema_item
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
SET plan_cache_mode = force_custom_plan
SET jit = off
AS $function$
#variable_conflict use_column
BEGIN
    RETURN QUERY
        WITH sequence AS MATERIALIZED (
            SELECT c.oid, c.relname, c.relpersistence, n.nspname
            FROM unnest(scope.sequences) AS s (oid)
            JOIN pg_class c ON c.oid = s.oid
            JOIN pg_namespace n ON n.oid = c.relnamespace
        ), owner AS MATERIALIZED (
            SELECT d.objid, c.oid AS relid, n.nspname, c.relname, a.attname
            FROM unnest(scope.sequences) AS s (oid)
            JOIN pg_depend d ON d.classid = 'pg_class'::regclass AND d.objid = s.oid
                            AND d.refclassid = 'pg_class'::regclass AND d.refobjsubid > 0 AND d.deptype = 'a'
            JOIN unnest(scope.tables) AS t (oid) ON t.oid = d.refobjid
            JOIN pg_class c ON c.oid = t.oid
            JOIN pg_namespace n ON n.oid = c.relnamespace
            JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = d.refobjsubid
        )
        SELECT 130, 0, 'sequence'::text, format('%I.%I', s.nspname, s.relname), o.relid,
               'pg_class'::regclass::oid, s.oid, format('SEQUENCE %I.%I', s.nspname, s.relname),
               format('CREATE %sSEQUENCE %I.%I AS %s START WITH %s INCREMENT BY %s MINVALUE %s MAXVALUE %s CACHE %s%s',
                      CASE s.relpersistence WHEN 'u' THEN 'UNLOGGED ' END, s.nspname, s.relname, format_type(q.seqtypid, NULL),
                      q.seqstart, q.seqincrement, q.seqmin, q.seqmax, q.seqcache, CASE WHEN q.seqcycle THEN ' CYCLE' END),
               'relation'::text, s.nspname::text, s.relname::text, NULL::text, 'o.relkind = ''S'''::text, NULL::text[]
        FROM sequence s
        JOIN pg_sequence q ON q.seqrelid = s.oid
        LEFT JOIN owner o ON o.objid = s.oid
        UNION ALL
        SELECT 160, 0, 'sequence owned by', format('%I.%I', s.nspname, s.relname), o.relid,
               'pg_class'::regclass::oid, s.oid, NULL,
               format('ALTER SEQUENCE %I.%I OWNED BY %I.%I.%I', s.nspname, s.relname, o.nspname, o.relname, o.attname),
               'relation', s.nspname::text, s.relname::text, NULL,
               format('EXISTS (SELECT FROM pg_catalog.pg_depend d JOIN pg_catalog.pg_class t ON t.oid = d.refobjid'
                      ' JOIN pg_catalog.pg_namespace tn ON tn.oid = t.relnamespace'
                      ' JOIN pg_catalog.pg_attribute a ON a.attrelid = t.oid AND a.attnum = d.refobjsubid'
                      ' WHERE d.classid = ''pg_catalog.pg_class''::pg_catalog.regclass AND d.objid = o.oid AND d.deptype = ''a'''
                      ' AND d.refclassid = ''pg_catalog.pg_class''::pg_catalog.regclass'
                      ' AND tn.nspname = %L AND t.relname = %L AND a.attname = %L)', o.nspname, o.relname, o.attname),
               NULL
        FROM sequence s
        JOIN owner o ON o.objid = s.oid
        UNION ALL
        -- The sequence of an identity column is made with the column, and of its type.
        SELECT 160, 1, 'identity sequence', format('%I.%I', n.nspname, c.relname), t.oid,
               'pg_class'::regclass::oid, c.oid, NULL,
               format('ALTER SEQUENCE %I.%I AS %s START WITH %s MINVALUE %s MAXVALUE %s', n.nspname, c.relname, format_type(q.seqtypid, NULL),
                      q.seqstart, q.seqmin, q.seqmax),
               'relation', n.nspname::text, c.relname::text, NULL,
               format('EXISTS (SELECT FROM pg_catalog.pg_sequence q WHERE q.seqrelid = o.oid AND q.seqtypid = %s AND q.seqmin = %s'
                      ' AND q.seqmax = %s AND q.seqstart = %s)', q.seqtypid, q.seqmin, q.seqmax, q.seqstart),
               NULL
        FROM unnest(scope.tables) AS t (oid)
        JOIN pg_depend d ON d.refclassid = 'pg_class'::regclass AND d.refobjid = t.oid AND d.refobjsubid > 0
                        AND d.classid = 'pg_class'::regclass AND d.deptype = 'i'
        JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = d.refobjsubid AND a.attidentity <> ''
        JOIN pg_sequence q ON q.seqrelid = d.objid AND q.seqtypid <> a.atttypid
        JOIN pg_class c ON c.oid = d.objid
        JOIN pg_namespace n ON n.oid = c.relnamespace;
END
$function$;
REVOKE ALL ON FUNCTION courier.ddl_sequences(courier.schema_scope) FROM PUBLIC;
COMMENT ON FUNCTION courier.ddl_sequences(courier.schema_scope) IS 'Internal: sequences of the scope with their options and owners.';

-- What a table gets from selected parents, name by name, one row for each parent. `position` is where a column comes out when the table
-- is created with INHERITS: the least one counts.
CREATE FUNCTION courier.schema_inherited(scope courier.schema_scope)
RETURNS TABLE (relid oid, attnum smallint, "position" integer, parent oid, parent_attnum smallint)
LANGUAGE plpgsql STABLE ROWS 10000
SET search_path = pg_catalog, pg_temp
SET plan_cache_mode = force_custom_plan
SET jit = off
AS $function$
#variable_conflict use_column
BEGIN
    RETURN QUERY
        SELECT ca.attrelid, ca.attnum, i.inhseqno * 2000 + pa.attnum, i.inhparent, pa.attnum
        FROM unnest(scope.tables) AS t (oid)
        JOIN pg_class c ON c.oid = t.oid AND NOT c.relispartition
        JOIN pg_inherits i ON i.inhrelid = t.oid
        JOIN unnest(scope.tables) AS pt (oid) ON pt.oid = i.inhparent
        JOIN pg_attribute pa ON pa.attrelid = i.inhparent AND pa.attnum > 0 AND NOT pa.attisdropped
        JOIN pg_attribute ca ON ca.attrelid = t.oid AND ca.attname = pa.attname AND ca.attnum > 0 AND NOT ca.attisdropped;
END
$function$;
REVOKE ALL ON FUNCTION courier.schema_inherited(courier.schema_scope) FROM PUBLIC;
COMMENT ON FUNCTION courier.schema_inherited(courier.schema_scope) IS
'Internal: columns that selected tables inherit from selected parents (partitions are not inheritance here).';

-- How each table is created:
--   plain      CREATE TABLE with all columns
--   inherits   CREATE TABLE ... INHERITS: inherited columns that are not also local come from the parents
--   attach     CREATE TABLE with all columns in the source's order, then ALTER TABLE ... ATTACH PARTITION or INHERIT
-- ATTACH PARTITION leaves columns and constraints as PARTITION OF would and keeps the column order. INHERIT leaves every column local, so it
-- is right only where everything inherited is local too, and needed only where INHERITS would give another order.
CREATE FUNCTION courier.schema_table_style(scope courier.schema_scope)
RETURNS TABLE (relid oid, level integer, style text, reordered boolean)
LANGUAGE plpgsql STABLE ROWS 10000
SET search_path = pg_catalog, pg_temp
SET plan_cache_mode = force_custom_plan
SET jit = off
AS $function$
#variable_conflict use_column
BEGIN
    RETURN QUERY
        WITH inherited AS MATERIALIZED (
            SELECT h.relid, h.attnum, min(h."position") AS "position" FROM courier.schema_inherited(scope) AS h GROUP BY h.relid, h.attnum
        ), place AS (
            SELECT a.attrelid, a.attnum, a.attislocal OR h.attnum IS NULL AS local,
                   row_number() OVER (PARTITION BY a.attrelid ORDER BY a.attnum) AS source,
                   row_number() OVER (PARTITION BY a.attrelid ORDER BY h."position" NULLS LAST, a.attnum) AS merged
            FROM (SELECT DISTINCT i.relid FROM inherited i) AS i
            JOIN pg_attribute a ON a.attrelid = i.relid AND a.attnum > 0 AND NOT a.attisdropped
            LEFT JOIN inherited h ON h.relid = a.attrelid AND h.attnum = a.attnum
        ), child AS (
            SELECT p.attrelid, bool_or(p.source <> p.merged) AS moved,
                   bool_and(p.local) AND NOT EXISTS (SELECT FROM pg_constraint k
                                                     WHERE k.conrelid = p.attrelid AND k.contype IN ('c', 'n')
                                                       AND k.convalidated AND NOT k.conislocal) AS local
            FROM place p
            GROUP BY p.attrelid
        )
        SELECT t.oid, t.level,
               CASE
                   WHEN parent.inhrelid IS NULL THEN 'plain'
                   WHEN c.relispartition OR (child.moved AND child.local) THEN 'attach'
                   ELSE 'inherits'
               END,
               coalesce(child.moved AND NOT child.local, false)
        FROM unnest(scope.tables, scope.table_level) AS t (oid, level)
        JOIN pg_class c ON c.oid = t.oid
        LEFT JOIN (SELECT DISTINCT i.inhrelid
                   FROM unnest(scope.tables) AS s (oid)
                   JOIN pg_inherits i ON i.inhparent = s.oid) AS parent ON parent.inhrelid = t.oid
        LEFT JOIN child ON child.attrelid = t.oid;
END
$function$;
REVOKE ALL ON FUNCTION courier.schema_table_style(courier.schema_scope) FROM PUBLIC;
COMMENT ON FUNCTION courier.schema_table_style(courier.schema_scope) IS
'Internal: whether each selected table is created alone, with INHERITS, or attached to its parent afterwards; reordered when its columns come out in another order than on the source.';

-- Columns of selected tables as CREATE TABLE writes them. `shown` columns belong into the list; the others come from a parent.
CREATE FUNCTION courier.schema_columns(scope courier.schema_scope)
RETURNS TABLE (relid oid, attnum smallint, shown boolean, definition text, late_default text)
LANGUAGE plpgsql STABLE ROWS 50000
SET search_path = pg_catalog, pg_temp
SET plan_cache_mode = force_custom_plan
SET jit = off
AS $function$
#variable_conflict use_column
BEGIN
    RETURN QUERY
        WITH style AS MATERIALIZED (
            SELECT s.relid, s.style FROM courier.schema_table_style(scope) AS s
        ), parent AS MATERIALIZED (
            SELECT h.relid, h.attnum, h."position", h.parent, h.parent_attnum FROM courier.schema_inherited(scope) AS h
        ), inherited AS MATERIALIZED (
            SELECT DISTINCT ON (p.relid, p.attnum) p.relid, p.attnum, p.parent, p.parent_attnum
            FROM parent p
            ORDER BY p.relid, p.attnum, p."position"
        ), shared AS MATERIALIZED (
            -- Columns that INHERITS would merge: their defaults are set afterwards, one by one (see ddl_tables).
            SELECT p.relid, p.attnum FROM parent p JOIN style s ON s.relid = p.relid AND s.style = 'inherits'
            UNION
            SELECT p.parent, p.parent_attnum FROM parent p JOIN style s ON s.relid = p.relid AND s.style = 'inherits'
        ), given AS MATERIALIZED (
            -- Columns to which a selected parent hands down its (18) valid not null constraint.
            SELECT DISTINCT p.relid, p.attnum
            FROM parent p
            JOIN pg_constraint pk ON pk.conrelid = p.parent AND pk.contype = 'n' AND NOT pk.connoinherit AND pk.convalidated
                                 AND pk.conkey[1] = p.parent_attnum
        ), identity AS MATERIALIZED (
            SELECT d.refobjid AS relid, d.refobjsubid AS attnum,
                   -- The column's type bounds it here; a sequence of a wider one gets its own afterwards (see ddl_sequences).
                   format(' (SEQUENCE NAME %I.%I START WITH %s INCREMENT BY %s MINVALUE %s MAXVALUE %s CACHE %s%s)', n.nspname, c.relname,
                          least(greatest(q.seqstart, bound.least), bound.greatest), q.seqincrement, greatest(q.seqmin, bound.least),
                          least(q.seqmax, bound.greatest), q.seqcache, CASE WHEN q.seqcycle THEN ' CYCLE' END) AS options
            FROM unnest(scope.tables) AS t (oid)
            JOIN pg_depend d ON d.refclassid = 'pg_class'::regclass AND d.refobjid = t.oid AND d.refobjsubid > 0
                            AND d.classid = 'pg_class'::regclass AND d.deptype = 'i'
            JOIN pg_sequence q ON q.seqrelid = d.objid
            JOIN pg_class c ON c.oid = d.objid
            JOIN pg_namespace n ON n.oid = c.relnamespace
            JOIN pg_attribute ia ON ia.attrelid = d.refobjid AND ia.attnum = d.refobjsubid
            CROSS JOIN LATERAL (
                SELECT CASE ia.atttypid WHEN 'smallint'::regtype THEN -32768 WHEN 'integer'::regtype THEN -2147483648
                                        ELSE -9223372036854775808 END::bigint,
                       CASE ia.atttypid WHEN 'smallint'::regtype THEN 32767 WHEN 'integer'::regtype THEN 2147483647
                                        ELSE 9223372036854775807 END::bigint
            ) AS bound (least, greatest)
        ), generated AS MATERIALIZED (
            SELECT ad.oid, ad.adrelid, ad.adnum, pg_get_expr(ad.adbin, ad.adrelid) AS expression
            FROM unnest(scope.tables) AS t (oid)
            JOIN pg_attrdef ad ON ad.adrelid = t.oid
        ), not_null AS MATERIALIZED (
            SELECT k.conrelid, k.conkey[1] AS attnum, k.conname, k.connoinherit, k.conislocal, k.convalidated
            FROM unnest(scope.tables) AS t (oid)
            JOIN pg_constraint k ON k.conrelid = t.oid AND k.contype = 'n'
        )
        SELECT a.attrelid, a.attnum, v.shown,
               CASE
                   WHEN c.reloftype = 0
                       THEN quote_ident(a.attname) || ' ' || format_type(a.atttypid, a.atttypmod)
                            || CASE WHEN a.attcollation <> y.typcollation
                                    THEN format(' COLLATE %I.%I', cn.nspname, co.collname) ELSE '' END || v.options
                   WHEN v.options <> ''
                       THEN quote_ident(a.attname) || ' WITH OPTIONS' || v.options
               END,
               CASE WHEN d.attnum IS NOT NULL AND a.attgenerated = '' AND b.objid IS NULL THEN g.expression END
        FROM unnest(scope.tables) AS t (oid)
        JOIN pg_class c ON c.oid = t.oid
        JOIN style s ON s.relid = t.oid
        JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum > 0 AND NOT a.attisdropped
        JOIN pg_type y ON y.oid = a.atttypid
        LEFT JOIN pg_collation co ON co.oid = a.attcollation AND a.attcollation <> y.typcollation
        LEFT JOIN pg_namespace cn ON cn.oid = co.collnamespace
        LEFT JOIN generated g ON g.adrelid = a.attrelid AND g.adnum = a.attnum
        LEFT JOIN unnest(scope.blocked_class, scope.blocked_object) AS b (classid, objid)
               ON b.classid = 'pg_attrdef'::regclass AND b.objid = g.oid
        LEFT JOIN identity q ON q.relid = a.attrelid AND q.attnum = a.attnum
        LEFT JOIN not_null nn ON nn.conrelid = a.attrelid AND nn.attnum = a.attnum
        LEFT JOIN given nh ON nh.relid = a.attrelid AND nh.attnum = a.attnum
        LEFT JOIN shared d ON d.relid = a.attrelid AND d.attnum = a.attnum
        LEFT JOIN inherited h ON h.relid = a.attrelid AND h.attnum = a.attnum
        LEFT JOIN generated pg ON pg.adrelid = h.parent AND pg.adnum = h.parent_attnum
        CROSS JOIN LATERAL (
            SELECT s.style <> 'inherits' OR h.attnum IS NULL OR a.attislocal
                   OR (a.attgenerated <> '' AND g.expression IS DISTINCT FROM pg.expression) AS shown,
                   concat(
                       CASE
                           -- Servers before 16 refuse to hear a parent's expression repeated.
                           WHEN a.attgenerated <> '' AND s.style = 'inherits' AND g.expression = pg.expression THEN NULL
                           WHEN a.attgenerated = 's' THEN format(' GENERATED ALWAYS AS (%s) STORED', g.expression)
                           WHEN a.attgenerated = 'v' THEN format(' GENERATED ALWAYS AS (%s)', g.expression)
                           WHEN a.attidentity <> '' AND q.options IS NOT NULL
                               THEN format(' GENERATED %s AS IDENTITY%s',
                                           CASE a.attidentity WHEN 'a' THEN 'ALWAYS' ELSE 'BY DEFAULT' END, q.options)
                           WHEN g.expression IS NOT NULL AND b.objid IS NULL AND d.attnum IS NULL THEN ' DEFAULT ' || g.expression
                       END,
                       -- 18 names its not null constraints. One that only came from a parent comes from there again; one that was
                       -- never validated is added after the data.
                       CASE
                           WHEN nn.conrelid IS NULL AND a.attnotnull THEN ' NOT NULL'
                           WHEN nn.convalidated AND (nn.conislocal OR s.style <> 'inherits' OR nh.attnum IS NULL)
                               THEN format(' CONSTRAINT %I NOT NULL%s', nn.conname, CASE WHEN nn.connoinherit THEN ' NO INHERIT' END)
                       END) AS options
        ) AS v;
END
$function$;
REVOKE ALL ON FUNCTION courier.schema_columns(courier.schema_scope) FROM PUBLIC;
COMMENT ON FUNCTION courier.schema_columns(courier.schema_scope) IS
'Internal: column definitions of the selected tables, and defaults to set once all tables exist; a default that depends on something not created is left out.';

-- CHECK and (18) NOT NULL constraints of selected tables, with the question whether a selected parent hands them down.
CREATE FUNCTION courier.schema_checks(scope courier.schema_scope)
RETURNS TABLE (relid oid, objid oid, contype "char", conname name, conkey smallint[], local boolean, valid boolean)
LANGUAGE plpgsql STABLE ROWS 10000
SET search_path = pg_catalog, pg_temp
SET plan_cache_mode = force_custom_plan
SET jit = off
AS $function$
#variable_conflict use_column
BEGIN
    RETURN QUERY
        WITH handed_down AS MATERIALIZED (
            -- By name; a NOT NULL by the name of its column.
            SELECT i.inhrelid, k.contype, CASE k.contype WHEN 'c' THEN k.conname ELSE a.attname END AS name,
                   bool_or(k.convalidated) AS valid
            FROM unnest(scope.tables) AS p (oid)
            JOIN pg_inherits i ON i.inhparent = p.oid
            JOIN pg_constraint k ON k.conrelid = p.oid AND k.contype IN ('c', 'n') AND NOT k.connoinherit
            LEFT JOIN pg_attribute a ON k.contype = 'n' AND a.attrelid = p.oid AND a.attnum = k.conkey[1]
            GROUP BY 1, 2, 3
        ), own AS MATERIALIZED (
            SELECT k.oid, k.conrelid, k.contype, k.conname, k.conkey, k.convalidated, k.conislocal OR k.coninhcount = 0 AS local,
                   CASE k.contype WHEN 'c' THEN k.conname ELSE a.attname END AS name
            FROM unnest(scope.tables) AS t (oid)
            JOIN pg_constraint k ON k.conrelid = t.oid AND k.contype IN ('c', 'n')
            LEFT JOIN pg_attribute a ON k.contype = 'n' AND a.attrelid = t.oid AND a.attnum = k.conkey[1]
        )
        SELECT k.conrelid, k.oid, k.contype, k.conname, k.conkey,
               -- A valid NOT NULL is not what a never validated one of the parent would hand down.
               k.local OR h.inhrelid IS NULL OR (k.contype = 'n' AND k.convalidated AND NOT h.valid),
               k.convalidated
        FROM own k
        LEFT JOIN handed_down h ON h.inhrelid = k.conrelid AND h.contype = k.contype AND h.name = k.name
        LEFT JOIN unnest(scope.blocked_class, scope.blocked_object) AS b (classid, objid)
               ON b.classid = 'pg_constraint'::regclass AND b.objid = k.oid
        WHERE b.objid IS NULL;
END
$function$;
REVOKE ALL ON FUNCTION courier.schema_checks(courier.schema_scope) FROM PUBLIC;
COMMENT ON FUNCTION courier.schema_checks(courier.schema_scope) IS 'Internal: CHECK and NOT NULL constraints of the selected tables that can be created.';

CREATE FUNCTION courier.ddl_tables(scope courier.schema_scope)
RETURNS SETOF courier.schema_item
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
SET standard_conforming_strings = on
SET plan_cache_mode = force_custom_plan
SET jit = off
AS $function$
#variable_conflict use_column
BEGIN
    RETURN QUERY
        WITH style AS MATERIALIZED (
            SELECT s.relid, s.level, s.style FROM courier.schema_table_style(scope) AS s
        ), columns AS MATERIALIZED (
            SELECT d.relid, d.attnum, d.shown, d.definition, d.late_default FROM courier.schema_columns(scope) AS d
        ), element (relid, part, place, definition) AS (
            SELECT d.relid, 1, d.attnum::text, d.definition
            FROM columns d
            WHERE d.shown AND d.definition IS NOT NULL
            UNION ALL
            SELECT k.relid, 2, k.conname::text, format('CONSTRAINT %I %s', k.conname, pg_get_constraintdef(k.objid))
            FROM courier.schema_checks(scope) AS k
            JOIN style s ON s.relid = k.relid
            LEFT JOIN columns d ON k.contype = 'n' AND d.relid = k.relid AND d.attnum = k.conkey[1]
            WHERE k.valid
              AND (k.local OR s.style = 'attach')
              AND (k.contype = 'c' OR NOT d.shown)
        ), body AS (
            SELECT e.relid,
                   string_agg(E'\n    ' || e.definition, ',' ORDER BY e.part, CASE e.part WHEN 1 THEN e.place::integer END,
                                                                      e.place COLLATE "C") AS elements
            FROM element e
            GROUP BY e.relid
        ), parents AS (
            SELECT i.inhrelid, string_agg(format('%I.%I', pn.nspname, pc.relname), ', ' ORDER BY i.inhseqno) AS names
            FROM unnest(scope.tables) AS p (oid)
            JOIN pg_inherits i ON i.inhparent = p.oid
            JOIN style s ON s.relid = i.inhrelid AND s.style = 'inherits'
            JOIN pg_class pc ON pc.oid = p.oid
            JOIN pg_namespace pn ON pn.oid = pc.relnamespace
            GROUP BY i.inhrelid
        ), storage AS (
            SELECT o.relid,
                   string_agg(format('%s%s=%L', o.prefix, (SELECT string_agg(quote_ident(x), '.') FROM unnest(string_to_array(o.name, '.')) x),
                                     o.value), ', ' ORDER BY o.prefix, o.place) AS options
            FROM (
                SELECT t.oid AS relid, p.prefix, r.place, substring(r.option FROM '^([^=]*)=') AS name,
                       substring(r.option FROM '=(.*)$') AS value
                FROM unnest(scope.tables) AS t (oid)
                JOIN pg_class c ON c.oid = t.oid
                CROSS JOIN LATERAL (VALUES ('', c.oid), ('toast.', c.reltoastrelid)) AS p (prefix, oid)
                JOIN pg_class pc ON pc.oid = p.oid
                CROSS JOIN LATERAL unnest(pc.reloptions) WITH ORDINALITY AS r (option, place)
            ) AS o
            GROUP BY o.relid
        )
        SELECT 140, s.level, 'table'::text, format('%I.%I', n.nspname, c.relname), c.oid,
               'pg_class'::regclass::oid, c.oid, format('TABLE %I.%I', n.nspname, c.relname),
               concat('CREATE ', CASE WHEN c.relpersistence = 'u' AND c.relkind = 'r' THEN 'UNLOGGED ' END,
                      format('TABLE %I.%I', n.nspname, c.relname),
                      CASE WHEN c.reloftype <> 0 THEN ' OF ' || format_type(c.reloftype, NULL) END,
                      CASE WHEN body.elements IS NOT NULL THEN ' (' || body.elements || E'\n)'
                           WHEN c.reloftype = 0 THEN ' ()' END,
                      ' INHERITS (' || parents.names || ')',
                      CASE WHEN c.relkind = 'p' THEN ' PARTITION BY ' || pg_get_partkeydef(c.oid) END,
                      CASE WHEN am.amname <> 'heap' THEN format(' USING %I', am.amname) END,
                      ' WITH (' || storage.options || ')'),
               'relation'::text, n.nspname::text, c.relname::text, NULL::text, 'o.relkind IN (''r'', ''p'')'::text, NULL::text[]
        FROM style s
        JOIN pg_class c ON c.oid = s.relid
        JOIN pg_namespace n ON n.oid = c.relnamespace
        LEFT JOIN pg_am am ON am.oid = c.relam
        LEFT JOIN body ON body.relid = c.oid
        LEFT JOIN parents ON parents.inhrelid = c.oid
        LEFT JOIN storage ON storage.relid = c.oid
        UNION ALL
        -- Defaults of columns in an inheritance tree. Inside CREATE TABLE a child would take over its parents' defaults, and be refused
        -- where two parents disagree; set afterwards and with ONLY, each table has its own or none.
        SELECT 150, 0, 'column default', format('%I.%I.%I', n.nspname, c.relname, a.attname), c.oid,
               'pg_class'::regclass::oid, c.oid, NULL,
               format('ALTER TABLE ONLY %I.%I ALTER COLUMN %I SET DEFAULT %s', n.nspname, c.relname, a.attname, d.late_default),
               'column', n.nspname::text, c.relname::text, a.attname::text, 'o.atthasdef', NULL
        FROM columns d
        JOIN pg_attribute a ON a.attrelid = d.relid AND a.attnum = d.attnum
        JOIN pg_class c ON c.oid = d.relid
        JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE d.late_default IS NOT NULL;

    -- Before 18, NOT NULL that an inherited column has and its parents have not.
    RETURN QUERY
        SELECT DISTINCT 150, s.level, 'column not null'::text, format('%I.%I.%I', n.nspname, c.relname, a.attname), c.oid,
               'pg_class'::regclass::oid, c.oid, NULL::text,
               format('ALTER TABLE ONLY %I.%I ALTER COLUMN %I SET NOT NULL', n.nspname, c.relname, a.attname),
               'column'::text, n.nspname::text, c.relname::text, a.attname::text, 'o.attnotnull'::text, NULL::text[]
        FROM courier.schema_inherited(scope) AS h
        JOIN courier.schema_table_style(scope) AS s ON s.relid = h.relid AND s.style = 'inherits'
        JOIN pg_attribute a ON a.attrelid = h.relid AND a.attnum = h.attnum AND a.attnotnull AND NOT a.attislocal
        JOIN pg_class c ON c.oid = h.relid
        JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE current_setting('server_version_num')::integer < 180000
          AND NOT EXISTS (SELECT FROM pg_inherits i
                          JOIN unnest(scope.tables) AS p (oid) ON p.oid = i.inhparent
                          JOIN pg_attribute pa ON pa.attrelid = p.oid AND pa.attname = a.attname
                          WHERE i.inhrelid = h.relid AND pa.attnotnull);

    RETURN QUERY
        SELECT 155, 0, 'column ' || v.what, format('%I.%I.%I', n.nspname, c.relname, a.attname), c.oid,
               'pg_class'::regclass::oid, c.oid, NULL::text,
               format('ALTER TABLE ONLY %I.%I ALTER COLUMN %I %s', n.nspname, c.relname, a.attname, v.clause),
               'column'::text, n.nspname::text, c.relname::text, a.attname::text, v.condition, NULL::text[]
        FROM unnest(scope.tables) AS t (oid)
        JOIN pg_class c ON c.oid = t.oid
        JOIN pg_namespace n ON n.oid = c.relnamespace
        JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
        JOIN pg_type y ON y.oid = a.atttypid
        CROSS JOIN LATERAL (
            SELECT 'storage',
                   'SET STORAGE ' || CASE a.attstorage WHEN 'p' THEN 'PLAIN' WHEN 'e' THEN 'EXTERNAL' WHEN 'm' THEN 'MAIN' ELSE 'EXTENDED' END,
                   format('o.attstorage = %L', a.attstorage)
            WHERE a.attstorage <> y.typstorage
            UNION ALL
            SELECT 'statistics', format('SET STATISTICS %s', a.attstattarget), format('o.attstattarget = %s', a.attstattarget)
            WHERE a.attstattarget >= 0
            UNION ALL
            -- Some minors (15.20 first) keep the server's own version number of the column among the options.
            SELECT 'options', format('SET (%s)', string_agg(format('%I=%L', split_part(x, '=', 1), split_part(x, '=', 2)), ', ')),
                   format('o.attoptions OPERATOR(pg_catalog.@>) %L::pg_catalog.text[]', array_agg(x))
            FROM unnest(a.attoptions) AS x
            WHERE x NOT LIKE 'pg\_attver=%'
            HAVING count(*) > 0
        ) AS v (what, clause, condition);

    IF current_setting('server_version_num')::integer >= 140000 THEN
        RETURN QUERY EXECUTE $query$
            SELECT 155, 0, 'column compression'::text, format('%I.%I.%I', n.nspname, c.relname, a.attname), c.oid,
                   'pg_class'::regclass::oid, c.oid, NULL::text,
                   format('ALTER TABLE ONLY %I.%I ALTER COLUMN %I SET COMPRESSION %s', n.nspname, c.relname, a.attname,
                          CASE a.attcompression WHEN 'p' THEN 'pglz' ELSE 'lz4' END),
                   'column'::text, n.nspname::text, c.relname::text, a.attname::text,
                   format('o.attcompression = %L', a.attcompression), NULL::text[]
            FROM unnest($1) AS t (oid)
            JOIN pg_class c ON c.oid = t.oid
            JOIN pg_namespace n ON n.oid = c.relnamespace
            JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
            WHERE a.attcompression <> ''
        $query$ USING scope.tables;
    END IF;

    RETURN QUERY
        SELECT 170, s.level * 100 + i.inhseqno, CASE WHEN c.relispartition THEN 'partition' ELSE 'inherit' END,
               format('%I.%I', n.nspname, c.relname), c.oid, 'pg_class'::regclass::oid, c.oid, NULL::text,
               CASE WHEN c.relispartition
                    THEN format('ALTER TABLE ONLY %I.%I ATTACH PARTITION %I.%I %s', pn.nspname, pc.relname, n.nspname, c.relname,
                                pg_get_expr(c.relpartbound, c.oid))
                    ELSE format('ALTER TABLE ONLY %I.%I INHERIT %I.%I', n.nspname, c.relname, pn.nspname, pc.relname) END,
               'relation'::text, n.nspname::text, c.relname::text, NULL::text,
               format('EXISTS (SELECT FROM pg_catalog.pg_inherits i JOIN pg_catalog.pg_class p ON p.oid = i.inhparent'
                      ' JOIN pg_catalog.pg_namespace pn ON pn.oid = p.relnamespace'
                      ' WHERE i.inhrelid = o.oid AND pn.nspname = %L AND p.relname = %L)', pn.nspname, pc.relname),
               NULL::text[]
        FROM courier.schema_table_style(scope) AS s
        JOIN pg_inherits i ON i.inhrelid = s.relid
        JOIN unnest(scope.tables) AS p (oid) ON p.oid = i.inhparent
        JOIN pg_class c ON c.oid = s.relid
        JOIN pg_namespace n ON n.oid = c.relnamespace
        JOIN pg_class pc ON pc.oid = p.oid
        JOIN pg_namespace pn ON pn.oid = pc.relnamespace
        WHERE s.style = 'attach';
END
$function$;
REVOKE ALL ON FUNCTION courier.ddl_tables(courier.schema_scope) FROM PUBLIC;
COMMENT ON FUNCTION courier.ddl_tables(courier.schema_scope) IS 'Internal: tables with columns and checks, column settings, partitions and late inheritance.';

-- ---------------------------------------------------------------------------------------------------------------------------------
-- Post-data: constraints, indexes, statistics, triggers, policies, comments, privileges
-- ---------------------------------------------------------------------------------------------------------------------------------

CREATE FUNCTION courier.ddl_constraints(scope courier.schema_scope)
RETURNS SETOF courier.schema_item
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
SET plan_cache_mode = force_custom_plan
SET jit = off
AS $function$
#variable_conflict use_column
BEGIN
    -- ONLY: each partition has a constraint of its own, with its own name, and its index is attached afterwards. The storage parameters
    -- of the index are not in the constraint's definition of keys; they belong before the last words about deferring.
    RETURN QUERY
        SELECT CASE k.contype WHEN 'p' THEN 200 WHEN 'u' THEN 210 ELSE 220 END, 0,
               CASE k.contype WHEN 'p' THEN 'primary key' WHEN 'u' THEN 'unique constraint' ELSE 'exclusion constraint' END,
               format('%I on %I.%I', k.conname, n.nspname, c.relname), c.oid, 'pg_constraint'::regclass::oid, k.oid,
               format('CONSTRAINT %I ON %I.%I', k.conname, n.nspname, c.relname),
               format('ALTER TABLE ONLY %I.%I ADD CONSTRAINT %I %s', n.nspname, c.relname, k.conname,
                      CASE WHEN k.contype = 'x' OR ic.reloptions IS NULL THEN v.definition
                           ELSE concat(left(v.definition, length(v.definition) - length(v.deferring)), ' WITH (',
                                       (SELECT string_agg(format('%I=%L', split_part(x, '=', 1), split_part(x, '=', 2)), ', ')
                                        FROM unnest(ic.reloptions) AS x), ')', v.deferring) END),
               'constraint'::text, n.nspname::text, c.relname::text, k.conname::text, NULL::text, NULL::text[]
        FROM unnest(scope.tables) AS t (oid)
        JOIN pg_class c ON c.oid = t.oid
        JOIN pg_namespace n ON n.oid = c.relnamespace
        JOIN pg_constraint k ON k.conrelid = c.oid AND k.contype IN ('p', 'u', 'x')
        JOIN pg_class ic ON ic.oid = k.conindid
        LEFT JOIN unnest(scope.blocked_class, scope.blocked_object) AS b (classid, objid)
               ON b.classid = 'pg_constraint'::regclass AND b.objid = k.oid
        CROSS JOIN LATERAL (
            SELECT pg_get_constraintdef(k.oid) AS definition,
                   CASE WHEN k.condeferrable THEN ' DEFERRABLE' ELSE '' END
                   || CASE WHEN k.condeferred THEN ' INITIALLY DEFERRED' ELSE '' END AS deferring
        ) AS v
        WHERE b.objid IS NULL;

    -- Never validated constraints, parents first: children get theirs from the parent.
    RETURN QUERY
        SELECT 250, s.level, CASE k.contype WHEN 'c' THEN 'check' ELSE 'not null' END,
               format('%I on %I.%I', k.conname, n.nspname, c.relname), c.oid, 'pg_constraint'::regclass::oid, k.objid,
               format('CONSTRAINT %I ON %I.%I', k.conname, n.nspname, c.relname),
               format('ALTER TABLE %I.%I ADD CONSTRAINT %I %s', n.nspname, c.relname, k.conname, pg_get_constraintdef(k.objid)),
               'constraint'::text, n.nspname::text, c.relname::text, k.conname::text, NULL::text, NULL::text[]
        FROM courier.schema_checks(scope) AS k
        JOIN unnest(scope.tables, scope.table_level) AS s (oid, level) ON s.oid = k.relid
        JOIN pg_class c ON c.oid = k.relid
        JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE k.local AND NOT k.valid;

    -- Foreign keys whose both sides are selected (the others are blocked). One that a selected partitioned parent hands down is created
    -- with it; rows with the table itself as parent's table are the server's bookkeeping for a partitioned referenced table.
    RETURN QUERY
        SELECT 260, 0, 'foreign key'::text, format('%I on %I.%I', k.conname, n.nspname, c.relname), c.oid,
               'pg_constraint'::regclass::oid, k.oid, format('CONSTRAINT %I ON %I.%I', k.conname, n.nspname, c.relname),
               format('ALTER TABLE %s%I.%I ADD CONSTRAINT %I %s', CASE c.relkind WHEN 'r' THEN 'ONLY ' END, n.nspname, c.relname, k.conname,
                      pg_get_constraintdef(k.oid)),
               'constraint'::text, n.nspname::text, c.relname::text, k.conname::text, NULL::text, NULL::text[]
        FROM unnest(scope.tables) AS t (oid)
        JOIN pg_class c ON c.oid = t.oid
        JOIN pg_namespace n ON n.oid = c.relnamespace
        JOIN pg_constraint k ON k.conrelid = c.oid AND k.contype = 'f'
        LEFT JOIN pg_constraint pk ON pk.oid = k.conparentid
        LEFT JOIN unnest(scope.tables) AS pt (oid) ON pt.oid = pk.conrelid
        LEFT JOIN unnest(scope.blocked_class, scope.blocked_object) AS b (classid, objid)
               ON b.classid = 'pg_constraint'::regclass AND b.objid = k.oid
        WHERE b.objid IS NULL AND pt.oid IS NULL;

    RETURN QUERY
        SELECT 270, 0, 'replica identity'::text, format('%I.%I', n.nspname, c.relname), c.oid,
               'pg_class'::regclass::oid, c.oid, NULL::text,
               format('ALTER TABLE ONLY %I.%I REPLICA IDENTITY %s', n.nspname, c.relname,
                      CASE c.relreplident WHEN 'f' THEN 'FULL' WHEN 'n' THEN 'NOTHING' ELSE format('USING INDEX %I', ic.relname) END),
               'relation'::text, n.nspname::text, c.relname::text, NULL::text,
               CASE WHEN c.relreplident <> 'i' THEN format('o.relreplident = %L', c.relreplident)
                    ELSE format('EXISTS (SELECT FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class ic ON ic.oid = i.indexrelid'
                                ' WHERE i.indrelid = o.oid AND i.indisreplident AND ic.relname = %L)', ic.relname) END, NULL::text[]
        FROM unnest(scope.tables) AS t (oid)
        JOIN pg_class c ON c.oid = t.oid
        JOIN pg_namespace n ON n.oid = c.relnamespace
        LEFT JOIN (pg_index i JOIN pg_class ic ON ic.oid = i.indexrelid)
               ON c.relreplident = 'i' AND i.indrelid = c.oid AND i.indisreplident
        WHERE c.relreplident IN ('f', 'n') OR (c.relreplident = 'i' AND ic.oid IS NOT NULL);
END
$function$;
REVOKE ALL ON FUNCTION courier.ddl_constraints(courier.schema_scope) FROM PUBLIC;
COMMENT ON FUNCTION courier.ddl_constraints(courier.schema_scope) IS
'Internal: keys, exclusion constraints, never validated checks, foreign keys and replica identities of the scope.';

CREATE FUNCTION courier.ddl_indexes(scope courier.schema_scope)
RETURNS SETOF courier.schema_item
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
SET plan_cache_mode = force_custom_plan
SET jit = off
AS $function$
#variable_conflict use_column
BEGIN
    RETURN QUERY
        WITH index AS MATERIALIZED (
            SELECT i.indexrelid, i.indrelid, i.indisclustered, ic.relkind, ic.relname, n.nspname, c.relname AS tablename,
                   k.oid AS constraint_oid
            FROM unnest(scope.tables) AS t (oid)
            JOIN pg_index i ON i.indrelid = t.oid
            JOIN pg_class ic ON ic.oid = i.indexrelid
            JOIN pg_class c ON c.oid = t.oid
            JOIN pg_namespace n ON n.oid = c.relnamespace
            LEFT JOIN pg_constraint k ON k.conindid = i.indexrelid AND k.conrelid = i.indrelid AND k.contype IN ('p', 'u', 'x')
            LEFT JOIN unnest(scope.blocked_class, scope.blocked_object) AS b (classid, objid)
                   ON b.classid = 'pg_class'::regclass AND b.objid = i.indexrelid
            -- An index whose build failed is not worth building again; a partitioned one is invalid while a child is missing.
            WHERE b.objid IS NULL
              AND ((i.indisvalid AND i.indisready) OR ic.relkind = 'I')
        )
        SELECT 230, 0, 'index'::text, format('%I.%I', i.nspname, i.relname), i.indrelid, 'pg_class'::regclass::oid, i.indexrelid,
               format('INDEX %I.%I', i.nspname, i.relname), pg_get_indexdef(i.indexrelid),
               'relation'::text, i.nspname::text, i.relname::text, NULL::text, 'o.relkind IN (''i'', ''I'')'::text, NULL::text[]
        FROM index i
        WHERE i.constraint_oid IS NULL
        UNION ALL
        SELECT 235, 0, 'index partition', format('%I.%I', i.nspname, i.relname), i.indrelid, 'pg_class'::regclass::oid, i.indexrelid, NULL,
               format('ALTER INDEX %I.%I ATTACH PARTITION %I.%I', p.nspname, p.relname, i.nspname, i.relname),
               'relation', i.nspname::text, i.relname::text, NULL,
               format('EXISTS (SELECT FROM pg_catalog.pg_inherits i JOIN pg_catalog.pg_class p ON p.oid = i.inhparent'
                      ' JOIN pg_catalog.pg_namespace pn ON pn.oid = p.relnamespace'
                      ' WHERE i.inhrelid = o.oid AND pn.nspname = %L AND p.relname = %L)', p.nspname, p.relname), NULL
        FROM index i
        JOIN pg_inherits h ON h.inhrelid = i.indexrelid
        JOIN index p ON p.indexrelid = h.inhparent
        UNION ALL
        SELECT 236, 0, 'index statistics', format('%I.%I column %s', i.nspname, i.relname, a.attnum), i.indrelid,
               'pg_class'::regclass::oid, i.indexrelid, NULL,
               format('ALTER INDEX %I.%I ALTER COLUMN %s SET STATISTICS %s', i.nspname, i.relname, a.attnum, a.attstattarget),
               'column', i.nspname::text, i.relname::text, a.attname::text, format('o.attstattarget = %s', a.attstattarget), NULL
        FROM index i
        JOIN pg_attribute a ON a.attrelid = i.indexrelid AND a.attnum > 0 AND a.attstattarget >= 0
        UNION ALL
        SELECT 237, 0, 'cluster', format('%I.%I', i.nspname, i.tablename), i.indrelid, 'pg_class'::regclass::oid, i.indrelid, NULL,
               format('ALTER TABLE %I.%I CLUSTER ON %I', i.nspname, i.tablename, i.relname),
               'relation', i.nspname::text, i.relname::text, NULL,
               'EXISTS (SELECT FROM pg_catalog.pg_index i WHERE i.indexrelid = o.oid AND i.indisclustered)', NULL
        FROM index i
        WHERE i.indisclustered;

    -- Kinds, columns and expressions are in the definition; the target is not.
    RETURN QUERY
        SELECT 240, v.step, CASE v.step WHEN 0 THEN 'statistics' ELSE 'statistics target' END, format('%I.%I', n.nspname, s.stxname), t.oid,
               'pg_statistic_ext'::regclass::oid, s.oid, CASE v.step WHEN 0 THEN format('STATISTICS %I.%I', n.nspname, s.stxname) END,
               CASE v.step WHEN 0 THEN pg_get_statisticsobjdef(s.oid)
                    ELSE format('ALTER STATISTICS %I.%I SET STATISTICS %s', n.nspname, s.stxname, s.stxstattarget) END,
               'statistics'::text, n.nspname::text, s.stxname::text, NULL::text,
               CASE v.step WHEN 1 THEN format('o.stxstattarget = %s', s.stxstattarget) END, NULL::text[]
        FROM unnest(scope.tables) AS t (oid)
        JOIN pg_statistic_ext s ON s.stxrelid = t.oid
        JOIN pg_namespace n ON n.oid = s.stxnamespace
        CROSS JOIN (VALUES (0), (1)) AS v (step)
        LEFT JOIN unnest(scope.blocked_class, scope.blocked_object) AS b (classid, objid)
               ON b.classid = 'pg_statistic_ext'::regclass AND b.objid = s.oid
        WHERE b.objid IS NULL AND (v.step = 0 OR s.stxstattarget >= 0);
END
$function$;
REVOKE ALL ON FUNCTION courier.ddl_indexes(courier.schema_scope) FROM PUBLIC;
COMMENT ON FUNCTION courier.ddl_indexes(courier.schema_scope) IS 'Internal: indexes that are no constraint, their partitions and settings, extended statistics.';

-- A user's trigger is one that no key or foreign key made. A partition's copy of its parent's trigger comes with the parent.
CREATE FUNCTION courier.schema_triggers(scope courier.schema_scope)
RETURNS TABLE (objid oid, relid oid, inherited boolean, parent_enabled "char", blocked_by text)
LANGUAGE plpgsql STABLE ROWS 10000
SET search_path = pg_catalog, pg_temp
SET plan_cache_mode = force_custom_plan
SET jit = off
AS $function$
#variable_conflict use_column
BEGIN
    RETURN QUERY
        SELECT g.oid, t.oid, pt.oid IS NOT NULL, CASE WHEN pt.oid IS NOT NULL THEN pg.tgenabled END, b.blocked_by
        FROM unnest(scope.tables) AS t (oid)
        JOIN pg_trigger g ON g.tgrelid = t.oid
        LEFT JOIN pg_constraint k ON k.oid = g.tgconstraint
        LEFT JOIN pg_trigger pg ON pg.oid = g.tgparentid
        LEFT JOIN unnest(scope.tables) AS pt (oid) ON pt.oid = pg.tgrelid
        LEFT JOIN unnest(scope.blocked_class, scope.blocked_object, scope.blocked_by) AS b (classid, objid, blocked_by)
               ON b.classid = 'pg_trigger'::regclass AND b.objid = g.oid
        WHERE k.oid IS NULL OR k.contype = 't';
END
$function$;
REVOKE ALL ON FUNCTION courier.schema_triggers(courier.schema_scope) FROM PUBLIC;
COMMENT ON FUNCTION courier.schema_triggers(courier.schema_scope) IS 'Internal: triggers of the selected tables that a user made.';

CREATE FUNCTION courier.ddl_triggers(scope courier.schema_scope)
RETURNS SETOF courier.schema_item
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
SET plan_cache_mode = force_custom_plan
SET jit = off
AS $function$
#variable_conflict use_column
BEGIN
    RETURN QUERY
        SELECT 280, s.level, 'trigger'::text, format('%I on %I.%I', g.tgname, n.nspname, c.relname), c.oid,
               'pg_trigger'::regclass::oid, g.oid, format('TRIGGER %I ON %I.%I', g.tgname, n.nspname, c.relname),
               pg_get_triggerdef(g.oid),
               'trigger'::text, n.nspname::text, c.relname::text, g.tgname::text, NULL::text, NULL::text[]
        FROM courier.schema_triggers(scope) AS u
        JOIN pg_trigger g ON g.oid = u.objid
        JOIN unnest(scope.tables, scope.table_level) AS s (oid, level) ON s.oid = u.relid
        JOIN pg_class c ON c.oid = u.relid
        JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE u.blocked_by IS NULL AND NOT u.inherited;

    -- Parents first: what is said about a partitioned table's trigger goes down to the partitions. A trigger that is enabled
    -- ALWAYS or REPLICA would fire for what a task applies. For everybody else it is as if ALWAYS were an ordinary trigger,
    -- and REPLICA a disabled one: so they are made.
    RETURN QUERY
        SELECT 285, s.level, 'trigger state'::text, format('%I on %I.%I', g.tgname, n.nspname, c.relname), c.oid,
               'pg_trigger'::regclass::oid, g.oid, NULL::text,
               format('ALTER TABLE %I.%I %s TRIGGER %I', n.nspname, c.relname,
                      CASE WHEN g.tgenabled IN ('D', 'R') THEN 'DISABLE' ELSE 'ENABLE' END,
                      g.tgname),
               'trigger'::text, n.nspname::text, c.relname::text, g.tgname::text, format('o.tgenabled = %L', translate(g.tgenabled::text, 'AR', 'OD')), NULL::text[]
        FROM courier.schema_triggers(scope) AS u
        JOIN pg_trigger g ON g.oid = u.objid
        JOIN unnest(scope.tables, scope.table_level) AS s (oid, level) ON s.oid = u.relid
        JOIN pg_class c ON c.oid = u.relid
        JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE u.blocked_by IS NULL AND translate(g.tgenabled::text, 'AR', 'OD') <> translate(coalesce(u.parent_enabled, 'O')::text, 'AR', 'OD');
END
$function$;
REVOKE ALL ON FUNCTION courier.ddl_triggers(courier.schema_scope) FROM PUBLIC;
COMMENT ON FUNCTION courier.ddl_triggers(courier.schema_scope) IS 'Internal: triggers whose function exists on the destination, and their enabled state.';

-- Policies of the tables. `unsafe_without` names a restrictive policy of the same table that cannot be created: a permissive one beside it
-- would show what the source hides.
CREATE FUNCTION courier.schema_policies(scope courier.schema_scope)
RETURNS TABLE (objid oid, relid oid, blocked_by text, unsafe_without name)
LANGUAGE plpgsql STABLE ROWS 100
SET search_path = pg_catalog, pg_temp
SET plan_cache_mode = force_custom_plan
SET jit = off
AS $function$
#variable_conflict use_column
BEGIN
    RETURN QUERY
        WITH policy AS MATERIALIZED (
            SELECT p.oid, p.polrelid, p.polname, p.polpermissive, b.blocked_by
            FROM unnest(scope.tables) AS t (oid)
            JOIN pg_policy p ON p.polrelid = t.oid
            LEFT JOIN unnest(scope.blocked_class, scope.blocked_object, scope.blocked_by) AS b (classid, objid, blocked_by)
                   ON b.classid = 'pg_policy'::regclass AND b.objid = p.oid
        )
        SELECT p.oid, p.polrelid, p.blocked_by,
               CASE WHEN p.polpermissive
                    THEN (SELECT min(r.polname::text)::name FROM policy r
                          WHERE r.polrelid = p.polrelid AND NOT r.polpermissive AND r.blocked_by IS NOT NULL) END
        FROM policy p;
END
$function$;
REVOKE ALL ON FUNCTION courier.schema_policies(courier.schema_scope) FROM PUBLIC;
COMMENT ON FUNCTION courier.schema_policies(courier.schema_scope) IS
'Internal: policies of the selected tables, and why one is not created.';

CREATE FUNCTION courier.ddl_policies(scope courier.schema_scope)
RETURNS SETOF courier.schema_item
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
SET plan_cache_mode = force_custom_plan
SET jit = off
AS $function$
#variable_conflict use_column
BEGIN
    RETURN QUERY
        SELECT 290, v.step, 'row level security'::text, format('%I.%I', n.nspname, c.relname), c.oid,
               'pg_class'::regclass::oid, c.oid, NULL::text,
               format('ALTER TABLE %I.%I %s ROW LEVEL SECURITY', n.nspname, c.relname, v.verb),
               'relation'::text, n.nspname::text, c.relname::text, NULL::text, v.condition, NULL::text[]
        FROM unnest(scope.tables) AS t (oid)
        JOIN pg_class c ON c.oid = t.oid
        JOIN pg_namespace n ON n.oid = c.relnamespace
        CROSS JOIN LATERAL (VALUES (0, 'ENABLE', 'o.relrowsecurity', c.relrowsecurity),
                                   (1, 'FORCE', 'o.relforcerowsecurity', c.relforcerowsecurity)) AS v (step, verb, condition, wanted)
        WHERE v.wanted;

    -- Restrictive ones first, and no permissive one where a restrictive one is missing: what is not there yet hides rows, never shows them.
    -- A role that is missing there is an error for the same reason.
    RETURN QUERY
        SELECT 291, CASE WHEN p.polpermissive THEN 1 ELSE 0 END, 'policy'::text, format('%I on %I.%I', p.polname, n.nspname, c.relname), c.oid,
               'pg_policy'::regclass::oid, p.oid, format('POLICY %I ON %I.%I', p.polname, n.nspname, c.relname),
               concat(format('CREATE POLICY %I ON %I.%I', p.polname, n.nspname, c.relname),
                      CASE WHEN NOT p.polpermissive THEN ' AS RESTRICTIVE' END,
                      ' FOR ' || CASE p.polcmd WHEN 'r' THEN 'SELECT' WHEN 'a' THEN 'INSERT' WHEN 'w' THEN 'UPDATE' WHEN 'd' THEN 'DELETE' ELSE 'ALL' END,
                      ' TO ' || concat_ws(', ', CASE WHEN 0 = ANY (p.polroles) THEN 'PUBLIC' END, roles.list),
                      ' USING (' || pg_get_expr(p.polqual, p.polrelid) || ')',
                      ' WITH CHECK (' || pg_get_expr(p.polwithcheck, p.polrelid) || ')'),
               'policy'::text, n.nspname::text, c.relname::text, p.polname::text, NULL::text, NULL::text[]
        FROM courier.schema_policies(scope) AS v
        JOIN pg_policy p ON p.oid = v.objid
        JOIN pg_class c ON c.oid = p.polrelid
        JOIN pg_namespace n ON n.oid = c.relnamespace
        CROSS JOIN LATERAL (
            SELECT string_agg(quote_ident(r.rolname), ', ' ORDER BY r.rolname)
            FROM pg_roles r
            WHERE r.oid = ANY (p.polroles)
        ) AS roles (list)
        WHERE v.blocked_by IS NULL AND v.unsafe_without IS NULL;
END
$function$;
REVOKE ALL ON FUNCTION courier.ddl_policies(courier.schema_scope) FROM PUBLIC;
COMMENT ON FUNCTION courier.ddl_policies(courier.schema_scope) IS 'Internal: row level security flags and policies of the scope.';

-- Comments on what the other functions emitted, and on what travels inside their statements: columns, attributes, checks, indexes of
-- constraints. The probe is the commented object's own one with the text as a further condition.
CREATE FUNCTION courier.ddl_comments(scope courier.schema_scope, items courier.schema_item[])
RETURNS SETOF courier.schema_item
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
SET plan_cache_mode = force_custom_plan
SET jit = off
AS $function$
#variable_conflict use_column
BEGIN
    RETURN QUERY
        WITH commented AS (
            SELECT i.object, i.relid, i.classid, i.objid, 0 AS subid, i.target, i.probe, i.probe_schema, i.probe_name, i.probe_sub,
                   i.probe_roles
            FROM unnest(items) AS i
            WHERE i.target IS NOT NULL
            UNION ALL
            SELECT format('%I.%I.%I', n.nspname, c.relname, a.attname), CASE WHEN c.relkind <> 'c' THEN c.oid END,
                   'pg_class'::regclass::oid, c.oid, a.attnum,
                   format('COLUMN %I.%I.%I', n.nspname, c.relname, a.attname), 'column', n.nspname::text, c.relname::text, a.attname::text, NULL
            FROM (SELECT t.oid FROM unnest(scope.tables) AS t (oid)
                  UNION ALL
                  SELECT y.typrelid FROM unnest(scope.types) AS t (oid) JOIN pg_type y ON y.oid = t.oid AND y.typrelid <> 0) AS r
            JOIN pg_description d ON d.classoid = 'pg_class'::regclass AND d.objoid = r.oid AND d.objsubid > 0
            JOIN pg_attribute a ON a.attrelid = r.oid AND a.attnum = d.objsubid AND NOT a.attisdropped
            JOIN pg_class c ON c.oid = r.oid
            JOIN pg_namespace n ON n.oid = c.relnamespace
            UNION ALL
            SELECT format('%I on %I.%I', k.conname, n.nspname, c.relname), c.oid, 'pg_constraint'::regclass, k.oid, 0,
                   format('CONSTRAINT %I ON %I.%I', k.conname, n.nspname, c.relname),
                   'constraint', n.nspname::text, c.relname::text, k.conname::text, NULL
            FROM pg_description d
            JOIN pg_constraint k ON k.oid = d.objoid AND k.contype IN ('c', 'n')
            JOIN unnest(scope.tables) AS t (oid) ON t.oid = k.conrelid
            JOIN pg_class c ON c.oid = t.oid
            JOIN pg_namespace n ON n.oid = c.relnamespace
            WHERE d.classoid = 'pg_constraint'::regclass
              AND NOT EXISTS (SELECT FROM unnest(items) AS i WHERE i.classid = 'pg_constraint'::regclass AND i.objid = k.oid)
            UNION ALL
            SELECT format('%I on domain %I.%I', k.conname, n.nspname, y.typname), NULL, 'pg_constraint'::regclass, k.oid, 0,
                   format('CONSTRAINT %I ON DOMAIN %I.%I', k.conname, n.nspname, y.typname),
                   'domain constraint', n.nspname::text, y.typname::text, k.conname::text, NULL
            FROM unnest(scope.types) AS t (oid)
            JOIN pg_type y ON y.oid = t.oid
            JOIN pg_namespace n ON n.oid = y.typnamespace
            JOIN pg_constraint k ON k.contypid = y.oid AND k.convalidated
            UNION ALL
            SELECT format('%I.%I', n.nspname, ic.relname), i.relid, 'pg_class'::regclass, ic.oid, 0,
                   format('INDEX %I.%I', n.nspname, ic.relname), 'relation', n.nspname::text, ic.relname::text, NULL, NULL
            FROM unnest(items) AS i
            JOIN pg_constraint k ON i.classid = 'pg_constraint'::regclass AND k.oid = i.objid AND k.contype IN ('p', 'u', 'x')
            JOIN pg_class ic ON ic.oid = k.conindid
            JOIN pg_namespace n ON n.oid = ic.relnamespace
        )
        SELECT 300, 0, 'comment'::text, 'on ' || lower(split_part(m.target, ' ', 1)) || ' ' || m.object, m.relid, m.classid, m.objid, NULL::text,
               format('COMMENT ON %s IS %L', m.target, d.description),
               m.probe, m.probe_schema, m.probe_name, m.probe_sub,
               CASE WHEN m.subid <> 0 THEN format('pg_catalog.col_description(o.attrelid, o.attnum) = %L', d.description)
                    ELSE format('pg_catalog.obj_description(o.oid, %L) = %L', m.classid::regclass, d.description) END,
               m.probe_roles
        FROM commented m
        JOIN pg_description d ON d.classoid = m.classid AND d.objoid = m.objid AND d.objsubid = m.subid
        LEFT JOIN unnest(scope.blocked_class, scope.blocked_object) AS b (classid, objid)
               ON b.classid = 'pg_constraint'::regclass AND m.classid = b.classid AND b.objid = m.objid
        -- Every new database has schema public with this comment, and its owner there may be another role.
        WHERE b.objid IS NULL
          AND NOT (m.target = 'SCHEMA public' AND d.description = 'standard public schema');
END
$function$;
REVOKE ALL ON FUNCTION courier.ddl_comments(courier.schema_scope, courier.schema_item[]) FROM PUBLIC;
COMMENT ON FUNCTION courier.ddl_comments(courier.schema_scope, courier.schema_item[]) IS 'Internal: comments on the given items and on their parts.';

-- Privileges on what was emitted, as far as they differ from what a new object has. The owner's own are left alone, because the owner on the
-- destination is another role. The grantor becomes the role that runs the statements.
CREATE FUNCTION courier.ddl_grants(scope courier.schema_scope, items courier.schema_item[])
RETURNS SETOF courier.schema_item
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
SET plan_cache_mode = force_custom_plan
SET jit = off
AS $function$
#variable_conflict use_column
BEGIN
    RETURN QUERY
        WITH secured AS MATERIALIZED (
            SELECT i.object, i.relid, i.classid, i.objid, 0::smallint AS subid, i.target, i.probe, i.probe_schema, i.probe_name, i.probe_sub,
                   s.acl, s.owner, s.kind, s.acl_column, s.owner_column
            FROM unnest(items) AS i
            CROSS JOIN LATERAL (
                SELECT c.relacl, c.relowner, CASE c.relkind WHEN 'S' THEN 's' ELSE 'r' END, 'relacl', 'relowner'
                FROM pg_class c
                WHERE i.classid = 'pg_class'::regclass AND c.oid = i.objid AND c.relkind IN ('r', 'p', 'S')
                UNION ALL
                SELECT y.typacl, y.typowner, 'T', 'typacl', 'typowner'
                FROM pg_type y
                WHERE i.classid = 'pg_type'::regclass AND y.oid = i.objid
                UNION ALL
                SELECT n.nspacl, n.nspowner, 'n', 'nspacl', 'nspowner'
                FROM pg_namespace n
                WHERE i.classid = 'pg_namespace'::regclass AND n.oid = i.objid
            ) AS s (acl, owner, kind, acl_column, owner_column)
            WHERE i.target IS NOT NULL AND s.acl IS NOT NULL
            UNION ALL
            SELECT format('%I.%I.%I', n.nspname, c.relname, a.attname), c.oid, 'pg_class'::regclass, c.oid, a.attnum,
                   format('TABLE %I.%I', n.nspname, c.relname), 'column', n.nspname::text, c.relname::text, a.attname::text,
                   a.attacl, c.relowner, 'c', 'attacl', NULL
            FROM unnest(scope.tables) AS t (oid)
            JOIN pg_class c ON c.oid = t.oid
            JOIN pg_namespace n ON n.oid = c.relnamespace
            JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attacl IS NOT NULL
        ), granted AS (
            SELECT s.objid, s.classid, s.subid, x.grantee, x.is_grantable, array_agg(DISTINCT x.privilege_type) AS privileges,
                   min(x.place) AS place
            FROM secured s
            CROSS JOIN LATERAL aclexplode(s.acl) WITH ORDINALITY AS x (grantor, grantee, privilege_type, is_grantable, place)
            LEFT JOIN pg_init_privs ip ON ip.classoid = s.classid AND ip.objoid = s.objid AND ip.objsubid = 0
            WHERE x.grantee <> s.owner
              AND NOT EXISTS (SELECT FROM aclexplode(acldefault(s.kind::"char", s.owner)) AS y
                              WHERE s.kind <> 'c' AND (y.grantee, y.privilege_type, y.is_grantable) = (x.grantee, x.privilege_type, x.is_grantable))
              AND NOT EXISTS (SELECT FROM aclexplode(ip.initprivs) AS y
                              WHERE (y.grantee, y.privilege_type, y.is_grantable) = (x.grantee, x.privilege_type, x.is_grantable))
            GROUP BY s.objid, s.classid, s.subid, x.grantee, x.is_grantable
        )
        -- In the order of the source's list: the destination's list is then the same.
        SELECT 310, g.place::integer, 'grant'::text, format('on %s to %s', s.object, v.grantee), s.relid, s.classid, s.objid, NULL::text,
               format('GRANT %s ON %s TO %s%s',
                      (SELECT string_agg(p || CASE WHEN s.subid <> 0 THEN format(' (%s)', v.attname) ELSE '' END, ', ' ORDER BY p)
                       FROM unnest(g.privileges) AS p),
                      s.target, v.grantee, CASE WHEN g.is_grantable THEN ' WITH GRANT OPTION' END),
               s.probe, s.probe_schema, s.probe_name, s.probe_sub,
               format('%L::pg_catalog.text[] OPERATOR(pg_catalog.<@) ARRAY(SELECT x.privilege_type FROM pg_catalog.aclexplode(%s) AS x'
                      ' LEFT JOIN pg_catalog.pg_roles r ON r.oid = x.grantee'
                      ' WHERE %s%s)', g.privileges,
                      CASE WHEN s.owner_column IS NULL THEN format('o.%s', s.acl_column)
                           ELSE format('COALESCE(o.%s, pg_catalog.acldefault(%L, o.%s))', s.acl_column, s.kind, s.owner_column) END,
                      CASE WHEN g.grantee = 0 THEN 'x.grantee = 0' ELSE format('r.rolname = %L', r.rolname) END,
                      CASE WHEN g.is_grantable THEN ' AND x.is_grantable' END),
               CASE WHEN g.grantee <> 0 THEN ARRAY[r.rolname::text] END
        FROM granted g
        JOIN secured s ON s.classid = g.classid AND s.objid = g.objid AND s.subid = g.subid
        LEFT JOIN pg_roles r ON r.oid = g.grantee
        CROSS JOIN LATERAL (
            SELECT CASE WHEN g.grantee = 0 THEN 'PUBLIC' ELSE quote_ident(r.rolname) END AS grantee,
                   CASE WHEN s.subid <> 0 THEN quote_ident(s.probe_sub) END AS attname
        ) AS v
        WHERE g.grantee = 0 OR r.oid IS NOT NULL
        UNION ALL
        -- A new type is usable by everybody; the source took that away.
        SELECT 310, 0, 'revoke', format('on %s from PUBLIC', s.object), s.relid, s.classid, s.objid, NULL,
               format('REVOKE ALL ON %s FROM PUBLIC', s.target),
               s.probe, s.probe_schema, s.probe_name, s.probe_sub,
               'NOT EXISTS (SELECT FROM pg_catalog.aclexplode(COALESCE(o.typacl, pg_catalog.acldefault(''T'', o.typowner))) AS x WHERE x.grantee = 0)',
               NULL
        FROM secured s
        WHERE s.kind = 'T'
          AND NOT EXISTS (SELECT FROM aclexplode(s.acl) AS x WHERE x.grantee = 0);
END
$function$;
REVOKE ALL ON FUNCTION courier.ddl_grants(courier.schema_scope, courier.schema_item[]) FROM PUBLIC;
COMMENT ON FUNCTION courier.ddl_grants(courier.schema_scope, courier.schema_item[]) IS 'Internal: privileges of other roles on the given items.';

-- ---------------------------------------------------------------------------------------------------------------------------------
-- The interface
-- ---------------------------------------------------------------------------------------------------------------------------------

-- Where the destination's catalogs keep an object, by name: %1$L schema, %2$L name, %3$L name inside it. Every row found is named o.
CREATE FUNCTION courier.schema_probe()
RETURNS TABLE (probe text, template text)
LANGUAGE sql IMMUTABLE
SET search_path = pg_catalog, pg_temp
AS $function$
    VALUES
        ('schema', 'pg_catalog.pg_namespace o WHERE o.nspname = %1$L'),
        ('extension', 'pg_catalog.pg_extension o WHERE o.extname = %2$L'),
        ('collation', 'pg_catalog.pg_collation o JOIN pg_catalog.pg_namespace n ON n.oid = o.collnamespace'
                      ' WHERE n.nspname = %1$L AND o.collname = %2$L'),
        ('type', 'pg_catalog.pg_type o JOIN pg_catalog.pg_namespace n ON n.oid = o.typnamespace'
                 ' WHERE n.nspname = %1$L AND o.typname = %2$L'),
        ('relation', 'pg_catalog.pg_class o JOIN pg_catalog.pg_namespace n ON n.oid = o.relnamespace'
                     ' WHERE n.nspname = %1$L AND o.relname = %2$L'),
        ('statistics', 'pg_catalog.pg_statistic_ext o JOIN pg_catalog.pg_namespace n ON n.oid = o.stxnamespace'
                       ' WHERE n.nspname = %1$L AND o.stxname = %2$L'),
        ('column', 'pg_catalog.pg_attribute o JOIN pg_catalog.pg_class c ON c.oid = o.attrelid'
                   ' JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace'
                   ' WHERE n.nspname = %1$L AND c.relname = %2$L AND o.attname = %3$L AND NOT o.attisdropped'),
        ('constraint', 'pg_catalog.pg_constraint o JOIN pg_catalog.pg_class c ON c.oid = o.conrelid'
                       ' JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace'
                       ' WHERE n.nspname = %1$L AND c.relname = %2$L AND o.conname = %3$L'),
        ('domain constraint', 'pg_catalog.pg_constraint o JOIN pg_catalog.pg_type c ON c.oid = o.contypid'
                              ' JOIN pg_catalog.pg_namespace n ON n.oid = c.typnamespace'
                              ' WHERE n.nspname = %1$L AND c.typname = %2$L AND o.conname = %3$L'),
        ('trigger', 'pg_catalog.pg_trigger o JOIN pg_catalog.pg_class c ON c.oid = o.tgrelid'
                    ' JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace'
                    ' WHERE n.nspname = %1$L AND c.relname = %2$L AND o.tgname = %3$L'),
        ('policy', 'pg_catalog.pg_policy o JOIN pg_catalog.pg_class c ON c.oid = o.polrelid'
                   ' JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace'
                   ' WHERE n.nspname = %1$L AND c.relname = %2$L AND o.polname = %3$L');
$function$;
REVOKE ALL ON FUNCTION courier.schema_probe() FROM PUBLIC;
COMMENT ON FUNCTION courier.schema_probe() IS 'Internal: how to look an object up by name on the destination.';

-- A definition without what two servers may write differently: parentheses, casts, spaces, and whether it was validated.
CREATE FUNCTION courier.schema_plain(expression text) RETURNS text
LANGUAGE sql IMMUTABLE
SET search_path = pg_catalog, pg_temp
SET standard_conforming_strings = on
AS $function$
    SELECT format($sql$pg_catalog.regexp_replace(pg_catalog.regexp_replace(pg_catalog.regexp_replace(%s, ' NOT VALID$', ''), '[()]', '', 'g'),
        '::(character varying|double precision|bit varying|time(stamp)?[0-9]* with(out)? time zone|(("[^"]+"|[a-z0-9_$]+)\.)?("[^"]+"|[a-z0-9_$]+))([0-9]+(,[0-9]+)?)?(\[\])*|\s+',
        '', 'g')$sql$, expression)
$function$;
REVOKE ALL ON FUNCTION courier.schema_plain(text) FROM PUBLIC;
COMMENT ON FUNCTION courier.schema_plain(text) IS 'Internal: an expression that reduces a definition to what two servers write alike.';

CREATE FUNCTION courier.schema_plain_of(definition text) RETURNS text
LANGUAGE plpgsql IMMUTABLE
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    plain text;
BEGIN
    EXECUTE 'SELECT ' || courier.schema_plain('$1') INTO plain USING definition;
    RETURN plain;
END
$function$;
REVOKE ALL ON FUNCTION courier.schema_plain_of(text) FROM PUBLIC;
COMMENT ON FUNCTION courier.schema_plain_of(text) IS 'Internal: courier.schema_plain() of a definition of this server.';

-- What has a name of its own among all others of its schema: a name that is taken on the destination counts as "there already" only when
-- it belongs to the same thing. `catalog` is where the name is looked up: class, type, collation, statistics, extension. Constraints have
-- their names in their table, and are compared when they are created.
CREATE FUNCTION courier.schema_names(scope courier.schema_scope)
RETURNS TABLE (classid oid, objid oid, kind text, object text, catalog text, nspname text, name text, differs_sql text)
LANGUAGE plpgsql STABLE ROWS 10000
SET search_path = pg_catalog, pg_temp
SET plan_cache_mode = force_custom_plan
SET jit = off
AS $function$
#variable_conflict use_column
DECLARE
    -- Definitions are compared as text, which servers of one major version write alike.
    same_major CONSTANT text := format('pg_catalog.current_setting(''server_version_num'')::pg_catalog.int4 / 10000 = %s',
                                       current_setting('server_version_num')::integer / 10000);
    class_of CONSTANT text := ' FROM pg_catalog.pg_class o JOIN pg_catalog.pg_namespace n ON n.oid = o.relnamespace';
    is_there CONSTANT text := 'pg_catalog.format(''%s has this name there'', pg_catalog.pg_describe_object(''pg_catalog.pg_class''::pg_catalog.regclass, o.oid, 0))';
BEGIN
    RETURN QUERY
        SELECT 'pg_class'::regclass::oid, s.oid, 'sequence'::text, format('%I.%I', n.nspname, c.relname), 'class'::text, n.nspname::text, c.relname::text,
               format('SELECT CASE WHEN o.relkind <> ''S'' THEN %s'
                      ' WHEN (q.seqtypid, q.seqincrement, q.seqmin, q.seqmax, q.seqcycle) OPERATOR(pg_catalog.<>) ROW(%s::pg_catalog.oid, %s::pg_catalog.int8, %s::pg_catalog.int8, %s::pg_catalog.int8, %L::pg_catalog.bool)'
                      ' THEN pg_catalog.format(''it is AS %%s INCREMENT BY %%s MINVALUE %%s MAXVALUE %%s%%s there'', pg_catalog.format_type(q.seqtypid, NULL),'
                      ' q.seqincrement, q.seqmin, q.seqmax, CASE WHEN q.seqcycle THEN '' CYCLE'' END) END'
                      '%s LEFT JOIN pg_catalog.pg_sequence q ON q.seqrelid = o.oid WHERE n.nspname = %L AND o.relname = %L',
                      is_there, q.seqtypid, q.seqincrement, q.seqmin, q.seqmax, q.seqcycle, class_of, n.nspname, c.relname)
        FROM unnest(scope.sequences) AS s (oid)
        JOIN pg_class c ON c.oid = s.oid
        JOIN pg_sequence q ON q.seqrelid = s.oid
        JOIN pg_namespace n ON n.oid = c.relnamespace
        UNION ALL
        -- Made together with a table or a constraint: whatever has the name is in the way.
        SELECT 'pg_class'::regclass, c.oid, 'identity sequence of ' || format('%I.%I', tn.nspname, t.relname), format('%I.%I', n.nspname, c.relname),
               'class', n.nspname::text, c.relname::text,
               format('SELECT %s%s WHERE n.nspname = %L AND o.relname = %L', is_there, class_of, n.nspname, c.relname)
        FROM unnest(scope.tables) AS u (oid)
        JOIN pg_class t ON t.oid = u.oid
        JOIN pg_namespace tn ON tn.oid = t.relnamespace
        JOIN pg_depend d ON d.refclassid = 'pg_class'::regclass AND d.refobjid = t.oid AND d.refobjsubid > 0
                        AND d.classid = 'pg_class'::regclass AND d.deptype = 'i'
        JOIN pg_class c ON c.oid = d.objid AND c.relkind = 'S'
        JOIN pg_namespace n ON n.oid = c.relnamespace
        UNION ALL
        SELECT 'pg_class'::regclass, t.oid, 'table', format('%I.%I', n.nspname, t.relname), 'type', n.nspname::text, t.relname::text,
               format('SELECT ''a type has this name there'' FROM pg_catalog.pg_type o JOIN pg_catalog.pg_namespace n ON n.oid = o.typnamespace'
                      ' LEFT JOIN pg_catalog.pg_class r ON r.oid = o.typrelid'
                      ' WHERE n.nspname = %L AND o.typname = %L AND (o.typrelid = 0 OR r.relkind = ''c'') AND o.typcategory <> ''A''', n.nspname, t.relname)
        FROM unnest(scope.tables) AS u (oid)
        JOIN pg_class t ON t.oid = u.oid
        JOIN pg_namespace n ON n.oid = t.relnamespace
        UNION ALL
        SELECT 'pg_class'::regclass, ic.oid,
               CASE WHEN k.oid IS NULL THEN 'index' ELSE format('index of constraint %I on %I.%I', k.conname, n.nspname, t.relname) END,
               format('%I.%I', n.nspname, ic.relname), 'class', n.nspname::text, ic.relname::text,
               CASE WHEN k.oid IS NOT NULL
                    THEN format('SELECT %s%s WHERE n.nspname = %L AND o.relname = %L', is_there, class_of, n.nspname, ic.relname)
                    ELSE format('SELECT CASE WHEN o.relkind NOT IN (''i'', ''I'') THEN %s'
                                ' WHEN (t.relname, tn.nspname) IS DISTINCT FROM (%L::pg_catalog.name, %L::pg_catalog.name) THEN pg_catalog.format(''it is an index of table %%I.%%I there'', tn.nspname, t.relname)'
                                ' WHEN i.indisunique <> %L THEN %L'
                                ' WHEN %s AND %s <> %L THEN pg_catalog.format(''its definition there is: %%s'', pg_catalog.pg_get_indexdef(o.oid)) END'
                                '%s LEFT JOIN pg_catalog.pg_index i ON i.indexrelid = o.oid LEFT JOIN pg_catalog.pg_class t ON t.oid = i.indrelid'
                                ' LEFT JOIN pg_catalog.pg_namespace tn ON tn.oid = t.relnamespace WHERE n.nspname = %L AND o.relname = %L',
                                is_there, t.relname, n.nspname, i.indisunique,
                                CASE WHEN i.indisunique THEN 'it is not unique there' ELSE 'it is unique there' END,
                                same_major, courier.schema_plain('pg_catalog.pg_get_indexdef(o.oid)'), plain.definition, class_of, n.nspname, ic.relname)
               END
        FROM unnest(scope.tables) AS u (oid)
        JOIN pg_class t ON t.oid = u.oid
        JOIN pg_namespace n ON n.oid = t.relnamespace
        JOIN pg_index i ON i.indrelid = t.oid
        JOIN pg_class ic ON ic.oid = i.indexrelid
        LEFT JOIN pg_constraint k ON k.conindid = i.indexrelid AND k.conrelid = i.indrelid AND k.contype IN ('p', 'u', 'x')
        LEFT JOIN unnest(scope.blocked_class, scope.blocked_object) AS b (classid, objid)
               ON b.classid = 'pg_class'::regclass AND b.objid = i.indexrelid
        CROSS JOIN LATERAL (SELECT pg_get_indexdef(i.indexrelid) AS definition) AS full_text
        CROSS JOIN LATERAL (SELECT courier.schema_plain_of(full_text.definition) AS definition) AS plain
        WHERE b.objid IS NULL AND ((i.indisvalid AND i.indisready) OR ic.relkind = 'I')
        UNION ALL
        SELECT 'pg_statistic_ext'::regclass, s.oid, 'statistics', format('%I.%I', n.nspname, s.stxname), 'statistics', n.nspname::text, s.stxname::text,
               format('SELECT CASE WHEN (t.relname, tn.nspname) IS DISTINCT FROM (%L::pg_catalog.name, %L::pg_catalog.name) THEN pg_catalog.format(''they are of table %%I.%%I there'', tn.nspname, t.relname)'
                      ' WHEN %s AND %s <> %L THEN pg_catalog.format(''its definition there is: %%s'', pg_catalog.pg_get_statisticsobjdef(o.oid)) END'
                      ' FROM pg_catalog.pg_statistic_ext o JOIN pg_catalog.pg_namespace n ON n.oid = o.stxnamespace JOIN pg_catalog.pg_class t ON t.oid = o.stxrelid'
                      ' JOIN pg_catalog.pg_namespace tn ON tn.oid = t.relnamespace WHERE n.nspname = %L AND o.stxname = %L',
                      t.relname, tn.nspname, same_major, courier.schema_plain('pg_catalog.pg_get_statisticsobjdef(o.oid)'), plain.definition, n.nspname, s.stxname)
        FROM unnest(scope.tables) AS u (oid)
        JOIN pg_class t ON t.oid = u.oid
        JOIN pg_namespace tn ON tn.oid = t.relnamespace
        JOIN pg_statistic_ext s ON s.stxrelid = t.oid
        JOIN pg_namespace n ON n.oid = s.stxnamespace
        CROSS JOIN LATERAL (SELECT pg_get_statisticsobjdef(s.oid) AS definition) AS full_text
        CROSS JOIN LATERAL (SELECT courier.schema_plain_of(full_text.definition) AS definition) AS plain
        UNION ALL
        SELECT 'pg_extension'::regclass, x.oid, 'extension in another version', quote_ident(x.extname), 'extension', n.nspname::text, x.extname::text,
               format('SELECT CASE WHEN n.nspname <> %L THEN pg_catalog.format(''it is in schema %%I there'', n.nspname) END'
                      ' FROM pg_catalog.pg_extension o JOIN pg_catalog.pg_namespace n ON n.oid = o.extnamespace WHERE o.extname = %L', n.nspname, x.extname)
        FROM unnest(scope.extensions) AS s (oid)
        JOIN pg_extension x ON x.oid = s.oid
        JOIN pg_namespace n ON n.oid = x.extnamespace
        UNION ALL
        SELECT 'pg_collation'::regclass, l.oid, 'collation', format('%I.%I', n.nspname, l.collname), 'collation', n.nspname::text, l.collname::text,
               format('SELECT CASE WHEN o.collprovider <> %L OR o.collisdeterministic <> %L'
                      ' OR (%s AND COALESCE(pg_catalog.to_jsonb(o) ->> ''colllocale'', pg_catalog.to_jsonb(o) ->> ''colliculocale'', o.collcollate) IS DISTINCT FROM %L)'
                      ' THEN ''it has another provider or locale there'' END'
                      ' FROM pg_catalog.pg_collation o JOIN pg_catalog.pg_namespace n ON n.oid = o.collnamespace WHERE n.nspname = %L AND o.collname = %L LIMIT 1',
                      l.collprovider, l.collisdeterministic, same_major,
                      coalesce(to_jsonb(l) ->> 'colllocale', to_jsonb(l) ->> 'colliculocale', l.collcollate), n.nspname, l.collname)
        FROM unnest(scope.collations) AS s (oid)
        JOIN pg_collation l ON l.oid = s.oid
        JOIN pg_namespace n ON n.oid = l.collnamespace;

    RETURN QUERY
        SELECT 'pg_type'::regclass::oid, y.oid, CASE y.typtype WHEN 'd' THEN 'domain' ELSE 'type' END, format('%I.%I', n.nspname, y.typname),
               'type'::text, n.nspname::text, y.typname::text,
               format('SELECT CASE WHEN o.typtype <> %L OR EXISTS (SELECT FROM pg_catalog.pg_class r WHERE r.oid = o.typrelid AND r.relkind <> ''c'')'
                      ' THEN ''something else has this name there'' ELSE (%s) END'
                      ' FROM pg_catalog.pg_type o JOIN pg_catalog.pg_namespace n ON n.oid = o.typnamespace WHERE n.nspname = %L AND o.typname = %L',
                      y.typtype, body.question, n.nspname, y.typname)
        FROM unnest(scope.types) AS s (oid)
        JOIN pg_type y ON y.oid = s.oid
        JOIN pg_namespace n ON n.oid = y.typnamespace
        CROSS JOIN LATERAL (
            SELECT format('SELECT CASE WHEN COALESCE(pg_catalog.array_agg(e.enumlabel::pg_catalog.text ORDER BY e.enumsortorder), ''{}'') IS DISTINCT FROM %L::pg_catalog.text[]'
                          ' THEN pg_catalog.format(''its labels there are: %%s'', pg_catalog.string_agg(pg_catalog.quote_literal(e.enumlabel), '', '' ORDER BY e.enumsortorder)) END'
                          ' FROM pg_catalog.pg_enum e WHERE e.enumtypid = o.oid',
                          ARRAY(SELECT e.enumlabel::text FROM pg_enum e WHERE e.enumtypid = y.oid ORDER BY e.enumsortorder)) AS question
            WHERE y.typtype = 'e'
            UNION ALL
            SELECT format('SELECT CASE WHEN v.list IS DISTINCT FROM %L THEN pg_catalog.format(''its attributes there are: %%s'', v.list) END FROM (SELECT'
                          ' pg_catalog.string_agg(pg_catalog.format(''%%I %%s'', a.attname, pg_catalog.format_type(a.atttypid, a.atttypmod)), '', '' ORDER BY a.attnum)'
                          ' FROM pg_catalog.pg_attribute a WHERE a.attrelid = o.typrelid AND a.attnum > 0 AND NOT a.attisdropped) AS v (list)',
                          (SELECT string_agg(format('%I %s', a.attname, format_type(a.atttypid, a.atttypmod)), ', ' ORDER BY a.attnum)
                           FROM pg_attribute a WHERE a.attrelid = y.typrelid AND a.attnum > 0 AND NOT a.attisdropped))
            WHERE y.typtype = 'c'
            UNION ALL
            SELECT format('SELECT CASE WHEN pg_catalog.format_type(r.rngsubtype, NULL) <> %L OR oc.opcname <> %L'
                          ' THEN pg_catalog.format(''it is a range of %%s (%%s) there'', pg_catalog.format_type(r.rngsubtype, NULL), oc.opcname) END'
                          ' FROM pg_catalog.pg_range r JOIN pg_catalog.pg_opclass oc ON oc.oid = r.rngsubopc WHERE r.rngtypid = o.oid',
                          format_type(r.rngsubtype, NULL), oc.opcname)
            FROM pg_range r
            JOIN pg_opclass oc ON oc.oid = r.rngsubopc
            WHERE y.typtype = 'r' AND r.rngtypid = y.oid
            UNION ALL
            -- Checks that were never validated come after the data.
            SELECT format('SELECT CASE WHEN pg_catalog.format_type(o.typbasetype, o.typtypmod) <> %L THEN pg_catalog.format(''it is a domain over %%s there'', pg_catalog.format_type(o.typbasetype, o.typtypmod))'
                          ' WHEN o.typnotnull <> %L THEN %L'
                          ' WHEN %s AND %s IS DISTINCT FROM %L THEN pg_catalog.format(''its default there is %%s'', COALESCE(o.typdefault, ''none''))'
                          ' WHEN %s AND NOT (v.checks OPERATOR(pg_catalog.@>) %L::pg_catalog.text[] AND v.checks OPERATOR(pg_catalog.<@) %L::pg_catalog.text[])'
                          ' THEN pg_catalog.format(''its constraints there are: %%s'', COALESCE(v.list, ''none'')) END FROM (SELECT'
                          ' COALESCE(pg_catalog.array_agg(%s), ''{}''), pg_catalog.string_agg(pg_catalog.pg_get_constraintdef(k.oid), '', '')'
                          ' FROM pg_catalog.pg_constraint k WHERE k.contypid = o.oid AND k.contype = ''c'') AS v (checks, list)',
                          format_type(y.typbasetype, y.typtypmod), y.typnotnull,
                          CASE WHEN y.typnotnull THEN 'it may be null there' ELSE 'it must not be null there' END,
                          same_major, courier.schema_plain('COALESCE(pg_catalog.pg_get_expr(o.typdefaultbin, 0), pg_catalog.quote_literal(o.typdefault))'),
                          CASE WHEN b.objid IS NULL THEN courier.schema_plain_of(coalesce(pg_get_expr(y.typdefaultbin, 0), quote_literal(y.typdefault))) END,
                          same_major, coalesce(checks.valid, '{}'), coalesce(checks.every, '{}'),
                          courier.schema_plain('pg_catalog.pg_get_constraintdef(k.oid)'))
            FROM (SELECT array_agg(c.plain) FILTER (WHERE c.convalidated) AS valid, array_agg(c.plain) AS every
                  FROM (SELECT k.convalidated, courier.schema_plain_of(pg_get_constraintdef(k.oid)) AS plain
                        FROM pg_constraint k
                        LEFT JOIN unnest(scope.blocked_class, scope.blocked_object) AS kb (classid, objid)
                               ON kb.classid = 'pg_constraint'::regclass AND kb.objid = k.oid
                        WHERE k.contypid = y.oid AND k.contype = 'c' AND kb.objid IS NULL) AS c) AS checks
            LEFT JOIN unnest(scope.blocked_class, scope.blocked_object) AS b (classid, objid)
                   ON b.classid = 'pg_type'::regclass AND b.objid = y.oid
            WHERE y.typtype = 'd'
        ) AS body;

    RETURN QUERY
        SELECT 'pg_constraint'::regclass::oid, k.oid,
               CASE k.contype WHEN 'p' THEN 'primary key' WHEN 'u' THEN 'unique constraint' WHEN 'x' THEN 'exclusion constraint' WHEN 'f' THEN 'foreign key' ELSE 'check' END,
               format('%I on %I.%I', k.conname, n.nspname, t.relname), NULL::text, n.nspname::text, k.conname::text,
               format('SELECT CASE WHEN o.contype <> %L OR %s AND %s <> %L THEN pg_catalog.format(''its definition there is: %%s'', pg_catalog.pg_get_constraintdef(o.oid)) END'
                      ' FROM pg_catalog.pg_constraint o JOIN pg_catalog.pg_class c ON c.oid = o.conrelid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace'
                      ' WHERE n.nspname = %L AND c.relname = %L AND o.conname = %L',
                      k.contype, same_major, courier.schema_plain('pg_catalog.pg_get_constraintdef(o.oid)'), courier.schema_plain_of(pg_get_constraintdef(k.oid)),
                      n.nspname, t.relname, k.conname)
        FROM unnest(scope.tables) AS u (oid)
        JOIN pg_class t ON t.oid = u.oid
        JOIN pg_namespace n ON n.oid = t.relnamespace
        JOIN pg_constraint k ON k.conrelid = t.oid AND k.contype IN ('p', 'u', 'x', 'f', 'c');
END
$function$;
REVOKE ALL ON FUNCTION courier.schema_names(courier.schema_scope) FROM PUBLIC;
COMMENT ON FUNCTION courier.schema_names(courier.schema_scope) IS
'Internal: names that the statements of the scope take, and how to ask the destination whether another thing has one of them.';

CREATE FUNCTION courier.schema_ddl(
    relations oid[], with_grants boolean DEFAULT false, sequences oid[] DEFAULT '{}', available_class oid[] DEFAULT '{}',
    available_object oid[] DEFAULT '{}'
)
RETURNS TABLE (section text, ordinal integer, kind text, object text, relid oid, statement text, present_sql text, differs_sql text)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
SET plan_cache_mode = force_custom_plan
SET jit = off
AS $function$
#variable_conflict use_column
DECLARE
    scope courier.schema_scope := courier.schema_scope_of(relations, sequences, available_class, available_object);
    items courier.schema_item[];
BEGIN
    items := ARRAY(
        SELECT i FROM courier.ddl_containers(scope) AS i
        UNION ALL SELECT i FROM courier.ddl_types(scope) AS i
        UNION ALL SELECT i FROM courier.ddl_sequences(scope) AS i
        UNION ALL SELECT i FROM courier.ddl_tables(scope) AS i
        UNION ALL SELECT i FROM courier.ddl_constraints(scope) AS i
        UNION ALL SELECT i FROM courier.ddl_indexes(scope) AS i
        UNION ALL SELECT i FROM courier.ddl_triggers(scope) AS i
        UNION ALL SELECT i FROM courier.ddl_policies(scope) AS i);

    RETURN QUERY
        WITH item AS (
            SELECT i.* FROM unnest(items) AS i
            UNION ALL
            SELECT i.* FROM courier.ddl_comments(scope, items) AS i
            UNION ALL
            SELECT i.* FROM courier.ddl_grants(scope, items) AS i WHERE with_grants
        )
        SELECT CASE WHEN i.phase < 200 THEN 'pre-data' ELSE 'post-data' END,
               (row_number() OVER (ORDER BY i.phase, i.level, i.kind COLLATE "C", i.object COLLATE "C", i.statement COLLATE "C"))::integer,
               i.kind, i.object, i.relid, i.statement,
               concat('SELECT ',
                      CASE WHEN i.probe_roles IS NOT NULL
                           THEN format('(SELECT pg_catalog.count(*) FROM pg_catalog.pg_roles WHERE rolname = ANY (%L)) < %s OR ',
                                       i.probe_roles, cardinality(i.probe_roles)) END,
                      'EXISTS (SELECT FROM ', format(p.template, i.probe_schema, i.probe_name, i.probe_sub),
                      ' AND (' || i.probe_condition || ')', ')',
                      CASE WHEN i.kind = 'extension'
                           THEN format(' OR NOT EXISTS (SELECT FROM pg_catalog.pg_available_extension_versions v WHERE v.name = %L AND v.version = %L)',
                                       i.probe_name, (SELECT x.extversion FROM pg_extension x WHERE x.oid = i.objid)) END),
               d.differs_sql
        FROM item i
        LEFT JOIN courier.schema_probe() AS p ON p.probe = i.probe
        LEFT JOIN courier.schema_names(scope) AS d
               ON d.classid = i.classid AND d.objid = i.objid AND d.kind = i.kind
        ORDER BY 2;
END
$function$;
REVOKE ALL ON FUNCTION courier.schema_ddl(oid[], boolean, oid[], oid[], oid[]) FROM PUBLIC;
COMMENT ON FUNCTION courier.schema_ddl(oid[], boolean, oid[], oid[], oid[]) IS
'Statements that create the given tables, and the schemas, types, sequences and extensions they need, on an empty database: run in order of ordinal, pre-data before the rows and post-data after them. present_sql is a query for the destination that is true when the statement is not needed there (any more); differs_sql, where it is not null, is one that answers null, or says how what has that name there differs. Oids that are no user table are ignored; what is left out is listed by courier.schema_omissions().';

CREATE FUNCTION courier.schema_omissions(
    relations oid[], sequences oid[] DEFAULT '{}', available_class oid[] DEFAULT '{}', available_object oid[] DEFAULT '{}'
)
RETURNS TABLE (kind text, object text, relid oid, reason text)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
SET plan_cache_mode = force_custom_plan
SET jit = off
AS $function$
#variable_conflict use_column
DECLARE
    scope courier.schema_scope := courier.schema_scope_of(relations, sequences, available_class, available_object);
BEGIN
    -- What was asked for and is no table of the user.
    RETURN QUERY
        SELECT 'relation'::text, coalesce(quote_ident(n.nspname) || '.' || quote_ident(c.relname), r.oid::text), r.oid,
               CASE
                   WHEN c.oid IS NULL THEN 'there is no relation with this oid'
                   WHEN c.relkind NOT IN ('r', 'p') THEN 'is neither an ordinary nor a partitioned table'
                   WHEN c.relpersistence = 't' THEN 'is a temporary table'
                   WHEN x.extname IS NOT NULL THEN format('belongs to extension %I, which creates it', x.extname)
                   ELSE 'belongs to the system'
               END
        FROM (SELECT DISTINCT u.oid FROM unnest(relations) AS u (oid)) AS r
        LEFT JOIN pg_class c ON c.oid = r.oid
        LEFT JOIN pg_namespace n ON n.oid = c.relnamespace
        LEFT JOIN pg_depend e ON e.classid = 'pg_class'::regclass AND e.objid = r.oid AND e.deptype = 'e'
        LEFT JOIN pg_extension x ON x.oid = e.refobjid
        WHERE NOT EXISTS (SELECT FROM unnest(scope.tables) AS s (oid) WHERE s.oid = r.oid)
          AND n.nspname IS DISTINCT FROM 'courier' AND n.nspname IS DISTINCT FROM 'courier_applied'
          AND x.extname IS DISTINCT FROM 'pg_courier';

    -- Parts that depend on what is not created.
    RETURN QUERY
        WITH blocked AS MATERIALIZED (
            SELECT b.classid, b.objid, b.cause, b.blocked_by
            FROM unnest(scope.blocked_class, scope.blocked_object, scope.blocked_cause, scope.blocked_by)
                 AS b (classid, objid, cause, blocked_by)
        )
        SELECT v.kind, concat(v.name || ' on ', format('%I.%I', n.nspname, c.relname)), c.oid,
               CASE
                   WHEN v.kind = 'foreign key' AND b.cause = 'pg_class'::regclass THEN format('references %s, which is not selected', b.blocked_by)
                   WHEN v.kind IN ('table', 'generated column') THEN format('cannot create: depends on %s', b.blocked_by)
                   ELSE format('depends on %s, which the task does not create: left out unless the destination has it', b.blocked_by)
               END
        FROM blocked b
        CROSS JOIN LATERAL (
            SELECT 'table', NULL, b.objid
            FROM pg_class t
            WHERE b.classid = 'pg_class'::regclass AND t.oid = b.objid AND t.relkind IN ('r', 'p')
            UNION ALL
            SELECT CASE a.attgenerated WHEN '' THEN 'default' ELSE 'generated column' END, quote_ident(a.attname), a.attrelid
            FROM pg_attrdef d
            JOIN pg_attribute a ON a.attrelid = d.adrelid AND a.attnum = d.adnum
            WHERE b.classid = 'pg_attrdef'::regclass AND d.oid = b.objid
            UNION ALL
            SELECT CASE k.contype WHEN 'c' THEN 'check' WHEN 'f' THEN 'foreign key' WHEN 'x' THEN 'exclusion constraint' ELSE 'key' END,
                   quote_ident(k.conname), k.conrelid
            FROM pg_constraint k
            LEFT JOIN pg_constraint pk ON pk.oid = k.conparentid
            WHERE b.classid = 'pg_constraint'::regclass AND k.oid = b.objid AND k.conrelid <> 0
              -- One that a selected partitioned table hands down is reported there.
              AND NOT EXISTS (SELECT FROM unnest(scope.tables) AS s (oid) WHERE s.oid = pk.conrelid)
            UNION ALL
            SELECT 'index', quote_ident(ic.relname), i.indrelid
            FROM pg_index i
            JOIN pg_class ic ON ic.oid = i.indexrelid
            WHERE b.classid = 'pg_class'::regclass AND i.indexrelid = b.objid
              AND NOT EXISTS (SELECT FROM pg_constraint k WHERE k.conindid = i.indexrelid AND k.conrelid = i.indrelid AND k.contype = 'x')
            UNION ALL
            SELECT 'trigger', quote_ident(g.tgname), g.tgrelid
            FROM courier.schema_triggers(scope) AS u
            JOIN pg_trigger g ON g.oid = u.objid
            WHERE b.classid = 'pg_trigger'::regclass AND u.objid = b.objid AND NOT u.inherited
            UNION ALL
            SELECT 'policy', quote_ident(p.polname), p.polrelid
            FROM pg_policy p
            WHERE b.classid = 'pg_policy'::regclass AND p.oid = b.objid
            UNION ALL
            SELECT 'statistics', quote_ident(s.stxname), s.stxrelid
            FROM pg_statistic_ext s
            WHERE b.classid = 'pg_statistic_ext'::regclass AND s.oid = b.objid
        ) AS v (kind, name, relid)
        JOIN pg_class c ON c.oid = v.relid
        JOIN pg_namespace n ON n.oid = c.relnamespace;

    RETURN QUERY
        SELECT v.kind, concat(v.name || ' on ', format('%I.%I', n.nspname, y.typname)), NULL::oid,
               CASE WHEN v.kind = 'type' THEN format('cannot create: depends on %s', b.blocked_by)
                    ELSE format('depends on %s, which the task does not create: left out unless the destination has it', b.blocked_by) END
        FROM unnest(scope.blocked_class, scope.blocked_object, scope.blocked_cause, scope.blocked_by) AS b (classid, objid, cause, blocked_by)
        CROSS JOIN LATERAL (
            SELECT CASE
                       WHEN y.typtype = 'd' AND b.cause <> 'pg_type'::regclass THEN 'domain default'
                       WHEN y.typtype = 'r' AND b.cause = 'pg_proc'::regclass THEN 'range support function'
                       ELSE 'type'
                   END, NULL, y.oid
            FROM pg_type y
            WHERE b.classid = 'pg_type'::regclass AND y.oid = b.objid
            UNION ALL
            SELECT 'domain check', quote_ident(k.conname), k.contypid
            FROM pg_constraint k
            WHERE b.classid = 'pg_constraint'::regclass AND k.oid = b.objid AND k.contypid <> 0
        ) AS v (kind, name, typid)
        JOIN unnest(scope.types) AS s (oid) ON s.oid = v.typid
        JOIN pg_type y ON y.oid = v.typid
        JOIN pg_namespace n ON n.oid = y.typnamespace;

    -- Policies that would show too much where a restrictive one is missing.
    RETURN QUERY
        SELECT 'policy'::text, format('%I on %I.%I', p.polname, n.nspname, c.relname), c.oid,
               format('restrictive policy %I is not created, and without it this one would show rows that the source hides', v.unsafe_without)
        FROM courier.schema_policies(scope) AS v
        JOIN pg_policy p ON p.oid = v.objid
        JOIN pg_class c ON c.oid = v.relid
        JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE v.unsafe_without IS NOT NULL AND v.blocked_by IS NULL;

    -- What no statement is made for, and what changes its form.
    RETURN QUERY
        SELECT v.kind, concat(v.name || ' on ', format('%I.%I', n.nspname, c.relname)), c.oid, v.reason
        FROM unnest(scope.tables) AS t (oid)
        JOIN pg_class c ON c.oid = t.oid
        JOIN pg_namespace n ON n.oid = c.relnamespace
        JOIN (
            SELECT r.ev_class AS relid, 'rule' AS kind, quote_ident(r.rulename) AS name, 'rules are not created' AS reason
            FROM pg_rewrite r
            WHERE r.rulename <> '_RETURN'
            UNION ALL
            SELECT r.prrelid, 'publication', quote_ident(p.pubname), 'publications belong to the source'
            FROM pg_publication_rel r
            JOIN pg_publication p ON p.oid = r.prpubid
            UNION ALL
            SELECT tc.oid, 'tablespace', quote_ident(s.spcname), 'created in the default tablespace of the destination'
            FROM pg_class tc
            JOIN pg_tablespace s ON s.oid = tc.reltablespace
            WHERE tc.relkind IN ('r', 'p')
            UNION ALL
            SELECT i.indrelid, 'tablespace', format('%I of index %I', s.spcname, ic.relname), 'created in the default tablespace of the destination'
            FROM pg_class ic
            JOIN pg_tablespace s ON s.oid = ic.reltablespace
            JOIN pg_index i ON i.indexrelid = ic.oid
            UNION ALL
            SELECT i.indrelid, 'index', quote_ident(ic.relname), 'is invalid: its build failed or is still running'
            FROM pg_index i
            JOIN pg_class ic ON ic.oid = i.indexrelid
            WHERE ic.relkind = 'i' AND NOT (i.indisvalid AND i.indisready)
            UNION ALL
            SELECT l.objoid, 'security label', quote_ident(l.provider), 'security labels are not created'
            FROM pg_seclabel l
            WHERE l.classoid = 'pg_class'::regclass AND l.objsubid = 0
            UNION ALL
            SELECT i.inhrelid, 'inheritance', format('%I.%I', pn.nspname, pc.relname),
                   CASE WHEN pc.relkind = 'p' THEN 'the partitioned table is not selected: created as a plain table'
                        ELSE 'the parent is not selected: inherited columns become local' END
            FROM pg_inherits i
            JOIN pg_class pc ON pc.oid = i.inhparent AND pc.relkind IN ('r', 'p', 'f')
            JOIN pg_namespace pn ON pn.oid = pc.relnamespace
            WHERE NOT EXISTS (SELECT FROM unnest(scope.tables) AS s (oid) WHERE s.oid = i.inhparent)
            UNION ALL
            -- Since 17 partitions share the identity sequence of their partitioned table.
            SELECT a.attrelid, 'identity', quote_ident(a.attname), 'its sequence belongs to the partitioned table, which is not selected'
            FROM pg_attribute a
            WHERE a.attidentity <> '' AND a.attnum > 0
              AND NOT EXISTS (SELECT FROM pg_depend d
                              WHERE d.refclassid = 'pg_class'::regclass AND d.refobjid = a.attrelid AND d.refobjsubid = a.attnum
                                AND d.classid = 'pg_class'::regclass AND d.deptype = 'i')
              AND NOT EXISTS (SELECT FROM pg_inherits i JOIN unnest(scope.tables) AS s (oid) ON s.oid = i.inhparent
                              WHERE i.inhrelid = a.attrelid)
            UNION ALL
            SELECT s.relid, 'column order', NULL, 'inherited columns come before the table''s own ones'
            FROM courier.schema_table_style(scope) AS s
            WHERE s.reordered
            UNION ALL
            SELECT uc.oid, 'unlogged', NULL, 'has no meaning for a partitioned table, and 18 refuses it'
            FROM pg_class uc
            WHERE uc.relkind = 'p' AND uc.relpersistence = 'u'
            UNION ALL
            SELECT d.refobjid, 'unlogged', format('identity sequence %I', q.relname), 'the sequence is logged on the destination, as its table is'
            FROM pg_depend d
            JOIN pg_class q ON q.oid = d.objid AND q.relkind = 'S' AND q.relpersistence = 'u'
            JOIN pg_class lc ON lc.oid = d.refobjid AND lc.relpersistence = 'p'
            WHERE d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass AND d.refobjsubid > 0 AND d.deptype = 'i'
        ) AS v ON v.relid = c.oid;
END
$function$;
REVOKE ALL ON FUNCTION courier.schema_omissions(oid[], oid[], oid[], oid[]) FROM PUBLIC;
COMMENT ON FUNCTION courier.schema_omissions(oid[], oid[], oid[], oid[]) IS
'What belongs to the given tables and is not created by courier.schema_ddl(), and why. A reason that starts with "cannot" means that a statement of schema_ddl() will fail: do not start with this selection.';

-- Everything of the database that no task creates or carries, one row an object. `nspname` is null for what belongs to the database as a
-- whole; `data` is true for what holds rows or values, which concerns a task that creates nothing as well.
CREATE FUNCTION courier.schema_left_out(relations oid[], sequences oid[] DEFAULT '{}')
RETURNS TABLE (kind text, nspname text, name text, data boolean, reason text)
LANGUAGE plpgsql STABLE ROWS 1000
SET search_path = pg_catalog, pg_temp
SET plan_cache_mode = force_custom_plan
SET jit = off
AS $function$
#variable_conflict use_column
DECLARE
    scope courier.schema_scope := courier.schema_scope_of(relations, sequences);
    not_created CONSTANT text := 'not created';
BEGIN
    RETURN QUERY
        WITH member AS MATERIALIZED (
            SELECT e.classid, e.objid FROM pg_depend e WHERE e.deptype = 'e' AND e.refclassid = 'pg_extension'::regclass
        ), space AS MATERIALIZED (
            SELECT n.oid, n.nspname
            FROM pg_namespace n
            WHERE n.nspname NOT IN ('pg_catalog', 'information_schema', 'courier', 'courier_applied') AND n.nspname !~ '^pg_(toast|temp)'
        ), found AS MATERIALIZED (
            SELECT o.* FROM (
            SELECT 'pg_proc'::regclass::oid AS classid, p.oid AS objid,
                   CASE p.prokind WHEN 'a' THEN 'aggregate' WHEN 'p' THEN 'procedure' WHEN 'w' THEN 'window function' ELSE 'function' END AS kind,
                   n.nspname, format('%I.%I(%s)', n.nspname, p.proname, pg_get_function_identity_arguments(p.oid)) AS name,
                   false AS data, not_created AS reason
            FROM pg_proc p JOIN space n ON n.oid = p.pronamespace
            UNION ALL
            SELECT 'pg_operator'::regclass, o.oid, 'operator', n.nspname,
                   format('%I.%s (%s, %s)', n.nspname, o.oprname, CASE WHEN o.oprleft = 0 THEN 'NONE' ELSE format_type(o.oprleft, NULL) END,
                          CASE WHEN o.oprright = 0 THEN 'NONE' ELSE format_type(o.oprright, NULL) END), false, not_created
            FROM pg_operator o JOIN space n ON n.oid = o.oprnamespace
            UNION ALL
            SELECT 'pg_opclass'::regclass, o.oid, 'operator class', n.nspname, format('%I.%I', n.nspname, o.opcname), false, not_created
            FROM pg_opclass o JOIN space n ON n.oid = o.opcnamespace
            UNION ALL
            SELECT 'pg_opfamily'::regclass, o.oid, 'operator family', n.nspname, format('%I.%I', n.nspname, o.opfname), false, not_created
            FROM pg_opfamily o JOIN space n ON n.oid = o.opfnamespace
            UNION ALL
            SELECT 'pg_cast'::regclass, c.oid, 'cast', NULL, format('(%s AS %s)', format_type(c.castsource, NULL), format_type(c.casttarget, NULL)), false,
                   'not created; a default or an expression that needs it fails when it is created'
            FROM pg_cast c
            WHERE c.oid >= 16384
            UNION ALL
            SELECT 'pg_conversion'::regclass, c.oid, 'conversion', n.nspname, format('%I.%I', n.nspname, c.conname), false, not_created
            FROM pg_conversion c JOIN space n ON n.oid = c.connamespace
            UNION ALL
            SELECT 'pg_am'::regclass, a.oid, 'access method', NULL, quote_ident(a.amname), false, not_created
            FROM pg_am a
            WHERE a.oid >= 16384
            UNION ALL
            SELECT 'pg_language'::regclass, l.oid, 'language', NULL, quote_ident(l.lanname), false, not_created
            FROM pg_language l
            WHERE l.oid >= 16384
            UNION ALL
            SELECT 'pg_transform'::regclass, f.oid, 'transform', NULL, pg_describe_object('pg_transform'::regclass, f.oid, 0), false, not_created
            FROM pg_transform f
            WHERE f.oid >= 16384
            UNION ALL
            SELECT 'pg_class'::regclass, c.oid,
                   CASE c.relkind WHEN 'v' THEN 'view' WHEN 'm' THEN 'materialized view' ELSE 'foreign table' END, n.nspname,
                   format('%I.%I', n.nspname, c.relname), c.relkind = 'm', not_created
            FROM pg_class c JOIN space n ON n.oid = c.relnamespace
            WHERE c.relkind IN ('v', 'm', 'f')
            UNION ALL
            SELECT 'pg_class'::regclass, c.oid, 'rule of a view', n.nspname, format('%I on %I.%I', r.rulename, n.nspname, c.relname), false, not_created
            FROM pg_rewrite r JOIN pg_class c ON c.oid = r.ev_class AND c.relkind IN ('v', 'm', 'f') JOIN space n ON n.oid = c.relnamespace
            WHERE r.rulename <> '_RETURN'
            UNION ALL
            SELECT 'pg_class'::regclass, c.oid, 'trigger of a view', n.nspname, format('%I on %I.%I', g.tgname, n.nspname, c.relname), false, not_created
            FROM pg_trigger g JOIN pg_class c ON c.oid = g.tgrelid AND c.relkind IN ('v', 'f') JOIN space n ON n.oid = c.relnamespace
            WHERE NOT g.tgisinternal
            UNION ALL
            SELECT 'pg_class'::regclass, ic.oid, 'index of a materialized view', n.nspname, format('%I.%I', n.nspname, ic.relname), false, not_created
            FROM pg_index i JOIN pg_class ic ON ic.oid = i.indexrelid JOIN pg_class c ON c.oid = i.indrelid AND c.relkind = 'm'
            JOIN space n ON n.oid = ic.relnamespace
            UNION ALL
            SELECT 'pg_class'::regclass, c.oid, 'sequence', n.nspname, format('%I.%I', n.nspname, c.relname), true,
                   'no column owns it and the patterns do not name it: not created, and its value does not follow'
            FROM courier.schema_free_sequences() AS q JOIN pg_class c ON c.oid = q.oid JOIN space n ON n.oid = c.relnamespace
            WHERE c.oid <> ALL (scope.sequences)
            UNION ALL
            SELECT 'pg_type'::regclass, y.oid, CASE y.typtype WHEN 'd' THEN 'domain' ELSE 'type' END, n.nspname, format('%I.%I', n.nspname, y.typname), false,
                   'not created: no covered table needs it'
            FROM pg_type y
            JOIN space n ON n.oid = y.typnamespace
            LEFT JOIN pg_class c ON c.oid = y.typrelid
            LEFT JOIN pg_type element ON element.oid = y.typelem AND element.typarray = y.oid
            WHERE y.oid >= 16384 AND element.oid IS NULL AND y.typtype <> 'm' AND (y.typrelid = 0 OR c.relkind = 'c')
              AND y.oid <> ALL (scope.types)
            UNION ALL
            SELECT 'pg_collation'::regclass, l.oid, 'collation', n.nspname, format('%I.%I', n.nspname, l.collname), false, 'not created: no covered table needs it'
            FROM pg_collation l JOIN space n ON n.oid = l.collnamespace
            WHERE l.oid <> ALL (scope.collations)
            UNION ALL
            SELECT 'pg_ts_config'::regclass, o.oid, 'text search configuration', n.nspname, format('%I.%I', n.nspname, o.cfgname), false, not_created
            FROM pg_ts_config o JOIN space n ON n.oid = o.cfgnamespace
            UNION ALL
            SELECT 'pg_ts_dict'::regclass, o.oid, 'text search dictionary', n.nspname, format('%I.%I', n.nspname, o.dictname), false, not_created
            FROM pg_ts_dict o JOIN space n ON n.oid = o.dictnamespace
            UNION ALL
            SELECT 'pg_ts_parser'::regclass, o.oid, 'text search parser', n.nspname, format('%I.%I', n.nspname, o.prsname), false, not_created
            FROM pg_ts_parser o JOIN space n ON n.oid = o.prsnamespace
            UNION ALL
            SELECT 'pg_ts_template'::regclass, o.oid, 'text search template', n.nspname, format('%I.%I', n.nspname, o.tmplname), false, not_created
            FROM pg_ts_template o JOIN space n ON n.oid = o.tmplnamespace
            UNION ALL
            SELECT 'pg_namespace'::regclass, n.oid, 'schema', n.nspname, quote_ident(n.nspname), false, 'not created: it holds no covered table'
            FROM space n
            WHERE n.oid <> ALL (scope.schemas) AND n.nspname <> 'public'
            UNION ALL
            SELECT 'pg_extension'::regclass, x.oid, 'extension', NULL, quote_ident(x.extname), false, 'not created: no covered table needs it'
            FROM pg_extension x
            WHERE x.oid <> ALL (scope.extensions) AND x.extname NOT IN ('plpgsql', 'pg_courier')
            UNION ALL
            SELECT 'pg_event_trigger'::regclass, e.oid, 'event trigger', NULL, quote_ident(e.evtname), false, not_created FROM pg_event_trigger e
            UNION ALL
            SELECT 'pg_publication'::regclass, p.oid, 'publication', NULL, quote_ident(p.pubname), false, 'not created' FROM pg_publication p
            UNION ALL
            SELECT 'pg_foreign_data_wrapper'::regclass, w.oid, 'foreign data wrapper', NULL, quote_ident(w.fdwname), false, not_created
            FROM pg_foreign_data_wrapper w
            UNION ALL
            SELECT 'pg_foreign_server'::regclass, f.oid, 'server', NULL, quote_ident(f.srvname), false, not_created
            FROM pg_foreign_server f JOIN pg_foreign_data_wrapper w ON w.oid = f.srvfdw AND w.fdwname <> 'pg_courier'
            UNION ALL
            SELECT 'pg_user_mapping'::regclass, u.umid, 'user mapping', NULL, format('for %s on %I', CASE WHEN u.umuser = 0 THEN 'PUBLIC' ELSE quote_ident(u.usename) END, u.srvname),
                   false, not_created
            FROM pg_user_mappings u JOIN pg_foreign_server f ON f.oid = u.srvid JOIN pg_foreign_data_wrapper w ON w.oid = f.srvfdw AND w.fdwname <> 'pg_courier'
            UNION ALL
            SELECT 'pg_subscription'::regclass, b.oid, 'subscription', NULL, quote_ident(b.subname), false, not_created
            FROM pg_subscription b JOIN pg_database d ON d.oid = b.subdbid AND d.datname = current_database()
            UNION ALL
            SELECT 'pg_database'::regclass, d.oid, 'setting', NULL,
                   concat_ws(' ', CASE WHEN r.setrole <> 0 THEN 'role ' || quote_ident(pg_get_userbyid(r.setrole)) ELSE 'database' END, 'SET', split_part(x, '=', 1)), false,
                   'made by ALTER DATABASE or ALTER ROLE ... IN DATABASE: not carried'
            FROM pg_db_role_setting r JOIN pg_database d ON d.oid = r.setdatabase AND d.datname = current_database()
            CROSS JOIN LATERAL unnest(r.setconfig) AS x
            UNION ALL
            SELECT 'pg_database'::regclass, d.oid, 'comment on the database', NULL, quote_ident(d.datname), false, 'not carried'
            FROM pg_database d
            WHERE d.datname = current_database() AND shobj_description(d.oid, 'pg_database') IS NOT NULL
            UNION ALL
            SELECT 'pg_default_acl'::regclass, a.oid, 'default privileges', n.nspname, pg_describe_object('pg_default_acl'::regclass, a.oid, 0), false, 'not carried'
            FROM pg_default_acl a LEFT JOIN space n ON n.oid = a.defaclnamespace
            UNION ALL
            SELECT 'pg_class'::regclass, c.oid, 'privileges', n.nspname, format('%I.%I', n.nspname, c.relname), false,
                   'GRANTs are not carried: only the task''s user may read and write the copies'
            FROM unnest(scope.tables || scope.sequences) AS t (oid) JOIN pg_class c ON c.oid = t.oid JOIN space n ON n.oid = c.relnamespace
            WHERE EXISTS (SELECT FROM aclexplode(c.relacl) AS x WHERE x.grantee <> c.relowner)
               OR EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attacl IS NOT NULL AND NOT a.attisdropped)
            UNION ALL
            SELECT 'pg_namespace'::regclass, n.oid, 'privileges', n.nspname, 'schema ' || quote_ident(n.nspname), false,
                   'GRANTs are not carried: only the task''s user may read and write the copies'
            FROM space n JOIN pg_namespace s ON s.oid = n.oid
            WHERE n.oid = ANY (scope.schemas) AND EXISTS (SELECT FROM aclexplode(s.nspacl) AS x
                                                          WHERE x.grantee <> s.nspowner
                                                            AND NOT EXISTS (SELECT FROM pg_init_privs i, aclexplode(i.initprivs) AS y
                                                                            WHERE i.classoid = 'pg_namespace'::regclass AND i.objoid = s.oid
                                                                              AND (y.grantee, y.privilege_type) = (x.grantee, x.privilege_type)))
            UNION ALL
            SELECT 'pg_class'::regclass, c.oid, 'owner', n.nspname, format('%I.%I (%I)', n.nspname, c.relname, pg_get_userbyid(c.relowner)), false,
                   'the copy belongs to the task''s user'
            FROM unnest(scope.tables) AS t (oid) JOIN pg_class c ON c.oid = t.oid JOIN space n ON n.oid = c.relnamespace
            UNION ALL
            SELECT 'pg_class'::regclass, l.objoid, 'security label', n.nspname, format('%s: %s', l.provider, pg_describe_object(l.classoid, l.objoid, l.objsubid)), false, 'not carried'
            FROM pg_seclabel l LEFT JOIN pg_class c ON l.classoid = 'pg_class'::regclass AND c.oid = l.objoid LEFT JOIN space n ON n.oid = c.relnamespace
            WHERE NOT (l.classoid = 'pg_class'::regclass AND l.objsubid = 0 AND l.objoid = ANY (scope.tables))
            UNION ALL
            -- There may be millions of them.
            SELECT 'pg_largeobject'::regclass, 0, 'large objects', NULL, format('%s of them', m.number), true, 'not in the stream and not copied'
            FROM (SELECT count(*) AS number FROM pg_largeobject_metadata) AS m
            WHERE m.number > 0
            ) AS o
            WHERE NOT EXISTS (SELECT FROM member e WHERE e.classid = o.classid AND e.objid = o.objid)
        )
        SELECT f.kind, f.nspname::text, f.name, f.data, f.reason
        FROM found f
        UNION ALL
        SELECT 'comment', f.nspname, concat('on ', f.kind, ' ', f.name), false, 'what it is about is not created'
        FROM (SELECT DISTINCT f.classid, f.objid, f.kind, f.nspname, f.name FROM found f
              WHERE f.kind NOT IN ('privileges', 'owner', 'security label', 'setting', 'rule of a view', 'trigger of a view', 'comment on the database')) AS f
        JOIN pg_description d ON d.classoid = f.classid AND d.objoid = f.objid AND d.objsubid = 0;

    -- Tables of extensions whose rows pg_dump would take along.
    RETURN QUERY
        SELECT 'rows of an extension''s table'::text, n.nspname::text, format('%I.%I', n.nspname, c.relname), true,
               format('extension %I creates the table; the rows that users put into it do not travel', x.extname)
        FROM pg_extension x
        CROSS JOIN LATERAL unnest(x.extconfig) AS t (oid)
        JOIN pg_class c ON c.oid = t.oid AND c.relkind IN ('r', 'p')
        JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE x.extname <> 'pg_courier';
END
$function$;
REVOKE ALL ON FUNCTION courier.schema_left_out(oid[], oid[]) FROM PUBLIC;
COMMENT ON FUNCTION courier.schema_left_out(oid[], oid[]) IS
'Internal: what the database holds and no task with these tables creates or carries. No errors of its own.';
