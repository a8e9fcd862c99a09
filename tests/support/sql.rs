//! SQL from a test's point of view: a value, some rows, or the answer of a statement
//! that must fail. Values are text as psql shows them, so any type can be asserted on.

use std::fmt;

use postgres::{Client, SimpleQueryMessage};

/// Rows of text; `None` is NULL.
pub type Rows = Vec<Vec<Option<String>>>;

/// What a server answered to a statement it refused.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Answer {
    pub sqlstate: String,
    pub message: String,
    pub detail: String,
    pub hint: String,
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ERROR: {} ({})", self.message, self.sqlstate)?;
        write!(f, "\nDETAIL: {}\nHINT: {}", self.detail, self.hint)
    }
}

impl From<&postgres::Error> for Answer {
    fn from(error: &postgres::Error) -> Answer {
        match error.as_db_error() {
            Some(db) => Answer {
                sqlstate: db.code().code().to_owned(),
                message: db.message().to_owned(),
                detail: db.detail().unwrap_or_default().to_owned(),
                hint: db.hint().unwrap_or_default().to_owned(),
            },
            None => Answer { message: format!("not an answer of the server: {error}"), ..Answer::default() },
        }
    }
}

/// The rows of the last statement in `sql` that returned any.
pub fn rows(client: &mut Client, sql: &str) -> Result<Rows, postgres::Error> {
    let mut rows = Rows::new();
    for message in client.simple_query(sql)? {
        match message {
            SimpleQueryMessage::RowDescription(_) => rows.clear(),
            SimpleQueryMessage::Row(row) => {
                rows.push((0..row.len()).map(|n| row.get(n).map(str::to_owned)).collect());
            }
            _ => {}
        }
    }
    Ok(rows)
}

/// The first column of the first row; NULL and no row are both `None`.
pub fn value(client: &mut Client, sql: &str) -> Result<Option<String>, postgres::Error> {
    Ok(rows(client, sql)?.into_iter().next().and_then(|row| row.into_iter().next().flatten()))
}

/// A name as SQL wants it, quoted always.
pub fn ident(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A string constant.
pub fn literal(text: &str) -> String {
    let quoted = text.replace('\'', "''");
    if quoted.contains('\\') { format!(" E'{}'", quoted.replace('\\', "\\\\")) } else { format!("'{quoted}'") }
}
