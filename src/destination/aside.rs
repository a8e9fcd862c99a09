//! `courier_applied.pending`: what the transaction of a command has left for another session to do, one row a part of a table.
//!
//! Two sessions of a task meet here: the one that applies puts rows in and takes them back, the one aside runs them and removes them. Whoever
//! does something about the items of a table holds its advisory lock meanwhile: aside for the length of an item, the session that applies
//! up to its commit. That one never waits for it: it cancels what runs, again and again until the lock is free.

use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::Destination;
use crate::error::{Error, Origin, Result, sqlstate};
use crate::logicalrep::array::{oid_array, text_array};
use crate::logicalrep::quote::quote_qualified;
use crate::logicalrep::{Row, TableName};
use crate::schema::SchemaSql;
use crate::schema::aside::{Aside, LatePart, Statement};

/// How an item stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ItemState {
    Waiting,
    /// It is tried again, after a pause.
    Failed,
    /// A person wants it no more. The model has it, so it stays known that it is not there.
    Skipped,
}

impl ItemState {
    const ALL: [ItemState; 3] = [ItemState::Waiting, ItemState::Failed, ItemState::Skipped];

    fn as_str(self) -> &'static str {
        match self {
            ItemState::Waiting => "waiting",
            ItemState::Failed => "failed",
            ItemState::Skipped => "skipped",
        }
    }
}

/// A row of the queue.
#[derive(Clone, Debug)]
pub struct Pending {
    pub id: i64,
    pub aside: Aside,
    pub state: ItemState,
    pub tries: u32,
    /// Until it is to be tried again, in seconds.
    pub due_in: f64,
    /// Those that want it, or something that goes with it.
    pub origins: Vec<LeftBy>,
}

/// A command that has left an item, and what becomes of it when all its items are done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeftBy {
    pub command: i64,
    pub state_after: String,
    pub note_after: Option<String>,
}

/// An index that an item is to build.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IndexThere {
    No,
    /// Its build did not come to its end.
    Invalid,
    Valid,
}

/// States of commands, as `courier.ddl` has them.
pub const ASIDE: &str = "aside";
pub const FAILED_ASIDE: &str = "failed aside";
const SKIPPED: &str = "skipped";

impl Destination {
    /// All items of the task, in the order in which they came.
    pub fn pending(&mut self, task_id: &str) -> Result<Vec<Pending>> {
        let sql = "SELECT p.id, p.item, p.state, p.tries, p.origins, \
                   GREATEST(0, EXTRACT(epoch FROM p.next_try - pg_catalog.clock_timestamp()))::float8 AS due_in \
                   FROM courier_applied.pending p WHERE p.task_id = $1::uuid ORDER BY p.id";
        self.connection.query_kept(sql, &[Some(task_id)])?.iter().map(pending).collect()
    }

    pub fn queue(&mut self, task_id: &str, origins: &[LeftBy], aside: &Aside) -> Result<()> {
        let commands = text_array(origins.iter().map(|origin| origin.command.to_string()));
        self.connection
            .execute(
                "INSERT INTO courier_applied.pending (task_id, commands, relid, object, statements, item, origins) \
                 VALUES ($1::uuid, $2::bigint[], $3::oid, $4, $5::text[], $6, $7)",
                &[
                    Some(task_id),
                    Some(&commands),
                    Some(&aside.table.to_string()),
                    Some(&aside.object),
                    Some(&text_array(aside.statements())),
                    Some(&as_text(aside)?),
                    Some(&origins_as_text(origins)?),
                ],
            )
            .map(drop)
    }

    /// An item is done, or not wanted any more.
    pub fn unqueue(&mut self, task_id: &str, item: &Pending) -> Result<()> {
        let sql = "DELETE FROM courier_applied.pending WHERE task_id = $1::uuid AND id = $2::bigint";
        self.connection.execute(sql, &[Some(task_id), Some(&item.id.to_string())])?;
        self.judge_commands(task_id, item)
    }

