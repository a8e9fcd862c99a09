//! The helper schema on the destination has another version than this pg_courier makes.

use pg_courier_tests::Pair;
use pg_courier_tests::pair::{DATABASE, ROLE};

use crate::common::{SMALL, TASK, assert_mentions, create_small_tables, mirrored_pair};

const MORE: &str = "INSERT INTO items SELECT 5000 + n, 0, 'more' FROM generate_series(1, 100) AS n ON CONFLICT DO NOTHING; \
    UPDATE items SET v = v + 1 WHERE id < 100; INSERT INTO journal SELECT n, 'more' FROM generate_series(1, 100) AS n";

/// Everything about the tables that a version may change.
const DESCRIPTION: &str = "SELECT string_agg(line, E'\\n' ORDER BY line) FROM ( \
      SELECT concat_ws(' ', c.relname, c.relowner::regrole, c.reloptions, d.description) FROM pg_class c \
        LEFT JOIN pg_description d ON d.objoid = c.oid AND d.classoid = 'pg_class'::regclass AND d.objsubid = 0 \
       WHERE c.relnamespace = 'courier_applied'::regnamespace AND c.relkind = 'r' \
      UNION ALL SELECT concat_ws(' ', a.attrelid::regclass, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull, a.attidentity, \
                                 pg_get_expr(e.adbin, e.adrelid)) \
        FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid AND c.relkind = 'r' \
        LEFT JOIN pg_attrdef e ON e.adrelid = a.attrelid AND e.adnum = a.attnum \
       WHERE c.relnamespace = 'courier_applied'::regnamespace AND a.attnum > 0 AND NOT a.attisdropped \
      UNION ALL SELECT concat_ws(' ', n.conrelid::regclass, n.conname, pg_get_constraintdef(n.oid)) FROM pg_constraint n \
       WHERE n.connamespace = 'courier_applied'::regnamespace) AS l(line)";

/// Puts the tables of 0.1.0 in the place of those that are there, with the same rows, made by the same user.
fn give_tables_of_0_1_0(pair: &Pair) {
    let made = include_str!("../upgrade/helper_schema_0.1.0.sql");
    pair.destination.run(
        DATABASE,
        &format!(
            "ALTER SCHEMA courier_applied RENAME TO kept; SET ROLE {ROLE}; {made} \
             INSERT INTO courier_applied.progress SELECT task_id, task, source, end_lsn, commit_time, pre_data, updated_at, source_id, \
               epoch, writer FROM kept.progress; \
             INSERT INTO courier_applied.table_progress SELECT * FROM kept.table_progress; \
             RESET ROLE; DROP SCHEMA kept CASCADE"
        ),
    );
    // Nor did that version know leases.
    pair.source.run(
        DATABASE,
        "UPDATE courier.task SET lease = NULL, next_lease = NULL, source_id = NULL, destination_id = NULL",
    );
}

/// A destination of version 0.1.0, and two tasks that come to it at once: one of them brings its tables up to date, both go
/// on, and the tables are as those that are made today. The slot of one may be ahead of its row, as it might in 0.1.0.
#[test]
fn two_tasks_go_on_with_that_of_0_1_0() {
    let pair = Pair::start();
    create_small_tables(&pair);
    let tasks = [("keyed", "public.items"), ("heap", "public.journal")];
    for (task, table) in tasks {
        pair.start_task(task, &[table]);
    }
    for (task, _) in tasks {
        pair.caught_up(DATABASE, task);
        pair.call(DATABASE, "pause", task);
    }
    let fresh = pair.destination.value(DATABASE, DESCRIPTION);
    assert_mentions(&fresh, &["(helper schema version 5)", "lease uuid"]);
    give_tables_of_0_1_0(&pair);
    assert_ne!(pair.destination.value(DATABASE, DESCRIPTION), fresh);
    let before = a_little_before(
        &pair.destination.value(DATABASE, "SELECT end_lsn FROM courier_applied.progress WHERE task = 'heap'"),
    );
    let back = format!("UPDATE courier_applied.progress SET end_lsn = '{before}' WHERE task = 'heap'");
    pair.destination.run(DATABASE, &back);

    pair.source.run(DATABASE, MORE);
    pair.source.run(DATABASE, "SELECT courier.resume('keyed'), courier.resume('heap')");
    pair.source.run(DATABASE, MORE);
    for (task, table) in tasks {
        pair.assert_mirrored(task, &[table]);
    }
    assert_eq!(pair.destination.value(DATABASE, DESCRIPTION), fresh);
}

/// Once only: rows without a lease later on are those of a backup from before the upgrade.
#[test]
fn that_of_0_1_0_does_not_come_again() {
    let pair = mirrored_pair();
    pair.caught_up(DATABASE, TASK);
    pair.call(DATABASE, "pause", TASK);
    give_tables_of_0_1_0(&pair);
    pair.call(DATABASE, "resume", TASK);
    pair.source.run(DATABASE, MORE);
    pair.assert_mirrored(TASK, &SMALL);
    pair.call(DATABASE, "pause", TASK);
    pair.destination.run(DATABASE, "UPDATE courier_applied.progress SET lease = NULL");
    pair.call(DATABASE, "resume", TASK);
    assert_mentions(&pair.failure(DATABASE, TASK), &["belongs to another server", "older than this version"]);
}

/// Another server with a later pg_courier has been here. Nobody knows what its tables mean: the task stops and says what to
/// install, a precheck says it before, and the task's rows stay when it is dropped.
#[test]
fn a_later_one_is_refused() {
    const SET: &str = "COMMENT ON TABLE courier_applied.progress IS 'rows of the future (helper schema version 99)'";
    let pair = mirrored_pair();
    pair.caught_up(DATABASE, TASK);
    pair.call(DATABASE, "pause", TASK);
    let now = pair.destination.value(DATABASE, "SELECT obj_description('courier_applied.progress'::regclass)");
    pair.destination.run(DATABASE, SET);
    pair.call(DATABASE, "resume", TASK);
    assert_mentions(
        &pair.failure(DATABASE, TASK),
        &["later version of pg_courier", "version 99", "up to 5", "Install"],
    );
    assert_eq!(pair.source.value(DATABASE, "SELECT last_error_sqlstate FROM courier.task"), "55000");
    let found = format!("SELECT detail FROM courier.precheck('{TASK}') WHERE item = 'destination_helper_schema'");
    assert_mentions(&pair.source.value(DATABASE, &found), &["version 99"]);

    pair.destination
        .run(DATABASE, &format!("COMMENT ON TABLE courier_applied.progress IS '{}'", now.replace('\'', "''")));
    pair.source.run(DATABASE, MORE);
    pair.call(DATABASE, "resume", TASK);
    pair.assert_mirrored(TASK, &SMALL);

    pair.call(DATABASE, "pause", TASK);
    pair.destination.run(DATABASE, SET);
    pair.call(DATABASE, "drop_task", TASK);
    assert_eq!(pair.destination.value(DATABASE, "SELECT count(*) FROM courier_applied.progress"), "1");
}

/// PostgreSQL 13 cannot subtract from a position.
fn a_little_before(lsn: &str) -> String {
    let (high, low) = lsn.split_once('/').expect("a position");
    let number = |text| u64::from_str_radix(text, 16).expect("hexadecimal");
    let before = (number(high) << 32 | number(low)) - 8;
    format!("{:X}/{:X}", before >> 32, before & 0xffff_ffff)
}
