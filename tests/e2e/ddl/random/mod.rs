//! Sessions that change tables and their rows at random, undo a part of it, and get in each other's way, while the apply worker is
//! killed again and again. In the end both sides are equal, definitions and rows.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use pg_courier_tests::pair::{APPLY, DATABASE};
use pg_courier_tests::{Answer, Pair, Rng, wait};
use postgres::Client;

use super::equal::difference;
use super::follow;
use crate::common::{TASK, sized};

mod columns;
mod objects;

const SESSIONS: u64 = 4;
/// Longer than usual: it begins with recovery after a kill.
const LONG: Duration = Duration::from_secs(180);

/// What the sessions know of.
struct World {
    name: &'static str,
    roles: &'static [&'static str],
    beginning: &'static str,
    /// One about names that may or may not be there.
    statement: fn(&mut Rng) -> String,
    worker: Worker,
}

/// What happens to the apply worker.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Worker {
    /// And with it all sessions: the server recovers.
    IsKilled,
    /// The server goes on. (One of 15 that was killed beside ALTER TABLE ... SET UNLOGGED may not start: "could not create file ...: File exists".)
    IsEnded,
}

/// Without the recovery of the server less happens by day.
fn rounds(worker: Worker) -> usize {
    let given = std::env::var("COURIER_ROUNDS").ok().and_then(|text| text.parse().ok());
    given.unwrap_or_else(|| sized(if worker == Worker::IsEnded { 8 } else { 20 }, 200))
}

/// A transaction of some statements; those that are refused are undone by themselves, and sometimes all of it.
fn transaction(client: &mut Client, rng: &mut Rng, world: &World, counts: &Counts) -> Result<(), postgres::Error> {
    client.batch_execute("BEGIN; SET LOCAL lock_timeout = '1s'; SET LOCAL search_path = public")?;
    for _ in 0..rng.between(1, 4) {
        client.batch_execute("SAVEPOINT s")?;
        let sql = (world.statement)(rng);
        match client.batch_execute(&sql) {
            Ok(()) if rng.between(0, 9) > 0 => {
                counts.done.fetch_add(1, Ordering::Relaxed);
                client.batch_execute("RELEASE s")?;
            }
            Err(error) if error.as_db_error().is_none() || client.is_closed() => return Err(error),
            Err(error) => {
                counts.note(&sql, &error);
                client.batch_execute("ROLLBACK TO s")?;
            }
            Ok(()) => client.batch_execute("ROLLBACK TO s")?,
        }
    }
    client.batch_execute(if rng.between(0, 4) > 0 { "COMMIT" } else { "ROLLBACK" })
}

#[derive(Default)]
struct Counts {
    stop: AtomicBool,
    /// Nobody does anything for a while.
    rest: AtomicBool,
    done: AtomicU64,
    refused: AtomicU64,
}

impl Counts {
    /// What was refused because of names, locks or values is a part of the game; anything else is not.
    fn note(&self, sql: &str, error: &postgres::Error) {
        self.refused.fetch_add(1, Ordering::Relaxed);
        let answer = Answer::from(error);
        let class = answer.sqlstate.get(..2).unwrap_or_default().to_owned();
        let expected = ["22", "23", "40", "42", "55", "57", "0A", "2B"].contains(&class.as_str());
        // The server looks at the owner of a table before it locks it, which somebody may have dropped meanwhile; grants lock nothing.
        let races =
            ["cache lookup failed for", "tuple concurrently", "could not find tuple", "could not open relation"];
        let has_raced = races.iter().any(|race| answer.message.starts_with(race));
        assert!(expected || has_raced, "{sql}\n{answer}");
    }
}

/// The sessions end, whatever happens to the one that kills.
struct StopAtEnd<'a>(&'a Counts);

impl Drop for StopAtEnd<'_> {
    fn drop(&mut self) {
        self.0.stop.store(true, Ordering::Relaxed);
    }
}

fn session(pair: &Pair, mut rng: Rng, world: &World, counts: &Counts) {
    let mut client: Option<Client> = None;
    while !counts.stop.load(Ordering::Relaxed) {
        match client.as_mut() {
            _ if counts.rest.load(Ordering::Relaxed) => {}
            Some(open) if !open.is_closed() => {
                if transaction(open, &mut rng, world, counts).is_err() {
                    client = None;
                }
            }
            _ => client = pair.source.try_connect(DATABASE).ok(),
        }
        std::thread::sleep(rng.millis(1, 20));
    }
}