    pub fn fail_item(&mut self, task_id: &str, item: &Pending, error: &str, seconds: u64) -> Result<()> {
        let Some(item) = &self.locked_item(task_id, item.id)? else { return Ok(()) };
        self.connection.execute(
            "UPDATE courier_applied.pending SET state = $3, tries = tries + 1, error = $4, \
             next_try = pg_catalog.clock_timestamp() + pg_catalog.make_interval(secs => $5::float8) WHERE task_id = $1::uuid AND id = $2::bigint",
            &[
                Some(task_id),
                Some(&item.id.to_string()),
                Some(ItemState::Failed.as_str()),
                Some(error),
                Some(&seconds.to_string()),
            ],
        )?;
        self.judge_commands(task_id, item)
    }

    /// Somebody is in its way: others come first.
    pub fn put_off(&mut self, task_id: &str, item: &Pending, seconds: u64) -> Result<()> {
        let sql = "UPDATE courier_applied.pending SET next_try = pg_catalog.clock_timestamp() + pg_catalog.make_interval(secs => $3::float8) \
                   WHERE task_id = $1::uuid AND id = $2::bigint";
        let params = [Some(task_id), Some(&item.id.to_string()), Some(&seconds.to_string())];
        self.connection.execute(sql, &params).map(drop)
    }

    pub fn skip_item(&mut self, task_id: &str, item: &Pending) -> Result<()> {
        let sql = "UPDATE courier_applied.pending SET state = $3 WHERE task_id = $1::uuid AND id = $2::bigint";
        let id = item.id.to_string();
        self.connection.execute(sql, &[Some(task_id), Some(&id), Some(ItemState::Skipped.as_str())])?;
        self.judge_commands(task_id, item)?;
        if item.aside.refresh.is_none() {
            return Ok(());
        }
        // The next REFRESH brings its rows, and nothing else has to know that they are old.
        let sql = "DELETE FROM courier_applied.pending WHERE task_id = $1::uuid AND id = $2::bigint";
        self.connection.execute(sql, &[Some(task_id), Some(&id)]).map(drop)
    }

    /// The item as it is now, and as it stays until the transaction ends: a command may have come that wants it, too.
    fn locked_item(&mut self, task_id: &str, id: i64) -> Result<Option<Pending>> {
        let sql = "SELECT p.id, p.item, p.state, p.tries, p.origins, 0::float8 AS due_in FROM courier_applied.pending p \
                   WHERE p.task_id = $1::uuid AND p.id = $2::bigint FOR UPDATE";
        self.one_pending(sql, &[Some(task_id), Some(&id.to_string())])
    }

    pub(super) fn one_pending(&mut self, sql: &str, params: &[Option<&str>]) -> Result<Option<Pending>> {
        self.connection.query(sql, params)?.first().map(pending).transpose()
    }

    fn judge_commands(&mut self, task_id: &str, item: &Pending) -> Result<()> {
        item.origins.iter().try_for_each(|origin| self.judge_command(task_id, origin))
    }

    /// What `courier.ddl` says of a command follows from its items.
    fn judge_command(&mut self, task_id: &str, origin: &LeftBy) -> Result<()> {
        let id = origin.command.to_string();
        let rows = self.connection.query(
            "SELECT p.state, p.error FROM courier_applied.pending p WHERE p.task_id = $1::uuid AND $2::bigint = ANY (p.commands) \
             ORDER BY pg_catalog.array_position('{failed,waiting,skipped}'::text[], p.state), p.id LIMIT 1",
            &[Some(task_id), Some(&id)],
        )?;
        let left = rows.first().map(|row| Ok::<_, Error>((item_state(row)?, row.opt_string("error")))).transpose()?;
        let (state, note) = match left {
            None => (origin.state_after.as_str(), origin.note_after.clone()),
            Some((ItemState::Failed, error)) => (FAILED_ASIDE, error),
            Some((ItemState::Waiting, _)) => (ASIDE, origin.note_after.clone()),
            Some((ItemState::Skipped, _)) => (SKIPPED, origin.note_after.clone()),
        };
        let sql =
            "UPDATE courier_applied.command SET state = $3, note = $4 WHERE task_id = $1::uuid AND id = $2::bigint";
        self.connection.execute(sql, &[Some(task_id), Some(&id), Some(state), note.as_deref()]).map(drop)
    }

