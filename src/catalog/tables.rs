//! `courier.task_table`: the tables of a task and the state of each.
//!
//! A table goes from `init` over `datasync`, `finishedcopy` and `catchup` to `ready`: see [`TableState`].

use std::rc::Rc;

use super::TableState;
use crate::error::{Error, Result};
use crate::logicalrep::array::oid_array;
use crate::logicalrep::{CopySnapshot, Lsn, Row, TableName};
use crate::pg::spi;
use crate::transform::Route;

#[derive(Clone, Debug)]
pub struct TaskTable {
    pub relid: u32,
    /// On the source, quoted.
    pub name: String,
    /// How its rows go to the destination.
    pub route: Rc<Route>,
    pub state: TableState,
    pub snapshot: Option<String>,
    pub sync_lsn: Lsn,
    /// How large it was when it came to the task.
    pub bytes: i64,
}

const COLUMNS: &str = "relid, table_name, state, snapshot, sync_lsn, route, total_bytes";

impl TaskTable {
    fn from_row(row: &Row) -> Result<TaskTable> {
        let name = row.string("table_name")?;
        let source =
            TableName::parse(&name).ok_or_else(|| Error::internal(format!("invalid name of a table: {name}")))?;
        Ok(TaskTable {
            relid: row.parse("relid")?,
            route: Rc::new(Route::parse(source, row.opt("route"))?),
            name,
            state: TableState::parse(row.text("state")?)?,
            snapshot: row.opt_string("snapshot"),
            sync_lsn: row.lsn("sync_lsn")?,
            bytes: row.parse("total_bytes")?,
        })
    }

    /// For messages.
    pub fn shown(&self) -> String {
        self.route.source.shown()
    }

    /// On the destination, for statements.
    pub fn target(&self) -> String {
        self.route.target.qualified()
    }

    /// The snapshot that the stream has to ask, as long as it has not passed it.
    pub fn copy_snapshot(&self) -> Result<Option<CopySnapshot>> {
        match (&self.snapshot, self.state) {
            (Some(snapshot), TableState::FinishedCopy | TableState::CatchUp) => {
                CopySnapshot::parse(snapshot, self.sync_lsn).map(Some).map_err(Error::internal)
            }
            _ => Ok(None),
        }
    }
}

pub struct Copied {
    pub snapshot: String,
    pub sync_lsn: Lsn,
    pub rows: u64,
    pub bytes: u64,
}

/// The tables that hold rows; partitioned tables themselves hold none.
pub fn of_task(task: i32) -> Result<Vec<TaskTable>> {
    let sql = format!("SELECT {COLUMNS} FROM courier.task_table WHERE task_id = $1::int AND kind = 'r'");
    let rows = spi::as_extension(|| spi::query(&sql, &[Some(&task.to_string())]))?;
    rows.iter().map(TaskTable::from_row).collect()
}

/// Tables of the task that a role may not read, quoted. A superuser may read all; a table that is gone is not among them.
pub fn unreadable(task: i32, role: u32) -> Result<Vec<String>> {
    let rows = spi::as_extension(|| {
        spi::query(
            "SELECT format('%I.%I', n.nspname, c.relname) FROM courier.task_table t JOIN pg_class c ON c.oid = t.relid \
             JOIN pg_namespace n ON n.oid = c.relnamespace WHERE t.task_id = $1::int AND t.kind = 'r' \
             AND (NOT has_table_privilege($2::oid, c.oid, 'SELECT') OR NOT has_schema_privilege($2::oid, n.oid, 'USAGE')) ORDER BY 1",
            &[Some(&task.to_string()), Some(&role.to_string())],
        )
    })?;
    rows.iter().map(|row| row.string(0)).collect()
}

