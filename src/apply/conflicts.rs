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

use super::collect::route::HUGE;
use super::session::answers::TryOutcome;
use super::writer::Writer;
use crate::catalog::ConflictPolicy;
use crate::destination::dialect::{ConflictRecord, Involved, RowsThere, Trial};
use crate::error::{Error, Result, sqlstate};
use crate::logicalrep::relation::{Fields, is_unchanged};
use crate::logicalrep::{Change, Lsn, Relation};

/// Unique constraints of a table that one row may collide with.
const MOST_COLLISIONS: usize = 32;

/// What to do about a refused change.
#[derive(Debug, PartialEq, Eq)]
enum Decision {
    Stop,
    /// Leave it out, under this word.
    LeaveOut(&'static str),
    /// Delete the rows in its way, and try again.
    Overwrite,
    /// Insert the row that should have been there.
    Insert,
}

/// The option of the task, and the change that a person wants left out.
#[derive(Clone, Copy, Debug)]
pub(super) struct Policy {
    pub(super) conflict: ConflictPolicy,
    pub(super) skip: Lsn,
}

impl Policy {
    /// Is anything else to be done about a refused change than to stop?
    pub(super) fn may_resolve(&self, change: Lsn) -> bool {
        self.conflict != ConflictPolicy::Error || self.skips(change)
    }

    pub(super) fn skips(&self, change: Lsn) -> bool {
        self.skip.is_valid() && change == self.skip
    }
}

impl Writer {
    /// Applies one change, or does what the policy says about its error.
    pub(super) fn apply_or_resolve(
        &mut self,
        policy: Policy,
        relation: &Rc<Relation>,
        change: Change<'_>,
    ) -> Result<()> {
        let is_skipped = policy.skips(self.lanes.flights.current.change_lsn);
        self.open_group(None)?;
        for _ in 0..MOST_COLLISIONS {
            let Some(error) = self.attempt(|writer| {
                writer.send_change(relation, change)?;
                // A constraint that is looked at before the commit would be broken too late to leave this change out.
                if is_skipped { writer.send_probes() } else { Ok(()) }
            })?
            else {
                return Ok(());
            };
            match decide(policy.conflict, is_skipped, error.sqlstate(), change) {
                Decision::Stop => return Err(error),
                Decision::LeaveOut(word) => {
                    let collision = self.collision(relation, change, &error)?;
                    return self.record(relation, change, &error, word, RowsThere::Shown, &collision);
                }
                Decision::Insert => {
                    self.record(relation, change, &error, "inserted", RowsThere::Nothing, &[])?;
                    let Change::Update { row, .. } = change else { return Err(error) };
                    return self.apply_or_resolve(policy, relation, Change::Insert { row });
                }
                Decision::Overwrite => self.make_way(relation, change, error)?,
            }
        }
        Err(Error::internal("the change collides with row after row"))
    }

    /// Deletes the rows in the way of the change.
    fn make_way(&mut self, relation: &Rc<Relation>, change: Change<'_>, error: Error) -> Result<()> {
        let collision = self.collision(relation, change, &error)?;
        if collision.is_empty() {
            return Err(error.context(
                "The constraint has an expression, a condition or columns that do not travel: the row in the way cannot be \
                 found by it.",
            ));
        }
        self.record(relation, change, &error, "overwritten", RowsThere::Deleted, &collision)
    }

    /// The TRUNCATE that `skip_change` names: it has no rows to show, only tables.
    pub(super) fn truncate_or_skip(&mut self, relations: &[Rc<Relation>], restart_sequences: bool) -> Result<()> {
        self.open_group(None)?;
        let Some(error) = self.attempt(|writer| writer.send_truncate(relations, restart_sequences))? else {
            return Ok(());
        };
        for relation in relations {
            let record = self.dialect().record(&self.facts(relation, "TRUNCATE", &error, "skipped"));
            self.lanes.command(&record)?;
        }
        self.lanes.settle()
    }

    /// Sends a change behind a savepoint; returns the error that undid it.
    fn attempt(&mut self, send: impl FnOnce(&mut Writer) -> Result<()>) -> Result<Option<Error>> {
        assert!(self.group.is_block(), "a savepoint lies in a block");
        self.lanes.begin_attempt()?;
        let before = self.statements_made();
        self.lanes.command(&self.dialect().trial(Trial::Begins))?;
        let sent = send(self);
        let TryOutcome { error, not_prepared } = self.lanes.end_attempt(sent)?;
        if error.is_none() {
            self.lanes.command(&self.dialect().trial(Trial::Succeeds))?;
            return Ok(None);
        }
        self.lanes.command(&self.dialect().trial(Trial::Fails))?;
        if not_prepared {
            self.forget_refused(before);
        }
        self.lanes.settle()?;
        Ok(error)
    }

