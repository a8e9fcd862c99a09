-- The selected tables and what hangs on them, on the source. $1: the subject, $2: the selected tables.
WITH s AS (
    SELECT *
      FROM pg_catalog.json_to_record($1::json) AS s(incremental boolean, full_copy boolean, schema_sync boolean)
), t AS MATERIALIZED (
    SELECT c.oid, c.relname, c.relkind, c.relreplident, c.relispartition, c.relnamespace, n.nspname,
           format('%I.%I', n.nspname, c.relname) AS name
      FROM unnest($2::oid[]) AS u(oid)
      JOIN pg_catalog.pg_class c ON c.oid = u.oid
      JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
), ix AS MATERIALIZED (
    SELECT i.indrelid, i.indexrelid, i.indisprimary, i.indisunique, i.indimmediate, i.indisvalid, i.indisreplident,
           i.indpred IS NOT NULL AS partial, i.indexprs IS NOT NULL AS expression, c.relname, i.indnkeyatts,
           EXISTS (SELECT FROM pg_catalog.pg_attribute a
                    WHERE a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey::int2[]) AND NOT a.attnotnull) AS nullable,
           EXISTS (SELECT FROM pg_catalog.pg_attribute a
                    WHERE a.attrelid = i.indrelid AND a.attnum = ANY ((i.indkey::int2[])[0:i.indnkeyatts - 1]) AND a.attgenerated <> '') AS generated
      FROM t
      JOIN pg_catalog.pg_index i ON i.indrelid = t.oid AND i.indisunique
      JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid
), usable AS MATERIALIZED (
    -- Indexes that may be a replica identity: primary keys first, then the narrowest.
    SELECT DISTINCT ON (indrelid) indrelid, relname, indisprimary
      FROM ix
     WHERE indisvalid AND indimmediate AND NOT partial AND NOT expression AND NOT nullable AND NOT generated
     ORDER BY indrelid, indisprimary DESC, indnkeyatts, relname
), keys AS (
    SELECT indrelid, bool_or(indisprimary) AS primary_key, bool_or(indisreplident) AS chosen
      FROM ix
     WHERE indisvalid AND indimmediate AND NOT generated
     GROUP BY indrelid
), identified AS MATERIALIZED (
    SELECT t.oid,
           COALESCE(CASE t.relreplident WHEN 'f' THEN true WHEN 'd' THEN k.primary_key WHEN 'i' THEN k.chosen END, false) AS yes
      FROM t
      LEFT JOIN keys k ON k.indrelid = t.oid
     WHERE t.relkind = 'r'
), fixes AS (
    SELECT t.oid, format('ALTER TABLE %s REPLICA IDENTITY %s;', t.name,
           CASE WHEN u.indisprimary THEN 'DEFAULT' WHEN u.relname IS NOT NULL THEN format('USING INDEX %I', u.relname) ELSE 'FULL' END) AS fix,
           -- FULL costs WAL with each UPDATE and DELETE: somebody has to want it.
           CASE WHEN u.relname IS NULL THEN 'person' ELSE 'source' END AS place
      FROM t LEFT JOIN usable u ON u.indrelid = t.oid
), sequences AS MATERIALIZED (
    SELECT q.seqrelid, n.nspname, c.relname, q.seqtypid, q.seqmin, q.seqmax, q.seqincrement, q.seqcycle,
           d.refobjid, d.refobjsubid
      FROM pg_catalog.pg_sequence q
      JOIN pg_catalog.pg_class c ON c.oid = q.seqrelid
      JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
      LEFT JOIN pg_catalog.pg_depend d ON d.classid = 'pg_class'::regclass AND d.objid = q.seqrelid
           AND d.refclassid = 'pg_class'::regclass AND d.deptype IN ('a', 'i') AND d.refobjsubid > 0
     WHERE c.relpersistence <> 't'
)
SELECT 'replica_identity' AS item, NULL::text AS status, t.name AS object,
       CASE t.relreplident WHEN 'n' THEN 'Its replica identity is NOTHING' WHEN 'i' THEN 'The index of its replica identity is gone or has a generated column'
                           ELSE CASE WHEN EXISTS (SELECT FROM ix WHERE ix.indrelid = t.oid AND ix.indisprimary AND ix.generated)
                                     THEN 'A column of its primary key is generated, and generated values do not travel'
                                     ELSE 'It has no primary key that could identify a row' END END
       || ': only INSERT and TRUNCATE can be applied, an UPDATE or DELETE stops the task.' AS detail,
       f.fix, f.place AS place
  FROM s, t
  JOIN identified i ON i.oid = t.oid AND NOT i.yes
  JOIN fixes f ON f.oid = t.oid
 WHERE incremental
