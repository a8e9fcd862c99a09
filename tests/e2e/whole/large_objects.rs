//! Large objects belong to no table, and no stream carries them.

use pg_courier_tests::pair::DATABASE;
use pg_courier_tests::{Pair, TaskOptions};

use super::{assert_answers, pair_without_superuser, start};
use crate::common::TASK;

const OBJECTS: &str = "
    CREATE ROLE writer; CREATE ROLE reader;
    CREATE TABLE files (id int PRIMARY KEY, content oid); INSERT INTO files VALUES (1, 50001), (2, 50002), (3, 50003), (4, 50004);
    SELECT lo_from_bytea(50001, 'a small one'), lo_create(50002), lo_from_bytea(50004, 'what holds a zero: \\000.');
    SELECT lo_from_bytea(50003, string_agg(decode(md5(g::text), 'hex'), '' ORDER BY g)) FROM generate_series(1, 200000) g;
    ALTER LARGE OBJECT 50004 OWNER TO writer; GRANT SELECT ON LARGE OBJECT 50004 TO reader; GRANT SELECT ON LARGE OBJECT 50001 TO PUBLIC";

/// What they hold, and who may read them.
const CONTENT: &str = "
    SELECT string_agg(concat_ws(' ', m.oid, length(lo_get(m.oid)), md5(lo_get(m.oid)),
                      (SELECT string_agg(concat_ws(' ', pg_get_userbyid(nullif(a.grantee, 0)), a.privilege_type), ',' ORDER BY 1)
                         FROM aclexplode(m.lomacl) a WHERE a.grantee <> m.lomowner)), E'\\n' ORDER BY m.oid)
      FROM pg_largeobject_metadata m";

fn lines(pair: &Pair) -> Vec<String> {
    let sql = format!(
        "SELECT concat_ws(' ', loid, state, source_bytes, destination_bytes, statement) FROM courier.large_objects('{TASK}')"
    );
    pair.source.rows(DATABASE, &sql).into_iter().flatten().flatten().collect()
}

/// What verify() says about all of them, beside the tables.
fn verified(pair: &Pair) -> String {
    let sql = format!(
        "SELECT concat_ws(' ', source_rows, destination_rows, identical::text, nullif(array_to_string(differing_keys, ' '), ''), '| ' || error) \
         FROM courier.verify('{TASK}') WHERE table_name = 'pg_catalog.pg_largeobject'"
    );
    pair.source.value(DATABASE, &sql)
}

/// They are copied when somebody says so, under their oids; what is written later is found by the comparison, and sent by the next call. One
/// that is gone stays there, with the statement.
#[test]
fn they_are_copied_as_often_as_somebody_asks() {
    let pair = pair_without_superuser();
    pair.source.run(DATABASE, OBJECTS);
    pair.destination.run(DATABASE, "CREATE ROLE reader; CREATE ROLE writer");
    let options = TaskOptions { ddl: Some("replicate"), ..TaskOptions::default() };
    pair.create_task(DATABASE, TASK, &["public.*"], &options);
    let plan = "SELECT reason FROM courier.plan('shop_to_dr') WHERE action = 'omit' AND object LIKE '%of them%'";
    assert!(pair.source.value(DATABASE, plan).contains("courier.copy_large_objects()"));
    start(&pair);
    assert_eq!(
        lines(&pair),
        ["50001 missing 11", "50002 missing 0", "50003 missing 3200000", "50004 missing 21"],
        "nothing is there yet"
    );
    assert_eq!(
        verified(&pair),
        "4 0 50001 50002 50003 50004 | The source has 4 large objects, the destination none. No stream carries them. CALL courier.copy_large_objects('shop_to_dr');"
    );
    let answer = pair.source.refuses(DATABASE, "BEGIN; CALL courier.copy_large_objects('shop_to_dr'); COMMIT");
    assert_eq!(answer.sqlstate, "2D000", "{answer}");
    assert_eq!(lines(&pair).len(), 4, "nothing has been done");
    pair.source.run(DATABASE, "CALL courier.copy_large_objects('shop_to_dr')");
    assert_answers(&pair, CONTENT);
    assert_eq!(verified(&pair), "4 4 true");
    let first = "SELECT message FROM courier.events WHERE kind = 'large objects'";
    assert_eq!(pair.source.value(DATABASE, first), "4 large objects copied to the destination");
    let owner = "50004 privileges 21 21 ALTER LARGE OBJECT 50004 OWNER TO writer;";
    let owners: Vec<String> = lines(&pair);
    assert_eq!(owners.len(), 4, "the task's user is no member of the owners: {owners:?}");
    assert!(owners.iter().any(|line| line == owner), "{owners:?}");
    // One is somebody else's there: it is left, and the others go on.
    pair.source.run(DATABASE, "SELECT lo_from_bytea(49999, 'ours'), lo_from_bytea(50009, 'and another')");
    let theirs = "SELECT lo_from_bytea(49999, 'theirs'); GRANT SELECT ON LARGE OBJECT 49999 TO PUBLIC";
    pair.destination.run(DATABASE, theirs);
    pair.source.run(DATABASE, "CALL courier.copy_large_objects('shop_to_dr')");
    let states = lines(&pair);
    assert_eq!(states[0], "49999 different 4 6", "{states:?}");
    assert!(states.last().is_some_and(|line| line.starts_with("50009 privileges")), "{states:?}");
    assert_eq!(verified(&pair), "6 6 false 49999");
    pair.source.run(DATABASE, "SELECT lo_unlink(49999), lo_unlink(50009)");
    pair.destination.run(DATABASE, "SELECT lo_unlink(49999), lo_unlink(50009)");
    let told = "SELECT message FROM courier.events WHERE kind = 'large objects' ORDER BY at DESC LIMIT 1";

    pair.source.run(
        DATABASE,
        "SELECT lo_put(50003, 1500000, 'changed in the middle'); SELECT lo_unlink(50001); SELECT lo_unlink(50004); \
         SELECT lo_from_bytea(50004, 'shorter'); GRANT SELECT ON LARGE OBJECT 50002 TO reader; SELECT lo_from_bytea(50005, '')",
    );
    assert_eq!(verified(&pair), "4 4 false 50001 50003 50004 50005");
    pair.source.run(DATABASE, "CALL courier.copy_large_objects('shop_to_dr')");
    assert_eq!(pair.source.value(DATABASE, told), "3 large objects copied to the destination");
    let left: Vec<String> = lines(&pair).into_iter().filter(|line| !line.contains(" privileges ")).collect();
    assert_eq!(left, ["50001 not on the source 11 SELECT pg_catalog.lo_unlink(50001);"]);
    // As somebody who may.
    let statements = "SELECT string_agg(statement, ' ') FROM courier.large_objects('shop_to_dr')";
    pair.destination.run(DATABASE, &pair.source.value(DATABASE, statements));
    assert_answers(&pair, CONTENT);
    // They are somebody else's now.
    assert!(lines(&pair).iter().all(|line| line.contains(" unreadable ")), "{:?}", lines(&pair));
    let all =
        "4 large objects can be read on one side only, or on none: SELECT * FROM courier.large_objects('shop_to_dr');";
    assert_eq!(verified(&pair), format!("4 4 | {all}"));
    pair.destination.run(DATABASE, "ALTER ROLE courier SUPERUSER");
    assert_eq!(lines(&pair), Vec::<String>::new());
}
