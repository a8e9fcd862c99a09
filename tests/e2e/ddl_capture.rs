//! Commands on definitions leave rows in `courier.ddl_log`: whoever runs them, in whatever way, and nothing where nobody wants to know. One
//! server; what becomes of the rows on a destination is the tale of other tests.

use pg_courier_tests::pair::DATABASE;
use pg_courier_tests::{Answer, Cluster, sql};

use crate::common::{assert_mentions, sized};

/// A server whose database has a task that wants DDL and is never started.
fn capturing() -> Cluster {
    let source =
        Cluster::builder("s").preload(true).conf("wal_level", "logical").conf("max_prepared_transactions", "5").start();
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
    assert!(!source.log().contains("pg_courier could not"), "{}", source.log());
    let rows = source.rows(
        DATABASE,
        "WITH gone AS (DELETE FROM courier.ddl_log RETURNING *), \
              line AS (SELECT g.id, g.tag, g.image::jsonb AS image FROM gone g) \
         SELECT concat_ws(' ', l.tag, \
                (SELECT string_agg(coalesce(x.object #>> '{name,name}', x.object #>> '{relation,name,name}', x.object ->> 'name'), ',' ORDER BY n) \
                   FROM jsonb_array_elements(l.image -> 'touched') WITH ORDINALITY AS t(address, n) \
                   JOIN jsonb_each(l.image -> 'image') AS k(kind, list) \
                     ON k.kind IN ('tables', 'sequences', 'types', 'schemas', 'extensions', 'collations', 'views', 'routines', 'plain') \
                  CROSS JOIN jsonb_array_elements(k.list) AS x(object) WHERE coalesce(x.object -> 'oid', x.object #> '{relation,oid}') = t.address -> 1), \
                (SELECT '-' || string_agg(d ->> 'identity', ',-') FROM jsonb_array_elements(l.image -> 'dropped') d), \
                CASE WHEN l.image -> 'rewrite' <> 'null' THEN 'rewrite ' || (l.image #>> '{rewrite,reason}') END) \
           FROM line l ORDER BY l.id",
    );
    rows.into_iter().map(|mut row| row.remove(0).unwrap_or_default()).collect()
}

fn major(source: &Cluster) -> u32 {
    source.value(DATABASE, "SELECT current_setting('server_version_num')::int / 10000").parse().expect("a number")
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
        ("CREATE VIEW w AS SELECT 1 AS a", &["CREATE VIEW w"]),
        ("ALTER VIEW w ALTER a SET DEFAULT 2", &["ALTER VIEW w"]),
        ("DROP VIEW w", &["DROP VIEW -view public.w"]),
        ("CREATE MATERIALIZED VIEW w AS SELECT 1 AS a", &["CREATE MATERIALIZED VIEW w"]),
        ("CREATE UNIQUE INDEX ON w (a)", &["CREATE INDEX w"]),
        ("REFRESH MATERIALIZED VIEW CONCURRENTLY w", &["REFRESH MATERIALIZED VIEW w"]),
        ("DROP MATERIALIZED VIEW w", &["DROP MATERIALIZED VIEW -materialized view public.w"]),
        ("CREATE FUNCTION f(int) RETURNS int LANGUAGE sql AS 'SELECT 1'", &["CREATE FUNCTION f"]),
        ("ALTER FUNCTION f(int) STABLE", &["ALTER FUNCTION f"]),
        ("DROP FUNCTION f", &["DROP FUNCTION -function public.f(integer)"]),
        ("CREATE RULE r AS ON DELETE TO o DO INSTEAD NOTHING", &["CREATE RULE o"]),
        ("DROP RULE r ON o", &["DROP RULE o"]),
        ("DROP TABLE o", &["DROP TABLE -table public.o,-sequence public.o_id_seq"]),
    ] {
        source.run(DATABASE, command);
        assert_eq!(news(&source), expected, "{command}");
    }
    source.assert_not_crashed();
}

/// The rows of a table's image: `name type` of each column, and what else is asked for.
fn last_image(source: &Cluster, path: &str) -> String {
    source.value(DATABASE, &format!("SELECT image::jsonb #>> '{path}' FROM courier.ddl_log ORDER BY id DESC LIMIT 1"))
}

fn columns(source: &Cluster, table: &str) -> String {
    source.value(
        DATABASE,
        &format!(
            "SELECT string_agg(c ->> 'name', ',' ORDER BY (c ->> 'attnum')::int) \
               FROM (SELECT image::jsonb AS image FROM courier.ddl_log ORDER BY id DESC LIMIT 1) l \
              CROSS JOIN jsonb_path_query(l.image, '$.image.tables[*] ? (@.name.name == \"{table}\")') AS t(object) \
              CROSS JOIN jsonb_array_elements(t.object -> 'columns') AS c"
        ),
    )
}

