-- Everything of the database that no task creates or carries, one row an object. `nspname` is null for what belongs to the database as a
-- whole; `data` is true for what holds rows or values, which concerns a task that creates nothing as well; `has_item` where the prechecks
-- have an item about it, or it is so for every task; `is_covered` where a table is in that schema. $1: oids of the tables, $2 to $5: of the
-- sequences, types, collations and extensions that are created. $6: also what holds neither rows nor values? $7: of the functions and views
-- that are created, or told of elsewhere. $8: of the schemas that are created. (A list is read once in a subquery, and for each row outside of one.)
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
           false AS data,
           CASE WHEN p.prokind <> 'a' AND l.lanname IN ('c', 'internal') THEN 'not created: it is in a library'
                ELSE 'not created: no pattern names it, and nothing that is created needs it' END AS reason
    FROM pg_proc p JOIN space n ON n.oid = p.pronamespace JOIN pg_language l ON l.oid = p.prolang
    WHERE p.oid <> ALL ((SELECT $7::oid[])::oid[])
      -- Constructors come with their types.
      AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'i')
    UNION ALL
    SELECT 'pg_operator'::regclass, o.oid, 'operator', n.nspname,
           format('%I.%s (%s, %s)', n.nspname, o.oprname, CASE WHEN o.oprleft = 0 THEN 'NONE' ELSE format_type(o.oprleft, NULL) END,
                  CASE WHEN o.oprright = 0 THEN 'NONE' ELSE format_type(o.oprright, NULL) END), false, 'not created'
    FROM pg_operator o JOIN space n ON n.oid = o.oprnamespace
    WHERE o.oid <> ALL ((SELECT $7::oid[])::oid[])
    UNION ALL
    SELECT 'pg_opclass'::regclass, o.oid, 'operator class', n.nspname, format('%I.%I', n.nspname, o.opcname), false, 'not created: no pattern names it, and nothing that is created needs it'
    FROM pg_opclass o JOIN space n ON n.oid = o.opcnamespace
    WHERE o.oid <> ALL ((SELECT $7::oid[])::oid[])
    UNION ALL
    SELECT 'pg_opfamily'::regclass, o.oid, 'operator family', n.nspname, format('%I.%I', n.nspname, o.opfname), false, 'not created: no pattern names it, and nothing that is created needs it'
    FROM pg_opfamily o JOIN space n ON n.oid = o.opfnamespace
    WHERE o.oid <> ALL ((SELECT $7::oid[])::oid[])
    UNION ALL
    SELECT m.classid, m.oid, 'member of an operator family', NULL, pg_describe_object(m.classid, m.oid, 0), false,
           'not created: the family is the server''s, and the member belongs to no operator class'
    FROM (SELECT 'pg_amop'::regclass::oid AS classid, a.oid, a.amopfamily AS family, 'pg_operator'::regclass AS ofclass, a.amopopr AS ofoid FROM pg_amop a
          UNION ALL
          SELECT 'pg_amproc'::regclass, a.oid, a.amprocfamily, 'pg_proc'::regclass, a.amproc FROM pg_amproc a) AS m
    -- What an extension adds to its own families is recorded nowhere.
    WHERE m.oid >= 16384 AND m.family < 16384
      AND NOT EXISTS (SELECT FROM member e WHERE e.classid = m.ofclass AND e.objid = m.ofoid)
      AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = m.classid AND d.objid = m.oid AND d.refclassid = 'pg_opclass'::regclass)
    UNION ALL
    SELECT 'pg_cast'::regclass, c.oid, 'cast', NULL, format('(%s AS %s)', format_type(c.castsource, NULL), format_type(c.casttarget, NULL)), false,
           'not created; a default or an expression that needs it fails when it is created'
    FROM pg_cast c
    WHERE c.oid >= 16384 AND c.oid <> ALL ((SELECT $7::oid[])::oid[])
    UNION ALL
    SELECT 'pg_conversion'::regclass, c.oid, 'conversion', n.nspname, format('%I.%I', n.nspname, c.conname), false, 'not created'
    FROM pg_conversion c JOIN space n ON n.oid = c.connamespace
    WHERE c.oid <> ALL ((SELECT $7::oid[])::oid[])
    UNION ALL
    SELECT 'pg_am'::regclass, a.oid, 'access method', NULL, quote_ident(a.amname), false,
           format('not created: only superusers make one, and its handler is in a library. On the destination, once that is there: CREATE ACCESS METHOD %I TYPE %s HANDLER %s;',
                  a.amname, CASE a.amtype WHEN 't' THEN 'TABLE' ELSE 'INDEX' END, a.amhandler::regproc)
    FROM pg_am a
    WHERE a.oid >= 16384
    UNION ALL
    SELECT 'pg_language'::regclass, l.oid, 'language', NULL, quote_ident(l.lanname), false,
           'not created: only superusers make one that no extension brings, and its handler is in a library'
    FROM pg_language l
    WHERE l.oid >= 16384
    UNION ALL
    SELECT 'pg_transform'::regclass, f.oid, 'transform', NULL, pg_describe_object('pg_transform'::regclass, f.oid, 0), false,
           'not created: its functions are in a library, and only superusers make them'
    FROM pg_transform f
    WHERE f.oid >= 16384
    UNION ALL
    SELECT 'pg_class'::regclass, c.oid,
           CASE c.relkind WHEN 'v' THEN 'view' WHEN 'm' THEN 'materialized view' ELSE 'foreign table' END, n.nspname,
           format('%I.%I', n.nspname, c.relname), c.relkind = 'm',
           CASE WHEN c.relkind = 'f' AND c.relispartition
                THEN 'not created before courier.complete_destination(), and its rows do not travel: until then rows of its bounds have no partition on the destination'
                WHEN c.relkind = 'f' THEN 'not created before courier.complete_destination(), and its rows do not travel'
                WHEN NOT $6::boolean THEN 'its rows do not travel'
                ELSE 'not created: no pattern names it, and nothing that is created needs it' END
    FROM pg_class c JOIN space n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('v', 'm', 'f') AND c.oid <> ALL ((SELECT $7::oid[])::oid[])
    UNION ALL
    SELECT 'pg_class'::regclass, c.oid, 'rule of a view', n.nspname, format('%I on %I.%I', r.rulename, n.nspname, c.relname), false, 'not created'
    FROM pg_rewrite r JOIN pg_class c ON c.oid = r.ev_class AND c.relkind IN ('v', 'm', 'f') JOIN space n ON n.oid = c.relnamespace
    WHERE r.rulename <> '_RETURN' AND c.oid <> ALL ((SELECT $7::oid[])::oid[])
    UNION ALL
    SELECT 'pg_class'::regclass, c.oid, 'trigger of a view', n.nspname, format('%I on %I.%I', g.tgname, n.nspname, c.relname), false, 'not created'
    FROM pg_trigger g JOIN pg_class c ON c.oid = g.tgrelid AND c.relkind = 'v' JOIN space n ON n.oid = c.relnamespace
    WHERE NOT g.tgisinternal AND c.oid <> ALL ((SELECT $7::oid[])::oid[])
    UNION ALL
    SELECT 'pg_class'::regclass, ic.oid, 'index of a materialized view', n.nspname, format('%I.%I', n.nspname, ic.relname), false, 'not created'
    FROM pg_index i JOIN pg_class ic ON ic.oid = i.indexrelid JOIN pg_class c ON c.oid = i.indrelid AND c.relkind = 'm'
    JOIN space n ON n.oid = ic.relnamespace
    WHERE c.oid <> ALL ((SELECT $7::oid[])::oid[])
    UNION ALL
    SELECT 'pg_class'::regclass, c.oid, 'sequence', n.nspname, format('%I.%I', n.nspname, c.relname), true,
           'no column owns it and the patterns do not name it: not created, and its value does not follow'
    FROM pg_class c
    JOIN space n ON n.oid = c.relnamespace
    WHERE c.relkind = 'S' AND c.relpersistence <> 't' AND c.oid <> ALL ((SELECT $2::oid[])::oid[])
      AND NOT EXISTS (SELECT FROM pg_depend d
                      WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid
                        AND d.refclassid = 'pg_class'::regclass AND d.refobjsubid > 0 AND d.deptype IN ('a', 'i'))
    UNION ALL
    SELECT 'pg_type'::regclass, y.oid, CASE y.typtype WHEN 'd' THEN 'domain' ELSE 'type' END, n.nspname, format('%I.%I', n.nspname, y.typname), false,
           'not created: no pattern names it, and nothing that is created needs it'
    FROM pg_type y
    JOIN space n ON n.oid = y.typnamespace
    LEFT JOIN pg_class c ON c.oid = y.typrelid
    LEFT JOIN pg_type element ON element.oid = y.typelem AND element.typarray = y.oid
    WHERE y.oid >= 16384 AND element.oid IS NULL AND y.typtype <> 'm' AND (y.typrelid = 0 OR c.relkind = 'c')
      AND y.oid <> ALL ((SELECT $3::oid[])::oid[])
    UNION ALL
    SELECT 'pg_collation'::regclass, l.oid, 'collation', n.nspname, format('%I.%I', n.nspname, l.collname), false, 'not created: no pattern names it, and nothing that is created needs it'
    FROM pg_collation l JOIN space n ON n.oid = l.collnamespace
    WHERE l.oid <> ALL ((SELECT $4::oid[])::oid[])
    UNION ALL
    SELECT 'pg_ts_config'::regclass, o.oid, 'text search configuration', n.nspname, format('%I.%I', n.nspname, o.cfgname), false, 'not created'
    FROM pg_ts_config o JOIN space n ON n.oid = o.cfgnamespace
    WHERE o.oid <> ALL ((SELECT $7::oid[])::oid[])
    UNION ALL
    SELECT 'pg_ts_dict'::regclass, o.oid, 'text search dictionary', n.nspname, format('%I.%I', n.nspname, o.dictname), false, 'not created'
    FROM pg_ts_dict o JOIN space n ON n.oid = o.dictnamespace
    WHERE o.oid <> ALL ((SELECT $7::oid[])::oid[])
    UNION ALL
    SELECT 'pg_ts_parser'::regclass, o.oid, 'text search parser', n.nspname, format('%I.%I', n.nspname, o.prsname), false,
           format('not created: only superusers make one, of functions in a library. On the destination, once they are there: CREATE TEXT SEARCH PARSER %I.%I (START = %s, GETTOKEN = %s, END = %s, LEXTYPES = %s%s);',
                  n.nspname, o.prsname, o.prsstart::regproc, o.prstoken::regproc, o.prsend::regproc, o.prslextype::regproc,
                  CASE WHEN o.prsheadline <> 0 THEN ', HEADLINE = ' || o.prsheadline::regproc ELSE '' END)
    FROM pg_ts_parser o JOIN space n ON n.oid = o.prsnamespace
    UNION ALL
    SELECT 'pg_ts_template'::regclass, o.oid, 'text search template', n.nspname, format('%I.%I', n.nspname, o.tmplname), false,
           format('not created: only superusers make one, of functions in a library. On the destination, once they are there: CREATE TEXT SEARCH TEMPLATE %I.%I (%sLEXIZE = %s);',
                  n.nspname, o.tmplname, CASE WHEN o.tmplinit <> 0 THEN format('INIT = %s, ', o.tmplinit::regproc) END, o.tmpllexize::regproc)
    FROM pg_ts_template o JOIN space n ON n.oid = o.tmplnamespace
    UNION ALL
    SELECT 'pg_namespace'::regclass, n.oid, 'schema', n.nspname, quote_ident(n.nspname), false, 'not created: the patterns do not name everything in it, and it holds nothing that is created'
    FROM space n
    WHERE n.oid <> ALL ((SELECT $8::oid[])::oid[]) AND n.nspname <> 'public'
    UNION ALL
    SELECT 'pg_extension'::regclass, x.oid, 'extension', NULL, quote_ident(x.extname), false,
           'not created: no pattern names all of its schema, and nothing that is created is known to need it'
    FROM pg_extension x
    WHERE x.oid <> ALL ((SELECT $5::oid[])::oid[]) AND x.extname NOT IN ('plpgsql', 'pg_courier')
    UNION ALL
    SELECT 'pg_event_trigger'::regclass, e.oid, 'event trigger', NULL, quote_ident(e.evtname), false, 'not created before courier.complete_destination()' FROM pg_event_trigger e
    UNION ALL
    SELECT 'pg_publication'::regclass, p.oid, 'publication', NULL, quote_ident(p.pubname), false, 'not created before courier.complete_destination()' FROM pg_publication p
    UNION ALL
    SELECT 'pg_foreign_data_wrapper'::regclass, w.oid, 'foreign data wrapper', NULL, quote_ident(w.fdwname), false, 'not created before courier.complete_destination(), and without what may be a secret'
    FROM pg_foreign_data_wrapper w
    UNION ALL
    SELECT 'pg_foreign_server'::regclass, f.oid, 'server', NULL, quote_ident(f.srvname), false, 'not created before courier.complete_destination(), and without what may be a secret'
    FROM pg_foreign_server f JOIN pg_foreign_data_wrapper w ON w.oid = f.srvfdw AND w.fdwname <> 'pg_courier'
    UNION ALL
    SELECT 'pg_user_mapping'::regclass, u.umid, 'user mapping', NULL, format('for %s on %I', CASE WHEN u.umuser = 0 THEN 'PUBLIC' ELSE quote_ident(u.usename) END, u.srvname),
           false, 'not created before courier.complete_destination(), and without what may be a secret'
    FROM pg_user_mappings u JOIN pg_foreign_server f ON f.oid = u.srvid JOIN pg_foreign_data_wrapper w ON w.oid = f.srvfdw AND w.fdwname <> 'pg_courier'
    UNION ALL
    SELECT 'pg_subscription'::regclass, b.oid, 'subscription', NULL, quote_ident(b.subname), false, 'not created before courier.complete_destination(), and then without its secrets, disabled and without a slot'
    FROM pg_subscription b JOIN pg_database d ON d.oid = b.subdbid AND d.datname = current_database()
    UNION ALL
    SELECT 'pg_database'::regclass, d.oid, 'setting', NULL,
           concat_ws(' ', CASE WHEN r.setrole <> 0 THEN 'role ' || quote_ident(pg_get_userbyid(r.setrole)) ELSE 'database' END, 'SET', split_part(x, '=', 1)), false,
           'made by ALTER DATABASE or ALTER ROLE ... IN DATABASE: not carried before courier.complete_destination()'
    FROM pg_db_role_setting r JOIN pg_database d ON d.oid = r.setdatabase AND d.datname = current_database()
    CROSS JOIN LATERAL unnest(r.setconfig) AS x
    UNION ALL
    SELECT 'pg_database'::regclass, d.oid, 'comment on the database', NULL, quote_ident(d.datname), false, 'not carried before courier.complete_destination()'
    FROM pg_database d
    WHERE d.datname = current_database() AND shobj_description(d.oid, 'pg_database') IS NOT NULL
    UNION ALL
    SELECT 'pg_default_acl'::regclass, a.oid, 'default privileges', n.nspname, pg_describe_object('pg_default_acl'::regclass, a.oid, 0), false, 'not carried before courier.complete_destination()'
    FROM pg_default_acl a LEFT JOIN space n ON n.oid = a.defaclnamespace
    UNION ALL
    SELECT 'pg_class'::regclass, c.oid, 'owner', n.nspname, format('%I.%I (%I)', n.nspname, c.relname, pg_get_userbyid(c.relowner)), false,
           'the copy belongs to the task''s user until courier.complete_destination()'
    FROM unnest($1::oid[]) AS t (oid) JOIN pg_class c ON c.oid = t.oid JOIN space n ON n.oid = c.relnamespace
    UNION ALL
    SELECT 'pg_class'::regclass, l.objoid, 'security label', n.nspname, format('%s: %s', l.provider, pg_describe_object(l.classoid, l.objoid, l.objsubid)), false, 'not carried before courier.complete_destination()'
    FROM pg_seclabel l LEFT JOIN pg_class c ON l.classoid = 'pg_class'::regclass AND c.oid = l.objoid LEFT JOIN space n ON n.oid = c.relnamespace
    WHERE NOT (l.classoid = 'pg_class'::regclass AND l.objsubid = 0 AND l.objoid = ANY ($1::oid[]))
    UNION ALL
    -- There may be millions of them.
    SELECT 'pg_largeobject'::regclass, 0, 'large objects', NULL, format('%s of them', m.number), true, 'not in the stream, and not copied before courier.copy_large_objects()'
    FROM (SELECT count(*) AS number FROM pg_largeobject_metadata) AS m
    WHERE m.number > 0
    ) AS o
    WHERE NOT EXISTS (SELECT FROM member e WHERE e.classid = o.classid AND e.objid = o.objid)
)
SELECT l.kind, l.nspname, l.name, l.reason,
       l.kind IN ('sequence', 'large objects', 'foreign table', 'owner') OR l.kind = 'materialized view' AND NOT $6::boolean AS has_item,
       l.nspname IN (SELECT n.nspname FROM unnest($1::oid[]) AS t (oid) JOIN pg_class c ON c.oid = t.oid
                       JOIN pg_namespace n ON n.oid = c.relnamespace) AS is_covered
  FROM (
    SELECT f.kind, f.nspname, f.name, f.data, f.reason
    FROM found f
    UNION ALL
    SELECT 'comment', f.nspname, concat('on ', f.kind, ' ', f.name), false, 'what it is about is not created'
    FROM (SELECT DISTINCT f.classid, f.objid, f.kind, f.nspname, f.name FROM found f
          WHERE f.kind NOT IN ('privileges', 'owner', 'security label', 'setting', 'rule of a view', 'trigger of a view', 'comment on the database')) AS f
    JOIN pg_description d ON d.classoid = f.classid AND d.objoid = f.objid AND d.objsubid = 0
  ) AS l
 WHERE l.data OR $6::boolean
 ORDER BY l.kind, l.reason, l.name
