//! The facts again, straight from the headers of every server whose development files are on the machine: the ones
//! that pg_config of a system installation names, or that of a server which was built to test with (in `COURIER_CACHE`,
//! or `pg_courier-servers` in the temporary directory), and directories listed in `ALI_SERVER_HEADERS` (separated by
//! colons).
//!
//! A C compiler writes the facts into assembly, which is read instead of run, so that it works for another
//! processor too: clang compiles the same headers for aarch64, whose layout must be the same.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "support/facts.rs"]
mod facts;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

const INCLUDES: [&str; 11] = [
    "postgres.h",
    "fmgr.h",
    "catalog/pg_attribute.h",
    "catalog/pg_class.h",
    "catalog/pg_index.h",
    "nodes/parsenodes.h",
    "replication/logical.h",
    "replication/output_plugin.h",
    "replication/reorderbuffer.h",
    "utils/guc.h",
    "utils/rel.h",
];

/// Structures that the server makes and the library only looks into: minor releases add to their ends.
const MAY_GROW: [&str; 4] = [
    "sizeof(LogicalDecodingContext)",
    "sizeof(OutputPluginOptions)",
    "sizeof(ReorderBufferChange)",
    "sizeof(ReorderBufferTXN)",
];

fn directories() -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = Vec::new();
    let built = std::env::temp_dir().join("pg_courier-servers");
    let cache = std::env::var_os("COURIER_CACHE").map(PathBuf::from);
    for prefix in [Some("/usr/lib/postgresql".into()), Some(built), cache].into_iter().flatten() {
        for entry in std::fs::read_dir(prefix).into_iter().flatten().flatten() {
            if let Ok(output) = Command::new(entry.path().join("bin/pg_config")).arg("--includedir-server").output() {
                found.push(String::from_utf8_lossy(&output.stdout).trim().into());
            }
        }
    }
    let listed = std::env::var("ALI_SERVER_HEADERS").unwrap_or_default();
    found.extend(listed.split(':').filter(|path| !path.is_empty()).map(PathBuf::from));
    found.retain(|path| path.join("postgres.h").exists());
    found.sort();
    found.dedup();
    found
}

fn version_of(include: &Path) -> String {
    let config = std::fs::read_to_string(include.join("pg_config.h")).expect("server headers have it");
    // Debian's only includes the one of the architecture.
    let number = number_in(&config).or_else(|| {
        let other = std::fs::read_dir(include).expect("readable").flatten().map(|entry| entry.path());
        other.filter_map(|path| number_in(&std::fs::read_to_string(path).ok()?)).next()
    });
    let number = number.expect("a version");
    if number < 100_000 { format!("{}.{}", number / 10_000, number / 100 % 100) } else { (number / 10_000).to_string() }
}

fn number_in(text: &str) -> Option<u32> {
    let line = text.lines().find_map(|line| line.strip_prefix("#define PG_VERSION_NUM "))?;
    line.trim().parse().ok()
}

/// A fact's name as a C expression.
fn expression(fact: &str, version: &str) -> String {
    let Some((structure, field)) = fact.split_once('.').filter(|_| !fact.starts_with("sizeof")) else {
        return fact.to_owned();
    };
    let structure = match structure {
        "TupleDesc" if version.starts_with("9.") || version == "10" => "struct tupleDesc",
        "TupleDesc" => "struct TupleDescData",
        other => other,
    };
    format!("offsetof({structure}, {field})")
}

/// What the compiler says about each fact, or why it says nothing.
fn ask(compiler: &[&str], include: &Path, version: &str, facts: &[&String]) -> Result<BTreeMap<String, i64>, String> {
    let directory = std::env::temp_dir().join(format!("ali-headers.{}.{}", std::process::id(), compiler.len()));
    std::fs::create_dir_all(directory.join("gnu")).expect("writable");
    std::fs::create_dir_all(directory.join("bits")).expect("writable");
    let mut source: String = INCLUDES.map(|header| format!("#include \"{header}\"\n")).concat();
    source.push_str("#include \"utils/syscache.h\"\n#include <stddef.h>\nvoid facts(void) {\n");
    for fact in facts {
        source.push_str(&format!(
            "__asm__ volatile(\"@@{fact} %c0\" :: \"i\"((int) ({})));\n",
            expression(fact, version)
        ));
    }
    // Room in symbols.rs for what the server writes there.
    source.push_str("_Static_assert(sizeof(FmgrInfo) <= 128, \"FmgrInfo\");\n");
    source.push_str("_Static_assert(sizeof(Datum) == 8 && sizeof(void *) == 8, \"Datum\");\n}\n");
    std::fs::write(directory.join("facts.c"), source).expect("writable");
    // The C library's headers are those of this machine: two of them ask which processor it is.
    std::fs::write(directory.join("gnu/stubs-32.h"), "").expect("writable");
    let word = "#define __WORDSIZE 64\n#define __WORDSIZE_TIME64_COMPAT32 0\n#define __SYSCALL_WORDSIZE 64\n";
    std::fs::write(directory.join("bits/wordsize.h"), word).expect("writable");

    let mut command = Command::new(compiler[0]);
    command
        .args(&compiler[1..])
        .arg("-w")
        .arg("-S")
        .arg("-I")
        .arg(include)
        .current_dir(&directory)
        .args(["facts.c", "-o", "facts.s"]);
    let output = command.output().map_err(|error| error.to_string());
    let assembly = std::fs::read_to_string(directory.join("facts.s"));
    let _ = std::fs::remove_dir_all(&directory);
    let output = output?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned());
    }
    let assembly = assembly.map_err(|error| error.to_string())?;
    let lines = assembly.lines().filter_map(|line| line.trim().strip_prefix("@@")?.rsplit_once(' '));
    Ok(lines.map(|(fact, number)| (fact.to_owned(), number.trim().parse().expect("a number"))).collect())
}

fn check(compiler: &[&str], include: &Path, must: bool) -> bool {
    let version = version_of(include);
    let all = facts::read();
    let expected = all.get(&version).unwrap_or_else(|| panic!("no facts of {version}"));
    // The minor is the machine's own.
    let names: Vec<&String> = expected.keys().filter(|fact| *fact != "PG_VERSION_NUM").collect();
    match ask(compiler, include, &version, &names) {
        Ok(found) => {
            assert_eq!(found.len(), names.len());
            for (fact, number) in &found {
                let grown = MAY_GROW.contains(&fact.as_str()) && *number >= expected[fact];
                assert!(
                    *number == expected[fact] || grown,
                    "{fact} of {version} is {number} by {compiler:?}, not {}",
                    expected[fact]
                );
            }
            println!("{} facts of {version} hold: {compiler:?}, {}", found.len(), include.display());
            true
        }
        Err(error) if must => panic!("{compiler:?} cannot compile the headers of {version}: {error}"),
        Err(error) => {
            println!("not asked: {compiler:?} for {version}: {}", error.lines().next().unwrap_or_default());
            false
        }
    }
}

#[test]
fn the_facts_hold_in_the_headers() {
    let directories = directories();
    if directories.is_empty() {
        println!("no server headers on this machine: nothing compared");
    }
    for include in directories {
        check(&["cc"], &include, true);
    }
}

#[test]
fn aarch64_has_the_same_layout() {
    let compiler =
        ["clang", "--target=aarch64-linux-gnu", "-no-integrated-as", "-I.", "-I/usr/include/x86_64-linux-gnu"];
    let asked = directories().iter().filter(|include| check(&compiler, include, false)).count();
    println!("{asked} versions compared for aarch64");
}