    /// The columns by which the row in the way is found: those of the constraint that was violated, if the change has
    /// them all. None for a missing row.
    fn collision(&mut self, relation: &Relation, change: Change<'_>, error: &Error) -> Result<Vec<usize>> {
        let (Some(name), Some(row)) = (error.constraint_name(), row_of(change)) else { return Ok(Vec::new()) };
        let names = self.lanes.plain()?.exchange().columns_of_unique_index(&relation.target(), name)?;
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
        found: RowsThere,
        by: &[usize],
    ) -> Result<()> {
        let told = Told::of(relation, change);
        if told.is_empty() {
            let record = self.dialect().record(&self.facts(relation, told.verb, error, decision));
            self.lanes.command(&record)?;
            return self.lanes.settle();
        }
        let key_columns: &[usize] = if told.key.is_some() { &relation.key } else { &[] };
        self.params.start(relation, key_columns.iter().chain(&told.given).copied());
        told.key.iter().for_each(|key| self.params.push(0, key, &[]));
        told.row.iter().for_each(|row| self.params.push(key_columns.len(), row, &told.left_out));
        let is_huge = told.row.is_some_and(|row| row.len() >= HUGE);
        let found = if by.is_empty() || found == RowsThere::Shown && is_huge { RowsThere::Nothing } else { found };
        let there = self.there(relation)?;
        let rows = Involved { there: &there, has_key: told.key.is_some(), given: &told.given, found, by };
        let statement = self.dialect().record_rows(&self.facts(relation, told.verb, error, decision), &rows);
        let session = self.lanes.pipeline()?;
        session.prepare("", &statement, None)?;
        session.execute_own("", self.params.finish(None).iter().map(Vec::as_slice))?;
        self.lanes.settle()
    }

    fn facts<'a>(
        &'a self,
        relation: &'a Relation,
        change: &'a str,
        error: &'a Error,
        decision: &'a str,
    ) -> ConflictRecord<'a> {
        ConflictRecord {
            task_id: self.task_id(),
            lsn: self.lanes.flights.current.change_lsn,
            commit_lsn: self.lanes.flights.current.commit_lsn,
            relation,
            change,
            error,
            decision,
        }
    }
}

/// What is written down of a change's rows.
#[derive(Debug, PartialEq, Eq)]
struct Told<'a> {
    verb: &'static str,
    key: Option<&'a [u8]>,
    row: Option<&'a [u8]>,
    /// Columns of the row that are shown, and those that are not.
    given: Vec<usize>,
    left_out: Vec<usize>,
}

