//! Materialized views get their rows aside: what takes an hour there stops nobody, and whatever comes meanwhile finds the view as it should
//! be. A refresh lasts as long as the destination has a table `gate`.

use pg_courier_tests::Pair;
use pg_courier_tests::pair::DATABASE;

use super::aside::{ASIDE, assert_done, pair_with_large_tables, wait_for_states};
use super::equal::assert_equal;
use crate::common::{TASK, assert_mentions};

const PASSES: &str = "CREATE FUNCTION passes() RETURNS boolean LANGUAGE plpgsql AS $$BEGIN \
    IF to_regclass('public.broken') IS NOT NULL THEN RAISE 'it is broken'; END IF; \
    WHILE EXISTS (SELECT FROM pg_catalog.pg_class c WHERE c.relname = 'gate') LOOP PERFORM pg_sleep(0.02); END LOOP; RETURN true; END$$";
const VIEW: &str = "CREATE MATERIALIZED VIEW mv AS SELECT id, v FROM t WHERE public.passes()";

fn pair_with_a_view() -> Pair {
    let pair = pair_with_large_tables();
    pair.source.run(DATABASE, PASSES);
    pair.source.run(DATABASE, VIEW);
    pair.source.run(DATABASE, "CREATE UNIQUE INDEX mv_id ON mv (id)");
    wait_for_states(&pair, "applied applied applied");
    assert_done(&pair);
    pair
}

fn close_gate(pair: &Pair) {
    pair.destination.run(DATABASE, "CREATE TABLE gate ()");
}

fn open_gate(pair: &Pair) {
    pair.destination.run(DATABASE, "DROP TABLE gate");
}

#[track_caller]
fn wait_for_a_refresh(pair: &Pair) {
    let runs = "EXISTS (SELECT FROM pg_stat_activity WHERE query LIKE 'REFRESH MATERIALIZED VIEW %' AND state = 'active' AND wait_event = 'PgSleep')";
    pair.destination.wait_until(DATABASE, "a view gets rows", runs);
}

#[test]
fn the_stream_goes_on_while_a_view_gets_its_rows() {
    let pair = pair_with_a_view();
    let mut holder = pair.destination.connect(DATABASE);
    // No LOCK TABLE takes a view.
    holder.batch_execute("BEGIN; CREATE INDEX held ON mv (v)").expect("a lock");
    pair.source
        .run(DATABASE, "INSERT INTO t SELECT g, 'x' FROM generate_series(1001, 2000) g; REFRESH MATERIALIZED VIEW mv");
    pair.source.run(DATABASE, "INSERT INTO o (id) SELECT generate_series(1001, 2000)");
    pair.caught_up(DATABASE, TASK);
    assert_eq!(pair.destination.value(DATABASE, "SELECT count(*) FROM o"), "1020");
    wait_for_states(&pair, "applied applied applied aside");
    for _ in 0..3 {
        pair.source.run(DATABASE, "REFRESH MATERIALIZED VIEW CONCURRENTLY mv");
    }
    pair.caught_up(DATABASE, TASK);
    wait_for_states(&pair, "applied applied applied aside aside aside aside");
    let items = "SELECT count(*) <= 2 FROM courier_applied.pending";
    assert_eq!(pair.destination.value(DATABASE, items), "t", "one that has begun, and one for all that came since");
    pair.destination.wait_until(
        DATABASE,
        "it waits",
        "EXISTS (SELECT FROM pg_stat_activity WHERE query LIKE 'REFRESH %CONCURRENTLY%' AND wait_event_type = 'Lock')",
    );
    pair.source.kill_process(pair.source.pids(ASIDE)[0]);
    pair.source.run(DATABASE, "INSERT INTO o (id) VALUES (3000)");
    pair.caught_up(DATABASE, TASK);
    assert_eq!(pair.destination.value(DATABASE, "SELECT count(*) FROM mv"), "50");
    holder.batch_execute("ROLLBACK").expect("its end");
    wait_for_states(&pair, "applied applied applied applied applied applied applied");
    assert_done(&pair);
}

