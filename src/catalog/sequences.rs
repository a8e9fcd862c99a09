//! Sequences of a task: those that belong to its tables (owned by a column, or used in a default), and those that no
//! column owns and the task's patterns name.

use super::{Scope, Task};
use crate::error::Result;
use crate::logicalrep::names::{quote_literal, quote_qualified};
use crate::pg::spi;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SequenceValue {
    /// Qualified and quoted.
    pub name: String,
    pub last_value: i64,
    pub is_called: bool,
    /// Does a table of the task need it? One that only a pattern names may be missing on the destination.
    pub is_needed: bool,
}

/// A sequence that no column owns: only its name ties it to a task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FreeSequence {
    pub oid: u32,
    pub schema: String,
    pub name: String,
}

/// All of the database, whatever the patterns say.
pub fn free() -> Result<Vec<FreeSequence>> {
    let rows =
        spi::as_extension(|| spi::query("SELECT oid, nspname, relname FROM courier.schema_free_sequences()", &[]))?;
    rows.iter()
        .map(|row| Ok(FreeSequence { oid: row.parse(0)?, schema: row.string(1)?, name: row.string(2)? }))
        .collect()
}

/// Those that the patterns name.
pub fn named(scope: &Scope) -> Result<Vec<FreeSequence>> {
    let is_named = scope.named()?;
    Ok(free()?.into_iter().filter(|s| is_named(&s.schema, &s.name)).collect())
}

/// Reads all of them, with the rights of the task's owner.
pub fn read(task: &Task) -> Result<Vec<SequenceValue>> {
    const AT_ONCE: usize = 100;
    let owner = task.owner;
    let names =
        spi::as_extension(|| spi::query(include_str!("../../sql/query/sequences.sql"), &[Some(&task.id.to_string())]))?;
    let mut names =
        names.iter().map(|row| Ok(quote_qualified(row.text(0)?, row.text(1)?))).collect::<Result<Vec<String>>>()?;
    let needed = names.len();
    for sequence in named(&task.scope)? {
        let name = quote_qualified(&sequence.schema, &sequence.name);
        if !names[..needed].contains(&name) && may_read(owner, sequence.oid)? {
            names.push(name);
        }
    }
    let mut values = Vec::with_capacity(names.len());
    let needed: std::collections::HashSet<String> = names[..needed].iter().cloned().collect();
    for names in names.chunks(AT_ONCE) {
        let parts: Vec<String> = names
            .iter()
            .map(|name| format!("SELECT {}, last_value, is_called FROM {name}", quote_literal(name)))
            .collect();
        let rows = spi::as_role(owner, || spi::query(&parts.join(" UNION ALL "), &[]))?;
        for row in &rows {
            let name = row.string(0)?;
            let is_needed = needed.contains(&name);
            values.push(SequenceValue { name, last_value: row.parse(1)?, is_called: row.bool(2)?, is_needed });
        }
    }
    Ok(values)
}

fn may_read(owner: u32, sequence: u32) -> Result<bool> {
    spi::as_extension(|| {
        spi::query_one(
            "SELECT COALESCE(has_sequence_privilege($1::oid, c.oid, 'SELECT') AND has_schema_privilege($1::oid, c.relnamespace, 'USAGE'), false) \
             FROM (SELECT $2::oid AS oid) AS s LEFT JOIN pg_class c ON c.oid = s.oid",
            &[Some(&owner.to_string()), Some(&sequence.to_string())],
        )
    })?
    .bool(0)
}
