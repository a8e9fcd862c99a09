//! Which module of the extension may use which, read from the sources.
//!
//! ```text
//!   api, worker             the only places where stages meet
//!   task                    what may be done with a task, apart from its processes
//!   stages                  precheck, schema_sync, apply, ... never each other
//!   catalog, source, destination   our own tables, where changes come from, and where they go
//!   decode, reader, tuple   from WAL and tables to rows; unsafe
//!   guc, pg, libpq          the server and the client library; unsafe code lives in the last two
//!   select, wire            what of the stream is wanted; formats for readers of a slot: pure
//!   logicalrep, transform, error   values and routes; know nobody
//! ```
//!
//! A module uses floors below its own. Within the top and the bottom floors neighbours may
//! meet; stages may not: what two stages share moves down.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// From the top. A new module is entered here, or the test fails.
const FLOORS: &[(&str, Neighbours, &[&str])] = &[
    ("top", Neighbours::Meet, &["api", "worker", "server_tests"]),
    ("task", Neighbours::Meet, &["task"]),
    (
        "stages",
        Neighbours::DoNotMeet,
        &["precheck", "schema_sync", "table_sync", "apply", "progress", "verify", "ddl_capture"],
    ),
    ("sides", Neighbours::Meet, &["catalog", "destination", "source"]),
    ("rows", Neighbours::Meet, &["decode", "reader", "tuple"]),
    ("edges", Neighbours::Meet, &["failpoint", "guc", "libpq", "pg"]),
    ("rules", Neighbours::DoNotMeet, &["schema", "select", "wire"]),
    ("values", Neighbours::Meet, &["chance", "error", "logicalrep", "transform"]),
];

/// The modules that may hold unsafe code.
const UNSAFE: &[&str] = &["decode", "libpq", "pg", "reader", "tuple"];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Neighbours {
    Meet,
    DoNotMeet,
}

#[test]
fn modules_use_only_floors_below() {
    let mut problems = Vec::new();
    for file in rust_files(&source_directory()) {
        let Some(user) = module_of(&file) else {
            continue; // lib.rs is the map: it names everything
        };
        for used in modules_used(&read_code(&file)) {
            if let Err(reason) = may_use(&user, &used) {
                problems.push(format!("{}: {reason}", file.display()));
            }
        }
    }
    assert!(problems.is_empty(), "\n{}", problems.join("\n"));
}

#[test]
fn unsafe_code_lives_where_the_server_or_libpq_is() {
    let mut problems = Vec::new();
    for file in rust_files(&source_directory()) {
        let module = module_of(&file);
        if module.is_some_and(|module| UNSAFE.contains(&module.as_str())) {
            continue;
        }
        for (number, line) in read_code(&file).lines().enumerate() {
            let blocks = words(line).any(|word| word == "unsafe");
            if blocks || line.contains("allow(unsafe_code)") {
                problems.push(format!("{}:{}: {}", file.display(), number + 1, line.trim()));
            }
        }
    }
    assert!(problems.is_empty(), "unsafe outside of {UNSAFE:?}:\n{}", problems.join("\n"));
}

/// Whoever has a connection can say anything there. Only `destination` has one, and hands out none: all others call methods
/// of it that have a name, or send what a dialect has made.
#[test]
fn only_the_destination_has_a_connection() {
    const HANDS_OUT_CONNECTIONS: [&str; 3] = ["Connection", "refuse_shared", "*"];
    let mut problems = Vec::new();
    for file in rust_files(&source_directory()) {
        let code = read_code(&file);
        match module_of(&file).as_deref() {
            Some("libpq") => continue,
            Some("destination") => {
                let public = ["pub connection", "pub fn connection", "-> &mut Connection", "pub use crate::libpq"];
                problems.extend(
                    public.iter().filter(|text| code.contains(*text)).map(|t| format!("{}: {t}", file.display())),
                );
            }
            _ => {
                let names = names_used_of("libpq", &code).into_iter();
                let taken = names.filter(|name| HANDS_OUT_CONNECTIONS.contains(&name.as_str()));
                problems.extend(taken.map(|name| format!("{}: libpq::{name}", file.display())));
            }
        }
    }
    assert!(problems.is_empty(), "\n{}", problems.join("\n"));
}

