//! The copy of a table, one transaction: its row of `table_progress` first, which waits for a copy that a worker left behind,
//! then the rows.

use super::Destination;
use super::table::{Deferrable, Table};
use crate::error::Result;
use crate::logicalrep::{Lsn, Relation};

/// A table to be copied.
pub struct TableCopy<'a> {
    pub task_id: &'a str,
    pub relid: u32,
    /// Qualified and quoted.
    pub name: &'a str,
    /// What the copy sees of the source, and where that is in its WAL.
    pub snapshot: &'a str,
    pub sync_lsn: Lsn,
    /// What the task's row has, and what it gets; see `claim.rs`.
    pub leases: [&'a str; 2],
}

/// A copy that has committed.
pub struct CopiedTable {
    pub snapshot: String,
    pub sync_lsn: Lsn,
    pub rows: u64,
}

/// How rows are sent.
#[derive(Clone, Copy, Debug)]
pub struct CopyFormat {
    pub is_binary: bool,
    /// Rows are frozen as they come: the table was made or emptied by this transaction.
    pub freeze: bool,
}

/// Who may write into a table while it is copied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Others {
    MayWrite,
    Wait,
}

impl Destination {
    /// Begins the transaction of a copy; false when the table is there, as a dead worker's copy committed after all, or when
    /// the task's row is another server's. One that is not `durable` may be lost in a crash until [`Self::settle_copies`].
    pub fn begin_copy(&mut self, copy: &TableCopy<'_>, durable: bool) -> Result<bool> {
        let way = if durable { "" } else { "; SET LOCAL synchronous_commit = off" };
        self.connection.exec_all(&format!("BEGIN{way}"))?;
        let [lease, next] = copy.leases;
        let inserted = self.connection.execute_kept(
            "INSERT INTO courier_applied.table_progress (task_id, relid, table_name, snapshot, sync_lsn, source_id) \
             SELECT $1::uuid, $2::oid, $3, $4, $5::pg_lsn, source_id FROM courier_applied.progress \
             WHERE task_id = $1::uuid AND lease IN ($6::uuid, $7::uuid) ON CONFLICT (task_id, relid) DO NOTHING",
            &[
                Some(copy.task_id),
                Some(&copy.relid.to_string()),
                Some(copy.name),
                Some(copy.snapshot),
                Some(&copy.sync_lsn.to_string()),
                Some(lease),
                Some(next),
            ],
        )?;
        Ok(inserted > 0)
    }

    /// The copy of the table that is there, if there is one.
    pub fn copied(&mut self, task_id: &str, relid: u32) -> Result<Option<CopiedTable>> {
        let rows = self.connection.query(
            "SELECT snapshot, sync_lsn, copied_rows FROM courier_applied.table_progress \
             WHERE task_id = $1::uuid AND relid = $2::oid",
            &[Some(task_id), Some(&relid.to_string())],
        )?;
        let Some(row) = rows.first() else { return Ok(None) };
        Ok(Some(CopiedTable {
            snapshot: row.string("snapshot")?,
            sync_lsn: row.lsn("sync_lsn")?,
            rows: row.parse("copied_rows")?,
        }))
    }

    /// Nobody changes the columns of the table from here on.
    pub fn lock_for_copy(&mut self, table: &str, others: Others) -> Result<()> {
        let mode = match others {
            Others::MayWrite => "ROW EXCLUSIVE",
            Others::Wait => "ACCESS EXCLUSIVE",
        };
        self.connection.exec(&format!("LOCK TABLE ONLY {table} IN {mode} MODE")).map(drop)
    }

    pub fn is_empty(&mut self, table: &Table) -> Result<bool> {
        let (only, name) = (table.only(), &table.name);
        let rows = self.connection.query(&format!("SELECT NOT EXISTS (SELECT 1 FROM {only}{name})"), &[])?;
        Ok(rows.first().is_some_and(|row| row.bool(0).unwrap_or(false)))
    }

    /// Gives an empty table a file of this transaction; not one that others refer to, as one that has come back into a task's reach: there
    /// the server refuses it.
    pub fn renew(&mut self, table: &Table) -> Result<bool> {
        let rows = self.connection.query(
            "SELECT EXISTS (SELECT FROM pg_catalog.pg_constraint k WHERE k.contype = 'f' AND k.confrelid = $1::pg_catalog.regclass \
             AND k.conrelid <> k.confrelid)",
            &[Some(&table.name)],
        )?;
        let is_referenced = rows.first().map_or(Ok(false), |row| row.bool(0))?;
        if !is_referenced {
            self.connection.exec(&format!("TRUNCATE ONLY {}", table.name))?;
        }
        Ok(!is_referenced)
    }

    pub fn start_copy(&mut self, relation: &Relation, format: CopyFormat) -> Result<()> {
        self.connection.copy_start(self.dialect().copy_table(relation, format).text())
    }

    /// Is the constraint broken anywhere in the table? `None` if that cannot be asked.
    pub fn is_broken(&mut self, table: &Table, constraint: &Deferrable) -> Result<Option<bool>> {
        let Some(search) = constraint.search(&format!("{}{}", table.only(), table.name)) else { return Ok(None) };
        Ok(Some(!self.connection.query(&search, &[])?.is_empty()))
    }

    /// Writes down that all rows are there, and commits.
    pub fn commit_copy(&mut self, copy: &TableCopy<'_>, rows: u64) -> Result<()> {
        self.connection.execute_kept(
            "UPDATE courier_applied.table_progress SET copied_rows = $3::bigint, copied_at = pg_catalog.clock_timestamp() \
             WHERE task_id = $1::uuid AND relid = $2::oid",
            &[Some(copy.task_id), Some(&copy.relid.to_string()), Some(&rows.to_string())],
        )?;
        self.connection.exec("COMMIT").map(drop)
    }

    /// Waits until all copies of this session are durable. `relid`: one of them; a commit that wrote something, and is waited for, comes
    /// behind all others in the log.
    pub fn settle_copies(&mut self, task_id: &str, relid: u32) -> Result<()> {
        let sql = "UPDATE courier_applied.table_progress SET copied_rows = copied_rows WHERE task_id = $1::uuid AND relid = $2::oid";
        let touched = self.connection.execute(sql, &[Some(task_id), Some(&relid.to_string())])?;
        if touched > 0 { Ok(()) } else { Err(super::taken_over()) }
    }

    /// Ends a transaction that was not needed.
    pub fn leave_copy(&mut self) -> Result<()> {
        self.connection.exec("COMMIT").map(drop)
    }

    /// Nothing is known any more of a former copy of the table.
    pub fn forget_copy(&mut self, task_id: &str, relid: u32) -> Result<()> {
        self.connection
            .execute(
                "DELETE FROM courier_applied.table_progress \
                 WHERE task_id OPERATOR(pg_catalog.=) $1::pg_catalog.uuid AND relid OPERATOR(pg_catalog.=) $2::pg_catalog.oid",
                &[Some(task_id), Some(&relid.to_string())],
            )
            .map(drop)
    }
}
