-- Subscriptions of the database, as they are made without a connection: disabled, and without a slot. $1: may the caller see where they connect?
-- Columns that later majors have are asked by name.
SELECT pg_catalog.quote_ident(s.subname) AS object, s.oid, CASE WHEN $1::boolean THEN s.subconninfo END AS connection,
       pg_catalog.concat(
           (SELECT pg_catalog.string_agg(pg_catalog.quote_ident(p.name), ', ' ORDER BY p.at) FROM pg_catalog.unnest(s.subpublications) WITH ORDINALITY AS p(name, at)),
           ' WITH (connect = false, enabled = false, create_slot = false, slot_name = NONE, synchronous_commit = ', pg_catalog.quote_literal(s.subsynccommit),
           CASE j.s ->> 'substream' WHEN 'true' THEN ', streaming = on' WHEN 't' THEN ', streaming = on' WHEN 'p' THEN ', streaming = parallel'
                                    WHEN 'false' THEN ', streaming = off' WHEN 'f' THEN ', streaming = off' END,
           CASE WHEN j.s ->> 'subbinary' = 'true' THEN ', binary = true' END,
           CASE WHEN j.s ->> 'subdisableonerr' = 'true' THEN ', disable_on_error = true' END,
           CASE WHEN j.s ->> 'subpasswordrequired' = 'false' THEN ', password_required = false' END,
           CASE WHEN j.s ->> 'subrunasowner' = 'true' THEN ', run_as_owner = true' END,
           CASE WHEN j.s ->> 'suborigin' = 'none' THEN ', origin = none' END,
           ')') AS rest
  FROM pg_subscription s
  JOIN pg_database d ON d.oid = s.subdbid AND d.datname = pg_catalog.current_database()
 CROSS JOIN LATERAL (SELECT pg_catalog.to_jsonb(s) - 'subconninfo') AS j(s)
 ORDER BY s.subname
