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

use super::names::{Pattern, quote_literal, quote_qualified, shown, shown_qualified};
use super::{CopySnapshot, FastMap, Lsn, Transaction, Wanted};
use crate::error::{Error, Result, sqlstate};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableName {
    pub schema: String,
    pub name: String,
}

impl TableName {
    pub fn new(schema: impl Into<String>, name: impl Into<String>) -> TableName {
        TableName { schema: schema.into(), name: name.into() }
    }

    /// For messages and statements: quotes where they are needed.
    pub fn shown(&self) -> String {
        shown_qualified(&self.schema, &self.name)
    }

    pub fn qualified(&self) -> String {
        quote_qualified(&self.schema, &self.name)
    }

    /// What [`quote_qualified`] has written, for messages.
    pub fn shown_as(qualified: &str) -> String {
        TableName::parse(qualified).map_or_else(|| qualified.to_owned(), |name| name.shown())
    }

    /// Reads what [`quote_qualified`] has written.
    pub fn parse(qualified: &str) -> Option<TableName> {
        let mut parts = vec![String::new()];
        let mut chars = qualified.chars().peekable();
        let mut quoted = false;
        while let Some(c) = chars.next() {
            match c {
                '"' if quoted && chars.peek() == Some(&'"') => {
                    chars.next();
                    parts.last_mut()?.push('"');
                }
                '"' => quoted = !quoted,
                '.' if !quoted => parts.push(String::new()),
                c => parts.last_mut()?.push(c),
            }
        }
        let [schema, name] = <[String; 2]>::try_from(parts).ok()?;
        Some(TableName { schema, name })
    }
}

/// A table that rows were written to, as it was then.
pub struct Seen<'a> {
    pub oid: u32,
    pub name: TableName,
    /// The partitioned tables above it, the nearest first. Not asked of tables that are followed.
    pub ancestors: Vec<(u32, TableName)>,
    /// Is it an ordinary table that belongs to no extension?
    pub is_users: bool,
    pub catalog: &'a dyn Names,
}

/// Names at the same moment.
pub trait Names {
    fn table(&self, oid: u32) -> Option<TableName>;
    fn has_schema(&self, name: &str) -> bool;
}

/// What the task wants of a table that the stream has met.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interest {
    pub wanted: Wanted,
    /// What it is called on the destination, if that is known.
    pub name: Option<TableName>,
    /// Is it the same for settled transactions and for others?
    pub is_certain: bool,
}

impl Interest {
    pub const NOTHING: Interest = Interest { wanted: Wanted::Nothing, name: None, is_certain: false };
    pub const EVERYTHING: Interest = Interest { wanted: Wanted::Everything, name: None, is_certain: true };
}

pub struct Followed {
    /// What it is called on the destination.
    pub name: TableName,
    /// What it is called on the source as the worker starts; none if it is gone.
    pub now: Option<TableName>,
    /// The snapshot of its copy as long as the stream may overlap it.
    pub snapshot: Option<CopySnapshot>,
}

/// The patterns of a task, and the partitioned tables that it follows.
pub struct Scope {
    pub include: Vec<Pattern>,
    pub exclude: Vec<Pattern>,
    pub parents: Vec<u32>,
}

impl Scope {
    pub fn parse(include: &[String], exclude: &[String], parents: Vec<u32>) -> Result<Scope> {
        let parse = |list: &[String]| list.iter().map(|p| Pattern::parse(p)).collect::<Result<Vec<_>>>();
        Ok(Scope { include: parse(include)?, exclude: parse(exclude)?, parents })
    }

    /// Do the patterns name a table, by itself or with a partitioned table that it belongs to?
    pub fn names<'a>(&self, table: &TableName, ancestors: impl Iterator<Item = (u32, &'a TableName)>) -> bool {
        let matches = |list: &[Pattern], name: &TableName| list.iter().any(|p| p.matches(&name.schema, &name.name));
        if is_of_system(&table.schema) || matches(&self.exclude, table) {
            return false;
        }
        let mut ancestors = ancestors;
        matches(&self.include, table)
            || ancestors.any(|(oid, name)| self.parents.contains(&oid) || matches(&self.include, name))
    }
}