/// What a destination keeps of a task is a matter of `destination`: where else its name is needed, a constant has it.
#[test]
fn only_the_destination_names_the_helper_schema() {
    let mut problems = Vec::new();
    let mut places = 0;
    for file in rust_files(&source_directory()) {
        if !read_code(&file).contains("courier_applied") {
            continue;
        }
        places += 1;
        let is_constant = file.ends_with("logicalrep/helper.rs");
        if !is_constant && module_of(&file).as_deref() != Some("destination") {
            problems.push(file.display().to_string());
        }
    }
    assert!(places > 5 && problems.is_empty(), "\n{}", problems.join("\n"));
}

/// A second source has one place to be added: who else knew of slots, snapshots, positions or decoding would go on asking this
/// server.
#[test]
fn only_the_source_reads_the_source() {
    // What begins a stream, a copy or a slot, or tells positions, in the modules that `source` is made of.
    const BENEATH: [&str; 4] = ["decode", "pg", "source", "tuple"];
    const NAMES: [&str; 6] =
        ["RepeatableRead", "Sleeper", "flush_lsn", "insert_lsn", "wait_for_transaction", "write_mark"];
    const SQL: [&str; 4] = ["pg_replication_slots", "pg_export_snapshot", "pg_current_snapshot", "pg_snapshot_xip"];
    // Where changes arrive, whoever reads them.
    const OF_SINKS: [&str; 3] = ["ChangeSink", "EarlySink", "Event"];
    let mut problems = Vec::new();
    for file in rust_files(&source_directory()) {
        let Some(module) = module_of(&file).filter(|module| !BENEATH.contains(&module.as_str())) else { continue };
        let code = read_code(&file);
        let mut found: Vec<String> =
            words(&code).filter(|word| NAMES.contains(word) || SQL.contains(word)).map(str::to_owned).collect();
        found.extend(names_used_of("decode", &code).into_iter().filter(|name| !OF_SINKS.contains(&name.as_str())));
        found.extend(names_used_of("pg", &code).into_iter().filter(|name| name == "slots" || name == "*"));
        // The plugin for slots of others writes rows, too.
        if module != "reader" && modules_used(&code).contains("tuple") {
            found.push("tuple".to_owned());
        }
        problems.extend(found.into_iter().map(|name| format!("{}: {name}", file.display())));
    }
    assert!(problems.is_empty(), "\n{}", problems.join("\n"));
}

/// What people type and read passes `pg::text`: a `String` there is in the database's encoding, and refused or misread
/// where that is not UTF-8.
#[test]
fn sql_functions_take_and_return_text() {
    let mut problems = Vec::new();
    for file in rust_files(&source_directory()) {
        for signature in sql_functions(&read_code(&file)) {
            if words(signature).any(|word| word == "String" || word == "str") {
                problems.push(format!("{}: {signature}", file.display()));
            }
        }
    }
    assert!(problems.is_empty(), "\n{}", problems.join("\n"));
}

/// Whoever reads a hint shall be able to run what is in it: a name that the program knows stands there. Values of options
/// that only a person knows (`'...'`) do not count.
#[test]
fn statements_in_messages_are_whole() {
    let mut problems = Vec::new();
    let files = rust_files(&source_directory()).into_iter().chain(sql_files());
    for file in files.filter(|file| !file.ends_with("docs.rs")) {
        for (number, line) in read_code(&file).lines().enumerate() {
            if has_gap(line) {
                problems.push(format!("{}:{}: {}", file.display(), number + 1, line.trim()));
            }
        }
    }
    assert!(problems.is_empty(), "\n{}", problems.join("\n"));
}

