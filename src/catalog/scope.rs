//! What a task is about: which tables, and what is done with them.

use super::select::{self, SelectedTables};
use crate::error::{Error, Result, sqlstate};

#[derive(Clone, Debug)]
pub struct Scope {
    pub include: Vec<String>,
    pub exclude: Vec<String>,
    pub schema_sync: bool,
    pub full_copy: bool,
    pub incremental: bool,
}

impl Scope {
    /// The tables there are now.
    pub fn selection(&self) -> Result<SelectedTables> {
        select::select(&self.include, &self.exclude)
    }

    /// Do the patterns name a relation, whatever it is?
    pub fn named(&self) -> Result<impl Fn(&str, &str) -> bool> {
        select::named(&self.include, &self.exclude)
    }

    /// Do the patterns name everything in a schema, as `schema.*` does?
    pub fn covers_schema(&self) -> Result<impl Fn(&str) -> bool> {
        // A name that only a wildcard meets.
        let named = self.named()?;
        Ok(move |schema: &str| named(schema, "\u{1}"))
    }

    pub fn check(&self) -> Result<()> {
        if self.schema_sync || self.full_copy || self.incremental {
            return Ok(());
        }
        Err(Error::new(sqlstate::INVALID_PARAMETER_VALUE, "the task would do nothing")
            .hint("Leave at least one of schema_sync, full_copy and incremental on."))
    }
}
