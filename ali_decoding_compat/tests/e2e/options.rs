//! What a reader may ask for, and what it hears otherwise.

use crate::support::cluster::{Cluster, Database};
use crate::support::format::parse_lines;

/// Slots are read with options like these by SQL: a list of names and values.
fn read(database: &Database, options: &str) -> Result<String, String> {
    database.try_sql(&format!("SELECT count(*) FROM pg_logical_slot_peek_binary_changes(:'slot', NULL, NULL{options})"))
}

pub fn options_are_checked(database: &Database) {
    database.create_slot("s", "ali_decoding");
    for good in ["", ", 'version', '1'", ", 'version', '0x10', 'encoding', 'UTF8'", ", 'encoding', 'utf-8'"] {
        assert!(read(database, good).is_ok(), "{good}");
    }
    for bad in [
        ", 'version', 'one'",
        ", 'version', ''",
        ", 'version', '-1'",
        ", 'version', NULL",
        ", 'encoding', 'LATIN1'",
        ", 'encoding', 'no such'",
        ", 'encoding', NULL",
        ", 'include-xids', '1'",
        ", 'Version', '1'",
    ] {
        let error = read(database, bad).expect_err(bad);
        // The function itself does not take NULL.
        let expected = if bad.contains("NULL") { "ERROR:  22" } else { "ERROR:  22023" };
        assert!(error.contains(expected) || bad.contains("NULL"), "{bad}: {error}");
    }
    let error = read(database, ", 'nonsense', 'x'").expect_err("unknown");
    assert!(error.contains("option \"nonsense\" is unknown to ali_decoding"), "{error}");
    assert!(error.contains("HINT:  The options are \"version\" and \"encoding\"."), "{error}");
    // The slot is as it was.
    assert!(read(database, "").is_ok());
}

pub fn options_of_start_replication_are_checked(database: &Database) {
    database.sql("CREATE TABLE t (a int)");
    database.create_slot("s", "ali_decoding");
    database.sql("INSERT INTO t VALUES (1)");
    let end = database.flushed_lsn();
    for (bad, says) in [
        ("version", "needs a value"),
        ("encoding", "needs a value"),
        ("version=x", "cannot be \"x\""),
        ("encoding=LATIN1", "not the database's encoding \"UTF8\""),
        ("proto_version=1", "unknown to ali_decoding"),
    ] {
        let error = database.receive("s", &[bad], &end).expect_err(bad);
        assert!(error.contains(says), "{bad}: {error}");
    }
    let received = database.receive("s", &["encoding=UTF8", "version=00017"], &end).expect("streams");
    assert_eq!(parse_lines(&received).expect("well formed").len(), 3);
}

pub fn the_textual_function_refuses(database: &Database) {
    database.create_slot("s", "ali_decoding");
    let error = database.try_sql("SELECT * FROM pg_logical_slot_get_changes(:'slot', NULL, NULL)").expect_err("binary");
    assert!(error.contains("0A000") && error.contains("binary"), "{error}");
}

pub fn the_extension_can_be_created(database: &Database) {
    database.sql("CREATE EXTENSION ali_decoding");
    let row = database.sql("SELECT extversion, extrelocatable FROM pg_extension WHERE extname = 'ali_decoding'");
    assert_eq!(row, "0.0.1|t");
    assert_eq!(database.sql("SELECT count(*) FROM pg_depend WHERE deptype = 'e' AND refobjid = (SELECT oid FROM pg_extension WHERE extname = 'ali_decoding')"), "0");
    database
        .sql("CREATE SCHEMA elsewhere; ALTER EXTENSION ali_decoding SET SCHEMA elsewhere; DROP EXTENSION ali_decoding");
    // The library may be loaded like any other, too.
    database.sql("LOAD 'ali_decoding'");
    if database.major() >= 18 {
        let module = "SELECT module_name, version FROM pg_get_loaded_modules() WHERE module_name = 'ali_decoding'";
        assert_eq!(database.sql(&format!("LOAD 'ali_decoding'; {module}")), "ali_decoding|0.0.1");
    }
}

/// Loaded by the postmaster the library must not need what only a session has.
pub fn it_may_be_preloaded(database: &Database) {
    let cluster = Cluster::with_settings(&database.cluster.server, "shared_preload_libraries = 'ali_decoding'");
    let database = cluster.existing("postgres");
    database.create_slot("s", "ali_decoding");
    assert_eq!(read(&database, "").expect("reads"), "0");
}

/// Servers of 2026 have a list of plugins that may be used. The error is theirs and names the setting.
pub fn an_unlisted_plugin_is_refused_by_the_server(database: &Database) {
    if !database.cluster.knows_setting("output_plugin_libraries") {
        return;
    }
    let create = "SELECT pg_create_logical_replication_slot(:'slot', 'ali_decoding')";
    let error = database.try_sql(&format!("SET output_plugin_libraries = 'pgoutput'; {create}")).expect_err("unlisted");
    assert!(error.contains("output_plugin_libraries") && error.contains("ali_decoding"), "{error}");
    println!("    {}", error.lines().map(str::trim).collect::<Vec<_>>().join(" / "));
    database.sql(&format!("SET output_plugin_libraries = 'pgoutput', 'ali_decoding'; {create}"));
}
