//! A private copy of a PostgreSQL installation, with the extension in it.
//!
//! The system's server is never written to. A server finds its library and share
//! directories relative to its own executable, so a copy of the executables in the
//! same relative layout, with links to everything that is only read, is a complete
//! installation that costs a dozen megabytes:
//!
//! ```text
//!   /usr/lib/postgresql/15/bin/*        -> PREFIX/lib/postgresql/15/bin/*         copied
//!   /usr/lib/postgresql/15/lib/*        -> PREFIX/lib/postgresql/15/lib/*         linked
//!   /usr/share/postgresql/15/extension  -> PREFIX/share/postgresql/15/extension   linked file by file
//! ```
//!
//! The extension gets there by `make install-files PG_CONFIG=<the copy's>`: the rule
//! that users run is the rule that is tested.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::scratch::scratch;

#[derive(Debug)]
pub struct Install {
    bin: PathBuf,
    lib: PathBuf,
    /// 150020 for 15.20, as in `server_version_num`.
    pub version: u32,
    extension: Result<(), String>,
}

impl Install {
    /// The installation under test, prepared at the first call; every server runs it but destinations
    /// of another major.
    pub fn get() -> &'static Install {
        static INSTALL: OnceLock<Install> = OnceLock::new();
        INSTALL.get_or_init(|| {
            let mut install = Install::copy(&PgConfig::find(), "pg");
            install.extension = install_extension(&install.program("pg_config"), &install.lib);
            install
        })
    }

    /// The installation of destinations: that of `DEST_PG_CONFIG`, without the extension, else the one under test.
    pub fn destination() -> &'static Install {
        static INSTALL: OnceLock<Option<Install>> = OnceLock::new();
        let chosen = || std::env::var_os("DEST_PG_CONFIG").filter(|value| !value.is_empty());
        let other =
            INSTALL.get_or_init(|| chosen().map(|path| Install::copy(&PgConfig::ask(Path::new(&path)), "dest")));
        other.as_ref().unwrap_or_else(|| Install::get())
    }

    /// A server of its own with a released version of the extension (`scripts/old_releases.sh`), to be upgraded. `None` where
    /// the sources come without the history that has that version.
    pub fn with_release(version: &str) -> Option<&'static Install> {
        static NUMBER: AtomicU32 = AtomicU32::new(1);
        let releases = std::env::var_os("COURIER_OLD_RELEASES");
        let releases = PathBuf::from(releases.expect("`make test-e2e` builds what upgrades begin with"));
        if !releases.join(version).exists() {
            println!("not run: version {version} could not be built, for its commit is not here");
            return None;
        }
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let mut install = Install::copy(&PgConfig::find(), &format!("old{number}"));
        let extension = install.extension_files();
        for entry in fs::read_dir(releases.join(version)).expect("that release was built").flatten() {
            let to = match entry.path().extension().and_then(|extension| extension.to_str()) {
                Some("so") => &install.lib,
                Some("sql" | "control") => &extension,
                _ => continue,
            };
            fs::copy(entry.path(), to.join(entry.file_name())).expect("room for the extension");
        }
        install.extension = Ok(());
        Some(Box::leak(Box::new(install)))
    }

    /// Replaces the extension's files by those under test, as a package does; the server may run.
    pub fn upgrade(&self) {
        install_extension(&self.program("pg_config"), &self.lib).expect("the extension is built");
    }

    pub fn major(&self) -> u32 {
        self.version / 10_000
    }

    /// Path of one of the server's programs.
    pub fn program(&self, name: &str) -> PathBuf {
        self.bin.join(name)
    }

    /// Is another extension installed with this server?
    pub fn has_extension(&self, name: &str) -> bool {
        self.extension_files().join(format!("{name}.control")).exists()
    }

    /// Gives the server an extension in SQL of this script, until what is returned goes: then no other database can create it.
    pub fn with_script(&self, name: &str, control: &str, script: &str) -> ScriptFiles {
        let files = ["control", "1.0.sql"].map(|ending| {
            let separator = if ending == "control" { "." } else { "--" };
            self.extension_files().join(format!("{name}{separator}{ending}"))
        });
        let control = format!("default_version = '1.0'\n{control}\n");
        for (file, text) in files.iter().zip([control.as_str(), script]) {
            fs::write(file, text).expect("the directory is ours");
        }
        ScriptFiles(files)
    }

    fn extension_files(&self) -> PathBuf {
        PgConfig::ask(&self.bin.join("pg_config")).sharedir.join("extension")
    }

    /// Fails the test with the reason when the extension has not been built.
    pub fn require_extension(&self) {
        if let Err(reason) = &self.extension {
            panic!("the extension is not installed in the test server: {reason}");
        }
    }

    fn copy(original: &PgConfig, name: &str) -> Install {
        let prefix = scratch().path().join(name);
        let layout = Layout::of(original);
        let (bin, lib, share) = layout.under(&prefix);

        copy_directory(&original.bindir, &bin);
        link_directory(&original.pkglibdir, &lib);
        link_directory(&original.sharedir, &share);
        // The install rule adds files here, so the directory itself must be ours.
        fs::remove_file(share.join("extension")).expect("the share directory has extension/");
        link_directory(&original.sharedir.join("extension"), &share.join("extension"));

        let copy = PgConfig::ask(&bin.join("pg_config"));
        assert_eq!(
            (&copy.bindir, &copy.pkglibdir, &copy.sharedir),
            (&bin, &lib, &share),
            "the copied pg_config reports its own prefix"
        );
        Install { extension: Err("destinations have none".to_owned()), bin, lib, version: copy.version }
    }
}

