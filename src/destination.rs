//! A session on the destination: settings that make data mean the same on both sides, and the helper tables.
//!
//! `courier_applied.progress` has one row for each task that writes here. It is updated in the transaction that carries the
//! data, so after any crash on either side it says exactly what is applied. The same UPDATE is the fence: `writer` must be
//! the row's `epoch` (a CHECK constraint), and it only is when the writer is the one that took the row over last and when
//! its transaction follows the one before without a gap. A batch of a killed worker that the destination still had in its
//! socket can therefore commit before the next worker takes over, or fail; never twice, never out of order.

pub mod table;

use crate::error::{Error, Result, sqlstate};
use crate::libpq::{Connection, Parameters, WaitFn, refuse_shared};
use crate::logicalrep::Lsn;
use crate::logicalrep::names::quote_literal;

/// Names a database among all servers: the cluster's system identifier and the database's OID. The same query on both
/// sides tells a task that its destination is where a transaction came from.
pub const DATABASE_ID: &str = "SELECT (SELECT system_identifier FROM pg_catalog.pg_control_system()) || '.' || oid \
     FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database()";

/// The constraint whose violation means that another worker writes for the task.
pub const FENCE: &str = "progress_one_writer";

/// What the session is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Schema, prechecks, verification, sequences.
    Control,
    /// Bulk load.
    Copy,
    /// The stream of changes.
    Apply,
}

pub struct Destination {
    pub connection: Connection,
    /// Is `session_replication_role` `replica`, so that triggers and foreign keys do not fire here?
    pub replica_role: bool,
}

pub struct Session<'a> {
    pub parameters: &'a Parameters,
    /// Shown on the destination, after "pg_courier: ".
    pub task: &'a str,
    /// The encoding in which text is sent.
    pub encoding: &'static str,
    /// The owner of the task is no superuser: see [`Parameters::for_ordinary_role`].
    pub password_required: bool,
}

