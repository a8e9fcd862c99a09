//! The source is this server: SQL by SPI, tables from the heap, WAL decoded in the process that asks for it.

mod slot;

use super::{Asker, SlotState, Source, SourceIdentity};
use crate::decode::context;
use crate::error::Result;
use crate::logicalrep::names::{self, quote_literal};
use crate::logicalrep::{Lsn, Row};
use crate::pg::{compat, slots, spi, xact};

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
    pub fn new(task: &str, owner: u32) -> Local {
        Local { slot: names::slot_name(task), owner }
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
        let set = |(name, value): &(&str, &str)| {
            format!("pg_catalog.set_config({}, {}, true)", quote_literal(name), quote_literal(value))
        };
        let set: Vec<String> = settings.iter().map(set).collect();
        spi::as_role(self.owner, || {
            spi::query(&format!("SELECT {}", set.join(", ")), &[])?;
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

    fn flushed(&self) -> Lsn {
        compat::flush_lsn()
    }

    fn mark(&mut self) -> Lsn {
        xact::write_mark(c"pg_courier mark")
    }
}
