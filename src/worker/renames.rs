//! Tables that were renamed or dropped: what each table of a task is called on the destination, and whether it is there.
//!
//! `courier.task_table.table_name` says it, and rows go there. A table that gets another name on the source stops the task
//! (`select::coverage`); when it has got that name on the destination too, the stream goes on. That it is the same
//! table there, and not a new one of that name, its OID tells, which is noted when a stream begins. So tables can
//! exchange their names as well. A table that is gone on both sides is forgotten. A table that goes there under a name of its
//! own is none of these.

use std::collections::HashMap;

use crate::catalog::Task;
use crate::destination::Destination;
use crate::error::{Error, Result};
use crate::logicalrep::TableName;
use crate::pg::{spi, xact};

struct Known {
    relid: String,
    /// On the destination, as far as is known.
    name: TableName,
    oid: Option<u32>,
    /// On the source.
    now: Option<TableName>,
}

/// The tables of the destination that concern a task.
#[derive(Default)]
struct There {
    by_name: HashMap<(String, String), u32>,
    by_oid: HashMap<u32, TableName>,
}

impl There {
    fn oid(&self, name: &TableName) -> Option<u32> {
        self.by_name.get(&(name.schema.clone(), name.name.clone())).copied()
    }
}

/// Takes notice of the names that tables have on the destination; true when there was something new.
pub fn take_notice(task: &Task, destination: &mut Destination) -> Result<bool> {
    let mut is_news = false;
    let known = xact::in_transaction(|| known(task.id))?;
    let there = ask(destination, &known)?;
    for table in &known {
        if table.now.is_none() && !is_there(table, &known, &there) {
            forget(task, table)?;
            is_news = true;
            continue;
        }
        let (name, oid) = what_now(table, &there);
        if name == table.name && oid == table.oid {
            continue;
        }
        is_news = true;
        let oid = oid.map(|oid| oid.to_string());
        xact::in_transaction(|| {
            spi::as_extension(|| {
                spi::execute(
                    "UPDATE courier.task_table SET table_name = $3, destination_relid = $4::oid \
                     WHERE task_id = $1::int AND relid = $2::oid",
                    &[Some(&task.id.to_string()), Some(&table.relid), Some(&name.qualified()), oid.as_deref()],
                )
            })
        })?;
    }
    Ok(is_news)
}

/// Has the destination a table that is gone on the source? Not if its name belongs to another one of the task there.
fn is_there(table: &Known, known: &[Known], there: &There) -> bool {
    if table.oid.is_some_and(|oid| there.by_oid.contains_key(&oid)) {
        return true;
    }
    there.oid(&table.name).is_some_and(|found| !known.iter().any(|other| other.oid == Some(found)))
}

/// It was dropped on both sides: there is nothing left to follow.
fn forget(task: &Task, table: &Known) -> Result<()> {
    xact::in_transaction(|| {
        spi::as_extension(|| {
            spi::execute(
                "DELETE FROM courier.task_table WHERE task_id = $1::int AND relid = $2::oid",
                &[Some(&task.id.to_string()), Some(&table.relid)],
            )
        })
    })
    .map(|_| ())
}

/// Name and OID of a table on the destination.
fn what_now(table: &Known, there: &There) -> (TableName, Option<u32>) {
    let same = table.name.clone();
    let now = || table.now.clone().filter(|now| *now != table.name);
    match (table.oid, there.oid(&table.name)) {
        (Some(oid), Some(found)) if oid != found => match there.by_oid.get(&oid) {
            // Another table has its name: two that were exchanged.
            Some(elsewhere) if now().as_ref() == Some(elsewhere) => (elsewhere.clone(), Some(oid)),
            // The same name on another destination.
            _ => (same, Some(found)),
        },
        (_, Some(found)) => (same, Some(found)),
        (Some(oid), None) => (there.by_oid.get(&oid).cloned().unwrap_or(same), Some(oid)),
        // Nobody has noted its OID: it can only be the one that is called as on the source.
        (None, None) => match now().and_then(|now| there.oid(&now).map(|oid| (now, oid))) {
            Some((now, oid)) => (now, Some(oid)),
            None => (same, None),
        },
    }
}

