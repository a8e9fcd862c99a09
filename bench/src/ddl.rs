//! What the sessions pay that change definitions while a task follows them: the same commands with the event triggers of the capture and
//! without, in turn, on one server. No task runs; what its worker pays is another matter.

use std::time::Instant;

use pg_courier_tests::Cluster;
use pg_courier_tests::pair::DATABASE;

use crate::{Options, report};

/// Tables that are there before, so that the catalogs have a size.
const THERE: f64 = 2_000.0;
const TABLES: f64 = 1_000.0;
const TEMPORARY: f64 = 10_000.0;

/// A name, how many commands, and a block that runs them, `%s` of them.
struct Work {
    name: &'static str,
    commands: u32,
    block: String,
}

pub fn run(options: &Options) -> bool {
    let source = Cluster::builder("s")
        .preload(true)
        .conf("wal_level", "logical")
        .conf("max_locks_per_transaction", "20000")
        .start();
    source.create_database(DATABASE);
    source.run(
        DATABASE,
        "CREATE EXTENSION pg_courier; CREATE SCHEMA there; \
         INSERT INTO courier.task (name, owner, server, include, exclude, schema_sync, full_copy, incremental) \
         VALUES ('watching', 10, 0, '{}', '{}', true, true, true)",
    );
    source
        .run(DATABASE, &block((THERE * options.size) as u32, "CREATE TABLE there.t%s (id bigint PRIMARY KEY, a text)"));
    source.run(DATABASE, "UPDATE courier.task SET ddl = 'replicate'");
    source.run(DATABASE, "VACUUM ANALYZE");
    let works = works(options.size);
    println!(
        "\ncommands on definitions, in a database of {} tables: median of {} rounds, without and with the capture",
        (THERE * options.size) as u32,
        options.rounds
    );
    let mut figures = vec![[Vec::new(), Vec::new()]; works.len()];
    for round in 0..options.rounds {
        for captured in [round % 2 == 0, round % 2 != 0] {
            set_capture(&source, captured);
            for (work, figure) in works.iter().zip(&mut figures) {
                figure[usize::from(captured)].push(seconds(&source, &work.block));
            }
            source.run(DATABASE, "TRUNCATE courier.ddl_log");
            source.run(DATABASE, "VACUUM");
        }
    }
    for (work, [without, with]) in works.iter().zip(figures) {
        let (without, with) = (report::median(without), report::median(with));
        let each = (with - without) / f64::from(work.commands) * 1e6;
        println!(
            "  {:<34}{without:>8.2} s{with:>8.2} s   ratio {:>5.2}{each:>9.1} us a command",
            work.name,
            with / without
        );
    }
    true
}

/// Each runs in a session of its own, a hundred times in a transaction.
fn works(size: f64) -> Vec<Work> {
    let (tables, temporary) = ((TABLES * size) as u32, (TEMPORARY * size) as u32);
    let of = |name, commands, block| Work { name, commands, block };
    vec![
        of(
            "CREATE TABLE, key and default",
            tables,
            block(tables, "CREATE TABLE new%s (id bigint PRIMARY KEY, a text DEFAULT ''x'', b numeric, c timestamptz)"),
        ),
        of("ALTER TABLE ADD COLUMN", tables, block(tables, "ALTER TABLE new%s ADD COLUMN d int DEFAULT 7")),
        of("CREATE INDEX", tables, block(tables, "CREATE INDEX ON new%s (a)")),
        of("DROP TABLE", tables, block(tables, "DROP TABLE new%s")),
        of(
            "temporary: create, index, drop",
            temporary * 3,
            block(temporary, "CREATE TEMP TABLE x (a int, b text); CREATE INDEX ON x (a); DROP TABLE x"),
        ),
    ]
}

fn block(times: u32, statement: &str) -> String {
    format!(
        "DO $$BEGIN FOR n IN 1..{times} LOOP EXECUTE replace('{statement}', '%s', n::text); \
             IF n % 100 = 0 THEN COMMIT; END IF; END LOOP; END$$"
    )
}

fn set_capture(source: &Cluster, on: bool) {
    let state = if on { "ENABLE ALWAYS" } else { "DISABLE" };
    for trigger in ["pg_courier_ddl", "pg_courier_ddl_drop", "pg_courier_ddl_rewrite"] {
        source.run(DATABASE, &format!("ALTER EVENT TRIGGER {trigger} {state}"));
    }
}

fn seconds(source: &Cluster, block: &str) -> f64 {
    let mut client = source.connect(DATABASE);
    let begin = Instant::now();
    client.batch_execute(block).expect("the commands");
    begin.elapsed().as_secs_f64()
}
