//! The files of new servers. initdb runs once for an installation, as it takes longer than many a test; each server gets a copy of what it has
//! made, with a system identifier of its own: by that a task knows its source and its destination.

use std::collections::HashMap;
use std::fs;
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::account::account;
use crate::cluster::{SUPERUSER, copy_directory, create_directory};
use crate::install::Install;
use crate::scratch::scratch;

/// Where initdb has worked, by its path.
static MADE: Mutex<Option<HashMap<PathBuf, PathBuf>>> = Mutex::new(None);

/// Makes `data` in this directory.
pub fn initialize(install: &Install, directory: &Path) {
    let data = directory.join("data");
    copy_directory(&made(install), &data);
    let mut control = fs::OpenOptions::new().write(true).open(data.join("global/pg_control")).expect("initdb wrote it");
    control.seek(SeekFrom::Start(0)).and_then(|_| control.write_all(&identifier().to_ne_bytes())).expect("writable");
    drop(control);
    // It takes the number as it is, and writes the control file and the WAL anew.
    run(Command::new(install.program("pg_resetwal")).args(["-f", "-D", "data"]), directory);
}

/// As servers choose it: seconds, microseconds, and something that no other has. It is the first field of the control file.
fn identifier() -> u64 {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
    let number = NUMBER.fetch_add(1, Ordering::Relaxed) & 0xfff;
    now.as_secs() << 32 | u64::from(now.subsec_micros()) << 12 | number
}

fn made(install: &Install) -> PathBuf {
    let mut made = MADE.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    let made = made.get_or_insert_default();
    let number = made.len();
    let program = install.program("initdb");
    made.entry(program.clone()).or_insert_with(|| make(&program, number)).clone()
}

fn make(program: &Path, number: usize) -> PathBuf {
    let directory = scratch().path().join(format!("initdb{number}"));
    create_directory(&directory);
    let mut initdb = Command::new(program);
    initdb.args(["-D", "data", "-U", SUPERUSER, "-E", "UTF8", "--locale=C", "--no-sync"]);
    run(initdb.args(["--auth-local=trust", "--auth-host=scram-sha-256"]), &directory);
    directory.join("data")
}

fn run(command: &mut Command, directory: &Path) {
    account().applied_to(command, directory);
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{command:?}: {}{}", said(&output.stdout), said(&output.stderr));
}
