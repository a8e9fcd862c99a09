-- What publications of 15 and later consist of: tables, with columns and conditions, and schemas; publications.sql follows.
WITH part AS (
    SELECT r.prpubid AS publication, false AS is_schema, n.nspname, c.relname,
           pg_catalog.concat(pg_catalog.format('ONLY %I.%I', n.nspname, c.relname),
                             ' (' || (SELECT pg_catalog.string_agg(pg_catalog.quote_ident(a.attname), ', ' ORDER BY a.attnum)
                                        FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum = ANY (r.prattrs::smallint[])) || ')',
                             ' WHERE (' || pg_catalog.pg_get_expr(r.prqual, r.prrelid) || ')') AS text
      FROM pg_publication_rel r
      JOIN pg_class c ON c.oid = r.prrelid
      JOIN pg_namespace n ON n.oid = c.relnamespace
    UNION ALL
    SELECT s.pnpubid, true, n.nspname, NULL, pg_catalog.quote_ident(n.nspname)
      FROM pg_publication_namespace s
      JOIN pg_namespace n ON n.oid = s.pnnspid
)
