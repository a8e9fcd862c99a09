//! Steps as SQL of a destination: the statement, and the questions that go with it.

use std::fmt;

use serde::{Deserialize, Serialize};

pub mod postgres;

/// A statement, or a question, that the generator has written: nobody else can make one, so a destination that takes only these is told
/// nothing else about its objects. It is read back from where that destination keeps it for later.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SchemaSql(String);

impl SchemaSql {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for SchemaSql {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A step as text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Printed {
    /// Whom it is about, as people read it.
    pub object: String,
    pub statement: SchemaSql,
    /// A query that is true when the statement is not needed (any more).
    pub present_sql: SchemaSql,
    /// Asked when the object is there: null, or how it differs.
    pub differs_sql: Option<SchemaSql>,
}
