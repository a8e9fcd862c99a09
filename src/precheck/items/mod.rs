//! Every precheck item, defined once: what it is called, how bad it is, whether it may be ignored, and why it matters.
//!
//! The queries of `sql/query/precheck/` and `sql/query/destination/` answer with an item's id; [`super::docs`] prints this table as
//! `docs/prechecks.md`. A query that answers with an unknown id is a bug that a test finds.

mod account;
mod destination;
mod server;
mod tables;

/// How bad a finding of the item is, unless the query says otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    Warning,
    Failed,
}

/// The tasks that an item concerns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Concerns {
    All,
    Incremental,
    /// Commands of the source are applied.
    Commands,
    /// The task creates the tables.
    SchemaSync,
    /// The tables have to be there.
    ExistingTables,
    /// The tables have to be there, and are filled.
    CopyIntoExisting,
}

pub struct Item {
    pub id: &'static str,
    pub category: &'static str,
    pub severity: Severity,
    pub ignorable: bool,
    pub concerns: Concerns,
    /// What is looked at and why it matters; Markdown.
    pub about: &'static str,
}

/// Items that are shown together.
struct Category(&'static str);

impl Category {
    const fn failed(&self, id: &'static str, concerns: Concerns, about: &'static str) -> Item {
        Item { id, category: self.0, severity: Severity::Failed, ignorable: false, concerns, about }
    }

    const fn warning(&self, id: &'static str, concerns: Concerns, about: &'static str) -> Item {
        Item { id, category: self.0, severity: Severity::Warning, ignorable: true, concerns, about }
    }
}

impl Item {
    /// A failure that someone who knows better may overrule.
    const fn or_ignore(mut self) -> Item {
        self.ignorable = true;
        self
    }
}

/// All items, in the order in which they are shown.
pub fn all() -> impl Iterator<Item = &'static Item> {
    destination::CONNECTION
        .iter()
        .chain(server::ITEMS)
        .chain(account::ITEMS)
        .chain(tables::ITEMS)
        .chain(destination::SERVER)
        .chain(destination::TABLES)
}

pub fn find(id: &str) -> Option<&'static Item> {
    all().find(|item| item.id == id)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every `'id' AS item` and `'id', NULL` that opens a branch of a query is an item, and every item is in a query.
    #[test]
    fn queries_and_items_know_each_other() {
        let queries = concat!(
            include_str!("../../../sql/query/precheck/server.sql"),
            include_str!("../../../sql/query/precheck/hba.sql"),
            include_str!("../../../sql/query/precheck/account.sql"),
            include_str!("../../../sql/query/precheck/tables.sql"),
            include_str!("../../../sql/query/destination/server.sql"),
            include_str!("../../../sql/query/destination/tables.sql"),
            include_str!("../../../sql/query/destination/writers.sql"),
            include_str!("../../../sql/query/precheck/default_privileges_here.sql"),
        );
        let mut ids: Vec<&str> = all().map(|item| item.id).collect();
        for line in queries.lines().filter_map(|line| line.strip_prefix("SELECT '")) {
            let Some((id, _)) = line.split_once('\'') else { continue };
            if id == "disk_" {
                continue; // disk_wal and disk_data
            }
            assert!(find(id).is_some(), "{id} is no item");
        }
        let in_rust = [
            "source_version",
            "minor_version",
            "left_out",
            "source_marks",
            "coverage",
            "leftovers",
            "ddl_untrusted_owners",
            "search_path",
            "user_mapping",
            "destination_not_empty",
            "destination_is_source",
            "destination_helper_schema",
            "destination_same_source",
            "loose_sequences",
            "destination_names",
            "destination_extensions",
            "destination_extension_rows",
            "cannot_create",
            "destination_roles",
            "destination_grantees",
            "row_security",
            "disk_wal",
            "disk_data",
        ];
        for item in all() {
            let found = queries.contains(&format!("SELECT '{}'", item.id))
                || in_rust.contains(&item.id)
                || item.category == "connectivity";
            assert!(found, "no query answers {}", item.id);
        }
        ids.sort_unstable();
        let count = ids.len();
        ids.dedup();
        assert_eq!(ids.len(), count, "each item once");
    }
}