fn is_of_system(schema: &str) -> bool {
    ["pg_catalog", "information_schema", "courier", "courier_applied"].contains(&schema)
        || schema.starts_with("pg_toast")
        || schema.starts_with("pg_temp")
}

pub struct Coverage {
    pub task: String,
    pub scope: Scope,
    pub followed: FastMap<u32, Followed>,
    /// What the patterns name, and the task does not follow, as the worker starts.
    pub missing: FastMap<u32, TableName>,
    /// Transactions that this snapshot shows are judged by how things are as the worker starts.
    pub start: CopySnapshot,
}

impl Coverage {
    pub fn follows(&self, table: u32) -> bool {
        self.followed.contains_key(&table)
    }

    /// Did it commit before the worker looked around?
    pub fn is_settled(&self, transaction: &Transaction) -> bool {
        self.start.contains(transaction.xid, transaction.commit_lsn)
    }

    /// What the task wants of a table. An error if it cannot leave the table out, and cannot follow it either.
    pub fn interest(&self, table: &Seen<'_>, settled: bool) -> Result<Interest> {
        if let Some(followed) = self.followed.get(&table.oid) {
            return self.of_followed(followed, table, settled);
        }
        let is_missing = match settled {
            true => self.missing.contains_key(&table.oid),
            false => table.is_users && self.scope.names(&table.name, table.ancestors.iter().map(|(o, n)| (*o, n))),
        };
        if is_missing { Err(self.not_followed(table)) } else { Ok(Interest::NOTHING) }
    }

    fn of_followed(&self, followed: &Followed, table: &Seen<'_>, settled: bool) -> Result<Interest> {
        let has_its_name = settled && followed.now.as_ref() == Some(&followed.name);
        if table.name != followed.name && !has_its_name {
            let now = followed.now.as_ref().filter(|_| settled).unwrap_or(&table.name);
            return Err(self.renamed(table, &followed.name, now));
        }
        let wanted = if followed.snapshot.is_some() { Wanted::InParts } else { Wanted::Everything };
        let is_certain = table.name == followed.name;
        Ok(Interest { wanted, name: Some(followed.name.clone()), is_certain })
    }

