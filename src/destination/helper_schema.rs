//! Schema `courier_applied`: made where it is missing, brought up to date where it is older, and used only when nobody else has
//! his hands in it.
//!
//! It has a version, which stands in the comment of its table `progress`. (Whoever makes a step owns that table, which is
//! all that the comment needs, and it costs no question of its own to read.) Version 1 is what 0.1.0 made, whose comment says
//! nothing. A step brings a schema of the version before to its own: all that are missing run as one message, in one
//! transaction under an advisory lock, so that of two tasks that come at once the second finds it done. Statements of a step
//! are right on what they have made, too: a comment that somebody replaced only makes them run again.
//!
//! A step may add to what is there, and nothing else: workers of other tasks, of other servers and perhaps of an earlier
//! pg_courier, write there meanwhile. When such a task starts again, it is refused until its pg_courier is of the schema's
//! version.

use super::Destination;
use crate::error::{Error, Origin, Result, sqlstate};
use crate::logicalrep::names::quote_ident;

/// Key of the advisory lock under which helper tables come and go ("courier" in ASCII). Anybody can take it, so nobody
/// waits long for it.
const LOCK: i64 = 0x63_6f75_7269_6572;

/// How long locks of the helper tables are waited for, before somebody is told.
const PATIENCE: &str = "5s";

const LOCK_NOT_AVAILABLE: &str = "55P03";

/// What a version has brought.
struct Step {
    tables: &'static [&'static str],
    statements: &'static [&'static str],
}

