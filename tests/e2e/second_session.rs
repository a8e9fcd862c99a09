//! A stream of inserts that goes to the destination in two sessions side by side. They commit in the source's order,
//! whatever becomes of one of them; where one after the other is what users would see, there is one.

use pg_courier_tests::cluster::kill;
use pg_courier_tests::pair::{APPLY, DATABASE, ROLE};
use pg_courier_tests::{Pair, Rng};
use postgres::Client;

use crate::common::{TASK, arrives, assert_mentions, sized};

const LEDGER: [&str; 1] = ["public.ledger"];

/// A task that follows an empty table.
fn following() -> Pair {
    let pair = Pair::start();
    pair.source.run(DATABASE, "CREATE TABLE ledger (id int8 PRIMARY KEY, account int4, note text)");
    pair.start_task(TASK, &LEDGER);
    pair.wait_for_state(DATABASE, TASK, "synchronizing");
    pair
}

/// Rows 1 to 100,000, in transactions of 1,000, written while the task is paused: more than two sessions take at a time.
fn write_backlog(pair: &Pair) {
    pair.call(DATABASE, "pause", TASK);
    pair.source.run(
        DATABASE,
        "DO $$ BEGIN FOR n IN 0..99 LOOP \
           INSERT INTO ledger SELECT i, n, 'row ' || i FROM generate_series(n * 1000 + 1, n * 1000 + 1000) AS i; \
           COMMIT; \
         END LOOP; END $$",
    );
}

/// Somebody on the destination is about to insert row 500: the first session waits for the outcome. The second one has
/// taken in its rows and waits for the first.
fn held_side_by_side(pair: &Pair) -> Client {
    write_backlog(pair);
    let mut holder = pair.destination.connect(DATABASE);
    holder.batch_execute("BEGIN; INSERT INTO ledger VALUES (500, 0, 'squatter')").expect("row 500");
    pair.call(DATABASE, "resume", TASK);
    pair.destination.wait_until(DATABASE, "the second session waits", &format!("{SECOND} IS NOT NULL"));
    holder
}

const FIRST: &str = "(SELECT pid FROM pg_locks WHERE locktype = 'transactionid' AND NOT granted)";
const SECOND: &str = "(SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND NOT granted)";

/// While the first of two groups cannot go on, the second one does, but is not to be seen before the first.
#[test]
fn the_second_group_waits_for_the_first() {
    let pair = following();
    let mut holder = held_side_by_side(&pair);
    assert_eq!(pair.destination.value(DATABASE, "SELECT count(*) FROM ledger"), "0");
    holder.batch_execute("ROLLBACK").expect("rollback");
    pair.assert_mirrored(TASK, &LEDGER);
    assert_eq!(pair.task(DATABASE, TASK, "last_error_at"), "", "nothing went wrong on the way");
}

/// Either session, or the worker, ends while both groups are under way. What the second one holds must never be
/// committed without the first, nor twice.
#[test]
fn a_session_ends_while_both_are_at_work() {
    for victim in ["first session", "second session", "worker"] {
        let pair = following();
        let mut holder = held_side_by_side(&pair);
        match victim {
            "worker" => {
                // Its sessions do not notice before they have done what they were sent.
                kill(pair.source.pids(APPLY)[0], libc::SIGKILL);
                pair.source.wait_for_log("was terminated by signal 9", 0);
            }
            session => {
                let pid = if session == "first session" { FIRST } else { SECOND };
                pair.destination.run(DATABASE, &format!("SELECT pg_terminate_backend({pid})"));
                pair.destination.wait_until(DATABASE, &format!("the {victim} is gone"), &format!("{SECOND} IS NULL"));
            }
        }
        assert_eq!(pair.destination.value(DATABASE, "SELECT count(*) FROM ledger"), "0", "{victim}");
        holder.batch_execute("ROLLBACK").expect("rollback");
        pair.source.wait_until_accepting();
        pair.assert_mirrored(TASK, &LEDGER);
    }
}

/// The row that is in the way becomes one for good: the first group fails, and takes the second one along.
#[test]
fn a_conflict_in_the_first_of_two_groups() {
    let pair = following();
    let mut holder = held_side_by_side(&pair);
    holder.batch_execute("COMMIT").expect("commit");
    assert_mentions(&pair.failure(DATABASE, TASK), &["ledger", "key", "500", "already on the destination"]);
    assert_eq!(pair.destination.value(DATABASE, "SELECT count(*) FROM ledger"), "1", "only the squatter");
    pair.destination.run(DATABASE, "DELETE FROM ledger");
    pair.call(DATABASE, "resume", TASK);
    pair.assert_mirrored(TASK, &LEDGER);
}