    /// Does the task want this transaction's changes of a table? Not what is in the table's copy.
    pub fn wants(&self, table: u32, transaction: &Transaction) -> bool {
        let snapshot = self.followed.get(&table).and_then(|table| table.snapshot.as_ref());
        snapshot.is_none_or(|snapshot| !snapshot.contains(transaction.xid, transaction.commit_lsn))
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
            && let Some((oid, other)) = self.followed.iter().find(|(_, followed)| followed.name == *target)
            && !moves.iter().any(|(from, _)| *from == other.name)
            && let Some(to) = table.catalog.table(*oid)
        {
            moves.push((other.name.clone(), to));
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

    /// A table that the task follows is unlogged at the start of a transaction: what is written to it is in no WAL.
    pub fn is_unlogged(&self, table: u32, transaction: &Transaction) -> Result<()> {
        match self.followed.get(&table) {
            Some(followed) if self.wants(table, transaction) => Err(unlogged(&self.task, &followed.name)),
            _ => Ok(()),
        }
    }
}

/// The two ways out for a table that is named and not followed.
pub fn not_followed_hint(task: &str, table: &TableName) -> String {
    let (task, name) = (quote_literal(task), table.shown());
    let (name, pattern) = (quote_literal(&name), quote_literal(&table.qualified()));
    format!(
        "To follow it, create it on the destination as it is here, empty, then SELECT courier.add_table({task}, {name}); \
         To leave it out: SELECT courier.alter_task({task}, exclude => ARRAY[{pattern}]); \
         Either while the task is paused or has failed, then SELECT courier.resume({task});"
    )
}

fn unlogged(task: &str, table: &TableName) -> Error {
    let name = table.shown();
    Error::new(sqlstate::OBJECT_NOT_IN_PREREQUISITE_STATE, format!("table {name} was made unlogged on the source"))
        .detail("What was written to it since is not in the WAL, and so not on the destination.")
        .hint(unlogged_hint(task, table))
}

pub fn unlogged_hint(task: &str, table: &TableName) -> String {
    let (name, task) = (table.shown(), quote_literal(task));
    format!(
        "To copy it anew: ALTER TABLE {name} SET LOGGED; if it is not by now; TRUNCATE {name}; on the destination; \
         SELECT courier.add_table({task}, {}); To leave it out: SELECT courier.alter_task({task}, exclude => ARRAY[{}]); \
         Either while the task is paused or has failed, then SELECT courier.resume({task});",
        quote_literal(&name),
        quote_literal(&table.qualified())
    )
}

/// Statements that give tables their new names, in an order in which each name is free; names that go round in a circle
/// are parted with the help of one more.
pub fn rename_statements(moves: &[(TableName, TableName)]) -> Vec<String> {
    let mut left: Vec<(TableName, TableName)> = moves.to_vec();
    let mut statements = Vec::new();
    while !left.is_empty() {
        let free = left.iter().position(|(_, to)| !left.iter().any(|(from, _)| from == to));
        if let Some(free) = free {
            let (from, to) = left.remove(free);
            statements.extend(rename(&from, &to));
        } else {
            let Some((from, _)) = left.first_mut() else { break };
            let aside = TableName::new(from.schema.clone(), "courier_renamed");
            statements.extend(rename(from, &aside));
            *from = aside;
        }
    }
    statements
}

/// A table that changes both gets there under a name that nobody has: any table may have the old name in the new schema, or
/// the new name in the old one.
fn rename(from: &TableName, to: &TableName) -> Vec<String> {
    let names = |at: &TableName, name: &str| format!("ALTER TABLE {} RENAME TO {};", at.shown(), shown(name));
    let moves = |at: &TableName| format!("ALTER TABLE {} SET SCHEMA {};", at.shown(), shown(&to.schema));
    match (from.schema != to.schema, from.name != to.name) {
        (false, false) => Vec::new(),
        (false, true) => vec![names(from, &to.name)],
        (true, false) => vec![moves(from)],
        (true, true) => {
            let name = "courier_moved";
            let [before, after] = [from, to].map(|table| TableName::new(table.schema.clone(), name));
            vec![names(from, name), moves(&before), names(&after, &to.name)]
        }
    }
}

impl Default for Coverage {
    /// Follows nothing, names nothing.
    fn default() -> Coverage {
        Coverage {
            task: String::new(),
            scope: Scope { include: Vec::new(), exclude: Vec::new(), parents: Vec::new() },
            followed: FastMap::default(),
            missing: FastMap::default(),
            start: CopySnapshot::nothing(Lsn::INVALID),
        }
    }
}

#[cfg(test)]
mod tests {
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
            scope: Scope::parse(&list(include), &list(exclude), vec![3]).unwrap(),
            start: CopySnapshot::parse("100:110:105", Lsn(1000)).unwrap(),
            ..Coverage::default()
        };
        for (oid, table) in [(1, "s.a"), (2, "s.b"), (4, "s.m_1")] {
            let (name, now) = (name(table), Some(name(table)));
            coverage.followed.insert(oid, Followed { name, now, snapshot: None });
        }
        coverage
    }

