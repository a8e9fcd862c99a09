-- Tables of publications of 13 and 14; publications.sql follows.
WITH part AS (
    SELECT r.prpubid AS publication, false AS is_schema, n.nspname, c.relname, pg_catalog.format('ONLY %I.%I', n.nspname, c.relname) AS text
      FROM pg_publication_rel r
      JOIN pg_class c ON c.oid = r.prrelid
      JOIN pg_namespace n ON n.oid = c.relnamespace
)