/// Functions, DO, several statements in a string, prepared statements, triggers, procedures that commit, a replica's session: each
/// command leaves its row, with its text where the client sent it.
#[test]
fn however_a_command_is_run() {
    let source = capturing();
    source.run(
        DATABASE,
        "CREATE FUNCTION mk() RETURNS void LANGUAGE plpgsql AS $$BEGIN CREATE TABLE inner1 (a int); EXECUTE 'CREATE INDEX ON inner1 (a)'; END$$; \
         CREATE PROCEDURE pr() LANGUAGE plpgsql AS $$BEGIN CREATE TABLE inner2 (a int); COMMIT; ALTER TABLE inner2 ADD b int; END$$; \
         CREATE TABLE base (id int); \
         CREATE FUNCTION tf() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN EXECUTE 'CREATE TABLE inner3 (a int)'; RETURN NEW; END$$; \
         CREATE TRIGGER tg BEFORE INSERT ON base FOR EACH ROW EXECUTE FUNCTION tf()",
    );
    news(&source);
    for (statement, expected) in [
        ("SELECT mk()", &["CREATE TABLE inner1", "CREATE INDEX inner1"][..]),
        ("CALL pr()", &["CREATE TABLE inner2", "ALTER TABLE inner2"]),
        ("INSERT INTO base VALUES (1)", &["CREATE TABLE inner3"]),
        ("DO $$BEGIN CREATE TABLE inner4 (a int); END$$", &["CREATE TABLE inner4"]),
        (
            "PREPARE p(int) AS SELECT id FROM base WHERE id < $1; CREATE TABLE cp AS EXECUTE p(10)",
            &["CREATE TABLE AS cp"],
        ),
        ("SELECT * INTO si FROM base", &["SELECT INTO si"]),
        ("EXPLAIN (ANALYZE, COSTS off, TIMING off) CREATE TABLE ce AS SELECT 1 AS a", &["CREATE TABLE AS ce"]),
        ("EXPLAIN CREATE TABLE ce2 AS SELECT 1 AS a; EXPLAIN (ANALYZE) CREATE TEMP TABLE ce3 AS SELECT 1 AS a", &[]),
        ("EXPLAIN ANALYZE SELECT 1", &[]),
        ("SET session_replication_role = replica; CREATE TABLE srr (id int)", &["CREATE TABLE srr"]),
        ("BEGIN; CREATE TABLE tp (id int); PREPARE TRANSACTION 'x'", &[]),
        ("COMMIT PREPARED 'x'", &["CREATE TABLE tp"]),
        (
            "CREATE SCHEMA a1 CREATE TABLE x (id int PRIMARY KEY) CREATE VIEW y AS SELECT * FROM x",
            &["CREATE SCHEMA x,y,a1"],
        ),
    ] {
        source.psql_ok(DATABASE, statement);
        assert_eq!(news(&source), expected, "{statement}");
    }
    source.run(
        DATABASE,
        "CREATE TABLE ms1 (id int PRIMARY KEY); INSERT INTO ms1 VALUES (1); ALTER TABLE ms1 ADD b int DEFAULT 2; \
         DROP TABLE IF EXISTS none; COMMENT ON TABLE ms1 IS 'a;b'",
    );
    let mut client = source.connect(DATABASE);
    client.execute("ALTER TABLE ms1 ADD c int", &[]).expect("a prepared statement of the protocol");
    client.execute("SELECT mk() WHERE false", &[]).expect("nothing");
    source.run(DATABASE, "DROP TABLE inner1; SELECT mk()");
    let texts = source.rows(DATABASE, "SELECT coalesce(command, '-') FROM courier.ddl_log ORDER BY id");
    let texts: Vec<String> = texts.into_iter().map(|mut row| row.remove(0).unwrap_or_default()).collect();
    assert_eq!(
        texts,
        [
            "CREATE TABLE ms1 (id int PRIMARY KEY)",
            "ALTER TABLE ms1 ADD b int DEFAULT 2",
            "COMMENT ON TABLE ms1 IS 'a;b'",
            "ALTER TABLE ms1 ADD c int",
            "DROP TABLE inner1",
            "-",
            "-",
        ]
    );
    assert_eq!(source.value(DATABASE, "SELECT string_agg(DISTINCT author, ',') FROM courier.ddl_log"), "postgres");
    source.assert_not_crashed();
}

/// What is rolled back leaves nothing, what is not leaves its row, also after an error inside a function.
#[test]
fn rows_share_the_fate_of_their_command() {
    let source = capturing();
    source.run(DATABASE, "CREATE TABLE t (id int)");
    news(&source);
    source.run(
        DATABASE,
        "DO $d$ BEGIN BEGIN CREATE TABLE ex1 (id int); RAISE 'x'; EXCEPTION WHEN OTHERS THEN NULL; END; \
         CREATE TABLE ex2 (id int PRIMARY KEY); END $d$",
    );
    assert_eq!(news(&source), ["CREATE TABLE ex2"]);
    source.psql_ok(
        DATABASE,
        "BEGIN; SAVEPOINT a; ALTER TABLE t ADD gone int; ROLLBACK TO a; ALTER TABLE t ADD kept int; COMMIT",
    );
    assert_eq!(columns(&source, "t"), "id,kept");
    assert_eq!(news(&source), ["ALTER TABLE t"]);
    // The row of the drop is not there any more when the server tells of the same column for the second time.
    source.psql_ok(
        DATABASE,
        "BEGIN; ALTER TABLE t ADD c int; SAVEPOINT a; ALTER TABLE t DROP c; ROLLBACK TO a; ALTER TABLE t DROP c; COMMIT",
    );
    assert_eq!(news(&source), ["ALTER TABLE t", "ALTER TABLE t"]);
    source.refuses(DATABASE, "BEGIN; CREATE TABLE never (id int); SELECT 1/0; COMMIT");
    assert!(news(&source).is_empty());
}

