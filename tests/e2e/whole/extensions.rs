//! Extensions come with what needs them, and with their schema; so do the rows that users have put into their tables.

use pg_courier_tests::Pair;
use pg_courier_tests::pair::DATABASE;

use super::{assert_answers, create, start};
use crate::common::{TASK, assert_mentions, findings, omitted};

/// The statements that precheck prints for an item.
fn fixes(pair: &Pair, item: &str) -> Vec<String> {
    let sql =
        format!("SELECT fix FROM courier.precheck('{TASK}') WHERE item = '{item}' AND fix IS NOT NULL ORDER BY fix");
    pair.source.rows(DATABASE, &sql).into_iter().flatten().flatten().collect()
}

/// A function needs an extension in its text, which no catalog knows; an index needs one that requires another. Of those that nothing is
/// known to need some cannot be had there: the task starts without them, and says so. A view needs one of these: then it does not start.
#[test]
fn extensions_come_with_their_schema() {
    let pair = Pair::start();
    let install = pair.source.install;
    if !install.has_extension("hstore") || !pair.destination.install.has_extension("hstore") {
        println!("this server has no contrib modules: nothing to test");
        return;
    }
    let script = "CREATE FUNCTION far(int) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT $1 + 1';";
    let _there = pair.destination.install.with_script("requires_cube", "superuser = false\nrequires = 'cube'", script);
    let _here = install.with_script("requires_cube", "superuser = false\nrequires = 'cube'", script);
    let only_here = install.with_script("only_here", "superuser = false", script);
    pair.source.run(
        DATABASE,
        "CREATE SCHEMA ext; CREATE EXTENSION cube SCHEMA ext; CREATE EXTENSION hstore; CREATE EXTENSION only_here; \
         CREATE EXTENSION pageinspect; CREATE EXTENSION citext SCHEMA ext; CREATE EXTENSION requires_cube SCHEMA ext; \
         CREATE FUNCTION h() RETURNS text LANGUAGE plpgsql AS $$BEGIN RETURN (public.hstore('a', 'b') || 'c=>d')::text; END$$; \
         CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1); CREATE INDEX t_far ON t (ext.far(id))",
    );
    drop(only_here);
    create(&pair, &["public.*"]);
    let lines = "SELECT string_agg(DISTINCT object || COALESCE(': ' || reason, ''), '; ') FROM courier.plan('shop_to_dr') WHERE detail LIKE 'extension%' AND action = 'create'";
    let lines = pair.source.value(DATABASE, lines);
    assert_mentions(
        &lines,
        &["cube; hstore: nothing that is created is known to need it", "pageinspect: ", "; requires_cube"],
    );
    assert_mentions(&omitted(&pair), &["extension | citext | not created"]);
    let found = findings(&pair, "destination_extensions");
    assert_mentions(
        &found,
        &[
            "warning | only_here | The destination server does not have it.",
            "warning | pageinspect | User courier may not create it",
        ],
    );
    assert_eq!(found.lines().count(), 2, "{found}");
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
