//! Schema `courier_applied`: made where it is missing, and used only when nobody else has his hands in it.

use super::Destination;
use crate::error::{Error, Origin, Result, sqlstate};
use crate::logicalrep::Row;
use crate::logicalrep::names::quote_ident;

/// Key of the advisory lock under which helper tables come and go ("courier" in ASCII). Anybody can take it, so nobody
/// waits long for it.
const LOCK: i64 = 0x63_6f75_7269_6572;

/// How long locks of the helper tables are waited for, before somebody is told.
const PATIENCE: &str = "5s";

const LOCK_NOT_AVAILABLE: &str = "55P03";

/// The tables with what makes them.
const TABLES: [(&str, [&str; 2]); 5] = [
    (
        "progress",
        // Room on each page keeps the frequent updates of one row in place.
        [
            "CREATE TABLE courier_applied.progress ( \
           task_id uuid PRIMARY KEY, task text NOT NULL, source text NOT NULL, end_lsn pg_lsn NOT NULL, \
           commit_time timestamptz, pre_data boolean NOT NULL DEFAULT false, updated_at timestamptz NOT NULL DEFAULT pg_catalog.now(), \
           source_id text NOT NULL, epoch bigint NOT NULL DEFAULT 0, writer bigint NOT NULL DEFAULT 0, lease uuid, \
           CONSTRAINT progress_one_writer CHECK (writer = epoch)) WITH (fillfactor = 10)",
            "COMMENT ON TABLE courier_applied.progress IS \
           'What pg_courier has applied to this database, one row a task; updated in the transaction that carries the data'",
        ],
    ),
    (
        "table_progress",
        [
            "CREATE TABLE courier_applied.table_progress ( \
           task_id uuid NOT NULL, relid oid NOT NULL, table_name text NOT NULL, snapshot text NOT NULL, \
           sync_lsn pg_lsn NOT NULL, source_id text NOT NULL, copied_rows bigint NOT NULL DEFAULT 0, copied_at timestamptz NOT NULL DEFAULT pg_catalog.now(), \
           PRIMARY KEY (task_id, relid))",
            "COMMENT ON TABLE courier_applied.table_progress IS \
           'Tables that pg_courier has copied to this database, with the source snapshot of each copy'",
        ],
    ),
    (
        "marks",
        // A row for each session that writes beside another: the progress row would make it wait. Not in 0.1.0.
        [
            "CREATE TABLE courier_applied.marks ( \
               task_id uuid NOT NULL, epoch bigint NOT NULL, lane smallint NOT NULL, source_id text NOT NULL, \
               used bigint NOT NULL DEFAULT 1, PRIMARY KEY (task_id, epoch, lane)) WITH (fillfactor = 10)",
            "COMMENT ON TABLE courier_applied.marks IS \
               'Where the changes of a transaction of pg_courier came from, for those that do not begin with the task''s progress'",
        ],
    ),
    (
        "conflicts",
        [
            "CREATE TABLE courier_applied.conflicts ( \
           id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, task_id uuid NOT NULL, at timestamptz NOT NULL DEFAULT pg_catalog.now(), \
           lsn pg_lsn NOT NULL, commit_lsn pg_lsn NOT NULL, relid oid NOT NULL, table_name text NOT NULL, change text NOT NULL, \
           sqlstate text NOT NULL, message text NOT NULL, decision text NOT NULL, key jsonb, source_row jsonb, destination_row jsonb)",
            "COMMENT ON TABLE courier_applied.conflicts IS \
           'Changes that pg_courier did not apply as they were, one row each; written in the transaction that decided so'",
        ],
    ),
    (
        "writer",
        [
            "CREATE TABLE courier_applied.writer ( \
           task_id uuid PRIMARY KEY, instance text NOT NULL, address text, since timestamptz NOT NULL DEFAULT pg_catalog.now())",
            "COMMENT ON TABLE courier_applied.writer IS \
           'Which server writes for a pg_courier task, one row a task; a copy of that server is refused'",
        ],
    ),
];

/// A relation in the helper schema.
struct HelperTable {
    name: String,
    /// Has it column "lease", which `progress` got after 0.1.0?
    has_lease: bool,
}

impl Destination {
    /// Runs `f` in a transaction that no other task's coming or going can disturb. (A creation under way is not waited
    /// for otherwise, and the last task to leave drops the tables.)
    pub(super) fn under_helper_lock<R>(&mut self, f: impl FnOnce(&mut Destination) -> Result<R>) -> Result<R> {
        let outcome = self.locked_by_helper(f);
        if outcome.is_err() {
            // The error is what counts; a connection that is lost has nothing to take back.
            let _ = self.connection.exec("ROLLBACK");
        }
        match outcome {
            Err(error) if error.sqlstate() == LOCK_NOT_AVAILABLE => Err(self.name_holder(error)),
            outcome => outcome,
        }
    }

    fn locked_by_helper<R>(&mut self, f: impl FnOnce(&mut Destination) -> Result<R>) -> Result<R> {
        self.connection.exec("BEGIN")?;
        self.connection.exec(&format!(
            "SELECT pg_catalog.set_config('lock_timeout', '{PATIENCE}', true), pg_catalog.pg_advisory_xact_lock({LOCK})"
        ))?;
        let value = f(self)?;
        self.connection.exec("COMMIT")?;
        Ok(value)
    }

