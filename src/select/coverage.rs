//! Which tables a task follows, and what its stream makes of all others.
//!
//! The tables of a task are fixed when it starts. Later a table may be made that its patterns name, a partition may be
//! added to a tree that it follows, a table may come into their reach by a new name or by `SET LOGGED`; and a table that
//! it follows may get another name. The stream meets every table that rows are written to, so it asks here, once for
//! each definition: a table that is named and not followed is an error, which stops the task before anything of that
//! transaction is applied. Rows that a task leaves out in silence would be lost: an UPDATE that moves a row from a
//! followed partition into one that is not would only delete it on the destination.
//!
//! A table is judged as it was when its rows were written, by its name and its partition parents then. A worker that
//! starts also knows how things are at that moment, and that is what counts for every transaction of before: a table
//! that is gone by then lacks nothing on the destination, and one that has got its name back needs no other there.

use std::rc::Rc;

use super::interest::{Interest, Ruling, Seen};
use super::leftovers::Tool;
use super::pattern::Pattern;
use super::ways_out::{not_followed_hint, rename_statements, unlogged};
use crate::error::{Error, Result, sqlstate};
use crate::logicalrep::names::{quote_literal, shown};
use crate::logicalrep::{CopySnapshot, FastMap, HELPER_SCHEMA, Lsn, TableName, Transaction};
use crate::transform::Route;

pub struct Followed {
    /// Its name, for the task and on the destination.
    pub route: Rc<Route>,
    /// What it is called on the source as the worker starts; none if it is gone.
    pub now: Option<TableName>,
    /// All of it, or as long as the stream may overlap its copy what that does not have.
    pub interest: Interest,
}

impl Followed {
    /// What the task calls it.
    pub fn name(&self) -> &TableName {
        &self.route.source
    }
}

/// The patterns of a task, and the partitioned tables that it follows.
pub struct Patterns {
    pub include: Vec<Pattern>,
    pub exclude: Vec<Pattern>,
    pub parents: Vec<u32>,
}

impl Patterns {
    pub fn parse(include: &[String], exclude: &[String], parents: Vec<u32>) -> Result<Patterns> {
        let parse = |list: &[String]| list.iter().map(|p| Pattern::parse(p)).collect::<Result<Vec<_>>>();
        Ok(Patterns { include: parse(include)?, exclude: parse(exclude)?, parents })
    }

    /// Do they leave a table out, whatever else names it?
    pub fn exclude(&self, table: &TableName) -> bool {
        self.exclude.iter().any(|pattern| pattern.matches(&table.schema, &table.name))
    }

    /// Do the patterns name a table, by itself or with a partitioned table that it belongs to?
    pub fn names<'a>(&self, table: &TableName, ancestors: impl Iterator<Item = (u32, &'a TableName)> + Clone) -> bool {
        let is_of_parent = || ancestors.clone().any(|(oid, _)| self.parents.contains(&oid));
        self.names_by_name(table, ancestors.clone().map(|(_, name)| name)) || !self.is_out(table) && is_of_parent()
    }

    /// The same by nothing but names: no oid is believed.
    pub fn names_by_name<'a>(&self, table: &TableName, mut ancestors: impl Iterator<Item = &'a TableName>) -> bool {
        let is_included = |name: &TableName| self.include.iter().any(|p| p.matches(&name.schema, &name.name));
        !self.is_out(table) && (is_included(table) || ancestors.any(is_included))
    }

    /// A table that this tool has made is taken by whoever names it and nothing else.
    pub fn leave_behind(&self, table: &TableName, made_by: Option<Tool>) -> bool {
        made_by.is_some() && !self.include.iter().any(|pattern| pattern.is_name(&table.schema, &table.name))
    }

    /// Whatever else names it.
    fn is_out(&self, table: &TableName) -> bool {
        is_of_system(&table.schema) || self.exclude(table)
    }
}

fn is_of_system(schema: &str) -> bool {
    ["pg_catalog", "information_schema", "courier", HELPER_SCHEMA].contains(&schema)
        || schema.starts_with("pg_toast")
        || schema.starts_with("pg_temp")
}

