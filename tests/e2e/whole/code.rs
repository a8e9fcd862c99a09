//! Functions, procedures, views and rules come with the tables that need them, and where the patterns name them.

use pg_courier_tests::pair::DATABASE;
use pg_courier_tests::{Pair, TaskOptions};

use super::{assert_alike, assert_answers, create, of_this_major, pair_without_superuser, start};
use crate::common::{TASK, assert_mentions, findings, omitted};

/// Everything that may need a function does: the database has to be usable when applications come.
const TABLES: &str = "
    CREATE SCHEMA util; CREATE SCHEMA app;
    CREATE FUNCTION util.slug(text) RETURNS text LANGUAGE sql IMMUTABLE STRICT
        AS $$ SELECT lower(regexp_replace($1, '\\s+', '-', 'g')) $$;
    CREATE SEQUENCE app.keys;
    CREATE FUNCTION app.new_key() RETURNS text LANGUAGE plpgsql AS $$ BEGIN RETURN 'K' || nextval('app.keys'); END $$;
    CREATE FUNCTION app.is_fine(text) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RETURN $1 <> ''; END $$;
    CREATE FUNCTION app.touch() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.touched := 1; RETURN NEW; END $$;
    CREATE DOMAIN app.word AS text CHECK (app.is_fine(VALUE));
    CREATE TABLE app.page (
        id text PRIMARY KEY DEFAULT app.new_key(), title app.word NOT NULL CHECK (app.is_fine(title)), touched int,
        slug text GENERATED ALWAYS AS (util.slug(title)) STORED);
    CREATE INDEX page_slug ON app.page (util.slug(title));
    CREATE TRIGGER touch BEFORE INSERT ON app.page FOR EACH ROW EXECUTE FUNCTION app.touch();
    ALTER TABLE app.page ENABLE ROW LEVEL SECURITY;
    CREATE POLICY fine ON app.page USING (app.is_fine(title));
    CREATE PROCEDURE app.clear() LANGUAGE sql AS 'DELETE FROM app.page';
    INSERT INTO app.page (title) SELECT 'Page No ' || g FROM generate_series(1, 50) g";

/// What a destination needs for an INSERT after cutover is there: the function of a default, of a check, of a trigger; that of a generated
/// column before its table, from a schema that no pattern names.
#[test]
fn functions_that_tables_need_are_there() {
    let pair = Pair::start();
    pair.source.run(DATABASE, TABLES);
    create(&pair, &["app.*"]);
    let left_out = omitted(&pair);
    assert!(!left_out.contains("function") && !left_out.contains("trigger"), "{left_out}");
    start(&pair);
    pair.source.run(DATABASE, "UPDATE app.page SET title = 'Changed Title' WHERE id = 'K1'");
    pair.caught_up(DATABASE, TASK);
    assert_alike(&pair, "app");
    assert_alike(&pair, "util");
    assert_answers(&pair, "SELECT md5(string_agg(p::text, ',' ORDER BY id)) FROM app.page p");
    pair.destination.run(DATABASE, "INSERT INTO app.page (title) VALUES ('after the cutover')");
    let written =
        "SELECT id LIKE 'K%' AND touched = 1 AND slug = 'after-the-cutover' FROM app.page WHERE title LIKE 'after%'";
    assert_eq!(pair.destination.value(DATABASE, written), "t");
    pair.destination.refuses(DATABASE, "INSERT INTO app.page (title) VALUES ('')");
}

