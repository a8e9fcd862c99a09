//! Rows of a large transaction travel before its commit, in a COPY of their own on the destination that nobody sees.
//!
//! A worker that got it wrong would show rows of a transaction that is open or rolled back, lose those that it took back
//! or apply them twice, or let what has committed wait for what has not. `pg_stat_progress_copy` of the destination tells
//! how much is there.

use pg_courier_tests::pair::DATABASE;
use pg_courier_tests::{Pair, Rng, procfs, wait};
use postgres::Client;

use crate::common::{TASK, arrives, assert_mentions, sized};
use crate::spool::{assert_same, assert_same_at_once, begin, insert, mirrored, spools};

/// Bytes of half of 1,000 rows. The last ones wait for more on the source. (Since 16 rows count there by the thousand.)
const MOST_OF_THEM: u32 = 40_000;
const TAKEN_BACK: &str = "the rows are taken back";

/// A transaction of 1,000 rows, most of which have arrived, although it is open.
fn ahead(pair: &Pair, table: &str, from: u32) -> Client {
    let mut large = begin(pair);
    insert(&mut large, table, from);
    wait_for_bytes(pair, MOST_OF_THEM);
    large
}

fn wait_for_bytes(pair: &Pair, number: u32) {
    if spools(pair) {
        pair.destination.wait_until(
            DATABASE,
            &format!("{number} bytes arrive ahead"),
            &format!("(SELECT coalesce(sum(bytes_processed), 0) FROM pg_stat_progress_copy) >= {number}"),
        );
    }
}

fn wait_until_gone(pair: &Pair) {
    let open = "SELECT FROM pg_stat_progress_copy";
    pair.destination.wait_until(DATABASE, "no COPY is open", &format!("NOT EXISTS ({open})"));
}

fn count(pair: &Pair, table: &str) -> String {
    pair.destination.value(DATABASE, &format!("SELECT count(*) FROM {table}"))
}

/// Small transactions commit in the meantime, in the same table and others, and arrive at once; the large one arrives
/// when it commits, with the rows that it has added last.
#[test]
fn rows_arrive_before_their_commit() {
    let pair = mirrored();
    let worker = pair.apply_pid(DATABASE, TASK);
    for (round, table) in ["a", "journal", "a"].into_iter().enumerate() {
        let from = round as u32 * 10_000;
        let mut large = ahead(&pair, table, from);
        pair.source
            .run(DATABASE, &format!("INSERT INTO a (id, t) VALUES (-{round} - 1, 'small'), (-100, 'short-lived')"));
        pair.source.run(DATABASE, "UPDATE a SET v = v + 1 WHERE id < 0; DELETE FROM a WHERE id = -100; INSERT INTO b VALUES (1) ON CONFLICT (id) DO UPDATE SET v = b.v + 1");
        pair.caught_up(DATABASE, TASK);
        arrives(&pair, "a WHERE id < 0", &(round + 1).to_string());
        let unseen = format!("SELECT count(*) FROM {table} WHERE id >= {from}");
        assert_eq!(pair.destination.value(DATABASE, &unseen), "0", "{table}");
        insert(&mut large, table, from + 1000);
        large.batch_execute("COMMIT").expect("commit");
        assert_same_at_once(&pair, worker);
    }
    assert_eq!(pair.destination.log_count(TAKEN_BACK), 0);
    assert_eq!(pair.task(DATABASE, TASK, "last_error_at"), "");
}

/// Also of a transaction that had committed before the worker looked around.
#[test]
fn rows_of_a_backlog_arrive_once() {
    let pair = mirrored();
    pair.call(DATABASE, "pause", TASK);
    for from in [0, 10_000] {
        let mut large = begin(&pair);
        insert(&mut large, "a", from);
        large.batch_execute("COMMIT").expect("commit");
        pair.source.run(DATABASE, "INSERT INTO b (id) SELECT count(*) FROM b");
    }
    pair.call(DATABASE, "resume", TASK);
    pair.caught_up(DATABASE, TASK);
    assert_same(&pair);
    assert_eq!(pair.destination.log_count(TAKEN_BACK), 0);
}

