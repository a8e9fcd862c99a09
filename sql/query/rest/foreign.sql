-- Foreign-data wrappers, servers and foreign tables with the statements that make them, but for those of extensions; the same text on both sides
-- is the same object. An option that may hold a secret is in no statement; `by_hand` is what sets it. For source and destination. No parameters.
WITH member AS MATERIALIZED (
    SELECT e.classid, e.objid FROM pg_depend e WHERE e.deptype = 'e' AND e.refclassid = 'pg_extension'::regclass
), wrapper AS MATERIALIZED (
    SELECT w.* FROM pg_foreign_data_wrapper w
     WHERE NOT EXISTS (SELECT FROM member m WHERE m.classid = 'pg_foreign_data_wrapper'::regclass AND m.objid = w.oid)
), server AS MATERIALIZED (
    SELECT s.*, w.fdwname,
           (SELECT x.extname FROM pg_depend e JOIN pg_extension x ON x.oid = e.refobjid
             WHERE e.classid = 'pg_foreign_data_wrapper'::regclass AND e.objid = w.oid AND e.deptype = 'e') AS extname
      FROM pg_foreign_server s JOIN pg_foreign_data_wrapper w ON w.oid = s.srvfdw
     WHERE w.fdwname <> 'pg_courier'
       AND NOT EXISTS (SELECT FROM member m WHERE m.classid = 'pg_foreign_server'::regclass AND m.objid = s.oid)
), relation AS MATERIALIZED (
    SELECT c.*, n.nspname, s.srvname, f.ftoptions, pg_catalog.format('%I.%I', n.nspname, c.relname) AS shown
      FROM pg_foreign_table f
      JOIN server s ON s.oid = f.ftserver
      JOIN pg_class c ON c.oid = f.ftrelid
      JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE n.nspname !~ '^pg_temp'
       AND NOT EXISTS (SELECT FROM member m WHERE m.classid = 'pg_class'::regclass AND m.objid = c.oid)
), part AS MATERIALIZED (
    SELECT r.oid AS relid, a.*, r.relispartition FROM relation r JOIN pg_attribute a ON a.attrelid = r.oid AND a.attnum > 0 AND NOT a.attisdropped
), option AS (
    SELECT 'pg_foreign_data_wrapper'::regclass AS class, w.oid, 0::smallint AS attnum, x.option_name, x.option_value
      FROM wrapper w CROSS JOIN LATERAL pg_catalog.pg_options_to_table(w.fdwoptions) AS x
    UNION ALL
    SELECT 'pg_foreign_server'::regclass, s.oid, 0, x.option_name, x.option_value FROM server s CROSS JOIN LATERAL pg_catalog.pg_options_to_table(s.srvoptions) AS x
    UNION ALL
    SELECT 'pg_class'::regclass, r.oid, 0, x.option_name, x.option_value FROM relation r CROSS JOIN LATERAL pg_catalog.pg_options_to_table(r.ftoptions) AS x
    UNION ALL
    SELECT 'pg_class'::regclass, a.relid, a.attnum, x.option_name, x.option_value FROM part a CROSS JOIN LATERAL pg_catalog.pg_options_to_table(a.attfdwoptions) AS x
), options AS MATERIALIZED (
    SELECT o.class, o.oid, o.attnum,
           pg_catalog.format(' OPTIONS (%s)', pg_catalog.string_agg(pg_catalog.format('%I %L', o.option_name, o.option_value), ', ' ORDER BY o.option_name COLLATE "C")
                                              FILTER (WHERE NOT o.is_secret)) AS clause,
           pg_catalog.format(' OPTIONS (%s);', pg_catalog.string_agg(pg_catalog.format('ADD %I ''...''', o.option_name), ', ' ORDER BY o.option_name COLLATE "C")
                                               FILTER (WHERE o.is_secret)) AS secrets, pg_catalog.bool_or(o.is_secret) AS has_secret,
           pg_catalog.bool_or(NOT o.is_secret) AS has_open
      FROM (SELECT p.*, p.option_name <> 'password_required'
                        AND p.option_name ~* '(pass|pwd|secret|token|credential|private|apikey|api_key|access_key|accesskey|sslkey|keyfile|keytab|bearer)'
                        OR p.option_value ~* '((pass(word|wd)?|pwd|secret|token|key)[ ]*=|://[^/@]*:[^/@]*@)' AS is_secret
              FROM option p) AS o
     GROUP BY o.class, o.oid, o.attnum
), acl AS (
    SELECT 'pg_foreign_data_wrapper'::regclass AS class, w.oid, 0::smallint AS attnum, w.fdwowner AS owner, w.fdwacl AS list,
           pg_catalog.format('FOREIGN DATA WRAPPER %I', w.fdwname) AS target, '' AS columns FROM wrapper w
    UNION ALL
    SELECT 'pg_foreign_server'::regclass, s.oid, 0, s.srvowner, s.srvacl, pg_catalog.format('FOREIGN SERVER %I', s.srvname), '' FROM server s
    UNION ALL
    SELECT 'pg_class'::regclass, r.oid, 0, r.relowner, r.relacl, 'TABLE ' || r.shown, '' FROM relation r
    UNION ALL
    SELECT 'pg_class'::regclass, r.oid, a.attnum, r.relowner, a.attacl, 'TABLE ' || r.shown, pg_catalog.format(' (%I)', a.attname)
      FROM relation r JOIN part a ON a.relid = r.oid
), granted AS MATERIALIZED (
    SELECT g.class, g.oid, pg_catalog.string_agg(g.text, '' ORDER BY g.text COLLATE "C") AS text,
           pg_catalog.json_agg(DISTINCT g.grantee) FILTER (WHERE g.grantee IS NOT NULL) AS grantees
      FROM (SELECT a.class, a.oid, r.rolname AS grantee,
                   pg_catalog.format(E'\nGRANT %s ON %s TO %s%s;',
                                     pg_catalog.string_agg(x.privilege_type || a.columns, ', ' ORDER BY x.privilege_type), a.target,
                                     COALESCE(pg_catalog.quote_ident(r.rolname), 'PUBLIC'), CASE WHEN x.is_grantable THEN ' WITH GRANT OPTION' END) AS text
              FROM acl a CROSS JOIN LATERAL pg_catalog.aclexplode(a.list) AS x
              LEFT JOIN pg_roles r ON r.oid = x.grantee
             WHERE x.grantee <> a.owner AND (x.grantee = 0 OR r.oid IS NOT NULL)
             GROUP BY a.class, a.oid, a.attnum, a.target, r.rolname, x.is_grantable) AS g
     GROUP BY g.class, g.oid
), thing AS (
    SELECT 1 AS place, 'foreign-data wrapper' AS kind, 'pg_foreign_data_wrapper'::regclass AS class, w.oid, pg_catalog.quote_ident(w.fdwname) AS object,
           NULL::name AS nspname, NULL::name AS relname, NULL AS by_hand, 'null'::jsonb AS key,
           pg_catalog.concat('CREATE FOREIGN DATA WRAPPER ', pg_catalog.quote_ident(w.fdwname),
                             CASE WHEN w.fdwhandler <> 0 THEN ' HANDLER ' || w.fdwhandler::regproc END,
                             CASE WHEN w.fdwvalidator <> 0 THEN ' VALIDATOR ' || w.fdwvalidator::regproc END) AS definition,
           '' AS behind, 'FOREIGN DATA WRAPPER ' || pg_catalog.quote_ident(w.fdwname) AS target
      FROM wrapper w
    UNION ALL
    SELECT 2, 'server', 'pg_foreign_server'::regclass, s.oid, pg_catalog.quote_ident(s.srvname), NULL, NULL, NULL,
           pg_catalog.jsonb_build_object('wrapper', pg_catalog.quote_ident(s.fdwname), 'extension', pg_catalog.quote_ident(s.extname)),
           pg_catalog.concat('CREATE SERVER ', pg_catalog.quote_ident(s.srvname), ' TYPE ' || pg_catalog.quote_literal(s.srvtype),
                             ' VERSION ' || pg_catalog.quote_literal(s.srvversion), ' FOREIGN DATA WRAPPER ', pg_catalog.quote_ident(s.fdwname)),
           '', 'SERVER ' || pg_catalog.quote_ident(s.srvname)
      FROM server s
    UNION ALL
    SELECT 3, 'foreign table', 'pg_class'::regclass, r.oid, r.shown, r.nspname, r.relname,
           (SELECT pg_catalog.string_agg(pg_catalog.format('ALTER FOREIGN TABLE %s ALTER %I%s', r.shown, a.attname, o.secrets), ' ' ORDER BY a.attnum)
              FROM part a JOIN options o ON o.class = 'pg_class'::regclass AND o.oid = r.oid AND o.attnum = a.attnum WHERE a.relid = r.oid AND o.has_secret), 'null',
           pg_catalog.concat('CREATE FOREIGN TABLE ', r.shown, ' (', pg_catalog.concat_ws(', ', of.columns, of.checks), ')',
                             ' INHERITS (' || CASE WHEN NOT r.relispartition THEN of.parents END || ')', ' SERVER ', pg_catalog.quote_ident(r.srvname)),
           pg_catalog.concat(CASE WHEN r.relispartition
                                  THEN pg_catalog.format(E'\nALTER TABLE ONLY %s ATTACH PARTITION %s %s;', of.parents, r.shown, pg_catalog.pg_get_expr(r.relpartbound, r.oid)) END,
                             of.comments, of.triggers),
           'FOREIGN TABLE ' || r.shown
      FROM relation r
     CROSS JOIN LATERAL (
        SELECT (SELECT pg_catalog.string_agg(pg_catalog.concat(pg_catalog.quote_ident(a.attname), ' ', pg_catalog.format_type(a.atttypid, a.atttypmod), o.clause,
                           ' COLLATE ' || (SELECT pg_catalog.format('%I.%I', ln.nspname, l.collname)
                                             FROM pg_collation l JOIN pg_namespace ln ON ln.oid = l.collnamespace JOIN pg_type y ON y.oid = a.atttypid
                                            WHERE l.oid = a.attcollation AND l.oid <> y.typcollation),
                           CASE WHEN a.attnotnull THEN ' NOT NULL' END,
                           CASE a.attidentity WHEN 'a' THEN ' GENERATED ALWAYS AS IDENTITY' WHEN 'd' THEN ' GENERATED BY DEFAULT AS IDENTITY' END,
                           CASE a.attgenerated WHEN '' THEN ' DEFAULT ' || pg_catalog.pg_get_expr(d.adbin, d.adrelid)
                                ELSE pg_catalog.format(' GENERATED ALWAYS AS (%s) %s', pg_catalog.pg_get_expr(d.adbin, d.adrelid),
                                                       CASE a.attgenerated WHEN 's' THEN 'STORED' ELSE 'VIRTUAL' END) END), ', ' ORDER BY a.attnum)
                  FROM part a
                  LEFT JOIN options o ON o.class = 'pg_class'::regclass AND o.oid = a.relid AND o.attnum = a.attnum AND o.has_open
                  LEFT JOIN pg_attrdef d ON d.adrelid = a.relid AND d.adnum = a.attnum
                 WHERE a.relid = r.oid AND (a.attislocal OR r.relispartition)) AS columns,
               (SELECT pg_catalog.string_agg(pg_catalog.format('CONSTRAINT %I %s', k.conname, pg_catalog.pg_get_constraintdef(k.oid)), ', ' ORDER BY k.conname)
                  FROM pg_constraint k WHERE k.conrelid = r.oid AND k.contype = 'c' AND (k.conislocal OR r.relispartition)) AS checks,
               (SELECT pg_catalog.string_agg(pg_catalog.format('%I.%I', pn.nspname, p.relname), ', ' ORDER BY i.inhseqno)
                  FROM pg_inherits i JOIN pg_class p ON p.oid = i.inhparent JOIN pg_namespace pn ON pn.oid = p.relnamespace WHERE i.inhrelid = r.oid) AS parents,
               (SELECT pg_catalog.string_agg(pg_catalog.format(E'\nCOMMENT ON COLUMN %s.%I IS %L;', r.shown, a.attname, t.text), '' ORDER BY a.attnum)
                  FROM part a CROSS JOIN LATERAL (SELECT pg_catalog.col_description(a.relid, a.attnum)) AS t(text) WHERE a.relid = r.oid AND t.text IS NOT NULL) AS comments,
               (SELECT pg_catalog.string_agg(pg_catalog.concat(E'\n', pg_catalog.pg_get_triggerdef(g.oid), ';',
                           CASE WHEN g.tgenabled <> 'O'
                                THEN pg_catalog.format(E'\nALTER FOREIGN TABLE %s %s TRIGGER %I;', r.shown,
                                                       CASE g.tgenabled WHEN 'D' THEN 'DISABLE' WHEN 'R' THEN 'ENABLE REPLICA' ELSE 'ENABLE ALWAYS' END, g.tgname) END),
                           '' ORDER BY g.tgname)
                  FROM pg_trigger g WHERE g.tgrelid = r.oid AND NOT g.tgisinternal AND g.tgparentid = 0) AS triggers
     ) AS of
)
SELECT t.kind, t.class::oid AS classid, t.oid, t.object, t.nspname, t.relname,
       pg_catalog.concat(t.definition, CASE WHEN o.has_open THEN o.clause END, ';', t.behind,
                         (SELECT pg_catalog.format(E'\nCOMMENT ON %s IS %L;', t.target, d.text)
                            FROM (SELECT pg_catalog.obj_description(t.oid, t.class::name)) AS d(text) WHERE d.text IS NOT NULL), g.text) AS statement,
       NULLIF(pg_catalog.concat_ws(' ', CASE WHEN o.has_secret THEN pg_catalog.format('ALTER %s%s', t.target, o.secrets) END, t.by_hand), '') AS by_hand,
       COALESCE(g.grantees, '[]') AS roles, t.key
  FROM thing t
  LEFT JOIN options o ON o.class = t.class AND o.oid = t.oid AND o.attnum = 0
  LEFT JOIN granted g ON g.class = t.class AND g.oid = t.oid
 ORDER BY t.place, t.nspname COLLATE "C", t.relname COLLATE "C", t.object COLLATE "C"
