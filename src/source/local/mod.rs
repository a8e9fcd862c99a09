//! The source is this server: SQL by SPI, tables from the heap, WAL decoded in the process that asks for it.

mod copy;
mod slot;
mod stream;

use super::{Asker, ChangeStream, CopyWay, SlotState, Source, SourceIdentity, TableReader};
use crate::catalog::tables::TaskTable;
use crate::decode::{ChangeSink, context};
use crate::error::{Error, Result};
use crate::logicalrep::{CopySnapshot, Lsn, Row};
use crate::pg::{compat, slots, spi, xact};
use copy::HeapReader;
use stream::WalStream;

/// Databases whose tasks have a slot that nobody reads and that keeps at least so many bytes of WAL. In any process.
pub fn databases_keeping(bytes: u64) -> Vec<u32> {
    slots::databases_keeping(context::PLUGIN, bytes)
}

/// Names of the slots of tasks of the database that somebody reads now. In any process.
pub fn slots_in_use(database: u32) -> Vec<String> {
    slots::in_use(database, context::PLUGIN)
}

pub struct Local {
    slot: String,
    owner: u32,
}

impl Local {
    pub fn new(slot: &str, owner: u32) -> Local {
        Local { slot: slot.to_owned(), owner }
    }
}

impl Source for Local {
    fn ask(&mut self, asker: Asker, sql: &str, params: &[Option<&str>]) -> Result<Vec<Row>> {
        match asker {
            Asker::Extension => spi::as_extension(|| spi::query(sql, params)),
            Asker::Owner => spi::as_role(self.owner, || spi::query(sql, params)),
        }
    }

    /// The settings go with the identity, so both are asked under one.
    fn ask_printed(&mut self, settings: &[(&str, &str)], sql: &str) -> Result<Vec<Row>> {
        spi::as_role(self.owner, || {
            spi::set_meanwhile(settings.iter().copied())?;
            spi::query(sql, &[])
        })
    }

    fn identity(&mut self) -> Result<SourceIdentity> {
        let database = spi::query_one("SELECT pg_catalog.current_database()", &[])?.string(0)?;
        let system = xact::system_identifier();
        Ok(SourceIdentity {
            shown: format!("{database} on system {system}"),
            id: format!("{system}.{}", xact::database_id()),
        })
    }

    fn slot(&mut self) -> Result<Option<SlotState>> {
        slot::state(&self.slot)
    }

    fn create_slot(&mut self) -> Result<Lsn> {
        context::allow_own_plugin()?;
        context::create_slot(&self.slot)
    }

    fn blockers_of(&mut self, process: i32) -> Result<String> {
        slot::blockers_of(process)
    }

    fn drop_slot(&mut self) -> Result<()> {
        context::drop_slot(&self.slot)
    }

    fn wait_for_older(&mut self, show: &mut dyn FnMut(usize, &str)) -> Result<()> {
        slot::wait_for_older(show)
    }

    fn copy(&mut self, tables: &[&TaskTable], way: CopyWay<'_>) -> Result<Box<dyn TableReader>> {
        Ok(Box::new(HeapReader::begin(tables, self.owner, way)?))
    }

    fn export_snapshot(&mut self, tables: &[u32]) -> Result<String> {
        copy::export_snapshot(tables)
    }

    fn stream(&mut self, from: Lsn, sink: Box<dyn ChangeSink>) -> Result<Box<dyn ChangeStream>> {
        Ok(Box::new(WalStream::begin(&self.slot, from, sink)?))
    }

    fn flushed(&self) -> Lsn {
        compat::flush_lsn()
    }

    fn written(&self) -> Lsn {
        compat::insert_lsn()
    }

    fn moment(&mut self) -> Result<CopySnapshot> {
        let (snapshot, lsn) = copy::moment()?;
        CopySnapshot::parse(&snapshot, lsn).map_err(Error::internal)
    }

    fn mark(&mut self) -> Lsn {
        xact::write_mark(c"pg_courier mark")
    }
}