/// Rolled back, by the user and by the end of the session. The next one goes ahead again.
#[test]
fn a_transaction_sent_ahead_rolls_back() {
    let pair = mirrored();
    let worker = pair.apply_pid(DATABASE, TASK);
    for by_user in [true, false, true] {
        let mut large = ahead(&pair, "a", 0);
        if by_user {
            large.batch_execute("ROLLBACK").expect("rollback");
        }
        drop(large);
        pair.source.run(DATABASE, "INSERT INTO b (id) SELECT count(*) FROM b");
        assert_same_at_once(&pair, worker);
        wait_until_gone(&pair);
        assert_eq!(count(&pair, "a"), "0");
    }
    ahead(&pair, "a", 0).batch_execute("COMMIT").expect("commit");
    assert_same_at_once(&pair, worker);
}

/// What follows is not what may go ahead, or the session there is ended. Then the rows come from the source's file.
#[test]
fn what_was_sent_ahead_is_taken_back() {
    let pair = mirrored();
    let worker = pair.apply_pid(DATABASE, TASK);
    let cases = [
        ("INSERT INTO b SELECT n FROM generate_series(100000, 100010) AS n", "another table, at the end"),
        ("INSERT INTO journal (id, what) SELECT n, 'and on' FROM generate_series(1, 2000) AS n", "another table, long"),
        ("UPDATE a SET v = v + 1", "updates of its own rows"),
        ("DELETE FROM a WHERE id % 3 = 0", "deletes of its own rows"),
        ("SAVEPOINT s; INSERT INTO a SELECT n FROM generate_series(-50, -1) AS n; ROLLBACK TO s", "a subtransaction"),
        ("TRUNCATE b", "TRUNCATE of another table"),
        ("TRUNCATE a", "TRUNCATE of its own table"),
        ("CREATE TABLE mine (id int); DROP TABLE mine", "a change of the catalog"),
    ];
    for (round, (rest, what)) in cases.into_iter().enumerate() {
        let before = pair.destination.log_count(TAKEN_BACK);
        let mut large = ahead(&pair, "a", round as u32 * 10_000);
        large.batch_execute(rest).expect(what);
        // More of the first kind does not help.
        insert(&mut large, "a", round as u32 * 10_000 + 5000);
        large.batch_execute("COMMIT").expect(what);
        assert_same_at_once(&pair, worker);
        if spools(&pair) {
            assert_eq!(pair.destination.log_count(TAKEN_BACK), before + 1, "{what}");
        }
    }
}

/// Ends the session on the destination in which rows arrive ahead.
fn end_session_ahead(pair: &Pair) {
    pair.destination.run(DATABASE, "SELECT pg_terminate_backend(pid) FROM pg_stat_progress_copy");
    wait_until_gone(pair);
}

/// The session, the worker or the destination ends while the transaction is open: before more rows of it, and before its
/// commit.
#[test]
fn a_session_ends_while_rows_are_ahead() {
    let pair = mirrored();
    let mut from = 0;
    for victim in ["session", "worker", "destination"] {
        for more in [true, false] {
            let mut large = ahead(&pair, "a", from);
            match victim {
                "session" => end_session_ahead(&pair),
                "worker" => {
                    let pid = pair.apply_pid(DATABASE, TASK);
                    pair.source.run("postgres", &format!("SELECT pg_terminate_backend({pid})"));
                    wait::until(
                        "the worker has ended",
                        wait::DEADLINE,
                        || (!procfs::alive(pid)).then_some(()),
                        String::new,
                    );
                }
                _ => {
                    pair.destination.kill9();
                    pair.destination.bring_up();
                }
            }
            if more {
                insert(&mut large, "a", from + 1000);
            }
            large.batch_execute("COMMIT").expect(victim);
            pair.source.run(DATABASE, "INSERT INTO b SELECT count(*) FROM b");
            assert_same(&pair);
            if victim == "session" {
                // It is avoided for a while, but not by another worker.
                pair.call(DATABASE, "pause", TASK);
                pair.call(DATABASE, "resume", TASK);
            }
            from += 10_000;
        }
    }
}