#[test]
fn gaps_in_statements_are_found() {
    for line in [
        "\"ALTER SERVER ... OPTIONS\"",
        "\"courier.resume(...)\"",
        "\"precheck('<task>')\"",
        "\"TO <user>;\"",
        "\"TO ...;\"",
    ] {
        assert!(has_gap(line), "{line}");
    }
    for line in [
        "\"(user '...')\"",
        "text.push_str(\"...\");",
        "Vec::<String>::new()",
        "a: Vec<u8>",
        "format: *const c_char, ...)",
    ] {
        assert!(!has_gap(line), "{line}");
    }
}

/// Has a text of this line of code an ellipsis or `<what>` in place of a name?
fn has_gap(line: &str) -> bool {
    let ellipsis = [" ...", "(...", "...;"].iter().any(|gap| line.contains(gap)) && !line.contains("c_char");
    let angle = [" <", "'<"].iter().any(|open| {
        line.match_indices(open).any(|(at, open)| {
            let rest = &line[at + open.len()..];
            let name = rest.find(|c: char| !(c.is_ascii_lowercase() || c == '_')).unwrap_or(0);
            name > 0 && rest[name..].starts_with('>')
        })
    });
    ellipsis || angle
}

fn sql_files() -> Vec<PathBuf> {
    let directory = pg_courier_tests::install::project().join("sql");
    let entries = fs::read_dir(directory).expect("the scripts").map(|entry| entry.expect("an entry").path());
    entries.filter(|path| path.extension().is_some_and(|e| e == "sql")).collect()
}

/// Files that use each other are one file in several pieces: none can be read, or tested, without the others.
#[test]
fn no_files_form_a_circle() {
    let files = rust_files(&source_directory());
    let code = |file: &PathBuf| (path_of(file), without_tests(&read_code(file)).to_owned());
    let codes: BTreeMap<String, String> = files.iter().map(code).filter(|(path, _)| path != "lib").collect();
    let circles = files_in_circles(&codes);
    assert!(codes.len() > 150 && circles.is_empty(), "{circles:?} use each other");
}

/// The server's API is the same whoever uses it: what it is used for is its callers' affair.
#[test]
fn the_wrappers_of_the_server_know_no_word_of_this_product() {
    const WORDS: [&str; 5] = ["courier", "task", "supervisor", "heartbeat", "tablesync"];
    let mut problems = Vec::new();
    for file in rust_files(&source_directory().join("pg")) {
        let text = fs::read_to_string(&file).expect("a source file is text").to_lowercase();
        for (number, line) in text.lines().enumerate().filter(|(_, line)| WORDS.iter().any(|word| line.contains(word)))
        {
            problems.push(format!("{}:{}: {}", file.display(), number + 1, line.trim()));
        }
    }
    assert!(problems.is_empty(), "\n{}", problems.join("\n"));
}

/// A name means one thing: whoever meets a type knows it from elsewhere.
#[test]
fn no_name_of_a_type_means_two_things() {
    // Their words name the parts of an image of an object, and of a message for readers.
    const VOCABULARIES: [&str; 2] = ["schema", "wire"];
    // In unit tests the fake one takes the place of libpq's.
    const DEFENDED: [&str; 1] = ["Connection"];
    let mut declared: BTreeMap<(String, String), Vec<String>> = BTreeMap::new();
    for file in rust_files(&source_directory()) {
        let vocabulary = module_of(&file).filter(|module| VOCABULARIES.contains(&module.as_str())).unwrap_or_default();
        for name in public_types(&read_code(&file)).into_iter().filter(|name| !DEFENDED.contains(&name.as_str())) {
            declared.entry((vocabulary.clone(), name)).or_default().push(path_of(&file));
        }
    }
    let twice: Vec<_> = declared.iter().filter(|(_, files)| files.len() > 1).collect();
    assert!(declared.len() > 150 && twice.is_empty(), "declared more than once: {twice:#?}");
}

/// The names of types that code outside of a file can use.
fn public_types(code: &str) -> Vec<String> {
    let declaration = |line: &str| {
        let rest = line.trim_start().strip_prefix("pub")?;
        let rest = rest.strip_prefix('(').map_or(rest, |scope| scope.split_once(')').map_or("", |(_, rest)| rest));
        let (kind, rest) = rest.trim_start().split_once(' ')?;
        ["struct", "enum", "trait", "type", "union"].contains(&kind).then(|| words(rest).next().map(str::to_owned))?
    };
    code.lines().filter_map(declaration).collect()
}

