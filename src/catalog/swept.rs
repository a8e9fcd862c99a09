//! `courier.swept`: how objects were when the tasks were told of them last, as fingerprints; `courier.sweep`: how far the log has been read
//! for that.

use std::collections::HashMap;

use super::schema::command::TouchedObject;
use crate::error::Result;
use crate::logicalrep::Row;
use crate::logicalrep::array::{oid_array, text_array};
use crate::pg::spi;
use crate::schema::image::Class;
use crate::schema::scope::Object;

/// Of those of the objects that are known.
pub fn known(objects: &[Object]) -> Result<HashMap<Object, String>> {
    let [classes, oids] = arrays(objects.iter());
    let sql = include_str!("../../sql/query/sweep/known.sql");
    let rows = spi::as_extension(|| spi::query(sql, &[Some(&classes), Some(&oids)]))?;
    let mut known = HashMap::new();
    for row in &rows {
        if let Some(object) = object(row)? {
            known.insert(object, row.string("print")?);
        }
    }
    Ok(known)
}

/// Of those of the objects that were known, and no catalog has any more.
pub fn gone(objects: &[Object]) -> Result<Vec<Object>> {
    let known = known(objects)?;
    let [classes, oids] = arrays(known.keys());
    let sql = include_str!("../../sql/query/sweep/gone.sql");
    let rows = spi::as_extension(|| spi::query(sql, &[Some(&classes), Some(&oids)]))?;
    let gone: Vec<Option<Object>> = rows.iter().map(object).collect::<Result<_>>()?;
    let mut gone: Vec<Object> = gone.into_iter().flatten().collect();
    gone.sort_unstable();
    Ok(gone)
}

/// What becomes of what is known already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IfKnown {
    Replaced,
    /// The older one stays: at worst somebody is told once more of what he knows.
    Kept,
}

pub fn note(prints: &[(Object, String)], if_known: IfKnown) -> Result<()> {
    if prints.is_empty() {
        return Ok(());
    }
    let [classes, oids] = arrays(prints.iter().map(|(object, _)| object));
    let texts = text_array(prints.iter().map(|(_, print)| print.as_str()));
    let replaces = if if_known == IfKnown::Replaced { "t" } else { "f" };
    let sql = include_str!("../../sql/query/sweep/note.sql");
    let parameters = [Some(classes.as_str()), Some(&oids), Some(&texts), Some(replaces)];
    spi::as_extension(|| spi::execute(sql, &parameters)).map(drop)
}

pub fn forget(objects: &[Object]) -> Result<()> {
    let [classes, oids] = arrays(objects.iter());
    let sql = "DELETE FROM courier.swept s USING unnest($1::oid[], $2::oid[]) AS g (class, oid) \
               WHERE (s.class, s.oid) = (g.class, g.oid)";
    spi::as_extension(|| spi::execute(sql, &[Some(&classes), Some(&oids)])).map(drop)
}

/// Some rows of the log, with their images, behind the last one that was read.
pub fn unread() -> Result<Vec<(i64, String)>> {
    let sql = "SELECT l.id, l.image FROM courier.ddl_log l \
               WHERE l.id > (SELECT COALESCE(max(s.log_id), 0) FROM courier.sweep s) ORDER BY l.id LIMIT 200";
    let rows = spi::as_extension(|| spi::query(sql, &[]))?;
    rows.iter().map(|row| Ok((row.parse("id")?, row.string("image")?))).collect()
}

/// Rows at the end of the log that have left something to be told later, or could not be read: what says so stands at the beginning of an
/// image, before anything that people have written.
pub fn late() -> Result<Vec<i64>> {
    let sql = "SELECT l.id FROM courier.ddl_log l \
               WHERE l.id > (SELECT max(m.id) - 200 FROM courier.ddl_log m) AND substr(l.image, 1, 100) ~ '\"is_(late|unread)\":true' ORDER BY l.id";
    let rows = spi::as_extension(|| spi::query(sql, &[]))?;
    rows.iter().map(|row| row.parse("id")).collect()
}

/// A row of the log that commits later with a lower number is not read: its objects are told of once more.
pub fn read_up_to(log_id: i64) -> Result<()> {
    let sql = "INSERT INTO courier.sweep AS s (log_id) VALUES ($1::bigint) \
               ON CONFLICT (singleton) DO UPDATE SET log_id = greatest(s.log_id, excluded.log_id)";
    spi::as_extension(|| spi::execute(sql, &[Some(&log_id.to_string())])).map(drop)
}

/// Nobody has read the log before, and what is in it is older than what is noted now.
pub fn begin_to_read() -> Result<()> {
    let sql = "INSERT INTO courier.sweep (log_id) SELECT COALESCE(max(l.id), 0) FROM courier.ddl_log l ON CONFLICT DO NOTHING";
    spi::as_extension(|| spi::execute(sql, &[])).map(drop)
}

/// Everything that a task may have of this database: its tables, and what is known besides tables.
pub fn objects(task: i32) -> Result<Vec<TouchedObject>> {
    let sql = include_str!("../../sql/query/sweep/objects.sql");
    let rows = spi::as_extension(|| spi::query(sql, &[Some(&task.to_string())]))?;
    rows.iter()
        .map(|row| Ok(TouchedObject { class: row.parse("class")?, oid: row.parse("oid")?, is_alone: true }))
        .collect()
}

fn object(row: &Row) -> Result<Option<Object>> {
    let oid = row.parse("oid")?;
    Ok(Class::of(row.parse("class")?).map(|class| (class, oid)))
}

fn arrays<'a>(objects: impl Iterator<Item = &'a Object>) -> [String; 2] {
    let (classes, oids): (Vec<u32>, Vec<u32>) = objects.map(|(class, oid)| (class.oid(), *oid)).unzip();
    [oid_array(classes), oid_array(oids)]
}
