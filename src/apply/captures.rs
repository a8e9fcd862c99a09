//! Definitions that somebody has captured by hand (`courier.capture()`), or a sweep has found, and that the stream has yet to come to: rows of
//! before may need them already, as nobody told of the command that has changed the table.

use std::collections::{HashMap, HashSet};
use std::rc::Rc;

use crate::logicalrep::Relation;
use crate::schema::captured::Captured;

/// A row of `courier.ddl_log`, with the transaction that wrote it.
#[derive(Debug)]
pub struct CapturedLater {
    pub id: i64,
    pub xid: u32,
    pub snapshot: String,
    pub image: String,
    pub tag: String,
}

/// By table, the last of each; with the columns that it tells of.
#[derive(Default)]
pub struct Captures(HashMap<u32, (Rc<CapturedLater>, HashSet<String>)>);

impl Captures {
    /// One that cannot be read helps nobody; the stream says what is wrong with it.
    pub fn new(captures: Vec<CapturedLater>) -> Captures {
        let mut by_table = HashMap::new();
        for capture in captures.into_iter().map(Rc::new) {
            let Ok(captured) = serde_json::from_str::<Captured>(&capture.image) else { continue };
            for table in captured.image.tables {
                let columns = table.columns.into_iter().map(|column| column.name).collect();
                by_table.insert(table.oid, (capture.clone(), columns));
            }
        }
        Captures(by_table)
    }

    /// What tells of the table of these rows, if it knows all their columns. Asked for once.
    pub fn take(&mut self, relation: &Relation) -> Option<Rc<CapturedLater>> {
        let (_, columns) = self.0.get(&relation.oid)?;
        let knows_all = relation.columns.iter().all(|column| columns.contains(&column.name));
        knows_all.then(|| self.0.remove(&relation.oid)).flatten().map(|(capture, _)| capture)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::destination::fixture;
    use crate::schema::image::Image;
    use crate::schema::samples::{column, table};

    fn capture(id: i64, oid: u32, columns: &[&str]) -> CapturedLater {
        let mut of = table(oid, "t");
        of.columns = columns.iter().zip(1..).map(|(name, attnum)| column(attnum, name, "text")).collect();
        let captured = Captured { image: Image { tables: vec![of], ..Image::default() }, ..Captured::default() };
        let image = serde_json::to_string(&captured).unwrap();
        CapturedLater { id, xid: 7, snapshot: "1:1:".to_owned(), image, tag: "CAPTURE".to_owned() }
    }

    #[test]
    fn the_last_one_that_knows_all_columns_is_taken_once() {
        let relation = fixture::relation();
        let names: Vec<&str> = relation.columns.iter().map(|column| column.name.as_str()).collect();
        let captures = || vec![capture(1, relation.oid, &[]), capture(2, relation.oid, &names)];
        let mut known = Captures::new(captures());
        assert_eq!(known.take(&relation).map(|capture| capture.id), Some(2));
        assert!(known.take(&relation).is_none());
        let mut older = Captures::new(captures().into_iter().rev().collect());
        assert!(older.take(&relation).is_none(), "it does not know the rows' columns");
    }
}