/// A row is in the way of the second group, which fails while the first one is still at work. The first one is applied
/// nevertheless, and the error is that of the very row.
#[test]
fn a_conflict_in_the_second_of_two_groups() {
    let pair = following();
    pair.destination.run(DATABASE, "INSERT INTO ledger VALUES (20500, 0, 'squatter')");
    write_backlog(&pair);
    let mut holder = pair.destination.connect(DATABASE);
    holder.batch_execute("BEGIN; INSERT INTO ledger VALUES (500, 0, 'on its way')").expect("row 500");
    pair.call(DATABASE, "resume", TASK);
    pair.destination.wait_for_log("duplicate key", 0);
    holder.batch_execute("ROLLBACK").expect("rollback");
    assert_mentions(&pair.failure(DATABASE, TASK), &["ledger", "key", "20500", "already on the destination"]);
    assert_eq!(
        pair.destination.value(DATABASE, "SELECT count(*) FROM ledger WHERE id <= 20000"),
        "20000",
        "what came before is applied"
    );
    pair.destination.run(DATABASE, "DELETE FROM ledger WHERE note = 'squatter'");
    pair.call(DATABASE, "resume", TASK);
    pair.assert_mirrored(TASK, &LEDGER);
}

/// The role may have as many connections as the task cannot do without, and no more.
#[test]
fn there_is_no_second_session_to_be_had() {
    let pair = following();
    write_backlog(&pair);
    pair.destination.run(DATABASE, &format!("ALTER ROLE {ROLE} CONNECTION LIMIT 2"));
    pair.call(DATABASE, "resume", TASK);
    pair.assert_mirrored(TASK, &LEDGER);
    assert_ne!(pair.destination.log_count("too many connections for role"), 0, "a second one was asked for");
}

/// A trigger on the destination, made to fire for replicated rows too, looks at the rows before. It would miss them if
/// they came in another session at the same time.
#[test]
fn a_trigger_looks_at_earlier_rows() {
    let pair = following();
    pair.destination.run(
        DATABASE,
        "CREATE FUNCTION follows() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
           IF NEW.id <> (SELECT coalesce(max(id), 0) + 1 FROM public.ledger) THEN \
             RAISE EXCEPTION 'row % is out of order', NEW.id; END IF; \
           RETURN NEW; END $$; \
         CREATE TRIGGER follows BEFORE INSERT ON ledger FOR EACH ROW EXECUTE FUNCTION follows(); \
         ALTER TABLE ledger ENABLE ALWAYS TRIGGER follows",
    );
    write_backlog(&pair);
    pair.call(DATABASE, "resume", TASK);
    pair.assert_mirrored(TASK, &LEDGER);
    // Otherwise the replay one by one would have mended it.
    assert_eq!(pair.destination.log_count("is out of order"), 0);
}

/// Runs of inserts into tables with and without a key, and between them changes that must find those rows: a group of
/// another kind follows when both sessions are done.
#[test]
fn runs_of_inserts_between_other_changes() {
    let mut rng = Rng::from_environment("runs_of_inserts_between_other_changes");
    let pair = following();
    pair.call(DATABASE, "pause", TASK);
    pair.call(DATABASE, "drop_task", TASK);
    pair.source.run(DATABASE, "CREATE TABLE journal (id int8, note text); ALTER TABLE journal REPLICA IDENTITY FULL");
    pair.destination.run(DATABASE, "DROP TABLE ledger");
    pair.start_task(TASK, &["public.*"]);
    pair.wait_for_state(DATABASE, TASK, "synchronizing");
    pair.call(DATABASE, "pause", TASK);
    let mut row = 0;
    for _ in 0..sized(40, 400) {
        let (next, statement) = match rng.between(0, 5) {
            0 => (0, format!("UPDATE ledger SET note = note || '!' WHERE id % 997 = {}", rng.between(0, 996))),
            1 => (0, format!("DELETE FROM ledger WHERE id % 997 = {}", rng.between(0, 996))),
            2 => {
                (0, format!("INSERT INTO journal SELECT 7, 'same' FROM generate_series(1, {})", rng.between(1, 40_000)))
            }
            kind => {
                let count = rng.between(1, 40_000);
                let table = if kind == 3 { "journal (id, note)" } else { "ledger (id, note)" };
                (count, format!("INSERT INTO {table} SELECT {row} + n, 'row' FROM generate_series(1, {count}) AS n"))
            }
        };
        row += next;
        pair.source.run(DATABASE, &statement);
    }
    pair.call(DATABASE, "resume", TASK);
    pair.assert_mirrored(TASK, &["public.ledger", "public.journal"]);
    pair.source.run(DATABASE, "INSERT INTO ledger VALUES (-1, 0, 'last')");
    arrives(&pair, "ledger WHERE id = -1", "1");
}