/// The steps, the first one to version 1. New ones come at the end.
const STEPS: [Step; 5] = [
    Step {
        tables: &["progress", "table_progress", "conflicts"],
        statements: &[
            // Room on each page keeps the frequent updates of one row in place.
            "CREATE TABLE IF NOT EXISTS courier_applied.progress ( \
               task_id uuid PRIMARY KEY, task text NOT NULL, source text NOT NULL, end_lsn pg_lsn NOT NULL, \
               commit_time timestamptz, pre_data boolean NOT NULL DEFAULT false, updated_at timestamptz NOT NULL DEFAULT pg_catalog.now(), \
               source_id text NOT NULL, epoch bigint NOT NULL DEFAULT 0, writer bigint NOT NULL DEFAULT 0, \
               CONSTRAINT progress_one_writer CHECK (writer = epoch)) WITH (fillfactor = 10)",
            "CREATE TABLE IF NOT EXISTS courier_applied.table_progress ( \
               task_id uuid NOT NULL, relid oid NOT NULL, table_name text NOT NULL, snapshot text NOT NULL, \
               sync_lsn pg_lsn NOT NULL, source_id text NOT NULL, copied_rows bigint NOT NULL DEFAULT 0, copied_at timestamptz NOT NULL DEFAULT pg_catalog.now(), \
               PRIMARY KEY (task_id, relid))",
            "COMMENT ON TABLE courier_applied.table_progress IS \
               'Tables that pg_courier has copied to this database, with the source snapshot of each copy'",
            "CREATE TABLE IF NOT EXISTS courier_applied.conflicts ( \
               id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, task_id uuid NOT NULL, at timestamptz NOT NULL DEFAULT pg_catalog.now(), \
               lsn pg_lsn NOT NULL, commit_lsn pg_lsn NOT NULL, relid oid NOT NULL, table_name text NOT NULL, change text NOT NULL, \
               sqlstate text NOT NULL, message text NOT NULL, decision text NOT NULL, key jsonb, source_row jsonb, destination_row jsonb)",
            "COMMENT ON TABLE courier_applied.conflicts IS \
               'Changes that pg_courier did not apply as they were, one row each; written in the transaction that decided so'",
        ],
    },
    Step {
        tables: &["marks", "writer"],
        statements: &[
            "ALTER TABLE courier_applied.progress ADD COLUMN IF NOT EXISTS lease uuid",
            // A row for each session that writes beside another: the progress row would make it wait.
            "CREATE TABLE IF NOT EXISTS courier_applied.marks ( \
               task_id uuid NOT NULL, epoch bigint NOT NULL, lane smallint NOT NULL, source_id text NOT NULL, \
               used bigint NOT NULL DEFAULT 1, PRIMARY KEY (task_id, epoch, lane)) WITH (fillfactor = 10)",
            "COMMENT ON TABLE courier_applied.marks IS \
               'Where the changes of a transaction of pg_courier came from, for those that do not begin with the task''s progress'",
            "CREATE TABLE IF NOT EXISTS courier_applied.writer ( \
               task_id uuid PRIMARY KEY, instance text NOT NULL, address text, since timestamptz NOT NULL DEFAULT pg_catalog.now())",
            "COMMENT ON TABLE courier_applied.writer IS \
               'Which server writes for a pg_courier task, one row a task; a copy of that server is refused'",
        ],
    },
    Step {
        tables: &["object", "command"],
        statements: &[
            "CREATE TABLE IF NOT EXISTS courier_applied.object ( \
               task_id uuid NOT NULL, class oid NOT NULL, oid oid NOT NULL, schema_name text, name text NOT NULL, \
               is_table boolean NOT NULL, is_partitioned boolean NOT NULL, state text NOT NULL, \
               base text NOT NULL, kept text NOT NULL, changed_at timestamptz NOT NULL DEFAULT pg_catalog.now(), \
               PRIMARY KEY (task_id, class, oid))",
            "COMMENT ON TABLE courier_applied.object IS \
               'Definitions that pg_courier has applied to this database, one row an object of the source, by its OID there'",
            "CREATE TABLE IF NOT EXISTS courier_applied.command ( \
               task_id uuid NOT NULL, id bigint NOT NULL, seq bigint GENERATED ALWAYS AS IDENTITY, state text NOT NULL, note text, objects text[] NOT NULL, \
               statements text[] NOT NULL, ms bigint NOT NULL, at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(), \
               PRIMARY KEY (task_id, id))",
            "COMMENT ON TABLE courier_applied.command IS \
               'What became of the commands of courier.ddl_log on the source; written in the transaction that carries them'",
        ],
    },
    Step {
        tables: &["pending"],
        statements: &[
            "CREATE TABLE IF NOT EXISTS courier_applied.pending ( \
               task_id uuid NOT NULL, id bigint GENERATED ALWAYS AS IDENTITY, commands bigint[] NOT NULL, relid oid NOT NULL, object text NOT NULL, \
               statements text[] NOT NULL, item text NOT NULL, state text NOT NULL DEFAULT 'waiting', tries integer NOT NULL DEFAULT 0, error text, \
               next_try timestamptz, origins text NOT NULL, added_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(), \
               PRIMARY KEY (task_id, id))",
            "COMMENT ON TABLE courier_applied.pending IS \
               'What commands have left for another session of pg_courier to do: indexes of large tables, validations; one row each until it is done'",
        ],
    },
    Step {
        tables: &["gone"],
        statements: &[
            "CREATE TABLE IF NOT EXISTS courier_applied.gone ( \
               task_id uuid NOT NULL, class oid NOT NULL, oid oid NOT NULL, xid bigint NOT NULL, \
               at timestamptz NOT NULL DEFAULT pg_catalog.now(), PRIMARY KEY (task_id, class, oid))",
            "COMMENT ON TABLE courier_applied.gone IS \
               'What the source of a pg_courier task has dropped within the last day, by its OID there, and the transaction that did it'",
        ],
    },
];

/// The version that this pg_courier makes and needs.
const VERSION: usize = STEPS.len();

/// What stands before the version in the comment of `progress`.
const VERSION_MARK: &str = "(helper schema version ";

fn comment() -> String {
    format!(
        "COMMENT ON TABLE courier_applied.progress IS 'What pg_courier has applied to this database, one row a task; updated \
         in the transaction that carries the data {VERSION_MARK}{VERSION})'"
    )
}

/// The version in the comment of `progress`. 0.1.0 wrote none.
fn version_in(comment: Option<&str>) -> usize {
    let number = comment.and_then(|comment| comment.split_once(VERSION_MARK)?.1.split_once(')')?.0.parse().ok());
    number.unwrap_or(1)
}

/// What is there.
#[derive(Debug, Default, PartialEq, Eq)]
struct Found {
    /// The helper tables; `None` when there is no schema.
    tables: Option<Vec<String>>,
    version: usize,
    problems: Vec<String>,
}

