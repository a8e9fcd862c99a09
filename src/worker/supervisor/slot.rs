//! The replication slot, and the transactions that it may miss.
//!
//! The copy begins only when every transaction that might have written its commit record before the slot's start is visible:
//! such a transaction is in no stream, so it has to be in every copy.

use std::sync::atomic::Ordering::Relaxed;

use super::context::{Context, Outcome};
use super::retry::FOLLOW_EVERY;
use super::step::Step;
use crate::catalog::Task;
use crate::error::{Error, Result, sqlstate};
use crate::logicalrep::words::counted;
use crate::logicalrep::{Lsn, names};
use crate::pg::{latch, spi, xact};
use crate::task::processes::WorkerMode;

pub struct Slot;

impl Step for Slot {
    fn name(&self) -> &'static str {
        "slot"
    }

    fn is_done(&self, task: &Task) -> bool {
        !task.incremental || task.slot_lsn.is_valid()
    }

    fn still_holds(&self, context: &mut Context<'_>) -> Result<()> {
        if context.task.incremental && find(context.task)?.is_none() {
            return Err(lost(&names::slot_name(&context.task.name)));
        }
        Ok(())
    }

    fn run(&self, context: &mut Context<'_>) -> Outcome {
        let lsn = match find(context.task)? {
            // Made by a supervisor that died before it could note it; nothing has been copied or streamed.
            Some(lsn) => lsn,
            None => create(context)?,
        };
        xact::in_transaction(|| context.task.update("slot_lsn = $2::pg_lsn", &[Some(&lsn.to_string())]))?;
        context.found.slot_lsn = lsn;
        Ok(())
    }
}

/// What the task's slot has confirmed; it is an error when it is not the task's, or of no use any more.
fn find(task: &Task) -> Result<Option<Lsn>> {
    let slot = names::slot_name(&task.name);
    let there = xact::in_transaction(|| {
        spi::as_extension(|| {
            spi::query_opt(
                "SELECT confirmed_flush_lsn, plugin = 'pg_courier' AND database = current_database(), \
                 wal_status FROM pg_replication_slots WHERE slot_name = $1",
                &[Some(&slot)],
            )
        })
    })?;
    match there {
        None => Ok(None),
        Some(row) if !row.bool(1)? => Err(Error::new(
            sqlstate::DUPLICATE_OBJECT,
            format!("replication slot \"{slot}\" belongs to something else"),
        )
        .hint("Slot names are shared by all databases of the cluster. Drop the task and use another name.")),
        Some(row) if row.opt(2) == Some("lost") => Err(lost(&slot)),
        Some(row) => row.lsn(0).map(Some),
    }
}

/// An apply worker makes it, as it is the one that may decode.
fn create(context: &mut Context<'_>) -> Result<Lsn> {
    let handle = context.workers.start_apply_worker(WorkerMode::CreateSlot)?;
    while !handle.is_stopped() {
        // It waits for each transaction that runs now; who that is helps more than that it does.
        let blockers = context.status.apply_worker().process.pid().map(blockers_of).transpose()?;
        context.show(&match blockers.filter(|blockers| !blockers.is_empty()) {
            Some(blockers) => format!("creating the replication slot; waits for the transaction of {blockers}"),
            None => "creating the replication slot".to_owned(),
        });
        latch::wait(Some(FOLLOW_EVERY));
    }
    context.workers.take_apply_error()?;
    let lsn = Lsn(context.status.slot_lsn.load(Relaxed));
    if !lsn.is_valid() {
        return Err(Error::new(sqlstate::OBJECT_IN_USE, "the slot could not be created yet"));
    }
    Ok(lsn)
}

fn lost(slot: &str) -> Error {
    Error::new(sqlstate::OBJECT_NOT_IN_PREREQUISITE_STATE, format!("replication slot \"{slot}\" is lost"))
        .detail(
            "It was dropped, or the WAL it needs was removed (max_slot_wal_keep_size), or this server was a standby that had \
             no synchronized copy of it; changes are missing.",
        )
        .hint("Drop the task, empty its tables on the destination, create it anew with schema_sync => false, and start it.")
}

/// Who keeps a process waiting.
fn blockers_of(pid: i32) -> Result<String> {
    let sql = "SELECT pg_catalog.string_agg(CASE b.pid WHEN 0 THEN 'a prepared transaction' ELSE pg_catalog.format('process %s', b.pid) END, ', ') \
               FROM pg_catalog.unnest(pg_catalog.pg_blocking_pids($1::int)) AS b(pid)";
    xact::in_transaction(|| Ok(spi::query_one(sql, &[Some(&pid.to_string())])?.opt(0).unwrap_or_default().to_owned()))
}

pub struct OlderGone;

impl Step for OlderGone {
    fn name(&self) -> &'static str {
        "older_gone"
    }

    fn is_done(&self, task: &Task) -> bool {
        !task.incremental || task.older_gone
    }

    /// Waiting for the transactions' locks is waiting for an event: they are released after the transaction has left the list of
    /// running ones.
    fn run(&self, context: &mut Context<'_>) -> Outcome {
        let running = xact::in_transaction(|| {
            spi::query("SELECT pg_catalog.pg_snapshot_xip(pg_catalog.pg_current_snapshot())", &[])
        })?;
        for (done, row) in running.iter().enumerate() {
            let xid: u64 = row.parse(0)?;
            let left = counted((running.len() - done) as u64, "transaction");
            let holder = xact::in_transaction(|| holder_of(xid as u32))?;
            context.show(&format!("waiting for {left} of before the slot, now {holder}"));
            xact::in_transaction(|| {
                xact::wait_for_transaction(xid as u32);
                Ok(())
            })?;
        }
        Ok(xact::in_transaction(|| context.task.update("older_gone = true", &[]))?)
    }
}

/// Whose transaction this is.
fn holder_of(xid: u32) -> Result<String> {
    let sql = "SELECT COALESCE((SELECT pg_catalog.format('of process %s', l.pid) FROM pg_catalog.pg_locks l \
               WHERE l.locktype = 'transactionid' AND l.transactionid = $1::xid AND l.granted AND l.pid IS NOT NULL LIMIT 1), \
               (SELECT pg_catalog.format('the prepared one %L', p.gid) FROM pg_catalog.pg_prepared_xacts p \
               WHERE p.transaction = $1::xid), pg_catalog.format('number %s', $1))";
    Ok(spi::query_one(sql, &[Some(&xid.to_string())])?.text(0)?.to_owned())
}
