//! A source whose tables do not keep still. Nobody can promise that a destination follows everything that may be done to
//! tables; what is promised is that it never falls behind in silence. After each round of whatever came to mind, both
//! sides are equal row by row, or somebody says which table is not; and the ways out that are printed lead back to two
//! sides that are equal.

use std::collections::BTreeSet;
use std::time::Duration;

use pg_courier_tests::cluster::Stop;
use pg_courier_tests::compare::compare_table;
use pg_courier_tests::pair::{APPLY, DATABASE, ROLE, SUPERVISOR, TaskOptions};
use pg_courier_tests::{Cluster, Pair, Rng, Traffic, wait};

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
    /// Was the destination put back, so that it may lack what was done to its tables?
    restored: bool,
    has_saved: bool,
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
        World { pair, rng, number: 0, wing, story, left_out, restored: false, has_saved: false }
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
        let statements = format!("SET ROLE {ROLE}; {statement}");
        if !self.restored {
            self.story.push(format!("there: {statement}"));
            self.pair.destination.run(DATABASE, &statements);
            return;
        }
        // It may be about tables that an older state does not have.
        let outcome = self.pair.destination.connect(DATABASE).batch_execute(&statements);
        self.story.push(format!("there: {}{statement}", if outcome.is_ok() { "" } else { "(refused) " }));
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
        let statement = match self.rng.between(0, 14) {
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
            12 => {
                format!(
                    "ALTER TABLE {table} SET UNLOGGED; UPDATE {table} SET v = 'unlogged'; ALTER TABLE {table} SET LOGGED"
                )
            }
            13 => format!(
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
            let error = self.last_error();
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
            if self.is_behind() {
                self.start_over();
            }
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
            if self.restored && gaps.is_empty() && !self.is_behind() {
                // What was done to the destination's tables is not there any more, and the task has met it.
                self.start_over();
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

/// The destination is put back to an earlier state in the midst of it: what the slot does not send again is missed, aloud.
#[test]
fn a_destination_that_is_put_back() {
    let mut world = World::new(Rng::from_environment("a_destination_that_is_put_back"));
    let mut behind = 0;
    for round in 0..sized(3, 50) {
        println!("round {round}");
        let traffic = world.traffic();
        if !world.has_saved || world.rng.between(0, 2) > 0 {
            world.save_destination();
        }
        world.round();
        if world.rng.between(0, 1) == 0 {
            // The slot follows, and what is applied by then does not come again.
            world.comes_to_rest();
            world.write();
        }
        world.put_destination_back();
        world.write();
        traffic.stop();
        world.write();
        let runs = world.comes_to_rest();
        behind += u32::from(!runs && world.is_behind());
        world.nothing_is_silent(runs);
        world.repair();
        world.assert_equal();
        world.restored = false;
    }
    println!("{behind} times behind");
}

/// A copy of the source is started, in whatever moment and order. Its rows are not for the destination of the original, unless
/// somebody says so; then the original stops.
#[test]
fn copies_of_the_source() {
    let mut world = World::new(Rng::from_environment("copies_of_the_source"));
    let first = world.rng.between(0, 2);
    for round in 0..sized(3, 50) {
        println!("round {round}");
        world.round();
        // Names of directories that grow with each copy of a copy, which sockets bear so long.
        let short = world.pair.source.socket_directory().as_os_str().len() < 70;
        match (first + round) % 3 {
            0 if short => world.a_copy_goes_on_instead(),
            1 => world.a_copy_takes_over(),
            _ => world.a_copy_beside(),
        }
    }
}

impl World {
    /// Rows for whichever table is there at the moment.
    fn traffic(&mut self) -> Traffic {
        let write = |rng: &mut Rng| {
            let id = rng.between(0, 900);
            let statement = match rng.between(0, 2) {
                0 => format!("UPDATE %s SET v = v || '+' WHERE id % 5 = {}", id % 5).replace("% 5", "%% 5"),
                _ => format!("INSERT INTO %s VALUES ({id}, 'traffic') ON CONFLICT DO NOTHING"),
            };
            format!(
                "DO $$ DECLARE t pg_catalog.regclass; BEGIN                  SELECT c.oid INTO t FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace                  WHERE c.relkind = 'r' AND (n.nspname = 'world' OR n.nspname LIKE 'wing%') ORDER BY random() LIMIT 1;                  EXECUTE format('{}', t); EXCEPTION WHEN others THEN NULL; END $$",
                statement.replace('\'', "''")
            )
        };
        let seed = self.rng.next_u64();
        Traffic::start(&self.pair.source, DATABASE, 2, seed, Duration::from_millis(10), write)
    }

    fn stop_destination(&mut self) {
        let how = *self.rng.pick(&[Stop::Fast, Stop::Immediate]);
        self.pair.destination.stop(how);
    }

    fn save_destination(&mut self) {
        self.stop_destination();
        self.pair.destination.save();
        self.pair.destination.start();
        self.has_saved = true;
        self.story.push("the destination was saved".to_owned());
    }

    fn put_destination_back(&mut self) {
        self.stop_destination();
        self.pair.destination.put_back();
        self.pair.destination.start();
        (self.has_saved, self.restored) = (false, true);
        self.story.push("the destination was put back".to_owned());
    }

    fn last_error(&self) -> String {
        self.pair.task(DATABASE, TASK, "concat_ws(' ', last_error, last_error_detail, last_error_hint)")
    }

    /// The task has stopped because the destination lacks what does not come again.
    fn is_behind(&self) -> bool {
        let error = self.last_error();
        let words = [
            "lacks changes that its slot will not send",
            "has lost copies of tables",
            "has no progress row",
            "was put back to an earlier state",
        ];
        self.pair.task(DATABASE, TASK, "state") == "failed" && words.iter().any(|words| error.contains(words))
    }

    /// What the hint says: the task is dropped, its tables are emptied, it is created anew.
    fn start_over(&mut self) {
        self.story.push(format!("start over: {}", self.last_error()));
        self.pair.call(DATABASE, "drop_task", TASK);
        let is_gone = "SELECT (SELECT count(*) FROM courier.task) + (SELECT count(*) FROM pg_replication_slots)";
        assert_eq!(self.pair.source.value(DATABASE, is_gone), "0", "{}", self.tell());
        let schemas: Vec<String> = self
            .pair
            .destination
            .rows(DATABASE, "SELECT nspname::text FROM pg_namespace WHERE nspname ~ '^(world|wing|elsewhere)'")
            .into_iter()
            .flatten()
            .flatten()
            .collect();
        let mut statements: Vec<String> =
            schemas.iter().map(|schema| format!("DROP SCHEMA {schema} CASCADE")).collect();
        let mut tables = self.promised();
        tables.retain(|table| !self.left_out.contains(table));
        let mut new: BTreeSet<&str> = tables.iter().filter_map(|table| Some(table.split_once('.')?.0)).collect();
        new.insert("world");
        statements.extend(new.iter().map(|schema| format!("CREATE SCHEMA {schema}")));
        statements.push(format!("CREATE TABLE world.m {COLUMNS} PARTITION BY RANGE (id)"));
        statements.extend(tables.iter().map(|table| format!("CREATE TABLE {table} {COLUMNS}")));
        self.there(&statements.join("; "));
        let exclude: Vec<String> = self.left_out.iter().cloned().collect();
        let options = TaskOptions { schema_sync: Some(false), exclude, ..TaskOptions::default() };
        self.pair.start_task_with(DATABASE, TASK, &["world.*", "wing*.*"], &options);
        self.comes_to_rest();
    }

    /// A copy of the source as it is now, stopped or crashed; neither is started yet.
    fn copy(&mut self) -> Cluster {
        match self.rng.between(0, 2) {
            0 => self.pair.source.stop(Stop::Fast),
            1 => self.pair.source.stop(Stop::Immediate),
            _ => self.pair.source.kill9(),
        }
        let name = self.fresh("c");
        self.story.push(format!("the source was copied: {name}"));
        self.pair.source.copied(&name)
    }

    /// Rows of their own for tables of another server, and fewer of the others. Returns how these rows begin.
    fn write_on(&mut self, server: &Cluster) -> String {
        let words = format!("of {} ", self.fresh("server"));
        let rest = self.rng.between(0, 3);
        for table in tables_of(server) {
            let insert = |low, high| {
                format!(
                    "INSERT INTO {table} SELECT n, '{words}' FROM generate_series({low}, {high}) n ON CONFLICT DO NOTHING"
                )
            };
            let delete = format!("DELETE FROM {table} WHERE id % 4 = {rest}");
            // What a partition does not take, it does not take.
            let mut session = server.connect(DATABASE);
            let done = [insert(1000, 1100), insert(0, 99), delete].map(|sql| session.batch_execute(&sql).is_ok());
            assert!(done[2]);
        }
        words
    }

    /// The task says on this server that the destination is another one's, also when told to go on.
    fn is_refused(&self, server: &Cluster) {
        let failed = format!("(SELECT state = 'failed' FROM courier.tasks WHERE task = '{TASK}')");
        server.wait_until(DATABASE, "the task has failed", &failed);
        let error = || {
            let columns = "concat_ws(' ', last_error, last_error_detail, last_error_hint)";
            server.value(DATABASE, &format!("SELECT {columns} FROM courier.task_details"))
        };
        if !error().contains("belongs to another server") {
            // It had failed before it was copied.
            server.run(DATABASE, &format!("SELECT courier.resume('{TASK}')"));
            server.wait_until(DATABASE, "the task has failed again", &failed);
        }
        let said = error();
        for words in ["belongs to another server", "courier.drop_task(", "courier.adopt("] {
            assert!(said.contains(words), "{words} is not in: {said}\n{}", self.tell());
        }
    }

    fn drop_on(&mut self, copy: &Cluster) {
        self.story.push("the task was dropped on the other server".to_owned());
        let said = copy.psql(DATABASE, &format!("SELECT courier.drop_task('{TASK}')"));
        let said = String::from_utf8_lossy(&said.stderr).into_owned();
        assert!(said.contains("nothing was removed on the destination"), "{said}\n{}", self.tell());
        let is_gone = "SELECT (SELECT count(*) FROM courier.task) + (SELECT count(*) FROM pg_replication_slots)";
        assert_eq!(copy.value(DATABASE, is_gone), "0");
    }

    fn nothing_came_from(&self, words: &str) {
        for table in tables_of(&self.pair.destination) {
            let rows = format!("SELECT count(*) FROM {table} WHERE v LIKE '{words}%'");
            assert_eq!(self.pair.destination.value(DATABASE, &rows), "0", "{table}: {words}\n{}", self.tell());
        }
    }

    fn settle(&mut self) {
        let runs = self.comes_to_rest();
        self.nothing_is_silent(runs);
        self.repair();
        self.assert_equal();
    }

    /// The copy runs beside the original, and has to keep quiet.
    fn a_copy_beside(&mut self) {
        let copy = self.copy();
        if self.rng.between(0, 1) == 0 {
            copy.start();
            self.is_refused(&copy);
        }
        self.pair.source.start();
        self.write();
        if copy.postmaster_pid().is_none() {
            copy.start();
        }
        let words = self.write_on(&copy);
        self.change();
        self.is_refused(&copy);
        let leaves_first = self.rng.between(0, 1) == 0;
        if leaves_first {
            self.drop_on(&copy);
        }
        self.settle();
        self.nothing_came_from(&words);
        if !leaves_first {
            copy.run(DATABASE, &format!("SELECT courier.resume('{TASK}')"));
            self.is_refused(&copy);
            self.drop_on(&copy);
            self.round();
            self.settle();
            self.nothing_came_from(&words);
        }
    }

    /// The original is gone, somebody says that the copy is the one. Then the original comes back.
    fn a_copy_goes_on_instead(&mut self) {
        let copy = self.copy();
        copy.start();
        self.is_refused(&copy);
        if self.rng.between(0, 1) == 0 {
            self.write_on(&copy);
        }
        let original = std::mem::replace(&mut self.pair.source, copy);
        self.adopt();
        self.write();
        original.start();
        let words = self.write_on(&original);
        self.write();
        self.is_refused(&original);
        self.settle();
        self.drop_on(&original);
        self.round();
        self.settle();
        self.nothing_came_from(&words);
    }

    /// The same while the original runs: it is shut out in the midst of its work. Then it is told to go on after all.
    fn a_copy_takes_over(&mut self) {
        let copy = self.copy();
        self.pair.source.start();
        self.write();
        copy.start();
        self.is_refused(&copy);
        self.write();
        let original = std::mem::replace(&mut self.pair.source, copy);
        self.adopt();
        let words = self.write_on(&original);
        self.is_refused(&original);
        self.nothing_came_from(&words);
        let copy = std::mem::replace(&mut self.pair.source, original);
        copy.stop(Stop::Fast);
        self.adopt();
        // Two servers wrote, from one position on: what is missing is met by the stream, or verify() says it.
        let runs = self.comes_to_rest();
        let unequal = self.unequal();
        println!("after both wrote, stopped: {}, not equal: {unequal:?}", !runs);
        if runs {
            let found = self.names(&format!(
                "SELECT table_name::regclass::text FROM courier.verify('{TASK}') \
                 WHERE NOT identical AND to_regclass(table_name) IS NOT NULL"
            ));
            assert!(unequal.is_subset(&found), "{unequal:?}, but only {found:?} are said\n{}", self.tell());
        }
        if !unequal.is_empty() {
            self.start_over();
        }
        self.settle();
    }

    /// A person decides for this server, and is told what that means.
    fn adopt(&mut self) {
        self.story.push("adopted".to_owned());
        let said = self.pair.source.psql(DATABASE, &format!("SELECT courier.adopt('{TASK}')"));
        let said = String::from_utf8_lossy(&said.stderr).into_owned();
        assert!(said.contains("WARNING") && said.contains("courier.verify("), "{said}\n{}", self.tell());
    }
}

fn tables_of(server: &Cluster) -> Vec<String> {
    let query = "SELECT c.oid::regclass::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
         WHERE c.relkind = 'r' AND (n.nspname = 'world' OR n.nspname LIKE 'wing%')";
    server.rows(DATABASE, query).into_iter().flatten().flatten().collect()
}

fn terminate(cluster: &Cluster, pid: i32) {
    cluster.run("postgres", &format!("SELECT pg_terminate_backend({pid})"));
}