fn four_sessions(world: &World) {
    let mut rng = Rng::from_environment(world.name);
    let pair = Pair::builder().source_conf("deadlock_timeout", "200ms").start();
    world.roles.iter().for_each(|role| {
        [&pair.source, &pair.destination].iter().for_each(|of| of.run("postgres", &format!("CREATE ROLE {role}")));
    });
    pair.source.run(DATABASE, world.beginning);
    follow(&pair);
    let (counts, mut kills) = (Counts::default(), 0);
    let seeds: Vec<u64> = (0..SESSIONS).map(|_| rng.next_u64()).collect();
    std::thread::scope(|scope| {
        for seed in seeds {
            let (pair, counts) = (&pair, &counts);
            scope.spawn(move || session(pair, Rng::new(seed), world, counts));
        }
        let _end = StopAtEnd(&counts);
        for round in 0..rounds(world.worker) {
            let goal = counts.done.load(Ordering::Relaxed) + 40;
            let so_far = || counts.done.load(Ordering::Relaxed);
            let happened = wait::poll(LONG, || (so_far() >= goal).then_some(()));
            let worker = happened.and_then(|()| {
                std::thread::sleep(rng.millis(1, 300));
                wait::poll(LONG, || match has_failed(&pair) {
                    true => Some(None),
                    false => pair.source.pids(APPLY).first().copied().map(Some),
                })
            });
            let Some(Some(pid)) = worker else {
                panic!("nothing to kill in round {round}\n{}\n{}", commands(&pair), pair.source.describe(DATABASE));
            };
            match world.worker {
                Worker::IsKilled => kills += usize::from(pair.source.kill_if_running(pid)),
                Worker::IsEnded => pair.source.terminate_process(pid),
            }
            // A task that is started ten times without coming to rest waits for a person.
            if round % 8 == 7 {
                pair.source.wait_until_accepting();
                counts.rest.store(true, Ordering::Relaxed);
                let rest = "(SELECT starts = 0 OR failed FROM courier.task)";
                pair.source.wait_until_within(DATABASE, "the task has come to rest", rest, LONG);
                counts.rest.store(false, Ordering::Relaxed);
            }
        }
    });
    let (done, refused) = (counts.done.into_inner(), counts.refused.into_inner());
    println!("{done} statements done, {refused} refused, {kills} times killed");
    assert!(done > refused / 5, "most of it is about something");
    assert!(
        world.worker == Worker::IsEnded || kills > rounds(world.worker) / 2,
        "most of the workers were there to be killed"
    );
    pair.wait_for_state_within(DATABASE, TASK, "synchronizing", LONG);
    // Rows that others wrote while one was being refreshed are in it on the destination, where it happens at the end of the transaction.
    let views = pair.source.rows(DATABASE, "SELECT oid::regclass::text FROM pg_class WHERE relkind = 'm'");
    views.into_iter().flatten().flatten().for_each(|view| {
        pair.source.run(DATABASE, &format!("REFRESH MATERIALIZED VIEW {view}"));
    });
    // What is unlogged in the end has left; its definition is followed again when it is logged.
    let unlogged = "SELECT oid::regclass::text FROM pg_class WHERE relkind = 'r' AND relpersistence = 'u' AND relnamespace = 'public'::regnamespace";
    pair.source.rows(DATABASE, unlogged).into_iter().flatten().flatten().for_each(|table| {
        pair.source.run(DATABASE, &format!("ALTER TABLE {table} SET LOGGED"));
    });
    // Keys that refer to what is out of reach in the end are not there.
    let away = "SELECT format('%s DROP CONSTRAINT %I', conrelid::regclass, conname) FROM pg_constraint JOIN pg_class c ON c.oid = confrelid \
                WHERE connamespace = 'public'::regnamespace AND relnamespace = to_regnamespace('stage')";
    pair.caught_up_within(DATABASE, TASK, LONG);
    assert_eq!(pair.destination.rows(DATABASE, away), Vec::<Vec<Option<String>>>::new());
    pair.source.rows(DATABASE, away).into_iter().flatten().flatten().for_each(|key| {
        pair.source.run(DATABASE, &format!("ALTER TABLE {key}"));
    });
    pair.caught_up_within(DATABASE, TASK, LONG);
    pair.wait_for_state_within(DATABASE, TASK, "synchronizing", LONG);
    // What was recorded beside the locks of others is told within seconds.
    let become_equal = wait::poll(Duration::from_secs(30), || difference(&pair, "public").is_none().then_some(()));
    if become_equal.is_none() {
        let difference = difference(&pair, "public").unwrap_or_default();
        panic!("{difference}\n{}\n{}", commands(&pair), pair.source.describe(DATABASE));
    }
}

/// What became of the commands around the first one that was not applied.
fn commands(pair: &Pair) -> String {
    let query = "WITH c AS (SELECT d.*, l.snapshot, (l.image::json->'rewrite')::text AS rewrite FROM courier.ddl d \
           LEFT JOIN courier.ddl_log l USING (id)), \
         first AS (SELECT coalesce(min(id) FILTER (WHERE state IN ('failed', 'pending')), max(id)) AS id FROM c) \
         SELECT concat_ws(' | ', c.id, snapshot, state, command, rewrite, array_to_string(statements, '; '), error) FROM c, first \
         WHERE c.id BETWEEN first.id - 150 AND first.id + 120 OR state = 'held' ORDER BY c.id";
    let rows = pair.source.rows(DATABASE, query);
    rows.into_iter().flatten().flatten().collect::<Vec<_>>().join("\n")
}

fn has_failed(pair: &Pair) -> bool {
    let state = pair.source.try_connect(DATABASE).ok().and_then(|mut client| {
        pg_courier_tests::sql::value(&mut client, "SELECT state FROM courier.tasks").ok().flatten()
    });
    state.as_deref() == Some("failed")
}
