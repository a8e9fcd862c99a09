//! End-to-end tests: two real servers, the SQL that users type, and a comparison of both
//! databases row by row at the end.
//!
//! Each test starts with its story: who is connected to whom, what happens, and what would
//! be seen if the extension did it wrong. Tests wait for events; where a test gives a
//! wrong behaviour the time to show, it says so. Random ones print a seed that repeats
//! their choices (`COURIER_SEED=n make test-e2e TEST=name`).

mod ahead;
mod answers;
mod common;
mod conflicts;
mod connections;
mod copied_source;
mod copy_snapshot;
mod coverage;
mod crashes;
mod ddl;
mod ddl_capture;
mod documents;
mod durability;
mod encodings;
mod exactly_once;
mod faults;
mod grants;
mod health;
mod helper_schema;
mod hostile;
mod large;
mod leftovers;
mod lifecycle;
mod lost_progress;
mod lying;
mod main_job;
mod monitoring;
mod names;
mod net_effect;
mod network;
mod options;
mod origins;
mod precheck;
mod processes;
mod replay;
mod rights;
mod routes;
mod schema;
mod schema_changes;
mod schema_guards;
mod second_session;
mod sequences;
mod settings;
mod small_tables;
mod spool;
mod steps;
mod symbols;
mod topologies;
mod traps;
mod types;
mod unlike_tables;
mod upgrade;
mod views;
mod whole;
mod wire;
mod worker;
