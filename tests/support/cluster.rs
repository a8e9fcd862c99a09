//! One throw-away server: data directory, port, socket and log in the scratch
//! directory, the postmaster a child of ours.
//!
//! The cluster keeps its port and directory over `stop`, `kill9` and `start`, so that whoever
//! was connected can come back. Superuser `postgres` enters by the socket without a
//! password; everybody over TCP needs one (scram).

use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use postgres::{Client, Config, NoTls};

use crate::account::account;
use crate::install::Install;
use crate::port::free_port;
use crate::scratch::scratch;
use crate::sql::{Answer, Rows};
use crate::{fresh, procfs, sql, wait};

pub const SUPERUSER: &str = "postgres";

/// How a server is asked to stop (`pg_ctl stop -m`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    Fast,
    Immediate,
}

#[derive(Debug)]
pub struct ClusterBuilder {
    name: String,
    settings: Vec<(String, String)>,
    environment: Vec<(String, String)>,
    preload: bool,
    install: &'static Install,
}

impl ClusterBuilder {
    /// Runs the server that destinations run, which may be of a later major.
    pub fn destination(mut self) -> Self {
        self.install = Install::destination();
        self
    }

    /// Runs another installation than the one under test.
    pub fn of(mut self, install: &'static Install) -> Self {
        self.install = install;
        self
    }

    /// A line of postgresql.conf; the value is quoted here.
    pub fn conf(mut self, key: &str, value: &str) -> Self {
        self.settings.push((key.to_owned(), value.to_owned()));
        self
    }

    /// A variable of the postmaster's environment, which is otherwise free of what libpq knows.
    pub fn env(mut self, variable: &str, value: &str) -> Self {
        self.environment.push((variable.to_owned(), value.to_owned()));
        self
    }

    /// Whether the extension is in `shared_preload_libraries`.
    pub fn preload(mut self, yes: bool) -> Self {
        self.preload = yes;
        self
    }

    pub fn start(self) -> Cluster {
        static NUMBER: AtomicU32 = AtomicU32::new(1);
        if self.preload {
            self.install.require_extension();
        }
        // Short: the socket's path has little room.
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let directory = scratch().path().join(format!("{}{number}", self.name));
        let mut settings = self.settings;
        if self.preload && !settings.iter().any(|(key, _)| key == "shared_preload_libraries") {
            settings.push(("shared_preload_libraries".into(), "pg_courier".into()));
        }
        let cluster = Cluster {
            name: self.name,
            install: self.install,
            environment: self.environment,
            port: free_port(),
            directory,
            postmaster: Mutex::new(None),
        };
        cluster.initialize(&settings);
        cluster.start();
        cluster
    }
}

#[derive(Debug)]
pub struct Cluster {
    name: String,
    pub install: &'static Install,
    environment: Vec<(String, String)>,
    directory: PathBuf,
    port: u16,
    postmaster: Mutex<Option<Child>>,
}

