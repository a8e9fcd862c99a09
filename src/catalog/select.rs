//! Which tables a task covers.

use std::collections::HashSet;

use crate::error::{Error, Result, sqlstate};
use crate::logicalrep::TableName;
use crate::logicalrep::names::{quote_qualified, shown_qualified};
use crate::pg::{encoding, spi};
use crate::select::leftovers::{self, Tool};
use crate::select::pattern::Pattern;

/// What is said of an unlogged table that is left out.
pub const UNLOGGED: &str = "unlogged table: its changes are not in the WAL";

/// A table that the patterns name.
#[derive(Clone, Debug)]
pub struct Candidate {
    pub oid: u32,
    pub schema: String,
    pub name: String,
    /// `r` or `p`, as in `pg_class.relkind`.
    pub kind: char,
    /// Rows and bytes, estimated from the catalog.
    pub rows: i64,
    pub bytes: i64,
    /// Has it a replica identity that UPDATE and DELETE can be applied by?
    pub has_identity: bool,
    /// Then its changes are not in the WAL, and no task can follow it.
    pub is_unlogged: bool,
    /// Some other tool has made it for itself.
    pub made_by: Option<Tool>,
}

impl Candidate {
    pub fn qualified_name(&self) -> String {
        quote_qualified(&self.schema, &self.name)
    }

    pub fn table_name(&self) -> TableName {
        TableName::new(self.schema.clone(), self.name.clone())
    }

    /// For messages.
    pub fn shown(&self) -> String {
        shown_qualified(&self.schema, &self.name)
    }

    pub fn with_a_name(self) -> Result<Candidate> {
        if !encoding::is_damaged(&self.schema) && !encoding::is_damaged(&self.name) {
            return Ok(self);
        }
        Err(Error::new(
            sqlstate::CHARACTER_NOT_IN_REPERTOIRE,
            format!("the name of table {} is not valid UTF-8", self.shown()),
        )
        .detail("The database's encoding is SQL_ASCII, so nobody can tell its letters.")
        .hint(format!("Rename it (its OID is {}), or leave it out with exclude.", self.oid)))
    }
}

pub struct SelectedTables {
    /// Tables to synchronize, in the order of their names; each once, however many patterns name it.
    pub tables: Vec<Candidate>,
    /// Tables that the patterns name but that are left out, with the reason.
    pub omitted: Vec<(Candidate, String)>,
    /// Include patterns that match nothing.
    pub idle_patterns: Vec<String>,
}

/// Applies the patterns to the tables there are now.
pub fn select(include: &[String], exclude: &[String]) -> Result<SelectedTables> {
    if include.is_empty() {
        return Err(Error::new(sqlstate::INVALID_PARAMETER_VALUE, "no tables are included")
            .hint("Give at least one pattern, for example include => ARRAY['public.*']."));
    }
    let parse = |list: &[String]| list.iter().map(|p| Pattern::parse(p)).collect::<Result<Vec<_>>>();
    let (include, exclude) = (parse(include)?, parse(exclude)?);
    let mut used = vec![false; include.len()];
    let mut selection = SelectedTables { tables: Vec::new(), omitted: Vec::new(), idle_patterns: Vec::new() };
    for candidate in candidates()? {
        let mut named = false;
        for (pattern, used) in include.iter().zip(&mut used) {
            if pattern.matches(&candidate.table.schema, &candidate.table.name) {
                named = true;
                *used = true;
            }
        }
        // A partitioned table comes with its partitions.
        named = named || candidate.ancestors.iter().any(|(_, t)| include.iter().any(|p| p.matches(&t.schema, &t.name)));
        if !named {
            continue;
        }
        let excluded = exclude.iter().find(|p| p.matches(&candidate.table.schema, &candidate.table.name));
        match excluded {
            Some(pattern) => {
                selection.omitted.push((candidate.table, format!("excluded by pattern '{}'", pattern.text())));
            }
            None if is_left_behind(&candidate.table, &include) => {
                let reason = left_behind(&candidate.table);
                selection.omitted.push((candidate.table, reason));
            }
            None if candidate.table.is_unlogged => selection.omitted.push((candidate.table, UNLOGGED.to_owned())),
            None => selection.tables.push(candidate.table.with_a_name()?),
        }
    }
    for (pattern, used) in include.iter().zip(&used) {
        if !used {
            selection.idle_patterns.push(pattern.text().to_owned());
        }
    }
    if selection.tables.is_empty() {
        let mut error = Error::new(sqlstate::UNDEFINED_TABLE, "no table matches the patterns");
        if let Some((table, reason)) = selection.omitted.first() {
            error = error.detail(format!("Left out: {} ({reason}).", table.shown()));
        }
        return Err(error.hint("Check include and exclude; names in double quotes keep their capitals."));
    }
    Ok(selection)
}

