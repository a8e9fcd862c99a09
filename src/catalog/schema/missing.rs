//! What rows that are older than a column have in it.

use std::collections::HashMap;

use super::facts::ask;
use crate::error::Result;
use crate::logicalrep::Row;
use crate::logicalrep::array::oid_array;
use crate::schema::image::{Parent, Table};

/// A partitioned table has no rows: its partitions tell.
pub fn fill(tables: &mut [Table]) -> Result<()> {
    let oids = oid_array(tables.iter().map(|table| table.oid));
    let rows = ask(include_str!("../../../sql/query/capture/missing.sql"), &[&oids])?;
    let value = |row: &Row| {
        let key: (u32, i16) = (row.parse("attrelid")?, row.parse("attnum")?);
        Ok((key, row.opt_string("missing")))
    };
    let mut values: HashMap<(u32, i16), Option<String>> = rows.iter().map(value).collect::<Result<_>>()?;
    if values.is_empty() {
        return Ok(());
    }
    for table in tables.iter_mut() {
        for column in &mut table.columns {
            column.missing = values.remove(&(table.oid, column.attnum)).flatten();
        }
    }
    let of_children = from_children(tables);
    for table in tables.iter_mut().filter(|table| table.is_partitioned) {
        for column in &mut table.columns {
            let name = (table.oid, column.name.clone());
            column.missing = column.missing.take().or_else(|| of_children.get(&name).cloned());
        }
    }
    Ok(())
}

/// By table and column: the value of the first partition below, however deep, that has one.
fn from_children(tables: &[Table]) -> HashMap<(u32, String), String> {
    let parents: HashMap<u32, &[Parent]> = tables.iter().map(|table| (table.oid, table.parents.as_slice())).collect();
    let mut found = HashMap::new();
    for table in tables {
        for column in &table.columns {
            let Some(missing) = &column.missing else { continue };
            let mut above: Vec<u32> = table.parents.iter().map(|parent| parent.oid).collect();
            while let Some(parent) = above.pop() {
                found.entry((parent, column.name.clone())).or_insert_with(|| missing.clone());
                above.extend(parents.get(&parent).into_iter().flat_map(|list| list.iter().map(|parent| parent.oid)));
            }
        }
    }
    found
}
