//! What the shipped library says to every version of server, those included that no machine has, when it is
//! loaded and when it decodes a few changes whose structures lie where the facts of that version say.
//! Needs the archive (`make test-ali`) and a C compiler.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "support/facts.rs"]
mod facts;

use std::collections::BTreeMap;
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
        for (version, facts) in facts::read() {
            servers.compile(&version, &facts);
        }
        for (version_num, facts) in facts::minors() {
            servers.compile(&version_num.to_string(), &facts);
        }
        Some(servers)
    }

    fn compile(&self, version: &str, facts: &BTreeMap<String, i64>) {
        let directory = self.directory.join(version);
        std::fs::create_dir(&directory).expect("writable");
        let mut header = format!("#define MAJOR {}\n", facts["PG_VERSION_NUM"] / 100);
        for (fact, number) in facts {
            let name = fact.replace(|c: char| !c.is_ascii_alphanumeric(), "_");
            header.push_str(&format!("#define FACT_{name} {number}\n"));
        }
        std::fs::write(directory.join("facts.h"), header).expect("writable");
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fake_server.c");
        let mut compiler = Command::new("cc");
        compiler.args(["-rdynamic", "-fno-builtin", "-w", "-I"]).arg(&directory).arg(source);
        compiler.arg("-o").arg(directory.join("server")).arg("-ldl");
        assert!(compiler.status().expect("a C compiler").success());
    }

    /// What a server built as one version says when it calls itself another.
    fn load(&self, built: &str, version_num: u32, level: i64) -> Vec<String> {
        let mut command = Command::new(self.directory.join(built).join("server"));
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
        let said = servers.load(&version, version_num as u32, facts["ERROR"]);
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
        let line = format!("CALLBACKS{offsets}");
        let decoded = said.iter().position(|said| *said == line).unwrap_or_else(|| panic!("{version}: {said:?}")) + 1;
        assert_eq!(said[decoded..], decoding(&facts), "{version}");
    }
}

/// BEGIN and COMMIT carry LSNs and a time: unmasked, so a field that lies elsewhere shows.
#[test]
fn minors_that_differ_hear_their_own_lsns_and_times() {
    let Some(servers) = FakeServers::build("minors") else {
        return;
    };
    for (version_num, facts) in facts::minors() {
        let said = servers.load(&version_num.to_string(), version_num, facts["ERROR"]);
        let expected = decoding(&facts);
        assert_eq!(said[said.len() - expected.len()..], expected, "{version_num}");
    }
}

/// What every version says while it decodes the same changes. The messages are spelled out here, not made by
/// the encoder.
fn decoding(facts: &BTreeMap<String, i64>) -> Vec<String> {
    let text = |text: &[u8]| text.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let relation = |table: &str, key: &[u8]| {
        let name = [b"\0\x04s s\0\0\x02", table.as_bytes(), b"\0C\0\x04"].concat();
        let columns = b"\0\x03id\0\0\x08integer\0\0\0\0\x07\"Note\"\0\0\x05text\0\0\x04far\0\0\x05text\0";
        [name.as_slice(), columns, key].concat()
    };
    // The index's columns in its order; the row id of old versions and an included column are left out.
    let key = b"M\0\x02\0\x05Note\0\0\x03id\0";
    let new = b"NT\0\0\0\x04t\0\0\0\x0342\0nt\0\0\0\x05note\0u";
    let old = b"KT\0\0\0\x04t\0\0\0\x0341\0nt\0\0\0\x05note\0n";
    let messages: [Vec<u8>; 6] = [
        b"B\0\0\0\0\0\0\0\0\0\0\x01\x01\0\0\0\0\0\0\x03\x03\0\0\0\x07".to_vec(),
        [b"I", relation("t", b"P").as_slice(), new].concat(),
        [b"U", relation("t", key).as_slice(), old, new].concat(),
        [b"D", relation("t", key).as_slice(), old].concat(),
        [b"D", relation("u", key).as_slice(), b"E"].concat(),
        b"C\0\0\0\0\0\0\0\0\0\0\x04\x04\0\0\0\0\0\0\x02\x02\0\0\0\0\0\0\x03\x03".to_vec(),
    ];
    let caches = ["TYPEOID", "NAMESPACEOID", "AUTHOID"].map(|cache| format!("CACHE {}", facts[cache]));
    let sent = messages.iter().map(|message| format!("SEND {}", text(message)));
    caches.into_iter().chain(["FLOATS".to_owned()]).chain(sent).collect()
}

#[test]
fn an_unknown_server_loads_it_and_hears_an_error() {
    let Some(servers) = FakeServers::build("unknown") else {
        return;
    };
    for version_num in [190_000, 200_003, 990_000] {
        let said = servers.load("18", version_num, 21);
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
        let said = servers.load("18", version_num, 21);
        assert!(said.iter().any(|line| line.starts_with("MESSAGE ali_decoding does not support")), "{said:?}");
    }
}