/// The transaction has committed on the source; on the destination it waits for the progress row when something ends.
/// What was there must not be seen then, and is applied once.
#[test]
fn something_ends_at_the_commit() {
    let pair = mirrored();
    for (round, victim) in ["session", "worker", "destination", "nothing"].into_iter().enumerate() {
        let mut large = ahead(&pair, "a", round as u32 * 10_000);
        let mut holder = pair.destination.connect(DATABASE);
        holder.batch_execute("BEGIN; SELECT FROM courier_applied.progress FOR UPDATE").expect("the progress row");
        large.batch_execute("COMMIT").expect("commit");
        const WAITS: &str = "SELECT pid FROM pg_locks WHERE NOT granted";
        pair.destination.wait_until(DATABASE, "the commit waits", &format!("EXISTS ({WAITS})"));
        let unseen = format!("SELECT count(*) FROM a WHERE id >= {round}0000");
        assert_eq!(pair.destination.value(DATABASE, &unseen), "0", "{victim}");
        match victim {
            "session" => {
                pair.destination.run(DATABASE, &format!("SELECT pg_terminate_backend(pid) FROM ({WAITS}) AS w"))
            }
            "worker" => {
                pair.source.kill_process(pair.apply_pid(DATABASE, TASK));
            }
            "destination" => {
                pair.destination.kill9();
                pair.destination.bring_up();
            }
            _ => {}
        }
        if victim != "destination" {
            holder.batch_execute("COMMIT").expect("release");
        }
        pair.caught_up(DATABASE, TASK);
        pair.assert_same(DATABASE, &["public.a", "public.b", "public.journal"]);
    }
}

/// A row that is already there, and one that somebody else is about to insert there: no error before the commit, and then
/// one that names the row.
#[test]
fn a_row_sent_ahead_is_in_conflict() {
    let pair = mirrored();
    for (round, key) in [777, 10_778].into_iter().enumerate() {
        let mut squatter = pair.destination.connect(DATABASE);
        squatter.batch_execute(&format!("BEGIN; INSERT INTO a VALUES ({key}, -1, 'not ours')")).expect("squatter");
        let mut large = begin(&pair);
        if round == 0 {
            squatter.batch_execute("COMMIT").expect("squatter");
        }
        insert(&mut large, "a", round as u32 * 10_000);
        pair.source.run(DATABASE, &format!("INSERT INTO b VALUES ({round})"));
        assert_same_tables(&pair, &["public.b"]);
        if round > 0 {
            squatter.batch_execute("COMMIT").expect("squatter");
        }
        large.batch_execute("COMMIT").expect("commit");
        assert_mentions(&pair.failure(DATABASE, TASK), &["INSERT on public.a", &format!("(id)=({key})")]);
        pair.destination.run(DATABASE, &format!("DELETE FROM a WHERE id = {key} AND v = -1"));
        pair.call(DATABASE, "resume", TASK);
        assert_same(&pair);
    }
}

fn assert_same_tables(pair: &Pair, tables: &[&str]) {
    pair.caught_up(DATABASE, TASK);
    pair.assert_same(DATABASE, tables);
}

/// Somebody on the destination wants the whole table, and has to wait for the rows that are ahead. What commits on the
/// source meanwhile, as single rows or as a long run, has to wait for that one: it would be for ever, as nobody would
/// see the large transaction commit.
#[test]
fn what_is_ahead_gives_way() {
    let pair = mirrored();
    let worker = pair.apply_pid(DATABASE, TASK);
    for (round, small) in ["INSERT INTO a VALUES (-1)", "INSERT INTO a SELECT n FROM generate_series(-30000, -2) AS n"]
        .into_iter()
        .enumerate()
    {
        let mut large = ahead(&pair, "a", round as u32 * 10_000);
        let mut other = pair.destination.connect(DATABASE);
        let locker = std::thread::spawn(move || other.batch_execute("BEGIN; LOCK TABLE a; COMMIT"));
        pair.destination.wait_until(DATABASE, "the lock is wanted", "EXISTS (SELECT FROM pg_locks WHERE NOT granted)");
        pair.source.run(DATABASE, small);
        pair.caught_up(DATABASE, TASK);
        locker.join().expect("thread").expect("lock");
        let unseen = format!("SELECT count(*) FROM a WHERE id >= {round}0000");
        assert_eq!(pair.destination.value(DATABASE, &unseen), "0");
        insert(&mut large, "a", round as u32 * 10_000 + 1000);
        large.batch_execute("COMMIT").expect("commit");
        assert_same(&pair);
        if round == 0 {
            assert_eq!(pair.apply_pid(DATABASE, TASK), worker, "nothing had to be replayed one by one");
            pair.call(DATABASE, "pause", TASK);
            pair.call(DATABASE, "resume", TASK);
        }
    }
    if spools(&pair) {
        assert_eq!(pair.destination.log_count(TAKEN_BACK), 2);
    }
}

