//! A throw-away cluster: only a socket in its own directory, superuser `postgres` without a password.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use super::golden::from_hex;
use super::server::{Server, client};

pub struct Cluster {
    pub server: Server,
    directory: PathBuf,
}

/// One database of a cluster, empty when it was made.
pub struct Database<'a> {
    pub cluster: &'a Cluster,
    pub name: String,
}

/// What psql said: rows as lines, or the error with its SQLSTATE.
pub type Answer = Result<String, String>;

const SETTINGS: &str = "
listen_addresses = ''
wal_level = logical
max_replication_slots = 8
max_prepared_transactions = 4
max_wal_senders = 8
max_connections = 30
fsync = off
full_page_writes = off
max_wal_size = 4GB
checkpoint_timeout = 1h
autovacuum = off
timezone = UTC
datestyle = 'ISO, MDY'
lc_messages = C
lc_monetary = C
extra_float_digits = 0
";

impl Cluster {
    pub fn start(server: &Server) -> Cluster {
        Cluster::with_settings(server, "")
    }

    pub fn with_settings(server: &Server, more: &str) -> Cluster {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        if number == 0 {
            sweep(server);
        }
        let directory = std::env::temp_dir().join(format!("ali.{}.{number}", std::process::id()));
        fs::create_dir(&directory).expect("the directory for temporary files is writable");
        fs::set_permissions(&directory, fs::Permissions::from_mode(0o755)).expect("ours");
        if let Some((uid, gid)) = account() {
            chown(&directory, Some(uid), Some(gid)).expect("root may give files away");
        }
        let cluster = Cluster { server: server.clone(), directory };
        cluster.run("initdb", &["-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "-N"]);
        let mut settings = format!("{SETTINGS}unix_socket_directories = '{}'\n{more}\n", cluster.directory.display());
        if server.major >= 13 && !more.contains("logical_decoding_work_mem") {
            // So that transactions of the tests are large enough to be spilled.
            settings.push_str("logical_decoding_work_mem = 1MB\n");
        }
        if cluster.knows_setting("output_plugin_libraries") {
            settings.push_str("output_plugin_libraries = 'pgoutput, test_decoding, ali_decoding, ali_panics_abort, ali_panics_unwind'\n");
        }
        let file = cluster.data().join("postgresql.conf");
        let before = fs::read_to_string(&file).expect("initdb made it");
        fs::write(&file, before + &settings).expect("ours");
        let log = cluster.log_file().display().to_string();
        cluster.run("pg_ctl", &["-w", "-s", "-l", &log, "start"]);
        cluster
    }

    fn data(&self) -> PathBuf {
        self.directory.join("data")
    }

    fn log_file(&self) -> PathBuf {
        self.directory.join("log")
    }

    pub fn log(&self) -> String {
        fs::read_to_string(self.log_file()).unwrap_or_default()
    }

    pub fn knows_setting(&self, name: &str) -> bool {
        let output = self.command("postgres").arg("--describe-config").output().expect("postgres runs");
        String::from_utf8_lossy(&output.stdout).lines().any(|line| line.starts_with(name))
    }

    /// A program of the server, under an account that it accepts.
    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(self.server.program(program));
        command
            .current_dir(&self.directory)
            .env_clear()
            .env("LC_ALL", "C")
            .env("PATH", "/usr/bin:/bin")
            .stdin(Stdio::null());
        if let Some((uid, gid)) = account() {
            command.uid(uid).gid(gid);
        }
        command
    }

    fn run(&self, program: &str, arguments: &[&str]) {
        // pg_ctl leaves the server with its standard output, so that must not be a pipe.
        let output = self.directory.join("output");
        let file = || fs::OpenOptions::new().append(true).create(true).open(&output).expect("ours");
        let status =
            self.command(program).arg("-D").arg(self.data()).args(arguments).stdout(file()).stderr(file()).status();
        let said = || fs::read_to_string(&output).unwrap_or_default() + &self.log();
        assert!(status.expect("the program runs").success(), "{program} of {}: {}", self.server.major, said());
    }

    /// A new database, by a name that no other has had.
    pub fn database(&self) -> Database<'_> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let name = format!("d{}", NUMBER.fetch_add(1, Ordering::Relaxed));
        self.existing("postgres").sql(&format!("CREATE DATABASE {name}"));
        self.existing(&name)
    }

    pub fn existing(&self, name: &str) -> Database<'_> {
        Database { cluster: self, name: name.to_owned() }
    }
}