UNION ALL
SELECT 'unsuitable_index', NULL, t.name,
       format('Unique index %s cannot identify its rows: %s.', string_agg(quote_ident(ix.relname), ', ' ORDER BY ix.relname),
              string_agg(DISTINCT CASE WHEN NOT ix.indisvalid THEN 'it is invalid' WHEN NOT ix.indimmediate THEN 'it is deferrable'
                              WHEN ix.partial THEN 'it is partial' WHEN ix.expression THEN 'it has an expression'
                              WHEN ix.generated THEN 'a column of it is generated'
                              ELSE 'a column of it may be null' END, ', ')),
       min(f.fix), min(f.place)
  FROM s, t
  JOIN identified i ON i.oid = t.oid AND NOT i.yes
  JOIN fixes f ON f.oid = t.oid
  JOIN ix ON ix.indrelid = t.oid
 WHERE incremental AND NOT EXISTS (SELECT FROM usable u WHERE u.indrelid = t.oid)
 GROUP BY t.name
UNION ALL
SELECT 'replica_identity_full', NULL, t.name,
       'Its replica identity is FULL: each UPDATE and DELETE writes the whole old row to the WAL. It has a key that would do.',
       f.fix, 'source'
  FROM s, t
  JOIN usable u ON u.indrelid = t.oid
  JOIN fixes f ON f.oid = t.oid
 WHERE incremental AND t.relkind = 'r' AND t.relreplident = 'f'
UNION ALL
SELECT 'no_equality', NULL, t.name,
       format('Its rows are found by all columns, and there is no equality operator for %s: two rows that only differ there in spelling are told apart.',
              string_agg(format('%I (%s)', a.attname, format_type(a.atttypid, a.atttypmod)), ', ' ORDER BY a.attnum)),
       format('ALTER TABLE %s ADD COLUMN courier_key bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, REPLICA IDENTITY DEFAULT; -- rewrites the table', t.name), 'person'
  FROM s, t
  JOIN pg_catalog.pg_attribute a ON a.attrelid = t.oid AND a.attnum > 0 AND NOT a.attisdropped
  JOIN pg_catalog.pg_type y ON y.oid = a.atttypid
 WHERE incremental AND t.relkind = 'r'
   AND (t.relreplident = 'f' OR NOT EXISTS (SELECT FROM identified i WHERE i.oid = t.oid AND i.yes))
   AND NOT EXISTS (SELECT FROM usable u WHERE u.indrelid = t.oid)
   AND y.typtype = 'b' AND y.typelem = 0
   AND NOT EXISTS (SELECT FROM pg_catalog.pg_opclass o
                    WHERE o.opcintype = y.oid AND o.opcdefault
                      AND o.opcmethod IN (SELECT m.oid FROM pg_catalog.pg_am m WHERE m.amname IN ('btree', 'hash')))
   AND NOT EXISTS (SELECT FROM pg_catalog.pg_cast k
                     JOIN pg_catalog.pg_opclass o ON o.opcintype = k.casttarget AND o.opcdefault
                      AND o.opcmethod IN (SELECT m.oid FROM pg_catalog.pg_am m WHERE m.amname = 'btree')
                    WHERE k.castsource = y.oid AND k.castmethod = 'b' AND k.castcontext = 'i')
 GROUP BY t.name
UNION ALL
SELECT 'foreign_keys', NULL, t.name,
       format('Foreign key %I refers to %I.%I, which the task does not cover: it is not created on the destination.', k.conname, pn.nspname, p.relname),
       format('ALTER TABLE %s DROP CONSTRAINT %I; -- or create the task with %I.%I among its tables', t.name, k.conname, pn.nspname, p.relname), 'person'
  FROM t
  JOIN pg_catalog.pg_constraint k ON k.conrelid = t.oid AND k.contype = 'f' AND k.conparentid = 0
  JOIN pg_catalog.pg_class p ON p.oid = k.confrelid
  JOIN pg_catalog.pg_namespace pn ON pn.oid = p.relnamespace
 WHERE NOT EXISTS (SELECT FROM t o WHERE o.oid = k.confrelid)
   AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend e WHERE e.classid = 'pg_class'::regclass AND e.objid = p.oid AND e.deptype = 'e')
