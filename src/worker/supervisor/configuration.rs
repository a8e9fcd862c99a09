//! Rows of extensions' configuration tables, on their way to the destination: see `catalog::configuration`.

use std::collections::{HashMap, HashSet};

use super::sequences::Exactness;
use crate::catalog::configuration::{self, ConfigurationTable};
use crate::catalog::schema::{self, Extent};
use crate::catalog::{Task, tables};
use crate::destination::{Claimant, Destination, Endpoint, Purpose, TableThere};
use crate::error::{Error, Result};
use crate::logicalrep::Row;
use crate::pg::xact;
use crate::source::Source;

/// What one attempt knows of them.
#[derive(Default)]
pub struct ConfigurationSync {
    /// Extensions that come with the task; none while nobody has asked.
    wanted: Option<HashSet<u32>>,
    /// As many changes were counted when rows were read last.
    changes: HashMap<u32, i64>,
}

impl ConfigurationSync {
    fn tables(&mut self, task: &Task) -> Result<Vec<ConfigurationTable>> {
        if !configuration::is_there_any()? {
            return Ok(Vec::new());
        }
        let oids = tables::all_of_task(task.id)?;
        let wanted = match self.wanted.take() {
            Some(wanted) => wanted,
            None => {
                let wanted = schema::extensions(&Extent::of_task(task, &oids)?)?;
                wanted.into_iter().map(|of| of.extension.oid).collect()
            }
        };
        let tables = configuration::of(&task.scope, &oids, task.owner, &wanted)?;
        self.wanted = Some(wanted);
        Ok(tables.into_iter().filter(|table| !table.is_sequence && table.why_not.is_none()).collect())
    }

    /// Has nobody written into it since its rows were read?
    fn is_sent(&self, table: &ConfigurationTable) -> bool {
        table.changes.is_some_and(|changes| self.changes.get(&table.oid) == Some(&changes))
    }

    /// Brings rows that are not there, or others there. Those of tables into which nobody has written since are exact as well, but
    /// what was counted may be late.
    pub fn sync(
        &mut self,
        task: &Task,
        source: &mut dyn Source,
        claimant: &Claimant,
        endpoint: &Endpoint,
        exactness: Exactness,
    ) -> Result<()> {
        let read = xact::in_transaction(|| {
            let mut read = Vec::new();
            for table in self.tables(task)? {
                if exactness == Exactness::Exact || !self.is_sent(&table) {
                    let rows = source.ask_printed(&configuration::SETTINGS, &table.query());
                    read.push((rows.map_err(|error| of_table(error, &table))?, table));
                }
            }
            Ok(read)
        })?;
        if read.iter().any(|(rows, _)| !rows.is_empty()) {
            // As rows of other tables are written: triggers have fired on the source.
            let mut destination = endpoint.open(Purpose::Copy)?;
            destination.check_writer(&claimant.claim(task))?;
            put(&mut destination, &read)?;
        }
        self.changes.extend(read.iter().filter_map(|(_, table)| Some((table.oid, table.changes?))));
        Ok(())
    }
}

/// Into those that are there as here, and the user may write; prechecks tell of the others.
fn put(destination: &mut Destination, read: &[(Vec<Row>, ConfigurationTable)]) -> Result<()> {
    let tables: Vec<ConfigurationTable> = read.iter().map(|(_, table)| table.clone()).collect();
    let there: Vec<u32> = destination
        .configuration_tables(&tables)?
        .into_iter()
        .filter(|(_, there)| *there == TableThere::Writable)
        .map(|(table, _)| table.oid)
        .collect();
    for (rows, table) in read.iter().filter(|(rows, table)| !rows.is_empty() && there.contains(&table.oid)) {
        destination.put_configuration_rows(table, rows).map_err(|error| of_table(error, table))?;
    }
    Ok(())
}

fn of_table(error: Error, table: &ConfigurationTable) -> Error {
    error.context(format!("While bringing rows of {}, a table of an extension.", table.name.shown())).or_hint(
        "Remove the cause, on the destination or in the rows of the source, then SELECT courier.resume({task});",
    )
}
