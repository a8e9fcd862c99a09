//! A session on the destination: settings that make data mean the same on both sides, and what its user may do.

use super::dialect::{Dialect, POSTGRES};
use super::{Connection, code_path, refuse_shared, table};
use crate::catalog::code_schemas::CodeSearch;
use crate::error::{Error, Result, sqlstate};
use crate::libpq::{Parameters, WaitFn};
use crate::logicalrep::names::{quote_ident, quote_literal};

/// Names a database among all servers: the cluster's system identifier and the database's OID. The same query on both
/// sides tells a task that its destination is where a transaction came from.
pub const DATABASE_ID: &str = "SELECT (SELECT system_identifier FROM pg_catalog.pg_control_system()) || '.' || oid \
     FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database()";

/// Names a database while its server runs, the same on both sides.
pub const THIS_DATABASE: &str = "SELECT pg_catalog.to_char(pg_catalog.pg_postmaster_start_time() AT TIME ZONE 'UTC', 'YYYYMMDDHH24MISSUS') \
     || '.' || oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database()";

/// What the session is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Prechecks, verification, sequences.
    Control,
    /// Creates tables and their parts.
    Schema,
    /// Bulk load.
    Copy,
    /// The stream of changes.
    Apply,
}

pub struct Destination {
    /// For this module only: whoever else wants to know something asks a method that has a name.
    pub(super) connection: Connection,
    pub(super) dialect: &'static dyn Dialect,
    /// Is `session_replication_role` `replica`, so that triggers and foreign keys do not fire here?
    pub replica_role: bool,
    /// Are commands of the source applied through it? For what is said to people.
    pub applies_commands: bool,
    /// The session's `search_path`, if it is another one than that of the server's own schema: see [`code_path`].
    pub(super) code_path: Option<String>,
}

pub struct SessionOptions<'a> {
    pub parameters: &'a Parameters,
    /// Shown on the destination, after "pg_courier: ".
    pub task: &'a str,
    /// Where sessions that run code of users look for what it names, if nobody else can put something there.
    pub code_search: &'a CodeSearch,
    /// The encoding in which text is sent.
    pub encoding: &'static str,
    /// The owner of the task is no superuser: see [`Parameters::for_ordinary_role`].
    pub password_required: bool,
}

impl Destination {
    pub fn open(session: &SessionOptions<'_>, purpose: Purpose, wait: WaitFn) -> Result<Destination> {
        let own = session.password_required.then(|| session.parameters.for_ordinary_role()).transpose()?;
        let parameters = own.as_ref().unwrap_or(session.parameters);
        let mut connection = Connection::open(parameters, wait)?;
        if session.password_required {
            connection.demand_password(parameters)?;
        }
        // Before anything is set.
        refuse_shared(&mut connection, parameters, wait)?;
        let settings = settings(session, purpose, connection.server_version());
        let calls: Vec<String> = settings
            .iter()
            .map(|(name, value)| {
                format!("pg_catalog.set_config({}, {}, false)", quote_literal(name), quote_literal(value))
            })
            .collect();
        connection.exec(&format!("SELECT {}", calls.join(", ")))?;
        if purpose == Purpose::Apply {
            connection.exec(table::PREPARE_CHECK)?;
        } else {
            // What is recorded here as done must survive a crash there, whatever the user's default is.
            connection.exec(
                "SELECT pg_catalog.set_config('synchronous_commit', 'on', false) \
                 WHERE pg_catalog.current_setting('synchronous_commit') = 'off'",
            )?;
        }
        let_locks_go(&mut connection)?;
        let moves_rows = matches!(purpose, Purpose::Copy | Purpose::Apply);
        let replica_role = moves_rows && may_set_replica_role(&mut connection, "false")?;
        let code_path = match purpose {
            Purpose::Control => None,
            Purpose::Schema | Purpose::Copy | Purpose::Apply => code_path::begin(&mut connection, session.code_search)?,
        };
        Ok(Destination { connection, dialect: &POSTGRES, replica_role, applies_commands: false, code_path })
    }

