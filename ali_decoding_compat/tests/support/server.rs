//! The servers to test with: private copies, see `servers.sh`, with the archive installed by its own script.

use std::path::{Path, PathBuf};
use std::process::Command;

#[derive(Debug, Clone)]
pub struct Server {
    pub major: u32,
    pub bin: PathBuf,
    pub pg_config: PathBuf,
}

/// Every major that can be had, or those that `MAJORS` names. Says which there are.
pub fn all() -> Vec<Server> {
    let output =
        Command::new(project().join("tests/servers.sh")).arg(cache()).stderr(std::process::Stdio::inherit()).output();
    let output = output.expect("servers.sh runs");
    assert!(output.status.success(), "servers.sh failed");
    let wanted: Vec<u32> = variable("MAJORS").split_whitespace().map(|major| major.parse().expect("a major")).collect();
    let servers: Vec<Server> = String::from_utf8_lossy(&output.stdout)
        .lines()
        .map(|line| {
            let fields: Vec<&str> = line.split('\t').collect();
            Server { major: fields[0].parse().expect("a major"), bin: fields[1].into(), pg_config: fields[2].into() }
        })
        .filter(|server| wanted.is_empty() || wanted.contains(&server.major))
        .collect();
    for server in &servers {
        server.install();
    }
    let majors: Vec<String> = servers.iter().map(|server| server.major.to_string()).collect();
    println!("{} server majors: {}", majors.len(), majors.join(" "));
    assert!(!wanted.is_empty() || servers.iter().any(|server| server.major == 15), "at least 15 must run");
    servers
}

impl Server {
    pub fn program(&self, name: &str) -> PathBuf {
        self.bin.join(name)
    }

    fn install(&self) {
        let output = Command::new(archive().join("install.sh")).arg(&self.pg_config).output().expect("install.sh runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        // Builds that panic on demand, next to the real one.
        let panics = variable("ALI_DECODING_PANICS");
        for library in std::fs::read_dir(panics).into_iter().flatten().flatten() {
            let installed = self.library_directory().join(library.file_name());
            let _ = std::fs::remove_file(&installed);
            std::fs::copy(library.path(), installed).expect("the copy is writable");
        }
    }

    fn library_directory(&self) -> PathBuf {
        let output = Command::new(&self.pg_config).arg("--pkglibdir").output().expect("pg_config runs");
        String::from_utf8_lossy(&output.stdout).trim().into()
    }
}

/// psql and its kin, of whichever version the machine has.
pub fn client(name: &str) -> Command {
    let mut command = Command::new(name);
    // Nothing of the caller's own connections.
    for (key, _) in std::env::vars().filter(|(key, _)| key.starts_with("PG")) {
        command.env_remove(key);
    }
    command
}

pub fn project() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()
}

/// The unpacked archive of `make ali-decoding`.
pub fn archive() -> PathBuf {
    let path = PathBuf::from(variable("ALI_DECODING_DIST"));
    assert!(path.join("ali_decoding.so").exists(), "no archive in ALI_DECODING_DIST: run `make test-ali`");
    path
}

fn cache() -> PathBuf {
    match variable("COURIER_CACHE") {
        chosen if !chosen.is_empty() => chosen.into(),
        _ => project().join("../target/courier-cache"),
    }
}

pub fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_default()
}