    /// Those of the tables that are larger here than a number of bytes, partitions included.
    pub fn tables_above(&mut self, tables: &[(u32, TableName)], bytes: i64) -> Result<Vec<u32>> {
        let names: Vec<String> = tables.iter().map(|(_, name)| quote_qualified(&name.schema, &name.name)).collect();
        let oids = oid_array(tables.iter().map(|(oid, _)| *oid));
        let sql = "SELECT w.oid FROM ROWS FROM (pg_catalog.unnest($1::oid[]), pg_catalog.unnest($2::text[])) AS w(oid, name) \
                   CROSS JOIN LATERAL (SELECT pg_catalog.to_regclass(w.name) AS relid) AS r \
                   WHERE r.relid IS NOT NULL AND GREATEST(pg_catalog.pg_table_size(r.relid), (SELECT COALESCE(pg_catalog.sum(pg_catalog.pg_table_size(p.relid)), 0) \
                   FROM pg_catalog.pg_partition_tree(r.relid) AS p)) > $3::int8";
        let rows = self.connection.query(sql, &[Some(&oids), Some(&text_array(&names)), Some(&bytes.to_string())])?;
        rows.iter().map(|row| row.parse(0)).collect()
    }

    // ---- the session that applies ------------------------------------------------------------------------------

    /// Keeps the items of a table as they are until the transaction ends; what runs of them is canceled first. An error, which is tried again
    /// and seen, if it does not end for longer than any statement takes to be canceled.
    pub fn hold_items(&mut self, task_id: &str, table: u32) -> Result<()> {
        const PATIENCE: Duration = Duration::from_secs(30);
        let (task, table) = item_lock(task_id, table);
        let began = Instant::now();
        loop {
            let sql = "SELECT pg_catalog.pg_try_advisory_xact_lock($1::int4, $2::int4)";
            let rows = self.connection.query(sql, &[Some(&task), Some(&table)])?;
            if rows.first().map_or(Ok(false), |row| row.bool(0))? {
                return Ok(());
            }
            if began.elapsed() > PATIENCE {
                return Err(Error::new(LOCK_NOT_AVAILABLE, "what is done aside on the destination does not end")
                    .origin(Origin::Destination)
                    .detail(format!(
                        "Some session there holds advisory lock ({task}, {table}), and was told to cancel what it does."
                    ))
                    .hint(
                        "SELECT pid, classid, objid FROM pg_locks WHERE locktype = 'advisory'; -- on the destination",
                    ));
            }
            self.connection.query(CANCEL_HOLDER, &[Some(&task), Some(&table)])?;
        }
    }

    /// Ends what runs aside for the task, if it has a lock on a table that the statement names: somebody waits for it whom nobody knew of.
    pub fn cancel_aside(&mut self, task_id: &str, statement: &SchemaSql) -> Result<bool> {
        let (high, low) = session_lock(task_id);
        let sql = "SELECT pg_catalog.pg_cancel_backend(l.pid) FROM pg_catalog.pg_locks l \
                   WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1 AND l.classid = $1::oid AND l.objid = $2::oid \
                   AND l.database = (SELECT d.oid FROM pg_catalog.pg_database d WHERE d.datname = pg_catalog.current_database()) \
                   AND EXISTS (SELECT FROM pg_catalog.pg_locks r JOIN pg_catalog.pg_class c ON c.oid = r.relation \
                   WHERE r.pid = l.pid AND r.locktype = 'relation' AND r.granted AND r.database = l.database AND c.oid >= 16384 \
                   AND pg_catalog.strpos($3, c.relname) > 0)";
        Ok(!self.connection.query(sql, &[Some(&high), Some(&low), Some(statement.as_str())])?.is_empty())
    }

    // ---- the session aside -------------------------------------------------------------------------------------

    /// Makes this the task's session aside. One whose process is gone is ended first: it would go on with its statement.
    pub fn be_aside(&mut self, task_id: &str) -> Result<bool> {
        let (high, low) = session_lock(task_id);
        let sql = "SELECT pg_catalog.pg_try_advisory_lock(($1::int8 << 32) | $2::int8)";
        let rows = self.connection.query(sql, &[Some(&high), Some(&low)])?;
        if rows.first().map_or(Ok(false), |row| row.bool(0))? {
            return Ok(true);
        }
        self.connection.query(
            "SELECT pg_catalog.pg_terminate_backend(l.pid) FROM pg_catalog.pg_locks l WHERE l.locktype = 'advisory' AND l.granted \
             AND l.objsubid = 1 AND l.classid = $1::oid AND l.objid = $2::oid \
             AND l.database = (SELECT d.oid FROM pg_catalog.pg_database d WHERE d.datname = pg_catalog.current_database())",
            &[Some(&high), Some(&low)],
        )?;
        Ok(false)
    }