/// A transaction that sees the data as they were when it began sees the catalogs as they are: what another session has added meanwhile is in
/// the image. And no transaction fails for a row of another one.
#[test]
fn the_image_is_of_now() {
    let source = capturing();
    source.run(DATABASE, "CREATE TABLE t (id int PRIMARY KEY)");
    for level in ["REPEATABLE READ", "SERIALIZABLE"] {
        source.run(DATABASE, "DROP TABLE t; CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1)");
        let mut old = source.connect(DATABASE);
        old.batch_execute(&format!("BEGIN ISOLATION LEVEL {level}; SELECT count(*) FROM pg_class"))
            .expect("a snapshot");
        source.run(DATABASE, "ALTER TABLE t ADD c int; COMMENT ON COLUMN t.c IS 'of another'");
        old.batch_execute("ALTER TABLE t ADD d int; COMMIT").expect("no failure to serialize");
        assert_eq!(columns(&source, "t"), "id,c,d", "{level}");
        assert_mentions(&last_image(&source, "{image,comments}"), &["of another"]);
    }
    // What is not committed is not there, and the snapshot tells so.
    let mut open = source.connect(DATABASE);
    open.batch_execute("BEGIN; CREATE INDEX w1 ON t (c)").expect("an index");
    let xid = sql::value(&mut open, "SELECT pg_current_xact_id()").expect("a number").unwrap_or_default();
    source.run(DATABASE, "CREATE INDEX w2 ON t (d)");
    assert_eq!(
        source.value(
            DATABASE,
            &format!("SELECT pg_visible_in_snapshot('{xid}', snapshot::pg_snapshot) FROM courier.ddl_log ORDER BY id DESC LIMIT 1")
        ),
        "f"
    );
    let indexes = "SELECT string_agg(i ->> 'name', ',' ORDER BY i ->> 'name') FROM \
                   (SELECT image::jsonb AS image FROM courier.ddl_log ORDER BY id DESC LIMIT 1) l \
                   CROSS JOIN jsonb_array_elements(l.image #> '{image,tables,0,indexes}') i";
    assert_eq!(source.value(DATABASE, indexes), "t_pkey,w2");
    open.batch_execute("COMMIT").expect("a commit");
    source.run(DATABASE, "COMMENT ON INDEX w1 IS 'x'");
    assert_eq!(source.value(DATABASE, indexes), "t_pkey,w1,w2");
    source.assert_not_crashed();
}

/// Commands that are several transactions fire in the last one, where no snapshot is: that must not take the server down.
#[test]
fn commands_of_several_transactions() {
    let source = capturing();
    source.run(
        DATABASE,
        "CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t SELECT n, n FROM generate_series(1, 100) n; \
         CREATE TABLE p (id int, k int) PARTITION BY LIST (k); CREATE TABLE p1 PARTITION OF p FOR VALUES IN (1); \
         CREATE TABLE p2 (id int, k int)",
    );
    news(&source);
    for (command, expected) in [
        ("CREATE INDEX CONCURRENTLY i ON t (v)", &["CREATE INDEX t"][..]),
        ("DROP INDEX CONCURRENTLY i", &["DROP INDEX t"]),
        ("ALTER TABLE p ATTACH PARTITION p2 FOR VALUES IN (2)", &["ALTER TABLE p,p2"]),
        ("ALTER TABLE p DETACH PARTITION p2", &["ALTER TABLE p,p2"]),
        ("GRANT SELECT ON p TO PUBLIC", &["GRANT p"]),
        ("COMMENT ON TABLE p IS 'x'", &["COMMENT p"]),
        ("CREATE INDEX ON p (id)", &["CREATE INDEX p,p1"]),
    ] {
        source.run(DATABASE, command);
        assert_eq!(news(&source), expected, "{command}");
    }
    if major(&source) >= 14 {
        source.run(DATABASE, "ALTER TABLE p DETACH PARTITION p1 CONCURRENTLY");
        let partition = source.value(DATABASE, "SELECT 'p1'::regclass::oid");
        assert_eq!(last_image(&source, "{detached,0}"), partition);
        assert_eq!(news(&source), ["ALTER TABLE p,p1"]);
    }
    source.run(DATABASE, "CREATE INDEX j ON t (v)");
    let is_usable = last_image(&source, "{image,tables,0,indexes,0,usable}");
    assert_eq!(is_usable, "true");
    news(&source);
    source.run(DATABASE, "REINDEX INDEX CONCURRENTLY j");
    // Before 17 nobody is told.
    let expected: &[&str] = if major(&source) >= 17 { &["REINDEX t"] } else { &[] };
    assert_eq!(news(&source), expected);
    source.run(DATABASE, "INSERT INTO t VALUES (1001, '1')");
    let answer = source.refuses(DATABASE, "CREATE UNIQUE INDEX CONCURRENTLY u ON t (v)");
    assert_eq!(answer.sqlstate, "23505", "{answer}");
    assert!(news(&source).is_empty(), "it has not ended");
    source.run(DATABASE, "COMMENT ON INDEX u IS 'invalid'");
    assert_mentions(&last_image(&source, "{image,tables,0,indexes}"), &["\"name\": \"u\"", "\"usable\": false"]);
    source.assert_not_crashed();
}

/// Nobody is told of temporary tables, of what comes with an extension, of passwords.
#[test]
fn what_leaves_nothing() {
    let source = capturing();
    source.run(DATABASE, "CREATE TABLE t (id int PRIMARY KEY)");
    news(&source);
    for command in [
        "CREATE TEMP TABLE x (a serial PRIMARY KEY, b text UNIQUE); CREATE INDEX ON x (a); ALTER TABLE x ADD c int CHECK (c > 0); \
         CREATE TEMP VIEW tv AS SELECT * FROM x; COMMENT ON COLUMN x.a IS 'y'; GRANT SELECT ON x TO PUBLIC; DROP VIEW tv; ALTER TABLE x DROP c; \
         ALTER TABLE x ALTER a TYPE bigint; CREATE RULE r AS ON DELETE TO x DO INSTEAD NOTHING; \
         ALTER TABLE x ENABLE ROW LEVEL SECURITY; CREATE POLICY o ON x USING (true); ALTER TABLE x RENAME TO z; DROP TABLE z CASCADE; \
         CREATE TEMP TABLE y AS SELECT 1 AS a; DROP TABLE y; CREATE TYPE pg_temp.e AS ENUM ('a'); DROP TYPE pg_temp.e; \
         CREATE TEMP SEQUENCE s; DROP SEQUENCE s",
        "CREATE SERVER far FOREIGN DATA WRAPPER pg_courier OPTIONS (host 'h')",
        "CREATE USER MAPPING FOR CURRENT_USER SERVER far OPTIONS (user 'u', password 'secret')",
        "ALTER USER MAPPING FOR CURRENT_USER SERVER far OPTIONS (SET password 'secret2')",
        "DROP USER MAPPING FOR CURRENT_USER SERVER far; DROP SERVER far",
        "CREATE SUBSCRIPTION sub CONNECTION 'password=secret' PUBLICATION pub WITH (connect = false, slot_name = NONE)",
        "DROP SUBSCRIPTION sub",
        "CREATE ROLE somebody PASSWORD 'secret'; DROP ROLE somebody",
        "VACUUM FULL t; CLUSTER t USING t_pkey; ANALYZE t",
    ] {
        source.psql_ok(DATABASE, command);
        assert_eq!(news(&source), Vec::<String>::new(), "{command}");
    }
    source.run(DATABASE, "CREATE SCHEMA x; CREATE EXTENSION hstore SCHEMA x");
    assert_eq!(news(&source), ["CREATE SCHEMA x", "CREATE EXTENSION hstore"]);
    source.run(DATABASE, "CREATE TABLE hs (id int PRIMARY KEY, h x.hstore)");
    assert_eq!(last_image(&source, "{image,extensions,0,name}"), "hstore");
    news(&source);
    source.run(DATABASE, "DROP EXTENSION hstore CASCADE");
    assert_mentions(&news(&source).join(";"), &["DROP EXTENSION hs -extension hstore"]);
    source.run(DATABASE, "UPDATE courier.task SET ddl = 'ignore'");
    source.run(DATABASE, "CREATE TABLE unseen (a int); DROP TABLE unseen, hs");
    assert!(news(&source).is_empty(), "no task wants to know");
    source.run(DATABASE, "UPDATE courier.task SET ddl = 'stop'; CREATE TABLE seen (a int)");
    assert_eq!(news(&source), ["CREATE TABLE seen"]);
    let text = "SELECT count(*) FROM courier.ddl_log WHERE concat(command, image) LIKE '%secret%'";
    assert_eq!(source.value(DATABASE, text), "0");
}

