//! A source with the extension, and a destination that is nothing but a PostgreSQL with
//! a login: role `courier`, not a superuser, owner of the databases it writes to.
//!
//! The tasks are created with the SQL that a user types; what a helper adds is only the
//! answer of the server when something is refused.

use std::fmt::Write as _;
use std::time::Duration;

use crate::cluster::{Cluster, ClusterBuilder};
use crate::compare::assert_same;
use crate::install::Install;
use crate::sql::{ident, literal};
use crate::wait::DEADLINE;

pub const ROLE: &str = "courier";
pub const PASSWORD: &str = "secret: it's \\ \"quoted\"";

/// The database that most tests use, by the same name on both sides.
pub const DATABASE: &str = "shop";
/// The server object that `add_server` makes for it.
pub const SERVER: &str = "dr";

pub const APPLY: &str = "pg_courier apply worker";
pub const TABLESYNC: &str = "pg_courier tablesync worker";
pub const SUPERVISOR: &str = "pg_courier supervisor";
pub const LAUNCHER: &str = "pg_courier launcher";

#[derive(Debug)]
pub struct PairBuilder {
    source: ClusterBuilder,
    destination: ClusterBuilder,
    applies_as_replica: bool,
}

impl PairBuilder {
    /// Whether the destination's role may keep triggers and foreign keys from acting on what it
    /// applies, as the documentation asks for (and test_connection checks).
    pub fn applies_as_replica(mut self, yes: bool) -> Self {
        self.applies_as_replica = yes;
        self
    }

    pub fn source_conf(mut self, key: &str, value: &str) -> Self {
        self.source = self.source.conf(key, value);
        self
    }

    /// A variable of the environment of the source's postmaster.
    pub fn source_env(mut self, variable: &str, value: &str) -> Self {
        self.source = self.source.env(variable, value);
        self
    }

    pub fn destination_env(mut self, variable: &str, value: &str) -> Self {
        self.destination = self.destination.env(variable, value);
        self
    }

    pub fn destination_conf(mut self, key: &str, value: &str) -> Self {
        self.destination = self.destination.conf(key, value);
        self
    }

    /// A destination that can be the source of a further task.
    pub fn destination_is_a_source(self) -> Self {
        self.destination_conf("wal_level", "logical")
            .destination_conf("shared_preload_libraries", "pg_courier")
            .destination_conf("max_worker_processes", "32")
    }

    /// A source with another installation than the one under test.
    pub fn source_of(mut self, install: &'static Install) -> Self {
        self.source = self.source.of(install);
        self
    }

    /// A source whose administrator did not preload the library.
    pub fn preload(mut self, yes: bool) -> Self {
        self.source = self.source.preload(yes);
        self
    }

    /// Starts both servers and prepares database `shop` on both.
    pub fn start(self) -> Pair {
        let pair = self.start_without_database();
        pair.add_database(DATABASE);
        pair
    }

    pub fn start_without_database(self) -> Pair {
        let (source, destination) = std::thread::scope(|scope| {
            let source = scope.spawn(|| self.source.start());
            let destination = self.destination.start();
            (source.join().expect("the source starts"), destination)
        });
        create_role(&destination);
        if self.applies_as_replica {
            let_apply_as_replica(&destination);
        }
        Pair { source, destination }
    }
}

#[derive(Debug)]
pub struct Pair {
    pub source: Cluster,
    pub destination: Cluster,
}

/// The options of `create_task` that a user may leave out.
#[derive(Debug, Clone, Default)]
pub struct TaskOptions {
    pub exclude: Vec<String>,
    pub schema_sync: Option<bool>,
    pub full_copy: Option<bool>,
    pub incremental: Option<bool>,
    pub conflict: Option<&'static str>,
    pub forward_origins: Option<bool>,
    pub ddl: Option<&'static str>,
}

impl Pair {
    pub fn builder() -> PairBuilder {
        PairBuilder {
            source: source_builder(),
            destination: Cluster::builder("d").destination(),
            applies_as_replica: true,
        }
    }

    pub fn start() -> Pair {
        Pair::builder().start()
    }

    pub fn let_apply_as_replica(&self) {
        let_apply_as_replica(&self.destination);
    }

    /// Database `name` on both sides with extension, server object and user mapping.
    pub fn add_database(&self, name: &str) {
        self.source.create_database(name);
        self.add_destination_database(name);
        self.source.run(name, "CREATE EXTENSION pg_courier");
        self.add_server(name, SERVER, name, self.destination.port());
    }

