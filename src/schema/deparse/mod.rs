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

    /// Of one that adds a foreign key: the same without a look at the rows that are there, and the statement that looks at them later.
    pub fn not_valid(&self) -> Option<(SchemaSql, String)> {
        let statement = self.0.trim_end_matches(';');
        let (table, rest) = statement.split_once(" ADD CONSTRAINT ")?;
        let (name, _) = rest.split_once(" FOREIGN KEY ")?;
        Some((SchemaSql(format!("{statement} NOT VALID")), format!("{table} VALIDATE CONSTRAINT {name}")))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_nobody_has_looked_at() {
        let add = "ALTER TABLE s.c ADD CONSTRAINT \"K\" FOREIGN KEY (a) REFERENCES s.p(id) DEFERRABLE";
        let (statement, validate) = SchemaSql(add.to_owned()).not_valid().expect("a foreign key");
        assert_eq!(statement.as_str(), format!("{add} NOT VALID"));
        assert_eq!(validate, "ALTER TABLE s.c VALIDATE CONSTRAINT \"K\"");
        assert_eq!(SchemaSql("ALTER TABLE s.c ADD CONSTRAINT k CHECK (a > 0)".to_owned()).not_valid(), None);
    }
}
