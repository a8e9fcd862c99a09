//! A change that the destination refuses, in serial mode: task option `conflict`, and `courier.skip_change`.
//!
//! | the destination                       | `ignore`          | `overwrite`                                     |
//! |---------------------------------------|-------------------|-------------------------------------------------|
//! | has a row with the same unique value  | its row stays     | its rows with that value go, the change is made |
//! | lacks the row to update               | nothing happens   | the row is inserted, if the WAL holds all of it |
//! | lacks the row to delete               | nothing happens   | nothing happens                                 |
//!
//! Everything else, and everything with `error`, stops the task. The change that `skip_change` names is left out whatever
//! the reason, a TRUNCATE as well. Each decision is a row of `courier_applied.conflicts` on the destination, written in the transaction that carries
//! it out, so it is there exactly once.
//!
//! Merged batches know nothing of this: their error leads to the serial mode, where each change has a savepoint.

use std::rc::Rc;

use super::applier::{Applier, Sent};
use super::huge::HUGE;
use crate::catalog::ConflictPolicy;
use crate::destination::dialect::{Facts, Found, Involved, Trial};
use crate::error::{Error, Remedy, Result, sqlstate};
use crate::logicalrep::relation::{Fields, is_unchanged};
use crate::logicalrep::{Change, Relation};

/// Unique constraints of a table that one row may collide with.
const MOST_COLLISIONS: usize = 32;

/// A change being tried: its error is kept instead of ending the worker.
#[derive(Default)]
pub(super) struct Attempt {
    under_way: bool,
    error: Option<Error>,
    /// Was it the statement itself that the destination refused? Then it is not prepared there.
    not_prepared: bool,
}

impl Attempt {
    pub(super) fn fail(&mut self, error: Error) -> Result<()> {
        // What passes by itself is not a conflict: deadlock, timeout, lost connection.
        if !self.under_way || error.remedy() != Remedy::Stop {
            return Err(error);
        }
        self.error.get_or_insert(error);
        Ok(())
    }

    pub(super) fn fail_to_prepare(&mut self, error: Error) -> Result<()> {
        self.not_prepared = true;
        self.fail(error)
    }
}

/// What to do about a refused change.
enum Decision {
    Stop,
    /// Leave it out, under this word.
    LeaveOut(&'static str),
    /// Delete the rows in its way, and try again.
    Overwrite,
    /// Insert the row that should have been there.
    Insert,
}

impl Applier {
    /// Is anything else to be done about a refused change than to stop?
    pub(super) fn may_resolve(&self) -> bool {
        self.plan.conflict != ConflictPolicy::Error || self.is_to_be_skipped()
    }

    pub(super) fn is_to_be_skipped(&self) -> bool {
        self.plan.skip.is_valid() && self.current.change_lsn == self.plan.skip
    }

    pub(super) fn apply_or_resolve(&mut self, relation: &Rc<Relation>, change: Change<'_>) -> Result<()> {
        self.open_group(None)?;
        for _ in 0..MOST_COLLISIONS {
            let Some(error) = self.attempt(|applier| {
                applier.send_change(relation, change)?;
                // A constraint that is looked at before the commit would be broken too late to leave this change out.
                if applier.is_to_be_skipped() { applier.send_probes() } else { Ok(()) }
            })?
            else {
                return Ok(());
            };
            match self.decide(&error, change) {
                Decision::Stop => return Err(error),
                Decision::LeaveOut(word) => {
                    let collision = self.collision(relation, change, &error)?;
                    return self.record(relation, change, &error, word, Found::Shown, &collision);
                }
                Decision::Insert => {
                    self.record(relation, change, &error, "inserted", Found::Nothing, &[])?;
                    let Change::Update { row, .. } = change else { return Err(error) };
                    return self.apply_or_resolve(relation, Change::Insert { row });
                }
                Decision::Overwrite => {
                    let collision = self.collision(relation, change, &error)?;
                    if collision.is_empty() {
                        return Err(error.context(
                            "The constraint has an expression, a condition or columns that do not travel: the row in the \
                             way cannot be found by it.",
                        ));
                    }
                    self.record(relation, change, &error, "overwritten", Found::Deleted, &collision)?;
                }
            }
        }
        Err(Error::internal("the change collides with row after row"))
    }

    /// The TRUNCATE that `skip_change` names: it has no rows to show, only tables.
    pub(super) fn truncate_or_skip(&mut self, relations: &[Rc<Relation>], restart_sequences: bool) -> Result<()> {
        self.open_group(None)?;
        let Some(error) = self.attempt(|applier| applier.send_truncate(relations, restart_sequences))? else {
            return Ok(());
        };
        for relation in relations {
            let record = self.dialect().record(&self.facts(relation, "TRUNCATE", &error, "skipped"));
            self.send_command(&record)?;
        }
        self.settle()
    }

    /// Sends a change behind a savepoint; returns the error that undid it.
    fn attempt(&mut self, send: impl FnOnce(&mut Applier) -> Result<()>) -> Result<Option<Error>> {
        self.settle()?;
        let before = self.statements_made;
        self.attempt = Attempt { under_way: true, ..Attempt::default() };
        self.send_command(&self.dialect().trial(Trial::Begins))?;
        if let Err(error) = send(self) {
            self.attempt.fail(error)?;
        }
        // After an error the destination ignores everything up to a sync. Inside the block it commits nothing.
        self.destination.send_sync()?;
        self.sent.push_back(Sent::Sync);
        self.settle()?;
        let Attempt { error, not_prepared, .. } = std::mem::take(&mut self.attempt);
        if error.is_none() {
            self.send_command(&self.dialect().trial(Trial::Succeeds))?;
            return Ok(None);
        }
        self.send_command(&self.dialect().trial(Trial::Fails))?;
        if not_prepared {
            self.statements.retain(|_, made| made.number <= before);
            self.statements_weight = self.statements.values().map(|made| made.weight).sum();
        }
        self.settle()?;
        Ok(error)
    }