/// Each of these comes while the view gets its rows, and does not wait for that.
#[test]
fn a_later_command_comes_before_a_view_has_its_rows() {
    let pair = pair_with_a_view();
    let stories = [
        "ALTER MATERIALIZED VIEW mv RENAME TO mw; COMMENT ON MATERIALIZED VIEW mw IS 'x'; ALTER MATERIALIZED VIEW mw RENAME TO mv",
        "CREATE SCHEMA other; ALTER MATERIALIZED VIEW mv SET SCHEMA other; ALTER MATERIALIZED VIEW other.mv SET SCHEMA public",
        "REFRESH MATERIALIZED VIEW mv WITH NO DATA; REFRESH MATERIALIZED VIEW mv",
        "DROP INDEX mv_id; CREATE UNIQUE INDEX mv_id ON mv (id)",
        "ALTER TABLE t ADD c int; ALTER TABLE t DROP c",
        "ALTER TABLE t RENAME v TO w; ALTER TABLE t RENAME w TO v",
        "TRUNCATE t CASCADE; INSERT INTO t SELECT g, 'n' || g FROM generate_series(1, 9) g; REFRESH MATERIALIZED VIEW mv",
        "CREATE MATERIALIZED VIEW m2 AS SELECT count(*) FROM mv; CREATE VIEW m3 AS SELECT * FROM m2; \
         CREATE MATERIALIZED VIEW m4 AS SELECT * FROM m3; DROP MATERIALIZED VIEW m2 CASCADE",
        "GRANT SELECT ON mv TO PUBLIC",
        "DROP MATERIALIZED VIEW mv",
    ];
    for (n, story) in stories.iter().enumerate() {
        close_gate(&pair);
        pair.source.run(DATABASE, "REFRESH MATERIALIZED VIEW mv");
        wait_for_a_refresh(&pair);
        for statement in story.split("; ") {
            pair.source.run(DATABASE, statement);
        }
        pair.source.run(DATABASE, &format!("INSERT INTO o (id) VALUES (1000 + {n})"));
        // The stream passes while the gate is closed.
        pair.caught_up(DATABASE, TASK);
        let passed = format!("SELECT count(*) FROM o WHERE id = 1000 + {n}");
        assert_eq!(pair.destination.value(DATABASE, &passed), "1", "{story}");
        println!("{story}");
        open_gate(&pair);
        assert_done(&pair);
    }
    let states = "SELECT string_agg(DISTINCT state, ' ') FROM courier.ddl";
    pair.source.wait_until(DATABASE, "all is applied", &format!("({states}) = 'applied'"));
}

/// What came after the beginning of one is in the rows of the next.
#[test]
fn a_refresh_that_has_begun_is_followed_by_another() {
    let pair = pair_with_a_view();
    let canceled = || pair.destination.log_count("canceling statement due to user request");
    let before_it = canceled();
    close_gate(&pair);
    pair.source.run(DATABASE, "REFRESH MATERIALIZED VIEW mv");
    wait_for_a_refresh(&pair);
    let session =
        "SELECT pid FROM pg_stat_activity WHERE query LIKE 'REFRESH MATERIALIZED VIEW %' AND state = 'active'";
    let before = pair.destination.value(DATABASE, session);
    pair.source.run(DATABASE, "INSERT INTO t VALUES (1000, 'later'); REFRESH MATERIALIZED VIEW mv");
    pair.source.run(DATABASE, "REFRESH MATERIALIZED VIEW mv");
    pair.caught_up(DATABASE, TASK);
    wait_for_states(&pair, "applied applied applied aside aside aside");
    assert_eq!(pair.destination.value(DATABASE, "SELECT count(*) FROM courier_applied.pending"), "2");
    assert_eq!(pair.destination.value(DATABASE, session), before, "it goes on");
    assert_eq!(canceled(), before_it);
    open_gate(&pair);
    wait_for_states(&pair, "applied applied applied applied applied applied");
    assert_done(&pair);
}