pub struct Coverage {
    pub task: String,
    pub patterns: Patterns,
    pub followed: FastMap<u32, Followed>,
    /// What the patterns name, and the task does not follow, as the worker starts.
    pub missing: FastMap<u32, TableName>,
    /// Transactions that this snapshot shows are judged by how things are as the worker starts.
    pub start: CopySnapshot,
    /// Do tables that the patterns name join by the commands that make them?
    pub joins: bool,
    /// Up to here commands have told how tables are.
    pub told: Lsn,
}

impl Coverage {
    pub fn follows(&self, table: u32) -> bool {
        self.followed.get(&table).is_some_and(|table| table.interest.is_any())
    }

    /// From now on nothing of a table is wanted, whatever it is called.
    pub fn leave(&mut self, table: u32, name: TableName) {
        let route = Rc::new(Route::identity(name.clone()));
        self.followed.insert(table, Followed { route, now: Some(name), interest: Interest::Nothing });
        self.patterns.parents.retain(|parent| *parent != table);
    }

    /// Did it commit before the worker looked around?
    pub fn is_settled(&self, transaction: &Transaction) -> bool {
        self.start.contains(transaction.xid, transaction.commit_lsn)
    }

    /// What the task wants of a table. An error if it cannot leave the table out, and cannot follow it either.
    pub fn interest(&self, table: &Seen<'_>, settled: bool) -> Result<Ruling> {
        if let Some(followed) = self.followed.get(&table.oid) {
            return self.of_followed(followed, table, settled);
        }
        let is_missing = match settled {
            true => self.missing.contains_key(&table.oid),
            false => {
                table.is_users
                    && self.patterns.names(&table.name, table.ancestors.iter().map(|(o, n)| (*o, n)))
                    && !self.patterns.leave_behind(&table.name, table.made_by)
            }
        };
        match is_missing {
            false => Ok(Ruling::NOTHING),
            // Rows of a table made from a query come before the command that has made it.
            true if self.joins => {
                let route = Some(Rc::new(Route::awaited(table.name.clone())));
                Ok(Ruling { interest: Interest::Everything, route, is_certain: false })
            }
            true => Err(self.not_followed(table)),
        }
    }

    fn of_followed(&self, followed: &Followed, table: &Seen<'_>, settled: bool) -> Result<Ruling> {
        if !followed.interest.is_any() {
            return Ok(Ruling::NOTHING);
        }
        // What a copy does not have comes behind it, whatever the table was called before.
        let is_behind_copy = self.joins && matches!(followed.interest, Interest::Except(_));
        let has_its_name = settled && followed.now.as_ref() == Some(followed.name());
        if table.name != *followed.name() && !has_its_name && !is_behind_copy {
            let now = followed.now.as_ref().filter(|_| settled).unwrap_or(&table.name);
            return Err(self.renamed(table, followed.name(), now));
        }
        if self.joins
            && !is_behind_copy
            && !self.patterns.names_by_name(&table.name, table.ancestors.iter().map(|(_, n)| n))
        {
            return Err(self.not_named(table));
        }
        let is_certain = table.name == *followed.name();
        let (interest, route) = (followed.interest.clone(), Some(followed.route.clone()));
        Ok(Ruling { interest, route, is_certain })
    }

    /// Which tables a task follows that takes commands along stands on the destination. What its patterns name stands here.
    fn not_named(&self, table: &Seen<'_>) -> Error {
        let name = table.name.shown();
        Error::new(
            sqlstate::OBJECT_NOT_IN_PREREQUISITE_STATE,
            format!("the destination says that task \"{}\" follows table {name}, which its patterns do not name", self.task),
        )
        .detail(format!(
            "Its row in {HELPER_SCHEMA}.object there is not what the task has written. No row of the table was sent."
        ))
        .hint(format!(
            "Find out who did that. On the destination: DELETE FROM {HELPER_SCHEMA}.object WHERE oid = {}; Then here: SELECT \
             courier.resume({});",
            table.oid,
            quote_literal(&self.task)
        ))
    }

    /// Does the task want this transaction's changes of a table? Not what is in the table's copy.
    pub fn wants(&self, table: u32, transaction: &Transaction) -> bool {
        self.followed.get(&table).is_none_or(|table| table.interest.includes(transaction))
    }