    /// What is said to it while changes are applied.
    pub fn dialect(&self) -> &'static dyn Dialect {
        self.dialect
    }

    /// Who has logged in.
    pub fn user(&self) -> String {
        self.connection.user()
    }

    /// Is this the very database that the task reads? A copy of it has the same identifiers, but not the same postmaster.
    pub fn is_same_database(&mut self, source: &str) -> Result<bool> {
        let rows = self.connection.exec(THIS_DATABASE)?;
        Ok(rows.first().is_some_and(|row| row.opt(0) == Some(source)))
    }

    /// Which database this is, see [`DATABASE_ID`]; `None` where the server does not tell.
    pub fn database_id(&mut self) -> Result<Option<String>> {
        match self.connection.exec(DATABASE_ID) {
            Ok(rows) => Ok(rows.first().and_then(|row| row.opt_string(0))),
            // No right to ask, or a relative of PostgreSQL without the function.
            Err(error) if ["42501", "42883"].contains(&error.sqlstate()) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// May this user switch triggers and foreign keys off for its session? Changes nothing.
    pub fn can_be_replica(&mut self) -> Result<bool> {
        may_set_replica_role(&mut self.connection, "true")
    }

    /// Switches triggers and foreign keys off for this session; false when that is refused, for whatever reason.
    pub fn become_replica(&mut self) -> bool {
        may_set_replica_role(&mut self.connection, "false").unwrap_or(false)
    }

    pub fn replica_role_error(&self) -> Error {
        let error = Error::new(
            sqlstate::INSUFFICIENT_PRIVILEGE,
            "cannot set session_replication_role on the destination, which foreign keys and triggers of its tables need",
        )
        .detail("Otherwise triggers fire a second time there, and foreign keys are checked in the middle of a batch.");
        if self.connection.server_version() >= 150_000 {
            error.hint(format!(
                "As a superuser on the destination: GRANT SET ON PARAMETER session_replication_role TO {};",
                quote_ident(&self.connection.user())
            ))
        } else {
            error.hint(
                "Before PostgreSQL 15 only a superuser can set it: use one, or leave out tables with foreign keys.",
            )
        }
    }
}

/// What a session is set to before anything else is said in it.
fn settings(session: &SessionOptions<'_>, purpose: Purpose, server_version: i32) -> Vec<(&'static str, String)> {
    let mut settings = vec![
        ("application_name", format!("pg_courier: {}", session.task)),
        ("client_encoding", session.encoding.to_owned()),
        ("search_path", code_path::PLAIN.to_owned()),
        ("statement_timeout", "0".to_owned()),
        ("lock_timeout", "0".to_owned()),
        ("idle_in_transaction_session_timeout", "0".to_owned()),
        ("default_transaction_isolation", "read committed".to_owned()),
        ("default_transaction_read_only", "off".to_owned()),
        ("check_function_bodies", "off".to_owned()),
        ("row_security", "off".to_owned()),
        // A dead source must not keep locks here for hours.
        ("tcp_keepalives_idle", "30".to_owned()),
        ("tcp_keepalives_interval", "10".to_owned()),
        ("tcp_keepalives_count", "3".to_owned()),
    ];
    let since = [("idle_session_timeout", 140_000), ("transaction_timeout", 170_000)];
    let known = since.iter().filter(|(_, version)| server_version >= *version);
    settings.extend(known.map(|(name, _)| (*name, "0".to_owned())));
    settings.extend(data_settings().map(|(name, value)| (name, value.to_owned())));
    if purpose == Purpose::Apply {
        // One UPDATE ... FROM unnest(...) finds its rows by index. A plan made while the table was empty would
        // scan it, and be kept.
        let plans = [
            ("plan_cache_mode", "force_generic_plan"),
            ("enable_hashjoin", "off"),
            ("enable_mergejoin", "off"),
            ("enable_seqscan", "off"),
            ("jit", "off"),
            ("synchronous_commit", "off"),
        ];
        settings.extend(plans.map(|(name, value)| (name, value.to_owned())));
    }
    settings
}

/// A statement of a worker that is gone ends soon and lets its locks go. Not every system can watch a socket.
fn let_locks_go(connection: &mut Connection) -> Result<()> {
    if connection.server_version() < 140_000 {
        return Ok(());
    }
    match connection.exec("SELECT pg_catalog.set_config('client_connection_check_interval', '10s', false)") {
        Err(error) if error.sqlstate() != sqlstate::INVALID_PARAMETER_VALUE => Err(error),
        _ => Ok(()),
    }
}

/// Settings that decide how values read and print, or which rows a query finds; the source's workers use the same. Every
/// other setting that a user may change is judged in tests/e2e/settings.rs.
pub fn data_settings() -> impl Iterator<Item = (&'static str, &'static str)> {
    [
        ("DateStyle", "ISO, MDY"),
        ("IntervalStyle", "postgres"),
        ("TimeZone", "UTC"),
        ("extra_float_digits", "3"),
        ("bytea_output", "hex"),
        ("standard_conforming_strings", "on"),
        ("lc_monetary", "C"),
        ("xmloption", "content"),
        // NULL in the text of an array is no value, and no word.
        ("array_nulls", "on"),
        // Names that print as values (regclass) look the same on both sides.
        ("quote_all_identifiers", "off"),
        // An index must find all rows.
        ("gin_fuzzy_search_limit", "0"),
    ]
    .into_iter()
}

/// Sets the role for the session, or with `is_local` for this statement only; false when it is not permitted.
fn may_set_replica_role(connection: &mut Connection, is_local: &str) -> Result<bool> {
    let sql = format!("SELECT pg_catalog.set_config('session_replication_role', 'replica', {is_local})");
    match connection.exec(&sql) {
        Ok(_) => Ok(true),
        Err(error) if error.sqlstate() == sqlstate::INSUFFICIENT_PRIVILEGE => Ok(false),
        Err(error) => Err(error),
    }
}
