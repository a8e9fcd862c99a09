//! What a task that has started follows, against what its patterns name now: the difference is what the destination
//! lacks, or keeps too much, or calls by another name.

use std::collections::HashMap;
use std::rc::Rc;

use super::select::{self, FoundTable};
use super::{Stage, Task, tables};
use crate::error::{Error, Result};
use crate::failpoint;
use crate::logicalrep::array::oid_array;
use crate::logicalrep::names::quote_literal;
use crate::logicalrep::{FastMap, TableName};
use crate::pg::spi;
use crate::select::coverage::{Coverage, Followed, Patterns};
use crate::select::interest::Interest;
use crate::select::ways_out::{not_followed_hint, rename_statements, unlogged_hint};
use crate::source::Source;

/// What is not as it was when the task started.
pub enum Gap {
    /// The patterns name it, or it is a partition of a followed tree.
    NotFollowed {
        oid: u32,
        table: TableName,
    },
    Gone {
        table: TableName,
    },
    Renamed {
        before: TableName,
        now: TableName,
    },
    Unlogged {
        table: TableName,
    },
}

impl Gap {
    pub fn table(&self) -> &TableName {
        match self {
            Gap::NotFollowed { table, .. } | Gap::Gone { table } | Gap::Unlogged { table } => table,
            Gap::Renamed { before, .. } => before,
        }
    }

    pub fn kind(&self) -> &'static str {
        match self {
            Gap::NotFollowed { .. } => "not followed",
            Gap::Gone { .. } => "dropped",
            Gap::Renamed { .. } => "renamed",
            Gap::Unlogged { .. } => "unlogged",
        }
    }

    pub fn detail(&self) -> String {
        let table = self.table().shown();
        match self {
            Gap::NotFollowed { .. } => {
                format!("The patterns of the task name {table}, and the task does not follow it.")
            }
            Gap::Gone { .. } => {
                format!("{table} does not exist any more on the source; the destination keeps its rows.")
            }
            Gap::Renamed { now, .. } => format!("{table} is called {} on the source.", now.shown()),
            Gap::Unlogged { .. } => {
                format!("{table} is unlogged on the source: what is written to it is not in the WAL.")
            }
        }
    }

    pub fn hint(&self, task: &Task, all: &[Gap]) -> String {
        match self {
            Gap::NotFollowed { table, .. } => not_followed_hint(&task.name, table),
            Gap::Unlogged { table } => unlogged_hint(&task.name, table),
            Gap::Gone { table } => {
                let name = quote_literal(&task.name);
                format!(
                    "SELECT courier.pause({name}); on the destination: DROP TABLE {}; Then here: SELECT courier.resume({name});",
                    table.shown()
                )
            }
            Gap::Renamed { .. } => {
                let moves: Vec<_> = all
                    .iter()
                    .filter_map(|gap| match gap {
                        Gap::Renamed { before, now } => Some((before.clone(), now.clone())),
                        _ => None,
                    })
                    .collect();
                let name = quote_literal(&task.name);
                format!(
                    "SELECT courier.pause({name}); on the destination: {} Then here: SELECT courier.resume({name});",
                    rename_statements(&moves).join(" ")
                )
            }
        }
    }
}

/// Compares a task with the source as it is now. Nothing is found of a task that has not started, or has no stream.
pub fn gaps(task: &Task) -> Result<Vec<Gap>> {
    if task.stage == Stage::Created || !task.incremental {
        return Ok(Vec::new());
    }
    let followed = followed(task.id)?;
    let patterns = patterns(task, &followed)?;
    let known: FastMap<u32, ()> = followed.iter().map(|table| (table.relid, ())).collect();
    let mut gaps = Vec::new();
    for FoundTable { table, ancestors } in select::candidates()? {
        let name = table.table_name();
        let parents = ancestors.iter().map(|(oid, name)| (*oid, name));
        let is_ours = table.kind == 'r' && !table.is_unlogged && !patterns.leave_behind(&name, table.made_by);
        if is_ours && !known.contains_key(&table.oid) && patterns.names(&name, parents) {
            gaps.push(Gap::NotFollowed { oid: table.oid, table: name });
        }
    }
    for table in followed.into_iter().filter(|table| table.kind == 'r') {
        let before = table.name;
        match table.now {
            // One that was made anew says it all.
            None if gaps.iter().any(|gap| *gap.table() == before) => {}
            None => gaps.push(Gap::Gone { table: before }),
            Some(now) if now != before => gaps.push(Gap::Renamed { before, now }),
            Some(_) if table.is_unlogged => gaps.push(Gap::Unlogged { table: before }),
            Some(_) => {}
        }
    }
    gaps.sort_by(|a, b| (&a.table().schema, &a.table().name).cmp(&(&b.table().schema, &b.table().name)));
    Ok(gaps)
}