impl Cluster {
    pub fn builder(name: &str) -> ClusterBuilder {
        ClusterBuilder {
            name: name.to_owned(),
            settings: Vec::new(),
            environment: Vec::new(),
            preload: false,
            install: Install::get(),
        }
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// Where the unix socket is, as `psql -h` wants it.
    pub fn socket_directory(&self) -> &Path {
        &self.directory
    }

    pub fn data_directory(&self) -> PathBuf {
        self.directory.join("data")
    }

    // --- standbys -----------------------------------------------------------------

    /// A streaming standby of this server, behind a physical slot of the same name. Takes this server's configuration as it is now.
    pub fn standby(&self, name: &str, settings: &[(&str, &str)]) -> Cluster {
        let directory = PathBuf::from(format!("{}{name}", self.directory.display()));
        let standby = Cluster {
            name: name.to_owned(),
            install: self.install,
            environment: self.environment.clone(),
            port: free_port(),
            directory,
            postmaster: Mutex::new(None),
        };
        create_directory(&standby.directory);
        self.run("postgres", &format!("SELECT pg_create_physical_replication_slot({}, true)", sql::literal(name)));
        let mut backup = self.program("pg_basebackup", "postgres");
        account().applied_to(&mut backup, &standby.directory);
        let output = backup.args(["-D", "data", "-X", "stream", "-c", "fast", "--no-sync"]).output().expect("it runs");
        assert!(output.status.success(), "pg_basebackup: {}", String::from_utf8_lossy(&output.stderr));
        let primary = format!("host={} port={} user={SUPERUSER} dbname=postgres", self.directory.display(), self.port);
        let signal = standby.data_directory().join("standby.signal");
        fs::write(&signal, "").and_then(|()| account().own(&signal)).expect("the data directory is writable");
        let own = [("primary_conninfo", &*primary), ("primary_slot_name", name), ("hot_standby_feedback", "on")];
        standby.configure(own.iter().chain(settings).copied());
        standby.start();
        standby
    }

    // --- copies -------------------------------------------------------------------

    fn beside(&self, name: &str) -> Cluster {
        let copy = Cluster {
            name: name.to_owned(),
            install: self.install,
            port: free_port(),
            directory: PathBuf::from(format!("{}{name}", self.directory.display())),
            postmaster: Mutex::new(None),
            environment: self.environment.clone(),
        };
        create_directory(&copy.directory);
        copy
    }

    /// A server from the files of this one, which does not run, on a port of its own; not started.
    pub fn copied(&self, name: &str) -> Cluster {
        let copy = self.beside(name);
        copy_directory(&self.data_directory(), &copy.data_directory());
        copy.configure(std::iter::empty());
        copy
    }

    /// A server from a base backup of this one, on a port of its own; not started.
    pub fn backed_up(&self, name: &str) -> Cluster {
        let copy = self.beside(name);
        let mut backup = self.program("pg_basebackup", "postgres");
        account().applied_to(&mut backup, &copy.directory);
        let output = backup.args(["-D", "data", "-X", "stream", "-c", "fast", "--no-sync"]).output().expect("it runs");
        assert!(output.status.success(), "pg_basebackup: {}", String::from_utf8_lossy(&output.stderr));
        copy.configure(std::iter::empty());
        copy
    }

    /// Keeps the files of this server, which does not run, as they are now.
    pub fn save(&self) {
        let saved = self.directory.join("saved");
        let _ = fs::remove_dir_all(&saved); // an older state, if there is one
        copy_directory(&self.data_directory(), &saved);
    }

    /// Puts the files of this server, which does not run, back to where they were saved.
    pub fn put_back(&self) {
        fs::remove_dir_all(self.data_directory()).expect("it is ours");
        fs::rename(self.directory.join("saved"), self.data_directory()).expect("it was saved");
    }

    // --- life and death ---------------------------------------------------------

    fn initialize(&self, settings: &[(String, String)]) {
        create_directory(&self.directory);
        fresh::initialize(self.install, &self.directory);
        let common = [
            // A crash of the server loses nothing with it off, only one of the machine does.
            ("fsync", "off"),
            // Segments as files of the data directory: kill -9 leaves nothing in /dev/shm.
            ("dynamic_shared_memory_type", "mmap"),
            ("max_connections", "60"),
            ("shared_buffers", "64MB"),
            ("log_min_messages", "info"),
            ("log_line_prefix", "%m [%p] %b %q%u@%d %a "),
            ("log_lock_waits", "on"),
            ("timezone", "UTC"),
        ];
        let given = settings.iter().map(|(key, value)| (key.as_str(), value.as_str()));
        // Failpoints come and go here, also while the server is in recovery.
        self.write_failpoints("");
        self.configure(common.into_iter().chain(given));
    }

    /// Appends to postgresql.conf, where the last line counts.
    fn configure<'a>(&self, settings: impl Iterator<Item = (&'a str, &'a str)>) {
        let mut lines = String::from("\n# test harness\n");
        let mut set = |key: &str, value: &str| {
            let _ = writeln!(lines, "{key} = '{}'", value.replace('\'', "''"));
        };
        set("port", &self.port.to_string());
        set("listen_addresses", "127.0.0.1");
        set("unix_socket_directories", &self.directory.display().to_string());
        settings.for_each(|(key, value)| set(key, value));
        lines.push_str("include = 'failpoints.conf'\n");
        let mut conf = fs::OpenOptions::new()
            .append(true)
            .open(self.data_directory().join("postgresql.conf"))
            .expect("initdb wrote it");
        conf.write_all(lines.as_bytes()).expect("writable");
    }