/// Views on views, recursive ones, materialized ones with their indexes and rows, rules, INSTEAD OF triggers, comments.
#[test]
fn views_come_with_everything_on_them() {
    let pair = Pair::start();
    pair.source.run(
        DATABASE,
        &of_this_major(
            "CREATE TABLE t (id int PRIMARY KEY, a int); INSERT INTO t SELECT g, g FROM generate_series(1, 10) g;
         CREATE FUNCTION f(int) RETURNS int LANGUAGE sql BEGIN ATOMIC SELECT $1 + count(*)::int FROM public.t; END;
         CREATE FUNCTION g() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
         CREATE VIEW v AS SELECT id, f(a) AS fa FROM t; CREATE VIEW vv WITH (security_barrier) AS SELECT * FROM v;
         CREATE RECURSIVE VIEW rv(n) AS SELECT 1 UNION ALL SELECT n + 1 FROM rv WHERE n < 5;
         CREATE VIEW grouped AS SELECT id, a, count(*) FROM t GROUP BY id;
         CREATE MATERIALIZED VIEW a_late AS SELECT * FROM vv; CREATE UNIQUE INDEX mv_id ON a_late (id);
         CREATE MATERIALIZED VIEW a_first AS SELECT sum(fa) FROM a_late;
         CREATE MATERIALIZED VIEW empty AS SELECT 1 AS x WITH NO DATA;
         CREATE RULE r AS ON INSERT TO v DO INSTEAD NOTHING;
         CREATE RULE keep AS ON DELETE TO t WHERE old.id = 1 DO INSTEAD NOTHING;
         CREATE TRIGGER it INSTEAD OF UPDATE ON vv FOR EACH ROW EXECUTE FUNCTION g();
         ALTER VIEW v ALTER fa SET DEFAULT 7;
         COMMENT ON VIEW v IS 'a view'; COMMENT ON COLUMN v.fa IS 'a column'; COMMENT ON FUNCTION f(int) IS 'a function'",
        ),
    );
    create(&pair, &["public.*"]);
    start(&pair);
    assert_alike(&pair, "public");
    assert_answers(&pair, "SELECT (SELECT sum(fa) FROM a_late), (SELECT max(sum) FROM a_first)");
    assert_answers(
        &pair,
        "SELECT string_agg(relname || relispopulated, ',' ORDER BY relname) FROM pg_class WHERE relkind = 'm'",
    );
    // They are the task's from now on.
    pair.source.run(
        DATABASE,
        "ALTER VIEW vv RENAME TO w; ALTER FUNCTION g() RENAME TO h; DROP VIEW grouped; INSERT INTO t VALUES (11, 11);
         CREATE OR REPLACE VIEW v AS SELECT id, f(a) AS fa, a FROM t; REFRESH MATERIALIZED VIEW a_late",
    );
    pair.caught_up(DATABASE, TASK);
    pair.destination.wait_until(DATABASE, "the view has its rows", "(SELECT count(*) = 11 FROM a_late)");
    assert_alike(&pair, "public");
}

/// One table is chosen: what reads it stays away, what it needs does not, and the plan says which is which.
#[test]
fn a_chosen_table_brings_what_it_needs_and_nothing_else() {
    let pair = Pair::start();
    pair.source.run(DATABASE, TABLES);
    pair.source.run(
        DATABASE,
        "CREATE VIEW app.titles AS SELECT title FROM app.page; CREATE TABLE app.other (id int PRIMARY KEY);
         CREATE FUNCTION util.nobodys() RETURNS int LANGUAGE sql AS 'SELECT 1'",
    );
    create(&pair, &["app.page"]);
    let left_out = omitted(&pair);
    assert_mentions(&left_out, &["app.titles", "app.clear()", "no pattern names it"]);
    start(&pair);
    let made =
        "SELECT string_agg(proname, ',' ORDER BY proname) FROM pg_proc p JOIN pg_namespace n ON n.oid = pronamespace
                WHERE nspname IN ('app', 'util')";
    assert_eq!(pair.destination.value(DATABASE, made), "is_fine,new_key,slug,touch");
}

/// A view over a table that is not chosen cannot be created; a view over that one neither. Both are said, and nothing else is held up.
#[test]
fn a_view_of_what_does_not_travel_is_announced() {
    let pair = Pair::start();
    pair.source.run(
        DATABASE,
        "CREATE SCHEMA far; CREATE TABLE far.away (id int); CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1);
         CREATE VIEW both_of AS SELECT t.id FROM t JOIN far.away USING (id); CREATE VIEW above AS SELECT * FROM both_of;
         CREATE VIEW fine AS SELECT id FROM t",
    );
    create(&pair, &["public.*"]);
    assert_mentions(
        &omitted(&pair),
        &["view | public.both_of | depends on table far.away", "view | public.above | depends on view public.both_of"],
    );
    start(&pair);
    assert_eq!(
        pair.destination.value(DATABASE, "SELECT string_agg(viewname, ',') FROM pg_views WHERE schemaname = 'public'"),
        "fine"
    );
}