/// What has to be read at once to change one thing.
#[test]
fn no_file_is_long() {
    const MOST: usize = 500;
    let files = rust_files(&source_directory());
    let lines = |file: &PathBuf| fs::read_to_string(file).expect("a source file is text").lines().count();
    let long: Vec<_> = files.iter().filter(|file| lines(file) > MOST).collect();
    assert!(files.len() > 150 && long.is_empty(), "more than {MOST} lines: {long:?}");
}

/// What holds for any value is looked at with numbers from a seed and by a fuzzer.
#[test]
fn every_property_is_a_fuzz_target() {
    let fuzz = pg_courier_tests::install::project().join("fuzz");
    let list = fs::read_to_string(fuzz.join("Cargo.toml")).expect("the list of targets");
    let (mut found, mut problems) = (0, Vec::new());
    for file in rust_files(&source_directory()).iter().filter(|file| path_of(file).contains("properties")) {
        let (code, module) = (read_code(file), module_of(file).expect("a module"));
        let names = code.split("pub fn ").skip(1).filter_map(|code| code.split_once("(chance: &mut Chance) {"));
        for name in names.map(|(name, _)| name).filter(|name| words(name).count() == 1) {
            found += 1;
            let target = fs::read_to_string(fuzz.join(format!("targets/{name}.rs"))).unwrap_or_default();
            if !target.contains(&format!("{module}::properties::{name})")) || !list.contains(&format!("\"{name}\"")) {
                problems.push(format!("{module}: {name}"));
            }
        }
    }
    assert!(found > 15 && problems.is_empty(), "no target in fuzz/: {problems:?}");
}

/// cargo pgrx takes the scripts from lib.rs, make from a list.
#[test]
fn the_scripts_of_the_extension_are_named_once_in_two_places() {
    let project = pg_courier_tests::install::project();
    let list = fs::read_to_string(project.join("sql/files.txt")).expect("the list");
    let code = fs::read_to_string(project.join("src/lib.rs")).expect("the map");
    let (mut named, mut before) = (Vec::new(), None);
    for line in code.lines().filter_map(|line| line.strip_prefix("extension_sql_file!(\"../")) {
        let (file, rest) = line.split_once('"').expect("the end of its name");
        let name = rest.split('"').nth(1).expect("its name");
        let follows = before.map(|before| format!("requires = [\"{before}\"]"));
        assert!(follows.is_none_or(|follows| rest.contains(&follows)), "{file} has to require the one before it");
        named.push(file);
        before = Some(name);
    }
    assert_eq!(named, list.lines().collect::<Vec<_>>());
}

#[test]
fn circles_are_found() {
    let codes = |list: &[(&str, &str)]| list.iter().map(|(path, code)| ((*path).into(), (*code).into())).collect();
    let chain = [("a", "mod b;\nmod c;"), ("a::b", "use super::c::C;"), ("a::c", "use crate::error::Error;")];
    assert!(files_in_circles(&codes(&chain)).is_empty());
    let circle = [("a::b", "use super::c::{self, C};"), ("a::c", "use super::d;"), ("a::d", "use crate::a::b::B;")];
    assert_eq!(files_in_circles(&codes(&circle)), ["a::b", "a::c", "a::d"]);
    let parent = [("a", "use b::B;"), ("a::b", "use super::A;")];
    assert_eq!(files_in_circles(&codes(&parent)), ["a", "a::b"]);
    let handed_on = [("a", "mod b;\npub use b::B;"), ("a::b", "use super::c::C;"), ("a::c", "use crate::a::D;")];
    assert!(files_in_circles(&codes(&handed_on)).is_empty());
}

/// `apply::session::wire` of `src/apply/session/wire.rs`.
fn path_of(file: &Path) -> String {
    let inside = file.strip_prefix(source_directory()).expect("a file of src/").with_extension("");
    let names: Vec<&str> = inside.iter().filter_map(|name| name.to_str()).filter(|name| *name != "mod").collect();
    names.join("::")
}

