//! The destination is not what it was: its progress row is gone, or an older one, or it is another database.

use pg_courier_tests::Pair;
use pg_courier_tests::cluster::Stop;
use pg_courier_tests::pair::{DATABASE, PASSWORD, ROLE, SERVER};
use pg_courier_tests::wait;

use crate::common::{SMALL, TASK, arrives, assert_mentions, create_small_tables, mirrored_pair};

const MORE: &str = "INSERT INTO journal SELECT n, 'more' FROM generate_series(1, 100) AS n";

/// The slot has followed what the destination made durable.
fn wait_until_confirmed(pair: &Pair) {
    pair.caught_up(DATABASE, TASK);
    let end = pair.destination.value(DATABASE, "SELECT end_lsn FROM courier_applied.progress");
    pair.source.wait_until(
        DATABASE,
        "the slot is confirmed",
        &format!("(SELECT confirmed_flush_lsn >= '{end}' FROM pg_replication_slots)"),
    );
}

#[track_caller]
fn is_refused_for_good(pair: &Pair, words: &[&str]) {
    assert_mentions(&pair.failure(DATABASE, TASK), words);
    pair.call(DATABASE, "resume", TASK);
    assert_mentions(&pair.failure(DATABASE, TASK), words);
    assert_eq!(pair.source.value(DATABASE, "SELECT last_error_sqlstate FROM courier.task"), "55000");
}

/// A backup of the destination is restored. What the slot has confirmed since does not come again.
#[test]
fn a_restored_destination() {
    let pair = mirrored_pair();
    pair.caught_up(DATABASE, TASK);
    pair.destination.stop(Stop::Fast);
    pair.destination.save();
    pair.destination.start();
    pair.source.run(DATABASE, MORE);
    wait_until_confirmed(&pair);
    pair.destination.stop(Stop::Fast);
    pair.destination.put_back();
    pair.destination.start();
    pair.source.run(DATABASE, MORE);
    is_refused_for_good(&pair, &["lacks changes", "restored backup"]);
}

/// The same after the row was taken over a few times: its lease is too old to be known, as if a copy of the source had it.
#[test]
fn a_restored_destination_with_an_older_lease() {
    let pair = mirrored_pair();
    pair.caught_up(DATABASE, TASK);
    pair.destination.stop(Stop::Fast);
    pair.destination.save();
    pair.destination.start();
    for _ in 0..3 {
        pair.source.run(DATABASE, MORE);
        wait_until_confirmed(&pair);
        pair.call(DATABASE, "pause", TASK);
        pair.call(DATABASE, "resume", TASK);
    }
    wait_until_confirmed(&pair);
    pair.destination.stop(Stop::Fast);
    pair.destination.put_back();
    pair.destination.start();
    pair.source.run(DATABASE, MORE);
    is_refused_for_good(&pair, &["put back to an earlier state", "lacks changes"]);
    // Who takes it for a matter of copies is told better.
    let answer = pair.source.refuses(DATABASE, &format!("SELECT courier.adopt('{TASK}')"));
    assert_mentions(&answer.message, &["lacks changes"]);
}

/// Any role with REPLICATION can advance a slot that nobody uses.
#[test]
fn an_advanced_slot() {
    let pair = mirrored_pair();
    pair.call(DATABASE, "pause", TASK);
    pair.source.run(DATABASE, MORE);
    pair.source.run(DATABASE, "SELECT pg_replication_slot_advance('courier_shop_to_dr', pg_current_wal_lsn())");
    pair.call(DATABASE, "resume", TASK);
    is_refused_for_good(&pair, &["lacks changes", "advanced the slot"]);
}