/// Somebody has made functions and views there before. The same ones are taken; another one is said before anything starts, with both
/// definitions.
#[test]
fn code_that_is_there_already() {
    let pair = Pair::start();
    let same =
        "CREATE FUNCTION f(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $1 + 1'; CREATE VIEW v AS SELECT 1 AS a;
                CREATE FUNCTION f(text) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT 5'";
    pair.source.run(
        DATABASE,
        &format!("{same}; CREATE TABLE t (id int PRIMARY KEY, a int DEFAULT f(1)); CREATE INDEX t_f ON t (f(a))"),
    );
    pair.destination.run(DATABASE, same);
    create(&pair, &["public.*"]);
    assert_mentions(&findings(&pair, "destination_names"), &["ok"]);
    pair.destination.run(
        DATABASE,
        "CREATE OR REPLACE FUNCTION f(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT 666'; DROP VIEW v;
         CREATE VIEW v AS SELECT 2 AS a",
    );
    assert_mentions(&findings(&pair, "destination_names"), &["failed", "public.f", "666"]);
    // Servers of two majors write one query differently, so those of views are not compared.
    if pair.source.install.major() == pair.destination.install.major() {
        assert_mentions(&findings(&pair, "destination_names"), &["public.v", "SELECT 2"]);
    }
    let answer = pair.source.refuses(DATABASE, &format!("SELECT courier.start('{TASK}')"));
    assert_mentions(&answer.to_string(), &["destination_names"]);
    pair.destination.run(
        DATABASE,
        "DROP FUNCTION f(int); CREATE FUNCTION f(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $1 + 1'; DROP VIEW v",
    );
    start(&pair);
    assert_alike(&pair, "public");
}

/// A function that belongs to somebody there who is no superuser could be changed by him later, and run with our rights.
#[test]
fn a_function_of_a_stranger_there_is_not_taken() {
    let pair = pair_without_superuser();
    let same = "CREATE FUNCTION f(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $1 + 1'";
    pair.source.run(DATABASE, &format!("{same}; CREATE TABLE t (id int PRIMARY KEY, a int CHECK (f(a) > 0))"));
    pair.destination.run(DATABASE, &format!("CREATE ROLE stranger; {same}; ALTER FUNCTION f(int) OWNER TO stranger"));
    create(&pair, &["public.*"]);
    assert_mentions(&findings(&pair, "destination_names"), &["failed", "stranger", "could make it do anything"]);
    // Nor by a superuser, who is a member of all roles.
    pair.destination.run(DATABASE, "ALTER ROLE courier SUPERUSER");
    assert_mentions(&findings(&pair, "destination_names"), &["failed", "stranger", "could make it do anything"]);
}

/// Without the stream of commands the objects come all the same, from the source as it is.
#[test]
fn code_comes_without_commands() {
    let pair = Pair::start();
    pair.source.run(DATABASE, TABLES);
    pair.source.run(
        DATABASE,
        "CREATE VIEW app.titles AS SELECT title FROM app.page; CREATE MATERIALIZED VIEW app.number AS SELECT count(*) FROM app.titles",
    );
    for (task, options) in [
        ("ignoring", TaskOptions { ddl: Some("ignore"), ..TaskOptions::default() }),
        ("copying", TaskOptions { incremental: Some(false), ..TaskOptions::default() }),
    ] {
        pair.create_task(DATABASE, task, &["app.*"], &options);
        pair.call(DATABASE, "start", task);
        let state = if options.incremental == Some(false) { "finished" } else { "synchronizing" };
        pair.wait_for_state(DATABASE, task, state);
        assert_alike(&pair, "app");
        assert_answers(&pair, "SELECT count FROM app.number");
        pair.call(DATABASE, "drop_task", task);
        pair.destination.run(DATABASE, "DROP SCHEMA app CASCADE; DROP SCHEMA util CASCADE");
    }
}

