//! A table read from the heap, in a transaction that sees it as it was at one moment.

use std::collections::HashSet;

use super::super::{CopyWay, TableReader};
use crate::catalog::tables::TaskTable;
use crate::error::{Error, Result, sqlstate};
use crate::logicalrep::array::oid_array;
use crate::logicalrep::names::quote_ident;
use crate::logicalrep::{Lsn, Relation};
use crate::pg::rel::{self, Hidden, OpenTable};
use crate::pg::xact::RepeatableRead;
use crate::pg::{compat, spi};
use crate::tuple::{self, Described, scan};

/// What was opened is closed before the transaction ends.
pub struct HeapReader {
    tables: Vec<HeapTable>,
    snapshot: String,
    sync_lsn: Lsn,
    transaction: RepeatableRead,
}

/// Closed in this order.
struct HeapTable {
    described: Described,
    open: OpenTable,
    relid: u32,
}

impl HeapReader {
    pub fn begin(tables: &[&TaskTable], owner: u32, way: CopyWay<'_>) -> Result<HeapReader> {
        let relids: Vec<u32> = tables.iter().map(|table| table.relid).collect();
        let (transaction, locked) = match way {
            CopyWay::Waiting(exported) => (RepeatableRead::begin(&relids, exported)?, relids),
            CopyWay::AtOnce => RepeatableRead::begin_with_free(&relids)?,
        };
        let (snapshot, sync_lsn) = moment()?;
        let mut read = Vec::with_capacity(locked.len());
        for table in tables.iter().filter(|table| locked.contains(&table.relid)) {
            let open = match (rel::open_table(table.relid), way) {
                (Some(open), _) => open,
                (None, CopyWay::AtOnce) => continue,
                (None, CopyWay::Waiting(_)) => return Err(gone(table.relid)),
            };
            check_readable(&open, owner)?;
            let described = tuple::describe_open(&open, &table.route)?;
            read.push(HeapTable { described, open, relid: table.relid });
        }
        check_not_rewritten(&read)?;
        Ok(HeapReader { tables: read, snapshot, sync_lsn, transaction })
    }
}

impl TableReader for HeapReader {
    fn tables(&self) -> Vec<u32> {
        self.tables.iter().map(|table| table.relid).collect()
    }

    fn snapshot(&self) -> &str {
        &self.snapshot
    }

    fn sync_lsn(&self) -> Lsn {
        self.sync_lsn
    }

    fn relation(&self, place: usize) -> &Relation {
        &self.tables[place].described.relation
    }

    fn fits_binary(&self, place: usize, there: &dyn Fn(&str) -> Option<(u32, bool)>) -> bool {
        self.tables[place].described.copies_binary(there)
    }

    fn read(&mut self, place: usize, is_binary: bool, send: &mut dyn FnMut(&[u8], u64) -> Result<()>) -> Result<u64> {
        let HeapTable { described, open, .. } = &mut self.tables[place];
        scan::copy_table(open, described, is_binary, send)
    }

    fn end(self: Box<Self>) {
        let HeapReader { tables, transaction, .. } = *self;
        drop(tables);
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

/// The locks came before the snapshot, so this cannot happen. If it did, rows would be lost without a word.
fn check_not_rewritten(tables: &[HeapTable]) -> Result<()> {
    let rows = spi::query_fixed(
        "SELECT c.oid FROM pg_catalog.pg_class c WHERE c.oid OPERATOR(pg_catalog.=) ANY ($1::pg_catalog.oid[]) \
         AND c.relfilenode OPERATOR(pg_catalog.=) pg_catalog.pg_relation_filenode(c.oid)",
        &[Some(&oid_array(tables.iter().map(|table| table.relid)))],
    )?;
    let kept: HashSet<u32> = rows.iter().map(|row| row.parse(0)).collect::<Result<_>>()?;
    let Some(table) = tables.iter().find(|table| !kept.contains(&table.relid)) else { return Ok(()) };
    const SERIALIZATION_FAILURE: &str = "40001";
    let shown = table.open.shown();
    Err(Error::new(
        SERIALIZATION_FAILURE,
        format!("table {shown} was made or rewritten after the snapshot of its copy was taken"),
    )
    .hint("The task tries again by itself."))
}