    fn not_followed(&self, table: &Seen<'_>) -> Error {
        let name = table.name.shown();
        let detail = match table.ancestors.last() {
            Some((_, root)) => format!("It is a partition of {}.", root.shown()),
            None => "The patterns of the task name it.".to_owned(),
        };
        Error::new(
            sqlstate::OBJECT_NOT_IN_PREREQUISITE_STATE,
            format!("rows were written to table {name}, which task \"{}\" does not follow", self.task),
        )
        .detail(format!(
            "{detail} The tables of a task are fixed when it starts; this one was created, attached, renamed or made \
             logged later. Nothing of this transaction has been applied."
        ))
        .hint(not_followed_hint(&self.task, &table.name))
    }

    fn renamed(&self, table: &Seen<'_>, before: &TableName, now: &TableName) -> Error {
        let mut moves = vec![(before.clone(), now.clone())];
        // Whoever has that name on the destination has to give way first.
        while let Some((_, target)) = moves.last()
            && let Some((oid, other)) = self.followed.iter().find(|(_, followed)| followed.name() == target)
            && !moves.iter().any(|(from, _)| from == other.name())
            && let Some(to) = table.catalog.table(*oid)
        {
            moves.push((other.name().clone(), to));
        }
        let statements = match table.catalog.has_schema(&before.schema) || before.name != now.name {
            true => rename_statements(&moves).join(" "),
            // The schema was renamed.
            false => format!("ALTER SCHEMA {} RENAME TO {};", shown(&before.schema), shown(&now.schema)),
        };
        Error::new(
            sqlstate::OBJECT_NOT_IN_PREREQUISITE_STATE,
            format!("table {} was renamed to {} on the source", before.shown(), now.shown()),
        )
        .detail(format!(
            "On the destination it is still {}. Nothing of this transaction has been applied.",
            before.shown()
        ))
        .hint(format!(
            "On the destination: {statements} Then here: SELECT courier.resume({});",
            quote_literal(&self.task)
        ))
    }

    /// Did it begin before a copy of the table, or a command, told how that is?
    pub fn began_before_news(&self, table: u32, transaction: &Transaction) -> bool {
        let copied = match self.followed.get(&table).map(|followed| &followed.interest) {
            Some(Interest::Except(copy)) => copy.sync_lsn(),
            _ => Lsn::INVALID,
        };
        transaction.first_lsn <= self.told.max(copied) && transaction.first_lsn != Lsn::INVALID
    }

    /// Is every table as it was on the source when the transaction committed, and none ahead of it?
    pub fn has_passed_copies(&self, transaction: &Transaction) -> bool {
        self.followed.values().all(|followed| match &followed.interest {
            Interest::Except(copy) => copy.sync_lsn() < transaction.commit_lsn,
            Interest::Nothing | Interest::Everything => true,
        })
    }

    /// A table that the task follows is unlogged at the start of a transaction: what is written to it is in no WAL.
    pub fn is_unlogged(&self, table: u32, transaction: &Transaction) -> Result<()> {
        match self.followed.get(&table) {
            Some(followed) if self.wants(table, transaction) => Err(unlogged(&self.task, followed.name())),
            _ => Ok(()),
        }
    }
}

