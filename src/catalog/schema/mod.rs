//! What the selected tables are made of: the statements that create them, what is left out and why, and what the
//! destination has to have. The statements come from SQL functions (`sql/schema_ddl.sql`).

mod ask;

use super::{Scope, sequences};
use crate::error::{Error, Result, sqlstate};
use crate::pg::{encoding, spi};

pub use ask::{Cause, ask_causes, ask_names, causes};

#[derive(Clone, Debug)]
pub struct Item {
    pub section: String,
    pub kind: String,
    pub object: String,
    pub statement: String,
    pub present_sql: String,
    /// Asked when the object is there: null, or how it differs.
    pub differs_sql: Option<String>,
}

/// What is to be created: tables, the sequences that no column owns, and what parts of the tables need and the
/// destination has already.
#[derive(Clone, Debug, Default)]
pub struct Extent {
    relations: Vec<u32>,
    sequences: Vec<u32>,
    available: Vec<(u32, u32)>,
}

impl Extent {
    /// Without looking at the destination: parts that need something made by hand count as left out.
    pub fn of(scope: &Scope, relations: &[u32]) -> Result<Extent> {
        let sequences = sequences::named(scope)?.into_iter().map(|sequence| sequence.oid).collect();
        Ok(Extent { relations: relations.to_vec(), sequences, available: Vec::new() })
    }

    /// Tables by themselves.
    pub fn tables(relations: &[u32]) -> Extent {
        Extent { relations: relations.to_vec(), ..Extent::default() }
    }

    pub fn relations(&self) -> &[u32] {
        &self.relations
    }

    pub fn with(mut self, available: &[Cause]) -> Extent {
        self.available = available.iter().map(Cause::address).collect();
        self
    }

    fn parameters(&self) -> [String; 4] {
        let (classes, objects): (Vec<u32>, Vec<u32>) = self.available.iter().copied().unzip();
        [oid_array(&self.relations), oid_array(&self.sequences), oid_array(&classes), oid_array(&objects)]
    }
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

/// All statements, in order.
pub fn statements(extent: &Extent) -> Result<Vec<Item>> {
    let parameters = extent.parameters();
    let rows = spi::as_extension(|| {
        spi::query(
            "SELECT section, kind, object, statement, present_sql, differs_sql \
             FROM courier.schema_ddl($1::oid[], false, $2::oid[], $3::oid[], $4::oid[]) ORDER BY ordinal",
            &parameters.each_ref().map(|p| Some(p.as_str())),
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
                differs_sql: row.opt_string(5),
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

pub fn omissions(extent: &Extent) -> Result<Vec<Omission>> {
    let parameters = extent.parameters();
    let rows = spi::as_extension(|| {
        spi::query(
            "SELECT kind, object, reason FROM courier.schema_omissions($1::oid[], $2::oid[], $3::oid[], $4::oid[]) \
             ORDER BY kind, object",
            &parameters.each_ref().map(|p| Some(p.as_str())),
        )
    })?;
    rows.iter()
        .map(|row| Ok(Omission { kind: row.string(0)?, object: row.string(1)?, reason: row.string(2)? }))
        .collect()
}

/// Objects of one kind that no task creates or carries.
#[derive(Clone, Debug)]
pub struct LeftOut {
    pub kind: String,
    pub count: usize,
    /// The first of them, and how many more there are.
    pub names: String,
    pub reason: String,
}

/// What the schemas of these tables, and the database as a whole, hold beside them: a line for each kind. Without
/// `definitions` only what holds rows or values.
pub fn left_out(extent: &Extent, scope: &Scope, definitions: bool) -> Result<Vec<LeftOut>> {
    let [relations, sequences, ..] = extent.parameters();
    let rows = spi::as_extension(|| {
        spi::query(
            "SELECT l.kind, l.nspname, l.name, l.reason, \
             l.nspname IN (SELECT n.nspname::text FROM pg_class t JOIN pg_namespace n ON n.oid = t.relnamespace \
                           WHERE t.oid = ANY ($1::oid[])) \
             FROM courier.schema_left_out($1::oid[], $2::oid[]) AS l \
             WHERE l.data OR $3::boolean ORDER BY l.kind, l.reason, l.name",
            &[Some(&relations), Some(&sequences), Some(if definitions { "t" } else { "f" })],
        )
    })?;
    let covers = scope.covers_schema()?;
    let mut kinds: Vec<(LeftOut, Vec<String>)> = Vec::new();
    for row in &rows {
        let (kind, reason) = (row.text(0)?, row.text(3)?);
        // What has no schema belongs to the whole database.
        let covered = row.opt(4) != Some("f") || row.opt(1).is_some_and(&covers);
        if !covered {
            continue;
        }
        match kinds.last_mut() {
            Some((last, names)) if last.kind == kind && last.reason == reason => {
                last.count += 1;
                names.push(row.string(2)?);
            }
            _ => {
                let line = LeftOut { kind: kind.to_owned(), count: 1, names: String::new(), reason: reason.to_owned() };
                kinds.push((line, vec![row.string(2)?]));
            }
        }
    }
    Ok(kinds.into_iter().map(|(line, names)| LeftOut { names: bounded(&names), ..line }).collect())
}

/// The first names of a list, and how many more there are.
pub fn bounded(names: &[String]) -> String {
    const SHOWN: usize = 10;
    let shown = names.iter().take(SHOWN).map(String::as_str).collect::<Vec<_>>().join(", ");
    match names.len().checked_sub(SHOWN) {
        Some(more) if more > 0 => format!("{shown} and {more} more"),
        _ => shown,
    }
}
