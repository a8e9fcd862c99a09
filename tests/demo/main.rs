//! `make demo`: mirrors a live database to another one and proves that both are equal.
//!
//! Two throw-away clusters, pgbench's tables and a schema with every type, traffic on
//! both the whole time. In between everything that a user would type, typed by psql:
//!
//! ```text
//!   traffic   ------------------------------------------------ 30 s ---|
//!   task        created, plan, start ... copying ... synchronizing     |
//!   then                                                  wait_for, verify, verdict
//! ```
//!
//! Exit code 0 means: every table was compared and every row is identical. `KEEP=1` leaves both
//! servers running and says how to connect; Ctrl-C leaves nothing.

mod screen;

use std::process::ExitCode;
use std::time::{Duration, Instant};

use pg_courier_tests::cluster::SUPERUSER;
use pg_courier_tests::pair::{DATABASE, ROLE};
use pg_courier_tests::scratch::{keep_quiet_when_stopping, on_disk, scratch};
use pg_courier_tests::{Cluster, Install, Pair, Pgbench, Traffic, compare, pgbench, types, wait};

use screen::Screen;

const TASK: &str = "shop_to_dr";

/// How long the writers write: from before the task exists until long after its copy.
const TRAFFIC: Duration = Duration::from_secs(30);

const SCALE: u32 = 10;

const PASSWORD: &str = "secret";

