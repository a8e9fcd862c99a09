//! Making objects here. The statements, and the questions whether their objects are there, are written by the schema generator.

use std::fmt;

use super::Destination;
use crate::error::Result;
use crate::logicalrep::Row;
use crate::logicalrep::names::quote_literal;
use crate::schema::SchemaSql;

impl Destination {
    pub fn define(&mut self, statement: &SchemaSql) -> Result<()> {
        self.connection.exec(statement.as_str()).map(drop)
    }

    /// The same for what runs no code of users: what the server says about it has schemas in all names.
    pub fn define_plainly(&mut self, statement: &SchemaSql) -> Result<()> {
        self.ask_plainly(statement.as_str()).map(drop)
    }

    pub fn ask_definition(&mut self, question: &SchemaSql) -> Result<Vec<Row>> {
        self.ask_plainly(question.as_str())
    }

    /// Asks several questions at once, each under a number of the caller's: the answers in the order they come. (One
    /// may have none.)
    pub fn ask_definitions<'a>(
        &mut self,
        questions: impl Iterator<Item = (usize, &'a SchemaSql)>,
    ) -> Result<Vec<(usize, Option<String>)>> {
        let parts: Vec<String> =
            questions.map(|(n, question)| format!("SELECT {n}, a.answer FROM ({question}) AS a(answer)")).collect();
        let rows = self.ask_plainly(&parts.join(" UNION ALL "))?;
        rows.iter().map(|row| Ok((row.parse(0)?, row.opt_string(1)))).collect()
    }

