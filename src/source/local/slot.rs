//! Slots of this server, and the transactions that one may miss.

use super::super::SlotState;
use crate::decode::context::PLUGIN;
use crate::error::Result;
use crate::pg::{spi, xact};

pub fn state(name: &str) -> Result<Option<SlotState>> {
    // The column "synced" came with 17.
    let sql = "SELECT s.database, COALESCE(s.plugin OPERATOR(pg_catalog.=) $2 AND s.database OPERATOR(pg_catalog.=) pg_catalog.current_database(), \
               false) AS is_ours, COALESCE(s.wal_status OPERATOR(pg_catalog.=) 'lost', false) AS is_lost, \
               COALESCE((pg_catalog.to_jsonb(s) OPERATOR(pg_catalog.->>) 'synced')::pg_catalog.bool, false) AS is_synced, \
               COALESCE(s.confirmed_flush_lsn, '0/0') AS confirmed, \
               GREATEST(COALESCE(pg_catalog.pg_wal_lsn_diff(CASE WHEN pg_catalog.pg_is_in_recovery() \
               THEN pg_catalog.pg_last_wal_replay_lsn() ELSE pg_catalog.pg_current_wal_lsn() END, s.restart_lsn), 0), 0) AS kept \
               FROM pg_catalog.pg_replication_slots s WHERE s.slot_name OPERATOR(pg_catalog.=) $1";
    let row = spi::as_extension(|| spi::query_opt(sql, &[Some(name), Some(PLUGIN)]))?;
    row.map(|row| {
        Ok(SlotState {
            database: row.opt_string("database"),
            is_ours: row.bool("is_ours")?,
            is_lost: row.bool("is_lost")?,
            is_synced: row.bool("is_synced")?,
            confirmed: row.lsn("confirmed")?,
            kept: row.parse("kept")?,
        })
    })
    .transpose()
}

pub fn blockers_of(process: i32) -> Result<String> {
    let sql = "SELECT pg_catalog.string_agg(CASE b.pid WHEN 0 THEN 'a prepared transaction' ELSE pg_catalog.format('process %s', b.pid) END, ', ') \
               FROM pg_catalog.unnest(pg_catalog.pg_blocking_pids($1::int)) AS b(pid)";
    Ok(spi::query_one(sql, &[Some(&process.to_string())])?.opt(0).unwrap_or_default().to_owned())
}

/// Waiting for the transactions' locks is waiting for an event: they are released after the transaction has left the list of
/// running ones.
pub fn wait_for_older(show: &mut dyn FnMut(usize, &str)) -> Result<()> {
    let running = xact::in_transaction(|| {
        spi::query("SELECT pg_catalog.pg_snapshot_xip(pg_catalog.pg_current_snapshot())", &[])
    })?;
    for (done, row) in running.iter().enumerate() {
        let xid: u64 = row.parse(0)?;
        show(running.len() - done, &xact::in_transaction(|| holder_of(xid as u32))?);
        xact::in_transaction(|| {
            xact::wait_for_transaction(xid as u32);
            Ok(())
        })?;
    }
    Ok(())
}

/// Whose transaction this is.
fn holder_of(xid: u32) -> Result<String> {
    let sql = "SELECT COALESCE((SELECT pg_catalog.format('of process %s', l.pid) FROM pg_catalog.pg_locks l \
               WHERE l.locktype = 'transactionid' AND l.transactionid = $1::xid AND l.granted AND l.pid IS NOT NULL LIMIT 1), \
               (SELECT pg_catalog.format('the prepared one %L', p.gid) FROM pg_catalog.pg_prepared_xacts p \
               WHERE p.transaction = $1::xid), pg_catalog.format('number %s', $1))";
    Ok(spi::query_one(sql, &[Some(&xid.to_string())])?.text(0)?.to_owned())
}
