//! `courier.large_objects()` and what `courier.copy_large_objects()` calls.

use pgrx::prelude::*;

use super::arguments::{given, seen_task};
use crate::pg::report;
use crate::pg::text::Text;
use crate::task::large_objects;

#[pg_extern(sql = false)]
fn large_objects(
    task: Option<Text>,
) -> TableIterator<
    'static,
    (
        name!(loid, pg_sys::Oid),
        name!(state, Text),
        name!(source_bytes, Option<i64>),
        name!(destination_bytes, Option<i64>),
        name!(statement, Option<Text>),
    ),
> {
    let lines = report::unwrap(seen_task(task).and_then(|task| large_objects::differences(&task)));
    TableIterator::new(lines.into_iter().map(|line| {
        let statement = line.statement.map(Text::from);
        (line.oid.into(), line.state.as_str().to_owned().into(), line.bytes_here, line.bytes_there, statement)
    }))
}

#[pg_extern(sql = false)]
fn copy_some_large_objects(
    task: Option<Text>,
    behind: Option<pg_sys::Oid>,
) -> TableIterator<
    'static,
    (name!(last, Option<pg_sys::Oid>), name!(sent, i64), name!(bytes, i64), name!(remaining, i64)),
> {
    let round = || large_objects::copy_some(&seen_task(task)?, given("behind", behind)?.to_u32());
    let round = report::unwrap(round());
    TableIterator::once((round.last.map(pg_sys::Oid::from), round.sent, round.bytes, round.left))
}

#[pg_extern(sql = false)]
fn tell_of_large_objects(task: Option<Text>, sent: Option<i64>, bytes: Option<i64>, remaining: Option<i64>) {
    let tell = || {
        let (sent, bytes) = (given("sent", sent)?, given("bytes", bytes)?);
        large_objects::tell(&seen_task(task)?, sent, bytes, given("remaining", remaining)?)
    };
    report::unwrap(tell());
}
