//! Rows that commands of their transaction are about: those that a table is written to anew with, and those of a table that is made
//! from a query, which come before the command.
//!
//! ALTER TABLE that computes values anew (a default that is no constant, a type changed by an expression) writes every row to the WAL, with
//! the source's values. Where the destination cannot compute the same, the table there is emptied, takes its new shape, and the rows follow
//! in the stream. CREATE TABLE AS and SELECT INTO write their rows before anybody can say what the table is: they wait in a file.

use std::collections::HashMap;
use std::path::PathBuf;
use std::rc::Rc;

use crate::apply::applier::Applier;
use crate::error::{Error, Result, sqlstate};
use crate::logicalrep::{Change, Relation, Spool, Transaction};
use crate::schema::captured::{Captured, Rewrite};
use crate::schema::image::{Column, Table};
use crate::transform::Route;

/// What the transaction under way has said about definitions.
pub struct Definitions {
    /// Where rows wait.
    directory: PathBuf,
    /// Rows of tables that are not there yet, by the tables' OIDs.
    awaited: HashMap<u32, Awaited>,
    /// How the rows of tables that are written anew come to be, as far as that is decided.
    ways: HashMap<u32, RowsAnew>,
}

/// Does the cast from the one type to the other give the same on every server, whatever its settings?
fn converts_alike(before: &str, after: &str) -> bool {
    const NUMBERS: [&str; 6] = ["smallint", "integer", "bigint", "numeric", "real", "double precision"];
    const TEXTS: [&str; 3] = ["text", "character varying", "character"];
    let of = |list: &[&str], name: &str| list.contains(&name.split('(').next().unwrap_or(name));
    of(&NUMBERS, before) && of(&NUMBERS, after) || of(&TEXTS, before) && of(&TEXTS, after)
}

impl Definitions {
    pub fn new(directory: PathBuf) -> Definitions {
        Definitions { directory, awaited: HashMap::new(), ways: HashMap::new() }
    }
}

struct Awaited {
    relation: Rc<Relation>,
    rows: Spool,
}

/// How the destination comes to the rows of a table that the source has written anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RowsAnew {
    /// It computes them itself, and they are the same.
    Computed,
    /// They come in the stream, into an empty table.
    Sent,
}

const ACCESS_METHOD: i32 = 8;
const PERSISTENCE: i32 = 1;

/// What a table was and is.
pub(super) fn rows_anew(rewrite: Rewrite, before: Option<&Table>, after: &Table) -> RowsAnew {
    if after.unlogged {
        // Nothing of it is in the WAL.
        return RowsAnew::Computed;
    }
    let Some(before) = before else { return RowsAnew::Sent };
    if rewrite.reason & PERSISTENCE != 0 {
        return RowsAnew::Sent;
    }
    if rewrite.reason == ACCESS_METHOD {
        return RowsAnew::Computed;
    }
    let is_computed = |column: &Column| match before.column(column.attnum) {
        None => column.generated.is_some() || (column.expression.is_none() && column.identity.is_none()),
        Some(old) => {
            let is_same = old.type_name == column.type_name && old.collation == column.collation;
            (is_same || !rewrite.by_expression && converts_alike(&old.type_name, &column.type_name))
                && old.generated == column.generated
        }
    };
    if after.columns.iter().all(is_computed) { RowsAnew::Computed } else { RowsAnew::Sent }
}

impl Applier {
    /// Keeps a row of a table that is not there yet.
    #[cold]
    pub(in crate::apply) fn awaits(
        &mut self,
        transaction: &Transaction,
        relation: &Rc<Relation>,
        change: Change<'_>,
    ) -> Result<()> {
        let awaited = match self.definitions.awaited.entry(relation.oid) {
            std::collections::hash_map::Entry::Occupied(known) => known.into_mut(),
            std::collections::hash_map::Entry::Vacant(new) => {
                let rows = Spool::create(&self.definitions.directory)?;
                new.insert(Awaited { relation: relation.clone(), rows })
            }
        };
        awaited.rows.push(relation, transaction.change_lsn, change)
    }

    /// The table is there now: its rows follow.
    pub(super) fn play_awaited(&mut self, transaction: &Transaction, table: u32) -> Result<()> {
        let Some(Awaited { relation, rows }) = self.definitions.awaited.remove(&table) else { return Ok(()) };
        let route = Rc::new(Route::identity(relation.route.source.clone()));
        let there = Rc::new(Relation { route, ..(*relation).clone() });
        rows.play(|_, lsn, change| {
            let transaction = Transaction { change_lsn: lsn, ..*transaction };
            self.change(&transaction, &there, change)
        })
    }

    /// How the rows of a rewritten table come to be; remembered for the other members of its family.
    pub(super) fn way_of_rows(
        &mut self,
        rewrite: Rewrite,
        captured: &Captured,
        before: impl Fn(u32) -> Option<Table>,
    ) -> RowsAnew {
        for table in &captured.image.tables {
            let way = rows_anew(rewrite, before(table.oid).as_ref(), table);
            self.definitions.ways.insert(table.oid, way);
        }
        self.definitions.ways.get(&rewrite.table).copied().unwrap_or(RowsAnew::Sent)
    }

    /// A command has ended: the next one that rewrites decides anew.
    pub(super) fn command_ends(&mut self) {
        self.definitions.ways.clear();
    }

    /// The transaction is complete.
    pub(in crate::apply) fn definitions_end(&mut self) -> Result<()> {
        if let Some(awaited) = self.definitions.awaited.values().next() {
            return Err(uncaptured(&awaited.relation));
        }
        if self.stands_alone {
            self.definitions.ways.clear();
            self.selection.transaction_ends();
        }
        Ok(())
    }
}

fn uncaptured(relation: &Relation) -> Error {
    let name = relation.shown();
    Error::new(
        sqlstate::OBJECT_NOT_IN_PREREQUISITE_STATE,
        format!("rows were written to table {name}, and no command says where it comes from"),
    )
    .detail("The event triggers of pg_courier did not fire when it was created, attached, renamed or made logged. Nothing of this transaction has been applied.")
    .hint(crate::select::ways_out::not_followed_hint_of_any(&relation.route.source))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::samples::{column, table};

    fn way(reason: i32, by_expression: bool, change: impl FnOnce(&mut Table)) -> RowsAnew {
        let (before, mut after) = (table(1, "t"), table(1, "t"));
        change(&mut after);
        rows_anew(Rewrite { table: 1, reason, by_expression }, Some(&before), &after)
    }

    #[test]
    fn what_the_destination_computes_alike_is_not_sent() {
        use RowsAnew::{Computed, Sent};
        let typed = |to: &'static str| move |table: &mut Table| table.columns[0].type_name = to.to_owned();
        assert_eq!(way(4, false, typed("bigint")), Computed);
        assert_eq!(way(4, true, typed("bigint")), Sent, "USING says anything");
        assert_eq!(way(4, false, typed("timestamp with time zone")), Sent, "settings decide");
        let added = |expression: Option<&'static str>| {
            move |table: &mut Table| {
                table.columns.push(Column { expression: expression.map(str::to_owned), ..column(3, "x", "float8") });
            }
        };
        assert_eq!(way(2, false, added(Some("random()"))), Sent);
        assert_eq!(way(4, false, added(None)), Computed, "a column without a value");
        assert_eq!(way(8, false, |_| ()), Computed, "another access method");
        assert_eq!(way(1, false, |_| ()), Sent, "logged from now on");
        assert_eq!(way(1, false, |table| table.unlogged = true), Computed);
    }
}