fn main() -> ExitCode {
    let keep = std::env::var("KEEP").is_ok_and(|value| !value.is_empty() && value != "0");
    on_disk();
    let begin = Instant::now();
    let mut screen = Screen::new();

    screen.step("Starting two throw-away clusters");
    Install::get().require_extension();
    let pair = Pair::builder()
        .source_conf("shared_buffers", "128MB")
        .destination_conf("shared_buffers", "128MB")
        .source_conf("max_wal_size", "4GB")
        .destination_conf("max_wal_size", "4GB")
        .start_without_database();
    pair.source.create_database(DATABASE);
    pair.add_destination_database(DATABASE);
    pair.destination.run("postgres", &format!("ALTER ROLE {ROLE} PASSWORD '{PASSWORD}'"));
    for (cluster, what) in [(&pair.source, "source"), (&pair.destination, "destination")] {
        let version = cluster.value("postgres", "SHOW server_version");
        screen.say(&format!("{what:<12} PostgreSQL {version}, 127.0.0.1:{}", cluster.port()));
    }

    screen.say("the destination has nothing but what its administrator did there:");
    screen.say(&format!("  CREATE ROLE {ROLE} LOGIN PASSWORD '...'; CREATE DATABASE {DATABASE} OWNER {ROLE};"));
    if pair.destination.install.major() >= 15 {
        screen.say(&format!("  GRANT SET ON PARAMETER session_replication_role TO {ROLE};"));
    }

    screen.step(&format!("Loading the source: pgbench -i -s {SCALE}, and a schema with every type"));
    pgbench::initialize(&pair.source, DATABASE, SCALE);
    types::initialize(&pair.source, DATABASE);

    screen.step(&format!("Writing to the source for {} s, while the task comes to life", TRAFFIC.as_secs()));
    let writing_since = Instant::now();
    let bench =
        Pgbench::start(&pair.source, DATABASE, &pgbench::Options { clients: 2, rate: Some(600), ..Default::default() });
    let seed = std::env::var("COURIER_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(1);
    let traffic = Traffic::start(&pair.source, DATABASE, 2, seed, Duration::from_millis(5), types::transaction);

    screen.step("What you would type");
    for statement in create_statements(&pair) {
        typed(&mut screen, &pair.source, &statement);
    }

    let synchronizing = show_progress(&mut screen, &pair.source, writing_since);
    wait::poll(TRAFFIC.saturating_sub(writing_since.elapsed()), || None::<()>);
    let seconds = writing_since.elapsed().as_secs_f64();
    bench.stop();
    let transactions = traffic.stop();
    let history = pair.source.value(DATABASE, "SELECT count(*) FROM pgbench_history");
    screen.step("The writers have stopped");
    screen.say(&format!("{history} transactions of pgbench and {transactions} on all types in {seconds:.0} s"));
    if !synchronizing {
        keep_quiet_when_stopping();
        screen.say("the task did not reach synchronizing:");
        println!("{}", pair.source.describe(DATABASE));
        return ExitCode::FAILURE;
    }

    screen.step("Is everything there?");
    typed(&mut screen, &pair.source, &format!("SELECT courier.wait_for('{TASK}', timeout => '120 s');"));
    typed(
        &mut screen,
        &pair.source,
        &format!(
            "SELECT table_name, source_rows, destination_rows, identical, differing_keys\n  FROM courier.verify('{TASK}');"
        ),
    );
    let verdict = judge(&mut screen, &pair);

    if keep {
        leave_running(&mut screen, &pair);
        std::mem::forget(pair);
        scratch().keep();
    } else {
        typed(&mut screen, &pair.source, &format!("SELECT courier.drop_task('{TASK}');"));
        drop(pair);
        scratch().clean_up();
    }
    screen.verdict(verdict, begin.elapsed());
    if verdict { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn create_statements(pair: &Pair) -> Vec<String> {
    let port = pair.destination.port();
    vec![
        "CREATE EXTENSION pg_courier;".to_owned(),
        format!(
            "CREATE SERVER dr FOREIGN DATA WRAPPER pg_courier\n  \
             OPTIONS (host '127.0.0.1', port '{port}', dbname '{DATABASE}');"
        ),
        format!("CREATE USER MAPPING FOR CURRENT_USER SERVER dr\n  OPTIONS (user '{ROLE}', password '{PASSWORD}');"),
        "SELECT step, status, detail FROM courier.test_connection('dr');".to_owned(),
        format!(
            "SELECT courier.create_task('{TASK}', server => 'dr',\n  \
             include => ARRAY['public.*', '{}'], exclude => ARRAY['public.tmp_*']);",
            types::PATTERN
        ),
        format!(
            "SELECT action, count(*), min(object) AS \"for example\"\n  \
             FROM courier.plan('{TASK}') GROUP BY action ORDER BY min(step);"
        ),
        format!("SELECT courier.start('{TASK}');"),
    ]
}

/// Shows a statement, runs it with psql and shows the answer. A refusal ends the demo.
fn typed(screen: &mut Screen, cluster: &Cluster, statement: &str) {
    screen.prompt(DATABASE, statement);
    let output = cluster.psql(DATABASE, &format!("\\pset footer off\n{statement}\n"));
    screen.answer(&String::from_utf8_lossy(&output.stdout));
    if !output.status.success() {
        keep_quiet_when_stopping();
        screen.answer(&String::from_utf8_lossy(&output.stderr));
        println!("{}", cluster.log_tail(40));
        scratch().clean_up();
        std::process::exit(1);
    }
}

/// Draws courier.progress until the task is synchronizing; whether it got there.
fn show_progress(screen: &mut Screen, source: &Cluster, writing_since: Instant) -> bool {
    screen.prompt(DATABASE, "SELECT * FROM courier.progress; \\watch 1");
    let mut client = source.connect(DATABASE);
    let deadline = Instant::now() + Duration::from_secs(180);
    let state_query = format!(
        "SELECT state, coalesce(phase, ''), coalesce(pg_size_pretty(lag_bytes::bigint), '?'), \
         coalesce(round(lag_seconds::numeric, 1)::text, '?'), coalesce(round(rows_per_second::numeric)::text, '?'), \
         coalesce(last_error, '') FROM courier.task_details WHERE task = '{TASK}'"
    );
    let progress_query = format!(
        "SELECT table_name, state, rows, coalesce(bar, ''), coalesce(round(percent::numeric)::text || ' %', '') \
         FROM courier.progress WHERE task = '{TASK}' ORDER BY state = 'ready', bytes DESC NULLS LAST, table_name"
    );
    loop {
        let tables = text_rows(&mut client, &progress_query);
        let task = text_rows(&mut client, &state_query).into_iter().next().unwrap_or_default();
        let [state, phase, lag, delay, rate, error] = &task[..] else {
            screen.say("the task is gone");
            return false;
        };
        let ready = tables.iter().filter(|table| table[1] == "ready").count();
        let head = format!(
            "{:>3.0} s  {state} {phase}  {ready} of {} tables ready, {rate} rows/s, lag {lag} ({delay} s)",
            writing_since.elapsed().as_secs_f64(),
            tables.len()
        );
        let arrived = state == "synchronizing";
        screen.progress(&head, &tables, arrived);
        if arrived {
            return true;
        }
        if state == "failed" {
            screen.say(&format!("the task failed: {error}"));
            return false;
        }
        if Instant::now() > deadline {
            return false;
        }
        wait::poll(screen.frame(), || None::<()>);
    }
}

/// The demo's own judgement, from a second comparison that shares no code with the
/// extension: both sides send all rows, and they are compared as text.
fn judge(screen: &mut Screen, pair: &Pair) -> bool {
    screen.step("And compared once more from outside, row by row");
    let mut tables = types::tables(&pair.source, DATABASE);
    tables.extend(pgbench::TABLES.map(str::to_owned));
    let mut identical = true;
    let mut lines = vec![vec!["table".to_owned(), "rows".to_owned(), "result".to_owned()]];
    for table in &tables {
        let rows = pair.source.value(DATABASE, &format!("SELECT count(*) FROM {table}"));
        let exists = pair
            .destination
            .value(DATABASE, &format!("SELECT to_regclass({}) IS NOT NULL", pg_courier_tests::sql::literal(table)));
        let result = if exists != "t" {
            "missing on the destination".to_owned()
        } else {
            let found = compare((&pair.source, DATABASE), (&pair.destination, DATABASE), &[table]);
            found.first().map_or("identical".to_owned(), |difference| {
                screen.say(&difference.to_string());
                format!("{} rows differ", difference.count)
            })
        };
        identical &= result == "identical";
        lines.push(vec![table.clone(), rows, result]);
    }
    screen.table(&lines);

    // The extension's own verdict has to be the same.
    let unlike = pair.source.value(
        DATABASE,
        &format!(
            "SELECT count(*) FILTER (WHERE identical IS NOT TRUE) || ' of ' || count(*) FROM courier.verify('{TASK}')"
        ),
    );
    if !unlike.starts_with("0 of ") || unlike == "0 of 0" {
        screen.say(&format!("courier.verify finds differences in {unlike} tables"));
        identical = false;
    }
    identical
}

fn leave_running(screen: &mut Screen, pair: &Pair) {
    screen.step("Both servers go on running (KEEP=1)");
    for (cluster, what) in [(&pair.source, "source"), (&pair.destination, "destination")] {
        screen.say(&format!(
            "{what:<12} psql -h {} -p {} -U {SUPERUSER} {DATABASE}",
            cluster.socket_directory().display(),
            cluster.port()
        ));
    }
    let pids: Vec<String> = [&pair.source, &pair.destination]
        .iter()
        .filter_map(|cluster| cluster.postmaster_pid())
        .map(|pid| pid.to_string())
        .collect();
    screen.say(&format!("to end them: kill {} && rm -r {}", pids.join(" "), scratch().path().display()));
}

fn text_rows(client: &mut postgres::Client, query: &str) -> Vec<Vec<String>> {
    let rows = pg_courier_tests::sql::rows(client, query).unwrap_or_else(|error| panic!("{query}: {error:?}"));
    rows.into_iter().map(|row| row.into_iter().map(Option::unwrap_or_default).collect()).collect()
}