/// What is made of functions and types: aggregates of each kind, operators that know each other, casts, text search configurations with
/// dictionaries of users, conversions; types, domains, collations, schemas that no table needs.
#[test]
fn rare_objects_come_too() {
    let pair = Pair::start();
    pair.source.run(
        DATABASE,
        &of_this_major(
"CREATE TABLE t (id int PRIMARY KEY, body text);
         CREATE FUNCTION eq(t, t) RETURNS boolean LANGUAGE sql AS 'SELECT ($1).id = ($2).id';
         CREATE FUNCTION ne(t, t) RETURNS boolean LANGUAGE sql AS 'SELECT ($1).id <> ($2).id';
         CREATE OPERATOR === (LEFTARG = t, RIGHTARG = t, FUNCTION = eq, COMMUTATOR = ===, NEGATOR = !==, RESTRICT = eqsel, JOIN = eqjoinsel, HASHES);
         CREATE OPERATOR !== (LEFTARG = t, RIGHTARG = t, FUNCTION = ne, COMMUTATOR = !==, NEGATOR = ===);
         CREATE FUNCTION neg(text) RETURNS text LANGUAGE sql AS 'SELECT ''-'' || $1'; CREATE OPERATOR !! (RIGHTARG = text, FUNCTION = neg);
         CREATE AGGREGATE ag(int) (SFUNC = int4pl, STYPE = int, INITCOND = '7', COMBINEFUNC = int4pl, PARALLEL = SAFE);
         CREATE FUNCTION add(text, text, text) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT $1 || $2 || $3';
         CREATE AGGREGATE \"Odd one\"(text, text) (SFUNC = add, STYPE = text, INITCOND = 'it''s');
         CREATE AGGREGATE counted(*) (SFUNC = int8inc, STYPE = int8, INITCOND = '0', MSFUNC = int8inc, MINVFUNC = int8dec, MSTYPE = int8, MINITCOND = '0');
         CREATE FUNCTION gather(anyarray, anyelement) RETURNS anyarray LANGUAGE sql IMMUTABLE AS 'SELECT $1 || $2';
         CREATE AGGREGATE gathered(anycompatible) (SFUNC = array_append, STYPE = anycompatiblearray, INITCOND = '{}');
         CREATE FUNCTION nth(int[], int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $1[$2]';
         CREATE AGGREGATE picked(int ORDER BY int) (SFUNC = array_append, STYPE = int[], INITCOND = '{}', FINALFUNC = nth);
         CREATE TYPE mood AS ENUM ('x', 'y'); CREATE DOMAIN positive AS int CHECK (VALUE > 0); CREATE TYPE pair AS (a mood, b positive);
         CREATE TYPE moods AS RANGE (SUBTYPE = mood); CREATE COLLATION odd FROM \"C\"; CREATE SCHEMA empty;
         CREATE FUNCTION to_mood(int) RETURNS mood LANGUAGE sql AS 'SELECT ''x''::mood';
         CREATE CAST (int AS mood) WITH FUNCTION to_mood(int) AS ASSIGNMENT; CREATE CAST (mood AS text) WITH INOUT AS IMPLICIT;
         CREATE TEXT SEARCH DICTIONARY td (TEMPLATE = simple, STOPWORDS = english, ACCEPT = false);
         CREATE TEXT SEARCH CONFIGURATION tc (COPY = simple);
         CREATE TEXT SEARCH CONFIGURATION \"c;\nDROP TABLE g; -- ADD MAPPING FOR b WITH c\" (COPY = simple);
         ALTER TEXT SEARCH CONFIGURATION tc ALTER MAPPING FOR word, asciiword WITH td, english_stem;
         CREATE INDEX t_body ON t USING gin (to_tsvector('tc', body));
         CREATE TABLE d (id int PRIMARY KEY, body text, m mood DEFAULT 1::mood, v tsvector GENERATED ALWAYS AS (to_tsvector('tc', coalesce(body, ''))) STORED);
         CREATE TABLE g (id int PRIMARY KEY, body text, v tsvector);
         CREATE TRIGGER tsv BEFORE INSERT ON g FOR EACH ROW EXECUTE FUNCTION tsvector_update_trigger(v, 'public.tc', body);
         CREATE CONVERSION conv FOR 'LATIN1' TO 'UTF8' FROM iso8859_1_to_utf8;
         COMMENT ON OPERATOR === (t, t) IS 'same'; COMMENT ON AGGREGATE ag(int) IS 'sum'; COMMENT ON CAST (int AS mood) IS 'c';
         COMMENT ON TEXT SEARCH CONFIGURATION tc IS 'tc'; COMMENT ON DOMAIN positive IS 'p';
         INSERT INTO d (id, body) SELECT n, 'the words ' || n FROM generate_series(1, 20) n; INSERT INTO t SELECT n, 'word ' || n FROM generate_series(1, 20) n;
         CREATE TABLE \"use\" (id int PRIMARY KEY, n bigint DEFAULT 0); CREATE VIEW counts AS SELECT counted(*) AS n, ag(id) AS s FROM t",
),
    );
    create(&pair, &["public.*", "empty.*"]);
    let left_out = omitted(&pair);
    assert!(left_out.lines().all(|line| line.starts_with("owner")), "{left_out}");
    start(&pair);
    assert_alike(&pair, "public");
    assert_eq!(pair.destination.value(DATABASE, "SELECT count(*) FROM pg_namespace WHERE nspname = 'empty'"), "1");
    assert_answers(&pair, "SELECT md5(string_agg(d::text, ',' ORDER BY id)) FROM d");
    assert_answers(&pair, "SELECT (SELECT n FROM counts), (SELECT counted(*) FROM t)");
    pair.destination.run(DATABASE, "INSERT INTO g (id, body) VALUES (1, 'words')");

    // And in the stream.
    pair.source.run(
        DATABASE,
        "CREATE AGGREGATE later(int) (SFUNC = int4pl, STYPE = int); DROP AGGREGATE ag(int) CASCADE;
         CREATE FUNCTION le(t, t) RETURNS boolean LANGUAGE sql AS 'SELECT true'; CREATE OPERATOR <== (LEFTARG = t, RIGHTARG = t, FUNCTION = le);
         DROP OPERATOR !! (NONE, text); DROP CAST (int AS mood) CASCADE; CREATE CAST (mood AS int) WITH INOUT;
         CREATE TEXT SEARCH DICTIONARY later (TEMPLATE = simple); CREATE TEXT SEARCH CONFIGURATION later (COPY = english);
         ALTER TEXT SEARCH CONFIGURATION later ALTER MAPPING FOR word WITH later; DROP CONVERSION conv;
         COMMENT ON TEXT SEARCH CONFIGURATION later IS 'later'",
    );
    // What an index, a generated column or a view needs stays, and is another one.
    pair.source.run(
        DATABASE,
        "CREATE VIEW same AS SELECT a.id FROM t a JOIN t b ON a === b; ALTER OPERATOR === (t, t) SET (RESTRICT = NONE, JOIN = NONE);
         CREATE OR REPLACE AGGREGATE counted(*) (SFUNC = int8inc, STYPE = int8, INITCOND = '5');
         ALTER TEXT SEARCH DICTIONARY td (ACCEPT, STOPWORDS = 'english'); ALTER TEXT SEARCH CONFIGURATION tc DROP MAPPING FOR email, url;
         ALTER TEXT SEARCH CONFIGURATION tc ALTER MAPPING FOR word WITH simple; ALTER TEXT SEARCH CONFIGURATION tc SET SCHEMA empty;
         ALTER TEXT SEARCH CONFIGURATION \"c;\nDROP TABLE g; -- ADD MAPPING FOR b WITH c\" ALTER MAPPING FOR word WITH english_stem;
         ALTER SCHEMA empty RENAME TO filled; ALTER TEXT SEARCH CONFIGURATION filled.tc RENAME TO \"T c\";
         ALTER TEXT SEARCH CONFIGURATION filled.\"T c\" ADD MAPPING FOR email WITH td; ALTER TEXT SEARCH DICTIONARY td RENAME TO td2;
         CREATE CONVERSION conv FOR 'LATIN1' TO 'UTF8' FROM iso8859_1_to_utf8; ALTER CONVERSION conv RENAME TO conv2;
         COMMENT ON CONVERSION conv2 IS 'c'; ALTER SCHEMA filled RENAME TO empty;
         INSERT INTO d (id, body) VALUES (100, 'words of a@b.cd')",
    );
    pair.caught_up(DATABASE, TASK);
    assert_alike(&pair, "public");
    assert_alike(&pair, "empty");
    assert_eq!(
        pair.source.value(DATABASE, "SELECT count(*) FROM courier.ddl WHERE state NOT IN ('applied', 'filtered')"),
        "0"
    );
}