/// Whoever may create tables has them recorded, and can neither read nor write the record, nor make it up; names in it are the business of
/// whoever reads it.
#[test]
fn nobody_but_the_extension_writes() {
    let source = capturing();
    source.run(
        DATABASE,
        "CREATE ROLE low LOGIN PASSWORD 'pw'; CREATE SCHEMA low AUTHORIZATION low; SELECT courier.grant_usage('low'); \
         CREATE ROLE writer LOGIN PASSWORD 'pw'; GRANT USAGE ON SCHEMA courier TO writer",
    );
    if major(&source) > 13 {
        source.run(DATABASE, "GRANT pg_write_all_data TO writer");
    }
    news(&source);
    let mut low = source.connect_as(DATABASE, "low", "pw");
    let hostile = "CREATE TABLE low.\"x\"\"; DROP TABLE t; --\" (\"New \"\"V; --\" int, \"\u{1F600}\\\" text DEFAULT 'it''s \\ ');";
    low.batch_execute(
        "SET search_path = low, pg_catalog; \
         CREATE FUNCTION low.pg_current_snapshot() RETURNS text LANGUAGE sql AS $$SELECT 'forged'$$; \
         CREATE FUNCTION low.unnest(oid[], oid[]) RETURNS SETOF record LANGUAGE sql AS $$SELECT 1::oid, 1::oid$$; \
         CREATE TABLE low.pg_class (oid oid); CREATE TABLE low.ddl_log (id int)",
    )
    .expect("his own schema");
    low.batch_execute(hostile).expect("names are names");
    assert_eq!(columns(&source, "x\\\"; DROP TABLE t; --"), "New \"V; --,\u{1F600}\\");
    assert_eq!(
        source.value(
            DATABASE,
            "SELECT author || (snapshot ~ '^[0-9:,]+$') FROM courier.ddl_log ORDER BY id DESC LIMIT 1"
        ),
        "lowtrue"
    );
    let rows = source.value(DATABASE, "SELECT count(*) FROM courier.ddl_log");
    for (client, statement, state) in [
        ("low", "SELECT * FROM courier.ddl_log", "42501"),
        ("low", "INSERT INTO courier.ddl_log (snapshot, image, tag, author) VALUES ('', '', '', '')", "42501"),
        ("low", "DELETE FROM courier.ddl_log", "42501"),
        ("low", "TRUNCATE courier.ddl_log", "42501"),
        ("low", "SELECT courier.capture_ddl()", "42501"),
        ("low", "SET courier.on_capture_error = 'fail'", "42501"),
        ("low", "ALTER EVENT TRIGGER pg_courier_ddl DISABLE", "42501"),
        ("writer", "INSERT INTO courier.ddl_log (snapshot, image, tag, author) VALUES ('', '', '', '')", "42501"),
    ] {
        let mut client = source.connect_as(DATABASE, client, "pw");
        let error = client.batch_execute(statement).expect_err("is refused");
        assert_eq!(Answer::from(&error).sqlstate, state, "{statement}: {}", Answer::from(&error));
    }
    assert_eq!(source.refuses(DATABASE, "SELECT courier.capture_ddl()").sqlstate, "39P03");
    assert_eq!(source.value(DATABASE, "SELECT count(*) FROM courier.ddl_log"), rows);
    // In a function of somebody else the author is whose rights are in force.
    low.batch_execute("CREATE TABLE low.after_all (a int)").expect("still works");
    source.assert_not_crashed();
}

