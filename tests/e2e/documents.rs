//! What README and the pages of docs/ print is run as printed: each block of SQL, in the order of its page, on servers that are
//! prepared as the page says. A comment before a block says where it runs if that is not the source:
//!
//! ```text
//! <!-- test: cron -->               the database that pg_cron lives in, where pg_cron is installed
//! <!-- test: takes my_slot away --> the slot is dropped again
//! <!-- test: needs output_plugin_libraries -->   where the server has that setting
//! <!-- test: elsewhere: reason -->  another test runs it
//! ```
//!
//! A block that mentions `shop_to_dr` finds that task synchronizing, unless it creates it. Numbers of ports are those of the test's servers.

use std::fs;
use std::path::PathBuf;

use pg_courier_tests::install::{Install, project};
use pg_courier_tests::pair::{DATABASE, ROLE};
use pg_courier_tests::{Cluster, Pair};

/// The password that the README gives the user mapping.
const PASSWORD: &str = "secret";
/// The port of its destination.
const PORT: &str = "'5433'";

struct Block {
    page: String,
    line: usize,
    language: String,
    place: String,
    text: String,
}

fn pages() -> Vec<PathBuf> {
    let mut pages: Vec<PathBuf> = fs::read_dir(project().join("docs"))
        .expect("docs/")
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "md"))
        .collect();
    pages.sort();
    pages.insert(0, project().join("README.md"));
    pages
}

fn blocks() -> Vec<Block> {
    pages().iter().flat_map(blocks_of).collect()
}

fn blocks_of(page: &PathBuf) -> Vec<Block> {
    let name = page.file_name().expect("a name").to_string_lossy().into_owned();
    let text = fs::read_to_string(page).expect("a page");
    let mut found: Vec<Block> = Vec::new();
    let (mut open, mut place) = (false, String::new());
    for (number, line) in text.lines().enumerate() {
        if let Some(language) = line.strip_prefix("```") {
            if !open {
                let language = language.trim().to_owned();
                let place = std::mem::take(&mut place);
                found.push(Block { page: name.clone(), line: number + 1, language, place, text: String::new() });
            }
            open = !open;
        } else if open {
            let block = found.last_mut().expect("a block is open");
            block.text.push_str(line);
            block.text.push('\n');
        } else if let Some(rest) = line.strip_prefix("<!-- test:") {
            place = rest.trim_end_matches("-->").trim().to_owned();
        }
    }
    assert!(!open, "{name}: a block is not closed");
    found
}

/// A source with some tables and without the extension, and the destination of the README.
fn prepared() -> Pair {
    let cron = Install::get().has_extension("pg_cron");
    let mut builder = Pair::builder();
    if cron {
        builder = builder
            .preload(false)
            .source_conf("shared_preload_libraries", "pg_courier,pg_cron")
            .source_conf("cron.use_background_workers", "on");
    }
    let pair = builder.start_without_database();
    pair.destination.run("postgres", &format!("ALTER ROLE {ROLE} PASSWORD '{PASSWORD}'"));
    pair.source.create_database(DATABASE);
    pair.add_destination_database(DATABASE);
    pair.source.run(
        DATABASE,
        "CREATE TABLE journal (item bigint, what text); CREATE TABLE tmp_work (id int); \
         CREATE TABLE customer (id int PRIMARY KEY, name text); CREATE SCHEMA sales; \
         CREATE TABLE sales.orders (id int PRIMARY KEY, customer int REFERENCES customer); \
         INSERT INTO customer SELECT n, 'name ' || n FROM generate_series(1, 100) AS n; \
         INSERT INTO sales.orders SELECT n, n FROM generate_series(1, 100) AS n",
    );
    if cron {
        pair.source.run("postgres", "CREATE EXTENSION pg_cron");
    }
    pair
}

#[track_caller]
fn run(server: &Cluster, database: &str, block: &Block, text: &str) {
    let output = server.psql(database, &format!("\\set ON_ERROR_STOP 1\n{text}"));
    assert!(
        output.status.success(),
        "{}:{}: {}\n{text}",
        block.page,
        block.line,
        String::from_utf8_lossy(&output.stderr)
    );
}

fn lists_plugins(source: &Cluster) -> bool {
    source.value(DATABASE, "SELECT count(*) FROM pg_settings WHERE name = 'output_plugin_libraries'") == "1"
}

/// What the sentence before such a block asks for.
fn allow_plugin(source: &Cluster) {
    if lists_plugins(source) {
        let set = "ALTER SYSTEM SET output_plugin_libraries = 'pgoutput', 'test_decoding', 'pg_courier'";
        source.run(DATABASE, set);
        source.reload();
    }
}

#[test]
fn every_block_of_sql_runs_as_printed() {
    let pair = prepared();
    let source = &pair.source;
    let mut ran = 0;
    for block in blocks().iter().filter(|block| block.language == "sql") {
        if block.text.contains("shop_to_dr") && !block.text.contains("create_task('shop_to_dr'") {
            let there = "SELECT EXISTS (SELECT FROM courier.tasks WHERE task = 'shop_to_dr')";
            if source.value(DATABASE, there) == "f" {
                pair.start_task("shop_to_dr", &["public.*"]);
                pair.wait_for_state(DATABASE, "shop_to_dr", "synchronizing");
            }
        }
        let text = block.text.replace(PORT, &format!("'{}'", pair.destination.port()));
        match block.place.as_str() {
            "" => run(source, DATABASE, block, &text),
            "cron" if Install::get().has_extension("pg_cron") => run(source, "postgres", block, &text),
            "cron" => assert!(std::env::var_os("COURIER_WITHOUT_CRON").is_some(), "make prereqs installs pg_cron"),
            "needs output_plugin_libraries" if lists_plugins(source) => run(source, DATABASE, block, &text),
            "needs output_plugin_libraries" => continue,
            "takes my_slot away" => {
                allow_plugin(source);
                run(source, DATABASE, block, &text);
                source.run(DATABASE, "SELECT pg_drop_replication_slot('my_slot')");
            }
            place if place.starts_with("elsewhere: ") => continue,
            place => panic!("{}:{}: no such place: {place}", block.page, block.line),
        }
        ran += 1;
        // A task of a page has no tables in the way of the next one.
        if block.text.contains("courier.drop_task('shop_to_dr')") {
            pair.destination
                .run(DATABASE, "DROP SCHEMA IF EXISTS sales CASCADE; DROP TABLE IF EXISTS customer, journal CASCADE");
        }
    }
    assert!(ran >= 6, "only {ran} blocks were found");
    source.assert_not_crashed();
}

/// Blocks for a shell name targets that the Makefile has.
#[test]
fn every_make_target_exists() {
    let makefile = ["Makefile", "ali_decoding_compat/ali.mk"]
        .map(|file| fs::read_to_string(project().join(file)).expect("it is there"));
    let targets: Vec<&str> = makefile
        .iter()
        .flat_map(|text| text.lines())
        .filter(|line| !line.starts_with(['\t', '#', ' ']))
        .filter_map(|line| line.split_once(':').filter(|(_, rest)| !rest.starts_with('=')).map(|(names, _)| names))
        .flat_map(str::split_whitespace)
        .collect();
    for page in pages() {
        let text = fs::read_to_string(&page).expect("a page");
        let commands = text.split('`').chain(text.lines()).filter_map(|piece| piece.trim().strip_prefix("make "));
        for command in commands {
            let named =
                command.split_whitespace().take_while(|word| !word.starts_with('#')).filter(|word| !word.contains('='));
            for target in named.take(1) {
                assert!(targets.contains(&target), "{}: make {command}: no such target", page.display());
            }
        }
    }
}
