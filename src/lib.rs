//! pg_courier turns a PostgreSQL source database into its own data transmission service.
//!
//! ```text
//!                  source server                                            |            destination
//!  heap --- tablesync workers: snapshot, binary COPY ------------------------+-> COPY FROM STDIN
//!  WAL ---> decode (in process) -> filter by copy snapshot -> batches -------+-> one pipelined connection
//!              ^                                                            |      courier_applied.progress row, same transaction
//!  slot confirmed_flush <- only after the destination's commit is durable  <+
//! ```
//!
//! The modules, in the order data meets them:
//!
//! | module | what it is |
//! |---|---|
//! | [`pg`] | the server API made safe: relations, SPI, transactions, workers, shared memory (`unsafe`); knows nothing of this product |
//! | [`decode`] | from the WAL to changes for a sink: slot, callbacks, replay, spools (`unsafe`) |
//! | [`tuple`] | rows to bytes: definitions of tables, encoders, scans (`unsafe`) |
//! | [`reader`], [`wire`] | the other way out: the plugin for readers of a slot of their own (`unsafe`), and their formats (`ali`, `json`, `text`) |
//! | [`apply`] | merged, collapsed batches over a pipeline |
//! | [`libpq`] | the client (`unsafe`) |
//! | [`precheck`] | what is asked before anything is created, each item defined once |
//! | [`schema_sync`] | creating the objects, before and after the data |
//! | [`source`] | where rows and changes come from: questions, slot, snapshots, the stream |
//! | [`destination`] | a session on the destination, its settings, its progress rows |
//! | [`ddl_capture`] | what a command on definitions has left behind, written down by the session that ran it |
//! | [`verify`] | are both sides equal, table by table |
//! | [`catalog`] | our tables and the source's catalogs as typed rows |
//! | [`task`] | what may be done with a task, apart from its processes |
//! | [`worker`] | the processes; the only place where the stages meet |
//! | [`api`] | the SQL functions |
//! | [`schema`] | images of a database's objects, their differences, and those as statements: pure |
//! | [`select`], [`transform`] | which changes are wanted, and under which names they go to the destination: pure rules |
//! | [`logicalrep`], [`error`], [`guc`] | the values that flow ([`decode::ChangeSink`] is where decoding ends), errors, settings |
//!
//! Absent on purpose: a connection to the source (WAL is decoded in the server), SQL in the process that decodes, any
//! object on the destination besides schema `courier_applied`.

mod api;
mod apply;
mod catalog;
#[cfg(test)]
mod chance;
mod ddl_capture;
mod decode;
mod destination;
mod error;
mod failpoint;
mod guc;
#[cfg_attr(test, allow(dead_code, reason = "unit tests have a connection of their own"))]
mod libpq;
mod logicalrep;
mod pg;
mod precheck;
mod reader;
mod schema;
mod schema_sync;
mod select;
#[cfg(feature = "pg_test")]
mod server_tests;
mod source;
mod task;
mod transform;
mod tuple;
mod verify;
mod wire;
mod worker;

use pgrx::prelude::*;

pgrx::pg_module_magic!(name, version);

// For cargo pgrx; make takes them from sql/files.txt, which names the same in the same order.
extension_sql_file!("../sql/trusted.sql", name = "trusted", bootstrap);
extension_sql_file!("../sql/tables.sql", name = "tables", requires = ["trusted"]);
extension_sql_file!("../sql/schema.sql", name = "schema", requires = ["tables"]);
extension_sql_file!("../sql/schema_ddl.sql", name = "schema_ddl", requires = ["schema"]);
extension_sql_file!("../sql/events.sql", name = "events", requires = ["schema_ddl"]);
extension_sql_file!("../sql/ddl.sql", name = "ddl", requires = ["events"]);
extension_sql_file!("../sql/slots.sql", name = "slots", requires = ["ddl"]);
extension_sql_file!("../sql/precheck.sql", name = "precheck", requires = ["slots"]);
extension_sql_file!("../sql/heartbeat.sql", name = "heartbeat", requires = ["precheck"]);
extension_sql_file!("../sql/replica_identity.sql", name = "replica_identity", requires = ["heartbeat"]);
extension_sql_file!("../sql/accounts.sql", name = "accounts", requires = ["replica_identity"]);
extension_sql_file!("../sql/commands.sql", name = "commands", requires = ["accounts"]);
extension_sql_file!("../sql/health.sql", name = "health", requires = ["commands"]);
extension_sql_file!("../sql/large_objects.sql", name = "large_objects", requires = ["health"]);
extension_sql_file!("../sql/rights.sql", name = "rights", requires = ["large_objects"]);

/// Called when the library is loaded: into the postmaster by `shared_preload_libraries`, or into a backend.
#[pg_guard]
pub extern "C-unwind" fn _PG_init() {
    pg::bgworker::forget_backtraces();
    guc::define();
    task::guards::install();
    ddl_capture::install();
    if pg::bgworker::is_preloading() {
        pg::wake::install();
        task::guards::install_preloaded();
        pg::bgworker::register_launcher(worker::launcher::NAME, worker::launcher::FUNCTION);
    }
}

/// What `cargo pgrx test` asks for.
#[cfg(test)]
pub mod pg_test {
    pub fn setup(_options: Vec<&str>) {}

    pub fn postgresql_conf_options() -> Vec<&'static str> {
        vec!["shared_preload_libraries = 'pg_courier'", "wal_level = logical"]
    }
}
