//! Creating the selected objects on the destination: before the data, and after it.
//!
//! The statements come from SQL functions (`sql/schema_ddl.sql`), each with a query that tells whether its object is
//! there already; so a run that was cut short goes on where it stopped.

use crate::destination::Destination;
use crate::error::{Error, Origin, Result, sqlstate};
use crate::pg::{encoding, spi};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Section {
    PreData,
    PostData,
}

impl Section {
    fn as_str(self) -> &'static str {
        match self {
            Section::PreData => "pre-data",
            Section::PostData => "post-data",
        }
    }
}

#[derive(Clone, Debug)]
pub struct Item {
    pub section: String,
    pub kind: String,
    pub object: String,
    pub statement: String,
    pub present_sql: String,
}

/// What cannot be created, and why.
#[derive(Clone, Debug)]
pub struct Omission {
    pub kind: String,
    pub object: String,
    pub reason: String,
}

fn oid_array(relations: &[u32]) -> String {
    let list: Vec<String> = relations.iter().map(u32::to_string).collect();
    format!("{{{}}}", list.join(","))
}

/// All statements for these tables, in order.
pub fn statements(relations: &[u32]) -> Result<Vec<Item>> {
    let rows = spi::as_extension(|| {
        spi::query(
            "SELECT section, kind, object, statement, present_sql FROM courier.schema_ddl($1::oid[]) ORDER BY ordinal",
            &[Some(&oid_array(relations))],
        )
    })?;
    rows.iter()
        .map(|row| {
            let item = Item {
                section: row.string(0)?,
                kind: row.string(1)?,
                object: row.string(2)?,
                statement: row.string(3)?,
                present_sql: row.string(4)?,
            };
            if encoding::is_damaged(&item.statement) { Err(unreadable(&item)) } else { Ok(item) }
        })
        .collect()
}

fn unreadable(item: &Item) -> Error {
    Error::new(
        sqlstate::CHARACTER_NOT_IN_REPERTOIRE,
        format!("the definition of {} {} is not valid UTF-8", item.kind, item.object),
    )
    .detail("The database's encoding is SQL_ASCII, so nobody can tell the letters of names and constants.")
    .hint("Create the objects on the destination yourself, and the task with schema_sync => false.")
}

pub fn omissions(relations: &[u32]) -> Result<Vec<Omission>> {
    let rows = spi::as_extension(|| {
        spi::query(
            "SELECT kind, object, reason FROM courier.schema_omissions($1::oid[]) ORDER BY kind, object",
            &[Some(&oid_array(relations))],
        )
    })?;
    rows.iter()
        .map(|row| Ok(Omission { kind: row.string(0)?, object: row.string(1)?, reason: row.string(2)? }))
        .collect()
}

/// Everything before the data, in one transaction: after a crash all of it is there or nothing.
pub fn create_pre_data(destination: &mut Destination, items: &[Item], task_id: &str) -> Result<()> {
    let connection = &mut destination.connection;
    connection.exec("BEGIN")?;
    let done = connection
        .query("SELECT pre_data FROM courier_applied.progress WHERE task_id = $1::uuid FOR UPDATE", &[Some(task_id)])?;
    if done.first().is_some_and(|row| row.bool(0).unwrap_or(false)) {
        connection.exec("COMMIT")?;
        return Ok(());
    }
    for item in items.iter().filter(|i| i.section == Section::PreData.as_str()) {
        if is_present(connection, item)? {
            if item.kind == "table" {
                return Err(already_there(item));
            }
            continue;
        }
        run(connection, item)?;
    }
    connection
        .execute("UPDATE courier_applied.progress SET pre_data = true WHERE task_id = $1::uuid", &[Some(task_id)])?;
    connection.exec("COMMIT")?;
    Ok(())
}

/// When a statement after the data can run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// When each table is complete by itself.
    Copied,
    /// When the tables fit together: they were copied at different moments, and only a stream that has passed all
    /// copies makes them one state of the source. Foreign keys need that.
    Consistent,
}

impl Item {
    fn when(&self) -> When {
        // Comments and grants may be about foreign keys.
        let late = matches!(self.kind.as_str(), "foreign key" | "comment" | "grant");
        if late { When::Consistent } else { When::Copied }
    }
}

/// Everything after the data, statement by statement: each may take long. `note` hears what is being built.
pub fn create_post_data(
    destination: &mut Destination,
    items: &[Item],
    when: When,
    mut note: impl FnMut(&Item),
) -> Result<()> {
    for item in items.iter().filter(|i| i.section == Section::PostData.as_str() && i.when() == when) {
        if is_present(&mut destination.connection, item)? {
            continue;
        }
        note(item);
        run(&mut destination.connection, item)?;
    }
    Ok(())
}

fn is_present(connection: &mut crate::libpq::Connection, item: &Item) -> Result<bool> {
    let rows = connection.query(&item.present_sql, &[])?;
    rows.first().map_or(Ok(false), |row| row.bool(0))
}

fn run(connection: &mut crate::libpq::Connection, item: &Item) -> Result<()> {
    connection.exec(&item.statement).map(|_| ()).map_err(|error| {
        error
            .context(format!("While creating {} {} on the destination: {}", item.kind, item.object, item.statement))
            .or_hint(
                "Remove the cause on the destination (or create the object there yourself), then SELECT courier.resume({task});",
            )
    })
}

fn already_there(item: &Item) -> Error {
    Error::new("42P07", format!("table {} already exists on the destination", item.object))
        .origin(Origin::Destination)
        .detail("The task would create it, and its rows would mix with those that are there.")
        .hint(
            "Drop or rename it there, or create the task with schema_sync => false if its definition is right \
             (and full_copy => false if its rows are, too).",
        )
}
