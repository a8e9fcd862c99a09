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

const SESSIONS: u64 = 4;
/// Names are few, so that sessions meet, and a name is soon one of another table.
const TABLES: [&str; 5] = ["a", "b", "c", "d", "e"];
const COLUMNS: [&str; 5] = ["p", "q", "r", "s", "u"];
const TYPES: [&str; 4] = ["int", "bigint", "text", "numeric"];
const DEFAULTS: [&str; 4] = ["", "DEFAULT 7", "DEFAULT (random() * 1000)::int", "DEFAULT 3 NOT NULL"];
/// Longer than usual: it begins with recovery after a kill.
const LONG: Duration = Duration::from_secs(180);

fn kills() -> usize {
    let given = std::env::var("COURIER_ROUNDS").ok().and_then(|text| text.parse().ok());
    given.unwrap_or_else(|| sized(20, 200))
}

/// One statement about names that may or may not be there.
fn statement(rng: &mut Rng) -> String {
    let (table, other) = (*rng.pick(&TABLES), *rng.pick(&TABLES));
    let (column, second) = (*rng.pick(&COLUMNS), *rng.pick(&COLUMNS));
    let (kind, default) = (*rng.pick(&TYPES), *rng.pick(&DEFAULTS));
    let id = rng.between(1, 200);
    match rng.between(0, 32) {
        0 | 30..=32 => format!("CREATE TABLE {table} (id int PRIMARY KEY, {column} {kind} {default})"),
        1 => format!(
            "CREATE TABLE {table} AS SELECT id, random() AS r FROM {other}; ALTER TABLE {table} ADD PRIMARY KEY (id)"
        ),
        2 => format!("DROP TABLE {table}"),
        3 => format!("ALTER TABLE {table} RENAME TO {other}"),
        4..=7 => format!("ALTER TABLE {table} ADD {column} {kind} {default}"),
        8 => format!("ALTER TABLE {table} ADD {column} timestamptz DEFAULT now(), ADD {second} {kind}"),
        9 | 10 => format!("ALTER TABLE {table} DROP {column}"),
        11 | 12 => format!("ALTER TABLE {table} RENAME {column} TO {second}"),
        13 => format!(
            "ALTER TABLE {table} ALTER {column} DROP DEFAULT, ALTER {column} TYPE {kind} USING {column}::text::{kind}"
        ),
        14 => format!("ALTER TABLE {table} ALTER {column} SET DEFAULT {id}"),
        15 => format!("CREATE INDEX ON {table} ({column})"),
        16 => format!("DROP INDEX {table}_{column}_idx"),
        17 => format!("ALTER INDEX {table}_{column}_idx RENAME TO {other}_{second}_idx"),
        18 => format!("COMMENT ON COLUMN {table}.{column} IS 'n{id}'"),
        19 => {
            format!("ALTER TABLE {table} ADD CONSTRAINT ck_{column} CHECK ({column} IS NULL OR {column}::text <> 'q')")
        }
        20 => format!("ALTER TABLE {table} DROP CONSTRAINT ck_{column}"),
        21 => format!("TRUNCATE {table}"),
        22..=25 => {
            format!("INSERT INTO {table} (id) SELECT n FROM generate_series({id}, {id} + 5) n ON CONFLICT DO NOTHING")
        }
        26 | 27 => format!("UPDATE {table} SET {column} = '{id}' WHERE id % 7 = {}", id % 7),
        _ => format!("DELETE FROM {table} WHERE id % 11 = {}", id % 11),
    }
}

/// A transaction of some statements; those that are refused are undone by themselves, and sometimes all of it.
fn transaction(client: &mut Client, rng: &mut Rng, counts: &Counts) -> Result<(), postgres::Error> {
    client.batch_execute("BEGIN; SET LOCAL lock_timeout = '1s'; SET LOCAL search_path = public")?;
    for _ in 0..rng.between(1, 4) {
        client.batch_execute("SAVEPOINT s")?;
        let sql = statement(rng);
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
        // The server looks at the owner of a table before it locks it, which somebody may have dropped meanwhile.
        let has_raced = answer.message.starts_with("cache lookup failed for relation");
        assert!(expected || has_raced, "{sql}\n{answer}");
    }
}

