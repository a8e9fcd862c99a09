//! A source whose tables do not keep still. Nobody can promise that a destination follows everything that may be done to
//! tables; what is promised is that it never falls behind in silence. After each round of whatever came to mind, both
//! sides are equal row by row, or somebody says which table is not; and the ways out that are printed lead back to two
//! sides that are equal.

use std::collections::BTreeSet;
use std::time::Duration;

use pg_courier_tests::cluster::Stop;
use pg_courier_tests::compare::compare_table;
use pg_courier_tests::pair::{APPLY, DATABASE, ROLE, SUPERVISOR, TaskOptions};
use pg_courier_tests::{Pair, Rng, wait};

use crate::common::{TASK, sized};

const LONG: Duration = Duration::from_secs(120);

/// Tables of schema `world` and of those called `wing...` are in the task, and the partitions of `world.m` wherever they
/// are. Each has the columns of this one.
const COLUMNS: &str = "(id int PRIMARY KEY, v text)";

struct World {
    pair: Pair,
    rng: Rng,
    /// For names that nothing had before.
    number: u32,
    wing: String,
    /// What was done since the last time that both sides were equal.
    story: Vec<String>,
    left_out: BTreeSet<String>,
}

impl World {
    fn new(rng: Rng) -> World {
        let pair = Pair::start();
        let tables = format!(
            "CREATE SCHEMA world; CREATE SCHEMA wing; CREATE TABLE world.a {COLUMNS}; CREATE TABLE world.b {COLUMNS}; \
             CREATE TABLE wing.c {COLUMNS};"
        );
        let partitioned = format!("CREATE TABLE world.m {COLUMNS} PARTITION BY RANGE (id);");
        let partition = "CREATE TABLE world.m0 PARTITION OF world.m FOR VALUES FROM (0) TO (100);";
        pair.source.run(DATABASE, &format!("CREATE SCHEMA elsewhere; {tables} {partitioned} {partition}"));
        // The tree is flat there: what a partition may hold is the source's business.
        let flat = format!("{tables} {partitioned} CREATE TABLE world.m0 {COLUMNS};");
        pair.destination.run(DATABASE, &format!("SET ROLE {ROLE}; {flat}"));
        let options = TaskOptions { schema_sync: Some(false), ..TaskOptions::default() };
        pair.start_task_with(DATABASE, TASK, &["world.*", "wing*.*"], &options);
        pair.wait_for_state(DATABASE, TASK, "synchronizing");
        pair.caught_up(DATABASE, TASK);
        let (wing, story, left_out) = ("wing".to_owned(), Vec::new(), BTreeSet::new());
        World { pair, rng, number: 0, wing, story, left_out }
    }

    fn fresh(&mut self, prefix: &str) -> String {
        self.number += 1;
        format!("{prefix}{}", self.number)
    }

    /// What the patterns promise, from the source's catalogs: not what the extension believes.
    fn promised(&self) -> BTreeSet<String> {
        self.names(
            "SELECT c.oid::regclass::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
             WHERE c.relkind = 'r' AND (n.nspname = 'world' OR n.nspname LIKE 'wing%' \
                OR EXISTS (SELECT FROM pg_partition_ancestors(c.oid) a WHERE a.relid = to_regclass('world.m'))) \
             AND c.relpersistence = 'p'",
        )
    }

    /// Those of them, and the unlogged ones, that this test may do something to.
    fn tables(&self) -> Vec<String> {
        let all = self.names(
            "SELECT c.oid::regclass::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
             WHERE c.relkind = 'r' AND (n.nspname = 'world' OR n.nspname LIKE 'wing%')",
        );
        all.difference(&self.left_out).cloned().collect()
    }

    fn names(&self, query: &str) -> BTreeSet<String> {
        self.pair.source.rows(DATABASE, query).into_iter().flatten().flatten().collect()
    }

    /// A statement that the source may refuse: a row for which there is no partition, a persistence that it has.
    fn try_on_source(&mut self, statement: &str) {
        let outcome = self.pair.source.connect(DATABASE).batch_execute(statement);
        self.story.push(format!("{}{statement}", if outcome.is_ok() { "" } else { "(refused) " }));
    }

    fn there(&mut self, statement: &str) {
        self.story.push(format!("there: {statement}"));
        self.pair.destination.run(DATABASE, &format!("SET ROLE {ROLE}; {statement}"));
    }