    /// Takes the lock of a table's items; false while the session that applies has it.
    pub fn try_items(&mut self, task_id: &str, table: u32) -> Result<bool> {
        let (task, table) = item_lock(task_id, table);
        let sql = "SELECT pg_catalog.pg_try_advisory_lock($1::int4, $2::int4)";
        let rows = self.connection.query(sql, &[Some(&task), Some(&table)])?;
        rows.first().map_or(Ok(false), |row| row.bool(0))
    }

    pub fn release_items(&mut self, task_id: &str, table: u32) -> Result<()> {
        let (task, table) = item_lock(task_id, table);
        let sql = "SELECT pg_catalog.pg_advisory_unlock($1::int4, $2::int4)";
        self.connection.query(sql, &[Some(&task), Some(&table)]).map(drop)
    }

    /// How much of the item's index is there. One of another definition is somebody else's.
    pub fn index_there(&mut self, aside: &Aside) -> Result<IndexThere> {
        let Some(leftover) = &aside.leftover else { return Ok(IndexThere::No) };
        let rows = self.ask_definition(&leftover.is_valid)?;
        let Some(row) = rows.first() else { return Ok(IndexThere::No) };
        if aside.first.as_ref().map_or(Ok(None), |first| self.difference(first))?.is_some() {
            return Ok(IndexThere::No);
        }
        Ok(if row.bool(0)? { IndexThere::Valid } else { IndexThere::Invalid })
    }

    fn difference(&mut self, statement: &Statement) -> Result<Option<String>> {
        let Some(differs) = &statement.differs else { return Ok(None) };
        Ok(self.ask_definition(differs)?.first().and_then(|row| row.opt_string(0)))
    }

    /// Drops what an interrupted build has left, without a lock that anybody waits for.
    pub fn drop_invalid(&mut self, aside: &Aside) -> Result<()> {
        match &aside.leftover {
            Some(leftover) if self.index_there(aside)? == IndexThere::Invalid => {
                self.define(&leftover.drop_concurrently)
            }
            _ => Ok(()),
        }
    }

    /// Runs what is to run by itself, unless it is there. A lock that others wait behind is not waited for longer than `patience`.
    pub fn run_first(&mut self, aside: &Aside, patience: &str) -> Result<()> {
        match (&aside.first, &aside.detach) {
            (Some(first), Some(detach)) => self.detach_aside(detach, &first.sql, patience),
            (Some(first), None) => self.run_statement(first, &aside.object),
            (None, _) => Ok(()),
        }
    }

    /// Runs the rest, and the item is done. Locks are not waited for longer than `patience`.
    pub fn end_item(&mut self, task_id: &str, item: &Pending, patience: &str) -> Result<()> {
        self.connection.exec("BEGIN")?;
        let outcome = self.run_rest(task_id, item, patience).and_then(|()| self.connection.exec("COMMIT").map(drop));
        if outcome.is_err() {
            // The error is what counts; a connection that is lost has nothing to take back.
            let _ = self.connection.exec("ROLLBACK");
        }
        outcome
    }

    fn run_rest(&mut self, task_id: &str, item: &Pending, patience: &str) -> Result<()> {
        self.connection.exec(&format!("SET LOCAL lock_timeout = '{patience}'"))?;
        let Some(item) = &self.locked_item(task_id, item.id)? else { return Ok(()) };
        item.aside.refresh.as_ref().map_or(Ok(()), |refresh| self.refresh(refresh))?;
        let also = item.aside.detach.iter().flat_map(|detach| &detach.also);
        also.chain(&item.aside.then).try_for_each(|statement| self.run_statement(statement, &item.aside.object))?;
        self.unqueue(task_id, item)
    }

    fn run_statement(&mut self, statement: &Statement, object: &str) -> Result<()> {
        let rows = self.ask_definition(&statement.present)?;
        if !rows.first().map_or(Ok(false), |row| row.bool(0))? {
            return self.define(&statement.sql);
        }
        let Some(difference) = self.difference(statement)? else { return Ok(()) };
        let message = format!("{object} is on the destination already, and another one");
        Err(Error::new(sqlstate::DUPLICATE_OBJECT, message)
            .origin(Origin::Destination)
            .detail(format!("The name is taken: {difference}.")))
    }

