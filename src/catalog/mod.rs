//! Our own tables and the source's catalogs, as typed rows. Runs inside a transaction of the caller.

pub mod code_schemas;
pub mod commands;
pub mod configuration;
pub mod connection;
pub mod coverage;
pub mod ddl_log;
pub mod ddl_policies;
pub mod locks;
pub mod marks;
pub mod schema;
mod scope;
pub mod select;
pub mod sequences;
mod states;
pub mod swept;
pub mod tables;
mod task;
pub mod version;

use crate::error::Result;
use crate::pg::spi;

pub use scope::Scope;
pub use states::{ConflictPolicy, DdlPolicy, Stage, TableState, Wanted};
pub use task::{Task, to_json};

/// Is the extension in this database? Not only something of its name: the tables have to be its own.
pub fn is_installed() -> Result<bool> {
    let sql = "SELECT EXISTS (SELECT FROM pg_extension e JOIN pg_depend d ON d.refclassid = 'pg_extension'::regclass \
               AND d.refobjid = e.oid AND d.deptype = 'e' AND d.classid = 'pg_class'::regclass \
               AND d.objid = to_regclass('courier.task') WHERE e.extname = 'pg_courier')";
    spi::as_extension(|| spi::query_one(sql, &[])?.bool(0))
}
