//! What was decided about changes that did not fit: the rows that [`super::dialect::Dialect::record`] writes, read and removed.

use super::Destination;
use crate::error::Result;

impl Destination {
    /// Are decisions kept here? A destination of 0.1.0 that no task has written to since has no table for them.
    pub fn keeps_conflicts(&mut self) -> Result<bool> {
        let rows = self.connection.exec("SELECT pg_catalog.to_regclass('courier_applied.conflicts') IS NOT NULL")?;
        rows.first().map_or(Ok(false), |row| row.bool(0))
    }

    /// The decisions of a task, each as JSON, with the values of the tables in `readable` (an array of OIDs) only. Who owns the
    /// destination has the values anyway, so those that the caller may not read may be left out there.
    pub fn conflicts(&mut self, task_id: &str, readable: &str) -> Result<Vec<String>> {
        let sql = "SELECT pg_catalog.to_json(c) FROM (SELECT id, at, lsn, relid, table_name, change, decision, sqlstate, \
                   CASE WHEN shown THEN message END AS message, CASE WHEN shown THEN key END AS key, \
                   CASE WHEN shown THEN source_row END AS source_row, CASE WHEN shown THEN destination_row END AS destination_row \
                   FROM (SELECT *, relid = ANY ($2::oid[]) AS shown FROM courier_applied.conflicts WHERE task_id = $1::uuid) AS r) AS c \
                   ORDER BY id";
        self.connection.query(sql, &[Some(task_id), Some(readable)])?.iter().map(|row| row.string(0)).collect()
    }

    /// Removes the decisions from before a time; returns how many.
    pub fn clear_conflicts(&mut self, task_id: &str, before: &str) -> Result<i64> {
        let sql = "WITH gone AS (DELETE FROM courier_applied.conflicts WHERE task_id = $1::uuid AND at < $2::timestamptz RETURNING 1) \
                   SELECT pg_catalog.count(*) FROM gone";
        let rows = self.connection.query(sql, &[Some(task_id), Some(before)])?;
        rows.first().map_or(Ok(0), |row| row.parse(0))
    }
}
