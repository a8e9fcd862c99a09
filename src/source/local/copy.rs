//! A table read from the heap, in a transaction that sees it as it was at one moment.

use super::super::TableReader;
use crate::catalog::tables::TaskTable;
use crate::error::{Error, Result, sqlstate};
use crate::logicalrep::names::quote_ident;
use crate::logicalrep::{Lsn, Relation};
use crate::pg::rel::{self, Hidden, OpenTable};
use crate::pg::xact::RepeatableRead;
use crate::pg::{compat, spi};
use crate::tuple::{self, Described, scan};

/// What was opened is closed in this order, before the transaction ends.
pub struct HeapReader {
    described: Described,
    table: OpenTable,
    snapshot: String,
    sync_lsn: Lsn,
    transaction: RepeatableRead,
}

impl HeapReader {
    pub fn begin(table: &TaskTable, owner: u32, exported: Option<&str>) -> Result<HeapReader> {
        let transaction = RepeatableRead::begin(&[table.relid], exported)?;
        let (snapshot, sync_lsn) = moment()?;
        let open = rel::open_table(table.relid).ok_or_else(|| gone(table.relid))?;
        check_readable(&open, owner)?;
        check_not_rewritten(table)?;
        let described = tuple::describe_open(&open, &table.route)?;
        Ok(HeapReader { described, table: open, snapshot, sync_lsn, transaction })
    }
}

impl TableReader for HeapReader {
    fn snapshot(&self) -> &str {
        &self.snapshot
    }

    fn sync_lsn(&self) -> Lsn {
        self.sync_lsn
    }

    fn relation(&self) -> &Relation {
        &self.described.relation
    }

    fn fits_binary(&self, there: &dyn Fn(&str) -> Option<(u32, bool)>) -> bool {
        self.described.copies_binary(there)
    }

    fn read(&mut self, is_binary: bool, send: &mut dyn FnMut(&[u8], u64) -> Result<()>) -> Result<u64> {
        scan::copy_table(&self.table, &mut self.described, is_binary, send)
    }

    fn end(self: Box<Self>) {
        let HeapReader { described, table, transaction, .. } = *self;
        drop(described);
        drop(table);
        transaction.end();
    }
}

/// What the present snapshot shows, and a position behind which nothing commits that it shows.
pub fn moment() -> Result<(String, Lsn)> {
    let snapshot = spi::query_one("SELECT pg_catalog.pg_current_snapshot()", &[])?.string(0)?;
    Ok((snapshot, compat::insert_lsn()))
}

/// Takes the locks of the tables, then the snapshot, and keeps both until this process ends.
pub fn export_snapshot(tables: &[u32]) -> Result<String> {
    // Without a call of `end` it lasts.
    let _transaction = RepeatableRead::begin(tables, None)?;
    spi::query_one("SELECT pg_catalog.pg_export_snapshot()", &[])?.string(0)
}

fn gone(relid: u32) -> Error {
    Error::new(sqlstate::UNDEFINED_TABLE, format!("the source table with OID {relid} is gone"))
        .hint("It was dropped after the task was created; drop the task and create it anew.")
}

/// The owner of the task has to see every row.
fn check_readable(table: &OpenTable, owner: u32) -> Result<()> {
    let denied = |what: &str| Error::new(sqlstate::INSUFFICIENT_PRIVILEGE, format!("{what} {}", table.shown()));
    Err(match table.hidden_from(owner) {
        None => return Ok(()),
        Some(Hidden::NoPrivilege) => {
            let sql = "SELECT pg_catalog.pg_get_userbyid($1::pg_catalog.oid)";
            let owner = spi::query_one(sql, &[Some(&owner.to_string())])?.string(0)?;
            denied("the owner of the task may not read").hint(format!(
                "GRANT SELECT ON {} TO {}; Then SELECT courier.resume({{task}});",
                table.shown(),
                quote_ident(&owner)
            ))
        }
        Some(Hidden::RowSecurity) => denied("row security applies to the owner of the task on")
            .hint("Row security would hide rows from the copy: let a role with BYPASSRLS own the task."),
    })
}

/// The lock came before the snapshot, so this cannot happen. If it did, the rows would be lost without a word.
fn check_not_rewritten(table: &TaskTable) -> Result<()> {
    let row = spi::query_opt(
        "SELECT c.relfilenode OPERATOR(pg_catalog.=) pg_catalog.pg_relation_filenode(c.oid) \
         FROM pg_catalog.pg_class c WHERE c.oid OPERATOR(pg_catalog.=) $1::pg_catalog.oid",
        &[Some(&table.relid.to_string())],
    )?;
    if row.is_some_and(|row| row.bool(0).unwrap_or(false)) {
        return Ok(());
    }
    const SERIALIZATION_FAILURE: &str = "40001";
    Err(Error::new(
        SERIALIZATION_FAILURE,
        format!("table {} was made or rewritten after the snapshot of its copy was taken", table.shown()),
    )
    .hint("The task tries again by itself."))
}
