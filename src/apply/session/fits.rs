//! What the destination's tables are like, and whether the source's rows fit them.
//!
//! A table is asked for when the worker starts, or when its first change comes; what is known of it holds as long as the
//! source's definition does. Binary COPY does not convert: a table takes part if the destination's columns have the very
//! types of the source's. The stream has arrays and composite values in text form, so tables with such columns take no part.

use std::collections::HashMap;
use std::rc::Rc;
use std::time::{Duration, Instant};

use super::Session;
use crate::apply::collect::route::Agreement;
use crate::destination::Destination;
use crate::destination::table::{Kind, Table};
use crate::error::{Result, sqlstate};
use crate::logicalrep::{FastMap, Relation};

/// A round trip so short that it decides nothing, and one that is longer than a busy machine makes it.
const NEAR: Duration = Duration::from_micros(300);
const FAR: Duration = Duration::from_millis(10);

/// The tables of the destination, as far as they were asked for.
#[derive(Default)]
pub struct There {
    /// By name, asked for when the worker started.
    known: HashMap<String, Rc<Table>>,
    by_generation: FastMap<u64, Met>,
    round_trip: Option<Duration>,
}

struct Met {
    table: Rc<Table>,
    /// Rows that were deleted since it was asked for.
    deleted: u64,
    agreement: Option<Agreement>,
}

impl There {
    /// Asks for all tables of the task at once, but for those that it knows.
    pub fn learn(&mut self, destination: &mut Destination, names: &[String]) -> Result<()> {
        let unknown: Vec<String> = names.iter().filter(|name| !self.known.contains_key(*name)).cloned().collect();
        if unknown.is_empty() {
            return Ok(());
        }
        let tables = match destination.tables(&unknown) {
            Ok(tables) => tables,
            // A schema that may not be looked into: the first change of its table says so.
            Err(error) if error.sqlstate() == sqlstate::INSUFFICIENT_PRIVILEGE => HashMap::new(),
            Err(error) => return Err(error),
        };
        self.known.extend(tables.into_iter().map(|(name, table)| (name, Rc::new(table))));
        Ok(())
    }

    /// The table for this definition of the source's; `None` if it was not asked for.
    pub fn of(&mut self, relation: &Relation) -> Option<Rc<Table>> {
        if let Some(met) = self.by_generation.get(&relation.generation) {
            return Some(met.table.clone());
        }
        let table = self.known.get(&relation.target())?.clone();
        self.note(relation, table.clone());
        Some(table)
    }

    /// Asks for the table.
    pub fn ask(&mut self, session: &mut Session, relation: &Relation) -> Result<Rc<Table>> {
        let table = Rc::new(session.exchange().table(&relation.target())?);
        self.note(relation, table.clone());
        Ok(table)
    }

    fn note(&mut self, relation: &Relation, table: Rc<Table>) {
        self.by_generation.insert(relation.generation, Met { table, deleted: 0, agreement: None });
    }

    /// The source's definition has changed: the destination's will have, too.
    pub fn forget(&mut self, generation: u64, relation: &Relation) {
        self.by_generation.remove(&generation);
        self.known.remove(&relation.target());
    }

    /// Definitions were changed there.
    pub fn forget_all(&mut self) {
        self.known.clear();
        self.by_generation.clear();
    }

    /// Rows of the table have been deleted; true when that may have made a small table of a large one. Statements that are
    /// right for a large one only are not kept then: the server makes its plans for them anew, and its statistics may go on
    /// calling the table empty when it is not any more.
    pub fn note_deleted(&mut self, relation: &Relation, rows: u64) -> bool {
        let Some(met) = self.by_generation.get_mut(&relation.generation) else { return false };
        met.deleted = met.deleted.saturating_add(rows);
        if met.table.rows == 0 || met.table.is_large(met.deleted) {
            return false;
        }
        met.table = Rc::new(met.table.with_rows(0));
        true
    }

    /// What comparing the definition with the destination's has come to, if that was done.
    pub fn agreement(&self, relation: &Relation) -> Option<Agreement> {
        self.by_generation.get(&relation.generation)?.agreement
    }

    /// Compares the definition with that of the table; `needs_probes` if constraints there are looked at before the commit.
    pub fn compare(&mut self, relation: &Relation, table: &Table, needs_probes: bool) {
        if let Some(met) = self.by_generation.get_mut(&relation.generation) {
            met.agreement = Some(agreement(relation, table, needs_probes));
        }
    }

    /// Zero while it was not measured.
    pub fn round_trip(&self) -> Duration {
        self.round_trip.unwrap_or_default()
    }

    /// The shortest that was ever met: a busy machine makes single ones long, so what seems to be far away gets more than
    /// one chance. By a statement that costs nothing itself.
    pub fn measure_round_trip(&mut self, session: &mut Session) -> Result<()> {
        let chances = if self.round_trip.is_none() { 10 } else { 1 };
        for chance in 1..=chances {
            let begin = Instant::now();
            session.exchange().ping()?;
            let this = begin.elapsed();
            let shortest = self.round_trip.map_or(this, |known| known.min(this));
            self.round_trip = Some(shortest);
            if shortest < NEAR || chance >= 3 && shortest > FAR {
                break;
            }
        }
        Ok(())
    }
}

/// Triggers that fire for replicated rows too may look at other rows; partitions may have such, or be foreign.
fn agreement(relation: &Relation, table: &Table, needs_probes: bool) -> Agreement {
    match table.takes_copy_of(&relation.columns) && !needs_probes {
        false => Agreement::Differs,
        true if table.kind == Kind::Plain && !table.has_replica_triggers => Agreement::Plain,
        true => Agreement::InOrder,
    }
}
