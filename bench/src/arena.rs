//! The two servers that all candidates use, configured as one would for the job.

use pg_courier_tests::pair::{PASSWORD, ROLE};
use pg_courier_tests::sql::literal;
use pg_courier_tests::{Cluster, Install, Pair};

/// The source's database.
pub const SOURCE: &str = "bench";

pub fn open() -> Pair {
    Install::get().require_extension();
    let mut builder = Pair::builder()
        // The built-in walsenders log in over TCP like our worker does on the other side.
        .source_conf("max_wal_senders", "20");
    for (key, value) in [
        ("fsync", "on"),
        ("shared_buffers", "512MB"),
        ("max_wal_size", "8GB"),
        ("checkpoint_timeout", "30min"),
        ("autovacuum", "off"),
        ("log_min_messages", "warning"),
    ] {
        builder = builder.source_conf(key, value).destination_conf(key, value);
    }
    if has_pglogical() {
        builder = builder
            .source_conf("shared_preload_libraries", "pg_courier, pglogical")
            .destination_conf("shared_preload_libraries", "pglogical");
    }
    let pair = builder
        // What both kinds of apply do by default or may do: the slot waits for the flush anyway.
        .destination_conf("synchronous_commit", "off")
        .destination_conf("max_logical_replication_workers", "8")
        // The launcher starts a worker at most once in this time: not what is measured.
        .destination_conf("wal_retrieve_retry_interval", "50ms")
        .destination_conf("max_worker_processes", "16")
        .start_without_database();
    pair.source.create_database(SOURCE);
    pair.source.run(SOURCE, "CREATE EXTENSION pg_courier");
    // Recent minors want to be told which libraries may be output plugins.
    let setting = "SELECT count(*) FROM pg_settings WHERE name = 'output_plugin_libraries'";
    if has_pglogical() && pair.source.value("postgres", setting) == "1" {
        pair.source.run("postgres", "ALTER SYSTEM SET output_plugin_libraries = pgoutput, pglogical_output");
        pair.source.reload();
    }
    let role = format!("CREATE ROLE replicator SUPERUSER LOGIN REPLICATION PASSWORD {}", literal(PASSWORD));
    pair.source.run("postgres", &role);
    pair.destination.run("postgres", &role);
    pair
}

/// A destination database, and the server object for it on the source.
pub fn add_destination(pair: &Pair, name: &str) {
    pair.add_destination_database(name);
    pair.add_server(SOURCE, name, name, pair.destination.port());
    pair.destination.run(name, &format!("GRANT ALL ON SCHEMA public TO {ROLE}"));
}

/// Drops a destination database. pglogical's supervisor does not answer when DROP DATABASE asks everybody to close
/// their files; it is ended, and comes again later.
pub fn drop_destination(pair: &Pair, name: &str) {
    pair.destination
        .run("postgres", "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type LIKE 'pglogical%'");
    pair.destination.run("postgres", &format!("DROP DATABASE {name} WITH (FORCE)"));
}

/// How a subscription reaches the source.
pub fn conninfo(pair: &Pair) -> String {
    conninfo_of(&pair.source, SOURCE)
}

pub fn conninfo_of(cluster: &Cluster, database: &str) -> String {
    let password = PASSWORD.replace('\\', "\\\\").replace('\'', "\\'");
    format!("host=127.0.0.1 port={} dbname={database} user=replicator password='{password}'", cluster.port())
}

/// Is pglogical installed in the server that is measured?
pub fn has_pglogical() -> bool {
    let pg_config = std::env::var("PG_CONFIG").unwrap_or_else(|_| "pg_config".to_owned());
    let output = std::process::Command::new(pg_config).arg("--pkglibdir").output();
    output.is_ok_and(|output| {
        let directory = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        std::path::Path::new(&directory).join("pglogical.so").exists()
    })
}