/// Takes the largest table that is still to be copied.
pub fn claim_next(task: i32) -> Result<Option<TaskTable>> {
    let sql = format!(
        "UPDATE courier.task_table SET state = 'datasync', started_at = clock_timestamp() \
         WHERE (task_id, relid) = (SELECT task_id, relid FROM courier.task_table \
           WHERE task_id = $1::int AND kind = 'r' AND state = 'init' \
           ORDER BY total_bytes DESC, relid LIMIT 1 FOR UPDATE SKIP LOCKED) RETURNING {COLUMNS}"
    );
    let row = spi::as_extension(|| spi::query_opt(&sql, &[Some(&task.to_string())]))?;
    row.as_ref().map(TaskTable::from_row).transpose()
}

/// Takes small tables, below so many bytes, if there are many of them and no larger one waits.
pub fn claim_small(task: i32, bytes: i64) -> Result<Vec<TaskTable>> {
    const FEW: i64 = 20;
    const MOST: i64 = 50;
    let sql = format!(
        "WITH small AS MATERIALIZED (SELECT task_id, relid FROM courier.task_table \
           WHERE task_id = $1::int AND kind = 'r' AND state = 'init' AND total_bytes < $2::bigint \
           ORDER BY relid LIMIT $4::bigint FOR UPDATE SKIP LOCKED) \
         UPDATE courier.task_table SET state = 'datasync', started_at = clock_timestamp() \
         WHERE (task_id, relid) IN (SELECT task_id, relid FROM small) AND (SELECT count(*) FROM small) >= $3::bigint \
           AND NOT EXISTS (SELECT FROM courier.task_table WHERE task_id = $1::int AND kind = 'r' AND state = 'init' AND total_bytes >= $2::bigint) \
         RETURNING {COLUMNS}"
    );
    let parameters = [task.into(), bytes, FEW, MOST].map(|of: i64| of.to_string());
    let rows = spi::as_extension(|| spi::query(&sql, &parameters.each_ref().map(|of| Some(of.as_str()))))?;
    rows.iter().map(TaskTable::from_row).collect()
}

pub fn set_copied(task: i32, relid: u32, copied: &Copied) -> Result<()> {
    spi::as_extension(|| {
        spi::execute(
            "UPDATE courier.task_table SET state = 'finishedcopy', snapshot = $3, sync_lsn = $4::pg_lsn, \
             copied_rows = $5::bigint, copied_bytes = $6::bigint, finished_at = clock_timestamp() \
             WHERE task_id = $1::int AND relid = $2::oid",
            &[
                Some(&task.to_string()),
                Some(&relid.to_string()),
                Some(&copied.snapshot),
                Some(&copied.sync_lsn.to_string()),
                Some(&copied.rows.to_string()),
                Some(&copied.bytes.to_string()),
            ],
        )
    })
    .map(|_| ())
}

/// It was dropped before its turn: there is nothing to copy.
pub fn set_gone(task: i32, relid: u32) -> Result<()> {
    spi::as_extension(|| {
        spi::execute(
            "UPDATE courier.task_table SET state = 'ready' WHERE task_id = $1::int AND relid = $2::oid",
            &[Some(&task.to_string()), Some(&relid.to_string())],
        )
    })
    .map(|_| ())
}

/// The table has got another name.
pub fn set_name(task: i32, relid: u32, name: &TableName) -> Result<()> {
    spi::as_extension(|| {
        spi::execute(
            "UPDATE courier.task_table SET table_name = $3 WHERE task_id = $1::int AND relid = $2::oid",
            &[Some(&task.to_string()), Some(&relid.to_string()), Some(&name.qualified())],
        )
    })
    .map(|_| ())
}

/// By OID, partitioned ones among them.
pub fn all_of_task(task: i32) -> Result<Vec<u32>> {
    let sql = "SELECT relid FROM courier.task_table WHERE task_id = $1::int";
    let rows = spi::as_extension(|| spi::query(sql, &[Some(&task.to_string())]))?;
    rows.iter().map(|row| row.parse(0)).collect()
}