impl Database<'_> {
    pub fn major(&self) -> u32 {
        self.cluster.server.major
    }

    fn client(&self, program: &str) -> Command {
        let mut command = client(program);
        command.arg("-h").arg(&self.cluster.directory).args(["-p", "5432", "-U", "postgres", "-d", &self.name]);
        command
    }

    pub fn psql(&self) -> Command {
        let mut command = self.client("psql");
        command.args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-v", "VERBOSITY=verbose"]);
        // Stories have most often one slot: `:'slot'` is its name.
        command.args(["-v", &format!("slot={}", self.slot("s"))]);
        command
    }

    pub fn try_sql(&self, sql: &str) -> Answer {
        let file = self.cluster.directory.join("script.sql");
        fs::write(&file, sql).expect("ours");
        self.try_file(&file)
    }

    pub fn try_file(&self, file: &Path) -> Answer {
        let output = self.psql().arg("-f").arg(file).output().expect("psql runs");
        if output.status.success() {
            Ok(String::from_utf8_lossy(&output.stdout).trim_end().to_owned())
        } else {
            Err(String::from_utf8_lossy(&output.stderr).into_owned())
        }
    }

    pub fn sql(&self, sql: &str) -> String {
        self.try_sql(sql).unwrap_or_else(|error| panic!("{}: {error}", sql.trim()))
    }

    /// Slots belong to the cluster; this makes the name the database's own.
    pub fn slot(&self, slot: &str) -> String {
        format!("{}_{slot}", self.name)
    }

    pub fn create_slot(&self, slot: &str, plugin: &str) {
        let slot = self.slot(slot);
        self.sql(&format!("SELECT pg_create_logical_replication_slot('{slot}', '{plugin}')"));
    }

    pub fn drop_slots(&self) {
        self.sql(
            "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE database = current_database()",
        );
    }

    /// The messages of a slot, through one of the functions that return bytea.
    pub fn binary_changes(&self, slot: &str, how: &str) -> Vec<Vec<u8>> {
        let slot = self.slot(slot);
        let sql = format!("SELECT encode(data, 'hex') FROM pg_logical_slot_{how}_binary_changes('{slot}', NULL, NULL)");
        self.sql(&sql).lines().map(from_hex).collect()
    }

    /// The messages of a slot of a textual plugin.
    pub fn text_changes(&self, slot: &str) -> Vec<Vec<u8>> {
        let slot = self.slot(slot);
        let sql = format!(
            "SELECT encode(convert_to(data, 'UTF8'), 'hex') FROM pg_logical_slot_get_changes('{slot}', NULL, NULL)"
        );
        self.sql(&sql).lines().map(from_hex).collect()
    }

    /// Up to here everything is on disk, so that slots have it.
    pub fn flushed_lsn(&self) -> String {
        self.sql("SELECT pg_current_wal_flush_lsn()")
    }

    pub fn receiver(&self, slot: &str, until: &str) -> Command {
        let mut command = self.client("pg_recvlogical");
        command.args(["-S", &self.slot(slot), "--start", "-f", "-", "--no-loop", "--endpos", until]);
        command
    }

    /// What START_REPLICATION sends up to a position, as pg_recvlogical writes it.
    pub fn receive(&self, slot: &str, options: &[&str], until: &str) -> Result<Vec<u8>, String> {
        let mut command = self.receiver(slot, until);
        for option in options {
            command.args(["-o", option]);
        }
        let output = command.output().expect("pg_recvlogical runs");
        if output.status.success() {
            Ok(output.stdout)
        } else {
            Err(String::from_utf8_lossy(&output.stderr).into_owned())
        }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let stopped =
            self.command("pg_ctl").arg("-D").arg(self.data()).args(["-s", "-m", "immediate", "stop"]).status();
        if std::thread::panicking() || !stopped.is_ok_and(|status| status.success()) {
            let log = self.log();
            let last: Vec<&str> = log.lines().rev().take(20).collect();
            eprintln!("the end of the log of {}:", self.server.major);
            last.iter().rev().for_each(|line| eprintln!("  {line}"));
        }
        let _ = fs::remove_dir_all(&self.directory);
    }
}

/// Stops and removes what runs that were killed have left behind.
fn sweep(server: &Server) {
    for entry in fs::read_dir(std::env::temp_dir()).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let of = name
            .strip_prefix("ali.")
            .and_then(|rest| rest.split_once('.'))
            .and_then(|(pid, _)| pid.parse::<u32>().ok());
        if of.is_some_and(|pid| !Path::new(&format!("/proc/{pid}")).exists()) {
            // Removes the directory as it is dropped.
            drop(Cluster { server: server.clone(), directory: entry.path() });
        }
    }
}

/// A server refuses to run as root: then it runs under an account of its own.
fn account() -> Option<(u32, u32)> {
    let id = |arguments: &[&str]| {
        let output = Command::new("id").args(arguments).output().ok()?;
        String::from_utf8_lossy(&output.stdout).trim().parse::<u32>().ok()
    };
    if id(&["-u"]) != Some(0) {
        return None;
    }
    let found = ["postgres", "nobody"].iter().find_map(|name| Some((id(&["-u", name])?, id(&["-g", name])?)));
    Some(found.expect("root needs an account postgres or nobody to run servers"))
}