/// While only other tables are written the slot follows, and the row before it: a restart finds both together.
#[test]
fn other_tables_move_slot_and_row() {
    let pair = mirrored_pair();
    pair.source.run("postgres", "CREATE TABLE elsewhere (v int)");
    let before = pair.source.value(DATABASE, "SELECT confirmed_flush_lsn FROM pg_replication_slots");
    wait::until(
        "the slot follows",
        wait::DEADLINE,
        || {
            pair.source.run("postgres", "INSERT INTO elsewhere SELECT generate_series(1, 100)");
            let moved = format!("SELECT confirmed_flush_lsn > pg_lsn '{before}' + 20000 FROM pg_replication_slots");
            (pair.source.value(DATABASE, &moved) == "t").then_some(())
        },
        || pair.source.describe(DATABASE),
    );
    let confirmed = pair.source.value(DATABASE, "SELECT confirmed_flush_lsn FROM pg_replication_slots");
    let ahead = format!("SELECT end_lsn >= '{confirmed}' FROM courier_applied.progress");
    assert_eq!(pair.destination.value(DATABASE, &ahead), "t");
    pair.source.kill9();
    pair.source.start();
    pair.source.run(DATABASE, MORE);
    pair.assert_mirrored(TASK, &SMALL);
}

/// Somebody removed the row. A new one would begin at the slot's start: rows twice.
#[test]
fn the_row_is_gone() {
    let pair = mirrored_pair();
    pair.source.run(DATABASE, MORE);
    pair.caught_up(DATABASE, TASK);
    pair.destination.run(DATABASE, "DELETE FROM courier_applied.progress");
    pair.source.run(DATABASE, MORE);
    is_refused_for_good(&pair, &["no progress row"]);
}

/// The server object leads to another database, with the same tables and nothing in them.
#[test]
fn another_destination_under_the_same_name() {
    let pair = mirrored_pair();
    pair.call(DATABASE, "pause", TASK);
    pair.add_destination_database("other");
    pair.source.run(DATABASE, &format!("ALTER SERVER {SERVER} OPTIONS (SET dbname 'other')"));
    pair.call(DATABASE, "resume", TASK);
    is_refused_for_good(
        &pair,
        &["another database than before", "ALTER SERVER \"dr\" OPTIONS (SET dbname", "courier.adopt"],
    );
    let answer = pair.source.refuses(DATABASE, &format!("SELECT courier.adopt('{TASK}')"));
    assert_mentions(&answer.message, &["no progress row"]);
    pair.source.run(DATABASE, &format!("ALTER SERVER {SERVER} OPTIONS (SET dbname 'shop')"));
    pair.call(DATABASE, "resume", TASK);
    pair.source.run(DATABASE, MORE);
    pair.assert_mirrored(TASK, &SMALL);
}

/// The destination has lost the copies and nothing else, as far as the positions tell.
#[test]
fn copies_are_gone() {
    let pair = mirrored_pair();
    pair.call(DATABASE, "pause", TASK);
    pair.destination.run(DATABASE, "DELETE FROM courier_applied.table_progress WHERE table_name LIKE '%items%'");
    pair.call(DATABASE, "resume", TASK);
    is_refused_for_good(&pair, &["lost copies of tables", "items"]);
}

/// A session of the task that nobody ends holds its row: the task can be dropped all the same.
#[test]
fn an_abandoned_session_holds_the_row() {
    let pair = mirrored_pair();
    pair.call(DATABASE, "pause", TASK);
    let mut abandoned = postgres::Config::new();
    abandoned.host("127.0.0.1").port(pair.destination.port()).user(ROLE).password(PASSWORD).dbname(DATABASE);
    let mut abandoned = abandoned.connect(postgres::NoTls).expect("the role may connect");
    abandoned
        .batch_execute(&format!(
            "SET application_name = 'pg_courier: {TASK}'; BEGIN; SELECT FROM courier_applied.progress FOR UPDATE"
        ))
        .expect("the row is there");
    pair.call(DATABASE, "drop_task", TASK);
    assert_eq!(pair.source.value(DATABASE, "SELECT count(*) FROM pg_replication_slots"), "0");
    assert_eq!(pair.destination.value(DATABASE, "SELECT to_regnamespace('courier_applied') IS NULL"), "t");
}