impl Destination {
    pub fn open(session: &Session<'_>, purpose: Purpose, wait: WaitFn) -> Result<Destination> {
        let own = session.password_required.then(|| session.parameters.for_ordinary_role()).transpose()?;
        let parameters = own.as_ref().unwrap_or(session.parameters);
        let mut connection = Connection::open(parameters, wait)?;
        if session.password_required {
            connection.demand_password(parameters)?;
        }
        // Before anything is set.
        refuse_shared(&mut connection, parameters, wait)?;
        let mut settings = vec![
            ("application_name", format!("pg_courier: {}", session.task)),
            ("client_encoding", session.encoding.to_owned()),
            ("search_path", "pg_catalog, pg_temp".to_owned()),
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
        let known = since.iter().filter(|(_, version)| connection.server_version() >= *version);
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
        let replica_role = purpose != Purpose::Control && may_set_replica_role(&mut connection, "false")?;
        Ok(Destination { connection, replica_role })
    }

    /// Creates the helper tables where they are missing.
    pub fn prepare_helper_schema(&mut self) -> Result<()> {
        self.under_helper_lock(Destination::create_helper_tables)
    }

    /// Runs `f` in a transaction that no other task's coming or going can disturb. (IF NOT EXISTS does not wait for a
    /// creation under way, and the last task to leave drops the tables.)
    fn under_helper_lock(&mut self, f: impl FnOnce(&mut Destination) -> Result<()>) -> Result<()> {
        self.connection.exec("BEGIN")?;
        self.connection.exec(&format!("SELECT pg_catalog.pg_advisory_xact_lock({HELPER_LOCK})"))?;
        f(self)?;
        self.connection.exec("COMMIT")?;
        Ok(())
    }

    fn has_helper_tables(&mut self) -> Result<bool> {
        let there = self.connection.query(
            "SELECT pg_catalog.to_regclass('courier_applied.progress') IS NOT NULL \
             AND pg_catalog.to_regclass('courier_applied.table_progress') IS NOT NULL \
             AND pg_catalog.to_regclass('courier_applied.marks') IS NOT NULL",
            &[],
        )?;
        there.first().map_or(Ok(false), |row| row.bool(0))
    }

    fn create_helper_tables(&mut self) -> Result<()> {
        if self.has_helper_tables()? {
            return Ok(());
        }
        for statement in HELPER_TABLES {
            self.connection.exec(statement).map_err(|error| {
                // An event trigger, for example, fails with what it likes.
                let hint = if error.sqlstate() == sqlstate::INSUFFICIENT_PRIVILEGE {
                    "Grant the user CREATE on the database: GRANT CREATE ON DATABASE ... TO ...; or create schema \
                     \"courier_applied\" owned by it."
                } else {
                    "Remove the cause on the destination, then courier.resume()."
                };
                error.context("While preparing schema \"courier_applied\" on the destination.").or_hint(hint)
            })?;
        }
        Ok(())
    }

    /// Makes sure that the task has its row, starting at `start`.
    pub fn ensure_progress(&mut self, task: &TaskRow<'_>, start: Lsn) -> Result<()> {
        self.under_helper_lock(|destination| {
            destination.create_helper_tables()?;
            destination.connection.execute(
                "INSERT INTO courier_applied.progress (task_id, task, source, end_lsn, source_id) \
                 VALUES ($1::uuid, $2, $3, $4::pg_lsn, $5) ON CONFLICT (task_id) DO NOTHING",
                &[Some(task.id), Some(task.name), Some(task.source), Some(&start.to_string()), Some(task.source_id)],
            )?;
            Ok(())
        })
    }

    /// Takes the task over: locks its row, which waits for a batch still under way, and raises the epoch, which shuts
    /// everyone else out. Returns the epoch and what has been applied.
    pub fn take_over(&mut self, task_id: &str) -> Result<(i64, Lsn)> {
        // Durable, and with it everything this reads: the slot may advance up to there.
        self.connection.exec("SET synchronous_commit = on")?;
        let rows = self.connection.query(
            "UPDATE courier_applied.progress SET epoch = epoch + 1, writer = epoch + 1 WHERE task_id = $1::uuid \
             RETURNING epoch, end_lsn",
            &[Some(task_id)],
        )?;
        self.connection.exec("SET synchronous_commit = off")?;
        // Marks of workers before this one, but not of a transaction that still has to end.
        self.connection.execute(
            "DELETE FROM courier_applied.marks WHERE (task_id, epoch, lane) IN (SELECT m.task_id, m.epoch, m.lane \
             FROM courier_applied.marks AS m WHERE m.task_id = $1::uuid FOR UPDATE SKIP LOCKED)",
            &[Some(task_id)],
        )?;
        let row = rows.first().ok_or_else(|| {
            Error::new(sqlstate::OBJECT_NOT_IN_PREREQUISITE_STATE, "the destination has no progress row of this task")
                .detail(
                    "Table courier_applied.progress on the destination says what has been applied; the row is gone.",
                )
                .hint(
                    "Without it nobody knows what is applied. Drop the task, empty its tables on the destination, \
                     create it anew with schema_sync => false, and start it.",
                )
        })?;
        Ok((row.parse(0)?, row.lsn(1)?))
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

    pub fn replica_role_error(&self) -> Error {
        let error = Error::new(
            sqlstate::INSUFFICIENT_PRIVILEGE,
            "cannot set session_replication_role on the destination, which foreign keys and triggers of its tables need",
        )
        .detail("Otherwise triggers fire a second time there, and foreign keys are checked in the middle of a batch.");
        if self.connection.server_version() >= 150_000 {
            error.hint("As a superuser on the destination: GRANT SET ON PARAMETER session_replication_role TO <user>;")
        } else {
            error.hint(
                "Before PostgreSQL 15 only a superuser can set it: use one, or leave out tables with foreign keys.",
            )
        }
    }

    /// Removes the task's rows. The last task to leave removes the helper tables, and the schema if nothing else is in it.
    pub fn forget_task(&mut self, task_id: &str) -> Result<()> {
        let mut unused = false;
        self.under_helper_lock(|destination| {
            if !destination.has_helper_tables()? {
                return Ok(());
            }
            let connection = &mut destination.connection;
            for table in ["progress", "table_progress", "marks", "conflicts"] {
                let sql = format!("DELETE FROM courier_applied.{table} WHERE task_id = $1::uuid");
                connection.execute(&sql, &[Some(task_id)])?;
            }
            let rows = connection.query(
                "SELECT 1 FROM courier_applied.progress UNION ALL SELECT 1 FROM courier_applied.table_progress LIMIT 1",
                &[],
            )?;
            unused = rows.is_empty();
            Ok(())
        })?;
        if !unused {
            return Ok(());
        }
        // Not with the rows: someone else may own the tables or the schema, and then they stay.
        let outcome = self.under_helper_lock(|destination| {
            let connection = &mut destination.connection;
            connection
                .exec("LOCK TABLE courier_applied.progress, courier_applied.table_progress IN ACCESS EXCLUSIVE MODE")?;
            let rows = connection.query(
                "SELECT 1 FROM courier_applied.progress UNION ALL SELECT 1 FROM courier_applied.table_progress LIMIT 1",
                &[],
            )?;
            if rows.is_empty() {
                connection.exec(
                    "DROP TABLE courier_applied.progress, courier_applied.table_progress, courier_applied.marks, \
                     courier_applied.conflicts",
                )?;
                connection.exec("DROP SCHEMA courier_applied")?;
            }
            Ok(())
        });
        if outcome.is_err() {
            self.connection.exec("ROLLBACK")?;
        }
        Ok(())
    }
}

pub struct TaskRow<'a> {
    pub id: &'a str,
    pub name: &'a str,
    pub source: &'a str,
    /// The source database for programs, see [`DATABASE_ID`].
    pub source_id: &'a str,
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

/// Key of the advisory lock under which helper tables come and go ("courier" in ASCII).
const HELPER_LOCK: i64 = 0x63_6f75_7269_6572;

const HELPER_TABLES: [&str; 9] = [
    "CREATE SCHEMA IF NOT EXISTS courier_applied",
    // Room on each page keeps the frequent updates of one row in place.
    "CREATE TABLE IF NOT EXISTS courier_applied.progress ( \
       task_id uuid PRIMARY KEY, task text NOT NULL, source text NOT NULL, end_lsn pg_lsn NOT NULL, \
       commit_time timestamptz, pre_data boolean NOT NULL DEFAULT false, updated_at timestamptz NOT NULL DEFAULT pg_catalog.now(), \
       source_id text NOT NULL, epoch bigint NOT NULL DEFAULT 0, writer bigint NOT NULL DEFAULT 0, \
       CONSTRAINT progress_one_writer CHECK (writer = epoch)) WITH (fillfactor = 10)",
    "COMMENT ON TABLE courier_applied.progress IS \
       'What pg_courier has applied to this database, one row a task; updated in the transaction that carries the data'",
    "CREATE TABLE IF NOT EXISTS courier_applied.table_progress ( \
       task_id uuid NOT NULL, relid oid NOT NULL, table_name text NOT NULL, snapshot text NOT NULL, \
       sync_lsn pg_lsn NOT NULL, source_id text NOT NULL, copied_rows bigint NOT NULL DEFAULT 0, copied_at timestamptz NOT NULL DEFAULT pg_catalog.now(), \
       PRIMARY KEY (task_id, relid))",
    // A row for each session that writes beside another: the progress row would make it wait. Not in 0.1.0.
    "CREATE TABLE IF NOT EXISTS courier_applied.marks ( \
       task_id uuid NOT NULL, epoch bigint NOT NULL, lane smallint NOT NULL, source_id text NOT NULL, \
       used bigint NOT NULL DEFAULT 1, PRIMARY KEY (task_id, epoch, lane)) WITH (fillfactor = 10)",
    "COMMENT ON TABLE courier_applied.marks IS \
       'Where the changes of a transaction of pg_courier came from, for those that do not begin with the task''s progress'",
    "CREATE TABLE IF NOT EXISTS courier_applied.conflicts ( \
       id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, task_id uuid NOT NULL, at timestamptz NOT NULL DEFAULT pg_catalog.now(), \
       lsn pg_lsn NOT NULL, commit_lsn pg_lsn NOT NULL, relid oid NOT NULL, table_name text NOT NULL, change text NOT NULL, \
       sqlstate text NOT NULL, message text NOT NULL, decision text NOT NULL, key jsonb, source_row jsonb, destination_row jsonb)",
    "COMMENT ON TABLE courier_applied.conflicts IS \
       'Changes that pg_courier did not apply as they were, one row each; written in the transaction that decided so'",
    "COMMENT ON TABLE courier_applied.table_progress IS \
       'Tables that pg_courier has copied to this database, with the source snapshot of each copy'",
];
