//! Operator families and classes, which only superusers make: with one on the destination they come like all else, without one somebody is
//! told before the start, with the statements.

use pg_courier_tests::Pair;
use pg_courier_tests::pair::DATABASE;

use super::{assert_alike, assert_answers, create, fixes, of_this_major, pair_without_superuser, start};
use crate::common::{TASK, assert_mentions, findings, omitted};

/// Integers in reverse, with and across types, hashed by a function of one's own; a family whose name has what ends statements in it.
const CLASSES: &str = "
    CREATE FUNCTION lt(int, int) RETURNS boolean LANGUAGE sql IMMUTABLE STRICT AS 'SELECT $1 > $2';
    CREATE FUNCTION le(int, int) RETURNS boolean LANGUAGE sql IMMUTABLE STRICT AS 'SELECT $1 >= $2';
    CREATE FUNCTION eq(int, int) RETURNS boolean LANGUAGE sql IMMUTABLE STRICT AS 'SELECT $1 = $2';
    CREATE FUNCTION ge(int, int) RETURNS boolean LANGUAGE sql IMMUTABLE STRICT AS 'SELECT $1 <= $2';
    CREATE FUNCTION gt(int, int) RETURNS boolean LANGUAGE sql IMMUTABLE STRICT AS 'SELECT $1 < $2';
    CREATE FUNCTION cmp(int, int) RETURNS int LANGUAGE sql IMMUTABLE STRICT AS 'SELECT btint4cmp($2, $1)';
    CREATE FUNCTION lt(int, bigint) RETURNS boolean LANGUAGE sql IMMUTABLE STRICT AS 'SELECT $1 > $2';
    CREATE FUNCTION cmp(int, bigint) RETURNS int LANGUAGE sql IMMUTABLE STRICT AS 'SELECT btint84cmp($2, $1)';
    CREATE FUNCTION hashed(int, bigint) RETURNS bigint LANGUAGE sql IMMUTABLE AS 'SELECT $1 + $2';
    CREATE OPERATOR <! (LEFTARG = int, RIGHTARG = int, FUNCTION = lt, COMMUTATOR = >!, NEGATOR = >=!);
    CREATE OPERATOR <=! (LEFTARG = int, RIGHTARG = int, FUNCTION = le, COMMUTATOR = >=!, NEGATOR = >!);
    CREATE OPERATOR =! (LEFTARG = int, RIGHTARG = int, FUNCTION = eq, COMMUTATOR = =!, HASHES, MERGES);
    CREATE OPERATOR >=! (LEFTARG = int, RIGHTARG = int, FUNCTION = ge, COMMUTATOR = <=!, NEGATOR = <!);
    CREATE OPERATOR >! (LEFTARG = int, RIGHTARG = int, FUNCTION = gt, COMMUTATOR = <!, NEGATOR = <=!);
    CREATE OPERATOR <! (LEFTARG = int, RIGHTARG = bigint, FUNCTION = lt);
    CREATE OPERATOR FAMILY \"odd;\nDROP TABLE t -- , (\" USING btree;
    CREATE OPERATOR CLASS reverse FOR TYPE int USING btree FAMILY \"odd;\nDROP TABLE t -- , (\" AS
        OPERATOR 1 <!, OPERATOR 2 <=!, OPERATOR 3 =!, OPERATOR 4 >=!, OPERATOR 5 >!, FUNCTION 1 cmp(int, int);
    ALTER OPERATOR FAMILY \"odd;\nDROP TABLE t -- , (\" USING btree ADD OPERATOR 1 <! (int, bigint), FUNCTION 1 (int, bigint) cmp(int, bigint);
    CREATE OPERATOR CLASS parted FOR TYPE int USING hash AS OPERATOR 1 =(int, int), FUNCTION 2 hashed(int, bigint);
    CREATE OPERATOR CLASS \"Near\" FOR TYPE point USING gist AS STORAGE box, OPERATOR 11 |>>, OPERATOR 15 <-> FOR ORDER BY float_ops,
        FUNCTION 1 gist_point_consistent(internal, point, smallint, oid, internal), FUNCTION 2 gist_box_union(internal, internal),
        FUNCTION 3 gist_point_compress(internal), FUNCTION 5 gist_box_penalty(internal, internal, internal),
        FUNCTION 6 gist_box_picksplit(internal, internal), FUNCTION 7 gist_box_same(box, box, internal),
        FUNCTION 8 gist_point_distance(internal, point, smallint, oid, internal);
    COMMENT ON OPERATOR CLASS reverse USING btree IS 'backwards'; COMMENT ON OPERATOR FAMILY parted USING hash IS 'spread'";

