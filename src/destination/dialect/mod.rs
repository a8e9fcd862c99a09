//! What is said to a destination while changes are applied, one function for each kind of statement.
//!
//! A dialect makes texts; who sends them, when and in which order is decided by `apply`. Texts are made for the shape of a
//! statement or for a group, never for a row, so that a call through the table costs nothing that could be measured. A
//! [`Sql`] can be made in `destination` only, and its sessions send nothing else: no other module can have text of its own
//! there.
//!
//! A second kind of destination is a second implementation of [`Dialect`] beside `postgres` (unit tests have one that is none), and its answers to the questions
//! of `catalog.rs`.

mod postgres;

pub use postgres::POSTGRES;

use super::full_copy::CopyFormat;
use super::table::{Deferrable, Table};
use crate::error::Error;
use crate::logicalrep::{Lsn, Relation};

/// A text for the destination: one statement, or several that are sent together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sql(String);

impl Sql {
    /// Several statements as one message, in this order.
    pub fn all<const N: usize>(statements: [Option<Sql>; N]) -> Sql {
        let texts: Vec<String> = statements.into_iter().flatten().map(|Sql(text)| text).collect();
        Sql(texts.join("; "))
    }

    pub(super) fn new(text: impl Into<String>) -> Sql {
        Sql(text.into())
    }

    pub(super) fn text(&self) -> &str {
        &self.0
    }
}

/// A statement and the types of its parameters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement {
    pub(super) sql: Sql,
    pub(super) types: Vec<u32>,
}

impl Statement {
    pub fn parameters(&self) -> usize {
        self.types.len()
    }
}

/// A step of the task's progress row, which is also the fence: it succeeds for the writer of this epoch only, and only
/// if the row is where the writer believes it to be.
#[derive(Clone, Copy, Debug)]
pub struct Advance<'a> {
    pub task_id: &'a str,
    pub epoch: i64,
    /// Where the row is before.
    pub from: Lsn,
    pub to: Lsn,
    /// Of the last transaction, in microseconds since 2000; 0 leaves the row's as it is.
    pub commit_time: i64,
}

/// Whose mark a transaction begins with, when it comes to the progress row last.
#[derive(Clone, Copy, Debug)]
pub struct MarkOf<'a> {
    pub task_id: &'a str,
    pub epoch: i64,
    /// No two sessions of a worker that write at the same time have the same.
    pub lane: i16,
}

/// The place of a group among those that run side by side.
#[derive(Clone, Copy, Debug)]
pub struct Turn {
    /// Names the turns of one worker.
    pub class: i32,
    pub number: i32,
}

/// How an update that compares whole tables may be planned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plans {
    /// Rows are found one by one, as everything else wants it.
    ByIndex,
    /// Tables are read as a whole.
    ByScan,
}

/// What becomes of a change that is being tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trial {
    Begins,
    Succeeds,
    /// Takes back what was done since it began.
    Fails,
}

/// What is written down about a change that was not applied as it is.
#[derive(Clone, Copy, Debug)]
pub struct ConflictRecord<'a> {
    pub task_id: &'a str,
    pub lsn: Lsn,
    pub commit_lsn: Lsn,
    pub relation: &'a Relation,
    /// `INSERT`, `UPDATE`, `DELETE` or `TRUNCATE`.
    pub change: &'a str,
    pub error: &'a Error,
    pub decision: &'a str,
}

/// What a conflict has to do with rows of the destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RowsThere {
    Nothing,
    /// Rows equal to the given one in these columns are shown.
    Shown,
    /// They are deleted.
    Deleted,
}

/// The rows of a conflict, as columns of its table.
#[derive(Clone, Copy, Debug)]
pub struct Involved<'a> {
    pub there: &'a Table,
    /// Is the old row's key among the parameters?
    pub has_key: bool,
    /// Columns of the source's row that are among the parameters.
    pub given: &'a [usize],
    pub found: RowsThere,
    /// The columns that rows there have in common with it.
    pub by: &'a [usize],
}