/// It is there at once, and gets its rows later; what reads it gets them after it.
#[test]
fn a_new_view_is_filled_aside() {
    let pair = pair_with_large_tables();
    pair.source.run(DATABASE, PASSES);
    pair.caught_up(DATABASE, TASK);
    close_gate(&pair);
    pair.source.run(DATABASE, VIEW);
    wait_for_a_refresh(&pair);
    pair.source
        .run(DATABASE, "CREATE UNIQUE INDEX mv_id ON mv (id); CREATE MATERIALIZED VIEW m2 AS SELECT count(*) FROM mv");
    pair.caught_up(DATABASE, TASK);
    wait_for_states(&pair, "applied aside applied aside");
    let populated = "SELECT string_agg(relispopulated::text, ' ') FROM pg_class WHERE relkind = 'm'";
    assert_eq!(pair.destination.value(DATABASE, populated), "false false");
    open_gate(&pair);
    wait_for_states(&pair, "applied applied applied applied");
    assert_done(&pair);
    assert_eq!(pair.destination.value(DATABASE, populated), "true true");
}

/// What fails is told, and tried again; rows go on. The next REFRESH tries at once.
#[test]
fn a_view_that_fails_there_is_told() {
    let pair = pair_with_a_view();
    pair.destination.run(DATABASE, "CREATE TABLE broken ()");
    pair.source.run(DATABASE, "REFRESH MATERIALIZED VIEW mv");
    wait_for_states(&pair, "applied applied applied failed aside");
    assert_mentions(
        &pair.source.value(DATABASE, "SELECT error FROM courier.ddl WHERE id = (SELECT max(id) FROM courier.ddl)"),
        &["public.mv", "it is broken"],
    );
    pair.source.run(DATABASE, "INSERT INTO t VALUES (100, 'x')");
    pair.caught_up(DATABASE, TASK);
    assert_eq!(pair.task(DATABASE, TASK, "state"), "synchronizing");
    // Nobody wants it any more.
    let skip = "SELECT courier.ddl_skip(task, id) FROM courier.ddl WHERE state = 'failed aside'";
    pair.source.run(DATABASE, skip);
    wait_for_states(&pair, "applied applied applied skipped");
    pair.source.run(DATABASE, "REFRESH MATERIALIZED VIEW mv");
    wait_for_states(&pair, "applied applied applied skipped failed aside");
    pair.destination.run(DATABASE, "DROP TABLE broken");
    pair.source.run(DATABASE, "REFRESH MATERIALIZED VIEW mv");
    wait_for_states(&pair, "applied applied applied skipped applied applied");
    assert_done(&pair);
}

/// By default what a view reads has to be large for it.
#[test]
fn small_views_get_their_rows_in_the_stream() {
    let pair = super::followed_pair();
    pair.source.run(DATABASE, "CREATE MATERIALIZED VIEW mv AS SELECT id, v FROM t");
    pair.source.run(DATABASE, "INSERT INTO t VALUES (100, 'x'); REFRESH MATERIALIZED VIEW mv");
    pair.caught_up(DATABASE, TASK);
    wait_for_states(&pair, "applied applied");
    assert_equal(&pair);
    // Rows that are large, beneath another view.
    pair.source.set("courier.ddl_inline_limit", Some("1"));
    pair.source.run(
        DATABASE,
        "INSERT INTO t SELECT g, repeat('x', 900) FROM generate_series(1000, 4000) g; CREATE VIEW w AS SELECT * FROM t",
    );
    pair.caught_up(DATABASE, TASK);
    let mut holder = pair.destination.connect(DATABASE);
    holder.batch_execute("BEGIN; SELECT FROM mv").expect("a reader");
    pair.source.run(DATABASE, "CREATE MATERIALIZED VIEW m2 AS SELECT count(*) FROM w; REFRESH MATERIALIZED VIEW mv");
    pair.caught_up(DATABASE, TASK);
    holder.batch_execute("COMMIT").expect("its end");
    wait_for_states(&pair, "applied applied applied applied applied");
    let aside = "SELECT count(*) FROM courier.ddl WHERE tag LIKE '%MATERIALIZED VIEW'";
    assert_eq!(pair.source.value(DATABASE, aside), "4");
    assert_done(&pair);
}
