//! Code of people whom nobody vouches for does not come, whoever needs it, and both are said.

use pg_courier_tests::Pair;
use pg_courier_tests::pair::DATABASE;

use super::{assert_alike, create, start};
use crate::common::{TASK, assert_mentions, omitted};

const STRANGERS: &str = "
    CREATE ROLE stranger; GRANT CREATE ON SCHEMA public TO stranger;
    CREATE TABLE t (id int PRIMARY KEY, a int); INSERT INTO t SELECT g, g FROM generate_series(1, 10) g;
    GRANT SELECT ON t TO stranger;
    SET ROLE stranger;
    CREATE FUNCTION f(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $1'; CREATE VIEW v AS SELECT id FROM t;
    CREATE FUNCTION tf() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
    RESET ROLE;
    CREATE OPERATOR ~> (RIGHTARG = int, FUNCTION = f);
    CREATE TRIGGER tr BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION tf();
    CREATE INDEX t_f ON t (f(a)); ALTER TABLE t ADD CONSTRAINT o CHECK ((~> a) > 0);";

/// Needs another function, which the server records from 14 on.
const ABOVE: &str = "
    CREATE FUNCTION above(int) RETURNS int LANGUAGE sql BEGIN ATOMIC SELECT public.f($1); END;
    ALTER TABLE t ADD CONSTRAINT k CHECK (above(a) > 0)";

/// Whether there is one that needs another.
fn strangers(pair: &Pair) -> bool {
    pair.source.run(DATABASE, STRANGERS);
    let is_recorded = pair.source.install.major() >= 14;
    if is_recorded {
        pair.source.run(DATABASE, ABOVE);
    }
    is_recorded
}

#[test]
fn code_of_a_stranger_waits_until_somebody_vouches() {
    let pair = Pair::start();
    let with_above = strangers(&pair);
    create(&pair, &["public.*"]);
    let left_out = omitted(&pair);
    assert_mentions(
        &left_out,
        &[
            "function | public.f(integer) | belongs to role stranger",
            "view | public.v | belongs to role stranger",
            "operator | public.~> (none, integer) | depends on function public.f(integer)",
            "trigger | tr on public.t",
            "index | t_f on public.t",
            "check | o on public.t",
        ],
    );
    if with_above {
        let lines =
            ["function | public.above(integer) | depends on function public.f(integer)", "check | k on public.t"];
        assert_mentions(&left_out, &lines);
    }
    let way = format!("SELECT statement FROM courier.plan('{TASK}') WHERE object = 'public.v'");
    assert_eq!(pair.source.value(DATABASE, &way), format!("SELECT courier.trust_role('{TASK}', 'stranger')"));
    start(&pair);
    pair.assert_same(DATABASE, &["public.t"]);
    let made = "SELECT (SELECT count(*) FROM pg_proc WHERE pronamespace = 'public'::regnamespace) + (SELECT count(*) FROM pg_views \
                WHERE schemaname = 'public') + (SELECT count(*) FROM pg_trigger)";
    assert_eq!(pair.destination.value(DATABASE, made), "0");
    pair.source.run(DATABASE, "INSERT INTO t VALUES (11, 11)");
    pair.assert_mirrored(TASK, &["public.t"]);
}

/// Who is trusted before the start has everything created.
#[test]
fn a_trusted_role_is_as_good_as_a_superuser() {
    let pair = Pair::start();
    strangers(&pair);
    pair.destination.run("postgres", "CREATE ROLE stranger");
    create(&pair, &["public.*"]);
    pair.source.run(DATABASE, &format!("SELECT courier.trust_role('{TASK}', 'stranger')"));
    assert!(!omitted(&pair).contains("stranger, whom"), "{}", omitted(&pair));
    start(&pair);
    pair.destination.run(DATABASE, "GRANT CREATE ON SCHEMA public TO stranger");
    assert_alike(&pair, "public");
}