fn without_tests(code: &str) -> &str {
    code.split("#[cfg(test)]").next().unwrap_or_default()
}

/// The files, by their paths, that use themselves by way of others.
fn files_in_circles(codes: &BTreeMap<String, String>) -> Vec<&str> {
    let uses: BTreeMap<&str, BTreeSet<&str>> =
        codes.iter().map(|(path, code)| (path.as_str(), files_used(path, code, codes))).collect();
    let is_in_circle = |path: &&str| {
        let mut reached: BTreeSet<&str> = BTreeSet::new();
        let mut next: Vec<&str> = vec![path];
        while let Some(user) = next.pop() {
            next.extend(uses[user].iter().filter(|used| reached.insert(used)));
        }
        reached.contains(path)
    };
    uses.keys().copied().filter(is_in_circle).collect()
}

/// The files that the `use` lines of a file name, as far as they are among these.
fn files_used<'a>(user: &str, code: &str, codes: &'a BTreeMap<String, String>) -> BTreeSet<&'a str> {
    let mut used = BTreeSet::new();
    let lines = code.split_inclusive("use ").collect::<Vec<_>>();
    for line in lines.windows(2).filter(|pair| !hands_on(pair[0])).filter_map(|pair| pair[1].split(';').next()) {
        let line: String = line.split_whitespace().collect();
        let (head, names) = line.split_once('{').unwrap_or((&line, ""));
        for name in names.trim_end_matches('}').split(',') {
            let named = absolute(user, &format!("{head}{name}"));
            let file = (1..=named.len()).rev().find_map(|length| codes.get_key_value(&named[..length].join("::")));
            used.extend(file.map(|(path, _)| path.as_str()).filter(|path| *path != user));
        }
    }
    used
}

/// Is the `use` behind this code one that others shall find here? Who hands a name on does not use it.
fn hands_on(code: &str) -> bool {
    let before = code.strip_suffix("use ").unwrap_or(code).trim_end();
    before.ends_with("pub") || before.ends_with("pub(crate)") || before.ends_with("pub(super)")
}

/// The parts of a path, from the crate's root on.
fn absolute(user: &str, path: &str) -> Vec<String> {
    let mut parts: Vec<&str> = path.split("::").filter(|part| *part != "self").collect();
    let mut from: Vec<&str> = user.split("::").collect();
    if parts.first() == Some(&"crate") {
        (from, parts) = (Vec::new(), parts.split_off(1));
    }
    while parts.first() == Some(&"super") {
        from.pop();
        parts.remove(0);
    }
    from.into_iter().chain(parts).map(str::to_owned).collect()
}

/// Their signatures.
fn sql_functions(code: &str) -> Vec<&str> {
    let parts = code.split("#[pg_extern").skip(1);
    parts.map(|part| part.split_once("{\n").map_or(part, |(signature, _)| signature)).collect()
}

/// Each promise of docs/security.md names a test that keeps it.
#[test]
fn promises_of_security_have_tests() {
    let project = pg_courier_tests::install::project();
    let page = fs::read_to_string(project.join("docs/security.md")).expect("the page");
    let section = page
        .split_once("### Who might want more")
        .and_then(|(_, rest)| rest.split_once("\n## "))
        .expect("the section")
        .0;
    let (mut problems, mut promises) = (Vec::new(), 0);
    for line in section.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| who ")) {
        promises += 1;
        let named = line.rsplit('`').nth(1).and_then(|name| name.rsplit_once("::"));
        let exists = named.is_some_and(|(module, test)| {
            let file = project.join("tests/e2e").join(format!("{}.rs", module.replace("::", "/")));
            fs::read_to_string(file).is_ok_and(|code| code.contains(&format!("#[test]\nfn {test}()")))
        });
        if !exists {
            problems.push(line);
        }
    }
    assert!(promises > 10 && problems.is_empty(), "no such test:\n{}", problems.join("\n"));
}

