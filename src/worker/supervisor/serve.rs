//! What goes over beside the stream, for who waits for it and now and then: sequences, and rows of extensions' tables.

use std::sync::atomic::Ordering::Relaxed;

use super::context::Context;
use super::sequences::Exactness;
use crate::error::{Error, Remedy, Result};
use crate::pg::{report, xact};

impl Context<'_> {
    /// Sequences go over when someone waits for them, and now and then. A destination that is away for the moment is
    /// the apply worker's problem. What else keeps them back is said: to who waits, once in the log, in the task's row.
    pub fn serve_sequences(&mut self) -> Result<()> {
        let wanted = self.status.sequences_wanted.load(Relaxed);
        let asked = wanted != self.status.sequences_done.load(Relaxed);
        if !asked && !self.sequences.is_due() || self.sequences.has_just_failed() {
            return Ok(());
        }
        let exactness = if asked { Exactness::Exact } else { Exactness::Ahead };
        let trouble = match report::catch(|| self.sync_sequences(exactness)) {
            Ok(()) => {
                if !self.status.sequences_trouble().is_empty() {
                    xact::in_transaction(|| self.task.note_recovered())?;
                }
                String::new()
            }
            Err(error) => {
                xact::abort();
                self.sequences.postpone();
                match self.tell_of_sequences(&error)? {
                    Some(trouble) => trouble,
                    None => return Ok(()),
                }
            }
        };
        self.status.set_sequences_trouble(&trouble);
        self.status.sequences_done.store(wanted, Relaxed);
        self.status.changed.broadcast();
        Ok(())
    }

    pub fn sync_sequences(&mut self, exactness: Exactness) -> Result<()> {
        self.with_destination(|context, destination| {
            let claimant = context.claimant.clone();
            context.sequences.sync(context.task, context.source.as_mut(), &claimant, destination, exactness)
        })?;
        self.sync_configuration(exactness)
    }

    /// Rows of extensions' configuration tables.
    pub fn sync_configuration(&mut self, exactness: Exactness) -> Result<()> {
        let claimant = self.claimant.clone();
        self.configuration.sync(self.task, self.source.as_mut(), &claimant, &self.endpoint, exactness)
    }

    /// What to say to who waits; nothing about an error that passes, whose end he waits for.
    fn tell_of_sequences(&self, error: &Error) -> Result<Option<String>> {
        let text = error.message().to_owned();
        let is_news = self.status.sequences_trouble() != text;
        self.status.set_sequences_trouble(&text);
        if is_news {
            report::log(
                error,
                "pg_courier could not bring sequences, or rows of extensions' tables, to the destination",
            );
        }
        if error.remedy() != Remedy::Stop {
            return Ok(None);
        }
        if is_news {
            xact::in_transaction(|| self.task.record_error(error, false, None))?;
        }
        Ok(Some(text))
    }
}