    /// Starts the server (again) and returns when it accepts connections.
    pub fn start(&self) {
        self.start_without_waiting();
        let ready = wait::poll(Duration::from_secs(120), || {
            if self.postmaster_died() {
                return Some(false);
            }
            self.try_connect("postgres").is_ok().then_some(true)
        });
        assert_eq!(ready, Some(true), "server {} did not start\n{}", self.name, self.log_tail(60));
    }

    /// Starts the server if its postmaster has given up; waits until it accepts connections either way.
    pub fn bring_up(&self) {
        if self.postmaster_died() {
            self.start();
        }
        self.wait_until_accepting();
    }

    pub fn start_without_waiting(&self) {
        let mut guard = self.lock();
        assert!(guard.is_none(), "server {} runs already", self.name);
        let log = fs::OpenOptions::new().create(true).append(true).open(self.log_path()).expect("scratch is writable");
        let mut postgres = Command::new(self.install.program("postgres"));
        account().applied_to(&mut postgres, &self.directory);
        postgres
            .arg("-D")
            .arg(self.data_directory())
            // pgrx would put Rust backtraces into the DETAIL of every error.
            .env_remove("RUST_BACKTRACE")
            .env_remove("RUST_LIB_BACKTRACE")
            .env("LC_ALL", "C")
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a descriptor is free"))
            .stderr(log)
            .process_group(0);
        for (variable, _) in std::env::vars_os() {
            if variable.to_string_lossy().starts_with("PG") {
                postgres.env_remove(variable);
            }
        }
        postgres.envs(self.environment.iter().map(|(variable, value)| (variable, value)));
        *guard = Some(postgres.spawn().expect("the server's executable runs"));
    }

    pub fn stop(&self, how: Stop) {
        let signal = match how {
            Stop::Fast => libc::SIGINT,
            Stop::Immediate => libc::SIGQUIT,
        };
        let mut guard = self.lock();
        let Some(child) = guard.as_mut() else {
            return;
        };
        kill(child.id() as i32, signal);
        let ended = wait::poll(Duration::from_secs(60), || child.try_wait().ok().flatten());
        if ended.is_none() {
            panic!("server {} did not stop ({how:?})\n{}", self.name, self.log_tail(60));
        }
        *guard = None;
    }

    pub fn restart(&self) {
        self.stop(Stop::Fast);
        self.start();
    }

    /// kill -9 of the postmaster. Returns when its orphans are gone too, because no
    /// new server can start before (it says "pre-existing shared memory block").
    pub fn kill9(&self) {
        let mut guard = self.lock();
        let Some(mut child) = guard.take() else {
            return;
        };
        kill(child.id() as i32, libc::SIGKILL);
        let _ = child.wait();
        let orphans = || procfs::processes_in(&self.data_directory());
        let gone = |deadline| wait::poll(deadline, || orphans().is_empty().then_some(()));
        // They notice at their next wait; one that computes for long is not waited for.
        if gone(Duration::from_secs(10)).is_none() {
            orphans().into_iter().for_each(|pid| kill(pid, libc::SIGKILL));
            gone(Duration::from_secs(10)).expect("nothing survives SIGKILL");
        }
    }

    pub fn postmaster_pid(&self) -> Option<i32> {
        self.lock().as_ref().map(|child| child.id() as i32)
    }

    fn postmaster_died(&self) -> bool {
        let mut guard = self.lock();
        let died = guard.as_mut().is_none_or(|child| !matches!(child.try_wait(), Ok(None)));
        if died {
            *guard = None;
        }
        died
    }

    /// kill -9 of one process of this server. Returns when the postmaster, which restarts all others for it, accepts connections again:
    /// before it has noticed, it accepts them too.
    #[track_caller]
    pub fn kill_process(&self, pid: i32) {
        let before = self.kills();
        kill(pid, libc::SIGKILL);
        self.wait_for_log("was terminated by signal 9", before);
        self.wait_until_accepting();
    }

    /// The same of one that may end by itself before it is killed: whether that was so.
    #[track_caller]
    pub fn kill_if_running(&self, pid: i32) -> bool {
        // What has stopped does not end by itself any more.
        kill(pid, libc::SIGSTOP);
        let has_stopped = wait::poll(Duration::from_secs(60), || match procfs::state(pid) {
            Some('T') => Some(true),
            None | Some('Z' | 'X') => Some(false),
            Some(_) => None,
        });
        has_stopped == Some(true) && {
            self.kill_process(pid);
            true
        }
    }

