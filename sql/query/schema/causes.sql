-- What the destination would have to have: objects that no task creates, by catalog ($1) and oid ($2). What belongs to one kind of object is
-- null for the others. `qualifier` is what has to be the same besides the name: the arguments of a function, the access method of an
-- operator class, the columns of a view; `result` what a function returns, or the type on the right of an operator. $3: are the statements
-- that make them wanted, for which the server locks what they are about?
SELECT a.classid, a.objid, pg_describe_object(a.classid, a.objid, 0) AS description,
       -- Quoted where it has to be.
       (SELECT i.schema FROM pg_identify_object(a.classid, a.objid, 0) AS i) AS shown_schema,
       v.nspname, v.name, v.code, v.qualifier, v.result, v.length, v.create_sql
  FROM unnest($1::oid[], $2::oid[]) AS a (classid, objid)
 CROSS JOIN LATERAL (
    SELECT n.nspname, f.proname AS name, f.prokind AS code, oidvectortypes(f.proargtypes) AS qualifier, format_type(f.prorettype, NULL) AS result,
           NULL::smallint AS length, CASE WHEN $3::boolean AND f.prokind = 'f' THEN rtrim(pg_get_functiondef(f.oid), E'\n') END AS create_sql
      FROM pg_proc f
      JOIN pg_namespace n ON n.oid = f.pronamespace
     WHERE a.classid = 'pg_proc'::regclass AND f.oid = a.objid
    UNION ALL
    SELECT n.nspname, p.oprname, NULL, format_type(p.oprleft, NULL), format_type(p.oprright, NULL), NULL, NULL
      FROM pg_operator p
      JOIN pg_namespace n ON n.oid = p.oprnamespace
     WHERE a.classid = 'pg_operator'::regclass AND p.oid = a.objid
    UNION ALL
    SELECT n.nspname, o.opcname, NULL, m.amname, NULL, NULL, NULL
      FROM pg_opclass o
      JOIN pg_namespace n ON n.oid = o.opcnamespace
      JOIN pg_am m ON m.oid = o.opcmethod
     WHERE a.classid = 'pg_opclass'::regclass AND o.oid = a.objid
    UNION ALL
    SELECT n.nspname, o.opfname, NULL, m.amname, NULL, NULL, NULL
      FROM pg_opfamily o
      JOIN pg_namespace n ON n.oid = o.opfnamespace
      JOIN pg_am m ON m.oid = o.opfmethod
     WHERE a.classid = 'pg_opfamily'::regclass AND o.oid = a.objid
    UNION ALL
    SELECT NULL, m.amname, NULL, NULL, NULL, NULL, NULL
      FROM pg_am m
     WHERE a.classid = 'pg_am'::regclass AND m.oid = a.objid
    UNION ALL
    SELECT NULL, l.lanname, NULL, NULL, NULL, NULL, NULL
      FROM pg_language l
     WHERE a.classid = 'pg_language'::regclass AND l.oid = a.objid
    UNION ALL
    SELECT n.nspname, o.cfgname, NULL, NULL, NULL, NULL, NULL
      FROM pg_ts_config o
      JOIN pg_namespace n ON n.oid = o.cfgnamespace
     WHERE a.classid = 'pg_ts_config'::regclass AND o.oid = a.objid
    UNION ALL
    SELECT n.nspname, o.dictname, NULL, NULL, NULL, NULL, NULL
      FROM pg_ts_dict o
      JOIN pg_namespace n ON n.oid = o.dictnamespace
     WHERE a.classid = 'pg_ts_dict'::regclass AND o.oid = a.objid
    UNION ALL
    SELECT n.nspname, o.prsname, NULL, NULL, NULL, NULL, NULL
      FROM pg_ts_parser o
      JOIN pg_namespace n ON n.oid = o.prsnamespace
     WHERE a.classid = 'pg_ts_parser'::regclass AND o.oid = a.objid
    UNION ALL
    SELECT n.nspname, o.tmplname, NULL, NULL, NULL, NULL, NULL
      FROM pg_ts_template o
      JOIN pg_namespace n ON n.oid = o.tmplnamespace
     WHERE a.classid = 'pg_ts_template'::regclass AND o.oid = a.objid
    UNION ALL
    SELECT n.nspname, y.typname, y.typtype, NULL, NULL, y.typlen, NULL
      FROM pg_type y
      JOIN pg_namespace n ON n.oid = y.typnamespace
     WHERE a.classid = 'pg_type'::regclass AND y.oid = a.objid
    UNION ALL
    -- Of tables nobody can say whether they have the same rows.
    SELECT n.nspname, r.relname, r.relkind,
           (SELECT string_agg(c.attname || ' ' || format_type(c.atttypid, c.atttypmod), ', ' ORDER BY c.attnum)
              FROM pg_attribute c WHERE c.attrelid = r.oid AND c.attnum > 0 AND NOT c.attisdropped),
           NULL, NULL,
           CASE WHEN $3::boolean AND r.relkind = 'v'
                THEN concat('CREATE VIEW ', quote_ident(n.nspname), '.', quote_ident(r.relname), ' AS ', rtrim(pg_get_viewdef(r.oid), ';')) END
      FROM pg_class r
      JOIN pg_namespace n ON n.oid = r.relnamespace
     WHERE a.classid = 'pg_class'::regclass AND r.oid = a.objid AND r.relkind IN ('v', 'm', 'f')
 ) AS v
 ORDER BY 3
