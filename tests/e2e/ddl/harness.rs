//! Tells cases to a pair of servers, one after another, and judges each.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use pg_courier_tests::pair::{DATABASE, ROLE};
use pg_courier_tests::sql::literal;
use pg_courier_tests::{Answer, Install, Pair, TaskOptions, wait};
use postgres::Client;

use super::case::{Case, NOTHING, Step};
use super::equal::{difference, difference_in_rows};
use crate::common::TASK;

/// What follows the task of the cases: their schemas, and what begins like these.
const INCLUDE: [&str; 2] = ["s??.*", "s??_*.*"];

const BASE: &str = "CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t SELECT g, 'v' || g FROM generate_series(1, 50) g; \
    CREATE TABLE o (id int PRIMARY KEY, t_id int REFERENCES t, n numeric DEFAULT 1.5); \
    INSERT INTO o SELECT g, g FROM generate_series(1, 20) g; CREATE SEQUENCE sq;";

/// The roles that grants of cases speak of; `r_missing` is none of the destination.
const ROLES: [&str; 2] = ["r1", "r2"];

/// A stream that has not passed by then does not move any more, or the task would say that it failed.
const PATIENCE: Duration = Duration::from_secs(45);

/// What happens to the apply worker in the middle of a case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Accident {
    None,
    /// It is killed at a failpoint.
    KilledAt(&'static str),
}

/// What became of a case.
#[derive(Debug)]
enum Outcome {
    AsItShould,
    /// Not so, and the task or `courier.ddl` says it.
    Told(String),
    /// Not so, and nobody would know.
    Wrong(String),
}

/// Tells all cases that this major knows; fails with all that did not come out as they should.
#[track_caller]
pub fn tell(cases: Vec<Case>, accident: Accident) {
    let chosen = std::env::var("COURIER_CASE").unwrap_or_default();
    let major = Install::get().major().min(Install::destination().major());
    let cases: Vec<Case> =
        cases.into_iter().filter(|case| case.from_major <= major && case.name.contains(&chosen)).collect();
    if cases.is_empty() {
        return;
    }
    let mut harness = Harness::start(&cases);
    let mut problems = Vec::new();
    for (number, case) in cases.iter().enumerate() {
        let began = Instant::now();
        let outcome = harness.tell(number, case, accident);
        harness.pair.source.assert_not_crashed();
        harness.pair.destination.assert_not_crashed();
        println!("{:6.1} s  {}: {}", began.elapsed().as_secs_f64(), case.name, in_a_word(&outcome));
        if !matches!(outcome, Outcome::AsItShould) && number + 1 < cases.len() {
            harness.begin_anew(number);
        }
        problems.extend(judge(outcome).map(|problem| format!("* {}\n{problem}", case.name)));
    }
    assert!(problems.is_empty(), "{} of {} cases\n{}", problems.len(), cases.len(), problems.join("\n"));
}

fn in_a_word(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::AsItShould => "as it should",
        Outcome::Told(_) => "not so, and said",
        Outcome::Wrong(_) => "wrong",
    }
}

fn judge(outcome: Outcome) -> Option<String> {
    match outcome {
        Outcome::AsItShould => None,
        Outcome::Told(text) => Some(text),
        Outcome::Wrong(text) => Some(format!("nobody says so:\n{text}")),
    }
}

struct Harness {
    pair: Pair,
}

impl Harness {
    fn start(cases: &[Case]) -> Harness {
        let pair = Pair::builder().source_conf("max_prepared_transactions", "5").start();
        for role in ROLES {
            for cluster in [&pair.source, &pair.destination] {
                cluster.run("postgres", &format!("CREATE ROLE {role}"));
            }
        }
        pair.source.run("postgres", "CREATE ROLE r_missing");
        pair.source.run(DATABASE, include_str!("touch.sql"));
        for (number, case) in cases.iter().enumerate() {
            let names = Names::of(number);
            let begin = "CREATE SCHEMA @S; CREATE SCHEMA @X; SET search_path = @S, public;";
            pair.source.run(DATABASE, &names.put_in(&format!("{begin} {BASE} {}", case.before.join(";"))));
        }
        let harness = Harness { pair };
        harness.start_task();
        harness
    }

    fn start_task(&self) {
        let options = TaskOptions { ddl: Some("replicate"), ..TaskOptions::default() };
        self.pair.start_task_with(DATABASE, TASK, &INCLUDE, &options);
        self.pair.wait_for_state(DATABASE, TASK, "synchronizing");
        self.pair.caught_up(DATABASE, TASK);
        // Tables without a key may be changed, too.
        self.pair.source.run(DATABASE, &format!("CALL courier.set_replica_identity('{TASK}', dry_run => false)"));
    }