fn is_left_behind(table: &Candidate, include: &[Pattern]) -> bool {
    table.made_by.is_some() && !include.iter().any(|pattern| pattern.is_name(&table.schema, &table.name))
}

fn left_behind(table: &Candidate) -> String {
    let tool = table.made_by.map_or("another tool", Tool::name);
    format!("made by {tool} for itself; a pattern without wildcards takes it: '{}'", table.shown())
}

/// The tables of a task that has started, as far as they are there.
pub fn of_task(task: i32) -> Result<SelectedTables> {
    let rows = spi::as_extension(|| {
        spi::query("SELECT relid FROM courier.task_table WHERE task_id = $1::int", &[Some(&task.to_string())])
    })?;
    let followed = rows.iter().map(|row| row.parse(0)).collect::<Result<HashSet<u32>>>()?;
    let mut tables = Vec::new();
    for FoundTable { table, .. } in candidates()? {
        if followed.contains(&table.oid) {
            tables.push(table.with_a_name()?);
        }
    }
    Ok(SelectedTables { tables, omitted: Vec::new(), idle_patterns: Vec::new() })
}

/// Do the patterns name a relation, whatever it is?
pub fn named(include: &[String], exclude: &[String]) -> Result<impl Fn(&str, &str) -> bool> {
    let parse = |list: &[String]| list.iter().map(|p| Pattern::parse(p)).collect::<Result<Vec<_>>>();
    let (include, exclude) = (parse(include)?, parse(exclude)?);
    let any = |list: &[Pattern], schema: &str, name: &str| list.iter().any(|p| p.matches(schema, name));
    Ok(move |schema: &str, name: &str| any(&include, schema, name) && !any(&exclude, schema, name))
}

pub struct FoundTable {
    pub table: Candidate,
    pub ancestors: Vec<(u32, TableName)>,
}

/// Every table of the database that could be synchronized.
pub fn candidates() -> Result<Vec<FoundTable>> {
    let rows = spi::as_extension(|| spi::query(include_str!("../../sql/query/tables.sql"), &[]))?;
    rows.iter()
        .map(|row| {
            let columns: Vec<String> = json(row.text("columns")?)?;
            let name = TableName::new(row.text("nspname")?, row.text("relname")?);
            let table = Candidate {
                oid: row.parse("oid")?,
                made_by: leftovers::tool_of_table(&name, || columns),
                schema: name.schema,
                name: name.name,
                kind: row.text("relkind")?.chars().next().unwrap_or('r'),
                rows: row.parse("rows")?,
                bytes: row.parse("bytes")?,
                has_identity: row.bool("has_identity")?,
                is_unlogged: row.bool("is_unlogged")?,
            };
            let ancestors: Vec<(u32, String, String)> = json(row.text("ancestors")?)?;
            let ancestors = ancestors.into_iter().map(|(oid, schema, name)| (oid, TableName { schema, name }));
            Ok(FoundTable { table, ancestors: ancestors.collect() })
        })
        .collect()
}

fn json<T: serde::de::DeserializeOwned>(text: &str) -> Result<T> {
    serde_json::from_str(text).map_err(|e| Error::internal(format!("invalid list: {e}")))
}