/// Each kind of object, and each part of a table, leads to the right roots.
#[test]
fn every_kind_of_object() {
    let source = capturing();
    source.run(
        DATABASE,
        "CREATE ROLE r1; CREATE FUNCTION tf() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RETURN NEW; END$$",
    );
    news(&source);
    let mut wrong = Vec::new();
    for (command, expected) in [
        ("CREATE TYPE en AS ENUM ('b', 'd')", &["CREATE TYPE en"][..]),
        ("ALTER TYPE en ADD VALUE 'a' BEFORE 'b'", &["ALTER TYPE en"]),
        ("CREATE DOMAIN dm AS int CHECK (value > 0)", &["CREATE DOMAIN dm"]),
        ("ALTER DOMAIN dm ADD CONSTRAINT c2 CHECK (value < 9)", &["ALTER DOMAIN dm"]),
        ("COMMENT ON CONSTRAINT c2 ON DOMAIN dm IS 'x'", &["COMMENT dm"]),
        ("ALTER DOMAIN dm DROP CONSTRAINT c2", &["ALTER DOMAIN dm"]),
        ("CREATE TYPE ty AS (a int, b text)", &["CREATE TYPE ty"]),
        ("CREATE TABLE ot OF ty", &["CREATE TABLE ot"]),
        ("ALTER TYPE ty ADD ATTRIBUTE c int CASCADE", &["ALTER TYPE ty,ot"]),
        ("CREATE TYPE rg AS RANGE (subtype = float8)", &["CREATE TYPE rg"]),
        ("CREATE TABLE te (id int GENERATED ALWAYS AS IDENTITY, e en, d dm, r rg, s text)", &["CREATE TABLE te"]),
        ("ALTER TABLE te ALTER id SET GENERATED BY DEFAULT SET INCREMENT 5", &["ALTER TABLE te"]),
        ("CREATE SEQUENCE sq", &["CREATE SEQUENCE sq"]),
        ("ALTER SEQUENCE sq INCREMENT 7", &["ALTER SEQUENCE sq"]),
        ("ALTER SEQUENCE sq OWNED BY te.id", &["ALTER SEQUENCE te,sq"]),
        ("ALTER SEQUENCE sq RENAME TO sq2", &["ALTER SEQUENCE te,sq2"]),
        ("CREATE COLLATION co (locale = 'C')", &["CREATE COLLATION co"]),
        ("ALTER TABLE te ADD t text COLLATE co", &["ALTER TABLE te"]),
        ("CREATE STATISTICS st ON id, s FROM te", &["CREATE STATISTICS te"]),
        ("ALTER STATISTICS st SET STATISTICS 9", &["ALTER STATISTICS te"]),
        ("DROP STATISTICS st", &["DROP STATISTICS te"]),
        ("CREATE TRIGGER tg AFTER INSERT ON te FOR EACH ROW EXECUTE FUNCTION tf()", &["CREATE TRIGGER te"]),
        ("ALTER TABLE te DISABLE TRIGGER tg", &["ALTER TABLE te"]),
        ("COMMENT ON TRIGGER tg ON te IS 'x'", &["COMMENT te"]),
        ("DROP TRIGGER tg ON te", &["DROP TRIGGER te"]),
        ("CREATE POLICY po ON te TO r1 USING (true)", &["CREATE POLICY te"]),
        ("ALTER POLICY po ON te RENAME TO po2", &["ALTER POLICY te"]),
        ("DROP POLICY po2 ON te", &["DROP POLICY te"]),
        ("CREATE RULE ru AS ON DELETE TO te DO INSTEAD NOTHING", &["CREATE RULE te"]),
        ("DROP RULE ru ON te", &["DROP RULE te"]),
        ("GRANT SELECT (id) ON te TO r1", &["GRANT te"]),
        ("GRANT USAGE ON SEQUENCE sq2 TO r1", &["GRANT te,sq2"]),
        ("GRANT USAGE ON TYPE en TO r1", &["GRANT en"]),
        ("GRANT ALL ON SCHEMA public TO r1", &["GRANT public"]),
        ("REVOKE SELECT (id) ON te FROM r1", &["REVOKE te"]),
        ("ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO r1", &[]),
        (
            "ALTER TABLE te ALTER s SET STORAGE external, ALTER s SET STATISTICS 5, ALTER s SET (n_distinct = 5)",
            &["ALTER TABLE te"],
        ),
        ("ALTER TABLE te OWNER TO r1", &["ALTER TABLE te"]),
        ("ALTER TABLE te REPLICA IDENTITY FULL", &["ALTER TABLE te"]),
        (
            "ALTER TABLE te ADD UNIQUE (id), ADD g text GENERATED ALWAYS AS (s || 'x') STORED",
            &["ALTER TABLE te rewrite 2", "ALTER TABLE te"],
        ),
        ("ALTER INDEX te_id_key RENAME TO k", &["ALTER INDEX te"]),
        ("ALTER TABLE te RENAME CONSTRAINT k TO k2", &["ALTER TABLE te"]),
        ("COMMENT ON CONSTRAINT k2 ON te IS 'x'", &["COMMENT te"]),
        ("ALTER TABLE te RENAME s TO s2", &["ALTER TABLE te"]),
        ("ALTER TABLE te RENAME TO te2", &["ALTER TABLE te2"]),
        ("CREATE SCHEMA s2", &["CREATE SCHEMA s2"]),
        ("ALTER TABLE te2 SET SCHEMA s2", &["ALTER TABLE te2"]),
        ("ALTER SCHEMA s2 RENAME TO s3", &["ALTER SCHEMA s3"]),
        ("ALTER TABLE s3.te2 SET UNLOGGED", &["ALTER TABLE te2 rewrite 1", "ALTER TABLE te2"]),
        ("ALTER TABLE s3.te2 INHERIT ot", &[]),
        ("CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'", &["CREATE FUNCTION f"]),
        ("DROP TYPE en CASCADE", &["DROP TYPE te2 -type public.en"]),
        ("DROP OWNED BY r1", &["DROP OWNED"]),
        ("DROP SCHEMA s3 CASCADE", &["DROP SCHEMA"]),
    ] {
        if command.contains("INHERIT ot") {
            source.run(DATABASE, "CREATE TABLE up (id int); CREATE TABLE down (id int)");
            news(&source);
            source.run(DATABASE, "ALTER TABLE down INHERIT up");
            assert_eq!(news(&source), ["ALTER TABLE up,down"]);
            source.run(DATABASE, "ALTER TABLE down NO INHERIT up");
            assert_eq!(news(&source), ["ALTER TABLE up,down"]);
            continue;
        }
        source.run(DATABASE, command);
        let news = news(&source);
        let fits = match command {
            // Lists that the server has in an order of its own, or that are not the same on all majors.
            "DROP OWNED BY r1" | "DROP SCHEMA s3 CASCADE" | "ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO r1" => {
                expected.iter().all(|tag| news.iter().any(|line| line.starts_with(tag)))
            }
            _ => news == expected,
        };
        wrong.extend((!fits).then(|| format!("{command}: {news:?}, not {expected:?}")));
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    source.assert_not_crashed();
}

/// A table's image has everything: what rows from before a column have in it, partitions, parents, types, comments, privileges, and of a
/// function that a part calls what it is.
#[test]
fn an_image_is_whole() {
    let source = capturing();
    source.run(
        DATABASE,
        "CREATE ROLE r1; CREATE TYPE en AS ENUM ('x'); CREATE FUNCTION f(int) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT $1'; \
         CREATE TABLE p (id int, k int, e en[]) PARTITION BY LIST (k); \
         CREATE TABLE p1 PARTITION OF p FOR VALUES IN (1); INSERT INTO p VALUES (1, 1); \
         CREATE TABLE p2 PARTITION OF p FOR VALUES IN (2) PARTITION BY LIST (id); CREATE TABLE p21 PARTITION OF p2 FOR VALUES IN (1); \
         COMMENT ON TABLE p IS 'of the table'; COMMENT ON COLUMN p1.k IS 'of a column'; COMMENT ON TYPE en IS 'of the type'; \
         CREATE TABLE other (a int); COMMENT ON TABLE other IS 'of another'; \
         GRANT SELECT ON p TO r1; GRANT UPDATE (k) ON p1 TO r1; CREATE INDEX pi ON p (f(id)); \
         ALTER TABLE p ADD at timestamptz DEFAULT now()",
    );
    let found = |path: &str| {
        source.value(
            DATABASE,
            &format!(
                "SELECT jsonb_path_query_array(image::jsonb, '{path}') FROM courier.ddl_log ORDER BY id DESC LIMIT 1"
            ),
        )
    };
    assert_eq!(found("$.image.tables[*].name.name"), "[\"p\", \"p1\", \"p2\", \"p21\"]");
    let missing = found("$.image.tables[*].columns[*] ? (@.name == \"at\").missing");
    let values: Vec<&str> = missing.trim_matches(['[', ']']).split(", ").collect();
    assert!(values.len() == 4 && values.iter().all(|value| *value == values[0] && *value != "null"), "{missing}");
    assert_eq!(found("$.image.types[*].name.name"), "[\"en\"]");
    assert_mentions(&found("$.image.comments"), &["of the table", "of a column", "of the type"]);
    assert!(!found("$.image.comments").contains("of another"));
    assert_mentions(&found("$.image.privileges"), &["SELECT", "UPDATE", "r1"]);
    assert_mentions(&found("$.causes"), &["Routine", "\"name\": \"f\""]);
    assert_eq!(found("$.image.tables[*].indexes[*].blocked"), "[false, false, false, false]");
    // A partition by itself names its parent, and its trigger the state of the parent's.
    source.run(
        DATABASE,
        "CREATE FUNCTION tf() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RETURN NEW; END$$; \
         CREATE TRIGGER tg AFTER INSERT ON p FOR EACH ROW EXECUTE FUNCTION tf(); ALTER TABLE p1 ALTER k SET DEFAULT 1",
    );
    assert_eq!(found("$.image.tables[*].name.name"), "[\"p1\"]");
    assert_eq!(found("$.image.tables[*].parents[*].position"), "[1]");
    assert_eq!(found("$.image.tables[*].triggers[*].inherited"), "[\"Enabled\"]");
    // One family is described once in a command that rewrites all of it, before the first row.
    source.run(DATABASE, "DELETE FROM courier.ddl_log; ALTER TABLE p ADD r float8 DEFAULT random()");
    let lines = news(&source);
    assert_eq!(lines, ["ALTER TABLE p,p1,p2,p21 rewrite 2", "ALTER TABLE rewrite 2", "ALTER TABLE p,p1,p2,p21"]);
}

/// What fails in the record is a warning, or the command's error where an administrator wants that; a cancelled command is cancelled. What
/// could not be read is named.
#[test]
fn a_record_that_fails() {
    let source = capturing();
    source.run(DATABASE, "CREATE TABLE t (a int); DELETE FROM courier.ddl_log");
    source.run(DATABASE, "ALTER TABLE courier.ddl_log ADD CONSTRAINT small CHECK (length(image) < 400)");
    source.run(DATABASE, "ALTER TABLE t ADD b int");
    let log = source.log();
    assert_mentions(&log, &["WARNING:  pg_courier could not read what ALTER TABLE has made", "small"]);
    let touched = "SELECT (image::jsonb #>> '{touched,0,1}')::oid::regclass || ' ' || jsonb_array_length(image::jsonb #> '{image,tables}') \
                   FROM courier.ddl_log ORDER BY id DESC LIMIT 1";
    assert_eq!(source.value(DATABASE, touched), "t 0");
    source.run(DATABASE, "DROP TABLE t");
    source.run(DATABASE, "CREATE TABLE t (a int); ALTER TABLE t ADD r float8 DEFAULT random()");
    let rewrite = "SELECT count(*) FROM courier.ddl_log WHERE image::jsonb -> 'rewrite' <> 'null'";
    assert_eq!(source.value(DATABASE, rewrite), "1");
    source.run(DATABASE, "ALTER TABLE courier.ddl_log DROP CONSTRAINT small; DELETE FROM courier.ddl_log; ALTER TABLE courier.ddl_log ADD CONSTRAINT none CHECK (false)");
    source.run(DATABASE, "CREATE TABLE u (a int); DROP TABLE u; CREATE TABLE u (a int)");
    assert_mentions(&source.log(), &["pg_courier could not record CREATE TABLE"]);
    let answer = source.refuses(DATABASE, "SET courier.on_capture_error = 'fail'; ALTER TABLE u ADD b int");
    assert_eq!(answer.sqlstate, "23514", "{answer}");
    assert_eq!(
        source.value(DATABASE, "SELECT count(*) FROM pg_attribute WHERE attrelid = 'u'::regclass AND attnum > 0"),
        "1"
    );
    source.run(DATABASE, "ALTER TABLE courier.ddl_log DROP CONSTRAINT none");
    let mut holder = source.connect(DATABASE);
    holder.batch_execute("BEGIN; LOCK TABLE courier.ddl_log").expect("a lock");
    let answer = source.refuses(DATABASE, "SET statement_timeout = '300ms'; ALTER TABLE u ADD c int");
    assert_eq!(answer.sqlstate, "57014", "{answer}");
    source.run(DATABASE, "SET lock_timeout = '100ms'; ALTER TABLE u ADD c int");
    holder.batch_execute("ROLLBACK").expect("the end");
    source.assert_not_crashed();
}

/// Event triggers of users beside ours: one that alters every new table, one that drops it again before ours has seen it.
#[test]
fn event_triggers_of_users() {
    let source = capturing();
    source.run(
        DATABASE,
        "CREATE FUNCTION secure() RETURNS event_trigger LANGUAGE plpgsql AS $$DECLARE t text; BEGIN \
           FOR t IN SELECT object_identity FROM pg_event_trigger_ddl_commands() WHERE object_type = 'table' LOOP \
             IF t = 'public.doomed' THEN EXECUTE 'DROP TABLE ' || t; \
             ELSE EXECUTE 'ALTER TABLE ' || t || ' ENABLE ROW LEVEL SECURITY'; END IF; END LOOP; END$$; \
         CREATE EVENT TRIGGER before_ours ON ddl_command_end WHEN TAG IN ('CREATE TABLE') EXECUTE FUNCTION secure()",
    );
    news(&source);
    source.run(DATABASE, "CREATE TABLE t (a int)");
    assert_eq!(news(&source), ["ALTER TABLE t", "CREATE TABLE t"]);
    source.run(DATABASE, "CREATE TABLE doomed (a int)");
    if major(&source) > 13 {
        let last = news(&source);
        assert!(
            last.first().is_some_and(|line| line == "DROP TABLE -table public.doomed") && last.len() <= 2,
            "{last:?}"
        );
    }
    source.run(DATABASE, "ALTER EVENT TRIGGER before_ours RENAME TO zz_after_ours; CREATE TABLE t2 (a int)");
    let last = source.rows(DATABASE, "SELECT tag FROM courier.ddl_log ORDER BY id DESC LIMIT 2");
    assert_eq!(last.concat(), [Some("ALTER TABLE".to_owned()), Some("CREATE TABLE".to_owned())]);
    source.assert_not_crashed();
}

/// What escaped the triggers is recorded by hand: one object by its name or oid, all tables of a task.
#[test]
fn rows_by_hand() {
    let source = capturing();
    source.run(
        DATABASE,
        "CREATE SCHEMA s; ALTER EVENT TRIGGER pg_courier_ddl DISABLE; CREATE TABLE s.t (a int); CREATE TYPE s.e AS ENUM ('a'); \
         CREATE SEQUENCE s.q; CREATE VIEW s.v AS SELECT 1 AS a; \
         CREATE FUNCTION s.f(int) RETURNS int LANGUAGE sql AS 'SELECT 1'; CREATE OPERATOR s.|> (LEFTARG = int, RIGHTARG = int, FUNCTION = int4pl); \
         CREATE TEXT SEARCH CONFIGURATION s.c (COPY = simple); \
         CREATE AGGREGATE s.a(int) (SFUNC = int4pl, STYPE = int); \
         ALTER EVENT TRIGGER pg_courier_ddl ENABLE ALWAYS",
    );
    news(&source);
    for (object, expected) in [
        ("s.t", "CAPTURE t"),
        ("s.e", "CAPTURE e"),
        ("s.q", "CAPTURE q"),
        ("s", "CAPTURE s"),
        ("s.v", "CAPTURE v"),
        ("s.f(int)", "CAPTURE f"),
        ("s.a(int)", "CAPTURE a"),
        ("s.|>(int,int)", "CAPTURE |>"),
    ] {
        source.run(DATABASE, &format!("SELECT courier.capture('{object}')"));
        assert_eq!(news(&source), [expected]);
    }
    source.run(DATABASE, "SELECT courier.capture('s.t'::regclass::oid::text)");
    assert_eq!(news(&source), ["CAPTURE t"]);
    source.run(DATABASE, "SELECT courier.capture('s.c'::regconfig::oid::text)");
    assert_eq!(news(&source), ["CAPTURE c"]);
    for (object, state) in [("s.none", "42704"), ("4294967295", "42704"), ("pg_catalog.pg_class", "42809")] {
        let answer = source.refuses(DATABASE, &format!("SELECT courier.capture('{object}')"));
        assert_eq!(answer.sqlstate, state, "{object}: {answer}");
    }
    assert!(news(&source).is_empty());
    source.run(
        DATABASE,
        "DO $$BEGIN FOR n IN 1..150 LOOP EXECUTE format('CREATE TABLE s.m%s (a int)', n); END LOOP; END$$; \
         UPDATE courier.task SET include = '{s.*}'; DELETE FROM courier.ddl_log",
    );
    assert_eq!(source.value(DATABASE, "SELECT courier.capture_task('watching')"), "2");
    let tables =
        "SELECT sum(jsonb_array_length(image::jsonb #> '{image,tables}')) FROM courier.ddl_log WHERE tag = 'CAPTURE'";
    assert_eq!(source.value(DATABASE, tables), "151");
    assert_eq!(source.refuses(DATABASE, "SELECT courier.capture_task('nobody')").sqlstate, "42704");
}

/// Four sessions change the same family of tables, its partitions, indexes, types and privileges at once: no command fails for the record, no
/// record is without its image, and the last image of each table is what the catalogs have.
#[test]
fn sessions_in_each_others_way() {
    let source = capturing();
    source.run(
        DATABASE,
        "CREATE ROLE r1; CREATE TYPE en AS ENUM ('a'); CREATE TABLE p (id int, k int, e en) PARTITION BY LIST (k); \
         CREATE TABLE p1 PARTITION OF p FOR VALUES IN (1); CREATE TABLE p2 PARTITION OF p FOR VALUES IN (2); CREATE TABLE t (id int, e en)",
    );
    let rounds = sized(40, 400);
    // Each of one session: what takes no lock that the others want, or one for a moment.
    let works: [&str; 4] = [
        "CREATE INDEX i%n ON p1 (k); COMMENT ON INDEX i%n IS 'x'; DROP INDEX i%n",
        "GRANT SELECT ON p TO r1; COMMENT ON TABLE p IS '%n'; REVOKE SELECT ON p FROM r1; ALTER TABLE p ALTER id SET DEFAULT %n",
        "CREATE TABLE s%n (id int PRIMARY KEY, e en[]); ALTER TABLE s%n ADD c int DEFAULT 1; CREATE STATISTICS x%n ON id, c FROM s%n; DROP TABLE s%n",
        "CREATE INDEX j%n ON p2 (id); ALTER TYPE en ADD VALUE 'v%n'; ALTER TABLE t ALTER e SET DEFAULT 'a'; DROP INDEX j%n; GRANT ALL ON TYPE en TO r1",
    ];
    std::thread::scope(|scope| {
        for work in works {
            let source = &source;
            scope.spawn(move || {
                let mut client = source.connect(DATABASE);
                for n in 0..rounds {
                    for command in work.split("; ") {
                        let command = command.replace("%n", &n.to_string());
                        match client.batch_execute(&command) {
                            // Their own locks; what is dropped then is not there.
                            Err(e) if ["40P01", "42704"].contains(&Answer::from(&e).sqlstate.as_str()) => {}
                            outcome => outcome.unwrap_or_else(|e| panic!("{command}: {}", Answer::from(&e))),
                        }
                    }
                }
            });
        }
    });
    let rows = source.value(DATABASE, "SELECT count(*) FROM courier.ddl_log");
    assert!(!source.log().contains("pg_courier could not"), "{}", source.log_tail(100));
    assert!(rows.parse::<u32>().expect("a number") > rounds * 12, "{rows}");
    source.run(DATABASE, "SELECT courier.capture('public.t')");
    let labels = "SELECT jsonb_array_length(jsonb_path_query_first(image::jsonb, '$.image.types[*] ? (@.name.name == \"en\").form.Enum.labels')) \
                       = (SELECT count(*) FROM pg_enum) FROM courier.ddl_log ORDER BY id DESC LIMIT 1";
    assert_eq!(source.value(DATABASE, labels), "t");
    source.assert_not_crashed();
}

/// The extension goes as it came, and its event triggers with it; what was recorded before does not keep it.
#[test]
fn the_extension_itself_goes() {
    let source = capturing();
    source.run(DATABASE, "CREATE TABLE t (a int); DELETE FROM courier.task; DROP EXTENSION pg_courier; DROP SCHEMA courier; ALTER TABLE t ADD b int");
    source.run(DATABASE, "CREATE EXTENSION pg_courier; ALTER TABLE t ADD c int; ALTER EXTENSION pg_courier UPDATE");
    assert_eq!(source.value(DATABASE, "SELECT count(*) FROM courier.ddl_log"), "0");
    source.assert_not_crashed();
}

/// A task that wants none of its tables changed: whatever concerns them fails, rows and other tables go on, and so does everything when the
/// task is over.
#[test]
fn a_task_that_refuses() {
    let source = capturing();
    source.run(
        DATABASE,
        "CREATE SCHEMA app; CREATE TABLE app.t (id int PRIMARY KEY, k int); CREATE TABLE other (id int); \
         CREATE TABLE app.p (id int) PARTITION BY LIST (id); \
         UPDATE courier.task SET ddl = 'refuse', include = '{app.*}', wanted = 'running'; \
         INSERT INTO courier.task_table (task_id, relid, table_name, kind) SELECT id, 'app.t'::regclass, 'app.t', 'r' FROM courier.task",
    );
    news(&source);
    for command in [
        "ALTER TABLE app.t ADD c int",
        "CREATE INDEX ON app.t (k)",
        "DROP TABLE app.t",
        "ALTER TABLE app.t RENAME TO u",
        "ALTER TABLE app.t SET SCHEMA public",
        "COMMENT ON COLUMN app.t.k IS 'x'",
        "CREATE TABLE app.n (id int)",
        "CREATE TABLE p1 PARTITION OF app.p FOR VALUES IN (1)",
        "DO $$BEGIN DROP SCHEMA app CASCADE; END$$",
    ] {
        let answer = source.refuses(DATABASE, command);
        assert_eq!(answer.sqlstate, "55000", "{command}: {answer}");
        assert_mentions(
            &answer.to_string(),
            &["task \"watching\" of pg_courier refuses", "courier.drop_task('watching')"],
        );
    }
    assert!(news(&source).is_empty());
    source.run(
        DATABASE,
        "INSERT INTO app.t VALUES (1, 1); ALTER TABLE other ADD c int; ALTER TABLE app.t REPLICA IDENTITY FULL; TRUNCATE app.t; \
         CREATE TEMP TABLE t (id int); DROP TABLE t, other",
    );
    assert_eq!(news(&source), ["ALTER TABLE other", "ALTER TABLE t", "DROP TABLE -table public.other"]);
    source.run(DATABASE, "UPDATE courier.task SET wanted = 'finished'; ALTER TABLE app.t ADD c int");
    source.assert_not_crashed();
}
