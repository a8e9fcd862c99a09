//! A result row in text form, from either server. Catalogue queries are small; text keeps both sides alike.

use crate::error::{Error, Result};
use crate::logicalrep::Lsn;

/// Characters of an unexpected value in a message: it may be anything that the other side came up with.
const SHOWN: usize = 100;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row(pub Vec<Option<String>>);

impl Row {
    /// What it takes in memory, about.
    pub fn bytes(&self) -> usize {
        let value = |value: &Option<String>| size_of::<Option<String>>() + value.as_ref().map_or(0, String::len);
        size_of::<Row>() + self.0.iter().map(value).sum::<usize>()
    }

    pub fn opt(&self, column: usize) -> Option<&str> {
        self.0.get(column).and_then(Option::as_deref)
    }

    pub fn text(&self, column: usize) -> Result<&str> {
        self.opt(column)
            .ok_or_else(|| Error::internal(format!("unexpected null in column {column} of a catalog query")))
    }

    pub fn string(&self, column: usize) -> Result<String> {
        self.text(column).map(str::to_owned)
    }

    pub fn opt_string(&self, column: usize) -> Option<String> {
        self.opt(column).map(str::to_owned)
    }

    pub fn parse<T: std::str::FromStr>(&self, column: usize) -> Result<T> {
        let text = self.text(column)?;
        text.parse().map_err(|_| {
            let shown: String = text.chars().take(SHOWN).collect();
            Error::internal(format!("unexpected value \"{shown}\" in column {column} of a catalog query"))
        })
    }

    pub fn bool(&self, column: usize) -> Result<bool> {
        Ok(matches!(self.text(column)?, "t" | "true" | "on"))
    }

    /// The LSN in a column, `0/0` where it is null.
    pub fn lsn(&self, column: usize) -> Result<Lsn> {
        match self.opt(column) {
            None => Ok(Lsn::INVALID),
            Some(text) => text.parse().map_err(Error::internal),
        }
    }
}