UNION ALL
SELECT 'destination_triggers', NULL, t.name,
       format('Trigger %I is enabled %s and would fire for what the task applies: it is created %s.', g.tgname,
              CASE g.tgenabled WHEN 'A' THEN 'ALWAYS' ELSE 'REPLICA' END,
              CASE g.tgenabled WHEN 'A' THEN 'as one that fires for ordinary sessions only' ELSE 'disabled' END),
       format('ALTER TABLE %s ENABLE %s TRIGGER %I; -- on the destination, when the task has ended', t.name,
              CASE g.tgenabled WHEN 'A' THEN 'ALWAYS' ELSE 'REPLICA' END, g.tgname), 'person'
  FROM s, t
  JOIN pg_catalog.pg_trigger g ON g.tgrelid = t.oid AND NOT g.tgisinternal AND g.tgenabled IN ('A', 'R')
 WHERE schema_sync
UNION ALL
SELECT 'foreign_keys', NULL, t.name,
       format('Foreign key %I refers to %I.%I, which extension %I creates there, and it is none of its configuration tables. Rows that users put '
              'into it do not travel: without them the key is NOT VALID there. Put such rows there.', k.conname, pn.nspname, p.relname, x.extname),
       format('ALTER TABLE %s DROP CONSTRAINT %I; -- or copy the rows of %I.%I yourself', t.name, k.conname, pn.nspname, p.relname), 'person'
  FROM t
  JOIN pg_catalog.pg_constraint k ON k.conrelid = t.oid AND k.contype = 'f' AND k.conparentid = 0
  JOIN pg_catalog.pg_class p ON p.oid = k.confrelid
  JOIN pg_catalog.pg_namespace pn ON pn.oid = p.relnamespace
  JOIN pg_catalog.pg_depend e ON e.classid = 'pg_class'::regclass AND e.objid = p.oid AND e.deptype = 'e'
  JOIN pg_catalog.pg_extension x ON x.oid = e.refobjid
 WHERE NOT COALESCE(p.oid = ANY (x.extconfig), false)
UNION ALL
SELECT 'reg_columns', NULL, t.name,
       format('Column %I has type %s: its values travel as names of objects, and one that the destination does not know stops the task.',
              a.attname, format_type(a.atttypid, a.atttypmod)),
       format('ALTER TABLE %s ALTER COLUMN %I TYPE %s USING %2$I::%3$s; -- rewrites the table', t.name, a.attname,
              CASE WHEN y.typcategory = 'A' THEN 'text[]' ELSE 'text' END), 'person'
  FROM t
  JOIN pg_catalog.pg_attribute a ON a.attrelid = t.oid AND a.attnum > 0 AND NOT a.attisdropped
  JOIN pg_catalog.pg_type y ON y.oid = a.atttypid
  LEFT JOIN pg_catalog.pg_type e ON e.oid = y.typelem AND e.typarray = y.oid
  LEFT JOIN pg_catalog.pg_type b ON b.oid = COALESCE(e.typbasetype, NULLIF(y.typbasetype, 0))
 WHERE EXISTS (SELECT FROM pg_catalog.pg_type r
                WHERE r.oid IN (y.oid, e.oid, b.oid) AND r.typnamespace = 'pg_catalog'::regnamespace
                  AND r.typname IN ('regproc', 'regprocedure', 'regoper', 'regoperator', 'regclass', 'regtype', 'regconfig',
                                    'regdictionary', 'regnamespace', 'regrole', 'regcollation'))
UNION ALL
SELECT 'sequence_end', NULL, format('%I.%I', q.nspname, q.relname),
       format('%s %% of its values are used (%s of %s).', round(100 * u.used, 1), v.last_value, CASE WHEN q.seqincrement > 0 THEN q.seqmax ELSE q.seqmin END),
       CASE WHEN q.seqtypid <> 'bigint'::regtype
            THEN format('ALTER SEQUENCE %I.%I AS bigint; -- and the column: ALTER TABLE %s ALTER COLUMN %I TYPE bigint; (rewrites the table)',
                        q.nspname, q.relname, t.name, (SELECT a.attname FROM pg_catalog.pg_attribute a WHERE a.attrelid = t.oid AND a.attnum = q.refobjsubid))
       END, 'person'
  FROM sequences q
  JOIN t ON t.oid = q.refobjid
  JOIN pg_catalog.pg_sequences v ON v.schemaname = q.nspname AND v.sequencename = q.relname AND v.last_value IS NOT NULL,
       LATERAL (SELECT CASE WHEN q.seqincrement > 0 THEN (v.last_value::numeric - q.seqmin) ELSE (q.seqmax - v.last_value::numeric) END
                       / GREATEST(q.seqmax::numeric - q.seqmin, 1) AS used) AS u
 WHERE NOT q.seqcycle AND u.used > 0.8
