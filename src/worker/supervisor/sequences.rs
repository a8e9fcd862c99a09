//! The values of sequences on the destination: exact for whoever waits for them, otherwise ahead of the rows.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use super::retry::FOLLOW_EVERY;
use crate::catalog::Task;
use crate::catalog::sequences::{self, SequenceValue};
use crate::destination::{Claimant, Destination, SequenceTo};
use crate::error::{Error, Result, sqlstate};
use crate::guc;
use crate::logicalrep::TableName;
use crate::pg::{report, xact};
use crate::source::Source;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exactness {
    /// As on the source: for who takes over now.
    Exact,
    /// Never behind the rows, whenever the source dies.
    Ahead,
}

/// Brings sequence values over; remembers what the source had then.
#[derive(Default)]
pub struct SequenceSync {
    sent: HashMap<String, SequenceValue>,
    /// Not there; said once.
    missing: HashSet<String>,
    last: Option<Instant>,
    failed: Option<Instant>,
    /// Are values on the destination exact? The first number drawn makes them too low, so that is looked for more often.
    is_exact: bool,
}

impl SequenceSync {
    pub fn is_due(&self) -> bool {
        self.due_in().is_zero()
    }

    pub fn due_in(&self) -> Duration {
        let every = if self.is_exact { FOLLOW_EVERY } else { guc::sequence_interval() };
        self.last.map_or(Duration::ZERO, |last| every.saturating_sub(last.elapsed()))
    }

    pub fn postpone(&mut self) {
        (self.last, self.failed, self.is_exact) = (Some(Instant::now()), Some(Instant::now()), false);
    }

    /// Who waits nudges several times a second; a destination that is away is not asked that often.
    pub fn has_just_failed(&self) -> bool {
        self.failed.is_some_and(|at| at.elapsed() < FOLLOW_EVERY)
    }

    pub fn sync(
        &mut self,
        task: &Task,
        source: &mut dyn Source,
        claimant: &Claimant,
        destination: &mut Destination,
        exactness: Exactness,
    ) -> Result<()> {
        self.last = Some(Instant::now());
        let found = xact::in_transaction(|| sequences::read(task, source))?;
        if !found.values.is_empty() {
            destination.check_writer(&claimant.claim(task))?;
        }
        for value in found.values {
            let before = self.sent.get(&value.name);
            if exactness == Exactness::Ahead && before == Some(&value) {
                continue;
            }
            let (to, is_called) = match exactness {
                Exactness::Exact => (value.last_value, value.is_called),
                Exactness::Ahead => (value.ahead(before), true),
            };
            if exactness == Exactness::Ahead {
                self.is_exact = false;
            }
            // One that only a pattern names may have been made after the start, or be left out there on purpose; one of a task that applies
            // commands comes with its command, or is gone there.
            let to = SequenceTo {
                name: &value.name,
                value: to,
                is_called,
                may_go_back: exactness == Exactness::Exact,
                descends: value.increment < 0,
                is_needed: value.is_needed && !task.has_model(),
            };
            let is_there = destination.set_sequence(&to).map_err(|error| {
                error.context(format!("While setting sequence {}.", TableName::shown_as(&value.name)))
            })?;
            if !is_there {
                if task.has_model() || !self.missing.insert(value.name.clone()) {
                    continue;
                }
                report::log(
                    &Error::new(
                        sqlstate::UNDEFINED_TABLE,
                        format!(
                            "sequence {} is not on the destination or not the user's, its value does not follow",
                            TableName::shown_as(&value.name)
                        ),
                    )
                    .hint("Create it there, as it is on the source; its value comes with the next round."),
                    "pg_courier brings sequences to the destination",
                );
                continue;
            }
            self.sent.insert(value.name.clone(), value);
        }
        self.is_exact |= exactness == Exactness::Exact;
        sequences::check_denied(&found.denied, &task.owner_name)
    }
}