impl Found {
    fn has(&self, tables: &[&str]) -> bool {
        tables.iter().all(|table| self.tables.iter().flatten().any(|there| there == table))
    }

    /// What brings it up to date, in this order; nothing if it is.
    fn missing(&self) -> Vec<String> {
        let is_whole = |version: usize| STEPS.iter().take(version).all(|step| self.has(step.tables));
        let done = if is_whole(self.version) { self.version } else { 0 };
        if done >= VERSION {
            return Vec::new();
        }
        let schema = self.tables.is_none().then_some("CREATE SCHEMA courier_applied");
        let steps = STEPS.iter().skip(done).flat_map(|step| step.statements).copied();
        schema.into_iter().chain(steps).map(str::to_owned).chain([comment()]).collect()
    }

    /// An error when it is nobody's to use, or not for this pg_courier.
    fn check(&self) -> Result<()> {
        if !self.problems.is_empty() {
            return Err(Error::new(
                sqlstate::INSUFFICIENT_PRIVILEGE,
                "schema courier_applied on the destination is not the task's own",
            )
            .origin(Origin::Destination)
            .detail(format!(
                "{} Whoever made it could act with the rights of the user of the user mapping.",
                self.problems.join(" ")
            ))
            .hint("Find out who did that. As a superuser there, if no task needs it: DROP SCHEMA courier_applied CASCADE;"));
        }
        if self.version > VERSION {
            return Err(Error::new(
                sqlstate::OBJECT_NOT_IN_PREREQUISITE_STATE,
                "schema courier_applied on the destination is of a later version of pg_courier",
            )
            .origin(Origin::Destination)
            .detail(self.is_later())
            .hint("Install that version or a later one here, ALTER EXTENSION pg_courier UPDATE; then SELECT courier.resume({task});"));
        }
        Ok(())
    }

    fn is_later(&self) -> String {
        format!("It has version {}, and this pg_courier knows it up to {VERSION}.", self.version)
    }
}

/// What a precheck says about the schema.
pub struct HelperProblem {
    pub detail: String,
    /// What somebody may do who knows whose it is.
    pub fix: Option<&'static str>,
}

/// Statements that remove the rows of a task, for whoever has to do it by hand.
pub fn removal_of(task_id: &str) -> String {
    let remove = |table: &str| format!("DELETE FROM courier_applied.{table} WHERE task_id = '{task_id}';");
    TABLES.map(remove).join(" ")
}