/// A second row with the values of a deferrable constraint, from the error of [`Dialect::probe`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundTwice {
    /// Of the change that wrote the values.
    pub lsn: Lsn,
    pub constraint: String,
    pub values: String,
}

/// Rows travel as one array for each column. A statement that must find rows fails the transaction, before it can commit
/// and without a round trip, when it does not find as many as it was given.
pub trait Dialect: Sync {
    /// Inserts whole rows. Parameters: every column.
    fn insert(&self, relation: &Relation) -> Statement;

    /// Inserts a row of a table that has no columns to give.
    fn insert_nothing(&self, relation: &Relation) -> Sql;

    /// Updates `set` columns of the rows with the given keys. Parameters: key columns, `set` columns, the number of rows.
    fn update(&self, relation: &Relation, there: &Table, set: &[usize]) -> Statement;

    /// Deletes the rows with the given keys. Parameters: key columns, the number of rows.
    fn delete(&self, relation: &Relation, there: &Table) -> Statement;

    /// Replaces rows by new ones, key included; columns in `kept` keep the old row's value. Parameters: old key columns,
    /// all columns but the kept ones, the number of rows.
    fn replace(&self, relation: &Relation, there: &Table, kept: &[usize]) -> Statement;

    /// Deletes rows of a table without a key: for each given row, as many of those equal to it as its count says.
    /// Parameters: every column, the counts, the number of rows in all. Stands between [`Plans::ByScan`] and
    /// [`Plans::ByIndex`].
    fn delete_by_row(&self, relation: &Relation, there: &Table) -> Statement;

    fn plans(&self, plans: Plans) -> Sql;

    /// Looks for second rows with the given values of a deferrable constraint, and fails if there are any. Parameters: the
    /// columns, the LSNs.
    fn probe(&self, relation: &Relation, there: &Table, constraint: &Deferrable, columns: &[usize]) -> Statement;

    /// What an error of [`Dialect::probe`] has found.
    fn found_twice(&self, error: &Error) -> Option<FoundTwice>;

    fn truncate(&self, tables: &[(&Relation, &Table)], restart_sequences: bool) -> Sql;

    /// A look whether the columns still are what they were (it fails if not), and a COPY of binary rows.
    fn copy(&self, relation: &Relation, there: &Table) -> Sql;

    /// A COPY of a whole table, in the format that is wanted.
    fn copy_table(&self, relation: &Relation, format: CopyFormat) -> Sql;

    /// Writes down a change without a row to show.
    fn record(&self, facts: &ConflictRecord<'_>) -> Sql;

    /// Writes down a change with the rows it concerns. Parameters: key columns if there is a key, then the `given` ones.
    fn record_rows(&self, facts: &ConflictRecord<'_>, rows: &Involved<'_>) -> Statement;

    fn trial(&self, trial: Trial) -> Sql;

    fn begin(&self) -> Sql;

    fn defer_constraints(&self) -> Sql;

    /// Makes the commit of the transaction under way wait for the disk.
    fn commit_durably(&self) -> Sql;

    fn commit(&self) -> Sql;

    /// Forgets a prepared statement.
    fn forget_statement(&self, name: &str) -> Sql;

    /// The step of the progress row, with its values in the text.
    fn advance(&self, advance: &Advance<'_>) -> Sql;

    /// The same to be prepared. Parameters: task, where to, commit time, where from, epoch.
    fn advance_prepared(&self) -> Statement;

    /// The first statement of a transaction that comes to the progress row last: it says where the changes come from, for
    /// whoever reads them from the destination's WAL.
    fn mark(&self, mark: &MarkOf<'_>) -> Sql;

    /// Takes a turn, up to the end of the transaction.
    fn take_turn(&self, turn: Turn) -> Sql;

    /// Waits for the end of the transaction that has this turn.
    fn await_turn(&self, turn: Turn) -> Sql;
}