    /// Asks questions with one answer each, yes or no, in one statement.
    pub fn ask_whether<'a>(&mut self, questions: impl Iterator<Item = &'a SchemaSql>) -> Result<Vec<bool>> {
        let questions: Vec<String> = questions.map(|question| format!("COALESCE(({question}), false)")).collect();
        let rows = self.ask_plainly(&format!("SELECT {}", questions.join(", ")))?;
        let Some(row) = rows.first() else { return Ok(vec![false; questions.len()]) };
        (0..questions.len()).map(|at| row.bool(at)).collect()
    }

    /// What a person wants to run here: one statement, as the destination takes no more of them at once this way.
    pub fn run_by_hand(&mut self, statement: &str) -> Result<()> {
        self.connection.exec(statement).map(drop)
    }

    /// Runs statements without waiting for the disk after each; in the end all of them are durable. After an error the session is of no use
    /// any more.
    pub fn in_a_row<R>(&mut self, task_id: &str, f: impl FnOnce(&mut Destination) -> Result<R>) -> Result<R> {
        let rows = self.connection.exec("SELECT pg_catalog.current_setting('synchronous_commit')")?;
        let usual = rows.first().map_or(Ok("on".to_owned()), |row| row.string(0))?;
        self.connection.exec_all("SET synchronous_commit = off")?;
        let value = f(self)?;
        self.connection.exec_all(&format!("SET synchronous_commit = {}", quote_literal(&usual)))?;
        // A commit that is waited for makes those before it durable, and it has to write something for that.
        self.note_pre_data(task_id)?;
        Ok(value)
    }

    // ---- inside a transaction that has more to do than that ----------------------------------------------------

    /// A point to come back to; from here on no lock is waited for longer.
    pub fn begin_definitions(&mut self, patience: &str) -> Result<()> {
        self.connection.exec_all(&format!("SAVEPOINT courier_definitions; SET LOCAL lock_timeout = '{patience}'"))
    }

    pub fn end_definitions(&mut self) -> Result<()> {
        self.connection.exec_all("SET LOCAL lock_timeout = 0; RELEASE SAVEPOINT courier_definitions")
    }

    /// Undoes what was done since then, and lets its locks go.
    pub fn undo_definitions(&mut self) -> Result<()> {
        self.connection.exec_all("ROLLBACK TO SAVEPOINT courier_definitions; RELEASE SAVEPOINT courier_definitions")
    }

    /// Begins a step of which nothing is left if it fails.
    pub fn begin_step(&mut self) -> Result<()> {
        self.connection.exec("SAVEPOINT courier_step").map(drop)
    }

    pub fn end_step(&mut self) -> Result<()> {
        self.connection.exec("RELEASE SAVEPOINT courier_step").map(drop)
    }

    pub fn undo_step(&mut self) -> Result<()> {
        self.connection.exec_all("ROLLBACK TO SAVEPOINT courier_step; RELEASE SAVEPOINT courier_step")
    }

    /// Who holds locks on what a statement names, for people; of many the first.
    pub fn who_locks(&mut self, statement: &SchemaSql) -> Result<Vec<LockHolder>> {
        let sql = include_str!("../../sql/query/destination/lock_holders.sql");
        let rows = self.connection.query(sql, &[Some(statement.as_str())])?;
        rows.iter()
            .map(|row| Ok(LockHolder { who: row.string("who")?, statement: row.opt_string("statement") }))
            .collect()
    }

    /// Runs `f` in a transaction. After an error the session is of no use any more.
    pub fn in_transaction<R>(&mut self, f: impl FnOnce(&mut Destination) -> Result<R>) -> Result<R> {
        self.connection.exec("BEGIN")?;
        let value = f(self)?;
        self.connection.exec("COMMIT")?;
        Ok(value)
    }

    /// The same, without waiting for the disk: a later commit that waits makes it durable.
    pub fn in_transaction_unawaited<R>(&mut self, f: impl FnOnce(&mut Destination) -> Result<R>) -> Result<R> {
        self.connection.exec_all("BEGIN; SET LOCAL synchronous_commit = off")?;
        let value = f(self)?;
        self.connection.exec("COMMIT")?;
        Ok(value)
    }

    /// After an error in [`Self::in_transaction`]: the session goes on.
    pub fn undo_transaction(&mut self) -> Result<()> {
        self.connection.exec("ROLLBACK").map(drop)
    }

    /// Is all that stands before the data there?
    pub fn has_pre_data(&mut self, task_id: &str) -> Result<bool> {
        let sql = "SELECT pre_data FROM courier_applied.progress WHERE task_id = $1::uuid";
        let rows = self.connection.query(sql, &[Some(task_id)])?;
        Ok(rows.first().is_some_and(|row| row.bool(0).unwrap_or(false)))
    }

    pub fn note_pre_data(&mut self, task_id: &str) -> Result<()> {
        let sql = "UPDATE courier_applied.progress SET pre_data = true WHERE task_id = $1::uuid";
        self.connection.execute(sql, &[Some(task_id)]).map(drop)
    }

    /// Which names of a list are taken, by their numbers. `names`: JSON, [number, catalog, schema, name] for each.
    pub fn names_taken(&mut self, names: &str) -> Result<Vec<usize>> {
        let sql = include_str!("../../sql/query/destination/names.sql");
        self.connection.query(sql, &[Some(names)])?.iter().map(|row| row.parse(0)).collect()
    }

    /// Keeps others that work for the task on the schema away; the one that is at it, if there is one. A session whose process is gone goes
    /// on with its statement, an index for instance, until that ends: then it is seen whether its object is there.
    pub fn try_alone(&mut self, task_id: &str) -> Result<Option<Other>> {
        let sql = "SELECT CASE WHEN pg_catalog.pg_try_advisory_lock($1::bigint) THEN NULL ELSE COALESCE((SELECT \
                   l.pid FROM pg_catalog.pg_locks l WHERE l.locktype = 'advisory' AND l.granted \
                   AND l.objsubid = 1 AND l.classid = (($1::bigint >> 32) & 4294967295)::oid AND l.objid = ($1::bigint & 4294967295)::oid \
                   AND l.database = (SELECT d.oid FROM pg_catalog.pg_database d WHERE d.datname = pg_catalog.current_database()) LIMIT 1), \
                   0) END";
        let rows = self.connection.query(sql, &[Some(&lock_key(task_id).to_string())])?;
        let other = |row: &Row| row.opt(0).is_some().then(|| row.parse(0).map(Other)).transpose();
        rows.first().map_or(Ok(None), other)
    }

    /// Lets sessions of its own take part in what [`Self::try_alone`] began: as long as one of them is there, nobody else begins.
    pub fn share_alone(&mut self, task_id: &str) -> Result<()> {
        // Said again, there is nothing to give up.
        let sql = "SELECT pg_catalog.pg_advisory_lock_shared($1::bigint), CASE WHEN EXISTS (SELECT FROM pg_catalog.pg_locks l \
                   WHERE l.pid = pg_catalog.pg_backend_pid() AND l.locktype = 'advisory' AND l.mode = 'ExclusiveLock' AND l.granted) \
                   THEN pg_catalog.pg_advisory_unlock($1::bigint) END";
        self.connection.query(sql, &[Some(&lock_key(task_id).to_string())]).map(drop)
    }

    /// Takes part; false when somebody else is alone again. What is committed here is durable when a later commit of the first session is.
    pub fn join(&mut self, task_id: &str) -> Result<bool> {
        self.connection.exec_all("SET synchronous_commit = off")?;
        let sql = "SELECT pg_catalog.pg_try_advisory_lock_shared($1::bigint)";
        let rows = self.connection.query(sql, &[Some(&lock_key(task_id).to_string())])?;
        rows.first().map_or(Ok(false), |row| row.bool(0))
    }

    /// Ends what [`Self::try_alone`] began; the end of the session does as well.
    pub fn not_alone(&mut self) -> Result<()> {
        // The one lock of such a session, whether it is shared or not.
        self.connection.exec("SELECT pg_catalog.pg_advisory_unlock_all()").map(drop)
    }
}

/// A session that holds locks, and the beginning of the statement that it runs or ran last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LockHolder {
    pub who: String,
    pub statement: Option<String>,
}

/// Hears who holds the locks that a command waits for, as long as it does; none once it has them.
pub type OnLockWait = dyn Fn(Option<&[LockHolder]>);

/// A session that works on the schema: the id of its process there, 0 when that is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Other(pub i32);

impl fmt::Display for Other {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            0 => f.write_str("a process that is gone"),
            pid => write!(f, "process {pid}"),
        }
    }
}

/// The first half of the task's uuid: random enough to be nobody else's.
fn lock_key(task_id: &str) -> i64 {
    let digits: String = task_id.chars().filter(char::is_ascii_hexdigit).take(16).collect();
    u64::from_str_radix(&digits, 16).unwrap_or_default() as i64
}

#[cfg(test)]
mod tests {
    use super::lock_key;

    #[test]
    fn a_task_has_a_lock_of_its_own() {
        assert_eq!(lock_key("00000000-0000-0001-ffff-ffffffffffff"), 1);
        assert_eq!(lock_key("ffffffff-ffff-ffff-0000-000000000000"), -1);
    }
}
