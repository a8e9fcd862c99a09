//! The extension's version in this database, and the library's.
//!
//! A package replaces the library, a restart loads it, and `ALTER EXTENSION pg_courier UPDATE` brings the tables and functions
//! after it. In between nothing runs: the library would read columns that are not there yet.

use crate::error::{Error, Result, sqlstate};
use crate::pg::spi;

/// Of the library.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Are both the same?
pub fn check() -> Result<()> {
    let row =
        spi::as_extension(|| spi::query_opt("SELECT extversion FROM pg_extension WHERE extname = 'pg_courier'", &[]))?;
    let Some(row) = row else {
        return Err(Error::new(sqlstate::UNDEFINED_OBJECT, "extension pg_courier does not exist in this database")
            .hint("CREATE EXTENSION pg_courier;"));
    };
    compare(row.text(0)?, VERSION)
}

fn compare(installed: &str, library: &str) -> Result<()> {
    if installed == library {
        return Ok(());
    }
    let numbers = |version: &str| version.split('.').map(|part| part.parse().unwrap_or(0)).collect::<Vec<u32>>();
    let hint = if numbers(installed) < numbers(library) {
        "ALTER EXTENSION pg_courier UPDATE;"
    } else {
        "Restart the server, so that it loads the library that belongs to the extension."
    };
    Err(Error::new(
        sqlstate::OBJECT_NOT_IN_PREREQUISITE_STATE,
        format!("extension pg_courier is of version {installed} in this database, its library of version {library}"),
    )
    .detail("Tasks do not run before both are the same; their slots keep WAL meanwhile.")
    .hint(hint))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whichever_is_older_is_to_be_replaced() {
        assert!(compare("0.2.0", "0.2.0").is_ok());
        let hint =
            |installed, library| compare(installed, library).err().and_then(|e| e.hint_text().map(str::to_owned));
        assert!(hint("0.9.0", "0.10.0").is_some_and(|hint| hint.starts_with("ALTER EXTENSION")));
        assert!(hint("0.10.0", "0.9.0").is_some_and(|hint| hint.starts_with("Restart")));
    }
}
