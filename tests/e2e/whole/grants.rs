//! Who may do what on the source may do it there, and nobody else.

use pg_courier_tests::Pair;
use pg_courier_tests::pair::DATABASE;

use super::{assert_alike, create, start};
use crate::common::{TASK, assert_mentions, findings};

const GRANTED: &str = "
    CREATE SCHEMA s; GRANT USAGE ON SCHEMA s TO reader;
    CREATE TABLE s.t (id serial PRIMARY KEY, a int, b int); INSERT INTO s.t (a) SELECT generate_series(1, 10);
    GRANT SELECT ON s.t TO reader; GRANT UPDATE (a) ON s.t TO reader; GRANT USAGE ON SEQUENCE s.t_id_seq TO reader;
    GRANT INSERT ON s.t TO reader WITH GRANT OPTION;
    CREATE TYPE s.mood AS ENUM ('sad'); ALTER TABLE s.t ADD m s.mood; REVOKE ALL ON TYPE s.mood FROM PUBLIC;
    CREATE VIEW s.v AS SELECT id FROM s.t; GRANT SELECT ON s.v TO reader, PUBLIC;
    CREATE FUNCTION s.secret() RETURNS bigint LANGUAGE sql SECURITY DEFINER AS 'SELECT count(*) FROM s.t';
    REVOKE ALL ON FUNCTION s.secret() FROM PUBLIC; GRANT EXECUTE ON FUNCTION s.secret() TO reader;
    CREATE PROCEDURE s.pr() LANGUAGE sql AS 'SELECT 1'; REVOKE ALL ON PROCEDURE s.pr() FROM PUBLIC;
    CREATE AGGREGATE s.total(int) (SFUNC = int4pl, STYPE = int); REVOKE ALL ON FUNCTION s.total(int) FROM PUBLIC; GRANT EXECUTE ON FUNCTION s.total(int) TO reader;
    CREATE FUNCTION s.counts(bigint) RETURNS bigint LANGUAGE sql AS 'SELECT count(*) + $1 FROM s.v';
    CREATE AGGREGATE s.counted(*) (SFUNC = s.counts, STYPE = bigint, INITCOND = '0'); REVOKE ALL ON FUNCTION s.counted() FROM PUBLIC";

#[test]
fn grants_arrive() {
    let pair = Pair::start();
    for server in [&pair.source, &pair.destination] {
        server.run("postgres", "CREATE ROLE reader");
    }
    pair.source.run(DATABASE, GRANTED);
    create(&pair, &["s.*"]);
    assert_mentions(&findings(&pair, "destination_grantees"), &["ok"]);
    start(&pair);
    assert_alike(&pair, "s");
    pair.destination.refuses(DATABASE, "SET ROLE reader; UPDATE s.t SET b = 1");
    // Nobody had a moment in which he could call it.
    assert_eq!(
        pair.destination.value(DATABASE, "SELECT has_function_privilege('pg_monitor', 's.secret()', 'EXECUTE')"),
        "f"
    );
    // In the stream, too.
    pair.source.run(
        DATABASE,
        "GRANT EXECUTE ON FUNCTION s.counted() TO PUBLIC; REVOKE EXECUTE ON FUNCTION s.total(int) FROM reader; REVOKE ALL ON ROUTINE s.secret() FROM reader;
         GRANT EXECUTE ON ALL PROCEDURES IN SCHEMA s TO reader; CREATE AGGREGATE s.later(int) (SFUNC = int4pl, STYPE = int); REVOKE ALL ON FUNCTION s.later(int) FROM PUBLIC",
    );
    pair.caught_up(DATABASE, TASK);
    assert_alike(&pair, "s");
}

/// A role is missing there: what is granted to it is left out, and said before the start, with the statement.
#[test]
fn grants_to_a_missing_role_are_announced() {
    let pair = Pair::start();
    pair.source.run("postgres", "CREATE ROLE reader");
    pair.source.run(DATABASE, GRANTED);
    create(&pair, &["s.*"]);
    assert_mentions(
        &findings(&pair, "destination_grantees"),
        &["warning", "reader", "grants are to it: left out", "CREATE ROLE reader; -- on the destination"],
    );
    start(&pair);
    pair.assert_same(DATABASE, &["s.t"]);
    assert_eq!(
        pair.destination.value(DATABASE, "SELECT has_function_privilege('pg_monitor', 's.secret()', 'EXECUTE')"),
        "f"
    );
}
