//! Which changes of the stream a task wants. Pure: questions come with all that it takes to answer them.
//!
//! ```text
//!   pattern     public.*, "My-Shop"."Order*"
//!   coverage    which tables are followed, which are named and not followed (an error), which are nobody's
//!   kinds       rules by patterns, of which the one that says most counts
//!   interest    all of a table's changes, or what its copy does not have; as long as which answer holds
//!   origins     transactions that came by replication; whose word counts for that (marks)
//!   own         rows by which the extension itself speaks: heartbeats, rewritten tables
//!   leftovers   what other tools have put there for themselves, which nobody means
//!   ways_out    the statements that a person runs when a table cannot be followed as it is
//! ```
//! A rule that leaves out changes is a file here, and a method of [`Selection`].

use std::cell::{Cell, Ref, RefCell};
use std::collections::HashSet;

pub mod coverage;
pub mod interest;
pub mod kinds;
pub mod leftovers;
pub mod marks;
pub mod origins;
pub mod own;
pub mod pattern;
#[cfg(any(test, fuzzing))]
pub mod properties;
pub mod ways_out;

use coverage::Coverage;
use interest::{Interest, Ruling, Seen};
use marks::Mark;
use origins::Origins;
use own::Own;

use crate::error::Result;
use crate::logicalrep::{TableName, Transaction};

/// All rules of one task. They may change while a stream is read, between two changes: then the [`epoch`](Selection::epoch)
/// is another, and what was remembered of answers is asked again.
pub struct Selection {
    epoch: Cell<u64>,
    coverage: RefCell<Coverage>,
    /// Tables whose rows come anew in the transaction under way, in the order of their rewriting.
    reloaded: RefCell<HashSet<u32>>,
    origins: Origins,
    own: Own,
}

impl Selection {
    pub fn new(coverage: Coverage, origins: Origins, own: Own) -> Selection {
        Selection { epoch: Cell::new(0), coverage: RefCell::new(coverage), reloaded: RefCell::default(), origins, own }
    }

    #[inline]
    pub fn epoch(&self) -> u64 {
        self.epoch.get()
    }

    pub fn own(&self) -> &Own {
        &self.own
    }

    pub fn origins(&self) -> &Origins {
        &self.origins
    }

    /// Is the rest of a transaction with this mark left out?
    pub fn leave_out(&self, transaction: &Transaction, mark: &Mark<'_>) -> Result<bool> {
        self.origins.leave_out(transaction, mark)
    }

    /// Changes which tables are followed, or which names.
    pub fn change(&self, change: impl FnOnce(&mut Coverage)) {
        change(&mut self.coverage.borrow_mut());
        self.epoch.set(self.epoch.get() + 1);
    }

    /// The rows of these tables come anew, until the transaction ends: then none does.
    pub fn reload(&self, tables: impl IntoIterator<Item = u32>) {
        let mut reloaded = self.reloaded.borrow_mut();
        let before = reloaded.len();
        reloaded.extend(tables);
        if reloaded.len() != before {
            self.epoch.set(self.epoch.get() + 1);
        }
    }

    /// The rows that the table is written to anew with from here on are computed on the destination, whatever came before in the
    /// transaction.
    pub fn keep_rows(&self, table: u32) {
        if self.reloaded.borrow_mut().remove(&table) {
            self.epoch.set(self.epoch.get() + 1);
        }
    }

    pub fn transaction_ends(&self) {
        let reloaded = std::mem::take(&mut *self.reloaded.borrow_mut());
        if !reloaded.is_empty() {
            self.epoch.set(self.epoch.get() + 1);
        }
    }

    /// What the task wants of the rows that a table is written to anew with.
    pub fn interest_in_rewritten(&self, table: u32) -> Ruling {
        match self.coverage().followed.get(&table) {
            Some(followed) if self.reloaded.borrow().contains(&table) => {
                Ruling { interest: Interest::Everything, route: Some(followed.route.clone()), is_certain: false }
            }
            _ => Ruling::NOTHING,
        }
    }

    /// What the task wants of a table. An error if it cannot leave the table out, and cannot follow it either.
    pub fn interest(&self, table: &Seen<'_>, settled: bool) -> Result<Ruling> {
        if self.own.speaks_by(table.oid) { Ok(Ruling::EVERYTHING) } else { self.coverage().interest(table, settled) }
    }

    /// Does it want this transaction's changes of a table that it follows?
    pub fn wants(&self, table: u32, transaction: &Transaction) -> bool {
        self.coverage().wants(table, transaction)
    }

    /// Are rows of the table wanted, whatever it is called now?
    pub fn follows(&self, table: u32) -> bool {
        self.own.speaks_by(table) || self.coverage().follows(table)
    }

    /// Do the patterns name a table, or a partitioned table that it is directly a part of?
    pub fn names(&self, table: &TableName, parents: &[u32]) -> bool {
        self.coverage().patterns.names(table, parents.iter().map(|parent| (*parent, table)))
    }

