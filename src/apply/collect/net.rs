//! The net effect of a batch: what the destination has to do, sorted by kind.

use super::batch::{Op, TableBatch};
use crate::logicalrep::relation::{Fields, Identity, is_unchanged};
use crate::logicalrep::{FastMap, Relation};

/// A row and the key under which the destination has it now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keyed<'a> {
    pub key: &'a [u8],
    pub row: &'a [u8],
}

#[derive(Debug, Default)]
pub struct Net<'a> {
    pub deletes: Vec<&'a [u8]>,
    /// Whole rows and how many of each.
    pub row_deletes: Vec<(&'a [u8], i64)>,
    /// Grouped by the columns that stay as they are.
    pub updates: Vec<(Vec<usize>, Vec<Keyed<'a>>)>,
    /// Updates of a table whose rows must be replaced.
    pub replaces: Vec<(Vec<usize>, Vec<Keyed<'a>>)>,
    pub inserts: Vec<&'a [u8]>,
}

impl Net<'_> {
    /// Brings neighbours together: what lies side by side in the index, and often in the table, is in the cache together.
    /// For tables where the order of updates decides nothing.
    pub fn sort(&mut self, relation: &Relation) {
        self.deletes.sort_unstable();
        if relation.has_one_unique_index {
            self.updates.iter_mut().for_each(|(_, rows)| rows.sort_unstable_by_key(|keyed| keyed.key));
        }
    }
}

impl TableBatch {
    /// The net effect, in the order in which it has to be applied: rows leave before others change, rows change before
    /// others come.
    pub fn net(&self) -> Net<'_> {
        if self.relation.identity == Identity::FullRow { self.net_rows() } else { self.net_keyed() }
    }

    fn net_rows(&self) -> Net<'_> {
        let mut net = Net::default();
        if let Some(rows) = self.inserts() {
            net.inserts = rows.collect();
            return net;
        }
        let mut counts: FastMap<&[u8], i64> = FastMap::default();
        let mut order = Vec::new();
        for entry in &self.entries {
            let row = self.slice(&entry.row);
            let count = counts.entry(row).or_insert_with(|| {
                order.push(row);
                0
            });
            *count += if entry.op == Op::Insert { 1 } else { -1 };
        }
        for row in order {
            let count = counts.get(row).copied().unwrap_or(0);
            if count < 0 {
                net.row_deletes.push((row, -count));
            }
            for _ in 0..count.max(0) {
                net.inserts.push(row);
            }
        }
        net
    }

    fn net_keyed(&self) -> Net<'_> {
        let mut net = Net::default();
        let replaces = self.relation.needs_replacing();
        let mut groups: Vec<(Vec<usize>, Vec<Keyed<'_>>)> = Vec::new();
        for entry in &self.entries {
            let (key, row) = (self.slice(&entry.key), self.slice(&entry.row));
            match entry.op {
                Op::Nothing => {}
                Op::Delete => net.deletes.push(key),
                Op::Insert => net.inserts.push(row),
                Op::Update | Op::Replace => {
                    let unchanged: Vec<usize> = if entry.partial {
                        Fields(row).enumerate().filter(|(_, f)| is_unchanged(f)).map(|(i, _)| i).collect()
                    } else {
                        Vec::new()
                    };
                    let keyed = Keyed { key, row };
                    match groups.iter_mut().find(|(columns, _)| *columns == unchanged) {
                        Some((_, rows)) => rows.push(keyed),
                        None => groups.push((unchanged, vec![keyed])),
                    }
                }
            }
        }
        if replaces {
            net.replaces = groups
        } else {
            net.updates = groups
        }
        net
    }
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;

    use super::super::batch::Added;
    use super::super::batch::tests::{delete, field, insert, keyed, row, unkeyed, update};

    use super::*;
    use crate::logicalrep::Change;

    #[test]
    fn a_row_that_comes_and_goes_leaves_nothing() {
        let mut batch = keyed();
        insert(&mut batch, "1", "a");
        update(&mut batch, "1", "1", "b");
        delete(&mut batch, "1");
        let net = batch.net();
        assert!(net.inserts.is_empty() && net.updates.is_empty() && net.deletes.is_empty());
        assert_eq!(insert(&mut batch, "1", "c"), Added::Yes);
        assert_eq!(batch.net().inserts, [&row("1", "c")[..]]);
    }

    #[test]
    fn delete_and_insert_of_a_key_sets_the_whole_row() {
        let mut batch = keyed();
        delete(&mut batch, "1");
        insert(&mut batch, "1", "new");
        let net = batch.net();
        assert!(net.inserts.is_empty() && net.deletes.is_empty());
        assert_eq!(net.updates[0].1[0].row, row("1", "new"));
    }

    #[test]
    fn unchanged_values_are_merged_from_the_row_before() {
        let mut batch = keyed();
        update(&mut batch, "1", "1", "big");
        update(&mut batch, "1", "1", "?");
        assert_eq!(batch.net().updates[0].1[0].row, row("1", "big"));
        assert!(batch.net().updates[0].0.is_empty());
    }

    #[test]
    fn an_update_without_the_large_value_leaves_that_column_alone() {
        let mut batch = keyed();
        update(&mut batch, "1", "1", "?");
        update(&mut batch, "2", "2", "x");
        let net = batch.net();
        assert_eq!(net.updates[0].0, [1]);
        assert!(net.updates[1].0.is_empty());
    }

    #[test]
    fn a_changed_key_is_a_delete_and_an_insert() {
        let mut batch = keyed();
        assert_eq!(update(&mut batch, "1", "2", "a"), Added::Yes);
        let net = batch.net();
        assert_eq!(net.deletes, [&field("1")[..]]);
        assert_eq!(net.inserts, [&row("2", "a")[..]]);
    }

    #[test]
    fn a_changed_key_with_an_unknown_value_goes_alone() {
        let mut batch = keyed();
        assert_eq!(update(&mut batch, "1", "2", "?"), Added::Alone);
        let mut batch = keyed();
        insert(&mut batch, "1", "a");
        assert_eq!(update(&mut batch, "1", "2", "?"), Added::Yes);
        assert_eq!(batch.net().inserts, [&row("2", "a")[..]]);
    }

    #[test]
    fn keys_that_rotate_come_out_right() {
        // 1 -> 9, 2 -> 1, 9 -> 2: the swap of two keys through a third.
        let mut batch = keyed();
        update(&mut batch, "1", "9", "a");
        update(&mut batch, "2", "1", "b");
        update(&mut batch, "9", "2", "a");
        let net = batch.net();
        assert!(net.deletes.is_empty() && net.inserts.is_empty());
        let mut rows: Vec<&[u8]> = net.updates[0].1.iter().map(|k| k.row).collect();
        rows.sort();
        assert_eq!(rows, [&row("1", "b")[..], &row("2", "a")[..]]);
    }

    #[test]
    fn updates_are_sorted_where_no_other_unique_value_depends_on_their_order() {
        let keys = |has_one_unique_index| {
            let mut relation = crate::destination::fixture::relation();
            relation.has_one_unique_index = has_one_unique_index;
            let mut batch = TableBatch::new(Rc::new(relation));
            update(&mut batch, "2", "2", "x");
            update(&mut batch, "1", "1", "x");
            let mut net = batch.net();
            net.sort(&batch.relation);
            net.updates[0].1.iter().map(|keyed| keyed.key.to_vec()).collect::<Vec<_>>()
        };
        assert_eq!(keys(true), [field("1"), field("2")]);
        assert_eq!(keys(false), [field("2"), field("1")]);
    }

    #[test]
    fn without_a_key_the_multiset_counts() {
        let mut batch = unkeyed();
        insert(&mut batch, "1", "a");
        insert(&mut batch, "1", "a");
        batch.add(Change::Delete { old: &row("1", "a") });
        batch.add(Change::Delete { old: &row("2", "b") });
        batch.add(Change::Update { old: &row("2", "b"), row: &row("3", "c") });
        let net = batch.net();
        assert_eq!(net.inserts, [&row("1", "a")[..], &row("3", "c")[..]]);
        assert_eq!(net.row_deletes, [(&row("2", "b")[..], 2)]);
    }
}
