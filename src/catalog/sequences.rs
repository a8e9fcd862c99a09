//! Sequences that belong to a task's tables: owned by a column, or used in a default.

use crate::error::Result;
use crate::logicalrep::names::{quote_literal, quote_qualified};
use crate::pg::spi;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SequenceValue {
    /// Qualified and quoted.
    pub name: String,
    pub last_value: i64,
    pub is_called: bool,
}

/// Reads all of them, with the rights of the task's owner.
pub fn read(task: i32, owner: u32) -> Result<Vec<SequenceValue>> {
    const AT_ONCE: usize = 100;
    let names =
        spi::as_extension(|| spi::query(include_str!("../../sql/query/sequences.sql"), &[Some(&task.to_string())]))?;
    let names =
        names.iter().map(|row| Ok(quote_qualified(row.text(0)?, row.text(1)?))).collect::<Result<Vec<String>>>()?;
    let mut values = Vec::with_capacity(names.len());
    for names in names.chunks(AT_ONCE) {
        let parts: Vec<String> = names
            .iter()
            .map(|name| format!("SELECT {}, last_value, is_called FROM {name}", quote_literal(name)))
            .collect();
        let rows = spi::as_role(owner, || spi::query(&parts.join(" UNION ALL "), &[]))?;
        for row in &rows {
            values.push(SequenceValue { name: row.string(0)?, last_value: row.parse(1)?, is_called: row.bool(2)? });
        }
    }
    Ok(values)
}
