//! `courier.ddl_log`: what commands have left behind, a row each. The stream brings the rows to the workers; nobody reads the table for that.

use super::DdlPolicy;
use crate::error::{Error, Result};
use crate::pg::{rel, spi};
use crate::schema::captured::Captured;

/// A row as it will be written.
pub struct LogEntry {
    pub snapshot: String,
    pub image: String,
    pub tag: String,
    pub author: String,
    pub command: Option<String>,
}

/// Does any task want to know?
pub fn is_wanted() -> bool {
    rel::has_row(c"courier", c"task", c"ddl", |policy| policy != DdlPolicy::Ignore.as_str())
}

pub fn is_any_task(policy: DdlPolicy) -> bool {
    rel::has_row(c"courier", c"task", c"ddl", |word| word == policy.as_str())
}

pub fn text(captured: &Captured) -> Result<String> {
    serde_json::to_string(captured).map_err(|e| Error::internal(format!("an image has no text: {e}")))
}

/// What a command has left behind, if it is still known.
pub fn image(id: i64) -> Result<Option<Captured>> {
    let sql = "SELECT image FROM courier.ddl_log WHERE id = $1::bigint";
    let row = spi::as_extension(|| spi::query_opt(sql, &[Some(&id.to_string())]))?;
    let Some(row) = row else { return Ok(None) };
    serde_json::from_str(row.text(0)?)
        .map(Some)
        .map_err(|e| Error::internal(format!("command {id} of courier.ddl_log cannot be read: {e}")))
}

pub fn write(entry: &LogEntry) -> Result<()> {
    let LogEntry { snapshot, image, tag, author, command } = entry;
    let parameters = [Some(snapshot), Some(image), Some(tag), Some(author), command.as_ref()];
    let parameters = parameters.map(|parameter| parameter.map(String::as_str));
    let sql = include_str!("../../sql/query/capture/log.sql");
    spi::as_extension(|| spi::with_kept_plans(|| spi::query_fixed(sql, &parameters))).map(drop)
}
