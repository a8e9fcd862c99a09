//! Loading: what the shipped library says to every version of server, those included that no machine has.
//! Needs the archive (`make test-ali`) and a C compiler.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "support/facts.rs"]
mod facts;

use std::path::{Path, PathBuf};
use std::process::Command;

struct FakeServers {
    directory: PathBuf,
    library: PathBuf,
}

impl FakeServers {
    /// None where there is nothing to test.
    fn build(name: &str) -> Option<FakeServers> {
        let Some(archive) = std::env::var_os("ALI_DECODING_DIST") else {
            println!("not run, for there is no archive to test: `make test-ali` builds it");
            return None;
        };
        let directory = std::env::temp_dir().join(format!("ali-load.{}.{name}", std::process::id()));
        std::fs::create_dir(&directory).expect("writable");
        let servers = FakeServers { directory, library: Path::new(&archive).join("ali_decoding.so") };
        for (program, define) in [("old", "-DUP_TO_12"), ("new", "-DFROM_13")] {
            let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fake_server.c");
            let mut compiler = Command::new("cc");
            compiler
                .args(["-rdynamic", "-fno-builtin", "-w", define])
                .arg(source)
                .arg("-o")
                .arg(servers.directory.join(program));
            assert!(compiler.arg("-ldl").status().expect("a C compiler").success());
        }
        Some(servers)
    }

    fn load(&self, version_num: u32, level: i64) -> Vec<String> {
        let program = if version_num < 130_000 { "old" } else { "new" };
        let mut command = Command::new(self.directory.join(program));
        let output =
            command.arg(&self.library).arg(version_num.to_string()).arg(level.to_string()).output().expect("runs");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{version_num}: {} {text}", output.status);
        text.lines().map(str::to_owned).collect()
    }
}

impl Drop for FakeServers {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

fn hex(numbers: &[i64]) -> String {
    numbers.iter().flat_map(|number| (*number as i32).to_ne_bytes()).map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn each_version_hears_its_own_magic_block_and_gets_its_callbacks() {
    let Some(servers) = FakeServers::build("each") else {
        return;
    };
    for (version, facts) in facts::read() {
        let version_num = facts.get("PG_VERSION_NUM").copied().expect("in the files");
        let said = servers.load(version_num as u32, facts["ERROR"]);
        let size = facts["sizeof(Pg_magic_struct)"];
        let mut block =
            vec![size, version_num / 100, facts["FUNC_MAX_ARGS"], facts["INDEX_MAX_KEYS"], facts["NAMEDATALEN"], 1];
        if size == 28 {
            block.push(1);
        }
        let mut expected = format!("MAGIC {}", hex(&block));
        if size >= 56 {
            expected += "506f737467726553514c";
            expected += &"00".repeat(22);
        }
        assert_eq!(said[0], expected, "{version}");
        if size == 72 {
            assert_eq!(said[1], "MODULE ali_decoding 0.0.1");
        }
        let callbacks = ["startup_cb", "begin_cb", "change_cb", "commit_cb"]
            .map(|name| facts[&format!("OutputPluginCallbacks.{name}")]);
        let offsets: String = callbacks.iter().map(|offset| format!(" {offset}")).collect();
        assert_eq!(said.last().map(String::as_str), Some(format!("CALLBACKS{offsets}").as_str()), "{version}");
    }
}

#[test]
fn an_unknown_server_loads_it_and_hears_an_error() {
    let Some(servers) = FakeServers::build("unknown") else {
        return;
    };
    for version_num in [190_000, 200_003, 990_000] {
        let said = servers.load(version_num, 21);
        assert!(
            said[0].starts_with(&format!("MAGIC {}", hex(&[72, i64::from(version_num) / 100, 100, 32, 64, 1]))),
            "{said:?}"
        );
        assert_eq!(
            said[2..],
            [
                "SQLSTATE 0A000",
                "MESSAGE ali_decoding does not support PostgreSQL 77.7",
                "DETAIL Supported versions are 9.4, 9.5, 9.6 and 10 to 18.",
                "HINT Install a later version of ali_decoding.",
            ]
        );
    }
    // Between the versions, and before the first one: no such server loads output plugins, and none crashes.
    for version_num in [0, 90_325, 90_700] {
        let said = servers.load(version_num, 21);
        assert!(said.iter().any(|line| line.starts_with("MESSAGE ali_decoding does not support")), "{said:?}");
    }
}