/// The key of the advisory lock is known to everybody.
#[test]
fn somebody_holds_the_advisory_lock() {
    let pair = Pair::start();
    create_small_tables(&pair);
    let mut holder = pair.destination.connect(DATABASE);
    holder.batch_execute("SELECT pg_advisory_lock(x'00636f7572696572'::bigint)").expect("it is free");
    let pid: i32 = holder.query_one("SELECT pg_backend_pid()", &[]).expect("it lives").get(0);
    pair.start_task(TASK, &["public.*"]);
    pair.wait_until_in(
        "tasks",
        TASK,
        "the task names who is in its way",
        &format!("last_error LIKE '%process {pid} on the destination%'"),
    );
    drop(holder);
    pair.wait_for_state(DATABASE, TASK, "synchronizing");
    arrives(&pair, "items", "1000");
    pair.assert_mirrored(TASK, &SMALL);
}

/// Schema courier_applied as another role left it there, to act with the rights of whoever uses it.
#[test]
fn a_schema_that_somebody_prepared() {
    const PREPARED: &str = "CREATE ROLE low LOGIN; GRANT CREATE ON DATABASE shop TO low; SET ROLE low; \
        CREATE SCHEMA courier_applied; \
        CREATE TABLE courier_applied.progress ( \
          task_id uuid PRIMARY KEY, task text NOT NULL, source text NOT NULL, end_lsn pg_lsn NOT NULL, commit_time timestamptz, \
          pre_data boolean NOT NULL DEFAULT false, updated_at timestamptz NOT NULL DEFAULT now(), source_id text NOT NULL, \
          epoch bigint NOT NULL DEFAULT 0, writer bigint NOT NULL DEFAULT 0, lease uuid); \
        CREATE FUNCTION courier_applied.act() RETURNS trigger LANGUAGE plpgsql AS \
          $$ BEGIN CREATE TABLE public.acted_as AS SELECT current_user AS who; RETURN NEW; END $$; \
        CREATE TRIGGER act BEFORE INSERT OR UPDATE ON courier_applied.progress FOR EACH ROW EXECUTE FUNCTION courier_applied.act(); \
        GRANT ALL ON SCHEMA courier_applied TO PUBLIC; GRANT ALL ON courier_applied.progress TO PUBLIC";
    let pair = Pair::start();
    create_small_tables(&pair);
    pair.destination.run(DATABASE, PREPARED);
    pair.create_task(DATABASE, TASK, &["public.*"], &pg_courier_tests::TaskOptions::default());
    let answer = pair.source.refuses(DATABASE, &format!("SELECT courier.start('{TASK}')"));
    assert_mentions(&answer.detail, &["destination_helper_schema", "belongs to role low", "trigger"]);
    assert_eq!(pair.destination.value(DATABASE, "SELECT to_regclass('public.acted_as') IS NULL"), "t");
}

/// The same behind the back of a task that runs: a trigger of a superuser's, by mistake, is no less somebody's code.
#[test]
fn a_trigger_on_the_progress_row() {
    let pair = mirrored_pair();
    pair.call(DATABASE, "pause", TASK);
    pair.destination.run(
        DATABASE,
        "CREATE FUNCTION public.act() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$; \
         CREATE TRIGGER act BEFORE UPDATE ON courier_applied.progress FOR EACH ROW EXECUTE FUNCTION public.act()",
    );
    pair.call(DATABASE, "resume", TASK);
    assert_mentions(
        &pair.failure(DATABASE, TASK),
        &["is not the task's own", "There is a trigger on table courier_applied.progress"],
    );
    pair.destination.run(DATABASE, "DROP TRIGGER act ON courier_applied.progress");
    pair.call(DATABASE, "resume", TASK);
    pair.source.run(DATABASE, MORE);
    pair.assert_mirrored(TASK, &SMALL);
}