    /// Do patterns with wildcards name a table that some other tool has made for itself?
    pub fn leaves_behind(&self, table: &TableName, columns: impl FnOnce() -> Vec<String>) -> bool {
        self.coverage().patterns.leave_behind(table, leftovers::tool_of_table(table, columns))
    }

    /// The tables of the task.
    pub fn followed(&self) -> Vec<u32> {
        self.coverage().followed.iter().filter(|(_, table)| table.interest.is_any()).map(|(oid, _)| *oid).collect()
    }

    /// Do tables join and leave by the commands that make and drop them?
    pub fn joins(&self) -> bool {
        self.coverage().joins
    }

    /// The tables of the task, partitioned ones, which hold no rows, among them.
    pub fn known(&self) -> Vec<u32> {
        let parents = self.coverage().patterns.parents.clone();
        self.followed().into_iter().chain(parents).collect()
    }

    /// Did the transaction commit before the worker looked how things are? Then that is what tables are judged by.
    pub fn is_settled(&self, transaction: &Transaction) -> bool {
        self.coverage().is_settled(transaction)
    }

    /// Did the transaction begin before a copy or a command told how the table is? What it sees at its start may be older.
    pub fn began_before_news(&self, table: u32, transaction: &Transaction) -> bool {
        self.coverage().began_before_news(table, transaction)
    }

    /// Is every table as it was on the source when the transaction committed, and none ahead of it?
    pub fn has_passed_copies(&self, transaction: &Transaction) -> bool {
        self.coverage().has_passed_copies(transaction)
    }

    /// A table is unlogged at the start of a transaction. An error if its rows must not be left out.
    pub fn is_unlogged(&self, table: u32, transaction: &Transaction) -> Result<()> {
        self.coverage().is_unlogged(table, transaction)
    }

    fn coverage(&self) -> Ref<'_, Coverage> {
        self.coverage.borrow()
    }
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;

    use super::*;
    use crate::logicalrep::{Lsn, TableName};
    use crate::transform::Route;
    use coverage::{Followed, Patterns};
    use interest::{Moment, Names};
    use marks::Marks;

    struct NoCatalog;

    impl Names for NoCatalog {
        fn table(&self, _oid: u32) -> Option<TableName> {
            None
        }

        fn has_schema(&self, _name: &str) -> bool {
            true
        }
    }

    fn selection() -> Selection {
        let marks = Marks {
            trusted: Default::default(),
            tables: Default::default(),
            as_of: Lsn::INVALID,
            has_parameter_privileges: true,
        };
        let patterns = Patterns::parse(&["s.a".to_owned()], &[], Vec::new()).unwrap();
        let mut coverage = Coverage { task: "t".to_owned(), patterns, ..Coverage::default() };
        coverage.followed.insert(1, followed("a"));
        Selection::new(
            coverage,
            Origins { forward: true, destination: None, marks },
            Own { heartbeat: 7, rewritten: 8, commands: 0, task: 1 },
        )
    }

    fn followed(name: &str) -> Followed {
        let name = TableName::new("s", name);
        Followed { now: Some(name.clone()), route: Rc::new(Route::identity(name)), interest: Interest::Everything }
    }

    fn ask(selection: &Selection, oid: u32, name: &str) -> Result<Ruling> {
        let name = TableName::new("s", name);
        let table = Seen { oid, name, ancestors: Vec::new(), is_users: true, made_by: None, catalog: &NoCatalog };
        selection.interest(&table, false)
    }

    /// As a decoder does it: it remembers an answer, and asks again when the epoch is another.
    #[test]
    fn interest_in_a_table_changes_while_a_stream_is_read() {
        let selection = selection();
        let mut moment = Moment::default();
        assert_eq!(ask(&selection, 2, "b").unwrap(), Ruling::NOTHING);
        let asked = moment.now();
        assert!(!moment.selection_is(selection.epoch()) && moment.is_current(asked));
        // By its OID.
        selection.change(|coverage| drop(coverage.followed.insert(2, followed("b"))));
        assert!(moment.selection_is(selection.epoch()) && !moment.is_current(asked));
        assert_eq!(ask(&selection, 2, "b").unwrap().interest, Interest::Everything);
        assert!(selection.follows(2));
        let asked = moment.now();
        selection.change(|coverage| drop(coverage.followed.remove(&2)));
        assert!(moment.selection_is(selection.epoch()) && !moment.is_current(asked));
        assert_eq!(ask(&selection, 2, "b").unwrap(), Ruling::NOTHING);
        // By its name: from now on it must not be left out.
        let patterns = Patterns::parse(&["s.*".to_owned()], &[], Vec::new()).unwrap();
        selection.change(|coverage| coverage.patterns = patterns);
        assert!(moment.selection_is(selection.epoch()));
        assert!(ask(&selection, 2, "b").is_err());
    }

    #[test]
    fn what_the_extension_says_is_heard_whatever_is_selected() {
        let selection = selection();
        assert_eq!(ask(&selection, 7, "heartbeat").unwrap(), Ruling::EVERYTHING);
        assert!(selection.follows(8));
        assert_eq!(selection.followed(), [1], "and is no table of the task");
    }
}
