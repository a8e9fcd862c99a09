//! A result row in text form, from either server. Catalogue queries are small; text keeps both sides alike.
//!
//! Columns are asked for by name, or by position where a query has one or two of them: `row.text("owner")`, `row.text(0)`.

use std::rc::Rc;

use crate::error::{Error, Result};
use crate::logicalrep::Lsn;

/// Characters of an unexpected value in a message: it may be anything that the other side came up with.
const SHOWN: usize = 100;

/// The rows of one result share the names of its columns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    values: Vec<Option<String>>,
    names: Rc<[String]>,
}

/// A column of a row: its name, or its position from 0.
pub trait ColumnRef: Copy {
    fn position(self, names: &[String]) -> Option<usize>;

    /// For messages.
    fn shown(self) -> String;
}

impl ColumnRef for usize {
    fn position(self, _names: &[String]) -> Option<usize> {
        Some(self)
    }

    fn shown(self) -> String {
        self.to_string()
    }
}

impl ColumnRef for &str {
    fn position(self, names: &[String]) -> Option<usize> {
        let position = names.iter().position(|name| name == self);
        debug_assert!(position.is_some(), "no column \"{self}\" in {names:?}");
        position
    }

    fn shown(self) -> String {
        format!("\"{self}\"")
    }
}

impl Row {
    pub fn new(values: Vec<Option<String>>, names: Rc<[String]>) -> Row {
        debug_assert_eq!(values.len(), names.len());
        Row { values, names }
    }

    /// What it takes in memory, about.
    pub fn bytes(&self) -> usize {
        let value = |value: &Option<String>| size_of::<Option<String>>() + value.as_ref().map_or(0, String::len);
        size_of::<Row>() + self.values.iter().map(value).sum::<usize>()
    }

    pub fn opt(&self, column: impl ColumnRef) -> Option<&str> {
        column.position(&self.names).and_then(|at| self.values.get(at)).and_then(Option::as_deref)
    }

    pub fn text(&self, column: impl ColumnRef) -> Result<&str> {
        self.opt(column)
            .ok_or_else(|| Error::internal(format!("unexpected null in column {} of a catalog query", column.shown())))
    }

    pub fn string(&self, column: impl ColumnRef) -> Result<String> {
        self.text(column).map(str::to_owned)
    }

    pub fn opt_string(&self, column: impl ColumnRef) -> Option<String> {
        self.opt(column).map(str::to_owned)
    }

    pub fn parse<T: std::str::FromStr>(&self, column: impl ColumnRef) -> Result<T> {
        let text = self.text(column)?;
        text.parse().map_err(|_| {
            let shown: String = text.chars().take(SHOWN).collect();
            let column = column.shown();
            Error::internal(format!("unexpected value \"{shown}\" in column {column} of a catalog query"))
        })
    }

    pub fn bool(&self, column: impl ColumnRef) -> Result<bool> {
        Ok(matches!(self.text(column)?, "t" | "true" | "on"))
    }

    /// The LSN in a column, `0/0` where it is null.
    pub fn lsn(&self, column: impl ColumnRef) -> Result<Lsn> {
        match self.opt(column) {
            None => Ok(Lsn::INVALID),
            Some(text) => text.parse().map_err(Error::internal),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row() -> Row {
        let names = ["id", "name", "lsn"].map(str::to_owned);
        Row::new(vec![Some("7".to_owned()), None, Some("0/10".to_owned())], names.into())
    }

    #[test]
    fn a_column_is_found_by_name_and_by_position() {
        assert_eq!(row().parse::<i32>("id").ok(), Some(7));
        assert_eq!(row().parse::<i32>(0).ok(), Some(7));
        assert_eq!(row().opt("name"), None);
        assert_eq!(row().lsn("lsn").ok(), Some(Lsn(16)));
    }

    #[test]
    fn what_is_wrong_names_the_column() {
        let message = |error: Option<Error>| error.map(|error| error.message().to_owned()).unwrap_or_default();
        assert!(message(row().text("name").err()).contains("column \"name\""));
        assert!(message(row().text(1).err()).contains("column 1"));
        assert!(message(row().parse::<i32>("lsn").err()).contains("\"0/10\" in column \"lsn\""));
    }
}
