//! Under which `search_path` code of users runs here: functions that checks, generated columns, indexes, domains and triggers call.
//!
//! Their bodies may name things without a schema, as sessions of the source find them. So sessions that write rows or build parts of tables
//! look where a session on the source does, after `pg_catalog`, and only in schemas where nobody else can have put something in the way:
//! what is found by name there runs with this user's rights. Questions about definitions are asked under `pg_catalog` alone, in every
//! session, since what the server prints depends on it.

use super::{Connection, Destination};
use crate::catalog::code_schemas::CodeSearch;
use crate::error::Result;
use crate::logicalrep::Row;
use crate::logicalrep::array::text_array;
use crate::logicalrep::names::{quote_ident, quote_literal};

/// Which of some schemas are there, and to whom they are open. Either side answers. $1: their names, $2: those of roles that are trusted.
pub const QUESTION: &str = include_str!("../../sql/query/destination/code_schemas.sql");

/// Where nothing is looked for but in the server's own schema.
pub const PLAIN: &str = "pg_catalog, pg_temp";

/// A schema that a session of the source looks into, and that is here, too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CodeSchema {
    pub name: String,
    /// A role that could make this user run something, or PUBLIC.
    pub open_to: Option<String>,
}

impl Destination {
    pub fn code_schemas(&mut self, search: &CodeSearch) -> Result<Vec<CodeSchema>> {
        code_schemas(&mut self.connection, search)
    }

    /// Where a new session would look: schemas have come since this one began, or others may create in them now.
    pub(super) fn begin_code_path(&mut self, search: &CodeSearch) -> Result<()> {
        set(&mut self.connection, PLAIN)?;
        self.code_path = begin(&mut self.connection, search)?;
        Ok(())
    }

    /// Runs `f` where the code of users finds what it names.
    pub fn with_code_path<R>(
        &mut self,
        schemas: &[String],
        f: impl FnOnce(&mut Destination) -> Result<R>,
    ) -> Result<R> {
        set(&mut self.connection, &path(schemas.iter().map(String::as_str)))?;
        let value = f(self);
        let back = set(&mut self.connection, self.code_path.as_deref().unwrap_or(PLAIN));
        value.and_then(|value| back.map(|()| value))
    }

    /// Asks something whose answer depends on what a session finds without a schema.
    pub(super) fn ask_plainly(&mut self, question: &str) -> Result<Vec<Row>> {
        let Some(code_path) = &self.code_path else { return self.connection.exec(question) };
        // One message is one transaction, or is in one: what has failed is undone with the settings.
        self.connection.rows_of_all(&format!("SET search_path = {PLAIN}; {question}; SET search_path = {code_path}"))
    }
}

/// The path of a new session for such code; none where it is the plain one.
pub(super) fn begin(connection: &mut Connection, search: &CodeSearch) -> Result<Option<String>> {
    let found = code_schemas(connection, search)?;
    let safe: Vec<&str> = found.iter().filter(|s| s.open_to.is_none()).map(|s| s.name.as_str()).collect();
    if safe.is_empty() {
        return Ok(None);
    }
    let path = path(safe.into_iter());
    set(connection, &path)?;
    Ok(Some(path))
}

fn code_schemas(connection: &mut Connection, search: &CodeSearch) -> Result<Vec<CodeSchema>> {
    let [schemas, trusted] = parameters(search);
    read(&connection.query(QUESTION, &[Some(&schemas), Some(&trusted)])?)
}

/// The parameters of [`QUESTION`].
pub fn parameters(search: &CodeSearch) -> [String; 2] {
    [text_array(&search.schemas), text_array(&search.trusted)]
}

/// What [`QUESTION`] is answered.
pub fn read(rows: &[Row]) -> Result<Vec<CodeSchema>> {
    rows.iter().map(|row| Ok(CodeSchema { name: row.string("nspname")?, open_to: row.opt_string("open_to") })).collect()
}

/// The server's own schema comes first, whatever the others hold, and the temporary one last.
pub fn path<'a>(schemas: impl Iterator<Item = &'a str>) -> String {
    let names: Vec<String> = schemas.map(quote_ident).collect();
    let all = std::iter::once("pg_catalog").chain(names.iter().map(String::as_str)).chain(["pg_temp"]);
    all.collect::<Vec<_>>().join(", ")
}

fn set(connection: &mut Connection, path: &str) -> Result<()> {
    let sql = format!("SELECT pg_catalog.set_config('search_path', {}, false)", quote_literal(path));
    connection.exec(&sql).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_comes_before_the_server_and_everything_is_quoted() {
        assert_eq!(path([].into_iter()), PLAIN);
        let expected = r#"pg_catalog, "public", "My ""own"", pg_x", pg_temp"#;
        assert_eq!(path(["public", r#"My "own", pg_x"#].into_iter()), expected);
    }
}
