//! The real pgbench: its tables, its traffic or scripts of our own.

use std::process::{Child, Stdio};

use crate::cluster::{Cluster, kill};

/// The tables of pgbench. The first one has no key and is only inserted into.
pub const TABLES: [&str; 4] =
    ["public.pgbench_history", "public.pgbench_accounts", "public.pgbench_branches", "public.pgbench_tellers"];

/// Creates and fills pgbench's tables (`pgbench -i -s scale`).
pub fn initialize(cluster: &Cluster, database: &str, scale: u32) {
    let output = cluster
        .program("pgbench", database)
        .args(["-i", "-q", "-s", &scale.to_string()])
        .output()
        .expect("pgbench runs");
    assert!(output.status.success(), "pgbench -i: {}", String::from_utf8_lossy(&output.stderr));
}

/// A running pgbench. Ends with its time, or by `stop`.
#[derive(Debug)]
pub struct Pgbench {
    child: Child,
}

#[derive(Debug, Clone, Default)]
pub struct Options {
    pub clients: u32,
    /// Until stopped when absent.
    pub seconds: Option<u32>,
    /// So many of each client, however long they take.
    pub transactions: Option<u32>,
    /// Transactions a second of all clients together; as fast as they can when absent.
    pub rate: Option<u32>,
    /// A script instead of the built-in TPC-B-like transaction.
    pub script: Option<String>,
}

impl Pgbench {
    pub fn start(cluster: &Cluster, database: &str, options: &Options) -> Pgbench {
        let mut command = cluster.program("pgbench", database);
        let clients = options.clients.max(1).to_string();
        let seconds = options.seconds.unwrap_or(86_400).to_string();
        command.args(["-n", "-c", &clients, "-j", "1"]);
        match options.transactions {
            Some(transactions) => command.args(["-t", &transactions.to_string()]),
            None => command.args(["-T", &seconds]),
        };
        if let Some(rate) = options.rate {
            command.args(["-R", &rate.to_string()]);
        }
        if let Some(script) = &options.script {
            let path = cluster.socket_directory().join(format!("script.{}", unique()));
            std::fs::write(&path, script).expect("scratch is writable");
            command.arg("-f").arg(path);
        }
        let child =
            command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("pgbench runs");
        Pgbench { child }
    }

    /// Waits for the end of its time; a client that failed fails the test.
    pub fn finish(self) -> String {
        let output = self.child.wait_with_output().expect("pgbench ends");
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "pgbench failed: {errors}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Ends the traffic now. Traffic that had already ended by an error fails the test.
    pub fn stop(mut self) {
        let ended = self.child.try_wait().expect("our child");
        kill(self.child.id() as i32, libc::SIGTERM);
        let output = self.child.wait_with_output().expect("pgbench ends");
        if let Some(status) = ended {
            let errors = String::from_utf8_lossy(&output.stderr);
            assert!(status.success(), "pgbench had ended before: {errors}");
        }
    }
}

fn unique() -> u64 {
    static NUMBER: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(1);
    NUMBER.fetch_add(1, std::sync::atomic::Ordering::Relaxed)
}