/// Those of some relations that are tables of the task.
pub fn of_task_among(task: i32, relations: impl IntoIterator<Item = u32>) -> Result<Vec<u32>> {
    let sql = "SELECT relid FROM courier.task_table WHERE task_id = $1::int AND relid = ANY ($2::oid[])";
    let rows = spi::as_extension(|| spi::query_fixed(sql, &[Some(&task.to_string()), Some(&oid_array(relations))]))?;
    rows.iter().map(|row| row.parse(0)).collect()
}

/// Tables whose worker is gone go back to the start; their transaction on the destination did not commit, or its row
/// there tells.
pub fn reset_unfinished(task: i32) -> Result<u64> {
    spi::as_extension(|| {
        spi::execute(
            "UPDATE courier.task_table SET state = $2 WHERE task_id = $1::int AND state = $3",
            &[Some(&task.to_string()), Some(TableState::Init.as_str()), Some(TableState::DataSync.as_str())],
        )
    })
}

/// How many tables are still to be copied.
pub fn count_uncopied(task: i32) -> Result<i64> {
    spi::as_extension(|| {
        spi::query_one(
            "SELECT count(*) FROM courier.task_table WHERE task_id = $1::int AND kind = 'r' AND state IN ('init', 'datasync')",
            &[Some(&task.to_string())],
        )
    })?
    .parse(0)
}

/// Moves the states of copied tables on, now that every stream to come begins at `durable` or behind it.
pub fn follow_stream(task: i32, durable: Lsn) -> Result<i64> {
    spi::as_extension(|| {
        spi::execute(
            "UPDATE courier.task_table SET state = CASE WHEN sync_lsn <= $2::pg_lsn THEN 'ready' ELSE 'catchup' END \
             WHERE task_id = $1::int AND (state = 'finishedcopy' OR state = 'catchup' AND sync_lsn <= $2::pg_lsn)",
            &[Some(&task.to_string()), Some(&durable.to_string())],
        )
    })?;
    count_uncaught(task)
}

/// How many tables are still to be copied, or have copies that the stream has not passed.
pub fn count_uncaught(task: i32) -> Result<i64> {
    spi::as_extension(|| {
        spi::query_one(
            "SELECT count(*) FROM courier.task_table WHERE task_id = $1::int AND state <> 'ready' AND kind = 'r'",
            &[Some(&task.to_string())],
        )
    })?
    .parse(0)
}

/// The copies that were made: table, its name, and the text of the snapshot.
pub fn copies(task: i32) -> Result<Vec<TaskTable>> {
    let sql = format!(
        "SELECT {COLUMNS} FROM courier.task_table WHERE task_id = $1::int AND kind = 'r' AND snapshot IS NOT NULL \
         AND state NOT IN ('init', 'datasync')"
    );
    let rows = spi::as_extension(|| spi::query(&sql, &[Some(&task.to_string())]))?;
    rows.iter().map(TaskTable::from_row).collect()
}

/// Behind it no copy of the task holds a change any more.
pub fn last_sync_lsn(task: i32) -> Result<Lsn> {
    spi::as_extension(|| {
        spi::query_one(
            "SELECT COALESCE(max(sync_lsn), '0/0') FROM courier.task_table WHERE task_id = $1::int AND state <> 'ready'",
            &[Some(&task.to_string())],
        )
    })?
    .lsn(0)
}

pub fn set_all_ready(task: i32) -> Result<()> {
    spi::as_extension(|| {
        spi::execute(
            "UPDATE courier.task_table SET state = $2 WHERE task_id = $1::int",
            &[Some(&task.to_string()), Some(TableState::Ready.as_str())],
        )
    })
    .map(|_| ())
}

pub fn have_deferrable_constraints(task: i32) -> Result<bool> {
    spi::as_extension(|| {
        spi::query_one(
            "SELECT EXISTS (SELECT FROM pg_constraint c JOIN courier.task_table t ON t.relid = c.conrelid \
             WHERE t.task_id = $1::int AND c.condeferrable)",
            &[Some(&task.to_string())],
        )
    })?
    .bool(0)
}