    fn write(&mut self) {
        let tables = self.tables();
        let table = self.rng.pick(&tables).clone();
        let id = self.rng.between(0, 400);
        let statement = match self.rng.between(0, 4) {
            0 => format!("UPDATE world.m SET id = id + 100 WHERE id < {id}"),
            1 => format!("DELETE FROM {table} WHERE id % 7 = {}", id % 7),
            2 => format!("UPDATE {table} SET v = v || '.' WHERE id % 3 = {}", id % 3),
            _ => format!(
                "INSERT INTO {table} SELECT n, 'row' FROM generate_series({id}, {id} + 9) n ON CONFLICT DO NOTHING"
            ),
        };
        self.try_on_source(&statement);
    }

    /// Something that changes what the task's tables are.
    fn change(&mut self) {
        let tables = self.tables();
        let table = self.rng.pick(&tables).clone();
        let (schema, name) = table.split_once('.').expect("a name with its schema");
        let (schema, name) = (schema.to_owned(), name.to_owned());
        let fresh = self.fresh("t");
        let statement = match self.rng.between(0, 13) {
            0 => format!("CREATE TABLE world.{fresh} {COLUMNS}"),
            1 => format!("CREATE TABLE world.{fresh} {COLUMNS}; INSERT INTO world.{fresh} VALUES (1, 'at once')"),
            2 => {
                let low = 100 * self.rng.between(0, 9);
                let within = *self.rng.pick(&["world", "elsewhere"]);
                format!("CREATE TABLE {within}.{fresh} PARTITION OF world.m FOR VALUES FROM ({low}) TO ({})", low + 100)
            }
            3 => format!("ALTER TABLE {table} RENAME TO {fresh}"),
            4 => {
                let other = self.rng.pick(&tables).clone();
                let (other_schema, other_name) = other.split_once('.').expect("a name with its schema");
                format!(
                    "ALTER TABLE {table} RENAME TO {fresh}; ALTER TABLE {other} RENAME TO {fresh}x; \
                     ALTER TABLE {schema}.{fresh} RENAME TO {other_name}y; ALTER TABLE {other_schema}.{fresh}x RENAME TO {name}; \
                     ALTER TABLE {schema}.{other_name}y RENAME TO {other_name}"
                )
            }
            5 => format!("ALTER TABLE {table} SET SCHEMA {}", if schema == "world" { &self.wing } else { "world" }),
            6 => format!("ALTER TABLE {table} SET UNLOGGED"),
            7 => format!("ALTER TABLE {table} SET LOGGED"),
            8 if tables.len() > 4 => format!("DROP TABLE {table}"),
            9 => format!(
                "DROP TABLE {table}; CREATE TABLE {table} {COLUMNS}; INSERT INTO {table} VALUES (2, 'made anew')"
            ),
            10 => {
                let wing = self.fresh("wing");
                let statement = format!("ALTER SCHEMA {} RENAME TO {wing}", self.wing);
                self.wing = wing;
                statement
            }
            11 => format!("ALTER TABLE world.m DETACH PARTITION {table}"),
            12 => format!(
                "CREATE TABLE world.{fresh} {COLUMNS}; INSERT INTO world.{fresh} VALUES (1); DROP TABLE world.{fresh}"
            ),
            _ => format!(
                "CREATE TABLE elsewhere.{fresh} {COLUMNS}; INSERT INTO elsewhere.{fresh} VALUES (1, 'from elsewhere'); \
                 ALTER TABLE elsewhere.{fresh} SET SCHEMA world"
            ),
        };
        // Each statement by itself, or all at once.
        if self.rng.between(0, 2) == 0 {
            self.try_on_source(&format!("BEGIN; {statement}; COMMIT"));
        } else {
            let statements: Vec<String> = statement.split("; ").map(str::to_owned).collect();
            for statement in statements {
                self.try_on_source(&statement);
                if self.rng.between(0, 3) == 0 {
                    self.write();
                }
            }
        }
    }

    fn round(&mut self) {
        for _ in 0..self.rng.between(2, 6) {
            self.write();
            self.change();
            self.write();
        }
    }