    // ---- the end of the task -----------------------------------------------------------------------------------

    /// Ends what runs, removes what is half done, and forgets the queue; what commands have left there is not done any more.
    pub(super) fn abandon_items(&mut self, task_id: &str) -> Result<()> {
        for item in self.pending(task_id)? {
            self.hold_items(task_id, item.aside.table)?;
            self.remove_half_built(&item.aside)?;
        }
        let delete = "DELETE FROM courier_applied.pending WHERE task_id = $1::uuid";
        self.connection.execute(delete, &[Some(task_id)])?;
        let skip = "UPDATE courier_applied.command SET state = $2 WHERE task_id = $1::uuid AND state IN ($3, $4)";
        self.connection.execute(skip, &[Some(task_id), Some(SKIPPED), Some(ASIDE), Some(FAILED_ASIDE)]).map(drop)
    }

    /// Inside a transaction, when nothing runs of it any more.
    pub fn remove_half_built(&mut self, aside: &Aside) -> Result<()> {
        match &aside.leftover {
            Some(leftover) if self.index_there(aside)? == IndexThere::Invalid => self.define(&leftover.drop),
            _ => Ok(()),
        }
    }
}

const LOCK_NOT_AVAILABLE: &str = "55P03";
const CANCEL_HOLDER: &str = "SELECT pg_catalog.pg_cancel_backend(l.pid), pg_catalog.pg_sleep(0.02) FROM pg_catalog.pg_locks l \
     WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 2 AND l.pid <> pg_catalog.pg_backend_pid() \
     AND l.classid = $1::int4::oid AND l.objid = $2::int4::oid \
     AND l.database = (SELECT d.oid FROM pg_catalog.pg_database d WHERE d.datname = pg_catalog.current_database())";

/// Halves of numbers that are random enough to be nobody else's.
fn digits(task_id: &str, from: usize, count: usize) -> u32 {
    let digits: String = task_id.chars().filter(char::is_ascii_hexdigit).skip(from).take(count).collect();
    u32::from_str_radix(&digits, 16).unwrap_or_default()
}

/// The key of the lock that the task's session aside has: the second half of the task's uuid; the first is taken.
fn session_lock(task_id: &str) -> (String, String) {
    (digits(task_id, 16, 8).to_string(), digits(task_id, 24, 8).to_string())
}

/// The key of the lock of a table's items.
fn item_lock(task_id: &str, table: u32) -> (String, String) {
    (digits(task_id, 24, 8).cast_signed().to_string(), table.cast_signed().to_string())
}

fn item_state(row: &Row) -> Result<ItemState> {
    let text = row.text("state")?;
    let state = ItemState::ALL.into_iter().find(|state| state.as_str() == text);
    state.ok_or_else(|| Error::internal(format!("invalid state \"{text}\" in courier_applied.pending")))
}

fn as_text(value: &impl Serialize) -> Result<String> {
    serde_json::to_string(value).map_err(|error| Error::internal(error.to_string()))
}

pub(super) fn origins_as_text(origins: &[LeftBy]) -> Result<String> {
    as_text(&origins)
}

fn pending(row: &Row) -> Result<Pending> {
    let unreadable =
        |error: serde_json::Error| Error::internal(format!("invalid row of courier_applied.pending: {error}"));
    Ok(Pending {
        id: row.parse("id")?,
        aside: serde_json::from_str(row.text("item")?).map_err(unreadable)?,
        state: item_state(row)?,
        tries: row.parse("tries")?,
        due_in: row.parse("due_in")?,
        origins: serde_json::from_str(row.text("origins")?).map_err(unreadable)?,
    })
}

impl Pending {
    pub fn part(&self) -> LatePart {
        self.aside.part
    }

    /// Is it still to be done?
    pub fn is_wanted(&self) -> bool {
        self.state != ItemState::Skipped
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locks_are_the_tasks_own() {
        let task = "00000000-0000-0000-0000-0001ffffffff";
        assert_eq!(session_lock(task), ("1".to_owned(), "4294967295".to_owned()));
        assert_eq!(item_lock(task, 16_384), ("-1".to_owned(), "16384".to_owned()));
        assert_eq!(item_lock(task, u32::MAX).1, "-1");
    }
}
