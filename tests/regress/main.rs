//! SQL regression tests: what psql prints for `sql/NAME.sql` is `expected/NAME.out`.
//!
//! They cover the SQL surface of one server: objects, comments, privileges, and the answers to
//! mistakes, with their DETAIL and HINT. Whatever needs a destination is an end-to-end test.
//!
//! `COURIER_ACCEPT=1 make test-sql` writes the expected files anew; look at the difference before
//! you keep it. What differs between major versions must not be printed.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use pg_courier_tests::{Cluster, Install, install};

#[test]
fn sql_regression() {
    Install::get().require_extension();
    let directory = install::project().join("tests/regress");
    let accept = std::env::var_os("COURIER_ACCEPT").is_some();
    let cluster =
        Cluster::builder("r").preload(true).conf("wal_level", "logical").conf("courier.health_interval", "0").start();
    let mut failures = Vec::new();
    for script in scripts(&directory.join("sql")) {
        let name = script.file_stem().expect("a name").to_string_lossy().into_owned();
        // Each script has its own database, always by the same name: it may be printed.
        cluster.run("postgres", "DROP DATABASE IF EXISTS regression WITH (FORCE)");
        cluster.create_database("regression");
        // One file for both streams: a message stands below its statement.
        let result = cluster.socket_directory().join(format!("{name}.out"));
        let stream = fs::File::create(&result).expect("scratch is writable");
        cluster
            .program("psql", "regression")
            .args(["-X", "-a", "-q", "-v", "HIDE_TABLEAM=on"])
            .env("PGOPTIONS", "-c client_min_messages=notice")
            .env("PGTZ", "UTC")
            .env("LC_ALL", "C")
            .stdin(fs::File::open(&script).expect("readable"))
            .stdout(stream.try_clone().expect("a descriptor is free"))
            .stderr(stream)
            .status()
            .expect("psql runs");
        let printed = fs::read_to_string(&result).expect("text");
        let expected = directory.join(format!("expected/{name}.out"));
        if accept {
            fs::write(&expected, printed).expect("the tree is writable");
            continue;
        }
        if fs::read_to_string(&expected).unwrap_or_default() != printed {
            let diff = Command::new("diff").arg("-u").arg(&expected).arg(&result).output().expect("diff runs");
            failures.push(String::from_utf8_lossy(&diff.stdout).into_owned());
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

fn scripts(directory: &PathBuf) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).expect("tests/regress/sql exists").flatten();
    let mut scripts: Vec<PathBuf> =
        entries.map(|entry| entry.path()).filter(|path| path.extension().is_some_and(|e| e == "sql")).collect();
    scripts.sort();
    assert!(!scripts.is_empty(), "there are scripts");
    scripts
}
