//! The copy of a table, one transaction: its row of `table_progress` first, which waits for a copy that a worker left behind,
//! then the rows.

use super::Destination;
use super::table::{Deferrable, Table};
use crate::error::Result;
use crate::logicalrep::array::{oid_array, text_array};
use crate::logicalrep::{Lsn, Relation};

/// Tables to be copied in one transaction.
pub struct TableCopies<'a> {
    pub task_id: &'a str,
    /// Each by its OID on the source, and its name there, qualified and quoted.
    pub tables: &'a [(u32, &'a str)],
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

impl Others {
    fn mode(self) -> &'static str {
        match self {
            Others::MayWrite => "ROW EXCLUSIVE",
            Others::Wait => "ACCESS EXCLUSIVE",
        }
    }
}

impl TableCopies<'_> {
    fn relids(&self) -> String {
        oid_array(self.tables.iter().map(|(relid, _)| *relid))
    }
}

impl Destination {
    /// Begins the transaction of the copies, and returns how many of them it is to make: a table may be there, as a dead worker's copy committed
    /// after all, and none is when the task's row is another server's. One that is not `durable` may be lost in a crash until
    /// [`Self::settle_copies`].
    pub fn begin_copies(&mut self, copies: &TableCopies<'_>, durable: bool) -> Result<u64> {
        let way = if durable { "" } else { "; SET LOCAL synchronous_commit = off" };
        self.connection.exec_all(&format!("BEGIN{way}"))?;
        let [lease, next] = copies.leases;
        self.connection.execute_kept(
            "INSERT INTO courier_applied.table_progress (task_id, relid, table_name, snapshot, sync_lsn, source_id) \
             SELECT $1::uuid, w.relid, w.name, $4, $5::pg_lsn, p.source_id FROM courier_applied.progress p, \
               ROWS FROM (pg_catalog.unnest($2::oid[]), pg_catalog.unnest($3::text[])) AS w(relid, name) \
             WHERE p.task_id = $1::uuid AND p.lease IN ($6::uuid, $7::uuid) ON CONFLICT (task_id, relid) DO NOTHING",
            &[
                Some(copies.task_id),
                Some(&copies.relids()),
                Some(&text_array(copies.tables.iter().map(|(_, name)| name))),
                Some(copies.snapshot),
                Some(&copies.sync_lsn.to_string()),
                Some(lease),
                Some(next),
            ],
        )
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
        let mode = others.mode();
        self.connection.exec(&format!("LOCK TABLE ONLY {table} IN {mode} MODE")).map(drop)
    }

    /// The same for several tables; it is an error when it has to be waited for.
    pub fn lock_for_copies_at_once(&mut self, tables: &[String], others: Others) -> Result<()> {
        let (tables, mode) = (tables.join(", ONLY "), others.mode());
        self.connection.exec(&format!("LOCK TABLE ONLY {tables} IN {mode} MODE NOWAIT")).map(drop)
    }

    /// Have these tables no rows?
    pub fn are_empty<'a>(&mut self, tables: impl IntoIterator<Item = &'a Table>) -> Result<bool> {
        let look = |table: &Table| format!("NOT EXISTS (SELECT 1 FROM {}{})", table.only(), table.name);
        let looks: Vec<String> = tables.into_iter().map(look).collect();
        let rows = self.connection.query(&format!("SELECT {}", looks.join(" AND ")), &[])?;
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

    /// Writes down that all rows are there, so many in each table, and commits.
    pub fn commit_copies(&mut self, copies: &TableCopies<'_>, rows: &[u64]) -> Result<()> {
        self.connection.execute_kept(
            "UPDATE courier_applied.table_progress t SET copied_rows = w.rows, copied_at = pg_catalog.clock_timestamp() \
             FROM ROWS FROM (pg_catalog.unnest($2::oid[]), pg_catalog.unnest($3::bigint[])) AS w(relid, rows) \
             WHERE t.task_id = $1::uuid AND t.relid = w.relid",
            &[Some(copies.task_id), Some(&copies.relids()), Some(&text_array(rows.iter().map(u64::to_string)))],
        )?;
        self.connection.exec("COMMIT").map(drop)
    }

    /// Waits until these copies are durable: a commit that wrote something, and is waited for, comes behind all of them in the log. It is an
    /// error when one is not there any more: the session they were made in may have been another one, before a crash.
    pub fn settle_copies(&mut self, task_id: &str, relids: &[u32]) -> Result<()> {
        let Some(last) = relids.last() else { return Ok(()) };
        let touched = self.connection.execute_kept(
            "UPDATE courier_applied.table_progress SET copied_rows = copied_rows WHERE task_id = $1::uuid AND relid = $2::oid \
             AND (SELECT pg_catalog.count(*) FROM courier_applied.table_progress t WHERE t.task_id = $1::uuid AND t.relid = ANY ($3::oid[])) = $4::int8",
            &[
                Some(task_id),
                Some(&last.to_string()),
                Some(&oid_array(relids.iter().copied())),
                Some(&relids.len().to_string()),
            ],
        )?;
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