/// Parts and tables that need them.
const TABLES: &str = "
    CREATE TYPE backwards AS RANGE (SUBTYPE = int, SUBTYPE_OPCLASS = reverse);
    CREATE TABLE t (id int PRIMARY KEY, at point, r backwards, EXCLUDE USING btree (id reverse WITH =!));
    CREATE INDEX t_reverse ON t (id reverse); CREATE INDEX t_near ON t USING gist (at \"Near\");
    CREATE TABLE p (id int, v text) PARTITION BY HASH (id parted);
    CREATE TABLE p0 PARTITION OF p FOR VALUES WITH (MODULUS 2, REMAINDER 0);
    CREATE TABLE p1 PARTITION OF p FOR VALUES WITH (MODULUS 2, REMAINDER 1);
    INSERT INTO t SELECT g, point(g, g), backwards(g + 1, g) FROM generate_series(1, 20) g;
    INSERT INTO p SELECT g, g FROM generate_series(1, 40) g";

/// Where the task's user may, all of it comes with what needs it, before the start and in the stream.
#[test]
fn classes_come_where_a_superuser_makes_them() {
    let pair = Pair::start();
    pair.destination.run("postgres", "ALTER ROLE courier SUPERUSER");
    pair.source.run(DATABASE, &of_this_major(CLASSES));
    pair.source.run(DATABASE, TABLES);
    create(&pair, &["public.*"]);
    for item in ["cannot_create", "destination_names"] {
        assert_mentions(&findings(&pair, item), &["ok"]);
    }
    assert!(!findings(&pair, "left_out").contains("operator"), "{}", findings(&pair, "left_out"));
    start(&pair);
    assert_alike(&pair, "public");
    let rows = "SELECT (SELECT string_agg(t::text, ',' ORDER BY id USING <!) FROM t), (SELECT count(*) FROM p0), (SELECT sum(id) FROM p1)";
    assert_answers(&pair, &format!("SELECT md5(concat(a, b, c)) FROM ({rows}) AS x(a, b, c)"));

    // What is added to a family, or taken away, and a class that comes with a table.
    pair.source.run(
        DATABASE,
        "CREATE FUNCTION gt(int, bigint) RETURNS boolean LANGUAGE sql IMMUTABLE STRICT AS 'SELECT $1 < $2';
         CREATE OPERATOR >! (LEFTARG = int, RIGHTARG = bigint, FUNCTION = gt);
         ALTER OPERATOR FAMILY \"odd;\nDROP TABLE t -- , (\" USING btree ADD OPERATOR 5 >! (int, bigint);
         ALTER OPERATOR FAMILY \"odd;\nDROP TABLE t -- , (\" USING btree DROP OPERATOR 1 (int, bigint);
         ALTER OPERATOR FAMILY \"odd;\nDROP TABLE t -- , (\" USING btree RENAME TO \"better;\n, )\";
         ALTER OPERATOR CLASS reverse USING btree RENAME TO \"Reversed\"; COMMENT ON OPERATOR CLASS \"Reversed\" USING btree IS 'still';
         CREATE TYPE mood AS ENUM ('a', 'b'); CREATE OPERATOR FAMILY mood USING hash;
         CREATE FUNCTION same(mood, mood) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT enum_eq($1, $2)';
         CREATE FUNCTION hashed(mood) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT hashenum($1)';
         CREATE OPERATOR === (LEFTARG = mood, RIGHTARG = mood, FUNCTION = same);
         CREATE OPERATOR CLASS moods DEFAULT FOR TYPE mood USING hash FAMILY mood AS OPERATOR 1 ===, FUNCTION 1 hashed(mood);
         CREATE TABLE m (id int PRIMARY KEY, m mood); CREATE INDEX m_m ON m USING hash (m moods);
         ALTER TYPE mood RENAME TO temper; INSERT INTO m VALUES (1, 'a');
         CREATE OPERATOR CLASS passing FOR TYPE int USING hash AS OPERATOR 1 =! (int, int), FUNCTION 1 hashint4(int)",
    );
    pair.source.run(
        DATABASE,
        "DROP OPERATOR CLASS passing USING hash; DROP INDEX t_near; DROP OPERATOR FAMILY \"Near\" USING gist CASCADE",
    );
    pair.caught_up(DATABASE, TASK);
    assert_alike(&pair, "public");
    pair.assert_same(DATABASE, &["public.t", "public.p", "public.m"]);
    let refused = "SELECT count(*) FROM courier.ddl WHERE state NOT IN ('applied', 'filtered')";
    assert_eq!(pair.source.value(DATABASE, refused), "0");
}

/// Else they count where somebody has made them there. What to run is said before, for a table that cannot be without one, and for one that
/// nothing needs.
#[test]
fn whoever_is_a_superuser_is_told_what_to_run() {
    let pair = pair_without_superuser();
    pair.source.run(DATABASE, &of_this_major(CLASSES));
    pair.source.run(DATABASE, TABLES);
    create(&pair, &["public.*"]);
    assert_mentions(
        &omitted(&pair),
        &[
            "operator class | public.parted USING hash | only superusers make it",
            "operator family | public.parted USING hash | only superusers make it",
            "index | t_reverse on public.t | depends on operator class public.reverse for access method btree",
            "table | public.p | cannot create: depends on operator class public.parted for access method hash",
        ],
    );
    assert_mentions(
        &findings(&pair, "cannot_create"),
        &["failed", "public.p", "public.backwards", "CREATE OPERATOR CLASS public.parted"],
    );
    assert_mentions(&findings(&pair, "left_out"), &["public.\"Near\" USING gist", "only superusers make it"]);
    for fix in fixes(&pair, "cannot_create") {
        assert_mentions(&fix, &["SET ROLE \"courier\"; ", "-- on the destination, as superuser"]);
        pair.destination.run(DATABASE, &fix);
    }
    assert_mentions(&findings(&pair, "cannot_create"), &["ok"]);
    assert_mentions(&findings(&pair, "destination_names"), &["ok"]);
    start(&pair);
    pair.assert_same(DATABASE, &["public.t", "public.p"]);
    let made = "SELECT string_agg(concat(opcname, ' ', pg_get_userbyid(opcowner)), ',' ORDER BY opcname) FROM pg_opclass WHERE oid >= 16384";
    assert_eq!(pair.destination.value(DATABASE, made), "parted postgres,reverse postgres");
    let owner = "SELECT string_agg(DISTINCT pg_get_userbyid(proowner), ',') FROM pg_proc WHERE proname IN ('cmp', 'lt', 'hashed') AND pronamespace = 'public'::regnamespace";
    assert_eq!(pair.destination.value(DATABASE, owner), "courier");
    let indexes =
        "SELECT string_agg(relname, ',' ORDER BY relname) FROM pg_class WHERE relkind = 'i' AND relname LIKE 't\\_%'";
    assert_eq!(pair.destination.value(DATABASE, indexes), "t_id_excl,t_pkey,t_reverse");

    // A later one is held, with the index that needs it, and the rows go on.
    pair.source.run(
        DATABASE,
        "CREATE OPERATOR CLASS later FOR TYPE int USING hash AS OPERATOR 1 =! (int, int), FUNCTION 1 hashint4(int);
         CREATE INDEX t_later ON t USING hash (id later); INSERT INTO t (id) VALUES (100)",
    );
    pair.assert_mirrored(TASK, &["public.t"]);
    let held = "SELECT string_agg(error, ' ') FROM courier.ddl WHERE state = 'held'";
    assert_mentions(
        &pair.source.value(DATABASE, held),
        &[
            "only superusers make it, and the task's user there is none: operator class public.later USING hash, operator family public.later USING hash",
            "index t_later",
        ],
    );
}
