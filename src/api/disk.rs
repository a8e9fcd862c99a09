//! `courier.disk_space()`: the disks of the source, which SQL cannot ask. Internal.

use pgrx::prelude::*;

use crate::error::Error;
use crate::pg::text::Text;
use crate::pg::{disk, report};

/// What is shown, and where it is below the data directory.
const PLACES: [(&str, &str); 2] = [("data", "."), ("wal", "pg_wal")];

#[pg_extern(sql = false)]
fn disk_space() -> TableIterator<'static, (name!(what, Text), name!(total, i64), name!(free, i64))> {
    let rows = PLACES.map(|(what, below)| {
        let space = report::unwrap(
            disk::space(below)
                .map_err(|error| Error::new("58030", format!("could not ask for free disk space: {error}"))),
        );
        (what.into(), space.total as i64, space.free as i64)
    });
    TableIterator::new(rows)
}
