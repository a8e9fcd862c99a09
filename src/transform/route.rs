//! The way of one table's rows.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::error::{Error, Result};
use crate::logicalrep::{Change, TableName};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// What the task calls it on the source.
    pub source: TableName,
    /// What it is called on the destination.
    pub target: TableName,
    pub columns: Columns,
    pub filter: Filter,
    pub operations: Operations,
    /// Generated columns whose values travel, as the destination does not compute them.
    pub fed: Vec<String>,
    /// The table is not there yet: the command that makes it follows, and rows wait for it.
    pub is_awaited: bool,
}

/// What becomes of columns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Columns {
    /// All of them travel, under their own names.
    Same,
    /// These are called otherwise on the destination, or do not travel; all others do, under their own names.
    Mapped(BTreeMap<String, Option<String>>),
}

/// Which rows travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Filter {
    All,
}

/// What happens to rows of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    Insert,
    Update,
    Delete,
    Truncate,
}

/// Which of them travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Operations(u8);

impl Operations {
    pub const ALL: Operations = Operations(0b1111);

    pub fn only(operations: &[Operation]) -> Operations {
        Operations(operations.iter().fold(0, |bits, operation| bits | operation.bit()))
    }

    #[inline]
    pub fn include(self, operation: Operation) -> bool {
        self.0 & operation.bit() != 0
    }
}

impl Operation {
    #[inline]
    const fn bit(self) -> u8 {
        1 << self as u8
    }

    #[inline]
    pub fn of(change: &Change<'_>) -> Operation {
        match change {
            Change::Insert { .. } => Operation::Insert,
            Change::Update { .. } => Operation::Update,
            Change::Delete { .. } => Operation::Delete,
        }
    }

    fn parse(name: &str) -> Option<Operation> {
        Some(match name {
            "insert" => Operation::Insert,
            "update" => Operation::Update,
            "delete" => Operation::Delete,
            "truncate" => Operation::Truncate,
            _ => return None,
        })
    }
}

/// What `courier.task_table.route` holds; what is not there is as on the source.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    schema: Option<String>,
    table: Option<String>,
    #[serde(default)]
    columns: BTreeMap<String, Option<String>>,
    operations: Option<Vec<String>>,
}

impl Route {
    /// The same on both sides.
    pub fn identity(table: TableName) -> Route {
        Route {
            target: table.clone(),
            source: table,
            columns: Columns::Same,
            filter: Filter::All,
            operations: Operations::ALL,
            fed: Vec::new(),
            is_awaited: false,
        }
    }

    /// Of a table that is not there yet: no operation can be applied.
    pub fn awaited(table: TableName) -> Route {
        Route { operations: Operations::only(&[]), is_awaited: true, ..Route::identity(table) }
    }

    /// Reads `courier.task_table.route`: `{"schema": s, "table": t, "columns": {"here": "there", "stays": null},
    /// "operations": ["insert", "update"]}`.
    pub fn parse(source: TableName, stored: Option<&str>) -> Result<Route> {
        let Some(text) = stored else { return Ok(Route::identity(source)) };
        let invalid = |what: String| {
            Error::internal(format!("invalid route of table {}", source.shown())).detail(format!("{what}: {text}"))
        };
        let stored: Stored = serde_json::from_str(text).map_err(|error| invalid(error.to_string()))?;
        let operations = match stored.operations {
            None => Operations::ALL,
            Some(names) => {
                let parse =
                    |name: &String| Operation::parse(name).ok_or_else(|| invalid(format!("no operation {name}")));
                Operations::only(&names.iter().map(parse).collect::<Result<Vec<_>>>()?)
            }
        };
        let target = TableName::new(
            stored.schema.unwrap_or_else(|| source.schema.clone()),
            stored.table.unwrap_or_else(|| source.name.clone()),
        );
        let columns = if stored.columns.is_empty() { Columns::Same } else { Columns::Mapped(stored.columns) };
        Ok(Route { source, target, columns, filter: Filter::All, operations, fed: Vec::new(), is_awaited: false })
    }

    /// With the values of these generated columns.
    pub fn feeding(self, columns: Vec<String>) -> Route {
        Route { fed: columns, ..self }
    }

    /// Does the value of a generated column travel?
    pub fn feeds(&self, column: &str) -> bool {
        self.fed.iter().any(|fed| fed == column)
    }

    /// What a column of the source is called on the destination; `None` if it does not travel.
    pub fn column<'a>(&'a self, source: &'a str) -> Option<&'a str> {
        match &self.columns {
            Columns::Same => Some(source),
            Columns::Mapped(map) => map.get(source).map_or(Some(source), Option::as_deref),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> TableName {
        TableName::new("shop", "orders")
    }

    #[test]
    fn without_rules_nothing_changes() {
        let route = Route::parse(table(), None).unwrap();
        assert_eq!(route, Route::identity(table()));
        assert_eq!(route.column("id"), Some("id"));
        for operation in [Operation::Insert, Operation::Update, Operation::Delete, Operation::Truncate] {
            assert!(route.operations.include(operation));
        }
        assert_eq!(Route::parse(table(), Some("{}")).unwrap(), route);
    }

    #[test]
    fn names_columns_and_operations_are_mapped_one_by_one() {
        let text = r#"{"schema": "Shop 2", "columns": {"id": "order id", "secret": null}, "operations": ["insert", "delete"]}"#;
        let route = Route::parse(table(), Some(text)).unwrap();
        assert_eq!(route.target, TableName::new("Shop 2", "orders"));
        for (column, there) in [("id", Some("order id")), ("secret", None), ("note", Some("note"))] {
            assert_eq!(route.column(column), there, "{column}");
        }
        for (operation, travels) in [
            (Operation::Insert, true),
            (Operation::Update, false),
            (Operation::Delete, true),
            (Operation::Truncate, false),
        ] {
            assert_eq!(route.operations.include(operation), travels, "{operation:?}");
        }
        let route = Route::parse(table(), Some(r#"{"table": "t"}"#)).unwrap();
        assert_eq!(route.target, TableName::new("shop", "t"));
    }

    #[test]
    fn what_is_not_understood_is_an_error() {
        for text in ["", "[]", r#"{"colums": {}}"#, r#"{"operations": ["upsert"]}"#, r#"{"schema": 1}"#] {
            assert!(Route::parse(table(), Some(text)).is_err(), "{text}");
        }
    }
}
