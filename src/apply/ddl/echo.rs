//! Commands that came from the destination: two databases, each the source of the other. There they are done, and here they were applied by
//! the other task; what is left is that this task knows of it. Nothing is run, and whatever has come into its reach is there with its rows.

use super::decide::{Said, decide};
use super::{Command, State, aside, leave_out_gone, model, signed};
use crate::apply::applier::Applier;
use crate::destination::CommandDone;
use crate::error::{Error, Result};
use crate::logicalrep::{CopySnapshot, TableName, Transaction};
use crate::schema::captured::Captured;
use crate::schema::governed::{KindPolicy, Policies};
use crate::schema::image::Name;

impl Applier {
    pub(super) fn hear_echo(
        &mut self,
        transaction: &Transaction,
        command: &Command,
        mut captured: Captured,
    ) -> Result<()> {
        captured.created = captured.image.roots().collect();
        // It is there already, whoever owns it here.
        captured.owners.clear();
        let snapshot = CopySnapshot::of_moment(&command.snapshot).map_err(Error::internal)?;
        let xid = snapshot.full(transaction.xid);
        self.stand_still()?;
        let task_id = self.writer.task_id().to_owned();
        let selection = self.selection.clone();
        let pending = self.pending()?;
        let destination = self.writer.lanes.plain()?.exchange();
        leave_out_gone(destination, &task_id, xid, &snapshot, &mut captured)?;
        let followed = selection.known().into_iter().collect();
        let before = model(destination, &task_id, &captured, &pending, followed)?;
        let available = destination.available(&signed::causes(&captured.causes, &before.model))?;
        let (trust, captured) = (&self.trust, &captured);
        let policies: Policies = &|_, _| KindPolicy::Replicate;
        let said = Said { xid, snapshot: &snapshot, captured, loads: None, trust, policies, available: &available };
        let names = |name: &Name, parents: &[u32]| selection.names(&TableName::new(&name.schema, &name.name), parents);
        let decided = decide(&said, before, names).map_err(Error::internal)?;
        let concerns = !decided.store.is_empty() || !decided.forget.is_empty();
        aside::forget_gone(destination, &task_id, &decided, &pending)?;
        destination.store_model(&task_id, decided.store.iter())?;
        destination.bury(&task_id, &decided.forget, &decided.retired, xid)?;
        let state = if concerns { State::Applied } else { State::Filtered }.as_str();
        let done = CommandDone { id: command.id, state, note: None, objects: &[], statements: &[], ms: 0 };
        destination.note_command(&task_id, &done)?;
        self.stands_alone = true;
        self.take_notice(transaction, &decided);
        if captured.rewrite.is_none() {
            self.command_ends();
        }
        Ok(())
    }
}
