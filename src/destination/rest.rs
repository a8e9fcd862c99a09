//! What the destination's database has besides the objects of a task, and whose those are.

use std::collections::HashMap;

use super::Destination;
use crate::error::Result;
use crate::logicalrep::Row;

impl Destination {
    /// How things stand here. `things`: JSON, an array of [number, kind, what it is]; the answers by number: nothing where it is missing, an
    /// empty text where it is the same, else what is in its place.
    pub fn rest(&mut self, things: &str) -> Result<Vec<(usize, Option<String>)>> {
        let rows = self.connection.query(include_str!("../../sql/query/destination/rest.sql"), &[Some(things)])?;
        rows.iter().map(|row: &Row| Ok((row.parse("n")?, row.opt_string("there")))).collect()
    }

    /// Foreign-data wrappers, servers, foreign tables, user mappings and subscriptions: kind and object, with the statement that makes it where that
    /// can be compared.
    pub fn foreign(&mut self) -> Result<HashMap<(String, String), Option<String>>> {
        let comparable = self.connection.query(include_str!("../../sql/query/rest/foreign.sql"), &[])?;
        let others = self.connection.query(include_str!("../../sql/query/destination/foreign.sql"), &[])?;
        let object = |row: &Row| Ok((row.string("kind")?, row.string("object")?));
        let with = comparable.iter().map(|row| Ok((object(row)?, Some(row.string("statement")?))));
        with.chain(others.iter().map(|row| Ok((object(row)?, None)))).collect()
    }

    pub fn database_name(&mut self) -> Result<String> {
        let rows = self.connection.exec("SELECT pg_catalog.current_database()")?;
        rows.first().map_or(Ok(String::new()), |row| row.string(0))
    }

    /// Runs statements as one transaction; none of them waits long for a lock.
    pub fn run_together(&mut self, statements: &str) -> Result<()> {
        self.connection.exec_all(&format!("SET LOCAL lock_timeout = '5s'; {statements}"))
    }
}