/// What the stream of a worker that starts now has to know.
pub fn at_start(task: &Task, source: &mut dyn Source) -> Result<Coverage> {
    // Before anything is looked up: what this snapshot shows is what the look has seen.
    let start = source.moment()?;
    let tables = followed(task.id)?;
    failpoint::hit("coverage_between_looks")?;
    let patterns = patterns(task, &tables)?;
    let names = |tables: Vec<FollowedTable>| tables.into_iter().map(|table| (table.relid, table.now));
    let mut now: HashMap<u32, Option<TableName>> = names(tables).collect();
    let of_task = tables::of_task(task.id)?;
    if of_task.iter().any(|table| !now.contains_key(&table.relid)) {
        // It has joined since.
        now.extend(names(followed(task.id)?));
    }
    let mut coverage = Coverage { task: task.name.clone(), patterns, start, ..Coverage::default() };
    for table in of_task {
        let interest = match table.copy_snapshot()? {
            Some(snapshot) => Interest::Except(Rc::new(snapshot)),
            None => Interest::Everything,
        };
        let now = now.get(&table.relid).cloned().flatten();
        coverage.followed.insert(table.relid, Followed { route: table.route, now, interest });
    }
    for gap in gaps(task)? {
        if let Gap::NotFollowed { oid, table } = gap {
            coverage.missing.insert(oid, table);
        }
    }
    Ok(coverage)
}

/// Which of the tables do patterns name now, by themselves or with a partitioned table that they belong to? One that is gone has no name to be
/// judged by.
pub fn named(patterns: &Patterns, tables: &[u32]) -> Result<Vec<u32>> {
    let sql = "SELECT t.oid, n.nspname, c.relname, c.oid = t.oid AS is_itself FROM unnest($1::oid[]) AS t(oid) \
               CROSS JOIN LATERAL (SELECT t.oid UNION SELECT relid FROM pg_partition_ancestors(t.oid)) a \
               JOIN pg_class c ON c.oid = a.oid JOIN pg_namespace n ON n.oid = c.relnamespace";
    let rows = spi::as_extension(|| spi::query_fixed(sql, &[Some(&oid_array(tables.iter().copied()))]))?;
    let mut names: HashMap<u32, (Option<TableName>, Vec<TableName>)> = HashMap::new();
    for row in &rows {
        let name = TableName::new(row.text("nspname")?, row.text("relname")?);
        let (itself, ancestors) = names.entry(row.parse("oid")?).or_default();
        if row.bool("is_itself")? { *itself = Some(name) } else { ancestors.push(name) }
    }
    let is_named = |table: &u32| match names.get(table) {
        Some((Some(name), ancestors)) => patterns.names_by_name(name, ancestors.iter()),
        _ => true,
    };
    Ok(tables.iter().copied().filter(is_named).collect())
}

pub struct FollowedTable {
    pub relid: u32,
    pub kind: char,
    /// On the destination.
    pub name: TableName,
    /// On the source, unless it is gone.
    pub now: Option<TableName>,
    is_unlogged: bool,
}

/// The tables of a task, partitioned ones among them.
pub fn followed(task: i32) -> Result<Vec<FollowedTable>> {
    let rows = spi::as_extension(|| {
        spi::query(
            "SELECT t.relid, t.kind, t.table_name, n.nspname, c.relname, COALESCE(c.relpersistence = 'u', false) AS is_unlogged \
             FROM courier.task_table t LEFT JOIN pg_class c ON c.oid = t.relid \
             LEFT JOIN pg_namespace n ON n.oid = c.relnamespace WHERE t.task_id = $1::int",
            &[Some(&task.to_string())],
        )
    })?;
    rows.iter()
        .map(|row| {
            let name = row.text("table_name")?;
            Ok(FollowedTable {
                relid: row.parse("relid")?,
                kind: row.text("kind")?.chars().next().unwrap_or('r'),
                name: TableName::parse(name)
                    .ok_or_else(|| Error::internal(format!("invalid name of a table: {name}")))?,
                now: row
                    .opt_string("nspname")
                    .zip(row.opt_string("relname"))
                    .map(|(schema, name)| TableName { schema, name }),
                is_unlogged: row.bool("is_unlogged")?,
            })
        })
        .collect()
}

pub fn patterns(task: &Task, followed: &[FollowedTable]) -> Result<Patterns> {
    let parents = followed.iter().filter(|table| table.kind == 'p').map(|table| table.relid).collect();
    Patterns::parse(&task.include, &task.exclude, parents)
}