    /// As `pg_terminate_backend` does.
    pub fn terminate_process(&self, pid: i32) {
        kill(pid, libc::SIGTERM);
        wait::until(
            &format!("process {pid} ends"),
            Duration::from_secs(60),
            || {
                (self.value("postgres", &format!("SELECT count(*) FROM pg_stat_activity WHERE pid = {pid}")) == "0")
                    .then_some(())
            },
            || self.log_tail(60),
        );
    }

    /// After a crash of one process the postmaster restarts all others: waits for that. The crash has to be in the log already.
    pub fn wait_until_accepting(&self) {
        wait::until(
            &format!("server {} accepts connections", self.name),
            Duration::from_secs(120),
            || self.try_connect("postgres").is_ok().then_some(()),
            || self.log_tail(60),
        );
    }

    /// Makes the postmaster and everybody else read the configuration again.
    pub fn reload(&self) {
        if let Some(pid) = self.postmaster_pid() {
            kill(pid, libc::SIGHUP);
        }
    }

    /// ALTER SYSTEM and reload; `None` resets.
    pub fn set(&self, key: &str, value: Option<&str>) {
        let mut client = self.connect("postgres");
        let statement = match value {
            Some(value) => format!("ALTER SYSTEM SET {key} = {}", sql::literal(value)),
            None => format!("ALTER SYSTEM RESET {key}"),
        };
        client.batch_execute(&statement).unwrap_or_else(|e| panic!("{statement}: {}", Answer::from(&e)));
        client.batch_execute("SELECT pg_reload_conf()").expect("superuser");
    }

    // --- SQL ----------------------------------------------------------------------

    fn config(&self, database: &str) -> Config {
        let mut config = Config::new();
        config
            .host_path(&self.directory)
            .port(self.port)
            .user(SUPERUSER)
            .dbname(database)
            .application_name("courier_test")
            .connect_timeout(Duration::from_secs(10));
        config
    }

    pub fn try_connect(&self, database: &str) -> Result<Client, postgres::Error> {
        self.config(database).connect(NoTls)
    }

    pub fn connect(&self, database: &str) -> Client {
        self.try_connect(database)
            .unwrap_or_else(|e| panic!("cannot connect to {database} of {}: {e}\n{}", self.name, self.log_tail(40)))
    }

    /// A session of another role, by password over TCP.
    pub fn connect_as(&self, database: &str, user: &str, password: &str) -> Client {
        let mut config = self.config(database);
        config.user(user).password(password);
        config.connect(NoTls).unwrap_or_else(|e| panic!("cannot connect as {user}: {e}"))
    }

    /// Runs statements, as one simple query.
    #[track_caller]
    pub fn run(&self, database: &str, statements: &str) {
        if let Err(error) = self.connect(database).batch_execute(statements) {
            panic!("{} {database}: {statements}\n{}\n{}", self.name, Answer::from(&error), self.log_tail(30));
        }
    }

    #[track_caller]
    pub fn rows(&self, database: &str, query: &str) -> Rows {
        match sql::rows(&mut self.connect(database), query) {
            Ok(rows) => rows,
            Err(error) => {
                panic!("{} {database}: {query}\n{}\n{}", self.name, Answer::from(&error), self.log_tail(30))
            }
        }
    }

    /// First column of the first row, "" for NULL and for no row.
    #[track_caller]
    pub fn value(&self, database: &str, query: &str) -> String {
        let first = self.rows(database, query).into_iter().next();
        first.and_then(|row| row.into_iter().next().flatten()).unwrap_or_default()
    }

    /// Runs a statement that has to be refused and returns the server's words.
    #[track_caller]
    pub fn refuses(&self, database: &str, statement: &str) -> Answer {
        match self.connect(database).batch_execute(statement) {
            Ok(()) => panic!("{} {database}: was not refused: {statement}", self.name),
            Err(error) => Answer::from(&error),
        }
    }

    pub fn create_database(&self, name: &str) {
        self.run("postgres", &format!("CREATE DATABASE {}", sql::ident(name)));
    }

    /// Waits for a SQL condition to become true. Lost connections are part of the wait.
    #[track_caller]
    pub fn wait_until(&self, database: &str, what: &str, condition: &str) {
        self.wait_until_within(database, what, condition, wait::DEADLINE);
    }