/// Machines get packages from where their owners say: apt's and cargo's own configuration, or a variable.
#[test]
fn no_address_of_a_package_archive_stands_in_the_tree() {
    // In two halves, so that this file has none either.
    let hosts = [("deb.", "debian.org"), ("archive.", "ubuntu.com"), ("registry.", "npmjs"), ("static.", "crates.io")]
        .map(|(host, domain)| [host, domain].concat());
    let mut problems = Vec::new();
    for file in text_files(&pg_courier_tests::install::project()) {
        let Ok(text) = fs::read_to_string(&file) else { continue };
        problems
            .extend(hosts.iter().filter(|host| text.contains(*host)).map(|host| format!("{}: {host}", file.display())));
    }
    assert!(problems.is_empty(), "\n{}", problems.join("\n"));
}

/// What is written by people: no build products, no history, no lock file.
fn text_files(directory: &Path) -> Vec<PathBuf> {
    const SKIPPED: [&str; 4] = [".git", "target", "dist", "Cargo.lock"];
    let mut files = Vec::new();
    for path in fs::read_dir(directory).expect("the tree is readable").flatten().map(|entry| entry.path()) {
        match path.file_name().and_then(|name| name.to_str()) {
            Some(name) if !SKIPPED.contains(&name) && path.is_dir() => files.extend(text_files(&path)),
            Some(name) if !SKIPPED.contains(&name) => files.push(path),
            _ => {}
        }
    }
    files
}

/// The test itself: it must see what it is there to see.
#[test]
fn the_rules_catch_what_they_are_for() {
    assert_eq!(may_use("apply", "libpq"), Ok(()));
    assert_eq!(may_use("worker", "apply"), Ok(()));
    assert!(may_use("apply", "precheck").is_err(), "stages do not meet");
    assert!(may_use("pg", "apply").is_err(), "nothing looks up");
    assert!(may_use("worker", "nobody_entered_me").is_err());
    let code = "use crate::error::Error;\nuse crate::{\n    apply::{self, Batch},\n    pg,\n};\n\
                fn f() { crate::decode::start(); crate::bail!(\"x\") }";
    let used: Vec<String> = modules_used(&without_comments(code)).into_iter().collect();
    assert_eq!(used, ["apply", "decode", "error", "pg"]);
    assert_eq!(modules_used(&without_comments("// crate::apply\n/* crate::pg */")).len(), 0);
    let used = |code: &str| names_used_of("libpq", code).into_iter().collect::<Vec<_>>();
    assert_eq!(used("use crate::libpq::{Event, Connection};"), ["Connection", "Event"]);
    assert_eq!(used("fn f(c: &mut crate::libpq::Connection, e: libpq::Event) {}"), ["Connection", "Event"]);
    assert_eq!(used("use crate::{error, libpq::{Watch}};"), ["Watch"]);
    assert_eq!(used("use crate::libpq as q; use crate::libpq::*;"), ["*"]);
    assert!(used("my_libpq::Connection").is_empty());
    let types =
        public_types("pub struct A<'a> {\n  pub(super) type B = C;\nstruct D;\npub fn e() {}\npub(crate) enum F {");
    assert_eq!(types, ["A", "B", "F"]);
    let functions =
        sql_functions("#[pg_extern]\nfn a(x: Text) {\n let y: String }\n#[pg_extern]\nfn b(x: String) {\n}");
    assert_eq!(functions, ["]\nfn a(x: Text) ", "]\nfn b(x: String) "]);
}

fn may_use(user: &str, used: &str) -> Result<(), String> {
    let floor = |module: &str| {
        FLOORS
            .iter()
            .position(|(_, _, modules)| modules.contains(&module))
            .ok_or(format!("module {module} is on no floor; enter it in tests/layering.rs"))
    };
    let (above, below) = (floor(user)?, floor(used)?);
    if user == used || above < below {
        return Ok(());
    }
    let (name, neighbours, _) = FLOORS[above];
    if above == below && neighbours == Neighbours::Meet {
        return Ok(());
    }
    Err(format!("{user} ({name}) may not use {used} ({})", FLOORS[below].0))
}

