//! PostgreSQL, from 13 on.

mod conflicts;
mod progress;
mod rows;

use super::{Advance, ConflictRecord, Dialect, FoundTwice, Involved, MarkOf, Plans, Sql, Statement, Trial, Turn};
use crate::destination::full_copy::CopyFormat;
use crate::destination::table::{Deferrable, Table};
use crate::error::Error;
use crate::logicalrep::Relation;

pub static POSTGRES: Postgres = Postgres;

pub struct Postgres;

const BY_SCAN: &str = "SELECT pg_catalog.set_config('enable_hashjoin', 'on', true), \
     pg_catalog.set_config('enable_nestloop', 'off', true), \
     pg_catalog.set_config('enable_seqscan', 'on', true)";
const BY_INDEX: &str = "SELECT pg_catalog.set_config('enable_hashjoin', 'off', true), \
     pg_catalog.set_config('enable_nestloop', 'on', true), \
     pg_catalog.set_config('enable_seqscan', 'off', true)";

impl Dialect for Postgres {
    fn insert(&self, relation: &Relation) -> Statement {
        rows::insert(relation)
    }

    fn insert_nothing(&self, relation: &Relation) -> Sql {
        rows::insert_nothing(relation)
    }

    fn update(&self, relation: &Relation, there: &Table, set: &[usize]) -> Statement {
        rows::update(relation, there, set)
    }

    fn delete(&self, relation: &Relation, there: &Table) -> Statement {
        rows::delete(relation, there)
    }

    fn replace(&self, relation: &Relation, there: &Table, kept: &[usize]) -> Statement {
        rows::replace(relation, there, kept)
    }

    fn delete_by_row(&self, relation: &Relation, there: &Table) -> Statement {
        rows::delete_by_row(relation, there)
    }

    fn plans(&self, plans: Plans) -> Sql {
        Sql::new(match plans {
            Plans::ByIndex => BY_INDEX,
            Plans::ByScan => BY_SCAN,
        })
    }

    fn probe(&self, relation: &Relation, there: &Table, constraint: &Deferrable, columns: &[usize]) -> Statement {
        rows::probe(relation, there, constraint, columns)
    }

    fn found_twice(&self, error: &Error) -> Option<FoundTwice> {
        rows::found_twice(error)
    }

    fn truncate(&self, tables: &[(&Relation, &Table)], restart_sequences: bool) -> Sql {
        rows::truncate(tables, restart_sequences)
    }

    fn copy(&self, relation: &Relation, there: &Table) -> Sql {
        rows::copy(relation, there)
    }

    fn copy_table(&self, relation: &Relation, format: CopyFormat) -> Sql {
        rows::copy_table(relation, format)
    }

    fn record(&self, facts: &ConflictRecord<'_>) -> Sql {
        conflicts::record(facts)
    }

    fn record_rows(&self, facts: &ConflictRecord<'_>, rows: &Involved<'_>) -> Statement {
        conflicts::record_rows(facts, rows)
    }

    fn trial(&self, trial: Trial) -> Sql {
        conflicts::trial(trial)
    }

    fn begin(&self) -> Sql {
        Sql::new("BEGIN")
    }

    fn defer_constraints(&self) -> Sql {
        Sql::new("SET CONSTRAINTS ALL DEFERRED")
    }

    fn commit_durably(&self) -> Sql {
        Sql::new("SELECT pg_catalog.set_config('synchronous_commit', 'on', true)")
    }

    fn commit(&self) -> Sql {
        Sql::new("COMMIT")
    }

    fn forget_statement(&self, name: &str) -> Sql {
        Sql::new(format!("DEALLOCATE {name}"))
    }

    fn advance(&self, advance: &Advance<'_>) -> Sql {
        progress::advance(advance)
    }

    fn advance_prepared(&self) -> Statement {
        progress::advance_prepared()
    }

    fn mark(&self, mark: &MarkOf<'_>) -> Sql {
        progress::mark(mark)
    }

    fn take_turn(&self, turn: Turn) -> Sql {
        progress::take_turn(turn)
    }

    fn await_turn(&self, turn: Turn) -> Sql {
        progress::await_turn(turn)
    }
}
