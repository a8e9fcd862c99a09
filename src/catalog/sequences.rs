//! Sequences of a task: those that belong to its tables (owned by a column, or used in a default), and those that no
//! column owns and the task's patterns name.
//!
//! Their values are in no stream: rows arrive in milliseconds, a value every `courier.sequence_interval`. So that a destination
//! which takes over from a source that died gives no number twice, its sequences run ahead by more than is used between two
//! looks ([`SequenceValue::ahead`]). `courier.wait_for()` brings exact values.

use std::collections::HashSet;

use super::{Scope, Task, configuration, tables};
use crate::error::{Error, Result, sqlstate};
use crate::logicalrep::array::oid_array;
use crate::logicalrep::names::{quote_ident, quote_literal, quote_qualified, shown_qualified};
use crate::pg::spi;
use crate::source::{Asker, Source};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SequenceValue {
    /// Qualified and quoted.
    pub name: String,
    pub last_value: i64,
    pub is_called: bool,
    /// Does a table of the task need it? One that only a pattern names may be missing on the destination.
    pub is_needed: bool,
    pub increment: i64,
    pub min: i64,
    pub max: i64,
}

impl SequenceValue {
    /// A value that the source will not have reached at the next look, if it goes on as it did since `before`: twice what
    /// it used, at least a thousand numbers, and never more than half of what is left.
    pub fn ahead(&self, before: Option<&SequenceValue>) -> i64 {
        const LEAST: i128 = 1000;
        let (last, step) = (i128::from(self.last_value), i128::from(self.increment));
        if step == 0 {
            return self.last_value;
        }
        let used = before.map_or(0, |before| ((last - i128::from(before.last_value)) / step).max(0));
        let end = i128::from(if step > 0 { self.max } else { self.min });
        let left = ((end - last) / step).max(0);
        let margin = (used * 2).max(LEAST).min(left / 2);
        i64::try_from(last + margin * step).unwrap_or(self.last_value)
    }
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
    let sql = include_str!("../../sql/query/schema/free_sequences.sql");
    let rows = spi::as_extension(|| spi::query(sql, &[]))?;
    rows.iter()
        .map(|row| {
            Ok(FreeSequence { oid: row.parse("oid")?, schema: row.string("nspname")?, name: row.string("relname")? })
        })
        .collect()
}

/// Those that the patterns name.
pub fn named(scope: &Scope) -> Result<Vec<FreeSequence>> {
    let is_named = scope.named()?;
    Ok(free()?.into_iter().filter(|s| is_named(&s.schema, &s.name)).collect())
}

/// Those that count the rows which users put into tables of extensions.
fn of_extensions(task: &Task) -> Result<Vec<u32>> {
    if !configuration::is_there_any()? {
        return Ok(Vec::new());
    }
    let tables = tables::all_of_task(task.id)?;
    let found = configuration::of(&task.scope, &tables, task.owner, &HashSet::new())?.into_iter();
    Ok(found.filter(|of| of.is_sequence && of.why_not.is_none()).map(|of| of.oid).collect())
}

/// The values of all of them, and those that tables of the task need and its owner may not read.
pub struct Sequences {
    pub values: Vec<SequenceValue>,
    pub denied: Vec<String>,
}

/// Reads all of them, with the rights of the task's owner. Of those that only a pattern names, the ones that he may read.
pub fn read(task: &Task, source: &mut dyn Source) -> Result<Sequences> {
    const AT_ONCE: usize = 100;
    let (id, owner) = (task.id.to_string(), task.owner);
    let named = named(&task.scope)?.into_iter().map(|sequence| sequence.oid);
    let named = oid_array(named.chain(of_extensions(task)?));
    let sql = include_str!("../../sql/query/sequences.sql");
    let rows = spi::as_extension(|| spi::query(sql, &[Some(&id), Some(&owner.to_string()), Some(&named)]))?;
    let mut found = Sequences { values: Vec::with_capacity(rows.len()), denied: Vec::new() };
    let mut readable = Vec::with_capacity(rows.len());
    for row in &rows {
        let (name, is_needed) = (quote_qualified(row.text("nspname")?, row.text("relname")?), row.bool("is_needed")?);
        match (row.bool("may_read")?, is_needed) {
            (true, _) => readable.push(SequenceValue {
                name,
                last_value: 0,
                is_called: false,
                is_needed,
                increment: row.parse("seqincrement")?,
                min: row.parse("seqmin")?,
                max: row.parse("seqmax")?,
            }),
            (false, true) => found.denied.push(shown_qualified(row.text("nspname")?, row.text("relname")?)),
            (false, false) => {}
        }
    }
    for some in readable.chunks(AT_ONCE) {
        let parts: Vec<String> = some
            .iter()
            .map(|value| format!("SELECT {}, last_value, is_called FROM {}", quote_literal(&value.name), value.name))
            .collect();
        let rows = source.ask(Asker::Owner, &parts.join(" UNION ALL "), &[])?;
        // UNION ALL keeps the order.
        for (row, value) in rows.iter().zip(some) {
            let (last_value, is_called) = (row.parse("last_value")?, row.bool("is_called")?);
            found.values.push(SequenceValue { last_value, is_called, ..value.clone() });
        }
    }
    Ok(found)
}

/// What a person has to hear about sequences that cannot be read; nothing if there are none.
pub fn check_denied(denied: &[String], owner: &str) -> Result<()> {
    if denied.is_empty() {
        return Ok(());
    }
    let (list, owner) = (denied.join(", "), quote_ident(owner));
    Err(Error::new(
        sqlstate::INSUFFICIENT_PRIVILEGE,
        format!("role {owner} may not read {} of the task's sequences", denied.len()),
    )
    .detail(format!("Their values do not arrive on the destination: {list}."))
    .hint(format!("GRANT SELECT ON SEQUENCE {list} TO {owner};")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sequence(last_value: i64, increment: i64) -> SequenceValue {
        let (min, max) = (-9_000, 1_000_000);
        SequenceValue { name: String::new(), last_value, is_called: true, is_needed: true, increment, min, max }
    }

    #[test]
    fn the_destination_runs_ahead_by_more_than_was_used() {
        assert_eq!(sequence(100, 1).ahead(None), 1_100);
        assert_eq!(sequence(100, 10).ahead(None), 10_100);
        assert_eq!(sequence(20_000, 1).ahead(Some(&sequence(10_000, 1))), 40_000);
        // Set back by a person: as if it were new.
        assert_eq!(sequence(5, 1).ahead(Some(&sequence(10_000, 1))), 1_005);
        assert_eq!(sequence(-1, -3).ahead(None), -3_001);
    }

    #[test]
    fn the_margin_never_uses_a_sequence_up() {
        assert_eq!(sequence(999_990, 1).ahead(None), 999_995);
        assert_eq!(sequence(1_000_000, 1).ahead(None), 1_000_000);
        assert_eq!(sequence(-8_900, -3).ahead(None), -8_900 - 16 * 3);
        let far = SequenceValue { max: i64::MAX, ..sequence(i64::MAX - 10, 1) };
        assert_eq!(far.ahead(Some(&sequence(0, 1))), i64::MAX - 5);
    }
}