fn source_directory() -> PathBuf {
    pg_courier_tests::install::project().join("src")
}

fn rust_files(directory: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(directory).expect("src/ is readable").flatten() {
        let path = entry.path();
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files.sort();
    files
}

/// `src/apply/batch.rs` and `src/apply.rs` belong to `apply`, `src/lib.rs` to nobody.
fn module_of(file: &Path) -> Option<String> {
    let inside = file.strip_prefix(source_directory()).ok()?;
    let first = Path::new(inside.components().next()?.as_os_str());
    let module = first.file_stem()?.to_str()?.to_owned();
    (module != "lib").then_some(module)
}

fn read_code(file: &Path) -> String {
    without_comments(&fs::read_to_string(file).expect("a source file is text"))
}

/// Comments may name whom they like. (A `//` in a string cuts its line: harmless here.)
fn without_comments(code: &str) -> String {
    let mut result = String::new();
    let mut rest = code;
    while let Some(start) = rest.find("/*") {
        result.push_str(&rest[..start]);
        let Some(end) = rest[start..].find("*/") else {
            rest = "";
            break;
        };
        rest = &rest[start + end + 2..];
    }
    result.push_str(rest);
    let lines = result.lines().map(|line| line.split("//").next().unwrap_or_default());
    lines.collect::<Vec<_>>().join("\n")
}

/// Module names behind `crate::`, also in `use crate::{a, b::c}`; macros are not modules.
fn modules_used(code: &str) -> BTreeSet<String> {
    let mut used = BTreeSet::new();
    for (start, path) in code.match_indices("crate::") {
        let before = code[..start].chars().next_back();
        if before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == '$') {
            continue; // another word that ends in "crate", or a macro's $crate
        }
        let after = &code[start + path.len()..];
        match after.strip_prefix('{') {
            Some(group) => used.extend(group_heads(group)),
            None => used.extend(head(after)),
        }
    }
    used
}

/// What is used of a module, as `module::a` or `module::{a, b::c}`, in a list or on its way; `*` for all of it, also under
/// another name.
fn names_used_of(module: &str, code: &str) -> BTreeSet<String> {
    let mut used = BTreeSet::new();
    for (start, name) in code.match_indices(module) {
        let before = code[..start].chars().next_back();
        if before.is_some_and(|c| c.is_alphanumeric() || c == '_') {
            continue;
        }
        let after = &code[start + name.len()..];
        if after.starts_with(" as ") {
            used.insert("*".to_owned());
        }
        let Some(path) = after.strip_prefix("::") else { continue };
        let list = path.strip_prefix('{').map_or(path, |group| group.split('}').next().unwrap_or_default());
        let is_list = path.starts_with('{');
        let items = if is_list { list.split([',', ':']).collect() } else { vec![list] };
        for item in items {
            let item = item.trim_start();
            let end = item.find(|c: char| !(c.is_alphanumeric() || c == '_' || c == '*')).unwrap_or(item.len());
            used.insert(item[..end].to_owned());
        }
    }
    used.remove("");
    used
}

/// The first names of a group's items: `a, b::{c, d}, e}` gives a, b, e.
fn group_heads(group: &str) -> Vec<String> {
    let mut heads = Vec::new();
    let mut depth = 0;
    let mut at_item = true;
    for (position, character) in group.char_indices() {
        match character {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => at_item = true,
            c if at_item && (c.is_alphabetic() || c == '_') => {
                heads.extend(head(&group[position..]));
                at_item = false;
            }
            _ => {}
        }
    }
    heads
}

fn head(path: &str) -> Option<String> {
    let name: String = path.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
    let is_macro = path[name.len()..].starts_with('!');
    // Types and constants that the crate's root offers begin with a capital.
    let is_module = name.chars().next().is_some_and(|c| c.is_lowercase());
    (is_module && !is_macro).then_some(name)
}

fn words(line: &str) -> impl Iterator<Item = &str> {
    line.split(|c: char| !(c.is_alphanumeric() || c == '_'))
}