    /// The same, with another encoding than UTF8 on the source.
    pub fn add_database_in(&self, encoding: &str, name: &str) {
        self.source.run(
            "postgres",
            &format!(
                "CREATE DATABASE {} TEMPLATE template0 ENCODING {} LC_COLLATE 'C' LC_CTYPE 'C'",
                ident(name),
                literal(encoding)
            ),
        );
        self.add_destination_database(name);
        self.source.run(name, "CREATE EXTENSION pg_courier");
        self.add_server(name, SERVER, name, self.destination.port());
    }

    pub fn add_destination_database(&self, name: &str) {
        create_destination_database(&self.destination, name);
    }

    pub fn add_server(&self, database: &str, server: &str, dbname: &str, port: u16) {
        create_server(&self.source, database, server, dbname, port);
    }

    /// Sends the server's connections through another port (a proxy's).
    pub fn route(&self, database: &str, port: u16) {
        let server = ident(SERVER);
        self.source.run(database, &format!("ALTER SERVER {server} OPTIONS (SET port '{port}')"));
    }

    /// `SELECT courier.create_task(...)` for server `dr`, with the named options given.
    pub fn create_task(&self, database: &str, task: &str, include: &[&str], options: &TaskOptions) {
        let statement = create_task_sql(task, SERVER, include, options);
        // What the release of an upgrade knows of commands.
        let knows = "SELECT count(*) FROM pg_proc WHERE oid::regproc::text = 'courier.create_task' AND 'ddl' = ANY (proargnames)";
        let statement = match self.source.value(database, knows).as_str() {
            "0" => statement.replace(&format!(", ddl => {}", literal(&ddl_of_others())), ""),
            _ => statement,
        };
        self.source.run(database, &statement);
    }

    /// Creates and starts a task with default options.
    pub fn start_task(&self, task: &str, include: &[&str]) {
        self.start_task_with(DATABASE, task, include, &TaskOptions::default());
    }

    pub fn start_task_with(&self, database: &str, task: &str, include: &[&str], options: &TaskOptions) {
        self.create_task(database, task, include, options);
        self.call(database, "start", task);
    }

    /// One of start, pause, resume, drop_task.
    pub fn call(&self, database: &str, function: &str, task: &str) {
        self.source.run(database, &format!("SELECT courier.{function}({})", literal(task)));
    }

    #[track_caller]
    pub fn wait_for_state(&self, database: &str, task: &str, state: &str) {
        self.wait_for_state_within(database, task, state, DEADLINE);
    }

    #[track_caller]
    pub fn wait_for_state_within(&self, database: &str, task: &str, state: &str, deadline: Duration) {
        let what = format!("task {task} is {state}");
        self.source.wait_until_within(
            database,
            &what,
            &of_task("tasks", task, &format!("state = {}", literal(state))),
            deadline,
        );
    }

    /// Waits until the task's line in a view of the extension (`task_details`, `lag`) is as the condition says.
    #[track_caller]
    pub fn wait_until_in(&self, view: &str, task: &str, what: &str, condition: &str) {
        self.source.wait_until(DATABASE, what, &of_task(view, task, condition));
    }

    /// `courier.wait_for`: everything committed before this call is on the destination.
    #[track_caller]
    pub fn caught_up(&self, database: &str, task: &str) {
        self.caught_up_within(database, task, DEADLINE);
    }

    #[track_caller]
    pub fn caught_up_within(&self, database: &str, task: &str, deadline: Duration) {
        let query = format!("SELECT courier.wait_for({}, timeout => '{} s')", literal(task), deadline.as_secs());
        if let Err(error) = self.source.connect(database).simple_query(&query) {
            panic!(
                "{query}: {}\n{}\n{}",
                crate::Answer::from(&error),
                self.source.describe(database),
                self.destination.log_tail(40)
            );
        }
    }

    /// Waits until caught up, then compares the tables of `shop` row by row.
    #[track_caller]
    pub fn assert_mirrored(&self, task: &str, tables: &[&str]) {
        self.assert_mirrored_in(DATABASE, task, tables);
    }

    #[track_caller]
    pub fn assert_mirrored_in(&self, database: &str, task: &str, tables: &[&str]) {
        self.caught_up(database, task);
        self.assert_same(database, tables);
    }

    #[track_caller]
    pub fn assert_same(&self, database: &str, tables: &[&str]) {
        assert_same((&self.source, database), (&self.destination, database), tables);
    }

    /// A column of the task's line in courier.task_details.
    #[track_caller]
    pub fn task(&self, database: &str, task: &str, column: &str) -> String {
        self.source
            .value(database, &format!("SELECT {column} FROM courier.task_details WHERE task = {}", literal(task)))
    }

