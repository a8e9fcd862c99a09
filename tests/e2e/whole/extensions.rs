//! Extensions come with what needs them, and with their schema; so do the rows that users have put into their tables.

use pg_courier_tests::Pair;
use pg_courier_tests::pair::DATABASE;

use super::{assert_answers, create, fixes, pair_without_superuser, start};
use crate::common::{TASK, assert_mentions, findings, omitted};

/// A function needs an extension in its text, which no catalog knows; an index needs one that requires another. Of those that nothing is
/// known to need some cannot be had there: the task starts without them, and says so. A view needs one of these: then it does not start.
#[test]
fn extensions_come_with_their_schema() {
    let pair = pair_without_superuser();
    let install = pair.source.install;
    if !install.has_extension("hstore") || !pair.destination.install.has_extension("hstore") {
        println!("this server has no contrib modules: nothing to test");
        return;
    }
    let script = "CREATE FUNCTION far(int) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT $1 + 1';";
    let _there = pair.destination.install.with_script("requires_cube", "superuser = false\nrequires = 'cube'", script);
    let _here = install.with_script("requires_cube", "superuser = false\nrequires = 'cube'", script);
    let only_here = install.with_script("only_here", "superuser = false", script);
    let far_here = install.with_script("far_here", "superuser = true", "CREATE FOREIGN DATA WRAPPER far_here;");
    pair.source.run(
        DATABASE,
        "CREATE SCHEMA ext; CREATE EXTENSION cube SCHEMA ext; CREATE EXTENSION hstore; CREATE EXTENSION only_here; \
         CREATE EXTENSION pageinspect; CREATE EXTENSION citext SCHEMA ext; CREATE EXTENSION requires_cube SCHEMA ext; \
         CREATE EXTENSION far_here SCHEMA ext; CREATE SERVER \"Far\" FOREIGN DATA WRAPPER far_here; \
         CREATE FUNCTION h() RETURNS text LANGUAGE plpgsql AS $$BEGIN RETURN (public.hstore('a', 'b') || 'c=>d')::text; END$$; \
         CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1); CREATE INDEX t_far ON t (ext.far(id))",
    );
    drop((only_here, far_here));
    create(&pair, &["public.*"]);
    let lines = "SELECT string_agg(DISTINCT object || COALESCE(': ' || reason, ''), '; ') FROM courier.plan('shop_to_dr') WHERE detail LIKE 'extension%' AND action = 'create'";
    let lines = pair.source.value(DATABASE, lines);
    assert_mentions(
        &lines,
        &["cube; hstore: nothing that is created is known to need it", "pageinspect: ", "; requires_cube"],
    );
    let left_out = omitted(&pair);
    assert!(!left_out.contains("operator family"), "extensions bring their members: {left_out}");
    assert_mentions(&left_out, &["extension (2) | citext, far_here | not created"]);
    let found = findings(&pair, "destination_extensions");
    assert_mentions(
        &found,
        &[
            "warning | only_here | The destination server does not have it.",
            "warning | pageinspect | User courier may not create it",
            "warning | far_here | Its foreign-data wrapper is used by servers, and the destination server does not have it",
            "cannot make \"Far\" without it",
        ],
    );
    assert_eq!(found.lines().count(), 3, "{found}");
    start(&pair);
    let there = "SELECT string_agg(extname || ' ' || nspname, ', ' ORDER BY extname) FROM pg_extension x JOIN pg_namespace n ON n.oid = extnamespace";
    assert_eq!(
        pair.destination.value(DATABASE, there),
        "cube ext, hstore public, plpgsql pg_catalog, requires_cube ext"
    );
    assert_eq!(assert_answers(&pair, "SELECT h()"), r#""a"=>"b", "c"=>"d""#);
    assert_answers(&pair, "SELECT count(*) FROM pg_indexes WHERE indexname = 't_far'");
    let said = "SELECT string_agg(message, ', ' ORDER BY message) FROM courier.events WHERE kind = 'definitions'";
    assert_mentions(
        &pair.source.value(DATABASE, said),
        &["extension only_here is left out", "extension pageinspect is left out"],
    );
    pair.call(DATABASE, "drop_task", TASK);

    pair.source.run(
        DATABASE,
        "CREATE VIEW pages AS SELECT id, (public.page_header(public.get_raw_page('t', 0))).lower FROM t",
    );
    pair.destination.run(DATABASE, "DROP TABLE t; DROP FUNCTION h(); DROP EXTENSION requires_cube");
    create(&pair, &["public.*"]);
    assert_mentions(&findings(&pair, "destination_extensions"), &["failed | pageinspect"]);
    for fix in fixes(&pair, "destination_extensions") {
        pair.destination.run(DATABASE, &fix);
    }
    assert!(!findings(&pair, "destination_extensions").contains("pageinspect"));
    start(&pair);
    pair.assert_mirrored(TASK, &["public.t"]);
}

const PLACES: &str = "
    CREATE TABLE place (id int PRIMARY KEY, name text, of_extension boolean NOT NULL DEFAULT false);
    INSERT INTO place VALUES (1, 'here', true), (2, 'there', true);
    CREATE TABLE word (word text, at float8); CREATE SEQUENCE place_number;
    SELECT pg_catalog.pg_extension_config_dump('place', 'WHERE NOT of_extension -- as pg_dump has it');
    SELECT pg_catalog.pg_extension_config_dump('word', '');
    SELECT pg_catalog.pg_extension_config_dump('place_number', '');";

/// Rows that users have put into tables of an extension are there before the keys that lead to them, as pg_dump would have them: those that
/// pass the extension's filter, and no others. Later ones follow. Jobs stay, and so does what a stranger's SQL would choose.
#[test]
fn rows_of_configuration_tables() {
    let pair = Pair::start();
    let free = "superuser = false";
    let config = "CREATE TABLE {} (id int); SELECT pg_catalog.pg_extension_config_dump('{}', 'WHERE id > 0');";
    let config = |table: &str| config.replace("{}", table);
    let scripts = [("places", PLACES.to_owned()), ("pgagent", config("job")), ("strange", config("of_a_stranger"))];
    let files: Vec<_> = [&pair.source, &pair.destination]
        .iter()
        .flat_map(|server| scripts.iter().map(|(name, script)| server.install.with_script(name, free, script)))
        .collect();
    pair.source.run(
        DATABASE,
        "CREATE ROLE author; GRANT CREATE ON DATABASE shop TO author; GRANT CREATE ON SCHEMA public TO author; \
         CREATE EXTENSION places; CREATE EXTENSION pgagent; INSERT INTO job VALUES (1); \
         INSERT INTO place VALUES (7, E'it''s \"x\", {\\\\}'), (8, NULL); UPDATE place SET name = 'changed' WHERE id = 1; \
         INSERT INTO word VALUES ('w', 0.1), ('w', 0.1), (NULL, 'NaN'); SELECT nextval('place_number') FROM generate_series(1, 5); \
         CREATE TABLE layer (id int PRIMARY KEY, place int REFERENCES place); INSERT INTO layer VALUES (1, 7), (2, 2); \
         SET ROLE author; CREATE EXTENSION strange",
    );
    create(&pair, &["public.*"]);
    let planned = "SELECT string_agg(object || ': ' || detail, ', ' ORDER BY object) FROM courier.plan('shop_to_dr') \
                   WHERE action = 'copy' AND detail LIKE '% extension %'";
    assert_eq!(
        pair.source.value(DATABASE, planned),
        "public.place: rows of a table of extension places, public.place_number: value of a sequence of extension places, \
         public.word: rows of a table of extension places"
    );
    let left = [
        "public.job | they tell this server what to do",
        "public.of_a_stranger | which of them do, SQL of role author",
    ];
    assert_mentions(&omitted(&pair), &left);
    let found = findings(&pair, "destination_extension_rows");
    assert_mentions(&found, &["warning | public.job", "warning | public.of_a_stranger"]);
    assert_eq!(found.lines().count(), 2, "{found}");
    assert!(findings(&pair, "foreign_keys").starts_with("ok"));
    start(&pair);
    let rows = "SELECT (SELECT string_agg(p::text, ' ' ORDER BY id) FROM place p WHERE NOT of_extension), \
                (SELECT string_agg(DISTINCT w::text, ' ') FROM word w), (SELECT last_value FROM place_number), \
                (SELECT string_agg(conname || convalidated, ' ') FROM pg_constraint WHERE contype = 'f')";
    assert_answers(&pair, rows);
    assert_eq!(pair.destination.value(DATABASE, "SELECT name FROM place WHERE id = 1"), "here", "its filter says so");

    pair.source.run(
        DATABASE,
        "INSERT INTO place VALUES (9, 'late'); UPDATE place SET name = 'other' WHERE id = 7; INSERT INTO layer VALUES (3, 9); \
         SELECT nextval('place_number')",
    );
    pair.caught_up(DATABASE, TASK);
    assert_answers(&pair, rows);
    pair.assert_mirrored(TASK, &["public.layer"]);
    drop(files);
}
