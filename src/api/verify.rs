//! `courier.verify(task)`: are both sides equal, table by table?

use std::time::Duration;

use pgrx::prelude::*;

use super::arguments::seen_task;
use crate::catalog::Task;
use crate::error::{Result, sqlstate};
use crate::logicalrep::names::quote_literal;
use crate::logicalrep::words::counted;
use crate::pg::text::Text;
use crate::pg::{report, xact};
use crate::task::large_objects::{self, LargeObjectTotal};
use crate::task::wait::wait;
use crate::verify::{self, Digest, Verdict};

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
    let compare = |task: Task| {
        let mut verdicts = verify::compare_all(&task, || wait(&task.name, CATCH_UP).map(drop))?;
        verdicts.extend(large_objects(&task)?);
        Ok(verdicts)
    };
    let verdicts = report::unwrap(seen_task(task).and_then(compare));
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

/// A line for all of them, where the source has some: no stream carries them, and nobody is to think that the tables are all.
fn large_objects(task: &Task) -> Result<Option<Verdict>> {
    let mut verdict = Verdict::of("pg_catalog.pg_largeobject".to_owned());
    let totals = match xact::attempt(|| large_objects::totals(task)) {
        Ok(None) => return Ok(None),
        Ok(Some(totals)) => totals,
        // The destination is another server's, or was never prepared: the tables are compared all the same.
        Err(error) if error.sqlstate() == sqlstate::OBJECT_NOT_IN_PREREQUISITE_STATE => {
            verdict.error = Some(error.message().to_owned());
            return Ok(Some(verdict));
        }
        Err(error) => return Err(error),
    };
    let name = quote_literal(&task.name);
    if totals.there.count == 0 {
        let how_many = counted(totals.here.count, "large object");
        verdict.error = Some(format!(
            "The source has {how_many}, the destination none. No stream carries them. CALL courier.copy_large_objects({name});"
        ));
    } else if totals.unreadable > 0 {
        let how_many = counted(totals.unreadable, "large object");
        verdict.error = Some(format!(
            "{how_many} can be read on one side only, or on none: SELECT * FROM courier.large_objects({name});"
        ));
    }
    let digest = |total: LargeObjectTotal| Digest { rows: total.count as i64, hash: total.sum.to_string() };
    (verdict.source, verdict.destination) = (Some(digest(totals.here)), Some(digest(totals.there)));
    verdict.keys = totals.differing.iter().map(u32::to_string).collect();
    Ok(Some(verdict))
}
