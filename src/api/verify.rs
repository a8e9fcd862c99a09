//! `courier.verify(task)`: are both sides equal, table by table?

use std::time::Duration;

use pgrx::prelude::*;

use super::arguments::seen_task;
use crate::pg::report;
use crate::pg::text::Text;
use crate::task::wait::wait;
use crate::verify::{self, Digest};

/// A destination that is behind is let catch up once for each table that differs, this long.
const CATCH_UP: Duration = Duration::from_secs(30);

#[pg_extern(sql = false)]
fn verify_tables(
    task: Option<Text>,
) -> TableIterator<
    'static,
    (
        name!(table_name, Text),
        name!(source_rows, Option<i64>),
        name!(destination_rows, Option<i64>),
        name!(source_hash, Option<Text>),
        name!(destination_hash, Option<Text>),
        name!(differing_keys, Vec<Text>),
        name!(identical, Option<bool>),
        name!(error, Option<Text>),
    ),
> {
    let verdicts = report::unwrap(
        seen_task(task).and_then(|task| verify::compare_all(&task, || wait(&task.name, CATCH_UP).map(drop))),
    );
    TableIterator::new(verdicts.into_iter().map(|v| {
        let identical = v.error.is_none().then(|| v.identical());
        let error = v.error.map(Text::from);
        let (source, destination) = (v.source, v.destination);
        let split = |d: Option<Digest>| d.map_or((None, None), |d| (Some(d.rows), Some(Text::from(d.hash))));
        let ((source_rows, source_hash), (destination_rows, destination_hash)) = (split(source), split(destination));
        let keys = v.keys.into_iter().map(Text::from).collect();
        (v.table.into(), source_rows, destination_rows, source_hash, destination_hash, keys, identical, error)
    }))
}