fn known(task: i32) -> Result<Vec<Known>> {
    let rows = spi::as_extension(|| {
        spi::query(
            "SELECT t.relid, t.table_name, t.destination_relid, n.nspname, c.relname FROM courier.task_table t \
             LEFT JOIN pg_class c ON c.oid = t.relid LEFT JOIN pg_namespace n ON n.oid = c.relnamespace \
             WHERE t.task_id = $1::int AND t.kind = 'r' AND NOT COALESCE(t.route ?| ARRAY['schema', 'table'], false)",
            &[Some(&task.to_string())],
        )
    })?;
    rows.iter()
        .map(|row| {
            let name = row.text("table_name")?;
            Ok(Known {
                relid: row.string("relid")?,
                name: TableName::parse(name)
                    .ok_or_else(|| Error::internal(format!("invalid name of a table: {name}")))?,
                oid: row.opt("destination_relid").map(|_| row.parse("destination_relid")).transpose()?,
                now: row
                    .opt_string("nspname")
                    .zip(row.opt_string("relname"))
                    .map(|(schema, name)| TableName { schema, name }),
            })
        })
        .collect()
}

fn ask(destination: &mut Destination, known: &[Known]) -> Result<There> {
    let names: Vec<&TableName> =
        known.iter().flat_map(|table| std::iter::once(&table.name).chain(&table.now)).collect();
    let oids: Vec<u32> = known.iter().filter_map(|table| table.oid).collect();
    let mut there = There::default();
    for (oid, name) in destination.tables_called(&oids, &names)? {
        there.by_name.insert((name.schema.clone(), name.name.clone()), oid);
        there.by_oid.insert(oid, name);
    }
    Ok(there)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(name: &str) -> TableName {
        TableName::new("s", name)
    }

    fn there(tables: &[(u32, &str)]) -> There {
        let mut there = There::default();
        for (oid, table) in tables {
            there.by_name.insert(("s".to_owned(), (*table).to_owned()), *oid);
            there.by_oid.insert(*oid, name(table));
        }
        there
    }

    #[test]
    fn a_table_is_known_by_its_oid() {
        let table = |oid, now: Option<&str>| Known { relid: "1".to_owned(), name: name("j"), oid, now: now.map(name) };
        let outcome = |oid, now, tables: &[(u32, &str)]| what_now(&table(oid, now), &there(tables));
        assert_eq!(outcome(None, Some("j"), &[(7, "j")]), (name("j"), Some(7)), "noted");
        assert_eq!(outcome(Some(7), Some("j2"), &[(7, "j2")]), (name("j2"), Some(7)), "renamed on both sides");
        assert_eq!(outcome(Some(7), Some("j3"), &[(7, "j2")]), (name("j2"), Some(7)), "one name behind");
        assert_eq!(outcome(Some(7), Some("j2"), &[(7, "j"), (8, "j2")]), (name("j"), Some(7)), "another one was made");
        assert_eq!(outcome(Some(7), Some("k"), &[(7, "k"), (8, "j")]), (name("k"), Some(7)), "exchanged");
        assert_eq!(outcome(Some(7), Some("j"), &[(9, "j")]), (name("j"), Some(9)), "another destination");
        assert_eq!(outcome(Some(7), Some("j"), &[(9, "j"), (7, "x")]), (name("j"), Some(9)), "another destination");
        assert_eq!(outcome(None, Some("j2"), &[(7, "j2")]), (name("j2"), Some(7)), "renamed before anybody noted it");
        assert_eq!(outcome(Some(7), None, &[]), (name("j"), Some(7)), "gone");
    }

    #[test]
    fn a_table_that_was_dropped_is_there_until_it_is_dropped_there() {
        let gone = |oid| Known { relid: "1".to_owned(), name: name("j"), oid, now: None };
        let other = || Known { relid: "2".to_owned(), name: name("k"), oid: Some(8), now: Some(name("j")) };
        let is_there = |oid, tables: &[(u32, &str)]| is_there(&gone(oid), &[gone(oid), other()], &there(tables));
        assert!(is_there(Some(7), &[(7, "j")]));
        assert!(is_there(Some(7), &[(7, "set_aside")]));
        assert!(is_there(None, &[(9, "j")]), "of the same name, on another destination");
        assert!(!is_there(Some(7), &[]));
        assert!(!is_there(Some(7), &[(8, "j")]), "its name went to another table of the task");
    }
}