impl Default for Coverage {
    /// Follows nothing, names nothing.
    fn default() -> Coverage {
        Coverage {
            task: String::new(),
            patterns: Patterns { include: Vec::new(), exclude: Vec::new(), parents: Vec::new() },
            followed: FastMap::default(),
            missing: FastMap::default(),
            start: CopySnapshot::nothing(Lsn::INVALID),
            joins: false,
            told: Lsn::INVALID,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::interest::Names;
    use super::*;

    struct Catalog(Vec<(u32, TableName)>, Vec<&'static str>);

    impl Names for Catalog {
        fn table(&self, oid: u32) -> Option<TableName> {
            self.0.iter().find(|(known, _)| *known == oid).map(|(_, name)| name.clone())
        }

        fn has_schema(&self, name: &str) -> bool {
            self.1.contains(&name)
        }
    }

    fn name(text: &str) -> TableName {
        TableName::parse(text).unwrap()
    }

    /// Follows a (1), b (2) and the partitioned table m (3) with its partition m_1 (4), all of schema s.
    fn coverage(include: &[&str], exclude: &[&str]) -> Coverage {
        let list = |list: &[&str]| list.iter().map(|p| (*p).to_owned()).collect::<Vec<_>>();
        let mut coverage = Coverage {
            task: "t".to_owned(),
            patterns: Patterns::parse(&list(include), &list(exclude), vec![3]).unwrap(),
            start: CopySnapshot::parse("100:110:105", Lsn(1000)).unwrap(),
            ..Coverage::default()
        };
        for (oid, table) in [(1, "s.a"), (2, "s.b"), (4, "s.m_1")] {
            let (name, now) = (name(table), Some(name(table)));
            coverage
                .followed
                .insert(oid, Followed { route: Rc::new(Route::identity(name)), now, interest: Interest::Everything });
        }
        coverage
    }

    fn seen<'a>(catalog: &'a Catalog, oid: u32, table: &str, ancestors: &[(u32, &str)]) -> Seen<'a> {
        let ancestors = ancestors.iter().map(|(oid, table)| (*oid, name(table))).collect();
        Seen { oid, name: name(table), ancestors, is_users: true, made_by: None, catalog }
    }

    static NOTHING: Catalog = Catalog(Vec::new(), Vec::new());

    #[test]
    fn what_the_patterns_name_is_never_left_out() {
        let task = coverage(&["s.*"], &["s.scratch*"]);
        let outcome = |oid, table, ancestors: &[(u32, &str)]| {
            task.interest(&seen(&NOTHING, oid, table, ancestors), false).map(|answer| answer.interest)
        };
        assert_eq!(outcome(1, "s.a", &[]).unwrap(), Interest::Everything);
        assert_eq!(outcome(9, "other.c", &[]).unwrap(), Interest::Nothing);
        assert_eq!(outcome(9, "s.scratch1", &[]).unwrap(), Interest::Nothing);
        assert_eq!(outcome(9, "courier.task", &[]).unwrap(), Interest::Nothing);
        let error = outcome(9, "s.c", &[]).unwrap_err();
        assert_eq!(error.sqlstate(), "55000");
        assert!(error.message().contains("table s.c, which task \"t\" does not follow"), "{}", error.message());
        let hint = error.hint_text().unwrap();
        assert!(hint.contains("SELECT courier.add_table('t', 's.c');"), "{hint}");
        assert!(hint.contains("SELECT courier.alter_task('t', exclude => ARRAY['\"s\".\"c\"']);"), "{hint}");
        // Of an extension, or no ordinary table.
        let mut table = seen(&NOTHING, 9, "s.c", &[]);
        table.is_users = false;
        assert_eq!(task.interest(&table, false).unwrap(), Ruling::NOTHING);
    }

    #[test]
    fn partitions_of_followed_trees_count_whatever_they_are_called() {
        let task = coverage(&["s.m"], &["elsewhere.left_out"]);
        let is_refused =
            |table, ancestors: &[(u32, &str)]| task.interest(&seen(&NOTHING, 9, table, ancestors), false).is_err();
        assert!(is_refused("elsewhere.m_2", &[(3, "s.m")]));
        assert!(is_refused("elsewhere.m_2_1", &[(8, "elsewhere.m_2"), (3, "s.m")]));
        // The tree's top got another name; the task follows it still.
        assert!(is_refused("s.m_2", &[(3, "s.renamed")]));
        // A tree that is new as a whole.
        assert!(is_refused("s.n_1", &[(7, "s.m")]));
        assert!(!is_refused("elsewhere.left_out", &[(3, "s.m")]));
        assert!(!is_refused("s.n_1", &[(7, "s.n")]));
    }

    #[test]
    fn what_is_over_when_a_worker_starts_does_not_stop_it() {
        let mut task = coverage(&["s.*"], &[]);
        let transaction = |xid, lsn| Transaction { xid, commit_lsn: Lsn(lsn), ..Transaction::default() };
        assert!(task.is_settled(&transaction(99, 10)));
        assert!(!task.is_settled(&transaction(105, 10)), "was running");
        assert!(!task.is_settled(&transaction(99, 2000)));
        let table = seen(&NOTHING, 9, "s.c", &[]);
        assert_eq!(task.interest(&table, true).unwrap(), Ruling::NOTHING, "it is gone, or not named any more");
        task.missing.insert(9, name("s.c"));
        assert!(task.interest(&table, true).is_err());
        // A followed table that has got its name back: its rows go where they belong.
        let table = seen(&NOTHING, 1, "s.x", &[]);
        assert_eq!(task.interest(&table, true).unwrap().route.unwrap().source, name("s.a"));
        assert!(task.interest(&table, false).is_err());
        // One that has another name by now: the hint says the one it has now.
        task.followed.get_mut(&1).unwrap().now = Some(name("s.y"));
        let error = task.interest(&table, true).unwrap_err();
        assert!(error.hint_text().unwrap().contains("ALTER TABLE s.a RENAME TO y;"));
        assert!(task.interest(&seen(&NOTHING, 1, "s.a", &[]), true).is_ok(), "from before it was renamed");
    }

    #[test]
    fn a_renamed_table_is_to_be_renamed_on_the_destination() {
        let task = coverage(&["s.*"], &[]);
        let hint = |catalog: &Catalog, oid, table| {
            let error = task.interest(&seen(catalog, oid, table, &[]), false).unwrap_err();
            error.hint_text().unwrap().to_owned()
        };
        let there = Catalog(vec![(2, name("s.a"))], vec!["s", "S 2"]);
        assert!(hint(&there, 1, "s.a2").starts_with("On the destination: ALTER TABLE s.a RENAME TO a2; Then here:"));
        assert!(
            hint(&there, 1, "\"S 2\".\"A\"")
                .contains("ALTER TABLE s.a RENAME TO courier_moved; ALTER TABLE s.courier_moved SET SCHEMA \"S 2\"; ALTER TABLE \"S 2\".courier_moved RENAME TO \"A\";")
        );
        let swapped = "ALTER TABLE s.a RENAME TO courier_renamed; ALTER TABLE s.b RENAME TO a; \
                       ALTER TABLE s.courier_renamed RENAME TO b;";
        assert!(hint(&there, 1, "s.b").contains(swapped));
        let moved_on = Catalog(vec![(2, name("s.c"))], vec!["s"]);
        assert!(hint(&moved_on, 1, "s.b").contains("ALTER TABLE s.b RENAME TO c; ALTER TABLE s.a RENAME TO b;"));
        let renamed_schema = Catalog(Vec::new(), vec!["s2"]);
        assert!(hint(&renamed_schema, 1, "s2.a").contains("ALTER SCHEMA s RENAME TO s2;"));
    }

    #[test]
    fn an_unlogged_table_is_no_matter_where_its_copy_is_newer() {
        let mut task = coverage(&["s.*"], &[]);
        let transaction = Transaction { xid: 99, commit_lsn: Lsn(10), ..Transaction::default() };
        assert!(task.is_unlogged(1, &transaction).is_err());
        assert!(task.is_unlogged(9, &transaction).is_ok());
        let copy = CopySnapshot::parse("100:100:", Lsn(100)).unwrap();
        task.followed.get_mut(&1).unwrap().interest = Interest::Except(Rc::new(copy));
        assert!(task.is_unlogged(1, &transaction).is_ok());
        assert!(task.is_unlogged(1, &Transaction { commit_lsn: Lsn(200), ..transaction }).is_err());
    }

    /// At the start of a transaction the server shows the catalogs as they were at its first change.
    #[test]
    fn a_transaction_that_began_before_a_copy_or_a_command_says_nothing_new() {
        let mut task = coverage(&["s.*"], &[]);
        let began = |lsn| Transaction { first_lsn: Lsn(lsn), commit_lsn: Lsn(300), ..Transaction::default() };
        assert!(!task.began_before_news(1, &began(10)));
        task.told = Lsn(50);
        assert!(task.began_before_news(1, &began(50)) && !task.began_before_news(1, &began(51)));
        let copy = CopySnapshot::parse("100:100:", Lsn(100)).unwrap();
        task.followed.get_mut(&1).unwrap().interest = Interest::Except(Rc::new(copy));
        assert!(task.began_before_news(1, &began(100)) && !task.began_before_news(1, &began(101)));
        assert!(!task.began_before_news(1, &began(0)), "nobody knows when");
    }
}