    #[track_caller]
    pub fn wait_until_within(&self, database: &str, what: &str, condition: &str, deadline: Duration) {
        let mut client = None;
        let mut last_error = String::new();
        let happened = wait::poll(deadline, || {
            if client.as_ref().is_none_or(Client::is_closed) {
                client = self.try_connect(database).ok();
            }
            let query = format!("SELECT ({condition})::text");
            match sql::value(client.as_mut()?, &query) {
                Ok(value) => (value.as_deref() == Some("true")).then_some(()),
                Err(error) => {
                    last_error = Answer::from(&error).to_string();
                    client = None;
                    self.assert_not_crashed();
                    None
                }
            }
        });
        if happened.is_none() {
            let story = self.describe(database);
            panic!("did not happen within {deadline:?}: {what}\n{condition}\n{last_error}\n{story}");
        }
    }

    // --- programs -------------------------------------------------------------------

    /// One of the server's client programs with the connection in its environment.
    pub fn program(&self, name: &str, database: &str) -> Command {
        // A client of a later major serves an earlier server too, not the other way round.
        let install = std::cmp::max_by_key(Install::get(), Install::destination(), |install| install.version);
        let mut command = Command::new(install.program(name));
        command
            .env("PGHOST", &self.directory)
            .env("PGPORT", self.port.to_string())
            .env("PGUSER", SUPERUSER)
            .env("PGDATABASE", database)
            .env("PGAPPNAME", "courier_test")
            // Below scratch, so that the reaper finds it; Ctrl-C is for us, who end it with everything else.
            .current_dir(&self.directory)
            .process_group(0);
        command
    }