impl<'a> Told<'a> {
    fn of(relation: &Relation, change: Change<'a>) -> Told<'a> {
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
        let fields = row.map(Fields).into_iter().flatten().enumerate();
        let left_out: Vec<usize> = fields.filter(|(_, field)| is_left_out(field)).map(|(column, _)| column).collect();
        let is_given = |column: &usize| row.is_some() && !left_out.contains(column);
        let given = (0..relation.columns.len()).filter(is_given).collect();
        Told { verb, key, row, given, left_out }
    }

    fn is_empty(&self) -> bool {
        self.key.is_none() && self.given.is_empty()
    }
}

/// What to do about a change that the destination refused with this SQLSTATE.
fn decide(policy: ConflictPolicy, is_skipped: bool, sqlstate: &str, change: Change<'_>) -> Decision {
    const UNIQUE_VIOLATION: &str = "23505";
    const EXCLUSION_VIOLATION: &str = "23P01";
    if is_skipped {
        return Decision::LeaveOut("skipped");
    }
    let is_missing = sqlstate == sqlstate::NO_DATA_FOUND;
    let collides = [UNIQUE_VIOLATION, EXCLUSION_VIOLATION].contains(&sqlstate);
    match (policy, change) {
        (ConflictPolicy::Error, _) => Decision::Stop,
        (_, Change::Delete { .. }) if is_missing => Decision::LeaveOut("ignored"),
        (ConflictPolicy::Ignore, _) if is_missing || collides => Decision::LeaveOut("ignored"),
        (ConflictPolicy::Overwrite, _) if sqlstate == UNIQUE_VIOLATION => Decision::Overwrite,
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

fn row_of(change: Change<'_>) -> Option<&[u8]> {
    match change {
        Change::Insert { row } | Change::Update { row, .. } => Some(row),
        Change::Delete { .. } => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logicalrep::relation::UNCHANGED_FIELD;

    #[test]
    fn what_is_done_about_a_refused_change_depends_on_the_option() {
        use ConflictPolicy::{Error, Ignore, Overwrite};
        use Decision::{Insert, LeaveOut, Stop};
        let row = [&1i32.to_be_bytes()[..], b"a"].concat();
        let partial = [&row[..], &UNCHANGED_FIELD.to_be_bytes()].concat();
        let insert = Change::Insert { row: &row };
        let update = Change::Update { old: &row, row: &row };
        let partial = Change::Update { old: &row, row: &partial };
        let delete = Change::Delete { old: &row };
        let (unique, exclusion, missing, check) = ("23505", "23P01", "P0002", "23514");
        for (policy, sqlstate, change, expected) in [
            (Error, unique, insert, Stop),
            (Error, missing, update, Stop),
            (Error, missing, delete, Stop),
            (Ignore, unique, insert, LeaveOut("ignored")),
            (Ignore, unique, update, LeaveOut("ignored")),
            (Ignore, exclusion, insert, LeaveOut("ignored")),
            (Ignore, missing, update, LeaveOut("ignored")),
            (Ignore, missing, partial, LeaveOut("ignored")),
            (Ignore, missing, delete, LeaveOut("ignored")),
            (Ignore, check, insert, Stop),
            (Overwrite, unique, insert, Decision::Overwrite),
            (Overwrite, unique, update, Decision::Overwrite),
            // Which row is in the way is not known.
            (Overwrite, exclusion, insert, Stop),
            (Overwrite, missing, update, Insert),
            // The WAL does not hold all of the row.
            (Overwrite, missing, partial, Stop),
            (Overwrite, missing, delete, LeaveOut("ignored")),
            (Overwrite, check, update, Stop),
        ] {
            assert_eq!(decide(policy, false, sqlstate, change), expected, "{policy:?} {sqlstate} {change:?}");
            assert_eq!(decide(policy, true, sqlstate, change), LeaveOut("skipped"), "{policy:?} {sqlstate} {change:?}");
        }
    }

    #[test]
    fn what_is_told_of_a_change_is_its_key_and_what_the_log_holds_of_its_row() {
        let mut relation = crate::destination::fixture::relation();
        let key = [&1i32.to_be_bytes()[..], b"1"].concat();
        let partial = [&key[..], &UNCHANGED_FIELD.to_be_bytes()].concat();
        let update = Change::Update { old: &key, row: &partial };
        let told = Told::of(&relation, update);
        assert_eq!((told.verb, told.key, told.row), ("UPDATE", Some(&key[..]), Some(&partial[..])));
        assert_eq!((told.given, told.left_out), (vec![0], vec![1]));
        let told = Told::of(&relation, Change::Delete { old: &key });
        assert_eq!((told.verb, told.key, told.row), ("DELETE", Some(&key[..]), None));
        assert!(told.given.is_empty() && !told.is_empty());
        let told = Told::of(&relation, Change::Insert { row: &partial });
        assert_eq!((told.verb, told.key, told.given), ("INSERT", None, vec![0]));
        // Without a key the old row is what there is to show.
        relation.key.clear();
        let told = Told::of(&relation, Change::Delete { old: &partial });
        assert_eq!((told.key, told.row, told.given), (None, Some(&partial[..]), vec![0]));
    }

    #[test]
    fn one_change_is_skipped() {
        let policy = |conflict, skip| Policy { conflict, skip: Lsn(skip) };
        assert!(policy(ConflictPolicy::Error, 7).skips(Lsn(7)));
        assert!(!policy(ConflictPolicy::Error, 7).skips(Lsn(8)));
        assert!(!policy(ConflictPolicy::Error, 0).skips(Lsn(0)));
        assert!(policy(ConflictPolicy::Error, 7).may_resolve(Lsn(7)));
        assert!(!policy(ConflictPolicy::Error, 7).may_resolve(Lsn(8)));
        assert!(policy(ConflictPolicy::Ignore, 0).may_resolve(Lsn(8)));
    }
}
