//! Writers that go on through crashes: when the connection is lost they connect again.
//! Whether the transaction in flight was committed they do not know and need not: the
//! databases are compared with each other, not with a record of what was written.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use postgres::{Client, NoTls};

use crate::cluster::{Cluster, SUPERUSER};
use crate::rng::Rng;
use crate::sql::Answer;

/// One transaction's statements, made for a round's random numbers.
pub type Script = dyn Fn(&mut Rng) -> String + Send + Sync;

#[derive(Debug)]
pub struct Traffic {
    stop: Arc<AtomicBool>,
    committed: Arc<AtomicU64>,
    writers: Vec<JoinHandle<Result<(), String>>>,
}

impl Traffic {
    /// Starts `writers` threads that run `script` again and again, with `pause` between
    /// two transactions of one writer.
    pub fn start(
        cluster: &Cluster,
        database: &str,
        writers: u32,
        seed: u64,
        pause: Duration,
        script: impl Fn(&mut Rng) -> String + Send + Sync + 'static,
    ) -> Traffic {
        let stop = Arc::new(AtomicBool::new(false));
        let committed = Arc::new(AtomicU64::new(0));
        let script: Arc<Script> = Arc::new(script);
        let mut config = postgres::Config::new();
        config
            .host_path(cluster.socket_directory())
            .port(cluster.port())
            .user(SUPERUSER)
            .dbname(database)
            .application_name("courier_traffic")
            .connect_timeout(Duration::from_secs(5));
        let writers = (0..writers)
            .map(|number| {
                let writer = Writer {
                    config: config.clone(),
                    rng: Rng::new(seed.wrapping_add(u64::from(number) * 7919)),
                    script: Arc::clone(&script),
                    stop: Arc::clone(&stop),
                    committed: Arc::clone(&committed),
                    pause,
                };
                std::thread::spawn(move || writer.run())
            })
            .collect();
        Traffic { stop, committed, writers }
    }

    /// Transactions whose commit was answered.
    pub fn committed(&self) -> u64 {
        self.committed.load(Ordering::Relaxed)
    }

    /// Ends the writers. A statement refused for another reason than a conflict between
    /// writers or a lost server fails the test: it would test nothing.
    pub fn stop(mut self) -> u64 {
        self.stop.store(true, Ordering::Relaxed);
        for writer in self.writers.drain(..) {
            if let Err(problem) = writer.join().expect("writers do not panic") {
                panic!("traffic: {problem}");
            }
        }
        self.committed()
    }
}

impl Drop for Traffic {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

struct Writer {
    config: postgres::Config,
    rng: Rng,
    script: Arc<Script>,
    stop: Arc<AtomicBool>,
    committed: Arc<AtomicU64>,
    pause: Duration,
}

impl Writer {
    fn run(mut self) -> Result<(), String> {
        let mut client: Option<Client> = None;
        while !self.stop.load(Ordering::Relaxed) {
            if client.as_ref().is_none_or(Client::is_closed) {
                client = self.config.connect(NoTls).ok();
            }
            let Some(session) = client.as_mut() else {
                std::thread::sleep(Duration::from_millis(50)); // the server is down: part of the test
                continue;
            };
            let statements = (self.script)(&mut self.rng);
            match session.batch_execute(&statements) {
                Ok(()) => _ = self.committed.fetch_add(1, Ordering::Relaxed),
                Err(error) if survivable(&error) => client = None,
                Err(error) => return Err(format!("{statements}\n{}", Answer::from(&error))),
            }
            if !self.pause.is_zero() {
                std::thread::sleep(self.pause);
            }
        }
        Ok(())
    }
}

/// A lost server, or writers in each other's way.
fn survivable(error: &postgres::Error) -> bool {
    let Some(db) = error.as_db_error() else {
        return true; // not an answer: the connection is gone
    };
    let code = db.code().code();
    // Shutdown and crash, deadlock and serialization, and two writers with the same new key.
    code.starts_with("57P") || code.starts_with("40") || code == "23505" || code.starts_with("08")
}
