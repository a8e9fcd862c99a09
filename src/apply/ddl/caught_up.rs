//! A row of a table in a shape that nobody told of, and an image of it that was captured later: it is applied where it is needed.

use std::rc::Rc;

use super::Command;
use crate::apply::applier::Applier;
use crate::apply::captures::CapturedLater;
use crate::error::{Error, Result};
use crate::logicalrep::{Relation, Transaction};
use crate::schema::image::Class;

impl Applier {
    /// Before the first row of this definition. Where the stream comes to the image itself, the model has it.
    #[cold]
    pub(in crate::apply) fn catch_up(&mut self, relation: &Rc<Relation>) -> Result<()> {
        let Some(capture) = self.captures.take(relation) else { return Ok(()) };
        self.stand_still()?;
        let task_id = self.writer.task_id().to_owned();
        let object = (Class::Relation, relation.oid);
        let known = self.writer.lanes.plain()?.exchange().model_of(&task_id, &[object])?;
        let columns = known.iter().flat_map(|(_, known)| &known.kept.image.tables).flat_map(|table| &table.columns);
        let names: Vec<&str> = columns.map(|column| column.name.as_str()).collect();
        if names.is_empty() || relation.columns.iter().all(|column| names.contains(&column.name.as_str())) {
            return Ok(());
        }
        let current = self.writer.lanes.flights.current;
        self.apply_later(&current, &capture)
    }

    /// In this transaction, as if its command had been told of here.
    pub(super) fn apply_later(&mut self, transaction: &Transaction, capture: &CapturedLater) -> Result<()> {
        match self.apply_capture {
            Some(apply) => apply(self, transaction, capture),
            None => Err(Error::internal("images are captured for a task that applies no commands")),
        }
    }

    pub(super) fn apply_capture(&mut self, transaction: &Transaction, capture: &CapturedLater) -> Result<()> {
        let command = Command {
            id: capture.id,
            snapshot: capture.snapshot.clone(),
            image: capture.image.clone(),
            tag: capture.tag.clone(),
        };
        self.command(&Transaction { xid: capture.xid, is_echo: false, ..*transaction }, &command)?;
        self.enter(transaction);
        Ok(())
    }
}
