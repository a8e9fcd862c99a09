//! The archive and its install script, where no server is. Needs the archive (`make test-ali`).

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const FILES: [(&str, &str); 3] = [
    ("lib", "ali_decoding.so"),
    ("share/extension", "ali_decoding.control"),
    ("share/extension", "ali_decoding--0.0.1.sql"),
];

/// A copy of the archive and a place to install into.
struct Stage(PathBuf);

impl Stage {
    fn new(name: &str) -> Option<Stage> {
        let Some(archive) = std::env::var_os("ALI_DECODING_DIST") else {
            println!("not run, for there is no archive to test: `make test-ali` builds it");
            return None;
        };
        let stage = Stage(std::env::temp_dir().join(format!("ali-archive.{}.{name}", std::process::id())));
        fs::create_dir_all(stage.archive()).expect("writable");
        for file in fs::read_dir(archive).expect("an archive").flatten() {
            fs::copy(file.path(), stage.archive().join(file.file_name())).expect("writable");
        }
        // As much of a server's directories as shows that they are ones.
        fs::create_dir_all(stage.root().join("lib")).expect("writable");
        fs::create_dir_all(stage.root().join("share/extension")).expect("writable");
        fs::write(stage.root().join("lib/plpgsql.so"), "").expect("writable");
        Some(stage)
    }

    fn archive(&self) -> PathBuf {
        self.0.join("archive")
    }

    fn root(&self) -> PathBuf {
        self.0.join("root")
    }

    fn install(&self, prepare: impl FnOnce(&mut Command)) -> Output {
        // Whatever shell the machine calls sh, from another directory.
        let mut command = Command::new("sh");
        command.arg(self.archive().join("install.sh")).current_dir("/");
        command.env_remove("PG_CONFIG").env_remove("DESTDIR").env_remove("PKGLIBDIR").env_remove("SHAREDIR");
        prepare(&mut command);
        command.output().expect("sh runs")
    }

    fn by_directories(&self, command: &mut Command) {
        command.env("PKGLIBDIR", self.root().join("lib")).env("SHAREDIR", self.root().join("share"));
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn assert_installed(archive: &Path, root: &Path) {
    for (directory, file) in FILES {
        let installed = fs::read(root.join(directory).join(file)).unwrap_or_else(|error| panic!("{file}: {error}"));
        assert_eq!(installed, fs::read(archive.join(file)).expect("in the archive"), "{file}");
        assert!(!root.join(directory).join(format!("{file}.new")).exists());
    }
}

#[test]
fn installs_where_pg_config_or_the_caller_says() {
    let Some(stage) = Stage::new("where") else {
        return;
    };
    let output = stage.install(|command| stage.by_directories(command));
    assert!(output.status.success(), "{output:?}");
    assert_installed(&stage.archive(), &stage.root());

    let pg_config = stage.0.join("pg_config");
    let text = "#!/bin/sh\ncase $1 in --pkglibdir) echo /opt/pg/lib ;; --sharedir) echo /opt/pg/share ;; esac\n";
    fs::write(&pg_config, text).expect("writable");
    assert!(Command::new("chmod").arg("755").arg(&pg_config).status().expect("runs").success());
    let output = stage.install(|command| {
        command.arg(&pg_config).env("DESTDIR", stage.root().join("package"));
    });
    assert!(output.status.success(), "{output:?}");
    assert_installed(&stage.archive(), &stage.root().join("package/opt/pg"));
}

/// A server that has the library mapped must keep the file it has.
#[test]
fn an_update_is_a_new_file() {
    let Some(stage) = Stage::new("update") else {
        return;
    };
    stage.install(|command| stage.by_directories(command));
    let library = stage.root().join("lib/ali_decoding.so");
    let kept = stage.0.join("kept");
    fs::hard_link(&library, &kept).expect("same file system");
    fs::write(&kept, "what a server has mapped").expect("writable");
    let output = stage.install(|command| stage.by_directories(command));
    assert!(output.status.success(), "{output:?}");
    assert_eq!(fs::read(&kept).expect("there"), b"what a server has mapped");
    assert_installed(&stage.archive(), &stage.root());
}

#[test]
fn a_damaged_archive_or_one_of_another_machine_installs_nothing() {
    let Some(stage) = Stage::new("damaged") else {
        return;
    };
    let output = stage.install(|_| {});
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("usage:"));

    let library = stage.archive().join("ali_decoding.so");
    let mut bytes = fs::read(&library).expect("in the archive");
    bytes[5000] ^= 1;
    fs::write(&library, bytes).expect("writable");
    let output = stage.install(|command| stage.by_directories(command));
    assert!(!output.status.success() && String::from_utf8_lossy(&output.stderr).contains("SHA256SUMS"), "{output:?}");

    fs::write(stage.archive().join("ARCHITECTURE"), "s390x\n").expect("writable");
    let output = stage.install(|command| stage.by_directories(command));
    assert!(!output.status.success() && String::from_utf8_lossy(&output.stderr).contains("s390x"), "{output:?}");
    assert_nothing_installed(&stage.root());
}

/// Where Debian and others keep the two directories apart, a guess is easily wrong.
#[test]
fn directories_of_no_server_are_refused() {
    let Some(stage) = Stage::new("guess") else {
        return;
    };
    for (library, share) in [("typo/lib", "share"), ("lib", "typo/share"), ("share", "share")] {
        let output = stage.install(|command| {
            command.env("PKGLIBDIR", stage.root().join(library)).env("SHAREDIR", stage.root().join(share));
        });
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.code() == Some(1) && said.contains("nothing was installed"), "{output:?}");
        assert_nothing_installed(&stage.root());
    }
    assert!(!stage.root().join("typo").exists());
}

fn assert_nothing_installed(root: &Path) {
    for (directory, file) in FILES {
        assert!(!root.join(directory).join(file).exists(), "{file}");
    }
}
