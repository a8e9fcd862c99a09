//! How long a row waits on the destination behind commands that change definitions: behind many small ones, and behind an index of a large
//! table, which is built in the stream or aside. Each figure is the time from the commit of the row, right behind the commands, until it is
//! seen there.

use std::time::{Duration, Instant};

use pg_courier_tests::pair::DATABASE;
use pg_courier_tests::{Pair, TaskOptions, sql};

use crate::{Options, report};

const ALTERS: f64 = 1_000.0;
const ROWS: f64 = 3_000_000.0;
const TASK: &str = "measured";

pub fn run(options: &Options) -> bool {
    let (alters, rows) = ((ALTERS * options.size) as u32, (ROWS * options.size) as u32);
    let pair = Pair::builder().source_conf("max_wal_size", "8GB").destination_conf("max_wal_size", "8GB").start();
    pair.source.run(
        DATABASE,
        &format!(
            "CREATE TABLE probe (id int PRIMARY KEY); CREATE TABLE small (id int PRIMARY KEY, n int); \
             CREATE TABLE large (id int PRIMARY KEY, a text, b int); \
             INSERT INTO large SELECT g, md5(g::text), g % 1000 FROM generate_series(1, {rows}) g"
        ),
    );
    let following = TaskOptions { ddl: Some("replicate"), ..TaskOptions::default() };
    pair.start_task_with(DATABASE, TASK, &["public.*"], &following);
    pair.wait_for_state_within(DATABASE, TASK, "synchronizing", Duration::from_secs(600));
    pair.caught_up(DATABASE, TASK);
    println!(
        "\ndelay of the row behind a command on definitions, until it is on the destination (large table: {rows} rows); median of {} rounds",
        options.rounds
    );
    println!("  {:<34}{:>10}{:>10}{:>10}", "behind", "inline s", "aside s", "ratio");
    let mut next = 0;
    let many = format!(
        "DO $$BEGIN FOR n IN 1..{alters} LOOP EXECUTE format('ALTER TABLE small ALTER n SET DEFAULT %s', n); COMMIT; END LOOP; END$$"
    );
    let works = [
        (format!("{alters} ALTER TABLE"), many),
        ("CREATE INDEX".to_owned(), "CREATE INDEX measured_index ON large (a)".to_owned()),
    ];
    let mut equal = true;
    for (name, commands) in works {
        let mut figures = [Vec::new(), Vec::new()];
        for round in 0..options.rounds {
            for aside in [round % 2 == 0, round % 2 != 0] {
                pair.source.set("courier.ddl_inline_limit", Some(if aside { "1MB" } else { "-1" }));
                next += 1;
                figures[usize::from(aside)].push(delay(&pair, &commands, next).as_secs_f64());
                equal &= settled(&pair);
                pair.source.run(DATABASE, "DROP INDEX IF EXISTS measured_index");
                pair.caught_up(DATABASE, TASK);
            }
        }
        let [inline, aside] = figures.map(report::median);
        println!("  {name:<34}{inline:>10.3}{aside:>10.3}{:>10.2}", inline / aside);
    }
    equal
}

/// From the commit of the row until somebody sees it.
fn delay(pair: &Pair, commands: &str, id: i32) -> Duration {
    let mut source = pair.source.connect(DATABASE);
    let mut destination = pair.destination.connect(DATABASE);
    source.batch_execute(commands).expect("the commands");
    source.batch_execute(&format!("INSERT INTO probe VALUES ({id})")).expect("the row");
    let begin = Instant::now();
    let question = format!("SELECT count(*) FROM probe WHERE id = {id}");
    while sql::value(&mut destination, &question).expect("readable").as_deref() != Some("1") {
        std::thread::sleep(Duration::from_millis(1));
    }
    begin.elapsed()
}

/// Waits until nothing is left to be done; is it there, and whole?
fn settled(pair: &Pair) -> bool {
    pair.caught_up(DATABASE, TASK);
    let limit = Duration::from_secs(600);
    pair.destination.wait_until_within(
        DATABASE,
        "all is done",
        "NOT EXISTS (SELECT FROM courier_applied.pending)",
        limit,
    );
    let count = "SELECT count(*) FROM pg_index i JOIN pg_class c ON c.oid = indexrelid WHERE relname = 'measured_index' AND indisvalid";
    pair.source.value(DATABASE, count) == pair.destination.value(DATABASE, count)
}