    /// Waits until the task has done what it can.
    fn comes_to_rest(&self) -> bool {
        let rests = || {
            let mut session = self.pair.source.try_connect(DATABASE).ok()?;
            if session.batch_execute(&format!("SELECT courier.wait_for('{TASK}', '5 s')")).is_ok() {
                return Some(true);
            }
            let query = format!("SELECT state = 'failed' FROM courier.tasks WHERE task = '{TASK}'");
            session.query_one(&query, &[]).ok()?.get::<_, bool>(0).then_some(false)
        };
        wait::until("the task comes to rest", LONG, rests, || self.tell())
    }

    fn tell(&self) -> String {
        format!("{}\n{}", self.story.join(";\n"), self.pair.source.describe(DATABASE))
    }

    /// Promised tables that are not the same on the destination.
    fn unequal(&self) -> BTreeSet<String> {
        let promised = self.promised();
        let wanted = promised.difference(&self.left_out);
        wanted.filter(|table| !self.is_equal(table)).cloned().collect()
    }

    fn is_equal(&self, table: &str) -> bool {
        let is_there = format!("SELECT to_regclass('{table}') IS NOT NULL");
        let sides = ((&self.pair.source, DATABASE), (&self.pair.destination, DATABASE));
        self.pair.destination.value(DATABASE, &is_there) == "t"
            && compare_table(sides.0, sides.1, table, table).count == 0
    }

    /// The point of it all: what is missing is said.
    fn nothing_is_silent(&self, runs: bool) {
        let unequal = self.unequal();
        println!("{} statements, stopped: {}, not equal: {unequal:?}", self.story.len(), !runs);
        let said = self.names(&format!(
            "SELECT table_name FROM courier.coverage('{TASK}') UNION SELECT split_part(detail, ' is called ', 2) \
             FROM (SELECT rtrim(detail, '.') AS detail FROM courier.coverage('{TASK}') WHERE problem = 'renamed') d(detail)"
        ));
        let said: BTreeSet<String> = said.into_iter().map(|name| name.replace(" on the source", "")).collect();
        let silent: Vec<&String> = unequal.iter().filter(|table| !said.contains(*table)).collect();
        // A task that has stopped says so by its state, its last error, and check `task`.
        if runs {
            assert!(silent.is_empty(), "nobody says that {silent:?} are missing, but {said:?}\n{}", self.tell());
        } else {
            let error = self.pair.task(DATABASE, TASK, "concat_ws(' ', last_error, last_error_hint)");
            assert!(!error.is_empty(), "the task has stopped and does not say why\n{}", self.tell());
        }
        let check = self
            .pair
            .source
            .value(DATABASE, "SELECT string_agg(DISTINCT status, ',') FROM courier.health() WHERE item = 'coverage'");
        assert_eq!(check == "critical", !said.is_empty(), "{check}: {said:?}\n{}", self.tell());
        let found = self.names(&format!(
            "SELECT table_name::regclass::text FROM courier.verify('{TASK}') \
             WHERE NOT identical AND to_regclass(table_name) IS NOT NULL"
        ));
        if runs && said.is_empty() {
            assert_eq!(found, unequal, "verify\n{}", self.tell());
        }
    }

    /// What an operator does who reads.
    fn repair(&mut self) {
        for _ in 0..40 {
            self.story.push("repair".to_owned());
            if self.pair.task(DATABASE, TASK, "state") != "failed" {
                self.pair.call(DATABASE, "pause", TASK);
            }
            let gaps = self.pair.source.rows(
                DATABASE,
                &format!(
                    "SELECT problem, table_name, hint FROM courier.coverage('{TASK}') \
                     ORDER BY array_position(ARRAY['dropped', 'renamed', 'unlogged', 'not followed'], problem), table_name"
                ),
            );
            let mut renamed = false;
            for gap in &gaps {
                let [problem, table, hint] = [0, 1, 2].map(|column| gap[column].clone().unwrap_or_default());
                match problem.as_str() {
                    "dropped" => self.there(&format!("DROP TABLE IF EXISTS {table}")),
                    // The hint has all of them.
                    "renamed" if !renamed => {
                        renamed = true;
                        self.follow_names(&hint);
                    }
                    "renamed" => {}
                    // Names first.
                    _ if renamed => {}
                    "unlogged" => {
                        self.try_on_source(&format!("ALTER TABLE {table} SET LOGGED"));
                        self.add(&table);
                    }
                    _ if self.rng.between(0, 4) == 0 => self.leave_out(&table),
                    _ => self.add(&table),
                }
            }
            self.story.push("resume".to_owned());
            self.pair.call(DATABASE, "resume", TASK);
            if self.comes_to_rest() && gaps.is_empty() {
                return;
            }
            self.heed_last_error();
        }
        panic!("no way leads out\n{}", self.tell());
    }