/// All of them, in the order in which a task's rows go.
pub(super) const TABLES: [&str; 9] =
    ["progress", "table_progress", "marks", "conflicts", "writer", "object", "command", "pending", "gone"];

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

    fn look_at_helper_schema(&mut self) -> Result<Found> {
        let rows = self.connection.exec(include_str!("../../sql/query/destination/helper_schema.sql"))?;
        let mut found = Found::default();
        for row in &rows {
            match row.opt_string("problem") {
                Some(problem) => found.problems.push(problem),
                None => {
                    let tables = row.opt("tables").unwrap_or_default();
                    found.tables = Some(tables.split(',').filter(|name| !name.is_empty()).map(str::to_owned).collect());
                    found.version = version_in(row.opt("comment"));
                }
            }
        }
        Ok(found)
    }

    /// Are there rows of tasks, in tables that are nobody else's?
    pub(super) fn has_helper_tables(&mut self) -> Result<bool> {
        let found = self.look_at_helper_schema()?;
        found.check()?;
        Ok(found.has(&["progress", "table_progress"]))
    }

    /// An error when the schema or a table in it belongs to somebody else, or carries somebody else's code, or is of a later
    /// version. Nothing there has been touched before, as touching it runs that code.
    pub fn check_helper_schema(&mut self) -> Result<()> {
        self.look_at_helper_schema()?.check()
    }

    /// What is wrong with the schema.
    pub fn problems_of_helper_schema(&mut self) -> Result<Vec<HelperProblem>> {
        const DROP: &str =
            "DROP SCHEMA courier_applied CASCADE; -- on the destination, as a superuser, if no task needs it";
        let found = self.look_at_helper_schema()?;
        let later = (found.version > VERSION).then(|| HelperProblem { detail: found.is_later(), fix: None });
        let unfit = found.problems.into_iter().map(|detail| HelperProblem { detail, fix: Some(DROP) });
        Ok(unfit.chain(later).collect())
    }

    /// Makes what is missing; inside a transaction under the helper lock.
    pub(super) fn create_helper_tables(&mut self) -> Result<()> {
        let found = self.look_at_helper_schema()?;
        found.check()?;
        let missing = found.missing();
        if missing.is_empty() {
            return Ok(());
        }
        let statements = missing.join("; ");
        self.connection.exec_all(&statements).map_err(|error| self.explain_missing(error, &found, &statements))
    }

    fn explain_missing(&self, error: Error, found: &Found, statements: &str) -> Error {
        let (database, user) = (quote_ident(&self.connection.database()), quote_ident(&self.connection.user()));
        // An event trigger, for example, fails with what it likes.
        let hint = if error.sqlstate() != sqlstate::INSUFFICIENT_PRIVILEGE {
            "Remove the cause on the destination, then SELECT courier.resume({task});".to_owned()
        } else if found.has(&["progress"]) {
            format!("As the owner of its tables there: {statements}; Then SELECT courier.resume({{task}});")
        } else {
            format!(
                "On the destination: GRANT CREATE ON DATABASE {database} TO {user}; or CREATE SCHEMA courier_applied \
                 AUTHORIZATION {user}; Then SELECT courier.resume({{task}});"
            )
        };
        error.context("While preparing schema \"courier_applied\" on the destination.").or_hint(hint)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(tables: &[&str], version: usize) -> Found {
        Found { tables: Some(tables.iter().map(|&table| table.to_owned()).collect()), version, problems: Vec::new() }
    }

    #[test]
    fn the_version_stands_in_a_comment() {
        assert_eq!(version_in(Some(&comment())), VERSION);
        assert_eq!(version_in(Some("Rows (helper schema version 12), as a person has it")), 12);
        for other in [None, Some("What pg_courier has applied"), Some("(helper schema version x)")] {
            assert_eq!(version_in(other), 1, "{other:?}");
        }
    }

    #[test]
    fn every_version_gets_what_is_missing_and_no_more() {
        let of_0_1_0 = ["progress", "table_progress", "conflicts"];
        let cases: [(&str, Found, bool, bool, bool); 6] = [
            ("nothing", Found::default(), true, true, true),
            ("a schema that is empty", found(&[], 0), false, true, true),
            ("0.1.0", found(&of_0_1_0, 1), false, false, true),
            ("as it has to be", found(&TABLES, VERSION), false, false, false),
            ("a table has gone", found(&of_0_1_0, VERSION), false, true, true),
            ("the comment has gone", found(&TABLES, 1), false, false, true),
        ];
        for (what, found, schema, first, second) in cases {
            let missing = found.missing();
            let makes = |word: &str| missing.iter().any(|statement| statement.contains(word));
            let made = (
                makes("CREATE SCHEMA"),
                makes("EXISTS courier_applied.progress"),
                makes("EXISTS courier_applied.writer"),
            );
            assert_eq!(made, (schema, first, second), "{what}");
            assert_eq!(
                missing.last().is_some_and(|last| *last == comment()),
                !missing.is_empty(),
                "{what}: the version comes last"
            );
        }
    }

    #[test]
    fn a_later_version_is_refused() {
        assert!(found(&TABLES, VERSION).check().is_ok());
        let error = found(&TABLES, VERSION + 1).check().expect_err("it is later");
        assert_eq!(error.sqlstate(), sqlstate::OBJECT_NOT_IN_PREREQUISITE_STATE);
    }

    #[test]
    fn every_table_belongs_to_a_step() {
        let mut of_steps: Vec<&str> = STEPS.iter().flat_map(|step| step.tables).copied().collect();
        let mut all = TABLES.to_vec();
        of_steps.sort_unstable();
        all.sort_unstable();
        assert_eq!(of_steps, all);
        for table in TABLES {
            assert!(
                include_str!("../../sql/query/destination/helper_schema.sql").contains(&format!("'{table}'")),
                "{table}"
            );
        }
    }
}
