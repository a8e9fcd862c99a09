-- What objects are parts of, by catalog ($1) and oid ($2): the table of an index, the type of a domain's constraint; an object that is no
-- part stands for itself, and a sequence of a column for both. With all descendants of tables, which get what their parents get, but for
-- those that the command left alone ($3), the tables of a composite type, and, where a name may have changed, the tables and views
-- whose foreign keys, rules and queries have it in their texts. Nothing for what no task creates. `is_root`: it is what was
-- asked about. `is_ours`: temporary, or of this extension. One statement in five pieces: most commands are about relations only, and give no
-- names (src/catalog/schema/command.rs).
WITH RECURSIVE root (class, oid, is_root, is_alone) AS (
    SELECT r.class, r.oid, (r.class, r.oid) = (a.class, a.oid), a.is_alone
      FROM unnest($1::oid[], $2::oid[], $3::boolean[]) AS a (class, oid, is_alone)
     CROSS JOIN LATERAL (
        SELECT 1259::oid AS class, a.oid
         WHERE a.class = 1259
        UNION ALL
        SELECT 1259, i.indrelid FROM pg_index i WHERE a.class = 1259 AND i.indexrelid = a.oid
        UNION ALL
        SELECT 1259, d.refobjid
          FROM pg_depend d
         WHERE a.class = 1259 AND d.classid = 1259 AND d.objid = a.oid AND d.refclassid = 1259 AND d.refobjsubid > 0 AND d.deptype IN ('a', 'i')
        UNION ALL
        SELECT 1247, c.reltype FROM pg_class c WHERE a.class = 1259 AND c.oid = a.oid AND c.relkind = 'c'
