//! Commands on definitions leave rows in `courier.ddl_log`: whoever runs them, in whatever way, and nothing where nobody wants to know. One
//! server; what becomes of the rows on a destination is the tale of other tests.

use pg_courier_tests::Cluster;
use pg_courier_tests::pair::DATABASE;

/// A server whose database has a task that wants DDL and is never started.
fn capturing() -> Cluster {
    let source = Cluster::builder("s").preload(true).conf("wal_level", "logical").start();
    source.create_database(DATABASE);
    source.run(
        DATABASE,
        "CREATE EXTENSION pg_courier; \
         INSERT INTO courier.task (name, owner, server, include, exclude, schema_sync, full_copy, incremental, ddl) \
         VALUES ('watching', 10, 0, '{}', '{}', true, true, true, 'replicate')",
    );
    source
}

/// The tags of the rows since the last call, with the names of the tables, sequences, types and schemas that were touched and what was
/// dropped.
fn news(source: &Cluster) -> Vec<String> {
    let rows = source.rows(
        DATABASE,
        "WITH gone AS (DELETE FROM courier.ddl_log RETURNING *), \
              line AS (SELECT g.id, g.tag, g.image::jsonb AS image FROM gone g) \
         SELECT concat_ws(' ', l.tag, \
                (SELECT string_agg(coalesce(x.object #>> '{name,name}', x.object ->> 'name'), ',' ORDER BY n) \
                   FROM jsonb_array_elements(l.image -> 'touched') WITH ORDINALITY AS t(address, n) \
                   JOIN jsonb_each(l.image -> 'image') AS k(kind, list) \
                     ON k.kind IN ('tables', 'sequences', 'types', 'schemas', 'extensions', 'collations') \
                  CROSS JOIN jsonb_array_elements(k.list) AS x(object) WHERE x.object -> 'oid' = t.address -> 1), \
                (SELECT '-' || string_agg(d ->> 'identity', ',-') FROM jsonb_array_elements(l.image -> 'dropped') d), \
                CASE WHEN l.image -> 'rewrite' <> 'null' THEN 'rewrite ' || (l.image #>> '{rewrite,reason}') END) \
           FROM line l ORDER BY l.id",
    );
    rows.into_iter().map(|mut row| row.remove(0).unwrap_or_default()).collect()
}

/// What one command after the other leaves.
#[test]
fn each_command_leaves_what_it_touched() {
    let source = capturing();
    for (command, expected) in [
        ("CREATE TABLE t (id int PRIMARY KEY, v text)", &["CREATE TABLE t"][..]),
        ("ALTER TABLE t ADD c int", &["ALTER TABLE t"]),
        ("ALTER TABLE t DROP COLUMN c", &["ALTER TABLE t"]),
        ("ALTER TABLE t ADD r float8 DEFAULT random()", &["ALTER TABLE t rewrite 2", "ALTER TABLE t"]),
        ("CREATE INDEX i ON t (v)", &["CREATE INDEX t"]),
        ("COMMENT ON INDEX i IS 'x'", &["COMMENT t"]),
        ("DROP INDEX i", &["DROP INDEX t"]),
        ("CREATE TABLE o (id serial PRIMARY KEY, t_id int REFERENCES t)", &["CREATE TABLE o_id_seq,o"]),
        ("DROP TABLE t CASCADE", &["DROP TABLE o -table public.t"]),
        ("CREATE TABLE IF NOT EXISTS o (x int)", &[]),
        ("CREATE VIEW w AS SELECT 1 AS a", &["CREATE VIEW"]),
        ("DROP VIEW w", &["DROP VIEW"]),
        ("DROP TABLE o", &["DROP TABLE -table public.o,-sequence public.o_id_seq"]),
    ] {
        source.run(DATABASE, command);
        assert_eq!(news(&source), expected, "{command}");
    }
    source.assert_not_crashed();
}