    /// After a case that went wrong: another task and an empty destination, without what has been told.
    fn begin_anew(&mut self, number: usize) {
        let pair = &self.pair;
        pair.call(DATABASE, "drop_task", TASK);
        let schemas = format!(
            "SELECT string_agg(quote_ident(nspname), ', ') FROM pg_namespace \
             WHERE nspname ~ '^[sx][0-9][0-9]' AND substr(nspname, 2, 2)::int <= {number}"
        );
        pair.source.run(DATABASE, &format!("DROP SCHEMA {} CASCADE", pair.source.value(DATABASE, &schemas)));
        pair.destination.run("postgres", &format!("DROP DATABASE {DATABASE} WITH (FORCE)"));
        pair.add_destination_database(DATABASE);
        self.start_task();
    }

    fn tell(&mut self, number: usize, case: &Case, accident: Accident) -> Outcome {
        let names = Names::of(number);
        let before = self.pair.source.value(DATABASE, "SELECT coalesce(max(id), 0) FROM courier.ddl");
        let story = Story { pair: &self.pair, case, names, before };
        match story.run(accident) {
            Ok(()) => Outcome::AsItShould,
            Err(problem) => story.told(problem),
        }
    }
}

/// The schemas of a case.
struct Names {
    followed: String,
    elsewhere: String,
}

impl Names {
    fn of(number: usize) -> Names {
        Names { followed: format!("s{number:02}"), elsewhere: format!("x{number:02}") }
    }

    fn put_in(&self, sql: &str) -> String {
        sql.replace("@S", &self.followed).replace("@X", &self.elsewhere)
    }
}

/// A case that is being told.
struct Story<'a> {
    pair: &'a Pair,
    case: &'a Case,
    names: Names,
    /// The last command before it.
    before: String,
}

