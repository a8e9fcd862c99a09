//! `courier.ddl_skip()`, `courier.ddl_replace()`: what a person decides about the command at which a task stopped, or of which something
//! is left to be done aside.

use super::start::run;
use crate::catalog::{Task, commands};
use crate::error::{Error, Result, sqlstate};
use crate::logicalrep::names::quote_literal;

/// Without `sql` nothing of the command is applied; otherwise this is, in its place.
pub fn decide(task: &Task, id: i64, sql: Option<&str>) -> Result<()> {
    let name = quote_literal(&task.name);
    if sql.is_none() && commands::with_asides(task.id)?.contains(&id) {
        // The task runs, and whoever does things aside hears of it.
        return commands::decide(task.id, id, None);
    }
    let Some(stopped_at) = commands::stopped_at(task.id)?.filter(|_| task.failed) else {
        return Err(Error::new(
            sqlstate::OBJECT_NOT_IN_PREREQUISITE_STATE,
            format!("task {name} has not stopped at a command"),
        )
        .hint(format!("SELECT id, tag, state, error FROM courier.ddl WHERE task = {name} AND state = 'failed';")));
    };
    if stopped_at != id {
        return Err(Error::new(sqlstate::INVALID_PARAMETER_VALUE, format!("task {name} did not stop at command {id}"))
            .detail(format!("It stopped at command {stopped_at}."))
            .hint(format!("SELECT * FROM courier.ddl WHERE task = {name} AND id = {stopped_at};")));
    }
    if let Some(sql) = sql.filter(|sql| !may_replace(sql)) {
        let word = sql.split_whitespace().next().unwrap_or_default();
        return Err(Error::new(
            sqlstate::INVALID_PARAMETER_VALUE,
            format!("a statement that begins with \"{word}\" cannot stand in place of a command"),
        )
        .detail("It runs in the transaction that brings the rows, which must not end with it, nor go on with other settings.")
        .hint("Begin with ALTER, COMMENT, CREATE, DELETE, DO, DROP, GRANT, INSERT, REVOKE, TRUNCATE or UPDATE."));
    }
    commands::decide(task.id, id, sql)?;
    run(task)
}

/// One statement that neither ends the transaction nor changes the session: more than one the destination refuses.
fn may_replace(sql: &str) -> bool {
    const WORDS: [&str; 11] =
        ["ALTER", "COMMENT", "CREATE", "DELETE", "DO", "DROP", "GRANT", "INSERT", "REVOKE", "TRUNCATE", "UPDATE"];
    let first: String = sql.trim_start().chars().take_while(char::is_ascii_alphabetic).collect();
    WORDS.contains(&first.to_ascii_uppercase().as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_ends_the_transaction_or_changes_the_session() {
        for sql in ["ALTER TABLE t ADD c int", "  create index on t (c)", "DO $$ BEGIN END $$"] {
            assert!(may_replace(sql), "{sql}");
        }
        for sql in ["", "COMMIT", "set search_path = x", "/* */ ALTER TABLE t", "ROLLBACK", "SELECT 1", "ALTERED"] {
            assert!(!may_replace(sql), "{sql}");
        }
    }
}