    fn decide(&self, error: &Error, change: Change<'_>) -> Decision {
        const UNIQUE_VIOLATION: &str = "23505";
        const EXCLUSION_VIOLATION: &str = "23P01";
        if self.is_to_be_skipped() {
            return Decision::LeaveOut("skipped");
        }
        let is_missing = error.sqlstate() == sqlstate::NO_DATA_FOUND;
        let collides = [UNIQUE_VIOLATION, EXCLUSION_VIOLATION].contains(&error.sqlstate());
        match (self.plan.conflict, change) {
            (ConflictPolicy::Error, _) => Decision::Stop,
            (_, Change::Delete { .. }) if is_missing => Decision::LeaveOut("ignored"),
            (ConflictPolicy::Ignore, _) if is_missing || collides => Decision::LeaveOut("ignored"),
            (ConflictPolicy::Overwrite, _) if error.sqlstate() == UNIQUE_VIOLATION => Decision::Overwrite,
            (ConflictPolicy::Overwrite, Change::Update { row, .. }) if is_missing => {
                if Fields(row).any(is_unchanged) {
                    Decision::Stop
                } else {
                    Decision::Insert
                }
            }
            _ => Decision::Stop,
        }
    }

    /// The columns by which the row in the way is found: those of the constraint that was violated, if the change has
    /// them all. None for a missing row.
    fn collision(&mut self, relation: &Relation, change: Change<'_>, error: &Error) -> Result<Vec<usize>> {
        let (Some(name), Some(row)) = (error.constraint_name(), row_of(change)) else { return Ok(Vec::new()) };
        self.leave_pipeline()?;
        let names = self.destination.columns_of_unique_index(&relation.target(), name)?;
        let fields: Vec<&[u8]> = Fields(row).collect();
        let mut columns = Vec::new();
        for name in names {
            match relation.columns.iter().position(|column| column.name == name) {
                Some(column) if fields.get(column).is_some_and(|field| !is_unchanged(field)) => columns.push(column),
                _ => return Ok(Vec::new()),
            }
        }
        Ok(columns)
    }

    /// Writes the decision down, with the rows it concerns.
    fn record(
        &mut self,
        relation: &Rc<Relation>,
        change: Change<'_>,
        error: &Error,
        decision: &str,
        found: Found,
        by: &[usize],
    ) -> Result<()> {
        let (verb, old) = match change {
            Change::Insert { .. } => ("INSERT", None),
            Change::Update { old, .. } => ("UPDATE", Some(old)),
            Change::Delete { old } => ("DELETE", Some(old)),
        };
        // A table without a key identifies a row by all of it: then the old row is what there is to show.
        let by_row = relation.key.is_empty();
        let (key, row) = if by_row { (None, row_of(change).or(old)) } else { (old, row_of(change)) };
        // A value for people to look at; jsonb takes no string of more than 256 MB.
        let is_left_out = |field: &[u8]| is_unchanged(field) || field.len() >= HUGE;
        let skip: Vec<usize> = match row {
            Some(row) => Fields(row).enumerate().filter(|(_, f)| is_left_out(f)).map(|(i, _)| i).collect(),
            None => Vec::new(),
        };
        let given: Vec<usize> =
            (0..relation.columns.len()).filter(|column| row.is_some() && !skip.contains(column)).collect();
        let key_columns: &[usize] = if key.is_some() { &relation.key } else { &[] };
        if key_columns.is_empty() && given.is_empty() {
            let record = self.dialect().record(&self.facts(relation, verb, error, decision));
            self.send_command(&record)?;
            return self.settle();
        }
        self.params.start(relation, key_columns.iter().chain(&given).copied());
        if let Some(key) = key {
            self.params.push(0, key, &[]);
        }
        if let Some(row) = row {
            self.params.push(key_columns.len(), row, &skip);
        }
        let is_huge = row.is_some_and(|row| row.len() >= HUGE);
        let found = if by.is_empty() || found == Found::Shown && is_huge { Found::Nothing } else { found };
        let there = self.there(relation)?;
        let rows = Involved { there: &there, has_key: key.is_some(), given: &given, found, by };
        let statement = self.dialect().record_rows(&self.facts(relation, verb, error, decision), &rows);
        self.use_pipeline()?;
        self.destination.send_prepare("", &statement)?;
        self.destination.send_prepared("", self.params.finish(None).iter().map(Vec::as_slice))?;
        for _ in 0..2 {
            self.sent.push_back(Sent::Command { bytes: 0, table: Some(relation.clone()), kind: None });
        }
        self.settle()
    }

    fn facts<'a>(&'a self, relation: &'a Relation, change: &'a str, error: &'a Error, decision: &'a str) -> Facts<'a> {
        Facts {
            task_id: &self.plan.task_id,
            lsn: self.current.change_lsn,
            commit_lsn: self.current.commit_lsn,
            relation,
            change,
            error,
            decision,
        }
    }
}

fn row_of(change: Change<'_>) -> Option<&[u8]> {
    match change {
        Change::Insert { row } | Change::Update { row, .. } => Some(row),
        Change::Delete { .. } => None,
    }
}
