//! A source for unit tests: it gives the answers that it was given, in their order, and remembers what it was asked. It has no slot
//! and no rows to copy.

use std::collections::VecDeque;

use super::{Asker, ChangeStream, CopyWay, SlotState, Source, SourceIdentity, TableReader};
use crate::catalog::tables::TaskTable;
use crate::decode::ChangeSink;
use crate::error::{Error, Result};
use crate::logicalrep::{CopySnapshot, Lsn, Row};

#[derive(Default)]
pub struct FakeSource {
    answers: VecDeque<Vec<Row>>,
    pub asked: Vec<(Asker, String)>,
    written: Lsn,
}

impl FakeSource {
    /// Where WAL ends. It grows with each question, as that of a source does on which others write.
    pub fn at(written: Lsn) -> FakeSource {
        FakeSource { written, ..FakeSource::default() }
    }

    /// The answer to the next question that has none yet.
    pub fn answers(mut self, columns: &[&str], rows: &[&[Option<&str>]]) -> FakeSource {
        let names: std::rc::Rc<[String]> = columns.iter().map(|name| (*name).to_owned()).collect();
        let row = |values: &&[Option<&str>]| {
            Row::new(values.iter().map(|value| value.map(str::to_owned)).collect(), names.clone())
        };
        self.answers.push_back(rows.iter().map(row).collect());
        self
    }
}

fn has_none<T>(what: &str) -> Result<T> {
    Err(Error::internal(format!("a fake source has no {what}")))
}

impl Source for FakeSource {
    fn ask(&mut self, asker: Asker, sql: &str, _params: &[Option<&str>]) -> Result<Vec<Row>> {
        self.asked.push((asker, sql.to_owned()));
        self.written.0 += 1;
        self.answers.pop_front().map_or_else(|| has_none("such answer"), Ok)
    }

    fn ask_printed(&mut self, _settings: &[(&str, &str)], sql: &str) -> Result<Vec<Row>> {
        self.ask(Asker::Owner, sql, &[])
    }

    fn identity(&mut self) -> Result<SourceIdentity> {
        has_none("identity")
    }

    fn slot(&mut self) -> Result<Option<SlotState>> {
        Ok(None)
    }

    fn create_slot(&mut self) -> Result<Lsn> {
        has_none("slots")
    }

    fn blockers_of(&mut self, _process: i32) -> Result<String> {
        Ok(String::new())
    }

    fn drop_slot(&mut self) -> Result<()> {
        Ok(())
    }

    fn wait_for_older(&mut self, _show: &mut dyn FnMut(usize, &str)) -> Result<()> {
        Ok(())
    }

    fn copy(&mut self, _tables: &[&TaskTable], _way: CopyWay<'_>) -> Result<Box<dyn TableReader>> {
        has_none("rows")
    }

    fn export_snapshot(&mut self, _tables: &[u32]) -> Result<String> {
        has_none("snapshot")
    }

    fn stream(&mut self, _from: Lsn, _sink: Box<dyn ChangeSink>) -> Result<Box<dyn ChangeStream>> {
        has_none("changes")
    }

    fn flushed(&self) -> Lsn {
        self.written
    }

    fn written(&self) -> Lsn {
        self.written
    }

    fn moment(&mut self) -> Result<CopySnapshot> {
        CopySnapshot::parse("1:1:", self.written).map_err(Error::internal)
    }

    fn mark(&mut self) -> Lsn {
        self.written
    }
}