    /// Says who holds the advisory lock, if that was it.
    fn name_holder(&mut self, error: Error) -> Error {
        let sql = format!(
            "SELECT l.pid, COALESCE(a.usename, '?'), COALESCE(a.application_name, '') FROM pg_catalog.pg_locks l \
             LEFT JOIN pg_catalog.pg_stat_activity a ON a.pid = l.pid \
             WHERE l.locktype = 'advisory' AND l.granted AND l.classid = {} AND l.objid = {} AND l.objsubid = 1 \
             AND l.database = (SELECT d.oid FROM pg_catalog.pg_database d WHERE d.datname = pg_catalog.current_database())",
            LOCK >> 32,
            LOCK & 0xffff_ffff
        );
        let holder = self.connection.query(&sql, &[]).ok().and_then(|rows| rows.into_iter().next());
        let Some(holder) = holder else {
            return error.context("While waiting for the task's rows in schema courier_applied.").or_hint(
                "SELECT * FROM pg_stat_activity WHERE wait_event_type = 'Lock' or state <> 'idle'; there shows who holds them. \
                 The task tries again by itself.",
            );
        };
        let [pid, user, application] = [0, 1, 2].map(|column| holder.opt(column).unwrap_or_default());
        Error::new(LOCK_NOT_AVAILABLE, format!("process {pid} on the destination blocks schema courier_applied"))
            .origin(Origin::Destination)
            .detail(format!(
                "It belongs to role \"{user}\" (application \"{application}\") and holds advisory lock {LOCK}."
            ))
            .hint(format!("SELECT pg_terminate_backend({pid}); there ends it. The task tries again by itself."))
    }

    /// What is in the schema; `None` when there is no schema.
    fn helper_tables(&mut self) -> Result<Option<Vec<HelperTable>>> {
        let rows = self.connection.query(
            "SELECT c.relname, EXISTS (SELECT FROM pg_catalog.pg_attribute a WHERE a.attrelid = c.oid AND a.attname = 'lease' \
             AND NOT a.attisdropped) FROM pg_catalog.pg_namespace n LEFT JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid \
             WHERE n.nspname = 'courier_applied'",
            &[],
        )?;
        let table = |row: &Row| {
            let name = row.opt_string(0)?;
            Some(row.bool(1).map(|has_lease| HelperTable { name, has_lease }))
        };
        let tables = rows.iter().filter_map(table).collect::<Result<Vec<_>>>()?;
        Ok((!rows.is_empty()).then_some(tables))
    }

    /// Are the tables there, and nobody else's? One of 0.1.0 lacks the last table and a column.
    pub(super) fn has_helper_tables(&mut self) -> Result<bool> {
        self.check_helper_schema()?;
        let there = self.helper_tables()?.unwrap_or_default();
        Ok(["progress", "table_progress"].iter().all(|name| there.iter().any(|table| table.name == *name)))
    }

    /// An error when the schema or a table in it belongs to somebody else, or carries somebody else's code. Nothing there
    /// has been touched before, as touching it runs that code.
    pub fn check_helper_schema(&mut self) -> Result<()> {
        let problems = self.problems_of_helper_schema()?;
        if problems.is_empty() {
            return Ok(());
        }
        Err(Error::new(
            sqlstate::INSUFFICIENT_PRIVILEGE,
            "schema courier_applied on the destination is not the task's own",
        )
        .origin(Origin::Destination)
        .detail(format!(
            "{} Whoever made it could act with the rights of the user of the user mapping.",
            problems.join(" ")
        ))
        .hint("Find out who did that. As a superuser there, if no task needs it: DROP SCHEMA courier_applied CASCADE;"))
    }

    /// What is wrong with the schema, a sentence each.
    pub fn problems_of_helper_schema(&mut self) -> Result<Vec<String>> {
        let rows = self.connection.query(include_str!("../../sql/query/destination/helper_schema.sql"), &[])?;
        rows.iter().map(|row| row.string(0)).collect()
    }

    /// Makes what is missing; inside a transaction under the helper lock.
    pub(super) fn create_helper_tables(&mut self) -> Result<()> {
        let (database, user) = (quote_ident(&self.connection.database()), quote_ident(&self.connection.user()));
        let explain = |error: Error| {
            // An event trigger, for example, fails with what it likes.
            let hint = if error.sqlstate() == sqlstate::INSUFFICIENT_PRIVILEGE {
                format!(
                    "On the destination: GRANT CREATE ON DATABASE {database} TO {user}; or CREATE SCHEMA courier_applied \
                     AUTHORIZATION {user}; Then SELECT courier.resume({{task}});"
                )
            } else {
                "Remove the cause on the destination, then SELECT courier.resume({task});".to_owned()
            };
            error.context("While preparing schema \"courier_applied\" on the destination.").or_hint(hint)
        };
        self.check_helper_schema()?;
        let there = self.helper_tables()?;
        if there.is_none() {
            self.connection.exec("CREATE SCHEMA courier_applied").map_err(explain)?;
        }
        let there = there.unwrap_or_default();
        for (name, statements) in TABLES {
            if !there.iter().any(|table| table.name == name) {
                for statement in statements {
                    self.connection.exec(statement).map_err(explain)?;
                }
            }
        }
        self.upgrade_helper_tables(&there)
    }

    /// What 0.1.0 made gets what has come since.
    fn upgrade_helper_tables(&mut self, there: &[HelperTable]) -> Result<()> {
        if there.iter().any(|table| table.name == "progress" && !table.has_lease) {
            let sql = "ALTER TABLE courier_applied.progress ADD COLUMN lease uuid";
            self.connection.exec(sql).map_err(|error| {
                error
                    .context("While bringing schema \"courier_applied\" on the destination up to date.")
                    .or_hint(format!("As the owner of the table there: {sql};"))
            })?;
        }
        Ok(())
    }
}
