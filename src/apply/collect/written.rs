//! Values written under deferrable constraints of the destination, until they are looked up there.

use std::rc::Rc;

use crate::destination::table::{Deferrable, Table};
use crate::logicalrep::relation::{Fields, NULL_FIELD, is_unchanged};
use crate::logicalrep::{Lsn, Relation};

/// Values of one constraint, in bytes, that wait for the commit.
const MOST_WAITING: usize = 8 << 20;

/// Values of one constraint.
pub struct Written {
    pub relation: Rc<Relation>,
    pub there: Rc<Table>,
    /// Its number among those of the table.
    pub constraint: usize,
    /// For each row the fields of the constraint's columns, and where the change was.
    pub rows: Vec<(Vec<u8>, Lsn)>,
    bytes: usize,
}

impl Written {
    /// Adds a row that has these columns of the constraint, unless it cannot be there twice.
    pub fn add(&mut self, row: &[u8], columns: &[usize], nulls_are_equal: bool, lsn: Lsn) {
        if let Some(values) = values(row, columns, nulls_are_equal) {
            self.bytes += values.len();
            self.rows.push((values, lsn));
        }
    }
}

/// Those of all constraints.
#[derive(Default)]
pub struct Probes(Vec<Written>);

impl Probes {
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Is it too much to wait for the commit?
    pub fn is_due(&self) -> bool {
        self.0.iter().any(|written| written.bytes > MOST_WAITING)
    }

    /// Everything, to be looked up.
    pub fn take(&mut self) -> Vec<Written> {
        std::mem::take(&mut self.0)
    }

    /// The values of one constraint.
    pub fn of(&mut self, relation: &Rc<Relation>, there: &Rc<Table>, constraint: usize) -> &mut Written {
        let is_it =
            |written: &Written| written.relation.generation == relation.generation && written.constraint == constraint;
        let at = match self.0.iter().position(is_it) {
            Some(at) => at,
            None => {
                let (relation, there) = (relation.clone(), there.clone());
                self.0.push(Written { relation, there, constraint, rows: Vec::new(), bytes: 0 });
                self.0.len() - 1
            }
        };
        &mut self.0[at]
    }
}

/// The columns of the constraint, if all of them travel.
pub fn probed(relation: &Relation, constraint: &Deferrable) -> Option<Vec<usize>> {
    let columns = constraint.columns.as_ref().filter(|_| !constraint.is_partial)?;
    let number = |(name, _): &(String, String)| relation.columns.iter().position(|column| column.name == *name);
    columns.iter().map(number).collect()
}

/// The fields that a second row must not have; `None` if the row is none that can be met twice, or has not changed there.
fn values(row: &[u8], columns: &[usize], nulls_are_equal: bool) -> Option<Vec<u8>> {
    let fields: Vec<&[u8]> = Fields(row).collect();
    let values: Vec<&[u8]> = columns.iter().map(|column| fields.get(*column).copied().unwrap_or_default()).collect();
    let is_null = |field: &&[u8]| field.starts_with(&NULL_FIELD.to_be_bytes());
    let is_left_out = values.iter().any(|field| is_unchanged(field)) || !nulls_are_equal && values.iter().any(is_null);
    (!is_left_out).then(|| values.concat())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logicalrep::relation::UNCHANGED_FIELD;

    #[test]
    fn rows_are_looked_up_that_may_be_there_twice() {
        let field = |text: &str| [&(text.len() as i32).to_be_bytes()[..], text.as_bytes()].concat();
        let (null, unchanged) = (NULL_FIELD.to_be_bytes().to_vec(), UNCHANGED_FIELD.to_be_bytes().to_vec());
        let full = [field("1"), field("a")].concat();
        assert_eq!(values(&full, &[1], false), Some(field("a")));
        assert_eq!(values(&full, &[1, 0], false), Some([field("a"), field("1")].concat()));
        // NULL is equal to nothing, unless the constraint says so.
        let with_null = [field("1"), null.clone()].concat();
        assert_eq!(values(&with_null, &[1], false), None);
        assert_eq!(values(&with_null, &[1], true), Some(null));
        assert_eq!(values(&with_null, &[0], false), Some(field("1")));
        // What has not changed was looked up when it was written.
        assert_eq!(values(&[field("1"), unchanged].concat(), &[0, 1], true), None);
    }
}