    fn seen<'a>(catalog: &'a Catalog, oid: u32, table: &str, ancestors: &[(u32, &str)]) -> Seen<'a> {
        let ancestors = ancestors.iter().map(|(oid, table)| (*oid, name(table))).collect();
        Seen { oid, name: name(table), ancestors, is_users: true, catalog }
    }

    static NOTHING: Catalog = Catalog(Vec::new(), Vec::new());

    #[test]
    fn what_the_patterns_name_is_never_left_out() {
        let task = coverage(&["s.*"], &["s.scratch*"]);
        let outcome = |oid, table, ancestors: &[(u32, &str)]| {
            task.interest(&seen(&NOTHING, oid, table, ancestors), false).map(|interest| interest.wanted)
        };
        assert_eq!(outcome(1, "s.a", &[]).unwrap(), Wanted::Everything);
        assert_eq!(outcome(9, "other.c", &[]).unwrap(), Wanted::Nothing);
        assert_eq!(outcome(9, "s.scratch1", &[]).unwrap(), Wanted::Nothing);
        assert_eq!(outcome(9, "courier.task", &[]).unwrap(), Wanted::Nothing);
        let error = outcome(9, "s.c", &[]).unwrap_err();
        assert_eq!(error.sqlstate(), "55000");
        assert!(error.message().contains("table s.c, which task \"t\" does not follow"), "{}", error.message());
        let hint = error.hint_text().unwrap();
        assert!(hint.contains("SELECT courier.add_table('t', 's.c');"), "{hint}");
        assert!(hint.contains("SELECT courier.alter_task('t', exclude => ARRAY['\"s\".\"c\"']);"), "{hint}");
        // Of an extension, or no ordinary table.
        let mut table = seen(&NOTHING, 9, "s.c", &[]);
        table.is_users = false;
        assert_eq!(task.interest(&table, false).unwrap(), Interest::NOTHING);
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
        assert_eq!(task.interest(&table, true).unwrap(), Interest::NOTHING, "it is gone, or not named any more");
        task.missing.insert(9, name("s.c"));
        assert!(task.interest(&table, true).is_err());
        // A followed table that has got its name back: its rows go where they belong.
        let table = seen(&NOTHING, 1, "s.x", &[]);
        assert_eq!(task.interest(&table, true).unwrap().name, Some(name("s.a")));
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

    /// Followed on a model of the destination: no name is taken twice, whoever else is there.
    #[test]
    fn tables_change_places_across_schemas() {
        let cases: &[&[(&str, &str)]] = &[
            &[("s.c", "x.t"), ("w.t", "x.c")],
            &[("s.a", "x.b"), ("x.a", "x.a2"), ("x.b", "s.a")],
            &[("s.a", "x.b"), ("x.b", "s.a"), ("s.b", "x.a"), ("x.a", "s.b")],
        ];
        for moves in cases {
            let moves: Vec<_> = moves.iter().map(|(from, to)| (name(from), name(to))).collect();
            let mut tables: Vec<String> = moves.iter().map(|(from, _)| from.shown()).collect();
            for statement in rename_statements(&moves) {
                let words: Vec<&str> = statement.trim_end_matches(';').split(' ').collect();
                let (schema, table) = words[2].split_once('.').expect("a name with its schema");
                let new =
                    if words[3] == "SET" { format!("{}.{table}", words[5]) } else { format!("{schema}.{}", words[5]) };
                assert!(!tables.contains(&new), "{statement} {tables:?}");
                let at = tables.iter().position(|known| known == words[2]).expect("it is there");
                tables[at] = new;
            }
            let wanted: Vec<String> = moves.iter().map(|(_, to)| to.shown()).collect();
            assert_eq!(tables, wanted);
        }
    }

    #[test]
    fn an_unlogged_table_is_no_matter_where_its_copy_is_newer() {
        let mut task = coverage(&["s.*"], &[]);
        let transaction = Transaction { xid: 99, commit_lsn: Lsn(10), ..Transaction::default() };
        assert!(task.is_unlogged(1, &transaction).is_err());
        assert!(task.is_unlogged(9, &transaction).is_ok());
        task.followed.get_mut(&1).unwrap().snapshot = Some(CopySnapshot::parse("100:100:", Lsn(100)).unwrap());
        assert!(task.is_unlogged(1, &transaction).is_ok());
        assert!(task.is_unlogged(1, &Transaction { commit_lsn: Lsn(200), ..transaction }).is_err());
    }

    #[test]
    fn names_are_read_as_they_were_written() {
        for (schema, table) in [("public", "t"), ("My \"S\".x", "Ü.1")] {
            assert_eq!(TableName::parse(&quote_qualified(schema, table)), Some(TableName::new(schema, table)));
        }
        assert_eq!(TableName::parse("a"), None);
        assert_eq!(TableName::shown_as("\"public\".\"order\""), "public.\"order\"");
        assert_eq!(TableName::shown_as("public.t"), "public.t");
    }
}