UNION ALL
SELECT 'inheritance', NULL, t.name,
       format('It inherits from %I.%I, which the task does not cover: on the destination its columns become its own.', pn.nspname, p.relname), NULL, 'person'
  FROM t
  JOIN pg_catalog.pg_inherits h ON h.inhrelid = t.oid
  JOIN pg_catalog.pg_class p ON p.oid = h.inhparent AND p.relkind = 'r'
  JOIN pg_catalog.pg_namespace pn ON pn.oid = p.relnamespace
 WHERE NOT EXISTS (SELECT FROM t o WHERE o.oid = p.oid)
UNION ALL
SELECT 'inheritance', NULL, t.name,
       format('%I.%I inherits from it and is not covered: queries of the parent there miss its rows.', cn.nspname, c.relname), NULL, 'person'
  FROM t
  JOIN pg_catalog.pg_inherits h ON h.inhparent = t.oid
  JOIN pg_catalog.pg_class c ON c.oid = h.inhrelid AND c.relkind = 'r' AND NOT c.relispartition
  JOIN pg_catalog.pg_namespace cn ON cn.oid = c.relnamespace
 WHERE NOT EXISTS (SELECT FROM t o WHERE o.oid = c.oid)
UNION ALL
SELECT 'partitions', NULL, t.name,
       format('Its partition %I.%I is not covered: rows there neither are copied nor streamed.', cn.nspname, c.relname), NULL, 'person'
  FROM t
  JOIN pg_catalog.pg_inherits h ON h.inhparent = t.oid
  JOIN pg_catalog.pg_class c ON c.oid = h.inhrelid AND c.relispartition
  JOIN pg_catalog.pg_namespace cn ON cn.oid = c.relnamespace
 WHERE t.relkind = 'p' AND NOT EXISTS (SELECT FROM t o WHERE o.oid = c.oid)
UNION ALL
SELECT 'large_objects', NULL, NULL,
       format('Large objects in this database: %s; they are not in the stream, and copied only when somebody calls courier.copy_large_objects().', l.number), NULL, 'person'
  FROM (SELECT count(*) AS number FROM pg_catalog.pg_largeobject_metadata) AS l
 WHERE l.number > 0
UNION ALL
SELECT 'names_by_case', NULL, min(t.name),
       format('%s differ only in upper and lower case.', string_agg(t.name, ', ' ORDER BY t.name)), NULL, 'person'
  FROM t
 GROUP BY lower(t.nspname), lower(t.relname)
HAVING count(*) > 1
UNION ALL
SELECT 'long_names', NULL, format('%I.%I', l.nspname, l.name),
       format('In UTF-8 it has %s bytes; the destination cuts names after 63.', octet_length(convert_to(l.name::text, 'UTF8'))),
       NULL, 'person'
  FROM (SELECT t.nspname, t.relname AS name FROM t
        UNION ALL SELECT t.relname, a.attname FROM t JOIN pg_catalog.pg_attribute a ON a.attrelid = t.oid AND a.attnum > 0 AND NOT a.attisdropped) AS l
 WHERE octet_length(l.name::text) > 31 AND octet_length(convert_to(l.name::text, 'UTF8')) > 63
UNION ALL
SELECT 'collation_version', NULL, format('%I.%I', n.nspname, c.collname),
       format('It was made with version %s of the library, the library has %s: indexes of the source may be in the wrong order.', c.collversion, pg_collation_actual_version(c.oid)),
       format('ALTER COLLATION %I.%I REFRESH VERSION; -- after REINDEX of what uses it', n.nspname, c.collname), 'person'
  FROM pg_catalog.pg_collation c
  JOIN pg_catalog.pg_namespace n ON n.oid = c.collnamespace
 WHERE c.collversion <> pg_collation_actual_version(c.oid)
   AND c.oid IN (SELECT a.attcollation FROM t JOIN pg_catalog.pg_attribute a ON a.attrelid = t.oid)