    /// Real psql, stopping at the first error.
    pub fn psql(&self, database: &str, script: &str) -> Output {
        let mut child = self
            .program("psql", database)
            .args(["-X", "-q", "-v", "ON_ERROR_STOP=1", "-f", "-"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("psql runs");
        let mut input = child.stdin.take().expect("piped");
        let script = script.to_owned();
        let writer = std::thread::spawn(move || input.write_all(script.as_bytes()));
        let output = child.wait_with_output().expect("psql ends");
        let _ = writer.join();
        output
    }

    /// psql that has to succeed; returns what it printed.
    #[track_caller]
    pub fn psql_ok(&self, database: &str, script: &str) -> String {
        let output = self.psql(database, script);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "psql {database} on {}: {errors}\n{}", self.name, self.log_tail(30));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    // --- the extension's processes ----------------------------------------------------

    /// Pids of backends of a kind, for example `pg_courier apply worker`.
    pub fn pids(&self, backend_type: &str) -> Vec<i32> {
        let Ok(mut client) = self.try_connect("postgres") else {
            return Vec::new();
        };
        let query = format!(
            "SELECT pid FROM pg_stat_activity WHERE backend_type = {} ORDER BY pid",
            sql::literal(backend_type)
        );
        let rows = sql::rows(&mut client, &query).unwrap_or_default();
        rows.iter().filter_map(|row| row[0].as_ref()?.parse().ok()).collect()
    }

    // --- log ----------------------------------------------------------------------------

    pub fn log_path(&self) -> PathBuf {
        self.directory.join("log")
    }

    pub fn log(&self) -> String {
        let bytes = fs::read(self.log_path()).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    pub fn log_tail(&self, lines: usize) -> String {
        let log = self.log();
        let all: Vec<&str> = log.lines().collect();
        let tail = all[all.len().saturating_sub(lines)..].join("\n");
        format!("--- last {lines} lines of the log of {} ---\n{tail}\n", self.name)
    }

    /// Saves the log of a failed test where the scratch directory's end does not reach it.
    fn keep_log(&self) {
        let directory = crate::install::target().join("test-logs");
        let thread = std::thread::current();
        let test = thread.name().unwrap_or("test").replace("::", ".");
        let path = directory.join(format!("{test}.{}.log", self.name));
        match fs::create_dir_all(&directory).and_then(|()| fs::copy(self.log_path(), &path)) {
            Ok(_) => eprintln!("log of server {}: {}", self.name, path.display()),
            Err(_) => eprintln!("{}", self.log_tail(50)),
        }
        // A crashed process's core, where the limits allow one: it lies in the working directory.
        for entry in fs::read_dir(self.data_directory()).into_iter().flatten().flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            let kept = directory.join(format!("{test}.{}.{name}", self.name));
            if name.starts_with("core") && fs::copy(entry.path(), &kept).is_ok() {
                eprintln!("core of server {}: {}", self.name, kept.display());
            }
        }
    }

    /// How often a text stands in the log.
    pub fn log_count(&self, text: &str) -> usize {
        self.log().matches(text).count()
    }

    #[track_caller]
    pub fn wait_for_log(&self, text: &str, more_than: usize) {
        wait::until(
            &format!("log of {} says {text:?} more than {more_than} times", self.name),
            wait::DEADLINE,
            || (self.log_count(text) > more_than).then_some(()),
            || self.log_tail(60),
        );
    }

    /// Tests kill with signal 9; any other signal is a bug, and no reason to wait for more.
    pub fn assert_not_crashed(&self) {
        for signal in ["signal 11", "signal 6", "signal 7"] {
            let crashed = self.log_count(&format!("was terminated by {signal}")) > 0;
            assert!(!crashed, "a process of server {} crashed ({signal})\n{}", self.name, self.log_tail(20));
        }
    }

    /// Everything that helps to understand a failure here.
    pub fn describe(&self, database: &str) -> String {
        let mut story = String::new();
        let Ok(mut client) = self.try_connect(database) else {
            return self.log_tail(60);
        };
        let extension = sql::value(&mut client, "SELECT to_regclass('courier.tasks')::text");
        let installed = extension.is_ok_and(|name| name.is_some());
        for (title, query) in [
            ("tasks", "SELECT to_jsonb(t) FROM courier.task_details t"),
            ("progress", "SELECT to_jsonb(p) FROM courier.progress p"),
            ("slots", "SELECT to_jsonb(s) FROM pg_replication_slots s"),
            (
                "activity",
                "SELECT pid, backend_type, datname, state, wait_event_type, wait_event, left(query, 100) \
                 FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND (datname IS NOT NULL OR backend_type LIKE 'pg_courier%')",
            ),
        ] {
            if query.contains("courier.") && !installed {
                continue;
            }
            if let Ok(rows) = sql::rows(&mut client, query) {
                let _ = writeln!(story, "--- {title} of {} ---", self.name);
                for row in rows {
                    let columns: Vec<String> = row.into_iter().map(Option::unwrap_or_default).collect();
                    let _ = writeln!(story, "{}", columns.join(" | "));
                }
            }
        }
        story + &self.log_tail(60)
    }

    /// A postmaster that died by kill -9 leaves its small System V segment behind; the
    /// next one at this directory would take it away, but there is none after a test.
    fn remove_shared_memory(&self) {
        let Ok(pid_file) = fs::read_to_string(self.data_directory().join("postmaster.pid")) else {
            return;
        };
        let line = pid_file.lines().nth(6).unwrap_or_default();
        if let Some(Ok(id)) = line.split_whitespace().nth(1).map(str::parse) {
            // SAFETY: removal by id needs no buffer; a wrong id is refused.
            unsafe { libc::shmctl(id, libc::IPC_RMID, std::ptr::null_mut()) };
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<Child>> {
        self.postmaster.lock().unwrap_or_else(|e| e.into_inner())
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.keep_log();
        }
        let mut guard = self.postmaster.lock().unwrap_or_else(|e| e.into_inner());
        if let Some(mut child) = guard.take() {
            // Immediate: nobody reads this data again.
            kill(child.id() as i32, libc::SIGQUIT);
            if wait::poll(Duration::from_secs(10), || child.try_wait().ok().flatten()).is_none() {
                let _ = child.kill();
                let _ = child.wait();
            }
        }
        drop(guard);
        self.remove_shared_memory();
        // The disk is shared by all tests of the run.
        let _ = fs::remove_dir_all(self.data_directory());
    }
}

/// For the account of the servers.
pub(crate) fn create_directory(path: &Path) {
    fs::create_dir(path).expect("scratch is writable");
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("ours");
    account().own(path).expect("root may give files away");
}

pub(crate) fn copy_directory(from: &Path, to: &Path) {
    let copied = Command::new("cp").arg("-a").args([from, to]).status();
    assert!(copied.is_ok_and(|status| status.success()), "cp -a {} {}", from.display(), to.display());
    // Left by a server that was killed, with the number of a process that may be another one by now.
    let _ = fs::remove_file(to.join("postmaster.pid"));
}

pub fn kill(pid: i32, signal: i32) {
    // SAFETY: plain system call; a pid that is gone is not an error here.
    unsafe { libc::kill(pid, signal) };
}
