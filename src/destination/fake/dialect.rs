//! A dialect whose statements can be told from everybody else's: `fake:` and the kind.

use crate::destination::dialect::{
    Advance, ConflictRecord, Dialect, FoundTwice, Involved, MarkOf, Plans, Sql, Statement, Trial, Turn,
};
use crate::destination::full_copy::CopyFormat;
use crate::destination::table::{Deferrable, Table};
use crate::error::Error;
use crate::logicalrep::Relation;

pub static FAKE: Fake = Fake;

pub struct Fake;

/// Every kind of statement that the stream of changes is made of.
pub const KINDS: [&str; 27] = [
    "advance",
    "advance_prepared",
    "await_turn",
    "begin",
    "commit",
    "commit_durably",
    "copy",
    "copy_table",
    "defer_constraints",
    "delete",
    "delete_by_row",
    "forget_statement",
    "insert",
    "insert_nothing",
    "mark",
    "plans_by_index",
    "plans_by_scan",
    "probe",
    "record",
    "record_rows",
    "replace",
    "take_turn",
    "trial_begins",
    "trial_fails",
    "trial_succeeds",
    "truncate",
    "update",
];

/// Its kind, if this dialect has made the statement.
pub fn kind_of(statement: &str) -> Option<&str> {
    statement.strip_prefix("fake:")
}

fn text(kind: &str) -> Sql {
    Sql::new(format!("fake:{kind}"))
}

fn statement(kind: &str) -> Statement {
    Statement { sql: text(kind), types: Vec::new() }
}

impl Dialect for Fake {
    fn insert(&self, _: &Relation) -> Statement {
        statement("insert")
    }

    fn insert_nothing(&self, _: &Relation) -> Sql {
        text("insert_nothing")
    }

    fn update(&self, _: &Relation, _: &Table, _: &[usize]) -> Statement {
        statement("update")
    }

    fn delete(&self, _: &Relation, _: &Table) -> Statement {
        statement("delete")
    }

    fn replace(&self, _: &Relation, _: &Table, _: &[usize]) -> Statement {
        statement("replace")
    }

    fn delete_by_row(&self, _: &Relation, _: &Table) -> Statement {
        statement("delete_by_row")
    }

    fn plans(&self, plans: Plans) -> Sql {
        text(match plans {
            Plans::ByIndex => "plans_by_index",
            Plans::ByScan => "plans_by_scan",
        })
    }

    fn probe(&self, _: &Relation, _: &Table, _: &Deferrable, _: &[usize]) -> Statement {
        statement("probe")
    }

    fn found_twice(&self, _: &Error) -> Option<FoundTwice> {
        None
    }

    fn truncate(&self, _: &[(&Relation, &Table)], _: bool) -> Sql {
        text("truncate")
    }

    fn copy(&self, _: &Relation, _: &Table) -> Sql {
        text("copy")
    }

    fn copy_table(&self, _: &Relation, _: CopyFormat) -> Sql {
        text("copy_table")
    }

    fn record(&self, _: &ConflictRecord<'_>) -> Sql {
        text("record")
    }

    fn record_rows(&self, _: &ConflictRecord<'_>, _: &Involved<'_>) -> Statement {
        statement("record_rows")
    }

    fn trial(&self, trial: Trial) -> Sql {
        text(match trial {
            Trial::Begins => "trial_begins",
            Trial::Succeeds => "trial_succeeds",
            Trial::Fails => "trial_fails",
        })
    }

    fn begin(&self) -> Sql {
        text("begin")
    }

    fn defer_constraints(&self) -> Sql {
        text("defer_constraints")
    }

    fn commit_durably(&self) -> Sql {
        text("commit_durably")
    }

    fn commit(&self) -> Sql {
        text("commit")
    }

    fn forget_statement(&self, _: &str) -> Sql {
        text("forget_statement")
    }

    fn advance(&self, _: &Advance<'_>) -> Sql {
        text("advance")
    }

    fn advance_prepared(&self) -> Statement {
        statement("advance_prepared")
    }

    fn mark(&self, _: &MarkOf<'_>) -> Sql {
        text("mark")
    }

    fn take_turn(&self, _: Turn) -> Sql {
        text("take_turn")
    }

    fn await_turn(&self, _: Turn) -> Sql {
        text("await_turn")
    }
}