    /// Runs what the hint has for the destination.
    fn follow_names(&mut self, hint: &str) {
        let (_, statements) = hint.split_once("on the destination: ").expect("statements for the destination");
        let (statements, _) = statements.split_once(" Then here:").expect("what comes then");
        // A schema that is new on the source is needed there too.
        for wing in self.names("SELECT nspname::text FROM pg_namespace WHERE nspname LIKE 'wing%'") {
            self.there(&format!("CREATE SCHEMA IF NOT EXISTS {wing}"));
        }
        self.there(statements);
    }

    /// What only the stream knows: a table was unlogged for a while.
    fn heed_last_error(&mut self) {
        let error = self.pair.task(DATABASE, TASK, "concat_ws(' ', state, last_error)");
        let Some((before, _)) = error.split_once(" was made unlogged") else { return };
        let Some((_, table)) = before.rsplit_once("table ") else { return };
        self.add(table);
    }

    fn add(&mut self, table: &str) {
        let (schema, _) = table.split_once('.').expect("a name with its schema");
        self.there(&format!(
            "CREATE SCHEMA IF NOT EXISTS {schema}; CREATE TABLE IF NOT EXISTS {table} {COLUMNS}; TRUNCATE {table}"
        ));
        self.try_on_source(&format!("SELECT courier.add_table('{TASK}', '{table}')"));
    }

    fn leave_out(&mut self, table: &str) {
        self.left_out.insert(table.to_owned());
        self.try_on_source(&format!("SELECT courier.alter_task('{TASK}', exclude => '{{{table}}}')"));
        self.there(&format!("DROP TABLE IF EXISTS {table}"));
    }

    fn assert_equal(&mut self) {
        let unequal = self.unequal();
        assert!(unequal.is_empty(), "{unequal:?} are not equal\n{}", self.tell());
        let gaps = self.pair.source.value(DATABASE, &format!("SELECT count(*) FROM courier.coverage('{TASK}')"));
        assert_eq!(gaps, "0", "{}", self.tell());
        self.story.clear();
    }
}

/// Tables are created, renamed, exchanged, moved, unlogged, dropped, partitions come and go, schemas get other names.
#[test]
fn tables_do_not_keep_still() {
    let mut world = World::new(Rng::from_environment("tables_do_not_keep_still"));
    for round in 0..sized(8, 250) {
        println!("round {round}");
        world.round();
        let runs = world.comes_to_rest();
        world.nothing_is_silent(runs);
        world.repair();
        world.assert_equal();
    }
}

/// The same, while servers and processes are killed and started again.
#[test]
fn tables_do_not_keep_still_and_nothing_stays_up() {
    let mut world = World::new(Rng::from_environment("tables_do_not_keep_still_and_nothing_stays_up"));
    for round in 0..sized(6, 150) {
        println!("round {round}");
        for _ in 0..3 {
            world.write();
            world.change();
            world.accident();
        }
        let runs = world.comes_to_rest();
        world.nothing_is_silent(runs);
        world.repair();
        world.assert_equal();
    }
}

impl World {
    fn accident(&mut self) {
        let (source, destination) = (&self.pair.source, &self.pair.destination);
        let what = match self.rng.between(0, 5) {
            0 => {
                source.kill9();
                source.start();
                "the source was killed"
            }
            1 => {
                destination.kill9();
                destination.start();
                "the destination was killed"
            }
            2 => {
                source.restart();
                "the source was restarted"
            }
            3 => {
                destination.stop(Stop::Fast);
                destination.start();
                "the destination was restarted"
            }
            4 => {
                source.pids(APPLY).first().into_iter().for_each(|pid| terminate(source, *pid));
                "the apply worker was ended"
            }
            _ => {
                source.pids(SUPERVISOR).first().into_iter().for_each(|pid| terminate(source, *pid));
                "the supervisor was ended"
            }
        };
        self.story.push(what.to_owned());
    }
}

fn terminate(cluster: &pg_courier_tests::Cluster, pid: i32) {
    cluster.run("postgres", &format!("SELECT pg_terminate_backend({pid})"));
}
