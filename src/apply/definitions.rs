//! Rows that commands of their transaction are about: those that a table is written to anew with, and those of a table that is made
//! from a query, which come before the command.
//!
//! ALTER TABLE that computes values anew (a default that is no constant, a type changed by an expression) writes every row to the WAL, with
//! the source's values. Where the destination cannot compute the same, the table there is emptied, takes its new shape, and the rows follow
//! in the stream. CREATE TABLE AS and SELECT INTO write their rows before anybody can say what the table is: they wait in a file.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::rc::Rc;

use crate::error::Result;
use crate::logicalrep::{Change, Lsn, Relation, Spool};
use crate::schema::captured::{Captured, Rewrite};
use crate::schema::image::{Column, Table};

/// What the transaction under way has said about definitions.
pub struct Definitions {
    /// Where rows wait.
    directory: PathBuf,
    /// Rows of tables that are not there yet, by the tables' OIDs.
    awaited: HashMap<u32, Awaited>,
    /// How the rows of tables that are written anew come to be, as far as that is decided.
    ways: HashMap<u32, RowsAnew>,
    /// Tables whose rewriting was skipped: what the same transaction says of them later would compute other values.
    skipped: HashSet<u32>,
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
        Definitions { directory, awaited: HashMap::new(), ways: HashMap::new(), skipped: HashSet::new() }
    }

    /// Keeps a row of a table that is not there yet.
    pub fn awaits(&mut self, relation: &Rc<Relation>, lsn: Lsn, change: Change<'_>) -> Result<()> {
        let awaited = match self.awaited.entry(relation.oid) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(new) => {
                new.insert(Awaited { relation: relation.clone(), rows: Spool::create(&self.directory)? })
            }
        };
        awaited.rows.push(relation, lsn, change)
    }

    /// The rows that have waited for the table.
    pub fn take(&mut self, table: u32) -> Option<Awaited> {
        self.awaited.remove(&table)
    }

    /// A table that rows wait for.
    pub fn first_awaited(&self) -> Option<&Rc<Relation>> {
        self.awaited.values().next().map(|awaited| &awaited.relation)
    }

    /// Decides how the rows of the tables of a family come to be, and remembers it for the members that come later.
    pub fn decide(&mut self, rewrite: Rewrite, family: &[Table], before: impl Fn(u32) -> Option<Table>) -> RowsAnew {
        for table in family {
            let way = rows_anew(rewrite, before(table.oid).as_ref(), table);
            self.ways.insert(table.oid, way);
        }
        self.ways.get(&rewrite.table).copied().unwrap_or(RowsAnew::Sent)
    }

    /// A person wants nothing of a command: of one that writes a table anew neither what follows.
    pub fn skip(&mut self, captured: &Captured) {
        self.skipped.extend(captured.rewrite.map(|rewrite| rewrite.table));
    }

    pub fn is_skipped(&self, captured: &Captured) -> bool {
        let touched = captured.touched.iter().map(|(_, oid)| *oid).chain(captured.rewrite.map(|rewrite| rewrite.table));
        !self.skipped.is_empty() && touched.into_iter().any(|oid| self.skipped.contains(&oid))
    }

    /// The transaction is complete.
    pub fn end(&mut self) {
        self.ways.clear();
        self.skipped.clear();
    }

    /// The command has ended: the next one decides anew.
    pub fn forget_ways(&mut self) {
        self.ways.clear();
    }
}

pub struct Awaited {
    pub relation: Rc<Relation>,
    pub rows: Spool,
}

/// How the destination comes to the rows of a table that the source has written anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RowsAnew {
    /// It computes them itself, and they are the same.
    Computed,
    /// They come in the stream, into an empty table.
    Sent,
}

const ACCESS_METHOD: i32 = 8;
const PERSISTENCE: i32 = 1;

/// What a table was and is.
pub fn rows_anew(rewrite: Rewrite, before: Option<&Table>, after: &Table) -> RowsAnew {
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
        None if column.fed => false,
        None => column.generated.is_some() || (column.expression.is_none() && column.identity.is_none()),
        Some(old) => {
            let is_same = old.type_name == column.type_name && old.collation == column.collation;
            (is_same || !rewrite.by_expression && converts_alike(&old.type_name, &column.type_name))
                && old.generated == column.generated
        }
    };
    if after.columns.iter().all(is_computed) { RowsAnew::Computed } else { RowsAnew::Sent }
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