/// See [`Install::with_script`].
#[derive(Debug)]
pub struct ScriptFiles([PathBuf; 2]);

impl Drop for ScriptFiles {
    fn drop(&mut self) {
        self.0.iter().for_each(|file| drop(fs::remove_file(file)));
    }
}

/// What `pg_config` says about an installation.
struct PgConfig {
    bindir: PathBuf,
    pkglibdir: PathBuf,
    sharedir: PathBuf,
    version: u32,
}

impl PgConfig {
    /// `PG_CONFIG`, else the one that the Makefile would choose.
    fn find() -> PgConfig {
        let chosen = std::env::var_os("PG_CONFIG").filter(|value| !value.is_empty());
        let path = chosen.map(PathBuf::from).unwrap_or_else(|| {
            let output =
                Command::new(project().join("scripts/pg_config.sh")).output().expect("scripts/pg_config.sh runs");
            PathBuf::from(String::from_utf8_lossy(&output.stdout).trim())
        });
        PgConfig::ask(&path)
    }

    fn ask(program: &Path) -> PgConfig {
        let output = Command::new(program)
            .args(["--bindir", "--pkglibdir", "--sharedir", "--version"])
            .output()
            .unwrap_or_else(|e| panic!("cannot run {}: {e}", program.display()));
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let lines: Vec<&str> = text.lines().collect();
        let [bindir, pkglibdir, sharedir, version] = lines[..] else {
            panic!("{} answered {text:?}", program.display());
        };
        PgConfig {
            bindir: real(bindir),
            pkglibdir: real(pkglibdir),
            sharedir: real(sharedir),
            version: version_number(version),
        }
    }
}

fn real(path: &str) -> PathBuf {
    fs::canonicalize(path).unwrap_or_else(|e| panic!("pg_config names {path}: {e}"))
}

/// "PostgreSQL 15.20 (Debian ...)" is 150020.
fn version_number(version: &str) -> u32 {
    let number = version.split_whitespace().nth(1).unwrap_or_default();
    let mut parts = number.split('.').map(|part| part.parse::<u32>().unwrap_or(0));
    parts.next().unwrap_or(0) * 10_000 + parts.next().unwrap_or(0)
}

/// The three directories relative to the one they all lie in.
struct Layout([PathBuf; 3]);

impl Layout {
    fn of(config: &PgConfig) -> Layout {
        let all = [&config.bindir, &config.pkglibdir, &config.sharedir];
        let common = config
            .bindir
            .ancestors()
            .find(|ancestor| all.iter().all(|path| path.starts_with(ancestor)))
            .unwrap_or(Path::new("/"));
        Layout(all.map(|path| path.strip_prefix(common).unwrap_or(path).to_owned()))
    }

    fn under(&self, prefix: &Path) -> (PathBuf, PathBuf, PathBuf) {
        let [bin, lib, share] = &self.0;
        (prefix.join(bin), prefix.join(lib), prefix.join(share))
    }
}

fn copy_directory(from: &Path, to: &Path) {
    make_directory(to);
    for entry in fs::read_dir(from).expect("readable").flatten() {
        if entry.path().is_file() {
            fs::copy(entry.path(), to.join(entry.file_name())).expect("room for the server's programs");
        }
    }
}

fn link_directory(from: &Path, to: &Path) {
    make_directory(to);
    for entry in fs::read_dir(from).expect("readable").flatten() {
        let name = entry.file_name();
        // An installed pg_courier must not stand in for the one under test.
        if !name.to_string_lossy().starts_with("pg_courier") {
            symlink(entry.path(), to.join(name)).expect("fresh directory");
        }
    }
}

/// Whatever the umask: the servers' account has to get through.
fn make_directory(path: &Path) {
    fs::create_dir_all(path).expect("scratch is writable");
    for directory in path.ancestors().take_while(|path| path.starts_with(scratch().path())) {
        fs::set_permissions(directory, fs::Permissions::from_mode(0o755)).expect("ours");
    }
}

fn install_extension(pg_config: &Path, lib: &Path) -> Result<(), String> {
    let library = library();
    if !library.exists() {
        return Err(format!("{} does not exist; run `make test-build` first", library.display()));
    }
    let output = Command::new("make")
        .args(["--no-print-directory", "-s", "install-files"])
        .arg(format!("PG_CONFIG={}", pg_config.display()))
        .arg(format!("LIBRARY={}", library.display()))
        .current_dir(project())
        .env_remove("MAKEFLAGS")
        .env_remove("MAKEOVERRIDES")
        .env_remove("DESTDIR")
        .output()
        .map_err(|e| format!("make: {e}"))?;
    if !output.status.success() {
        return Err(format!("make install-files: {}", String::from_utf8_lossy(&output.stderr)));
    }
    let installed = lib.join("pg_courier.so");
    installed.exists().then_some(()).ok_or(format!("{} was not installed", installed.display()))
}

/// The library under test.
pub fn library() -> PathBuf {
    if let Some(path) = std::env::var_os("COURIER_LIBRARY").filter(|value| !value.is_empty()) {
        return PathBuf::from(path);
    }
    target().join("release/libpg_courier.so")
}

/// Where cargo builds.
pub fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or(project().join("target"), PathBuf::from)
}

/// The repository's root.
pub fn project() -> PathBuf {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    tests.parent().expect("tests/ lies in the project").to_owned()
}
