//! Small tables, many of them under one snapshot and in one transaction: what is asked about a table takes longer than its rows. Only what
//! goes smoothly is done so. A table that somebody locks, or that is not on the destination as it is here, is left to be copied by itself, where
//! it is waited for, made or explained; and all of them are when anything fails.

use std::sync::atomic::Ordering::Relaxed;

use super::{Settling, Unsettled, definition, is_routed, not_empty, others, send_rows, show};
use crate::catalog::Task;
use crate::catalog::tables::{Copied, TaskTable};
use crate::destination::full_copy::TableCopies;
use crate::destination::{Destination, Endpoint, Purpose};
use crate::error::{Error, Result};
use crate::failpoint;
use crate::pg::{report, xact};
use crate::source::{self, CopyWay, TableReader};
use crate::task::status::{TaskStatus, WorkerStatus};

/// Bytes below which a table is one of many. All of them together are no large transaction, and nobody here waits long for one.
pub(super) const SMALL: i64 = 1 << 20;

/// Is nobody's snapshot to be used? With a stream nothing has to be of the same moment as tables of other workers.
pub(super) fn is_possible(status: &TaskStatus) -> bool {
    status.snapshot().is_none()
}

/// Copies what it can of the claimed tables, and returns the rest.
pub(super) fn copy(
    task: &Task,
    claimed: Vec<TaskTable>,
    endpoint: &Endpoint,
    destination: &mut Destination,
    mine: &WorkerStatus,
    unsettled: &mut Unsettled,
) -> Result<Vec<TaskTable>> {
    if claimed.is_empty() {
        return Ok(claimed);
    }
    match report::catch(|| copy_smooth(task, &claimed, destination, mine)) {
        Ok(copied) => {
            let (done, rest): (Vec<_>, Vec<_>) =
                claimed.into_iter().partition(|table| copied.iter().any(|of| of.relid == table.relid));
            unsettled.0.extend(done.into_iter().zip(copied).map(|(table, of)| {
                debug_assert_eq!(table.relid, of.relid);
                Settling { table, copied: of.copied, started: of.started, ended: of.ended }
            }));
            failpoint::hit("tablesync_after_copies")?;
            Ok(rest)
        }
        Err(error) => {
            xact::abort();
            mine.table.store(0, Relaxed);
            task.log_line(&format!(
                "{} small tables are copied one by one, as together they could not be: {error}",
                claimed.len()
            ));
            // Nobody knows in what state the session is.
            *destination = endpoint.open(Purpose::Copy)?;
            Ok(claimed)
        }
    }
}

/// One that was copied.
struct Done {
    relid: u32,
    copied: Copied,
    started: i64,
    ended: i64,
}

/// In the order of the tables.
fn copy_smooth(
    task: &Task,
    tables: &[TaskTable],
    destination: &mut Destination,
    mine: &WorkerStatus,
) -> Result<Vec<Done>> {
    failpoint::hit("tablesync_before_copies")?;
    let every: Vec<&TaskTable> = tables.iter().collect();
    let mut reader = source::of(task).copy(&every, CopyWay::AtOnce)?;
    let places = smooth(task, tables, reader.as_ref(), destination)?;
    if places.is_empty() {
        reader.end();
        return Ok(Vec::new());
    }
    let (snapshot, sync_lsn) = (reader.snapshot().to_owned(), reader.sync_lsn());
    let (relids, names): (Vec<u32>, Vec<String>) =
        places.iter().map(|(place, table)| (table.relid, reader.relation(*place).target())).unzip();
    let named: Vec<(u32, &str)> = relids.iter().copied().zip(names.iter().map(String::as_str)).collect();
    let leases = task.leases()?;
    let copies = TableCopies {
        task_id: &task.uuid,
        tables: &named,
        snapshot: &snapshot,
        sync_lsn,
        leases: leases.each_ref().map(String::as_str),
    };
    if destination.begin_copies(&copies, false)? < named.len() as u64 {
        return Err(Error::internal("a worker that is gone has copied some of them"));
    }
    destination.lock_for_copies_at_once(&names, others(task))?;
    let there = destination.tables(&names)?;
    let there: Vec<_> = names.iter().filter_map(|name| there.get(name)).collect();
    if !destination.are_empty(there.iter().copied())? {
        return Err(there.first().map_or_else(|| Error::internal("no table is there"), |table| not_empty(task, table)));
    }
    let mut done = Vec::with_capacity(places.len());
    for ((place, table), there) in places.into_iter().zip(there) {
        let started = show(mine, table);
        let rows = send_rows(reader.as_mut(), place, there, false, destination, mine)?;
        let copied = Copied { snapshot: snapshot.clone(), sync_lsn, rows, bytes: mine.bytes.load(Relaxed) };
        done.push(Done { relid: table.relid, copied, started, ended: xact::now() });
    }
    mine.table.store(0, Relaxed);
    failpoint::hit("tablesync_before_commit_of_copies")?;
    let rows: Vec<u64> = done.iter().map(|of| of.copied.rows).collect();
    destination.commit_copies(&copies, &rows)?;
    reader.end();
    Ok(done)
}

/// Those of the reader's tables that are there as they are here, with nothing to do before their rows.
fn smooth<'a>(
    task: &Task,
    tables: &'a [TaskTable],
    reader: &dyn TableReader,
    destination: &mut Destination,
) -> Result<Vec<(usize, &'a TaskTable)>> {
    let read = reader.tables();
    let places = |is_smooth: &dyn Fn(&TaskTable) -> bool| {
        let place =
            |table: &'a TaskTable| read.iter().position(|relid| *relid == table.relid).map(|place| (place, table));
        tables.iter().filter(|table| is_smooth(table)).filter_map(place).collect()
    };
    if read.is_empty() || !task.has_model() {
        return Ok(places(&|_| true));
    }
    let (definition, _) = definition(task, &read, destination)?;
    // The model is told of all of them or of none.
    if definition.tables.len() < read.len() || !definition.is_there(destination, &task.uuid)? {
        return Ok(Vec::new());
    }
    // Not in the transaction of the copy, as for one table.
    definition.note(destination, &task.uuid)?;
    let is_smooth =
        |table: &TaskTable| definition.tables.iter().any(|of| of.oid == table.relid && is_routed(table, of));
    Ok(places(&is_smooth))
}