impl Story<'_> {
    /// The case from its first command to the comparison; the error is what is not as it should be.
    fn run(&self, accident: Accident) -> Result<(), String> {
        let (source, destination) = (&self.pair.source, &self.pair.destination);
        if !self.case.there.is_empty() {
            let there = format!("SET ROLE {ROLE}; SET search_path = @S; {}", self.case.there);
            destination.run(DATABASE, &self.names.put_in(&there));
        }
        let files = self.files();
        match accident {
            Accident::None => self.play()?,
            Accident::KilledAt(failpoint) => {
                self.pair.call(DATABASE, "pause", TASK);
                self.play()?;
                let kills = source.kills();
                source.arm(&format!("{failpoint}:kill"));
                self.pair.call(DATABASE, "resume", TASK);
                let killed = wait::poll(PATIENCE, || (source.kills() > kills).then_some(()));
                source.disarm();
                source.wait_until_accepting();
                killed.ok_or_else(|| format!("nobody came by failpoint {failpoint}"))?;
            }
        }
        self.touch()?;
        self.pass()?;
        self.look_at_states()?;
        self.look_at_files(&files)?;
        self.look_at_answers()?;
        self.compare()
    }

    /// All steps, each session on a connection of its own.
    fn play(&self) -> Result<(), String> {
        let mut sessions: BTreeMap<char, Client> = BTreeMap::new();
        for Step { session, refused, sql } in self.case.steps() {
            let client = sessions.entry(session).or_insert_with(|| {
                let mut client = self.pair.source.connect(DATABASE);
                let path = self.names.put_in("SET search_path = @S, public; SET client_min_messages = error");
                client.batch_execute(&path).expect("a path");
                client
            });
            let sql = self.names.put_in(sql);
            match client.batch_execute(&sql) {
                Ok(()) if refused => return Err(format!("the source did not refuse: {sql}")),
                Err(error) if !refused => return Err(format!("the source refused: {sql}\n{}", Answer::from(&error))),
                _ => {}
            }
        }
        Ok(())
    }

    /// Later changes of each table of the case.
    fn touch(&self) -> Result<(), String> {
        let query = format!(
            "SELECT concat_ws(' ', (SELECT count(*) FROM pg_class JOIN pg_namespace n ON n.oid = relnamespace \
               WHERE nspname LIKE {0} AND relkind IN ('r', 'p') AND relpersistence = 'p'), done, untouched) FROM tester.touch_all({0})",
            literal(&format!("{}%", self.names.followed))
        );
        let mut client = self.pair.source.connect(DATABASE);
        let answer = pg_courier_tests::sql::value(&mut client, &query)
            .map_err(|error| format!("later changes were refused: {}", Answer::from(&error)))?
            .unwrap_or_default();
        let mut words = answer.splitn(3, ' ');
        let (tables, done) = (words.next(), words.next());
        if tables != Some("0") && done == Some("0") {
            return Err(format!("no table took a later change: {answer}"));
        }
        Ok(())
    }

    /// Waits until the stream has passed, or the task has failed.
    fn pass(&self) -> Result<(), String> {
        let query = format!("SELECT courier.wait_for('{TASK}', timeout => '2 s')");
        let began = Instant::now();
        loop {
            let Ok(mut client) = self.pair.source.try_connect(DATABASE) else { continue };
            let Err(error) = client.simple_query(&query) else { return Ok(()) };
            let answer = Answer::from(&error).to_string();
            let state =
                pg_courier_tests::sql::value(&mut client, "SELECT state FROM courier.tasks").unwrap_or_default();
            if state.as_deref() == Some("failed") || began.elapsed() > PATIENCE {
                return Err(answer);
            }
        }
    }

    fn look_at_states(&self) -> Result<(), String> {
        let query = format!("SELECT DISTINCT state FROM courier.ddl WHERE id > {} ORDER BY state", self.before);
        let expected: BTreeSet<&str> = self.case.states.iter().copied().collect();
        let mut seen: BTreeSet<String> = BTreeSet::new();
        let began = Instant::now();
        let fits = wait::poll(Duration::from_secs(30), || {
            seen = self.pair.source.rows(DATABASE, &query).into_iter().flatten().flatten().collect();
            let nothing = self.case.states == NOTHING && seen.iter().all(|state| state == "filtered");
            let fits = nothing || seen.iter().map(String::as_str).eq(expected.iter().copied());
            // What became of them is noted a moment after it was done.
            let is_under_way = ["pending", "aside"].iter().any(|state| seen.contains(*state));
            let is_final = began.elapsed() > Duration::from_secs(2) && !is_under_way && !seen.is_empty();
            (fits || is_final).then_some(fits)
        });
        fits.filter(|fits| *fits).map(drop).ok_or_else(|| format!("commands are {seen:?}, and should be {expected:?}"))
    }

    /// The files of relations that are not to be written anew.
    fn files(&self) -> Vec<String> {
        let file = |name: &&str| {
            let query = format!("SELECT pg_relation_filenode('{}.{name}')", self.names.followed);
            self.pair.destination.value(DATABASE, &query)
        };
        self.case.keeps_files.iter().map(file).collect()
    }

    fn look_at_files(&self, before: &[String]) -> Result<(), String> {
        let now = self.files();
        if now == before {
            return Ok(());
        }
        Err(format!("{:?} had files {before:?} on the destination, and have {now:?}", self.case.keeps_files))
    }

    fn look_at_answers(&self) -> Result<(), String> {
        let mut client = self.pair.destination.connect(DATABASE);
        client.batch_execute(&self.names.put_in("SET search_path = @S")).expect("a path");
        for (query, expected) in &self.case.sees {
            let query = self.names.put_in(query);
            let value = pg_courier_tests::sql::value(&mut client, &query)
                .map_err(|error| format!("{query}: {}", Answer::from(&error)))?
                .unwrap_or_default();
            if value != self.names.put_in(expected) {
                return Err(format!("{query}: {value:?} on the destination, and should be {expected:?}"));
            }
        }
        Ok(())
    }

    fn compare(&self) -> Result<(), String> {
        let look = if self.case.unlike { difference_in_rows } else { difference };
        look(self.pair, &self.names.followed).map_or(Ok(()), Err)
    }

    /// Whether somebody who looks at the task or at `courier.ddl` knows that something is not as it should be.
    fn told(&self, problem: String) -> Outcome {
        let source = &self.pair.source;
        source.wait_until_accepting();
        let failure = source.value(
            DATABASE,
            "SELECT concat_ws(E'\\n  ', last_error, last_error_detail, last_error_hint) FROM courier.task_details WHERE state = 'failed'",
        );
        let rows = source.rows(
            DATABASE,
            &format!(
                "SELECT concat_ws(' | ', id, tag, state, error, error_sqlstate, array_to_string(statements, '; ')) FROM courier.ddl \
                 WHERE id > {} AND state NOT IN ('applied', 'pending', 'failed') ORDER BY id DESC LIMIT 5",
                self.before
            ),
        );
        let rows: Vec<String> = rows.into_iter().flatten().flatten().collect();
        let text = format!("{problem}\ntask: {failure}\ncommands: {}", rows.join("\n  "));
        if failure.is_empty() && rows.is_empty() { Outcome::Wrong(text) } else { Outcome::Told(text) }
    }
}