/// A worker that starts anew reads what it has applied again, as an older transaction is still open. To send that ahead
/// would meet the very rows, and keep the next large transaction from going ahead.
#[test]
fn what_is_applied_is_not_sent_again() {
    let pair = mirrored();
    let mut oldest = begin(&pair);
    oldest.batch_execute("INSERT INTO b VALUES (-1)").expect("insert");
    let mut large = ahead(&pair, "a", 0);
    large.batch_execute("COMMIT").expect("commit");
    assert_same(&pair);
    pair.call(DATABASE, "pause", TASK);
    pair.call(DATABASE, "resume", TASK);
    // What committed before the worker looked around is judged otherwise, and interrupts what goes ahead.
    pair.caught_up(DATABASE, TASK);
    let mut large = ahead(&pair, "a", 1000);
    large.batch_execute("COMMIT").expect("commit");
    oldest.batch_execute("COMMIT").expect("commit");
    assert_same(&pair);
    assert_eq!(pair.destination.log_count(TAKEN_BACK) + pair.destination.log_count("duplicate key value"), 0);
}

/// A trigger there sees the rows in the order of the commits, so they must not come before.
#[test]
fn a_trigger_sees_rows_after_their_commit() {
    let pair = mirrored();
    pair.destination.run(
        DATABASE,
        "CREATE TABLE seen (id int8, at int8 GENERATED ALWAYS AS IDENTITY); GRANT INSERT ON seen TO PUBLIC; \
         CREATE FUNCTION see() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
           INSERT INTO public.seen (id) VALUES (NEW.id); RETURN NEW; END $$; \
         CREATE TRIGGER see BEFORE INSERT ON a FOR EACH ROW EXECUTE FUNCTION see(); \
         ALTER TABLE a ENABLE ALWAYS TRIGGER see",
    );
    let mut large = begin(&pair);
    insert(&mut large, "a", 0);
    pair.source.run(DATABASE, "INSERT INTO a VALUES (-1)");
    arrives(&pair, "a WHERE id = -1", "1");
    large.batch_execute("COMMIT").expect("commit");
    assert_same(&pair);
    assert_eq!(pair.destination.value(DATABASE, "SELECT at FROM seen WHERE id = -1"), "1");
}

/// Several sessions write and end their large transactions as it happens, small ones beside them, rows of all sizes.
#[test]
fn large_transactions_at_random() {
    let mut rng = Rng::from_environment("large_transactions_at_random");
    let pair = mirrored();
    let worker = pair.apply_pid(DATABASE, TASK);
    let mut sessions: Vec<Client> = (0..3).map(|_| begin(&pair)).collect();
    for round in 0..sized(150, 1500) {
        let from = round as u32 * 2000;
        let session = &mut sessions[rng.between(0, 2) as usize];
        match rng.between(0, 9) {
            0..=3 => insert(session, "a", from),
            4 => insert(session, "journal", from),
            5 => session
                .batch_execute(&format!("INSERT INTO journal SELECT {from} + n, repeat('x', 150000) FROM generate_series(1, 3) AS n"))
                .expect("wide rows"),
            6 => session.batch_execute(&format!("UPDATE a SET v = v + 1 WHERE id > {from} - 9000 AND xmin::text = pg_current_xact_id_if_assigned()::xid::text")).expect("own rows"),
            7 | 8 => {
                let end = if rng.between(0, 2) == 0 { "ROLLBACK" } else { "COMMIT" };
                session.batch_execute(&format!("{end}; BEGIN")).expect(end);
            }
            _ => pair.source.run(DATABASE, &format!("INSERT INTO b VALUES ({round}); UPDATE b SET v = v + 1 WHERE id > {round} - 5")),
        }
    }
    for session in &mut sessions {
        session.batch_execute("COMMIT").expect("commit");
    }
    assert_same_at_once(&pair, worker);
}
