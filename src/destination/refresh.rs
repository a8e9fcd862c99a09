//! Materialized views that get rows: what they read here, and the queue of those that wait for it.

use super::Destination;
use super::aside::{LeftBy, origins_as_text};
use crate::error::Result;
use crate::logicalrep::Row;
use crate::logicalrep::array::{oid_array, text_array};
use crate::schema::aside::{Aside, Refresh};

/// What a view reads here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reading {
    pub view: u32,
    pub bytes: i64,
    /// Is something of it among the names that were asked for?
    pub is_named: bool,
}

impl Destination {
    /// What views read, each from names on, its own or those in its definition; one of which nothing is here has no row. What is among
    /// `waiting` is not measured. None where somebody has a lock that keeps others from measuring: inside a transaction.
    pub fn readings(&mut self, views: &[(u32, String)], waiting: &[String]) -> Result<Option<Vec<Reading>>> {
        const PATIENCE: &str = "2s";
        const LOCK_NOT_AVAILABLE: &str = "55P03";
        self.begin_definitions(PATIENCE)?;
        match self.ask_readings(views, waiting, true) {
            Ok(readings) => self.end_definitions().map(|()| Some(readings)),
            Err(error) if error.sqlstate() == LOCK_NOT_AVAILABLE => self.undo_definitions().map(|()| None),
            Err(error) => Err(error),
        }
    }

    /// Those of the views that read one of the tables.
    pub fn that_read(&mut self, views: &[(u32, String)], tables: &[String]) -> Result<Vec<u32>> {
        let readings = self.ask_readings(views, tables, false)?;
        Ok(readings.into_iter().filter(|reading| reading.is_named).map(|reading| reading.view).collect())
    }

    fn ask_readings(&mut self, views: &[(u32, String)], named: &[String], is_measured: bool) -> Result<Vec<Reading>> {
        let sql = include_str!("../../sql/query/destination/reads.sql");
        let known = oid_array(views.iter().map(|(view, _)| *view));
        let names = text_array(views.iter().map(|(_, name)| name));
        let measured = if is_measured { "t" } else { "f" };
        let params = [Some(known.as_str()), Some(&names), Some(&text_array(named)), Some(measured)];
        let reading = |row: &Row| {
            Ok(Reading { view: row.parse("view")?, bytes: row.parse("bytes")?, is_named: row.bool("is_named")? })
        };
        self.connection.query(sql, &params)?.iter().map(reading).collect()
    }

    /// A command wants what waits already: one item for both, unless that has begun before the command. Whether it has tells the lock on
    /// its row.
    pub fn queue_again(&mut self, task_id: &str, aside: &Aside, origin: &LeftBy) -> Result<()> {
        let last = "SELECT p.id, p.item, p.state, p.tries, p.origins, 0::float8 AS due_in FROM courier_applied.pending p \
                    WHERE p.task_id = $1::uuid AND p.relid = $2::oid ORDER BY p.id DESC LIMIT 1 FOR UPDATE SKIP LOCKED";
        let Some(item) = self.one_pending(last, &[Some(task_id), Some(&aside.table.to_string())])? else {
            return self.queue(task_id, std::slice::from_ref(origin), aside);
        };
        let origins: Vec<LeftBy> = item.origins.iter().chain([origin]).cloned().collect();
        let commands = text_array(origins.iter().map(|origin| origin.command.to_string()));
        // What has failed is tried at once.
        let sql = "UPDATE courier_applied.pending SET commands = $3::bigint[], origins = $4, state = 'waiting', next_try = NULL \
                   WHERE task_id = $1::uuid AND id = $2::bigint";
        let (id, origins) = (item.id.to_string(), origins_as_text(&origins)?);
        self.connection.execute(sql, &[Some(task_id), Some(&id), Some(&commands), Some(&origins)]).map(drop)
    }

    /// Inside the transaction that ends the item.
    pub(super) fn refresh(&mut self, refresh: &Refresh) -> Result<()> {
        let rows = self.ask_definition(&refresh.goes_concurrently)?;
        let goes_concurrently = rows.first().map_or(Ok(false), |row| row.bool(0))?;
        self.define(if goes_concurrently { &refresh.concurrently } else { &refresh.plainly })
    }
}