    /// The last error of a task that has failed: message, detail and hint in one text.
    #[track_caller]
    pub fn failure(&self, database: &str, task: &str) -> String {
        self.wait_for_state(database, task, "failed");
        self.task(database, task, "concat_ws(E'\\n', last_error, last_error_detail, last_error_hint)")
    }

    /// Pid of the task's apply worker, once it runs.
    #[track_caller]
    pub fn apply_pid(&self, database: &str, task: &str) -> i32 {
        self.source.wait_until(
            database,
            "the apply worker runs",
            &format!(
                "EXISTS (SELECT FROM courier.task_details t JOIN pg_stat_activity a ON a.pid = t.apply_pid \
                 WHERE t.task = {})",
                literal(task)
            ),
        );
        self.task(database, task, "apply_pid").parse().expect("a pid")
    }
}

fn of_task(view: &str, task: &str, condition: &str) -> String {
    format!("(SELECT {condition} FROM courier.{view} WHERE task = {})", literal(task))
}

/// A server that can be a source.
pub fn source_builder() -> ClusterBuilder {
    Cluster::builder("s")
        .preload(true)
        .conf("wal_level", "logical")
        .conf("max_worker_processes", "32")
        .conf("max_replication_slots", "20")
        // Tests of alerts say themselves who asks, and when.
        .conf("courier.health_interval", "0")
}

/// A destination beside that of the pair, with the same login and an empty database of that name.
pub fn another_destination(name: &str) -> Cluster {
    let destination = Cluster::builder("d").destination().start();
    create_role(&destination);
    let_apply_as_replica(&destination);
    create_destination_database(&destination, name);
    destination
}

fn create_role(destination: &Cluster) {
    destination.run("postgres", &format!("CREATE ROLE {ROLE} LOGIN NOSUPERUSER PASSWORD {}", literal(PASSWORD)));
}

/// The one privilege beyond the database's owner. The server can grant it from 15 on; before, it is
/// one of superusers.
fn let_apply_as_replica(destination: &Cluster) {
    let statement = match destination.install.major() {
        ..15 => format!("ALTER ROLE {ROLE} SUPERUSER"),
        _ => format!("GRANT SET ON PARAMETER session_replication_role TO {ROLE}"),
    };
    destination.run("postgres", &statement);
}

fn create_destination_database(destination: &Cluster, name: &str) {
    destination.run("postgres", &format!("CREATE DATABASE {} OWNER {ROLE}", ident(name)));
}

/// The two statements of the README that say where a destination is.
pub fn create_server(source: &Cluster, database: &str, server: &str, dbname: &str, port: u16) {
    source.run(
        database,
        &format!(
            "CREATE SERVER {server} FOREIGN DATA WRAPPER pg_courier \
             OPTIONS (host '127.0.0.1', port '{port}', dbname {dbname}); \
             CREATE USER MAPPING FOR CURRENT_USER SERVER {server} \
             OPTIONS (user '{ROLE}', password {password});",
            server = ident(server),
            dbname = literal(dbname),
            password = literal(PASSWORD),
        ),
    );
}

/// The statement of the README, with the options that are given.
pub fn create_task_sql(task: &str, server: &str, include: &[&str], options: &TaskOptions) -> String {
    let array = |items: &mut dyn Iterator<Item = &str>| {
        let quoted: Vec<String> = items.map(literal).collect();
        format!("ARRAY[{}]::text[]", quoted.join(", "))
    };
    let mut statement = format!(
        "SELECT courier.create_task({}, server => {}, include => {}",
        literal(task),
        literal(server),
        array(&mut include.iter().copied())
    );
    if !options.exclude.is_empty() {
        let _ = write!(statement, ", exclude => {}", array(&mut options.exclude.iter().map(String::as_str)));
    }
    for (name, value) in [
        ("schema_sync", options.schema_sync),
        ("full_copy", options.full_copy),
        ("incremental", options.incremental),
        ("forward_origins", options.forward_origins),
    ] {
        if let Some(value) = value {
            let _ = write!(statement, ", {name} => {value}");
        }
    }
    let ddl = options.ddl.map(str::to_owned).or_else(|| Some(ddl_of_others()));
    for (name, value) in [("conflict", options.conflict.map(str::to_owned)), ("ddl", ddl)] {
        if let Some(value) = value {
            let _ = write!(statement, ", {name} => {}", literal(&value));
        }
    }
    statement + ")"
}

/// What tasks of tests that are not about commands do about them: rows and their tables are looked at by themselves.
/// `COURIER_DDL=replicate` lets all of them apply commands, as users' tasks do who say nothing.
fn ddl_of_others() -> String {
    std::env::var("COURIER_DDL").unwrap_or_else(|_| "ignore".to_owned())
}