fn session(pair: &Pair, mut rng: Rng, counts: &Counts) {
    let mut client: Option<Client> = None;
    while !counts.stop.load(Ordering::Relaxed) {
        match client.as_mut() {
            Some(open) if !open.is_closed() => {
                if transaction(open, &mut rng, counts).is_err() {
                    client = None;
                }
            }
            _ => client = pair.source.try_connect(DATABASE).ok(),
        }
        std::thread::sleep(rng.millis(1, 20));
    }
}

#[test]
fn four_sessions_at_random() {
    let mut rng = Rng::from_environment("four_sessions_at_random");
    let pair = Pair::builder().source_conf("deadlock_timeout", "200ms").start();
    pair.source.run(
        DATABASE,
        "CREATE TABLE a (id int PRIMARY KEY, p int); CREATE TABLE b (id int PRIMARY KEY, q text); \
         INSERT INTO a SELECT n, n FROM generate_series(1, 100) n; INSERT INTO b SELECT n, n FROM generate_series(1, 100) n",
    );
    follow(&pair);
    let counts = Counts::default();
    let seeds: Vec<u64> = (0..SESSIONS).map(|_| rng.next_u64()).collect();
    std::thread::scope(|scope| {
        for seed in seeds {
            let (pair, counts) = (&pair, &counts);
            scope.spawn(move || session(pair, Rng::new(seed), counts));
        }
        for round in 0..kills() {
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
                counts.stop.store(true, Ordering::Relaxed);
                panic!("nothing to kill in round {round}\n{}\n{}", commands(&pair), pair.source.describe(DATABASE));
            };
            pair.source.kill_process(pid);
            // A task that is started ten times without coming to rest waits for a person.
            if round % 8 == 7 {
                pair.source.wait_until_accepting();
                let rest = "(SELECT starts = 0 FROM courier.task)";
                pair.source.wait_until_within(DATABASE, "the task has come to rest", rest, LONG);
            }
        }
        counts.stop.store(true, Ordering::Relaxed);
    });
    let (done, refused) = (counts.done.into_inner(), counts.refused.into_inner());
    println!("{done} statements done, {refused} refused");
    assert!(done > refused / 5, "most of it is about something");
    pair.wait_for_state_within(DATABASE, TASK, "synchronizing", LONG);
    pair.caught_up_within(DATABASE, TASK, LONG);
    if let Some(difference) = difference(&pair, "public") {
        panic!("{difference}\n{}\n{}", commands(&pair), pair.source.describe(DATABASE));
    }
}

/// What became of the commands around the first one that was not applied.
fn commands(pair: &Pair) -> String {
    let query = "WITH c AS (SELECT d.*, l.snapshot, (l.image::json->'rewrite')::text AS rewrite FROM courier.ddl d \
           LEFT JOIN courier.ddl_log l USING (id)), \
         first AS (SELECT coalesce(min(id) FILTER (WHERE state IN ('failed', 'pending')), max(id)) AS id FROM c) \
         SELECT concat_ws(' | ', c.id, snapshot, state, command, rewrite, array_to_string(statements, '; '), error) FROM c, first \
         WHERE c.id BETWEEN first.id - 20 AND first.id + 5 ORDER BY c.id";
    let rows = pair.source.rows(DATABASE, query);
    rows.into_iter().flatten().flatten().collect::<Vec<_>>().join("\n")
}

fn has_failed(pair: &Pair) -> bool {
    let state = pair.source.try_connect(DATABASE).ok().and_then(|mut client| {
        pg_courier_tests::sql::value(&mut client, "SELECT state FROM courier.tasks").ok().flatten()
    });
    state.as_deref() == Some("failed")
}
